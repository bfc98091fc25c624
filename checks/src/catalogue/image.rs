//! The area image: what a host carries into an image made of it, and from there into every instance.

use std::path::Path;

use crate::check::{Finding, Input, Tally, path_text};
use crate::edit::Edit;
use crate::fact::{Fact, Why};
use crate::host::image::{Becomes, GENERATE_NAME, Image, Leftover, What};

pub mod credentials;
pub mod identity;
#[cfg(test)]
pub(super) mod shown;
#[cfg(test)]
mod testing;
pub mod traces;

/// "Avoid using preset logon credentials in custom images".
const PRESET: &str = "Alibaba Cloud ECS: avoid preset logon credentials in custom images";
/// "Avoid images and snapshots from accidentally revealing sensitive information".
const REVEALING: &str = "Alibaba Cloud ECS: keep images and snapshots from revealing sensitive information";

/// How many names a finding shows.
const SHOWN: usize = 5;

/// What was found of the host as an image, with a doubt for each place of these kinds that could not be looked at.
fn image<'a>(input: &Input<'a>, kinds: &[What], tally: &mut Tally) -> Option<&'a Image> {
    let image = match &input.host.image {
        Fact::Known(image) => image,
        Fact::Absent => {
            tally.doubt("file:/", Why::NotAsked("what an image carries was not looked for"));
            return None;
        }
        Fact::Unknown(why) => {
            tally.doubt("file:/", why.clone());
            return None;
        }
    };
    for (_, path, why) in image.unread.iter().filter(|(what, ..)| kinds.contains(what)) {
        tally.doubt(file_subject(path), why.clone());
    }
    Some(image)
}

/// The subject of a finding about a file.
fn file_subject(path: &Path) -> String {
    format!("file:{}", path_text(path))
}

/// What is done about a leftover, where anything is: nothing of it is kept, but for a name that a line takes the place of.
fn mended(leftover: &Leftover) -> Option<Edit> {
    let path = leftover.path.clone();
    match leftover.becomes {
        Becomes::Nothing | Becomes::NoDirectory => Some(Edit::Erase { path, leave_empty: false }),
        Becomes::Empty => Some(Edit::Erase { path, leave_empty: true }),
        Becomes::GenerateName => Some(Edit::WriteFile { file: path, content: GENERATE_NAME.to_owned(), mode: 0o600 }),
        Becomes::Stays => None,
    }
}

/// A finding about one file: the message's only parameter is `file`.
fn about_file(finding: Finding, leftover: &Leftover) -> Finding {
    let file = path_text(&leftover.path);
    mended(leftover).into_iter().fold(finding.with("file", &file).seen(&file, None, ""), Finding::fixed_by)
}

/// A finding about everything found in a directory: how many, and the first names.
fn about_all(finding: Finding, dir: &Path, all: &[&Leftover]) -> Finding {
    let files: Vec<&&Leftover> = all.iter().filter(|one| one.becomes != Becomes::NoDirectory).collect();
    let names = files.iter().take(SHOWN).map(|one| path_text(one.path.strip_prefix(dir).unwrap_or(&one.path)));
    let mut names: Vec<String> = names.collect();
    if files.len() > SHOWN {
        names.push("…".to_owned());
    }
    let count = i64::try_from(files.len()).unwrap_or(i64::MAX);
    let finding = finding.with("dir", path_text(dir)).with_number("count", count).with_list("files", names);
    let edits = all.iter().filter_map(|one| mended(one));
    edits.fold(finding.seen(path_text(dir), None, ""), Finding::fixed_by)
}
