//! `access --from` against real logins: accounts of every kind, at booted hosts, under generated configurations.

#![cfg(test)]

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use hostward::survey::{Survey, Wanted, survey};
use hostward_checks::access::{Access, Grant, Method, SourceAccess, Way};
use hostward_tests::host::{Host, PRIVATE_CLIENT, PUBLIC_CLIENT};
use hostward_tests::results;
use hostward_tests::rng::Rng;
use hostward_tests::ssh::{Client, Outcome, QUICK_SSHD, With};
use hostward_tests::suite::Suite;
use hostward_tests::tier::Tier;

const TEST: &str = "logins";
const PASSWORD: &str = "Pa55-word of 4";
/// The same cases every time; another seed, to look for more, comes from `HOSTWARD_SEED`.
const SEED: u64 = 0x0106_1175;

/// The kinds of account, each with the shell lines that make it; `$KEY` is its key's line.
const KINDS: [(&str, &str); 20] = [
    ("root", "echo \"root:$PW\" | chpasswd; keys root /root \"$KEY\""),
    ("toor", "useradd -o -u 0 -g 0 -M -d /toor -s /bin/sh toor; mkdir -p /toor; pw toor; keys toor /toor \"$KEY\""),
    ("plain", "new plain; pw plain; keys plain ~plain \"$KEY\""),
    ("locked", "new locked; pw locked; usermod -L locked; keys locked ~locked \"$KEY\""),
    ("starred", "new starred; usermod -p '*' starred; keys starred ~starred \"$KEY\""),
    ("expired", "new expired; pw expired; chage -E 1 expired; keys expired ~expired \"$KEY\""),
    ("empty", "new empty; passwd -d empty >/dev/null; keys empty ~empty \"$KEY\""),
    ("nologin", "new nologin; pw nologin; usermod -s /usr/sbin/nologin nologin; keys nologin ~nologin \"$KEY\""),
    ("noshell", "new noshell; pw noshell; usermod -s /bin/gone noshell 2>/dev/null; keys noshell ~noshell \"$KEY\""),
    ("fromkey", "new fromkey; pw fromkey; keys fromkey ~fromkey \"from=\\\"172.31.0.0/24\\\" $KEY\""),
    ("exits", "new exits; usermod -p '*' exits; keys exits ~exits \"command=\\\"echo no; exit 142\\\" $KEY\""),
    ("restricted", "new restricted; keys restricted ~restricted \"restrict,command=\\\"exit 1\\\" $KEY\""),
    ("loose", "new loose; pw loose; keys loose ~loose \"$KEY\"; chmod 0777 ~loose"),
    ("private", "new private; keys private ~private \"$KEY\"; chmod 0775 ~private"),
    ("devs", "new devs; groupadd -f team; keys devs ~devs \"$KEY\"; chgrp team ~devs; chmod 0775 ~devs"),
    (
        "rootfile",
        "new rootfile; pw rootfile; keys rootfile ~rootfile \"$KEY\"; chown root:root ~rootfile/.ssh/authorized_keys; chmod 600 ~rootfile/.ssh/authorized_keys",
    ),
    (
        "linked",
        "new linked; keys linked ~linked \"$KEY\"; mkdir -p /srv/k; chmod 0777 /srv/k; mv ~linked/.ssh/authorized_keys /srv/k/linked; ln -s /srv/k/linked ~linked/.ssh/authorized_keys",
    ),
    ("matched", "new matched; pw matched; keys matched ~matched \"$KEY\""),
    ("two", "new two; pw two; keys two ~two \"$KEY\""),
    ("short", "new short; pw short; keys short ~short \"$KEY\""),
];

const PRELUDE: &str = r#"
new() { id "$1" >/dev/null 2>&1 || useradd -m -s /bin/sh "$1"; }
pw() { echo "$1:$PW" | chpasswd; }
keys() { install -d -m 700 -o "$1" "$2/.ssh"; printf '%s\n' "$3" >"$2/.ssh/authorized_keys"; chown -R "$1" "$2/.ssh"; chmod 600 "$2/.ssh/authorized_keys"; chgrp -R "$(id -g "$1")" "$2/.ssh"; }
"#;

/// A host with all accounts, and what their owners hold.
struct Field {
    host: Host,
    client: Client,
    keys: BTreeMap<&'static str, (PathBuf, String)>,
    suite: &'static str,
    version: (u32, u32),
}

