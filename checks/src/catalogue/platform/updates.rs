//! `platform.updates`: security updates that are not installed, or installed and not yet in use.

use crate::check::{Check, Finding, Input, Message, Profile, Reference, Scope, Severity, Tally, Text, Verdict};
use crate::fact::{Fact, Why};
use crate::observation::Mode;
use crate::observation::updates::{Archive, Kept, Pending, Restart, Updates};
use crate::updates::kernel;

/// What it is called where nothing of it could be told.
const SUBJECT: &str = "updates";
const DAY: i64 = 86_400;

/// The check.
pub static CHECK: Check = Check {
    id: "platform.updates",
    title: Text { en: "Security updates are installed and in use", zh: "安全更新已安装并生效" },
    rationale: Text {
        en: "What a security update mends is public from the day it is out, and tried on every address. An update that is installed \
             protects only once the kernel, or the service that has the old library loaded, is started anew.",
        zh: "安全更新一经发布，其修复的漏洞即为公开信息，很快会被用于大范围扫描攻击。更新安装后，须重启内核或仍在使用旧库的服务才能真正生效。",
    },
    severity: Severity::High,
    profiles: &[Profile::Basic, Profile::Enhanced],
    scope: Scope::Both,
    references: &[
        Reference {
            source: "Alibaba Cloud ECS security best practices",
            item: "security updates of the operating system",
        },
        Reference {
            source: "Alibaba Cloud Security Center",
            item: "vulnerability management: Linux software vulnerabilities",
        },
    ],
    reads: &[
        "dpkg's status and apt's lists",
        "the rpm database and dnf's or yum's caches",
        "the kernel's release",
        "libraries in use",
    ],
    fix: None,
    remedy: Text {
        en: "Debian, Ubuntu: `apt-get update && apt-get upgrade`. Alibaba Cloud Linux, Anolis, CentOS: `dnf upgrade --security` (`yum update \
             --security`). Then restart the services that still use what was replaced, and for a new kernel the instance. \
             Security Center's vulnerability management does the same for many instances.",
        zh: "Debian、Ubuntu：`apt-get update && apt-get upgrade`。Alibaba Cloud Linux、龙蜥、CentOS：`dnf upgrade --security`（或 `yum update \
             --security`）。随后重启仍在使用旧文件的服务；内核更新后需重启实例。也可通过云安全中心的漏洞管理功能批量修复。",
    },
    messages: &[
        Message {
            id: "pending",
            text: Text {
                en: "a security update of {source} is not installed: {packages} {installed}, available is {available}",
                zh: "{source} 有安全更新未安装：{packages} 当前版本为 {installed}，可更新至 {available}",
            },
        },
        Message {
            id: "held",
            text: Text {
                en: "a security update of {source} is kept back by a hold: {packages} {installed}, available is {available}",
                zh: "{source} 的安全更新因软件包被锁定（hold）而未安装：{packages} 当前版本为 {installed}，可更新至 {available}",
            },
        },
        Message {
            id: "preferences",
            text: Text {
                en: "a security update of {source} is kept back by the package manager's preferences: {packages} {installed}, available is {available}",
                zh: "{source} 的安全更新因软件包管理器的优先级设置而未安装：{packages} 当前版本为 {installed}，可更新至 {available}",
            },
        },
        Message {
            id: "kernel",
            text: Text {
                en: "the running kernel {running} is older than the installed {installed}: a reboot is due",
                zh: "正在运行的内核 {running} 低于已安装的 {installed}，需要重启",
            },
        },
        Message {
            id: "rebuilt",
            text: Text {
                en: "the running kernel was built as {running}, installed is {installed}: a reboot is due",
                zh: "正在运行的内核构建版本为 {running}，已安装的是 {installed}，需要重启",
            },
        },
        Message {
            id: "required",
            text: Text {
                en: "a reboot is asked for by installed updates of {packages}",
                zh: "以下软件包更新后要求重启：{packages}",
            },
        },
        Message {
            id: "libraries",
            text: Text {
                en: "services still run with libraries that were replaced ({libraries}): {services}",
                zh: "以下服务仍在使用已被替换的库（{libraries}）：{services}",
            },
        },
    ],
    check,
};

