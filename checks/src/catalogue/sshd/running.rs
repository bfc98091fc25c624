//! `sshd.running`: what runs is not what is on disk.

use std::path::Path;

use super::daemon_subject;
use crate::access::DaemonAccess;
use crate::check::{
    Check, Finding, Input, Message, Profile, Reference, Scope, Severity, Tally, Text, Verdict, path_text,
};
use crate::edit::Edit;
use crate::fact::{Fact, Why};
use crate::observation::UnixNanos;
use crate::observation::sshd::Daemon;

/// The check.
pub static CHECK: Check = Check {
    id: "sshd.running",
    title: Text { en: "The sshd that runs is the one on disk", zh: "运行中的 sshd 与磁盘上的一致" },
    rationale: Text {
        en: "sshd keeps the configuration it read when it was started or last reloaded. What is written afterwards protects \
             nobody until then, and takes effect with somebody else's reload. A second sshd, or options on the command line, are \
             seen by nobody who reads sshd_config.",
        zh: "sshd 使用的是启动或上次重载时读到的配置。此后写入的内容在重载之前不起作用，并会随他人的重载而生效。第二个 sshd 或命令行\
             选项，在阅读 sshd_config 时是看不到的。",
    },
    severity: Severity::High,
    profiles: &[Profile::Basic, Profile::Enhanced],
    scope: Scope::Live,
    references: &[Reference { source: "hostward", item: "hardening" }],
    reads: &["running daemons", "sshd configuration files", "sshd -T of the running program"],
    fix: Some(Text { en: "reloads sshd, after its configuration was validated", zh: "校验配置后重载 sshd" }),
    remedy: Text {
        en: "Run `sshd -t`, then reload the unit. Move options of the command line into sshd_config, and stop daemons that nobody \
             needs.",
        zh: "运行 `sshd -t` 后重载该单元。将命令行选项移入 sshd_config，并停止不需要的守护进程。",
    },
    messages: &[
        Message {
            id: "stale",
            text: Text {
                en: "the running sshd has not read {file}, which changed after it was started or reloaded",
                zh: "运行中的 sshd 尚未读取 {file}：该文件在其启动或重载之后有改动",
            },
        },
        Message {
            id: "replaced",
            text: Text {
                en: "the running sshd's program was replaced on disk: it runs an old version",
                zh: "运行中的 sshd 程序在磁盘上已被替换：运行的是旧版本",
            },
        },
        Message {
            id: "options",
            text: Text {
                en: "the running sshd has options that its configuration does not show: {options}",
                zh: "运行中的 sshd 带有配置文件中看不到的选项：{options}",
            },
        },
        Message {
            id: "second",
            text: Text {
                en: "a second sshd runs with {config} and listens on: {listeners}",
                zh: "另有一个 sshd 使用 {config} 运行，监听：{listeners}",
            },
        },
        Message {
            id: "disagrees",
            text: Text {
                en: "sshd itself says `{said}` for {user} from {address}, and its files say otherwise",
                zh: "对于来自 {address} 的 {user}，sshd 自身的回答是 `{said}`，与其文件不符",
            },
        },
    ],
    check,
};

fn check(input: &Input<'_>) -> Verdict {
    let mut tally = Tally::default();
    let running = match &input.seen.daemons {
        Fact::Known(daemons) => daemons,
        Fact::Absent => return Verdict::NotApplicable(Text { en: "no sshd runs", zh: "没有运行中的 sshd" }),
        Fact::Unknown(why) => {
            tally.doubt("sshd", why.clone());
            return tally.verdict();
        }
    };
    let own: Vec<&Daemon> = running.iter().filter(|daemon| !daemon.foreign_root).collect();
    if own.is_empty() {
        return Verdict::NotApplicable(Text { en: "no sshd runs", zh: "没有运行中的 sshd" });
    }
    for (index, daemon) in input.access.daemons.iter().enumerate() {
        let Some(process) = own.iter().find(|process| runs(process, daemon)) else { continue };
        judge(input, daemon, process, &mut tally);
        if index > 0 {
            let finding = Finding::new(Severity::High, format!("{} second", daemon_subject(daemon)), "second")
                .with("config", path_text(&daemon.config))
                .with_list("listeners", process.listeners.iter().map(ToString::to_string).collect());
            tally.fail(finding);
        }
    }
    for why in input.access.daemons.iter().filter_map(super::refused) {
        tally.doubt("sshd", why);
    }
    disagreements(input, &mut tally);
    tally.verdict()
}

