use super::*;
use crate::fact::Why;
use crate::snapshot::{Kind, Sketch};

fn read(sketch: Sketch) -> Accounts {
    Accounts::read(&Reader::new(&sketch.snapshot()))
}

fn texts(names: &[Name]) -> Vec<String> {
    names.iter().map(|name| name.text().into_owned()).collect()
}

const USERS: &str = "root:x:0:0:root:/root:/bin/bash\n\
    daemon:x:1:1::/:/usr/sbin/nologin\n\
    alice:x:1000:1000:Alice:/home/alice:\n\
    bob:$6$s$h:1001:100::/home/bob:/bin/zsh\n\
    alice:x:1002:1002::/:/bin/sh\n\
    gone:x:70000:1::/:/bin/false\n";

#[test]
fn shadow_is_joined_by_the_first_line_of_a_name() {
    let accounts = read(
        Sketch::new()
            .file(PASSWD, USERS)
            .file(SHADOW, "root:!:1::::::\nalice::1::::::\nalice:*:1::::::\nghost:$6$x$y:1::::::\nbob:*:1::::::\n"),
    );
    let password =
        |name: &str| accounts.by_name(name).unwrap().password().map(|p| (p.file, p.line, p.field.is_empty()));
    assert_eq!(password("root"), Fact::Known((SHADOW, 1, false)));
    assert_eq!(password("alice"), Fact::Known((SHADOW, 2, true)));
    assert_eq!(password("bob"), Fact::Known((PASSWD, 4, false)));
    assert_eq!(password("daemon"), Fact::Absent);
    let shadow = accounts.shadow.known().unwrap();
    assert_eq!(shadow.orphans, [(4, Name::new("ghost"))]);
    assert_eq!(shadow.repeated, [(3, Name::new("alice"))]);
    let hidden: Vec<_> = accounts.list().iter().map(|user| user.hidden_name).collect();
    assert_eq!(hidden, [false, false, false, false, true, false]);
}

#[test]
fn an_unreadable_shadow_is_unknown_for_every_account() {
    let accounts = read(Sketch::new().file(PASSWD, USERS).unreadable(SHADOW, Why::Denied));
    assert_eq!(accounts.by_name("root").unwrap().password(), Fact::Unknown(Why::Denied));
    assert!(accounts.by_name("bob").unwrap().password().known().is_some(), "its hash stands in passwd");
    assert_eq!(accounts.shadow, Fact::Unknown(Why::Denied));
    let none = read(Sketch::new().unreadable(PASSWD, Why::Denied));
    assert_eq!((none.list().len(), none.exists("root")), (0, Fact::Unknown(Why::Denied)));
}

#[test]
fn groups_as_getgrouplist_finds_them() {
    let accounts = read(Sketch::new().file(PASSWD, USERS).file(
        "/etc/group",
        "wheel:x:10:alice,bob\nalice:x:1000:\nusers:x:100:\nadmins:x:10:alice\nempty:x:5:\nsecond:x:1000:bob\n",
    ));
    let of = |name: &str| texts(accounts.groups_of(accounts.by_name(name).unwrap()).known().unwrap());
    assert_eq!(of("alice"), ["alice", "wheel"], "one gid, one name");
    assert_eq!(of("bob"), ["users", "wheel", "alice"], "the first name of gid 1000 is alice");
    assert_eq!(of("root"), Vec::<String>::new(), "gid 0 has no name here");
    let unread = read(Sketch::new().file(PASSWD, USERS).unreadable("/etc/group", Why::Denied));
    assert_eq!(unread.groups_of(&unread.list()[0]), Fact::Unknown(Why::Denied));
}

#[test]
fn private_groups_as_debians_sshd_tells_them() {
    let passwd = "u:x:1000:1000::/:\nv:x:1001:2000::/:\nw:x:1002:1002::/:\n";
    for (group, gid, owner, private) in [
        ("u:x:1000:\n", 1000, 1000, true),
        ("u:x:1000:u\n", 1000, 1000, true),
        ("u:x:1000:u,v\n", 1000, 1000, false),
        ("u:x:1000:v\n", 1000, 1000, false),
        ("g:x:2000:\n", 2000, 1000, false),
        ("solo:x:3000:w\n", 3000, 1002, true),
        ("nobody:x:3000:\n", 3000, 1002, false),
        ("other:x:1:\n", 3000, 1002, false),
    ] {
        let accounts = read(Sketch::new().file(PASSWD, passwd).file("/etc/group", group));
        assert_eq!(accounts.is_private_group(gid, owner), private, "{group} {gid} {owner}");
    }
}

#[test]
fn people_and_services_by_login_defs() {
    let humans = |accounts: &Accounts| {
        accounts.list().iter().filter(|u| accounts.is_human(u)).map(|u| u.entry.uid).collect::<Vec<_>>()
    };
    assert_eq!(humans(&read(Sketch::new().file(PASSWD, USERS))), [1000, 1001, 1002]);
    let old = read(Sketch::new().file(PASSWD, USERS).file(LOGIN_DEFS, "UID_MIN 1001\nUID_MAX 80000\n"));
    assert_eq!(humans(&old), [1001, 1002, 70000]);
    assert!(old.is_system(old.by_name("daemon").unwrap()) && !old.is_system(old.by_name("root").unwrap()));
}

#[test]
fn shells_and_nologin_files() {
    let accounts = read(
        Sketch::new()
            .file(PASSWD, USERS)
            .file("/etc/shells", "# x\n/bin/sh\n  /bin/bash # y\nno\n")
            .file("/run/nologin", ""),
    );
    assert_eq!(accounts.shells, Fact::Known(vec!["/bin/sh".into(), "/bin/bash".into()]));
    assert_eq!(accounts.nologin, Fact::Known(vec!["/run/nologin".into()]));
    let session: Vec<_> = accounts.list().iter().map(User::has_login_shell).collect();
    assert_eq!(session, [true, false, true, true, true, false]);
}

#[test]
fn other_sources_count_only_where_something_configures_them() {
    let base = |nsswitch: &str| Sketch::new().file(PASSWD, USERS).file("/etc/nsswitch.conf", nsswitch);
    let services = |sketch: Sketch| {
        let accounts = read(sketch);
        accounts.elsewhere.iter().map(|s| format!("{} {}", s.database, s.service)).collect::<Vec<_>>()
    };
    let none: Vec<String> = Vec::new();
    assert_eq!(services(base("passwd: sss files systemd\ngroup: compat\nhosts: dns\n")), none);
    assert_eq!(services(base("passwd: files sss\n").file("/etc/sssd/conf.d/a.conf", "")), ["passwd sss"]);
    assert_eq!(services(base("passwd: files systemd\n").file("/etc/userdb/x.user", "{}")), ["passwd systemd"]);
    assert_eq!(services(base("passwd: files ldap\nshadow: files ldap\n")), ["passwd ldap", "shadow ldap"]);
    assert_eq!(services(base("passwd: compat\n").file(PASSWD, "root:x:0:0::/:\n+::::::\n")), ["passwd nis"]);
    let odd = Sketch::new().file(PASSWD, USERS).special("/etc/nsswitch.conf", Kind::Fifo);
    assert_eq!(services(odd), ["passwd ?", "shadow ?", "group ?"]);
    let ldap = read(base("passwd: files ldap\n"));
    assert_eq!(ldap.exists("root"), Fact::Known(true));
    assert!(ldap.exists("nemo").why().is_some());
    assert_eq!(read(base("passwd: files\n")).exists("nemo"), Fact::Known(false));
}
