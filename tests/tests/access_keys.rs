//! AccessKeys: every real one is found, what only looks like one is not, and nothing of them leaves but four characters and two.

#![cfg(test)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use hostward_checks::access_keys::{Form, scan};
use hostward_checks::parse::access_key::Holds;
use hostward_tests::access_key_corpus::{Lookalike, Sample, lookalikes, samples};
use hostward_tests::host::Host;
use hostward_tests::resident::Resident;
use hostward_tests::results;
use hostward_tests::scan;
use hostward_tests::suite::{Suite, run_directory};
use hostward_tests::tier::Tier;

const SEED: u64 = 0x1f2e_3d4c;

fn form(path: &str) -> Form {
    match path {
        _ if path.contains("/user-data") => Form::UserData,
        _ if path.starts_with("/etc/systemd/") => Form::Unit,
        _ => Form::Text,
    }
}

#[test]
fn every_real_key_is_found_as_what_it_is() {
    let all = samples(SEED, Tier::current().pick(300, 30_000));
    let mut syntaxes: BTreeMap<&str, usize> = BTreeMap::new();
    let mut missed = Vec::new();
    for Sample { syntax, path, text, id, holds, .. } in &all {
        let keys = scan(form(path), text.as_bytes()).keys;
        let found: Vec<(&str, Holds)> = keys.iter().map(|key| (key.shown.as_str(), key.holds)).collect();
        let shown = format!("{}****{}", &id[..4], &id[id.len() - 2..]);
        if found != [(shown.as_str(), *holds)] {
            missed.push(format!("{syntax}: wanted {shown} {holds:?}, found {found:?} in\n{text}"));
        }
        *syntaxes.entry(*syntax).or_default() += 1;
    }
    let figures = format!("{} of {} found, in {} syntaxes", all.len() - missed.len(), all.len(), syntaxes.len());
    assert!(missed.is_empty(), "{figures}:\n{}", missed.join("\n"));
    results::tested("AccessKeys, real", "corpus", figures);
}

#[test]
fn what_only_looks_like_a_key_is_none() {
    let all = lookalikes(SEED, Tier::current().pick(600, 60_000));
    let wrong: Vec<&Lookalike> =
        all.iter().filter(|one| !scan(Form::Text, one.text.as_bytes()).keys.is_empty()).collect();
    let figures = format!("{} of {} taken for keys", wrong.len(), all.len());
    assert!(wrong.len() * 100 <= all.len(), "{figures}: {wrong:?}");
    results::tested("AccessKeys, lookalikes", "corpus", figures);
}

/// Every file of a host in every format that a scan has.
#[test]
fn nothing_but_the_mask_leaves_in_any_format() {
    let image = run_directory("access-keys").unwrap();
    let mut passwd = String::from("root:x:0:0::/root:/bin/sh\n");
    let all = samples(SEED + 1, 140);
    for (index, sample) in all.iter().enumerate() {
        passwd += &format!("u{index}:x:{0}:{0}::/home/u{index}:/bin/sh\n", 1000 + index);
        write(image.path(), &sample.path, &sample.text);
    }
    // A name may hold a key, too.
    let named = format!("/srv/src/{}.txt", all[0].id);
    write(image.path(), &named, &all[0].text);
    write(image.path(), "/etc/passwd", &passwd);
    let policy = image.path().join("policy.toml");
    fs::write(&policy, "[credentials]\npaths = [\"/srv/src\"]\n").unwrap();
    let make = |only: bool| {
        let mut command = scan::offline(image.path()).unwrap();
        command.arg("--policy").arg(&policy);
        if only {
            command.args(["--only", "credentials.access-key"]);
        }
        command
    };
    let report = scan::json(make(true)).unwrap();
    let findings: Vec<String> = report
        .checks()
        .flat_map(|check| check["findings"].as_array().unwrap())
        .map(|finding| finding["subject"].as_str().unwrap().to_owned())
        .collect();
    for sample in &all {
        let subject = format!("file:{}:{}****{}", sample.path, &sample.id[..4], &sample.id[sample.id.len() - 2..]);
        assert!(findings.contains(&subject), "{subject} is missing: {}", sample.syntax);
    }
    assert_eq!(findings.len(), all.len() + 1);
    let kept = image.path().join("report");
    let formats: [&[&str]; 5] = [
        &["--format", "text", "--lang", "en"],
        &["--format", "text", "--lang", "zh"],
        &["--format", "json"],
        &["--format", "json-summary"],
        &["--format", "json", "--output", kept.to_str().unwrap()],
    ];
    let mut bytes = 0;
    for only in [true, false] {
        for format in formats {
            let output = make(only).args(format).output().unwrap();
            assert!(matches!(output.status.code(), Some(0..=2)), "{}", String::from_utf8_lossy(&output.stderr));
            let mut told = [output.stdout, output.stderr].concat();
            told.extend(fs::read(&kept).unwrap_or_default());
            bytes += told.len();
            silent(&String::from_utf8_lossy(&told), &all);
        }
    }
    results::tested(
        "AccessKeys, masks",
        "every format",
        format!("{} keys, {bytes} bytes without a piece of one", all.len()),
    );
}

