//! What hostward knows and judges: pure functions of what the agent recorded and observed.
//!
//! Layers, lowest first: [`fact`], [`snapshot`], [`observation`] · [`parse`], [`probe`], [`crypt`] · [`host`] · [`access`] ·
//! [`updates`], [`policy`], [`check`] · [`catalogue`] · [`effect`], [`guard`], [`plan`]. Nothing in here opens a file, spawns, reads a clock or the environment.

pub use hostward_crypt as crypt;

pub mod access;
pub mod access_keys;
pub mod candidate;
pub mod catalogue;
pub mod check;
pub mod edit;
pub mod effect;
pub mod fact;
pub mod guard;
pub mod host;
pub mod observation;
pub mod parse;
pub mod plan;
pub mod policy;
pub mod probe;
pub mod snapshot;
pub mod sshd;
pub mod updates;
pub mod weak_key;
