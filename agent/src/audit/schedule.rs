//! Who is tried next: every hash gets the same share of CPU time, in batches of some twenty milliseconds.

use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hostward_checks::candidate::{Candidate, Candidates};
use hostward_checks::crypt::{Verifier, Workspace};
use hostward_checks::observation::password::{NotTried, Outcome, Rank};

use super::Progress;
use super::budget::Budget;
use super::guard::run_when_idle;
use super::tried::Tried;
use super::word_list::Reader;

/// CPU time of a batch, as the hash's price estimates it.
const BATCH_MICROS: u64 = 20_000;

/// The most candidates in a batch.
const BATCH_MAX: u64 = 1024;

/// A hash and what there is to try against it.
#[derive(Debug)]
pub(super) struct Task {
    verifier: Verifier,
    candidates: Candidates,
    words: Option<Reader>,
    /// Of our own candidates, and of the word list.
    of: (u64, u64),
    /// Handed out, of our own and of the word list.
    handed: (u64, u64),
    /// What earlier audits have tried of both, until it is passed over.
    before: Option<(Tried, Tried)>,
    /// No candidate of our own is left.
    own_ended: bool,
    /// How far all that was handed out is tried, of both.
    stands: (Tried, Tried),
    tried: u64,
    /// Guesses made now.
    guesses: u64,
    in_flight: u32,
    /// CPU time handed out, in microseconds.
    share: u64,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Running,
    Exhausted,
    Found(Rank),
    OutOfMemory,
}

/// Candidates for one task.
struct Batch {
    task: usize,
    verifier: Verifier,
    candidates: Vec<Candidate>,
    /// Rank of the first, and whether they come from the word list.
    first: u64,
    from_words: bool,
}

impl Task {
    /// `before` is what earlier audits have tried, of our own candidates and of the word list.
    pub(super) fn new(
        verifier: Verifier,
        candidates: Candidates,
        words: Option<Reader>,
        before: (Tried, Tried),
    ) -> Self {
        let own = if before.0.all { before.0.count } else { candidates.at_most() };
        let listed = words.as_ref().map_or(0, |words| words.words);
        let done = before.0.all && (before.1.all || listed == 0);
        Self {
            verifier,
            candidates,
            words,
            of: (own, listed),
            handed: (before.0.count, before.1.count),
            before: Some(before),
            own_ended: before.0.all,
            stands: before,
            tried: before.0.count + before.1.count,
            guesses: 0,
            in_flight: 0,
            share: 0,
            state: match before.0.found.or(before.1.found) {
                Some(rank) => State::Found(rank.into()),
                None if done => State::Exhausted,
                None => State::Running,
            },
        }
    }

    /// Passes over what was tried before.
    fn pass_over(&mut self) {
        let Some((own, listed)) = self.before.take() else { return };
        let skip = |tried: Tried| usize::try_from(tried.count).unwrap_or(usize::MAX);
        if !own.all {
            self.candidates.by_ref().take(skip(own)).for_each(drop);
        }
        self.words.iter_mut().flatten().take(skip(listed)).for_each(drop);
    }

    /// The next candidates; none at the end.
    fn take(&mut self, task: usize) -> Option<Batch> {
        let price = self.verifier.cost().micros.max(1);
        let size = (BATCH_MICROS / price).clamp(1, BATCH_MAX) as usize;
        self.pass_over();
        let own = if self.own_ended { 0 } else { size };
        let mut batch = Batch {
            task,
            verifier: self.verifier.clone(),
            candidates: self.candidates.by_ref().take(own).collect(),
            first: self.handed.0,
            from_words: false,
        };
        if batch.candidates.is_empty() {
            self.own_ended = true;
            self.of.0 = self.handed.0;
            batch.candidates = self.words.iter_mut().flatten().take(size).collect();
            batch.from_words = true;
            batch.first = self.handed.1;
            self.handed.1 += batch.candidates.len() as u64;
        } else {
            self.handed.0 += batch.candidates.len() as u64;
        }
        if batch.candidates.is_empty() {
            self.of.1 = self.handed.1;
            self.state = State::Exhausted;
            self.stand();
            return None;
        }
        self.share += price * batch.candidates.len() as u64;
        self.in_flight += 1;
        Some(batch)
    }

    /// Takes note of how far it is, where nothing that was handed out is still being tried.
    fn stand(&mut self) {
        if self.in_flight > 0 || self.state == State::OutOfMemory {
            return;
        }
        let whole = self.words.as_ref().is_none_or(|words| words.error.is_none());
        let ended = self.state == State::Exhausted && whole;
        // Where a match stands would tell the password: it is not kept.
        let found = |rank: Rank| Tried { found: Some(rank.into()), ..Tried::default() };
        self.stands = match self.state {
            State::Found(Rank::WordList) => (self.stands.0, found(Rank::WordList)),
            State::Found(rank) => (found(rank), self.stands.1),
            _ => (
                Tried { count: self.handed.0, all: self.own_ended, found: None },
                Tried { count: self.handed.1, all: ended, found: None },
            ),
        };
    }
}

