//! Keys to test with: real ones from ssh-keygen, and synthetic ones of every kind and odd encoding.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use num_bigint::BigUint;

use crate::rng::Rng;

/// Runs ssh-keygen and returns what it prints.
///
/// # Errors
/// It fails; the message holds its standard error.
pub fn ssh_keygen(arguments: &[&str]) -> Result<String> {
    let output = Command::new("ssh-keygen").args(arguments).output().context("failed to run ssh-keygen")?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "ssh-keygen {}: {}", arguments.join(" "), error.trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Makes `count` key pairs of a type in `directory`; the lines of their public halves.
///
/// # Errors
/// ssh-keygen fails.
pub fn real(directory: &Path, kind: &str, bits: u32, count: usize) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for number in 0..count {
        let path = directory.join(format!("{kind}-{bits}-{number}"));
        let path = path.to_str().context("odd path")?;
        ssh_keygen(&["-q", "-t", kind, "-b", &bits.to_string(), "-N", "", "-C", "a comment", "-f", path])?;
        lines.push(fs::read_to_string(format!("{path}.pub"))?.trim_end().to_owned());
    }
    Ok(lines)
}

/// A string of SSH's wire format.
#[must_use]
pub fn string(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    [&length.to_be_bytes(), bytes].concat()
}

/// A line of a type name and a blob.
#[must_use]
pub fn line(name: &str, blob: &[u8]) -> String {
    format!("{name} {}", STANDARD.encode(blob))
}

/// A synthetic key line: the numbers are random, the encoding sometimes one that OpenSSH takes but does not write.
pub fn synthetic(rng: &mut Rng) -> String {
    match rng.below(16) {
        0..6 => rsa(rng),
        6..7 => dsa(rng),
        7..10 => ecdsa(rng),
        10..14 => {
            let name = if rng.chance(3) { "ed25519" } else { "ssh-ed25519" };
            line("ssh-ed25519", &[string(name), string(random(rng, 32))].concat())
        }
        14 => {
            let name = "sk-ssh-ed25519@openssh.com";
            line(name, &[string(name), string(random(rng, 32)), string("ssh:")].concat())
        }
        _ => {
            let name = "sk-ecdsa-sha2-nistp256@openssh.com";
            let point = point(rng, &CURVES[0]);
            line(name, &[string(name), string("nistp256"), string(point), string("ssh:laptop")].concat())
        }
    }
}

/// A plain key line as OpenSSH writes it, of the kinds that hosts have: RSA of 2048 and 3072 bits and Ed25519.
pub fn usual(rng: &mut Rng) -> String {
    if rng.chance(50) {
        return line("ssh-ed25519", &[string("ssh-ed25519"), string(random(rng, 32))].concat());
    }
    let bytes = if rng.chance(50) { 256 } else { 384 };
    let mut modulus = random(rng, bytes);
    set_ends(&mut modulus);
    modulus.insert(0, 0);
    line("ssh-rsa", &[string("ssh-rsa"), string([1, 0, 1]), string(modulus)].concat())
}

fn rsa(rng: &mut Rng) -> String {
    let bytes = 128 + rng.below(400);
    let mut modulus = random(rng, bytes);
    set_ends(&mut modulus);
    let zeros = if rng.chance(10) { 1 + rng.below(3) } else { 1 };
    let modulus = [vec![0; zeros], modulus].concat();
    let exponent: &[u8] = rng.pick(&[&[1, 0, 1][..], &[35], &[3], &[0, 0xb5, 7], &[0, 1, 0, 1]]);
    let (outer, inner) = *rng.pick(&[&("ssh-rsa", "ssh-rsa"), &("rsa-sha2-512", "ssh-rsa"), &("ssh-rsa", "RSA")]);
    line(outer, &[string(inner), string(exponent), string(modulus)].concat())
}

fn dsa(rng: &mut Rng) -> String {
    let mut blob = string("ssh-dss");
    for bytes in [128, 20, 128, 128] {
        let mut number = random(rng, bytes);
        set_ends(&mut number);
        number.insert(0, 0);
        blob.extend(string(number));
    }
    line("ssh-dss", &blob)
}

fn ecdsa(rng: &mut Rng) -> String {
    let curve = rng.pick(&CURVES.each_ref());
    let name = format!("ecdsa-sha2-{}", curve.name);
    line(&name, &[string(&name), string(curve.name), string(point(rng, curve))].concat())
}

/// A curve y² = x³ − 3x + b over a field whose prime is 3 modulo 4.
struct Curve {
    name: &'static str,
    bytes: usize,
    prime: &'static str,
    constant: &'static str,
}

const CURVES: [Curve; 3] = [
    Curve {
        name: "nistp256",
        bytes: 32,
        prime: "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff",
        constant: "5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b",
    },
    Curve {
        name: "nistp384",
        bytes: 48,
        prime: "fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffeffffffff0000000000000000ffffffff",
        constant: "b3312fa7e23ee7e4988e056be3f82d19181d9c6efe8141120314088f5013875ac656398d8a2ed19d2a85c8edd3ec2aef",
    },
    Curve {
        name: "nistp521",
        bytes: 66,
        prime: concat!(
            "01ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
            "ffffffffffffffffffffffffffffffffffffffff"
        ),
        constant: concat!(
            "0051953eb9618e1c9a1f929a21a0b68540eea2da725b99b315f3b8b489918ef109e156193951ec7e937b1652c0bd",
            "3bb1bf073573df883d2c34f1ef451fd46b503f00"
        ),
    },
];

/// A random point of the curve, uncompressed: an x whose right side has a root.
fn point(rng: &mut Rng, curve: &Curve) -> Vec<u8> {
    let number = |hex: &str| BigUint::parse_bytes(hex.as_bytes(), 16).unwrap_or_default();
    let (prime, constant) = (number(curve.prime), number(curve.constant));
    loop {
        let x = BigUint::from_bytes_be(&random(rng, curve.bytes)) % &prime;
        let right = ((&x * &x % &prime) * &x + &constant + (&prime - &x) * 3u8) % &prime;
        let y = right.modpow(&((&prime + 1u8) >> 2u8), &prime);
        if &y * &y % &prime == right {
            let padded = |n: &BigUint| {
                let bytes = n.to_bytes_be();
                [vec![0; curve.bytes - bytes.len()], bytes].concat()
            };
            return [vec![4], padded(&x), padded(&y)].concat();
        }
    }
}

fn random(rng: &mut Rng, bytes: usize) -> Vec<u8> {
    (0..bytes).map(|_| rng.bits().to_le_bytes()[0]).collect()
}

/// Sets the top and the lowest bit: full length, odd.
fn set_ends(number: &mut [u8]) {
    if let Some(first) = number.first_mut() {
        *first |= 0x80;
    }
    if let Some(last) = number.last_mut() {
        *last |= 1;
    }
}
