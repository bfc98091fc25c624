//! `hostward remedy CHECK`: the applier. Fixes one check where the policy lets a resident do so; hostward-fix@CHECK.service runs it.
//!
//! Everything that limits a resident is decided here, whoever asked: the policy, the hold file, the window, how often. The fix
//! itself is `hostward fix CHECK --apply --confirm-by probe`, with its plan, its guards and its transaction.

use std::path::{Path, PathBuf};

use hostward_checks::policy::Waiver;

use super::fix::carry_out::{CarryOut, Done, free_store};
use super::look::{Looked, Looking, look_alone};
use super::{fix, print};
use crate::config::Configuration;
use crate::exit_code::{Ends, ExitCode};
use crate::judge::{JudgedFinding, Waived};
use crate::lock::Lock;
use crate::plan::{Proposal, render};
use crate::remedy::ledger::{self, Concerned, Ledger, Outcome};
use crate::remedy::limit::{Standing, standing};
use crate::remedy::since::{DAY, age};
use crate::remedy::{forbidden, writers};
use crate::resident::line::is_secret;
use crate::transaction::{Moment, Stage, Store, Transaction};
use crate::{live, lock};

/// Fix a check that the policy lets a resident fix, where nothing stands against it
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The check
    #[arg(value_name = "CHECK")]
    check: String,
}

/// Fixes, and writes down what became of it.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    live::launch::possible()?;
    let state = crate::survey::state_dir();
    crate::files::private_dir(&state)?;
    // One applier at a time.
    let _alone = lock::directory(std::fs::File::open(&state)?, &state)?;
    let path = ledger::path();
    let mut ledger = Ledger::open(&path)?;
    settle(&mut ledger, &path)?;
    let fix = fix::Args::unattended(&args.check)?;
    let looking = fix.looking();
    let all = looking.configuration()?;
    allowed(&all, &args.check)?;
    let held = lock::alone(Path::new(lock::PATH))?;
    let store = free_store(None)?;
    settle(&mut ledger, &path)?;
    let mut applier = Applier { check: &args.check, fix, looking, all, ledger, path, now: Moment::now()? };
    applier.run(store, held)
}

/// Whether the policy lets this check be fixed, now.
fn allowed(all: &Configuration, check: &str) -> anyhow::Result<()> {
    let remediate = &all.policy.remediate;
    if !remediate.checks.iter().any(|named| named == check) {
        return Err(Ends::with(ExitCode::Refused, format!("the policy does not let a resident fix {check}")));
    }
    match forbidden(remediate, jiff::Timestamp::now()) {
        Some(why) => Err(Ends::with(ExitCode::Refused, format!("nothing is fixed: {why}"))),
        None => Ok(()),
    }
}

/// Notes how attempts ended whose applier did not live to say so.
fn settle(ledger: &mut Ledger, path: &Path) -> anyhow::Result<()> {
    let begun: Vec<(u64, Option<String>)> =
        ledger.unsettled().map(|entry| (entry.number, entry.transaction.clone())).collect();
    if begun.is_empty() {
        return Ok(());
    }
    let store = Store::open(Path::new("/"))?;
    for (number, transaction) in begun {
        let end = match transaction.map(|id| store.get(&id)) {
            None => Some((Outcome::RolledBack, Some("it was cut off before anything was changed".to_owned()))),
            Some(Err(error)) => Some((Outcome::RolledBack, Some(format!("{error:#}")))),
            Some(Ok(transaction)) => ended(transaction.stage()),
        };
        if let Some((outcome, why)) = end {
            ledger.change(number, |entry| (entry.outcome, entry.why) = (outcome, why));
        }
    }
    ledger.write(path)
}

/// What became of a transaction; None: nothing yet.
fn ended(stage: &Stage) -> Option<(Outcome, Option<String>)> {
    match stage {
        Stage::Confirmed => Some((Outcome::Fixed, None)),
        Stage::Undone { why } => Some((Outcome::RolledBack, Some(why.clone()))),
        Stage::Stuck { why, left } => {
            Some((Outcome::RolledBack, Some(format!("{why}; not put back: {}", left.join("; ")))))
        }
        _ => None,
    }
}

