//! Proposed changes in words.

use hostward_checks::check::{Lang, path_text};
use hostward_checks::edit::Edit;

use super::EditBlock;
use crate::sanitize::escape;

/// The change as a block of the report.
pub fn block(edit: &Edit) -> EditBlock {
    let (action, target) = about(edit);
    EditBlock { action: action.to_owned(), target: escape(&target), text: words(edit, Lang::En) }
}

fn about(edit: &Edit) -> (&'static str, String) {
    match edit {
        Edit::SshdSet { config, .. } => ("sshd-set", path_text(config)),
        Edit::SshdLine { file, .. } => ("sshd-line", path_text(file)),
        Edit::SshdReload { unit } => ("reload", unit.clone()),
        Edit::LockPassword { user } => ("lock-password", user.clone()),
        Edit::ForgetPassword { user } => ("forget-password", user.clone()),
        Edit::SetShell { user, .. } => ("set-shell", user.clone()),
        Edit::SetAgeing { user, .. } => ("set-ageing", user.clone()),
        Edit::SetKey { file, .. } => ("set-key", path_text(file)),
        Edit::SetKernel { key, .. } => ("set-kernel", (*key).to_owned()),
        Edit::WriteFile { file, .. } => ("write-file", path_text(file)),
        Edit::RemoveLine { file, .. } => ("remove-line", path_text(file)),
        Edit::Chmod { file, .. } => ("chmod", path_text(file)),
        Edit::Chown { file, .. } => ("chown", path_text(file)),
        Edit::RemoveFile { file } => ("remove-file", path_text(file)),
        Edit::Erase { path, .. } => ("erase", path_text(path)),
        Edit::StopUnit { unit } => ("stop-unit", unit.clone()),
        Edit::LimitPort { protocol, port, .. } => ("limit-port", format!("{protocol}/{port}")),
        Edit::LimitMetadata { .. } => ("limit-metadata", "100.100.100.200".to_owned()),
        Edit::RequireMetadataTokens { instance, .. } => ("require-metadata-tokens", instance.clone()),
    }
}

/// The change in one line.
pub fn words(edit: &Edit, lang: Lang) -> String {
    let zh = lang == Lang::Zh;
    let text = match edit {
        Edit::SshdSet { config, keyword, value } => {
            let config = path_text(config);
            if zh {
                format!("为 {config} 设置 {keyword} {value}（全局，先于其他取值读取）")
            } else {
                format!("set {keyword} {value} for {config} (global, read before every other value)")
            }
        }
        Edit::SshdLine { file, line, keyword, value } => {
            let file = path_text(file);
            if zh {
                format!("将 {file} 第 {line} 行改为 {keyword} {value}")
            } else {
                format!("change {file} line {line} to {keyword} {value}")
            }
        }
        Edit::SetKernel { key, value } => {
            if zh {
                format!("将 {key} 设为 {value}（下次启动及运行中的内核）")
            } else {
                format!("set {key} to {value}, for the next boot and in the running kernel")
            }
        }
        Edit::SshdReload { unit } => {
            if zh {
                format!("重新加载 {unit}")
            } else {
                format!("reload {unit}")
            }
        }
        Edit::LockPassword { user } => {
            if zh {
                format!("锁定 {user} 的密码（密钥登录保留）")
            } else {
                format!("lock the password of {user} (key logins stay)")
            }
        }
        Edit::ForgetPassword { user } => {
            if zh {
                format!("锁定 {user} 的密码并清除其哈希")
            } else {
                format!("lock the password of {user} and forget its hash")
            }
        }
        Edit::SetShell { user, shell } => {
            if zh {
                format!("将 {user} 的登录 shell 设为 {shell}")
            } else {
                format!("set the shell of {user} to {shell}")
            }
        }
        Edit::SetAgeing { user, min, max, warn } => {
            let field =
                |name: &str, value: &Option<i64>| value.map(|days| format!(" {name}={days}")).unwrap_or_default();
            let fields = format!("{}{}{}", field("min", min), field("max", max), field("warn", warn));
            if zh {
                format!("为 {user} 设置密码有效期（天）:{fields}")
            } else {
                format!("set password ageing of {user} in days:{fields}")
            }
        }
        Edit::SetKey { file, key, value } => {
            let file = path_text(file);
            if zh { format!("在 {file} 中设置 {key} = {value}") } else { format!("set {key} = {value} in {file}") }
        }
        Edit::WriteFile { file, mode, .. } => {
            let file = path_text(file);
            if zh { format!("写入 {file}（权限 {mode:04o}）") } else { format!("write {file} (mode {mode:04o})") }
        }
        Edit::RemoveLine { file, line, key } => {
            let file = path_text(file);
            if zh {
                format!("移除 {file} 第 {line} 行（{key}）")
            } else {
                format!("remove line {line} of {file} ({key})")
            }
        }
        Edit::Chmod { file, mode } => format!("chmod {mode:04o} {}", path_text(file)),
        Edit::Chown { file, uid, gid } => format!("chown {uid}:{gid} {}", path_text(file)),
        Edit::RemoveFile { file } => {
            if zh {
                format!("删除 {}", path_text(file))
            } else {
                format!("remove {}", path_text(file))
            }
        }
        Edit::Erase { path, leave_empty } => {
            let path = path_text(path);
            match (zh, leave_empty) {
                (true, true) => format!("清空 {path}，不保留副本"),
                (true, false) => format!("删除 {path}，不保留副本"),
                (false, true) => format!("empty {path} for good"),
                (false, false) => format!("remove {path} for good"),
            }
        }
        Edit::StopUnit { unit } => {
            if zh {
                format!("停止并禁用 {unit}")
            } else {
                format!("stop and disable {unit}")
            }
        }
        Edit::LimitPort { protocol, port, sources } => {
            let sources = sources.join(", ");
            match (zh, sources.is_empty()) {
                (true, true) => format!("用 nftables 丢弃到 {protocol}/{port} 的新连接"),
                (true, false) => format!("用 nftables 仅允许 {sources} 访问 {protocol}/{port}"),
                (false, true) => format!("drop new connections to {protocol}/{port} with nftables"),
                (false, false) => format!("let only {sources} reach {protocol}/{port} with nftables"),
            }
        }
        Edit::LimitMetadata { uids } => {
            let uids = uids.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
            if zh {
                format!("用 nftables 仅允许 uid {uids} 访问 100.100.100.200")
            } else {
                format!("let only uid {uids} reach 100.100.100.200 with nftables")
            }
        }
        Edit::RequireMetadataTokens { instance, region } => format!(
            "aliyun ecs ModifyInstanceMetadataOptions --RegionId {region} --InstanceId {instance} --HttpEndpoint enabled --HttpTokens required"
        ),
    };
    escape(&text)
}
