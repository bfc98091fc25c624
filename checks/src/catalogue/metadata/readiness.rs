//! `metadata.readiness`: something here asks the metadata service without a token and would fail in hardened-only mode.

use super::NOT_ECS;
use crate::check::{
    Check, Finding, Input, Message, Profile, Reference, Scope, Severity, Tally, Text, Verdict, path_text,
};
use crate::fact::{Fact, Why};
use crate::host::metadata_clients::is_older;
use crate::observation::Mode;

/// The first cloud-init that may start in hardened-only mode (Alibaba Cloud's page on the metadata service).
const CLOUD_INIT: &str = "23.2.2";

/// The check.
pub static CHECK: Check = Check {
    id: "metadata.readiness",
    title: Text {
        en: "Nothing here needs the metadata service's normal mode",
        zh: "本机程序均不依赖元数据服务的普通模式",
    },
    rationale: Text {
        en: "Hardened-only mode breaks programs that know no token: a cloud-init before 23.2.2 no longer starts the instance \
             properly, afterburn and nm-cloud-setup get nothing, old SDKs find no credentials. Programs with an SDK of their own inside \
             (Go, Java) are not seen here: the CloudMonitor metric of normal-mode accesses shows them.",
        zh: "仅加固模式会使不支持令牌的程序失效：23.2.2 之前的 cloud-init 无法正常初始化实例，afterburn 与 nm-cloud-setup 取不到数据，\
             旧版 SDK 取不到凭证。自带 SDK 的程序（Go、Java）在此无法识别，可查看云监控的普通模式访问次数指标。",
    },
    severity: Severity::Low,
    profiles: &[Profile::Enhanced, Profile::Image],
    scope: Scope::Both,
    references: &[Reference {
        source: "Alibaba Cloud, instance metadata",
        item: "versions needed for access in hardened mode only",
    }],
    reads: &["cloud-init's version", "afterburn, nm-cloud-setup and SDKs installed system-wide", "metadata service"],
    fix: None,
    remedy: Text {
        en: "Update what is named before requiring tokens: cloud-init to 23.2.2, the Python SDK alibabacloud_credentials to 0.3.6, \
             @alicloud/credentials to 2.3.1. Replace afterburn and nm-cloud-setup: no release knows tokens.",
        zh: "在强制令牌之前升级所列程序：cloud-init 至 23.2.2，Python SDK alibabacloud_credentials 至 0.3.6，@alicloud/credentials 至 2.3.1。\
             afterburn 与 nm-cloud-setup 尚无支持令牌的版本，请替换。",
    },
    messages: &[
        Message {
            id: "cloud-init",
            text: Text {
                en: "cloud-init is {version}: before {needed} an instance does not initialise in hardened-only mode",
                zh: "cloud-init 版本为 {version}：低于 {needed} 时实例在仅加固模式下无法完成初始化",
            },
        },
        Message {
            id: "program",
            text: Text {
                en: "{program} asks without a token and gets nothing in hardened-only mode",
                zh: "{program} 不使用令牌访问，在仅加固模式下取不到数据",
            },
        },
        Message {
            id: "sdk",
            text: Text {
                en: "{sdk} is {version}: before {needed} it fetches no token",
                zh: "{sdk} 版本为 {version}：低于 {needed} 时不会获取令牌",
            },
        },
    ],
    check,
};

