//! `metadata.local-access`: any local user can fetch the RAM role's credentials.

use super::{SUBJECT, answers};
use crate::check::{Check, Finding, Input, Message, Profile, Reference, Scope, Severity, Tally, Text, Verdict};
use crate::edit::Edit;
use crate::fact::{Fact, Why};
use crate::observation::firewall::MetadataUsers;

/// The check.
pub static CHECK: Check = Check {
    id: "metadata.local-access",
    title: Text {
        en: "Only named users reach the RAM role's credentials", zh: "仅指定用户可获取 RAM 角色凭证"
    },
    rationale: Text {
        en: "The credentials of the instance's RAM role are given to whoever asks 100.100.100.200 from here: a web server's \
             account, a container, a user with a shell. An owner rule in the output hook limits that to root and to those who need it.",
        zh: "实例 RAM 角色的凭证会提供给本机任何访问 100.100.100.200 的进程：Web 服务账号、容器、普通登录用户。\
             在输出链上按用户限制，可只允许 root 和确有需要的用户访问。",
    },
    severity: Severity::Medium,
    profiles: &[Profile::Enhanced],
    scope: Scope::Live,
    references: &[Reference { source: "hostward", item: "hardening" }],
    reads: &["metadata service", "host firewall"],
    fix: Some(Text {
        en: "limits 100.100.100.200 by user in an nftables table of its own, after having counted who asks",
        zh: "先统计访问者，再在独立的 nftables 表中按用户限制对 100.100.100.200 的访问",
    }),
    remedy: Text {
        en: "Count first who asks: `nft add table ip imds; nft add chain ip imds out '{ type filter hook output priority 0; }'; \
             nft add rule ip imds out ip daddr 100.100.100.200 meta skuid != 0 counter`. Then let the users that need it through and reject \
             the others.",
        zh: "先统计访问者：`nft add table ip imds; nft add chain ip imds out '{ type filter hook output priority 0; }'; \
             nft add rule ip imds out ip daddr 100.100.100.200 meta skuid != 0 counter`。然后放行确有需要的用户，拒绝其他用户。",
    },
    messages: &[
        Message {
            id: "everybody",
            text: Text {
                en: "every local user can fetch the credentials of RAM role {role}",
                zh: "任何本地用户都能获取 RAM 角色 {role} 的凭证",
            },
        },
        Message {
            id: "others",
            text: Text {
                en: "users {users} can fetch the credentials of RAM role {role}, and policy does not name them",
                zh: "策略未列出的用户 {users} 可以获取 RAM 角色 {role} 的凭证",
            },
        },
    ],
    check,
};

const NO_ROLE: Text = Text {
    en: "no RAM role is attached: there are no credentials to fetch",
    zh: "未绑定 RAM 角色，没有可获取的凭证",
};

fn check(input: &Input<'_>) -> Verdict {
    let metadata = match answers(input) {
        Ok(metadata) => metadata,
        Err(verdict) => return verdict,
    };
    let mut tally = Tally::new();
    let role = match &metadata.ram_role {
        Fact::Known(role) => role,
        Fact::Absent => return Verdict::NotApplicable(NO_ROLE),
        Fact::Unknown(why) => {
            tally.doubt("metadata:ram-role", why.clone());
            return tally.verdict();
        }
    };
    let (named, strange) = named(input);
    for user in strange {
        tally.doubt(format!("account:{user}"), Why::Defect("policy names a user that is not on this host".to_owned()));
    }
    let edit = Edit::LimitMetadata { uids: named.clone() };
    match &input.seen.firewall {
        Fact::Unknown(why) => tally.doubt(SUBJECT, why.clone()),
        Fact::Known(firewall) if firewall.metadata == MetadataUsers::Unknown => {
            tally.doubt(
                SUBJECT,
                Why::Defect("the host firewall's rules on output say more than is understood".to_owned()),
            );
        }
        Fact::Known(firewall) => match &firewall.metadata {
            MetadataUsers::Only(uids) => {
                let others: Vec<String> =
                    uids.iter().filter(|uid| !named.contains(uid)).map(|uid| user_name(input, *uid)).collect();
                if !others.is_empty() {
                    let finding = Finding::new(Severity::Medium, SUBJECT, "others");
                    tally.fail(finding.with_list("users", others).with("role", role).fixed_by(edit));
                }
            }
            MetadataUsers::Everybody | MetadataUsers::Unknown => tally.fail(everybody(role, edit)),
        },
        Fact::Absent => tally.fail(everybody(role, edit)),
    }
    tally.verdict()
}

