//! `ports.plaintext`: telnet, ftp, rsh and their like listen, or would after the next boot.

use std::collections::BTreeSet;

use super::{about, is_allowed, is_local, main_owner, program, subject, unit};
use crate::check::{
    Check, Finding, Input, Message, Profile, Reference, Scope, Severity, Tally, Text, Verdict, path_text,
};
use crate::edit::Edit;
use crate::fact::Fact;
use crate::host::services::Enabled;
use crate::observation::Mode;
use crate::observation::socket::Protocol::{self, Tcp, Udp};

/// The check.
pub static CHECK: Check = Check {
    id: "ports.plaintext",
    title: Text { en: "No service takes passwords in the clear", zh: "不使用明文传输口令的服务" },
    rationale: Text {
        en: "telnet, ftp, rlogin, rsh, tftp and finger carry passwords and data unencrypted, or ask for none. MLPS level 3 \
             wants ports 21, 23, 25, 111, 427 and 631 closed.",
        zh: "telnet、ftp、rlogin、rsh、tftp、finger 以明文传输口令和数据，或根本不需要口令。等保三级要求关闭 21、23、25、111、427、631 端口。",
    },
    severity: Severity::High,
    profiles: &[Profile::Basic, Profile::Enhanced, Profile::Image],
    scope: Scope::Both,
    references: &[Reference {
        source: "MLPS 2.0 level 3 (等保三级), Alibaba Cloud Linux",
        item: "close ports 21, 23, 25, 111, 427, 631",
    }],
    reads: &["listening sockets and owners", "enabled units", "inetd and xinetd configuration"],
    fix: Some(Text {
        en: "stops and disables the unit; in an image, takes the links away that start it",
        zh: "停止并禁用对应的 systemd 单元；在镜像中则删除启动它的链接",
    }),
    remedy: Text {
        en: "Stop and disable the service; use SSH and SFTP instead.",
        zh: "停止并禁用该服务，改用 SSH 和 SFTP。",
    },
    messages: &[
        Message {
            id: "listens",
            text: Text { en: "{service} listens on {place} ({who})", zh: "{service} 监听 {place}（{who}）" },
        },
        Message {
            id: "enabled", text: Text { en: "{service} is enabled: {unit}", zh: "{service} 已启用：{unit}" }
        },
    ],
    check,
};

/// Name, severity, ports, programs, units (without suffix) and inetd's names.
type Service = (&'static str, Severity, &'static [(Protocol, u16)], &'static [&'static str], &'static [&'static str]);

const SERVICES: &[Service] = &[
    ("telnet", Severity::High, &[(Tcp, 23)], &["in.telnetd", "telnetd"], &["telnet", "telnetd", "inetutils-telnetd"]),
    (
        "FTP",
        Severity::High,
        &[(Tcp, 21)],
        &["vsftpd", "proftpd", "pure-ftpd", "in.ftpd", "ftpd"],
        &["vsftpd", "proftpd", "pure-ftpd", "ftp", "ftpd"],
    ),
    ("rsh", Severity::High, &[(Tcp, 514)], &["in.rshd", "rshd"], &["rsh", "shell", "rshd"]),
    ("rlogin", Severity::High, &[(Tcp, 513)], &["in.rlogind", "rlogind"], &["rlogin", "login", "rlogind"]),
    ("rexec", Severity::High, &[(Tcp, 512)], &["in.rexecd", "rexecd"], &["rexec", "exec", "rexecd"]),
    ("TFTP", Severity::High, &[(Udp, 69)], &["in.tftpd", "tftpd", "atftpd"], &["tftp", "tftpd-hpa", "atftpd", "tftpd"]),
    ("finger", Severity::High, &[(Tcp, 79)], &["in.fingerd", "fingerd"], &["finger", "fingerd"]),
    ("SMTP", Severity::Medium, &[(Tcp, 25)], &[], &[]),
    ("rpcbind", Severity::Medium, &[(Tcp, 111), (Udp, 111)], &["rpcbind", "portmap"], &["rpcbind", "portmap"]),
    ("SLP", Severity::Medium, &[(Tcp, 427), (Udp, 427)], &["slpd"], &["slpd"]),
    ("IPP (CUPS)", Severity::Medium, &[(Tcp, 631)], &["cupsd"], &["cups"]),
];

/// Programs that use one of the ports for something else: syslog over TCP.
const OTHERS: [&str; 2] = ["rsyslogd", "syslog-ng"];

fn check(input: &Input<'_>) -> Verdict {
    let mut tally = Tally::new();
    if input.seen.mode == Mode::Live {
        listening(input, &mut tally)
    } else {
        enabled(input, &mut tally)
    }
    tally.verdict()
}

fn listening(input: &Input<'_>, tally: &mut Tally) {
    let sockets = match &input.seen.sockets {
        Fact::Known(sockets) => sockets,
        Fact::Absent => return,
        Fact::Unknown(why) => return tally.doubt("sockets", why.clone()),
    };
    let mut said = BTreeSet::new();
    for listener in &sockets.listeners {
        let owner = main_owner(listener).map(program).unwrap_or_default();
        let runs = |service: &&Service| service.3.contains(&owner.as_str());
        let listens = |service: &&Service| service.2.contains(&(listener.protocol, listener.port));
        let found = SERVICES.iter().find(runs).or_else(|| SERVICES.iter().find(listens));
        // A container's own ports are not the host's.
        if is_local(listener) || listener.namespace.is_some() || is_allowed(listener, input) {
            continue;
        }
        let Some(service) = found.filter(|_| !OTHERS.contains(&owner.as_str())) else {
            // On another port only the program tells.
            if let Fact::Unknown(why) = &listener.owners {
                tally.doubt(subject(listener), why.clone());
            }
            continue;
        };
        if !said.insert(subject(listener)) {
            continue;
        }
        let finding = about(Finding::new(service.1, subject(listener), "listens").with("service", service.0), listener);
        tally.fail(match unit(listener) {
            Some(unit) => finding.fixed_by(Edit::StopUnit { unit: unit.to_owned() }),
            None => finding,
        });
    }
}

