//! The numbered rules of what sshd really does, a test each, and properties that hold for every input.

use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::snapshot::{Reader, Sketch};

const MAIN: &str = "/etc/ssh/sshd_config";

/// A configuration of an upstream sshd: its main file and other files.
fn tree(version: u16, main: &str, files: &[(&str, &str)]) -> Configuration {
    build(Build::plain(version), main, files, CommandLine::default())
}

fn build(build: Build, main: impl AsRef<[u8]>, files: &[(&str, &str)], command_line: CommandLine) -> Configuration {
    let passwd = "root:x:0:0::/root:/bin/sh\nbob:x:1000:1000::/home/bob:/bin/sh\n";
    let mut sketch = Sketch::new().file(MAIN, main).file("/etc/passwd", passwd);
    for (path, content) in files {
        sketch = match content.strip_prefix("-> ") {
            Some(target) => sketch.link(path, target),
            None => sketch.file(path, content),
        };
    }
    let snapshot = sketch.snapshot();
    Configuration::read(&Reader::new(&snapshot), build, command_line)
}

/// What `sshd -T -C SPEC` prints for a keyword: its values joined by ` | `.
fn get(configuration: &Configuration, spec: &str, keyword: &str) -> String {
    let mut subject = Subject::test();
    subject.add(spec).unwrap();
    subject.groups = Some(vec![b"wheel".to_vec()]).filter(|_| spec.contains("user=bob") || spec.contains("user=root"));
    let effective = configuration.dump(Some(&subject)).unwrap_or_else(|refusal| panic!("{:?}", refusal.said));
    values(&effective, keyword)
}

fn values(effective: &Effective, keyword: &str) -> String {
    let values = &effective.setting(keyword).unwrap_or_else(|| panic!("{keyword} is not known")).values;
    values.iter().map(|value| value.text.as_str()).collect::<Vec<_>>().join(" | ")
}

const ROOT: &str = "user=root,host=h,addr=10.1.2.3";

/// What a version prints for a main file alone.
fn one(version: u16, main: &str, keyword: &str) -> String {
    get(&tree(version, main, &[]), ROOT, keyword)
}

/// What a version says before it refuses a main file, and the line.
fn refused(version: u16, main: &str) -> (Option<u32>, String) {
    refusal(&tree(version, main, &[]))
}

fn refusal(configuration: &Configuration) -> (Option<u32>, String) {
    let mut subject = Subject::test();
    subject.add(ROOT).unwrap();
    match configuration.dump(Some(&subject)) {
        Ok(_) => panic!("taken"),
        Err(refusal) => (refusal.line, refusal.message),
    }
}

#[test]
fn rule_01_first_value_wins_with_its_exceptions() {
    let drop_ins = tree(
        902,
        "Include /etc/ssh/sshd_config.d/*.conf\nPasswordAuthentication no\n",
        &[
            ("/etc/ssh/sshd_config.d/99-hardening.conf", "PasswordAuthentication no\n"),
            ("/etc/ssh/sshd_config.d/50-cloud-init.conf", "PasswordAuthentication yes\n"),
        ],
    );
    let effective = drop_ins.dump(None).unwrap();
    let value = effective.value("passwordauthentication").unwrap();
    assert_eq!(value.text, "yes");
    let file = Path::new("/etc/ssh/sshd_config.d/50-cloud-init.conf").to_path_buf();
    assert_eq!(value.origin, Origin::Line { file, line: 1 });
    assert_eq!(one(902, "StreamLocalBindMask 0177\nStreamLocalBindMask 00\n", "streamlocalbindmask"), "00");
    assert_eq!(one(902, "FingerprintHash md5\nFingerprintHash sha512\n", "fingerprinthash"), "SHA512");
    assert_eq!(
        one(902, "UnusedConnectionTimeout 5\nUnusedConnectionTimeout none\n", "unusedconnectiontimeout"),
        "none"
    );
    assert_eq!(one(902, "RekeyLimit 1G\nRekeyLimit default 1h\n", "rekeylimit"), "1073741824 3600");
    assert_eq!(one(902, "AllowUsers a\nAllowUsers b c\n", "allowusers"), "a | b | c");
    assert_eq!(one(902, "Port 22\nPort 2222\n", "port"), "22 | 2222");
    let penalties =
        one(1000, "PerSourcePenalties crash:1s authfail:2s\nPerSourcePenalties crash:9s\n", "persourcepenalties");
    assert!(penalties.starts_with("crash:1 authfail:2 noauth:1 "), "{penalties}");
    assert_eq!(refused(904, "Subsystem a /x\nSubsystem a /y\n").0, Some(2));
    assert_eq!(one(906, "Subsystem a /x b\nSubsystem a /y\n", "subsystem"), "a /x b");
}

