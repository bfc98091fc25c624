//! `sshd.source`: logins are taken from any address.

use super::{daemon_subject, show};
use crate::access::{DaemonAccess, Grant, SourceClass};
use crate::check::{Check, Finding, Input, Message, Profile, Reference, Scope, Severity, Tally, Text, Verdict};
use crate::fact::Fact;
use crate::observation::Mode;
use crate::observation::firewall::Reach;
use crate::observation::socket::Protocol;

/// The check.
pub static CHECK: Check = Check {
    id: "sshd.source",
    title: Text { en: "Logins come only from where administrators are", zh: "仅允许来自管理来源的登录" },
    rationale: Text {
        en: "An sshd that answers the whole internet is attacked from the whole internet. A security group is the first fence; \
             the host's own limits hold when the group is changed by mistake, and they are what this check sees.",
        zh: "对整个互联网应答的 sshd 会受到来自整个互联网的攻击。安全组是第一道防线；主机自身的限制在安全组被误改时仍然有效，\
             本检查看的就是主机自身的限制。",
    },
    severity: Severity::Medium,
    profiles: &[Profile::Basic, Profile::Enhanced],
    scope: Scope::Both,
    references: &[
        Reference { source: "Alibaba Cloud cloud protection practice table", item: "limit management sources" },
        Reference { source: "MLPS level 3", item: "limit the addresses of management terminals" },
    ],
    reads: &["sshd configuration", "authorized_keys", "host firewall"],
    fix: None,
    remedy: Text {
        en: "Name the sources in the security group, and on the host by ListenAddress, `AllowUsers user@network`, `from=` or the \
             firewall.",
        zh: "在安全组中限定来源，并在主机上用 ListenAddress、`AllowUsers user@network`、`from=` 或防火墙加以限制。",
    },
    messages: &[Message {
        id: "anywhere",
        text: Text {
            en: "sshd ({config}) lets these accounts in from any public address: {users}",
            zh: "sshd（{config}）允许以下账号从任意公网地址登录：{users}",
        },
    }],
    check,
};

/// Whether the daemon listens where the network reaches it. Nothing known: it does.
fn listens_out(daemon: &DaemonAccess) -> bool {
    daemon.listeners.is_empty() || daemon.listeners.iter().any(|address| !address.ip().to_canonical().is_loopback())
}

/// Whether the host firewall keeps the daemon's ports from strangers. None: the rules say more than is understood.
fn fenced(input: &Input<'_>, daemon: &DaemonAccess) -> Option<bool> {
    let Fact::Known(firewall) = &input.seen.firewall else { return Some(false) };
    if !firewall.filters_input {
        return Some(false);
    }
    let mut shut = true;
    for address in &daemon.listeners {
        match firewall.reach(Protocol::Tcp, address.ip(), address.port()) {
            Reach::Unknown(_) => return None,
            Reach::Open => shut = false,
            Reach::Closed => {}
        }
    }
    Some(shut && !daemon.listeners.is_empty())
}

fn check(input: &Input<'_>) -> Verdict {
    let mut tally = Tally::default();
    for daemon in input.access.daemons.iter().filter(|daemon| listens_out(daemon)) {
        let mut users = Vec::new();
        for account in &daemon.accounts {
            let public = account.sources.iter().find(|source| source.class == SourceClass::Public);
            let Some(public) = public else { continue };
            if public.sure().any(|way| way.grants != Grant::Nothing) {
                users.push(account.user.clone());
            } else {
                let subject = super::account_subject(input.access, daemon, account);
                public.doubts.iter().for_each(|doubt| tally.doubt(subject.clone(), doubt.why.clone()));
            }
        }
        if users.is_empty() {
            continue;
        }
        match fenced(input, daemon) {
            Some(true) => {}
            Some(false) => {
                if input.seen.mode == Mode::Live
                    && let Fact::Unknown(why) = &input.seen.firewall
                {
                    tally.doubt("firewall", why.clone());
                }
                tally.fail(
                    Finding::new(Severity::Medium, daemon_subject(daemon), "anywhere")
                        .with("config", crate::check::path_text(&daemon.config))
                        .with_list("users", users)
                        .reproduce(show(daemon)),
                );
            }
            None => tally.doubt(
                daemon_subject(daemon),
                crate::fact::Why::NotAsked("the host firewall's rules say more than hostward models"),
            ),
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
    fn sources_are_narrowed_or_not() {
        for case in [
            Case::fail("UsePAM yes\nPermitRootLogin no\n", &["sshd:/etc/ssh/sshd_config anywhere"]),
            Case::pass("UsePAM yes\nListenAddress 127.0.0.1\n"),
            Case::pass("UsePAM yes\nAllowUsers *@10.0.0.0/8 *@192.168.0.0/16\n"),
            Case::pass("UsePAM yes\nMatch Address *,!10.0.0.0/8\nAuthenticationMethods hostbased\n"),
            Case::unknown("UsePAM yes\nPermitRootLogin no\n").without_shadow(),
        ] {
            expect(&CHECK, &case);
        }
    }
}
