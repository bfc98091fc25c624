//! Asks a distribution's own sshd what a configuration means, many questions at a time, and compares hostward's answer.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::sshd_gen::keywords::KEYWORDS;
use crate::sshd_gen::{ACCOUNTS, Dialect, File, Tree};
use crate::suite::{Overlay, Suite};

/// What one asked program said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// It took the configuration.
    pub taken: bool,
    /// The dump.
    pub stdout: String,
    /// Warnings and errors.
    pub stderr: String,
}

/// Where sshd refuses a file: the path and the line's number.
pub type Place = (String, u32);

impl Answer {
    /// The dump: for each keyword in lower case its values in order, as they were printed.
    #[must_use]
    pub fn settings(&self) -> BTreeMap<String, Vec<String>> {
        let mut settings: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for line in self.stdout.lines() {
            let (keyword, value) = line.split_once(' ').unwrap_or((line, ""));
            settings.entry(keyword.to_ascii_lowercase()).or_default().push(value.to_owned());
        }
        settings
    }

    /// The first place that a refusal names; warnings about old keywords name places, too, and are none.
    #[must_use]
    pub fn refused_at(&self) -> Option<Place> {
        const WARNINGS: &[&str] = &[
            "Deprecated option",
            "Unsupported option",
            "deprecated option",
            "unsupported option",
            "ignored",
            "ignoring",
        ];
        self.stderr.lines().filter(|line| !WARNINGS.iter().any(|warning| line.contains(warning))).find_map(|line| {
            let (before, after) = line.split_once(" line ")?;
            let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
            let path = before.get(before.find('/')?..)?.trim_end_matches(':');
            Some((path.to_owned(), digits.parse().ok()?))
        })
    }
}

/// A question: a main file, and a connection for `-C`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The main file in the root file system.
    pub file: String,
    /// `user=…,host=…,addr=…`, or none for the settings of no connection in particular.
    pub connection: Option<String>,
}

/// A distribution's root file system with the test's accounts, ready to be asked.
#[derive(Debug)]
pub struct Oracle {
    overlay: Overlay,
}

/// Asks every line of /batch/list. Its fields: number, main file, connection. Loopback is up as on every host, because
/// the addresses that sshd listens on are printed in the order in which they can be reached.
const BATCH: &str = r#"
ip link set lo up
while IFS='	' read -r number file connection; do
  if [ -n "$connection" ]; then
    /usr/sbin/sshd -T -f "$file" -C "$connection"
  else
    /usr/sbin/sshd -T -f "$file"
  fi </dev/null >"/batch/$number.out" 2>"/batch/$number.err" && : >"/batch/$number.ok" || :
done </batch/list
"#;

impl Oracle {
    /// Prepares `suite`, for the calling thread.
    ///
    /// # Errors
    /// The overlay cannot be made.
    pub fn new(suite: &Suite) -> Result<Self> {
        let overlay = suite.overlay()?;
        overlay.prepare_sshd()?;
        let read = |path| std::fs::read_to_string(overlay.path(path)).with_context(|| format!("failed to read {path}"));
        let (mut passwd, mut group) = (read("/etc/passwd")?, read("/etc/group")?);
        let mut members: BTreeMap<&str, (u32, Vec<&str>)> =
            [("alice", 2001), ("carol", 2003), ("devs", 2100), ("ops", 2101)]
                .map(|(name, gid)| (name, (gid, Vec::new())))
                .into();
        for (user, uid, primary, others) in ACCOUNTS {
            let gid = members.get(primary).map_or(0, |(gid, _)| *gid);
            let _ = writeln!(passwd, "{user}:x:{uid}:{gid}::/home/{user}:/bin/sh");
            for other in *others {
                if let Some((_, users)) = members.get_mut(other) {
                    users.push(user);
                }
            }
        }
        for (name, (gid, users)) in members {
            let _ = writeln!(group, "{name}:x:{gid}:{}", users.join(","));
        }
        overlay.write("/etc/passwd", passwd, 0o644)?;
        overlay.write("/etc/group", group, 0o644)?;
        Ok(Self { overlay })
    }

