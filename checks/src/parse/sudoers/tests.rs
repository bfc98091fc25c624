use proptest::prelude::*;

use super::*;

fn rules(text: &str) -> Vec<(u32, Rule)> {
    let (file, defects) = sudoers(text.as_bytes());
    assert_eq!(defects, [], "{text}");
    file.statements
        .into_iter()
        .filter_map(|s| if let Kind::Rule(rule) = s.kind { Some((s.line, rule)) } else { None })
        .collect()
}

fn word(text: &str) -> Member {
    Member::Word(text.as_bytes().to_vec())
}

#[test]
fn a_rule_with_everything() {
    let text = "%wheel, !bob, #1000, +net, \"a b\" \\\n  ALL, 10.0.0.0/8 = (root, %adm : ALL) NOTAFTER=20300101000000Z NOPASSWD : SETENV: /bin/ls -l\\, x, PASSWD: !SHELLS : web=/usr/bin/\n";
    let (line, rule) = rules(text).remove(0);
    assert_eq!((line, rule.who.as_str()), (1, "%wheel, !bob, #1000, +net, \"a b\""));
    let members: Vec<_> = rule.users.iter().map(|e| (e.negated, e.member.clone())).collect();
    assert_eq!(
        members,
        [
            (false, Member::Group(b"wheel".to_vec())),
            (true, word("bob")),
            (false, word("#1000")),
            (false, Member::Netgroup(b"net".to_vec())),
            (false, word("a b")),
        ]
    );
    let (hosts, grants) = &rule.parts[0];
    assert_eq!(hosts[1].member, Member::Network(b"10.0.0.0/8".to_vec()));
    assert_eq!(grants[0].runas_users.as_ref().unwrap().len(), 2);
    assert!(grants[0].runas_groups && grants[1].runas_groups);
    assert_eq!((grants[0].nopasswd, grants[1].nopasswd), (Some(true), Some(false)));
    assert_eq!(grants[1].not_after.as_deref(), Some(&b"20300101000000Z"[..]));
    assert_eq!(
        grants[0].command.member,
        Member::Command(Command { path: b"/bin/ls".to_vec(), args: Some(b"-l, x".to_vec()), digest: false })
    );
    assert_eq!(grants[1].command, Entry { negated: true, member: Member::Alias(b"SHELLS".to_vec()) });
    assert_eq!(rule.parts[1].0[0].member, word("web"));
}

#[test]
fn includes_defaults_and_aliases() {
    let text = "#include /etc/a b\n#includedir /etc/sudoers.d\n@includedir \"/etc/x y\"\n  @include local.%h # c\n\
        #includes are comments\nDefaults !authenticate, env_keep += \"A B\", timestamp_timeout=-1\nDefaults:bob,%adm !authenticate\n\
        Defaults@web1 rootpw\nDefaults>root targetpw\nDefaults!/bin/ls,SHELLS !noexec\nDefaultsx ALL=ALL\n\
        User_Alias ADMINS = alice, bob : OPS=carol\nHost_Alias NETS = fe80::1, 10.0.0.0/255.0.0.0\n";
    let (file, defects) = sudoers(text.as_bytes());
    assert_eq!(defects.iter().map(|d| d.line).collect::<Vec<_>>(), [1], "a file name ends at the blank");
    let kinds: Vec<_> = file.statements.iter().map(|s| (s.line, s.kind.clone())).collect();
    assert_eq!(kinds[0], (2, Kind::IncludeDir(b"/etc/sudoers.d".to_vec())));
    assert_eq!(kinds[1], (3, Kind::IncludeDir(b"/etc/x y".to_vec())));
    assert_eq!(kinds[2], (4, Kind::Include(b"local.%h".to_vec())));
    let Kind::Defaults { scope: Scope::All, settings } = &kinds[3].1 else { panic!("{:?}", kinds[3]) };
    let brief: Vec<_> = settings.iter().map(|s| (s.on, s.value.as_deref())).collect();
    assert_eq!(brief, [(false, None), (true, Some(&b"A B"[..])), (true, Some(&b"-1"[..]))]);
    assert!(matches!(&kinds[4].1, Kind::Defaults { scope: Scope::Users(list), .. } if list.len() == 2));
    assert!(matches!(&kinds[5].1, Kind::Defaults { scope: Scope::Hosts(_), .. }));
    assert!(matches!(&kinds[6].1, Kind::Defaults { scope: Scope::Runas(_), .. }));
    assert!(matches!(&kinds[7].1, Kind::Defaults { scope: Scope::Commands(list), .. } if list.len() == 2));
    assert!(matches!(&kinds[8].1, Kind::Rule(_)), "a longer word is a user");
    assert!(matches!(&kinds[10].1, Kind::Alias { family: Family::User, name, .. } if name == b"OPS"));
    let Kind::Alias { members, .. } = &kinds[11].1 else { panic!() };
    assert_eq!(members[0].member, Member::Network(b"fe80::1".to_vec()));
}

