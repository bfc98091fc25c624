//! The manifest of a transaction: a versioned shape of its own, from which the effects read back.

use std::ffi::{CString, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hostward_checks::effect::{Effect, KernelSetting, NftTable, Owner, RemoteCall, State, UnitAction, Verb};
use hostward_checks::guard::Confirm;
use serde::{Deserialize, Serialize};

use super::asked::Asked;
use crate::tree::xattr::Xattr;

/// The version of the manifest's shape.
pub(super) const SCHEMA: &str = "hostward.transaction/1";

/// What a transaction does and undoes, written once, before anything changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`SCHEMA`].
    pub schema: String,
    /// The transaction's id.
    pub id: String,
    /// When it was made, RFC 3339 in UTC.
    pub at: String,
    /// The version of hostward that made it.
    pub version: String,
    /// The command line.
    pub command: Vec<String>,
    /// Who asked.
    pub asked: Asked,
    /// Whether it changes the running system.
    pub live: bool,
    /// How it is confirmed: `login`, `probe` or `none`.
    pub confirm: String,
    /// Within how many seconds; otherwise it is undone.
    pub confirm_within: u64,
    /// Part of the names of temporary files, so that they are found after a crash.
    pub token: String,
    /// The effects, in order.
    pub effects: Vec<EffectRecord>,
    /// What was found before.
    pub found: Found,
    /// Accounts that keep a way in, as the guards saw it.
    pub keepers: Vec<String>,
}

/// What a scan found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Found {
    /// The verdict: `pass`, `fail` or `undecided`; empty where nobody looked.
    pub verdict: String,
    /// The findings.
    pub findings: Vec<FindingRecord>,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindingRecord {
    /// The check.
    pub check: String,
    /// What it is about.
    pub subject: String,
    /// Its severity.
    pub severity: String,
}

/// One effect and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EffectRecord {
    /// For which findings.
    pub reasons: Vec<ReasonRecord>,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// For which finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReasonRecord {
    /// The check.
    pub check: String,
    /// The finding's subject.
    pub subject: String,
}

/// An effect as it is written down.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum What {
    /// A file or directory.
    File(FileRecord),
    /// A file or directory that goes for good, or what a file holds: its old content is not kept.
    Erase(FileRecord),
    /// The service manager.
    Unit {
        /// The unit.
        unit: String,
        /// The verb's word.
        verb: String,
    },
    /// Our firewall table.
    Table {
        /// The table before; None: none.
        before: Option<String>,
        /// The table afterwards; None: none.
        after: Option<String>,
    },
    /// A setting of the running kernel.
    Kernel {
        /// As `sysctl(8)` names it.
        key: String,
        /// The value before.
        before: String,
        /// The value afterwards.
        after: String,
    },
    /// A call to OpenAPI.
    Remote {
        /// The instance.
        instance: String,
        /// Its region.
        region: String,
        /// Whether tokens were required before.
        required_before: bool,
        /// Whether they are afterwards.
        required_after: bool,
    },
}

/// A path before and after.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FileRecord {
    /// The path in the root.
    #[serde(with = "bytes_path")]
    pub path: PathBuf,
    /// What stood there.
    pub before: Side,
    /// What stands there afterwards.
    pub after: Side,
}

/// What stands at a path on one side of a change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Side {
    /// Nothing.
    Absent,
    /// A regular file.
    File {
        /// Whose.
        #[serde(flatten)]
        owner: OwnerRecord,
        /// Its content, kept in a blob; None: the bytes are not touched.
        content: Option<Content>,
        /// Its attributes; None: not touched.
        xattrs: Option<Vec<XattrRecord>>,
    },
    /// A directory.
    Dir {
        /// Whose.
        #[serde(flatten)]
        owner: OwnerRecord,
    },
}

/// A blob's content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// SHA-256, in hexadecimal.
    pub sha256: String,
    /// Bytes.
    pub size: u64,
}

