//! A booted host whose state is put back between the cases of a test: accounts, keys, logs, and what sshd runs with.

use anyhow::Result;

use crate::host::Host;

/// What a case may change is kept once, so that the next one begins where the first did.
const KEEP: &str = "
    mkdir -p /keep
    tar -C / -cf /keep/state.tar etc/ssh etc/passwd etc/shadow etc/group etc/gshadow etc/sudoers.d etc/login.defs etc/nsswitch.conf root
    install -d /etc/ssh/sshd_config.d";

/// Puts a state back: files and logs. systemd counts how often a service was started lately, until it is told to forget it.
const RESET: &str = "
    rm -rf /etc/ssh /root /home/* /etc/sudoers.d /etc/cloud /var/lib/hostward /run/log/journal/* /var/log/journal/* /var/log/auth.log*
    tar -C / -xf /keep/state.tar
    : >/var/log/wtmp; : >/var/log/lastlog; rm -f /var/log/wtmp.db /var/lib/wtmpdb/* /var/lib/lastlog/*
    systemctl reset-failed systemd-journald.service || true
    systemctl restart systemd-journald.service
    install -d /etc/ssh/sshd_config.d /etc/sudoers.d";

/// Makes sshd run with what is on disk, whichever way it is started.
const RELOAD: &str = "
    install -d /run/sshd; /usr/sbin/sshd -t
    systemctl daemon-reload
    if systemctl -q is-active ssh.service; then systemctl reload ssh.service; fi";

/// Waits until sshd answers: a reload closes its socket for a moment.
const ANSWERS: &str = "
    for i in $(seq 100); do bash -c 'exec 3<>/dev/tcp/127.0.0.1/22; read -t 5 -u 3' 2>/dev/null && exit 0; sleep 0.1; done; exit 1";

/// Every file of /etc and of the homes: kind, mode, owner, where it leads, content.
const FILES: &str = "
    find /etc /root /home -xdev -printf '%p %y %m %U %G %l\\n' | sort
    find /etc /root /home -xdev -type f -print0 | xargs -0 sha256sum | sort";

impl Host {
    /// Keeps its state, for [`Host::reset`].
    ///
    /// # Errors
    /// A script fails in it, as in the others here.
    pub fn keep(&self) -> Result<()> {
        self.shell(KEEP).map(drop)
    }

    /// Puts back the files that were kept, and empties the logs. sshd runs on with what it read.
    ///
    /// # Errors
    /// As above.
    pub fn reset(&self) -> Result<()> {
        self.shell(RESET).map(drop)
    }

    /// Makes sshd run with what is on disk, and waits until it answers.
    ///
    /// # Errors
    /// sshd refuses it.
    pub fn reload_sshd(&self) -> Result<()> {
        self.shell(RELOAD)?;
        self.sshd_answers()
    }

    /// Waits until sshd answers.
    ///
    /// # Errors
    /// It does not.
    pub fn sshd_answers(&self) -> Result<()> {
        self.shell(ANSWERS).map(drop)
    }

    /// Waits until what was logged can be read.
    ///
    /// # Errors
    /// As above.
    pub fn sync_logs(&self) -> Result<()> {
        self.shell("journalctl --sync 2>/dev/null || sleep 0.3").map(drop)
    }

    /// Every file of /etc and of the homes, line by line: kind, mode, owners, content.
    ///
    /// # Errors
    /// As above.
    pub fn files(&self) -> Result<String> {
        self.shell(FILES)
    }
}