impl Field {
    fn new(suite: &Suite) -> Self {
        let host = Host::of(suite).boot().unwrap();
        let client = Client::of(&host).unwrap();
        let mut keys = BTreeMap::new();
        let mut script = format!("PW='{PASSWORD}'\n{PRELUDE}");
        // No pause after a wrong password, and no user manager started for every session: neither decides who gets in.
        script.push_str(
            "sed -i 's/pam_unix.so nullok\\(_secure\\)\\?/pam_unix.so nullok nodelay/' /etc/pam.d/common-auth\n\
             sed -i '/pam_systemd/d' /etc/pam.d/common-session\n",
        );
        for (name, make) in KINDS {
            let (kind, bits) = if name == "short" { ("rsa", Some(1024)) } else { ("ed25519", None) };
            let (file, line) = client.key(name, kind, bits).unwrap();
            script.push_str(&format!("KEY='{line}'\n{make}\n"));
            keys.insert(name, (file, line));
        }
        // Where AuthorizedKeysFile points to in some configurations.
        let (_, line) = &keys["plain"];
        script.push_str(&format!(
            "mkdir -p /etc/ssh/keys; printf '%s\\n' 'command=\"exit 5\" {line}' '{line}' >/etc/ssh/keys/plain\n\
             cp ~two/.ssh/authorized_keys /etc/ssh/keys/two; chmod 644 /etc/ssh/keys/*\n\
             cp /root/.ssh/authorized_keys /etc/ssh/keys/root; chmod 600 /etc/ssh/keys/root\n"
        ));
        script.push_str("groupadd -f staff2; usermod -aG staff2 plain; usermod -aG staff2 two\n");
        script.push_str("mkdir -p /etc/systemd/system/ssh.service.d; printf '[Unit]\\nStartLimitIntervalSec=0\\n' >/etc/systemd/system/ssh.service.d/t.conf; systemctl daemon-reload\n");
        host.shell(&script).unwrap();
        let version = host.shell("sshd -V 2>&1 || true; ssh -V 2>&1").unwrap();
        let version = version.split("OpenSSH_").last().unwrap().split(['p', ' ', ',']).next().unwrap().to_owned();
        let (major, minor) = version.split_once('.').unwrap();
        let version = (major.parse().unwrap(), minor.parse().unwrap());
        Self { host, client, keys, suite: suite.name(), version }
    }

    /// Makes sshd read these lines; false where it refuses them.
    fn configure(&self, config: &str) -> bool {
        let quick =
            if self.version >= (9, 8) { format!("{QUICK_SSHD}PerSourcePenalties no\n") } else { QUICK_SSHD.to_owned() };
        let quick = quick.replace("UseDNS no\n", "");
        let config = format!("{quick}Subsystem sftp /usr/lib/openssh/sftp-server\n{config}");
        let script = format!(
            "cat >/etc/ssh/sshd_config <<'EOF'\n{config}\nEOF\nmkdir -p /run/sshd; sshd -t || exit 0\n\
             systemctl restart ssh.service; for i in 1 2 3 4 5 6 7 8 9; do systemctl is-active -q ssh.service && break; sleep 0.1; done; echo good"
        );
        self.host.shell(&script).unwrap().contains("good")
    }

    /// Everything that the resolver wants to know of the host, as it stands now.
    fn look(&self) -> Survey {
        let root = PathBuf::from(format!("/proc/{}/root", self.host.leader()));
        survey(Some(&root), &Wanted::default()).unwrap()
    }

    /// One real login beside its prediction; the words of a difference.
    fn compare(
        &self,
        survey: &Survey,
        user: &'static str,
        source: &str,
        with: &With,
        config: &str,
    ) -> Result<Outcome, String> {
        let predicted = predict(survey, user, source);
        let print = self.keys.get(user).map(|(_, line)| fingerprint(line)).unwrap_or_default();
        let way = expected(&predicted, with, &print);
        let grants = way.map(|way| way.grants);
        let with = &in_order(with, way);
        let says = |real: &Outcome, signs: &[&str]| signs.iter().any(|sign| real.log.contains(sign));
        let mut real = self.client.login(user, source, with).unwrap();
        for _ in 0..5 {
            // A machine under load or an sshd that is still starting is no answer the first time; nor is a connection that
            // was cut, unless sshd had said yes to somebody who should not get in: that is its way to say no.
            let silent = says(&real, &["banner exchange", "Connection refused", "Connection timed out"]);
            let cut = says(&real, &["Broken pipe", "Connection reset"]);
            if !silent && !(cut && (grants.is_some() || !real.authenticated)) {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(500));
            real = self.client.login(user, source, with).unwrap();
        }
        // The monitor ends a login that its child took for good (forced-commands-only): nobody is in.
        let cut = says(&real, &["Broken pipe", "Connection reset", "closed by remote host"]);
        let ended = cut && real.status == Some(255) && !real.forward && !real.sftp;
        real.authenticated &= !ended;
        let say = |what: &str| {
            Err(format!(
                "{} {user} from {source} with {with:?}: {what}\npredicted: {:?}, refused {:?}, doubts {:?}, keys {:?}\n\
                 {config}\nreal: authenticated {} accepted {:?} shell {} sftp {} forward {} status {:?} stdout {:?}\n{}",
                self.suite,
                predicted.ways,
                predicted.refused_because,
                predicted.doubts,
                predicted.usable_keys,
                real.authenticated,
                real.accepted,
                real.shell,
                real.sftp,
                real.forward,
                real.status,
                real.stdout,
                real.log
                    .lines()
                    .filter(|line| !line.starts_with("debug1: ") || line.contains("uth"))
                    .collect::<Vec<_>>()
                    .join("\n")
            ))
        };
        if !predicted.doubts.is_empty() {
            return say("it is undecided");
        }
        let Some(grant) = grants else {
            return if real.authenticated { say("nobody should get in") } else { Ok(real) };
        };
        if !real.authenticated {
            return say("it should get in");
        }
        let got = match () {
            () if real.shell => Grant::Shell,
            () if grant == Grant::Command => Grant::Command,
            () if real.sftp => Grant::Sftp,
            () if real.forward => Grant::Forward,
            () => Grant::Nothing,
        };
        if got == grant { Ok(real) } else { say(&format!("{grant:?} predicted, {got:?} given")) }
    }
}

