//! The baseline: findings that stood here when somebody accepted them. `scan --new-only` then tells what is new.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::exit_code::{Ends, ExitCode};

/// The version of the file's shape.
const SCHEMA: &str = "hostward.baseline/1";
/// Most bytes of the file.
const MAX_SIZE: u64 = 16 << 20;

/// Findings that were accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Baseline {
    schema: String,
    /// When, RFC 3339 in UTC.
    pub accepted_at: String,
    /// The findings, by check and subject.
    pub findings: Vec<Accepted>,
    #[serde(skip)]
    fingerprints: BTreeSet<String>,
}

/// One accepted finding. Its fingerprint decides; the rest is for who reads the file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Accepted {
    /// The check's id.
    pub check: String,
    /// What it is about.
    pub subject: String,
    /// Check and subject, digested.
    pub fingerprint: String,
    /// Its severity when it was accepted.
    pub severity: String,
}

/// What only the version is read of first.
#[derive(Deserialize)]
struct Versioned {
    schema: String,
}

impl Baseline {
    /// A baseline of these findings.
    pub fn new(accepted_at: String, mut findings: Vec<Accepted>) -> Self {
        findings.sort();
        findings.dedup();
        let fingerprints = findings.iter().map(|finding| finding.fingerprint.clone()).collect();
        Self { schema: SCHEMA.to_owned(), accepted_at, findings, fingerprints }
    }

    /// Where it is kept on a live host.
    pub fn path() -> PathBuf {
        crate::survey::state_dir().join("baseline.json")
    }

    /// Whether a finding stood here.
    pub fn accepts(&self, fingerprint: &str) -> bool {
        self.fingerprints.contains(fingerprint)
    }

    /// Reads it. None: there is none.
    ///
    /// # Errors
    /// It cannot be read, others can write it, or it is broken: exit code 78, with the way out.
    pub fn read(path: &Path) -> anyhow::Result<Option<Self>> {
        let refuse = |what: &str| {
            let message = format!(
                "{}: {what}; look at it, then accept today's findings anew with `hostward baseline accept`, or remove it",
                path.display()
            );
            Ends::with(ExitCode::Config, message)
        };
        let flags = nix::fcntl::OFlag::O_NONBLOCK | nix::fcntl::OFlag::O_NOFOLLOW;
        let file = match OpenOptions::new().read(true).custom_flags(flags.bits()).open(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            other => other.with_context(|| format!("failed to open {}", path.display()))?,
        };
        let meta = file.metadata().with_context(|| format!("failed to look at {}", path.display()))?;
        let me = nix::unistd::geteuid().as_raw();
        if !meta.is_file() || meta.mode() & 0o022 != 0 || (meta.uid() != 0 && meta.uid() != me) {
            return Err(refuse("others could have written what is accepted here"));
        }
        let mut bytes = Vec::new();
        file.take(MAX_SIZE + 1)
            .read_to_end(&mut bytes)
            .with_context(|| format!("failed to read {}", path.display()))?;
        if bytes.len() as u64 > MAX_SIZE {
            return Err(refuse("larger than a baseline can be"));
        }
        let versioned: Versioned =
            serde_json::from_slice(&bytes).map_err(|error| refuse(&format!("broken: {error}")))?;
        if versioned.schema != SCHEMA {
            return Err(refuse(&format!("of another version ({})", crate::sanitize::brief(&versioned.schema, 60))));
        }
        let read: Self = serde_json::from_slice(&bytes).map_err(|error| refuse(&format!("broken: {error}")))?;
        Ok(Some(Self::new(read.accepted_at, read.findings)))
    }

    /// Writes it, whole or not at all, readable by its owner alone: subjects name accounts with weak passwords.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        let mut bytes = serde_json::to_vec_pretty(self)?;
        bytes.push(b'\n');
        crate::files::replace(path, &bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn accepted(subject: &str) -> Accepted {
        Accepted {
            check: "keys.weak".into(),
            subject: subject.into(),
            fingerprint: format!("f-{subject}"),
            severity: "high".into(),
        }
    }

    #[test]
    fn what_was_written_is_read_and_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("baseline.json");
        assert_eq!(Baseline::read(&path).unwrap(), None);
        let baseline = Baseline::new("2026-11-21T00:00:00Z".into(), vec![accepted("b"), accepted("a"), accepted("a")]);
        baseline.write(&path).unwrap();
        let read = Baseline::read(&path).unwrap().unwrap();
        assert_eq!((read.findings.len(), read.accepts("f-a"), read.accepts("f-c")), (2, true, false));
        assert_eq!(read, baseline);
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn what_is_broken_or_not_ours_is_refused_with_the_way_out() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("baseline.json");
        let refused = |want: &str| {
            let error = Baseline::read(&path).unwrap_err();
            let code = error.downcast_ref::<Ends>().map(|ends| ends.code);
            let text = error.to_string();
            assert_eq!(code, Some(ExitCode::Config), "{text}");
            assert!(text.contains("baseline.json") && text.contains("hostward baseline accept"), "{text}");
            assert!(text.contains(want), "{text}");
        };
        for (content, want) in [
            ("", "broken"),
            ("{\"schema\": \"hostward.baseline/1\", \"findings\": [", "broken"),
            ("{\"schema\": \"hostward.baseline/1\"}", "broken"),
            ("{\"schema\": \"hostward.baseline/2\", \"new\": 1}", "another version (hostward.baseline/2)"),
        ] {
            std::fs::write(&path, content).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            refused(want);
        }
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
        refused("others could have written");
        std::fs::remove_file(&path).unwrap();
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
        refused("others could have written");
    }
}
