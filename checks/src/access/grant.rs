//! What a way in is good for once sshd has let the client through: `session.c`, `do_child`.

use super::Grant;
use super::rules::Rules;

/// What of a key or certificate bears on what it grants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct KeyTerms<'k> {
    /// `command=` or the certificate's `force-command`.
    pub(crate) command: Option<&'k [u8]>,
    /// Forwarding is switched off (`no-port-forwarding`, `restrict`, or a certificate without `permit-port-forwarding`).
    pub(crate) no_forwarding: bool,
}

/// What the account's shell does with a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shell {
    /// It runs commands.
    Full,
    /// It is one program for one purpose (`git-shell`).
    Limited,
    /// It serves files only (`sftp-server` as a shell).
    Files,
    /// It ends at once (`nologin`, `false`).
    None,
}

impl Shell {
    /// Judges a shell by its name.
    pub(crate) fn of(path: &std::path::Path) -> Self {
        match path.file_name().and_then(|name| name.to_str()) {
            Some("nologin" | "false" | "true" | "sync" | "shutdown" | "halt") => Self::None,
            Some("git-shell" | "rssh" | "lshell" | "passwd" | "svnserve") => Self::Limited,
            Some("sftp-server" | "scponly") => Self::Files,
            _ => Self::Full,
        }
    }
}

/// What stands between a login and its session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct After {
    /// A password must be changed before anything else.
    pub(crate) must_change: bool,
    /// No session is given at all: /etc/nologin where sshd itself looks (`session.c:do_nologin`).
    pub(crate) closed: bool,
}