#[test]
fn rule_02_match_blocks_replace_also_what_appends() {
    let text = "AllowUsers alice bob\nAcceptEnv LANG\nMatch all\nMatch User root\nAllowUsers carol\nAcceptEnv A\nMatch Address 10.0.0.0/8\nAllowUsers dave\n";
    let configuration = tree(902, text, &[]);
    assert_eq!(get(&configuration, ROOT, "allowusers"), "carol | dave");
    assert_eq!(get(&configuration, ROOT, "acceptenv"), "A");
    assert_eq!(get(&configuration, "user=bob,host=h,addr=192.0.2.1", "allowusers"), "alice | bob");
    let reopened = tree(902, "PermitRootLogin no\nMatch User root Address 10.0.0.0/8\nPermitRootLogin yes\n", &[]);
    assert_eq!(values(&reopened.dump(None).unwrap(), "permitrootlogin"), "no");
    assert_eq!(get(&reopened, ROOT, "permitrootlogin"), "yes");
}

#[test]
fn rule_03_match_all_is_active_in_the_first_pass() {
    let configuration = tree(902, "Match all\nUsePAM yes\nPort 2222\n", &[]);
    let effective = configuration.dump(None).unwrap();
    assert_eq!((values(&effective, "usepam").as_str(), values(&effective, "port").as_str()), ("yes", "2222"));
    let message = "Directive 'UsePAM' is not allowed within a Match block";
    assert_eq!(refused(902, "Match User root\nUsePAM yes\n"), (Some(2), message.to_owned()));
    let mut sshd = Build::plain(1000);
    sshd.release = "OpenSSH_10.0p2".to_owned();
    let versions = build(sshd, "Match version OpenSSH_10.*\nPort 2222\n", &[], CommandLine::default());
    assert_eq!(values(&versions.dump(None).unwrap(), "port"), "2222");
}

#[test]
fn rule_04_plus_expands_against_the_compiled_default() {
    let text = "PubkeyAcceptedAlgorithms ssh-ed25519\nMatch User root\nPubkeyAcceptedAlgorithms +ssh-rsa\n";
    let got = one(902, text, "pubkeyacceptedalgorithms");
    assert!(got.starts_with("ssh-ed25519-cert-v01@openssh.com,") && got.ends_with(",rsa-sha2-256,ssh-rsa"), "{got}");
    assert_eq!(get(&tree(902, text, &[]), "user=bob,host=h,addr=::1", "pubkeyacceptedalgorithms"), "ssh-ed25519");
    let without = one(902, "Ciphers -aes*\n", "ciphers");
    assert_eq!(without, "chacha20-poly1305@openssh.com");
    assert!(one(902, "MACs ^hmac-sha1\n", "macs").starts_with("hmac-sha1,umac-64-etm@openssh.com"));
    assert_eq!(refused(902, "Ciphers nonesuch\n"), (Some(1), "Bad SSH2 cipher spec 'nonesuch'.".to_owned()));
}

#[test]
fn rule_05_the_command_line_beats_the_global_section_only() {
    let argv = |words: &[&str]| {
        let words: Vec<Vec<u8>> = words.iter().map(|word| word.as_bytes().to_vec()).collect();
        CommandLine::parse(&words)
    };
    let with = |line: CommandLine, main: &str| build(Build::plain(902), main, &[], line);
    let main = "PermitRootLogin without-password\nMatch User root\nPermitRootLogin yes\n";
    let no = with(argv(&["sshd", "-o", "PermitRootLogin=no"]), main);
    assert_eq!(values(&no.dump(None).unwrap(), "permitrootlogin"), "no");
    assert_eq!(
        no.dump(None).unwrap().value("permitrootlogin").unwrap().origin,
        Origin::CommandLine("-o PermitRootLogin=no".into())
    );
    assert_eq!(get(&no, ROOT, "permitrootlogin"), "yes");
    let users = with(argv(&["sshd", "-oAllowUsers=a"]), "AllowUsers b\n");
    assert_eq!(values(&users.dump(None).unwrap(), "allowusers"), "a | b");
    let ports = with(argv(&["sshd", "-p", "2222"]), "Port 22\nListenAddress 10.0.0.1:99\nListenAddress 10.0.0.2\n");
    let effective = ports.dump(None).unwrap();
    assert_eq!(values(&effective, "port"), "2222");
    assert_eq!(values(&effective, "listenaddress"), "10.0.0.1:99 | 10.0.0.2:2222");
}

