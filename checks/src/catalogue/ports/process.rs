//! `ports.process`: what listens was deleted, was started from where anybody can write, or is nobody's.

use std::collections::BTreeSet;

use super::{about, is_allowed, is_local, owners, subject};
use crate::check::{Check, Finding, Input, Message, Profile, Reference, Scope, Severity, Tally, Text, Verdict};
use crate::fact::Fact;
use crate::observation::socket::{Listener, Process, Protocol};

/// The check.
pub static CHECK: Check = Check {
    id: "ports.process",
    title: Text { en: "Listeners run installed programs", zh: "监听端口的进程来自已安装的程序" },
    rationale: Text {
        en: "A program that listens and was started from /tmp, a home or memory, or whose file is gone, was put there by a \
             user rather than a package: miners and back doors look like this. After an upgrade it is the old program.",
        zh: "监听端口的程序若来自 /tmp、用户主目录或内存，或者其文件已被删除，往往不是由软件包安装的：挖矿程序和后门通常如此。\
             升级之后则可能是仍在运行的旧程序。",
    },
    severity: Severity::High,
    profiles: &[Profile::Enhanced],
    scope: Scope::Live,
    references: &[Reference { source: "hostward", item: "listeners by owner" }],
    reads: &["listening sockets and owners"],
    fix: None,
    remedy: Text {
        en: "Find out who started it (systemctl status PID); restart the service after an upgrade, or treat it as an intrusion.",
        zh: "查明由谁启动（systemctl status PID）；若是升级所致请重启服务，否则按入侵处理。",
    },
    messages: &[
        Message {
            id: "deleted",
            text: Text {
                en: "{place}: the running program {who} was deleted",
                zh: "{place}：正在运行的程序 {who} 已被删除",
            },
        },
        Message {
            id: "replaced",
            text: Text {
                en: "{place}: {who} was replaced or removed since it was started",
                zh: "{place}：{who} 启动之后已被替换或移除",
            },
        },
        Message {
            id: "writable-place",
            text: Text {
                en: "{place}: {who} runs from a place where users write",
                zh: "{place}：{who} 从用户可写的目录运行",
            },
        },
        Message {
            id: "no-owner",
            text: Text { en: "{place}: no process owns this socket", zh: "{place}：该套接字没有所属进程" },
        },
    ],
    check,
};

/// Where anybody can write.
const WRITABLE: [&str; 5] = ["/tmp", "/var/tmp", "/dev/shm", "/run/user", "/run/lock"];
/// Where people's homes are. A service account's home is where its package lives.
const HOMES: [&str; 2] = ["/home", "/root"];
/// Where packages install.
const INSTALLED: [&str; 7] = ["/usr", "/bin", "/sbin", "/lib", "/lib64", "/opt", "/snap"];
/// Ports at which the kernel itself listens: NFS, VXLAN, Geneve, WireGuard.
const KERNEL: [(Protocol, u16); 6] = [
    (Protocol::Tcp, 2049),
    (Protocol::Udp, 2049),
    (Protocol::Udp, 4789),
    (Protocol::Udp, 8472),
    (Protocol::Udp, 6081),
    (Protocol::Udp, 51820),
];

fn check(input: &Input<'_>) -> Verdict {
    let mut tally = Tally::new();
    let sockets = match &input.seen.sockets {
        Fact::Known(sockets) => sockets,
        Fact::Absent => return tally.verdict(),
        Fact::Unknown(why) => {
            tally.doubt("sockets", why.clone());
            return tally.verdict();
        }
    };
    for (namespace, why) in &sockets.unseen_namespaces {
        tally.doubt(format!("namespace:{namespace}"), crate::fact::Why::Failed(why.clone()));
    }
    let mut said = BTreeSet::new();
    for listener in sockets.listeners.iter().filter(|listener| !is_allowed(listener, input)) {
        if let Fact::Unknown(why) = &listener.owners {
            tally.doubt(subject(listener), why.clone());
        }
        for process in owners(listener) {
            if let Fact::Unknown(why) = &process.executable {
                tally.doubt(subject(listener), why.clone());
            }
        }
        let found = suspicious(listener);
        if let Some((severity, message)) = found.filter(|_| said.insert(subject(listener))) {
            // Loopback keeps others out.
            let severity = if is_local(listener) { severity.min(Severity::Low) } else { severity };
            tally.fail(about(Finding::new(severity, subject(listener), message), listener));
        }
    }
    tally.verdict()
}

