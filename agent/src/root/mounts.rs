//! Mount points whose file system may hang in the kernel, told by mountinfo alone.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// Mount points below a root that are not entered, with their file system's type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForeignMounts(Vec<(PathBuf, String)>);

impl ForeignMounts {
    /// Those below the root directory, as paths in the root. Mounts are read from PID 1's view where it may be
    /// read, else from our own. A root that was asked for as `/proc/PID/root` is seen with that process's mounts, so theirs
    /// count too.
    pub fn below(root: &Path, asked: &Path) -> Self {
        // A sandboxed unit has mounts of its own; PID 1's are the host's.
        let of = if root == Path::new("/") {
            ["/proc/1/mountinfo", "/proc/self/mountinfo"]
        } else {
            ["/proc/self/mountinfo"; 2]
        };
        let bytes = of.iter().find_map(|path| std::fs::read(path).ok()).unwrap_or_default();
        let mut found = Self::parse(&bytes, root);
        if let Some((mountinfo, inside)) = of_process(asked) {
            found.0.extend(Self::parse(&std::fs::read(mountinfo).unwrap_or_default(), &inside).0);
        }
        found
    }

    /// Whether the kernel tells what is mounted.
    pub fn are_told() -> bool {
        ["/proc/1/mountinfo", "/proc/self/mountinfo"].iter().any(|path| std::fs::read(path).is_ok())
    }

    fn parse(mountinfo: &[u8], root: &Path) -> Self {
        let mut found = Vec::new();
        for line in mountinfo.split(|byte| *byte == b'\n') {
            let fields: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
            let Some(point) = fields.get(4) else { continue };
            let kind = fields.iter().position(|field| *field == b"-").and_then(|dash| fields.get(dash + 1));
            let Some(kind) = kind.map(|kind| String::from_utf8_lossy(kind).into_owned()) else { continue };
            let point = PathBuf::from(OsString::from_vec(unescape(point)));
            if may_hang(&kind)
                && let Ok(inside) = point.strip_prefix(root)
            {
                found.push((Path::new("/").join(inside), kind));
            }
        }
        // A later mount on the same point hides the earlier one; both are avoided.
        Self(found)
    }

    /// Whether something is mounted at this very path, as this thread sees it.
    pub(super) fn is_point(path: &Path) -> bool {
        let of = ["/proc/thread-self/mountinfo", "/proc/self/mountinfo"];
        let bytes = of.iter().find_map(|path| std::fs::read(path).ok()).unwrap_or_default();
        bytes.split(|byte| *byte == b'\n').any(|line| {
            let point = line.split(|byte| *byte == b' ').nth(4);
            point.is_some_and(|point| OsString::from_vec(unescape(point)) == path)
        })
    }

    /// The type of the foreign file system that a path in the root lies on.
    pub fn kind(&self, path: &Path) -> Option<&str> {
        self.0.iter().rev().find(|(point, _)| path.starts_with(point)).map(|(_, kind)| kind.as_str())
    }

    /// Every mount point with its type.
    pub fn list(&self) -> &[(PathBuf, String)] {
        &self.0
    }
}

/// The mountinfo of the process and the directory as that process sees it, where a path is below `/proc/PID/root`.
fn of_process(path: &Path) -> Option<(PathBuf, PathBuf)> {
    let mut parts = path.strip_prefix("/proc").ok()?.iter();
    let process = parts.next().filter(|part| part.as_encoded_bytes().iter().all(u8::is_ascii_digit))?;
    let inside = (parts.next()? == "root").then(|| Path::new("/").join(parts.as_path()))?;
    Some((Path::new("/proc").join(process).join("mountinfo"), inside))
}

/// Network file systems, FUSE and autofs: a lookup there can wait for somebody who does not answer.
fn may_hang(kind: &str) -> bool {
    kind.starts_with("fuse")
        || matches!(
            kind,
            "nfs"
                | "nfs4"
                | "cifs"
                | "smb3"
                | "smbfs"
                | "ncpfs"
                | "afs"
                | "coda"
                | "9p"
                | "ceph"
                | "glusterfs"
                | "lustre"
                | "gfs2"
                | "ocfs2"
                | "beegfs"
                | "gpfs"
                | "orangefs"
                | "autofs"
                | "virtiofs"
                | "vboxsf"
        )
}

/// mountinfo writes blanks, tabs, line feeds and backslashes as `\ooo`.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, tail)) = rest.split_first() {
        if byte == b'\\'
            && let Some((digits, after)) = tail.split_at_checked(3)
            && let Ok(value) = u8::from_str_radix(&String::from_utf8_lossy(digits), 8)
        {
            out.push(value);
            rest = after;
        } else {
            out.push(byte);
            rest = tail;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_of_a_process_has_its_mounts() {
        let of = |path: &str| of_process(Path::new(path));
        let at = |file: &str, inside: &str| Some((PathBuf::from(file), PathBuf::from(inside)));
        assert_eq!(of("/proc/12/root"), at("/proc/12/mountinfo", "/"));
        assert_eq!(of("/proc/12/root/srv/image"), at("/proc/12/mountinfo", "/srv/image"));
        for other in ["/", "/srv/proc/12/root", "/proc/12", "/proc/self/root", "/proc/12/cwd"] {
            assert_eq!(of(other), None, "{other}");
        }
    }

    #[test]
    fn network_homes_and_automounts_are_told() {
        let info = b"22 1 8:1 / / rw - ext4 /dev/vda1 rw\n\
            40 22 0:50 / /home rw,relatime - autofs systemd-1 rw\n\
            41 22 0:51 / /mnt/a\\040b rw shared:1 - fuse.sshfs x rw\n\
            42 22 0:52 / /img/home rw - nfs4 srv:/x rw\nbroken line\n";
        let live = ForeignMounts::parse(info, Path::new("/"));
        assert_eq!(live.kind(Path::new("/home/bob/.ssh")), Some("autofs"));
        assert_eq!(live.kind(Path::new("/mnt/a b")), Some("fuse.sshfs"));
        assert_eq!(live.kind(Path::new("/homes")), None);
        let image = ForeignMounts::parse(info, Path::new("/img"));
        assert_eq!(image.kind(Path::new("/home/x")), Some("nfs4"));
        assert_eq!(image.list().len(), 1);
    }
}
