//! `platform.audit`: nothing of the logs outlives a reboot, or auditd does not run.

use crate::check::{
    Check, Finding, Input, Message, Profile, Reference, Scope, Severity, Tally, Text, Verdict, path_text,
};
use crate::edit::Edit;
use crate::fact::{Fact, Why};
use crate::host::platform::logging::{Journal, Storage};
use crate::observation::Mode;

/// Where our drop-in stands, and its name, which is read last.
const DIR: &str = "/etc/systemd/journald.conf.d";
const DROP_IN: &str = "zz-hostward.conf";
const CONTENT: &str =
    "# Written by hostward fix for platform.audit; `hostward rollback` undoes it.\n[Journal]\nStorage=persistent\n";
/// Loggers that keep what is logged, by program and service.
const SYSLOG: [(&str, &str); 2] = [("rsyslogd", "rsyslog"), ("syslog-ng", "syslog-ng")];
const KEPT: &str = "log:kept";
const AUDITD: &str = "log:auditd";

/// The check.
pub static CHECK: Check = Check {
    id: "platform.audit",
    title: Text { en: "Logs are kept and auditd runs", zh: "日志持久保存且 auditd 正在运行" },
    rationale: Text {
        en: "A journal in memory is gone with the next reboot, and with it who logged in and what they did. MLPS asks for a log that is \
             kept and for auditd, which records what processes do, whoever they are.",
        zh: "仅保存在内存中的日志会在重启后丢失，登录者及其操作也就无从查起。等保要求保存日志并启用 auditd，后者记录进程的行为，不论其身份。",
    },
    severity: Severity::Low,
    profiles: &[Profile::Enhanced],
    scope: Scope::Both,
    references: &[
        Reference { source: "Alibaba Cloud Security Center baseline", item: "CheckId 10 确保rsyslog服务已启用" },
        Reference { source: "MLPS level 3 (等保三级)", item: "security audit: auditd and rsyslog enabled" },
    ],
    reads: &["journald.conf", "running programs", "services that start at boot"],
    fix: Some(Text {
        en: "has the journal kept on disk (Storage=persistent), from journald's next start on; auditd is explained only",
        zh: "将 journald 设为持久保存（Storage=persistent），自 journald 下次启动起生效；auditd 仅给出说明",
    }),
    remedy: Text {
        en: "Set `Storage=persistent` in /etc/systemd/journald.conf.d and restart systemd-journald, or install and enable rsyslog. Install \
             auditd (package auditd or audit) and `systemctl enable --now auditd`.",
        zh: "在 /etc/systemd/journald.conf.d 中设置 `Storage=persistent` 并重启 systemd-journald，或安装并启用 rsyslog。安装 auditd（软件包 auditd 或 audit）并执行 `systemctl enable --now auditd`。",
    },
    messages: &[
        Message {
            id: "lost",
            text: Text {
                en: "logs do not outlive a reboot: the journal's storage is {storage}, and no syslog daemon writes them to disk",
                zh: "日志在重启后丢失：journald 的存储方式为 {storage}，且没有 syslog 守护进程将日志写入磁盘",
            },
        },
        Message {
            id: "not-kept",
            text: Text {
                en: "logs are not kept: there is neither a journal nor a syslog daemon that starts with the system",
                zh: "没有保存日志：既没有 journald，也没有随系统启动的 syslog 守护进程",
            },
        },
        Message {
            id: "pending",
            text: Text {
                en: "the journal is to be kept on disk and is not yet: journald was not restarted since",
                zh: "journald 已配置为持久保存但尚未生效：之后未重启过 journald",
            },
        },
        Message {
            id: "no-auditd",
            text: Text {
                en: "auditd is not there: no program of that name runs or starts with the system",
                zh: "没有 auditd：未运行，也不随系统启动",
            },
        },
        Message {
            id: "auditd-stopped",
            text: Text {
                en: "auditd starts with the system and does not run now",
                zh: "auditd 随系统启动，但目前未运行",
            },
        },
        Message {
            id: "auditd-not-enabled",
            text: Text {
                en: "auditd runs and does not start with the system", zh: "auditd 正在运行，但不随系统启动"
            },
        },
    ],
    check,
};

fn check(input: &Input<'_>) -> Verdict {
    let mut tally = Tally::new();
    kept(input, &mut tally);
    auditd(input, &mut tally);
    tally.verdict()
}

