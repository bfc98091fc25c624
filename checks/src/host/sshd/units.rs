//! What systemd would start: service and socket units with their drop-ins, environment files and command lines.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::parse::systemd_unit::{Unit, commands, environment_file, parse};
use crate::snapshot::Reader;

/// Where units stand, the strongest first (`systemd.unit(5)`).
const DIRS: [&str; 5] = [
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];

/// The generator of Ubuntu 24.04 and later, which turns Port and ListenAddress into addresses of ssh.socket.
const SOCKET_GENERATOR: &str = "/usr/lib/systemd/system-generators/sshd-socket-generator";

/// A socket unit that starts sshd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Socket {
    /// Its name.
    pub unit: String,
    /// Its `ListenStream=` values.
    pub listen: Vec<String>,
    /// Whether a port alone means IPv6 only (`BindIPv6Only=ipv6-only`).
    pub ipv6_only: bool,
    /// Whether every connection gets an sshd of its own (`Accept=yes`).
    pub accept: bool,
    /// Whether a generator replaces those values by what sshd's configuration says.
    pub generated: bool,
}

impl Socket {
    /// The addresses that it listens on; Unix sockets and vsock are none.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let mut out = Vec::new();
        for value in &self.listen {
            match value.parse::<u16>() {
                Ok(port) => {
                    out.push(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)));
                    if !self.ipv6_only {
                        out.push(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)));
                    }
                }
                Err(_) => out.extend(value.parse::<SocketAddr>().ok()),
            }
        }
        out
    }
}

/// A unit that starts an sshd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Starts {
    /// The service's name.
    pub(super) unit: String,
    /// The command line, variables put in.
    pub(super) argv: Vec<Vec<u8>>,
    /// The socket that it waits behind, where that is enabled.
    pub(super) socket: Option<Socket>,
    /// Whether it, or its socket, is started at boot.
    pub(super) enabled: bool,
}

/// The units of a host.
pub(super) struct Units<'r, 's> {
    reader: &'r Reader<'s>,
    enabled: Vec<String>,
}

/// Every service unit that starts an sshd, enabled ones first, each program and command line once.
pub(super) fn find(reader: &Reader<'_>) -> Vec<Starts> {
    let units = Units::new(reader);
    let mut out: Vec<Starts> = Vec::new();
    for name in units.candidates() {
        let Some(starts) = units.starts(&name) else { continue };
        let known = out.iter().any(|known| known.argv == starts.argv && known.enabled == starts.enabled);
        if !known {
            out.push(starts);
        }
    }
    out.sort_by_key(|starts| !starts.enabled);
    out
}

/// The names of all units that something wants or requires.
fn enabled(reader: &Reader<'_>) -> Vec<String> {
    let mut out = Vec::new();
    for dir in DIRS {
        let Ok(names) = reader.names(Path::new(dir)) else { continue };
        for name in names {
            let text = name.to_string_lossy();
            if !(text.ends_with(".wants") || text.ends_with(".requires")) {
                continue;
            }
            let wanted = reader.names(&Path::new(dir).join(name)).unwrap_or_default();
            out.extend(wanted.iter().map(|unit| unit.to_string_lossy().into_owned()));
        }
    }
    out
}

impl<'r, 's> Units<'r, 's> {
    pub(super) fn new(reader: &'r Reader<'s>) -> Self {
        Self { reader, enabled: enabled(reader) }
    }

    /// Whether something wants or requires a unit whose name begins so.
    pub(super) fn is_enabled(&self, beginning: &str) -> bool {
        self.enabled.iter().any(|name| name.starts_with(beginning))
    }

    /// Service units that may start an sshd: those with ssh in their name, and all that the administrator wrote.
    fn candidates(&self) -> Vec<String> {
        let mut out: Vec<String> = Vec::new();
        for (index, dir) in DIRS.iter().enumerate() {
            let names = self.reader.names(Path::new(dir)).unwrap_or_default();
            for name in names.iter().map(|name| name.to_string_lossy().into_owned()) {
                let mine = name.ends_with(".service") && (index == 0 || name.contains("ssh"));
                if mine && !name.contains("keygen") && !out.contains(&name) {
                    out.push(name);
                }
            }
        }
        out
    }

