//! The working copy that edits are made on: files as they would become, each with what it was.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Obstacle, Obstacles};
use crate::check::path_text;
use crate::effect::{FileChange, Owner, State};
use crate::snapshot::{Answer, Body, Kind, Meta, Miss, Reader, Snapshot};

mod sheet;

pub use sheet::Sheet;

/// Files as they would become.
#[derive(Clone, Debug)]
pub struct Draft<'r, 's> {
    reader: &'r Reader<'s>,
    obstacles: &'r Obstacles,
    nodes: BTreeMap<PathBuf, Node>,
    touched: Vec<PathBuf>,
}

#[derive(Clone, Debug)]
struct Node {
    before: State,
    after: After,
    /// Nothing of what was there is to be kept.
    for_good: bool,
}

#[derive(Clone, Debug)]
enum After {
    /// Only owner and mode.
    Owner(Owner),
    /// Lines of the old content.
    Lines(Sheet, Owner),
    /// New content.
    Whole(Arc<[u8]>, Owner),
    /// A directory.
    Dir(Owner),
    /// Nothing.
    Removed,
}

impl<'r, 's> Draft<'r, 's> {
    /// Nothing changed yet.
    pub fn new(reader: &'r Reader<'s>, obstacles: &'r Obstacles) -> Self {
        Self { reader, obstacles, nodes: BTreeMap::new(), touched: Vec::new() }
    }

    /// What the paths are read through.
    pub fn reader(&self) -> &'r Reader<'s> {
        self.reader
    }

    /// The paths that were opened for a change since this was last asked.
    pub fn take_touched(&mut self) -> Vec<PathBuf> {
        std::mem::take(&mut self.touched)
    }

    fn touch(&mut self, place: &Path) {
        if !self.touched.iter().any(|known| known == place) {
            self.touched.push(place.to_path_buf());
        }
    }

