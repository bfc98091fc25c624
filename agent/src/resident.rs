//! The resident: hears of changes, has them looked at, and tells what is different.
//!
//! It is small because it knows little: the directories that the last look rested on, and what is open. A look is a process of its
//! own ([`look`]) that records, judges and ends; so the resident's memory does not grow with what it looks at, and what it
//! tells is what a scan would say at that moment. It sleeps in `poll(2)` until the kernel has news.

use std::ffi::OsString;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::config::Agent;
use crate::exit_code::{Ends, ExitCode};
use crate::notify::notify;
use crate::random::jitter;

mod credit;
pub mod firewall;
pub mod known;
pub mod line;
pub mod listeners;
pub mod look;
mod news;
pub mod places;
pub mod remedies;
pub mod status;
pub mod tell;
pub mod trace;
mod trim;
mod wake;
pub mod watch;

use credit::Credit;
use known::{Known, Way};
use line::Pace;
use look::{Answer, Extent, Look};
use news::News;
use remedies::Remedies;
use status::{Cost, Door, Last, Status, Watching, milliseconds};
use tell::Teller;
use trim::Program;
use wake::{Cause, Wake, Wakes};

/// This program, whatever stands at its path by now.
pub const PROGRAM: &str = "/proc/self/exe";

/// One change is seldom alone: so long after the first the others are waited for.
const COALESCE: Duration = Duration::from_millis(40);
/// What nobody could be told is told again so much later.
const AGAIN: Duration = Duration::from_secs(30);
/// Who took some of what is to be told, and then no more, is told the rest so much later.
const REST: Duration = Duration::from_millis(100);
/// A look that failed is tried again so much later.
const RETRY: Duration = Duration::from_secs(30);

/// How the resident runs.
#[derive(Clone, Debug)]
pub struct Setup {
    /// What looks are told: the resident's own arguments.
    pub arguments: Vec<OsString>,
    /// Where [`Known`] stands.
    pub known: PathBuf,
    /// Where events are written, one a line. None: to the journal only.
    pub events: Option<PathBuf>,
    /// Where `hostward status` asks.
    pub door: PathBuf,
}

