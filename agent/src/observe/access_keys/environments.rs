//! Looks for AccessKeys in the environments of the processes that run, as the kernel shows them to root.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use hostward_checks::access_keys::{Environment, holder, in_environment, sources};
use hostward_checks::fact::Why;
use hostward_checks::observation::access_key::AccessKeys;
use rustix::io::Errno;

use crate::observe::process::Processes;

/// As many processes are looked into.
const MANY: usize = 10_000;
/// All environments together, in bytes.
const BYTES: usize = 32 << 20;
/// How long it may take. The kernel may make whoever asks for an environment wait for its process.
const TIME: Duration = Duration::from_secs(5);

/// What is said of one process, or at the end of all.
enum Told {
    Found(Environment),
    Unread(Why),
}

/// Adds what is found, and what could not be looked into.
pub(super) fn look(out: &mut AccessKeys) {
    let (tell, hear) = channel();
    let end = Instant::now() + TIME;
    // A thread of its own: if the kernel makes it wait, it is waited for no longer, and ends with this process.
    let started = std::thread::Builder::new().spawn(move || read_all(&tell));
    let mut found = Vec::new();
    let mut unread = started.err().map(|error| Why::Failed(error.to_string()));
    while unread.is_none() {
        match hear.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(Told::Found(environment)) => found.push(environment),
            Ok(Told::Unread(why)) => unread = Some(why),
            Err(RecvTimeoutError::Timeout) => unread = Some(Why::TimedOut),
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    out.environments = sources(&found);
    out.environments_unread = unread;
}

fn read_all(tell: &Sender<Told>) {
    let unread = match Processes::list() {
        Ok(processes) => read_each(&processes, tell),
        Err(error) => Some(Why::Failed(format!("failed to list /proc: {error}"))),
    };
    if let Some(why) = unread {
        // Nobody hears it any more where it took too long.
        let _ = tell.send(Told::Unread(why));
    }
}

fn read_each(processes: &Processes, tell: &Sender<Told>) -> Option<Why> {
    let (mut buffer, mut read, mut unread) = (Vec::new(), 0, None);
    let own = i32::try_from(std::process::id()).unwrap_or_default();
    for &pid in processes.pids.iter().take(MANY).filter(|pid| **pid != own) {
        let (keys, defects) = match processes.environment(pid, &mut buffer) {
            Ok(Some(bytes)) => {
                read += bytes.len();
                in_environment(bytes)
            }
            Ok(None) => {
                unread = Some(Why::TooLarge(hostward_checks::access_keys::ENVIRONMENT_LIMIT as u64));
                continue;
            }
            Err(Errno::ACCESS | Errno::PERM) => {
                unread = Some(Why::Denied);
                continue;
            }
            // It has ended.
            Err(_) => continue,
        };
        unread = unread.or(defects.into_iter().next().map(|defect| Why::Defect(defect.what)));
        let described = if keys.is_empty() { None } else { processes.describe(pid, &mut buffer) };
        if let Some(described) = described {
            let holder = holder(&described.process, described.container.as_deref());
            let environment = Environment { pid, parent: described.parent, holder, keys };
            if tell.send(Told::Found(environment)).is_err() {
                return None;
            }
        }
        if read > BYTES {
            return Some(Why::TooLarge(BYTES as u64));
        }
    }
    if processes.pids.len() > MANY {
        unread = Some(Why::Failed(format!("more than {MANY} processes")));
    }
    unread
}