    /// The path without links on the way. A link at its end is an obstacle; so is what the agent says of it.
    ///
    /// # Errors
    /// The obstacle.
    pub fn place(&self, path: &Path) -> Result<PathBuf, Obstacle> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(Obstacle::Special("directory"));
        };
        let canonical = match self.reader.canonical(parent) {
            Ok(parent) => parent.join(name),
            // A directory that this plan makes.
            Err(Miss::Absent) => self.place(parent)?.join(name),
            Err(miss) => return Err(obstacle(miss)),
        };
        if let Some(known) = self.obstacles.get(&canonical) {
            return Err(known.clone());
        }
        match self.reader.walk(&canonical, false) {
            Ok(walk) if walk.meta.kind == Kind::Link => {
                Err(Obstacle::Link(walk.body.target.as_deref().map(path_text).unwrap_or_default()))
            }
            Ok(_) | Err(Miss::Absent) => Ok(canonical),
            Err(miss) => Err(obstacle(miss)),
        }
    }

    /// The same of something that is to be erased: a link is what it is itself.
    ///
    /// # Errors
    /// As [`Self::place`].
    pub fn place_erased(&self, path: &Path) -> Result<PathBuf, Obstacle> {
        match (self.place(path), path.parent(), path.file_name()) {
            (Err(Obstacle::Link(_)), Some(parent), Some(name)) => {
                Ok(self.reader.canonical(parent).map_err(obstacle)?.join(name))
            }
            (placed, ..) => placed,
        }
    }

    /// Opens a regular file for edits of its lines.
    ///
    /// # Errors
    /// It is not there, cannot be read, or is no file whose lines could be edited.
    pub fn sheet(&mut self, path: &Path) -> Result<&mut Sheet, Obstacle> {
        let place = self.place(path)?;
        if !self.nodes.contains_key(&place) {
            let view = self.reader.file(&place).map_err(obstacle)?;
            let owner = owner(view.meta);
            let before = State::file(view.bytes, owner);
            self.nodes.insert(place.clone(), Node::new(before, After::Owner(owner)));
        }
        self.touch(&place);
        let node = self.nodes.get_mut(&place).ok_or(Obstacle::Missing)?;
        if let After::Owner(owner) = node.after {
            // Its content was not looked at while only its mode was of interest.
            if node.before.content().is_none() {
                let view = self.reader.file(&place).map_err(obstacle)?;
                node.before = State::file(view.bytes, self::owner(view.meta));
            }
            let content = node.before.content().cloned().ok_or(Obstacle::Missing)?;
            node.after = After::Lines(Sheet::new(content).ok_or(Obstacle::Binary)?, owner);
        }
        if let After::Whole(content, owner) = &node.after {
            node.after = After::Lines(Sheet::new(content.clone()).ok_or(Obstacle::Binary)?, *owner);
        }
        match &mut node.after {
            After::Lines(sheet, _) => Ok(sheet),
            _ => Err(Obstacle::Stale),
        }
    }

    /// Gives a file this content: a new one with this owner, one that is there keeps its own. Directories on the way are made,
    /// root's with mode 0755.
    ///
    /// # Errors
    /// Something else stands in the way.
    pub fn write(&mut self, path: &Path, content: impl Into<Arc<[u8]>>, fresh: Owner) -> Result<(), Obstacle> {
        self.make_parents(path)?;
        let place = self.place(path)?;
        let content = content.into();
        let before = match self.reader.file(&place) {
            Ok(view) => State::file(view.bytes, owner(view.meta)),
            Err(Miss::Absent) => State::Absent,
            Err(miss) => return Err(obstacle(miss)),
        };
        let owner = before.owner().unwrap_or(fresh);
        self.touch(&place);
        self.nodes.entry(place).or_insert(Node::new(before, After::Removed)).after = After::Whole(content, owner);
        Ok(())
    }

    fn make_parents(&mut self, path: &Path) -> Result<(), Obstacle> {
        let Some(parent) = path.parent().filter(|parent| parent.parent().is_some()) else { return Ok(()) };
        match self.reader.meta(parent) {
            Ok(meta) if meta.kind == Kind::Dir => Ok(()),
            Ok(meta) => Err(Obstacle::Special(meta.kind.noun())),
            Err(Miss::Absent) => {
                self.make_parents(parent)?;
                let place = self.place(parent)?;
                let node = Node::new(State::Absent, After::Dir(Owner::root(0o755)));
                self.touch(&place);
                self.nodes.entry(place).or_insert(node);
                Ok(())
            }
            Err(miss) => Err(obstacle(miss)),
        }
    }

    /// Takes a regular file away.
    ///
    /// # Errors
    /// It is not there, cannot be read (its content goes to the transaction), or is no regular file.
    pub fn remove(&mut self, path: &Path) -> Result<(), Obstacle> {
        let place = self.place(path)?;
        let view = self.reader.file(&place).map_err(obstacle)?;
        let before = State::file(view.bytes, owner(view.meta));
        self.touch(&place);
        self.nodes.entry(place).or_insert(Node::new(before, After::Removed)).after = After::Removed;
        Ok(())
    }

    /// Takes a file or a directory away for good, or what the file holds. Its content is not even read.
    ///
    /// # Errors
    /// It is not there, or is neither.
    pub fn erase(&mut self, path: &Path, leave_empty: bool) -> Result<(), Obstacle> {
        let place = self.place_erased(path)?;
        let meta = self.reader.link_meta(&place).map_err(obstacle)?;
        let owner = owner(meta);
        let (before, after) = match meta.kind {
            Kind::File if leave_empty => (State::File { content: None, owner }, After::Whole(Arc::from([]), owner)),
            Kind::File | Kind::Link => (State::File { content: None, owner }, After::Removed),
            Kind::Dir => (State::Dir { owner }, After::Removed),
            other => return Err(Obstacle::Special(other.noun())),
        };
        self.touch(&place);
        self.nodes.insert(place, Node { before, after, for_good: true });
        Ok(())
    }

    /// Whatever else becomes of this file, nothing of what it holds is to be kept.
    pub fn keep_nothing(&mut self, path: &Path) {
        if let Ok(place) = self.place(path)
            && let Some(node) = self.nodes.get_mut(&place)
        {
            node.for_good = true;
        }
    }

    /// Owner and mode of a file or directory, to be changed.
    ///
    /// # Errors
    /// It is not there, or is neither.
    pub fn owner(&mut self, path: &Path) -> Result<&mut Owner, Obstacle> {
        let place = self.place(path)?;
        if !self.nodes.contains_key(&place) {
            let meta = self.reader.link_meta(&place).map_err(obstacle)?;
            let owner = owner(meta);
            let node = match meta.kind {
                Kind::File => Node::new(State::File { content: None, owner }, After::Owner(owner)),
                Kind::Dir => Node::new(State::Dir { owner }, After::Dir(owner)),
                other => return Err(Obstacle::Special(other.noun())),
            };
            self.nodes.insert(place.clone(), node);
        }
        self.touch(&place);
        match self.nodes.get_mut(&place).map(|node| &mut node.after) {
            Some(After::Owner(owner) | After::Lines(_, owner) | After::Whole(_, owner) | After::Dir(owner)) => {
                Ok(owner)
            }
            Some(After::Removed) | None => Err(Obstacle::Missing),
        }
    }

    /// Owner and mode that a place without links on the way will have; None: nothing was asked for there, or it goes.
    pub fn becomes(&self, place: &Path) -> Option<Owner> {
        match &self.nodes.get(place)?.after {
            After::Owner(owner) | After::Lines(_, owner) | After::Whole(_, owner) | After::Dir(owner) => Some(*owner),
            After::Removed => None,
        }
    }

    /// What changed, in the order of the paths: a directory before what is in it.
    pub fn changes(&self) -> Vec<FileChange> {
        self.changed(false)
    }

    /// What goes for good, in the order of the paths.
    pub fn erasures(&self) -> Vec<FileChange> {
        self.changed(true)
    }

    fn changed(&self, for_good: bool) -> Vec<FileChange> {
        let nodes = self.nodes.iter().filter(|(_, node)| node.for_good == for_good);
        nodes.filter_map(|(path, node)| node.change(path)).collect()
    }
}

