//! One file a subcommand.

pub mod access;
pub mod agent;
pub mod apply;
pub mod baseline;
pub mod completions;
pub mod confirm;
pub mod doctor;
pub mod explain;
pub mod firewall;
pub mod fix;
pub mod history;
pub mod list;
pub mod look;
pub mod passwords;
pub mod recover;
pub mod remedy;
pub mod rollback;
pub mod scan;
pub mod schema;
pub mod sshd_config;
pub mod status;
pub mod validate;

use std::io::Write;

use hostward_checks::check::Lang;

pub use crate::warning::warn;

/// Writes to standard output. A reader who went away (`| head`) is no error.
pub fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(anyhow::Error::from(error).context("failed to write to standard output"))
        }
        _ => Ok(()),
    }
}

/// The language asked for, else the locale's (`LC_ALL`, `LC_MESSAGES`, `LANG`, in that order).
pub fn language(asked: Option<LangArg>) -> Lang {
    match asked {
        Some(LangArg::En) => Lang::En,
        Some(LangArg::Zh) => Lang::Zh,
        None => ["LC_ALL", "LC_MESSAGES", "LANG"]
            .iter()
            .filter_map(|name| std::env::var(name).ok())
            .find(|value| !value.is_empty())
            .map_or(Lang::En, |value| if value.starts_with("zh") { Lang::Zh } else { Lang::En }),
    }
}

/// `--lang`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LangArg {
    /// English
    En,
    /// 简体中文
    Zh,
}
