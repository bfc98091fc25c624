//! The area ports: what listens, for whom, and who owns it.

use std::ffi::OsStr;
use std::net::IpAddr;
use std::path::Path;

use crate::access::{SourceClass, classify};
use crate::check::{Finding, Input, path_text};
use crate::fact::{Fact, Why};
use crate::observation::socket::{Listener, Process, Protocol};
use crate::policy::AllowedListener;

pub mod exposed;
pub mod firewall;
pub mod plaintext;
pub mod process;
mod services;
#[cfg(test)]
pub(super) mod shown;
pub mod unauthenticated;

/// Where Alibaba Cloud's own agents live. They are known by path, as root, outside containers: anybody can choose a name.
pub(crate) const AGENTS: [&str; 4] =
    ["/usr/local/cloudmonitor/", "/usr/local/aegis/", "/usr/local/share/aliyun-assist/", "/usr/local/ilogtail/"];

/// The protocol's word in subjects and commands.
fn word(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
    }
}

/// `tcp/0.0.0.0:6379`, with the interface or namespace where it is not everybody's.
fn place(listener: &Listener) -> String {
    let host = match listener.address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    };
    let device = listener.device.as_ref().map_or_else(String::new, |device| format!("%{device}"));
    format!("{}/{host}{device}:{}", word(listener.protocol), listener.port)
}

/// What a finding about a listener is about. A container's name stands for its namespace: that number changes.
fn subject(listener: &Listener) -> String {
    let container = listener.container.as_ref().filter(|_| listener.namespace.is_some());
    let within = match (container, listener.namespace) {
        (Some(container), _) => format!("{container}/"),
        (None, Some(_)) => "namespace/".to_owned(),
        (None, None) => String::new(),
    };
    format!("socket:{within}{}", place(listener))
}

/// The owners, as far as they are known.
fn owners(listener: &Listener) -> &[Process] {
    listener.owners.known().map_or(&[], Vec::as_slice)
}

/// The owner to name: not systemd, where a service shares the socket with it.
fn main_owner(listener: &Listener) -> Option<&Process> {
    let owners = owners(listener);
    owners.iter().find(|owner| owner.pid != 1).or_else(|| owners.first())
}

/// The executable's file name, which is harder to choose than `comm`; else `comm`.
fn program(process: &Process) -> String {
    let file = process.executable.known().and_then(|path| path.file_name());
    file.map_or_else(|| process.name.clone(), path_text)
}

/// Who listens, in words.
fn who(listener: &Listener) -> String {
    match (main_owner(listener), &listener.owners) {
        (Some(owner), _) => match owner.executable.known() {
            Some(path) => path_text(path.clone()),
            None => owner.name.clone(),
        },
        (None, Fact::Unknown(_)) => "?".to_owned(),
        (None, _) => "(kernel)".to_owned(),
    }
}

/// The systemd service to stop, where the owner is one: never a session, systemd itself or a container's scope.
fn unit(listener: &Listener) -> Option<&str> {
    let unit = main_owner(listener)?.unit.as_deref()?;
    (listener.container.is_none() && unit.ends_with(".service") && !unit.starts_with("user@")).then_some(unit)
}

/// Whether a listener can be reached from another host at all.
fn is_local(listener: &Listener) -> bool {
    classify(listener.address) == SourceClass::Loopback || listener.device.as_deref() == Some("lo")
}

fn is_agent(listener: &Listener) -> bool {
    let ours = |process: &Process| {
        let path = process.executable.known().and_then(|path| path.to_str()).unwrap_or_default();
        process.uid == 0 && !process.deleted && AGENTS.iter().any(|home| path.starts_with(home))
    };
    listener.container.is_none() && !owners(listener).is_empty() && owners(listener).iter().all(ours)
}