/// What the resolver says of an account from an address.
fn predict(survey: &Survey, user: &str, source: &str) -> SourceAccess {
    let address: IpAddr = source.parse().unwrap();
    let access = Access::resolve_for(&survey.host, &survey.seen, Some(user), Some(address));
    let daemon = access.daemons.first().unwrap_or_else(|| panic!("no sshd is seen"));
    assert!(daemon.global.is_ok(), "{:?}", daemon.global.as_ref().err());
    assert!(daemon.doubts.is_empty(), "{:?}", daemon.doubts);
    daemon.accounts.first().unwrap_or_else(|| panic!("no account {user}")).sources.first().unwrap().clone()
}

fn fingerprint(line: &str) -> String {
    let (keys, _) = hostward_checks::parse::authorized_keys::parse(line.as_bytes());
    keys.first().unwrap().key.fingerprint().to_string()
}

/// What the client gets by what it holds, going by the predicted ways; None: it stays out.
fn expected<'s>(source: &'s SourceAccess, with: &With, key: &str) -> Option<&'s Way> {
    // The client first asks for nothing at all, then tries a key, then a password.
    let mut held: Vec<Vec<Method>> = vec![vec![Method::None]];
    let (k, p, i) = (Method::Publickey, Method::Password, Method::KeyboardInteractive);
    held.extend(match with {
        With::Key(_) => vec![vec![k]],
        With::Password(_) => vec![vec![p]],
        With::Interactive(_) => vec![vec![i]],
        With::KeyThenPassword(..) => vec![vec![k], vec![k, p], vec![p], vec![p, k]],
        With::KeyThenInteractive(..) => vec![vec![k], vec![k, i], vec![i], vec![i, k]],
        With::PasswordThenKey(..) => vec![vec![p], vec![p, k], vec![k], vec![k, p]],
        With::InteractiveThenKey(..) => vec![vec![i], vec![i, k], vec![k], vec![k, i]],
    });
    held.iter().find_map(|methods| {
        let fits =
            |way: &&Way| way.methods == *methods && (!methods.contains(&k) || way.keys.iter().any(|its| its == key));
        source.ways.iter().find(fits)
    })
}

/// The same things held out in the order in which the predicted way wants them.
fn in_order(with: &With, way: Option<&Way>) -> With {
    let key_last = way.is_some_and(|way| way.methods.len() > 1 && way.methods.last() == Some(&Method::Publickey));
    match with {
        With::KeyThenPassword(key, password) if key_last => With::PasswordThenKey(key.clone(), password.clone()),
        With::KeyThenInteractive(key, password) if key_last => With::InteractiveThenKey(key.clone(), password.clone()),
        _ => with.clone(),
    }
}

/// A configuration made of words that bear on logins.
fn generate(rng: &mut Rng, version: (u32, u32)) -> String {
    let yes_no = |rng: &mut Rng| if rng.chance(50) { "yes" } else { "no" };
    let mut out = String::new();
    out.push_str(&format!("UsePAM {}\n", if rng.chance(65) { "yes" } else { "no" }));
    let roots = ["yes", "no", "prohibit-password", "without-password", "forced-commands-only"];
    out.push_str(&format!("PermitRootLogin {}\n", rng.pick(&roots)));
    if rng.chance(70) {
        out.push_str(&format!("PasswordAuthentication {}\n", yes_no(rng)));
    }
    if rng.chance(60) {
        out.push_str(&format!("KbdInteractiveAuthentication {}\n", yes_no(rng)));
    }
    if rng.chance(40) {
        out.push_str(&format!("ChallengeResponseAuthentication {}\n", yes_no(rng)));
    }
    if rng.chance(35) {
        out.push_str(&format!("PermitEmptyPasswords {}\n", yes_no(rng)));
    }
    if rng.chance(25) {
        out.push_str(&format!("StrictModes {}\n", yes_no(rng)));
    }
    if rng.chance(10) {
        out.push_str("PubkeyAuthentication no\n");
    }
    let lists = [
        "AllowGroups staff2",
        "DenyUsers plain",
        "AllowUsers *@172.31.0.0/24 two",
        "DenyGroups staff2",
        "AllowUsers !plain *",
        "DenyUsers root@203.0.113.*",
    ];
    if rng.chance(20) {
        out.push_str(rng.pick(&lists));
        out.push('\n');
    }
    if rng.chance(15) {
        out.push_str("RevokedKeys /etc/ssh/revoked\n");
    }
    if rng.chance(15) && version >= (9, 1) {
        out.push_str("RequiredRSASize 2048\n");
    }
    let files = ["none", "/etc/ssh/keys/%u .ssh/authorized_keys", "%h/.ssh/authorized_keys", "/etc/ssh/keys/%u"];
    if rng.chance(15) {
        out.push_str(&format!("AuthorizedKeysFile {}\n", rng.pick(&files)));
    }
    if rng.chance(8) {
        let word = if version >= (8, 5) { "PubkeyAcceptedAlgorithms" } else { "PubkeyAcceptedKeyTypes" };
        out.push_str(&format!("{word} {}\n", rng.pick(&["-ssh-ed25519*", "rsa-sha2-512,ssh-ed25519", "-rsa*"])));
    }
    let steps = [
        "publickey,password",
        "publickey",
        "password publickey",
        "publickey,password password",
        "keyboard-interactive publickey,publickey",
        "publickey,keyboard-interactive",
        "keyboard-interactive,publickey publickey,password",
        "any",
    ];
    if rng.chance(25) {
        out.push_str(&format!("AuthenticationMethods {}\n", rng.pick(&steps)));
    }
    let ends = [
        "DisableForwarding yes",
        "MaxSessions 0",
        "AllowTcpForwarding no",
        "ForceCommand internal-sftp",
        "ForceCommand exit 3",
        "PermitTTY no",
    ];
    if rng.chance(25) {
        out.push_str(rng.pick(&ends));
        out.push('\n');
    }
    let criteria = [
        "Address 203.0.113.0/24",
        "Address 172.31.0.0/24,!172.31.0.9",
        "User matched",
        "User two,matched",
        "Group staff2",
        "Host 203.*",
        "User * Address 203.0.113.7",
        "all",
        "User root,toor",
    ];
    for _ in 0..rng.below(3) {
        out.push_str(&format!("Match {}\n", rng.pick(&criteria)));
        for _ in 0..=rng.below(2) {
            let line = match rng.below(6) {
                0 => format!("PasswordAuthentication {}", yes_no(rng)),
                1 => format!("KbdInteractiveAuthentication {}", yes_no(rng)),
                2 => format!("PermitRootLogin {}", rng.pick(&roots)),
                3 => format!("AuthenticationMethods {}", rng.pick(&steps)),
                4 => rng.pick(&lists).to_owned(),
                _ => format!("PermitEmptyPasswords {}", yes_no(rng)),
            };
            out.push_str(&line);
            out.push('\n');
        }
    }
    out
}