/// A resident at work.
struct Resident {
    setup: Setup,
    pace: Pace,
    news: News,
    known: Known,
    teller: Teller,
    credit: Credit,
    look: Option<(Look, Cause)>,
    /// The password audit, beside the looks: it takes its time.
    audit: Option<Look>,
    audit_due: bool,
    /// What is fixed where the policy says so.
    remedies: Remedies,
    /// What is to be looked at, why, and when at the earliest.
    due: Option<(Extent, Cause, Instant)>,
    full_at: Instant,
    poll_at: Instant,
    tell_at: Option<Instant>,
    alive: Option<(Duration, Instant)>,
    last: Option<Last>,
    last_full: Option<String>,
    cost: Cost,
    wakes: Wakes,
    program: Program,
    since: String,
    /// What goes wrong, by what it is about.
    troubles: Vec<(&'static str, String)>,
}

/// Runs until it is told to end.
///
/// # Errors
/// The kernel tells no news, another resident runs, there is no place for its state, or no configuration that was ever good.
pub fn run(setup: Setup) -> anyhow::Result<()> {
    let signals = SigSet::from_iter([Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP]);
    signals.thread_block().context("failed to block signals")?;
    let signals = SignalFd::with_flags(&signals, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
        .context("failed to wait for signals")?;
    let door = Door::open(&setup.door)?;
    let mut resident = Resident::new(setup)?;
    loop {
        let woken = resident.wait(&signals, &door)?;
        for wake in &woken {
            match wake {
                Wake::Signal => {
                    while let Ok(Some(signal)) = signals.read_signal() {
                        if i32::try_from(signal.ssi_signo) == Ok(Signal::SIGHUP as i32) {
                            resident.want(Extent::Full, Cause::Asked, Duration::ZERO);
                        } else {
                            resident.end();
                            return Ok(());
                        }
                    }
                }
                Wake::Look => resident.hear()?,
                Wake::Audit => resident.hear_of_passwords(),
                Wake::Remedy => resident.hear_of_remedy(),
                // Answered in the end, with what else came.
                Wake::Asked => {}
                news => resident.hear_news(*news),
            }
        }
        resident.work();
        if woken.contains(&Wake::Asked) {
            // Else who asks all the time would have it look at nothing.
            resident.credit.spend_own(Instant::now());
            door.answer(|| resident.status());
            resident.credit.forgive_own();
        }
        let worked = [Wake::Look, Wake::Audit, Wake::Asked].iter().any(|wake| woken.contains(wake));
        if worked && resident.look.is_none() && resident.audit.is_none() {
            resident.program.trim();
        }
    }
}

impl Resident {
    fn new(setup: Setup) -> anyhow::Result<Self> {
        let now = Instant::now();
        let (known, trouble) = Known::read(&setup.known)?;
        let alive = std::env::var("WATCHDOG_USEC").ok().and_then(|text| text.parse().ok()).map(Duration::from_micros);
        // Until a look tells what was configured.
        let Agent { full_scan: full, poll, cpu_percent } = Agent::default();
        let mut resident = Self {
            pace: Pace { full, poll, cpu_percent },
            news: News::open()?,
            known,
            teller: Teller::new(setup.events.clone())?,
            credit: Credit::new(cpu_percent, now),
            look: None,
            audit: None,
            audit_due: false,
            remedies: Remedies::default(),
            // Ready soon; the rest after that.
            due: Some((Extent::Usual, Cause::Start, now)),
            full_at: now + full,
            poll_at: now + poll,
            tell_at: None,
            alive: alive.map(|most| (most / 2, now)),
            last: None,
            last_full: None,
            cost: Cost::default(),
            wakes: Wakes::default(),
            program: Program::new(),
            since: jiff::Timestamp::now().to_string(),
            troubles: Vec::new(),
            setup,
        };
        resident.trouble("known", trouble);
        Ok(resident)
    }

    /// Sleeps until there is something to do. What woke it, where it was not the time.
    fn wait(&mut self, signals: &SignalFd, door: &Door) -> anyhow::Result<Vec<Wake>> {
        let mut waited = vec![
            (Wake::Signal, PollFd::new(signals.as_fd(), PollFlags::POLLIN)),
            (Wake::Asked, PollFd::new(door.as_fd(), PollFlags::POLLIN)),
        ];
        if self.listens() {
            waited.extend(self.news.waited());
        }
        for (wake, look) in [(Wake::Look, self.look.as_ref().map(|(look, _)| look)), (Wake::Audit, self.audit.as_ref())]
        {
            waited.extend(look.map(|look| (wake, PollFd::new(look.as_fd(), PollFlags::POLLIN))));
        }
        waited.extend(self.remedies.waits().map(|fd| (Wake::Remedy, PollFd::new(fd, PollFlags::POLLIN))));
        let (wakes, mut fds): (Vec<Wake>, Vec<PollFd<'_>>) = waited.into_iter().unzip();
        match poll(&mut fds, self.sleep()) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno).context("failed to wait for news"),
        }
        let woken = wakes.into_iter().zip(&fds).filter(|(_, fd)| fd.any().unwrap_or(false));
        let woken: Vec<Wake> = woken.map(|(wake, _)| wake).collect();
        let of_time = if Instant::now() >= self.poll_at { Wake::Poll } else { Wake::Due };
        self.wakes.count(&woken, of_time);
        Ok(woken)
    }

    /// Whether news are of use: a look that is due sees everything, however much comes before it begins.
    fn listens(&self) -> bool {
        let soon = Instant::now() + COALESCE;
        self.due.is_none_or(|(_, _, at)| at > soon) && self.news.quiet().is_none()
    }

    /// Says what is wrong once, and that it is right again.
    fn trouble(&mut self, about: &'static str, what: Option<String>) {
        let before = self.troubles.iter().position(|(known, _)| *known == about).map(|at| self.troubles.remove(at).1);
        match (&what, &before) {
            (Some(what), before) if before.as_ref() != Some(what) => self.teller.say(what),
            (None, Some(before)) => self.teller.say(&format!("right again: {before}")),
            _ => {}
        }
        self.troubles.extend(what.map(|what| (about, what)));
    }

    /// Has something looked at, after a while at the earliest. A look that is under way began too early for it.
    fn want(&mut self, extent: Extent, cause: Cause, after: Duration) {
        let at = Instant::now() + after;
        self.due = Some(match self.due {
            Some((known, first, begin)) => (known.max(extent), first, begin.min(at)),
            None => (extent, cause, at),
        });
    }

    /// How long nothing is to be done.
    fn sleep(&self) -> PollTimeout {
        let look = match (&self.look, self.due) {
            (Some((look, _)), _) => Some(look.deadline()),
            (None, Some((_, _, at))) => Some(at.max(self.credit.ready())),
            (None, None) => None,
        };
        let audit = self.audit.as_ref().map(Look::deadline);
        let quiet = self.news.quiet();
        let times =
            [look, audit, quiet, Some(self.full_at), Some(self.poll_at), self.tell_at, self.alive.map(|(_, at)| at)];
        let next = times.into_iter().flatten().min();
        let left = next.map(|at| at.saturating_duration_since(Instant::now()) + Duration::from_millis(1));
        left.map_or(PollTimeout::NONE, |left| PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX))
    }

