//! What a check proposes to change. A proposal is an intent; the planner folds the intents of all checks into effects.

use std::path::PathBuf;

use crate::parse::key_blob::Fingerprint;

/// A proposed change: data, applied by nobody who has not read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// Give an sshd keyword this value in the global section, read before every other value.
    SshdSet {
        /// The main configuration file of the daemon concerned.
        config: PathBuf,
        /// The keyword, as `sshd_config(5)` spells it.
        keyword: &'static str,
        /// The value.
        value: String,
    },
    /// Change the value at this line, inside a Match block that opens what the global section closes.
    SshdLine {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: u32,
        /// The keyword, as `sshd_config(5)` spells it.
        keyword: &'static str,
        /// The value.
        value: String,
    },
    /// Reload the daemon's unit: what is on disk is right, what runs is old.
    SshdReload {
        /// The unit.
        unit: String,
    },
    /// Lock the account's password; key logins stay.
    LockPassword {
        /// The account.
        user: String,
    },
    /// Put the account's password out of use and forget its hash: an image carries neither. Nothing of it is kept.
    ForgetPassword {
        /// The account.
        user: String,
    },
    /// Give the account this shell.
    SetShell {
        /// The account.
        user: String,
        /// The shell.
        shell: &'static str,
    },
    /// Set the account's ageing fields in shadow, in days.
    SetAgeing {
        /// The account.
        user: String,
        /// `sp_min`
        min: Option<i64>,
        /// `sp_max`
        max: Option<i64>,
        /// `sp_warn`
        warn: Option<i64>,
    },
    /// Set a key of a `KEY value` or `key = value` file, adding it where it is missing.
    SetKey {
        /// The file.
        file: PathBuf,
        /// The key.
        key: &'static str,
        /// The value.
        value: String,
    },
    /// Set a kernel setting: for the next boot in a drop-in of our own, and in the running kernel.
    SetKernel {
        /// The setting, as `sysctl(8)` names it.
        key: &'static str,
        /// The value.
        value: i64,
    },
    /// Write a small file of our own.
    WriteFile {
        /// The file.
        file: PathBuf,
        /// Its content.
        content: String,
        /// Its mode.
        mode: u32,
    },
    /// Take the line of a key out of a file; its content goes to the transaction.
    RemoveLine {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: u32,
        /// The key that it must hold.
        key: Fingerprint,
    },
    /// Set the mode, keeping the owner.
    Chmod {
        /// The file.
        file: PathBuf,
        /// The mode.
        mode: u32,
    },
    /// Set owner and group.
    Chown {
        /// The file.
        file: PathBuf,
        /// The user id.
        uid: u32,
        /// The group id.
        gid: u32,
    },
    /// Remove a file; its content goes to the transaction.
    RemoveFile {
        /// The file.
        file: PathBuf,
    },
    /// Take a file or an empty directory away for good; nothing of it is kept.
    Erase {
        /// The path.
        path: PathBuf,
        /// Whether an empty file of the same owner and mode stays in its place.
        leave_empty: bool,
    },
    /// Stop and disable a unit.
    StopUnit {
        /// The unit.
        unit: String,
    },
    /// Drop new connections to a port in hostward's own nftables table, except from these sources.
    LimitPort {
        /// `tcp` or `udp`.
        protocol: &'static str,
        /// The port.
        port: u16,
        /// Sources that stay allowed, in CIDR.
        sources: Vec<String>,
    },
    /// Let only these users reach the metadata service (nftables owner rule).
    LimitMetadata {
        /// User ids that stay allowed; 0 is always among them.
        uids: Vec<u32>,
    },
    /// `ModifyInstanceMetadataOptions` with `HttpTokens=required`.
    RequireMetadataTokens {
        /// The instance.
        instance: String,
        /// Its region.
        region: String,
    },
}
