//! Any bytes as sshd's RevokedKeys: a list of public keys, or a key revocation list.
#![no_main]

use hostward_checks::parse::revoked_keys::RevokedKeys;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let _ = RevokedKeys::parse(input);
    let list = [&b"SSHKRL\n\0"[..], input].concat();
    let _ = RevokedKeys::parse(&list);
});