    /// A unit with its drop-ins, and the name of its main file. None: there is none, or it is masked.
    pub(super) fn load(&self, name: &str) -> Option<(Unit, String)> {
        let path = DIRS.iter().map(|dir| Path::new(dir).join(name)).find(|path| self.reader.link_meta(path).is_ok())?;
        let canonical = self.reader.canonical(&path).ok()?;
        let mut real =
            canonical.file_name().map_or_else(|| name.to_owned(), |name| name.to_string_lossy().into_owned());
        let mut path = path;
        if real != name && real.contains('.') {
            // An alias: the unit of that name counts, which may stand elsewhere, or be masked.
            path =
                DIRS.iter().map(|dir| Path::new(dir).join(&real)).find(|path| self.reader.link_meta(path).is_ok())?;
        } else if real != name {
            real = name.to_owned();
        }
        let view = self.reader.file(&path).ok().filter(|view| !view.bytes.is_empty())?;
        let (mut unit, _) = parse(view.bytes);
        for path in self.drop_ins(&[name, &real]) {
            if let Ok(view) = self.reader.file(&path) {
                unit.extend(parse(view.bytes).0);
            }
        }
        Some((unit, real))
    }

    /// Drop-ins by file name: of two with one name the one in the stronger directory counts.
    fn drop_ins(&self, names: &[&str]) -> Vec<PathBuf> {
        let mut found: BTreeMap<PathBuf, PathBuf> = BTreeMap::new();
        for dir in DIRS {
            for name in names {
                let dir = Path::new(dir).join(format!("{name}.d"));
                for file in self.reader.names(&dir).unwrap_or_default() {
                    if file.extension() == Some(OsStr::new("conf")) {
                        found.entry(file.clone()).or_insert_with(|| dir.join(file));
                    }
                }
            }
        }
        found.into_values().collect()
    }

    fn starts(&self, name: &str) -> Option<Starts> {
        let (unit, real) = self.load(name)?;
        let mut environment = unit.environment("Service");
        for file in unit.values("Service", "EnvironmentFile") {
            let path = file.strip_prefix(b"-").unwrap_or(file);
            if let Ok(view) = self.reader.file(Path::new(OsStr::from_bytes(path))) {
                environment.extend(environment_file(view.bytes));
            }
        }
        let started = unit.values("Service", "ExecStart").into_iter().flat_map(|value| commands(value, &environment));
        let argv = started.into_iter().find(|argv| argv.first().is_some_and(|program| program.ends_with(b"/sshd")))?;
        let instance = real.replace("@.service", ".service");
        let socket = self.socket(&instance, real.contains('@'));
        let named = |unit: &str| self.enabled.iter().any(|enabled| enabled == unit);
        let enabled = named(name) || named(&real) || socket.is_some();
        // A template is an instance only behind its socket.
        (!real.contains("@.") || socket.is_some()).then_some(Starts { unit: real, argv, socket, enabled })
    }

