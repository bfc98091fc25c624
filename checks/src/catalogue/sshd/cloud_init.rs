//! `sshd.cloud-init`: what is closed today opens again at the next boot.

use crate::check::{
    Check, Finding, Input, Message, Profile, Reference, Scope, Severity, Tally, Text, Verdict, path_text,
};
use crate::edit::Edit;
use crate::fact::Fact;
use crate::host::Host;
use crate::host::cloud_init::{Layer, PasswordLogin};

/// The check.
pub static CHECK: Check = Check {
    id: "sshd.cloud-init",
    title: Text {
        en: "cloud-init does not open what is closed", zh: "cloud-init 不会重新打开已关闭的登录"
    },
    rationale: Text {
        en: "cloud-init runs at every boot of a new instance and some of it at every boot: `ssh_pwauth` rewrites \
             PasswordAuthentication, `chpasswd` sets passwords, `disable_root: false` opens root. A hardening that it undoes is \
             gone by the next morning.",
        zh: "cloud-init 在新实例首次启动时运行，其中部分模块每次启动都会运行：`ssh_pwauth` 会改写 PasswordAuthentication，`chpasswd` \
             会设置口令，`disable_root: false` 会放开 root。会被它撤销的加固第二天就不复存在。",
    },
    severity: Severity::Medium,
    profiles: &[Profile::Basic, Profile::Enhanced, Profile::Image],
    scope: Scope::Both,
    references: &[
        Reference { source: "cloud-init documentation", item: "Set Passwords, SSH, Users and Groups" },
        Reference { source: "hostward", item: "hardening" },
    ],
    reads: &["cloud-init configuration", "sshd configuration"],
    fix: Some(Text {
        en: "writes a drop-in of its own into /etc/cloud/cloud.cfg.d",
        zh: "在 /etc/cloud/cloud.cfg.d 中写入专用配置",
    }),
    remedy: Text {
        en: "Set `ssh_pwauth: unchanged` (or false), `disable_root: true` and no `chpasswd` in /etc/cloud/cloud.cfg.d/, and in the \
             instance's user data.",
        zh: "在 /etc/cloud/cloud.cfg.d/ 以及实例自定义数据中设置 `ssh_pwauth: unchanged`（或 false）、`disable_root: true`，\
             并去掉 `chpasswd`。",
    },
    messages: &[
        Message {
            id: "pwauth",
            text: Text {
                en: "cloud-init writes `PasswordAuthentication yes` at the next boot (ssh_pwauth), which sshd has off today",
                zh: "cloud-init 会在下次启动时写入 `PasswordAuthentication yes`（ssh_pwauth），而目前 sshd 已将其关闭",
            },
        },
        Message {
            id: "chpasswd",
            text: Text {
                en: "cloud-init sets passwords of {users} at the next boot of a new instance",
                zh: "cloud-init 会在新实例启动时设置以下账号的口令：{users}",
            },
        },
        Message {
            id: "password",
            text: Text {
                en: "cloud-init's configuration holds a password for the default user",
                zh: "cloud-init 配置中含有默认用户的口令",
            },
        },
        Message {
            id: "root",
            text: Text {
                en: "cloud-init gives root the instance's keys (disable_root: false), and sshd refuses root today",
                zh: "cloud-init 会把实例密钥交给 root（disable_root: false），而目前 sshd 拒绝 root 登录",
            },
        },
    ],
    check,
};

/// Whether cloud-init hands the keys of the first boot to root: `disable_root: false`, as on ECS. Absent or unknown: no.
pub(crate) fn first_user_is_root(host: &Host) -> bool {
    let Fact::Known(cloud) = &host.cloud_init else { return false };
    matches!(&cloud.disable_root, Fact::Known(set) if !set.value)
}

fn drop_in(name: &str, content: &str) -> Edit {
    let file = format!("/etc/cloud/cloud.cfg.d/99-hostward-{name}.cfg").into();
    Edit::WriteFile { file, content: content.to_owned(), mode: 0o644 }
}

