//! `credentials.access-key`: an AccessKey of the cloud account lies on the instance.

use std::collections::BTreeMap;

use crate::check::{
    Check, Finding, Input, Message, Profile, Reference, Scope, Severity, Tally, Text, Verdict, path_text,
};
use crate::fact::{Fact, Why};
use crate::observation::access_key::{AccessKeys, InEnvironment};
use crate::parse::access_key::{Holds, masked};

/// The check.
pub static CHECK: Check = Check {
    id: "credentials.access-key",
    title: Text { en: "No AccessKey lies on the instance", zh: "实例上没有遗留 AccessKey" },
    rationale: Text {
        en: "An AccessKey opens the cloud account's API from anywhere, for as long as nobody disables it. Whoever reads one file of this \
             host, a backup, an image or a log has it, and it outlives the instance.",
        zh: "AccessKey 在被禁用之前，可从任何地方调用云账号的 API。只要读到本机的一个文件、备份、镜像或日志就能拿到它，\
             而且实例释放后它依然有效。",
    },
    severity: Severity::High,
    profiles: &[Profile::Basic, Profile::Enhanced, Profile::Image],
    scope: Scope::Both,
    references: &[
        Reference {
            source: "Alibaba Cloud ECS security best practices",
            item: "use instance RAM roles instead of AccessKeys on instances",
        },
        Reference {
            source: "Alibaba Cloud ECS security best practices",
            item: "keep sensitive information out of images",
        },
    ],
    reads: &[
        "the files of aliyun-cli, ossutil, ossfs, the SDKs, Terraform and Packer",
        "shell start-up files and histories of every home",
        "units, their drop-ins and environment files",
        "crontabs",
        "what cloud-init and Cloud Assistant keep of their scripts",
        "the policy's credentials.paths",
        "environments of processes",
    ],
    fix: None,
    remedy: Text {
        en: "Give the instance a RAM role with the few permissions that it needs, and let programs fetch temporary credentials \
             through it: aliyun-cli `--mode EcsRamRole`, ossutil and the SDKs with an ECS RAM role provider, ossfs `-oram_role=`. Then disable \
             the AccessKey in the RAM console, delete it once nothing misses it, and take it out of this file; a process has it until it is \
             started anew. A key that was in an image, a \
             backup or a repository counts as known: disable it first.",
        zh: "为实例授予仅含所需权限的 RAM 角色，让程序通过角色获取临时凭证：aliyun-cli 使用 `--mode EcsRamRole`，ossutil 和各 SDK \
             使用 ECS RAM 角色凭证，ossfs 使用 `-oram_role=`。随后在 RAM 控制台禁用该 AccessKey，确认无业务受影响后删除，\
             并从文件中清除；正在运行的进程在重启之前仍持有它。曾进入镜像、备份或代码仓库的密钥应视为已泄露，先行禁用。",
    },
    messages: &[
        Message {
            id: "pair",
            text: Text {
                en: "{path} holds the AccessKey {shown} with its secret",
                zh: "{path} 中有 AccessKey {shown} 及其 Secret",
            },
        },
        Message {
            id: "id",
            text: Text {
                en: "{path} names the AccessKey {shown}; no secret stands near it",
                zh: "{path} 中出现 AccessKey ID {shown}，附近没有 Secret",
            },
        },
        Message {
            id: "temporary",
            text: Text {
                en: "{path} holds temporary credentials (STS) {shown}, which end by themselves",
                zh: "{path} 中有会自行失效的临时凭证（STS）{shown}",
            },
        },
        Message {
            id: "signed",
            text: Text {
                en: "{path} holds a request signed with the AccessKey {shown}, without its secret",
                zh: "{path} 中有用 AccessKey {shown} 签名的请求，不含 Secret",
            },
        },
        Message {
            id: "env-pair",
            text: Text {
                en: "the environment of {who} holds the AccessKey {shown} with its secret",
                zh: "{who} 的环境变量中有 AccessKey {shown} 及其 Secret",
            },
        },
        Message {
            id: "env-id",
            text: Text {
                en: "the environment of {who} names the AccessKey {shown}; no secret stands near it",
                zh: "{who} 的环境变量中出现 AccessKey ID {shown}，附近没有 Secret",
            },
        },
        Message {
            id: "env-temporary",
            text: Text {
                en: "the environment of {who} holds temporary credentials (STS) {shown}, which end by themselves",
                zh: "{who} 的环境变量中有会自行失效的临时凭证（STS）{shown}",
            },
        },
    ],
    check,
};