/// A host with keys in files, in a name and in an environment, a resident in its sandbox, and all that is left of them.
#[test]
fn what_a_resident_keeps_and_tells_has_no_piece_of_a_key() {
    const CHECK: &str = "credentials.access-key";
    // Packed user data is read as such where cloud-init keeps it alone.
    let all: Vec<Sample> = samples(SEED + 2, 60).into_iter().filter(|one| form(&one.path) != Form::UserData).collect();
    let without = "[checks]\nexclude = [\"credentials.access-key\"]\n";
    let with = "[credentials]\npaths = [\"/srv/keys\"]\n";
    let unit = include_str!("../../systemd/hostward.service").replace("/usr/bin/hostward", "/usr/local/bin/hostward");
    let suite = Suite::find("bookworm").unwrap();
    let host = Host::of(&suite)
        .bind(&hostward_tests::binary().unwrap(), "/usr/local/bin/hostward")
        .file("/etc/hostward/policy.toml", without, 0o644)
        .file("/etc/systemd/system/hostward.service", unit, 0o644)
        .boot()
        .unwrap();
    let pss = |host: &Host| -> u64 {
        let script = "systemctl start hostward; until [ -s /var/lib/hostward/known.json ]; do sleep 0.1; done; sleep 1
             awk '/^Pss:/ { print $2 }' /proc/$(systemctl show -P MainPID hostward)/smaps_rollup; systemctl stop hostward";
        host.shell(script).unwrap().trim().parse().unwrap()
    };
    let before = pss(&host);
    for (index, sample) in all.iter().enumerate() {
        // A name may hold a key, too.
        let name =
            if index % 3 == 0 { format!("/srv/keys/fixtures/{}", sample.id) } else { format!("/srv/keys/{index}") };
        host.shell(&format!("mkdir -p /srv/keys/fixtures; cat >'{name}' <<'THE-END'\n{}\nTHE-END", sample.text))
            .unwrap();
    }
    let pair = all.iter().find(|sample| sample.holds == Holds::Pair).unwrap();
    let secret = pair.secret.as_deref().unwrap();
    let resident = Resident { host };
    let plant = format!(
        "cat >/etc/hostward/policy.toml <<'END'\n{with}\nEND
         systemd-run -q --unit=app -E ALIBABA_CLOUD_ACCESS_KEY_ID={} -E ALIBABA_CLOUD_ACCESS_KEY_SECRET={secret} sh -c 'sleep 99999; true'
         rm /var/lib/hostward/known.json",
        pair.id
    );
    resident.host.shell(&plant).unwrap();
    let after = pss(&resident.host);
    let tells = format!(
        "systemctl start hostward; n=0; until grep -q {CHECK} /var/log/hostward/events.jsonl && hostward status >/dev/null
         do n=$((n + 1)); [ $n -lt 300 ]; sleep 0.2; done"
    );
    resident.host.shell(&tells).unwrap();
    let ask =
        "hostward scan --exit-zero --format text; hostward scan --exit-zero --format json --only credentials.access-key
         hostward fix || true; hostward fix --json || true; hostward status --json; hostward history || true
         systemctl kill -s HUP hostward; sleep 2; hostward status";
    let told = resident.host.shell(&format!("({ask}) 2>&1")).unwrap();
    let open = resident.open().unwrap().into_values().filter(|check| check == CHECK).count();
    let subject = format!("environment:app.service:{}****{}", &pair.id[..4], &pair.id[pair.id.len() - 2..]);
    assert!(told.contains(&subject), "{subject}: {told}");
    let shown = |sample: &Sample| format!(":{}****{}", &sample.id[..4], &sample.id[sample.id.len() - 2..]);
    let missing: Vec<&str> = all.iter().filter(|one| !told.contains(&shown(one))).map(|one| one.syntax).collect();
    assert_eq!(missing, [""; 0]);
    let kept = "cat /var/log/hostward/events.jsonl /var/lib/hostward/known.json /var/lib/hostward/report.json >/dev/null
         find /var/lib/hostward /var/log/hostward /run/hostward -print; find /var/lib/hostward /var/log/hostward /run/hostward -type f -exec cat {} +
         journalctl -q --no-pager -o export SYSLOG_IDENTIFIER=hostward; journalctl -q --no-pager -o export -u hostward -u 'hostward-*'";
    let kept = resident.host.shell(kept).unwrap();
    assert!(kept.contains(&subject) && kept.matches("LTAI****").count() + kept.matches("STS.****").count() > all.len());
    silent(&told, &all);
    silent(&kept, &all);
    results::tested(
        "AccessKeys, masks",
        "resident",
        format!(
            "{} keys, {open} open findings, {} bytes told and kept without a piece of one; PSS {before} KiB without the search, {after} KiB with it",
            all.len() + 1,
            told.len() + kept.len()
        ),
    );
}

/// No six characters of a key in a row, beyond what stands before each.
fn silent(told: &str, all: &[Sample]) {
    let told: std::collections::HashSet<&[u8]> = told.as_bytes().windows(6).collect();
    for sample in all {
        let secret = sample.secret.as_deref().unwrap_or_default().as_bytes();
        let piece = sample.id.as_bytes().windows(6).chain(secret.windows(6)).find(|piece| told.contains(piece));
        assert!(piece.is_none(), "{}: {:?}", sample.syntax, piece.map(String::from_utf8_lossy));
    }
}

fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path.trim_start_matches('/'));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    // Keys of one place lie in one file.
    let before = fs::read_to_string(&path).unwrap_or_default();
    fs::write(path, before + text).unwrap();
}
