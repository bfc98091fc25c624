//! Where what does not belong into an image lies on the distributions that ECS offers.

use std::path::Path;

use super::walk::Finder;
use super::{Becomes, What};
use crate::parse::passwd::PasswordField;
use crate::parse::{private_key, systemd_unit};
use crate::snapshot::{Kind, Meta};

/// Beside passwd, shadow and gshadow: what shadow's tools, Debian's daily backup and editors leave.
const BACKUPS: [&str; 4] = ["/etc/shadow?*", "/etc/gshadow?*", "/etc/passwd?*", "/var/backups/*shadow*"];
/// Passwords that are not to be used again (`pam_pwhistory(8)`), and those that packages asked for (`debconf(7)`).
const OLD_PASSWORDS: [&str; 2] = ["/etc/security/opasswd", "/var/cache/debconf/passwords.dat"];

const SEEDS: [&str; 7] = [
    "/var/lib/systemd/random-seed",
    "/var/lib/urandom/random-seed",
    "/var/lib/random-seed",
    "/boot/loader/random-seed",
    "/boot/efi/loader/random-seed",
    "/efi/loader/random-seed",
    "/var/lib/misc/random-seed",
];
/// Leases, and what a client calls itself: ISC's, dhcpcd, NetworkManager, wicked, the address that old udev keeps.
const LEASES: [&str; 14] = [
    "/var/lib/dhcp/*.lease*",
    "/var/lib/dhcp3/*.lease*",
    "/var/lib/dhclient/*.lease*",
    "/var/lib/dhcpcd/*.lease*",
    "/var/lib/dhcpcd/duid",
    "/var/lib/dhcpcd/secret",
    "/etc/dhcpcd.duid",
    "/var/lib/NetworkManager/*.lease*",
    "/var/lib/NetworkManager/secret_key",
    "/var/lib/NetworkManager/seen-bssids",
    "/var/lib/wicked/*.xml",
    "/var/lib/systemd/network/*.lease",
    "/var/lib/systemd/network/dhcp*/*",
    "/etc/udev/rules.d/70-persistent-net.rules",
];
/// What systemd encrypts credentials of this host with (`systemd-creds(1)`).
const HOST_SECRETS: [&str; 1] = ["/var/lib/systemd/credential.secret"];
/// Where open-iscsi and Red Hat's iscsi-initiator-utils keep the name.
pub const INITIATOR_NAME: &str = "/etc/iscsi/initiatorname.iscsi";
/// What Debian's start-up script makes a name of; without the file it starts nothing.
pub const GENERATE_NAME: &str = "GenerateName=yes\n";
const STARTUP_CHECKS: [&str; 2] = ["/usr/lib/open-iscsi/startup-checks.sh", "/lib/open-iscsi/startup-checks.sh"];
/// Red Hat's unit that makes the file where there is none.
const ISCSI_INIT: [&str; 2] = ["/usr/lib/systemd/system/iscsi-init.service", "/lib/systemd/system/iscsi-init.service"];
/// Who logged in and what was run, outside /var/log: wtmpdb, lastlog2, accounting of processes.
const LOGS: [&str; 4] = ["/var/lib/wtmpdb/*", "/var/lib/lastlog/*", "/var/account/pacct*", "/var/log/account/pacct*"];
/// What the Cloud Assistant ran: scripts, with the passwords in them, and its logs.
const ASSISTANT: [&str; 2] = ["/usr/local/share/aliyun-assist", "/opt/local/share/aliyun-assist"];
/// Mail of users, and what waits to be sent.
const MAIL: [&str; 10] = [
    "/var/mail",
    "/var/spool/mail",
    "/var/spool/clientmqueue",
    "/var/spool/mqueue",
    "/var/spool/exim4/input",
    "/var/spool/exim4/msglog",
    "/var/spool/postfix/active",
    "/var/spool/postfix/deferred",
    "/var/spool/postfix/incoming",
    "/var/spool/postfix/maildrop",
];
/// What an installer and an image builder leave in root's home and beside it.
const BUILD: [&str; 5] = [
    "/root/anaconda-ks.cfg",
    "/root/original-ks.cfg",
    "/root/initial-setup-ks.cfg",
    "/root/install.log*",
    "/root/ks-*.log",
];
/// What shells, clients and editors remember of what was typed.
const HISTORIES: [&str; 23] = [
    ".bash_history",
    ".zsh_history",
    ".zhistory",
    ".sh_history",
    ".ash_history",
    ".ksh_history",
    ".history",
    ".local/share/fish/fish_history",
    ".mysql_history",
    ".mariadb_history",
    ".psql_history",
    ".sqlite_history",
    ".rediscli_history",
    ".dbshell",
    ".python_history",
    ".node_repl_history",
    ".irb_history",
    ".php_history",
    ".Rhistory",
    ".influx_history",
    ".clickhouse-client-history",
    ".lesshst",
    ".local/state/lesshst",
];
/// The same of editors and pagers, which remember parts of files too.
const EDITORS: [&str; 4] = [".viminfo", ".local/state/vim/viminfo", ".local/share/nano/search_history", ".wget-hsts"];
/// Logins for other services.
const LOGINS: [&str; 5] = [".netrc", ".git-credentials", ".pgpass", ".vault-token", ".config/gh/hosts.yml"];
/// What tools that build and fetch programs keep, to be fetched again; not the rest of `.cache`, where images are given models and browsers on purpose.
const CACHES: [&str; 8] = [
    ".cache/pip",
    ".cache/go-build",
    ".cache/yarn",
    ".cache/composer",
    ".cache/node-gyp",
    ".cache/packer",
    ".npm/_cacache",
    ".npm/_logs",
];
/// What hostward knows of the host. Its baseline is a decision and stays.
const OWN: [&str; 5] = ["report.json", "known.json", "tried.json", "remedy.json", "config.json"];
const STATE: &str = "/var/lib/hostward";

