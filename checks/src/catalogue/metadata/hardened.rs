//! `metadata.hardened`: the metadata service answers whoever can send a plain GET through this instance.

use super::{SERVICE, SUBJECT, answers};
use crate::check::{Check, Finding, Input, Message, Profile, Reference, Scope, Severity, Tally, Text, Verdict};
use crate::edit::Edit;
use crate::fact::Fact;
use crate::observation::metadata::Metadata;

/// The check.
pub static CHECK: Check = Check {
    id: "metadata.hardened",
    title: Text { en: "The metadata service asks for a token", zh: "元数据服务仅接受加固模式访问" },
    rationale: Text {
        en: "In normal mode any program that can be talked into sending a GET (server-side request forgery, an open proxy) \
             reads the instance's metadata, the credentials of its RAM role among them. Hardened mode wants a token that only a \
             PUT from the instance itself yields.",
        zh: "普通模式下，任何能被诱导发出 GET 请求的程序（SSRF、开放代理）都能读取实例元数据，包括实例 RAM 角色的临时凭证。\
             加固模式要求先用 PUT 请求在实例内部获取令牌。",
    },
    severity: Severity::High,
    profiles: &[Profile::Enhanced],
    scope: Scope::Live,
    references: &[
        Reference {
            source: "Alibaba Cloud, security practices for workloads in the cloud",
            item: "metadata service in hardened mode",
        },
        Reference { source: "Cloud Config", item: "ecs-instance-meta-data-mode-check" },
    ],
    reads: &["metadata service"],
    fix: Some(Text {
        en: "calls ModifyInstanceMetadataOptions with the instance's RAM role, where policy allows it",
        zh: "在策略允许时，使用实例 RAM 角色调用 ModifyInstanceMetadataOptions",
    }),
    remedy: Text {
        en: "Look at metadata.readiness first. Then, with an account that may do it: `aliyun ecs ModifyInstanceMetadataOptions \
             --HttpEndpoint enabled --HttpTokens required` with the RegionId and InstanceId that the finding names. The mode cannot \
             be changed from inside without such a credential.",
        zh: "先查看 metadata.readiness。然后使用有权限的账号执行 `aliyun ecs ModifyInstanceMetadataOptions --HttpEndpoint enabled \
             --HttpTokens required`，RegionId 与 InstanceId 见检查结果。没有相应凭证时无法在实例内部更改模式。",
    },
    messages: &[
        Message {
            id: "open-with-role",
            text: Text {
                en: "a GET without a token is answered, and the credentials of RAM role {role} are there to be read; close it with: {command}",
                zh: "不带令牌的 GET 请求可获得应答，RAM 角色 {role} 的凭证可被读取；修复命令：{command}",
            },
        },
        Message {
            id: "open",
            text: Text {
                en: "a GET without a token is answered; close it with: {command}",
                zh: "不带令牌的 GET 请求可获得应答；修复命令：{command}",
            },
        },
    ],
    check,
};

fn check(input: &Input<'_>) -> Verdict {
    let metadata = match answers(input) {
        Ok(metadata) => metadata,
        Err(verdict) => return verdict,
    };
    let mut tally = Tally::new();
    match &metadata.tokenless {
        Fact::Known(true) => tally.fail(finding(metadata, input.policy.openapi)),
        // 403 to the GET is what hardened-only answers, and a disabled endpoint.
        Fact::Known(false) => {}
        Fact::Absent => tally.doubt(SUBJECT, crate::fact::Why::NotAsked("normal mode was not tried")),
        Fact::Unknown(why) => tally.doubt(SUBJECT, why.clone()),
    }
    if let (Fact::Known(true), Fact::Unknown(why)) = (&metadata.tokenless, &metadata.ram_role) {
        tally.doubt("metadata:ram-role", why.clone());
    }
    tally.verdict()
}

