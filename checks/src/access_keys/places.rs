//! The known places: what aliyun-cli, ossutil, ossfs, the SDKs, Terraform and Packer read, what a shell and systemd start with, what
//! remembers commands, and what cloud-init and Cloud Assistant keep of the scripts that they ran.

use std::path::PathBuf;

use super::{Form, is_never_searched};
use crate::host::accounts::Accounts;
use crate::policy::Policy;

/// A place to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// What a pattern (`glob(3)`) matches.
    Pattern(PathBuf, Form),
    /// The known files of a home.
    Home(PathBuf),
    /// A file, a pattern, or a directory with all below it: named by the policy or by another file.
    Named(PathBuf),
}

/// Files of the system with credentials, environment variables or commands in them.
const SYSTEM: &[&str] = &[
    "/etc/passwd-ossfs*",
    "/etc/passwd-s3fs*",
    "/etc/ossfs*.conf",
    "/etc/ossfs/*",
    "/etc/rclone.conf",
    "/etc/rclone/*.conf",
    "/etc/environment",
    "/etc/environment.d/*.conf",
    "/etc/profile",
    "/etc/profile.d/*",
    "/etc/bash.bashrc",
    "/etc/bashrc",
    "/etc/zshenv",
    "/etc/zshrc",
    "/etc/zsh/*",
    "/etc/security/pam_env.conf",
    "/etc/default/*",
    "/etc/sysconfig/*",
    "/etc/fstab",
    "/etc/rc.local",
    "/etc/rc.d/rc.local",
    "/etc/init.d/*",
    "/etc/supervisord.conf",
    "/etc/supervisord.d/*",
    "/etc/supervisor/*.conf",
    "/etc/supervisor/conf.d/*",
    "/etc/systemd/system.conf",
    "/etc/systemd/system.conf.d/*.conf",
    "/etc/kubernetes/cloud-config*",
    "/etc/kubernetes/manifests/*",
    "/etc/crontab",
    "/etc/anacrontab",
    "/etc/cron.*/*",
    "/var/spool/cron/*",
    "/var/spool/cron/crontabs/*",
    "/var/spool/cron/atjobs/*",
    "/var/spool/at/*",
    "/etc/cloud/cloud.cfg",
    "/etc/cloud/cloud.cfg.d/*",
    "/var/lib/cloud/scripts/*/*",
    "/var/lib/cloud/instances/*/scripts/*",
    "/var/lib/cloud/instances/*/scripts/*/*",
    "/var/lib/cloud/instances/*/cloud-config.txt",
    "/var/log/cloud-init*.log",
    "/run/cloud-init/*.json",
    "/var/lib/docker/containers/*/config.v2.json",
    "/usr/local/share/aliyun-assist/work/script/*",
    "/usr/local/share/aliyun-assist/*/work/script/*",
    "/opt/local/share/aliyun-assist/work/script/*",
    "/opt/local/share/aliyun-assist/*/work/script/*",
    "/tmp/*t-*.sh",
];

/// User data as cloud-init keeps it.
const USER_DATA: &[&str] = &[
    "/var/lib/cloud/instances/*/user-data.txt*",
    "/var/lib/cloud/instances/*/vendor-data*.txt*",
    "/var/lib/cloud/seed/*/*",
];

/// Units and their drop-ins (`systemd.unit(5)`).
const UNITS: &[&str] = &[
    "/etc/systemd/system/*.service",
    "/etc/systemd/system/*.mount",
    "/etc/systemd/system/*.d/*.conf",
    "/etc/systemd/user/*.service",
    "/etc/systemd/user/*.d/*.conf",
    "/run/systemd/system/*.service",
    "/run/systemd/system/*.d/*.conf",
    "/usr/local/lib/systemd/system/*.service",
    "/usr/local/lib/systemd/system/*.d/*.conf",
    "/usr/lib/systemd/system/*.service",
    "/usr/lib/systemd/system/*.d/*.conf",
    "/lib/systemd/system/*.service",
    "/lib/systemd/system/*.d/*.conf",
];

