//! hostward: the binary and everything that touches the machine.
//!
<<<<<<< HEAD
//! Layers, lowest first: [`sanitize`], [`exit_code`], [`files`], [`nearest`] · [`config`] · [`root`] · [`record`], [`observe`], [`audit`] · [`survey`] ·
//! [`judge`] · [`report`] · [`command`] · [`cli`].

pub mod audit;
=======
//! Layers, lowest first: [`sanitize`], [`exit_code`], [`files`], [`nearest`] · [`baseline`], [`config`] · [`root`] · [`record`], [`observe`] · [`survey`] ·
//! [`judge`] · [`report`] · [`command`] · [`cli`].

pub mod baseline;
>>>>>>> d540eb6 (Policy in force: waivers, baseline, --new-only; validate; hostward baseline)
pub mod cli;
pub mod command;
pub mod config;
pub mod exit_code;
pub mod files;
pub mod judge;
pub mod lock;
pub mod nearest;
pub mod observe;
pub mod record;
pub mod report;
pub mod root;
pub mod sanitize;
pub mod survey;
