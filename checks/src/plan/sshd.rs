//! sshd's settings: a drop-in that is read first where there is one, else a block at the top of the main file; a Match block that
//! reopens what the global section closes is edited in place.

use std::path::{Path, PathBuf};

use super::fold::{Refused, Work};
use super::{Obstacle, Said};
use crate::check::{Input, Message, Text, path_text};
use crate::effect::{Owner, Verb};
use crate::host::sshd::{Found, Instance};
use crate::observation::Mode;

/// What the files of ours begin with. It is the same each time, so that a second fix changes nothing.
const HEADER: &str = "# Written by `hostward fix`: read before every other value, and the first value wins (sshd_config(5)).\n\
                      # Why: `hostward history`. Undo: `hostward rollback`.\n";
const BEGIN: &str = "# BEGIN hostward";
const END: &str = "# END hostward";

static OUTSIDE: Message = Message {
    id: "outside-a-service",
    text: Text {
        en: "the sshd with {path} runs outside a service (process {pid}), so it cannot be reloaded safely: start it from a unit",
        zh: "使用 {path} 的 sshd 运行在服务之外（进程 {pid}），无法安全地重新加载：请改由单元启动",
    },
};

static COMMAND_LINE: Message = Message {
    id: "command-line",
    text: Text {
        en: "{keyword} is set on sshd's command line, which beats every file: change the unit or its environment file",
        zh: "{keyword} 由 sshd 的命令行设置，优先于任何文件：请修改单元或其环境文件",
    },
};

/// Where the settings of one sshd go, and which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Placed {
    /// The file: a drop-in of ours, or the main file.
    file: PathBuf,
    /// Whether all of the file is ours.
    whole: bool,
    /// Keyword and value, in the order in which they were set first.
    settings: Vec<(String, String)>,
}

/// Sets a keyword before every other value.
pub(super) fn set(
    work: &mut Work<'_, '_>,
    input: &Input<'_>,
    config: &Path,
    keyword: &'static str,
    value: &str,
) -> Result<(), Refused> {
    let refused = |path: &Path, obstacle| (path.to_path_buf(), obstacle);
    let instance = input.host.sshd.instances.iter().find(|instance| instance.config_file() == config);
    let instance = instance.ok_or_else(|| refused(config, Obstacle::Missing))?;
    let global = instance.effective(&crate::sshd::Connection::default());
    let origin = global.as_ref().ok().and_then(|global| global.value(&keyword.to_ascii_lowercase()));
    if origin.is_some_and(|value| matches!(value.origin, crate::sshd::Origin::CommandLine(_))) {
        let said = Said::new(&COMMAND_LINE).with("keyword", keyword);
        return Err(refused(config, Obstacle::Refused(said)));
    }
    if !work.sshd.contains_key(config) {
        let placed = place(work, instance)?;
        work.sshd.insert(config.to_path_buf(), placed);
    }
    let Some(placed) = work.sshd.get_mut(config) else { return Ok(()) };
    match placed.settings.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(keyword)) {
        Some((_, old)) => value.clone_into(old),
        None => placed.settings.push((keyword.to_owned(), value.to_owned())),
    }
    let file = placed.file.clone();
    render(work, config).map_err(|obstacle| refused(&file, obstacle))?;
    reload(work, input, &file)
}

/// The place of an sshd's settings, with what an earlier fix set there.
fn place(work: &mut Work<'_, '_>, instance: &Instance) -> Result<Placed, Refused> {
    if let Some(file) = instance.configuration.drop_in() {
        let settings = match work.draft.reader().file(&file) {
            Ok(view) => settings(view.bytes.split(|byte| *byte == b'\n')),
            Err(crate::snapshot::Miss::Absent) => Vec::new(),
            Err(crate::snapshot::Miss::Pending) => return Err((file, Obstacle::Pending)),
            Err(crate::snapshot::Miss::Unreadable(why)) => return Err((file, Obstacle::Unreadable(why))),
        };
        return Ok(Placed { file, whole: true, settings });
    }
    let file = instance.config_file().to_path_buf();
    let sheet = work.draft.sheet(&file).map_err(|obstacle| (file.clone(), obstacle))?;
    let block = block(sheet.lines());
    let settings = settings(sheet.lines().filter(|(number, _)| block.contains(number)).map(|(_, line)| line));
    Ok(Placed { file, whole: false, settings })
}

