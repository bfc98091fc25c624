//! Which security updates are pending: what is installed, held against what an archive offers.

pub mod apt;
pub mod kernel;
pub mod rpm;
