//! Password hashes against the system's own crypt(3): the right word is found, a wrong one never.
#![expect(clippy::expect_used, reason = "helpers of tests may fail loudly")]

use std::collections::BTreeMap;
use std::process::Command;

use hostward_checks::crypt::{Hash, Limits, Verifier, Workspace};

/// Hashes of each method.
const SAMPLES: u32 = 200;

const ORACLE: &str = include_str!("passwords/oracle.py");

fn oracle(arguments: &[&str]) -> String {
    let output = Command::new("python3")
        .args(["-c", ORACLE])
        .args(arguments)
        .output()
        .expect("python3 is needed to ask crypt(3)");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the oracle needs libcrypt.so.1: {complaint}");
    String::from_utf8(output.stdout).expect("ASCII")
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).expect("hex")).collect()
}

fn verifier(hash: &str) -> Option<Verifier> {
    let Hash::Known(known) = Hash::parse(hash.as_bytes()) else {
        return None;
    };
    known.verifier(&Limits::default()).ok()
}

#[test]
fn every_hash_of_the_system_is_verified_and_a_wrong_word_never() {
    let corpus = oracle(&[&SAMPLES.to_string(), "20261121"]);
    let mut workspace = Workspace::default();
    let mut seen: BTreeMap<&str, u32> = BTreeMap::new();
    let mut failures: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for line in corpus.lines() {
        let [method, hash, password, wrong] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{line}");
        };
        *seen.entry(method).or_default() += 1;
        let Some(verifier) = verifier(hash) else {
            failures.entry(method).or_default().push(format!("{hash}: not verified"));
            continue;
        };
        let password = unhex(password);
        if !verifier.matches(&password, &mut workspace).expect("memory") {
            failures.entry(method).or_default().push(format!("{hash}: {password:?} not found"));
        }
        let wrong = unhex(wrong);
        if verifier.matches(&wrong, &mut workspace).expect("memory") {
            failures.entry(method).or_default().push(format!("{hash}: {wrong:?} taken for {password:?}"));
        }
    }
    for (method, count) in &seen {
        assert!(*count >= SAMPLES, "only {count} hashes of {method}");
    }
    assert!(seen.len() >= 17, "{seen:?}");
    let report: Vec<String> = failures
        .iter()
        .map(|(method, lines)| format!("{method}: {} wrong, such as {}", lines.len(), lines[0]))
        .collect();
    assert!(failures.is_empty(), "{}", report.join("\n"));
}

#[test]
fn what_the_system_refuses_nobody_can_log_in_with() {
    let mut workspace = Workspace::default();
    let (mut fitting, mut refused) = (0, 0);
    let mut wrong = Vec::new();
    for line in oracle(&["refusals"]).lines() {
        let (hash, verdict) = line.split_once('\t').expect("two columns");
        let hash = unhex(hash);
        let ours = match Hash::parse(&hash) {
            Hash::Known(known) => known
                .verifier(&Limits::default())
                .is_ok_and(|v| v.matches(b"correct horse", &mut workspace).expect("memory")),
            Hash::Empty | Hash::Locked | Hash::Unusable | Hash::Unrecognised => false,
        };
        match verdict {
            "fits" => fitting += 1,
            _ => refused += 1,
        }
        if ours != (verdict == "fits") {
            wrong.push(format!("{:?}: ours {ours}, system {verdict}", String::from_utf8_lossy(&hash)));
        }
    }
    assert!(fitting > 500 && refused > 1500, "{fitting} fitting, {refused} refused");
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), fitting + refused, wrong.join("\n"));
}
