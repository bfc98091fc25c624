//! `metadata.user-data`: secrets in what every local program can read.

use super::{SERVICE, answers};
use crate::check::{
    Check, Evidence, Finding, Input, Message, Profile, Reference, Scope, Severity, Tally, Text, Verdict,
};
use crate::fact::{Fact, Why};
use crate::parse::secrets::{Kind, secrets};
use crate::parse::user_data::parts;

/// The check.
pub static CHECK: Check = Check {
    id: "metadata.user-data",
    title: Text { en: "User data holds no secret", zh: "自定义数据中不含敏感信息" },
    rationale: Text {
        en: "User data stays readable at 100.100.100.200 for the life of the instance, for every local program and, in normal \
             mode, for whoever can make one of them send a request. It is shown in the console and copied with launch templates.",
        zh: "自定义数据在实例整个生命周期内都可从 100.100.100.200 读取：本机任何程序均可读取，普通模式下能诱导程序发请求的人也可读取。\
             它还会显示在控制台，并随启动模板复制。",
    },
    severity: Severity::High,
    profiles: &[Profile::Basic, Profile::Enhanced],
    scope: Scope::Live,
    references: &[Reference {
        source: "Alibaba Cloud, security best practices",
        item: "keep sensitive information out of images, snapshots and user data",
    }],
    reads: &["metadata service"],
    fix: None,
    remedy: Text {
        en: "Take it out of the instance's user data (stop the instance, or change the launch template), change the password or \
             key, and fetch secrets at boot with the instance's RAM role (KMS) instead.",
        zh: "从实例自定义数据中移除（停机修改，或修改启动模板），更换相应口令或密钥，改为启动时通过实例 RAM 角色从 KMS 获取。",
    },
    messages: &[
        Message {
            id: "access-key",
            text: Text {
                en: "user data holds a long-lived AccessKey: {shown}",
                zh: "自定义数据中含有长期 AccessKey：{shown}",
            },
        },
        Message {
            id: "private-key", text: Text { en: "user data holds a private key", zh: "自定义数据中含有私钥" }
        },
        Message {
            id: "password",
            text: Text { en: "user data holds a password: {shown}", zh: "自定义数据中含有口令：{shown}" },
        },
        Message {
            id: "password-hash",
            text: Text {
                en: "user data holds a password hash: {shown}", zh: "自定义数据中含有口令哈希：{shown}"
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
    let bytes = match &metadata.user_data {
        Fact::Known(bytes) => bytes,
        Fact::Absent => return Verdict::Pass,
        Fact::Unknown(why) => {
            tally.doubt("user-data", why.clone());
            return tally.verdict();
        }
    };
    let (parts, defects) = parts(bytes);
    for defect in defects {
        tally.doubt("user-data", Why::Defect(defect.what));
    }
    let mut findings: Vec<Finding> = Vec::new();
    for part in parts {
        let place =
            if part.name.is_empty() { SERVICE.to_owned() } else { format!("{SERVICE} user data, {}", part.name) };
        for secret in secrets(&part.text) {
            let line = if part.first_line > 0 { part.first_line - 1 + secret.line } else { secret.line };
            // Kind and shown form, not the line: the fingerprint stays when a line is added above.
            let subject = match part.name.as_str() {
                "" => format!("user-data:{}:{}", secret.kind.word(), secret.shown),
                name => format!("user-data:{name}:{}:{}", secret.kind.word(), secret.shown),
            };
            let evidence = Evidence { file: place.clone(), line: Some(line), text: secret.shown.clone() };
            match findings.iter_mut().find(|finding| finding.subject == subject) {
                Some(finding) => finding.evidence.push(evidence),
                None => {
                    let severity = if secret.kind == Kind::PasswordHash { Severity::Medium } else { Severity::High };
                    let mut finding = Finding::new(severity, subject, secret.kind.word());
                    if secret.kind != Kind::PrivateKey {
                        finding = finding.with("shown", secret.shown);
                    }
                    finding.evidence.push(evidence);
                    findings.push(finding);
                }
            }
        }
    }
    for finding in findings {
        tally.fail(finding);
    }
    tally.verdict()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Scene, metadata};
    use super::*;
    use crate::observation::metadata::Metadata;

    fn scene(user_data: &[u8]) -> Scene {
        Scene::new(Metadata { user_data: Fact::Known(user_data.to_vec()), ..metadata() })
    }

    #[test]
    fn secrets_fail_masked_with_their_line() {
        let scene = scene(
            concat!("#!/bin/sh\necho root:Hunter22 | chpasswd\nexport KEY=", "LTAI", "5tQ7xKp2VmZs9RwGd3Hc\n")
                .as_bytes(),
        );
        let Verdict::Fail(findings, _) = scene.run(&CHECK) else { panic!("passes") };
        assert_eq!(
            scene.sentences(&CHECK),
            ["user data holds a password: root:****", "user data holds a long-lived AccessKey: LTAI****Hc"]
        );
        let lines: Vec<_> = findings.iter().map(|finding| finding.evidence[0].line).collect();
        assert_eq!(lines, [Some(2), Some(3)]);
        assert!(!format!("{findings:?}").contains("Hunter22"));
    }

    #[test]
    fn parts_are_searched_and_one_that_cannot_be_unpacked_is_said() {
        let mime = b"Content-Type: multipart/mixed; boundary=x\n\n--x\n\n#cloud-config\npassword: Hunter22\n--x\nContent-Transfer-Encoding: base64\n\n!\n--x--\n";
        let Verdict::Fail(findings, doubts) = scene(mime).run(&CHECK) else { panic!("passes") };
        assert_eq!((findings.len(), doubts.len()), (1, 1));
        assert_eq!(findings[0].evidence[0].line, Some(6));
        assert_eq!(findings[0].evidence[0].file, "(metadata service) user data, part 1");
    }

    #[test]
    fn no_user_data_passes_and_unread_user_data_does_not() {
        assert_eq!(Scene::new(metadata()).run(&CHECK), Verdict::Pass);
        assert_eq!(scene(b"#!/bin/sh\nyum -y update\n").run(&CHECK), Verdict::Pass);
        let unread = Metadata { user_data: Fact::Unknown(Why::TooLarge(65536)), ..metadata() };
        assert!(matches!(Scene::new(unread).run(&CHECK), Verdict::Unknown(_)));
        assert!(matches!(scene(b"\x1f\x8b\x08\x00broken").run(&CHECK), Verdict::Unknown(_)));
        assert!(matches!(Scene::elsewhere().run(&CHECK), Verdict::NotApplicable(_)));
    }
}