#[test]
fn rule_06_include() {
    assert_eq!(refused(800, "Include /x\n"), (Some(1), "Bad configuration option: Include".to_owned()));
    let backport = Sketch::new()
        .program("/usr/sbin/sshd", &["OpenSSH_8.0p1", "include"])
        .file(MAIN, "Include /x*\nPort 24\n")
        .snapshot();
    let reader = Reader::new(&backport);
    let configuration =
        Configuration::read(&reader, Build::read(&reader, Path::new("/usr/sbin/sshd")), CommandLine::default());
    assert_eq!(values(&configuration.dump(None).unwrap(), "port"), "24");
    let relative = tree(902, "Include d/*.conf ~/x\n", &[("/etc/ssh/d/a.conf", "Port 23\n")]);
    assert_eq!(get(&relative, ROOT, "port"), "23");
    let dangling = tree(902, "Include /d/*.conf\n", &[("/d/a.conf", "-> /nowhere")]);
    assert_eq!(refusal(&dangling).1, "/d/a.conf: No such file or directory");
    let directory = tree(902, "Include /d/*.conf\nPort 25\n", &[("/d/a.conf/x", "")]);
    assert_eq!(get(&directory, ROOT, "port"), "25");
    let itself = tree(902, &format!("Include {MAIN}\n"), &[]);
    assert_eq!(refusal(&itself).1, "Too many recursive configuration includes");
    let inert = "Match User nobody\nInclude /i\nMatch all\nPermitTTY no\n";
    let inner = [("/i", "PermitRootLogin yes\nMatch all\nX11Forwarding yes\n")];
    let configuration = tree(902, inert, &inner);
    assert_eq!(get(&configuration, ROOT, "permitrootlogin"), "without-password");
    assert_eq!(get(&configuration, ROOT, "x11forwarding"), "no");
    assert_eq!(get(&configuration, ROOT, "permittty"), "no");
    let ends = tree(902, "Include /i\nPermitTTY no\n", &[("/i", "Match User root\nX11Forwarding yes\n")]);
    assert_eq!((get(&ends, ROOT, "x11forwarding"), get(&ends, ROOT, "permittty")), ("yes".into(), "no".into()));
    // 8.2 as released does not hold Match blocks of a file included globally; Ubuntu's does.
    let upstream = tree(802, "Include /i\n", &[("/i", "Match User root\nX11Forwarding yes\n")]);
    assert_eq!(get(&upstream, ROOT, "x11forwarding"), "no");
}

#[test]
fn rule_07_a_test_without_a_connection() {
    let main = "Match User root\nPermitRootLogin yes\n";
    assert!(tree(709, main, &[]).dump(None).is_err());
    assert_eq!(values(&tree(706, main, &[]).dump(None).unwrap(), "permitrootlogin"), "without-password");
    let mut half = Subject::test();
    half.add("user=root").unwrap();
    assert!(tree(706, main, &[]).dump(Some(&half)).is_err());
    assert!(tree(902, main, &[]).dump(Some(&half)).is_ok());
    let port = tree(902, "Match LocalPort 22\nPermitTTY no\n", &[]).dump(None).unwrap_err();
    assert!(port.message.contains("'lport' not in connection test specification"), "{port:?}");
}

#[test]
fn rule_08_criteria() {
    let tty = |version, criteria: &str, spec: &str| {
        get(&tree(version, &format!("Match {criteria}\nPermitTTY no\n"), &[]), spec, "permittty") == "no"
    };
    assert!(tty(902, "all", ROOT));
    assert!(tty(902, "User root Address 10.0.0.0/8", ROOT));
    assert!(!tty(902, "User root Address 11.0.0.0/8", ROOT));
    assert!(!tty(902, "User !bob", ROOT));
    assert!(tty(902, "User !bob,*", ROOT));
    assert!(tty(902, "Group wheel", "user=bob,host=h,addr=::1"));
    assert!(!tty(902, "Group wheel,*", "user=ghost,host=h,addr=::1"));
    assert!(tty(902, "LocalPort 2222", "user=bob,host=h,addr=::1,lport=2222"));
    assert_eq!(refused(902, "Match LocalPort 22,23\n").1, "Bad Match condition");
    assert_eq!(refused(902, "Match Address 10.0.0.1/8\n").0, Some(1));
    assert!(tty(909, "invalid-user", "user=x,host=h,addr=::1,invalid-user"));
    assert_eq!(refused(902, "Match invalid-user\n").1, "Bad Match condition");
    assert!(tty(1000, "user=root", ROOT));
    assert!(pattern::user_pattern_valid(b"a@b@10.0.0.0/8", true));
    assert_eq!(pattern::split_user(b"a@b@c", false).0, b"a");
    assert_eq!(pattern::split_user(b"a@b@c", true).0, b"a@b");
}

