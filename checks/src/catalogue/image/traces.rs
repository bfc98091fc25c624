//! `image.traces`: what was typed, logged and left while the image was built.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::{REVEALING, about_all, about_file, file_subject, image};
use crate::check::{
    Check, Finding, Input, Message, Profile, Reference, Scope, Severity, Tally, Text, Verdict, path_text,
};
use crate::edit::Edit;
use crate::host::accounts::PASSWD;
use crate::host::image::{Becomes, Leftover, What};

/// The check.
pub static CHECK: Check = Check {
    id: "image.traces",
    title: Text { en: "The image carries no traces of its making", zh: "镜像中没有制作过程的痕迹" },
    rationale: Text {
        en: "Histories, logs, mail, temporary files and private keys tell whoever starts an instance from the image, or mounts its \
             disk, what was done while it was built, and often with which passwords.",
        zh: "命令历史、日志、邮件、临时文件和私钥会让使用该镜像或挂载其磁盘的人得知制作过程，其中往往包含口令。",
    },
    severity: Severity::Medium,
    profiles: &[Profile::Image],
    scope: Scope::Both,
    references: &[Reference { source: REVEALING, item: "histories, logs, temporary files, private keys" }],
    reads: &[
        "/var/log",
        "/tmp",
        "/var/tmp",
        "scripts and logs of the Cloud Assistant",
        "wtmpdb and lastlog2",
        "mail",
        "core dumps",
        "histories, stored logins and private keys in homes",
        "files of installers, of image builders, and what tools that build have fetched",
        "hostward's own state",
    ],
    fix: Some(Text {
        en: "removes them; logs that are written stay as empty files. Nothing of it is kept",
        zh: "将其删除；仍在写入的日志保留为空文件。不保留任何副本",
    }),
    remedy: Text {
        en: "Remove them as the last step of the build, with `unset HISTFILE` in every shell that is open. On a disk the freed blocks \
             keep their bytes until they are written again: run `fstrim -a` before the snapshot is taken.",
        zh: "在构建的最后一步删除，并在所有打开的 shell 中执行 `unset HISTFILE`。磁盘上被释放的块在重新写入之前仍保留原内容：请在创建快照前运行 `fstrim -a`。",
    },
    messages: &[
        Message {
            id: "history", text: Text { en: "{file} tells what was typed", zh: "{file} 记录了输入过的命令" }
        },
        Message {
            id: "login",
            text: Text {
                en: "{file} holds a login for another service", zh: "{file} 中有其他服务的登录凭据"
            },
        },
        Message {
            id: "private-key",
            text: Text { en: "{file} holds a private key of {user}", zh: "{file} 中有 {user} 的私钥" },
        },
        Message {
            id: "build",
            text: Text {
                en: "{count} files of an installer or an image builder lie in {dir}: {files}",
                zh: "{dir} 中有 {count} 个安装程序或镜像构建工具遗留的文件：{files}",
            },
        },
        Message {
            id: "logs",
            text: Text { en: "{count} logs lie in {dir}: {files}", zh: "{dir} 中有 {count} 个日志：{files}" },
        },
        Message {
            id: "mail",
            text: Text {
                en: "{count} files of mail lie in {dir}: {files}",
                zh: "{dir} 中有 {count} 个邮件文件：{files}",
            },
        },
        Message {
            id: "dumps",
            text: Text {
                en: "{count} core dumps lie in {dir}: {files}", zh: "{dir} 中有 {count} 个核心转储：{files}"
            },
        },
        Message {
            id: "temporary",
            text: Text {
                en: "{count} temporary files lie in {dir}: {files}",
                zh: "{dir} 中有 {count} 个临时文件：{files}",
            },
        },
        Message {
            id: "own",
            text: Text {
                en: "hostward keeps in {dir} what it knows of the host that the image is made of: {files} ({count} files)",
                zh: "hostward 在 {dir} 中保留了关于原主机的信息：{files}（{count} 个文件）",
            },
        },
    ],
    check,
};

