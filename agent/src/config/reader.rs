//! Walks a TOML document with typed questions, and tells every mistake with its place.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Problem;
use crate::nearest::nearest;

/// One file while it is read.
#[derive(Debug)]
pub(super) struct Document<'t> {
    file: &'t Path,
    text: &'t str,
    problems: RefCell<&'t mut Vec<Problem>>,
    /// Every key that was asked for, tables included.
    asked: RefCell<BTreeSet<String>>,
}

impl<'t> Document<'t> {
    /// A document about which nothing was asked yet.
    pub(super) fn new(file: &'t Path, text: &'t str, problems: &'t mut Vec<Problem>) -> Self {
        Self { file, text, problems: RefCell::new(problems), asked: RefCell::default() }
    }

    /// Parses the text and answers `read`'s questions. A broken document is one mistake.
    pub(super) fn walk<T: Default>(&self, read: impl FnOnce(&mut Section<'_, '_>) -> T) -> T {
        match DeTable::parse(self.text) {
            Ok(root) => {
                let mut section =
                    Section { document: self, path: String::new(), table: root.get_ref(), known: Vec::new() };
                let value = read(&mut section);
                section.finish();
                value
            }
            Err(error) => {
                self.problem(error.span().unwrap_or(0..0), String::new(), error.message().replace('\n', ", "));
                T::default()
            }
        }
    }

    /// Every key that was asked for, as `table.key`.
    #[cfg(test)]
    pub(super) fn asked(&self) -> BTreeSet<String> {
        self.asked.borrow().clone()
    }

    fn problem(&self, span: Range<usize>, key: String, what: String) {
        let place = place(self.text, span.start);
        self.problems.borrow_mut().push(Problem { file: self.file.to_path_buf(), place: Some(place), key, what });
    }
}

/// Line and column, in characters, from 1.
fn place(text: &str, at: usize) -> (u32, u32) {
    let before = text.get(..at.min(text.len())).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
}

/// A table of the document.
#[derive(Debug)]
pub(super) struct Section<'d, 't> {
    document: &'d Document<'t>,
    path: String,
    table: &'d DeTable<'d>,
    known: Vec<&'static str>,
}

impl<'d> Section<'d, '_> {
    fn key(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    fn find(&mut self, key: &'static str) -> Option<&'d Spanned<DeValue<'d>>> {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        self.document.asked.borrow_mut().insert(self.key(key));
        self.table.iter().find(|(name, _)| name.get_ref() == key).map(|(_, value)| value)
    }

    /// The value of a key as `read` understands it. A mistake is told and counts as not set.
    pub(super) fn get<T>(&mut self, key: &'static str, read: impl Fn(&DeValue<'_>) -> Result<T, String>) -> Option<T> {
        let value = self.find(key)?;
        self.understand(key, value, read)
    }

    fn understand<T>(
        &self,
        key: &str,
        value: &Spanned<DeValue<'_>>,
        read: impl Fn(&DeValue<'_>) -> Result<T, String>,
    ) -> Option<T> {
        match read(value.get_ref()) {
            Ok(understood) => Some(understood),
            Err(what) => {
                self.document.problem(value.span(), self.key(key), what);
                None
            }
        }
    }

    /// A list, each element as `read` understands it; mistakes are told one by one.
    pub(super) fn list<T>(
        &mut self,
        key: &'static str,
        read: impl Fn(&DeValue<'_>) -> Result<T, String>,
    ) -> Option<Vec<T>> {
        let value = self.find(key)?;
        let Some(items) = value.get_ref().as_array() else {
            self.document.problem(value.span(), self.key(key), format!("wanted a list, not {}", kind(value.get_ref())));
            return None;
        };
        Some(items.iter().filter_map(|item| self.understand(key, item, &read)).collect())
    }

    /// One value, or a list of them.
    pub(super) fn one_or_more<T>(
        &mut self,
        key: &'static str,
        read: impl Fn(&DeValue<'_>) -> Result<T, String>,
    ) -> Option<Vec<T>> {
        match self.find(key)?.get_ref() {
            DeValue::Array(_) => self.list(key, read),
            _ => self.get(key, read).map(|one| vec![one]),
        }
    }

    /// A table below this one, read by `read`.
    pub(super) fn section<T>(&mut self, key: &'static str, read: impl FnOnce(&mut Section<'d, '_>) -> T) -> Option<T> {
        let value = self.find(key)?;
        self.enter(key, value, read)
    }

    /// The tables of `[[key]]`.
    pub(super) fn sections<T>(
        &mut self,
        key: &'static str,
        read: impl Fn(&mut Section<'d, '_>) -> Option<T>,
    ) -> Vec<T> {
        let Some(value) = self.find(key) else { return Vec::new() };
        let Some(items) = value.get_ref().as_array() else {
            let what = format!("wanted [[{}]], not {}", self.key(key), kind(value.get_ref()));
            self.document.problem(value.span(), self.key(key), what);
            return Vec::new();
        };
        items.iter().filter_map(|item| self.enter(key, item, &read).flatten()).collect()
    }

    fn enter<T>(
        &self,
        key: &str,
        value: &'d Spanned<DeValue<'d>>,
        read: impl FnOnce(&mut Section<'d, '_>) -> T,
    ) -> Option<T> {
        let Some(table) = value.get_ref().as_table() else {
            self.document.problem(
                value.span(),
                self.key(key),
                format!("wanted a table, not {}", kind(value.get_ref())),
            );
            return None;
        };
        let mut section = Section { document: self.document, path: self.key(key), table, known: Vec::new() };
        let understood = read(&mut section);
        section.finish();
        Some(understood)
    }

    /// Every entry of a table whose keys are names: what `name` says is wrong with a key is told at the key.
    pub(super) fn entries<T>(
        &mut self,
        name: impl Fn(&str) -> Result<(), String>,
        read: impl Fn(&DeValue<'_>) -> Result<T, String>,
    ) -> Vec<(String, T)> {
        let mut out = Vec::new();
        for (key, value) in self.table.iter() {
            match name(key.get_ref()) {
                Err(what) => self.document.problem(key.span(), self.key(key.get_ref()), what),
                Ok(()) => {
                    if let Some(value) = self.understand(key.get_ref(), value, &read) {
                        out.push((key.get_ref().to_string(), value));
                    }
                }
            }
        }
        out
    }

    /// Whether the key stands here, rightly or wrongly.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.iter().any(|(name, _)| name.get_ref() == key)
    }

    /// Tells a mistake of the table as a whole.
    pub(super) fn wrong(&self, key: &str, what: impl Into<String>) {
        let span = self.table.iter().map(|(name, _)| name.span()).min_by_key(|span| span.start);
        self.document.problem(span.unwrap_or(0..0), self.key(key), what.into());
    }

    /// Tells of keys that nobody asked for.
    fn finish(self) {
        if self.known.is_empty() {
            return;
        }
        for (name, _) in self.table.iter().filter(|(name, _)| !self.known.iter().any(|known| known == name.get_ref())) {
            let what = match nearest(name.get_ref(), self.known.iter().copied()) {
                Some(right) => format!("no such key; did you mean {right}?"),
                None => format!("no such key; here stand {}", self.known.join(", ")),
            };
            self.document.problem(name.span(), self.key(name.get_ref()), what);
        }
    }
}

/// What a value is, for messages.
pub(super) fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