/// Owner, group and mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnerRecord {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Permission bits.
    #[serde(with = "octal")]
    pub mode: u32,
}

/// One extended attribute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct XattrRecord {
    /// Its name.
    pub name: String,
    /// Its value, in base64.
    pub value: String,
}

impl From<Owner> for OwnerRecord {
    fn from(owner: Owner) -> Self {
        Self { uid: owner.uid, gid: owner.gid, mode: owner.mode }
    }
}

impl From<OwnerRecord> for Owner {
    fn from(owner: OwnerRecord) -> Self {
        Self { uid: owner.uid, gid: owner.gid, mode: owner.mode }
    }
}

impl Side {
    /// A side without content or attributes yet.
    pub fn of(state: &State, content: Option<Content>, xattrs: Option<Vec<XattrRecord>>) -> Self {
        match state {
            State::Absent => Self::Absent,
            State::File { owner, .. } => Self::File { owner: (*owner).into(), content, xattrs },
            State::Dir { owner } => Self::Dir { owner: (*owner).into() },
        }
    }

    /// Whose it is; None where there is nothing.
    pub fn owner(&self) -> Option<Owner> {
        match self {
            Self::Absent => None,
            Self::File { owner, .. } | Self::Dir { owner } => Some((*owner).into()),
        }
    }

    /// Its content's digest and size, where it is kept.
    pub fn content(&self) -> Option<&Content> {
        match self {
            Self::File { content, .. } => content.as_ref(),
            Self::Absent | Self::Dir { .. } => None,
        }
    }

    /// Its attributes, where they are kept.
    pub fn xattrs(&self) -> Option<Vec<Xattr>> {
        match self {
            Self::File { xattrs: Some(xattrs), .. } => Some(xattrs.iter().filter_map(XattrRecord::read).collect()),
            _ => None,
        }
    }
}

impl XattrRecord {
    /// As it is written down; None: a name that no text holds.
    pub fn new(xattr: &Xattr) -> Option<Self> {
        Some(Self { name: xattr.name.to_str().ok()?.to_owned(), value: BASE64.encode(&xattr.value) })
    }

    fn read(&self) -> Option<Xattr> {
        Some(Xattr { name: CString::new(self.name.as_str()).ok()?, value: BASE64.decode(&self.value).ok()? })
    }
}

impl What {
    /// An effect that is no file change, as it is written down.
    pub fn of(effect: &Effect) -> Option<Self> {
        match effect {
            Effect::File(_) | Effect::Erase(_) => None,
            Effect::Unit(action) => Some(Self::Unit { unit: action.unit.clone(), verb: action.verb.word().to_owned() }),
            Effect::Table(table) => Some(Self::Table { before: table.before.clone(), after: table.after.clone() }),
            Effect::Kernel(KernelSetting { key, before, after }) => {
                Some(Self::Kernel { key: key.clone(), before: before.clone(), after: after.clone() })
            }
            Effect::Remote(call) => Some(Self::Remote {
                instance: call.instance.clone(),
                region: call.region.clone(),
                required_before: call.tokens_before == REQUIRED,
                required_after: call.tokens_after == REQUIRED,
            }),
        }
    }

    /// Whether this version of hostward knows all of its words.
    pub fn is_known(&self) -> bool {
        matches!(self, Self::File(_) | Self::Erase(_)) || self.effect().is_some()
    }

    /// The effect; None: a file change, whose contents are in blobs, or a word of another version.
    pub fn effect(&self) -> Option<Effect> {
        Some(match self {
            Self::File(_) | Self::Erase(_) => return None,
            Self::Unit { unit, verb } => Effect::Unit(UnitAction { unit: unit.clone(), verb: Verb::from_word(verb)? }),
            Self::Table { before, after } => Effect::Table(NftTable { before: before.clone(), after: after.clone() }),
            Self::Kernel { key, before, after } => {
                Effect::Kernel(KernelSetting { key: key.clone(), before: before.clone(), after: after.clone() })
            }
            Self::Remote { instance, region, required_before, required_after } => Effect::Remote(RemoteCall {
                instance: instance.clone(),
                region: region.clone(),
                tokens_before: tokens(*required_before),
                tokens_after: tokens(*required_after),
            }),
        })
    }
}