    /// Does what its time has come for.
    fn work(&mut self) {
        let now = Instant::now();
        if now >= self.poll_at {
            self.poll_at = now + self.pace.poll;
            if let Some(cause) = self.news.ask() {
                self.want(Extent::Usual, cause, Duration::ZERO);
            }
            self.trouble("watches", self.news.watches.trouble.clone());
            self.alive = self.alive.map(|(every, _)| (every, now));
        }
        if let Some((every, at)) = self.alive
            && now >= at
        {
            notify("WATCHDOG=1");
            self.alive = Some((every, now + every));
        }
        if now >= self.full_at {
            self.full_at = now + jitter(self.pace.full);
            self.want(Extent::Full, Cause::Time, Duration::ZERO);
        }
        if self.tell_at.is_some_and(|at| now >= at) {
            self.tell();
        }
        if self.look.as_ref().is_some_and(|(look, _)| now >= look.deadline())
            && let Some((look, _)) = self.look.take()
        {
            let extent = look.extent;
            look.kill();
            self.trouble("look", Some("a look took too long and was ended".to_owned()));
            self.want(extent, Cause::Time, RETRY);
        }
        if self.audit.as_ref().is_some_and(|look| now >= look.deadline())
            && let Some(look) = self.audit.take()
        {
            look.kill();
            self.trouble("passwords", Some("the password audit took too long and was ended".to_owned()));
        }
        if self.audit_due && self.audit.is_none() {
            self.audit_due = false;
            match Look::start(&self.setup.arguments, Extent::Passwords) {
                Ok(look) => self.audit = Some(look),
                Err(error) => self.trouble("passwords", Some(format!("{error:#}"))),
            }
        }
        self.ask_for_remedy(now);
        if self.look.is_none()
            && let Some((extent, cause, at)) = self.due
            && now >= at.max(self.credit.ready())
        {
            self.due = None;
            self.news.forget();
            match Look::start(&self.setup.arguments, extent) {
                Ok(look) => self.look = Some((look, cause)),
                Err(error) => {
                    self.trouble("look", Some(format!("{error:#}")));
                    self.want(extent, cause, RETRY);
                }
            }
        }
    }

    /// Hears what the kernel tells.
    fn hear_news(&mut self, wake: Wake) {
        if let Some(cause) = self.news.hear(wake) {
            self.want(Extent::Usual, cause, COALESCE);
        }
        self.credit.spend_own(Instant::now());
        self.news.pause(COALESCE, self.credit.ready());
    }

    /// Hears what the look under way tells.
    ///
    /// # Errors
    /// The first look finds a wrong configuration, and there was never another one.
    fn hear(&mut self) -> anyhow::Result<()> {
        let Some((look, cause)) = &mut self.look else { return Ok(()) };
        let (extent, cause) = (look.extent, *cause);
        let Some(heard) = look.hear() else { return Ok(()) };
        let Some((answer, cpu)) = self.look.take().map(|(look, _)| look.end(heard)) else { return Ok(()) };
        self.cost.looks += 1;
        self.cost.looks_cpu_ms += milliseconds(cpu);
        let now = Instant::now();
        self.credit.spend(cpu, now);
        self.credit.spend_own(now);
        match answer {
            Ok(answer) => self.take(answer, extent, cause),
            Err(error) => {
                let wrong = error.downcast_ref::<Ends>().is_some_and(|ends| ends.code == ExitCode::Config);
                if wrong && self.last.is_none() {
                    return Err(error);
                }
                self.trouble("look", Some(format!("{error:#}")));
                self.want(extent, cause, RETRY);
            }
        }
        Ok(())
    }

    /// Hears what the password audit tells. It watches nothing, and costs what its own budget says.
    fn hear_of_passwords(&mut self) {
        let Some(heard) = self.audit.as_mut().and_then(Look::hear) else { return };
        let Some((answer, cpu)) = self.audit.take().map(|look| look.end(heard)) else { return };
        self.cost.audits_cpu_ms += milliseconds(cpu);
        match answer {
            Ok(answer) => {
                self.trouble("passwords", None);
                let at = jiff::Timestamp::now().to_string();
                if self.known.take(&answer.ran, answer.found, |check| Extent::Passwords.asks(check), &at) {
                    self.tell();
                }
            }
            Err(error) => self.trouble("passwords", Some(format!("{error:#}"))),
        }
    }

