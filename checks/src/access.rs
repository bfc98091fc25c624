//! Who can log in, how, from where, and what it grants: the matrix that every check about logins reads.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use crate::fact::{Fact, Why};
use crate::observation::UnixSeconds;
use crate::sshd::{Effective, Origin, Refusal};

mod daemon;
mod gate;
mod grant;
mod keys;
mod methods;
mod pam;
pub mod region;
mod resolve;
mod rules;
#[cfg(test)]
mod testing;
mod ways;

/// The access matrix of a host.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// One entry an sshd instance.
    pub daemons: Vec<DaemonAccess>,
}

/// One sshd instance: who gets in through it.
#[derive(Clone, Debug)]
pub struct DaemonAccess {
    /// Its main configuration file.
    pub config: PathBuf,
    /// Its unit, where known.
    pub unit: Option<String>,
    /// What it listens on: from the running process, its socket unit, or its configuration.
    pub listeners: Vec<SocketAddr>,
    /// One entry an account, in the order of the passwd file.
    pub accounts: Vec<AccountAccess>,
    /// What makes answers of this daemon uncertain as a whole (a file that could not be read, an unknown version).
    pub doubts: Vec<Why>,
    /// The settings outside every Match block, or what sshd refuses in the files.
    pub global: Result<Effective, Refusal>,
    /// The settings of the connections looked at, each once; [`SourceAccess::settings`] counts into it.
    pub effective: Vec<Effective>,
    /// Where the first Match block of each file begins.
    pub blocks: Vec<(PathBuf, u32)>,
    /// sshd's path, for commands.
    pub program: String,
    /// The daemon's own options, for commands: each with a space in front.
    pub options: String,
}

impl DaemonAccess {
    /// The settings of one account's connection from one class of source.
    pub fn effective(&self, source: &SourceAccess) -> Option<&Effective> {
        self.effective.get(source.settings)
    }

    /// All different settings: those outside every Match block, then those of the connections looked at.
    pub fn settings(&self) -> impl Iterator<Item = &Effective> {
        self.global.iter().chain(&self.effective)
    }

    /// Whether a line stands in a Match block: it beats every global value while the block holds.
    pub fn in_block(&self, file: &Path, line: u32) -> bool {
        self.blocks.iter().any(|(path, first)| path == file && *first < line)
    }

    /// Whether this sshd knows a keyword, in lower case.
    pub fn knows(&self, keyword: &str) -> bool {
        self.global.as_ref().is_ok_and(|global| global.setting(keyword).is_some())
    }
}

/// One account at one daemon.
#[derive(Clone, Debug)]
pub struct AccountAccess {
    /// Its name.
    pub user: String,
    /// Its uid.
    pub uid: u32,
    /// Whether it is root or can become root through sudo.
    pub admin: Fact<bool>,
    /// One entry a class of source.
    pub sources: Vec<SourceAccess>,
}

/// A class of source addresses within which every answer is the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceClass {
    /// The host itself.
    Loopback,
    /// A private (RFC 1918, ULA, shared 100.64/10) address.
    Private,
    /// A public address.
    Public,
    /// A region that the configuration or a key's `from=` carves out, e.g. `10.0.0.0/8`.
    Region(String),
    /// Exactly the address that was asked for.
    Exactly(IpAddr),
}

impl SourceClass {
    /// The word for it in reports.
    pub fn word(&self) -> String {
        match self {
            Self::Loopback => "loopback".to_owned(),
            Self::Private => "private".to_owned(),
            Self::Public => "public".to_owned(),
            Self::Region(region) => region.clone(),
            Self::Exactly(address) => address.to_string(),
        }
    }

    /// Whether an address of the class may come from the internet.
    pub fn is_public(&self, example: IpAddr) -> bool {
        match self {
            Self::Public => true,
            Self::Loopback | Self::Private => false,
            Self::Region(_) | Self::Exactly(_) => classify(example) == Self::Public,
        }
    }
}

/// The broad class of an address.
pub fn classify(address: IpAddr) -> SourceClass {
    match address.to_canonical() {
        ip if ip.is_loopback() => SourceClass::Loopback,
        IpAddr::V4(ip) => {
            let [first, second, ..] = ip.octets();
            let shared = first == 100 && (64..128).contains(&second);
            if ip.is_private() || ip.is_link_local() || shared { SourceClass::Private } else { SourceClass::Public }
        }
        IpAddr::V6(ip) => {
            let local = ip.is_unique_local() || ip.is_unicast_link_local();
            if local { SourceClass::Private } else { SourceClass::Public }
        }
    }
}

