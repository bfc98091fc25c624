//! The password audit: tries candidates against the hashes of shadow(5) within a budget, and forgets what it found.
//!
//! Accounts with the same hash are one task. Every task gets the same share of the CPU, each going down its own ranked
//! candidates, so that the likeliest passwords of all accounts come first, a cheap hash is soon done, and a dear one starves
//! nobody. What is found is kept nowhere: a match ends a task with a [`Rank`].

mod budget;
mod guard;
mod memory;
mod schedule;
mod tried;
mod word_list;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use hostward_checks::candidate::Generator;
use hostward_checks::crypt::{Crypt, Hash, Limits, Method};
use hostward_checks::fact::Fact;
use hostward_checks::host::accounts::Accounts;
use hostward_checks::observation::password::{AccountAudit, NotTried, Outcome, PasswordAudit, Rank};
use hostward_checks::parse::passwd::Name;

use budget::Budget;
pub use memory::Memory;
use memory::{List, Saving};
use schedule::{Schedule, Task};
use word_list::WordList;

/// One account to audit.
#[derive(Clone)]
pub struct Account {
    /// Its name.
    pub user: Name,
    /// The GECOS field of passwd(5).
    pub gecos: Vec<u8>,
    /// The password field that counts, of shadow(5) or passwd(5). Absent: the shadow line is not there, so no password fits.
    pub password: Fact<Vec<u8>>,
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account").field("user", &self.user).finish_non_exhaustive()
    }
}

/// What to audit, and how much it may cost.
#[derive(Debug)]
pub struct Request<'a> {
    /// In the order of the report.
    pub accounts: Vec<Account>,
    /// Names of the host, its organisation and its products, out of which passwords are made.
    pub host_words: Vec<Vec<u8>>,
    /// The present year.
    pub year: u16,
    /// Files of words, one a line, tried after our own candidates. Regular files of any size.
    pub word_lists: Vec<PathBuf>,
    /// CPU time of all threads together; `None`: until everything was tried.
    pub cpu: Option<Duration>,
    /// Time on the clock.
    pub wall: Option<Duration>,
    /// What one guess may cost.
    pub limits: Limits,
    /// Threads: all cores where a person waits, else one.
    pub threads: NonZeroUsize,
    /// Whether to run only when nobody else wants the CPU (SCHED_IDLE).
    pub idle: bool,
    /// Set from elsewhere to end the audit at the next guess.
    pub cancel: &'a AtomicBool,
}

/// Told how far the audit is; called from its threads, some fifty times a second.
pub trait Progress: Sync {
    /// `tried` of `of` guesses are made, over all accounts.
    fn advance(&self, tried: u64, of: u64);
}

/// Nobody looks.
impl Progress for () {
    fn advance(&self, _: u64, _: u64) {}
}

/// The accounts of a host, in the order of its passwd file; those that no look-up by name reaches are left out.
#[must_use]
pub fn accounts_of(accounts: &Accounts) -> Vec<Account> {
    let reachable = accounts.list().iter().filter(|user| !user.hidden_name);
    reachable
        .map(|user| Account {
            user: user.name().clone(),
            gecos: user.entry.gecos.clone(),
            password: user.password().map(|password| password.field.bytes().to_vec()),
        })
        .collect()
}

/// The year of a Unix time, for [`Request::year`].
#[must_use]
pub fn year_of(seconds: i64) -> u16 {
    let year = jiff::Timestamp::from_second(seconds).map(|now| now.to_zoned(jiff::tz::TimeZone::UTC).year());
    year.ok().and_then(|year| u16::try_from(year).ok()).unwrap_or(2026)
}

