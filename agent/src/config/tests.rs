use std::os::unix::fs::PermissionsExt;

use hostward_checks::check::Severity;
use hostward_checks::observation::socket::Protocol;
use hostward_checks::policy::Remediate;

use super::*;

fn mistakes(text: &str) -> Vec<String> {
    match policy_from(text) {
        Ok(policy) => panic!("{text}\nis {policy:?}"),
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn mistakes_are_told_with_file_place_key_and_the_right_name() {
    for (text, want) in [
        ("profil = \"basic\"\n", "policy.toml:1:1: profil: no such key; did you mean profile?"),
        (
            "[limits]\nmax-auth-trys = [1, 2]\n",
            "policy.toml:2:1: limits.max-auth-trys: no such key; did you mean max-auth-tries?",
        ),
        (
            "[zzzzzzzzz]\n",
            "policy.toml:1:2: zzzzzzzzz: no such key; here stand profile, checks, severity, limits, keys, accounts, sshd, ports, credentials, metadata, transactions, waivers, remediate",
        ),
        ("profile = \"strict\"\n", "policy.toml:1:11: profile: wanted one of basic, enhanced, image"),
        ("profile = 3\n", "policy.toml:1:11: profile: wanted a string, not an integer"),
        (
            "[limits]\nlogin-grace = 60\n",
            "policy.toml:2:15: limits.login-grace: wanted a duration with its unit, like \"20s\", \"5m\", \"2h\" or \"7d\", not an integer",
        ),
        (
            "[limits]\nlogin-grace = \"60\"\n",
            "policy.toml:2:15: limits.login-grace: wanted a duration with its unit, like \"20s\", \"5m\", \"2h\" or \"7d\": 60 has no unit",
        ),
        (
            "[limits]\nlogin-grace = \"60 minutes\"\n",
            "policy.toml:2:15: limits.login-grace: wanted a duration with its unit, like \"20s\", \"5m\", \"2h\" or \"7d\": there is no unit  minutes",
        ),
        (
            "[limits]\nmax-auth-tries = [6, 3]\n",
            "policy.toml:2:18: limits.max-auth-tries: the least is more than the most",
        ),
        (
            "[limits]\nmax-auth-tries = 3\n",
            "policy.toml:2:18: limits.max-auth-tries: wanted [least, most], not an integer",
        ),
        ("[limits]\nrsa-bits = 1e3\n", "policy.toml:2:12: limits.rsa-bits: wanted a whole number, not a float"),
        (
            "[severity]\n\"metadata.hardned\" = \"low\"\n",
            "policy.toml:2:1: severity.metadata.hardned: no check is called so; did you mean metadata.hardened?",
        ),
        ("[checks]\nexclude = [\"keys\", \"no.such\"]\n", "policy.toml:2:20: checks.exclude: no check is called so"),
        (
            "[keys]\napproved = [\"SHA256:short\"]\n",
            "policy.toml:2:13: keys.approved: a SHA256 fingerprint has 43 characters of base64",
        ),
        ("[keys]\napproved = [\"ssh-ed25519\"]\n", "policy.toml:2:13: keys.approved: wanted a fingerprint"),
        ("[accounts]\nexpected = [\"a:b\"]\n", "policy.toml:2:13: accounts.expected: is no name of an account"),
        (
            "[sshd]\nadmin-sources = [\"10.0.0.1/8\"]\n",
            "policy.toml:2:18: sshd.admin-sources: has bits set beyond its length of 8",
        ),
        ("[[ports.allow]]\nport = 0\n", "policy.toml:2:8: ports.allow.port: wanted a number from 1 to 65535"),
        ("[[ports.allow]]\nprotocol = \"tcp\"\n", "policy.toml:2:1: ports.allow.port: is missing"),
        ("[ports]\nallow = 443\n", "policy.toml:2:9: ports.allow: wanted [[ports.allow]], not an integer"),
        ("[credentials]\npaths = [\"srv\"]\n", "policy.toml:2:10: credentials.paths: wanted an absolute path"),
        ("[credentials]\npaths = [\"/\"]\n", "policy.toml:2:10: credentials.paths: wanted a file, a directory"),
        ("[credentials]\npaths = [\"/proc/1\"]\n", "policy.toml:2:10: credentials.paths: holds no files"),
        (
            "[[waivers]]\ncheck = \"metadata.hardened\"\n",
            "policy.toml:2:1: waivers.reason: is missing: a waiver says why",
        ),
        (
            "[[waivers]]\ncheck = \"metadata.hardened\"\nreason = \"  \"\n",
            "policy.toml:2:1: waivers.reason: is missing: a waiver says why",
        ),
        ("[[waivers]]\nreason = \"x\"\n", "policy.toml:2:1: waivers.check: is missing: a waiver names its check"),
        (
            "[[waivers]]\ncheck = \"metadata.hardened\"\nreason = \"x\"\nexpires = \"31.12.2026\"\n",
            "policy.toml:4:11: waivers.expires: wanted a date like 2026-12-31",
        ),
        (
            "[[waivers]]\ncheck = \"metadata.hardened\"\nreason = \"x\"\nexpires = 2026-12-31T00:00:00Z\n",
            "policy.toml:4:11: waivers.expires: wanted a date like 2026-12-31, not a date",
        ),
        ("[remediate]\nwindow = \"2-4\"\n", "policy.toml:2:10: remediate.window: wanted a window like"),
        ("[remediate]\nwindow = [\"02:00-03:00\", 2]\n", "policy.toml:2:26: remediate.window: wanted a string"),
        (
            "[remediate]\nchecks = [\"sshd.root-logins\"]\n",
            "policy.toml:2:11: remediate.checks: no check is called so; did you mean sshd.root-login?",
        ),
        ("[remediate]\nchecks = [\"sshd\"]\n", "policy.toml:2:11: remediate.checks: no check is called so"),
        (
            "[remediate]\nchecks = [\"policy.waivers\"]\n",
            "policy.toml:2:11: remediate.checks: hostward has no fix for it",
        ),
        ("a = = 1\n", "policy.toml:1:5: "),
        ("[limits\n", "policy.toml:1:8: "),
        ("profile = \"basic\"\nprofile = \"image\"\n", "policy.toml:2:1: "),
    ] {
        let told = mistakes(text);
        assert!(told.iter().any(|line| line.starts_with(want)), "{text}: wanted {want}, told {told:#?}");
    }
}

#[test]
fn every_mistake_is_told_at_once() {
    assert_eq!(mistakes("profil = 1\n[limits]\nrsa-bits = 1\n[metadata]\nopenapi = \"yes\"\n").len(), 3);
}

#[test]
fn a_policy_says_what_its_keys_mean() {
    let line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGPKSUTyz1HwHReFVvD5obVsALAgJRNarH4TRpNePnAS me@here";
    let policy = policy_from(&format!(
        "profile = \"basic\"\n[checks]\ninclude = [\"keys\"]\n[severity]\n\"metadata.hardened\" = \"critical\"\n\
         [limits]\nlogin-grace = \"2m\"\nclient-alive = [\"5m\", \"600s\"]\n[keys]\napproved = [\"{line}\"]\n\
         [[ports.allow]]\nport = 443\nprotocol = \"tcp\"\nsources = [\"10.0.0.0/8\", \"fd00::1\"]\n\
         [[waivers]]\ncheck = \"metadata.hardened\"\nreason = \"x\"\nexpires = 2026-12-31\n[remediate]\nwindow = \"23:30-01:00\"\n"
    ))
    .unwrap();
    assert_eq!((policy.profile, policy.severity["metadata.hardened"]), (Profile::Basic, Severity::Critical));
    assert_eq!((policy.limits.login_grace_seconds, policy.limits.client_alive_seconds), (120, (300, 600)));
    let approved = policy.approved_keys.unwrap();
    assert!(approved[0].starts_with("SHA256:") && approved[0].len() == 50, "{approved:?}");
    let listener = &policy.allowed_listeners[0];
    assert_eq!((listener.port, listener.protocol, listener.sources.len()), (Some(443), Some(Protocol::Tcp), 2));
    // It holds through the whole of its last day, in UTC: 2027-01-01T00:00:00Z is the first moment after it.
    assert_eq!(policy.waivers[0].expires, Some(1_798_761_600));
    let windows: Vec<String> = policy.remediate.windows.iter().map(ToString::to_string).collect();
    assert_eq!(windows, ["23:30-01:00"]);
    let policy =
        policy_from("[remediate]\nchecks = [\"sshd.limits\"]\nwindow = [\"Sat,Sun 01:00-05:00\", \"02:00-03:00\"]\n");
    let Remediate { checks, windows } = policy.unwrap().remediate;
    assert_eq!((checks, windows.len()), (vec!["sshd.limits".to_owned()], 2));
}

/// A directory of configuration files; returns it and a way to read it.
fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    dir
}

fn read(dir: &tempfile::TempDir) -> Result<Configuration, Vec<String>> {
    let sources = Sources { directory: Some(dir.path().to_path_buf()), policy: None, settings: None };
    Configuration::read(&sources, None, Profile::Enhanced)
        .map_err(|list| list.iter().map(ToString::to_string).collect())
}

#[test]
fn no_file_is_the_builtin_policy() {
    let dir = directory(&[]);
    let all = read(&dir).unwrap();
    assert_eq!((all.policy, all.settings), (Policy::builtin(Profile::Enhanced), Settings::default()));
    assert!(all.files.is_empty());
    let offline = Configuration::read(&Sources::of_host(true), None, Profile::Image).unwrap();
    assert_eq!(offline.policy, Policy::builtin(Profile::Image));
}

#[test]
fn later_files_replace_values_and_add_to_lists() {
    let dir = directory(&[
        (
            "policy.toml",
            "profile = \"basic\"\n[accounts]\nsudo = [\"a\"]\n[limits]\nrsa-bits = 3072\n[severity]\n\"keys.weak\" = \"low\"\n",
        ),
        ("policy.d/20-b.toml", "[accounts]\nsudo = [\"c\"]\n[severity]\n\"keys.weak\" = \"high\"\n"),
        ("policy.d/10-a.toml", "profile = \"image\"\n[accounts]\nsudo = [\"b\"]\nexpected = []\n"),
        ("policy.d/.hidden.toml", "nonsense"),
        ("policy.d/README", "nonsense"),
        (
            "hostward.toml",
            "platform = \"ecs\"\nlanguage = \"zh\"\n[scan]\npassword-budget = \"full\"\nfail-on = \"high\"\n",
        ),
    ]);
    let all = read(&dir).unwrap();
    assert_eq!(all.policy.profile, Profile::Image);
    assert_eq!(all.policy.sudo_accounts, ["a", "b", "c"]);
    assert_eq!(all.policy.expected_accounts, Some(vec![]));
    assert_eq!(all.policy.limits.rsa_bits, 3072);
    assert_eq!(all.policy.severity["keys.weak"], Severity::High);
    assert_eq!(all.files.len(), 4);
    assert_eq!(all.settings.platform.says_ecs(), Some(true));
    assert_eq!((all.settings.password_budget, all.settings.fail_on), (Some(Budget::Full), Some(Severity::High)));
    let sources = Sources { directory: Some(dir.path().to_path_buf()), policy: None, settings: None };
    let asked = Configuration::read(&sources, Some(Profile::Enhanced), Profile::Basic).unwrap();
    assert_eq!(asked.policy.profile, Profile::Enhanced, "the command line counts");
}

#[test]
fn what_others_can_write_is_refused() {
    let mode = |path: &Path, mode: u32| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    let dir = directory(&[("policy.toml", ""), ("policy.d/a.toml", "")]);
    assert!(read(&dir).is_ok());
    let file = dir.path().join("policy.toml");
    for bits in [0o666, 0o664, 0o602] {
        mode(&file, bits);
        let told = read(&dir).unwrap_err();
        assert!(told[0].contains("policy.toml: it can be written by others"), "{told:?}");
    }
    mode(&file, 0o644);
    mode(&dir.path().join("policy.d"), 0o777);
    assert!(read(&dir).unwrap_err()[0].contains("policy.d can be written by others"));
    mode(&dir.path().join("policy.d"), 0o755);
    if nix::unistd::geteuid().is_root() {
        std::os::unix::fs::chown(&file, Some(1234), None).unwrap();
        assert!(read(&dir).unwrap_err()[0].contains("it belongs to user 1234"));
        std::os::unix::fs::chown(&file, Some(0), None).unwrap();
    }
    assert!(read(&dir).is_ok());
}

#[test]
fn what_is_no_text_file_is_refused_and_holds_nobody_up() {
    let dir = directory(&[]);
    let file = dir.path().join("policy.toml");
    nix::unistd::mkfifo(&file, nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
    assert!(read(&dir).unwrap_err()[0].contains("is no regular file"));
    std::fs::remove_file(&file).unwrap();
    std::fs::write(&file, b"profile = \"\xff\"").unwrap();
    assert!(read(&dir).unwrap_err()[0].contains("is not UTF-8 from byte 11 on"));
    std::fs::write(&file, "#".repeat((1 << 20) + 1)).unwrap();
    assert!(read(&dir).unwrap_err()[0].contains("is larger than"));
    let missing = Sources { directory: None, policy: Some(dir.path().join("missing.toml")), settings: None };
    let told = Configuration::read(&missing, None, Profile::Basic).unwrap_err();
    assert!(told[0].to_string().ends_with("missing.toml: failed to open: no such file or directory"), "{told:?}");
}

#[test]
fn a_bad_file_ends_the_program_with_78() {
    let dir = directory(&[("policy.toml", "a = 1\nb = 2\n")]);
    let sources = Sources { directory: Some(dir.path().to_path_buf()), policy: None, settings: None };
    let error = Configuration::load(&sources, None, Profile::Basic).unwrap_err();
    assert_eq!(error.downcast_ref::<Ends>().unwrap().code, ExitCode::Config);
    assert!(
        error.to_string().contains("policy.toml:1:1: a: no such key") && error.to_string().contains("and 1 more"),
        "{error}"
    );
}

#[test]
fn digests_tell_policies_apart_and_nothing_else() {
    let one = policy_from("[accounts]\nsudo = [\"a\", \"b\"]\n").unwrap();
    let same = policy_from("# a comment\n[accounts]\nsudo = [\n \"b\", \"a\"]\n[limits]\n").unwrap();
    assert_eq!(digest(&one), digest(&same));
    assert_ne!(digest(&one), digest(&Policy::builtin(Profile::Enhanced)));
    assert_eq!(digest(&one).len(), 64);
}

/// The shipped files, with the built-in values uncommented, and with the examples as well.
fn uncommented(text: &str) -> (String, String) {
    let (mut values, mut all) = (String::new(), String::new());
    for line in text.lines() {
        let value =
            line.strip_prefix('#').filter(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '['));
        let example = line.strip_prefix("#: ");
        values.push_str(value.unwrap_or(line));
        all.push_str(value.or(example).unwrap_or(line));
        values.push('\n');
        all.push('\n');
    }
    (values, all)
}

#[test]
fn the_shipped_policy_is_the_builtin_one_and_explains_every_key() {
    let shipped = include_str!("../../../packaging/policy.toml");
    assert_eq!(policy_from(shipped), Ok(Policy::builtin(Profile::Enhanced)));
    let (values, all) = uncommented(shipped);
    assert_eq!(policy_from(&values), Ok(Policy::builtin(Profile::Enhanced)));
    explains(&all, |section| drop(policy::fragment(section)));
}

#[test]
fn the_shipped_settings_are_the_builtin_ones_and_explain_every_key() {
    let shipped = include_str!("../../../packaging/hostward.toml");
    let (values, all) = uncommented(shipped);
    let builtin = Settings { fail_on: Some(Severity::Medium), ..Settings::default() };
    for (text, want) in [(shipped, &Settings::default()), (values.as_str(), &builtin)] {
        let mut problems = Vec::new();
        assert_eq!(&settings::parse(Path::new("hostward.toml"), text, &mut problems), want);
        assert_eq!(problems, []);
    }
    explains(&all, |section| drop(settings::settings(section)));
}

/// With everything uncommented the file is right, and holds every key that is asked for.
fn explains(all: &str, read: impl FnOnce(&mut reader::Section<'_, '_>)) {
    let mut problems = Vec::new();
    let document = reader::Document::new(Path::new("shipped.toml"), all, &mut problems);
    document.walk(read);
    let missing: Vec<String> = document
        .asked()
        .into_iter()
        .filter(|key| {
            let name = key.rsplit('.').next().unwrap();
            !all.lines().any(|line| line.starts_with(&format!("{name} =")) || line.contains(&format!("[{key}]")))
        })
        .collect();
    drop(document);
    assert_eq!(problems, []);
    assert_eq!(missing, Vec::<String>::new(), "keys that the file does not explain");
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_fail(text in "((profile|checks|include|limits|rsa-bits|keys|approved|waivers|check|expires|ports|allow)( = |\\.|\n)|[\\[\\]\"{},=#.0-9a-z \n-]){0,40}") {
        if let Err(problems) = policy_from(&text) {
            for problem in problems {
                let (line, column) = problem.place.unwrap();
                proptest::prop_assert!(line >= 1 && column >= 1 && line as usize <= text.lines().count() + 1);
            }
        }
    }
}