fn check(input: &Input<'_>) -> Verdict {
    let elsewhere = matches!(input.seen.metadata, Fact::Absent | Fact::Unknown(Why::NotAsked(_)));
    if input.seen.mode == Mode::Live && elsewhere {
        return Verdict::NotApplicable(NOT_ECS);
    }
    let mut tally = Tally::new();
    match &input.host.cloud_init {
        Fact::Absent => {}
        Fact::Unknown(why) => tally.doubt("program:cloud-init", why.clone()),
        Fact::Known(cloud_init) => match &cloud_init.version {
            Fact::Known(version) if is_older(version, CLOUD_INIT) => tally.fail(
                Finding::new(Severity::Low, "program:cloud-init", "cloud-init")
                    .with("version", version)
                    .with("needed", CLOUD_INIT)
                    .reproduce("cloud-init --version"),
            ),
            Fact::Known(_) | Fact::Absent => {}
            Fact::Unknown(why) => tally.doubt("program:cloud-init", why.clone()),
        },
    }
    let clients = &input.host.metadata_clients;
    match &clients.afterburn {
        Fact::Known(path) => {
            tally.fail(Finding::new(Severity::Low, "program:afterburn", "program").with("program", "afterburn").seen(
                path_text(path),
                None,
                "installed",
            ))
        }
        Fact::Absent => {}
        Fact::Unknown(why) => tally.doubt("program:afterburn", why.clone()),
    }
    match &clients.nm_cloud_setup {
        Fact::Known(setup) => {
            if let Some((file, line)) = &setup.enabled {
                tally.fail(
                    Finding::new(Severity::Low, "program:nm-cloud-setup", "program")
                        .with("program", "nm-cloud-setup")
                        .seen(path_text(file), Some(*line), "NM_CLOUD_SETUP_ALIYUN=yes"),
                );
            }
        }
        Fact::Absent => {}
        Fact::Unknown(why) => tally.doubt("program:nm-cloud-setup", why.clone()),
    }
    for sdk in clients.sdks.iter().filter(|sdk| sdk.is_old()) {
        let path = path_text(&sdk.path);
        tally.fail(
            Finding::new(Severity::Low, format!("file:{path}"), "sdk")
                .with("sdk", sdk.name)
                .with("version", &sdk.version)
                .with("needed", sdk.needed)
                .seen(path, None, sdk.version.as_str()),
        );
    }
    for (path, why) in &clients.unread {
        tally.doubt(format!("file:{}", path_text(path)), why.clone());
    }
    tally.verdict()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Scene, metadata};
    use super::*;
    use crate::observation::Observations;
    use crate::snapshot::Sketch;

    const VERSION: &str = "/usr/lib/python3/dist-packages/cloudinit/version.py";

    fn with(sketch: Sketch) -> Scene {
        Scene { sketch, ..Scene::new(metadata()) }
    }

    #[test]
    fn old_programs_are_named() {
        let scene = with(
            Sketch::new()
                .file(VERSION, "__VERSION__ = \"22.4.2\"\n")
                .file("/usr/bin/afterburn", "")
                .file("/usr/libexec/nm-cloud-setup", "")
                .file("/etc/systemd/system/nm-cloud-setup.service", "Environment=NM_CLOUD_SETUP_ALIYUN=yes\n")
                .dir("/usr/lib/python3/dist-packages/alibabacloud_credentials-0.3.5.dist-info"),
        );
        assert_eq!(
            scene.sentences(&CHECK),
            [
                "cloud-init is 22.4.2: before 23.2.2 an instance does not initialise in hardened-only mode",
                "afterburn asks without a token and gets nothing in hardened-only mode",
                "nm-cloud-setup asks without a token and gets nothing in hardened-only mode",
                "alibabacloud_credentials is 0.3.5: before 0.3.6 it fetches no token",
            ]
        );
    }

    #[test]
    fn a_ready_host_passes_offline_too_and_what_does_not_say_is_unknown() {
        let ready = Sketch::new().file(VERSION, "__VERSION__ = \"23.2.2\"\n").file("/usr/libexec/nm-cloud-setup", "");
        assert_eq!(with(ready.clone()).run(&CHECK), Verdict::Pass);
        let offline = Scene { seen: Observations::offline(0), ..with(ready) };
        assert_eq!(offline.run(&CHECK), Verdict::Pass);
        assert!(matches!(with(Sketch::new().file(VERSION, "?")).run(&CHECK), Verdict::Unknown(_)));
        assert!(matches!(Scene::elsewhere().run(&CHECK), Verdict::NotApplicable(_)));
    }
}