const SINGLE: [(What, &str); 2] = [(What::History, "history"), (What::Login, "login")];
const TOGETHER: [(What, &str); 6] = [
    (What::Build, "build"),
    (What::Log, "logs"),
    (What::Mail, "mail"),
    (What::Dump, "dumps"),
    (What::Temporary, "temporary"),
    (What::Own, "own"),
];

fn check(input: &Input<'_>) -> Verdict {
    let mut tally = Tally::new();
    let kinds: Vec<What> = SINGLE.iter().chain(&TOGETHER).map(|(what, _)| *what).collect();
    private_keys(input, &mut tally);
    // Without the accounts nobody knows whose homes to look into.
    if let Some(why) = input.host.accounts.users.why() {
        tally.doubt(format!("file:{PASSWD}"), why.clone());
    }
    let Some(image) = image(input, &kinds, &mut tally) else { return tally.verdict() };
    for (what, message) in SINGLE {
        for leftover in image.of(what) {
            tally.fail(about_file(Finding::new(Severity::Medium, file_subject(&leftover.path), message), leftover));
        }
    }
    for (what, message) in TOGETHER {
        for (dir, all) in by_directory(image.of(what)) {
            let finding = Finding::new(Severity::Medium, format!("dir:{}", path_text(&dir)), message);
            tally.fail(about_all(finding, &dir, &all));
        }
    }
    tally.verdict()
}

/// Logs of one directory together, everything else by the tree that was looked through.
fn by_directory<'a>(found: impl Iterator<Item = &'a Leftover>) -> BTreeMap<PathBuf, Vec<&'a Leftover>> {
    let mut out: BTreeMap<PathBuf, Vec<&Leftover>> = BTreeMap::new();
    for one in found {
        let dir = match (one.what, one.becomes) {
            (What::Log, Becomes::NoDirectory) => &one.path,
            (What::Log, _) => one.path.parent().unwrap_or(&one.within),
            _ => &one.within,
        };
        out.entry(dir.to_path_buf()).or_default().push(one);
    }
    out
}

