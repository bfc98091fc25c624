//! Writes the man pages and completions of the command line, as packages bring them, into a directory: `pages DIR`.
//!
//! A program beside the product, so that the product need not carry what it takes to write a man page.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::CommandFactory;
use clap_complete::Shell;
use hostward::cli::Cli;

fn main() -> Result<()> {
    let dir = PathBuf::from(std::env::args_os().nth(1).context("usage: pages DIR")?);
    let man = made(&dir.join("man/man1"))?;
    clap_mangen::generate_to(Cli::command(), &man).context("failed to write the man pages")?;
    // By the names under which each shell looks for them.
    let shells = [
        (Shell::Bash, "bash-completion/completions/hostward"),
        (Shell::Zsh, "zsh/site-functions/_hostward"),
        (Shell::Fish, "fish/vendor_completions.d/hostward.fish"),
    ];
    for (shell, path) in shells {
        let mut text = Vec::new();
        clap_complete::generate(shell, &mut Cli::command(), "hostward", &mut text);
        let path = dir.join(path);
        made(path.parent().unwrap_or(&dir))?;
        fs::write(&path, text).with_context(|| format!("failed to write {}", path.display()))?;
    }
    Ok(())
}

/// The directory, made where it is missing.
fn made(dir: &Path) -> Result<PathBuf> {
    fs::create_dir_all(dir).with_context(|| format!("failed to make {}", dir.display()))?;
    Ok(dir.to_owned())
}