/// Whether a process reads this configuration.
fn runs(process: &Daemon, daemon: &DaemonAccess) -> bool {
    let named = option(process, b'f');
    match named.first() {
        Some(file) => *file == path_text(&daemon.config),
        None => daemon.config == Path::new("/etc/ssh/sshd_config"),
    }
}

/// The values of a one-letter option, joined (`-fFILE`) or apart (`-f FILE`).
fn option(process: &Daemon, letter: u8) -> Vec<String> {
    let mut values = Vec::new();
    let mut args = process.argv.iter().skip(1);
    while let Some(arg) = args.next() {
        if let Some(joined) = arg.strip_prefix(&[b'-', letter]) {
            let value = if joined.is_empty() { args.next().map(Vec::as_slice) } else { Some(joined) };
            values.extend(value.map(crate::check::bytes_text));
        }
    }
    values
}

fn judge(input: &Input<'_>, daemon: &DaemonAccess, process: &Daemon, tally: &mut Tally) {
    let subject = daemon_subject(daemon);
    let unit = process.unit.clone().or_else(|| daemon.unit.clone());
    let reload = |finding: Finding| match &unit {
        Some(unit) => finding.fixed_by(Edit::SshdReload { unit: unit.clone() }),
        None => finding,
    };
    match &process.started {
        Fact::Known(started) => {
            for (file, changed) in changes(input, daemon) {
                if changed > *started {
                    let file = path_text(file);
                    let finding = Finding::new(Severity::High, format!("{subject} stale {file}"), "stale")
                        .with("file", &file)
                        .seen(&file, None, "");
                    tally.fail(reload(finding));
                }
            }
        }
        Fact::Absent => {}
        Fact::Unknown(why) => {
            // It was read when the process began, or later: files that are older than that were read.
            let older = |began: i64| {
                changes(input, daemon).iter().all(|(_, changed)| *changed < i128::from(began) * 1_000_000_000)
            };
            if !process.process_started.is_some_and(older) {
                tally.doubt(subject.clone(), why.clone());
            }
        }
    }
    if process.executable_deleted {
        tally.fail(reload(Finding::new(Severity::High, format!("{subject} replaced"), "replaced")));
    }
    let mut options: Vec<String> = Vec::new();
    for (letter, name) in [(b'o', "-o"), (b'p', "-p"), (b'f', "-f")] {
        let values = option(process, letter);
        // Reading the usual file by name is no news; what the unit's own environment adds is as hidden as the rest.
        options.extend(values.into_iter().filter(|v| v != "/etc/ssh/sshd_config").map(|v| format!("{name} {v}")));
    }
    options.retain(|option| !policy_of_the_system(option));
    if !options.is_empty() {
        let finding =
            Finding::new(Severity::High, format!("{subject} options"), "options").with_list("options", options);
        tally.fail(finding.reproduce(format!("tr '\\0' ' ' < /proc/{}/cmdline", process.pid)));
    }
}

/// When each file of a daemon's configuration last changed, content or inode: a file moved into place keeps its old time of
/// content.
fn changes<'i>(input: &Input<'i>, daemon: &DaemonAccess) -> Vec<(&'i Path, UnixNanos)> {
    let instances = &input.host.sshd.instances;
    let Some(instance) = instances.iter().find(|i| i.config_file() == daemon.config) else { return Vec::new() };
    let files = instance.configuration.files.iter().filter_map(|(path, _)| {
        let meta = input.host.login_files.config_files.get(path)?.known()?;
        Some((path.as_path(), meta.mtime_ns.max(meta.ctime_ns)))
    });
    files.collect()
}

