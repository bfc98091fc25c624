//! `keys.unapproved`: a key that nobody answers for.

use super::{by_key, doubt_unread, key_subject, places, removing, seen, users};
use crate::check::{Check, Finding, Input, Message, Profile, Reference, Scope, Severity, Tally, Text, Verdict};
use crate::fact::{Fact, Why};
use crate::observation::Mode;
use crate::parse::authorized_keys;
use crate::parse::key_blob::Fingerprint;

/// The check.
pub static CHECK: Check = Check {
    id: "keys.unapproved",
    title: Text { en: "Every key is approved", zh: "所有密钥均经批准" },
    rationale: Text {
        en: "A line added to authorized_keys is the quietest way to stay in after a break-in. Against a list of approved keys it \
             shows at once; without one, keys that were not bound through ECS are worth a look.",
        zh: "在 authorized_keys 中添加一行是入侵后最隐蔽的后门。有批准清单即可立即发现；没有清单时，未通过 ECS 绑定的密钥值得核对。",
    },
    severity: Severity::High,
    profiles: &[Profile::Enhanced],
    scope: Scope::Live,
    references: &[Reference {
        source: "Alibaba Cloud ECS security best practices",
        item: "log in with key pairs bound to the instance",
    }],
    reads: &["authorized_keys of every account", "public-keys of the metadata service"],
    fix: Some(Text {
        en: "removes the line, where the policy has a list of approved keys",
        zh: "策略中有批准清单时，删除该行",
    }),
    remedy: Text {
        en: "Find out whose key it is. Add it to `approved_keys` in the policy, or remove the line.",
        zh: "查明密钥属于谁：将其加入策略的 `approved_keys`，或删除该行。",
    },
    messages: &[
        Message {
            id: "not-on-list",
            text: Text {
                en: "{key} is not on the list of approved keys; it opens: {users}",
                zh: "密钥 {key} 不在批准清单中；可登录账号：{users}",
            },
        },
        Message {
            id: "unbound",
            text: Text {
                en: "{key} was not bound through ECS, and the policy has no list of approved keys; it opens: {users}",
                zh: "密钥 {key} 未通过 ECS 绑定，且策略中没有批准清单；可登录账号：{users}",
            },
        },
    ],
    check,
};

fn check(input: &Input<'_>) -> Verdict {
    if let Some(list) = &input.policy.approved_keys {
        let approved: Vec<Fingerprint> = list.iter().filter_map(|text| text.parse().ok()).collect();
        return compare(input, &approved, Severity::High, "not-on-list");
    }
    if input.seen.mode == Mode::Offline {
        return Verdict::NotApplicable(Text {
            en: "the policy has no list of approved keys, and an offline root has no metadata service",
            zh: "策略中没有批准清单，离线根目录也没有元数据服务",
        });
    }
    let bound = match &input.seen.metadata {
        Fact::Known(metadata) => metadata.public_keys.as_ref(),
        Fact::Absent => Fact::Absent,
        Fact::Unknown(why) => Fact::Unknown(why.clone()),
    };
    match bound {
        Fact::Known(keys) if !keys.is_empty() => {
            let parsed = keys.iter().flat_map(|(_, line)| authorized_keys::parse(line.as_bytes()).0);
            let bound: Vec<Fingerprint> = parsed.map(|line| line.key.fingerprint()).collect();
            // Many hosts have keys that were added by hand and are right; the baseline takes those, and a key that comes
            // later stands out with --new-only.
            compare(input, &bound, Severity::Low, "unbound")
        }
        // Not an ECS instance, or a run that does not ask, is no failure to look.
        Fact::Known(_) | Fact::Absent | Fact::Unknown(Why::NotAsked(_)) => Verdict::NotApplicable(Text {
            en: "the policy has no list of approved keys, and no key is bound through ECS",
            zh: "策略中没有批准清单，也没有通过 ECS 绑定的密钥",
        }),
        Fact::Unknown(why) => {
            let mut tally = Tally::new();
            tally.doubt("metadata:public-keys", why);
            tally.verdict()
        }
    }
}

fn compare(input: &Input<'_>, good: &[Fingerprint], severity: Severity, message: &'static str) -> Verdict {
    let mut tally = Tally::new();
    for (fingerprint, places) in by_key(places(input).filter(|place| place.line.is_plain())) {
        let (Some(first), false) = (places.first(), good.contains(&fingerprint)) else { continue };
        let finding = Finding::new(severity, key_subject(&first.line.key), message)
            .with("key", fingerprint.to_string())
            .with_list("users", users(&places));
        let finding = seen(finding, &places);
        // Only an explicit list is reason enough to cut somebody off.
        tally.fail(if message == "not-on-list" { removing(finding, &places) } else { finding });
    }
    doubt_unread(input, &mut tally);
    tally.verdict()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Case, VAGRANT};
    use super::*;
    use crate::parse::key_blob::samples;

    #[test]
    fn against_the_list_of_the_policy() {
        let case = Case::new().bob(samples::ED25519.line).approve(&[samples::ED25519.fingerprint]);
        case.clean(&CHECK);
        let stranger = case.root(VAGRANT);
        assert_eq!(stranger.findings(&CHECK), ["high not-on-list"]);
        let Verdict::Fail(findings, _) = stranger.verdict(&CHECK) else { panic!() };
        assert_eq!(findings[0].fix.len(), 1);
        stranger.mends(&CHECK);
        let nobody = Case::new().bob(VAGRANT).approve(&[]);
        assert_eq!(nobody.findings(&CHECK), ["high not-on-list"]);
        assert_eq!(Case::new().unreadable().approve(&[]).doubts(&CHECK).len(), 1);
    }

    #[test]
    fn against_the_keys_bound_through_ecs() {
        let case = Case::new().live().bob(samples::ED25519.line).bound(samples::ED25519.line);
        case.clean(&CHECK);
        let stranger = case.root(VAGRANT);
        assert_eq!(stranger.findings(&CHECK), ["low unbound"]);
        let Verdict::Fail(findings, _) = stranger.verdict(&CHECK) else { panic!() };
        assert!(findings[0].fix.is_empty());
    }

    #[test]
    fn without_either_there_is_no_question() {
        for case in [Case::new().bob(VAGRANT), Case::new().live().bob(VAGRANT)] {
            assert!(matches!(case.verdict(&CHECK), Verdict::NotApplicable(_)));
        }
        assert_eq!(Case::new().live().mute(Why::TimedOut).doubts(&CHECK), ["metadata:public-keys"]);
    }
}
