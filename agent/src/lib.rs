//! hostward: the binary and everything that touches the machine.
//!
//! Layers, lowest first: [`sanitize`], [`exit_code`], [`files`] · [`root`] · [`record`], [`observe`] · [`survey`] ·
//! [`judge`] · [`report`] · [`command`] · [`cli`].

pub mod cli;
pub mod command;
pub mod exit_code;
pub mod files;
pub mod judge;
pub mod lock;
pub mod observe;
pub mod record;
pub mod report;
pub mod root;
pub mod sanitize;
pub mod survey;
