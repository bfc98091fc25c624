//! Password checks per core beside the system's libxcrypt, in one run: CPU time for one guess, medians as ratios.
//!
//! `cargo bench -p hostward-tests --bench passwords [-- NAME...]`, with `--target x86_64-unknown-linux-musl` for the shipped binary.
#![expect(clippy::expect_used, clippy::print_stdout, reason = "a bench talks to a person")]

use std::process::Command;

use hostward_checks::crypt::{Hash, Limits, Verifier, Workspace};
use nix::sys::resource::{UsageWho, getrusage};

const ORACLE: &str = include_str!("../tests/passwords/oracle.py");

/// Runs of each, alternating.
const RUNS: usize = 7;

/// CPU seconds of a run.
const SECONDS: f64 = 0.5;

/// Name, setting, and a digest that no guess has.
const METHODS: &[(&str, &str, usize)] = &[
    ("$6$", "$6$abcdefghijklmnop", 86),
    ("$5$", "$5$abcdefghijklmnop", 43),
    ("$1$", "$1$abcdefgh", 22),
    ("DES", "ab", 11),
    ("$2b$05$", "$2b$05$abcdefghijklmnopqrstuu", 31),
    ("$y$j9T$", "$y$j9T$abcdefghijklmnopqrst1/", 43),
    ("$gy$j9T$", "$gy$j9T$abcdefghijklmnopqrst1/", 43),
    ("$7$CU", "$7$CU..../....abcdefghijklmnop", 43),
    ("$sha1$", "$sha1$24680$abcdefgh", 28),
];

fn main() {
    println!("method      libxcrypt us   hostward us   rate (floor: $6$ 1.0, $y$ 0.85)");
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    for (name, setting, digest) in METHODS {
        if !wanted.is_empty() && !wanted.iter().any(|part| name.contains(part.as_str())) {
            continue;
        }
        let separator = if setting.starts_with("$2") || !setting.starts_with('$') { "" } else { "$" };
        let verifier = verifier(&format!("{setting}{separator}{}", "a".repeat(*digest)));
        let (mut theirs, mut ours) = (Vec::new(), Vec::new());
        for _ in 0..RUNS {
            theirs.push(libxcrypt(setting));
            ours.push(hostward(&verifier));
        }
        let (theirs, ours) = (median(theirs), median(ours));
        println!("{name:10} {theirs:13.1} {ours:13.1}   {:.2}", theirs / ours);
    }
}

fn verifier(hash: &str) -> Verifier {
    let known = match Hash::parse(hash.as_bytes()) {
        Hash::Known(known) => Some(known),
        _ => None,
    };
    known.expect(hash).verifier(&Limits::default()).expect(hash)
}

fn libxcrypt(setting: &str) -> f64 {
    let output = Command::new("python3")
        .args(["-c", ORACLE, "rate", setting, &SECONDS.to_string()])
        .output()
        .expect("python3 is needed to ask crypt(3)");
    String::from_utf8_lossy(&output.stdout).trim().parse().expect("microseconds")
}

fn hostward(verifier: &Verifier) -> f64 {
    let mut workspace = Workspace::default();
    let words: Vec<String> = (0..16).map(|i| format!("abcdefg{}", i % 10)).collect();
    let words: Vec<&[u8]> = words.iter().map(String::as_bytes).collect();
    let found = verifier.first_match(&words, &mut workspace).expect("memory");
    assert_eq!(found, None);
    let start = used();
    let mut made = 0.0;
    while used() - start < SECONDS {
        assert_eq!(verifier.first_match(&words, &mut workspace).expect("memory"), None);
        made += words.len() as f64;
    }
    (used() - start) * 1e6 / made
}

fn used() -> f64 {
    let usage = getrusage(UsageWho::RUSAGE_THREAD).expect("rusage");
    [usage.user_time(), usage.system_time()].iter().map(|time| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6).sum()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().expect("not empty")
}
