//! `platform.security-center`: Security Center's agent does not run.

use crate::check::{
    Check, Finding, Input, Message, Profile, Reference, Scope, Severity, Tally, Text, Verdict, path_text,
};
use crate::fact::{Fact, Why};
use crate::observation::platform::{Program, SECURITY_CENTER};

/// The process that tells Security Center that the host is there.
const CORE: &str = "AliYunDun";
const SUBJECT: &str = "agent:security-center";

/// The check.
pub static CHECK: Check = Check {
    id: "platform.security-center",
    title: Text { en: "Security Center's agent runs", zh: "云安全中心客户端正在运行" },
    rationale: Text {
        en: "Without its agent Security Center sees nothing of this instance: no intrusion, no leaked key, no baseline. Who has broken in \
             stops it first. It is told by the process and the path of its program, for the unit's state says little of it.",
        zh: "客户端未运行时，云安全中心无法感知该实例的入侵、凭证泄露和基线问题，攻击者往往首先停掉它。此处按进程及其程序路径判断，服务单元的状态并不可靠。",
    },
    severity: Severity::Medium,
    profiles: &[Profile::Basic, Profile::Enhanced],
    scope: Scope::Live,
    references: &[
        Reference { source: "Alibaba Cloud Security Center", item: "processes of the Security Center agent" },
        Reference { source: "MLPS level 3 (等保三级)", item: "malware protection: Security Center installed" },
    ],
    reads: &["running programs", "DMI product name", "/usr/local/aegis"],
    fix: None,
    remedy: Text {
        en: "Install or restart the agent from the Security Center console (Asset Center, Host); on the instance \
             `/etc/init.d/aegis start` starts one that is installed.",
        zh: "在云安全中心控制台（资产中心 > 主机资产）安装或重启客户端；已安装时可在实例内执行 `/etc/init.d/aegis start`。",
    },
    messages: &[
        Message {
            id: "not-installed",
            text: Text {
                en: "Security Center's agent is not installed: there is no {path}",
                zh: "未安装云安全中心客户端：{path} 不存在",
            },
        },
        Message {
            id: "stopped",
            text: Text {
                en: "Security Center's agent is installed and does not run: no process of {path} is root's and outside containers",
                zh: "云安全中心客户端已安装但未运行：没有以 root 身份在容器外运行的 {path} 进程",
            },
        },
        Message {
            id: "removed",
            text: Text {
                en: "Security Center's agent runs, but its program {path} was removed: it does not come back after a restart",
                zh: "云安全中心客户端仍在运行，但其程序 {path} 已被删除：重启后将无法恢复",
            },
        },
    ],
    check,
};

fn check(input: &Input<'_>) -> Verdict {
    let platform = &input.seen.platform;
    let mut tally = Tally::new();
    match &platform.ecs {
        Fact::Known(true) => {}
        Fact::Known(false) | Fact::Absent => return Verdict::NotApplicable(super::NOT_ECS),
        Fact::Unknown(why) => tally.doubt("platform", why.clone()),
    }
    let programs = match &platform.programs {
        Fact::Known(programs) => programs,
        Fact::Absent => return tally.verdict(),
        Fact::Unknown(why) => {
            tally.doubt(SUBJECT, why.clone());
            return tally.verdict();
        }
    };
    let core: Vec<&Program> = programs.running.iter().filter(|program| is_core(program)).collect();
    if core.iter().any(|program| !program.process.deleted) {
        // Whatever else could not be told: it runs.
        return Verdict::Pass;
    }
    // Where nobody knows whether this is ECS, nobody knows whether it should run.
    if platform.ecs != Fact::Known(true) {
        return tally.verdict();
    }
    let path = |program: &Program| program.process.executable.known().map(path_text).unwrap_or_default();
    match (core.first(), &input.host.platform.security_center) {
        (Some(program), _) => {
            tally.fail(Finding::new(Severity::Low, SUBJECT, "removed").with("path", path(program)));
        }
        (None, _) if programs.denied => tally.doubt(SUBJECT, Why::Denied),
        (None, Fact::Known(())) => tally.fail(missing("stopped")),
        (None, Fact::Absent) => tally.fail(missing("not-installed")),
        (None, Fact::Unknown(why)) => {
            // Not running it is, installed or not.
            tally.doubt(format!("file:{SECURITY_CENTER}"), why.clone());
            tally.fail(missing("stopped"));
        }
    }
    tally.verdict()
}

fn is_core(program: &Program) -> bool {
    let inside = program.process.executable.known().is_some_and(|path| path.starts_with(SECURITY_CENTER));
    inside && program.is_hosts() && program.name() == Some(CORE)
}

fn missing(message: &'static str) -> Finding {
    let finding = Finding::new(Severity::Medium, SUBJECT, message).with("path", SECURITY_CENTER);
    finding.reproduce("ls -l /proc/[0-9]*/exe 2>/dev/null | grep /usr/local/aegis/")
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Scene, program};
    use super::*;

    const CLIENT: &str = "/usr/local/aegis/aegis_client/aegis_12_81/AliYunDun";

    fn host() -> Scene {
        Scene::new().on_ecs().dir("/usr/local/aegis/aegis_client")
    }

    #[test]
    fn an_agent_of_roots_outside_containers_runs() {
        assert_eq!(host().running(vec![program(CLIENT)]).run(&CHECK), Verdict::Pass);
        let old = "/usr/local/aegis/aegis_client/AliYunDun";
        assert_eq!(host().running(vec![program(old)]).run(&CHECK), Verdict::Pass);
    }

    #[test]
    fn what_only_looks_like_it_does_not_count() {
        let mut users = program(CLIENT);
        users.process.uid = 1000;
        let mut contained = program(CLIENT);
        contained.container = Some("docker:0123456789ab".into());
        let named = program("/tmp/AliYunDun");
        let near = program("/usr/local/aegis2/AliYunDun");
        let other = program("/usr/local/aegis/aegis_update/AliYunDunUpdate");
        for impostor in [users, contained, named, near, other] {
            let found = host().running(vec![impostor.clone()]).findings(&CHECK);
            assert_eq!(found, ["medium agent:security-center stopped"], "{impostor:?}");
        }
        let bare = Scene::new().on_ecs().running(vec![]);
        assert_eq!(bare.findings(&CHECK), ["medium agent:security-center not-installed"]);
    }

    #[test]
    fn an_agent_whose_program_is_gone_is_told() {
        let mut gone = program(CLIENT);
        gone.process.deleted = true;
        assert_eq!(host().running(vec![gone.clone()]).findings(&CHECK), ["low agent:security-center removed"]);
        // While it updates itself the old one is still there.
        assert_eq!(host().running(vec![gone, program(CLIENT)]).run(&CHECK), Verdict::Pass);
    }

    #[test]
    fn elsewhere_there_is_no_question_and_what_could_not_be_seen_is_unknown() {
        let elsewhere = Scene::new().running(vec![]);
        assert!(matches!(elsewhere.run(&CHECK), Verdict::NotApplicable(_)));
        let mut denied = host().running(vec![]);
        if let Fact::Known(programs) = &mut denied.seen.platform.programs {
            programs.denied = true;
        }
        assert_eq!(denied.doubts(&CHECK), [SUBJECT]);
        let mut blind = host();
        blind.seen.platform.programs = Fact::Unknown(Why::TimedOut);
        assert_eq!(blind.doubts(&CHECK), [SUBJECT]);
        let mut unsure = host().running(vec![]);
        unsure.seen.platform.ecs = Fact::Unknown(Why::Denied);
        assert_eq!(unsure.doubts(&CHECK), ["platform"]);
    }
}
