//! `sshd.forwarding`: tunnels for accounts that need none.

use super::{account_subject, accounts, close, fixed_by, place};
use crate::access::Grant;
use crate::check::{Check, Finding, Input, Message, Profile, Reference, Scope, Severity, Tally, Text, Verdict};
use crate::sshd::Effective;

/// The check.
pub static CHECK: Check = Check {
    id: "sshd.forwarding",
    title: Text { en: "Only named accounts forward", zh: "仅登记的账号可以转发" },
    rationale: Text {
        en: "Whoever logs in can reach the private network through the instance, or open a way back in through it. \
             GatewayPorts offers such a way to everybody else.",
        zh: "登录者可以经由实例访问专有网络，或经由实例打开返回的通道。GatewayPorts 会把这样的通道提供给所有人。",
    },
    severity: Severity::Low,
    profiles: &[Profile::Enhanced],
    scope: Scope::Both,
    references: &[Reference { source: "hostward", item: "hardening" }],
    reads: &["sshd configuration", "policy: forwarding_accounts"],
    fix: Some(Text { en: "switches the forwarding off", zh: "关闭转发" }),
    remedy: Text {
        en: "Set `AllowTcpForwarding no`, `X11Forwarding no`, `AllowAgentForwarding no` and `GatewayPorts no`, and open them in a \
             `Match User` block for the accounts that need them; name those accounts in the policy.",
        zh: "设置 `AllowTcpForwarding no`、`X11Forwarding no`、`AllowAgentForwarding no` 和 `GatewayPorts no`，在 `Match User` \
             块中为需要的账号打开，并在策略中登记这些账号。",
    },
    messages: &[Message {
        id: "open",
        text: Text {
            en: "{user} may forward ({kinds}) and the policy does not name it",
            zh: "{user} 可以转发（{kinds}），而策略未登记该账号",
        },
    }],
    check,
};

/// Keyword, its key, and the value that closes it.
const KINDS: [(&str, &str); 4] = [
    ("AllowTcpForwarding", "allowtcpforwarding"),
    ("X11Forwarding", "x11forwarding"),
    ("AllowAgentForwarding", "allowagentforwarding"),
    ("GatewayPorts", "gatewayports"),
];

fn open(effective: &Effective) -> Vec<&'static str> {
    if effective.yes("disableforwarding") {
        return Vec::new();
    }
    let mut kinds: Vec<&'static str> = Vec::new();
    for (keyword, key) in KINDS {
        let text = effective.text(key);
        if !text.is_empty() && !text.eq_ignore_ascii_case("no") {
            kinds.push(keyword);
        }
    }
    // GatewayPorts opens nothing by itself.
    if !kinds.contains(&"AllowTcpForwarding") {
        kinds.retain(|kind| *kind != "GatewayPorts");
    }
    kinds
}

fn check(input: &Input<'_>) -> Verdict {
    let mut tally = Tally::default();
    for (daemon, account) in accounts(input.access) {
        if input.policy.forwarding_accounts.contains(&account.user) {
            continue;
        }
        let subject = account_subject(input.access, daemon, account);
        let mut kinds: Vec<&'static str> = Vec::new();
        let mut finding = Finding::new(Severity::Low, subject.clone(), "open").with("user", &account.user);
        for source in &account.sources {
            if source.sure().all(|way| way.grants == Grant::Nothing) {
                if source.sure().next().is_none() {
                    source.doubts.iter().for_each(|doubt| tally.doubt(subject.clone(), doubt.why.clone()));
                }
                continue;
            }
            let Some(effective) = daemon.effective(source) else { continue };
            for keyword in open(effective).into_iter().filter(|kind| !kinds.contains(kind)).collect::<Vec<_>>() {
                kinds.push(keyword);
                finding = finding.reproduce(&source.reproduce);
                if let Some(value) = effective.value(&keyword.to_ascii_lowercase()) {
                    let (file, line) = place(&value.origin);
                    finding = finding.seen(file, line, format!("{keyword} {}", value.text));
                }
                finding = fixed_by(finding, close(daemon, source, keyword, "no"));
            }
        }
        if !kinds.is_empty() {
            tally.fail(finding.with_list("kinds", kinds.into_iter().map(str::to_owned).collect()));
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
    fn forwarding_is_open_or_not() {
        let root = "UsePAM yes\nPermitRootLogin no\n";
        for case in [
            Case::fail(root, &["account:ann open"]),
            Case::pass(&format!("{root}DisableForwarding yes\n")),
            Case::pass(&format!("{root}AllowTcpForwarding no\nAllowAgentForwarding no\nX11Forwarding no\n")),
            Case::fail(
                &format!(
                    "{root}AllowTcpForwarding no\nAllowAgentForwarding no\nMatch Address 10.0.0.0/8\nAllowTcpForwarding yes\n"
                ),
                &["account:ann open"],
            ),
            Case::unknown(&format!(
                "{root}PasswordAuthentication no\nKbdInteractiveAuthentication no\nRevokedKeys /etc/ssh/rk\n"
            ))
            .with_ann_key()
            .with_unreadable("/etc/ssh/rk"),
        ] {
            expect(&CHECK, &case);
        }
    }
}
