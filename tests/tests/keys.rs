//! Keys against the real programs: fingerprints and refusals of `ssh-keygen`, options of a real `sshd`.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hostward_checks::parse::authorized_keys::{self, KeyLine, Refused};
use hostward_checks::parse::private_key::{self, KeyFormat};
use hostward_checks::weak_key;
use hostward_tests::keys::{real, ssh_keygen, synthetic};
use hostward_tests::results;
use hostward_tests::rng::Rng;
use hostward_tests::suite::Suite;
use hostward_tests::tier::Tier;
use tempfile::TempDir;

/// What `ssh-keygen -l` prints of a line: bits, fingerprint, type.
fn shown(key: &KeyLine, md5: bool) -> (u32, String, String) {
    let fingerprint = if md5 { key.key.md5() } else { key.key.fingerprint().to_string() };
    (key.key.bits(), fingerprint, key.key.short_name())
}

fn ask(file: &Path, md5: bool) -> Result<Vec<(u32, String, String)>> {
    let hash = if md5 { "md5" } else { "sha256" };
    let text = ssh_keygen(&["-l", "-E", hash, "-f", file.to_str().context("odd path")?])?;
    let line = |line: &str| {
        let mut words = line.split(' ');
        let bits = words.next()?.parse().ok()?;
        let fingerprint = words.next()?.to_owned();
        Some((bits, fingerprint, words.next_back()?.trim_matches(['(', ')']).to_owned()))
    };
    text.lines().map(|text| line(text).with_context(|| format!("odd answer: {text}"))).collect()
}

/// Key pairs of every type that ssh-keygen makes without a token, and certificates of them.
fn real_keys(directory: &Path) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for (kind, bits, count) in [
        ("ed25519", 256, 60),
        ("ecdsa", 256, 40),
        ("ecdsa", 384, 40),
        ("ecdsa", 521, 40),
        ("rsa", 1024, 20),
        ("rsa", 2048, 12),
        ("rsa", 3072, 4),
        ("rsa", 4096, 1),
        ("dsa", 1024, 6),
    ] {
        lines.extend(real(directory, kind, bits, count)?);
    }
    let authority = directory.join("ed25519-256-0");
    for kind in ["ed25519-256", "ecdsa-256", "ecdsa-384", "ecdsa-521", "rsa-1024", "rsa-2048", "dsa-1024"] {
        for number in 1..=5 {
            let public = directory.join(format!("{kind}-{number}.pub"));
            let (authority, public) = (authority.to_str().context("odd path")?, public.to_str().context("odd path")?);
            ssh_keygen(&["-q", "-s", authority, "-I", "id", "-n", "alice,bob", "-z", "7", "-V", "+1w", public])?;
            lines.push(fs::read_to_string(public.replace(".pub", "-cert.pub"))?.trim_end().to_owned());
        }
    }
    Ok(lines)
}

#[test]
fn fingerprints_equal_those_of_ssh_keygen() -> Result<()> {
    let directory = TempDir::new()?;
    let mut lines = real_keys(directory.path())?;
    let of_programs = lines.len();
    let mut rng = Rng::new(20_260_101);
    while lines.len() < 10_000 {
        lines.push(synthetic(&mut rng));
    }
    let file = directory.path().join("all");
    fs::write(&file, lines.join("\n"))?;
    let (keys, defects) = authorized_keys::parse(&fs::read(&file)?);
    assert_eq!(defects, [], "lines without a key");
    for md5 in [false, true] {
        let theirs = ask(&file, md5)?;
        assert_eq!(keys.len(), theirs.len());
        for (key, theirs) in keys.iter().zip(&theirs) {
            assert_eq!(shown(key, md5), *theirs, "{}", lines[key.line as usize - 1]);
        }
    }
    let figures = format!("{} keys, {of_programs} of them made by ssh-keygen: all equal, SHA256 and MD5", keys.len());
    results::tested("key fingerprints", "ssh-keygen", figures);
    Ok(())
}

