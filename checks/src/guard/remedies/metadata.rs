//! The ECS endpoint is called only where the policy says so and nothing here would break.

use crate::catalogue::metadata::{hardened, readiness};
use crate::check::{Input, Message, Text, Verdict};
use crate::edit::Edit;
use crate::fact::Fact;
use crate::guard::{Circumstances, Guard, Rule};
use crate::plan::Said;

/// `ModifyInstanceMetadataOptions` wants the policy's word and a host that is ready.
pub(crate) static OPENAPI: Guard = Guard {
    id: "metadata.openapi",
    title: Text {
        en: "The ECS OpenAPI is called only by policy, and tokens are required only where every program knows them",
        zh: "仅在策略允许时调用 ECS OpenAPI，且仅在所有程序都支持令牌时才强制使用令牌",
    },
    rule: Rule::Edit(permits),
};

static NOT_ALLOWED: Message = Message {
    id: "openapi-not-allowed",
    text: Text {
        en: "the policy does not let fix call the ECS OpenAPI (`[metadata] openapi = true`); from an account that may: {command}",
        zh: "策略不允许 fix 调用 ECS OpenAPI（`[metadata] openapi = true`）；请使用有权限的账号执行：{command}",
    },
};
static NOT_READY: Message = Message {
    id: "not-ready",
    text: Text {
        en: "something here would break in hardened-only mode or could not be looked at ({subjects}): see metadata.readiness, then: {command}",
        zh: "本机有程序在仅加固模式下会失效，或无法确认（{subjects}）：请先查看 metadata.readiness，然后执行：{command}",
    },
};
static ELSEWHERE: Message = Message {
    id: "another-instance",
    text: Text { en: "{instance} in {region} is not this instance", zh: "{region} 的 {instance} 不是本实例" },
};

fn permits(edit: &Edit, input: &Input<'_>, _: &Circumstances) -> Result<(), Said> {
    let Edit::RequireMetadataTokens { instance, region } = edit else { return Ok(()) };
    let command = hardened::command_for(region, instance);
    if !input.policy.openapi {
        return Err(Said::new(&NOT_ALLOWED).with("command", command));
    }
    let metadata = input.seen.metadata.known();
    let own = metadata
        .is_some_and(|m| m.instance_id == Fact::Known(instance.clone()) && m.region_id == Fact::Known(region.clone()));
    if !own {
        return Err(Said::new(&ELSEWHERE).with("instance", instance).with("region", region));
    }
    let subjects: Vec<String> = match (readiness::CHECK.check)(input) {
        Verdict::Pass => return Ok(()),
        Verdict::Fail(findings, doubts) => {
            findings.into_iter().map(|f| f.subject).chain(doubts.into_iter().map(|d| d.subject)).collect()
        }
        Verdict::Unknown(doubts) => doubts.into_iter().map(|doubt| doubt.subject).collect(),
        Verdict::NotApplicable(_) => Vec::new(),
    };
    Err(Said::new(&NOT_READY).with_list("subjects", subjects).with("command", command))
}

#[cfg(test)]
mod tests {
    use super::super::testing::Case;
    use super::*;
    use crate::check::Param;
    use crate::observation::metadata::Metadata;

    fn case() -> Case {
        let mut case = Case::new();
        case.policy.openapi = true;
        case.seen.metadata = Fact::Known(Metadata {
            tokenless: Fact::Known(true),
            tokenless_status: Some(200),
            token_status: Some(200),
            instance_id: Fact::Known("i-bp1test".into()),
            region_id: Fact::Known("cn-hangzhou".into()),
            image_id: Fact::Absent,
            ram_role: Fact::Known("EcsRole".into()),
            public_addresses: Fact::Known(vec![]),
            private_address: Fact::Absent,
            public_keys: Fact::Known(vec![]),
            user_data: Fact::Absent,
        });
        case
    }

    #[test]
    fn the_endpoint_is_called_by_policy_for_this_instance_when_it_is_ready() {
        let edit = |instance: &str, region: &str| Edit::RequireMetadataTokens {
            instance: instance.into(),
            region: region.into(),
        };
        let own = edit("i-bp1test", "cn-hangzhou");
        assert_eq!(case().refused(&OPENAPI, &own), None);
        let mut forbidden = case();
        forbidden.policy.openapi = false;
        let said = forbidden.refusal(&OPENAPI, &own).unwrap();
        let command = "aliyun ecs ModifyInstanceMetadataOptions --RegionId cn-hangzhou --InstanceId i-bp1test --HttpEndpoint enabled --HttpTokens required";
        assert_eq!((said.message.id, &said.params[0].1), ("openapi-not-allowed", &Param::Text(command.into())));
        for other in [edit("i-other", "cn-hangzhou"), edit("i-bp1test", "cn-beijing")] {
            assert_eq!(case().refused(&OPENAPI, &other), Some("another-instance"));
        }
        let mut silent = case();
        silent.seen.metadata = Fact::Absent;
        assert_eq!(silent.refused(&OPENAPI, &own), Some("another-instance"));
        let old = case().file("/usr/bin/afterburn", "");
        let said = old.refusal(&OPENAPI, &own).unwrap();
        assert_eq!((said.message.id, &said.params[1].1), ("not-ready", &Param::Text(command.into())));
        let unclear = case().file("/usr/lib/python3/dist-packages/cloudinit/version.py", "?");
        assert_eq!(unclear.refused(&OPENAPI, &own), Some("not-ready"));
    }
}