/// The line numbers of the block of ours, its first and last line among them.
fn block<'l>(lines: impl Iterator<Item = (u32, &'l [u8])>) -> Vec<u32> {
    let (mut open, mut numbers) = (false, Vec::new());
    for (number, line) in lines {
        open |= line.starts_with(BEGIN.as_bytes());
        if open {
            numbers.push(number);
        }
        if open && line.starts_with(END.as_bytes()) {
            return numbers;
        }
    }
    // A block without an end is not ours to cut.
    Vec::new()
}

/// Keywords and values of lines that were written here before.
fn settings<'l>(lines: impl Iterator<Item = &'l [u8]>) -> Vec<(String, String)> {
    let text = lines.map(|line| String::from_utf8_lossy(line).trim().to_owned());
    text.filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let (keyword, value) = line.split_once([' ', '\t']).unwrap_or((&line, ""));
            (keyword.to_owned(), value.trim().to_owned())
        })
        .collect()
}

/// Writes what is set for an sshd into its place.
fn render(work: &mut Work<'_, '_>, config: &Path) -> Result<(), Obstacle> {
    let Some(placed) = work.sshd.get(config) else { return Ok(()) };
    let lines: String = placed.settings.iter().map(|(keyword, value)| format!("{keyword} {value}\n")).collect();
    if placed.whole {
        return work.draft.write(&placed.file, format!("{HEADER}{lines}").into_bytes(), Owner::root(0o644));
    }
    let sheet = work.draft.sheet(&placed.file)?;
    let old = block(sheet.lines());
    old.into_iter().for_each(|number| sheet.remove(number));
    sheet.set_top(format!("{BEGIN}\n{HEADER}{lines}{END}\n").as_bytes());
    Ok(())
}

/// Puts another value in the place of one.
pub(super) fn line(
    work: &mut Work<'_, '_>,
    input: &Input<'_>,
    file: &Path,
    number: u32,
    keyword: &'static str,
    value: &str,
) -> Result<(), Refused> {
    let refused = |obstacle| (file.to_path_buf(), obstacle);
    let means = |word: &[u8]| {
        input
            .host
            .sshd
            .instances
            .iter()
            .any(|sshd| sshd.configuration.reads(file) && sshd.configuration.means(word, keyword))
    };
    let sheet = work.draft.sheet(file).map_err(refused)?;
    let old = sheet.line(number).ok_or_else(|| refused(Obstacle::Stale))?;
    let new = revalue(old, means, value).ok_or_else(|| refused(Obstacle::Stale))?;
    sheet.replace(number, new);
    reload(work, input, file)
}

/// The line with another value: its indentation, keyword, separator and comment stay.
fn revalue(line: &[u8], means: impl Fn(&[u8]) -> bool, value: &str) -> Option<Vec<u8>> {
    let start = line.iter().position(|byte| !b" \t".contains(byte))?;
    let rest = line.get(start..)?;
    let word = rest.iter().position(|byte| b" \t=\"".contains(byte))?;
    let after = rest.get(word..)?;
    let separator = after.iter().position(|byte| !b" \t=".contains(byte)).unwrap_or(after.len());
    if !means(rest.get(..word)?) || separator == 0 {
        return None;
    }
    let old = after.get(separator..)?;
    let comment = (1..old.len())
        .find(|at| old.get(*at) == Some(&b'#') && old.get(at - 1).is_some_and(|before| b" \t".contains(before)));
    let comment = comment.map(|at| {
        let blank = old.get(..at).unwrap_or_default().trim_ascii_end().len();
        old.get(blank..).unwrap_or_default()
    });
    let kept = line.get(..start + word + separator)?;
    Some([kept, value.as_bytes(), comment.unwrap_or_default()].concat())
}

/// Every running sshd that reads the file reads it again, once it has changed.
fn reload(work: &mut Work<'_, '_>, input: &Input<'_>, file: &Path) -> Result<(), Refused> {
    if input.seen.mode == Mode::Offline {
        return Ok(());
    }
    let place = work.draft.place(file).map_err(|obstacle| (file.to_path_buf(), obstacle))?;
    for instance in input.host.sshd.instances.iter().filter(|instance| instance.configuration.reads(file)) {
        let Found::Running { pid } = instance.found else { continue };
        match instance.unit.as_deref().filter(|unit| unit.ends_with(".service") && !work.beside.contains(&pid)) {
            Some(unit) => work.ask_after(&place, unit, Verb::Reload),
            None => {
                let said =
                    Said::new(&OUTSIDE).with("path", path_text(instance.config_file())).with("pid", pid.to_string());
                return Err((file.to_path_buf(), Obstacle::Refused(said)));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
