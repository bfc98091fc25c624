//! Files are edited at random, in every way that editors and tools do it, while the resident runs, is restarted and is killed: what
//! it calls open is what a scan finds, and each transition was told, under one id.

#![cfg(test)]

use std::collections::BTreeSet;

use hostward_tests::resident::{Resident, in_order};
use hostward_tests::results;
use hostward_tests::rng::Rng;
use hostward_tests::suite::{Suite, chosen};
use hostward_tests::tier::Tier;

/// What is edited: its path, whose it is, its mode, and whether its directory may be taken away.
const TARGETS: [(&str, &str, &str, bool); 9] = [
    ("/etc/ssh/sshd_config", "root", "644", true),
    ("/etc/ssh/sshd_config.d/10-t.conf", "root", "644", true),
    ("/opt/ssh/extra.conf", "root", "644", true),
    ("/etc/passwd", "root", "644", false),
    ("/etc/shadow", "root", "640", false),
    ("/home/ops/.ssh/authorized_keys", "ops", "600", true),
    ("/home/new/.ssh/authorized_keys", "new", "600", true),
    ("/etc/sudoers", "root", "440", false),
    ("/etc/sudoers.d/t", "root", "440", true),
];

/// One directory at two paths, which sshd reads both. Three contents of each file, as /opt/v/NUMBER/0 to 2: the first is as good as it was.
const CONTENTS: &str = r#"
    systemctl disable -q --now apt-daily.timer apt-daily-upgrade.timer 2>/dev/null || true
    mkdir -p /opt/ssh /opt/again /opt/store /opt/hard; mount --bind /opt/ssh /opt/again; for i in 0 1 2 3 4 5 6 7 8; do mkdir -p /opt/v/$i; done
    { echo 'Include /etc/ssh/sshd_config.d/*.conf'; echo 'Include /opt/ssh/*.conf'; echo 'Include /opt/again/*.conf'; grep -v '^Include' /etc/ssh/sshd_config; } >/opt/v/0/0
    { echo 'LoginGraceTime 0'; cat /opt/v/0/0; } >/opt/v/0/1; { echo 'PermitEmptyPasswords yes'; cat /opt/v/0/0; } >/opt/v/0/2
    echo 'LoginGraceTime 30' >/opt/v/1/0; echo 'LoginGraceTime 0' >/opt/v/1/1; printf 'PermitRootLogin yes\nMaxAuthTries 60\n' >/opt/v/1/2
    echo 'X11Forwarding no' >/opt/v/2/0; echo 'StrictModes no' >/opt/v/2/1; echo 'MaxStartups 1000' >/opt/v/2/2
    cp /etc/passwd /opt/v/3/0; { cat /opt/v/3/0; echo 'toor:x:0:0::/root:/bin/bash'; } >/opt/v/3/1; { cat /opt/v/3/0; echo 'ops:x:1000:1000::/:/bin/sh'; } >/opt/v/3/2
    cp /etc/shadow /opt/v/4/0; { cat /opt/v/4/0; echo 'toor:*:19000:0:99999:7:::'; } >/opt/v/4/1; { cat /opt/v/4/0; echo 'guest::19000:0:99999:7:::'; } >/opt/v/4/2
    for i in 5 6; do cp /root/k.pub /opt/v/$i/0; echo "command=\"x\",no-such $(cat /root/k.pub)" >/opt/v/$i/1; { cat /root/k.pub; echo 'ssh-rsa AAAA broken'; } >/opt/v/$i/2; done
    cp /etc/sudoers /opt/v/7/0; { cat /opt/v/7/0; echo 'ops ALL=(ALL) NOPASSWD: ALL'; } >/opt/v/7/1; { cat /opt/v/7/0; echo 'Defaults !authenticate'; } >/opt/v/7/2
    echo '# nothing' >/opt/v/8/0; echo 'ops ALL=(ALL) NOPASSWD: ALL' >/opt/v/8/1; echo 'new ALL=(ALL:ALL) NOPASSWD: /bin/sh' >/opt/v/8/2
    cp /opt/v/0/0 /etc/ssh/sshd_config; systemctl reload-or-restart ssh.service
