//! What a check is, what it says, and what it says it with.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::access::Access;
use crate::edit::Edit;
use crate::fact::Why;
use crate::host::Host;
use crate::observation::Observations;
use crate::policy::Policy;

/// A text in both languages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text {
    /// English.
    pub en: &'static str,
    /// Simplified Chinese.
    pub zh: &'static str,
}

/// The language of a rendered text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lang {
    /// English.
    #[default]
    En,
    /// Simplified Chinese.
    Zh,
}

impl Text {
    /// The text in that language.
    pub fn get(&self, lang: Lang) -> &'static str {
        match lang {
            Lang::En => self.en,
            Lang::Zh => self.zh,
        }
    }
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Good hardening adds it.
    Low,
    /// Weakens the host.
    Medium,
    /// A way in for somebody who tries.
    High,
    /// Open.
    Critical,
}

impl Severity {
    /// Every severity, least first.
    pub const ALL: [Self; 5] = [Self::Info, Self::Low, Self::Medium, Self::High, Self::Critical];

    /// The word for it in reports, policy and options.
    pub fn word(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// The severity with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|severity| severity.word() == word)
    }
}

/// A built-in profile, after Alibaba Cloud's own table of security schemes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Profile {
    /// 基础安全方案
    Basic,
    /// 增强安全方案
    #[default]
    Enhanced,
    /// For image roots.
    Image,
}

impl Profile {
    /// Every profile.
    pub const ALL: [Self; 3] = [Self::Basic, Self::Enhanced, Self::Image];

    /// The word for it in reports, policy and options.
    pub fn word(self) -> &'static str {
        match self {
            Self::Basic => "basic",
            Self::Enhanced => "enhanced",
            Self::Image => "image",
        }
    }

    /// The profile with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.word() == word)
    }
}

/// Where a check can look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// A live host only.
    Live,
    /// A live host and an offline root.
    Both,
    /// An offline root only, or first of all.
    Offline,
}

/// One text of a check, by id; `{name}` stands for a parameter.
#[derive(Clone, Copy, Debug)]
pub struct Message {
    /// Stable id, unique within the check, e.g. `password-from-anywhere`.
    pub id: &'static str,
    /// The words.
    pub text: Text,
}

/// A message under a name of its own: name, id, English, Chinese.
macro_rules! message {
    ($name:ident, $id:literal, $en:literal, $zh:literal) => {
        static $name: $crate::check::Message =
            $crate::check::Message { id: $id, text: $crate::check::Text { en: $en, zh: $zh } };
    };
}

pub(crate) use message;

/// A parameter of a message. Strings read from disk go in raw and are escaped on output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Param {
    /// A name, path, address, value.
    Text(String),
    /// A number.
    Number(i64),
    /// Several of the first kind.
    List(Vec<String>),
}

/// Named parameters, in the order in which they were given.
pub type Params = Vec<(&'static str, Param)>;

/// A line that a verdict rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The file, or `(command line)`, `(default)`, `(metadata service)`.
    pub file: String,
    /// The line, from 1; None for a whole file.
    pub line: Option<u32>,
    /// The text with secrets masked.
    pub text: String,
}

/// What was found wrong, once per subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad, before policy.
    pub severity: Severity,
    /// What it is about, e.g. `account:root`, `socket:tcp/0.0.0.0:6379`, `key:SHA256:…`, `file:/etc/shadow`. With the check's id it makes the
    /// fingerprint, so it never holds what changes between runs (process ids, times).
    pub subject: String,
    /// Which of the check's messages.
    pub message: &'static str,
    /// Its parameters.
    pub params: Params,
    /// What it rests on.
    pub evidence: Vec<Evidence>,
    /// A command that shows the same thing, where there is one.
    pub reproduce: Option<String>,
    /// What `fix` would do; empty: it can only explain.
    pub fix: Vec<Edit>,
}

impl Finding {
    /// A finding without parameters, evidence, command or fix.
    pub fn new(severity: Severity, subject: impl Into<String>, message: &'static str) -> Self {
        Self {
            severity,
            subject: subject.into(),
            message,
            params: Vec::new(),
            evidence: Vec::new(),
            reproduce: None,
            fix: Vec::new(),
        }
    }

    /// Adds a text parameter.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.params.push((name, Param::Text(value.into())));
        self
    }

    /// Adds a number.
    #[must_use]
    pub fn with_number(mut self, name: &'static str, value: impl Into<i64>) -> Self {
        self.params.push((name, Param::Number(value.into())));
        self
    }

    /// Adds a list.
    #[must_use]
    pub fn with_list(mut self, name: &'static str, values: Vec<String>) -> Self {
        self.params.push((name, Param::List(values)));
        self
    }

    /// Adds evidence.
    #[must_use]
    pub fn seen(mut self, file: impl Into<String>, line: Option<u32>, text: impl Into<String>) -> Self {
        self.evidence.push(Evidence { file: file.into(), line, text: text.into() });
        self
    }

    /// Adds the command that shows the same thing.
    #[must_use]
    pub fn reproduce(mut self, command: impl Into<String>) -> Self {
        self.reproduce = Some(command.into());
        self
    }

    /// Adds a proposed change.
    #[must_use]
    pub fn fixed_by(mut self, edit: Edit) -> Self {
        self.fix.push(edit);
        self
    }
}