/// One thing done to a key line that may or may not keep it a key.
fn damage(line: &str, rng: &mut Rng) -> Vec<u8> {
    let (name, encoded) = line.split_once(' ').unwrap_or((line, ""));
    let encoded = encoded.split(' ').next().unwrap_or_default();
    let mut blob = STANDARD.decode(encoded).unwrap_or_default();
    let at = rng.below(blob.len().max(1));
    let rebuilt = |name: &str, blob: &[u8]| format!("{name} {} c", STANDARD.encode(blob)).into_bytes();
    let names =
        ["ssh-rsa", "SSH-RSA", "ssh-ed25519", "ecdsa-sha2-nistp256", "rsa-sha2-256", "ssh-dss", "ecdsa-sha2-nistp521"];
    match rng.below(12) {
        0 => {
            blob.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << rng.below(8));
            rebuilt(name, &blob)
        }
        1 => rebuilt(name, blob.get(..at).unwrap_or_default()),
        2 => rebuilt(name, &[&blob[..], &[0]].concat()),
        3 => rebuilt(rng.pick(&names), &blob),
        4 => format!("{name} {} c", encoded.trim_end_matches('=')).into_bytes(),
        5 => format!("{name} {encoded}= c").into_bytes(),
        6..9 => {
            // Something inside the base64.
            let (head, tail) = encoded.split_at(rng.below(encoded.len()));
            let insert = rng.pick(&["\r", "\x0b", "\x0c", "-", "=", "\u{a0}", "\t", "\0"]);
            format!("{name} {head}{insert}{tail} c").into_bytes()
        }
        9 => format!("{name}\t{encoded}\r").into_bytes(),
        10 => format!("{} {encoded} c", name.to_uppercase()).into_bytes(),
        _ => format!("\u{feff}{name} {encoded} c").into_bytes(),
    }
}

#[test]
fn what_ssh_keygen_refuses_is_refused() -> Result<()> {
    let directory = TempDir::new()?;
    let file = directory.path().join("line");
    let mut rng = Rng::new(7);
    let (mut taken, mut refused) = (0, 0);
    for _ in 0..Tier::current().pick(600, 6000) {
        let line = damage(&synthetic(&mut rng), &mut rng);
        fs::write(&file, &line)?;
        let theirs = ask(&file, false).ok().and_then(|found| found.into_iter().next());
        // ssh-keygen takes the first word for a host name, too, where sshd sees bad options.
        let ours = authorized_keys::parse(&line).0.into_iter().find(|key| key.refused != Some(Refused::TooShort));
        assert_eq!(ours.map(|key| shown(&key, false)), theirs, "{}", String::from_utf8_lossy(&line));
        if theirs.is_some() { taken += 1 } else { refused += 1 }
    }
    ensure!(taken > 50 && refused > 50, "{taken} taken, {refused} refused: not a fair sample");
    results::tested("damaged key lines", "ssh-keygen", format!("{taken} taken, {refused} refused: all as ssh-keygen"));
    Ok(())
}

#[test]
fn private_keys_as_they_are_written() -> Result<()> {
    let directory = TempDir::new()?;
    let mut seen = 0;
    for (kind, bits) in [("ed25519", "256"), ("ecdsa", "256"), ("ecdsa", "521"), ("rsa", "2048"), ("dsa", "1024")] {
        for (format, want) in
            [("RFC4716", KeyFormat::OpenSsh), ("PEM", KeyFormat::Traditional), ("PKCS8", KeyFormat::Pkcs8)]
        {
            for passphrase in ["", "secret"] {
                // ssh-keygen writes Ed25519 in its own format whatever it is asked for.
                let want = if kind == "ed25519" { KeyFormat::OpenSsh } else { want };
                let path = directory.path().join(format!("{kind}-{bits}-{format}-{passphrase}"));
                let text = path.to_str().context("odd path")?;
                ssh_keygen(&["-q", "-t", kind, "-b", bits, "-m", format, "-N", passphrase, "-f", text])?;
                let key = private_key::find(&fs::read(&path)?).with_context(|| format!("{text} is not recognised"))?;
                assert_eq!((key.format, key.encrypted), (want, !passphrase.is_empty()), "{text}");
                // PKCS#8 holds no public half of a DSA key.
                let without = kind == "dsa" && want == KeyFormat::Pkcs8;
                let in_the_open = want == KeyFormat::OpenSsh || (passphrase.is_empty() && !without);
                let theirs = ask(&path.with_extension("pub"), false)?.remove(0).1;
                let ours = key.public.map(|key| key.fingerprint().to_string());
                assert_eq!(ours, in_the_open.then_some(theirs), "{text}");
                seen += 1;
            }
        }
    }
    results::tested("private keys", "ssh-keygen", format!("{seen} files of 5 types in 3 formats"));
    Ok(())
}

