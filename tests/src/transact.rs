//! A small root with every kind of file, and a plan with every kind of change on it.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use hostward::transaction::{Asked, Found, New};
use hostward_checks::effect::{Effect, FileChange, Owner, State};
use hostward_checks::guard::Confirm;
use hostward_checks::plan::{Plan, Planned, Reason};

/// The user in whose home files are changed.
pub const EVE: u32 = 4711;

/// Makes the root in an empty directory.
///
/// # Errors
/// A file cannot be made.
pub fn make_root(dir: &Path) -> Result<()> {
    let dirs = [("", 0o755), ("etc", 0o755), ("etc/ssh", 0o755), ("etc/cron.d", 0o777), ("var", 0o755)];
    for (path, mode) in dirs.into_iter().chain([("var/lib", 0o755), ("home", 0o755), ("usr", 0o755)]) {
        std::fs::create_dir_all(dir.join(path))?;
        std::fs::set_permissions(dir.join(path), PermissionsExt::from_mode(mode))?;
    }
    let files: [(&str, &[u8], u32); 7] = [
        ("etc/passwd", b"root:x:0:0::/root:/bin/sh\neve:x:4711:4711::/home/eve:/bin/sh\n", 0o644),
        ("etc/shadow", b"root:$y$j9T$salt$hash:20000::::::\neve:!:20000::::::\n", 0o640),
        ("etc/ssh/sshd_config", b"# kept\r\nPermitRootLogin yes\n\xff\n", 0o600),
        ("etc/ssh/host_key", b"key\n", 0o666),
        ("etc/removed", b"to be removed\n", 0o4755),
        ("usr/set-id", b"program\n", 0o4755),
        ("etc/empty", b"", 0o600),
    ];
    for (path, content, mode) in files {
        std::fs::write(dir.join(path), content)?;
        std::fs::set_permissions(dir.join(path), PermissionsExt::from_mode(mode))?;
    }
    for (path, mode) in [("home/eve", 0o755), ("home/eve/.ssh", 0o775)] {
        std::fs::create_dir(dir.join(path))?;
        std::fs::set_permissions(dir.join(path), PermissionsExt::from_mode(mode))?;
        std::os::unix::fs::chown(dir.join(path), Some(EVE), Some(EVE))?;
    }
    let keys = dir.join("home/eve/.ssh/authorized_keys");
    std::fs::write(&keys, "ssh-ed25519 AAAA eve\nssh-dss AAAA old\n")?;
    std::os::unix::fs::chown(&keys, Some(EVE), Some(EVE))?;
    std::fs::set_permissions(&keys, PermissionsExt::from_mode(0o600))?;
    std::os::unix::fs::chown(dir.join("etc/shadow"), Some(0), Some(42))?;
    std::os::unix::fs::chown(dir.join("usr/set-id"), Some(EVE), Some(EVE))?;
    // A new owner takes it away.
    std::fs::set_permissions(dir.join("usr/set-id"), PermissionsExt::from_mode(0o4755))?;
    for (path, name, value) in attributes() {
        let file = std::fs::File::open(dir.join(path))?;
        // Not every file system has them; the pictures say which were there.
        let _ = rustix_set(&file, name, &value);
    }
    Ok(())
}

fn rustix_set(file: &std::fs::File, name: &str, value: &[u8]) -> Result<()> {
    let name = std::ffi::CString::new(name)?;
    let mut all = hostward::tree::xattr::read(file)?;
    all.push(hostward::tree::xattr::Xattr { name, value: value.to_vec() });
    Ok(hostward::tree::xattr::write(file, &all)?)
}

/// Attributes of files that are replaced: one of a user's, a label, and an access list for user 7.
fn attributes() -> [(&'static str, &'static str, Vec<u8>); 3] {
    let mut list: Vec<u8> = 2_u32.to_le_bytes().to_vec();
    // posix_acl_xattr(5): tag, permissions, id. The owner, user 7, the group, the mask, others.
    for (tag, permissions, id) in
        [(1_u16, 6_u16, u32::MAX), (2, 4, 7), (4, 4, u32::MAX), (16, 4, u32::MAX), (32, 0, u32::MAX)]
    {
        list.extend([tag.to_le_bytes(), permissions.to_le_bytes()].concat());
        list.extend(id.to_le_bytes());
    }
    [
        ("etc/ssh/sshd_config", "user.note", b"kept".to_vec()),
        ("etc/passwd", "security.selinux", b"system_u:object_r:passwd_file_t:s0\0".to_vec()),
        ("etc/shadow", "system.posix_acl_access", list),
    ]
}

