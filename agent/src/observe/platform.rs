//! The platform: whether this is ECS, and which agents and loggers run.

use std::path::Path;

use hostward_checks::catalogue::platform::kernel;
use hostward_checks::fact::{Fact, Why};
use hostward_checks::observation::platform::{Platform, Program, Programs, is_of_interest};

use super::process::Processes;

/// More of them are not told: an ordinary host has ten.
const MOST: usize = 64;

/// A setting of the running kernel.
pub fn setting(key: &str) -> Fact<String> {
    super::read_small(&Path::new("/proc/sys").join(hostward_checks::parse::sysctl::path(key)))
}

/// Looks at the platform. `ecs` says whether the metadata service would be asked, and why not.
pub fn platform(ecs: Result<(), Why>) -> Platform {
    let ecs = match ecs {
        Ok(()) => Fact::Known(true),
        Err(Why::NotAsked(_)) => Fact::Known(false),
        Err(why) => Fact::Unknown(why),
    };
    Platform { ecs, programs: programs(), kernel: kernel::keys().map(|key| (key, setting(key))).collect() }
}

fn programs() -> Fact<Programs> {
    let processes = match Processes::list() {
        Ok(processes) => processes,
        Err(error) => return Fact::Unknown(Why::Failed(format!("failed to list /proc: {error}"))),
    };
    // A /proc that hides the processes of others (hidepid) hides the first of all.
    let mut found = Programs { running: Vec::new(), denied: !processes.pids.contains(&1) };
    let mut buffer = Vec::new();
    for &pid in &processes.pids {
        match processes.executable(pid).0 {
            Fact::Known(path) if is_of_interest(&path) && found.running.len() < MOST => {}
            Fact::Unknown(_) => {
                found.denied = true;
                continue;
            }
            _ => continue,
        }
        // Gone meanwhile: it does not run.
        let Some(described) = processes.describe(pid, &mut buffer) else { continue };
        found.running.push(Program { process: described.process, container: described.container });
    }
    Fact::Known(found)
}