/// Shell lines for what sshd and PAM find beside the configuration: revoked keys, PAM's word on empty passwords, nologin.
fn surroundings(rng: &mut Rng) -> String {
    let revoked = [
        "",
        "; : >/etc/ssh/revoked",
        "; cp ~plain/.ssh/authorized_keys /etc/ssh/revoked",
        "; mkdir /etc/ssh/revoked",
        "; ssh-keygen -q -k -f /etc/ssh/revoked ~two/.ssh/authorized_keys ~matched/.ssh/authorized_keys",
    ];
    let unix = if rng.chance(80) { " nullok nodelay" } else { " nodelay" };
    let nologin = if rng.chance(8) { "touch" } else { "rm -f" };
    format!(
        "rm -rf /etc/ssh/revoked{}\nsed -i 's/pam_unix.so.*/pam_unix.so{unix}/' /etc/pam.d/common-auth\n{nologin} /etc/nologin\n",
        rng.pick(&revoked)
    )
}

/// What a kind of account may be tried with.
fn tries(field: &Field, user: &'static str, rng: &mut Rng) -> With {
    let (key, _) = &field.keys[user];
    let password = if user == "empty" { String::new() } else { PASSWORD.to_owned() };
    match rng.below(10) {
        0..=2 => With::Key(key.clone()),
        3..=4 => With::Password(password),
        5..=7 => With::Interactive(password),
        8 => With::KeyThenInteractive(key.clone(), password),
        _ => With::KeyThenPassword(key.clone(), password),
    }
}

fn random_logins(suite: &Suite, wanted: usize, seed: u64) -> (usize, usize, Vec<String>) {
    let field = Field::new(suite);
    let mut rng = Rng::new(seed);
    let (mut done, mut inside, mut configs, mut differ) = (0, 0, 0, Vec::new());
    while done < wanted {
        let config = generate(&mut rng, field.version);
        field.host.shell(&surroundings(&mut rng)).unwrap();
        if !field.configure(&config) {
            continue;
        }
        configs += 1;
        let survey = field.look();
        for _ in 0..12 {
            let (user, _) = KINDS[rng.below(KINDS.len())];
            let source = if rng.chance(50) { PRIVATE_CLIENT } else { PUBLIC_CLIENT };
            let with = tries(&field, user, &mut rng);
            match field.compare(&survey, user, source, &with, &config) {
                Ok(outcome) => inside += usize::from(outcome.authenticated),
                Err(difference) => differ.push(difference),
            }
            done += 1;
        }
        if differ.len() > 20 {
            break;
        }
    }
    println!("{suite}: {done} logins under {configs} configurations, {inside} let in, seed {seed}");
    (done, inside, differ)
}

#[test]
fn every_login_is_predicted() {
    let seed = std::env::var("HOSTWARD_SEED").map_or(SEED, |seed| seed.parse().unwrap());
    let suites = ["bullseye", "bookworm", "trixie", "sid"].map(|name| Suite::find(name).unwrap());
    let wanted = Tier::current().pick(75, 750);
    std::thread::scope(|scope| {
        for (suite, seed) in suites.iter().zip(seed..) {
            scope.spawn(move || {
                let (done, inside, differ) = random_logins(suite, wanted, seed);
                assert!(differ.is_empty(), "{} of {done} differ (seed {seed}):\n{}", differ.len(), differ.join("\n\n"));
                assert!(inside * 8 > done, "{suite}: only {inside} of {done} got in: the sample says little");
                results::tested(TEST, suite.name(), format!("{done} logins, {inside} let in, all as predicted"));
            });
        }
    });
}