#[test]
fn rule_09_a_real_login_has_its_address_as_host() {
    let configuration = tree(902, "Match Host *.corp\nPermitTTY no\nMatch Address 10.0.0.0/8\nPermitTunnel yes\n", &[]);
    let address = "10.1.2.3".parse().unwrap();
    let connection = Connection {
        user: Some("bob".into()),
        exists: true,
        host: Some("10.1.2.3".into()),
        address: Some(address),
        ..Connection::default()
    };
    let effective = configuration.effective(&connection).unwrap();
    assert_eq!((values(&effective, "permittty").as_str(), values(&effective, "permittunnel").as_str()), ("yes", "yes"));
    assert_eq!(get(&configuration, "user=bob,host=h,addr=::ffff:10.1.1.1", "permittunnel"), "no");
}

#[test]
fn rule_10_every_file_that_counts_is_named() {
    let configuration = tree(902, "Include /d/*.conf\n", &[("/d/a.conf", ""), ("/d/b.conf", ""), ("/d/c", "")]);
    let files: Vec<_> = configuration.files.iter().map(|(path, _)| path.to_string_lossy().into_owned()).collect();
    assert_eq!(files, [MAIN, "/d/a.conf", "/d/b.conf"]);
}

#[test]
fn rule_11_two_eras_of_words() {
    assert_eq!(one(804, "Banner /a#b # c\n", "banner"), "/a");
    assert_eq!(refused(804, "Banner \"/a#b\" # c\n").1, "missing file name.");
    assert_eq!(one(902, "Banner /a#b # c\n", "banner"), "/a#b");
    assert_eq!(one(902, "Banner \"/a#b\" # c\n", "banner"), "/a#b");
    assert_eq!(refused(902, "PermitRootLogin no#x\n").0, Some(1));
    assert_eq!(one(902, "ForceCommand echo # hi\n", "forcecommand"), "echo # hi");
    assert_eq!(one(902, "AllowUsers==bob\n", "allowusers"), "=bob");
    assert_eq!(one(902, "pErMiTrOoTlOgIn no\r\n", "permitrootlogin"), "no");
    assert_eq!(refused(902, "\u{feff}Port 22\n").0, Some(1));
    assert_eq!(refused(902, "\x0cPort 22\n").0, Some(1));
    assert_eq!(refused(902, "Port\u{a0}22\n").0, Some(1));
    assert_eq!(one(902, "AllowUsers a\u{a0}b\n", "allowusers"), "a\u{a0}b");
    let (line, message) = refused(902, "PermitRootLogin no\0x\nPort 2222\nNonesuch 1\n");
    assert_eq!((line, message.as_str()), (Some(1), "unsupported option \"noPort\"."));
    assert_eq!(refused(902, "Port 22 23\n").1, "keyword Port extra arguments at end of line");
    assert_eq!(refused(804, "Port 22 23\n").1, "garbage at end of line; \"23\".");
    assert_eq!(refused(706, &format!("AllowUsers {}\n", "x".repeat(5000))).1, "too long");
    assert_eq!(refused(902, "Banner 'x\n").1, "invalid quotes");
    assert_eq!(refused(902, "Port\n").1, "no argument after keyword \"Port\"");
}

#[test]
fn rule_11_quotes_leave_an_empty_word_behind() {
    // Seen on 8.2, 8.4 and 8.9.
    assert_eq!(refused(804, "ListenAddress= \"[::1]:22\"\n").0, Some(1));
    assert_eq!(one(809, "ListenAddress= \"[::1]:22\"\n", "listenaddress"), "[::1]:22");
}

