//! Parsers: bytes in, typed values with line numbers and defects out. They are total: no input makes them fail, and
//! a line that cannot be understood never hides the others.

pub mod access_conf;
pub mod access_key;
pub mod apt;
pub mod authorized_keys;
pub mod gzip;
pub mod iptables;
pub mod key_blob;
pub mod login_defs;
pub mod lz4;
pub mod nft;
pub mod nsswitch;
pub mod package_version;
pub mod pam;
pub mod passwd;
pub mod private_key;
pub mod procfs;
pub mod rpm;
pub mod ruleset;
pub mod secrets;
pub mod security_conf;
pub mod sshd_log;
pub mod sshd_title;
pub mod sudoers;
pub mod sysctl;
pub mod user_data;
pub mod utmp;
pub mod yaml;

/// A line that a parser could not understand, or understood with a caveat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defect {
    /// The line, from 1.
    pub line: u32,
    /// What is wrong, in words, without the line's content (which may be secret).
    pub what: String,
}
pub mod revoked_keys;
pub mod systemd_unit;