fn everybody(role: &str, edit: Edit) -> Finding {
    let command = "curl -s --noproxy '*' -X PUT -H 'X-aliyun-ecs-metadata-token-ttl-seconds: 60' http://100.100.100.200/latest/api/token";
    Finding::new(Severity::Medium, SUBJECT, "everybody")
        .with("role", role)
        .reproduce(format!("sudo -u nobody {command}"))
        .fixed_by(edit)
}

/// Root and the users that policy names, by id; and the names that no account has.
fn named(input: &Input<'_>) -> (Vec<u32>, Vec<String>) {
    let (mut uids, mut strange) = (vec![0], Vec::new());
    for name in &input.policy.metadata_users {
        let known = input.host.accounts.by_name(name).map(|user| user.entry.uid);
        match known.or_else(|| name.parse().ok()) {
            Some(uid) => uids.push(uid),
            None => strange.push(name.clone()),
        }
    }
    uids.sort_unstable();
    uids.dedup();
    (uids, strange)
}

fn user_name(input: &Input<'_>, uid: u32) -> String {
    input.host.accounts.by_uid(uid).map_or_else(|| uid.to_string(), |user| user.name().text().into_owned())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Scene, metadata};
    use super::*;
    use crate::catalogue::shown::Drawn;
    use crate::guard::Circumstances;
    use crate::observation::firewall::Firewall;
    use crate::observation::metadata::Metadata;
    use crate::plan::testing::planned_in;
    use crate::snapshot::Sketch;

    fn scene(users: MetadataUsers) -> Scene {
        let mut scene = Scene::new(metadata());
        scene.sketch =
            Sketch::new().file("/etc/passwd", "root:x:0:0::/root:/bin/sh\nwww:x:33:33::/:/usr/sbin/nologin\n");
        scene.seen.firewall = Fact::Known(Firewall { metadata: users, ..Firewall::default() });
        scene
    }

    #[test]
    fn everybody_fails_and_so_do_users_that_policy_does_not_name() {
        assert_eq!(
            scene(MetadataUsers::Everybody).sentences(&CHECK),
            ["every local user can fetch the credentials of RAM role EcsRole"]
        );
        let mut limited = scene(MetadataUsers::Only(vec![0, 33]));
        assert_eq!(
            limited.sentences(&CHECK),
            ["users www can fetch the credentials of RAM role EcsRole, and policy does not name them"]
        );
        limited.policy.metadata_users = vec!["www".to_owned()];
        assert_eq!(limited.run(&CHECK), Verdict::Pass);
        let Verdict::Fail(findings, _) = scene(MetadataUsers::Everybody).run(&CHECK) else { panic!("passes") };
        assert_eq!(findings[0].fix, [Edit::LimitMetadata { uids: vec![0] }]);
    }

    #[test]
    fn before_anybody_has_looked_who_asks_nobody_is_shut_out() {
        let scene = scene(MetadataUsers::Everybody);
        let Verdict::Fail(findings, _) = scene.run(&CHECK) else { panic!("passes") };
        let snapshot = scene.snapshot();
        let blind = scene.look(&snapshot, &scene.seen, |input| {
            planned_in(&Circumstances::default(), &snapshot, input, &CHECK, &findings)
        });
        assert_eq!((blind.is_empty(), blind.unfixable.len()), (true, 1));
    }

    #[test]
    fn users_that_policy_names_are_let_through_by_its_fix() {
        let mut scene = scene(MetadataUsers::Everybody);
        scene.policy.metadata_users = vec!["www".to_owned()];
        let Verdict::Fail(findings, _) = scene.run(&CHECK) else { panic!("passes") };
        assert_eq!(scene.mended(&CHECK, &findings).2, Verdict::Pass);
    }

    #[test]
    fn what_is_not_understood_is_unknown_and_no_role_is_no_question() {
        assert!(matches!(scene(MetadataUsers::Unknown).run(&CHECK), Verdict::Unknown(_)));
        let mut strange = scene(MetadataUsers::Only(vec![0]));
        strange.policy.metadata_users = vec!["ghost".to_owned()];
        assert!(matches!(strange.run(&CHECK), Verdict::Unknown(_)));
        assert_eq!(scene(MetadataUsers::Only(vec![0])).run(&CHECK), Verdict::Pass);
        let without = Scene::new(Metadata { ram_role: Fact::Absent, ..metadata() });
        assert!(matches!(without.run(&CHECK), Verdict::NotApplicable(_)));
        assert!(matches!(Scene::silent().run(&CHECK), Verdict::Unknown(_)));
    }
}
