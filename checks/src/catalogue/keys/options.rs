//! `keys.options`: lines that give more than they seem to, or nothing at all.

use std::collections::{BTreeMap, BTreeSet};

use super::{Place, by_key, doubt_unread, file_subject, key_subject, places, seen, users};
use crate::check::{
    Check, Finding, Input, Message, Profile, Reference, Scope, Severity, Tally, Text, Verdict, path_text,
};
use crate::parse::key_blob::Fingerprint;

/// The check.
pub static CHECK: Check = Check {
    id: "keys.options",
    title: Text { en: "Key lines do what they seem to do", zh: "密钥行的效果与其表面一致" },
    rationale: Text {
        en: "An authority in authorized_keys lets in every key that it signs; `environment=` can load code into the session. \
             Lines that have expired, never match or that sshd cannot read let nobody in, and hide that somebody has lost a way in.",
        zh: "authorized_keys 中的证书颁发机构会放行其签发的所有密钥；`environment=` 可向会话注入代码。已过期、永不匹配或 sshd 无法解析的行\
             不会放行任何人，却掩盖了某人已失去登录途径的事实。",
    },
    severity: Severity::Medium,
    profiles: &[Profile::Enhanced, Profile::Image],
    scope: Scope::Both,
    references: &[Reference { source: "sshd(8)", item: "AUTHORIZED_KEYS FILE FORMAT" }],
    reads: &["authorized_keys of every account"],
    fix: None,
    remedy: Text {
        en: "Remove the lines that let nobody in. Name the authority in `approved_authorities` of the policy, or remove it. Set \
             variables in the session's own files instead of `environment=`.",
        zh: "删除不会放行任何人的行。将证书颁发机构写入策略的 `approved_authorities`，或删除。用会话自身的配置文件设置变量，而不是 `environment=`。",
    },
    messages: &[
        Message {
            id: "authority",
            text: Text {
                en: "the authority {key}, which the policy does not name, may sign keys that open: {users}",
                zh: "策略未列出的证书颁发机构 {key} 所签发的密钥可登录：{users}",
            },
        },
        Message {
            id: "environment",
            text: Text {
                en: "the line of {key} sets variables ({names}) in the sessions of: {users}",
                zh: "密钥 {key} 所在行会在以下账号的会话中设置变量（{names}）：{users}",
            },
        },
        Message {
            id: "expired",
            text: Text {
                en: "the line of {key} has expired and no longer lets in: {users}",
                zh: "密钥 {key} 所在行已过期，不再放行：{users}",
            },
        },
        Message {
            id: "never",
            text: Text {
                en: "sshd ignores the line of {key} ({reason}); it does not open: {users}",
                zh: "sshd 忽略密钥 {key} 所在行（{reason}）；不能登录：{users}",
            },
        },
        Message {
            id: "names-only",
            text: Text {
                en: "from= of {key} holds host names only, which match nobody unless sshd resolves addresses (UseDNS yes): {users}",
                zh: "密钥 {key} 的 from= 只有主机名，除非 sshd 解析地址（UseDNS yes），否则不匹配任何人：{users}",
            },
        },
        Message {
            id: "broken",
            text: Text {
                en: "{path} has {count} lines without a key that OpenSSH can read: {lines}",
                zh: "{path} 中有 {count} 行不含 OpenSSH 可读取的密钥：{lines}",
            },
        },
    ],
    check,
};

/// What may be odd about a line, with the parameter that its message takes beyond key and users.
type Oddity = (&'static str, Option<(&'static str, String)>);

fn check(input: &Input<'_>) -> Verdict {
    let mut tally = Tally::new();
    let approved: Vec<Fingerprint> =
        input.policy.approved_authorities.iter().filter_map(|text| text.parse().ok()).collect();
    for places in by_key(places(input)).into_values() {
        let mut odd: BTreeMap<Oddity, Vec<Place<'_>>> = BTreeMap::new();
        for place in places {
            for oddity in oddities(&place, input.seen.now, &approved) {
                odd.entry(oddity).or_default().push(place);
            }
        }
        for ((message, extra), places) in odd {
            let Some(first) = places.first() else { continue };
            let key = &first.line.key;
            // One key may have several oddities: the subject tells them apart.
            let mut finding = Finding::new(Severity::Medium, format!("{} {message}", key_subject(key)), message)
                .with("key", key.fingerprint().to_string())
                .with_list("users", users(&places));
            if let Some((name, value)) = extra {
                finding = finding.with(name, value);
            }
            tally.fail(seen(finding, &places));
        }
    }
    broken(input, &mut tally);
    doubt_unread(input, &mut tally);
    tally.verdict()
}