fn check(input: &Input<'_>) -> Verdict {
    let mut tally = Tally::new();
    match &input.seen.updates {
        Fact::Known(updates) => judge(updates, input, &mut tally),
        Fact::Absent => {
            tally.doubt(SUBJECT, Why::NotAsked("neither dpkg nor rpm manages this system: hostward knows no other"));
        }
        Fact::Unknown(why) => tally.doubt(SUBJECT, why.clone()),
    }
    if input.seen.mode == Mode::Live {
        match &input.seen.restart {
            Fact::Known(restart) => judge_restart(restart, &mut tally),
            Fact::Absent => {}
            Fact::Unknown(why) => tally.doubt("restart", why.clone()),
        }
    }
    tally.verdict()
}

fn judge(updates: &Updates, input: &Input<'_>, tally: &mut Tally) {
    for of_source in updates.pending.chunk_by(|one, other| (&one.source, one.kept) == (&other.source, other.kept)) {
        tally.fail(pending(of_source));
    }
    for (subject, why) in &updates.gaps {
        tally.doubt(subject, why.clone());
    }
    for archive in &updates.archives {
        if let Some(why) = stale(archive, input.seen.now, input.policy.limits.package_list_days) {
            tally.doubt(format!("archive:{}", archive.name), Why::Failed(why));
        }
    }
    if updates.archives.is_empty() && updates.gaps.is_empty() {
        tally.doubt(
            SUBJECT,
            Why::NotAsked(
                "no package list tells of security updates: none was fetched, or no archive of them is configured",
            ),
        );
    }
}

/// The packages of one source, which are updated together.
fn pending(packages: &[Pending]) -> Finding {
    let first = packages.first();
    let text = |of: fn(&Pending) -> &String| first.map(of).cloned().unwrap_or_default();
    let message = match first.and_then(|first| first.kept) {
        None => "pending",
        Some(Kept::Held) => "held",
        Some(Kept::Preferences) => "preferences",
    };
    let source = text(|one| &one.source);
    let mut names: Vec<String> = packages.iter().map(|one| one.package.clone()).collect();
    names.dedup();
    let mut advisories: Vec<String> = packages.iter().flat_map(|one| one.advisories.iter().cloned()).collect();
    advisories.sort();
    advisories.dedup();
    let finding = Finding::new(Severity::High, format!("package:{source}"), message).with("source", source);
    let finding = finding.with_list("packages", names);
    let finding = finding.with("installed", text(|one| &one.installed)).with("available", text(|one| &one.available));
    if advisories.is_empty() { finding } else { finding.seen("updateinfo", None, advisories.join(" ")) }
}

/// What is wrong with the age of a list, which knows nothing of what came later.
fn stale(archive: &Archive, now: i64, most: i64) -> Option<String> {
    let Some(dated) = archive.dated else {
        return Some("nothing tells how old its package list is".to_owned());
    };
    let days = now.saturating_sub(dated).div_euclid(DAY);
    if days < -1 {
        return Some("its package list is of the future".to_owned());
    }
    (days > most).then(|| {
        format!("its package list is {days} days old: it was not fetched since, or the archive is no longer maintained")
    })
}

