//! What hostward rests on, and which of it is there: asked by trying it, with the code that uses it.
//!
//! The answers are made to be shown to strangers. They name no account, address, host, instance or key, nor what an
//! administrator has named: programs and units by their usual names alone, versions by their own words.

use hostward_checks::check::Lang;

use crate::config::{Configuration, Problem};
use crate::sanitize::brief;
use crate::survey::{Wanted, survey};

mod cloud;
mod kernel;
mod own;
mod sshd;
mod systemd;
mod tools;

/// Something that hostward rests on.
#[derive(Clone, Debug)]
pub struct Item {
    /// Its name, the same in every version.
    pub id: &'static str,
    /// Whether it is there.
    pub state: State,
    /// What is there.
    pub found: Words,
    /// What hostward does without it.
    pub without: Words,
}

/// Whether something is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// It does not concern this host.
    Idle,
    /// It is there.
    There,
    /// It could not be looked at.
    Unseen,
    /// It is not there, or not as it should be, and hostward works without.
    Missing,
    /// Without it hostward does not work.
    Fatal,
}

impl State {
    /// The word for it in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Idle => "not-applicable",
            Self::There => "there",
            Self::Unseen => "unseen",
            Self::Missing => "missing",
            Self::Fatal => "fatal",
        }
    }

    /// There, or missing.
    fn of(there: bool) -> Self {
        if there { Self::There } else { Self::Missing }
    }
}

/// Words in both languages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    en: String,
    zh: String,
}

impl Words {
    fn new(en: impl Into<String>, zh: impl Into<String>) -> Self {
        Self { en: en.into(), zh: zh.into() }
    }

    /// What is the same in both: names and numbers.
    fn plain(text: impl Into<String>) -> Self {
        let text = text.into();
        Self { en: text.clone(), zh: text }
    }

    /// In this language.
    pub fn text(&self, lang: Lang) -> &str {
        if lang == Lang::Zh { &self.zh } else { &self.en }
    }
}

/// Yes or no, in both languages.
fn works(works: bool) -> Words {
    if works { Words::new("works", "可用") } else { Words::new("missing", "没有") }
}

fn item(id: &'static str, state: State, found: Words, without: Words) -> Item {
    Item { id, state, found, without }
}

/// What hostward does where something is not needed here.
fn nothing() -> Words {
    Words::new("everything", "一切照常")
}

/// How a program or a release names itself: its first line, and not too much of it.
fn named(text: &str) -> String {
    brief(text.lines().next().unwrap_or_default().trim(), 60)
}

/// Everything, in the order of the report. `configured` is what the host's own files say.
pub fn examine(configured: &Result<Configuration, Vec<Problem>>) -> Vec<Item> {
    let settings = configured.as_ref().map(|all| all.settings.clone()).unwrap_or_default();
    let mut items = vec![own::version(), own::rights()];
    let survey = survey(None, &Wanted { network: true, ..Wanted::default() }).ok();
    let survey = survey.as_ref();
    items.push(own::system(survey));
    items.extend(kernel::items(settings.agent.poll));
    items.extend(systemd::items());
    items.extend(sshd::items(survey));
    items.extend(tools::items());
    items.extend(cloud::items(survey, &settings));
    items.extend(own::places());
    items.push(own::configuration(configured));
    items
}

/// What it comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Everything is there.
    Full,
    /// It works, with less.
    Less,
    /// Something could not be looked at.
    Undecided,
    /// It cannot work.
    Cannot,
}

impl Verdict {
    /// Of these.
    pub fn of(items: &[Item]) -> Self {
        match items.iter().map(|item| item.state).max() {
            Some(State::Fatal) => Self::Cannot,
            _ if items.iter().any(|item| item.state == State::Unseen) => Self::Undecided,
            Some(State::Missing) => Self::Less,
            _ => Self::Full,
        }
    }

    /// The word for it in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Less => "less",
            Self::Undecided => "undecided",
            Self::Cannot => "cannot",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(state: State) -> Item {
        item("x", state, nothing(), nothing())
    }

    #[test]
    fn the_worst_decides_and_what_was_not_seen_is_not_there_yet() {
        use State::{Fatal, Idle, Missing, There, Unseen};
        for (states, want) in [
            (vec![], Verdict::Full),
            (vec![There, Idle], Verdict::Full),
            (vec![There, Missing], Verdict::Less),
            (vec![Missing, Unseen], Verdict::Undecided),
            (vec![Unseen, Fatal, Missing], Verdict::Cannot),
        ] {
            let items: Vec<Item> = states.iter().map(|state| one(*state)).collect();
            assert_eq!(Verdict::of(&items), want, "{states:?}");
        }
    }

    #[test]
    fn everything_has_words_in_both_languages_and_a_name_of_its_own() {
        let items = examine(&Configuration::read(
            &crate::config::Sources { directory: None, policy: None, settings: None },
            None,
            hostward_checks::check::Profile::Enhanced,
        ));
        let mut ids: Vec<&str> = items.iter().map(|item| item.id).filter(|id| *id != "sshd").collect();
        for item in &items {
            for words in [&item.found, &item.without] {
                assert!(!words.en.is_empty() && !words.zh.is_empty(), "{item:?}");
                assert!(!words.en.contains('\n') && !words.en.chars().any(|c| c > '\u{2e80}'), "{item:?}");
            }
            assert!(item.without.zh.chars().any(|c| c > '\u{2e80}'), "{item:?}");
        }
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert!(ids.len() == count && count > 20, "{ids:?}");
    }
}
