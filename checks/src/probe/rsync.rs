//! The rsync daemon: whether it opens a module without a password. Which modules there are stands in its configuration; asked for
//! the list, it would hang up.

use super::wire::line;
use super::{Context, Heard, NO_REASON, Step, stranger, unclear};
use crate::observation::service::Answer;

/// The greeting, and the module's name. A module without a name is asked for where none is known: that is the list.
pub(super) fn question(context: &Context<'_>) -> Vec<u8> {
    let module = context.module.unwrap_or(b"#list");
    // Version 30, with no name for a digest of a password that we have not got.
    [b"@RSYNCD: 30.0\n", module, b"\n"].concat()
}

pub(super) fn hear(heard: &Heard<'_>) -> Step {
    let Some(greeting) = line(heard.bytes) else {
        let begins = heard.bytes.iter().zip(b"@RSYNCD: ").all(|(a, b)| a == b);
        return if begins { Step::More } else { stranger(heard.bytes) };
    };
    if !greeting.starts_with(b"@RSYNCD: ") {
        return stranger(heard.bytes);
    }
    let version = greeting.get(9..).and_then(Answer::version);
    let mut said = heard.bytes.get(greeting.len() + 1..).unwrap_or_default();
    // A message of the day may come before; what is listed is dropped, and only whether there was anything kept.
    let mut listed = false;
    while let Some(next) = line(said) {
        said = said
            .get(next.len() + 1..)
            .unwrap_or_default()
            .strip_prefix(b"\n")
            .unwrap_or(said.get(next.len() + 1..).unwrap_or_default());
        let word = next.strip_prefix(b"@RSYNCD: ");
        match word {
            Some(b"OK") => return Step::Done(Answer::Open(version)),
            Some(b"EXIT") if listed => {
                return unclear("it lists its modules; which of them want a password could not be told");
            }
            Some(b"EXIT") => return Step::Done(Answer::Closed),
            Some(word) if word.starts_with(b"AUTHREQD") => return Step::Done(Answer::Closed),
            _ if next.starts_with(b"@ERROR: access denied") => return Step::Done(Answer::Closed),
            _ if next.starts_with(b"@ERROR") => return unclear(NO_REASON),
            _ => listed = true,
        }
    }
    Step::More
}

/// A module of rsyncd.conf(5) to ask for: one that no `auth users` guards, before one that they do. None: there is none, or asking for
/// it would run a program of its own (`early exec`, `pre-xfer exec`, `post-xfer exec`).
pub fn module_to_ask(conf: &[u8]) -> Option<Vec<u8>> {
    #[derive(Default)]
    struct Module<'c> {
        name: &'c [u8],
        guarded: bool,
        runs: bool,
    }
    let mut modules: Vec<Module<'_>> = vec![Module::default()];
    for line in conf.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii) {
        if let Some(name) = line.strip_prefix(b"[").and_then(|line| line.strip_suffix(b"]")) {
            let (guarded, runs) = modules.first().map_or((false, false), |global| (global.guarded, global.runs));
            modules.push(Module { name: name.trim_ascii(), guarded, runs });
            continue;
        }
        let Some((key, value)) = line.iter().position(|byte| *byte == b'=').map(|at| line.split_at(at)) else {
            continue;
        };
        // White space in and around names does not count.
        let key: Vec<u8> = key.iter().filter(|byte| !byte.is_ascii_whitespace()).map(u8::to_ascii_lowercase).collect();
        let (said, module) = (value.trim_ascii() != b"=", modules.last_mut()?);
        match key.as_slice() {
            b"authusers" => module.guarded = said,
            b"earlyexec" | b"pre-xferexec" | b"post-xferexec" => module.runs = said,
            _ => {}
        }
    }
    let sane = |name: &[u8]| {
        !name.is_empty() && name.len() < 256 && !name.starts_with(b"#") && !name.iter().any(u8::is_ascii_control)
    };
    let mut usable: Vec<_> = modules.into_iter().filter(|module| sane(module.name) && !module.runs).collect();
    usable.sort_by_key(|module| module.guarded);
    usable.first().map(|module| module.name.to_vec())
}