fn judge_restart(restart: &Restart, tally: &mut Tally) {
    let kernel = || Finding::new(Severity::High, "kernel", "kernel").with("running", &restart.running);
    match &restart.newest {
        Fact::Known(newest) if kernel::is_older(&restart.running, newest) => {
            tally.fail(kernel().with("installed", newest).reproduce("uname -r; ls /boot"));
        }
        Fact::Known(_) | Fact::Absent => {}
        Fact::Unknown(why) => tally.doubt("kernel", why.clone()),
    }
    if let Some((running, installed)) = &restart.rebuilt {
        let finding = Finding::new(Severity::High, "kernel", "rebuilt").with("running", running);
        tally.fail(finding.with("installed", installed).reproduce("uname -v"));
    }
    if let Some(packages) = &restart.required {
        let finding = Finding::new(Severity::Medium, "restart", "required");
        let packages = if packages.is_empty() { vec!["?".to_owned()] } else { packages.clone() };
        tally.fail(finding.with_list("packages", packages).seen("/run/reboot-required", None, ""));
    }
    match &restart.replaced {
        Fact::Known(outdated) if !outdated.is_empty() => {
            let names = outdated.iter().map(|one| one.name.clone()).collect();
            let mut libraries: Vec<String> = outdated.iter().flat_map(|one| one.libraries.clone()).collect();
            libraries.sort();
            libraries.dedup();
            let finding = Finding::new(Severity::Medium, "libraries", "libraries");
            let finding = finding.with_list("services", names).with_list("libraries", libraries);
            tally.fail(finding.reproduce("grep -lE 'lib(c|ssl|crypto)[-.0-9]*so.*deleted' /proc/[0-9]*/maps"));
        }
        Fact::Known(_) | Fact::Absent => {}
        Fact::Unknown(why) => tally.doubt("libraries", why.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Scene;
    use super::*;
    use crate::observation::updates::Outdated;

    fn outdated(package: &str, kept: Option<Kept>) -> Pending {
        Pending {
            source: "openssl".into(),
            package: package.into(),
            installed: "3.0.11-1".into(),
            available: "3.0.15-1".into(),
            kept,
            advisories: Vec::new(),
        }
    }

    fn host(days: i64) -> Scene {
        Scene::new().up_to_date(days)
    }

    fn updates(scene: &mut Scene) -> &mut Updates {
        let Fact::Known(updates) = &mut scene.seen.updates else { panic!() };
        updates
    }

    fn restart(scene: &mut Scene) -> &mut Restart {
        let Fact::Known(restart) = &mut scene.seen.restart else { panic!() };
        restart
    }

    #[test]
    fn what_is_pending_is_told_by_source() {
        let mut scene = host(0);
        assert_eq!(scene.run(&CHECK), Verdict::Pass);
        updates(&mut scene).pending = vec![outdated("libssl3", None), outdated("openssl", None)];
        assert_eq!(scene.findings(&CHECK), ["high package:openssl pending"]);
        updates(&mut scene).pending =
            vec![outdated("libssl3", Some(Kept::Held)), outdated("openssl", Some(Kept::Preferences))];
        assert_eq!(scene.findings(&CHECK), ["high package:openssl held", "high package:openssl preferences"]);
    }

    #[test]
    fn old_lists_decide_nothing_but_what_they_tell_is_told() {
        assert_eq!(host(7).run(&CHECK), Verdict::Pass);
        assert_eq!(host(8).doubts(&CHECK), ["archive:trixie-security"]);
        assert_eq!(host(-5).doubts(&CHECK), ["archive:trixie-security"]);
        let mut scene = host(30);
        updates(&mut scene).pending = vec![outdated("libssl3", None)];
        assert_eq!(scene.findings(&CHECK), ["high package:openssl pending"]);
        assert_eq!(scene.doubts(&CHECK), ["archive:trixie-security"]);
        scene.policy.limits.package_list_days = 30;
        assert_eq!(scene.doubts(&CHECK), [""; 0]);
    }

    #[test]
    fn what_could_not_be_read_is_unknown() {
        let mut scene = host(0);
        updates(&mut scene).gaps = vec![("file:x".into(), Why::TimedOut)];
        assert_eq!(scene.doubts(&CHECK), ["file:x"]);
        *updates(&mut scene) = Updates::default();
        assert_eq!(scene.doubts(&CHECK), [SUBJECT]);
        scene.seen.updates = Fact::Absent;
        assert_eq!(scene.doubts(&CHECK), [SUBJECT]);
        scene.seen.restart = Fact::Unknown(Why::Denied);
        assert_eq!(scene.doubts(&CHECK), [SUBJECT, "restart"]);
        scene.seen.mode = Mode::Offline;
        assert_eq!(scene.doubts(&CHECK), [SUBJECT], "an image runs nothing");
    }

    #[test]
    fn what_runs_and_is_older_wants_a_restart() {
        let mut scene = host(0);
        restart(&mut scene).newest = Fact::Known("6.1.0-20-amd64".into());
        assert_eq!(scene.findings(&CHECK), ["high kernel kernel"]);
        scene = host(0);
        restart(&mut scene).newest = Fact::Absent;
        assert_eq!(scene.run(&CHECK), Verdict::Pass, "a custom kernel");
        restart(&mut scene).rebuilt = Some(("6.1.76-1".into(), "6.1.90-1".into()));
        assert_eq!(scene.findings(&CHECK), ["high kernel rebuilt"]);
        scene = host(0);
        restart(&mut scene).required = Some(vec!["linux-base".into()]);
        restart(&mut scene).replaced =
            Fact::Known(vec![Outdated { name: "nginx.service".into(), libraries: vec!["libssl.so.3".into()] }]);
        assert_eq!(scene.findings(&CHECK), ["medium restart required", "medium libraries libraries"]);
        restart(&mut scene).replaced = Fact::Unknown(Why::Denied);
        assert_eq!(scene.doubts(&CHECK), ["libraries"]);
    }
}