    /// The root directory, for asking hostward.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.overlay.root()
    }

    /// Writes a tree, in place of what stood in its directory.
    ///
    /// # Errors
    /// The overlay cannot be written.
    pub fn write(&self, tree: &Tree) -> Result<()> {
        let directory = self.overlay.path(&tree.directory);
        if directory.exists() {
            std::fs::remove_dir_all(&directory)?;
        }
        for file in &tree.files {
            self.overlay.write(&format!("{}/{}", tree.directory, file.name), file.content(), 0o600)?;
        }
        for (name, target) in &tree.links {
            let link = directory.join(name);
            if let Some(parent) = link.parent() {
                std::fs::create_dir_all(parent)?;
            }
            symlink(target, link)?;
        }
        Ok(())
    }

    /// What the distribution's sshd says to each question, in order.
    ///
    /// # Errors
    /// The root file system cannot be entered.
    pub fn ask(&self, questions: &[Question]) -> Result<Vec<Answer>> {
        let batch = self.overlay.path("/batch");
        if batch.exists() {
            std::fs::remove_dir_all(&batch)?;
        }
        let mut list = String::new();
        for (number, question) in questions.iter().enumerate() {
            let _ =
                writeln!(list, "{number}\t{}\t{}", question.file, question.connection.as_deref().unwrap_or_default());
        }
        self.overlay.write("/batch/list", list, 0o600)?;
        self.overlay.shell(BATCH)?;
        let text = |name: String| -> Result<String> {
            let bytes = std::fs::read(batch.join(&name)).with_context(|| format!("sshd has not answered: {name}"))?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        let answer = |number| {
            Ok(Answer {
                taken: batch.join(format!("{number}.ok")).exists(),
                stdout: text(format!("{number}.out"))?,
                stderr: text(format!("{number}.err"))?,
            })
        };
        (0..questions.len()).map(answer).collect()
    }

    /// What hostward says to one question about the same root file system.
    ///
    /// # Errors
    /// The binary cannot be run.
    pub fn ask_hostward(&self, binary: &Path, question: &Question) -> Result<Answer> {
        let mut command = Command::new(binary);
        command.arg("sshd-config").arg("--root").arg(self.root()).arg("-f").arg(&question.file);
        if let Some(connection) = &question.connection {
            command.arg("-C").arg(connection);
        }
        let output = command.output().with_context(|| format!("failed to run {}", binary.display()))?;
        Ok(Answer {
            taken: output.status.success(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// Which keywords this sshd knows, found by offering each of them to it.
    ///
    /// # Errors
    /// It cannot be asked, or knows hardly any: then the question is wrong.
    pub fn dialect(&self) -> Result<Dialect> {
        let mut probes = vec!["Include /etc/ssh/probe/none*".to_owned()];
        for keyword in KEYWORDS {
            let setting = format!("{} {}", keyword.name, keyword.good.first().copied().unwrap_or_default());
            probes.push(setting.clone());
            probes.push(format!("Match user alice\n{setting}"));
        }
        let mut questions = Vec::new();
        for (number, probe) in probes.iter().enumerate() {
            let lines = probe.lines().map(|line| line.as_bytes().to_vec()).collect();
            let files = vec![File { name: "sshd_config".to_owned(), lines }];
            let tree = Tree { directory: format!("/etc/ssh/probe{number}"), files, links: Vec::new() };
            self.write(&tree)?;
            questions
                .push(Question { file: tree.main(), connection: Some("user=alice,host=h,addr=10.1.2.3".to_owned()) });
        }
        let knows = |answer: &Answer| {
            let said = answer.stderr.to_ascii_lowercase();
            !said.contains("bad configuration option") && !said.contains("not allowed within a match")
        };
        let known: Vec<bool> = self.ask(&questions)?.iter().map(knows).collect();
        let include = known.first().copied().unwrap_or_default();
        let mut dialect = Dialect { global: BTreeSet::new(), in_match: BTreeSet::new(), include };
        for (keyword, pair) in KEYWORDS.iter().zip(known.get(1..).unwrap_or_default().chunks(2)) {
            if let [global, in_match] = pair {
                let _ = *global && dialect.global.insert(keyword.name);
                let _ = *global && *in_match && dialect.in_match.insert(keyword.name);
            }
        }
        ensure!(dialect.global.len() > 60 && dialect.in_match.len() > 20, "sshd knows too few keywords: {dialect:?}");
        Ok(dialect)
    }
}

/// How hostward's answer differs from sshd's: nothing, or a short name of the kind and the lines.
#[must_use]
pub fn difference(sshd: &Answer, hostward: &Answer) -> Option<(String, String)> {
    match (sshd.taken, hostward.taken) {
        (true, false) => Some(("refused what sshd takes".to_owned(), format!("got: {}", hostward.stderr.trim()))),
        (false, true) => Some(("took what sshd refuses".to_owned(), format!("expected: {}", sshd.stderr.trim()))),
        (false, false) => {
            let (expected, got) = (sshd.refused_at(), hostward.refused_at());
            let differs = expected.is_some() && expected != got;
            let lines = || format!("expected: {}\ngot: {}", sshd.stderr.trim(), hostward.stderr.trim());
            differs.then(|| ("refused at another line".to_owned(), lines()))
        }
        (true, true) => {
            let (expected, got) = (sshd.settings(), hostward.settings());
            let keywords: BTreeSet<&String> = expected.keys().chain(got.keys()).collect();
            let mut lines = String::new();
            let mut first = None;
            for keyword in keywords.into_iter().filter(|keyword| expected.get(*keyword) != got.get(*keyword)) {
                first.get_or_insert_with(|| keyword.clone());
                let show = |values: Option<&Vec<String>>| {
                    values.map_or("(not printed)".to_owned(), |values| values.join(" | "))
                };
                let _ = writeln!(
                    lines,
                    "{keyword}\n  expected: {}\n  got:      {}",
                    show(expected.get(keyword)),
                    show(got.get(keyword))
                );
            }
            first.map(|keyword| (format!("value of {keyword}"), lines))
        }
    }
}
