//! The sshd instances of a host: running daemons, else what its units would start, else the plain program.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::fact::{Fact, Why};
use crate::observation::{Mode, Observations};
use crate::snapshot::Reader;
use crate::sshd::{
    Build, CommandLine, Configuration, Connection, DEFAULT_FILE, Effective, Origin, Refusal, Subject, default_file,
};

mod carved;
mod host_keys;
mod keygen;
mod units;

pub use carved::Carved;
pub use host_keys::HostKey;
pub use keygen::{Keygen, UNIT as KEYGEN_UNIT};
pub use units::Socket;

/// Where the program is on every distribution known.
pub const PROGRAM: &str = "/usr/sbin/sshd";

/// All sshd instances of a host.
#[derive(Clone, Debug, Default)]
pub struct Sshd {
    /// The instances; empty where no sshd is installed.
    pub instances: Vec<Instance>,
    /// What makes the list uncertain.
    pub doubts: Vec<Why>,
}

/// How an instance was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// It runs.
    Running {
        /// Its process id.
        pid: i32,
    },
    /// A unit would start it: at boot, or at the first connection.
    Unit {
        /// Whether it is enabled.
        enabled: bool,
    },
    /// Nothing says how it is started: the program with its own defaults.
    Plain,
}

/// One sshd with its own configuration.
#[derive(Clone, Debug)]
pub struct Instance {
    /// How it was found.
    pub found: Found,
    /// The program.
    pub program: PathBuf,
    /// Its command line.
    pub argv: Vec<Vec<u8>>,
    /// The systemd unit that it runs in or that starts it.
    pub unit: Option<String>,
    /// The socket unit that it waits behind.
    pub socket: Option<Socket>,
    /// Its configuration.
    pub configuration: Configuration,
    /// The host keys that it would load.
    pub host_keys: Vec<HostKey>,
}

impl Instance {
    fn read(reader: &Reader<'_>, found: Found, program: PathBuf, argv: Vec<Vec<u8>>, unit: Option<String>) -> Self {
        let mut command_line = CommandLine::parse(&argv);
        if command_line.file == Path::new(DEFAULT_FILE) {
            command_line.file = default_file(reader);
        }
        let configuration = Configuration::read(reader, Build::read(reader, &program), command_line);
        let host_keys = host_keys::read(reader, &configuration);
        Self { found, program, argv, unit, socket: None, configuration, host_keys }
    }

    /// Whether a running daemon is the one that a unit starts: same unit, or same configuration file where the unit of
    /// the daemon is not known.
    fn is_of(&self, starts: &units::Starts) -> bool {
        let running = matches!(self.found, Found::Running { .. });
        match &self.unit {
            Some(unit) => *unit == starts.unit || (running && starts.socket.as_ref().is_some_and(|s| s.unit == *unit)),
            None => running && CommandLine::parse(&starts.argv).file == self.configuration.file,
        }
    }

    /// The settings that hold for a connection.
    ///
    /// # Errors
    /// What sshd would say: it does not start with this configuration, or refuses every connection.
    pub fn effective(&self, connection: &Connection) -> Result<Effective, Refusal> {
        self.configuration.effective(connection)
    }

    /// The settings as `sshd -T -C` prints them; without a subject as `sshd -T` does.
    ///
    /// # Errors
    /// What sshd would say before it ends.
    pub fn dump(&self, subject: Option<&Subject>) -> Result<Effective, Refusal> {
        self.configuration.dump(subject)
    }

    /// The main configuration file.
    pub fn config_file(&self) -> &Path {
        &self.configuration.file
    }

    /// The addresses of the socket unit that it waits behind; None where sshd opens its own. The generator of Ubuntu puts what
    /// the configuration says in their place, where it says something (Ubuntu 24.04 and later).
    pub fn socket_addresses(&self, global: &Effective) -> Option<Vec<SocketAddr>> {
        let socket = self.socket.as_ref()?;
        let says = |keyword: &str| global.value(keyword).is_some_and(|value| value.origin != Origin::Default);
        let generated = socket.generated && (says("port") || says("listenaddress"));
        (!generated).then(|| socket.addresses())
    }

    /// Which connections the configuration tells apart: the address patterns, hosts, users and groups that appear in
    /// Match lines, AllowUsers and friends.
    pub fn carved(&self) -> Carved {
        Carved::of(&self.configuration)
    }

    /// What makes its answers uncertain: files that could not be read, a version that is not known.
    pub fn doubts(&self) -> Vec<Why> {
        let files = self.configuration.files.iter().filter_map(|(_, read)| read.as_ref().err().cloned());
        self.configuration.build.doubts.iter().cloned().chain(files).collect()
    }
}

impl Sshd {
    /// Finds them.
    pub fn read(reader: &Reader<'_>, seen: &Observations) -> Self {
        let mut out = Self::default();
        if let Fact::Known(daemons) = &seen.daemons {
            for daemon in daemons.iter().filter(|daemon| !daemon.foreign_root) {
                let program = daemon.argv.first().map(|word| PathBuf::from(OsStr::from_bytes(word)));
                let program = program.filter(|path| path.is_absolute()).unwrap_or_else(|| PathBuf::from(PROGRAM));
                let found = Found::Running { pid: daemon.pid };
                let instance = Instance::read(reader, found, program, daemon.argv.clone(), daemon.unit.clone());
                out.instances.push(instance);
            }
        } else if seen.mode == Mode::Live {
            out.doubts.extend(seen.daemons.why().cloned());
        }
        for starts in units::find(reader) {
            // A unit whose daemon runs was seen; one that is not enabled counts only where there is nothing else.
            let runs = out.instances.iter().any(|known| known.is_of(&starts));
            if runs || (!starts.enabled && !out.instances.is_empty()) {
                continue;
            }
            let program = starts.argv.first().map_or_else(PathBuf::new, |word| PathBuf::from(OsStr::from_bytes(word)));
            let found = Found::Unit { enabled: starts.enabled };
            let mut instance = Instance::read(reader, found, program, starts.argv, Some(starts.unit));
            instance.socket = starts.socket;
            out.instances.push(instance);
        }
        if out.instances.is_empty() && reader.meta(Path::new(PROGRAM)).is_ok() {
            let argv = vec![PROGRAM.as_bytes().to_vec()];
            out.instances.push(Instance::read(reader, Found::Plain, PathBuf::from(PROGRAM), argv, None));
        }
        out
    }
}