/// What could not be decided, and why: goes beside findings, so that a check that saw half says both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doubt {
    /// What it is about, as in [`Finding::subject`].
    pub subject: String,
    /// Why.
    pub why: Why,
}

/// What a check says of a host.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It looked at everything and nothing is wrong.
    Pass,
    /// Something is wrong; what could not be looked at stands beside it.
    Fail(Vec<Finding>, Vec<Doubt>),
    /// The question does not arise here.
    NotApplicable(Text),
    /// Nothing found wrong, but not everything could be looked at. Never empty.
    Unknown(Vec<Doubt>),
}

/// Collects findings and doubts, and says the verdict that follows: it is never initialised to a pass.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    findings: Vec<Finding>,
    doubts: Vec<Doubt>,
}

impl Tally {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Something is wrong.
    pub fn fail(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    /// Something could not be decided.
    pub fn doubt(&mut self, subject: impl Into<String>, why: Why) {
        let doubt = Doubt { subject: subject.into(), why };
        if !self.doubts.contains(&doubt) {
            self.doubts.push(doubt);
        }
    }

    /// The verdict of a check that looked at everything it meant to look at.
    pub fn verdict(self) -> Verdict {
        match (self.findings.is_empty(), self.doubts.is_empty()) {
            (false, _) => Verdict::Fail(self.findings, self.doubts),
            (true, false) => Verdict::Unknown(self.doubts),
            (true, true) => Verdict::Pass,
        }
    }
}

/// Everything a check may look at.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// Facts read from files.
    pub host: &'a Host,
    /// Facts that are not files.
    pub seen: &'a Observations,
    /// Who can log in, how, from where.
    pub access: &'a Access,
    /// What is right.
    pub policy: &'a Policy,
}

/// Where a rule comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Who says it, e.g. `Alibaba Cloud Security Center baseline`.
    pub source: &'static str,
    /// The item, e.g. `CheckId 2`.
    pub item: &'static str,
}

/// One rule of the catalogue.
#[derive(Debug)]
pub struct Check {
    /// `area.name`, stable.
    pub id: &'static str,
    /// One line.
    pub title: Text,
    /// Why it matters, one paragraph.
    pub rationale: Text,
    /// Default severity: the highest that a finding of it usually has.
    pub severity: Severity,
    /// Profiles that it is part of.
    pub profiles: &'static [Profile],
    /// Where it can look.
    pub scope: Scope,
    /// Who asks for it.
    pub references: &'static [Reference],
    /// The facts it reads, for `explain`.
    pub reads: &'static [&'static str],
    /// What `fix` does, in words; None: it only explains.
    pub fix: Option<Text>,
    /// How to mend it by hand.
    pub remedy: Text,
    /// Its texts.
    pub messages: &'static [Message],
    /// The rule.
    pub check: fn(&Input<'_>) -> Verdict,
}

impl Check {
    /// The area: the part of the id before the dot.
    pub fn area(&self) -> &'static str {
        self.id.split_once('.').map_or(self.id, |(area, _)| area)
    }

    /// One of its messages.
    pub fn message(&self, id: &str) -> Option<&'static Message> {
        self.messages.iter().find(|message| message.id == id)
    }
}

/// The placeholders of a template, each once.
pub fn placeholders(template: &str) -> BTreeSet<&str> {
    template.split('{').skip(1).filter_map(|rest| rest.split_once('}').map(|(name, _)| name)).collect()
}

/// A template with its parameters put in. A placeholder without a parameter stays as it is.
pub fn render(template: &str, params: &Params, escape: impl Fn(&str) -> String) -> String {
    let mut out = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let Some((name, tail)) = after.split_once('}') else {
            out.push('{');
            rest = after;
            continue;
        };
        match params.iter().find(|(known, _)| *known == name) {
            Some((_, Param::Text(text))) => out.push_str(&escape(text)),
            Some((_, Param::Number(number))) => out.push_str(&number.to_string()),
            Some((_, Param::List(list))) => {
                out.push_str(&list.iter().map(|item| escape(item)).collect::<Vec<_>>().join(", "));
            }
            None => {
                out.push('{');
                out.push_str(name);
                out.push('}');
            }
        }
        rest = tail;
    }
    out.push_str(rest);
    out
}

/// A path as text for subjects and parameters; bytes that are no UTF-8 become `\xNN`.
pub fn path_text(path: impl Into<PathBuf>) -> String {
    bytes_text(path.into().as_os_str().as_encoded_bytes())
}

/// Bytes read from disk as text, without loss of distinction: bytes that are no UTF-8 become `\xNN`.
pub fn bytes_text(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    out
}