#[test]
fn rule_01_from_8_7_to_9_3_one_command_asks_for_another() {
    let twice = "AuthorizedPrincipalsCommand none\nAuthorizedPrincipalsCommand /x\n";
    for (version, release, wrong) in [
        (804, "OpenSSH_8.4p1 Debian-5+deb11u3", false),
        (809, "OpenSSH_8.9p1 Ubuntu-3ubuntu0.3", true),
        (809, "OpenSSH_8.9p1 Ubuntu-3ubuntu0.18", false),
        (902, "OpenSSH_9.2p1 Debian-2+deb12u3", true),
        (906, "OpenSSH_9.6p1 Ubuntu-3ubuntu13.14", false),
    ] {
        let mut build = Build::plain(version);
        build.release = release.to_owned();
        let configuration = self::build(build, twice, &[], CommandLine::default());
        assert_eq!(configuration.dump(None).is_err(), wrong, "{release}");
    }
}

#[test]
fn rule_12_the_keyword_table_by_version() {
    for (word, since) in [
        ("RDomain none", 707),
        ("SetEnv A=b", 708),
        ("CASignatureAlgorithms ssh-ed25519", 709),
        ("PubkeyAuthOptions none", 802),
        ("LogVerbose none", 805),
        ("PubkeyAcceptedAlgorithms ssh-ed25519", 805),
        ("ModuliFile /x", 806),
        ("RequiredRSASize 2048", 901),
        ("ChannelTimeout none", 902),
        ("PerSourcePenalties yes", 908),
        ("RefuseConnection no", 909),
        ("SshdAuthPath /x", 1000),
        ("GSSAPIDelegateCredentials yes", 1003),
    ] {
        let known = |version: u16| {
            let said = tree(version, &format!("{word}\n"), &[]).dump(None).err().map(|refusal| refusal.message);
            !said.is_some_and(|message| message.starts_with("Bad configuration option"))
        };
        assert!(known(since) && !known(since - 1), "{word} from {since}");
    }
    assert!(refused(802, "Match all\nMatch User root\nIgnoreRhosts yes\n").1.contains("not allowed"));
    assert_eq!(one(803, "Match User root\nIgnoreRhosts no\n", "ignorerhosts"), "no");
    assert_eq!(one(904, "Subsystem sftp /x\n", "subsystem"), "sftp /x");
    assert!(refused(904, "Match User root\nSubsystem sftp /x\n").1.contains("not allowed"));
    assert_eq!(one(1003, "Subsystem sftp /x\nMatch User root\nSubsystem sftp /y\n", "subsystem"), "sftp /y");
    assert_eq!(refused(1006, "PAMAuthenticationViaKbdInt no\n").0, Some(1));
    assert!(refused(1004, "Match User root\nPAMServiceName x\n").1.contains("not allowed"));
}

#[test]
fn rule_13_deprecated_words_and_aliases() {
    assert_eq!(one(902, "Protocol 2\nUseLogin no\nKeyRegenerationInterval 1h\nPort 26\n", "port"), "26");
    assert!(tree(902, "", &[]).dump(None).unwrap().setting("protocol").is_none());
    assert_eq!(one(902, "DSAAuthentication no\nPubkeyAuthentication yes\n", "pubkeyauthentication"), "no");
    assert_eq!(one(902, "KeepAlive no\n", "tcpkeepalive"), "no");
    assert_eq!(one(902, "HostDSAKey /k\n", "hostkey"), "/k");
    assert_eq!(one(902, "SKeyAuthentication no\n", "kbdinteractiveauthentication"), "no");
}

#[test]
fn rule_14_challenge_response_was_a_keyword_of_its_own() {
    let text = "ChallengeResponseAuthentication no\nKbdInteractiveAuthentication yes\n";
    assert_eq!(one(902, text, "kbdinteractiveauthentication"), "no");
    assert_eq!(one(804, "KbdInteractiveAuthentication no\n", "kbdinteractiveauthentication"), "yes");
    assert_eq!(one(804, "ChallengeResponseAuthentication no\n", "kbdinteractiveauthentication"), "no");
    assert_eq!(one(804, "", "challengeresponseauthentication"), "yes");
    assert!(refused(804, "Match User root\nChallengeResponseAuthentication no\n").1.contains("not allowed"));
}

