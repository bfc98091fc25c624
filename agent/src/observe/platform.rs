//! The platform: whether this is ECS, which agents and loggers run, kernel settings, the TPM.

use std::io::Read;
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
    let kernel = kernel::keys().map(|key| (key, setting(key))).collect();
    Platform { ecs, programs: programs(), kernel, measured_boot: measured_boot() }
}

/// Whether the first TPM's log of the start holds anything.
fn measured_boot() -> Fact<bool> {
    if !Path::new("/sys/class/tpm/tpm0").exists() {
        return Fact::Absent;
    }
    let log = std::fs::File::open("/sys/kernel/security/tpm0/binary_bios_measurements");
    match log.and_then(|mut log| log.read(&mut [0; 1])) {
        Ok(read) => Fact::Known(read > 0),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let mounted = std::fs::read_dir("/sys/kernel/security").is_ok_and(|mut entries| entries.next().is_some());
            if mounted {
                Fact::Known(false)
            } else {
                Fact::Unknown(Why::Failed("securityfs is not mounted".to_owned()))
            }
        }
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Fact::Unknown(Why::Denied),
        Err(error) => Fact::Unknown(Why::Failed(error.to_string())),
    }
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
