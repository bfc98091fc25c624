//! The platform under the host: whether it is ECS, which agents and loggers run, and what the kernel is set to now.

use std::collections::BTreeMap;
use std::path::Path;

use super::socket::Process;
use crate::fact::{Fact, Why};

/// Where Security Center's agent lives (Alibaba Cloud, processes of the Security Center agent).
pub const SECURITY_CENTER: &str = "/usr/local/aegis";
/// Programs that keep logs, wherever a package puts them.
const LOGGERS: [&str; 3] = ["auditd", "rsyslogd", "syslog-ng"];
/// Where packages put them.
const INSTALLED: [&str; 4] = ["/usr/sbin", "/sbin", "/usr/bin", "/usr/libexec"];

/// What was seen of the platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Platform {
    /// Whether this is an ECS instance, as the machine or the configuration says.
    pub ecs: Fact<bool>,
    /// Running programs that [`is_of_interest`] names.
    pub programs: Fact<Programs>,
    /// Kernel settings by the name that `sysctl(8)` gives them, with the text that the kernel gives. Absent: this kernel has no such setting.
    pub kernel: BTreeMap<&'static str, Fact<String>>,
    /// Whether the kernel has a log of what a TPM measured of the start. Absent: there is no TPM.
    pub measured_boot: Fact<bool>,
}

/// Running programs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Programs {
    /// Those of interest.
    pub running: Vec<Program>,
    /// Whether some process could not be looked at: what is missing in the list may run all the same.
    pub denied: bool,
}

/// A running program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Its process.
    pub process: Process,
    /// The container it runs in.
    pub container: Option<String>,
}

impl Platform {
    /// Nothing was looked at.
    pub fn unseen(why: &Why) -> Self {
        Self {
            ecs: Fact::Unknown(why.clone()),
            programs: Fact::Unknown(why.clone()),
            kernel: BTreeMap::new(),
            measured_boot: Fact::Unknown(why.clone()),
        }
    }
}

impl Program {
    /// Whether it is the host's own: root's, and in no container. Anybody can choose a name, and a container its paths.
    pub fn is_hosts(&self) -> bool {
        self.process.uid == 0 && self.container.is_none()
    }

    /// The file name of its executable.
    pub fn name(&self) -> Option<&str> {
        self.process.executable.known()?.file_name()?.to_str()
    }
}

/// Whether a check wants to know that this executable runs.
pub fn is_of_interest(executable: &Path) -> bool {
    let name = executable.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    executable.starts_with(SECURITY_CENTER)
        || (LOGGERS.contains(&name) && INSTALLED.iter().any(|dir| executable.parent() == Some(Path::new(dir))))
}