fn check(input: &Input<'_>) -> Verdict {
    let cloud = match &input.host.cloud_init {
        Fact::Known(cloud) => cloud,
        Fact::Absent => {
            return Verdict::NotApplicable(Text { en: "cloud-init is not installed", zh: "未安装 cloud-init" });
        }
        Fact::Unknown(why) => {
            let mut tally = Tally::default();
            tally.doubt("cloud-init", why.clone());
            return tally.verdict();
        }
    };
    if cloud.disabled == Fact::Known(true) {
        return Verdict::NotApplicable(Text { en: "cloud-init is disabled", zh: "cloud-init 已禁用" });
    }
    let mut tally = Tally::default();
    let globals = || input.access.daemons.iter().filter_map(|daemon| daemon.global.as_ref().ok());
    let system = |layer: Layer| layer == Layer::System;

    let closed = globals().any(|global| global.text("passwordauthentication") == "no");
    match &cloud.ssh_pwauth {
        Fact::Known(set) if set.value == PasswordLogin::On && closed => {
            let finding = Finding::new(Severity::Medium, "cloud-init:ssh_pwauth", "pwauth").seen(
                path_text(&set.file),
                Some(set.line),
                "ssh_pwauth: true",
            );
            let edit = drop_in("ssh-pwauth", "ssh_pwauth: unchanged\n");
            tally.fail(if system(set.layer) { finding.fixed_by(edit) } else { finding });
        }
        Fact::Unknown(why) => tally.doubt("cloud-init:ssh_pwauth", why.clone()),
        _ => {}
    }
    match &cloud.chpasswd {
        Fact::Known(set) if !set.value.is_empty() => tally.fail(
            Finding::new(Severity::Medium, "cloud-init:chpasswd", "chpasswd")
                .with_list("users", set.value.clone())
                .seen(path_text(&set.file), Some(set.line), "chpasswd: (masked)"),
        ),
        Fact::Unknown(why) => tally.doubt("cloud-init:chpasswd", why.clone()),
        _ => {}
    }
    match &cloud.password {
        Fact::Known(set) => tally.fail(Finding::new(Severity::Medium, "cloud-init:password", "password").seen(
            path_text(&set.file),
            Some(set.line),
            "password: (masked)",
        )),
        Fact::Unknown(why) => tally.doubt("cloud-init:password", why.clone()),
        Fact::Absent => {}
    }
    let refuses_root = globals().any(|global| global.text("permitrootlogin") == "no");
    match &cloud.disable_root {
        Fact::Known(set) if !set.value && refuses_root => {
            let finding = Finding::new(Severity::Medium, "cloud-init:disable_root", "root").seen(
                path_text(&set.file),
                Some(set.line),
                "disable_root: false",
            );
            tally.fail(if system(set.layer) {
                finding.fixed_by(drop_in("disable-root", "disable_root: true\n"))
            } else {
                finding
            });
        }
        Fact::Unknown(why) => tally.doubt("cloud-init:disable_root", why.clone()),
        _ => {}
    }
    tally.verdict()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Case, expect};
    use super::*;

    #[test]
    fn what_cloud_init_opens_again() {
        let closed = "PasswordAuthentication no\nKbdInteractiveAuthentication no\n";
        let cloud = |case: Case, text: &str| case.with_file("/etc/cloud/cloud.cfg", text);
        for case in [
            cloud(Case::pass(closed), "ssh_pwauth: false\n"),
            cloud(Case::pass("PasswordAuthentication yes\n"), "ssh_pwauth: true\n"),
            cloud(Case::fail(closed, &["cloud-init:ssh_pwauth pwauth"]), "ssh_pwauth: true\n"),
            cloud(Case::fail("PermitRootLogin no\n", &["cloud-init:disable_root root"]), "disable_root: false\n"),
            cloud(Case::fail(closed, &["cloud-init:password password"]), "password: secret\n"),
            Case::unknown(closed).with_unreadable("/etc/cloud/cloud.cfg"),
            Case::not_applicable(closed),
        ] {
            expect(&CHECK, &case);
        }
    }
}