#[test]
fn keys_that_ssh_keygen_makes_are_sound() -> Result<()> {
    let directory = TempDir::new()?;
    for line in real(directory.path(), "rsa", 2048, Tier::current().pick(10, 200))? {
        let (keys, _) = authorized_keys::parse(line.as_bytes());
        assert_eq!(weak_key::weaknesses(&keys[0].key, 2048, &weak_key::Blocklist::new()), [], "{line}");
    }
    Ok(())
}

/// Key lines around `{key}`, from the manual's options and everything that is nearly one of them.
fn option_lines(rng: &mut Rng, count: usize) -> Vec<String> {
    let mut lines: Vec<String> = [
        "{key}",
        "{key} comment",
        "  \t{key}",
        "{key}\r",
        "\u{feff}{key}",
        "# {key}",
        "no-pty {key}",
        "no-pty,{key}",
        "no-pty, {key}",
        ",no-pty {key}",
        ",, {key}",
        "no-pty  \t {key}",
        "no-pty {key} \"open",
        "command=\"true {key}",
        "\"{key}\"",
        "ssh-ed25519 {key}",
        "rubbish\n{key}",
        "\n\n{key}",
        "rubbish {key}",
        "restrict {key}",
        "RESTRICT,Pty {key}",
        "restrict,pty,user-rc {key}",
        "no-restrict {key}",
        "no-cert-authority {key}",
        "cert-authority {key}",
        "principals=\"root\" {key}",
        "cert-authority,principals=\"root\" {key}",
        "command=\"true\" {key}",
        "command=\"echo \\\"a b\\\"\" {key}",
        "command=true {key}",
        "command=\"true\",command=\"true\" {key}",
        "command=\"\" {key}",
        "expiry-time=\"20380101\" {key}",
        "expiry-time=\"20380101Z\" {key}",
        "expiry-time=\"20380101utc\" {key}",
        "expiry-time=\"203801011200\" {key}",
        "expiry-time=\"20380101120061\" {key}",
        "expiry-time=\"20380101120062\" {key}",
        "expiry-time=\"20380231\" {key}",
        "expiry-time=\"2038 1 1\" {key}",
        "expiry-time=\"20010101\" {key}",
        "expiry-time=\"20380101\",expiry-time=\"20010101\" {key}",
        "expiry-time=\"2038-01-01\" {key}",
        "expiry-time=\"19700101\" {key}",
        "environment=\"A=b\" {key}",
        "environment=\"A\" {key}",
        "environment=\"A-B=c\" {key}",
        "environment=\"=c\" {key}",
        "permitopen=\"host:22\" {key}",
        "permitopen=\"host:*\" {key}",
        "permitopen=\"host\" {key}",
        "permitopen=\"[::1]:22\" {key}",
        "permitopen=\"::1:22\" {key}",
        "permitopen=\"host:0\" {key}",
        "permitopen=\"host:65536\" {key}",
        "permitopen=\"host/22\" {key}",
        "permitlisten=\"8080\" {key}",
        "permitlisten=\"localhost:8080\" {key}",
        "permitlisten=\"\" {key}",
        "tunnel=\"0\" {key}",
        "tunnel=\"any\" {key}",
        "tunnel=\"-1\" {key}",
        "tunnel=\"x\" {key}",
        "no-touch-required {key}",
        "verify-required {key}",
        "touch-required {key}",
        "agent-forwarding {key}",
        "no-agent-forwarding,no-port-forwarding,no-X11-forwarding,no-user-rc {key}",
        "pty1 {key}",
        "no-pty=\"yes\" {key}",
        "from=\"!127.0.0.1\" {key}",
        "{key}\0",
        "no-pty\0 {key}",
    ]
    .map(str::to_owned)
    .to_vec();
    let pieces = [
        "restrict",
        "pty",
        "no-pty",
        "No-Agent-Forwarding",
        "user-rc",
        "no-touch-required",
        "verify-required",
        "command=\"true\"",
        "command=true",
        "environment=\"A=b\"",
        "expiry-time=\"20380101\"",
        "expiry-time=\"2038\"",
        "permitopen=\"h:1\"",
        "permitlisten=\"1\"",
        "tunnel=\"1\"",
        "principals=\"root\"",
        "unknown",
        "\"",
        "\\\"",
        " ",
        "\t",
        "=",
        "",
        "command=\"a \\\" b\"",
    ];
    while lines.len() < count {
        let options: Vec<&str> = (0..1 + rng.below(4)).map(|_| rng.pick(&pieces)).collect();
        lines.push(format!("{} {{key}}", options.join(",")));
    }
    lines
}

