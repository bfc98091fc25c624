//! The unit that loads the table at boot and holds it: written where no package brought it.

use std::path::Path;

use super::super::fold::{Refused, Work};
use crate::effect::Owner;

/// The unit.
pub const UNIT: &str = "hostward-firewall.service";

/// Where packages put it.
const PACKAGED: [&str; 2] =
    ["/usr/lib/systemd/system/hostward-firewall.service", "/lib/systemd/system/hostward-firewall.service"];
/// Where we do.
const OURS: &str = "/etc/systemd/system/hostward-firewall.service";

/// The program where a package puts it.
const PROGRAM: &str = "/usr/bin/hostward";

/// Ordered after everything that flushes or fills rule sets at its start, and before nothing. Stopping leaves the
/// table. Old systemd ignores the words of the sandbox that it does not know; system calls are named by what is forbidden, because
/// 237 takes a list of what is allowed with a set it does not know for an empty one.
fn text(program: &str) -> String {
    format!(
        "\
# Written by hostward fix: loads hostward's firewall table and puts it back when it is flushed.
[Unit]
Description=hostward's firewall table
ConditionPathExists={state}
After=nftables.service iptables.service ip6tables.service netfilter-persistent.service firewalld.service ufw.service docker.service

[Service]
Type=notify
NotifyAccess=main
ExecStart={program} firewall hold
Restart=on-failure
RestartSec=5
TimeoutStartSec=60
CapabilityBoundingSet=CAP_NET_ADMIN
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
RestrictAddressFamilies=AF_NETLINK AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
SystemCallArchitectures=native
SystemCallFilter=~@clock @cpu-emulation @debug @keyring @module @mount @obsolete @privileged @raw-io @reboot @resources @swap
SystemCallErrorNumber=EPERM
UMask=0077
MemoryMax=64M
TasksMax=16

[Install]
WantedBy=multi-user.target
",
        state = super::STATE
    )
}

/// Writes the unit, where no package brought it.
pub(super) fn install(work: &mut Work<'_, '_>) -> Result<(), Refused> {
    let packaged = PACKAGED.iter().any(|path| work.draft.reader().meta(Path::new(path)).is_ok());
    if packaged {
        return Ok(());
    }
    let program = work.program.as_deref().and_then(Path::to_str).unwrap_or(PROGRAM);
    let written = work.draft.write(Path::new(OURS), text(program).into_bytes(), Owner::root(0o644));
    written.map_err(|obstacle| (OURS.into(), obstacle))
}
