//! MySQL and MariaDB: a login as `root` with an empty password, carried through, because a handshake that is broken off counts against
//! our address (`max_connect_errors`). It is an attempt to log in: it comes once in a server's life where it was refused.

use super::wire::{c_string, part};
use super::{Heard, NO_REASON, Step, stranger, unclear};
use crate::observation::service::Answer;

/// COM_QUIT
pub(super) const QUIT: &[u8] = b"\x01\0\0\0\x01";

/// CLIENT_LONG_PASSWORD, CLIENT_PROTOCOL_41, CLIENT_SECURE_CONNECTION, CLIENT_PLUGIN_AUTH
const CAPABILITIES: u32 = 0x0008_8201;
const OK: u8 = 0;
const SWITCH: u8 = 0xfe;
const ERROR: u8 = 0xff;
const VERSION: u8 = 10;

/// The first packet, once it is whole, and the number that ours has to have.
fn packet(bytes: &[u8]) -> Option<(&[u8], u8)> {
    let [a, b, c, number] = part(bytes, 0)?;
    let length = u32::from_le_bytes([a, b, c, 0]) as usize;
    Some((bytes.get(4..)?.get(..length)?, number.wrapping_add(1)))
}

fn say(number: u8, body: &[u8]) -> Step {
    let [a, b, c, _] = u32::try_from(body.len()).unwrap_or_default().to_le_bytes();
    Step::Say([&[a, b, c, number], body].concat())
}

pub(super) fn hear(heard: &Heard<'_>) -> Step {
    let bytes = heard.bytes;
    let Some((body, number)) = packet(bytes) else {
        // A greeting is short: what claims to be longer is none.
        let long = bytes.get(1..3).is_some_and(|length| length.iter().any(|byte| *byte > 7));
        return if long { stranger(bytes) } else { Step::More };
    };
    match (heard.turn, body.first()) {
        (_, Some(&ERROR)) => refused(body),
        (0, Some(&VERSION)) => say(number, &login()),
        (1.., Some(&OK)) => Step::Done(Answer::Open(None)),
        (1, Some(&SWITCH)) => {
            let plugin = body.get(1..).and_then(c_string).map(|(name, _)| name);
            let zero = matches!(plugin, Some(b"caching_sha2_password" | b"sha256_password"));
            say(number, if zero { &[0] } else { &[] })
        }
        (1.., Some(&(SWITCH | 1))) => Step::Done(Answer::Closed),
        _ => stranger(bytes),
    }
}

fn login() -> Vec<u8> {
    let mut body = CAPABILITIES.to_le_bytes().to_vec();
    body.extend((1_u32 << 24).to_le_bytes());
    // utf8mb4_general_ci, and 23 bytes that are kept for later.
    body.push(45);
    body.resize(32, 0);
    body.extend(b"root\0\0mysql_native_password\0");
    body
}

fn refused(body: &[u8]) -> Step {
    match part(body, 1).map(u16::from_le_bytes) {
        // Access denied; this host may not connect; the account is locked.
        Some(1045 | 1698 | 1130 | 3118 | 4151) => Step::Done(Answer::Closed),
        // It could not even be tried whether the password is empty.
        Some(1251 | 1835 | 3159) => unclear("it wants a connection of another kind"),
        Some(1129) => unclear("it has blocked this host"),
        Some(1040 | 1203) => unclear("it has too many clients"),
        _ => unclear(NO_REASON),
    }
}
