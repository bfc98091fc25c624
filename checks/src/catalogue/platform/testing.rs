//! What the area's tests look at: a live host drawn by hand, changed as each test needs it.

use std::path::{Path, PathBuf};

use crate::access::Access;
use crate::check::{Check, Finding, Input, Profile, Verdict, render};
use crate::fact::Fact;
use crate::host::Host;
use crate::observation::platform::{Program, Programs};
use crate::observation::socket::Process;
use crate::observation::{Mode, Observations};
use crate::policy::Policy;
use crate::snapshot::Sketch;

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

    /// What the check says.
    pub(super) fn run(&self, check: &Check) -> Verdict {
        let (host, _) = Host::read(&self.sketch.clone().snapshot(), &self.seen);
        let (access, policy) = (Access::default(), &self.policy);
        (check.check)(&Input { host: &host, seen: &self.seen, access: &access, policy })
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