/// Whether sshd listens here, itself or through a socket unit: the area sshd speaks of it.
fn is_sshd(listener: &Listener, input: &Input<'_>) -> bool {
    let program =
        |process: &Process| process.executable.known().and_then(|path| path.file_name()) == Some(OsStr::new("sshd"));
    let known = |port| {
        let mut listeners = input.access.daemons.iter().flat_map(|daemon| &daemon.listeners);
        port == 22 || listeners.any(|listener| listener.port() == port)
    };
    listener.protocol == Protocol::Tcp
        && (owners(listener).iter().any(program)
            || (main_owner(listener).is_some_and(|owner| owner.pid == 1) && known(listener.port)))
}

/// Whether the instance can be reached under a public address: on ECS it stands on no interface, only in the metadata.
fn public_address<'a>(input: &Input<'a>) -> Result<bool, &'a Why> {
    let own = input.seen.addresses.known().into_iter().flatten();
    if own.into_iter().any(|address| classify(*address) == SourceClass::Public) {
        return Ok(true);
    }
    match &input.seen.metadata {
        Fact::Known(metadata) => match &metadata.public_addresses {
            Fact::Known(addresses) => Ok(!addresses.is_empty()),
            Fact::Absent => Ok(false),
            Fact::Unknown(why) => Err(why),
        },
        Fact::Absent => Ok(false),
        // Not asked because this is no ECS instance: there the interfaces tell all.
        Fact::Unknown(Why::NotAsked(_)) => Ok(false),
        Fact::Unknown(why) => Err(why),
    }
}

/// What policy allows of the listener: the widest entry that names it.
fn allowance<'p>(listener: &Listener, input: &Input<'p>) -> Option<&'p AllowedListener> {
    let fits = |allowed: &&AllowedListener| {
        let path = |wanted: &String| {
            owners(listener).iter().any(|o| o.executable.known().is_some_and(|p| p == Path::new(wanted)))
        };
        let unit = |wanted: &String| owners(listener).iter().any(|o| o.unit.as_ref() == Some(wanted));
        allowed.port.is_none_or(|port| port == listener.port)
            && allowed.protocol.is_none_or(|protocol| protocol == listener.protocol)
            && allowed.address.is_none_or(|address| address == listener.address)
            && allowed.process.as_ref().is_none_or(path)
            && allowed.unit.as_ref().is_none_or(unit)
    };
    let allowed = || input.policy.allowed_listeners.iter().filter(fits);
    allowed().find(|entry| entry.sources.is_empty()).or_else(|| allowed().next())
}

/// Whether policy allows the listener, to whomever.
fn is_allowed(listener: &Listener, input: &Input<'_>) -> bool {
    allowance(listener, input).is_some()
}

/// A finding's common part: where, who, and the command that shows it.
fn about(finding: Finding, listener: &Listener) -> Finding {
    let owner = main_owner(listener).map_or_else(String::new, |owner| format!("{} (uid {})", owner.name, owner.uid));
    let finding = finding.with("place", place(listener)).with("who", who(listener));
    let finding = finding.seen("(sockets)", None, format!("{} {owner}", place(listener)).trim_end().to_owned());
    match listener.namespace {
        None => finding.reproduce(format!(
            "ss -{}lpn 'sport = :{}'",
            word(listener.protocol).chars().take(1).collect::<String>(),
            listener.port
        )),
        Some(_) => finding,
    }
}

#[cfg(test)]
pub(super) mod testing {
    use std::path::PathBuf;

    use super::*;
    use crate::access::Access;
    use crate::catalogue::shown::Drawn;
    use crate::check::{Check, Profile, Verdict, render};
    use crate::guard::Circumstances;
    use crate::host::Host;
    use crate::observation::firewall::Firewall;
    use crate::observation::service::{Answer, Asked};
    use crate::observation::socket::Sockets;
    use crate::observation::{Mode, Observations};
    use crate::policy::Policy;
    use crate::snapshot::{Sketch, Snapshot};

