//! ZooKeeper: the command `srvr`. Its data is not asked for: that takes a session, which the ensemble would write down.

use super::wire::line;
use super::{Heard, Step, stranger, unclear};
use crate::observation::service::Answer;

pub(super) const QUESTION: &[u8] = b"srvr";

pub(super) fn hear(heard: &Heard<'_>) -> Step {
    const TELLS: &[u8] = b"Zookeeper version: ";
    const REFUSES: &[u8] = b"srvr is not executed because it is not in the whitelist";
    let bytes = heard.bytes;
    if let Some(rest) = bytes.strip_prefix(TELLS) {
        return line(rest).map_or(Step::More, |rest| {
            let version = rest.split(|byte| *byte == b',').next().and_then(Answer::version);
            Step::Done(Answer::Tells(version))
        });
    }
    if bytes.starts_with(REFUSES) {
        return unclear("it takes no commands; whether its data wants a login is not told without a session");
    }
    if bytes.starts_with(b"This ZooKeeper instance is not currently serving requests") {
        return Step::Done(Answer::Tells(None));
    }
    let begins = |text: &[u8]| bytes.len() < text.len() && text.starts_with(bytes);
    if begins(TELLS) || begins(REFUSES) { Step::More } else { stranger(bytes) }
}
