//! What only the running system tells the guards.

use std::collections::BTreeMap;

use hostward_checks::guard::{Circumstances, Confirm, Consent};
use hostward_checks::observation::Mode;

use super::manager::{self, beside};
use super::{pending, session, unbindable};
use crate::observe::process::Processes;
use crate::survey::Survey;

/// The program of Cloud Assistant that serves Session Manager.
const ASSISTANT: &str = "aliyun-service";

/// The circumstances of a fix on what was surveyed: nothing but the consent for an offline root.
pub fn circumstances(survey: &Survey, consent: Consent, confirm: Confirm) -> Circumstances {
    let mut out = Circumstances { consent, confirm, dependents: BTreeMap::new(), ..Circumstances::default() };
    out.serves = survey.root.is_live() && manager::is_booted() && is_first_process_root();
    if survey.seen.mode == Mode::Live {
        crate::firewall::gather(&mut out, &survey.seen);
        out.session = session();
        out.session_manager_runs = session_manager_runs();
        out.unbindable = unbindable(&survey.host, &survey.seen);
        out.beside = beside(&survey.host);
        out.pending = pending(&survey.host, &survey.seen, &survey.root);
    }
    out
}

/// Whether our root is that of the whole system, and no chroot in it.
fn is_first_process_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let id = |path: &str| std::fs::metadata(path).map(|meta| (meta.dev(), meta.ino())).ok();
    id("/").is_some_and(|ours| id("/proc/1/root/") == Some(ours))
}

/// Whether the agent of Cloud Assistant runs, as root and from where its packages put it.
pub fn session_manager_runs() -> bool {
    let Ok(processes) = Processes::list() else { return false };
    processes.pids.iter().any(|pid| {
        let program = std::fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
        let named = program.file_name().is_some_and(|name| name == ASSISTANT);
        let installed = ["/usr/local/share/aliyun-assist", "/opt/local/share/aliyun-assist"];
        named && installed.iter().any(|dir| program.starts_with(dir)) && processes.uid(*pid) == Some(0)
    })
}
