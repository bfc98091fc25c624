//! What the instance metadata service answered. Credentials are never asked for.

use std::net::IpAddr;

use crate::fact::Fact;

/// The metadata service as seen from inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// Whether a GET without a token was answered with content: normal mode is open.
    pub tokenless: Fact<bool>,
    /// The HTTP status of that GET, where there was one.
    pub tokenless_status: Option<u16>,
    /// The HTTP status of the token PUT, where there was one.
    pub token_status: Option<u16>,
    /// Instance id (`i-…`).
    pub instance_id: Fact<String>,
    /// Region id (`cn-hangzhou`).
    pub region_id: Fact<String>,
    /// Image id.
    pub image_id: Fact<String>,
    /// The RAM role's name; never its credentials. Absent: no role is attached.
    pub ram_role: Fact<String>,
    /// Public addresses (`eipv4`, `public-ipv4`). Empty: the instance has none.
    pub public_addresses: Fact<Vec<IpAddr>>,
    /// The private address (`private-ipv4`).
    pub private_address: Fact<IpAddr>,
    /// Keys bound through ECS: key pair id and OpenSSH line.
    pub public_keys: Fact<Vec<(String, String)>>,
    /// User data, as stored. Absent: none.
    pub user_data: Fact<Vec<u8>>,
}
