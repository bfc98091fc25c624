//! What a plan does to a host: six kinds of effect, and whoever applies them knows no other.

use std::path::PathBuf;
use std::sync::Arc;

/// Owner, group and permission bits of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Permission bits with set-id and sticky: `st_mode & 0o7777`.
    pub mode: u32,
}

impl Owner {
    /// Root's, with this mode.
    pub fn root(mode: u32) -> Self {
        Self { uid: 0, gid: 0, mode }
    }
}

/// What stands at a path, as far as a change concerns it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing.
    Absent,
    /// A regular file. Without content: only owner and mode are meant, the bytes stay what they are.
    File {
        /// Its bytes, where they matter.
        content: Option<Arc<[u8]>>,
        /// Whose it is.
        owner: Owner,
    },
    /// A directory.
    Dir {
        /// Whose it is.
        owner: Owner,
    },
}

impl State {
    /// A file with this content.
    pub fn file(content: impl Into<Arc<[u8]>>, owner: Owner) -> Self {
        Self::File { content: Some(content.into()), owner }
    }

    /// Its owner and mode; None where there is nothing.
    pub fn owner(&self) -> Option<Owner> {
        match self {
            Self::Absent => None,
            Self::File { owner, .. } | Self::Dir { owner } => Some(*owner),
        }
    }

    /// Its bytes, where they matter.
    pub fn content(&self) -> Option<&Arc<[u8]>> {
        match self {
            Self::File { content, .. } => content.as_ref(),
            Self::Absent | Self::Dir { .. } => None,
        }
    }
}

/// One path before and after. Undoing it is the same change turned round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileChange {
    /// The path inside the root; no component of it is a symbolic link.
    pub path: PathBuf,
    /// What the change was computed from: anything else at the path makes the plan stale.
    pub before: State,
    /// What stands there afterwards.
    pub after: State,
}

impl FileChange {
    /// The change that undoes this one.
    #[must_use]
    pub fn inverse(&self) -> Self {
        Self { path: self.path.clone(), before: self.after.clone(), after: self.before.clone() }
    }
}

/// What is asked of the service manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Read the configuration again, without cutting connections.
    Reload,
    /// Stop now and do not start at boot.
    StopAndDisable,
    /// Start now and at boot.
    EnableAndStart,
}

impl Verb {
    /// The word for it in reports and manifests.
    pub fn word(self) -> &'static str {
        match self {
            Self::Reload => "reload",
            Self::StopAndDisable => "stop-and-disable",
            Self::EnableAndStart => "enable-and-start",
        }
    }

    /// The verb with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Reload, Self::StopAndDisable, Self::EnableAndStart].into_iter().find(|verb| verb.word() == word)
    }
}

/// One request to the service manager. It comes after every file change, and its inverse after the files are put back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitAction {
    /// The unit.
    pub unit: String,
    /// What it is to do.
    pub verb: Verb,
}

/// hostward's own nftables table, replaced whole in one transaction of the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NftTable {
    /// The table that the files of before stand for; undoing loads it again. None: no such table.
    pub before: Option<String>,
    /// The table as `nft -f` reads it; None: no such table.
    pub after: Option<String>,
}

/// A call to Alibaba Cloud's OpenAPI with the instance's own role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteCall {
    /// The instance.
    pub instance: String,
    /// Its region.
    pub region: String,
    /// `HttpTokens` before, for the inverse: `optional` or `required`.
    pub tokens_before: &'static str,
    /// `HttpTokens` after.
    pub tokens_after: &'static str,
}

/// A setting of the running kernel. It comes with the units, after every file change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelSetting {
    /// As `sysctl(8)` names it: `kernel.randomize_va_space`.
    pub key: String,
    /// The value that ran; anything else makes the plan stale.
    pub before: String,
    /// The value that is to run.
    pub after: String,
}

/// One effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// A file or directory changes.
    File(FileChange),
    /// The service manager is asked.
    Unit(UnitAction),
    /// A file or directory goes, or loses what it holds, for good: nothing of it is kept and nothing puts it back, so it comes
    /// after everything else. Where the old content is there, the new one was computed from it.
    Erase(FileChange),
    /// Our firewall table changes.
    Table(NftTable),
    /// A setting of the running kernel changes.
    Kernel(KernelSetting),
    /// The ECS endpoint is called.
    Remote(RemoteCall),
}
