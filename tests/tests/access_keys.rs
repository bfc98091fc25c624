//! AccessKeys: every real one is found, what only looks like one is not, and nothing of them leaves but four characters and two.

#![cfg(test)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use hostward_checks::access_keys::{Form, scan};
use hostward_checks::parse::access_key::Holds;
use hostward_tests::access_key_corpus::{Lookalike, Sample, lookalikes, samples};
use hostward_tests::results;
use hostward_tests::scan;
use hostward_tests::suite::run_directory;
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
