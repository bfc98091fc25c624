//! The area policy: what hostward's own policy lets pass.

pub mod waivers;

#[cfg(test)]
pub(super) mod shown;
