//! Who was asked when, and what came of it: a file for root alone. It holds no answer, only what the answer means.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use hostward_checks::catalogue::ports::unauthenticated::{Question, holder};
use hostward_checks::check::path_text;
use hostward_checks::fact::Why;
use hostward_checks::observation::UnixSeconds;
use hostward_checks::observation::service::{Answer, Asked};
use hostward_checks::observation::socket::Protocol;
use serde::{Deserialize, Serialize};

use super::account;
use crate::sanitize::brief;

/// The version of the file.
const SCHEMA: &str = "hostward.asked/1";
/// The file is never so long, in bytes.
const MOST: u64 = 1 << 20;
/// As many listeners are remembered.
const MANY: usize = 512;
/// And of one account but root, so that none fills it.
const OF_ONE: usize = 64;
/// A path or a reason is written down so far, in characters: all of them together leave the file below its limit.
const WORDS: usize = 100;
/// A listener is asked again after this, in seconds, and not before, whoever listens there.
const DAY: i64 = 86_400;
/// A service that refused a login is tried again after this, in seconds, unless it was started anew: some lock an account after a few
/// failures, and forget them only when a login succeeds or they start again.
const REFUSED: i64 = 30 * DAY;
/// The time of a process's start is the clock's less the time since: when the clock is put right, it moves by so many seconds.
const SLACK: i64 = 60;

/// The file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    schema: String,
    /// Nobody is asked before: it is not known who was.
    not_before: UnixSeconds,
    asked: Vec<Entry>,
}

/// One listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    tcp: bool,
    address: IpAddr,
    port: u16,
    /// Whose: see [`account`].
    #[serde(default)]
    account: u32,
    life: Life,
    at: UnixSeconds,
    /// With TLS where the port lets expect none, or the other way round.
    otherwise: bool,
    meaning: Meaning,
}

/// One life of a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Life {
    pid: i32,
    executable: String,
    started: UnixSeconds,
}

/// An [`Answer`] as it is written down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Meaning {
    /// Asked, and no more is known: whoever asked did not live to write it down.
    Lost,
    Open(Option<String>),
    Tells(Option<String>),
    Closed,
    Other,
    Unclear(String),
}

/// What is remembered.
#[derive(Debug)]
pub(super) struct Memory {
    path: PathBuf,
    kept: Kept,
    written: Option<Kept>,
}

