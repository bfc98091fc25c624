//! The kernel's news of files (`inotify(7)`): hints that something may have changed, never what it is.
//!
//! A directory is watched for what happens to the names in it, so that a file that is replaced, made or linked anew is heard of. A
//! file whose content counts is watched itself: so it is heard of whatever name, link or mount it is written through, and what is
//! written beside it is not. Directories are entered by descriptor, name by name, so that no link of a user's leads a watch elsewhere.
//!
//! The kernel does not tell of all: not of what is written through memory (`mmap(2)`) and kept open, nor of what another machine
//! writes on a file system that is shared. So everything is compared with what was seen, once in an hour in which nothing was.

use std::collections::{BTreeSet, HashMap};
use std::ffi::OsStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};
use std::time::{Duration, Instant};

use anyhow::Context;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent, WatchDescriptor};
use nix::sys::stat::{FileStat, Mode, fstat, fstatat};

use super::line::{Name, Place};
use super::places::{UNREADABLE, signature};
use crate::root::meta;

/// What happens to names in a directory, and to the directory itself.
const NAMES: AddWatchFlags = COMINGS.union(ITSELF).union(AddWatchFlags::IN_ONLYDIR);
/// What happens to a file. Both, because who keeps it open and writes does not close it.
const CONTENT: AddWatchFlags =
    AddWatchFlags::IN_MODIFY.union(AddWatchFlags::IN_CLOSE_WRITE).union(AddWatchFlags::IN_ATTRIB);
/// The directory is not where it was, or its owner or mode are others.
const ITSELF: AddWatchFlags =
    AddWatchFlags::IN_DELETE_SELF.union(AddWatchFlags::IN_MOVE_SELF).union(AddWatchFlags::IN_ATTRIB);
/// A name came, went, or became another's.
const COMINGS: AddWatchFlags = AddWatchFlags::IN_CREATE.union(AddWatchFlags::IN_DELETE).union(AddWatchFlags::IN_MOVE);

/// So long after the last time everything is compared with what was seen.
const COMPARED: Duration = Duration::from_secs(3600);

/// Device and inode.
type Id = (u64, u64);

/// A directory that counts, or a name in it.
#[derive(Clone, Copy, Debug)]
struct Spot {
    place: usize,
    name: Option<usize>,
}

/// What one watch is of. Mounts show one directory at several paths, links one file under several names.
#[derive(Debug)]
struct Heard {
    id: Id,
    spots: Vec<Spot>,
}