/// Tries each line as the only authorized_keys file, with one real login each, over pipes: no network.
const LOGINS: &str = r#"
cd /t; ssh-keygen -q -t ed25519 -N '' -f hostkey; chmod 600 id
sed -i 's/^root:[^:]*:/root:*:/' /etc/shadow
{ echo "HostKey /t/hostkey"; echo "AuthorizedKeysFile /t/keys"; echo "StrictModes no"; echo "PermitRootLogin yes"; echo "UsePAM no"; } >config
number=0
while [ -f "case-$number" ]; do
  cp "case-$number" keys
  if ssh -v -F none -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o IdentitiesOnly=yes -i /t/id \
      -o ProxyCommand='/usr/sbin/sshd -i -f /t/config' root@test true 2>&1 </dev/null | grep -q 'Authenticated to\|Authentication succeeded'
  then echo yes; else echo no; fi
  number=$((number + 1))
done
"#;

#[test]
fn options_are_read_as_sshd_reads_them() -> Result<()> {
    let tier = Tier::current();
    let (suites, count) = (
        tier.pick(
            &["bionic", "bookworm", "sid"][..],
            &["bionic", "focal", "bullseye", "jammy", "bookworm", "noble", "trixie", "resolute", "sid"],
        ),
        tier.pick(110, 600),
    );
    for name in suites {
        let Ok(suite) = Suite::find(name) else {
            results::skipped("key options", name, "NOT TESTED: there is no root file system of it");
            continue;
        };
        let overlay = suite.overlay()?;
        overlay.prepare_sshd()?;
        let directory = TempDir::new()?;
        let key = real(directory.path(), "ed25519", 256, 1)?.remove(0);
        let key = key.trim_end_matches(" a comment");
        overlay.write("/t/id", fs::read(directory.path().join("ed25519-256-0"))?, 0o600)?;
        let lines = option_lines(&mut Rng::new(3), count);
        let files: Vec<String> = lines.iter().map(|line| line.replace("{key}", key)).collect();
        for (number, file) in files.iter().enumerate() {
            overlay.write(&format!("/t/case-{number}"), file, 0o600)?;
        }
        let version = overlay.shell("ssh -V 2>&1")?;
        let release = release(&version).with_context(|| format!("odd version: {version}"))?;
        let answers = overlay.shell(LOGINS)?;
        let theirs: Vec<bool> = answers.lines().map(|answer| answer == "yes").collect();
        assert_eq!(theirs.len(), files.len(), "{name}");
        let now = i64::try_from(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs())?;
        let mut differ = String::new();
        for ((line, file), theirs) in lines.iter().zip(&files).zip(&theirs) {
            let (keys, _) = authorized_keys::parse(file.as_bytes());
            let live = |key: &KeyLine| key.options().expiry.is_none_or(|expiry| expiry.passed(now) == Some(false));
            let ours = keys.iter().any(|key| key.opens_on(release) && live(key));
            if ours != *theirs {
                writeln!(differ, "{line:?}: sshd {theirs}, hostward {ours}")?;
            }
        }
        let accepted = theirs.iter().filter(|yes| **yes).count();
        ensure!(differ.is_empty(), "{name} ({release:?}):\n{differ}");
        ensure!(accepted > 20 && accepted < theirs.len() - 20, "{name}: {accepted} of {} accepted", theirs.len());
        results::tested("key options", name, format!("{} lines, {accepted} accepted: all as sshd", theirs.len()));
    }
    Ok(())
}

/// `OpenSSH_9.2p1 …` as major and minor number.
fn release(version: &str) -> Option<(u8, u8)> {
    let (major, rest) = version.trim().strip_prefix("OpenSSH_")?.split_once('.')?;
    let minor: String = rest.chars().take_while(char::is_ascii_digit).collect();
    Some((major.parse().ok()?, minor.parse().ok()?))
}