#[test]
fn a_bad_line_hides_no_other() {
    let text = "alice ALL=(ALL ALL\nbob ALL=ALL extra stuff\nCmnd_Alias lower=/bin/ls\ncarol ALL = ALL # fine\nDefaults\n\
        dave ALL=(ALL) /bin/ls \\\n  -l , relative\nALL ALL=()NOPASSWD:ALL #1\neve ALL=!!ALL\nfrank ALL=\"ALL\"\n";
    let (file, defects) = sudoers(text.as_bytes());
    let who: Vec<_> = file
        .statements
        .iter()
        .filter_map(|s| if let Kind::Rule(rule) = &s.kind { Some((s.line, rule.who.clone())) } else { None })
        .collect();
    assert_eq!(who, [(4, "carol".to_owned()), (9, "eve".to_owned())]);
    assert_eq!(defects.iter().map(|d| d.line).collect::<Vec<_>>(), [1, 2, 3, 5, 6, 8, 10]);
}

#[test]
fn commands_digests_and_patterns() {
    let hash = "sha256:".to_owned() + &"0".repeat(64);
    let text =
        format!("a ALL={hash} ALL, {hash}, {hash} /bin/su \"\", sudoedit /etc/hosts, ^/usr/bin/.*$, /bin/c\\:d\n");
    let (_, rule) = rules(&text).remove(0);
    let commands: Vec<_> = rule.parts[0].1.iter().map(|g| g.command.member.clone()).collect();
    let command = |path: &str, args: Option<&str>, digest| {
        Member::Command(Command { path: path.into(), args: args.map(|a| a.as_bytes().to_vec()), digest })
    };
    assert_eq!(
        commands,
        [
            command("ALL", None, true),
            command("/bin/su", Some("\"\""), true),
            command("sudoedit", Some("/etc/hosts"), false),
            command("^/usr/bin/.*$", None, false),
            command("/bin/c:d", None, false),
        ]
    );
}

proptest! {
    #[test]
    fn any_bytes_parse(bytes in prop::collection::vec(prop_oneof![
        6 => prop::sample::select(b"ALL=(:), !\\\n#%+\"@/_ab1".to_vec()), 1 => any::<u8>()
    ], 0..300)) {
        let (file, _) = sudoers(&bytes);
        let lines = u32::try_from(bytes.iter().filter(|b| **b == b'\n').count() + 1).unwrap();
        prop_assert!(file.statements.iter().all(|s| (1..=lines).contains(&s.line)));
    }

    #[test]
    fn a_rule_after_any_garbage_is_found(garbage in "[ -\"$-\\[\\]-~]{0,60}") {
        let text = format!("{garbage}\nroot ALL=(ALL) ALL\n");
        let (file, _) = sudoers(text.as_bytes());
        let last = file.statements.last().unwrap();
        prop_assert_eq!(last.line, 2);
        prop_assert!(matches!(&last.kind, Kind::Rule(_)));
    }
}