/// One run of the applier.
struct Applier<'a> {
    check: &'a str,
    fix: fix::Args,
    looking: Looking,
    all: Configuration,
    ledger: Ledger,
    path: PathBuf,
    now: Moment,
}

impl Applier<'_> {
    fn run(&mut self, mut store: Store, held: Vec<Lock>) -> anyhow::Result<ExitCode> {
        let mut looked = look_alone(&self.looking, &self.all, None)?;
        self.leave(&mut looked);
        let mut proposal = fix::plan(&self.fix, &self.all, &looked);
        if self.contended(&store, &mut looked, &proposal)? {
            proposal = fix::plan(&self.fix, &self.all, &looked);
        }
        let findings: Vec<Concerned> = open(&mut looked).map(|finding| Concerned::of(finding)).collect();
        if findings.is_empty() {
            print(&format!("{}: nothing is to be fixed now\n", self.check))?;
            return Ok(ExitCode::Clean);
        }
        if !is_secret(self.check) {
            print(&render::text(&proposal, hostward_checks::check::Lang::En, None))?;
        }
        if proposal.refused() || proposal.plan.is_empty() {
            return self.refused(&proposal, findings, &render::refusal(&proposal));
        }
        // Somebody may have said no since it was looked at.
        allowed(&self.all, self.check)?;
        let number = self.ledger.record(self.check, findings.clone(), Outcome::Attempted, &self.now);
        self.ledger.write(&self.path)?;
        let carrying = CarryOut {
            args: &self.fix,
            looking: &self.looking,
            all: &self.all,
            looked: &looked,
            proposal: &proposal,
            lang: hostward_checks::check::Lang::En,
        };
        let mut transaction = match carrying.begin(&mut store) {
            Ok(transaction) => transaction,
            Err(error) => {
                // Nothing was changed: it does not count.
                self.end(number, Outcome::Refused, Some(format!("{error:#}")))?;
                return Err(error);
            }
        };
        self.ledger.change(number, |entry| entry.transaction = Some(transaction.id().to_owned()));
        self.ledger.write(&self.path)?;
        let done = carrying.carry(&mut transaction, store, held);
        self.tell(number, &transaction, done)
    }

    fn end(&mut self, number: u64, outcome: Outcome, why: Option<String>) -> anyhow::Result<()> {
        self.ledger.change(number, |entry| (entry.outcome, entry.why) = (outcome, why));
        self.ledger.write(&self.path)
    }

    /// Notes how it ended. What has not ended yet is noted by the next run.
    fn tell(&mut self, number: u64, transaction: &Transaction, done: anyhow::Result<Done>) -> anyhow::Result<ExitCode> {
        let stage = match &done {
            Ok(done) => done.stage(),
            Err(_) => transaction.stage(),
        };
        let end = ended(stage);
        let fixed = matches!(end, Some((Outcome::Fixed, _)));
        if let Some((outcome, why)) = end {
            self.end(number, outcome, why)?;
        }
        print(&done?.text(hostward_checks::check::Lang::En))?;
        Ok(if fixed { ExitCode::Clean } else { ExitCode::Refused })
    }

    /// Waives for this run, in the plan and in what is looked at after it, what is not to be tried now.
    fn leave(&mut self, looked: &mut Looked) {
        for finding in open(looked) {
            if !matches!(standing(&self.ledger, &finding.fingerprint, &self.now), Standing::Free | Standing::Spent) {
                waive(&mut self.all, self.check, finding);
            }
        }
    }

    /// Waives and tells what is not to be fought over: what the plan would fix and was tried often enough, or was taken back by
    /// somebody. Whether there was any.
    fn contended(&mut self, store: &Store, looked: &mut Looked, proposal: &Proposal) -> anyhow::Result<bool> {
        let reasons = || proposal.plan.effects.iter().flat_map(|planned| &planned.reasons);
        let (mut contended, mut evidence): (Vec<Concerned>, Vec<PathBuf>) = Default::default();
        let mut whys: Vec<String> = Vec::new();
        for finding in open(looked) {
            let planned = reasons().any(|reason| reason.subject == finding.finding.subject);
            let spent = standing(&self.ledger, &finding.fingerprint, &self.now) == Standing::Spent;
            let twice = || spent.then(|| "it was tried twice in a day and is here".to_owned());
            let why = self.rolled_back(store, &finding.fingerprint).or_else(twice);
            if let Some(why) = why.filter(|_| planned && !proposal.refused()) {
                contended.push(Concerned::of(finding));
                evidence.extend(finding.finding.evidence.iter().map(|one| PathBuf::from(&one.file)));
                whys.push(why);
                waive(&mut self.all, self.check, finding);
            }
        }
        if contended.is_empty() {
            return Ok(false);
        }
        evidence.retain(|path| path.is_absolute());
        whys.dedup();
        let why = whys.join("; ");
        let transaction = contended.first().and_then(|one| self.transaction(store, &one.fingerprint));
        let writers = writers::told(store.tree(), transaction.as_ref(), &evidence);
        let number = self.ledger.record(self.check, contended, Outcome::Contended, &self.now);
        self.ledger.change(number, |entry| {
            entry.transaction = transaction.map(|transaction| transaction.id().to_owned());
            entry.why = Some(format!("{why}; {writers}"));
        });
        self.ledger.write(&self.path)?;
        print(&format!("{}: contended: {why}; {writers}\n", self.check))?;
        Ok(true)
    }

    /// The last transaction of today that fixed a finding.
    fn transaction(&self, store: &Store, fingerprint: &str) -> Option<Transaction> {
        let concerned = |one: &Concerned| one.fingerprint == fingerprint;
        let today = self.ledger.entries.iter().rev().filter(|entry| age(&entry.since, &self.now) < DAY);
        let last = today.filter(|entry| entry.outcome.counts()).find(|entry| entry.findings.iter().any(concerned));
        last.and_then(|entry| store.get(entry.transaction.as_deref()?).ok())
    }

    /// That somebody took our fix back: that is not to be fought over.
    fn rolled_back(&self, store: &Store, fingerprint: &str) -> Option<String> {
        let transaction = self.transaction(store, fingerprint)?;
        let confirmed = transaction.stages().iter().any(|record| record.stage == Stage::Confirmed);
        match transaction.stage() {
            Stage::Undone { why } if confirmed => {
                Some(format!("transaction {} was rolled back: {why}", transaction.id()))
            }
            _ => None,
        }
    }

    /// Notes a refusal, once for the same plan and the same findings.
    fn refused(&mut self, proposal: &Proposal, findings: Vec<Concerned>, why: &str) -> anyhow::Result<ExitCode> {
        let plan = crate::tree::digest(render::gist(proposal).as_bytes());
        let known = self.ledger.last(self.check).is_some_and(|last| {
            last.outcome == Outcome::Refused && last.plan.as_ref() == Some(&plan) && last.findings == findings
        });
        if !known {
            let number = self.ledger.record(self.check, findings, Outcome::Refused, &self.now);
            self.ledger.change(number, |entry| (entry.plan, entry.why) = (Some(plan), Some(why.to_owned())));
            self.ledger.write(&self.path)?;
        }
        Ok(ExitCode::Refused)
    }
}

/// The findings that count.
fn open(looked: &mut Looked) -> impl Iterator<Item = &mut JudgedFinding> {
    looked.judged.iter_mut().flat_map(|one| &mut one.findings).filter(|one| one.waived.is_none())
}

fn waive(all: &mut Configuration, check: &str, finding: &mut JudgedFinding) {
    let reason = "not to be fixed now".to_owned();
    let subject = Some(finding.finding.subject.clone());
    all.policy.waivers.push(Waiver { check: check.to_owned(), subject, reason: reason.clone(), expires: None });
    finding.waived = Some(Waived::Waiver { reason, expires: None });
}
