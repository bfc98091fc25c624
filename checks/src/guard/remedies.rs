//! Guards of the remedies for accounts, keys and settings: what hostward never does to a host, whatever was found there.

mod agents;
mod files;
mod host_keys;
mod keys;
mod last_step;
mod metadata;
mod passwords;
mod settings;
#[cfg(test)]
mod testing;

use agents::AGENTS;
use files::READERS;
use host_keys::NEW_HOST_KEYS;
use keys::KEY_REASON;
use last_step::LAST_STEP;
use metadata::OPENAPI;
use passwords::{BANG_LOCK, PASSWORD_USES, ROOT_PASSWORD};
use settings::{AGEING, LOCKOUT};

use super::Guard;
use crate::edit::Edit;

/// What no remedy of this kind may do.
pub(super) fn of(edit: &Edit) -> &'static [&'static Guard] {
    match edit {
        Edit::SshdSet { .. } | Edit::SshdLine { .. } => const { &[&AGENTS, &BANG_LOCK] },
        Edit::LockPassword { .. } => const { &[&AGENTS, &BANG_LOCK, &ROOT_PASSWORD, &PASSWORD_USES] },
        Edit::ForgetPassword { .. } => const { &[&AGENTS, &BANG_LOCK, &ROOT_PASSWORD, &PASSWORD_USES, &LAST_STEP] },
        Edit::Erase { .. } => const { &[&AGENTS, &NEW_HOST_KEYS, &LAST_STEP] },
        Edit::WriteFile { .. } => const { &[&AGENTS, &LAST_STEP] },
        Edit::SetAgeing { .. } => const { &[&AGENTS, &AGEING] },
        Edit::SetKey { .. } => const { &[&AGENTS, &LOCKOUT] },
        Edit::RemoveLine { .. } => const { &[&AGENTS, &KEY_REASON] },
        Edit::Chmod { .. } | Edit::Chown { .. } => const { &[&AGENTS, &READERS] },
        Edit::RequireMetadataTokens { .. } => const { &[&OPENAPI] },
        Edit::RemoveFile { .. } => const { &[&AGENTS, &NEW_HOST_KEYS] },
        Edit::SshdReload { .. }
        | Edit::SetShell { .. }
        | Edit::SetKernel { .. }
        | Edit::StopUnit { .. }
        | Edit::LimitPort { .. }
        | Edit::LimitMetadata { .. } => const { &[&AGENTS] },
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use crate::edit::Edit;
    use crate::guard;
    use crate::parse::key_blob::samples;

    #[test]
    fn every_kind_of_edit_names_its_guards() {
        let (file, user) = (|| "/f".into(), || "u".to_owned());
        let key = samples::ED25519.fingerprint.parse().unwrap();
        let root = ["access.admin-way", "agents.alibaba"];
        for (edit, want) in [
            (Edit::SshdSet { config: file(), keyword: "UsePAM", value: user() }, &["passwords.bang-lock"][..]),
            (Edit::SshdLine { file: file(), line: 1, keyword: "UsePAM", value: user() }, &["passwords.bang-lock"]),
            (Edit::SshdReload { unit: user() }, &[]),
            (Edit::LockPassword { user: user() }, &["passwords.bang-lock", "passwords.root", "passwords.uses"]),
            (Edit::ForgetPassword { user: user() }, &["passwords.bang-lock", "passwords.root", "image.last-step"]),
            (Edit::Erase { path: file(), leave_empty: false }, &["sshd.new-host-keys", "image.last-step"]),
            (Edit::SetShell { user: user(), shell: "/" }, &[]),
            (Edit::SetAgeing { user: user(), min: None, max: None, warn: None }, &["accounts.ageing"]),
            (Edit::SetKey { file: file(), key: "k", value: user() }, &["accounts.lockout"]),
            (Edit::WriteFile { file: file(), content: user(), mode: 0 }, &["image.last-step"]),
            (Edit::RemoveLine { file: file(), line: 1, key }, &["keys.reason"]),
            (Edit::Chmod { file: file(), mode: 0 }, &["keys.readers"]),
            (Edit::Chown { file: file(), uid: 0, gid: 0 }, &["keys.readers"]),
            (Edit::RemoveFile { file: file() }, &["sshd.new-host-keys"]),
        ] {
            let ids: Vec<&str> = guard::of(&edit).iter().map(|guard| guard.id).collect();
            let missing: Vec<_> = root.iter().chain(want).filter(|id| !ids.contains(*id)).collect();
            assert!(missing.is_empty(), "{edit:?}: {missing:?} of {ids:?}");
            assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{ids:?}");
        }
        for edit in [
            Edit::StopUnit { unit: user() },
            Edit::LimitPort { protocol: "tcp", port: 1, sources: vec![] },
            Edit::LimitMetadata { uids: vec![] },
            Edit::SetKernel { key: "a.b", value: 1 },
            Edit::RequireMetadataTokens { instance: user(), region: user() },
        ] {
            assert!(!guard::of(&edit).is_empty(), "{edit:?}");
        }
    }
}
