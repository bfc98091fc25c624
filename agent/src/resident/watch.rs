//! The kernel's news of files (`inotify(7)`): hints that something may have changed, never what it is.
//!
//! A directory is watched, not the files in it, so that a file that is replaced, made or linked anew is heard of like one that is
//! written into. Directories are entered by descriptor, name by name, so that no link of a user's leads the watch elsewhere.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

use anyhow::Context;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent, WatchDescriptor};
use nix::sys::stat::{Mode, fstat, fstatat};

use super::line::Place;
use super::places::{UNREADABLE, signature};
use crate::root::meta;

/// What happens to names in a directory, and to the directory itself.
const NAMES: AddWatchFlags = AddWatchFlags::IN_CREATE
    .union(AddWatchFlags::IN_DELETE)
    .union(AddWatchFlags::IN_MOVE)
    .union(AddWatchFlags::IN_ATTRIB)
    .union(AddWatchFlags::IN_DELETE_SELF)
    .union(AddWatchFlags::IN_MOVE_SELF)
    .union(AddWatchFlags::IN_ONLYDIR);
/// What happens to the content of files in it. Both, because who keeps a file open and writes does not close it.
const CONTENT: AddWatchFlags = AddWatchFlags::IN_MODIFY.union(AddWatchFlags::IN_CLOSE_WRITE);
/// News that concern every watch, or that were lost.
const ALL: AddWatchFlags = AddWatchFlags::IN_Q_OVERFLOW.union(AddWatchFlags::IN_UNMOUNT);
/// The directory is not where it was.
const ITSELF: AddWatchFlags = AddWatchFlags::IN_DELETE_SELF.union(AddWatchFlags::IN_MOVE_SELF);
/// A name came, went, or became another's.
const COMINGS: AddWatchFlags = AddWatchFlags::IN_CREATE.union(AddWatchFlags::IN_DELETE).union(AddWatchFlags::IN_MOVE);

/// A directory that counts.
#[derive(Debug, PartialEq, Eq)]
struct Watched {
    /// Device and inode, as seen and, once it is watched, as watched.
    id: (u64, u64),
    listed: bool,
    /// Whether the content counts, and what was seen.
    names: HashMap<OsString, (bool, u64)>,
}

impl Watched {
    fn of(place: Place) -> (PathBuf, Self) {
        let names =
            place.names.into_iter().map(|name| (OsString::from_vec(name.name.0), (name.content, name.signature)));
        let watched = Self { id: place.id, listed: place.listed, names: names.collect() };
        (PathBuf::from(OsString::from_vec(place.path.0)), watched)
    }

    /// Whether what happened to a name counts.
    fn counts(&self, name: &OsStr, what: AddWatchFlags) -> bool {
        match self.names.get(name) {
            Some((content, _)) => *content || !what.difference(AddWatchFlags::IN_ISDIR).difference(CONTENT).is_empty(),
            None => self.listed && what.intersects(COMINGS),
        }
    }

    fn mask(&self) -> AddWatchFlags {
        // What is not there yet has no content that could change.
        let content = self.names.values().any(|(content, signature)| *content && *signature != 0);
        if content { NAMES | CONTENT } else { NAMES }
    }

    /// Whether the names in the directory are as they were seen.
    fn stands(&self, dir: BorrowedFd<'_>) -> bool {
        self.names.iter().filter(|(_, (_, seen))| *seen != UNREADABLE).all(|(name, (content, seen))| {
            let flags = AtFlags::AT_SYMLINK_NOFOLLOW | AtFlags::AT_NO_AUTOMOUNT;
            let now = match fstatat(dir, name.as_os_str(), flags) {
                Ok(stat) => signature(Some(&meta(&stat)), *content),
                Err(Errno::ENOENT | Errno::ENOTDIR) => signature(None, *content),
                Err(_) => return true,
            };
            now == *seen
        })
    }
}

/// The watches of a resident.
#[derive(Debug)]
pub struct Watches {
    /// None: the kernel gives none. Everything is polled then.
    inotify: Option<Inotify>,
    root: OwnedFd,
    places: HashMap<PathBuf, Watched>,
    paths: HashMap<WatchDescriptor, PathBuf>,
    /// Directories for which the kernel grants no watch: looked at again and again instead.
    polled: HashSet<PathBuf>,
    /// News were lost: which watches stand is not known any more.
    lost: bool,
    /// Why something is polled.
    pub trouble: Option<String>,
}