/// Files below a home, by patterns of its parts.
pub(super) const HOME: &[&str] = &[
    // aliyun-cli, SDKs, ossutil, ossfs and tools that speak to OSS, Log Service and Function Compute.
    ".aliyun/*",
    ".aliyuncli/*",
    ".alibabacloud/*",
    ".acs/*",
    ".ossutilconfig*",
    ".osscredentials",
    ".passwd-ossfs*",
    ".passwd-s3fs*",
    ".odpscmd/*",
    ".aliyunlogcli",
    ".fcli/*",
    ".fun/*",
    ".s3cfg",
    ".aws/*",
    ".boto",
    ".mc/config.json",
    ".rclone.conf",
    ".config/rclone/rclone.conf",
    // Keys as the console hands them out.
    "[Aa]ccess[Kk]ey*",
    "Downloads/[Aa]ccess[Kk]ey*",
    // Terraform and Packer.
    ".terraformrc",
    ".terraform.d/*",
    "*.tf",
    "*.tfvars",
    "*.tfvars.json",
    "*.tfstate",
    "*.tfstate.backup",
    "*.pkr.hcl",
    "*.pkrvars.hcl",
    "*[Tt]erraform*/*.tf*",
    "*infra*/*.tf*",
    "*[Pp]acker*/*.hcl",
    "*[Pp]acker*/*.json",
    // What a shell, a session or a unit of the user begins with.
    ".bashrc",
    ".bash_profile",
    ".bash_login",
    ".bash_logout",
    ".bash_aliases",
    ".profile",
    ".zshrc",
    ".zshenv",
    ".zprofile",
    ".zlogin",
    ".cshrc",
    ".tcshrc",
    ".login",
    ".kshrc",
    ".config/fish/config.fish",
    ".config/fish/conf.d/*",
    ".config/fish/fish_variables",
    ".config/environment.d/*.conf",
    ".config/systemd/user/*.service",
    ".config/systemd/user/*.d/*.conf",
    ".pam_environment",
    ".ssh/environment",
    ".ssh/rc",
    ".env*",
    // What remembers.
    ".*_history",
    ".zhistory",
    ".histfile",
    ".history",
    ".lesshst",
    ".viminfo",
    ".local/share/fish/fish_history",
    // Logins to other places that take the same keys.
    ".netrc",
    ".git-credentials",
    ".gitconfig",
    ".docker/config.json",
    ".npmrc",
    ".m2/settings.xml",
    ".gradle/gradle.properties",
    // Scripts and settings that lie at the top.
    "*.sh",
    "*.py",
    "*.env",
    "*.ini",
    "*.conf",
    "*.cfg",
    "*.properties",
    "*.yml",
    "*.yaml",
    "*.json",
    "*.toml",
    "*.csv",
    "*.txt",
];

/// Homes that hold no files of their own: programs' directories and what the kernel shows.
const NO_HOMES: [&str; 9] = ["/", "/bin", "/sbin", "/usr", "/usr/bin", "/usr/sbin", "/etc", "/var", "/nonexistent"];

/// Every place, the likeliest first: where a limit ends the search, the others are told.
pub fn places(accounts: &Accounts, policy: &Policy) -> Vec<Place> {
    let text = SYSTEM.iter().map(|pattern| (pattern, Form::Text));
    let user_data = USER_DATA.iter().map(|pattern| (pattern, Form::UserData));
    let units = UNITS.iter().map(|pattern| (pattern, Form::Unit));
    let known = text.chain(user_data).chain(units).map(|(pattern, form)| Place::Pattern(PathBuf::from(pattern), form));
    let mut out: Vec<Place> = policy.credential_paths.iter().map(|path| Place::Named(PathBuf::from(path))).collect();
    out.extend(known);
    let mut homes: Vec<PathBuf> = vec![PathBuf::from("/root")];
    homes.extend(accounts.list().iter().map(|user| user.entry.home.clone()));
    homes.retain(|home| {
        home.has_root() && !is_never_searched(home) && !NO_HOMES.iter().any(|other| home.as_os_str() == *other)
    });
    let mut seen = std::collections::BTreeSet::new();
    homes.retain(|home| seen.insert(home.clone()));
    out.extend(homes.into_iter().map(Place::Home));
    out
}