    fn take(&mut self, answer: Answer, extent: Extent, cause: Cause) {
        self.trouble("look", None);
        self.trouble("configuration", answer.troubles.into_iter().next());
        if self.news.watches.replace(answer.places) {
            self.want(Extent::Usual, Cause::Files, COALESCE);
        }
        self.trouble("watches", self.news.watches.trouble.clone());
        let at = jiff::Timestamp::now().to_string();
        let news = self.known.take(&answer.ran, answer.found, |check| extent.asks(check), &at);
        if news || self.last.is_none() {
            self.tell();
        }
        let Some(end) = answer.end else { return };
        self.run_at(end.pace);
        self.news.firewall.rests(end.firewall);
        self.hear_of_named(end.named, &end.policy_digest);
        let open = self.known.open().count();
        if self.last.is_none() {
            notify("READY=1");
            self.want(Extent::Full, Cause::Start, COALESCE);
        }
        self.audit_due |= extent == Extent::Full;
        notify(&format!(
            "STATUS={}: {open} findings open, {} directories watched",
            end.verdict,
            self.news.watches.count().0
        ));
        if extent == Extent::Full {
            self.last_full = Some(at.clone());
        }
        self.last = Some(Last {
            at,
            extent: extent.word().to_owned(),
            cause: cause.word().to_owned(),
            milliseconds: milliseconds(answer.time),
            verdict: end.verdict,
            policy_digest: end.policy_digest,
        });
    }

    /// Runs as is configured now.
    fn run_at(&mut self, pace: Pace) {
        if pace != self.pace {
            let now = Instant::now();
            self.pace = pace;
            self.credit.set(pace.cpu_percent);
            self.full_at = now + jitter(pace.full);
            self.poll_at = self.poll_at.min(now + pace.poll);
        }
    }

    /// Writes down what is to be told, and tells it. Who cannot be told keeps nobody else from it.
    fn tell(&mut self) {
        let dir = self.setup.known.parent().map_or(Ok(()), crate::files::private_dir);
        let unwritten = dir.and_then(|()| self.known.write(&self.setup.known)).err().map(|error| format!("{error:#}"));
        let mut again = unwritten.is_some().then_some(AGAIN);
        let was_unwritten = self.troubles.iter().any(|(about, _)| *about == "state");
        self.trouble("state", unwritten);
        for (way, about) in [(Way::File, "events"), (Way::Journal, "journal")] {
            let (told, why) = self.teller.tell(way, self.known.untold(way));
            self.known.told(way, told);
            // Who took some of it only wants a moment.
            let waits = why.is_some().then_some(if told > 0 { REST } else { AGAIN });
            again = again.into_iter().chain(waits).min();
            self.trouble(about, why.filter(|_| told == 0));
        }
        self.known.trim();
        self.tell_at = again.map(|again| Instant::now() + again);
        if was_unwritten && again.is_none() {
            // What looks could not keep, they can now.
            self.want(Extent::Usual, Cause::Time, COALESCE);
        }
    }

    /// Why it looks, or will look next.
    fn pending(&self) -> Option<&'static str> {
        let begun = self.look.as_ref().map(|(_, cause)| *cause);
        let cause = begun.or(self.due.map(|(_, cause, _)| cause));
        cause.map(Cause::word).or(self.news.quiet().map(|_| "unheard"))
    }

    fn status(&self) -> Status {
        let (directories, files) = self.news.watches.count();
        let trace = self.news.trace.as_ref();
        Status {
            schema: "hostward.status/1".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            since: self.since.clone(),
            last: self.last.clone(),
            last_full: self.last_full.clone(),
            pending: self.pending().map(str::to_owned),
            full_look_in: self.full_at.saturating_duration_since(Instant::now()).as_secs(),
            findings: self.known.open().cloned().collect(),
            watching: Watching {
                directories,
                files,
                polled: self.news.watches.polled(),
                listeners: if trace.is_some() { "tracepoint" } else { "poll" }.to_owned(),
                trace_kib: trace.and_then(|trace| trace.kib),
                firewall: self.news.firewall.word().to_owned(),
                poll_seconds: self.pace.poll.as_secs(),
            },
            remediation: self.remedies.told(),
            troubles: self.troubles.iter().map(|(_, what)| what.clone()).collect(),
            cost: Cost {
                asked_cpu_ms: milliseconds(self.credit.forgiven),
                wakes: self.wakes.named(),
                ..self.cost.clone()
            }
            .with_own(),
        }
    }

    fn end(&mut self) {
        notify("STOPPING=1");
        if let Some((look, _)) = self.look.take() {
            look.kill();
        }
        if let Some(look) = self.audit.take() {
            look.kill();
        }
        // What was told need not be told again; where it cannot be written, it is.
        let _ = self.known.write(&self.setup.known);
    }
}
