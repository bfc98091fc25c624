//! Alibaba Cloud's own agents stay as they are: their accounts, sudo rules, files, units and processes.

use std::path::Path;

use crate::catalogue::ports::AGENTS as TREES;
use crate::catalogue::sshd::other_methods::{is_alibabas, program};
use crate::check::{Input, Message, Text, path_text};
use crate::edit::Edit;
use crate::fact::Fact;
use crate::guard::{Circumstances, Guard, Rule};
use crate::host::accounts::vendor_of;
use crate::plan::Said;

/// Nothing of Alibaba Cloud's agents is touched.
pub(crate) static AGENTS: Guard = Guard {
    id: "agents.alibaba",
    title: Text { en: "Alibaba Cloud's own agents are left alone", zh: "不改动阿里云自身的组件" },
    rule: Rule::Edit(permits),
};

static THEIRS: Message = Message {
    id: "alibaba-agents",
    text: Text {
        en: "{what} belongs to an agent of Alibaba Cloud, without which Session Manager, Workbench or Security Center stop working: waive the finding, or change it in the console",
        zh: "{what} 属于阿里云组件，改动后会话管理、Workbench 或云安全中心将无法工作：请忽略该结果，或在控制台中调整",
    },
};

/// The watchdog of Cloud Assistant, and where it lives on a read-only /usr, beside the trees that `ports` knows.
const MORE_TREES: [&str; 2] = ["/usr/local/share/assist-daemon/", "/opt/local/share/aliyun-assist/"];
/// Units by name, without suffix and instance (Cloud Assistant's `service_linux.go`; the others as their installers name them).
const UNITS: [&str; 9] = [
    "aliyun",
    "aliyun-service",
    "aliyun-assist",
    "AssistDaemon",
    "assist_daemon",
    "aegis",
    "argusagent",
    "cloudmonitor",
    "ilogtaild",
];

fn permits(edit: &Edit, input: &Input<'_>, _: &Circumstances) -> Result<(), Said> {
    let theirs = |what: String| Err(Said::new(&THEIRS).with("what", what));
    match edit {
        Edit::LockPassword { user }
        | Edit::ForgetPassword { user }
        | Edit::SetShell { user, .. }
        | Edit::SetAgeing { user, .. } => {
            if is_account(user) {
                theirs(user.clone())
            } else {
                Ok(())
            }
        }
        Edit::SetKey { file, .. }
        | Edit::WriteFile { file, .. }
        | Edit::RemoveLine { file, .. }
        | Edit::Chmod { file, .. }
        | Edit::Chown { file, .. }
        | Edit::RemoveFile { file } => {
            if is_file(input, file) {
                theirs(path_text(file))
            } else {
                Ok(())
            }
        }
        Edit::Erase { path, .. } if is_file(input, path) && !is_trace(path) => theirs(path_text(path)),
        Edit::Erase { .. } => Ok(()),
        Edit::SshdLine { file, .. } if is_file(input, file) => theirs(path_text(file)),
        Edit::SshdSet { keyword, .. } | Edit::SshdLine { keyword, .. } => match key_command(input, keyword) {
            Some(command) => theirs(command),
            None => Ok(()),
        },
        Edit::SshdReload { unit } => {
            if is_unit(unit) {
                theirs(unit.clone())
            } else {
                Ok(())
            }
        }
        Edit::StopUnit { unit } => {
            if is_unit(unit) || runs_theirs(input, unit) {
                theirs(unit.clone())
            } else {
                Ok(())
            }
        }
        Edit::SetKernel { .. }
        | Edit::LimitPort { .. }
        | Edit::LimitMetadata { .. }
        | Edit::RequireMetadataTokens { .. } => Ok(()),
    }
}

/// An account of an agent. `ecs-user` is the login account of images: only its sudo rule is Alibaba Cloud's.
fn is_account(user: &str) -> bool {
    (vendor_of(user).is_some() && user != "ecs-user") || user.starts_with("ack_")
}

/// A file of an agent: in its tree, in its account's home, its sudo rule, or its unit.
fn is_file(input: &Input<'_>, file: &Path) -> bool {
    let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let within = |dir: &str| file.starts_with(dir);
    let sudoers = within("/etc/sudoers.d") && (vendor_of(name).is_some() || name.starts_with("ack_"));
    let unit =
        ["/etc/systemd", "/run/systemd", "/usr/lib/systemd", "/lib/systemd", "/etc/init.d"].into_iter().any(within)
            && file.components().any(|part| part.as_os_str().to_str().is_some_and(is_unit));
    let homes = input.host.accounts.list().iter().filter(|user| user.name().bytes().is_ascii());
    let home = homes.filter(|user| is_account(&user.name().text())).any(|user| {
        let home = user.entry.home.as_path();
        home.components().count() > 2 && file.starts_with(home)
    });
    TREES.iter().chain(&MORE_TREES).any(|tree| file.starts_with(tree)) || sudoers || unit || home
}

/// What an agent has run and logged, and what was typed in its account: an image carries none of it, and no agent needs it.
fn is_trace(file: &Path) -> bool {
    let mut parts = file.components().rev().skip(1).filter_map(|part| part.as_os_str().to_str());
    let (dir, above) = (parts.next(), parts.next());
    let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    dir == Some("log") || (dir == Some("script") && above == Some("work")) || name.ends_with("history")
}

