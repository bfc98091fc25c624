//! Lines of sshd that others recorded: fail2ban's package has them, each with what it takes it for. They are read where they lie.

#![cfg(test)]

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::path::Path;

use hostward_checks::observation::login::Teller;
use hostward_checks::parse::sshd_log::{Clock, Line, line};
use hostward_tests::results;
use hostward_tests::suite::Suite;
use serde_json::Value;

const TEST: &str = "logs of others";
/// 2005-08-14T12:00:00Z: when fail2ban takes them to be read.
const NOW: i64 = 1_124_020_800;

/// A line, and the address that fail2ban takes from it where it takes it for a failure.
struct Case {
    line: String,
    fails: bool,
    host: Option<String>,
}

/// The cases of a file; those of the journal have no time.
fn cases(path: &Path) -> Vec<Case> {
    let text = fs::read_to_string(path).unwrap();
    let journal = path.ends_with("sshd-journal");
    let (mut cases, mut told) = (Vec::new(), None);
    for line in text.lines() {
        if let Some(json) = line.strip_prefix("# failJSON: ") {
            told = Some(serde_json::from_str::<Value>(json).unwrap_or_else(|error| panic!("{json}: {error}")));
        } else if !line.starts_with('#') && !line.is_empty() {
            let Some(told) = told.take() else { continue };
            let line = if journal { format!("2005-08-01T10:00:00+0000 {line}") } else { line.to_owned() };
            let host = told["host"].as_str().map(str::to_owned);
            cases.push(Case { line, fails: told["match"] == true, host });
        }
    }
    cases
}

/// Where hostward says less or more than fail2ban, by what the line has in it, and why.
const APART: [(&str, &str); 31] = [
    ("kex_exchange_identification", NO_LOGIN),
    ("Did not receive identification", NO_LOGIN),
    ("Bad protocol version", NO_LOGIN),
    ("banner exchange", NO_LOGIN),
    ("ssh_dispatch_run_fatal", NO_LOGIN),
    ("Unable to negotiate", NO_LOGIN),
    ("no matching mac", NO_LOGIN),
    ("Read from socket failed", NO_LOGIN),
    ("Timeout before authentication", NO_LOGIN),
    ("Connection closed by 1", NO_LOGIN),
    ("Connection closed by 6", NO_LOGIN),
    ("Connection reset by 1", NO_LOGIN),
    ("Disconnected from 1", NO_LOGIN),
    ("refused connect from", "the wrapper of TCP says so, before any login"),
    ("Received disconnect from", "a client's farewell: what was refused before has lines of its own"),
    ("Disconnecting: Too many", "it names no source; `maximum authentication attempts exceeded` does"),
    ("Change of username", "what the client chose stands behind its address; `Invalid user` tells of it"),
    ("ROOT LOGIN REFUSED", "`Failed password` tells of it"),
    ("Failed publickey", "a key that is not taken is no guess, and a name that nobody has is told by `Invalid user`"),
    ("Failed hostbased", "a key that is not taken is no guess"),
    ("Accepted password for known", "fail2ban counts what it had held back"),
    ("pam_unix(sshd:auth): authentication failure", "fail2ban waits whether a login follows: hostward counts both"),
    ("Disconnected from authenticating user", "one of fail2ban's modes counts it, as hostward does"),
    ("Disconnecting invalid user xxx", "fail2ban has counted the line before it: hostward counts kinds of line apart"),
    ("ssh1: ruser", "of protocol 1, which nothing speaks any more"),
    ("ssh2: from", "as well a user whose name holds the first address: sshd puts nothing behind `ssh2` of a password"),
    ("[ID 800047 ", "of Solaris"),
    ("[sshd]", "names no process: nothing that hostward knows writes so"),
    ("kernel:", "sshd's words behind the kernel's clock"),
    ("from example.com", "a name is no source"),
    ("192.030.0.6", "no address"),
];
const NO_LOGIN: &str = "a connection that ends before anybody is named is no login";

/// Says how many lines both take for the same.
fn compare(suite: &str, path: &Path, used: &mut BTreeMap<&'static str, usize>, wrong: &mut Vec<String>) -> usize {
    let clock = Clock { now: NOW, offset: 0, teller: Teller::Log };
    let mut same = 0;
    for case in cases(path) {
        let ours = match line(case.line.as_bytes(), &clock) {
            Line::Refused(refusal) => Some(refusal.source),
            _ => None,
        };
        let theirs = case.host.as_deref().filter(|_| case.fails);
        if ours == theirs.and_then(|host| host.parse::<IpAddr>().ok()).map(|ip| ip.to_canonical())
            && case.fails == ours.is_some()
        {
            same += 1;
        } else if let Some((part, _)) = APART.iter().find(|(part, _)| case.line.contains(part)) {
            *used.entry(part).or_default() += 1;
        } else {
            wrong.push(format!("{suite}: {ours:?}, not {theirs:?} (fails: {}): {}", case.fails, case.line));
        }
    }
    same
}

#[test]
fn lines_that_others_recorded_are_understood() {
    let (mut used, mut wrong) = (BTreeMap::new(), Vec::new());
    for suite in Suite::all(TEST).unwrap() {
        let Ok(layer) = suite.firewalls() else {
            results::skipped(TEST, suite.name(), "NOT TESTED: fail2ban's package is not there");
            continue;
        };
        let logs = layer.join("usr/lib/python3/dist-packages/fail2ban/tests/files/logs");
        let files: Vec<_> =
            ["sshd", "sshd-journal"].map(|name| logs.join(name)).into_iter().filter(|path| path.is_file()).collect();
        if files.is_empty() {
            results::skipped(TEST, suite.name(), "NOT TESTED: fail2ban's package has no logs");
            continue;
        }
        let before = used.values().sum::<usize>();
        let same = files.iter().map(|path| compare(suite.name(), path, &mut used, &mut wrong)).sum::<usize>();
        assert!(same > 40, "{suite}: {same} lines");
        let apart = used.values().sum::<usize>() - before;
        results::tested(
            TEST,
            suite.name(),
            format!("{same} lines of fail2ban's understood as it does, {apart} for known reasons not"),
        );
    }
    wrong.sort();
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    for (part, why) in APART {
        assert!(used.contains_key(part), "nothing is apart any more for {part:?}: {why}");
    }
}
