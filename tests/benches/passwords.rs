//! Password checks per core of the static build beside the system's libxcrypt, in one run: CPU time for one guess, medians as
//! ratios.
//!
//! `cargo bench -p hostward-tests --bench passwords [-- NAME...]`; crypt(3) is asked in a process of its own, so that it is the
//! system's with the system's C library. Ends with 1 where a figure is missed.
#![expect(clippy::expect_used, clippy::print_stdout, reason = "a bench talks to a person")]

use std::process::{Command, ExitCode};

use hostward_checks::crypt::{Hash, Limits, Verifier, Workspace};
use hostward_tests::{results, static_build};
use nix::sys::resource::{UsageWho, getrusage};

const ORACLE: &str = include_str!("../tests/passwords/oracle.py");

/// Runs of each, alternating.
const RUNS: usize = 7;

/// CPU seconds of a run.
const SECONDS: f64 = 0.5;

/// Name, setting, the length of the digest, and the least rate against libxcrypt's.
const METHODS: &[(&str, &str, usize, Option<f64>)] = &[
    ("$6$", "$6$abcdefghijklmnop", 86, Some(1.0)),
    ("$5$", "$5$abcdefghijklmnop", 43, None),
    ("$1$", "$1$abcdefgh", 22, None),
    ("DES", "ab", 11, None),
    ("$2b$05$", "$2b$05$abcdefghijklmnopqrstuu", 31, None),
    ("$y$j9T$", "$y$j9T$abcdefghijklmnopqrst1/", 43, Some(0.85)),
    ("$gy$j9T$", "$gy$j9T$abcdefghijklmnopqrst1/", 43, None),
    ("$7$CU", "$7$CU..../....abcdefghijklmnop", 43, None),
    ("$sha1$", "$sha1$24680$abcdefgh", 28, None),
];

fn main() -> ExitCode {
    if let Some(code) = static_build::bench("passwords").expect("cargo") {
        return code;
    }
    println!("method      libxcrypt us   hostward us   rate");
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let (mut figures, mut missed) = (Vec::new(), false);
    for (name, setting, digest, floor) in METHODS {
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
        let rate = theirs / ours;
        let limit = floor.map(|floor| format!(" (at least {floor})")).unwrap_or_default();
        println!("{name:10} {theirs:13.1} {ours:13.1}   {rate:.2}{limit}");
        figures.push(format!("{name} {rate:.2} x{limit}"));
        missed |= floor.is_some_and(|floor| rate < floor);
    }
    results::tested("bench passwords", "libxcrypt", figures.join(", "));
    if missed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
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
