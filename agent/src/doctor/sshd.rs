//! The sshd programs: which, how they are started, and what they answer.

use std::path::Path;

use hostward_checks::host::sshd::{Found, Instance, PROGRAM};

use super::{Item, State, Words, item, named, works};
use crate::live::manager;
use crate::live::validate::{missing_directory, question_of};
use crate::survey::Survey;

/// The names of units that are no secret of this host's.
const UNITS: [&str; 8] = [
    "ssh.service",
    "sshd.service",
    "ssh.socket",
    "sshd.socket",
    "ssh@.service",
    "sshd@.service",
    "init.scope",
    "sshd-session.service",
];

pub(super) fn items(survey: Option<&Survey>) -> Vec<Item> {
    let without =
        || Words::new("who gets in by ssh is not judged; everything else is", "不判断谁能通过 ssh 登录，其余照常检查");
    let instances = survey.map_or(&[][..], |survey| &survey.host.sshd.instances);
    if instances.is_empty() {
        return vec![item("sshd", State::Missing, works(false), without())];
    }
    instances.iter().map(|instance| item("sshd", state(instance), found(instance), without())).collect()
}

/// What an sshd says to a question.
enum Answer {
    Yes,
    No,
    /// It misses a directory that its unit makes at each start.
    Later,
    /// Only root is answered.
    Closed,
}

fn asked(instance: &Instance, question: &[&str]) -> Answer {
    match question_of(instance, question).run() {
        Ok(ran) if ran.success() => Answer::Yes,
        Ok(ran) if missing_directory(&ran).is_some() => Answer::Later,
        Ok(_) if !nix::unistd::geteuid().is_root() => Answer::Closed,
        _ => Answer::No,
    }
}

fn state(instance: &Instance) -> State {
    let unknown = instance.configuration.build.release.is_empty();
    match asked(instance, &["-t"]) {
        Answer::Closed => State::Unseen,
        Answer::No => State::Missing,
        Answer::Yes | Answer::Later => State::of(!unknown),
    }
}

fn found(instance: &Instance) -> Words {
    let build = &instance.configuration.build;
    let program = if instance.program == Path::new(PROGRAM) { "" } else { ", another program" };
    let program_zh = if program.is_empty() { "" } else { "，另一个程序" };
    let release = if build.release.is_empty() { "?".to_owned() } else { named(&build.release) };
    let (en, zh) = started(instance);
    let questions = [
        ("-t", &["-t"][..]),
        ("-T", &["-T", "-C", "user=root,host=localhost,addr=127.0.0.1"][..]),
        ("-G", &["-G"][..]),
    ];
    let (mut said, mut said_zh) = (Vec::new(), Vec::new());
    for (name, question) in questions {
        let (en, zh) = match asked(instance, question) {
            Answer::Yes => ("answers", "有回答"),
            Answer::No => ("does not", "无回答"),
            Answer::Later => ("answers once its unit has started it", "单元启动后才有回答"),
            Answer::Closed => ("answers root alone", "只回答 root"),
        };
        said.push(format!("{name} {en}"));
        said_zh.push(format!("{name} {zh}"));
    }
    let include = build.knows("include");
    let (includes, includes_zh) =
        if include { ("knows Include", "支持 Include") } else { ("no Include", "不支持 Include") };
    Words::new(
        format!("{release}{program}, {en}; {}; {includes}", said.join(", ")),
        format!("{release}{program_zh}，{zh}；{}；{includes_zh}", said_zh.join("，")),
    )
}

fn started(instance: &Instance) -> (String, String) {
    let usual = |unit: &str| UNITS.iter().find(|usual| **usual == unit).map_or("?", |usual| *usual).to_owned();
    let unit = instance.unit.as_deref().map(usual);
    let socket = instance.socket.as_ref().map(|socket| usual(&socket.unit));
    match (&instance.found, socket, unit) {
        (_, Some(socket), _) => (format!("started by {socket}"), format!("由 {socket} 启动")),
        (Found::Running { .. }, None, Some(unit)) => match behind(&unit) {
            Some(socket) => (format!("runs in {unit} behind {socket}"), format!("运行于 {unit}，由 {socket} 启动")),
            None => (format!("runs in {unit}"), format!("运行于 {unit}")),
        },
        (Found::Running { .. }, None, None) => ("started by hand".to_owned(), "手工启动".to_owned()),
        (Found::Unit { enabled: true }, _, Some(unit)) => {
            (format!("would be started by {unit}"), format!("将由 {unit} 启动"))
        }
        (Found::Unit { .. }, _, _) => ("its unit is not enabled".to_owned(), "其单元未启用".to_owned()),
        (Found::Plain, _, _) => ("no unit starts it".to_owned(), "没有单元启动它".to_owned()),
    }
}

/// The socket unit that a service was started by, and that still listens for it.
fn behind(service: &str) -> Option<String> {
    let socket = service.strip_suffix(".service").map(|stem| format!("{stem}.socket"))?;
    let unit = manager::is_booted().then(|| manager::unit(&socket).ok()).flatten()?;
    unit.runs().then_some(socket)
}