    /// A listener owned by a program, e.g. `tcp 0.0.0.0 6379 /usr/bin/redis-server`.
    pub(in super::super) fn listener(text: &str) -> Listener {
        let words: Vec<&str> = text.split(' ').collect();
        let path = PathBuf::from(words[3]);
        let pid = if words[3].ends_with("/systemd") { 1 } else { 7 };
        let process = Process {
            pid,
            name: path.file_name().unwrap().to_string_lossy().into_owned(),
            executable: Fact::Known(path),
            deleted: false,
            uid: 0,
            unit: Some("x.service".into()),
            started: None,
        };
        Listener {
            protocol: if words[0] == "tcp" { Protocol::Tcp } else { Protocol::Udp },
            address: words[1].parse().unwrap(),
            port: words[2].parse().unwrap(),
            v6only: None,
            device: None,
            inode: 1,
            uid: 0,
            namespace: None,
            owners: Fact::Known(vec![process]),
            container: None,
        }
    }

    pub(in super::super) struct Scene {
        pub(in super::super) sketch: Sketch,
        pub(in super::super) seen: Observations,
        pub(in super::super) policy: Policy,
    }

    impl Scene {
        /// A live host without a metadata service, a firewall that lets all in, and these listeners.
        pub(in super::super) fn of(listeners: Vec<Listener>) -> Self {
            let mut seen = Observations::offline(1_780_000_000);
            seen.mode = Mode::Live;
            seen.sockets = Fact::Known(Sockets { listeners, unseen_namespaces: Vec::new() });
            seen.firewall = Fact::Known(Firewall { default_accepts: Some(true), ..Firewall::default() });
            seen.addresses = Fact::Known(vec!["127.0.0.1".parse().unwrap(), "10.0.0.5".parse().unwrap()]);
            seen.metadata = Fact::Absent;
            Self { sketch: Sketch::new(), seen, policy: Policy::builtin(Profile::Enhanced) }
        }

        pub(in super::super) fn one(text: &str) -> Self {
            Self::of(vec![listener(text)])
        }

        /// Listeners, each with what it answered two hours ago.
        pub(in super::super) fn answering(each: &[(&str, Answer)]) -> Self {
            let mut scene = Self::of(each.iter().map(|(text, _)| listener(text)).collect());
            let now = scene.seen.now;
            let asked = |(text, answer): &(&str, Answer)| {
                let listener = listener(text);
                let (protocol, address, port) = (listener.protocol, listener.address, listener.port);
                Asked { protocol, address, port, at: Some(now - 7300), answer: answer.clone() }
            };
            scene.seen.services = Fact::Known(each.iter().map(asked).collect());
            scene
        }

        pub(in super::super) fn blind() -> Self {
            let mut scene = Self::of(Vec::new());
            scene.seen.sockets = Fact::Unknown(Why::Denied);
            scene
        }

        pub(in super::super) fn run(&self, check: &Check) -> Verdict {
            self.judged(check)
        }

        /// Severity, subject and message of every finding; texts are rendered to see that no parameter is missing.
        pub(in super::super) fn findings(&self, check: &'static Check) -> Vec<String> {
            let Verdict::Fail(findings, _) = self.run(check) else { return Vec::new() };
            self.mends_its_own(check, &findings);
            let line = |finding: &Finding| {
                let text = check.message(finding.message).unwrap().text;
                for text in [text.en, text.zh] {
                    assert!(!render(text, &finding.params, str::to_owned).contains('{'), "{text}");
                }
                format!("{} {} {}", finding.severity.word(), finding.subject, finding.message)
            };
            findings.iter().map(line).collect()
        }
    }

    impl Drawn for Scene {
        fn snapshot(&self) -> Snapshot {
            self.sketch.clone().snapshot()
        }

        fn seen(&self) -> Observations {
            self.seen.clone()
        }

        fn policy(&self) -> Policy {
            self.policy.clone()
        }

        fn access(&self, _: &Host, _: &Observations) -> Access {
            Access::default()
        }

        /// Nothing hangs on the unit of the listeners.
        fn circumstances(&self) -> Circumstances {
            let dependents = [("x.service".to_owned(), Vec::new())].into();
            Circumstances { dependents, program: Some("/usr/bin/hostward".into()), ..Circumstances::default() }
        }
    }
}