fn finding(metadata: &Metadata, openapi: bool) -> Finding {
    let finding = match &metadata.ram_role {
        Fact::Known(role) => Finding::new(Severity::High, SUBJECT, "open-with-role").with("role", role),
        Fact::Absent | Fact::Unknown(_) => Finding::new(Severity::Medium, SUBJECT, "open"),
    };
    let finding = finding
        .with("command", command(metadata))
        .seen(SERVICE, None, "GET /latest/meta-data/ without a token: 200")
        .reproduce("curl -s -o /dev/null -w '%{http_code}\\n' --noproxy '*' http://100.100.100.200/latest/meta-data/");
    match (&metadata.instance_id, &metadata.region_id, &metadata.ram_role) {
        (Fact::Known(instance), Fact::Known(region), Fact::Known(_)) if openapi => {
            finding.fixed_by(Edit::RequireMetadataTokens { instance: instance.clone(), region: region.clone() })
        }
        _ => finding,
    }
}

/// The command that closes it, ready to be pasted: identifiers were validated when they were read.
fn command(metadata: &Metadata) -> String {
    let region = metadata.region_id.known().map_or("REGION", String::as_str);
    command_for(region, metadata.instance_id.known().map_or("INSTANCE", String::as_str))
}

/// The same for an instance.
pub(crate) fn command_for(region: &str, instance: &str) -> String {
    format!(
        "aliyun ecs ModifyInstanceMetadataOptions --RegionId {region} --InstanceId {instance} --HttpEndpoint enabled --HttpTokens required"
    )
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Scene, metadata};
    use super::*;
    use crate::fact::Why;

    #[test]
    fn open_fails_and_names_the_command() {
        let scene = Scene::new(metadata());
        let Verdict::Fail(findings, doubts) = scene.run(&CHECK) else { panic!("passes") };
        assert_eq!((findings[0].severity, doubts.len(), findings[0].fix.len()), (Severity::High, 0, 0));
        assert_eq!(
            scene.sentences(&CHECK),
            [
                "a GET without a token is answered, and the credentials of RAM role EcsRole are there to be read; close it with: \
              aliyun ecs ModifyInstanceMetadataOptions --RegionId cn-hangzhou --InstanceId i-bp1test --HttpEndpoint enabled --HttpTokens required"
            ]
        );
    }

    #[test]
    fn without_a_role_it_is_medium_and_an_unknown_role_is_said() {
        for (role, doubts) in [(Fact::Absent, 0), (Fact::Unknown(Why::TimedOut), 1)] {
            let scene = Scene::new(Metadata { ram_role: role, ..metadata() });
            let Verdict::Fail(findings, doubted) = scene.run(&CHECK) else { panic!("passes") };
            assert_eq!((findings[0].severity, doubted.len()), (Severity::Medium, doubts));
        }
    }

    #[test]
    fn the_fix_is_proposed_where_policy_lets_it_call_the_api() {
        let mut scene = Scene::new(metadata());
        scene.policy.openapi = true;
        let Verdict::Fail(findings, _) = scene.run(&CHECK) else { panic!("passes") };
        let edit = Edit::RequireMetadataTokens { instance: "i-bp1test".into(), region: "cn-hangzhou".into() };
        assert_eq!(findings[0].fix, [edit]);
    }

    #[test]
    fn hardened_passes_and_nothing_else_does() {
        let closed = Metadata { tokenless: Fact::Known(false), tokenless_status: Some(403), ..metadata() };
        assert_eq!(Scene::new(closed).run(&CHECK), Verdict::Pass);
        let unclear = Metadata { tokenless: Fact::Unknown(Why::Failed("status 500".into())), ..metadata() };
        assert!(matches!(Scene::new(unclear).run(&CHECK), Verdict::Unknown(_)));
        assert!(matches!(Scene::silent().run(&CHECK), Verdict::Unknown(_)));
        assert!(matches!(Scene::elsewhere().run(&CHECK), Verdict::NotApplicable(_)));
    }
}