"#;

/// The ways: $f the path, $v another content, $o its owner, $m its mode, $t its number.
const WAYS: [(&str, &str); 22] = [
    ("renamed over", "cp $v $f.new; chown $o $f.new; chmod $m $f.new; mv -fT $f.new $f"),
    ("written in place", "cat $v >$f"),
    ("copied over", "cp $v $f"),
    ("appended", "tail -n 1 $v >>$f"),
    ("sed -i", "sed -i -e '1i #' -e 's/^LoginGraceTime .*/LoginGraceTime 0/' -e 's/NOPASSWD: //' -e 's/no-such //' $f"),
    ("as vim does", "mv -f $f $f~; cat $v >$f; chown $o $f; chmod $m $f; rm -f $f~"),
    ("kept open", "exec 5>>$f; sleep 0.2; tail -n 1 $v >&5; sleep 3 >/dev/null 2>&1 & exec 5>&-"),
    ("cut off", ": >$f; sleep 0.05; cat $v >$f"),
    (
        "a link in its place",
        "cp $v /opt/store/$t.a; chown $o /opt/store/$t.a; ln -sfn /opt/store/$t.a $f.l; mv -fT $f.l $f",
    ),
    ("another target", "cp $v /opt/store/$t.b; chmod $m /opt/store/$t.b; ln -sfn /opt/store/$t.b $f"),
    ("its target renamed over", "g=$(readlink -f $f); cp $v $g.new; chown $o $g.new; mv -fT $g.new $g"),
    ("through a new name", "ln -f $(readlink -f $f) /opt/hard/$t; sleep 0.1; cat $v >/opt/hard/$t"),
    ("through its other name", "cat $v >/opt/hard/$t"),
    ("its other name's mode", "chmod 666 /opt/hard/$t"),
    ("removed", "rm -f $f"),
    ("made anew", "rm -f $f; sleep 0.1; mkdir -p $d; chown $o $d; cp $v $f; chown $o $f; chmod $m $f"),
    ("another mode", "chmod 666 $f"),
    ("its own mode and owner", "chown $o $f; chmod $m $f"),
    ("another owner", "chown nobody $f"),
    ("mounted over", "cp $v /opt/store/$t.m; chown $o /opt/store/$t.m; mount --bind /opt/store/$t.m $f"),
    ("what is mounted is written", "cat $v >/opt/store/$t.m"),
    ("mounted no more", "umount $f"),
];

/// What is done to a directory, $d.
const DIRECTORIES: [(&str, &str); 8] = [
    ("through the other path of a directory", "cat $v >/opt/again/extra.conf"),
    (
        "another directory in its place",
        "rm -rf $d.gone; cp -a $d $d.other; cat $v >$d.other/${f##*/}; mv -T $d $d.gone; mv -T $d.other $d",
    ),
    ("the old one back", "mv -T $d $d.other; mv -T $d.gone $d; rm -rf $d.other"),
    ("there and back", "mv -T $d $d.x; mkdir $d; sleep 0.05; rmdir $d; mv -T $d.x $d"),
    ("gone", "umount $f; mv -T $d $d.gone || rm -rf $d"),
    ("made anew", "mkdir -p $d; chown $o $d; chmod 700 $d; cp $v $f; chown $o $f; chmod $m $f"),
    ("open to all", "chmod 777 $d"),
    ("open to none", "chmod 700 $d"),
];

/// One edit, as a script, and what it is called.
fn edit(rng: &mut Rng) -> (String, String) {
    let at = rng.below(TARGETS.len());
    let (path, owner, mode, whole) = TARGETS[at];
    let (what, way) =
        if whole && rng.chance(25) { DIRECTORIES[rng.below(DIRECTORIES.len())] } else { WAYS[rng.below(WAYS.len())] };
    // What is good comes back now and then: else all would be bad for ever.
    let content = [0, 0, 1, 2][rng.below(4)];
    let script =
        format!("( f={path}; d=${{f%/*}}; v=/opt/v/{at}/{content}; o={owner}; m={mode}; t={at}; {way} ) 2>/dev/null");
    (script, format!("{path}: {what} ({content})"))
}

