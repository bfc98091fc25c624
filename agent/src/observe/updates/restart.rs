//! Whether what runs is older than what is installed: the kernel, and the libraries that processes have loaded.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use hostward_checks::check::{bytes_text, path_text};
use hostward_checks::fact::{Fact, Why};
use hostward_checks::observation::updates::{Outdated, Restart};
use hostward_checks::parse::procfs;
use hostward_checks::snapshot::{Miss, Reader};
use hostward_checks::updates::apt::Packages;
use hostward_checks::updates::kernel;
use rustix::io::Errno;

use crate::observe::process::{Described, Processes};
use crate::record::settle;
use crate::root::Root;

/// A host with more processes is not looked through to its end.
const TIME: Duration = Duration::from_secs(5);

/// Looks at the running system.
pub(super) fn look(root: &Root, packages: Option<&Packages>) -> Fact<Restart> {
    let (running, version) = match (kernels_word("osrelease"), kernels_word("version")) {
        (Ok(running), Ok(version)) => (running, version),
        (Err(error), _) | (_, Err(error)) => {
            return Fact::Unknown(Why::Failed(format!("failed to read the kernel's release: {error}")));
        }
    };
    let installed = packages.and_then(|packages| packages.version(&format!("linux-image-{running}")));
    let rebuilt = kernel::debian_build(&version).zip(installed).filter(|(built, installed)| built != installed);
    let rebuilt = rebuilt.map(|(built, installed)| (built.to_owned(), installed.to_owned()));
    let (newest, required) = settle(root, |snapshot| {
        let reader = Reader::new(snapshot);
        ((newest(&reader, &running), required(&reader)), reader.need())
    });
    Fact::Known(Restart { newest, running, rebuilt, required, replaced: replaced() })
}

fn kernels_word(name: &str) -> std::io::Result<String> {
    Ok(bytes_text(std::fs::read(format!("/proc/sys/kernel/{name}"))?.trim_ascii()))
}

fn newest(reader: &Reader<'_>, running: &str) -> Fact<String> {
    match reader.names(Path::new("/boot")) {
        Ok(names) => {
            let releases = kernel::in_boot(names.iter().filter_map(|name| name.to_str()));
            kernel::newest(running, releases).map_or(Fact::Absent, |newest| Fact::Known(newest.to_owned()))
        }
        Err(miss) => miss.fact(),
    }
}

/// What Debian's and Ubuntu's packages leave behind when they ask for a restart.
fn required(reader: &Reader<'_>) -> Option<Vec<String>> {
    match reader.meta(Path::new("/run/reboot-required")) {
        Err(Miss::Absent | Miss::Pending) => return None,
        Ok(_) | Err(Miss::Unreadable(_)) => {}
    }
    let packages = reader.file(Path::new("/run/reboot-required.pkgs"));
    let lines = packages.iter().flat_map(|view| view.bytes.split(|byte| *byte == b'\n'));
    let names: BTreeSet<String> =
        lines.map(|line| bytes_text(line.trim_ascii())).filter(|name| !name.is_empty()).collect();
    Some(names.into_iter().collect())
}

/// Processes outside containers that have a library loaded which is no longer the one at its path.
fn replaced() -> Fact<Vec<Outdated>> {
    let processes = match Processes::list() {
        Ok(processes) => processes,
        Err(error) => return Fact::Unknown(Why::Failed(format!("failed to list processes: {error}"))),
    };
    let until = Instant::now() + TIME;
    let (mut found, mut denied, mut buffer) = (BTreeMap::<String, BTreeSet<String>>::new(), false, Vec::new());
    for &pid in &processes.pids {
        if Instant::now() >= until {
            return Fact::Unknown(Why::TimedOut);
        }
        let libraries = match processes.read(pid, "maps", &mut buffer) {
            Ok(maps) => procfs::replaced_libraries(maps),
            Err(error) => {
                denied |= matches!(error, Errno::ACCESS | Errno::PERM);
                continue;
            }
        };
        if libraries.is_empty() {
            continue;
        }
        if let Some(Described { process, container: None, .. }) = processes.describe(pid, &mut buffer) {
            let program = process.executable.known().map(path_text);
            let name = process.unit.or(program).unwrap_or(process.name);
            found.entry(name).or_default().extend(libraries);
        }
    }
    if found.is_empty() && denied {
        return Fact::Unknown(Why::Denied);
    }
    let outdated =
        |(name, libraries): (String, BTreeSet<String>)| Outdated { name, libraries: libraries.into_iter().collect() };
    Fact::Known(found.into_iter().map(outdated).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_host_tells_what_it_runs() {
        let Fact::Known(restart) = look(&Root::open(Path::new("/")).unwrap(), None) else { panic!() };
        assert!(restart.running.starts_with(|c: char| c.is_ascii_digit()), "{}", restart.running);
        assert_eq!(restart.rebuilt, None);
    }
}
