//! `sshd.config`: the files themselves: refused by sshd, writable by others, or saying what has no effect.

use std::path::Path;

use super::daemon_subject;
use crate::check::{
    Check, Finding, Input, Message, Profile, Reference, Scope, Severity, Tally, Text, Verdict, path_text,
};
use crate::edit::Edit;
use crate::fact::{Fact, Why};

/// The check.
pub static CHECK: Check = Check {
    id: "sshd.config",
    title: Text {
        en: "sshd takes its files, and only root writes them", zh: "sshd 接受其配置文件，且仅 root 可写"
    },
    rationale: Text {
        en: "A file that sshd refuses is found out at the next restart, when nobody gets in any more. A file that others can write \
             is a way to become root. A keyword without effect makes people believe in a protection that is not there.",
        zh: "被 sshd 拒绝的配置文件会在下次重启时才暴露，届时无人能够登录。他人可写的配置文件是提权到 root 的途径。不起作用的关键字\
             会让人误以为有某种保护。",
    },
    severity: Severity::Medium,
    profiles: &[Profile::Basic, Profile::Enhanced, Profile::Image],
    scope: Scope::Both,
    references: &[Reference { source: "MLPS level 3", item: "access control of configuration files" }],
    reads: &["sshd configuration files"],
    fix: Some(Text {
        en: "chmod and chown; the words are for the owner to mend",
        zh: "chmod 与 chown；内容需由管理员自行修正",
    }),
    remedy: Text {
        en: "Run `sshd -t` and mend the line; make every file and drop-in root's, mode 0600 or 0644.",
        zh: "运行 `sshd -t` 并修正该行；所有配置文件和片段应归 root 所有，权限为 0600 或 0644。",
    },
    messages: &[
        Message {
            id: "refused",
            text: Text {
                en: "sshd would not start with {file}: {message}",
                zh: "sshd 无法使用 {file} 启动：{message}",
            },
        },
        Message {
            id: "writable",
            text: Text {
                en: "{file} can be changed by others than root (owner {owner}, mode {mode})",
                zh: "{file} 可被 root 以外的用户修改（属主 {owner}，权限 {mode}）",
            },
        },
        Message {
            id: "idle",
            text: Text {
                en: "{keyword} in {file} has no effect: this sshd accepts the keyword and does nothing",
                zh: "{file} 中的 {keyword} 不起作用：此 sshd 接受该关键字但不做任何处理",
            },
        },
    ],
    check,
};

fn check(input: &Input<'_>) -> Verdict {
    let mut tally = Tally::default();
    for daemon in &input.access.daemons {
        if let Err(refusal) = &daemon.global
            && !unread(input, &refusal.file)
        {
            let file = path_text(&refusal.file);
            let finding = Finding::new(Severity::Medium, daemon_subject(daemon), "refused")
                .with("file", &file)
                .with("message", &refusal.message)
                .seen(&file, refusal.line, refusal.message.clone())
                .reproduce(format!("{} -t{}", daemon.program, daemon.options));
            tally.fail(finding);
        }
    }
    for (path, meta) in &input.host.login_files.config_files {
        let file = path_text(path);
        match meta {
            Fact::Known(meta) => {
                let group = meta.mode & 0o020 != 0 && meta.gid != 0;
                if meta.uid != 0 || meta.mode & 0o002 != 0 || group {
                    let finding = Finding::new(Severity::Medium, format!("file:{file}"), "writable")
                        .with("file", &file)
                        .with_number("owner", meta.uid)
                        .with("mode", format!("{:04o}", meta.mode))
                        .seen(&file, None, "")
                        .reproduce(format!("stat -c '%u %a' {file}"));
                    tally.fail(super::fixed_by(finding, mend(path, meta)));
                }
            }
            Fact::Absent => {}
            Fact::Unknown(why) => tally.doubt(format!("file:{file}"), why.clone()),
        }
    }
    let instances = input.host.sshd.instances.iter();
    for idle in instances.flat_map(|instance| instance.configuration.without_effect()) {
        let file = path_text(&idle.file);
        let finding = Finding::new(Severity::Info, format!("file:{file} {}", idle.keyword), "idle")
            .with("keyword", &idle.keyword)
            .with("file", &file)
            .seen(&file, Some(idle.line), idle.keyword.clone());
        tally.fail(finding);
    }
    for daemon in &input.access.daemons {
        daemon.doubts.iter().for_each(|why| tally.doubt(daemon_subject(daemon), why.clone()));
    }
    tally.verdict()
}

/// Whether it is hostward that could not read the file: then sshd's refusal is not known.
fn unread(input: &Input<'_>, file: &Path) -> bool {
    let files = input.host.sshd.instances.iter().flat_map(|instance| &instance.configuration.files);
    files.filter(|(path, _)| path == file).any(|(_, read)| match read {
        Err(Why::Failed(_) | Why::LinkLoop | Why::WrongKind(_)) | Ok(()) => false,
        Err(_) => true,
    })
}

fn mend(path: &Path, meta: &crate::snapshot::Meta) -> Vec<Edit> {
    let mut edits = Vec::new();
    if meta.uid != 0 {
        edits.push(Edit::Chown { file: path.to_path_buf(), uid: 0, gid: 0 });
    }
    if meta.mode & 0o022 != 0 {
        edits.push(Edit::Chmod { file: path.to_path_buf(), mode: meta.mode & !0o022 });
    }
    edits
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Case, expect};
    use super::*;

    const MAIN: &str = "/etc/ssh/sshd_config";

    #[test]
    fn files_are_judged() {
        for case in [
            Case::pass("UsePAM yes\n"),
            Case::fail("PermitRootLogin maybe\n", &["sshd:/etc/ssh/sshd_config refused"]),
            Case::fail("UsePAM yes\n", &["file:/etc/ssh/sshd_config writable"]).owned(MAIN, 0, 0o666),
            Case::fail("UsePAM yes\n", &["file:/etc/ssh/sshd_config writable"]).owned(MAIN, 1000, 0o644),
            Case::fail("Protocol 2\n", &["file:/etc/ssh/sshd_config Protocol idle"]),
            Case::unknown("").with_unreadable(MAIN),
        ] {
            expect(&CHECK, &case);
        }
    }
}
