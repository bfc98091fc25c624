//! Accounts that Alibaba Cloud's own agents and images make: known, and left alone.

/// Who made an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vendor {
    /// A login account of Alibaba Cloud's images or of Session Manager: may administer without a password.
    AlibabaAdmin,
    /// An account that one of Alibaba Cloud's agents runs under.
    AlibabaAgent,
}

/// Accounts by name: Session Manager's shell user and the non-root login user of ECS images; the user of
/// `AuthorizedKeysCommand` for Workbench, the agents of Security Center and CloudMonitor; ACK's three roles of MLPS images.
const KNOWN: [(&str, Vendor); 8] = [
    ("ecs-assist-user", Vendor::AlibabaAdmin),
    ("ecs-user", Vendor::AlibabaAdmin),
    ("ecs-instance-connect", Vendor::AlibabaAgent),
    ("aegis", Vendor::AlibabaAgent),
    ("argusagent", Vendor::AlibabaAgent),
    ("ack_admin", Vendor::AlibabaAdmin),
    ("ack_audit", Vendor::AlibabaAgent),
    ("ack_security", Vendor::AlibabaAgent),
];

/// What hostward knows about an account by its name. The name proves nothing: checks about passwords and uid 0 judge such an
/// account as any other; only what Alibaba Cloud itself configured for it (passwordless sudo, its shell) is no finding.
pub fn vendor_of(name: impl AsRef<[u8]>) -> Option<Vendor> {
    KNOWN.iter().find(|(known, _)| known.as_bytes() == name.as_ref()).map(|(_, vendor)| *vendor)
}
