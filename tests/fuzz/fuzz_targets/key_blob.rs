//! Any bytes as a public key or certificate, and the weak-key mathematics on what is one.
#![no_main]

use hostward_checks::parse::key_blob::PublicKey;
use hostward_checks::weak_key::arithmetic;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    if let Ok(key) = PublicKey::decode(input) {
        assert_eq!(PublicKey::decode(key.blob()).map(|again| again.fingerprint().clone()), Ok(key.fingerprint().clone()));
        if let Some(numbers) = key.rsa() {
            let _ = arithmetic(numbers.modulus, numbers.exponent);
        }
    }
});
