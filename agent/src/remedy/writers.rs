//! Who brought a finding back, as well as can be known: what is not as our fix left it, whose it is and when it changed, and who
//! logged in or used sudo about then.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hostward_checks::fact::Fact;

use crate::observe::command;
use crate::sanitize::{brief, escape};
use crate::transaction::{FileRecord, Transaction};
use crate::tree::{Tree, look};

/// As many files are named, and as many lines of the journal.
const MOST: usize = 5;
/// A line of the journal is cut to so much.
const LINE: usize = 200;
/// So long before a change somebody may have logged in who made it.
const BEFORE: i64 = 600;
/// The journal's clock and the file system's differ by less.
const AFTER: i64 = 5;

/// What is to be said of a finding that came back after a transaction, and rests on these files.
pub fn told(tree: &Tree, transaction: Option<&Transaction>, evidence: &[PathBuf]) -> String {
    let manifest = transaction.map(Transaction::manifest);
    let changed = manifest.iter().flat_map(|manifest| manifest.files()).filter(|(_, file)| !stands(tree, file));
    let paths: BTreeSet<&Path> =
        changed.map(|(_, file)| file.path.as_path()).chain(evidence.iter().map(PathBuf::as_path)).collect();
    let mut last = None;
    let mut said: Vec<String> = Vec::new();
    for path in paths.into_iter().take(MOST) {
        let (words, at) = describe(path);
        said.push(words);
        last = last.max(at);
    }
    if let Some(at) = last {
        said.extend(sessions(at));
    }
    if said.is_empty() { "nobody can be named".to_owned() } else { said.join("; ") }
}

/// Whether a file is as the transaction left it.
fn stands(tree: &Tree, file: &FileRecord) -> bool {
    let node = tree.parent(&file.path).and_then(|(dir, name)| look(&dir, name));
    node.is_ok_and(|node| file.after.is(&node.standing))
}

/// A file in words, and when it last changed, seconds since the epoch.
fn describe(path: &Path) -> (String, Option<i64>) {
    let name = escape(&path.to_string_lossy());
    match std::fs::symlink_metadata(path) {
        Ok(meta) => {
            let time = |at| jiff::Timestamp::from_second(at).map_or_else(|_| "?".to_owned(), |at| at.to_string());
            // Owner and mode have their time in the one only, and the other is for everybody to set.
            let (changed, written) = (time(meta.ctime()), time(meta.mtime()));
            let (uid, gid, mode) = (meta.uid(), meta.gid(), meta.mode() & 0o7777);
            let words = format!("{name}: changed {changed}, written {written}, uid {uid}, gid {gid}, mode {mode:04o}");
            (words, Some(meta.ctime()))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => (format!("{name}: gone"), None),
        Err(error) => (format!("{name}: {error}"), None),
    }
}

/// Logins and commands of sudo about then, as the journal has them.
fn sessions(at: i64) -> Vec<String> {
    let (since, until) = (format!("--since=@{}", at - BEFORE), format!("--until=@{}", at + AFTER));
    let only = ["_COMM=sudo", "_COMM=sshd", "_COMM=sshd-session", "_COMM=su"];
    let arguments = [&["--quiet", "--no-pager", "--output=short-iso", &since, &until], &only[..]].concat();
    let programs = ["/usr/bin/journalctl", "/bin/journalctl"];
    let Fact::Known(output) = command::ask(&programs, &arguments, Duration::from_secs(5), 4 << 20) else {
        return Vec::new();
    };
    let text = String::from_utf8_lossy(&output.bytes);
    let lines: Vec<String> = text.lines().filter(tells).map(|line| brief(line, LINE)).collect();
    lines.get(lines.len().saturating_sub(MOST)..).unwrap_or_default().to_vec()
}

/// Whether a line tells of somebody who came, or became another: a login of sshd's, a command of sudo's, a shell of su's.
fn tells(line: &&str) -> bool {
    let su = line.contains("(su:session)") || line.contains("(su-l:session)");
    line.contains(" Accepted ") || line.contains("COMMAND=") || su && line.contains("session opened")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_with_their_owner_and_time() {
        let dir = tempfile::tempdir().unwrap();
        let tree = Tree::open(dir.path()).unwrap();
        let path = dir.path().join("a\nb");
        std::fs::write(&path, "x").unwrap();
        let said = told(&tree, None, &[path.clone(), dir.path().join("gone")]);
        assert!(said.contains("a\\nb: changed 2") && said.contains("gone: gone") && !said.contains('\n'), "{said}");
        assert!(said.contains(&format!("uid {}", nix::unistd::geteuid())), "{said}");
        assert_eq!(told(&tree, None, &[]), "nobody can be named");
    }

    #[test]
    fn who_came_is_told_once() {
        for (line, want) in [
            ("t h sshd[1]: Accepted publickey for root from 192.0.2.1 port 9 ssh2: ED25519 SHA256:x", true),
            ("t h sshd[1]: pam_unix(sshd:session): session opened for user root(uid=0) by (uid=0)", false),
            ("t h sudo[2]: ops : TTY=pts/0 ; PWD=/home/ops ; USER=root ; COMMAND=/usr/bin/vi /etc/shadow", true),
            ("t h sudo[2]: pam_unix(sudo:session): session opened for user root(uid=0) by ops(uid=1000)", false),
            ("t h su[3]: pam_unix(su-l:session): session opened for user root(uid=0) by ops(uid=1000)", true),
            ("t h su[3]: pam_unix(su:session): session closed for user root", false),
        ] {
            assert_eq!(tells(&line), want, "{line}");
        }
    }
}