fn suspicious(listener: &Listener) -> Option<(Severity, &'static str)> {
    let inside = listener.container.is_some() || listener.namespace.is_some();
    if listener.owners == Fact::Absent {
        // A foreign namespace's kernel sockets are its own affair.
        let kernel = inside || KERNEL.contains(&(listener.protocol, listener.port));
        return (!kernel).then_some((Severity::Medium, "no-owner"));
    }
    owners(listener).iter().filter_map(|process| judge(process, inside)).max()
}

fn judge(process: &Process, inside: bool) -> Option<(Severity, &'static str)> {
    let path = process.executable.known()?;
    let below = |dirs: &[&str]| dirs.iter().any(|dir| path.starts_with(dir));
    let memory = path.as_os_str().as_encoded_bytes().starts_with(b"/memfd:");
    if below(&WRITABLE) || memory || (!inside && below(&HOMES)) {
        let message = if process.deleted { "deleted" } else { "writable-place" };
        return Some((Severity::High, message));
    }
    // An image's layers come and go below a container's feet.
    match process.deleted && !inside {
        true if below(&INSTALLED) => Some((Severity::Low, "replaced")),
        true => Some((Severity::High, "deleted")),
        false => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Scene, listener};
    use super::*;

    fn one(text: &str, deleted: bool, container: bool) -> Vec<String> {
        let mut listener = listener(text);
        if let Fact::Known(owners) = &mut listener.owners {
            owners[0].deleted = deleted;
        }
        listener.container = container.then(|| "docker:0123456789ab".to_owned());
        Scene::of(vec![listener]).findings(&CHECK)
    }

    #[test]
    fn programs_are_judged_by_where_they_come_from() {
        let cases = [
            ("/usr/sbin/nginx", false, None),
            ("/opt/app/bin/server", false, None),
            ("/usr/sbin/nginx", true, Some("low replaced")),
            ("/data/app", true, Some("high deleted")),
            ("/tmp/x", false, Some("high writable-place")),
            ("/tmp/x", true, Some("high deleted")),
            ("/dev/shm/.x", false, Some("high writable-place")),
            ("/memfd:x", true, Some("high deleted")),
            ("/home/bob/server", false, Some("high writable-place")),
            ("/root/a", false, Some("high writable-place")),
            ("/tmpfoo/x", false, None),
        ];
        for (path, deleted, expected) in cases {
            let found = one(&format!("tcp 0.0.0.0 80 {path}"), deleted, false);
            let expected: Vec<String> =
                expected.map(|text| text.replace(' ', " socket:tcp/0.0.0.0:80 ")).into_iter().collect();
            assert_eq!(found, expected, "{path} {deleted}");
        }
        assert_eq!(one("tcp 127.0.0.1 80 /tmp/x", false, false), ["low socket:tcp/127.0.0.1:80 writable-place"]);
        assert_eq!(one("tcp 0.0.0.0 80 /home/node/app", true, true), [""; 0]);
        assert_eq!(one("tcp 0.0.0.0 80 /tmp/x", false, true).len(), 1);
    }

    #[test]
    fn nobodys_sockets_are_told_and_unseen_ones_doubted() {
        let mut orphan = listener("tcp 0.0.0.0 4444 /x");
        orphan.owners = Fact::Absent;
        assert_eq!(Scene::of(vec![orphan.clone()]).findings(&CHECK), ["medium socket:tcp/0.0.0.0:4444 no-owner"]);
        orphan.port = 2049;
        assert_eq!(Scene::of(vec![orphan.clone()]).run(&CHECK), Verdict::Pass);
        orphan.owners = Fact::Unknown(crate::fact::Why::Denied);
        assert!(matches!(Scene::of(vec![orphan]).run(&CHECK), Verdict::Unknown(_)));
        assert!(matches!(Scene::blind().run(&CHECK), Verdict::Unknown(_)));
    }
}