/// How it stands with a question.
#[derive(Debug)]
pub(super) enum Stand<'m> {
    /// It is to be asked.
    Due,
    /// It was, and this holds.
    Known(&'m Entry),
    /// Another life of the service was asked within the day.
    Restarted(&'m Entry),
    /// It is not to be asked now.
    Not(&'static str),
}

impl Life {
    fn of(question: &Question<'_>) -> Self {
        let owner = holder(question.listener);
        let path = owner.and_then(|owner| owner.executable.known());
        Self {
            pid: owner.map_or(0, |owner| owner.pid),
            executable: path.map_or_else(String::new, |path| brief(&path_text(path), WORDS)),
            started: owner.and_then(|owner| owner.started).unwrap_or(0),
        }
    }

    fn is(&self, other: &Self) -> bool {
        let same = (self.pid, &self.executable) == (other.pid, &other.executable);
        same && self.started.abs_diff(other.started) <= SLACK.unsigned_abs()
    }
}

impl Entry {
    fn is_of(&self, question: &Question<'_>) -> bool {
        let listener = question.listener;
        (self.tcp, self.address, self.port) == (listener.protocol == Protocol::Tcp, listener.address, listener.port)
    }
}

impl Memory {
    /// What the file has. One that is broken could have held anybody: then nobody is asked for a day.
    pub(super) fn open(path: &Path, now: UnixSeconds) -> Self {
        let fresh = |not_before| Kept { schema: SCHEMA.to_owned(), not_before, asked: Vec::new() };
        let read = crate::files::read_private(path, MOST);
        let (written, mut kept) = match read {
            Ok(None) => (None, fresh(0)),
            Ok(Some(bytes)) => match serde_json::from_slice::<Kept>(&bytes).ok().filter(|kept| kept.schema == SCHEMA) {
                Some(kept) => (Some(kept.clone()), kept),
                None => (None, fresh(now + DAY)),
            },
            Err(_) => (None, fresh(now + DAY)),
        };
        // What is dated ahead, because the clock was, ages from now on.
        kept.not_before = kept.not_before.min(now + DAY);
        kept.asked.iter_mut().for_each(|entry| entry.at = entry.at.min(now));
        kept.asked.retain(|entry| now - entry.at <= REFUSED);
        Self { path: path.to_path_buf(), kept, written }
    }

    /// Forgets who was not asked for a day and listens no more.
    pub(super) fn forget(&mut self, listening: &[Question<'_>], now: UnixSeconds) {
        self.kept.asked.retain(|entry| now - entry.at < DAY || listening.iter().any(|question| entry.is_of(question)));
    }

    fn is_full_of(&self, account: u32) -> bool {
        account != 0 && self.kept.asked.iter().filter(|entry| entry.account == account).count() >= OF_ONE
    }

    fn entry(&self, question: &Question<'_>) -> Option<&Entry> {
        self.kept.asked.iter().find(|entry| entry.is_of(question))
    }

    /// When a listener was asked last.
    pub(super) fn last(&self, question: &Question<'_>) -> Option<UnixSeconds> {
        self.entry(question).map(|entry| entry.at)
    }

    /// Whether TLS was found where the port lets expect none.
    pub(super) fn is_otherwise(&self, question: &Question<'_>) -> bool {
        self.entry(question).is_some_and(|entry| entry.otherwise)
    }

    /// How it stands with a question.
    pub(super) fn stand(&self, question: &Question<'_>, now: UnixSeconds) -> Stand<'_> {
        let Some(entry) = self.entry(question) else {
            return match () {
                () if now < self.kept.not_before => {
                    Stand::Not("who was asked today could not be read: nobody is asked for a day")
                }
                () if self.kept.asked.len() >= MANY => Stand::Not("too many services were asked"),
                () if self.is_full_of(account(question.listener)) => {
                    Stand::Not("too many services of its account were asked")
                }
                () => Stand::Due,
            };
        };
        let same = entry.life.is(&Life::of(question));
        let refused = question.probe.login.is_some() && entry.meaning == Meaning::Closed && same;
        match now - entry.at {
            age if age < if refused { REFUSED } else { DAY } => {
                if same {
                    Stand::Known(entry)
                } else {
                    Stand::Restarted(entry)
                }
            }
            _ if now < self.kept.not_before => {
                Stand::Not("who was asked today could not be read: nobody is asked for a day")
            }
            _ => Stand::Due,
        }
    }

    /// Notes that these are asked now. What was there before is given back.
    pub(super) fn begin<'q>(
        &mut self,
        questions: impl Iterator<Item = &'q Question<'q>>,
        now: UnixSeconds,
    ) -> Vec<Entry> {
        let before = self.kept.asked.clone();
        for question in questions {
            let listener = question.listener;
            let entry = Entry {
                tcp: listener.protocol == Protocol::Tcp,
                address: listener.address,
                port: listener.port,
                account: account(listener),
                life: Life::of(question),
                at: now,
                otherwise: self.is_otherwise(question),
                meaning: Meaning::Lost,
            };
            self.kept.asked.retain(|entry| !entry.is_of(question));
            self.kept.asked.push(entry);
        }
        before
    }

    /// A service was not asked after all.
    pub(super) fn restore(&mut self, question: &Question<'_>, before: &[Entry]) {
        self.kept.asked.retain(|entry| !entry.is_of(question));
        self.kept.asked.extend(before.iter().find(|entry| entry.is_of(question)).cloned());
    }

    /// What a service answered; `otherwise`: it is to be asked with TLS the next time where it was asked without, or the other way round.
    pub(super) fn learn(&mut self, question: &Question<'_>, answer: Answer, otherwise: bool) {
        if let Some(entry) = self.kept.asked.iter_mut().find(|entry| entry.is_of(question)) {
            entry.otherwise ^= otherwise;
            entry.meaning = match answer {
                Answer::Open(version) => Meaning::Open(version),
                Answer::Tells(version) => Meaning::Tells(version),
                Answer::Closed => Meaning::Closed,
                Answer::Other => Meaning::Other,
                Answer::Unclear(why) => Meaning::Unclear(brief(&why.to_string(), WORDS)),
            };
        }
    }

    /// What is known of a question's service.
    pub(super) fn told(&self, question: &Question<'_>, now: UnixSeconds) -> Asked {
        let listener = question.listener;
        let (at, answer) = match self.stand(question, now) {
            Stand::Known(entry) => (Some(entry.at), entry.meaning.answer()),
            Stand::Restarted(entry) => {
                let why = "it was started anew after it was asked today, and is asked a day after that";
                (Some(entry.at), Answer::Unclear(Why::NotAsked(why)))
            }
            Stand::Due => (None, Answer::Unclear(Why::NotAsked("there was no time left to ask it"))),
            Stand::Not(why) => (None, Answer::Unclear(Why::NotAsked(why))),
        };
        Asked { protocol: listener.protocol, address: listener.address, port: listener.port, at, answer }
    }

    /// Writes it down, where it changed.
    pub(super) fn save(&mut self) -> anyhow::Result<()> {
        if self.written.as_ref() != Some(&self.kept) {
            crate::files::replace(&self.path, &serde_json::to_vec(&self.kept)?)?;
            self.written = Some(self.kept.clone());
        }
        Ok(())
    }
}

impl Meaning {
    fn answer(&self) -> Answer {
        match self {
            Self::Lost => Answer::Unclear(Why::Failed("what it answered was not written down".to_owned())),
            Self::Open(version) => Answer::Open(version.clone()),
            Self::Tells(version) => Answer::Tells(version.clone()),
            Self::Closed => Answer::Closed,
            Self::Other => Answer::Other,
            Self::Unclear(why) => Answer::Unclear(Why::Failed(why.clone())),
        }
    }
}