/// Secrets that open the host itself.
pub(super) fn credentials(finder: &mut Finder<'_, '_>) {
    for pattern in BACKUPS {
        for path in finder.paths(What::Hashes, pattern) {
            if finder.content(What::Hashes, &path).is_some_and(holds_hash) {
                finder.file(What::Hashes, &path, Becomes::Nothing);
            }
        }
    }
    for path in OLD_PASSWORDS {
        finder.file(What::Hashes, Path::new(path), Becomes::Empty);
    }
    // Also those that no sshd reads any more.
    finder.glob(What::HostKey, "/etc/ssh/ssh_host_*_key", Becomes::Nothing);
}

/// Whether a line has a hash where passwd, shadow and gshadow have theirs (`crypt(5)`): what it is for is in other files, too
/// (`/etc/passwd-ossfs`).
fn holds_hash(content: &[u8]) -> bool {
    content.split(|byte| *byte == b'\n').any(|line| {
        let mut fields = line.split(|byte| *byte == b':');
        let field = PasswordField::new(fields.nth(1).unwrap_or_default());
        let Some(hash) = field.hash().or(field.hash_behind_lock()) else { return false };
        let des = |byte: &u8| byte.is_ascii_alphanumeric() || b"./".contains(byte);
        // The oldest method has no mark: 13 characters, in a line with all of gshadow's fields.
        hash.starts_with(b"$") || (hash.len() == 13 && hash.iter().all(des) && fields.count() >= 2)
    })
}

/// What tells this host from others.
pub(super) fn identity(finder: &mut Finder<'_, '_>) {
    finder.glob(What::HostKeyPublic, "/etc/ssh/ssh_host_*_key*.pub", Becomes::Nothing);
    machine_id(finder);
    for path in SEEDS {
        finder.file(What::Seed, Path::new(path), Becomes::Nothing);
    }
    for pattern in LEASES {
        finder.glob(What::Lease, pattern, Becomes::Nothing);
    }
    for path in HOST_SECRETS {
        finder.file(What::HostSecret, Path::new(path), Becomes::Nothing);
    }
    initiator_name(finder);
    for dir in ["/var/lib/cloud/instances", "/var/lib/cloud/data", "/var/lib/cloud/sem"] {
        finder.tree(What::CloudInit, dir, |_, _| Some(Becomes::Nothing));
    }
    // It names the instance, also when nothing is left there.
    finder.link(What::CloudInit, "/var/lib/cloud/instance");
}

/// systemd makes an id at boot where the file is empty, or says `uninitialized` (`machine-id(5)`); but takes the one that D-Bus
/// has where there is one.
fn machine_id(finder: &mut Finder<'_, '_>) {
    let id = Path::new("/etc/machine-id");
    if finder
        .content(What::MachineId, id)
        .is_some_and(|text| text.trim_ascii() != b"uninitialized" && !text.trim_ascii().is_empty())
    {
        finder.file(What::MachineId, id, Becomes::Empty);
    }
    finder.file(What::MachineId, Path::new("/var/lib/dbus/machine-id"), Becomes::Nothing);
}

