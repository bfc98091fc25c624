//! `hostward.toml`: how the agent runs. The command line overrules it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use hostward_checks::check::{Lang, Severity};
use toml::de::DeValue;

use super::Problem;
use super::reader::{Document, Section};
use super::value::{Read, duration, number, path, severity, text, word};
use crate::observe::metadata::Endpoint;

/// How the agent runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Whether this is an ECS instance.
    pub platform: Platform,
    /// The language of texts. None: the locale's.
    pub language: Option<Lang>,
    /// The least severity that fails. None: the program's own default.
    pub fail_on: Option<Severity>,
    /// What the password audit may cost. None: the program's own default.
    pub password_budget: Option<Budget>,
    /// Word lists for the password audit, beside the built-in one.
    pub wordlists: Vec<PathBuf>,
    /// How often a running sshd is asked. None: the program's own default.
    pub cross_check: Option<CrossCheck>,
    /// Where the metadata service is asked, wherever this host is. None: at its own address, on ECS only.
    pub metadata_endpoint: Option<Endpoint>,
    /// How the resident runs.
    pub agent: Agent,
}

/// `[agent]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agent {
    /// How often everything is looked at.
    pub full_scan: Duration,
    /// How often is asked for what nobody tells of.
    pub poll: Duration,
    /// The share of one processor that the resident and its looks may take in the long run, percent.
    pub cpu_percent: u32,
}

impl Default for Agent {
    fn default() -> Self {
        Self { full_scan: Duration::from_secs(86_400), poll: Duration::from_secs(60), cpu_percent: 10 }
    }
}

/// `platform`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Platform {
    /// What the machine says (DMI).
    #[default]
    Auto,
    /// An ECS instance, whatever the machine says.
    Ecs,
    /// No ECS instance: the metadata service is not asked.
    Other,
}

impl Platform {
    /// Whether it is ECS, where the configuration says so or otherwise.
    pub fn says_ecs(self) -> Option<bool> {
        match self {
            Self::Auto => None,
            Self::Ecs => Some(true),
            Self::Other => Some(false),
        }
    }
}

/// What the password audit may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Budget {
    /// Processor time.
    Time(Duration),
    /// Every candidate.
    Full,
}

/// How often a running sshd is asked to confirm what was resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrossCheck {
    /// Never.
    None,
    /// Once.
    One,
    /// For every account.
    All,
}

/// Reads the file's text; mistakes go to `problems`.
pub(super) fn parse(file: &Path, text: &str, problems: &mut Vec<Problem>) -> Settings {
    Document::new(file, text, problems).walk(settings)
}

/// Asks for every key that the settings have.
pub(super) fn settings(root: &mut Section<'_, '_>) -> Settings {
    const PLATFORMS: &[(&str, Platform)] =
        &[("auto", Platform::Auto), ("ecs", Platform::Ecs), ("other", Platform::Other)];
    const LANGUAGES: &[(&str, Option<Lang>)] = &[("auto", None), ("en", Some(Lang::En)), ("zh", Some(Lang::Zh))];
    const CHECKS: &[(&str, CrossCheck)] =
        &[("none", CrossCheck::None), ("one", CrossCheck::One), ("all", CrossCheck::All)];
    let mut out = Settings {
        platform: root.get("platform", word(PLATFORMS)).unwrap_or_default(),
        language: root.get("language", word(LANGUAGES)).flatten(),
        ..Settings::default()
    };
    root.section("scan", |scan| {
        out.fail_on = scan.get("fail-on", severity);
        out.password_budget = scan.get("password-budget", budget);
        out.wordlists = scan.list("wordlists", path).unwrap_or_default();
        out.cross_check = scan.get("cross-check", word(CHECKS));
    });
    root.section("metadata", |metadata| {
        out.metadata_endpoint = metadata.get("endpoint", |value| text(value)?.parse::<Endpoint>());
    });
    root.section("agent", |agent| {
        let usual = Agent::default();
        let (hour, day) = (Duration::from_secs(3600), Duration::from_secs(86_400));
        let percent = agent.get("cpu-percent", number(1, 100)).and_then(|percent| u32::try_from(percent).ok());
        out.agent = Agent {
            full_scan: agent.get("full-scan", duration(hour, 30 * day)).unwrap_or(usual.full_scan),
            poll: agent.get("poll", duration(Duration::from_secs(10), day)).unwrap_or(usual.poll),
            cpu_percent: percent.unwrap_or(usual.cpu_percent),
        };
    });
    out
}

fn budget(value: &DeValue<'_>) -> Read<Budget> {
    if value.as_str() == Some("full") {
        return Ok(Budget::Full);
    }
    duration(Duration::ZERO, Duration::from_secs(30 * 86_400))(value)
        .map(Budget::Time)
        .map_err(|what| format!("{what} (or \"full\")"))
}
