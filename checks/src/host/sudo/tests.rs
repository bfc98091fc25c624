use super::*;
use crate::snapshot::Sketch;

const PASSWD: &str =
    "root:x:0:0::/root:/bin/bash\nalice:x:1000:1000::/home/alice:/bin/bash\nbob:x:1001:1001::/home/bob:/bin/bash\n";
const GROUP: &str = "root:x:0:\nalice:x:1000:\nbob:x:1001:\nsudo:x:27:alice\n";
const SHADOW: &str = "root:*:1::::::\nalice:$6$a$b:1::::::\nbob:*:1::::::\n";

fn base() -> Sketch {
    Sketch::new()
        .file("/usr/bin/sudo", "")
        .owned("/usr/bin/sudo", 0, 0, 0o4755)
        .file("/etc/passwd", PASSWD)
        .file("/etc/group", GROUP)
        .file("/etc/shadow", SHADOW)
}

fn look(sketch: Sketch, hostname: Option<&str>) -> (Sudo, Accounts) {
    let snapshot = sketch.snapshot();
    let reader = Reader::new(&snapshot);
    let mut seen = Observations::offline(1_800_000_000);
    if let Some(name) = hostname {
        seen.hostname = Fact::Known(name.to_owned());
        seen.addresses = Fact::Known(vec!["10.1.2.3".parse().unwrap()]);
    }
    (Sudo::read(&reader, &seen), Accounts::read(&reader))
}

/// What alice and bob can do, in short: `any`, a command, `-`, or `?`; with what is asked for.
fn brief(sudo: &Sudo, accounts: &Accounts) -> String {
    let one = |name: &str| match sudo.can_become_root(accounts, accounts.by_name(name).unwrap()) {
        Fact::Known(right) => {
            let asks = ["free", "own", "other"][right.asks as usize];
            format!("{}/{asks}", if right.any_command { "any" } else { &right.command })
        }
        Fact::Absent => "-".to_owned(),
        Fact::Unknown(_) => "?".to_owned(),
    };
    format!("{} {}", one("alice"), one("bob"))
}

#[test]
fn rules_decide_as_sudo_decides() {
    for (rules, want) in [
        ("", "- -"),
        ("%sudo ALL=(ALL:ALL) ALL", "any/own -"),
        ("%#27 ALL=ALL", "any/own -"),
        ("#1001 ALL=(root) NOPASSWD: ALL", "- any/free"),
        ("ALL ALL=(ALL) NOPASSWD: ALL", "any/free any/free"),
        ("ALL, !alice ALL=ALL", "- any/own"),
        ("!alice, ALL ALL=ALL", "any/own any/own"),
        ("alice ALL=ALL\nalice ALL=!ALL", "- -"),
        ("alice ALL=!ALL\nalice ALL=ALL", "any/own -"),
        ("alice ALL=(ALL) ALL, !/bin/su, !/bin/bash", "any/own -"),
        ("alice ALL=(bob) ALL", "- -"),
        ("alice ALL=(ALL, !root) ALL", "- -"),
        ("alice ALL=(:adm) ALL\nbob ALL=() ALL", "- -"),
        ("alice ALL=(#0) /bin/ls, NOPASSWD: /usr/bin/su", "/usr/bin/su/free -"),
        ("alice ALL=NOPASSWD: /bin/ls, PASSWD: ALL", "any/own -"),
        ("alice ALL=NOPASSWD: ALL\nalice ALL=/bin/bash", "any/free -"),
        (
            "User_Alias A=alice:B=!A,bob\nRunas_Alias R=root\nCmnd_Alias C=ALL\nA ALL=(R) C\nB ALL=NOPASSWD:C",
            "any/own any/free",
        ),
        ("User_Alias A=A\nA ALL=ALL\nNOBODY ALL=ALL", "- -"),
        ("Defaults !authenticate\n%sudo ALL=ALL\nbob ALL=PASSWD: ALL", "any/free any/own"),
        ("Defaults:bob !authenticate\nALL ALL=ALL", "any/own any/free"),
        ("Defaults:bob !authenticate\nDefaults>root authenticate\nALL ALL=ALL", "any/own any/own"),
        ("Defaults targetpw\nALL ALL=(ALL) ALL", "any/other any/other"),
        ("Defaults runas_default=bob\nalice ALL=ALL", "- -"),
        ("alice ALL=NOTAFTER=20200101000000Z ALL\nbob ALL=NOTBEFORE=20200101000000Z ALL", "- any/own"),
        ("alice ALL=NOTAFTER=20300101000000 ALL", "? -"),
        ("+admins ALL=ALL", "? ?"),
        ("alice ALL=ALL\n+admins ALL=!ALL", "? ?"),
        ("alice ALL=sudoedit /etc/hosts, /usr/bin/systemctl", "- -"),
        ("alice ALL=/usr/bin/", "/usr/bin/su/own -"),
    ] {
        // The netgroup rule that only takes away leaves bob without anything.
        let want = if rules.ends_with("!ALL") && rules.contains('+') { "? -" } else { want };
        let (sudo, accounts) = look(base().file("/etc/sudoers", format!("{rules}\n")), None);
        assert_eq!(sudo.defects, [], "{rules}");
        assert_eq!(brief(&sudo, &accounts), want, "{rules}");
    }
}

