//! `hostward list`: every check, a line each.

use hostward_checks::catalogue;
use hostward_checks::check::{Lang, Profile};

use super::{LangArg, language, print};
use crate::exit_code::ExitCode;
use crate::report::text::severity_word;

/// List every check with its severity and profiles
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Only the checks of this profile (basic, enhanced, image)
    #[arg(long, value_parser = super::scan::profile)]
    profile: Option<Profile>,
    /// Language of the titles
    #[arg(long, value_enum)]
    lang: Option<LangArg>,
    /// Print the catalogue as a document
    #[arg(long)]
    markdown: bool,
}

/// Prints the table.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let lang = language(args.lang);
    if args.markdown {
        print(&document(lang))?;
        return Ok(ExitCode::Clean);
    }
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

/// The catalogue as a Markdown document: what `packaging/` ships, checked for drift.
pub fn document(lang: Lang) -> String {
    let (head, columns) = match lang {
        Lang::En => (
            "# The catalogue of checks\n\nMade by `hostward list --markdown`. `hostward explain CHECK` says more of each.\n",
            "| id | what | severity | profiles | fix |\n|---|---|---|---|---|\n",
        ),
        Lang::Zh => (
            "# 检查项目录\n\n由 `hostward list --markdown --lang zh` 生成。`hostward explain CHECK --lang zh` 给出每项的详细说明。\n",
            "| 标识 | 内容 | 严重程度 | 方案 | 修复 |\n|---|---|---|---|---|\n",
        ),
    };
    let mut out = head.to_owned();
    let mut area = "";
    for check in catalogue::ALL {
        if check.area() != area {
            area = check.area();
            out.push_str(&format!("\n## {area}\n\n{columns}"));
        }
        let profiles = check.profiles.iter().map(|p| p.word()).collect::<Vec<_>>().join(" ");
        let fix = check.fix.map_or("—", |text| text.get(lang));
        out.push_str(&format!(
            "| `{}` | {} | {} | {profiles} | {fix} |\n",
            check.id,
            check.title.get(lang),
            severity_word(check.severity, lang)
        ));
    }
    out
}
