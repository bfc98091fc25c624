//! What the area's tests look at: a live host drawn by hand, changed as each test needs it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use crate::access::Access;
use crate::catalogue::shown::Drawn;
use crate::check::{Check, Finding, Profile, Verdict, render};
use crate::fact::{Fact, Why};
use crate::host::Host;
use crate::observation::login::{KnownSources, Login, Logins, Refused, network_of};
use crate::observation::platform::{Program, Programs};
use crate::observation::socket::Process;
use crate::observation::updates::{Archive, Restart, Updates};
use crate::observation::{Mode, Observations, UnixSeconds};
use crate::plan::Plan;
use crate::policy::Policy;
use crate::snapshot::{Sketch, Snapshot};

/// A program of root's that runs, outside containers.
pub(super) fn program(path: &str) -> Program {
    let process = Process {
        pid: 7,
        name: "x".into(),
        executable: Fact::Known(PathBuf::from(path)),
        deleted: false,
        uid: 0,
        unit: None,
        started: None,
    };
    Program { process, container: None }
}

/// What is looked at.
pub(super) struct Scene {
    pub(super) sketch: Sketch,
    pub(super) seen: Observations,
    pub(super) policy: Policy,
}

impl Scene {
    /// A live host that is no ECS instance.
    pub(super) fn new() -> Self {
        let mut seen = Observations::offline(1_780_000_000);
        seen.mode = Mode::Live;
        seen.platform.ecs = Fact::Known(false);
        seen.platform.programs = Fact::Known(Programs::default());
        Self { sketch: Sketch::new(), seen, policy: Policy::builtin(Profile::Enhanced) }
    }

    /// An ECS instance.
    pub(super) fn on_ecs(mut self) -> Self {
        self.seen.platform.ecs = Fact::Known(true);
        self
    }

    /// With these programs running.
    pub(super) fn running(mut self, running: Vec<Program>) -> Self {
        self.seen.platform.programs = Fact::Known(Programs { running, denied: false });
        self
    }

    /// With a directory.
    pub(super) fn dir(mut self, path: impl AsRef<Path>) -> Self {
        self.sketch = self.sketch.dir(path);
        self
    }

    /// With a file.
    pub(super) fn file(mut self, path: impl AsRef<Path>, content: &str) -> Self {
        self.sketch = self.sketch.file(path, content);
        self
    }

    /// With what these logins tell: who came, and whose logins were refused how often in the minute of a time. It has known
    /// 192.0.2.1 for long, and all who came since they came first.
    pub(super) fn told_of_logins(mut self, accepted: Vec<Login>, refused: &[(&str, UnixSeconds, u32)]) -> Self {
        let mut sources: BTreeMap<IpAddr, Vec<(UnixSeconds, u32)>> = BTreeMap::new();
        for (source, at, count) in refused {
            sources.entry(source.parse().unwrap()).or_default().push((at.div_euclid(60) * 60, *count));
        }
        let began = self.seen.now - 86_400 * 20;
        let known = accepted.iter().filter_map(|login| Some((network_of(login.source?), login.at)));
        let mut first: BTreeMap<IpAddr, UnixSeconds> = known.collect();
        first.insert("192.0.2.1".parse().unwrap(), began - 5);
        self.seen.logins = Fact::Known(Logins {
            accepted,
            sources: vec![("journal".to_owned(), Ok(()))],
            since: None,
            refused: Refused { sources, counted_since: None },
            known_sources: KnownSources { first: Fact::Known(first), began },
        });
        self
    }

    /// Up to date, by package lists of this age in days.
    pub(super) fn up_to_date(mut self, days: i64) -> Self {
        let dated = Some(self.seen.now - days * 86_400);
        let archives = vec![Archive { name: "trixie-security".into(), dated }];
        self.seen.updates = Fact::Known(Updates { archives, ..Updates::default() });
        let newest = Fact::Known("6.1.0-18-amd64".to_owned());
        let (running, replaced) = ("6.1.0-18-amd64".to_owned(), Fact::Known(Vec::new()));
        self.seen.restart = Fact::Known(Restart { running, newest, rebuilt: None, required: None, replaced });
        self
    }

    /// With a file that cannot be read.
    pub(super) fn deny(mut self, path: impl AsRef<Path>) -> Self {
        self.sketch = self.sketch.unreadable(path, Why::Denied);
        self
    }

    /// What the check says.
    pub(super) fn run(&self, check: &Check) -> Verdict {
        self.judged(check)
    }

    /// What the check's own fix would do, and what the check says afterwards.
    pub(super) fn fixed(&self, check: &'static Check) -> (Plan, Verdict) {
        let (_, plan, verdict) = self.mended(check, &self.found(check));
        (plan, verdict)
    }

    /// The findings as they are.
    pub(super) fn found(&self, check: &Check) -> Vec<Finding> {
        let findings = match self.run(check) {
            Verdict::Fail(findings, _) => findings,
            _ => Vec::new(),
        };
        for finding in &findings {
            let message = check.message(finding.message).unwrap_or_else(|| panic!("no {}", finding.message));
            let text = render(message.text.en, &finding.params, str::to_owned);
            assert!(!text.contains('{'), "{text}");
        }
        findings
    }

    /// The findings as `severity subject message`.
    pub(super) fn findings(&self, check: &'static Check) -> Vec<String> {
        let line = |finding: &Finding| format!("{} {} {}", finding.severity.word(), finding.subject, finding.message);
        let found = self.found(check);
        self.mends_its_own(check, &found);
        found.iter().map(line).collect()
    }

    /// What could not be decided.
    pub(super) fn doubts(&self, check: &Check) -> Vec<String> {
        match self.run(check) {
            Verdict::Fail(_, doubts) | Verdict::Unknown(doubts) => {
                doubts.into_iter().map(|doubt| doubt.subject).collect()
            }
            _ => Vec::new(),
        }
    }
}

impl Drawn for Scene {
    fn snapshot(&self) -> Snapshot {
        self.sketch.clone().snapshot()
    }

    fn seen(&self) -> Observations {
        self.seen.clone()
    }

    fn policy(&self) -> Policy {
        self.policy.clone()
    }

    fn access(&self, _: &Host, _: &Observations) -> Access {
        Access::default()
    }
}
