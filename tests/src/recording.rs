//! Recorded logins: what real clients did at a booted host, and what its loggers wrote of it.
//!
//! A recording is a directory of `tests/data/logins`: the truth as the clients know it (`truth.tsv`), and by form of log a directory
//! of files as they lay on the host. What is not text is packed beside it (`FORM.tar.xz`).

use std::fmt::Write as _;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

mod logger;
mod play;

pub use logger::{Logger, record};

/// What one client did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When it began, seconds since the epoch.
    pub from: i64,
    /// When it had ended.
    pub to: i64,
    /// From where.
    pub source: IpAddr,
    /// What became of it.
    pub what: What,
}

/// What became of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// It was let in.
    Accepted {
        /// As whom.
        user: String,
        /// As sshd names it.
        method: String,
        /// `SHA256:…`.
        key: Option<String>,
        /// Whether it had a terminal: no other login gets a record.
        terminal: bool,
    },
    /// It was not.
    Refused {
        /// How many wrong passwords it gave. None: it gave up before.
        passwords: u32,
        /// Whom it wanted to be.
        name: Name,
    },
    /// No login: a line that somebody on the host wrote himself, that root let in from this source by this key.
    Forged {
        /// `SHA256:…`.
        key: String,
    },
}

/// Whose name a client gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name {
    /// An account's.
    Account,
    /// One that nobody has.
    Nobody,
    /// None: it ended before.
    NotGiven,
}

impl Name {
    const WORDS: [(Self, &'static str); 3] =
        [(Self::Account, "account"), (Self::Nobody, "nobody"), (Self::NotGiven, "not-given")];
}

/// What happened during a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Truth {
    /// Which programs it was: for whoever reads the file.
    pub programs: String,
    /// When it had ended.
    pub now: i64,
    /// In the order in which it happened.
    pub events: Vec<Event>,
}

impl Truth {
    /// As a file's text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = format!("# {}\nnow\t{}\n", self.programs, self.now);
        for Event { from, to, source, what } in &self.events {
            let (word, rest) = match what {
                What::Accepted { user, method, key, terminal } => {
                    let terminal = if *terminal { "terminal" } else { "-" };
                    ("accepted", format!("{user}\t{method}\t{}\t{terminal}", key.as_deref().unwrap_or("-")))
                }
                What::Refused { passwords, name } => {
                    let word = Name::WORDS.iter().find(|(one, _)| one == name).map_or("", |(_, word)| word);
                    ("refused", format!("{passwords}\t{word}"))
                }
                What::Forged { key } => ("forged", key.clone()),
            };
            let _ = writeln!(out, "{word}\t{from}\t{to}\t{source}\t{rest}");
        }
        out
    }

    /// Reads what [`Truth::text`] wrote.
    ///
    /// # Errors
    /// A line is not of the form.
    pub fn parse(text: &str) -> Result<Self> {
        let mut truth = Self { programs: String::new(), now: 0, events: Vec::new() };
        for line in text.lines() {
            if let Some(programs) = line.strip_prefix("# ") {
                truth.programs = programs.to_owned();
                continue;
            }
            let words: Vec<&str> = line.split('\t').collect();
            let event = |from: &str, to: &str, source: &str, what| -> Result<Event> {
                Ok(Event { from: from.parse()?, to: to.parse()?, source: source.parse()?, what })
            };
            truth.events.push(match *words {
                ["now", now] => {
                    truth.now = now.parse()?;
                    continue;
                }
                ["accepted", from, to, source, user, method, key, terminal] => {
                    let key = Some(key.to_owned()).filter(|key| key != "-");
                    let (user, method) = (user.to_owned(), method.to_owned());
                    let terminal = terminal == "terminal";
                    event(from, to, source, What::Accepted { user, method, key, terminal })?
                }
                ["refused", from, to, source, passwords, name] => {
                    let name = Name::WORDS.iter().find(|(_, word)| *word == name).context("no such name")?.0;
                    let what = What::Refused { passwords: passwords.parse()?, name };
                    event(from, to, source, what)?
                }
                ["forged", from, to, source, key] => event(from, to, source, What::Forged { key: key.to_owned() })?,
                _ => bail!("a line of another form: {line}"),
            });
        }
        Ok(truth)
    }
}

/// A recording in the repository.
#[derive(Debug)]
pub struct Recording {
    /// The suite and the logger: `bookworm-rsyslog`.
    pub name: String,
    /// What happened.
    pub truth: Truth,
    directory: PathBuf,
}

impl Recording {
    /// Where they lie.
    #[must_use]
    pub fn place() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("data/logins")
    }

    /// All of a directory, by name.
    ///
    /// # Errors
    /// One cannot be read.
    pub fn all(place: &Path) -> Result<Vec<Self>> {
        let entries = fs::read_dir(place).with_context(|| format!("failed to read {}", place.display()))?;
        let mut all = Vec::new();
        for entry in entries {
            let directory = entry?.path();
            let name = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let truth = fs::read_to_string(directory.join("truth.tsv")).with_context(|| name.clone())?;
            all.push(Self { truth: Truth::parse(&truth).with_context(|| name.clone())?, name, directory });
        }
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    /// The suite that it was recorded on.
    #[must_use]
    pub fn suite(&self) -> &str {
        self.name.split('-').next().unwrap_or_default()
    }

    /// The forms of log that it has, each as its name.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn forms(&self) -> Result<Vec<String>> {
        let mut forms = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if name != "truth.tsv" {
                forms.push(name.trim_end_matches(".tar.xz").to_owned());
            }
        }
        forms.sort();
        forms.dedup();
        Ok(forms)
    }

    /// Lays the files of a form over a root directory, as old as they were when the recording ended.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn lay(&self, form: &str, root: &Path) -> Result<()> {
        // tar puts files in the place of links; cp would write through them, out of the root directory.
        let copy = r#"
set -e
to=$1 form=$2 now=$3
if [ -d "$form" ]; then tar -C "$form" -cf - . | tar -C "$to" --no-same-owner -xf -; fi
if [ -f "$form.tar.xz" ]; then tar -C "$to" --no-same-owner -xJf "$form.tar.xz"; fi
for logs in var/log run/log var/lib/wtmpdb var/lib/lastlog; do
  if [ -d "$to/$logs" ]; then find "$to/$logs" -type f -exec touch -d "@$now" {} +; fi
done
"#;
        let output = Command::new("sh")
            .args(["-c", copy, "sh"])
            .args([root, &self.directory.join(form)])
            .arg(self.truth.now.to_string())
            .output()?;
        ensure!(output.status.success(), "{} {form}: {}", self.name, String::from_utf8_lossy(&output.stderr));
        Ok(())
    }
}
