//! What PAM says of a login: the stacks of sshd's service, run on paper.

use std::cell::RefCell;

use crate::fact::{Fact, Why};
use crate::host::pam::{self, Pam};

mod modules;
mod stack;

use crate::host::pam::Module;
pub(crate) use modules::{Facility, Scene, Secret, can_match};
pub(crate) use stack::{Control, Entry};

use stack::{Outcomes, run};

/// What a stack says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It succeeds.
    Yes,
    /// It fails.
    No,
    /// It may do either.
    Maybe(Why),
}

/// The stacks of one service, ready to run.
#[derive(Clone, Debug)]
pub(crate) struct Stacks {
    auth: Result<Vec<Entry<Module>>, Why>,
    account: Result<Vec<Entry<Module>>, Why>,
}

impl Stacks {
    /// Of a service. Without a file PAM refuses.
    pub(crate) fn of(pam: &Pam, service: &str) -> Self {
        let unread = Why::NotAsked("the PAM files of this service were not read");
        let Some(stacks) = pam.service(service) else {
            return Self { auth: Err(unread.clone()), account: Err(unread) };
        };
        let made = |fact: &Fact<Vec<pam::Entry>>| match fact {
            Fact::Known(entries) => make(entries),
            Fact::Absent => Ok(Vec::new()),
            Fact::Unknown(why) => Err(Why::Failed(format!("PAM: {why}"))),
        };
        Self { auth: made(&stacks.auth), account: made(&stacks.account) }
    }
}

fn make(entries: &[pam::Entry]) -> Result<Vec<Entry<Module>>, Why> {
    let one = |entry: &pam::Entry| match entry {
        pam::Entry::Substack(inner) => make(inner).map(Entry::Substack),
        pam::Entry::Module(module) => match Control::parse(&module.control) {
            Some(control) => Ok(Entry::Module(control, module.clone())),
            None => Err(Why::Defect(format!("PAM control {}", module.control))),
        },
    };
    entries.iter().map(one).collect()
}

/// One account's login through PAM.
#[derive(Clone, Debug)]
pub(crate) struct Login<'a> {
    stacks: &'a Stacks,
    scene: Scene<'a>,
}

impl<'a> Login<'a> {
    pub(crate) fn new(stacks: &'a Stacks, scene: Scene<'a>) -> Self {
        Self { stacks, scene }
    }

    /// Whether the authentication stack lets in whoever answers with this secret.
    pub(crate) fn auth(&self, secret: Secret) -> Verdict {
        match self.run(&self.stacks.auth, Scene { facility: Facility::Auth, secret, ..self.scene }) {
            Ok((outcomes, why)) => verdict(outcomes.may_succeed(), outcomes.may_fail(), why),
            Err(why) => Verdict::Maybe(why),
        }
    }

    /// Whether the account stack lets the account in, and whether it may want a new password first.
    pub(crate) fn account(&self) -> (Verdict, bool) {
        match self.run(&self.stacks.account, Scene { facility: Facility::Account, ..self.scene }) {
            Ok((outcomes, why)) => {
                let change = outcomes.may_want_change();
                let others =
                    outcomes.0.iter().any(|code| !matches!(code, stack::Code::Success | stack::Code::NewAuthtokReqd));
                (verdict(outcomes.may_succeed() || change, others, why), change)
            }
            Err(why) => (Verdict::Maybe(why), false),
        }
    }

    fn run(&self, stack: &Result<Vec<Entry<Module>>, Why>, scene: Scene<'_>) -> Result<(Outcomes, Option<Why>), Why> {
        let stack = stack.as_ref().map_err(Clone::clone)?;
        let doubt = RefCell::new(None);
        let outcomes = run(stack, &|module: &Module| {
            let (codes, why) = modules::answer(module, &scene);
            if let Some(why) = why {
                doubt.borrow_mut().get_or_insert(why);
            }
            codes
        });
        Ok((outcomes, doubt.into_inner()))
    }
}

fn verdict(may: bool, may_not: bool, why: Option<Why>) -> Verdict {
    match (may, may_not) {
        (true, false) => Verdict::Yes,
        (false, _) => Verdict::No,
        (true, true) => Verdict::Maybe(why.unwrap_or(Why::NotAsked("what PAM says is not certain"))),
    }
}
