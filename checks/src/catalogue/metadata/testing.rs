//! What the area's tests look at: an instance whose metadata service answers, changed as each test needs it.

use crate::access::Access;
use crate::catalogue::shown::Drawn;
use crate::check::{Check, Profile, Verdict, render};
use crate::fact::{Fact, Why};
use crate::guard::Circumstances;
use crate::host::Host;
use crate::observation::metadata::Metadata;
use crate::observation::{Mode, Observations};
use crate::policy::Policy;
use crate::snapshot::{Sketch, Snapshot};

/// An instance in normal mode, with a role and nothing secret in its user data.
pub(super) fn metadata() -> Metadata {
    Metadata {
        tokenless: Fact::Known(true),
        tokenless_status: Some(200),
        token_status: Some(200),
        instance_id: Fact::Known("i-bp1test".into()),
        region_id: Fact::Known("cn-hangzhou".into()),
        image_id: Fact::Absent,
        ram_role: Fact::Known("EcsRole".into()),
        public_addresses: Fact::Known(vec![]),
        private_address: Fact::Absent,
        public_keys: Fact::Known(vec![]),
        user_data: Fact::Absent,
    }
}

/// What is looked at.
pub(super) struct Scene {
    pub(super) sketch: Sketch,
    pub(super) seen: Observations,
    pub(super) policy: Policy,
}

impl Scene {
    /// A live instance with these answers.
    pub(super) fn new(metadata: Metadata) -> Self {
        let mut seen = Observations::offline(1_780_000_000);
        seen.mode = Mode::Live;
        seen.metadata = Fact::Known(metadata);
        Self { sketch: Sketch::new(), seen, policy: Policy::builtin(Profile::Enhanced) }
    }

    /// A live machine where the service was not asked.
    pub(super) fn elsewhere() -> Self {
        let mut scene = Self::new(metadata());
        scene.seen.metadata = Fact::Unknown(Why::NotAsked("not an ECS instance"));
        scene
    }

    /// A live instance where nobody answered.
    pub(super) fn silent() -> Self {
        let mut scene = Self::new(metadata());
        scene.seen.metadata = Fact::Unknown(Why::TimedOut);
        scene
    }

    /// What the check says.
    pub(super) fn run(&self, check: &Check) -> Verdict {
        self.judged(check)
    }

    /// The findings as English sentences; no finding, no sentence.
    pub(super) fn sentences(&self, check: &'static Check) -> Vec<String> {
        match self.run(check) {
            Verdict::Fail(findings, _) => findings
                .iter()
                .map(|finding| {
                    let message = check.message(finding.message).unwrap_or_else(|| panic!("no {}", finding.message));
                    let text = render(message.text.en, &finding.params, str::to_owned);
                    assert!(!text.contains('{'), "{text}");
                    text
                })
                .collect(),
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

    /// Root alone was seen asking.
    fn circumstances(&self) -> Circumstances {
        let program = Some("/usr/bin/hostward".into());
        Circumstances { metadata_users: Some(vec![0]), program, ..Circumstances::default() }
    }
}
