//! Carrying a plan out: the transaction written, run in a unit of its own or in this process, and told.

use std::path::Path;
use std::time::Duration;

use hostward_checks::check::{Lang, Severity};
use hostward_checks::guard::Confirm;

use super::{Args, show, tell};
use crate::apply::{self, Offline};
use crate::command::apply::services;
use crate::command::look::{Looked, Looking, look_alone};
use crate::command::{print, warn};
use crate::config::{Budget, Configuration};
use crate::exit_code::ExitCode;
use crate::judge::{Judged, JudgedFinding, State};
use crate::live;
use crate::lock::Lock;
use crate::plan::{Proposal, render};
use crate::resident::look::KEYS;
use crate::sanitize::escape;
use crate::transaction::{Asked, FindingRecord, Found, New, Stage, Store, Transaction};

/// How often to look whether the probe has ended.
const PERIOD: Duration = Duration::from_millis(200);
/// How much longer than its time a probe may take to be ended.
const SLACK: Duration = Duration::from_secs(30);

/// The transactions of the root, with none under way.
///
/// # Errors
/// As [`Store::idle`].
pub(in crate::command) fn free_store(root: Option<&Path>) -> anyhow::Result<Store> {
    let store = match root {
        Some(dir) => Store::alone(dir)?,
        // The live host is locked already.
        None => Store::open(Path::new("/"))?,
    };
    for id in apply::set_aside(&store, services(&store).as_mut())? {
        warn(&format!("transaction {id} was written down and never started, and changed nothing: it is set aside"));
    }
    store.idle()?;
    Ok(store)
}

/// A plan about to be carried out.
pub(in crate::command) struct CarryOut<'a> {
    pub(in crate::command) args: &'a Args,
    pub(in crate::command) looking: &'a Looking,
    pub(in crate::command) all: &'a Configuration,
    pub(in crate::command) looked: &'a Looked,
    pub(in crate::command) proposal: &'a Proposal,
    pub(in crate::command) lang: Lang,
}

/// What became of it.
pub(in crate::command) struct Done {
    id: String,
    stage: Stage,
    /// Until when it waits, in words.
    until: Option<String>,
    /// Findings that stay.
    stays: usize,
    /// Paths that nothing puts back.
    erased: usize,
}

impl CarryOut<'_> {
    /// Writes the transaction, runs it, and says what became of it.
    pub(super) fn run(&self, mut store: Store, held: Vec<Lock>) -> anyhow::Result<ExitCode> {
        let mut transaction = self.begin(&mut store)?;
        if !self.args.json {
            print(&render::text(self.proposal, self.lang, super::room()))?;
        }
        let done = self.carry(&mut transaction, store, held)?;
        show(self.args, self.proposal, Some(&done), self.lang)?;
        Ok(done.code())
    }

    /// How it is confirmed, and within what time.
    fn confirm(&self) -> (Confirm, Duration) {
        let asked = self.args.confirm();
        let confirm = if self.proposal.could_cut() { asked } else { Confirm::None };
        (confirm, self.args.within(confirm))
    }

    /// Writes the transaction down; nothing is changed yet.
    pub(in crate::command) fn begin(&self, store: &mut Store) -> anyhow::Result<Transaction> {
        let (confirm, confirm_within) = self.confirm();
        store.begin(&New {
            plan: &self.proposal.plan,
            asked: Asked::here(),
            command: std::env::args().collect(),
            confirm,
            confirm_within,
            found: found(&self.looked.judged),
            keepers: self.proposal.keepers(),
        })
    }

    /// Runs it to its end, or until it waits to be confirmed.
    pub(in crate::command) fn carry(
        &self,
        transaction: &mut Transaction,
        store: Store,
        held: Vec<Lock>,
    ) -> anyhow::Result<Done> {
        let (confirm, within) = self.confirm();
        let stage = match self.looking.root {
            Some(_) => {
                apply::run(store.tree(), transaction, &mut Offline)?;
                drop(store);
                transaction.stage().clone()
            }
            None => {
                // The unit takes the locks; until it has them, the prepared transaction keeps others away.
                drop((held, store));
                let stage = live::launch::run(transaction, |_| {})?;
                if confirm == Confirm::Probe { ended(transaction, within)? } else { stage }
            }
        };
        let done = self.look_again(transaction, stage);
        let keep = usize::try_from(self.all.policy.keep_transactions).unwrap_or(usize::MAX);
        let age = Duration::from_secs(u64::from(self.all.policy.keep_days) * 86_400);
        let root = self.looking.root.as_deref().unwrap_or(Path::new("/"));
        let pruned = Store::open(root).and_then(|store| store.prune(keep, age));
        tell(pruned.map(|_| ()), "old transactions are not removed");
        Ok(done)
    }

    /// What the checks say now; without trying passwords again, nor searching for AccessKeys, which erasures alone take away: what was
    /// found of those before holds.
    fn look_again(&self, transaction: &Transaction, stage: Stage) -> Done {
        let mut looking = self.looking.clone();
        looking.password_budget = Some(Budget::Time(Duration::ZERO));
        let is_kept = |one: &&Judged| one.check.id == KEYS && transaction.manifest().erasures().next().is_none();
        let kept: Vec<Judged> = self.looked.judged.iter().filter(is_kept).cloned().collect();
        looking.skip.extend(kept.iter().map(|one| one.check.id.to_owned()));
        let mut stays = self.proposal.plan.unfixable.len() + self.proposal.remaining.len();
        if matches!(stage, Stage::Waiting { .. } | Stage::Confirmed) {
            match look_alone(&looking, self.all, None) {
                Ok(mut looked) => {
                    looked.judged.extend(kept);
                    tell(transaction.set_found_after(&found(&looked.judged)), "what is found now is not kept");
                    let failing = looked.judged.iter().filter(|one| one.state == State::Fail);
                    // What is only told of (a listener that the firewall closes) is nothing that stays wrong.
                    let counts = |one: &&JudgedFinding| one.waived.is_none() && one.severity > Severity::Info;
                    stays = stays.max(failing.flat_map(|one| &one.findings).filter(counts).count());
                }
                Err(error) => tell(Err(error), "the host could not be looked at again"),
            }
        }
        let until = match &stage {
            Stage::Waiting { deadline } => Some(deadline.at.to_string()),
            _ => None,
        };
        let erased = transaction.manifest().erasures().count();
        Done { id: transaction.id().to_owned(), stage, until, stays, erased }
    }
}