/// One line of `Case`: the account, the source, what it holds, and whether it really gets in, with what.
type Attempt<'a> = (&'static str, &'a str, fn(&Field, &'static str) -> With, Option<Grant>);

fn key(field: &Field, user: &'static str) -> With {
    With::Key(field.keys[user].0.clone())
}

fn password(_: &Field, user: &'static str) -> With {
    With::Password(if user == "empty" { String::new() } else { PASSWORD.to_owned() })
}

fn interactive(_: &Field, user: &'static str) -> With {
    With::Interactive(if user == "empty" { String::new() } else { PASSWORD.to_owned() })
}

fn both(field: &Field, user: &'static str) -> With {
    With::KeyThenPassword(field.keys[user].0.clone(), PASSWORD.to_owned())
}

const SHELL: Option<Grant> = Some(Grant::Shell);
const FORWARD: Option<Grant> = Some(Grant::Forward);
const NOTHING: Option<Grant> = Some(Grant::Nothing);

impl Field {
    /// Predicts, logs in, and checks both against what is known to happen.
    fn expect(&self, config: &str, attempts: &[Attempt<'_>]) {
        assert!(self.configure(config), "{}: sshd refuses\n{config}", self.suite);
        let survey = self.look();
        for (user, source, with, want) in attempts {
            let with = with(self, user);
            let outcome =
                self.compare(&survey, user, source, &with, config).unwrap_or_else(|difference| panic!("{difference}"));
            assert_eq!(
                outcome.authenticated,
                want.is_some(),
                "{} {user} {with:?}\n{config}\n{}",
                self.suite,
                outcome.log
            );
            assert_eq!(outcome.shell, *want == SHELL, "{} {user} {with:?}\n{config}\n{}", self.suite, outcome.log);
        }
    }
}

fn on(names: &[&str], work: impl Fn(&Field)) {
    for name in names {
        work(&Field::new(&Suite::find(name).unwrap()));
    }
}

const PRIV: &str = PRIVATE_CLIENT;
const PUB: &str = PUBLIC_CLIENT;

#[test]
fn openssh_18_permit_root_login_is_about_uid_0_by_any_name() {
    on(&["bookworm"], |field| {
        field.expect(
            "UsePAM yes\nPermitRootLogin no\n",
            &[("toor", PRIV, key, None), ("toor", PRIV, password, None), ("root", PUB, key, None)],
        );
        field.expect(
            "UsePAM yes\nPermitRootLogin prohibit-password\n",
            &[
                ("toor", PRIV, key, SHELL),
                ("toor", PRIV, password, None),
                ("root", PRIV, interactive, None),
                ("root", PRIV, key, SHELL),
            ],
        );
        field.expect(
            "UsePAM yes\nPermitRootLogin forced-commands-only\nForceCommand id\n",
            &[("root", PRIV, key, None)],
        );
        field.expect(
            "UsePAM yes\nPermitRootLogin prohibit-password\nAuthenticationMethods publickey,password\n",
            &[("root", PRIV, both, None), ("plain", PRIV, both, SHELL)],
        );
        field.expect(
            "UsePAM yes\nPermitRootLogin yes\n",
            &[("exits", PRIV, key, FORWARD), ("restricted", PRIV, key, NOTHING)],
        );
    });
}

#[test]
fn openssh_19_keyboard_interactive_takes_passwords_too() {
    on(&["bullseye", "bookworm"], |field| {
        let pam = "UsePAM yes\nPasswordAuthentication no\n";
        let on = if field.version < (8, 7) {
            "ChallengeResponseAuthentication yes\n"
        } else {
            "KbdInteractiveAuthentication yes\n"
        };
        field.expect(&format!("{pam}{on}"), &[("plain", PRIV, interactive, SHELL), ("plain", PRIV, password, None)]);
        field.expect("UsePAM no\nPasswordAuthentication no\n", &[("plain", PRIV, interactive, None)]);
        // Before 8.7 ChallengeResponseAuthentication is asked too, and without it nobody is answered.
        field.expect(
            &format!("{pam}KbdInteractiveAuthentication yes\nChallengeResponseAuthentication no\n"),
            &[("plain", PRIV, interactive, if field.version < (8, 7) { None } else { SHELL })],
        );
        // It also turns keyboard-interactive on again.
        let kbd = field.version < (8, 7);
        field.expect(
            &format!("{pam}KbdInteractiveAuthentication no\n"),
            &[("plain", PRIV, interactive, if kbd { SHELL } else { None })],
        );
    });
}

#[test]
fn openssh_20_authentication_methods() {
    on(&["bookworm"], |field| {
        field.expect(
            "UsePAM yes\nAuthenticationMethods publickey\n",
            &[("plain", PRIV, password, None), ("plain", PRIV, key, SHELL)],
        );
        field.expect(
            "UsePAM yes\nAuthenticationMethods publickey,password\n",
            &[("two", PRIV, key, None), ("two", PRIV, password, None), ("two", PRIV, both, SHELL)],
        );
        field.expect(
            "UsePAM yes\nPubkeyAuthentication no\nMatch User two\nAuthenticationMethods publickey\n",
            &[("two", PRIV, password, None), ("plain", PRIV, password, SHELL)],
        );
    });
}

/// Of lists that hold at the same time each is walked in its own order, and no key counts twice.
#[test]
fn openssh_20_lists_are_walked_in_their_order() {
    on(&["bullseye", "bookworm"], |field| {
        field.expect(
            "UsePAM yes\nChallengeResponseAuthentication yes\n\
             AuthenticationMethods keyboard-interactive,publickey publickey,password\n",
            &[
                ("two", PRIV, both, SHELL),
                (
                    "two",
                    PRIV,
                    |field, user| With::KeyThenInteractive(field.keys[user].0.clone(), PASSWORD.to_owned()),
                    SHELL,
                ),
                ("two", PRIV, key, None),
                ("two", PRIV, interactive, None),
            ],
        );
    });
}

#[test]
fn openssh_21_empty_passwords() {
    on(&["bookworm"], |field| {
        field.expect("UsePAM no\nPermitEmptyPasswords yes\n", &[("empty", PRIV, password, SHELL)]);
        field.expect("UsePAM no\nPermitEmptyPasswords no\n", &[("empty", PRIV, password, None)]);
        field.expect("UsePAM yes\nPermitEmptyPasswords yes\n", &[("empty", PRIV, interactive, SHELL)]);
        field.expect(
            "UsePAM yes\nPermitEmptyPasswords yes\nPasswordAuthentication no\n",
            &[("empty", PRIV, password, None)],
        );
        // With a list that does not name the method none it has to come by password: as the second answer.
        for pam in ["yes", "no"] {
            field.expect(
                &format!("UsePAM {pam}\nPermitEmptyPasswords yes\nAuthenticationMethods password publickey\n"),
                &[("empty", PRIV, password, SHELL), ("plain", PRIV, password, SHELL)],
            );
        }
        field.host.shell("sed -i 's/ nullok//' /etc/pam.d/common-auth").unwrap();
        field.expect(
            "UsePAM yes\nPermitEmptyPasswords yes\n",
            &[("empty", PRIV, password, None), ("empty", PRIV, key, SHELL)],
        );
    });
}

/// What sshd's own try of the empty password does to the answer that comes after it.
#[test]
fn openssh_21_keyboard_interactive_is_cut_off_after_the_empty_try() {
    let suites = Suite::all(TEST).unwrap();
    std::thread::scope(|scope| {
        for half in suites.chunks(suites.len().div_ceil(2)) {
            scope.spawn(move || half.iter().for_each(|suite| cut_off(&Field::new(suite))));
        }
    });
}

fn cut_off(field: &Field) {
    // 10.2 begins PAM anew for keyboard-interactive.
    let (shell, forward) = if field.version == (10, 2) { (SHELL, FORWARD) } else { (None, None) };
    let empty = "UsePAM yes\nChallengeResponseAuthentication yes\nPermitRootLogin yes\nPermitEmptyPasswords yes\n";
    field.expect(
        empty,
        &[
            ("plain", PRIV, interactive, shell),
            ("root", PRIV, interactive, shell),
            ("toor", PUB, interactive, shell),
            ("nologin", PRIV, interactive, forward),
            ("plain", PRIV, password, SHELL),
            ("root", PRIV, password, SHELL),
            ("plain", PRIV, key, SHELL),
            ("locked", PRIV, key, SHELL),
            // Let in by the first try itself.
            ("empty", PRIV, interactive, SHELL),
        ],
    );
    // Nothing is tried where passwords are off, or a list of methods begins otherwise.
    for line in [
        "PasswordAuthentication no",
        "AuthenticationMethods keyboard-interactive",
        "Match User plain\nPermitEmptyPasswords no",
    ] {
        field.expect(&format!("{empty}{line}\n"), &[("plain", PRIV, interactive, SHELL)]);
    }
    field.expect(&format!("{empty}AuthenticationMethods any\n"), &[("plain", PRIV, interactive, shell)]);
    // Where PAM takes no empty password, the first try fails for everybody.
    field.host.shell("sed -i 's/ nullok//' /etc/pam.d/common-auth").unwrap();
    field.expect(empty, &[("plain", PRIV, interactive, shell), ("empty", PRIV, interactive, None)]);
    let what = if shell.is_some() { "let in" } else { "cut off" };
    results::tested(TEST, field.suite, format!("keyboard-interactive after sshd's empty try: {what}, as predicted"));
}

#[test]
fn openssh_22_locks_and_expiry() {
    on(&["bookworm", "sid"], |field| {
        field.expect(
            "UsePAM no\n",
            &[
                ("locked", PRIV, key, None),
                ("starred", PRIV, key, SHELL),
                ("expired", PRIV, key, None),
                ("locked", PRIV, password, None),
            ],
        );
        field.expect(
            "UsePAM yes\n",
            &[
                ("locked", PRIV, key, SHELL),
                ("starred", PRIV, key, SHELL),
                ("expired", PRIV, key, None),
                ("expired", PRIV, password, None),
                ("locked", PRIV, password, None),
            ],
        );
        field.host.shell("chage -M 1 -I 1 -d 2020-01-01 plain").unwrap();
        field.expect("UsePAM yes\n", &[("plain", PRIV, password, None), ("plain", PRIV, key, None)]);
        field.host.shell("chage -M 99999 -I -1 -d 2020-01-01 plain; touch /etc/nologin").unwrap();
        field.expect("UsePAM yes\n", &[("plain", PRIV, key, None)]);
        // Without PAM sshd itself looks, when the session begins: the tunnel stays open.
        field.expect("UsePAM no\nPermitRootLogin yes\n", &[("plain", PRIV, key, FORWARD), ("root", PRIV, key, SHELL)]);
    });
}

#[test]
fn openssh_22_pam_access_in_the_account_stack() {
    on(&["bookworm"], |field| {
        let stack = "sed -i '/pam_nologin/a account required pam_access.so' /etc/pam.d/sshd";
        field
            .host
            .shell(&format!("{stack}; printf '+:plain:172.31.0.0/24\\n-:plain two:ALL\\n' >/etc/security/access.conf"))
            .unwrap();
        field.expect(
            "UsePAM yes\n",
            &[
                ("plain", PRIV, key, SHELL),
                ("plain", PUB, key, None),
                ("plain", PUB, password, None),
                ("two", PRIV, interactive, None),
                ("locked", PUB, key, SHELL),
            ],
        );
        field.expect("UsePAM no\n", &[("plain", PUB, key, SHELL)]);
    });
}

#[test]
fn openssh_23_shells_and_sessions() {
    on(&["bookworm"], |field| {
        field.expect(
            "UsePAM yes\n",
            &[
                ("noshell", PRIV, key, None),
                ("noshell", PRIV, password, None),
                ("nologin", PRIV, key, FORWARD),
                ("nologin", PRIV, password, FORWARD),
            ],
        );
        field.expect("UsePAM yes\nDisableForwarding yes\n", &[("nologin", PRIV, key, NOTHING)]);
        // Unix sockets go the way of TCP: AllowTcpForwarding no closes them, whatever their own setting says.
        let bus = || field.client.reaches_the_bus("nologin", PRIV, &key(field, "nologin")).unwrap();
        for (tcp, streams, grant, reached) in
            [("yes", "yes", FORWARD, true), ("yes", "no", FORWARD, false), ("no", "yes", NOTHING, false)]
        {
            let config = format!("UsePAM yes\nAllowTcpForwarding {tcp}\nAllowStreamLocalForwarding {streams}\n");
            field.expect(&config, &[("nologin", PRIV, key, grant)]);
            assert_eq!(bus(), reached, "{config}");
        }
        field.expect("UsePAM yes\nMaxSessions 0\n", &[("plain", PRIV, key, FORWARD)]);
        field.expect("UsePAM yes\nMaxSessions 0\nDisableForwarding yes\n", &[("plain", PRIV, key, NOTHING)]);
        field.host.shell("sed -i '/hash/!s/$//' /etc/shells; sed -i '/sh$/d' /etc/shells").unwrap();
        field.expect("UsePAM yes\n", &[("plain", PRIV, key, SHELL)]);
    });
}

#[test]
fn openssh_24_allow_and_deny() {
    on(&["bookworm"], |field| {
        field.expect("UsePAM yes\nAllowGroups staff2\n", &[("plain", PRIV, key, SHELL), ("locked", PRIV, key, None)]);
        field.expect("UsePAM yes\nAllowGroups plain\n", &[("plain", PRIV, key, SHELL)]);
        field.expect(
            "UsePAM yes\nAllowUsers plain@172.31.0.0/24\n",
            &[("plain", PRIV, key, SHELL), ("plain", PUB, key, None)],
        );
        field.expect(
            "UsePAM yes\nAllowUsers plain\nDenyUsers plain@203.0.113.*\n",
            &[("plain", PRIV, key, SHELL), ("plain", PUB, key, None)],
        );
        field.expect("UsePAM yes\nAllowUsers plain\nDenyGroups staff2\n", &[("plain", PRIV, key, None)]);
    });
}

#[test]
fn openssh_25_key_files_are_opened_as_the_user() {
    on(&["bookworm"], |field| {
        let strict = "UsePAM yes\n";
        field.expect(
            strict,
            &[("rootfile", PRIV, key, None), ("fromkey", PRIV, key, SHELL), ("fromkey", PUB, key, None)],
        );
        field.expect("UsePAM yes\nStrictModes no\n", &[("rootfile", PRIV, key, None)]);
        field.expect("UsePAM yes\nAuthorizedKeysFile none\n", &[("plain", PRIV, key, None)]);
        let (_, line) = &field.keys["plain"];
        field.host.shell(&format!(
            "mkdir -p /etc/ssh/keys; chmod 755 /etc/ssh/keys; printf 'command=\"exit 5\" %s\\n%s\\n' '{line}' '{line}' >/etc/ssh/keys/plain"
        )).unwrap();
        field.expect(
            "UsePAM yes\nAuthorizedKeysFile /etc/ssh/keys/%u .ssh/authorized_keys\n",
            &[("plain", PRIV, key, FORWARD)],
        );
        field.expect(
            "UsePAM yes\nAuthorizedKeysFile %h/.ssh/authorized_keys /etc/ssh/keys/%u\n",
            &[("plain", PRIV, key, SHELL)],
        );
        field.host.shell(&format!("printf 'from=\"10.0.0.1\" %s\\nexpiry-time=\"20200101\" %s\\nrestrict,command=\"exit 5\" %s\\n' '{line}' '{line}' '{line}' >/etc/ssh/keys/plain")).unwrap();
        field.expect("UsePAM yes\nAuthorizedKeysFile /etc/ssh/keys/%u\n", &[("plain", PRIV, key, NOTHING)]);
    });
}

#[test]
fn openssh_26_strict_modes() {
    let mut suites = vec!["bookworm"];
    match Suite::find("jammy") {
        Ok(_) => suites.push("jammy"),
        Err(_) => results::skipped(TEST, "jammy", "NOT TESTED: there is no root file system of it"),
    }
    on(&suites, |field| {
        field.expect(
            "UsePAM yes\n",
            &[
                ("loose", PRIV, key, None),
                ("private", PRIV, key, SHELL),
                ("devs", PRIV, key, None),
                ("linked", PRIV, key, None),
                ("plain", PRIV, key, SHELL),
            ],
        );
        field.expect(
            "UsePAM yes\nStrictModes no\n",
            &[("loose", PRIV, key, SHELL), ("devs", PRIV, key, SHELL), ("linked", PRIV, key, SHELL)],
        );
        field.host.shell("usermod -aG private plain").unwrap();
        field.expect("UsePAM yes\n", &[("private", PRIV, key, None)]);
    });
}

#[test]
fn openssh_27_revoked_keys() {
    on(&["bookworm"], |field| {
        let config = "UsePAM yes\nRevokedKeys /etc/ssh/revoked\n";
        field.expect(config, &[("plain", PRIV, key, None), ("two", PRIV, key, None), ("plain", PRIV, password, SHELL)]);
        field.host.shell("ssh-keygen -q -k -f /etc/ssh/revoked ~plain/.ssh/authorized_keys").unwrap();
        field.expect(config, &[("plain", PRIV, key, None), ("two", PRIV, key, SHELL)]);
        field.host.shell("cp ~two/.ssh/authorized_keys /etc/ssh/revoked").unwrap();
        field.expect(config, &[("plain", PRIV, key, SHELL), ("two", PRIV, key, None)]);
        field.host.shell("truncate -s 20 /etc/ssh/revoked; printf 'SSHKRL\\n\\0rubbish' >/etc/ssh/revoked").unwrap();
        field.expect(config, &[("plain", PRIV, key, None)]);
    });
}

#[test]
fn openssh_28_keys_that_sshd_refuses() {
    on(&["bookworm", "bullseye"], |field| {
        field.expect("UsePAM yes\n", &[("short", PRIV, key, SHELL)]);
        if field.version >= (9, 1) {
            field.expect(
                "UsePAM yes\nRequiredRSASize 2048\n",
                &[("short", PRIV, key, None), ("plain", PRIV, key, SHELL)],
            );
        }
        let word = if field.version >= (8, 5) { "PubkeyAcceptedAlgorithms" } else { "PubkeyAcceptedKeyTypes" };
        field.expect(
            &format!("UsePAM yes\n{word} rsa-sha2-512\n"),
            &[("plain", PRIV, key, None), ("short", PRIV, key, SHELL)],
        );
        field.expect(
            &format!("UsePAM yes\n{word} -rsa*,ssh-rsa*\n"),
            &[("short", PRIV, key, None), ("plain", PRIV, key, SHELL)],
        );
    });
}

#[test]
fn openssh_29_refused_connections_and_forced_commands() {
    on(&["trixie"], |field| {
        field.expect(
            "UsePAM yes\nMatch Address 203.0.113.0/24\nRefuseConnection yes\n",
            &[("plain", PUB, key, None), ("plain", PRIV, key, SHELL)],
        );
        field.expect(
            "UsePAM yes\nForceCommand internal-sftp\n",
            &[("nologin", PRIV, key, Some(Grant::Sftp)), ("exits", PRIV, key, Some(Grant::Sftp))],
        );
        field.expect("UsePAM yes\nForceCommand echo no; exit 1\n", &[("plain", PRIV, key, FORWARD)]);
        field.expect("UsePAM yes\nPermitTTY no\n", &[("plain", PRIV, key, SHELL)]);
    });
}

#[test]
fn openssh_30_socket_activation() {
    if Suite::find("noble").is_err() {
        return results::skipped("logins openssh_30", "noble", "NOT TESTED: there is no root file system of it");
    }
    on(&["noble"], |field| {
        assert!(field.host.shell("systemctl is-active ssh.socket || true").unwrap().contains("active"));
        field.host.shell("systemctl stop ssh.service").unwrap();
        let with = key(field, "plain");
        let outcome = field
            .compare(&field.look(), "plain", PRIV, &with, "as shipped")
            .unwrap_or_else(|difference| panic!("{difference}"));
        assert!(outcome.shell, "{}", outcome.log);
    });
}

#[test]
fn openssh_31_penalties_are_not_ours() {
    on(&["trixie"], |field| {
        // Many failures from one source, then a right login: the tests' own settings keep it open.
        for _ in 0..12 {
            field.expect("UsePAM yes\nAllowUsers plain\n", &[("two", PRIV, key, None)]);
        }
        field.expect("UsePAM yes\n", &[("two", PRIV, key, SHELL)]);
    });
}