fn enabled(input: &Input<'_>, tally: &mut Tally) {
    for (file, why) in &input.host.services.unread {
        tally.doubt(format!("file:{}", path_text(file.clone())), why.clone());
    }
    let enabled = &input.host.services.enabled;
    let mut said = BTreeSet::new();
    for Enabled { name, by, file, line } in enabled {
        let Some(service) = SERVICES.iter().find(|service| service.4.contains(&name.as_str())) else { continue };
        // Of one service over both families, or from two targets, once.
        if !said.insert(by) {
            continue;
        }
        let finding = Finding::new(service.1, format!("unit:{by}"), "enabled")
            .with("service", service.0)
            .with("unit", by.clone())
            .seen(path_text(file.clone()), *line, by.clone());
        // Nothing runs in an image that could be asked to disable it.
        let links = enabled.iter().filter(|one| one.by == *by && one.line.is_none());
        let gone = links.map(|link| Edit::Erase { path: link.file.clone(), leave_empty: false });
        tally.fail(gone.fold(finding, Finding::fixed_by));
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Scene, listener};
    use super::*;
    use crate::snapshot::Sketch;

    #[test]
    fn live_the_listeners_count() {
        let cases = [
            ("tcp 0.0.0.0 23 /usr/lib/systemd/systemd", Some("high socket:tcp/0.0.0.0:23 listens")),
            ("tcp :: 21 /usr/sbin/vsftpd", Some("high socket:tcp/[::]:21 listens")),
            ("tcp 0.0.0.0 2121 /usr/sbin/vsftpd", Some("high socket:tcp/0.0.0.0:2121 listens")),
            ("udp 0.0.0.0 111 /usr/sbin/rpcbind", Some("medium socket:udp/0.0.0.0:111 listens")),
            ("tcp 127.0.0.1 25 /usr/lib/postfix/sbin/master", None),
            ("tcp 0.0.0.0 514 /usr/sbin/rsyslogd", None),
            ("tcp 0.0.0.0 22 /usr/sbin/sshd", None),
            ("udp 0.0.0.0 23 /x", None),
        ];
        for (text, expected) in cases {
            assert_eq!(Scene::one(text).findings(&CHECK), Vec::from_iter(expected), "{text}");
        }
        assert!(matches!(Scene::blind().run(&CHECK), Verdict::Unknown(_)));
        let mut strangers = listener("tcp :: 2121 /usr/sbin/vsftpd");
        strangers.owners = Fact::Unknown(crate::fact::Why::Denied);
        assert!(matches!(Scene::of(vec![strangers]).run(&CHECK), Verdict::Unknown(_)));
        let Verdict::Fail(findings, _) = Scene::one("tcp :: 21 /usr/sbin/vsftpd").run(&CHECK) else { panic!("pass") };
        assert_eq!(findings[0].fix, [Edit::StopUnit { unit: "x.service".into() }]);
    }

    #[test]
    fn in_an_image_what_is_enabled_counts() {
        let image = |sketch: Sketch| {
            let mut scene = Scene::blind();
            scene.seen.mode = Mode::Offline;
            scene.sketch = sketch;
            scene
        };
        let wants = "/etc/systemd/system/multi-user.target.wants/vsftpd.service";
        let sketch = Sketch::new()
            .link(wants, "/usr/lib/systemd/system/vsftpd.service")
            .link("/etc/systemd/system/sockets.target.wants/telnet.socket", "/lib/systemd/system/telnet.socket")
            .link("/etc/systemd/system/multi-user.target.wants/nginx.service", "/x")
            .link("/etc/rc3.d/S01tftpd-hpa", "../init.d/tftpd-hpa")
            .link("/etc/rc5.d/S01tftpd-hpa", "../init.d/tftpd-hpa")
            .link("/etc/rc3.d/S01proftpd", "../init.d/proftpd")
            .file("/usr/lib/systemd/system/proftpd.service", "")
            .link("/etc/rc3.d/K01atftpd", "../init.d/atftpd")
            .file(
                "/etc/inetd.conf",
                "#ftp stream\nfinger stream tcp nowait nobody /usr/sbin/tcpd\nfinger stream tcp6\n",
            )
            .file("/etc/xinetd.conf", "defaults\n{\n  log_type = SYSLOG\n}\nincludedir /etc/xinetd.d\n")
            .file("/etc/xinetd.d/tftp", "service tftp\n{\n  disable = no\n}\nservice exec\n{\n  disable = yes\n}\n")
            .file("/etc/xinetd.d/rsh", "service shell\n{\n\tdisable\t= yes\n}\n");
        assert_eq!(
            image(sketch).findings(&CHECK),
            [
                "high unit:vsftpd.service enabled",
                "high unit:telnet.socket enabled",
                "high unit:init script: tftpd-hpa enabled",
                "high unit:inetd: finger enabled",
                "high unit:xinetd: tftp enabled"
            ]
        );
        assert_eq!(image(Sketch::new()).run(&CHECK), Verdict::Pass);
        let hidden = Sketch::new().unreadable("/etc/inetd.conf", crate::fact::Why::Denied);
        assert!(matches!(image(hidden).run(&CHECK), Verdict::Unknown(_)));
    }
}
