//! File changes as unified diffs: no hash, no private key and no AccessKey is shown.

use hostward_checks::check::path_text;
use hostward_checks::effect::{FileChange, Owner, State};
use hostward_checks::parse::access_key::access_keys;
use similar::TextDiff;

use crate::sanitize::escape;

/// Lines of context around a change.
const CONTEXT: usize = 3;

/// The change as people read it: what becomes of owner and mode, and a unified diff of the content with hostile bytes escaped.
/// Of shadow files only the kind of the password field is shown.
pub fn unified(change: &FileChange) -> String {
    let path = escape(&path_text(change.path.clone()));
    let mut out = match (&change.before, &change.after) {
        (State::Absent, State::Dir { owner }) => format!("new directory {path} ({})\n", words(*owner)),
        (State::Absent, after) => format!("new file {path} ({})\n", after.owner().map(words).unwrap_or_default()),
        (before, State::Absent) => format!("remove {path} ({})\n", before.owner().map(words).unwrap_or_default()),
        (before, after) if before.owner() != after.owner() => {
            let owner = |state: &State| state.owner().map(words).unwrap_or_default();
            format!("{path}: {} -> {}\n", owner(before), owner(after))
        }
        _ => String::new(),
    };
    if let (State::File { content: None, .. }, State::File { content: Some(_), .. }) = (&change.before, &change.after) {
        return format!("{out}{path}: emptied\n");
    }
    let secret = is_secret(change);
    let text = |state: &State| -> Vec<String> {
        let Some(content) = state.content() else { return Vec::new() };
        let content = content.strip_suffix(b"\n").unwrap_or(content);
        content.split(|byte| *byte == b'\n').map(|line| shown(line, secret)).collect()
    };
    let (before, after) = (text(&change.before), text(&change.after));
    if before != after && !holds_key(change) {
        let (old, new): (Vec<&str>, Vec<&str>) =
            (before.iter().map(String::as_str).collect(), after.iter().map(String::as_str).collect());
        let name = |state: &State| if *state == State::Absent { "/dev/null".to_owned() } else { path.clone() };
        let diff = TextDiff::from_slices(&old, &new);
        let hunks = diff.unified_diff().context_radius(CONTEXT).missing_newline_hint(false).to_string();
        out.push_str(&format!("--- {}\n+++ {}\n{hunks}", name(&change.before), name(&change.after)));
    } else if change.before.content() != change.after.content() {
        out.push_str(&format!("{path}: content changes (not shown)\n"));
    }
    out
}

fn words(owner: Owner) -> String {
    format!("{}:{} {:04o}", owner.uid, owner.gid, owner.mode)
}

/// Whether the file holds hashes.
fn is_secret(change: &FileChange) -> bool {
    let name = change.path.file_name().map(|name| name.as_encoded_bytes().to_vec()).unwrap_or_default();
    [&b"shadow"[..], b"gshadow", b"passwd", b"opasswd"].iter().any(|word| name.starts_with(word))
}

/// Whether a private key or an AccessKey would be shown.
fn holds_key(change: &FileChange) -> bool {
    let is_key =
        |content: &[u8]| memchr::memmem::find(content, b"PRIVATE KEY").is_some() || !access_keys(content).0.is_empty();
    let holds = |state: &State| state.content().is_some_and(|content| is_key(content));
    holds(&change.before) || holds(&change.after)
}

/// A line as it is shown.
fn shown(line: &[u8], secret: bool) -> String {
    let text = String::from_utf8_lossy(line).into_owned();
    match text.split_once(':') {
        Some((name, rest)) if secret => {
            let (field, rest) = rest.split_once(':').unwrap_or((rest, ""));
            escape(&format!("{name}:{}:{rest}", kind(field)))
        }
        _ => escape(&text),
    }
}

/// What a password field is, without what it holds.
fn kind(field: &str) -> String {
    let bangs = field.len() - field.trim_start_matches('!').len();
    let rest = field.get(bangs..).unwrap_or_default();
    let rest = match rest {
        "" | "*" | "x" => rest,
        _ => "(hash)",
    };
    format!("{}{rest}", "!".repeat(bangs))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(path: &str, before: &str, after: &str) -> FileChange {
        let state = |text: &str| match text {
            "" => State::Absent,
            text => State::file(text.as_bytes(), Owner::root(0o640)),
        };
        FileChange { path: path.into(), before: state(before), after: state(after) }
    }

    #[test]
    fn a_diff_shows_what_changes_and_no_hash() {
        let shadow = unified(&change("/etc/shadow", "a:$6$salt$hash:1\nb:*:1\n", "a:!$6$salt$hash:1\nb:*:1\n"));
        assert!(shadow.contains("-a:(hash):1\n+a:!(hash):1\n b:*:1\n"), "{shadow}");
        assert!(!shadow.contains("salt"), "{shadow}");
        let new = unified(&change("/etc/x", "", "one\n\x1b[2Jtwo\n"));
        assert!(new.starts_with("new file /etc/x (0:0 0640)\n--- /dev/null\n+++ /etc/x\n"), "{new}");
        assert!(!new.contains('\x1b'), "{new}");
        let key = unified(&change("/etc/ssh/k", "-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl\n", ""));
        assert!(key.starts_with("remove /etc/ssh/k (0:0 0640)\n") && !key.contains("b3Bl"), "{key}");
        let (id, secret) = (concat!("LTAI", "5tQ7xKp2VmZs9RwGd3Hc"), concat!("Jz4mXq8Wv2TkRb6", "NpYd9LsGh3CfQx1"));
        let history =
            unified(&change("/root/.bash_history", &format!("ossutil config -i {id} -k {secret}\nls\n"), "ls\n"));
        assert!(history.contains("not shown") && !history.contains("ossutil"), "{history}");
        let mut mode = change("/etc/x", "a", "a");
        mode.after = State::File { content: None, owner: Owner::root(0o600) };
        mode.before = State::File { content: None, owner: Owner::root(0o644) };
        assert_eq!(unified(&mode), "/etc/x: 0:0 0644 -> 0:0 0600\n");
    }
}
