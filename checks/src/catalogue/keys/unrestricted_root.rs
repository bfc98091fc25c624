//! `keys.unrestricted-root`: a key opens root from anywhere, for anything.

use super::{by_key, doubt_unread, key_subject, places, seen, users};
use crate::check::{Check, Finding, Input, Message, Profile, Reference, Scope, Severity, Tally, Text, Verdict};
use crate::parse::authorized_keys::Options;

/// The check.
pub static CHECK: Check = Check {
    id: "keys.unrestricted-root",
    title: Text { en: "Root's keys are limited to a source or a command", zh: "root 的密钥限定来源或命令" },
    rationale: Text {
        en: "A stolen key of root works from every address. `from=` limits it to the administrators' networks, `command=` to one \
             task.",
        zh: "root 的密钥一旦被窃，可从任何地址使用。`from=` 将其限定在管理员网络，`command=` 将其限定为单一任务。",
    },
    severity: Severity::Low,
    profiles: &[Profile::Enhanced],
    scope: Scope::Both,
    references: &[Reference { source: "sshd(8)", item: "AUTHORIZED_KEYS FILE FORMAT, from= and command=" }],
    reads: &["authorized_keys of every account with uid 0"],
    fix: None,
    remedy: Text {
        en: "Put `from=\"ADDRESS/MASK\"` in front of the key, or let administrators log in under their own names and use sudo.",
        zh: "在密钥前加上 `from=\"地址/掩码\"`，或让管理员用自己的账号登录并使用 sudo。",
    },
    messages: &[Message {
        id: "unrestricted",
        text: Text {
            en: "{key} opens {users} from any address, with any command",
            zh: "密钥 {key} 可从任意地址以任意命令登录 {users}",
        },
    }],
    check,
};

fn is_unrestricted(options: &Options) -> bool {
    options.command.is_none() && options.from.as_ref().is_none_or(|list| list.is_everybody())
}

fn check(input: &Input<'_>) -> Verdict {
    let mut tally = Tally::new();
    let open = places(input)
        .filter(|place| place.account.uid == 0 && place.line.is_plain() && is_unrestricted(place.line.options()));
    for places in by_key(open).values() {
        let Some(first) = places.first() else { continue };
        let finding = Finding::new(Severity::Low, key_subject(&first.line.key), "unrestricted")
            .with("key", first.line.key.fingerprint().to_string())
            .with_list("users", users(places));
        tally.fail(seen(finding, places));
    }
    doubt_unread(input, &mut tally);
    tally.verdict()
}

#[cfg(test)]
mod tests {
    use super::super::testing::Case;
    use super::*;
    use crate::parse::key_blob::samples;

    #[test]
    fn a_source_or_a_command_restricts() {
        let line = samples::ED25519.line;
        for (options, open) in [
            ("", true),
            ("no-pty ", true),
            ("restrict ", true),
            ("from=\"*\" ", true),
            ("from=\"0.0.0.0/0,10.0.0.1\" ", true),
            ("from=\"10.0.0.0/8\" ", false),
            ("from=\"*,!10.0.0.1\" ", false),
            ("command=\"/bin/true\" ", false),
            ("cert-authority ", false),
            ("nonsense ", false),
        ] {
            let case = Case::new().bob(line).root(&format!("{options}{line}"));
            let want: &[&str] = if open { &["low unrestricted"] } else { &[] };
            assert_eq!(case.findings(&CHECK), want, "{options}");
        }
        assert_eq!(Case::new().unreadable().doubts(&CHECK).len(), 1);
    }
}
