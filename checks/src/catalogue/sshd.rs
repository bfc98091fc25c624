//! The area sshd: who can get in and how. Every check reads the access matrix.

use crate::access::{Access, AccountAccess, DaemonAccess, Decision, Method, SourceAccess};
use crate::check::{Finding, path_text};
use crate::edit::Edit;
use crate::sshd::{Effective, Origin};

pub mod cloud_init;
pub mod config;
pub mod crypto;
pub mod empty_password;
pub mod forwarding;
pub mod host_keys;
pub mod limits;
pub mod logging;
pub mod other_methods;
pub mod password_login;
pub mod port;
pub mod root_login;
pub mod running;
#[cfg(test)]
pub(super) mod shown;
pub mod source;
#[cfg(test)]
mod testing;

/// Every account at every daemon.
fn accounts(access: &Access) -> impl Iterator<Item = (&DaemonAccess, &AccountAccess)> {
    access.daemons.iter().flat_map(|daemon| daemon.accounts.iter().map(move |account| (daemon, account)))
}

/// The subject of a finding about an account; a second daemon's findings are told apart by its configuration.
fn account_subject(access: &Access, daemon: &DaemonAccess, account: &AccountAccess) -> String {
    match access.daemons.first() {
        Some(first) if first.config != daemon.config => {
            format!("account:{} via {}", account.user, path_text(&daemon.config))
        }
        _ => format!("account:{}", account.user),
    }
}

/// The subject of a finding about a daemon's settings.
fn daemon_subject(daemon: &DaemonAccess) -> String {
    format!("sshd:{}", path_text(&daemon.config))
}

/// Where a setting stands, as evidence names it.
fn place(origin: &Origin) -> (String, Option<u32>) {
    match origin {
        Origin::Default => ("(default)".to_owned(), None),
        Origin::CommandLine(_) => ("(command line)".to_owned(), None),
        Origin::Line { file, line } => (path_text(file), Some(*line)),
    }
}

/// Adds decisions as evidence.
fn evidence(mut finding: Finding, decisions: &[Decision], keywords: &[&str]) -> Finding {
    for decision in decisions.iter().filter(|decision| keywords.contains(&decision.keyword)) {
        let (file, line) = place(&decision.origin);
        finding = finding.seen(file, line, format!("{} {}", decision.keyword, decision.value));
    }
    finding
}

/// Adds a setting of the effective configuration as evidence.
fn setting(finding: Finding, effective: &Effective, keyword: &str, key: &str) -> Finding {
    match effective.value(key) {
        Some(value) => {
            let (file, line) = place(&value.origin);
            finding.seen(file, line, format!("{keyword} {}", value.text))
        }
        None => finding,
    }
}

/// The command that shows the daemon's settings outside every Match block.
fn show(daemon: &DaemonAccess) -> String {
    format!("{} -T{}", daemon.program, daemon.options)
}

/// Sets a keyword globally, and edits the Match block that opens it for this connection.
fn close(daemon: &DaemonAccess, source: &SourceAccess, keyword: &'static str, value: &str) -> Vec<Edit> {
    let key = keyword.to_ascii_lowercase();
    let mut edits = Vec::new();
    let closed = daemon.global.as_ref().is_ok_and(|global| global.text(&key).eq_ignore_ascii_case(value));
    if !closed {
        edits.push(Edit::SshdSet { config: daemon.config.clone(), keyword, value: value.to_owned() });
    }
    let global = daemon.global.as_ref().ok().and_then(|global| global.value(&key)).map(|value| &value.origin);
    for decision in source.decided_by.iter().filter(|decision| decision.keyword == keyword) {
        if let Origin::Line { file, line } = &decision.origin
            && (global != Some(&decision.origin) || daemon.in_block(file, *line))
            && !decision.value.eq_ignore_ascii_case(value)
        {
            edits.push(Edit::SshdLine { file: file.clone(), line: *line, keyword, value: value.to_owned() });
        }
    }
    edits
}

/// Gives a keyword this value where it stands: in the Match block that holds for these settings, else globally.
fn set(daemon: &DaemonAccess, effective: &Effective, keyword: &'static str, value: &str) -> Edit {
    let key = keyword.to_ascii_lowercase();
    let origin = effective.value(&key).map(|value| &value.origin);
    let global = daemon.global.as_ref().ok().and_then(|global| global.value(&key)).map(|value| &value.origin);
    let value = value.to_owned();
    match origin {
        Some(Origin::Line { file, line }) if origin != global || daemon.in_block(file, *line) => {
            Edit::SshdLine { file: file.clone(), line: *line, keyword, value }
        }
        _ => Edit::SshdSet { config: daemon.config.clone(), keyword, value },
    }
}

/// Adds edits that are not there yet.
fn fixed_by(mut finding: Finding, edits: Vec<Edit>) -> Finding {
    for edit in edits {
        if !finding.fix.contains(&edit) {
            finding = finding.fixed_by(edit);
        }
    }
    finding
}

/// The words for some sources, each once: `loopback, private, public`.
fn source_words<'a>(sources: impl IntoIterator<Item = &'a SourceAccess>) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for source in sources {
        let word = source.class.word();
        if !words.contains(&word) {
            words.push(word);
        }
    }
    words
}

/// The paths of the ways that pass a test, each once.
fn paths(source: &SourceAccess, keep: impl Fn(&crate::access::Way) -> bool) -> Vec<String> {
    let mut paths: Vec<String> = Vec::new();
    for way in source.ways.iter().filter(|way| keep(way)) {
        let path = way.path();
        if !paths.contains(&path) {
            paths.push(path);
        }
    }
    paths
}

/// The methods that take a password.
const PASSWORD_METHODS: [Method; 3] = [Method::None, Method::Password, Method::KeyboardInteractive];

/// What is said of a daemon whose configuration sshd would refuse: nothing gets in, and `sshd.config` reports it.
fn refused(daemon: &DaemonAccess) -> Option<crate::fact::Why> {
    let refusal = daemon.global.as_ref().err()?;
    let line = refusal.line.map(|line| format!(" line {line}")).unwrap_or_default();
    Some(crate::fact::Why::Defect(format!("{}{line}: {}", path_text(&refusal.file), refusal.message)))
}

/// Doubts about daemons and accounts as a whole: no check of this area passes over what could not be looked at.
fn unread(input: &crate::check::Input<'_>, tally: &mut crate::check::Tally) {
    for daemon in &input.access.daemons {
        let subject = daemon_subject(daemon);
        if let Some(why) = refused(daemon) {
            tally.doubt(subject.clone(), why);
        }
        daemon.doubts.iter().for_each(|why| tally.doubt(subject.clone(), why.clone()));
    }
    for why in &input.host.sshd.doubts {
        tally.doubt("sshd", why.clone());
    }
    if let Some(source) = input.host.accounts.elsewhere_of("passwd") {
        tally.doubt("accounts", source.why());
    }
}