/// Whether something that outlives a reboot is written.
fn kept(input: &Input<'_>, tally: &mut Tally) {
    let logging = &input.host.platform.logging;
    let journal = match &logging.journal {
        Fact::Known(journal) => Some(journal),
        Fact::Absent => None,
        Fact::Unknown(why) => {
            // A syslog daemon gets what journald forwards, or reads from it: all of it hangs on journald.
            tally.doubt(KEPT, why.clone());
            return;
        }
    };
    if let Some(Journal { storage: Storage::Persistent, .. }) = journal {
        if input.seen.mode == Mode::Live && logging.directory == Fact::Absent {
            tally.fail(Finding::new(Severity::Info, KEPT, "pending"));
        }
        return;
    }
    if let (Some(Journal { storage: Storage::Auto, .. }), Fact::Known(())) = (journal, &logging.directory) {
        return;
    }
    // Without a journal to read from it is given only what is forwarded.
    let fed = journal.is_none_or(|journal| journal.storage != Storage::None || journal.forwards);
    let daemons = SYSLOG.map(|(program, service)| runs(input, program, service));
    match daemons.into_iter().filter(|_| fed).find(|runs| *runs != Ok(Runs::default())) {
        Some(Ok(Runs { now: true, at_boot: true })) => {}
        Some(Err(why)) => tally.doubt(KEPT, why),
        _ => tally.fail(lost(journal)),
    }
    if let Fact::Unknown(why) = &logging.directory {
        tally.doubt("file:/var/log/journal", why.clone());
    }
}

fn lost(journal: Option<&Journal>) -> Finding {
    let Some(journal) = journal else { return Finding::new(Severity::Low, KEPT, "not-kept") };
    let mut finding = Finding::new(Severity::Low, KEPT, "lost").with("storage", journal.storage.word());
    if let Some((file, line)) = &journal.place {
        finding = finding.seen(path_text(file), Some(*line), format!("Storage={}", journal.storage.word()));
    }
    if !journal.is_last(DROP_IN) {
        return finding;
    }
    let file = std::path::Path::new(DIR).join(DROP_IN);
    finding.fixed_by(Edit::WriteFile { file, content: CONTENT.to_owned(), mode: 0o644 })
}

fn auditd(input: &Input<'_>, tally: &mut Tally) {
    let message = match runs(input, "auditd", "auditd") {
        Ok(Runs { now: true, at_boot: true }) => return,
        Ok(Runs { now: false, at_boot: false }) => "no-auditd",
        Ok(Runs { now: false, at_boot: true }) => "auditd-stopped",
        Ok(Runs { now: true, at_boot: false }) => "auditd-not-enabled",
        Err(why) => {
            tally.doubt(AUDITD, why);
            return;
        }
    };
    tally.fail(Finding::new(Severity::Low, AUDITD, message));
}

/// Whether a daemon runs, and whether it starts with the system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Runs {
    now: bool,
    at_boot: bool,
}

