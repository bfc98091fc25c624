//! hostward: the binary and everything that touches the machine.
//!
//! Layers, lowest first: [`sanitize`], [`nearest`], [`exit_code`], [`files`], [`lock`] · [`root`] · [`tree`] · [`transaction`] · [`apply`] ·
//! [`record`], [`observe`], [`audit`] · [`survey`], [`config`], [`baseline`], [`known_sources`] · [`live`], [`firewall`] · [`judge`] · [`plan`] · [`report`] · [`remedy`] · [`resident`] · [`doctor`] · [`command`] · [`cli`].

pub mod apply;
pub mod audit;
pub mod baseline;
pub mod cli;
pub mod command;
pub mod config;
pub mod doctor;
pub mod exit_code;
pub mod files;
pub mod firewall;
pub mod judge;
pub mod known_sources;
pub mod live;
pub mod lock;
pub mod nearest;
mod notify;
pub mod observe;
pub mod openapi;
pub mod plan;
mod random;
pub mod record;
pub mod remedy;
pub mod report;
pub mod resident;
pub mod root;
pub mod sanitize;
pub mod survey;
pub mod transaction;
pub mod tree;
mod warning;
