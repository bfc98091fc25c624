//! `hostward list`: every check, a line each.

use hostward_checks::catalogue;
use hostward_checks::check::Profile;

use super::{LangArg, language, print};
use crate::exit_code::ExitCode;

/// List every check with its severity and profiles
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Only the checks of this profile (basic, enhanced, image)
    #[arg(long, value_parser = super::scan::profile)]
    profile: Option<Profile>,
    /// Language of the titles
    #[arg(long, value_enum)]
    lang: Option<LangArg>,
}

/// Prints the table.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let lang = language(args.lang);
    let mut out = String::new();
    for check in catalogue::ALL.iter().filter(|check| args.profile.is_none_or(|p| check.profiles.contains(&p))) {
        let profiles = check.profiles.iter().map(|p| p.word()).collect::<Vec<_>>().join(",");
        out.push_str(&format!(
            "{:28} {:8} {:22} {}\n",
            check.id,
            check.severity.word(),
            profiles,
            check.title.get(lang)
        ));
    }
    print(&out)?;
    Ok(ExitCode::Clean)
}