/// In an image what starts with the system runs as well as it can.
fn runs(input: &Input<'_>, program: &str, service: &str) -> Result<Runs, Why> {
    let services = &input.host.services;
    let at_boot = services.enabled.iter().any(|one| one.name == service);
    if let Some((_, why)) = services.unread.first().filter(|_| !at_boot) {
        return Err(why.clone());
    }
    if input.seen.mode == Mode::Offline {
        return Ok(Runs { now: at_boot, at_boot });
    }
    match &input.seen.platform.programs {
        Fact::Known(programs) => {
            let now = programs.running.iter().any(|one| one.is_hosts() && one.name() == Some(program));
            if !now && programs.denied { Err(Why::Denied) } else { Ok(Runs { now, at_boot }) }
        }
        Fact::Absent => Ok(Runs { now: false, at_boot }),
        Fact::Unknown(why) => Err(why.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Scene, program};
    use super::*;
    use crate::observation::Observations;

    const WANTS: &str = "/etc/systemd/system/multi-user.target.wants";

    fn enabled(scene: Scene, service: &str) -> Scene {
        scene.file(format!("{WANTS}/{service}.service"), "")
    }

    /// A host with a journal of the default kind, in memory, and auditd.
    fn live() -> Scene {
        enabled(Scene::new(), "auditd")
            .file("/usr/lib/systemd/systemd-journald", "")
            .running(vec![program("/usr/sbin/auditd")])
    }

    fn offline(scene: Scene) -> Scene {
        Scene { seen: Observations::offline(0), ..scene }
    }

    #[test]
    fn a_log_is_kept_by_the_journal_or_by_a_syslog_daemon() {
        let lost = ["low log:kept lost"];
        assert_eq!(live().findings(&CHECK), lost);
        assert_eq!(live().dir("/var/log/journal").run(&CHECK), Verdict::Pass);
        assert_eq!(offline(live()).findings(&CHECK), lost);
        assert_eq!(offline(live().dir("/var/log/journal")).run(&CHECK), Verdict::Pass);
        let conf = |text: &str| live().file("/etc/systemd/journald.conf", &format!("[Journal]\nStorage={text}\n"));
        assert_eq!(conf("volatile").dir("/var/log/journal").findings(&CHECK), lost);
        assert_eq!(conf("persistent").findings(&CHECK), ["info log:kept pending"]);
        assert_eq!(offline(conf("persistent")).run(&CHECK), Verdict::Pass);
        let syslog = || vec![program("/usr/sbin/auditd"), program("/usr/sbin/rsyslogd")];
        assert_eq!(enabled(live(), "rsyslog").running(syslog()).run(&CHECK), Verdict::Pass);
        assert_eq!(live().running(syslog()).findings(&CHECK), lost, "it does not start again");
        assert_eq!(enabled(live(), "rsyslog").findings(&CHECK), lost, "it does not run");
        assert_eq!(offline(enabled(live(), "rsyslog")).run(&CHECK), Verdict::Pass);
        assert_eq!(offline(live().file("/etc/rc3.d/S01rsyslog", "")).run(&CHECK), Verdict::Pass);
        let none = enabled(conf("none"), "rsyslog").running(syslog());
        assert_eq!(none.findings(&CHECK), lost, "nothing reaches it");
        let fed = none.file("/etc/systemd/journald.conf.d/x.conf", "[Journal]\nForwardToSyslog=yes\n");
        assert_eq!(fed.run(&CHECK), Verdict::Pass);
        let bare = enabled(Scene::new(), "auditd").running(vec![program("/sbin/auditd")]);
        assert_eq!(bare.findings(&CHECK), ["low log:kept not-kept"]);
    }

    #[test]
    fn auditd_runs_and_starts_with_the_system() {
        let base = || Scene::new().file("/usr/lib/systemd/systemd-journald", "").dir("/var/log/journal");
        let auditd = || vec![program("/usr/sbin/auditd")];
        assert_eq!(base().findings(&CHECK), ["low log:auditd no-auditd"]);
        assert_eq!(enabled(base(), "auditd").findings(&CHECK), ["low log:auditd auditd-stopped"]);
        assert_eq!(base().running(auditd()).findings(&CHECK), ["low log:auditd auditd-not-enabled"]);
        assert_eq!(offline(enabled(base(), "auditd")).run(&CHECK), Verdict::Pass);
        let mut contained = auditd();
        contained[0].container = Some("docker:0".to_owned());
        assert_eq!(base().running(contained).findings(&CHECK), ["low log:auditd no-auditd"]);
    }

    #[test]
    fn its_fix_keeps_the_journal_and_what_is_read_later_stops_it() {
        let (plan, after) = live().fixed(&CHECK);
        // The file, and the directory that it stands in.
        assert_eq!((plan.effects.len(), plan.files().count()), (2, 2));
        // What is left is told, and is nothing to be mended.
        assert!(matches!(&after, Verdict::Fail(left, _) if left.iter().all(|one| one.severity == Severity::Info)));
        let image = offline(live().file("/etc/systemd/journald.conf.d/10.conf", "[Journal]\nStorage=none\n"));
        assert_eq!(image.fixed(&CHECK).1, Verdict::Pass);
        let late = live().file("/etc/systemd/journald.conf.d/zzz.conf", "[Journal]\nStorage=volatile\n");
        assert_eq!(late.found(&CHECK).remove(0).fix, []);
    }

    #[test]
    fn what_cannot_be_seen_is_unknown() {
        assert_eq!(live().deny("/etc/systemd/journald.conf").doubts(&CHECK), [KEPT]);
        let mut hidden = enabled(Scene::new(), "auditd").running(vec![program("/sbin/auditd")]);
        hidden.sketch = hidden.sketch.hidden("/usr/lib/systemd/systemd-journald", Why::Denied);
        assert_eq!(hidden.doubts(&CHECK), [KEPT], "whether there is a journal");
        let runs = Scene::new().file("/usr/lib/systemd/systemd-journald", "").dir("/var/log/journal");
        let runs = runs.running(vec![program("/usr/sbin/auditd")]);
        assert_eq!(runs.deny("/etc/inetd.conf").doubts(&CHECK), [AUDITD], "whether it starts again");
        let mut blind = live().dir("/var/log/journal");
        blind.seen.platform.programs = Fact::Unknown(Why::TimedOut);
        assert_eq!(blind.doubts(&CHECK), [AUDITD]);
    }
}