impl Watches {
    /// No watch yet, below `/`.
    ///
    /// # Errors
    /// `/` cannot be opened.
    pub fn new() -> anyhow::Result<Self> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let root = nix::fcntl::open("/", flags, Mode::empty()).context("failed to open /")?;
        let (places, paths, polled) = (HashMap::new(), HashMap::new(), HashSet::new());
        Ok(Self { inotify: None, root, places, paths, polled, lost: false, trouble: None })
    }

    /// What news come through, if the kernel gives it.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.inotify.as_ref().map(AsFd::as_fd)
    }

    /// How many directories are watched, and how many the kernel grants no watch for.
    pub fn count(&self) -> (usize, usize) {
        (self.paths.len(), self.polled.len())
    }

    /// Watches what the last look rested on, and nothing else. Whether something has changed since it was seen.
    pub fn replace(&mut self, places: Vec<Place>) -> bool {
        let mut wanted: HashMap<PathBuf, Watched> = places.into_iter().map(Watched::of).collect();
        let lost = std::mem::take(&mut self.lost);
        // A directory that was moved away is watched still, and no more what stands at its path.
        let same = |path: &PathBuf| {
            let (before, now) = (self.places.get(path), wanted.get(path));
            !lost && before.zip(now).is_some_and(|(before, now)| before.id == now.id && before.mask() == now.mask())
        };
        let gone: Vec<WatchDescriptor> =
            self.paths.iter().filter(|(_, path)| !same(path)).map(|(watch, _)| *watch).collect();
        for watch in gone {
            self.paths.remove(&watch);
            // It may have gone with its directory.
            let _ = self.inotify.as_ref().map(|inotify| inotify.rm_watch(watch));
        }
        self.polled.clear();
        self.begin();
        let known: HashSet<PathBuf> = self.paths.values().cloned().collect();
        let mut changed = false;
        for (path, watched) in &mut wanted {
            if !known.contains(path) {
                changed |= !self.add(path, watched);
            }
        }
        self.places = wanted;
        changed
    }

    /// Asks the kernel for what news come through, where there is none yet.
    fn begin(&mut self) {
        self.trouble = None;
        if self.inotify.is_none() {
            match Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC) {
                Ok(inotify) => self.inotify = Some(inotify),
                Err(errno) => self.refused(errno, "fs.inotify.max_user_instances"),
            }
        }
    }

    fn refused(&mut self, errno: Errno, knob: &str) {
        let limit = if matches!(errno, Errno::EMFILE | Errno::ENOSPC) { format!(" ({knob})") } else { String::new() };
        let why = format!("the kernel grants no watch: {}{limit}; what is not watched is polled", errno.desc());
        self.trouble.get_or_insert(why);
    }

    /// Watches a directory. Whether it is as it was seen.
    fn add(&mut self, path: &Path, watched: &mut Watched) -> bool {
        let Ok(dir) = self.open(path) else { return false };
        let Ok(now) = fstat(&dir) else { return false };
        let seen = std::mem::replace(&mut watched.id, (now.st_dev, now.st_ino));
        // By descriptor: whatever stands at the path by now, this directory is watched.
        let door = format!("/proc/self/fd/{}", dir.as_raw_fd());
        match self.inotify.as_ref().map(|inotify| inotify.add_watch(door.as_str(), watched.mask())) {
            Some(Ok(watch)) => {
                self.paths.insert(watch, path.to_path_buf());
            }
            refused => {
                self.polled.insert(path.to_path_buf());
                if let Some(Err(errno)) = refused {
                    self.refused(errno, "fs.inotify.max_user_watches");
                }
            }
        }
        seen == watched.id && watched.stands(dir.as_fd())
    }

    fn open(&self, path: &Path) -> Result<OwnedFd, Errno> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let mut dir = openat(&self.root, ".", flags, Mode::empty())?;
        for part in path.components() {
            if let Component::Normal(name) = part {
                dir = openat(&dir, name, flags, Mode::empty())?;
            }
        }
        Ok(dir)
    }

    /// Reads all news there are. Whether one of them counts.
    pub fn read(&mut self) -> bool {
        let mut counts = false;
        while let Some(inotify) = &self.inotify {
            match inotify.read_events() {
                Ok(events) => {
                    for event in events {
                        counts |= self.take(&event);
                    }
                }
                Err(Errno::EAGAIN) => break,
                Err(Errno::EINTR) => {}
                Err(errno) => {
                    // It is asked for anew with the look that follows.
                    self.inotify = None;
                    self.paths.clear();
                    self.refused(errno, "");
                    return true;
                }
            }
        }
        counts
    }

    fn take(&mut self, event: &InotifyEvent) -> bool {
        if event.mask.intersects(ALL) {
            // Among what was lost may be that a watch ended with its directory.
            self.lost |= event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW);
            return true;
        }
        if event.mask.contains(AddWatchFlags::IN_IGNORED) {
            return self.paths.remove(&event.wd).is_some();
        }
        let Some(watched) = self.paths.get(&event.wd).and_then(|path| self.places.get(path)) else { return false };
        match &event.name {
            Some(name) => watched.counts(name, event.mask),
            None => event.mask.intersects(ITSELF),
        }
    }

    /// Looks at what the kernel grants no watch for, and asks it for one again. Whether something is not as it was seen.
    pub fn poll(&mut self) -> bool {
        if self.polled.is_empty() {
            return false;
        }
        self.begin();
        let mut changed = false;
        for path in std::mem::take(&mut self.polled) {
            let Some((path, mut watched)) = self.places.remove_entry(&path) else { continue };
            changed |= !self.add(&path, &mut watched);
            self.places.insert(path.clone(), watched);
            // That a name came into a directory shows in the directory itself, which is a name in the one above.
            let above = path.parent().and_then(|above| Some((above, self.places.get(above)?)));
            changed |= above.is_some_and(|(above, names)| !self.open(above).is_ok_and(|dir| names.stands(dir.as_fd())));
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use hostward_checks::snapshot::{Need, Snapshot, Want};

    use super::*;
    use crate::resident::places::places;
    use crate::root::{Budget, Root};

    /// What a look at these paths would have watched.
    fn seen(paths: &[(&Path, Want)]) -> Vec<Place> {
        let (root, mut snapshot) = (Root::open(Path::new("/")).unwrap(), Snapshot::new());
        let need: Need = paths.iter().map(|(path, want)| (path.to_path_buf(), vec![*want])).collect();
        root.answer(&need, &mut snapshot, &mut Budget::default());
        places(&snapshot)
    }

    #[test]
    fn every_way_of_writing_is_heard_and_what_does_not_count_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("home");
        std::fs::create_dir(&home).unwrap();
        let (file, absent, plain) = (home.join("config"), home.join("keys/list"), home.join("plain"));
        std::fs::write(&file, "one").unwrap();
        std::fs::write(&plain, "one").unwrap();
        let look = || seen(&[(&file, Want::Content), (&absent, Want::Content), (&plain, Want::Meta)]);
        let mut watches = Watches::new().unwrap();
        assert!(!watches.replace(look()));
        let changes: [(&str, &dyn Fn(), bool); 11] = [
            ("written into", &|| std::fs::write(&file, "two").unwrap(), true),
            (
                "renamed over",
                &|| {
                    std::fs::write(dir.path().join("new"), "three").unwrap();
                    std::fs::rename(dir.path().join("new"), &file).unwrap();
                },
                true,
            ),
            ("another name", &|| std::fs::write(home.join("other"), "x").unwrap(), false),
            ("what is only looked at", &|| std::fs::write(&plain, "two").unwrap(), false),
            ("its mode", &|| std::fs::set_permissions(&plain, std::fs::Permissions::from_mode(0o666)).unwrap(), true),
            ("a directory that was not there", &|| std::fs::create_dir(home.join("keys")).unwrap(), true),
            ("a file in it", &|| std::fs::write(&absent, "x").unwrap(), true),
            (
                "a link in its place",
                &|| {
                    std::fs::remove_file(&file).unwrap();
                    symlink(&plain, &file).unwrap();
                },
                true,
            ),
            (
                "another directory in its place",
                &|| {
                    std::fs::rename(&home, dir.path().join("old")).unwrap();
                    std::fs::create_dir(&home).unwrap();
                },
                true,
            ),
            ("a file in that", &|| std::fs::write(&file, "four").unwrap(), true),
            ("what was moved away", &|| std::fs::write(dir.path().join("old/plain"), "x").unwrap(), false),
        ];
        for (what, change, counts) in changes {
            change();
            assert_eq!(watches.read(), counts, "{what}");
            watches.replace(look());
            watches.read();
        }
    }

    #[test]
    fn what_changes_between_the_look_and_the_watch_is_not_missed() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("config");
        std::fs::write(&file, "one").unwrap();
        let before = seen(&[(&file, Want::Content)]);
        std::fs::write(&file, "another").unwrap();
        assert!(Watches::new().unwrap().replace(before));
        let before = seen(&[(&dir.path().join("later"), Want::Content)]);
        std::fs::write(dir.path().join("later"), "x").unwrap();
        assert!(Watches::new().unwrap().replace(before));
    }

    #[test]
    fn a_users_link_leads_nowhere() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("home")).unwrap();
        let inside = dir.path().join("home/file");
        std::fs::write(&inside, "x").unwrap();
        let places = seen(&[(&inside, Want::Content)]);
        std::fs::rename(dir.path().join("home"), dir.path().join("real")).unwrap();
        symlink(dir.path().join("real"), dir.path().join("home")).unwrap();
        let mut watches = Watches::new().unwrap();
        assert!(watches.replace(places), "the directory is not what it was");
        std::fs::write(dir.path().join("real/file"), "y").unwrap();
        assert!(!watches.read());
    }
}
