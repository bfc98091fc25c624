//! `sshd.port`: the default port answers everybody.

use super::{account_subject, daemon_subject, setting, show};
use crate::access::{Grant, SourceClass};
use crate::check::{Check, Finding, Input, Message, Profile, Reference, Scope, Severity, Tally, Text, Verdict};

/// The check.
pub static CHECK: Check = Check {
    id: "sshd.port",
    title: Text { en: "sshd does not answer everybody on port 22", zh: "sshd 不在 22 端口对所有人应答" },
    rationale: Text {
        en: "Another port is no protection, but it keeps most of the automatic guessing, and its log lines, away.",
        zh: "更换端口并不能提供保护，但能避开大部分自动化猜测及其日志。",
    },
    severity: Severity::Info,
    profiles: &[Profile::Enhanced],
    scope: Scope::Both,
    references: &[Reference { source: "Alibaba Cloud ECS security best practices", item: "change the default port" }],
    reads: &["sshd configuration", "socket units", "running daemons"],
    fix: None,
    remedy: Text {
        en: "Move sshd to another port (with the security group, the firewall and SELinux), or limit its sources.",
        zh: "将 sshd 移至其他端口（同时调整安全组、防火墙和 SELinux），或限制其来源。",
    },
    messages: &[Message {
        id: "default",
        text: Text {
            en: "sshd ({config}) lets logins in from any public address on port 22",
            zh: "sshd（{config}）允许从任意公网地址经 22 端口登录",
        },
    }],
    check,
};

fn check(input: &Input<'_>) -> Verdict {
    let mut tally = Tally::default();
    for daemon in &input.access.daemons {
        let outside = |address: &&std::net::SocketAddr| !address.ip().to_canonical().is_loopback();
        if !daemon.listeners.iter().filter(outside).any(|address| address.port() == 22) {
            continue;
        }
        let public = || {
            daemon.accounts.iter().flat_map(|account| {
                account
                    .sources
                    .iter()
                    .filter(|source| source.class == SourceClass::Public)
                    .map(move |source| (account, source))
            })
        };
        if public().any(|(_, source)| source.sure().any(|way| way.grants != Grant::Nothing)) {
            let finding = Finding::new(Severity::Info, daemon_subject(daemon), "default")
                .with("config", crate::check::path_text(&daemon.config))
                .reproduce(show(daemon));
            tally.fail(match &daemon.global {
                Ok(global) => setting(finding, global, "Port", "port"),
                Err(_) => finding,
            });
        } else {
            for (account, source) in public() {
                let subject = account_subject(input.access, daemon, account);
                source.doubts.iter().for_each(|doubt| tally.doubt(subject.clone(), doubt.why.clone()));
            }
        }
    }
    super::unread(input, &mut tally);
    tally.verdict()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Case, expect};
    use super::*;

    #[test]
    fn the_default_port_is_told() {
        for case in [
            Case::fail("UsePAM yes\n", &["sshd:/etc/ssh/sshd_config default"]),
            Case::pass("UsePAM yes\nPort 2222\n"),
            Case::pass("UsePAM yes\nListenAddress 127.0.0.1\n"),
            Case::unknown("").with_unreadable("/etc/ssh/sshd_config"),
            Case::unknown("UsePAM yes\nPermitRootLogin no\n").without_shadow(),
        ] {
            expect(&CHECK, &case);
        }
    }
}