/// The algorithm lists that Red Hat's unit hands over from the system's crypto policy (`$CRYPTO_POLICY`).
fn policy_of_the_system(option: &str) -> bool {
    const LISTS: [&str; 9] = [
        "Ciphers=",
        "MACs=",
        "KexAlgorithms=",
        "GSSAPIKexAlgorithms=",
        "HostKeyAlgorithms=",
        "PubkeyAcceptedKeyTypes=",
        "PubkeyAcceptedAlgorithms=",
        "CASignatureAlgorithms=",
        "HostbasedAcceptedAlgorithms=",
    ];
    option.strip_prefix("-o ").is_some_and(|line| LISTS.iter().any(|list| line.starts_with(list)))
}

/// Where sshd was asked for a connection and says something else than its files.
fn disagreements(input: &Input<'_>, tally: &mut Tally) {
    for check in &input.seen.cross_checks {
        let lines = match &check.answer {
            Fact::Known(lines) => lines,
            // An sshd that cannot be asked is no finding.
            Fact::Absent | Fact::Unknown(_) => continue,
        };
        let Some(daemon) = input.access.daemons.iter().find(|daemon| daemon.config == check.config) else { continue };
        let account = daemon.accounts.iter().find(|account| account.user == check.user);
        let source = account.and_then(|a| a.sources.iter().find(|s| s.example.to_string() == check.address));
        let Some(ours) = source.and_then(|source| daemon.effective(source)) else { continue };
        let known: Vec<String> = ours.dump().map(|line| line.to_ascii_lowercase()).collect();
        let odd = |line: &&String| {
            let line = line.to_ascii_lowercase();
            let keyword = line.split(' ').next().unwrap_or_default();
            ours.setting(keyword).is_some() && !known.contains(&line)
        };
        if let Some(said) = lines.iter().find(odd) {
            let keyword = said.split(' ').next().unwrap_or_default().to_ascii_lowercase();
            let subject = format!("{} disagrees {keyword}", daemon_subject(daemon));
            let finding = Finding::new(Severity::High, subject, "disagrees")
                .with("said", said)
                .with("user", &check.user)
                .with("address", &check.address)
                .reproduce(check.command.join(" "));
            tally.fail(finding);
        }
        if lines.is_empty() {
            tally.doubt(daemon_subject(daemon), Why::Failed("sshd -T printed nothing".to_owned()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Case, expect, process};
    use super::*;

    #[test]
    fn what_runs_is_compared_with_what_is_there() {
        let late = UnixNanos::from(u32::MAX) * 1_000_000_000;
        for (argv, started, mut case) in [
            (&["/usr/sbin/sshd", "-D"][..], Fact::Known(late), Case::pass("")),
            (
                &["/usr/sbin/sshd", "-D"],
                Fact::Known(-1),
                Case::fail("", &["sshd:/etc/ssh/sshd_config stale /etc/ssh/sshd_config stale"]),
            ),
            (
                &["/usr/sbin/sshd", "-oPermitRootLogin=no"],
                Fact::Known(late),
                Case::fail("", &["sshd:/etc/ssh/sshd_config options options"]),
            ),
            (&["/usr/sbin/sshd", "-oCiphers=aes256-ctr"], Fact::Known(late), Case::pass("")),
            (&["/usr/sbin/sshd"], Fact::Unknown(Why::Denied), Case::pass("")),
        ] {
            case.daemons = Fact::Known(vec![process(argv, started)]);
            expect(&CHECK, &case);
        }
        let mut untold = Case::unknown("");
        let process = Daemon { process_started: Some(-1), ..process(&["/usr/sbin/sshd"], Fact::Unknown(Why::Denied)) };
        untold.daemons = Fact::Known(vec![process]);
        expect(&CHECK, &untold);
        expect(&CHECK, &Case::unknown(""));
        let mut none = Case::not_applicable("");
        none.daemons = Fact::Known(Vec::new());
        expect(&CHECK, &none);
    }
}