/// One account from one class of source.
#[derive(Clone, Debug)]
pub struct SourceAccess {
    /// The class.
    pub class: SourceClass,
    /// An address in it.
    pub example: IpAddr,
    /// Which of [`DaemonAccess::effective`] holds.
    pub settings: usize,
    /// The ways that succeed; empty: no way in.
    pub ways: Vec<Way>,
    /// `SHA256:…` of the keys that would be accepted (alone or as a step).
    pub usable_keys: Vec<String>,
    /// The last login seen from such a source.
    pub last_used: Option<UnixSeconds>,
    /// Why nothing, or why some method does not, get in.
    pub refused_because: Vec<String>,
    /// The settings that decide.
    pub decided_by: Vec<Decision>,
    /// The command that shows the settings: `sshd -T -C …`.
    pub reproduce: String,
    /// What the answer rests on and could not be read: ways may be missing or fail.
    pub doubts: Vec<AccessDoubt>,
}

/// What makes an answer uncertain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessDoubt {
    /// The method concerned; None: every one.
    pub method: Option<Method>,
    /// Why.
    pub why: Why,
}

impl SourceAccess {
    /// The ways that are sure.
    pub fn sure(&self) -> impl Iterator<Item = &Way> {
        self.ways.iter().filter(|way| way.certain)
    }

    /// Doubts that could hide or undo a way by one of these methods.
    pub fn doubts_about(&self, methods: &[Method]) -> impl Iterator<Item = &Why> {
        self.doubts.iter().filter(|doubt| doubt.method.is_none_or(|m| methods.contains(&m))).map(|doubt| &doubt.why)
    }
}

/// A way in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Way {
    /// The methods in order, as sshd names them: `publickey`, or `publickey`,`password` for two steps.
    pub methods: Vec<Method>,
    /// What it gives.
    pub grants: Grant,
    /// `SHA256:…` of the keys any one of which serves for its publickey step; empty where it has none.
    pub keys: Vec<String>,
    /// Whether it is sure; false: it rests on what could not be read or understood, and [`SourceAccess::doubts`] says on what.
    pub certain: bool,
}

impl Way {
    /// The methods joined by commas, as `AuthenticationMethods` writes them.
    pub fn path(&self) -> String {
        self.methods.iter().map(|method| method.word()).collect::<Vec<_>>().join(",")
    }

    /// Whether it surely gives a shell for a key alone: what an administrator is held to have.
    pub fn is_key_shell(&self) -> bool {
        self.certain && self.grants == Grant::Shell && self.methods.iter().all(|method| *method == Method::Publickey)
    }

    /// Whether a password alone is enough: every step is a password, a keyboard-interactive answer, or nothing.
    pub fn password_only(&self) -> bool {
        self.methods.iter().all(|m| matches!(m, Method::Password | Method::KeyboardInteractive | Method::None))
    }
}

/// An authentication method of sshd.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Method {
    /// No authentication: an empty password.
    None,
    /// A key or certificate.
    Publickey,
    /// A password.
    Password,
    /// Challenge and response, through PAM: a password too.
    KeyboardInteractive,
    /// The client host's key.
    Hostbased,
    /// Kerberos.
    Gssapi,
}

impl Method {
    /// The method with sshd's name.
    pub fn from_word(word: &str) -> Option<Self> {
        const ALL: [Method; 6] = [
            Method::None,
            Method::Publickey,
            Method::Password,
            Method::KeyboardInteractive,
            Method::Hostbased,
            Method::Gssapi,
        ];
        ALL.into_iter().find(|method| method.word() == word)
    }

    /// sshd's name for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Publickey => "publickey",
            Self::Password => "password",
            Self::KeyboardInteractive => "keyboard-interactive",
            Self::Hostbased => "hostbased",
            Self::Gssapi => "gssapi-with-mic",
        }
    }
}

/// What a way in gives, most first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Grant {
    /// Any command.
    Shell,
    /// One forced command (that may still forward ports).
    Command,
    /// Files only.
    Sftp,
    /// No session; ports can be forwarded.
    Forward,
    /// Authenticates, and gives nothing.
    Nothing,
}

impl Grant {
    /// The word for it in reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Shell => "shell",
            Self::Command => "command",
            Self::Sftp => "sftp",
            Self::Forward => "forward",
            Self::Nothing => "nothing",
        }
    }
}

/// A setting that decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The keyword, as `sshd_config(5)` spells it.
    pub keyword: &'static str,
    /// Its value.
    pub value: String,
    /// Where it was set.
    pub origin: Origin,
}
