//! `hostward confirm`: a fix stays, because its administrator has come in anew.

use std::net::IpAddr;
use std::path::Path;

use hostward_checks::fact::Fact;

use super::print;
use crate::exit_code::{Ends, ExitCode};
use crate::live::session::{Serving, serving};
use crate::transaction::{Moment, Stage, Store, Transaction};

/// Confirm a fix that waits, from a new ssh login: it stays
///
/// Unconfirmed it is undone at its deadline. What counts is a connection that was made after the fix: a session that was open
/// before, or one that shares its connection, proves nothing.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The transaction, or the beginning of its id [default: the one that waits]
    id: Option<String>,
}

fn refused(message: impl Into<String>) -> anyhow::Error {
    Ends::with(ExitCode::Refused, message)
}

/// Confirms.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if !nix::unistd::geteuid().is_root() {
        return Err(refused("only root may confirm a fix: log in anew and run `sudo hostward confirm`"));
    }
    let store = Store::alone(Path::new("/"))?;
    let mut transaction = chosen(&store, args.id.as_deref())?;
    let deadline = match transaction.stage() {
        Stage::Waiting { deadline } => deadline.clone(),
        Stage::Confirmed => {
            print(&format!("{} is confirmed already.\n", transaction.id()))?;
            return Ok(ExitCode::Clean);
        }
        stage => {
            let message = format!("{} is {}: there is nothing to confirm", transaction.id(), stage.word());
            return Err(refused(message));
        }
    };
    let now = Moment::now()?;
    if deadline.left(&now).is_none() {
        return Err(refused(format!("the time to confirm {} is over: it is being undone", transaction.id())));
    }
    new_login(&transaction, &now, serving().as_ref())?;
    transaction.set_stage(Stage::Confirmed)?;
    if let Err(error) = crate::live::tidy(&store) {
        super::warn(&format!("{error:#}"));
    }
    let id = transaction.id();
    print(&format!("Confirmed: {id} stays. `hostward rollback {id}` undoes it.\n"))?;
    Ok(ExitCode::Clean)
}

/// The transaction that was named, else the one that waits.
fn chosen(store: &Store, id: Option<&str>) -> anyhow::Result<Transaction> {
    if let Some(id) = id {
        return store.get(id);
    }
    let waits = store.pending()?.into_iter().find(|one| matches!(one.stage(), Stage::Waiting { .. }));
    waits.ok_or_else(|| refused("no fix waits for confirmation"))
}

/// Makes sure that this process was reached by a connection that was made after the change took effect, from elsewhere.
fn new_login(transaction: &Transaction, now: &Moment, serving: Option<&Serving>) -> anyhow::Result<()> {
    let Some(serving) = serving else {
        return Err(refused(
            "this is no ssh session: log in anew over ssh, and confirm there directly, not in tmux or screen",
        ));
    };
    let effective = transaction
        .stages()
        .iter()
        .rev()
        .find(|record| record.stage == Stage::Verifying)
        .or_else(|| transaction.stages().last())
        .filter(|record| record.since.boot_id == now.boot_id)
        .map(|record| u128::from(record.since.boottime_ms));
    if effective.is_none_or(|effective| serving.since_boot.as_millis() <= effective) {
        return Err(refused(
            "this connection was made before the fix took effect, and proves nothing (a shared connection, ControlMaster, is as old \
             as its first session): keep it open, log in anew with `ssh -S none …`, and confirm there",
        ));
    }
    if is_local(serving.peer) && from_elsewhere(transaction) {
        return Err(refused("this connection comes from the host itself: log in anew from where you usually do"));
    }
    Ok(())
}

/// Whether a peer is the host itself, or cannot be told.
fn is_local(peer: Option<IpAddr>) -> bool {
    let own = crate::observe::addresses();
    let own = own.known().map(Vec::as_slice).unwrap_or_default();
    peer.is_none_or(|peer| peer.is_loopback() || own.contains(&peer))
}

/// Whether anybody is known to log in from another host: whoever asked for the fix, or anyone lately.
fn from_elsewhere(transaction: &Transaction) -> bool {
    let elsewhere = |source: &IpAddr| !is_local(Some(source.to_canonical()));
    let asked = transaction.manifest().asked.source.as_ref().and_then(|source| source.parse().ok());
    let logins = crate::observe::logins(Path::new("/"), jiff::Timestamp::now().as_second());
    let lately = match &logins {
        Fact::Known(logins) => logins.accepted.iter().filter_map(|login| login.source).any(|source| elsewhere(&source)),
        // Nobody knows: then the host itself is no proof.
        Fact::Absent | Fact::Unknown(_) => true,
    };
    asked.is_some_and(|source: IpAddr| elsewhere(&source)) || lately
}