#[test]
fn rule_15_the_dump_spells_things_its_own_way() {
    for (main, keyword, want) in [
        ("", "permitrootlogin", "without-password"),
        ("PermitRootLogin prohibit-password", "permitrootlogin", "without-password"),
        ("Compression delayed", "compression", "yes"),
        ("AllowTcpForwarding all", "allowtcpforwarding", "yes"),
        ("MaxStartups 5", "maxstartups", "5:30:5"),
        ("IPQoS 0x10", "ipqos", "lowdelay lowdelay"),
        ("PermitListen 8080", "permitlisten", "*:8080"),
        ("LogLevel debug", "loglevel", "DEBUG"),
        ("LoginGraceTime 2m", "logingracetime", "120"),
        ("StreamLocalBindMask 00", "streamlocalbindmask", "00"),
        ("", "listenaddress", "[::]:22 | 0.0.0.0:22"),
        ("AddressFamily inet", "listenaddress", "0.0.0.0:22"),
        ("PerSourceNetBlockSize 24:64", "persourcenetblocksize", "24:64"),
        ("PerSourceNetBlockSize 24", "persourcenetblocksize", "24:0"),
        ("PerSourceNetBlockSize 3#x2:128", "persourcenetblocksize", "3:0"),
        ("ListenAddress 10.0.0.1\nPort 1\nPort 2", "listenaddress", "10.0.0.1:1 | 10.0.0.1:2"),
        ("HostKey /k\nHostKey none", "hostkey", "/k | (null)"),
        ("SetEnv A=\"x y\"", "setenv", "A=x y"),
        ("AuthorizedKeysFile \"/a b\"", "authorizedkeysfile", "/a b"),
        ("AllowUsers \"a b\"", "allowusers", "a b"),
    ] {
        assert_eq!(one(902, &format!("{main}\n"), keyword), want, "{main}");
    }
    assert_eq!(one(1001, "", "permitrootlogin"), "prohibit-password");
    let effective = tree(902, "AuthorizedKeysFile \"/a b\" c\n", &[]).dump(None).unwrap();
    assert_eq!(effective.words("authorizedkeysfile"), ["/a b", "c"]);
    let mut debian = Build::plain(902);
    debian.flavour = Flavour::Debian;
    let banner = build(debian, "DebianBanner no\n", &[], CommandLine::default()).dump(None).unwrap();
    assert!(banner.setting("debianbanner").is_none());
}

#[test]
fn rule_16_debian_adds_lines_and_the_binary_names_its_algorithms() {
    let strings = [
        "OpenSSH_9.2p1 Debian-2+deb12u10",
        "gssapi-with-mic",
        "gssapi-keyex",
        "gssapikeyexchange",
        "gssapikexalgorithms",
        "gss-group14-sha256-,gss-group16-sha512-",
        "aes128-ctr",
        "aes256-gcm@openssh.com",
        "aes128-ctr,aes192-ctr,aes256-gcm@openssh.com",
    ];
    let snapshot = Sketch::new().program("/usr/sbin/sshd", &strings).file(MAIN, "").snapshot();
    let reader = Reader::new(&snapshot);
    let configuration =
        Configuration::read(&reader, Build::read(&reader, Path::new("/usr/sbin/sshd")), CommandLine::default());
    let effective = configuration.dump(None).unwrap();
    assert_eq!(values(&effective, "gssapikexalgorithms"), "gss-group14-sha256-,gss-group16-sha512-");
    assert_eq!(values(&effective, "ipqos"), "lowdelay throughput");
    assert_eq!(values(&effective, "pidfile"), "/run/sshd.pid");
    // What the build does not support is dropped from its default.
    assert_eq!(values(&effective, "ciphers"), "aes128-ctr,aes256-gcm@openssh.com");
    assert_eq!(one(902, "", "ipqos"), "af21 cs1");
    assert!(tree(902, "", &[]).dump(None).unwrap().setting("gssapikeyexchange").is_none());
}

#[test]
fn rule_17_compiled_defaults_and_what_needs_no_host_key() {
    let effective = tree(902, "", &[]).dump(None).unwrap();
    assert_eq!(
        (values(&effective, "usepam").as_str(), effective.value("usepam").unwrap().origin.clone()),
        ("no", Origin::Default)
    );
    assert_eq!(effective.dump().next().unwrap(), "port 22");
    assert_eq!(
        refused(902, "AuthorizedKeysCommand /x\n").1,
        "AuthorizedKeysCommand set without AuthorizedKeysCommandUser"
    );
    let unsatisfiable = "PubkeyAuthentication no\nAuthenticationMethods publickey\n";
    assert!(refused(902, unsatisfiable).1.contains("cannot be satisfied"));
    // In a Match block nobody looks (20).
    let hidden = "PubkeyAuthentication no\nMatch User root\nAuthenticationMethods publickey\n";
    assert_eq!(one(902, hidden, "authenticationmethods"), "publickey");
}

