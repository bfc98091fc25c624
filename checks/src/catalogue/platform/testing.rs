//! What the area's tests look at: a live host drawn by hand, changed as each test needs it.

use std::path::{Path, PathBuf};

use crate::access::Access;
use crate::check::{Check, Finding, Input, Profile, Verdict, render};
use crate::fact::{Fact, Why};
use crate::host::Host;
use crate::observation::platform::{Program, Programs};
use crate::observation::socket::Process;
use crate::observation::{Mode, Observations};
use crate::plan::Plan;
use crate::plan::testing::planned;
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

    /// With a file that cannot be read.
    pub(super) fn deny(mut self, path: impl AsRef<Path>) -> Self {
        self.sketch = self.sketch.unreadable(path, Why::Denied);
        self
    }

    /// What the check says.
    pub(super) fn run(&self, check: &Check) -> Verdict {
        self.look(&self.sketch.clone().snapshot(), &self.seen, |input| (check.check)(input))
    }

    fn look<T>(&self, snapshot: &Snapshot, seen: &Observations, act: impl FnOnce(&Input<'_>) -> T) -> T {
        let (host, need) = Host::read(snapshot, seen);
        assert!(need.is_empty(), "{need:?}");
        act(&Input { host: &host, seen, access: &Access::default(), policy: &self.policy })
    }

    /// What the check's own fix would do, and what the check says afterwards.
    pub(super) fn fixed(&self, check: &'static Check) -> (Plan, Verdict) {
        let (mut snapshot, mut seen) = (self.sketch.clone().snapshot(), self.seen.clone());
        let findings = self.found(check);
        let plan = self.look(&snapshot, &seen, |input| planned(&snapshot, input, check, &findings));
        crate::plan::lay(&mut snapshot, &plan);
        crate::plan::kernel::lay_observed(&mut seen, &plan);
        let verdict = self.look(&snapshot, &seen, |input| (check.check)(input));
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
    pub(super) fn findings(&self, check: &Check) -> Vec<String> {
        let line = |finding: &Finding| format!("{} {} {}", finding.severity.word(), finding.subject, finding.message);
        self.found(check).iter().map(line).collect()
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