/// The plan: files replaced, made, removed, given other owners and modes; directories made and narrowed; a user's home.
///
/// # Errors
/// The root cannot be read.
pub fn plan(dir: &Path) -> Result<Plan> {
    let root = Owner::root(0o600);
    let (only, all) = (false, true);
    let changes = [
        change(dir, "/etc/cron.d", only, |owner| State::Dir { owner: Owner { mode: 0o755, ..owner } })?,
        change(dir, "/etc/empty", all, |owner| State::file(*b"no longer\n", owner))?,
        change(dir, "/etc/passwd", all, |owner| State::file(*b"root:x:0:0::/root:/bin/sh\n", owner))?,
        change(dir, "/etc/removed", all, |_| State::Absent)?,
        change(dir, "/etc/shadow", all, |owner| State::file(*b"root:*:20000::::::\n", owner))?,
        change(dir, "/etc/ssh/host_key", only, |owner| State::File {
            content: None,
            owner: Owner { mode: 0o600, ..owner },
        })?,
        change(dir, "/etc/ssh/sshd_config", all, |owner| State::file(*b"# kept\r\nPermitRootLogin no\n\xff\n", owner))?,
        change(dir, "/etc/ssh/sshd_config.d", all, |_| State::Dir { owner: Owner::root(0o755) })?,
        change(dir, "/etc/ssh/sshd_config.d/00-hostward.conf", all, |_| State::file(*b"UseDNS no\n", root))?,
        change(dir, "/home/eve/.ssh", only, |owner| State::Dir { owner: Owner { mode: 0o700, ..owner } })?,
        change(dir, "/home/eve/.ssh/authorized_keys", all, |owner| State::file(*b"ssh-ed25519 AAAA eve\n", owner))?,
        change(dir, "/usr/set-id", only, |_| State::File { content: None, owner: Owner::root(0o755) })?,
    ];
    let reasons = vec![Reason { check: "sshd.root-login", subject: "root".to_owned() }];
    let each = changes.into_iter().map(|change| Planned {
        effect: Effect::File(change),
        reasons: reasons.clone(),
        guards: Vec::new(),
    });
    Ok(Plan { effects: each.collect(), unfixable: Vec::new() })
}

fn change(dir: &Path, path: &str, content: bool, after: impl Fn(Owner) -> State) -> Result<FileChange> {
    let at = dir.join(path.trim_start_matches('/'));
    let before = match std::fs::symlink_metadata(&at) {
        Err(_) => State::Absent,
        Ok(meta) => {
            let owner = Owner { uid: meta.uid(), gid: meta.gid(), mode: meta.mode() & 0o7777 };
            let bytes = |at: &Path| std::fs::read(at).with_context(|| format!("failed to read {}", at.display()));
            match (meta.is_dir(), content) {
                (true, _) => State::Dir { owner },
                (false, true) => State::File { content: Some(Arc::from(bytes(&at)?)), owner },
                (false, false) => State::File { content: None, owner },
            }
        }
    };
    let after = after(before.owner().unwrap_or(Owner::root(0o600)));
    Ok(FileChange { path: PathBuf::from(path), before, after })
}

/// A transaction of this plan that needs no confirmation.
#[must_use]
pub fn new(plan: &Plan) -> New<'_> {
    New {
        plan,
        asked: Asked::default(),
        command: vec!["hostward".to_owned(), "fix".to_owned()],
        confirm: Confirm::None,
        confirm_within: std::time::Duration::ZERO,
        found: Found::default(),
        keepers: Vec::new(),
    }
}

/// Every file below a directory but those of the store and the lock of the account files: path, kind, mode, owner, content and
/// attributes of each.
///
/// # Errors
/// One cannot be read.
pub fn picture(dir: &Path) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    let mut open = vec![dir.to_path_buf()];
    while let Some(at) = open.pop() {
        let inside = at.strip_prefix(dir)?;
        if inside == Path::new("var/lib/hostward") || inside == Path::new("etc/.pwd.lock") {
            continue;
        }
        let meta = std::fs::symlink_metadata(&at)?;
        let content = if meta.is_file() { std::fs::read(&at)? } else { Vec::new() };
        let readable = meta.is_file() || meta.is_dir();
        let xattrs = if readable { hostward::tree::xattr::read(std::fs::File::open(&at)?)? } else { Vec::new() };
        lines.push(format!(
            "/{} {:o} {}:{} {:?} {xattrs:?}",
            inside.display(),
            meta.mode(),
            meta.uid(),
            meta.gid(),
            String::from_utf8_lossy(&content)
        ));
        if meta.is_dir() {
            for entry in std::fs::read_dir(&at)? {
                open.push(entry?.path());
            }
        }
    }
    lines.sort();
    Ok(lines)
}
