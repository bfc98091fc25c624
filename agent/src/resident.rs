//! The resident: hears of changes, has them looked at, and tells what is different.
//!
//! It is small because it knows little: the directories that the last look rested on, and what is open. A look is a process of its
//! own ([`look`]) that records, judges and ends; so the resident's memory does not grow with what it looks at, and what it
//! tells is what a scan would say at that moment. It sleeps in `poll(2)` until the kernel has news.

use std::ffi::OsString;
use std::fs::File;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::notify::notify;
use crate::warning::warn;

mod credit;
pub mod known;
pub mod line;
pub mod listeners;
pub mod look;
pub mod places;
pub mod status;
pub mod tell;
pub mod trace;
pub mod watch;

use credit::Credit;
use known::Known;
use listeners::Listeners;
use look::{Answer, Extent, Look};
use status::{Cost, Door, Last, Status, Watching};
use tell::Teller;
use trace::Trace;
use watch::Watches;

/// One change is seldom alone: so long after the first the others are waited for.
const COALESCE: Duration = Duration::from_millis(40);
/// What nobody could be told is told again so much later.
const AGAIN: Duration = Duration::from_secs(30);
/// A look that failed is tried again so much later.
const RETRY: Duration = Duration::from_secs(30);

/// How the resident runs.
#[derive(Clone, Debug)]
pub struct Setup {
    /// This program.
    pub program: PathBuf,
    /// What looks are told: the resident's own arguments.
    pub arguments: Vec<OsString>,
    /// Where [`Known`] stands.
    pub known: PathBuf,
    /// Where events are written, one a line. None: to the journal only.
    pub events: Option<PathBuf>,
    /// Where `hostward status` asks.
    pub door: PathBuf,
    /// How often everything is looked at, give or take a tenth.
    pub full: Duration,
    /// How often is asked for what nobody tells of.
    pub poll: Duration,
    /// The share of one processor that looks may take in the long run, percent.
    pub cpu_percent: u32,
}

/// Why something is to be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    Start,
    Files,
    Sockets,
    Mounts,
    Time,
    Asked,
}

impl Cause {
    fn word(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Files => "files",
            Self::Sockets => "sockets",
            Self::Mounts => "mounts",
            Self::Time => "time",
            Self::Asked => "asked",
        }
    }
}

/// A resident at work.
struct Resident {
    setup: Setup,
    watches: Watches,
    listeners: Listeners,
    /// The kernel tells of new listeners.
    trace: Option<Trace>,
    known: Known,
    teller: Teller,
    credit: Credit,
    look: Option<(Look, Cause)>,
    /// The password audit, beside the looks: it takes its time.
    audit: Option<Look>,
    audit_due: bool,
    /// What is to be looked at, why, and when at the earliest.
    due: Option<(Extent, Cause, Instant)>,
    full_at: Instant,
    poll_at: Instant,
    tell_at: Option<Instant>,
    alive: Option<(Duration, Instant)>,
    last: Option<Last>,
    looks: u64,
    since: String,
    /// What goes wrong, by what it is about.
    troubles: Vec<(&'static str, String)>,
}

/// Runs until it is told to end.
///
/// # Errors
/// The kernel tells no news, another resident runs, or there is no place for its state.
pub fn run(setup: Setup) -> anyhow::Result<()> {
    let signals = SigSet::from_iter([Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP]);
    signals.thread_block().context("failed to block signals")?;
    let signals = SignalFd::with_flags(&signals, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
        .context("failed to wait for signals")?;
    let door = Door::open(&setup.door)?;
    let mounts = File::open("/proc/self/mountinfo").context("failed to open /proc/self/mountinfo")?;
    let mut resident = Resident::new(setup)?;
    loop {
        let mut waited = vec![
            PollFd::new(signals.as_fd(), PollFlags::POLLIN),
            PollFd::new(resident.watches.as_fd(), PollFlags::POLLIN),
            PollFd::new(door.as_fd(), PollFlags::POLLIN),
            PollFd::new(mounts.as_fd(), PollFlags::POLLPRI),
        ];
        let trace = resident.trace.as_ref().map(|trace| {
            waited.push(PollFd::new(trace.as_fd(), PollFlags::POLLIN));
            waited.len() - 1
        });
        let look = resident.look.as_ref().map(|(look, _)| {
            waited.push(PollFd::new(look.as_fd(), PollFlags::POLLIN));
            waited.len() - 1
        });
        let audit = resident.audit.as_ref().map(|look| {
            waited.push(PollFd::new(look.as_fd(), PollFlags::POLLIN));
            waited.len() - 1
        });
        match poll(&mut waited, resident.sleep()) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno).context("failed to wait for news"),
        }
        let woken: Vec<bool> = waited.iter().map(|one| one.any().unwrap_or(false)).collect();
        drop(waited);
        let is_woken = |at: usize| woken.get(at) == Some(&true);
        let [signalled, files, asked, mounted] = [0, 1, 2, 3].map(is_woken);
        if signalled {
            while let Ok(Some(signal)) = signals.read_signal() {
                if i32::try_from(signal.ssi_signo) == Ok(Signal::SIGHUP as i32) {
                    resident.want(Extent::Full, Cause::Asked, Duration::ZERO);
                } else {
                    resident.end();
                    return Ok(());
                }
            }
        }
        if files && resident.watches.read()? {
            resident.want(Extent::Usual, Cause::Files, COALESCE);
        }
        if mounted {
            resident.want(Extent::Usual, Cause::Mounts, COALESCE);
        }
        if trace.is_some_and(is_woken) {
            resident.hear_of_listeners();
        }
        if look.is_some_and(is_woken) {
            resident.hear();
        }
        if audit.is_some_and(is_woken) {
            resident.hear_of_passwords();
        }
        resident.work();
        if asked {
            door.answer(|| resident.status());
        }
    }
}