fn private_keys(input: &Input<'_>, tally: &mut Tally) {
    let private = &input.host.keys.private;
    for key in &private.files {
        let file = path_text(&key.path);
        let finding = Finding::new(Severity::High, file_subject(&key.path), "private-key")
            .with("file", &file)
            .with("user", key.user.text())
            .seen(&file, None, "");
        tally.fail(finding.fixed_by(Edit::Erase { path: key.path.clone(), leave_empty: false }));
    }
    for (path, why) in &private.unknown {
        tally.doubt(file_subject(path), why.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Case;
    use super::*;
    use crate::fact::Why;

    #[test]
    fn what_was_typed_and_left_goes() {
        Case::new().passes(&CHECK);
        for (path, finding) in [
            ("/root/.bash_history", "file:/root/.bash_history history"),
            ("/home/ann/.psql_history", "file:/home/ann/.psql_history history"),
            ("/root/.git-credentials", "file:/root/.git-credentials login"),
            ("/root/anaconda-ks.cfg", "dir:/root build"),
            ("/tmp/script_1234.sh", "dir:/tmp temporary"),
            ("/var/tmp/a/b/c", "dir:/var/tmp temporary"),
            ("/var/mail/root", "dir:/var/mail mail"),
            ("/var/lib/systemd/coredump/core.x", "dir:/var/lib/systemd/coredump dumps"),
            ("/root/.local/share/nano/search_history", "file:/root/.local/share/nano/search_history history"),
            ("/var/lib/wtmpdb/wtmp.db", "dir:/var/lib/wtmpdb logs"),
            ("/var/lib/lastlog/lastlog2.db", "dir:/var/lib/lastlog logs"),
            ("/usr/local/share/aliyun-assist/2.2.3.1/log/a.log", "dir:/usr/local/share/aliyun-assist/2.2.3.1/log logs"),
            (
                "/usr/local/share/aliyun-assist/work/script/t-hz.sh",
                "dir:/usr/local/share/aliyun-assist/work/script temporary",
            ),
            ("/var/spool/exim4/input/1rX-0-D", "dir:/var/spool/exim4/input mail"),
            ("/var/lib/hostward/report.json", "dir:/var/lib/hostward own"),
            ("/root/.ansible/cp/x", "dir:/root/.ansible build"),
            ("/home/ann/.cache/pip/http/a/b", "dir:/home/ann/.cache/pip build"),
            ("/root/.npm/_logs/2026-debug-0.log", "dir:/root/.npm/_logs build"),
        ] {
            let case = Case::new().file(path, "x");
            assert_eq!(case.findings(&CHECK), [finding], "{path}");
            assert!(!case.mends(&CHECK).holds(path), "{path}");
            assert_eq!(Case::new().hide(path).doubts(&CHECK), [format!("file:{path}")], "{path}");
        }
        assert!(!Case::new().file("/var/tmp/a/b/c", "x").mends(&CHECK).holds("/var/tmp/a"));
        Case::new().directory("/tmp/empty").passes(&CHECK);
        assert_eq!(Case::new().deny("/etc/passwd", Why::Denied).doubts(&CHECK), ["file:/etc/passwd"]);
        Case::new().file("/home/ann/.cache/ms-playwright/chromium", "x").passes(&CHECK);
        let key = "/home/ann/.ssh/id_rsa";
        let case = Case::new().file(key, "-----BEGIN RSA PRIVATE KEY-----\nx\n-----END RSA PRIVATE KEY-----\n");
        assert_eq!(case.findings(&CHECK), [format!("file:{key} private-key")]);
        assert!(!case.mends(&CHECK).holds(key));
        let blob = "/var/lib/hostward/transactions/x/before/0";
        assert_eq!(Case::new().deny(blob, Why::Denied).doubts(&CHECK), [format!("file:{blob}")]);
    }

    #[test]
    fn logs_that_are_written_stay_as_empty_files() {
        let case = Case::new()
            .file("/var/log/auth.log", "Accepted password")
            .file("/var/log/auth.log.1", "Accepted password")
            .file("/var/log/messages-20261101", "x")
            .file("/var/log/dpkg.log", "")
            .file("/var/log/journal/4c6a/system.journal", "x")
            .file("/var/log/nginx/access.log.2.gz", "");
        let want = ["dir:/var/log logs", "dir:/var/log/journal/4c6a logs", "dir:/var/log/nginx logs"];
        assert_eq!(case.findings(&CHECK), want);
        let after = case.mends(&CHECK);
        assert_eq!(after.text("/var/log/auth.log"), "");
        for gone in [
            "/var/log/auth.log.1",
            "/var/log/messages-20261101",
            "/var/log/journal/4c6a",
            "/var/log/nginx/access.log.2.gz",
        ] {
            assert!(!after.holds(gone), "{gone}");
        }
        // Daemons count on their directories.
        assert!(after.holds("/var/log/dpkg.log") && after.holds("/var/log/journal") && after.holds("/var/log/nginx"));
    }

    #[test]
    fn transactions_that_hold_secrets_go() {
        let dir = "/var/lib/hostward/transactions/20261122-044905-ab12";
        let sound = Case::new().file(&format!("{dir}/before/0"), "PermitRootLogin yes\n");
        sound.passes(&CHECK);
        let case = sound
            .file(&format!("{dir}/manifest.json"), "{}")
            .file(&format!("{dir}/before/1"), "ann:$6$saltsalt$hash:19000:0:99999:7:::\n");
        assert_eq!(case.findings(&CHECK), [format!("dir:{dir} own")]);
        assert!(!case.mends(&CHECK).holds(dir));
    }

    #[test]
    fn links_of_users_are_not_followed() {
        let case = Case::new().file("/srv/notes", "x").link("/home/ann/.bash_history", "/srv/notes");
        case.passes(&CHECK);
        let case = Case::new().file("/srv/.local/share/fish/fish_history", "x").link("/home/ann/.local", "/srv/.local");
        case.owned("/home/ann/.local", 1000, 1000, 0o777).passes(&CHECK);
    }
}
