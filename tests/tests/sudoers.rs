//! Who can become root: hostward's reading of sudoers against each distribution's own `visudo` and `sudo`.

#![cfg(test)]

use std::fmt::Write as _;

use hostward_checks::fact::Fact;
use hostward_checks::host::accounts::Accounts;
use hostward_checks::host::sudo::{Asks, Sudo};
use hostward_checks::observation::Observations;
use hostward_checks::parse::sudoers::sudoers;
use hostward_checks::snapshot::{Reader, Sketch};
use hostward_tests::results;
use hostward_tests::rng::Rng;
use hostward_tests::suite::Suite;
use hostward_tests::tier::Tier;

const USERS: [&str; 3] = ["alice", "bob", "carol"];
const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nalice:x:2001:2001::/:/bin/sh\nbob:x:2002:2002::/:/bin/sh\ncarol:x:2003:2100::/:/bin/sh\n";
const GROUP: &str = "root:x:0:\nalice:x:2001:\nbob:x:2002:\ndevs:x:2100:alice\nops:x:2101:alice,bob\n";
const SHADOW: &str =
    "root:*:19000:0:99999:7:::\nalice:*:19000:0:99999:7:::\nbob:*:19000:0:99999:7:::\ncarol:*:19000:0:99999:7:::\n";