const VERSIONS: [u16; 12] = [704, 706, 708, 802, 804, 807, 902, 906, 908, 1000, 1003, 1006];

/// Lines that make sense and lines that nearly do.
fn config_line() -> impl Strategy<Value = String> {
    let keyword = prop::sample::select(vec![
        "Port",
        "ListenAddress",
        "PermitRootLogin",
        "AllowUsers",
        "Match",
        "Include",
        "Subsystem",
        "RekeyLimit",
        "IPQoS",
        "AuthenticationMethods",
        "Ciphers",
        "PermitOpen",
        "SetEnv",
        "MaxStartups",
        "PerSourcePenalties",
        "ForceCommand",
        "LoginGraceTime",
        "ChannelTimeout",
        "Banner",
        "AuthorizedKeysFile",
        "VersionAddendum",
        "nonesuch",
        "#",
    ]);
    let word = prop::sample::select(vec![
        "yes",
        "no",
        "all",
        "user",
        "root",
        "address",
        "10.0.0.0/8",
        "22",
        "*:22",
        "[::1]:22",
        "\"",
        "'",
        "=",
        "a=b",
        "none",
        "any",
        "+aes128-ctr",
        "-*",
        "^x",
        "publickey,password",
        "1G",
        "2h",
        "5:30:100",
        "~",
        "~bob/x",
        "/etc/ssh/i",
        "\\",
        "\0",
        "\r",
    ]);
    (keyword, prop::collection::vec(word, 0..4)).prop_map(|(keyword, words)| format!("{keyword} {}", words.join(" ")))
}

#[test]
fn a_bad_address_is_told_by_every_version() {
    for version in VERSIONS {
        let refusal = tree(version, "Port 22\nListenAddress *:22", &[]).dump(None).unwrap_err();
        assert_eq!(refusal.message, "bad addr or host: * (Name or service not known)", "{version}");
        assert_eq!((refusal.file.to_str(), refusal.line), (Some("/etc/ssh/sshd_config"), Some(2)), "{version}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_answered_alike_twice(main in prop::collection::vec(any::<u8>(), 0..400), version in prop::sample::select(VERSIONS.to_vec())) {
        let configuration = build(Build::plain(version), &main, &[], CommandLine::default());
        let mut subject = Subject::test();
        subject.add(ROOT).unwrap();
        prop_assert_eq!(configuration.dump(Some(&subject)), configuration.dump(Some(&subject)));
    }

    #[test]
    fn any_lines_are_taken_or_refused_at_a_line(lines in prop::collection::vec(config_line(), 0..8), version in prop::sample::select(VERSIONS.to_vec())) {
        let main = lines.join("\n");
        let configuration = tree(version, &main, &[("/etc/ssh/i", &main)]);
        match configuration.dump(None) {
            Ok(effective) => prop_assert!(effective.settings.len() > 60),
            Err(refusal) => prop_assert!(!refusal.said.is_empty() && !refusal.message.is_empty()),
        }
    }

    /// What is printed, read again, prints the same.
    #[test]
    fn the_dump_is_stable(version in prop::sample::select(vec![706_u16, 804, 902, 906, 1000, 1003]), flags in any::<[bool; 6]>(), port in 1_u16.., users in prop::collection::vec("[a-z]{1,8}", 0..3)) {
        let yes = |flag: bool| if flag { "yes" } else { "no" };
        let names = ["PermitRootLogin", "PasswordAuthentication", "X11Forwarding", "UseDNS", "PermitTTY", "StrictModes"];
        let mut main = format!("Port {port}\n");
        for (name, flag) in names.iter().zip(flags) {
            main.push_str(&format!("{name} {}\n", yes(flag)));
        }
        if !users.is_empty() {
            main.push_str(&format!("AllowUsers {}\n", users.join(" ")));
        }
        let first: Vec<String> = tree(version, &main, &[]).dump(None).unwrap().dump().collect();
        let again: Vec<String> = tree(version, &first.join("\n"), &[]).dump(None).unwrap().dump().collect();
        prop_assert_eq!(first, again);
    }
}