impl Node {
    fn new(before: State, after: After) -> Self {
        Self { before, after, for_good: false }
    }

    /// What becomes of it; None: nothing.
    fn change(&self, path: &Path) -> Option<FileChange> {
        let after = match &self.after {
            After::Owner(owner) => match &self.before {
                State::Dir { .. } => State::Dir { owner: *owner },
                _ => State::File { content: None, owner: *owner },
            },
            After::Lines(sheet, owner) => State::file(sheet.content(), *owner),
            After::Whole(content, owner) => State::File { content: Some(content.clone()), owner: *owner },
            After::Dir(owner) => State::Dir { owner: *owner },
            After::Removed => State::Absent,
        };
        let (before, after) = match (&self.before, after) {
            // What keeps its bytes needs no copy of them.
            (State::File { content: Some(had), owner }, State::File { content, owner: to })
                if content.as_ref().is_none_or(|content| content == had) =>
            {
                (State::File { content: None, owner: *owner }, State::File { content: None, owner: to })
            }
            (before, after) => (before.clone(), after),
        };
        (before != after).then(|| FileChange { path: path.to_path_buf(), before, after })
    }
}

fn obstacle(miss: Miss) -> Obstacle {
    match miss {
        Miss::Absent => Obstacle::Missing,
        Miss::Pending => Obstacle::Pending,
        Miss::Unreadable(why) => Obstacle::Unreadable(why),
    }
}

fn owner(meta: Meta) -> Owner {
    Owner { uid: meta.uid, gid: meta.gid, mode: meta.mode }
}

/// Lays a change over a snapshot: the node itself, and its name in its directory.
pub fn lay(snapshot: &mut Snapshot, change: &FileChange) {
    let old = match snapshot.get(&change.path) {
        Some(Answer::Node { meta, body }) => Some((*meta, body.clone())),
        _ => None,
    };
    let answer = match &change.after {
        State::Absent => Answer::Absent,
        State::File { content, owner } => {
            let had = old.and_then(|(_, body)| body.content);
            let content = content.as_ref().map(|content| Ok(content.clone())).or(had);
            let size = content.as_ref().and_then(|content| content.as_ref().ok()).map_or(0, |bytes| bytes.len());
            let meta = laid(
                &change.path,
                Kind::File,
                *owner,
                u64::try_from(size).unwrap_or(u64::MAX),
                old_id(snapshot, change),
            );
            Answer::Node { meta, body: Body { content, ..Body::default() } }
        }
        State::Dir { owner } => {
            let names = old.and_then(|(_, body)| body.names).or(match change.before {
                State::Absent => Some(Ok(Arc::from([]))),
                _ => None,
            });
            let meta = laid(&change.path, Kind::Dir, *owner, 0, old_id(snapshot, change));
            Answer::Node { meta, body: Body { names, ..Body::default() } }
        }
    };
    let there = change.after != State::Absent;
    snapshot.put(change.path.clone(), answer);
    let (Some(parent), Some(name)) = (change.path.parent(), change.path.file_name()) else { return };
    if let Some(Answer::Node { meta, body }) = snapshot.get(parent)
        && let Some(Ok(names)) = &body.names
        && names.iter().any(|known| known.as_os_str() == name) != there
    {
        let (meta, mut body) = (*meta, body.clone());
        let mut list: Vec<PathBuf> = names.iter().filter(|known| known.as_os_str() != name).cloned().collect();
        if there {
            list.push(PathBuf::from(name));
            list.sort();
        }
        body.names = Some(Ok(list.into()));
        snapshot.put(parent.to_path_buf(), Answer::Node { meta, body });
    }
}

fn old_id(snapshot: &Snapshot, change: &FileChange) -> Option<(u64, u64)> {
    match snapshot.get(&change.path) {
        Some(Answer::Node { meta, .. }) => Some(meta.id),
        _ => None,
    }
}

/// Metadata of a node that is not there yet; it is told apart from every real one by a device that no kernel gives.
fn laid(path: &Path, kind: Kind, owner: Owner, size: u64, old: Option<(u64, u64)>) -> Meta {
    let inode = path
        .as_os_str()
        .as_encoded_bytes()
        .iter()
        .fold(5381_u64, |hash, byte| hash.wrapping_mul(33).wrapping_add(u64::from(*byte)));
    let id = old.unwrap_or((u64::MAX, inode));
    Meta { kind, mode: owner.mode, uid: owner.uid, gid: owner.gid, size, mtime_ns: 0, ctime_ns: 0, id }
}

#[cfg(test)]
mod tests;