/// Waits until the probe has confirmed or undone it.
fn ended(transaction: &mut Transaction, within: Duration) -> anyhow::Result<Stage> {
    let until = std::time::Instant::now() + within + SLACK;
    while !transaction.stage().is_final() && std::time::Instant::now() < until {
        std::thread::sleep(PERIOD);
        transaction.refresh()?;
    }
    Ok(transaction.stage().clone())
}

fn found(judged: &[Judged]) -> Found {
    let fails = judged.iter().any(|one| one.state == State::Fail);
    let unknown = judged.iter().any(|one| one.state == State::Unknown);
    let verdict = match (fails, unknown) {
        (true, _) => "fail",
        (false, true) => "undecided",
        (false, false) => "pass",
    };
    let findings = judged.iter().flat_map(|one| one.findings.iter().map(move |finding| (one, finding)));
    let counted = findings.filter(|(_, finding)| finding.waived.is_none());
    Found {
        verdict: verdict.to_owned(),
        findings: counted
            .map(|(one, judged)| FindingRecord {
                check: one.check.id.to_owned(),
                subject: judged.finding.subject.clone(),
                severity: judged.severity.word().to_owned(),
            })
            .collect(),
    }
}

impl Done {
    /// How far it came.
    pub(in crate::command) fn stage(&self) -> &Stage {
        &self.stage
    }

    fn code(&self) -> ExitCode {
        match &self.stage {
            Stage::Confirmed | Stage::Waiting { .. } if self.stays == 0 => ExitCode::Clean,
            Stage::Confirmed | Stage::Waiting { .. } => ExitCode::Findings,
            _ => ExitCode::Refused,
        }
    }

    /// The last lines for people.
    pub(in crate::command) fn text(&self, lang: Lang) -> String {
        let (id, stays) = (&self.id, self.stays);
        let until = self.until.as_deref().unwrap_or_default();
        match (&self.stage, lang) {
            (Stage::Confirmed, Lang::En) => {
                let but = match self.erased {
                    0 => String::new(),
                    count => format!(" ({count} paths are gone for good)"),
                };
                format!("DONE: transaction {id}, verified; {stays} findings stay. Undo: hostward rollback {id}{but}\n")
            }
            (Stage::Confirmed, Lang::Zh) => {
                let but = match self.erased {
                    0 => String::new(),
                    count => format!("（{count} 个路径已彻底清除，无法恢复）"),
                };
                format!("已完成：事务 {id} 已验证；{stays} 项问题保留。撤销：hostward rollback {id}{but}\n")
            }
            (Stage::Waiting { .. }, Lang::En) => format!(
                "APPLIED, NOT CONFIRMED: log in anew (this session does not count) and run `hostward confirm {id}`;\n\
                 otherwise it is undone at {until}. {stays} findings stay.\n"
            ),
            (Stage::Waiting { .. }, Lang::Zh) => format!(
                "已应用，尚未确认：请重新登录（当前会话不算）并运行 `hostward confirm {id}`；\n\
                 否则将在 {until} 撤销。{stays} 项问题保留。\n"
            ),
            (Stage::Undone { why }, Lang::En) => {
                format!("ROLLED BACK: transaction {id}: {}. Everything is as it was.\n", escape(why))
            }
            (Stage::Undone { why }, Lang::Zh) => format!("已回滚：事务 {id}：{}。一切恢复原状。\n", escape(why)),
            (Stage::Stuck { why, left }, Lang::En) => format!(
                "NOT UNDONE AS A WHOLE: transaction {id}: {}; left alone: {}\n",
                escape(why),
                escape(&left.join("; "))
            ),
            (Stage::Stuck { why, left }, Lang::Zh) => {
                format!("未能完全撤销：事务 {id}：{}；未处理：{}\n", escape(why), escape(&left.join("；")))
            }
            (stage, Lang::En) => format!("CUT OFF at {}: `hostward recover` undoes transaction {id}\n", stage.word()),
            (stage, Lang::Zh) => format!("中断于 {}：`hostward recover` 将撤销事务 {id}\n", stage.word()),
        }
    }

    /// The same for programs.
    pub(super) fn block(&self) -> render::DoneBlock {
        let why = match &self.stage {
            Stage::Undone { why } | Stage::Stuck { why, .. } => Some(escape(why)),
            _ => None,
        };
        render::DoneBlock {
            id: self.id.clone(),
            stage: self.stage.word(),
            until: self.until.clone(),
            why,
            stays: self.stays,
        }
    }
}