fn oddities(place: &Place<'_>, now: i64, approved: &[Fingerprint]) -> Vec<Oddity> {
    if let Some(refused) = place.line.refused {
        return vec![("never", Some(("reason", refused.to_string())))];
    }
    let options = place.line.options();
    let mut odd: Vec<Oddity> = Vec::new();
    if options.cert_authority && !approved.contains(&place.line.key.fingerprint()) {
        odd.push(("authority", None));
    }
    if !options.environment.is_empty() {
        let name = |text: &Vec<u8>| {
            let name = text.split(|byte| *byte == b'=').next().unwrap_or_default();
            String::from_utf8_lossy(name).into_owned()
        };
        let names: BTreeSet<String> = options.environment.iter().map(name).collect();
        odd.push(("environment", Some(("names", names.into_iter().collect::<Vec<_>>().join(", ")))));
    }
    // A time that has passed in some time zones only is left alone.
    if options.expiry.is_some_and(|expiry| expiry.passed(now) == Some(true)) {
        odd.push(("expired", None));
    }
    if options.from.as_ref().is_some_and(|list| list.only_names()) {
        odd.push(("names-only", None));
    }
    odd
}

/// Lines without a key, one finding a file.
fn broken(input: &Input<'_>, tally: &mut Tally) {
    let mut told = BTreeSet::new();
    for file in input.host.keys.accounts.iter().flat_map(|account| &account.files).filter(|file| file.holds) {
        let defects = file.content.known().map_or(&[][..], |lines| &lines.defects);
        if defects.is_empty() || !told.insert(&file.canonical) {
            continue;
        }
        let path = path_text(&file.canonical);
        let lines = defects.iter().take(20).map(|defect| defect.line.to_string()).collect();
        let mut finding = Finding::new(Severity::Medium, format!("{} broken", file_subject(&file.canonical)), "broken")
            .with("path", &path)
            .with_number("count", i64::try_from(defects.len()).unwrap_or(i64::MAX))
            .with_list("lines", lines);
        for defect in defects.iter().take(5) {
            finding = finding.seen(&path, Some(defect.line), &defect.what);
        }
        tally.fail(finding);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Case;
    use super::*;
    use crate::parse::key_blob::samples;

    #[test]
    fn odd_lines() {
        let line = samples::ED25519.line;
        for (options, want) in [
            ("", &[][..]),
            ("restrict,command=\"/bin/true\" ", &[]),
            ("expiry-time=\"20380101Z\" ", &[]),
            ("from=\"10.0.0.0/8\" ", &[]),
            ("expiry-time=\"20010101Z\" ", &["medium expired"]),
            ("expiry-time=\"200109090146\" ", &[]),
            ("environment=\"LD_PRELOAD=/x\" ", &["medium environment"]),
            ("cert-authority ", &["medium authority"]),
            ("from=\"*.corp\" ", &["medium names-only"]),
            ("from=\"!10.0.0.1\" ", &["medium never"]),
            ("principals=\"a\" ", &["medium never"]),
            ("no-such-option ", &["medium never"]),
            ("environment=\"A=b\",expiry-time=\"20010101Z\" ", &["medium environment", "medium expired"]),
        ] {
            let case = Case::new().bob(&format!("{options}{line}"));
            assert_eq!(case.findings(&CHECK), want, "{options}");
        }
        assert_eq!(Case::new().bob("what is this\n\nand this\n").findings(&CHECK), ["medium broken"]);
        let authority = Case::new().bob(&format!("cert-authority {line}"));
        authority.approve_authority(samples::ED25519.fingerprint).clean(&CHECK);
        assert_eq!(Case::new().unreadable().doubts(&CHECK).len(), 1);
    }

    #[test]
    fn values_of_variables_stay_secret() {
        let case = Case::new().bob(&format!("environment=\"TOKEN=s3cret\" {}", samples::ED25519.line));
        let shown = format!("{:?}", case.verdict(&CHECK));
        assert!(shown.contains("TOKEN") && !shown.contains("s3cret"), "{shown}");
    }
}
