//! Asks services that listen what they give to somebody without credentials: each at most once a day, with one connection.
//!
//! That a service is asked is written down before it is, so that no crash and no second run asks it again; who cannot write asks
//! nobody. What they answered is remembered for that day.

mod at_once;
mod exchange;
mod memory;
mod tls;

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use hostward_checks::catalogue::ports::unauthenticated::{Question, questions};
use hostward_checks::fact::{Fact, Why};
use hostward_checks::observation::Observations;
use hostward_checks::observation::service::Asked;
use hostward_checks::observation::socket::Listener;
use hostward_checks::probe::{Context, is_misunderstanding};

use memory::{Memory, Stand};

/// All services together take no longer: nobody is asked after it, and no exchange goes on.
const ALL: Duration = Duration::from_secs(5);
/// As many are asked in one look; the others in the next.
const MANY: usize = 64;
/// The file, in the directory of our state.
const FILE: &str = "asked.json";

/// Asks what is due, and tells what is known of each. `dir` keeps what was asked; `rsyncd_conf` is the rsync daemon's configuration.
pub fn ask(seen: &Observations, dir: &Path, rsyncd_conf: Option<&[u8]>) -> Fact<Vec<Asked>> {
    let questions = questions(seen);
    if questions.is_empty() {
        return Fact::Known(Vec::new());
    }
    if !nix::unistd::geteuid().is_root() {
        return Fact::Unknown(Why::NotAsked("services are asked by root alone, who can note that they were"));
    }
    let module = rsyncd_conf.and_then(hostward_checks::probe::module_to_ask);
    let context = Context { module: module.as_deref() };
    match ask_due(seen, &questions, dir, &context) {
        Ok(memory) => Fact::Known(questions.iter().map(|question| memory.told(question, seen.now)).collect()),
        Err(error) => Fact::Unknown(Why::Failed(format!("nobody is asked, for it cannot be noted: {error:#}"))),
    }
}

/// What may be said to who listens: the names in root's configuration are for root's daemon.
fn told_to<'c>(listener: &Listener, context: &Context<'c>) -> Context<'c> {
    Context { module: context.module.filter(|_| listener.uid == 0) }
}

/// Whose the listener is: people, and the ids that they may hand out to their containers, are one.
fn account(listener: &Listener) -> u32 {
    match listener.uid {
        1000..=60_000 | 65_534.. => 1000,
        uid => uid,
    }
}

/// The first of each account, in their order, then the second of each …: who opens many does not keep the others' from their turn.
fn in_turn<T>(all: Vec<T>, account: impl Fn(&T) -> u32) -> Vec<T> {
    let mut begun: BTreeMap<u32, usize> = BTreeMap::new();
    let turn = |one: T| {
        let turn = begun.entry(account(&one)).or_default();
        *turn += 1;
        (*turn, one)
    };
    let mut turns: Vec<(usize, T)> = all.into_iter().map(turn).collect();
    turns.sort_by_key(|(turn, _)| *turn);
    turns.into_iter().map(|(_, one)| one).collect()
}

fn ask_due(
    seen: &Observations,
    questions: &[Question<'_>],
    dir: &Path,
    context: &Context<'_>,
) -> anyhow::Result<Memory> {
    crate::files::private_dir(dir)?;
    // Two scans at once would ask twice.
    let _lock = crate::lock::directory(std::fs::File::open(dir)?, dir)?;
    let mut memory = Memory::open(&dir.join(FILE), seen.now);
    memory.forget(questions, seen.now);
    let mut due: Vec<(&Question<'_>, IpAddr)> = questions
        .iter()
        .filter_map(|question| Some((question, question.to.ok()?)))
        .filter(|(question, _)| matches!(memory.stand(question, seen.now), Stand::Due))
        .collect();
    // Whoever was not asked for the longest time first: slow ones do not always keep the same from their turn.
    due.sort_by_key(|(question, _)| memory.last(question));
    let mut due = in_turn(due, |(question, _)| account(question.listener));
    due.truncate(MANY);
    let before = memory.begin(due.iter().map(|(question, _)| *question), seen.now);
    memory.save()?;
    let end = Instant::now() + ALL;
    let answers = at_once::at_once(
        &due,
        || Instant::now() >= end,
        |(question, to)| {
            let to = SocketAddr::new(*to, question.listener.port);
            let with_tls = question.probe.speaks_tls(to.port()) != memory.is_otherwise(question);
            exchange::exchange(question.probe, to, with_tls, &told_to(question.listener, context), end)
        },
    );
    for ((question, _), answer) in due.into_iter().zip(answers) {
        match answer {
            Some(answer) => {
                let otherwise = is_misunderstanding(&answer);
                memory.learn(question, answer, otherwise);
            }
            None => memory.restore(question, &before),
        }
    }
    memory.save()?;
    Ok(memory)
}