/// The watches of a resident.
#[derive(Debug)]
pub struct Watches {
    /// None: the kernel gives none. Everything is polled then.
    inotify: Option<Inotify>,
    root: OwnedFd,
    /// What counts; the names of each in order.
    places: Vec<Place>,
    heard: HashMap<WatchDescriptor, Heard>,
    /// Places for which the kernel grants no watch, or not every one: looked at again and again instead.
    polled: BTreeSet<usize>,
    /// News were lost: which watches still stand is not known.
    lost: bool,
    compared: Instant,
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
        let (places, heard, polled) = (Vec::new(), HashMap::new(), BTreeSet::new());
        Ok(Self { inotify: None, root, places, heard, polled, lost: false, compared: Instant::now(), trouble: None })
    }

    /// What news come through, if the kernel gives it.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.inotify.as_ref().map(AsFd::as_fd)
    }

    /// How many directories and how many files the kernel tells of.
    pub fn count(&self) -> (usize, usize) {
        let is_directory = |heard: &&Heard| heard.spots.iter().any(|spot| spot.name.is_none());
        let directories = self.heard.values().filter(is_directory).count();
        (directories, self.heard.len() - directories)
    }

    /// For how many directories the kernel grants no watch, or not one for every file that counts.
    pub fn polled(&self) -> usize {
        self.polled.len()
    }

    /// Watches what the last look rested on, and nothing else. Whether something has changed since it was seen.
    pub fn replace(&mut self, mut places: Vec<Place>) -> bool {
        for place in &mut places {
            place.names.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        }
        let before = std::mem::take(&mut self.heard);
        let mut held: HashMap<Id, WatchDescriptor> = HashMap::new();
        if !std::mem::take(&mut self.lost) {
            held.extend(before.iter().map(|(watch, heard)| (heard.id, *watch)));
        }
        self.polled.clear();
        self.begin();
        let mut stands = true;
        for (index, place) in places.iter().enumerate() {
            stands &= self.add(index, place, &held);
        }
        for watch in before.keys().filter(|watch| !self.heard.contains_key(watch)) {
            // It may have gone with what it was of.
            let _ = self.inotify.as_ref().map(|inotify| inotify.rm_watch(*watch));
        }
        (self.places, self.compared) = (places, Instant::now());
        !stands
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

    /// Watches a directory and the files in it that count. Whether all is as it was seen.
    fn add(&mut self, index: usize, place: &Place, held: &HashMap<Id, WatchDescriptor>) -> bool {
        let dir = match self.open(place) {
            Ok(dir) => dir,
            Err(errno) => return !is_gone(errno),
        };
        let Ok(now) = fstat(&dir) else { return false };
        let spot = Spot { place: index, name: None };
        match held.get(&id(&now)) {
            Some(watch) => self.note(*watch, id(&now), spot),
            None => self.watch(dir.as_fd(), NAMES, spot),
        }
        let stands = stands(place, dir.as_fd(), |index, name, stat| {
            let is_file = stat.st_mode & nix::libc::S_IFMT == nix::libc::S_IFREG;
            if !is_file || !(name.content || stat.st_nlink > 1) {
                return;
            }
            let spot = Spot { name: Some(index), ..spot };
            if let Some(watch) = held.get(&id(stat)) {
                self.note(*watch, id(stat), spot);
                return;
            }
            let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            // What is gone or another one by now is heard of through its directory.
            if let Ok(file) = openat(&dir, OsStr::from_bytes(&name.name.0), flags, Mode::empty()) {
                self.watch(file.as_fd(), CONTENT, spot);
            }
        });
        stands && place.id == id(&now)
    }

    /// Watches what is open.
    fn watch(&mut self, node: BorrowedFd<'_>, mask: AddWatchFlags, spot: Spot) {
        // By descriptor: whatever stands at the path by now, this is watched.
        let door = format!("/proc/self/fd/{}", node.as_raw_fd());
        let watch = self.inotify.as_ref().map(|inotify| inotify.add_watch(door.as_str(), mask));
        match watch.map(|watch| watch.and_then(|watch| Ok((watch, id(&fstat(node)?))))) {
            Some(Ok((watch, id))) => self.note(watch, id, spot),
            refused => {
                self.polled.insert(spot.place);
                if let Some(Err(errno)) = refused {
                    self.refused(errno, "fs.inotify.max_user_watches");
                }
            }
        }
    }

    fn note(&mut self, watch: WatchDescriptor, id: Id, spot: Spot) {
        self.heard.entry(watch).or_insert_with(|| Heard { id, spots: Vec::with_capacity(1) }).spots.push(spot);
    }

    fn open(&self, place: &Place) -> Result<OwnedFd, Errno> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let mut dir = openat(&self.root, ".", flags, Mode::empty())?;
        for part in Path::new(OsStr::from_bytes(&place.path.0)).components() {
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
                    self.heard.clear();
                    self.refused(errno, "");
                    return true;
                }
            }
        }
        counts
    }

    fn take(&mut self, event: &InotifyEvent) -> bool {
        let mask = event.mask;
        if mask.contains(AddWatchFlags::IN_Q_OVERFLOW) {
            self.lost = true;
            return true;
        }
        if mask.contains(AddWatchFlags::IN_UNMOUNT) {
            return true;
        }
        if mask.contains(AddWatchFlags::IN_IGNORED) {
            return self.heard.remove(&event.wd).is_some();
        }
        let Some(heard) = self.heard.get(&event.wd) else { return false };
        heard.spots.iter().any(|spot| {
            let Some(place) = self.places.get(spot.place) else { return false };
            match (spot.name, &event.name) {
                (None, Some(name)) => counts(place, name, mask),
                (None, None) => mask.intersects(ITSELF),
                (Some(name), _) => {
                    mask.contains(AddWatchFlags::IN_ATTRIB) || place.names.get(name).is_some_and(|name| name.content)
                }
            }
        })
    }

    /// Compares everything with what was seen, and asks for the watches that are lacking: where the kernel grants not all of them, and
    /// once an hour. Whether something is other.
    pub fn poll(&mut self, now: Instant) -> bool {
        if self.polled.is_empty() && now.saturating_duration_since(self.compared) < COMPARED {
            return false;
        }
        let places = std::mem::take(&mut self.places);
        self.replace(places)
    }
}

fn id(stat: &FileStat) -> Id {
    (stat.st_dev, stat.st_ino)
}

/// Whether what happened to a name in a directory counts.
fn counts(place: &Place, name: &OsStr, what: AddWatchFlags) -> bool {
    let is_named = place.names.binary_search_by(|known| known.name.0.as_slice().cmp(name.as_bytes())).is_ok();
    is_named || (place.listed && what.intersects(COMINGS))
}

/// Whether the names in a directory are as they were seen. What stands there is handed on, with its number among the names.
fn stands(place: &Place, dir: BorrowedFd<'_>, mut node: impl FnMut(usize, &Name, &FileStat)) -> bool {
    let mut stands = true;
    for (index, name) in place.names.iter().enumerate().filter(|(_, name)| name.signature != UNREADABLE) {
        let flags = AtFlags::AT_SYMLINK_NOFOLLOW | AtFlags::AT_NO_AUTOMOUNT;
        match fstatat(dir, OsStr::from_bytes(&name.name.0), flags) {
            Ok(stat) => {
                stands &= signature(Some(&meta(&stat)), name.content) == name.signature;
                node(index, name, &stat);
            }
            Err(errno) => stands &= !is_gone(errno) || signature(None, name.content) == name.signature,
        }
    }
    stands
}

/// Whether there is no such thing, rather than that it cannot be told.
fn is_gone(errno: Errno) -> bool {
    matches!(errno, Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP)
}

#[cfg(test)]
mod tests;