fn check(input: &Input<'_>) -> Verdict {
    let mut tally = Tally::new();
    match &input.seen.access_keys {
        Fact::Known(keys) => judge(keys, &mut tally),
        Fact::Absent => {}
        Fact::Unknown(why) => tally.doubt("files", why.clone()),
    }
    if let Some(why) = input.host.accounts.users.why() {
        tally.doubt("file:/etc/passwd", why.clone());
    }
    tally.verdict()
}

/// So many findings are told; with more of them nobody reads them one by one.
const MAX_FINDINGS: usize = 500;

fn judge(keys: &AccessKeys, tally: &mut Tally) {
    // Two keys of one file that are shown alike are told as one, by the worse.
    let mut findings: BTreeMap<(String, &str), Finding> = BTreeMap::new();
    for (index, found) in keys.found.iter().enumerate() {
        if index == MAX_FINDINGS {
            tally.doubt("files", Why::Failed(format!("more than {MAX_FINDINGS} AccessKeys")));
            break;
        }
        let (severity, message) = told(found.key.holds);
        // A name may hold a key, too.
        let path = masked(&path_text(&found.path));
        let subject = format!("file:{path}:{}", found.key.shown);
        let mut finding = Finding::new(severity, subject, message).with("path", &path).with("shown", &found.key.shown);
        for line in &found.key.lines {
            finding = finding.seen(&path, Some(*line).filter(|line| *line > 0), &found.key.shown);
        }
        let slot = findings.entry((path, &found.key.shown)).or_insert_with(|| finding.clone());
        if finding.severity > slot.severity {
            *slot = finding;
        }
    }
    for finding in findings.into_values().chain(keys.environments.iter().take(MAX_FINDINGS).map(of_environment)) {
        tally.fail(finding);
    }
    if let Some(why) = &keys.environments_unread {
        tally.doubt("environments of processes", why.clone());
    }
    for (path, why) in &keys.unread {
        tally.doubt(format!("file:{}", masked(&path_text(path))), why.clone());
    }
}

fn of_environment(found: &InEnvironment) -> Finding {
    let (severity, message) = match found.key.holds {
        Holds::Pair => (Severity::High, "env-pair"),
        Holds::Id => (Severity::Medium, "env-id"),
        Holds::Temporary => (Severity::Low, "env-temporary"),
        Holds::Signed => (Severity::Low, "env-id"),
    };
    let (who, shown) = (masked(&found.holder), &found.key.shown);
    Finding::new(severity, format!("environment:{who}:{shown}"), message).with("who", &who).with("shown", shown).seen(
        "(environment)",
        None,
        format!("{shown} of process {}", found.pid),
    )
}