/// What the session and the forwarding of this login come to.
pub(crate) fn grant(rules: &Rules<'_>, key: Option<KeyTerms<'_>>, shell: Shell, after: After) -> Grant {
    let key = key.unwrap_or_default();
    // A password that must be changed first: `auth_restrict_session` closes forwarding, the session runs passwd.
    let forward = rules.forwarding.any && !key.no_forwarding && !after.must_change;
    let rest = if forward { Grant::Forward } else { Grant::Nothing };
    if !rules.sessions || after.closed {
        return rest;
    }
    // ForceCommand of the configuration goes before the key's own.
    let command = rules.force_command.map(str::as_bytes).or(key.command);
    match command {
        Some(command) => match judge(command) {
            Forced::InternalSftp => Grant::Sftp,
            _ if shell == Shell::None => rest,
            Forced::Ends => rest,
            Forced::Files => Grant::Sftp,
            Forced::Runs => Grant::Command,
        },
        None => match shell {
            Shell::Full => Grant::Shell,
            Shell::Limited => Grant::Command,
            Shell::Files => Grant::Sftp,
            Shell::None if rules.internal_sftp => Grant::Sftp,
            Shell::None => rest,
        },
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Forced {
    /// sshd itself serves files, without a shell.
    InternalSftp,
    /// The file server, run by the shell.
    Files,
    /// Says something and ends: no way in.
    Ends,
    /// Does something.
    Runs,
}

fn judge(command: &[u8]) -> Forced {
    let text = String::from_utf8_lossy(command);
    let text = text.trim();
    let first = text.split_ascii_whitespace().next().unwrap_or_default();
    // `session.c:IS_INTERNAL_SFTP`: the word, then the end or a blank.
    if first == "internal-sftp" {
        return Forced::InternalSftp;
    }
    if statements(text).is_some_and(|all| all.iter().all(|words| only_ends(words))) {
        return Forced::Ends;
    }
    if base(first) == "sftp-server" && statements(text).is_some_and(|all| all.len() == 1) {
        Forced::Files
    } else {
        Forced::Runs
    }
}

fn base(word: &str) -> &str {
    word.rsplit('/').next().unwrap_or(word)
}

/// Whether a simple command can do no more than speak, wait and end.
fn only_ends(words: &[String]) -> bool {
    let Some(first) = words.first() else { return true };
    matches!(base(first), "echo" | "printf" | "exit" | "false" | "true" | ":" | "sleep" | "nologin" | "return")
}

/// The simple commands of a shell line, as words. None where it holds anything whose effect is not plain from its words:
/// substitutions, redirections, subshells, backgrounds, line continuations.
fn statements(text: &str) -> Option<Vec<Vec<String>>> {
    let mut all = vec![Vec::new()];
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some('\''), '\'') | (Some('"'), '"') => quote = None,
            (Some('\''), c) => word.get_or_insert_default().push(c),
            (_, '`') => return None,
            (_, '$') if chars.peek() == Some(&'(') => return None,
            (_, '\\') => word.get_or_insert_default().push(chars.next()?),
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, ';' | '\n' | '&' | '|') => {
                // Only `;`, `&&` and `||`: a pipe or a background job is not plain.
                if matches!(c, '&' | '|') && chars.next() != Some(c) {
                    return None;
                }
                all.last_mut()?.extend(word.take());
                all.push(Vec::new());
            }
            (None, '<' | '>' | '(' | ')' | '{' | '}') => return None,
            (None, c) if c.is_whitespace() => all.last_mut()?.extend(word.take()),
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    all.last_mut()?.extend(word);
    if quote.is_some() { None } else { Some(all) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::testing::effective;

    #[test]
    fn a_forced_command_that_only_speaks_and_ends_is_no_way_in() {
        let cloud =
            br#"echo 'Please login as the user "ecs-user" rather than the user "root".';echo;sleep 10;exit 142"#;
        for (command, want) in [
            (&cloud[..], Forced::Ends),
            (b"exit 1", Forced::Ends),
            (b"/bin/false", Forced::Ends),
            (b"/usr/sbin/nologin", Forced::Ends),
            (b"echo hi && exit 0 || false", Forced::Ends),
            (b"echo hi; sh", Forced::Runs),
            (b"echo $(sh)", Forced::Runs),
            (b"echo `sh`", Forced::Runs),
            (b"echo x | sh", Forced::Runs),
            (b"echo x > /etc/passwd", Forced::Runs),
            (b"sleep 9 & sh", Forced::Runs),
            (b"echo \"unfinished", Forced::Runs),
            (b"internal-sftp -l INFO", Forced::InternalSftp),
            (b"internal-sftpx", Forced::Runs),
            (b"/usr/lib/openssh/sftp-server -R", Forced::Files),
            (b"rsync --server --daemon .", Forced::Runs),
        ] {
            assert_eq!(judge(command), want, "{}", String::from_utf8_lossy(command));
        }
    }

    #[test]
    fn grants_of_settings_keys_and_shells() {
        // Only a Unix socket that sshd listens on slips past both lists, by its own setting.
        const CLOSED: &[(&str, &str)] =
            &[("permitopen", "none"), ("permitlisten", "none"), ("allowstreamlocalforwarding", "no")];
        let key = |command: Option<&'static [u8]>, no_forwarding| Some(KeyTerms { command, no_forwarding });
        for (settings, key, shell, want) in [
            (&[][..], None, Shell::Full, Grant::Shell),
            (&[], None, Shell::None, Grant::Forward),
            (&[("disableforwarding", "yes")], None, Shell::None, Grant::Nothing),
            (&[("maxsessions", "0")], None, Shell::Full, Grant::Forward),
            (&[("subsystem", "sftp internal-sftp")], None, Shell::None, Grant::Sftp),
            (&[("forcecommand", "internal-sftp")], key(Some(b"sh"), true), Shell::None, Grant::Sftp),
            (&[], key(Some(b"exit 142"), true), Shell::Full, Grant::Nothing),
            (&[], key(Some(b"exit 142"), false), Shell::Full, Grant::Forward),
            (&[], key(Some(b"rsync --server ."), true), Shell::Full, Grant::Command),
            (&[("forcecommand", "/bin/report")], None, Shell::None, Grant::Forward),
            (&[("allowtcpforwarding", "no")], None, Shell::None, Grant::Nothing),
            (&[("allowtcpforwarding", "local")], None, Shell::None, Grant::Forward),
            (&[("allowtcpforwarding", "local"), ("permitopen", "none")], None, Shell::None, Grant::Nothing),
            (&[("permitopen", "none")], None, Shell::None, Grant::Forward),
            (&[("permitopen", "none"), ("permitlisten", "none")], None, Shell::None, Grant::Forward),
            (CLOSED, None, Shell::None, Grant::Nothing),
        ] {
            let effective = effective(settings);
            assert_eq!(
                grant(&Rules::of(&effective, (9, 2)), key, shell, After::default()),
                want,
                "{settings:?} {key:?} {shell:?}"
            );
        }
    }
}