/// Whether visudo takes the file; then, for each user, whether sudo would run a program of its own as root, and whether it does at once.
const BATCH: &str = r#"
printf '#!/bin/sh\n[ -w /etc/shadow ] && echo 0\n' >/opt/probe
chmod 755 /opt/probe
for file in /batch/*.sudoers; do
  cat "$file" >/etc/sudoers
  visudo -cf /etc/sudoers >/dev/null 2>&1 && taken=1 || taken=0
  for user in alice bob carol; do
    sudo -l -U $user -u root /opt/probe </dev/null >/dev/null 2>&1 && allowed=1 || allowed=0
    uid=$(su -s /bin/sh $user -c 'sudo -n -u root /opt/probe' </dev/null 2>/dev/null) || uid=none
    [ "$uid" = 0 ] && free=1 || free=0
    echo "$(basename "$file" .sudoers) $user $taken $allowed $free"
  done
done
"#;

/// Lines that sudo takes or refuses, each a case of its own. Grants to oneself (`()`, `(:group)`) are not asked about: for `sudo -l -U`, which
/// root runs, oneself is root.
const WRITTEN: [&str; 23] = [
    "",
    "alice ALL=(ALL) ALL",
    "alice ALL=(ALL ALL",
    "alice ALL=ALL extra",
    "alice ALL = ( root , %ops : ALL ) NOPASSWD : SETENV: /bin/ls -l\\, x, PASSWD: ALL",
    "alice ALL=!!ALL",
    "alice ALL=! ALL",
    "alice ALL=! !ALL",
    "#2001 ALL=ALL # comment",
    "# 2001 ALL=ALL",
    "alice ALL=ALL #1",
    "User_Alias lower=alice",
    "User_Alias A=alice : B=bob\nA,B ALL=NOPASSWD: ALL",
    "User_Alias A=A\nA ALL=ALL",
    "alice ALL=(ALL) /bin/ls \\\n  -l, \\\n  NOPASSWD: ALL",
    "\"alice\" ALL=ALL\n\"%devs\" ALL=NOPASSWD: ALL",
    "%devs ALL=/bin/su \"\", sudoedit /etc/hosts",
    "Defaults !authenticate, env_keep += \"A B\"\nALL ALL=ALL",
    "Defaults:alice,%ops !authenticate\nALL ALL=ALL",
    "Defaults>root !authenticate\nALL ALL=ALL",
    "Defaults runas_default=bob\nalice ALL=ALL\nbob ALL=(root) ALL",
    "Defaults",
    "alice ALL=relative",
];

fn generated(rng: &mut Rng) -> String {
    let users =
        ["alice", "bob", "carol", "%devs", "%ops", "%#2100", "#2002", "ALL", "!alice", "!%ops", "ADMINS", "!ADMINS"];
    let runas = [
        "",
        "",
        "(root) ",
        "(ALL) ",
        "(ALL:ALL) ",
        "(bob) ",
        "(ALL, !root) ",
        "(!ALL, root)",
        "(#0)",
        "(%root)",
        "(ROOTS) ",
    ];
    let tags = ["", "", "", "NOPASSWD: ", "PASSWD:", "NOPASSWD: SETENV: ", "NOEXEC:"];
    let commands = [
        "ALL",
        "ALL",
        "ALL",
        "!ALL",
        "/usr/bin/id",
        "!/usr/bin/id",
        "EVERYTHING",
        "!EVERYTHING",
        "TOOLS",
        "/usr/bin/",
        "/bin/ls -l /",
    ];
    let defaults = [
        "Defaults !authenticate",
        "Defaults authenticate",
        "Defaults:alice !authenticate",
        "Defaults:%devs authenticate",
        "Defaults>root !authenticate",
        "Defaults!EVERYTHING !authenticate",
        "Defaults:ADMINS rootpw",
        "Defaults targetpw",
    ];
    let mut text = String::from(
        "User_Alias ADMINS = bob, !carol\nRunas_Alias ROOTS = root, bob\nCmnd_Alias EVERYTHING = ALL : TOOLS = /bin/ls, /usr/bin/su\n",
    );
    for _ in 0..=rng.below(4) {
        if rng.chance(25) {
            let _ = writeln!(text, "{}", rng.pick(&defaults));
            continue;
        }
        let who: Vec<&str> = (0..=rng.below(2)).map(|_| rng.pick(&users)).collect();
        let what: Vec<String> = (0..=rng.below(2))
            .map(|_| format!("{}{}{}", rng.pick(&runas), rng.pick(&tags), rng.pick(&commands)))
            .collect();
        let _ = writeln!(text, "{} ALL = {}", who.join(", "), what.join(", "));
    }
    text
}

/// Whether hostward says that the user may run anything as root, and at once. None: it cannot tell.
fn judged(text: &str, user: &str) -> Option<(bool, bool)> {
    let snapshot = Sketch::new()
        .file("/usr/bin/sudo", "")
        .owned("/usr/bin/sudo", 0, 0, 0o4755)
        .file("/etc/passwd", PASSWD)
        .file("/etc/group", GROUP)
        .file("/etc/shadow", SHADOW)
        .file("/etc/sudoers", text)
        .snapshot();
    let reader = Reader::new(&snapshot);
    let accounts = Accounts::read(&reader);
    let sudo = Sudo::read(&reader, &Observations::offline(1_800_000_000));
    match sudo.can_become_root(&accounts, accounts.by_name(user).unwrap()) {
        Fact::Known(right) => Some((right.any_command, right.any_command && right.asks == Asks::Nothing)),
        Fact::Absent => Some((false, false)),
        Fact::Unknown(_) => None,
    }
}

#[test]
fn sudo_and_visudo_agree() {
    let mut rng = Rng::new(20_260_101);
    let mut files: Vec<String> = WRITTEN.iter().map(|text| format!("{text}\n")).collect();
    files.extend((0..Tier::current().pick(60, 600)).map(|_| generated(&mut rng)));
    for suite in Suite::all("sudoers").unwrap() {
        let overlay = suite.overlay().unwrap();
        overlay.write("/etc/passwd", PASSWD, 0o644).unwrap();
        overlay.write("/etc/group", GROUP, 0o644).unwrap();
        overlay.write("/etc/shadow", SHADOW, 0o600).unwrap();
        overlay.write("/etc/sudoers", "", 0o440).unwrap();
        for (number, text) in files.iter().enumerate() {
            overlay.write(&format!("/batch/{number:04}.sudoers"), text, 0o400).unwrap();
        }
        let (mut asked, mut granted) = (0, 0);
        for line in overlay.shell(BATCH).unwrap().lines() {
            let [number, user, taken, allowed, free] = *line.split(' ').collect::<Vec<_>>() else { panic!("{line}") };
            let text = &files[number.parse::<usize>().unwrap()];
            assert_eq!(sudoers(text.as_bytes()).1.is_empty(), taken == "1", "{suite}: visudo on\n{text}");
            if taken == "1" {
                let want = (allowed == "1", free == "1");
                assert_eq!(judged(text, user), Some(want), "{suite}: {user} by\n{text}");
                asked += 1;
                granted += usize::from(want.0);
            }
        }
        assert_eq!(asked % USERS.len(), 0);
        assert!(granted * 10 > asked, "{suite}: nearly nothing was granted, so nearly nothing was compared");
        results::tested("sudoers", suite.name(), format!("{asked} decisions equal, {granted} of them grants"));
    }
}