/// All tasks.
#[derive(Debug)]
pub(super) struct Schedule {
    tasks: Vec<Task>,
    out_of_budget: bool,
}

impl Schedule {
    pub(super) fn new(tasks: Vec<Task>) -> Self {
        Self { tasks, out_of_budget: false }
    }

    /// Candidates of the task that had the least so far.
    fn take(&mut self) -> Option<Batch> {
        loop {
            let running = self.tasks.iter_mut().enumerate().filter(|(_, task)| task.state == State::Running);
            let (at, task) = running.min_by_key(|(_, task)| task.share)?;
            if let Some(batch) = task.take(at) {
                return Some(batch);
            }
        }
    }

    fn done(&mut self, task: usize, tried: u64, state: Option<State>) {
        if let Some(task) = self.tasks.get_mut(task) {
            task.in_flight -= 1;
            task.tried += tried;
            if let Some(state) = state
                && !matches!(task.state, State::Found(_))
            {
                task.state = state;
            }
            task.guesses += tried;
            task.stand();
        }
    }

    /// How far each task is, of our own candidates and of the word list.
    pub(super) fn stands(&self) -> impl Iterator<Item = (Tried, Tried)> {
        self.tasks.iter().map(|task| task.stands)
    }

    /// Guesses made now, for all tasks.
    pub(super) fn guesses(&self) -> u64 {
        self.tasks.iter().map(|task| task.guesses).sum()
    }

    fn progress(&self) -> (u64, u64) {
        self.tasks.iter().fold((0, 0), |(tried, of), task| {
            let all = match task.state {
                State::Running | State::Exhausted => task.of.0 + task.of.1,
                // Nothing more to do here.
                State::Found(_) | State::OutOfMemory => task.tried,
            };
            (tried + task.tried, of + all)
        })
    }

    /// Whether it ended before everything was tried.
    pub(super) fn unfinished(&self) -> bool {
        self.out_of_budget
    }

    /// Tried, of how many, with what outcome.
    pub(super) fn result(&self, task: usize) -> (u64, u64, Outcome) {
        let Some(task) = self.tasks.get(task) else {
            return (0, 0, Outcome::NotTried(NotTried::OutOfBudget));
        };
        let outcome = match task.state {
            State::Found(rank) => Outcome::Weak(rank),
            State::OutOfMemory => Outcome::NotTried(NotTried::OutOfMemory),
            State::Running | State::Exhausted if task.tried == 0 => Outcome::NotTried(NotTried::OutOfBudget),
            State::Running | State::Exhausted => Outcome::NotFound,
        };
        (task.tried, (task.of.0 + task.of.1).max(task.tried), outcome)
    }
}

/// Works until everything was tried or the budget is spent.
pub(super) fn run(
    schedule: &Mutex<Schedule>,
    budget: &Budget<'_>,
    threads: NonZeroUsize,
    idle: bool,
    progress: &dyn Progress,
) {
    if lock(schedule).tasks.is_empty() {
        return;
    }
    std::thread::scope(|scope| {
        for _ in 0..threads.get() {
            scope.spawn(|| {
                if idle {
                    run_when_idle();
                }
                work(schedule, budget, progress);
            });
        }
    });
}

fn work(schedule: &Mutex<Schedule>, budget: &Budget<'_>, progress: &dyn Progress) {
    let mut workspace = Workspace::default();
    let mut meter = budget.meter();
    loop {
        if budget.spent() {
            let mut schedule = lock(schedule);
            schedule.out_of_budget |= schedule.tasks.iter().any(|task| task.state == State::Running);
            return;
        }
        let Some(batch) = lock(schedule).take() else {
            return;
        };
        let words: Vec<&[u8]> = batch.candidates.iter().map(Candidate::as_bytes).collect();
        let (tried, state) = match batch.verifier.first_match(&words, &mut workspace) {
            Ok(Some(at)) => {
                let at = at as u64;
                (at + 1, Some(State::Found(super::rank(batch.first + at, batch.from_words))))
            }
            Ok(None) => (words.len() as u64, None),
            Err(_) => (0, Some(State::OutOfMemory)),
        };
        meter.charge();
        let (tried, of) = {
            let mut schedule = lock(schedule);
            schedule.done(batch.task, tried, state);
            schedule.progress()
        };
        progress.advance(tried, of);
    }
}

/// A panic of another thread leaves the numbers as they were between two steps.
fn lock(schedule: &Mutex<Schedule>) -> MutexGuard<'_, Schedule> {
    schedule.lock().unwrap_or_else(PoisonError::into_inner)
}