impl Resident {
    fn new(setup: Setup) -> anyhow::Result<Self> {
        let now = Instant::now();
        let (known, trouble) = Known::read(&setup.known)?;
        let alive = std::env::var("WATCHDOG_USEC").ok().and_then(|text| text.parse().ok()).map(Duration::from_micros);
        let mut resident = Self {
            watches: Watches::new()?,
            listeners: Listeners::default(),
            trace: Trace::open(),
            known,
            teller: Teller::new(setup.events.clone())?,
            credit: Credit::new(setup.cpu_percent, now),
            look: None,
            audit: None,
            audit_due: false,
            // Ready soon; the rest after that.
            due: Some((Extent::Usual, Cause::Start, now)),
            full_at: now + setup.full,
            poll_at: now + setup.poll,
            tell_at: None,
            alive: alive.map(|most| (most / 2, now)),
            last: None,
            looks: 0,
            since: jiff::Timestamp::now().to_string(),
            troubles: Vec::new(),
            setup,
        };
        resident.trouble("state", trouble);
        resident.listeners.changed();
        Ok(resident)
    }

    /// Says what is wrong once, and that it is right again.
    fn trouble(&mut self, about: &'static str, what: Option<String>) {
        let before = self.troubles.iter().position(|(known, _)| *known == about);
        match (what, before) {
            (Some(what), Some(at)) if self.troubles.get(at).is_some_and(|(_, known)| *known == what) => {}
            (Some(what), before) => {
                warn(&what);
                before.map(|at| self.troubles.remove(at));
                self.troubles.push((about, what));
            }
            (None, Some(at)) => {
                let (_, what) = self.troubles.remove(at);
                warn(&format!("right again: {what}"));
            }
            (None, None) => {}
        }
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
        let times = [look, audit, Some(self.full_at), Some(self.poll_at), self.tell_at, self.alive.map(|(_, at)| at)];
        let next = times.into_iter().flatten().min();
        let left = next.map(|at| at.saturating_duration_since(Instant::now()) + Duration::from_millis(1));
        left.map_or(PollTimeout::NONE, |left| PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX))
    }

    /// Does what its time has come for.
    fn work(&mut self) {
        let now = Instant::now();
        if let Some((every, at)) = self.alive
            && now >= at
        {
            notify("WATCHDOG=1");
            self.alive = Some((every, now + every));
        }
        if now >= self.poll_at {
            self.poll_at = now + self.setup.poll;
            if self.listeners.changed() {
                self.want(Extent::Usual, Cause::Sockets, Duration::ZERO);
            }
            if self.watches.poll() {
                self.want(Extent::Usual, Cause::Files, Duration::ZERO);
            }
        }
        if now >= self.full_at {
            self.full_at = now + jitter(self.setup.full);
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
            match Look::start(&self.setup.program, &self.setup.arguments, Extent::Passwords) {
                Ok(look) => self.audit = Some(look),
                Err(error) => self.trouble("passwords", Some(format!("{error:#}"))),
            }
        }
        if self.look.is_none()
            && let Some((extent, cause, at)) = self.due
            && now >= at.max(self.credit.ready())
        {
            self.due = None;
            match Look::start(&self.setup.program, &self.setup.arguments, extent) {
                Ok(look) => self.look = Some((look, cause)),
                Err(error) => {
                    self.trouble("look", Some(format!("{error:#}")));
                    self.want(extent, cause, RETRY);
                }
            }
        }
    }

    /// Hears of sockets that began to listen, somewhere. They may be another namespace's.
    fn hear_of_listeners(&mut self) {
        if self.trace.as_mut().is_some_and(|trace| !trace.drain()) {
            self.trace = None;
        }
        if self.listeners.changed() {
            self.want(Extent::Usual, Cause::Sockets, COALESCE);
        }
    }

    /// Hears what the look under way tells.
    fn hear(&mut self) {
        let Some((look, cause)) = &mut self.look else { return };
        let (extent, cause) = (look.extent, *cause);
        let Some(heard) = look.hear() else { return };
        let ended = self.look.take().map(|(look, _)| look.end(heard));
        self.looks += 1;
        let Some((answer, cpu)) = ended else { return };
        self.credit.spend(cpu, Instant::now());
        match answer {
            Ok(answer) => self.take(answer, extent, cause),
            Err(error) => {
                self.trouble("look", Some(format!("{error:#}")));
                self.want(extent, cause, RETRY);
            }
        }
    }

    /// Hears what the password audit tells. It watches nothing, and costs what its own budget says.
    fn hear_of_passwords(&mut self) {
        let Some(heard) = self.audit.as_mut().and_then(Look::hear) else { return };
        let Some((answer, _)) = self.audit.take().map(|look| look.end(heard)) else { return };
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
        if self.watches.replace(answer.places) {
            self.want(Extent::Usual, Cause::Files, COALESCE);
        }
        let (watches, wrong) = (self.watches.count(), self.watches.trouble.clone());
        self.trouble("watches", wrong);
        let at = jiff::Timestamp::now().to_string();
        let news = self.known.take(&answer.ran, answer.found, |check| extent.asks(check), &at);
        if news || self.last.is_none() {
            self.tell();
        }
        let Some(end) = answer.end else { return };
        let open = self.known.open().count();
        if self.last.is_none() {
            notify("READY=1");
            self.want(Extent::Full, Cause::Start, COALESCE);
        }
        self.audit_due |= extent == Extent::Full;
        notify(&format!("STATUS={}: {open} findings open, {} directories watched", end.verdict, watches.0));
        self.last = Some(Last {
            at,
            extent: extent.word().to_owned(),
            cause: cause.word().to_owned(),
            milliseconds: u64::try_from(answer.time.as_millis()).unwrap_or(u64::MAX),
            verdict: end.verdict,
            policy_digest: end.policy_digest,
        });
    }

    /// Writes down what is to be told, and tells it.
    fn tell(&mut self) {
        let dir = self.setup.known.parent().map_or(Ok(()), crate::files::private_dir);
        let written = dir.and_then(|()| self.known.write(&self.setup.known));
        self.trouble("state", written.err().map(|error| format!("{error:#}")));
        let (told, why) = self.teller.tell(self.known.untold());
        self.known.told(told);
        self.tell_at = why.is_some().then(|| Instant::now() + AGAIN);
        self.trouble("events", why);
    }

    fn status(&self) -> Status {
        let (directories, polled) = self.watches.count();
        Status {
            schema: "hostward.status/1".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            since: self.since.clone(),
            last: self.last.clone(),
            full_look_in: self.full_at.saturating_duration_since(Instant::now()).as_secs(),
            findings: self.known.open().cloned().collect(),
            watching: Watching {
                directories,
                polled,
                listeners: if self.trace.is_some() { "tracepoint" } else { "poll" }.to_owned(),
                poll_seconds: self.setup.poll.as_secs(),
            },
            troubles: self.troubles.iter().map(|(_, what)| what.clone()).collect(),
            cost: Cost::now(self.looks),
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

/// A time, give or take a tenth: the hosts of a fleet are not to look all at once.
fn jitter(time: Duration) -> Duration {
    let mut bytes = [0_u8; 2];
    // Without randomness there is none.
    let _ = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    let share = f64::from(u16::from_ne_bytes(bytes)) / f64::from(u16::MAX);
    time.mul_f64(0.9 + 0.2 * share)
}