#[test]
fn hosts_count_where_the_name_is_known() {
    for (rules, here, unknown) in [
        ("alice web1=ALL", "any/own -", "? -"),
        ("alice db1=ALL", "- -", "? -"),
        ("alice WEB*=ALL", "any/own -", "? -"),
        ("alice web1.example.com=ALL", "any/own -", "? -"),
        ("alice ALL, !web1=ALL", "- -", "? -"),
        ("alice 10.1.0.0/16=ALL", "any/own -", "? -"),
        ("alice 10.9.0.0/255.255.0.0=ALL", "- -", "? -"),
        ("Host_Alias H=web1\nalice H=ALL", "any/own -", "? -"),
        ("alice ALL=ALL\nalice db1=NOPASSWD: ALL", "any/own -", "? -"),
    ] {
        let sketch = base().file("/etc/sudoers", format!("{rules}\n"));
        let (sudo, accounts) = look(sketch.clone(), Some("web1.example.com"));
        assert_eq!(brief(&sudo, &accounts), here, "{rules}");
        let (sudo, accounts) = look(sketch, None);
        assert_eq!(brief(&sudo, &accounts), unknown, "{rules} without a name");
    }
}

#[test]
fn includes_are_followed_as_sudo_follows_them() {
    let all = |who: &str| format!("{who} ALL=(ALL) NOPASSWD: ALL\n");
    let sketch = base()
        .file("/etc/sudoers", "@includedir sudoers.d\n#include /etc/extra.%h\n@include /etc/none\n")
        .file("/etc/sudoers.d/10-alice", all("alice"))
        .file("/etc/sudoers.d/20.off", all("bob"))
        .file("/etc/sudoers.d/30-bob~", all("bob"))
        .file("/etc/extra.web1", "alice ALL=(ALL) PASSWD: ALL\n");
    let (sudo, accounts) = look(sketch.clone(), Some("web1"));
    assert_eq!(brief(&sudo, &accounts), "any/own -", "the later file wins");
    assert_eq!(sudo.defects.len(), 1, "{:?}", sudo.defects);
    assert_eq!(brief(&look(sketch.clone(), None).0, &accounts), "? ?", "which file %h is, nobody knows");
    let (sudo, accounts) = look(sketch.clone().owned("/etc/sudoers.d", 0, 0, 0o777), Some("web1"));
    assert_eq!(brief(&sudo, &accounts), "any/own -");
    assert!(sudo.files.iter().any(|file| matches!(file.state, FileState::Refused(_))));
    let looping = base().file("/etc/sudoers", "@include /etc/sudoers\n");
    assert_eq!(brief(&look(looping, None).0, &accounts), "? ?");
}

#[test]
fn what_sudo_refuses_grants_nothing_and_what_cannot_be_read_may_grant_all() {
    let sketch = || base().file("/etc/sudoers", "alice ALL=NOPASSWD: ALL\n");
    for (uid, gid, mode, want) in [
        (0, 0, 0o644, "any/free -"),
        (0, 0, 0o664, "any/free -"),
        (0, 5, 0o664, "- -"),
        (0, 0, 0o666, "- -"),
        (1000, 0, 0o440, "- -"),
    ] {
        let (sudo, accounts) = look(sketch().owned("/etc/sudoers", uid, gid, mode), None);
        assert_eq!(brief(&sudo, &accounts), want, "{uid} {gid} {mode:o}");
    }
    let (sudo, accounts) = look(base().unreadable("/etc/sudoers", Why::Denied), None);
    assert_eq!(brief(&sudo, &accounts), "? ?");
    let (sudo, accounts) = look(sketch().owned("/usr/bin/sudo", 0, 0, 0o755), None);
    assert_eq!(brief(&sudo, &accounts), "- -", "without set-uid it cannot work");
}

#[test]
fn an_administrator_needs_a_password_that_can_be_right() {
    let admins = |rules: &str| {
        let (sudo, accounts) = look(base().file("/etc/sudoers", format!("{rules}\n")), None);
        ["root", "alice", "bob"].map(|name| sudo.is_admin(&accounts, accounts.by_name(name).unwrap()))
    };
    let known = |list: [bool; 3]| list.map(Fact::Known);
    assert_eq!(admins("ALL ALL=ALL"), known([true, true, false]), "bob's password is locked");
    assert_eq!(admins("ALL ALL=NOPASSWD: ALL"), known([true, true, true]));
    assert_eq!(admins("Defaults rootpw\nALL ALL=ALL"), known([true, false, false]));
    let (sudo, accounts) =
        look(base().file("/etc/sudoers", "alice ALL=ALL\n").unreadable("/etc/shadow", Why::Denied), None);
    assert_eq!(sudo.is_admin(&accounts, accounts.by_name("alice").unwrap()), Fact::Unknown(Why::Denied));
}

#[test]
fn rules_for_all_users_are_told() {
    let (sudo, _) = look(base().file("/etc/sudoers", "ALL ALL=(ALL) ALL\nroot ALL=ALL\nALL ALL=(bob) ALL\n"), None);
    let rules = sudo.rules_for_everyone();
    assert_eq!(rules.iter().map(|r| (r.line, r.asks)).collect::<Vec<_>>(), [(1, Asks::OwnPassword)]);
}
