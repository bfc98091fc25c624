//! Who asked for a transaction: the user, the login behind it, the terminal, where the connection came from.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// Who asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// The user hostward ran as.
    pub uid: u32,
    /// The user who logged in, where the kernel knows (`/proc/self/loginuid`).
    pub login_uid: Option<u32>,
    /// What `sudo` or `doas` says of the caller.
    pub via: Option<String>,
    /// The terminal.
    pub tty: Option<String>,
    /// Where the ssh connection came from.
    pub source: Option<String>,
}

impl Asked {
    /// Whoever runs this process.
    pub fn here() -> Self {
        let text = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        // 4294967295: no login behind it.
        let login = std::fs::read_to_string("/proc/self/loginuid").ok().and_then(|text| text.trim().parse().ok());
        let address = |value: String| value.split(' ').next().and_then(|word| word.parse::<IpAddr>().ok());
        Self {
            uid: nix::unistd::getuid().as_raw(),
            login_uid: login.filter(|uid| *uid != u32::MAX),
            via: text("SUDO_USER").or_else(|| text("DOAS_USER")),
            tty: std::fs::read_link("/proc/self/fd/0")
                .ok()
                .and_then(|path| path.to_str().map(str::to_owned))
                .filter(|path| path.starts_with("/dev/pts/") || path.starts_with("/dev/tty")),
            source: text("SSH_CONNECTION").and_then(address).map(|address| address.to_string()),
        }
    }
}