/// A name that was made stays for good: only an instruction to make one, or no file at all, gives every instance its own.
fn initiator_name(finder: &mut Finder<'_, '_>) {
    let file = Path::new(INITIATOR_NAME);
    let named = |text: &[u8]| text.split(|byte| *byte == b'\n').any(|line| line.starts_with(b"InitiatorName="));
    if !finder.content(What::InitiatorName, file).is_some_and(named) {
        return;
    }
    let there = |path: &&str| finder.reader.meta(Path::new(path)).is_ok();
    let waits = |path: &&str| {
        let unit =
            finder.reader.file(Path::new(path)).map(|view| systemd_unit::parse(view.bytes).0).unwrap_or_default();
        unit.values("Unit", "ConditionPathExists").contains(&format!("!{INITIATOR_NAME}").as_bytes())
    };
    let becomes = match (STARTUP_CHECKS.iter().any(there), ISCSI_INIT.iter().any(waits)) {
        (true, _) => Becomes::GenerateName,
        (false, true) => Becomes::Nothing,
        (false, false) => Becomes::Stays,
    };
    finder.file(What::InitiatorName, file, becomes);
}

/// What was done on the host.
pub(super) fn traces(finder: &mut Finder<'_, '_>) {
    finder.tree(What::Log, "/var/log", log);
    for pattern in LOGS {
        finder.glob(What::Log, pattern, Becomes::Nothing);
    }
    for dir in ASSISTANT {
        finder.tree(What::Temporary, &format!("{dir}/work/script"), |_, _| Some(Becomes::Nothing));
        finder.glob(What::Log, &format!("{dir}/*/log/*"), Becomes::Nothing);
    }
    for dir in MAIL {
        finder.tree(What::Mail, dir, |_, _| Some(Becomes::Nothing));
    }
    for dir in ["/var/crash", "/var/lib/systemd/coredump", "/var/spool/abrt", "/var/cache/abrt-di"] {
        finder.tree(What::Dump, dir, |_, _| Some(Becomes::Nothing));
    }
    for pattern in BUILD {
        finder.glob(What::Build, pattern, Becomes::Nothing);
    }
    for dir in ["/tmp", "/var/tmp"] {
        finder.tree(What::Temporary, dir, |_, _| Some(Becomes::Nothing));
    }
}

/// A log that is written stays, empty, with its owner and mode: not every daemon may make it anew. Journals and what was rotated
/// away go.
fn log(path: &Path, meta: &Meta) -> Option<Becomes> {
    let name = path.file_name().map(|name| name.as_encoded_bytes()).unwrap_or_default();
    let ending = name.rsplit(|byte| *byte == b'.').next().unwrap_or_default();
    let rotated = [&b"gz"[..], b"xz", b"bz2", b"zst", b"old", b"journal", b"journal~"].contains(&ending)
        || (ending.len() < name.len() && !ending.is_empty() && ending.iter().all(u8::is_ascii_digit))
        || dated(name);
    match (rotated, meta.size) {
        (true, _) => Some(Becomes::Nothing),
        (false, 0) => None,
        (false, _) => Some(Becomes::Empty),
    }
}

/// Whether a name ends as logrotate's `dateext` has it: `messages-20261122`.
fn dated(name: &[u8]) -> bool {
    let date = name.rsplit(|byte| *byte == b'-').next().unwrap_or_default();
    date.len() == 8 && date.len() < name.len() && date.iter().all(u8::is_ascii_digit)
}

/// What lies in a home.
pub(super) fn home(finder: &mut Finder<'_, '_>, home: &Path) {
    if !matches!(finder.stands(What::History, home), Some((_, meta)) if meta.kind == Kind::Dir) {
        return;
    }
    for name in HISTORIES.iter().chain(&EDITORS) {
        finder.file(What::History, &home.join(name), Becomes::Nothing);
    }
    for name in LOGINS {
        finder.file(What::Login, &home.join(name), Becomes::Nothing);
    }
    finder.whole_tree(What::Build, &home.join(".ansible"), |_, _| Some(Becomes::Nothing));
    for name in [".ssh/authorized_keys.bak", ".ssh/authorized_keys~"] {
        finder.file(What::Build, &home.join(name), Becomes::Nothing);
    }
}

/// What lies in a home of tools that build.
pub(super) fn caches(finder: &mut Finder<'_, '_>, home: &Path) {
    for name in CACHES {
        finder.whole_tree(What::Build, &home.join(name), |_, _| Some(Becomes::Nothing));
    }
}

/// What hostward itself keeps: what was found, and transactions whose contents hold a hash or a private key.
pub(super) fn own(finder: &mut Finder<'_, '_>) {
    for name in OWN {
        finder.file(What::Own, &Path::new(STATE).join(name), Becomes::Nothing);
    }
    for transaction in finder.paths(What::Own, Path::new(STATE).join("transactions/*")) {
        let mut blobs = finder.paths(What::Own, transaction.join("before/*"));
        blobs.extend(finder.paths(What::Own, transaction.join("after/*")));
        let secret = |content: &[u8]| holds_hash(content) || private_key::find(content).is_some();
        if blobs.iter().any(|blob| finder.content(What::Own, blob).is_some_and(secret)) {
            finder.whole_tree(What::Own, &transaction, |_, _| Some(Becomes::Nothing));
        }
    }
}
