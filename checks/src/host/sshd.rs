//! The sshd instances of a host: running daemons, else what its units would start, else the plain program.

use std::path::{Path, PathBuf};

use crate::fact::{Fact, Why};
use crate::observation::{Mode, Observations};
use crate::snapshot::Reader;
use crate::sshd::{Build, CommandLine, Configuration, Connection, Effective, Refusal, Subject};

mod carved;

pub use carved::Carved;

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
    /// Its configuration.
    pub configuration: Configuration,
}

impl Instance {
    fn read(reader: &Reader<'_>, found: Found, program: PathBuf, argv: Vec<Vec<u8>>, unit: Option<String>) -> Self {
        let configuration = Configuration::read(reader, Build::read(reader, &program), CommandLine::parse(&argv));
        Self { found, program, argv, unit, configuration }
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
                let program = daemon.argv.first().map(|word| PathBuf::from(String::from_utf8_lossy(word).into_owned()));
                let program = program.filter(|path| path.is_absolute()).unwrap_or_else(|| PathBuf::from(PROGRAM));
                let found = Found::Running { pid: daemon.pid };
                let instance = Instance::read(reader, found, program, daemon.argv.clone(), daemon.unit.clone());
                out.instances.push(instance);
            }
        } else if seen.mode == Mode::Live {
            out.doubts.extend(seen.daemons.why().cloned());
        }
        if out.instances.is_empty() && reader.meta(Path::new(PROGRAM)).is_ok() {
            let argv = vec![PROGRAM.as_bytes().to_vec()];
            out.instances.push(Instance::read(reader, Found::Plain, PathBuf::from(PROGRAM), argv, None));
        }
        out
    }
}
