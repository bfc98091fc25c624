//! What services on this host answered to somebody without credentials: that they answered, never what they hold.

use std::net::IpAddr;

use super::UnixSeconds;
use super::socket::Protocol;
use crate::fact::Why;

/// A listener that was asked, or that was to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// TCP or UDP.
    pub protocol: Protocol,
    /// The listener's own address, unspecified ones too.
    pub address: IpAddr,
    /// Its port.
    pub port: u16,
    /// When it was asked. None: it was not.
    pub at: Option<UnixSeconds>,
    /// What came of it.
    pub answer: Answer,
}

/// What an answer means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It serves whoever comes. The version, where it told one: at most [`VERSION`] letters, digits, dots, hyphens and the like.
    Open(Option<String>),
    /// It tells its state to whoever comes; whether its data wants credentials could not be told without a trace.
    Tells(Option<String>),
    /// It wants credentials, or serves nobody who comes from here.
    Closed,
    /// It is another service than the port let expect.
    Other,
    /// It could not be told.
    Unclear(Why),
}

/// A version is never longer, in bytes.
pub const VERSION: usize = 40;

impl Answer {
    /// The version as a service told it, where it is one.
    pub fn version(told: &[u8]) -> Option<String> {
        let sane = |byte: &u8| byte.is_ascii_alphanumeric() || b".-+~_:".contains(byte);
        let text: String = told.iter().take_while(|byte| sane(byte)).map(|byte| char::from(*byte)).collect();
        // A name that the build left out, as in "3.8.0-${commit}".
        let text = text.trim_end_matches(|c: char| !c.is_ascii_alphanumeric()).to_owned();
        (text.bytes().any(|byte| byte.is_ascii_digit()) && text.len() <= VERSION).then_some(text)
    }
}