/// Audits the accounts of `request`, going on where `memory` ends, which learns what is tried. While it runs, the process leaves no
/// core dump.
#[must_use]
pub fn run(request: &Request<'_>, memory: &mut Memory, progress: &dyn Progress) -> PasswordAudit {
    let _no_core = guard::NoCoreDump::new();
    let budget = Budget::new(request.cpu, request.wall, request.cancel);
    let mut audit = PasswordAudit::default();
    let (words, trouble) = WordList::open(&request.word_lists, &budget);
    (audit.skipped_words, audit.word_list) = (words.skipped, trouble);
    let generator = Generator::new(request.host_words.iter().map(Vec::as_slice), request.year);
    let mut tasks =
        Tasks { words: &words, rules: memory::rules(&generator), memory, each: Vec::new(), lists: Vec::new() };
    let mut task_of: HashMap<&[u8], usize> = HashMap::new();
    let plans: Vec<Plan> = request
        .accounts
        .iter()
        .map(|account| {
            let password = match &account.password {
                Fact::Known(password) => password.as_slice(),
                Fact::Absent => return Plan::Known(None, Outcome::Unusable),
                Fact::Unknown(why) => return Plan::Known(None, Outcome::NotTried(NotTried::Unreadable(why.clone()))),
            };
            match Hash::parse(password) {
                Hash::Empty => Plan::Known(None, Outcome::Empty),
                Hash::Locked => Plan::Known(None, Outcome::Locked),
                Hash::Unusable => Plan::Known(None, Outcome::Unusable),
                Hash::Unrecognised => Plan::Known(None, Outcome::NotTried(NotTried::Unrecognised)),
                Hash::Known(hash) => {
                    if let Some(&task) = task_of.get(password) {
                        return Plan::Task(hash.method(), task);
                    }
                    let plan = plan(hash, account, request, &generator, &mut tasks);
                    if let Plan::Task(_, task) = plan {
                        task_of.insert(password, task);
                    }
                    plan
                }
            }
        })
        .collect();
    let Tasks { each, lists, memory, .. } = tasks;
    memory.forget_others(request.accounts.iter().map(|account| &account.password));
    let schedule = Mutex::new(Schedule::new(each));
    let saving = Saving::new(&schedule, &lists, memory, progress);
    schedule::run(&schedule, &budget, request.threads, request.idle, &saving);
    saving.end();
    let schedule = schedule.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    audit.guesses = schedule.guesses();
    audit.out_of_budget = schedule.unfinished();
    audit.accounts =
        request.accounts.iter().zip(plans).map(|(account, plan)| report(account, plan, &schedule)).collect();
    audit
}

/// What is done with an account.
enum Plan {
    /// Decided without a guess.
    Known(Option<Method>, Outcome),
    /// A task decides.
    Task(Method, usize),
}

/// The tasks so far, and what they share.
struct Tasks<'a> {
    words: &'a WordList,
    /// The digest of what all own candidates are made by.
    rules: Vec<u8>,
    memory: &'a mut Memory,
    each: Vec<Task>,
    /// What each task is to be remembered by: our own candidates and the word list.
    lists: Vec<(List, List)>,
}

fn plan(hash: Crypt, account: &Account, request: &Request<'_>, generator: &Generator, tasks: &mut Tasks<'_>) -> Plan {
    let method = hash.method();
    match hash.verifier(&request.limits) {
        Err(refusal) => Plan::Known(Some(method), Outcome::NotTried(NotTried::TooCostly(refusal))),
        Ok(verifier) => {
            let sharing = request.accounts.iter().filter(|other| other.password == account.password);
            let candidates = generator.accounts(sharing.map(|other| (other.user.bytes(), other.gecos.as_slice())));
            let password = account.password.known().map_or(&[][..], Vec::as_slice);
            let lists = (
                tasks.memory.own(password, &tasks.rules, &candidates),
                tasks.memory.listed(password, tasks.words.digest.as_deref()),
            );
            let before = (tasks.memory.tried(&lists.0), tasks.memory.tried(&lists.1));
            tasks.each.push(Task::new(verifier, candidates, Some(tasks.words.reader()), before));
            tasks.lists.push(lists);
            Plan::Task(method, tasks.each.len() - 1)
        }
    }
}

fn report(account: &Account, plan: Plan, schedule: &Schedule) -> AccountAudit {
    let (method, tried, of, outcome) = match plan {
        Plan::Known(method, outcome) => (method, 0, 0, outcome),
        Plan::Task(method, task) => {
            let (tried, of, outcome) = schedule.result(task);
            (Some(method), tried, of, outcome)
        }
    };
    AccountAudit { user: account.user.clone(), method, tried, of, outcome }
}

/// Candidates of the first class of [`Rank`].
const FIRST: u64 = 1000;

fn rank(at: u64, from_word_list: bool) -> Rank {
    match at {
        _ if from_word_list => Rank::WordList,
        0..FIRST => Rank::First1000,
        _ => Rank::Guessable,
    }
}
