//! `hostward explain CHECK`: what a check looks at, why, and what `fix` does.

use hostward_checks::catalogue;
use hostward_checks::check::{Check, Lang, Scope};

use super::{LangArg, language, print};
use crate::exit_code::{Ends, ExitCode};

/// Explain a check: what it looks at, why it matters, who asks for it, what fix does
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The check's id, e.g. sshd.password-login
    check: String,
    /// Language of the texts
    #[arg(long, value_enum)]
    lang: Option<LangArg>,
}

/// Prints one check.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let Some(check) = catalogue::find(&args.check) else {
        return Err(Ends::with(ExitCode::Usage, unknown_check(&args.check)));
    };
    print(&page(check, language(args.lang)))?;
    Ok(ExitCode::Clean)
}

/// The error for an id that no check has, with the nearest one.
pub fn unknown_check(id: &str) -> String {
    let nearest = crate::nearest::nearest(id, catalogue::ALL.iter().map(|check| check.id));
    let id = crate::sanitize::brief(id, 80);
    match nearest {
        Some(nearest) => format!("no check is called {id}; did you mean {nearest}? (hostward list shows all)"),
        None => format!("no check is called {id} (hostward list shows all)"),
    }
}

fn page(check: &Check, lang: Lang) -> String {
    let word = |en: &'static str, zh: &'static str| if lang == Lang::Zh { zh } else { en };
    let mut out = format!("{}\n{}\n\n{}\n\n", check.id, check.title.get(lang), check.rationale.get(lang));
    let profiles = check.profiles.iter().map(|p| p.word()).collect::<Vec<_>>().join(", ");
    let scope = match check.scope {
        Scope::Live => word("live host only", "仅限运行中的主机"),
        Scope::Both => word("live host and offline root", "运行中的主机和离线根目录"),
        Scope::Offline => word("offline root", "离线根目录"),
    };
    let mut line = |name: &str, text: &str| out.push_str(&format!("{name}: {text}\n"));
    line(word("severity", "严重程度"), check.severity.word());
    line(word("profiles", "方案"), &profiles);
    line(word("scope", "范围"), scope);
    line(word("reads", "读取"), &check.reads.join(", "));
    line(word("by hand", "手工处理"), check.remedy.get(lang));
    let fix = check.fix.map_or(word("explains only", "仅说明"), |text| text.get(lang));
    line(word("fix", "自动修复"), fix);
    for reference in check.references {
        line(word("asked for by", "依据"), &format!("{}: {}", reference.source, reference.item));
    }
    out.push('\n');
    out.push_str(word("findings it can report:\n", "可能报告的问题：\n"));
    for message in check.messages {
        out.push_str(&format!("  {}  {}\n", message.id, message.text.get(lang)));
    }
    out
}
