//! Logins that are usual, strange, and not to be seen.

use super::super::testing::Scene;
use super::*;
use crate::observation::login::KnownSources;

const NOW: UnixSeconds = 1_780_000_000;

fn login(source: &str, at: UnixSeconds, method: &str) -> Login {
    let told_by = if method.is_empty() { Teller::Wtmp } else { Teller::Journal };
    let (user, source) = ("root".to_owned(), source.parse().ok());
    Login { at, user, method: method.to_owned(), source, key: None, authority: None, told_by }
}

fn host(accepted: Vec<Login>, refused: &[(&str, UnixSeconds, u32)]) -> Scene {
    Scene::new().told_of_logins(accepted, refused)
}

#[test]
fn usual_logins_and_a_few_mistakes_pass() {
    let usual = vec![login("192.0.2.1", NOW - 50, "publickey"), login("192.0.2.1", NOW - 50, "")];
    let quiet = host(usual, &[("192.0.2.1", NOW - 100, 5), ("198.51.100.1", NOW - 4000, 9), ("198.51.100.1", NOW, 9)]);
    assert_eq!(quiet.run(&CHECK), Verdict::Pass);
    let old = host(vec![], &[("198.51.100.1", NOW - 2 * 86_400, 500)]);
    assert_eq!(old.run(&CHECK), Verdict::Pass, "nobody guesses any more");
}

#[test]
fn bursts_are_one_finding_and_who_got_in_is_one_each() {
    let many: Vec<(String, UnixSeconds, u32)> =
        (0..200).map(|n| (format!("198.51.100.{n}"), NOW - 60, 10 + n)).collect();
    let many: Vec<(&str, UnixSeconds, u32)> = many.iter().map(|(a, b, c)| (a.as_str(), *b, *c)).collect();
    let flood = host(vec![], &many);
    let found = flood.found(&CHECK);
    assert_eq!(flood.findings(&CHECK), ["low sshd:guessing guessing-in-vain"]);
    let text = crate::check::render(CHECK.message("guessing").unwrap().text.en, &found[0].params, str::to_owned);
    assert!(text.contains("198.51.100.199 (209)") && !text.contains("198.51.100.100 "), "{text}");

    let burst = [("198.51.100.7", NOW - 600, 40)];
    for (login, want) in [
        (login("198.51.100.7", NOW - 500, "password"), "critical source:198.51.100.7 guessed"),
        (login("198.51.100.7", NOW - 500, "keyboard-interactive/pam"), "critical source:198.51.100.7 guessed"),
        (login("198.51.100.7", NOW - 500, ""), "critical source:198.51.100.7 guessed"),
        (login("198.51.100.7", NOW - 500, "publickey"), "medium source:198.51.100.7 guessed"),
        // The login came first.
        (login("198.51.100.7", NOW - 900, "password"), "high source:198.51.100.7 new-source"),
    ] {
        let told = host(vec![login.clone()], &burst).findings(&CHECK);
        assert_eq!(told, ["low sshd:guessing guessing-in-vain", want], "{login:?}");
    }
}

#[test]
fn a_source_is_new_for_some_days_unless_it_is_expected() {
    let new = |at, method: &str| host(vec![login("203.0.113.5", at, method)], &[]);
    assert_eq!(new(NOW - 86_400, "password").findings(&CHECK), ["high source:203.0.113.5 new-source"]);
    assert_eq!(new(NOW - 86_400, "publickey").findings(&CHECK), ["medium source:203.0.113.5 new-source"]);
    assert_eq!(new(NOW - 8 * 86_400, "password").run(&CHECK), Verdict::Pass);
    assert_eq!(new(NOW - 21 * 86_400, "password").run(&CHECK), Verdict::Pass, "there when the list was begun");
    let mut expected = new(NOW - 5, "password");
    expected.policy.admin_sources = vec!["203.0.113.0/24".to_owned()];
    assert_eq!(expected.run(&CHECK), Verdict::Pass);
    let mut never = new(NOW - 5, "password");
    never.policy.limits.new_source_days = 0;
    assert_eq!(never.run(&CHECK), Verdict::Pass);
    assert_eq!(host(vec![login("127.0.0.1", NOW - 5, "password")], &[]).run(&CHECK), Verdict::Pass);
    let many = (0..80).map(|n| login(&format!("203.0.113.{n}"), NOW - 5, "password")).collect();
    let told = host(many, &[]).findings(&CHECK);
    assert_eq!((told.len(), told.last().unwrap().as_str()), (SOURCES + 1, "high source:more more"));
}

#[test]
fn names_in_logs_are_as_long_as_they_are_told() {
    let mut long = login("203.0.113.5", NOW - 5, "password");
    long.user = "\u{1b}[31m名".repeat(1000);
    let found = host(vec![long], &[]).found(&CHECK);
    let text = crate::check::render("{users}", &found[0].params, str::to_owned);
    assert_eq!(text.chars().count(), NAME);
}

#[test]
fn what_could_not_be_read_is_unknown_and_findings_stand_beside_it() {
    let mut blind = host(vec![], &[]);
    blind.seen.logins = Fact::Unknown(Why::TimedOut);
    assert_eq!(blind.doubts(&CHECK), ["logins"]);
    let mut half = host(vec![login("203.0.113.5", NOW - 5, "password")], &[("198.51.100.1", NOW, 50)]);
    if let Fact::Known(logins) = &mut half.seen.logins {
        logins.known_sources = KnownSources::default();
        let failed = |name: &str, why: &str| (name.to_owned(), Err(why.to_owned()));
        logins.sources = vec![
            failed("journal", "timed out"),
            failed("/var/log/auth.log.2.xz", "is compressed as xz, which hostward does not read"),
            failed("/var/log/wtmp-20260101", "3 records could not be understood"),
        ];
    }
    assert_eq!(half.doubts(&CHECK), ["log:journal", "log:/var/log/auth.log.2.xz", "sources"]);
    assert_eq!(half.findings(&CHECK), ["low sshd:guessing guessing-in-vain"]);
}

#[test]
fn records_do_where_there_is_no_log_and_both_are_read() {
    let with = |sources: &[(&str, bool)]| {
        let mut host = host(vec![], &[]);
        let Fact::Known(logins) = &mut host.seen.logins else { panic!() };
        let each = sources.iter().map(|(name, read)| {
            ((*name).to_owned(), if *read { Ok(()) } else { Err("is an SQLite database: not read".to_owned()) })
        });
        logins.sources = each.collect();
        host.doubts(&CHECK)
    };
    let [wtmp, btmp, lastlog] = ["/var/log/wtmp", "/var/log/btmp-20260101", "/var/log/lastlog"];
    assert_eq!(with(&[(wtmp, true), (btmp, true)]), [""; 0]);
    assert_eq!(with(&[("journal", true), ("/var/lib/wtmpdb/wtmp.db", false)]), [""; 0]);
    for sources in [
        &[(wtmp, true), (lastlog, true)][..],
        &[(wtmp, true), ("/var/log/wtmp.1", false), (btmp, true)],
        &[("/var/lib/wtmpdb/wtmp.db", false), (btmp, true)],
    ] {
        assert_eq!(with(sources), ["logins"], "{sources:?}");
    }
}