/// `HttpTokens` of `ModifyInstanceMetadataOptions`.
const REQUIRED: &str = "required";

fn tokens(required: bool) -> &'static str {
    if required { REQUIRED } else { "optional" }
}

impl Manifest {
    /// The file changes, each with its place among the effects, which is also the name of its blobs.
    pub fn files(&self) -> impl DoubleEndedIterator<Item = (usize, &FileRecord)> {
        self.effects.iter().enumerate().filter_map(|(index, effect)| match &effect.what {
            What::File(file) => Some((index, file)),
            _ => None,
        })
    }

    /// What goes for good, in order, each with its place among the effects.
    pub fn erasures(&self) -> impl Iterator<Item = (usize, &FileRecord)> {
        self.effects.iter().enumerate().filter_map(|(index, effect)| match &effect.what {
            What::Erase(file) => Some((index, file)),
            _ => None,
        })
    }

    /// What the service manager is asked, in order.
    pub fn units(&self) -> Vec<UnitAction> {
        let units =
            self.others().filter_map(|effect| if let Effect::Unit(action) = effect { Some(action) } else { None });
        units.collect()
    }

    /// Our firewall table before and afterwards, where it changes.
    pub fn table(&self) -> Option<NftTable> {
        self.others().find_map(|effect| if let Effect::Table(table) = effect { Some(table) } else { None })
    }

    /// What is set in the running kernel.
    pub fn kernel(&self) -> Vec<KernelSetting> {
        let settings =
            self.others().filter_map(|effect| if let Effect::Kernel(setting) = effect { Some(setting) } else { None });
        settings.collect()
    }

    /// The calls to OpenAPI.
    pub fn calls(&self) -> Vec<RemoteCall> {
        let calls =
            self.others().filter_map(|effect| if let Effect::Remote(call) = effect { Some(call) } else { None });
        calls.collect()
    }

    fn others(&self) -> impl Iterator<Item = Effect> {
        self.effects.iter().filter_map(|effect| effect.what.effect())
    }

    /// How it is confirmed.
    pub fn confirm(&self) -> Confirm {
        match self.confirm.as_str() {
            "none" => Confirm::None,
            "probe" => Confirm::Probe,
            _ => Confirm::Login,
        }
    }
}

/// The word for a way to confirm.
pub(super) fn confirm_word(confirm: Confirm) -> &'static str {
    match confirm {
        Confirm::Login => "login",
        Confirm::Probe => "probe",
        Confirm::None => "none",
    }
}

/// A path is text where it can be, else its bytes: names on disk need not be UTF-8.
mod bytes_path {
    use super::*;
    use serde::{Deserializer, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Shape {
        Text(String),
        Bytes { base64: String },
    }

    pub(super) fn serialize<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
        let shape = match path.to_str() {
            Some(text) => Shape::Text(text.to_owned()),
            None => Shape::Bytes { base64: BASE64.encode(path.as_os_str().as_bytes()) },
        };
        shape.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
        let bytes = match Shape::deserialize(deserializer)? {
            Shape::Text(text) => text.into_bytes(),
            Shape::Bytes { base64 } => BASE64.decode(base64).map_err(serde::de::Error::custom)?,
        };
        Ok(PathBuf::from(OsString::from_vec(bytes)))
    }
}

/// A mode reads as everyone writes it.
mod octal {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(mode: &u32, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("{mode:04o}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
        let text = String::deserialize(deserializer)?;
        u32::from_str_radix(&text, 8).map_err(serde::de::Error::custom)
    }
}
