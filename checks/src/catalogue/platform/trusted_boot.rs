//! `platform.trusted-boot`: an instance with a virtual TPM whose start was not measured.

use crate::check::{Check, Finding, Input, Message, Profile, Reference, Scope, Severity, Tally, Text, Verdict};
use crate::fact::Fact;

const SUBJECT: &str = "tpm:tpm0";

/// The check.
pub static CHECK: Check = Check {
    id: "platform.trusted-boot",
    title: Text { en: "A virtual TPM measures the start", zh: "虚拟 TPM 对启动过程进行度量" },
    rationale: Text {
        en: "Trusted instance types have a virtual TPM, into which firmware and boot loader write what they start; Security Center can then \
             tell whether that was changed. Where the kernel has no log of these measurements nothing can be told.",
        zh: "可信实例规格带有虚拟 TPM，固件和引导程序会将启动的内容度量到其中，云安全中心据此判断是否被篡改。若内核没有度量日志，则无从判断。",
    },
    severity: Severity::Info,
    profiles: &[Profile::Enhanced],
    scope: Scope::Live,
    references: &[Reference {
        source: "Alibaba Cloud ECS best practices",
        item: "use a security-enhanced instance with trusted boot",
    }],
    reads: &["TPM device and its measurement log", "DMI product name"],
    fix: None,
    remedy: Text {
        en: "Start the instance from an image that boots with UEFI and measures (Alibaba Cloud Linux 3, trusted edition), with \
             `SecurityOptions.TrustedSystemMode=vTPM`.",
        zh: "使用支持 UEFI 启动并进行度量的镜像（如 Alibaba Cloud Linux 3 可信版），并以 `SecurityOptions.TrustedSystemMode=vTPM` 创建实例。",
    },
    messages: &[Message {
        id: "not-measured",
        text: Text {
            en: "there is a virtual TPM, and no measurement of the start: the kernel has no log of it",
            zh: "存在虚拟 TPM，但没有启动度量：内核中没有度量日志",
        },
    }],
    check,
};

fn check(input: &Input<'_>) -> Verdict {
    let platform = &input.seen.platform;
    let mut tally = Tally::new();
    match (&platform.ecs, &platform.measured_boot) {
        (Fact::Known(false) | Fact::Absent, _) => return Verdict::NotApplicable(super::NOT_ECS),
        (_, Fact::Absent) => {
            return Verdict::NotApplicable(Text {
                en: "this instance has no virtual TPM", zh: "该实例没有虚拟 TPM"
            });
        }
        (_, Fact::Known(true)) => {}
        (Fact::Known(true), Fact::Known(false)) => {
            tally.fail(Finding::new(Severity::Info, SUBJECT, "not-measured"));
        }
        (Fact::Unknown(why), Fact::Known(false)) | (_, Fact::Unknown(why)) => tally.doubt(SUBJECT, why.clone()),
    }
    tally.verdict()
}

#[cfg(test)]
mod tests {
    use super::super::testing::Scene;
    use super::*;
    use crate::fact::Why;

    #[test]
    fn a_tpm_that_measured_passes_and_one_that_did_not_is_told() {
        let with = |measured| {
            let mut scene = Scene::new().on_ecs();
            scene.seen.platform.measured_boot = measured;
            scene
        };
        assert_eq!(with(Fact::Known(true)).run(&CHECK), Verdict::Pass);
        assert_eq!(with(Fact::Known(false)).findings(&CHECK), ["info tpm:tpm0 not-measured"]);
        assert!(matches!(with(Fact::Absent).run(&CHECK), Verdict::NotApplicable(_)));
        assert_eq!(with(Fact::Unknown(Why::Denied)).doubts(&CHECK), [SUBJECT]);
        let mut elsewhere = with(Fact::Known(false));
        elsewhere.seen.platform.ecs = Fact::Known(false);
        assert!(matches!(elsewhere.run(&CHECK), Verdict::NotApplicable(_)));
    }
}