/// What happens to the resident meanwhile.
fn blow(rng: &mut Rng) -> &'static str {
    match rng.below(8) {
        0 => "systemctl reset-failed hostward; systemctl restart hostward",
        1 => "systemctl kill -s KILL hostward; sleep 0.2; systemctl reset-failed hostward; systemctl start hostward",
        2 => {
            "kill -9 $(systemctl show -p MainPID --value hostward); sleep 0.1; systemctl reset-failed hostward; systemctl start hostward"
        }
        _ => ":",
    }
}

fn edits(suite: &Suite, count: usize, seed: u64) {
    // Edit after edit is more than its share of the processor is made for.
    let place = Resident::packaged(suite, "[agent]\ncpu-percent = 100\n").unwrap();
    place.host.shell(CONTENTS).unwrap();
    place.agrees().unwrap();
    let (mut rng, mut done, mut blows, mut scenes) = (Rng::new(seed), Vec::new(), 0, BTreeSet::new());
    while done.len() < count {
        let mut script = String::new();
        let blow = blow(&mut rng);
        let first = done.len();
        for _ in 0..=rng.below(5) {
            let (edit, what) = edit(&mut rng);
            script += &format!("{edit}\nsleep 0.{:02}\n", rng.below(25));
            done.push(what);
        }
        blows += usize::from(blow != ":");
        // Beside the edits, not between them.
        let script = format!("( {blow} ) >/run/blow 2>&1 & set +e\n{script}\nwait $!; cat /run/blow");
        place.host.shell(&script).unwrap();
        let agreed = place.agrees();
        assert!(
            agreed.is_ok(),
            "{}, seed {seed}: after {:#?} and {blow}: {:#}\n{}\n{}",
            suite.name(),
            &done[first..],
            agreed.unwrap_err(),
            place.host.shell("cat /run/blow").unwrap_or_default(),
            place.journal()
        );
        scenes.insert(place.open().unwrap());
    }
    let events = place.events().unwrap();
    in_order(&events).unwrap();
    let (mut open, mut ids) = (BTreeSet::new(), BTreeSet::new());
    for event in &events {
        let fingerprint = event["fingerprint"].as_str().unwrap();
        let _ = if event["event"] == "resolved" { open.remove(fingerprint) } else { open.insert(fingerprint) };
        ids.insert(event["event_id"].as_str().unwrap().to_owned());
    }
    let status = place.status().unwrap();
    let found: BTreeSet<&str> =
        status["findings"].as_array().unwrap().iter().map(|found| found["fingerprint"].as_str().unwrap()).collect();
    assert_eq!(open, found, "the events lead to what is open");
    assert_eq!(ids, place.told().unwrap(), "the journal and the file tell the same");
    assert_eq!(status["troubles"].as_array().map(Vec::len), Some(0), "{status}");
    assert!(ids.len() * 4 > count, "{} transitions only: the edits change nothing", ids.len());
    results::tested(
        "agent_edits",
        suite.name(),
        format!("{} edits, {blows} restarts and kills, {} scenes, {} transitions", done.len(), scenes.len(), ids.len()),
    );
}

#[test]
fn whatever_is_edited_however_is_told() {
    let names: &[&'static str] =
        Tier::current().pick(&["bookworm"], &["bookworm", "focal", "jammy", "noble", "trixie"]);
    let count = Tier::current().pick(40, 400);
    let seed = std::env::var("HOSTWARD_SEED").ok().and_then(|seed| seed.parse().ok());
    for (at, name) in (1..).zip(chosen(names)) {
        edits(&Suite::find(name).unwrap(), count, seed.unwrap_or(at));
    }
}