/// A unit of an agent, by its name: drop-in directories too.
fn is_unit(unit: &str) -> bool {
    let stem = unit.split(['.', '@']).next().unwrap_or(unit);
    UNITS.contains(&stem) || stem.starts_with("ack_") || stem.starts_with("ack-")
}

/// Whether a process of an agent listens from within the unit, whatever it is called.
fn runs_theirs(input: &Input<'_>, unit: &str) -> bool {
    let listeners = input.seen.sockets.known().map_or(&[][..], |sockets| &sockets.listeners);
    listeners.iter().filter_map(|listener| listener.owners.known()).flatten().any(|process| {
        let theirs = |path: &Path| TREES.iter().chain(&MORE_TREES).any(|tree| path.starts_with(tree));
        process.unit.as_deref() == Some(unit) && matches!(&process.executable, Fact::Known(path) if theirs(path))
    })
}

/// The command of Workbench's plugin, where the keyword would take it away.
fn key_command(input: &Input<'_>, keyword: &str) -> Option<String> {
    if !["authorizedkeyscommand", "authorizedkeyscommanduser"].contains(&keyword.to_ascii_lowercase().as_str()) {
        return None;
    }
    let settings = input.access.daemons.iter().flat_map(|daemon| daemon.settings());
    let mut commands = settings.map(|settings| settings.text("authorizedkeyscommand"));
    commands.find(|command| program(command).is_some_and(is_alibabas)).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::super::testing::Case;
    use super::*;
    use crate::parse::key_blob::samples;

    #[test]
    fn nothing_of_the_agents_is_touched() {
        let case = Case::new()
            .user("ecs-assist-user:x:1001:1001::/home/ecs-assist-user:/sbin/nologin")
            .user("ecs-user:x:1002:1002::/home/ecs-user:/bin/bash")
            .user("ack_root:x:1003:1003::/:/bin/bash")
            .command("/usr/bin/timeout 5s /usr/local/share/aliyun-assist/plugin/config_ecs_instance_connect/ecs_config_instance_connect %u %f")
            .listener("/usr/local/cloudmonitor/bin/argusagent", "odd.service")
            .listener("/usr/sbin/redis", "redis.service");
        let user = |user: &str| Edit::LockPassword { user: user.into() };
        let shell = |user: &str| Edit::SetShell { user: user.into(), shell: "/sbin/nologin" };
        let remove = |file: &str| Edit::RemoveFile { file: file.into() };
        let chmod = |file: &str| Edit::Chmod { file: file.into(), mode: 0o600 };
        let unit = |unit: &str| Edit::StopUnit { unit: unit.into() };
        let set = |keyword| Edit::SshdSet { config: "/etc/ssh/sshd_config".into(), keyword, value: "none".into() };
        let line = |file: &str| Edit::RemoveLine {
            file: file.into(),
            line: 1,
            key: samples::ED25519.fingerprint.parse().unwrap(),
        };
        for edit in [
            user("ecs-assist-user"),
            user("ecs-instance-connect"),
            shell("aegis"),
            user("ack_admin"),
            user("ack_new"),
            Edit::SetAgeing { user: "argusagent".into(), min: None, max: Some(90), warn: None },
            remove("/etc/sudoers.d/ecs-user"),
            chmod("/etc/sudoers.d/ecs-assist-user"),
            chmod("/etc/sudoers.d/ack_admin"),
            chmod("/usr/local/aegis/x"),
            Edit::Chown { file: "/usr/local/share/aliyun-assist/plugin".into(), uid: 0, gid: 0 },
            Edit::WriteFile {
                file: "/etc/systemd/system/aliyun.service.d/x.conf".into(),
                content: String::new(),
                mode: 0,
            },
            remove("/etc/init.d/aegis"),
            line("/home/ecs-assist-user/.ssh/authorized_keys"),
            unit("aliyun.service"),
            unit("AssistDaemon.service"),
            unit("ack_agent@1.service"),
            unit("odd.service"),
            set("AuthorizedKeysCommand"),
            set("AuthorizedKeysCommandUser"),
        ] {
            assert_eq!(case.refused(&AGENTS, &edit), Some("alibaba-agents"), "{edit:?}");
        }
        for edit in [
            user("ecs-user"),
            user("root"),
            user("aegis2"),
            chmod("/etc/sudoers.d/ops"),
            chmod("/etc/shadow"),
            line("/home/ecs-user/.ssh/authorized_keys"),
            unit("redis.service"),
            unit("aegis-db.service"),
            set("PasswordAuthentication"),
        ] {
            assert_eq!(case.refused(&AGENTS, &edit), None, "{edit:?}");
        }
        let erase = |path: &str| Edit::Erase { path: path.into(), leave_empty: false };
        for program in
            ["/usr/local/share/aliyun-assist/2.2.3/aliyun-service", "/home/ecs-assist-user/.ssh/authorized_keys"]
        {
            assert_eq!(case.refused(&AGENTS, &erase(program)), Some("alibaba-agents"), "{program}");
        }
        for trace in [
            "/usr/local/share/aliyun-assist/2.2.3/log/aliyun_assist_main.log",
            "/usr/local/share/aliyun-assist/work/script/t-hz0.sh",
            "/home/ecs-assist-user/.bash_history",
        ] {
            assert_eq!(case.refused(&AGENTS, &erase(trace)), None, "{trace}");
        }
        let own = Case::new().command("/usr/local/bin/keys %u");
        assert_eq!(own.refused(&AGENTS, &set("AuthorizedKeysCommand")), None);
    }
}