    /// The enabled socket unit in front of a service; `template` says whether the service is one for each connection.
    fn socket(&self, service: &str, template: bool) -> Option<Socket> {
        let own = service.strip_suffix(".service").map(|stem| format!("{stem}.socket"))?;
        let named = self.enabled.contains(&own);
        let (unit, real) = self.load(&own).filter(|_| named)?;
        let accept = unit.is_on("Socket", "Accept");
        let listen = unit.values("Socket", "ListenStream");
        let listen = listen.into_iter().map(|value| String::from_utf8_lossy(value).into_owned()).collect();
        let generated = self.reader.meta(Path::new(SOCKET_GENERATOR)).is_ok();
        let ipv6_only = unit.value("Socket", "BindIPv6Only") == Some(b"ipv6-only");
        (accept == template).then_some(Socket { unit: real, listen, ipv6_only, accept, generated })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::{Reader, Sketch};

    fn found(sketch: Sketch) -> Vec<(String, String, Option<Socket>, bool)> {
        let snapshot = sketch.snapshot();
        let shown =
            |argv: &[Vec<u8>]| argv.iter().map(|word| String::from_utf8_lossy(word)).collect::<Vec<_>>().join(" ");
        let reader = Reader::new(&snapshot);
        find(&reader)
            .into_iter()
            .map(|starts| (starts.unit.clone(), shown(&starts.argv), starts.socket, starts.enabled))
            .collect()
    }

    const SERVICE: &str = "[Service]\nEnvironmentFile=-/etc/default/ssh\nExecStart=/usr/sbin/sshd -D $SSHD_OPTS\n";

    #[test]
    fn options_come_from_the_environment_file_and_drop_ins_replace_the_command() {
        let base = || {
            Sketch::new()
                .file("/usr/lib/systemd/system/ssh.service", SERVICE)
                .file("/etc/default/ssh", "SSHD_OPTS='-o PermitRootLogin=no'\n")
                .link("/etc/systemd/system/multi-user.target.wants/ssh.service", "/usr/lib/systemd/system/ssh.service")
                .link("/etc/systemd/system/sshd.service", "/usr/lib/systemd/system/ssh.service")
        };
        let plain = found(base());
        assert_eq!(plain, [("ssh.service".into(), "/usr/sbin/sshd -D -o PermitRootLogin=no".into(), None, true)]);
        let drop_in = "[Service]\nExecStart=\nExecStart=/usr/sbin/sshd -D -f /etc/ssh/other\n";
        let dropped = found(base().file("/etc/systemd/system/ssh.service.d/10.conf", drop_in));
        assert_eq!(dropped, [("ssh.service".into(), "/usr/sbin/sshd -D -f /etc/ssh/other".into(), None, true)]);
        assert_eq!(found(base().link("/etc/systemd/system/ssh.service", "/dev/null").file("/dev/null", "")), []);
    }

    /// openssh.md 30.
    #[test]
    fn sockets_are_found_with_and_without_accept() {
        let socket = |accept: &str| {
            Sketch::new()
                .file("/usr/lib/systemd/system/ssh.service", SERVICE)
                .file("/usr/lib/systemd/system/ssh@.service", "[Service]\nExecStart=-/usr/sbin/sshd -i $SSHD_OPTS\n")
                .file("/usr/lib/systemd/system/ssh.socket", format!("[Socket]\nListenStream=22\nAccept={accept}\n"))
                .link("/etc/systemd/system/sockets.target.wants/ssh.socket", "/usr/lib/systemd/system/ssh.socket")
        };
        let one = found(socket("no"));
        let names: Vec<&str> = one.iter().filter(|(.., enabled)| *enabled).map(|(unit, ..)| unit.as_str()).collect();
        assert_eq!(names, ["ssh.service"]);
        let addresses = one.first().unwrap().2.as_ref().unwrap().addresses();
        assert_eq!(addresses, ["[::]:22".parse().unwrap(), "0.0.0.0:22".parse().unwrap()]);
        let each = found(socket("yes"));
        let first = each.first().unwrap();
        assert_eq!((first.0.as_str(), first.1.as_str(), first.3), ("ssh@.service", "/usr/sbin/sshd -i", true));
        assert!(first.2.as_ref().unwrap().accept);
    }

    /// openssh.md 5: EL8 hands the crypto policy over on the command line; openssh.md 30: second daemons.
    #[test]
    fn crypto_policies_and_second_daemons_are_instances() {
        let got = found(
            Sketch::new()
                .file(
                    "/usr/lib/systemd/system/sshd.service",
                    "[Service]\nEnvironmentFile=-/etc/crypto-policies/back-ends/opensshserver.config\nEnvironmentFile=-/etc/sysconfig/sshd\nExecStart=/usr/sbin/sshd -D $OPTIONS $CRYPTO_POLICY\n",
                )
                .file("/etc/crypto-policies/back-ends/opensshserver.config", "CRYPTO_POLICY='-oCiphers=aes256-ctr -oMACs=hmac-sha2-256'\n")
                .file("/etc/sysconfig/sshd", "OPTIONS=\"-p 2200\"\n")
                .file("/etc/systemd/system/admin-door.service", "[Service]\nExecStart=/usr/sbin/sshd -D -f /etc/ssh/admin_config\n")
                .link("/etc/systemd/system/multi-user.target.wants/sshd.service", "/usr/lib/systemd/system/sshd.service")
                .link("/etc/systemd/system/multi-user.target.wants/admin-door.service", "../admin-door.service"),
        );
        let lines: Vec<&str> = got.iter().map(|(_, argv, ..)| argv.as_str()).collect();
        assert_eq!(
            lines,
            [
                "/usr/sbin/sshd -D -f /etc/ssh/admin_config",
                "/usr/sbin/sshd -D -p 2200 -oCiphers=aes256-ctr -oMACs=hmac-sha2-256"
            ]
        );
        assert!(got.iter().all(|(.., enabled)| *enabled));
    }
}
