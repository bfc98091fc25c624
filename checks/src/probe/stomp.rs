//! ActiveMQ by STOMP: CONNECT without a login. Nothing is subscribed to and nothing sent.

use super::{Heard, Step, stranger};
use crate::observation::service::Answer;

pub(super) const CONNECT: &[u8] = b"CONNECT\naccept-version:1.0,1.1,1.2\nhost:localhost\nheart-beat:0,0\n\n\0";
pub(super) const DISCONNECT: &[u8] = b"DISCONNECT\n\n\0";

pub(super) fn hear(heard: &Heard<'_>) -> Step {
    let (connected, error) = (&b"CONNECTED"[..], &b"ERROR"[..]);
    let text = heard.bytes.trim_ascii_start();
    let word = text.split(|byte| *byte == b'\n').next().unwrap_or_default().trim_ascii_end();
    let whole = text.contains(&b'\n');
    match word {
        word if word == connected && whole => Step::Done(Answer::Open(None)),
        word if word == error && whole => Step::Done(Answer::Closed),
        word if !whole && (connected.starts_with(word) || error.starts_with(word)) => Step::More,
        _ => stranger(heard.bytes),
    }
}
