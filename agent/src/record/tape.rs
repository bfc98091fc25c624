//! A recorded snapshot on disk and back: a host's answers replayed where the host is not.
//!
//! One JSON object a line. A tape holds what the files held, secrets too: it is for tests and for one's own hosts.

use std::io::{BufRead, Write};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hostward_checks::fact::Why;
use hostward_checks::snapshot::{Answer, Body, Kind, Marks, Meta, Snapshot};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Line {
    /// The path's bytes in base64: a name need not be UTF-8.
    path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unreadable: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    node: Option<Node>,
}

#[derive(Serialize, Deserialize)]
struct Node {
    kind: char,
    mode: u32,
    uid: u32,
    gid: u32,
    size: u64,
    mtime: String,
    ctime: String,
    id: (u64, u64),
    #[serde(default, skip_serializing_if = "Option::is_none")]
    content: Option<Result<String, String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    names: Option<Result<Vec<String>, String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    marks: Option<Result<Vec<String>, String>>,
}

const KINDS: [(Kind, char); 7] = [
    (Kind::File, 'f'),
    (Kind::Dir, 'd'),
    (Kind::Link, 'l'),
    (Kind::Fifo, 'p'),
    (Kind::Socket, 's'),
    (Kind::CharDevice, 'c'),
    (Kind::BlockDevice, 'b'),
];

fn encode(path: &std::path::Path) -> String {
    STANDARD.encode(path.as_os_str().as_encoded_bytes())
}

fn decode(text: &str) -> anyhow::Result<PathBuf> {
    use std::os::unix::ffi::OsStringExt;
    Ok(PathBuf::from(std::ffi::OsString::from_vec(STANDARD.decode(text)?)))
}

fn answered<T, U>(result: &Result<T, Why>, value: impl Fn(&T) -> U) -> Result<U, String> {
    result.as_ref().map(value).map_err(Why::to_string)
}

/// Writes every answer of a snapshot.
pub fn save(snapshot: &Snapshot, out: &mut impl Write) -> anyhow::Result<()> {
    for (path, answer) in snapshot.answers() {
        let mut line = Line { path: encode(path), unreadable: None, node: None };
        match answer {
            Answer::Absent => {}
            Answer::Unreadable(why) => line.unreadable = Some(why.to_string()),
            Answer::Node { meta, body } => line.node = Some(node(meta, body)),
        }
        serde_json::to_writer(&mut *out, &line)?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

fn node(meta: &Meta, body: &Body) -> Node {
    Node {
        kind: KINDS.iter().find(|(kind, _)| *kind == meta.kind).map_or('f', |(_, letter)| *letter),
        mode: meta.mode,
        uid: meta.uid,
        gid: meta.gid,
        size: meta.size,
        mtime: meta.mtime_ns.to_string(),
        ctime: meta.ctime_ns.to_string(),
        id: meta.id,
        content: body.content.as_ref().map(|result| answered(result, |bytes| STANDARD.encode(bytes))),
        names: body
            .names
            .as_ref()
            .map(|result| answered(result, |names| names.iter().map(|name| encode(name)).collect())),
        target: body.target.as_deref().map(encode),
        marks: body.marks.as_ref().map(|result| answered(result, |marks| marks.strings.clone())),
    }
}

/// Reads a snapshot back. It is complete: a path that was never recorded is absent.
pub fn load(tape: impl BufRead) -> anyhow::Result<Snapshot> {
    let mut answers = std::collections::BTreeMap::new();
    for (number, line) in tape.lines().enumerate() {
        let read = || -> anyhow::Result<(PathBuf, Answer)> {
            let line: Line = serde_json::from_str(&line?)?;
            let answer = match (line.unreadable, line.node) {
                (Some(why), _) => Answer::Unreadable(Why::Failed(why)),
                (None, None) => Answer::Absent,
                (None, Some(node)) => restore(node)?,
            };
            Ok((decode(&line.path)?, answer))
        };
        let (path, answer) = read().with_context(|| format!("failed to read line {} of the tape", number + 1))?;
        answers.insert(path, answer);
    }
    Ok(Snapshot::complete(answers))
}

fn restore(node: Node) -> anyhow::Result<Answer> {
    let kind = KINDS.iter().find(|(_, letter)| *letter == node.kind).map(|(kind, _)| *kind).context("no such kind")?;
    let meta = Meta {
        kind,
        mode: node.mode,
        uid: node.uid,
        gid: node.gid,
        size: node.size,
        mtime_ns: node.mtime.parse()?,
        ctime_ns: node.ctime.parse()?,
        id: node.id,
    };
    let content = match node.content {
        None => None,
        Some(Err(why)) => Some(Err(Why::Failed(why))),
        Some(Ok(text)) => Some(Ok(Arc::from(STANDARD.decode(text)?))),
    };
    let names = match node.names {
        None => None,
        Some(Err(why)) => Some(Err(Why::Failed(why))),
        Some(Ok(names)) => {
            Some(Ok(names.iter().map(|name| decode(name)).collect::<anyhow::Result<Arc<[PathBuf]>>>()?))
        }
    };
    let target = node.target.as_deref().map(decode).transpose()?;
    let marks = node.marks.map(|marks| marks.map(|strings| Arc::new(Marks { strings })).map_err(Why::Failed));
    Ok(Answer::Node { meta, body: Body { content, names, target, marks } })
}

#[cfg(test)]
mod tests {
    use hostward_checks::host::Host;
    use hostward_checks::observation::Observations;

    use super::*;
    use crate::root::Root;

    #[test]
    fn a_replayed_host_has_the_facts_of_the_recorded_one() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("usr/lib")).unwrap();
        std::fs::create_dir_all(dir.path().join("etc")).unwrap();
        std::fs::write(dir.path().join("usr/lib/os-release"), "ID=debian\nVERSION_ID=12\n").unwrap();
        std::os::unix::fs::symlink("../usr/lib/os-release", dir.path().join("etc/os-release")).unwrap();
        std::fs::write(dir.path().join("etc/passwd"), b"a\xff:x:0:0:::\n").unwrap();
        let seen = Observations::offline(0);
        let recorded = crate::record::record(&Root::open(dir.path()).unwrap(), &seen);
        let mut tape = Vec::new();
        save(&recorded.snapshot, &mut tape).unwrap();
        let (replayed, need) = Host::read(&load(tape.as_slice()).unwrap(), &seen);
        assert!(need.is_empty(), "{need:?}");
        assert_eq!(format!("{replayed:?}"), format!("{:?}", recorded.host));
        assert!(load(&b"{}\n"[..]).is_err());
    }
}