fn told(holds: Holds) -> (Severity, &'static str) {
    match holds {
        Holds::Pair => (Severity::High, "pair"),
        Holds::Id => (Severity::Medium, "id"),
        Holds::Temporary => (Severity::Low, "temporary"),
        Holds::Signed => (Severity::Low, "signed"),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::shown::{Searched, found};
    use super::*;
    use crate::catalogue::shown::Drawn;
    use crate::check::render;
    use crate::parse::access_key::access_keys;

    const ID: &str = concat!("LTAI", "5tQ7xKp2VmZs9RwGd3Hc");
    const SECRET: &str = concat!("Jz4mXq8Wv2TkRb6", "NpYd9LsGh3CfQx1");

    fn verdict(keys: Fact<AccessKeys>) -> Verdict {
        Searched(keys).judged(&CHECK)
    }

    fn sentences(files: &[(&str, String)]) -> Vec<(Severity, String)> {
        let Verdict::Fail(findings, doubts) = verdict(Fact::Known(found(files))) else { panic!("no finding") };
        assert_eq!(doubts, []);
        let sentence = |finding: &Finding| {
            let text = CHECK.message(finding.message).unwrap().text.en;
            (finding.severity, render(text, &finding.params, str::to_owned))
        };
        findings.iter().map(sentence).collect()
    }

    #[test]
    fn a_pair_is_worse_than_an_id_and_what_ends_is_least() {
        let sts = concat!("STS.", "NUv8Kq2ZpT4xWm7RsLd3YcHb");
        let files = [
            ("/a", format!("{ID} {SECRET}")),
            ("/b", ID.to_owned()),
            ("/c", sts.to_owned()),
            ("/d", format!("https://x/?OSSAccessKeyId={ID}&Signature=x")),
        ];
        let want = [
            (Severity::High, "/a holds the AccessKey LTAI****Hc with its secret"),
            (Severity::Medium, "/b names the AccessKey LTAI****Hc; no secret stands near it"),
            (Severity::Low, "/c holds temporary credentials (STS) STS.****Hb, which end by themselves"),
            (Severity::Low, "/d holds a request signed with the AccessKey LTAI****Hc, without its secret"),
        ];
        assert_eq!(sentences(&files), want.map(|(severity, text)| (severity, text.to_owned())));
    }

    #[test]
    fn nothing_of_a_key_is_told_beyond_its_mask_not_even_in_a_name() {
        let path = format!("/root/{ID}.csv");
        let verdict = verdict(Fact::Known(found(&[(&path, format!("{ID},{SECRET}"))])));
        let told = format!("{verdict:?}");
        assert!(told.contains("file:/root/LTAI****Hc.csv:LTAI****Hc"), "{told}");
        assert!(!told.contains(&ID[..5]) && !told.contains(&ID[21..]) && !told.contains(&SECRET[..4]), "{told}");
    }

    #[test]
    fn two_keys_that_are_shown_alike_are_one_finding_the_worse() {
        let other = concat!("LTAI", "5tWm8Yp2VmZs9RwGd3Hc");
        let files = [("/a", format!("{other}\n{}\n{ID} {SECRET}", "\n".repeat(20)))];
        assert_eq!(
            sentences(&files),
            [(Severity::High, "/a holds the AccessKey LTAI****Hc with its secret".to_owned())]
        );
    }

    #[test]
    fn an_environment_is_told_by_whose_it_is_and_by_no_process_id() {
        let environments = |pid, text: &str| {
            let keys = access_keys(text.as_bytes()).0.into_iter();
            keys.map(|key| InEnvironment { holder: "app.service".to_owned(), pid, key }).collect()
        };
        let told = |pid| {
            let environments = environments(pid, &format!("{ID} {SECRET}"));
            let keys = AccessKeys { environments, environments_unread: Some(Why::Denied), ..AccessKeys::default() };
            let Verdict::Fail(findings, doubts) = verdict(Fact::Known(keys)) else { panic!("no finding") };
            assert_eq!(doubts[0].subject, "environments of processes");
            assert!(!format!("{findings:?}").contains(&ID[..5]));
            let message =
                render(CHECK.message(findings[0].message).unwrap().text.en, &findings[0].params, str::to_owned);
            (findings[0].subject.clone(), findings[0].severity, message)
        };
        let want = "the environment of app.service holds the AccessKey LTAI****Hc with its secret";
        assert_eq!(told(7), ("environment:app.service:LTAI****Hc".to_owned(), Severity::High, want.to_owned()));
        assert_eq!(told(7), told(8));
    }

    #[test]
    fn a_clean_host_passes_and_what_was_not_read_is_unknown() {
        assert_eq!(verdict(Fact::Known(AccessKeys::default())), Verdict::Pass);
        let unread = vec![(PathBuf::from("/root/.bash_history"), Why::TooLarge(8))];
        let Verdict::Unknown(doubts) = verdict(Fact::Known(AccessKeys { unread, ..AccessKeys::default() })) else {
            panic!("not unknown")
        };
        assert_eq!(doubts[0].subject, "file:/root/.bash_history");
        assert!(matches!(verdict(Fact::Unknown(Why::NotAsked("x"))), Verdict::Unknown(_)));
    }
}
