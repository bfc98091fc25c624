//! The area credentials: keys to the cloud account that lie on the host.

pub mod access_key;

#[cfg(test)]
pub(super) mod shown;
