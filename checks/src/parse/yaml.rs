//! YAML as far as cloud-init's configuration needs it: a bounded tree with line numbers.
//!
//! cloud-init reads with PyYAML's safe loader: the last of several equal keys counts, `<<` merges mappings, an unknown tag
//! or a second document makes the whole file void. Nesting, nodes and text are bounded, aliases counted as often as they are
//! used, so a document that unfolds without end costs no more than an honest one.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle};

use super::Defect;
use crate::check::bytes_text;

/// Deepest nesting that is followed.
const MAX_DEPTH: usize = 64;
/// Most nodes of one document, aliases unfolded.
const MAX_NODES: usize = 50_000;
/// Most bytes of text of one document, aliases unfolded.
const MAX_TEXT: usize = 4 << 20;

/// A node of the document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its line, from 1.
    pub line: u32,
    /// What it is.
    pub value: Value,
}

/// What a node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Text, a number, a boolean or null, as written.
    Scalar {
        /// The text, quotes taken off.
        text: String,
        /// Whether it was written without quotes, so that `yes` is a boolean and `~` is null.
        plain: bool,
    },
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, keys unique, in the order of their last occurrence.
    Map(Vec<(String, Node)>),
}

impl Node {
    /// The value of a key, where this is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.entries().iter().find(|(name, _)| name == key).map(|(_, node)| node)
    }

    /// The entries, where this is a mapping.
    pub fn entries(&self) -> &[(String, Self)] {
        match &self.value {
            Value::Map(entries) => entries,
            Value::Scalar { .. } | Value::List(_) => &[],
        }
    }

    /// The elements, where this is a sequence.
    pub fn items(&self) -> &[Self] {
        match &self.value {
            Value::List(items) => items,
            Value::Scalar { .. } | Value::Map(_) => &[],
        }
    }

    /// The text, where this is a scalar that is not null.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } if !self.is_null() => Some(text),
            _ => None,
        }
    }

    /// Whether it is null: nothing, `~` or `null` without quotes.
    pub fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar { text, plain: true }
            if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }
}

/// Reads one document. None: empty, or nothing of it can be trusted. Any defect may have hidden something.
pub fn parse(bytes: &[u8]) -> (Option<Node>, Vec<Defect>) {
    let text = bytes_text(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes));
    let mut tree = Tree::default();
    for event in Parser::new_from_str(&text) {
        let step = match event {
            Ok((event, span)) => {
                let line = u32::try_from(span.start.line()).unwrap_or(u32::MAX);
                tree.take(event, line).map_err(|what| Defect { line, what: what.to_owned() })
            }
            Err(error) => {
                let line = u32::try_from(error.marker().line()).unwrap_or(u32::MAX);
                Err(Defect { line, what: format!("not valid YAML: {}", error.info()) })
            }
        };
        if let Err(defect) = step {
            return (None, vec![defect]);
        }
    }
    (tree.root, Vec::new())
}

/// A collection that is still open.
#[derive(Debug)]
struct Frame {
    line: u32,
    anchor: usize,
    /// None for a sequence.
    entries: Option<Vec<(String, Node)>>,
    items: Vec<Node>,
    key: Option<String>,
}

/// A finished node that an alias may repeat, with its price.
#[derive(Debug)]
struct Anchored {
    node: Node,
    nodes: usize,
    text: usize,
}

#[derive(Debug, Default)]
struct Tree {
    open: Vec<Frame>,
    anchors: HashMap<usize, Anchored>,
    root: Option<Node>,
    nodes: usize,
    text: usize,
    documents: usize,
}

impl Tree {
    fn take(&mut self, event: Event<'_>, line: u32) -> Result<(), &'static str> {
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 { Err("more than one document") } else { Ok(()) }
            }
            Event::Scalar(text, style, anchor, tag) => {
                if tag.is_some_and(|tag| !tag.is_yaml_core_schema()) {
                    return Err("a tag that cloud-init does not know");
                }
                self.pay(1, text.len())?;
                let value = Value::Scalar { text: text.into_owned(), plain: style == ScalarStyle::Plain };
                self.place(Node { line, value }, anchor)
            }
            Event::SequenceStart(anchor, tag) => {
                self.enter(None, anchor, tag.is_none_or(|t| t.is_yaml_core_schema()), line)
            }
            Event::MappingStart(anchor, tag) => {
                self.enter(Some(Vec::new()), anchor, tag.is_none_or(|t| t.is_yaml_core_schema()), line)
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(frame) = self.open.pop() else { return Err("a collection ends that never began") };
                let value = match frame.entries {
                    Some(entries) => Value::Map(merged(entries)),
                    None => Value::List(frame.items),
                };
                self.place(Node { line: frame.line, value }, frame.anchor)
            }
            Event::Alias(anchor) => {
                let Some(known) = self.anchors.get(&anchor) else { return Err("an alias of what is not there") };
                let (node, nodes, text) = (&known.node, known.nodes, known.text);
                if self.nodes + nodes > MAX_NODES || self.text + text > MAX_TEXT {
                    return Err("aliases unfold to more than hostward reads");
                }
                let node = Node { line, value: node.value.clone() };
                self.pay(nodes, text)?;
                self.place(node, 0)
            }
        }
    }

    fn enter(
        &mut self,
        entries: Option<Vec<(String, Node)>>,
        anchor: usize,
        known_tag: bool,
        line: u32,
    ) -> Result<(), &'static str> {
        if !known_tag {
            return Err("a tag that cloud-init does not know");
        }
        if self.open.len() >= MAX_DEPTH {
            return Err("nested deeper than hostward follows");
        }
        self.pay(1, 0)?;
        self.open.push(Frame { line, anchor, entries, items: Vec::new(), key: None });
        Ok(())
    }

    fn pay(&mut self, nodes: usize, text: usize) -> Result<(), &'static str> {
        self.nodes += nodes;
        self.text += text;
        if self.nodes > MAX_NODES || self.text > MAX_TEXT { Err("more than hostward reads") } else { Ok(()) }
    }

    /// Puts a finished node where it belongs and remembers it for aliases.
    fn place(&mut self, node: Node, anchor: usize) -> Result<(), &'static str> {
        if anchor > 0 {
            let (nodes, text) = weight(&node);
            // A copy is kept for later aliases, so it is paid for like one.
            self.pay(nodes, text)?;
            self.anchors.insert(anchor, Anchored { node: node.clone(), nodes, text });
        }
        let Some(frame) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match (&mut frame.entries, frame.key.take()) {
            (None, _) => frame.items.push(node),
            (Some(_), None) => match node.value {
                Value::Scalar { text, .. } => frame.key = Some(text),
                Value::List(_) | Value::Map(_) => return Err("a key that is not a word"),
            },
            (Some(entries), Some(key)) => entries.push((key, node)),
        }
        Ok(())
    }
}

/// Nodes and bytes of text below and with a node. The depth is bounded, so is the recursion.
fn weight(node: &Node) -> (usize, usize) {
    let add = |(nodes, text): (usize, usize), (n, t): (usize, usize)| (nodes + n, text + t);
    match &node.value {
        Value::Scalar { text, .. } => (1, text.len()),
        Value::List(items) => items.iter().map(weight).fold((1, 0), add),
        Value::Map(entries) => entries.iter().map(|(key, node)| add((1, key.len()), weight(node))).fold((1, 0), add),
    }
}

/// Later keys replace earlier ones; `<<` lends what is not given (`yaml.SafeLoader`, flatten_mapping).
fn merged(entries: Vec<(String, Node)>) -> Vec<(String, Node)> {
    let mut lent = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut own: Vec<(String, Node)> = Vec::new();
    for (key, node) in entries {
        match node.value {
            Value::Map(inner) if key == "<<" => lent.extend(inner),
            Value::List(maps) if key == "<<" => {
                lent.extend(maps.into_iter().rev().flat_map(|map| match map.value {
                    Value::Map(inner) => inner,
                    Value::Scalar { .. } | Value::List(_) => Vec::new(),
                }));
            }
            value => {
                let node = Node { line: node.line, value };
                match places.get(&key).and_then(|place| own.get_mut(*place)) {
                    Some(slot) => slot.1 = node,
                    None => {
                        places.insert(key.clone(), own.len());
                        own.push((key, node));
                    }
                }
            }
        }
    }
    let first_own = own.len();
    for (key, node) in lent {
        match places.get(&key) {
            Some(place) if *place < first_own => {}
            Some(place) => {
                if let Some(slot) = own.get_mut(*place) {
                    slot.1 = node;
                }
            }
            None => {
                places.insert(key.clone(), own.len());
                own.push((key, node));
            }
        }
    }
    own
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(text: &str) -> Node {
        let (node, defects) = parse(text.as_bytes());
        assert_eq!(defects, [], "{text}");
        node.unwrap_or_else(|| panic!("nothing in {text}"))
    }

    #[test]
    fn reads_what_cloud_configurations_are_made_of() {
        let node = root(
            "#cloud-config\nusers:\n  - default\n  - name: 'web'\n    lock_passwd: false\nssh_pwauth: no\nssh_pwauth: yes\n\
             list: |\n  a:b\n  c:d\nempty:\nbase: &b {x: 1, y: 2}\nother:\n  <<: *b\n  y: 3\n",
        );
        assert_eq!(node.get("ssh_pwauth").map(|n| (n.line, n.text())), Some((7, Some("yes"))));
        let users = node.get("users").unwrap().items();
        assert_eq!(users[0].text(), Some("default"));
        assert_eq!(users[1].get("lock_passwd").and_then(Node::text), Some("false"));
        assert_eq!(users[1].get("name").map(|n| &n.value), Some(&Value::Scalar { text: "web".into(), plain: false }));
        assert_eq!(node.get("list").and_then(Node::text), Some("a:b\nc:d\n"));
        assert!(node.get("empty").unwrap().is_null());
        let other = node.get("other").unwrap();
        assert_eq!((other.get("x").and_then(Node::text), other.get("y").and_then(Node::text)), (Some("1"), Some("3")));
    }

    #[test]
    fn what_cloud_init_would_not_read_is_a_defect() {
        for (text, word) in [
            ("a: [1", "YAML"),
            ("a: b: c\n", "YAML"),
            ("a: 1\n---\nb: 2\n", "more than one"),
            ("a: !python/object x\n", "tag"),
            ("? [1, 2]\n: 3\n", "key"),
            ("a: *nowhere\n", "YAML"),
        ] {
            let (node, defects) = parse(text.as_bytes());
            assert_eq!(node, None, "{text}");
            assert!(defects.iter().any(|d| d.what.contains(word)), "{text}: {defects:?}");
        }
        assert_eq!(parse(b""), (None, vec![]));
        assert_eq!(parse(b"# only a comment\n"), (None, vec![]));
    }

    #[test]
    fn unfolding_and_nesting_end() {
        let mut laughs = String::from("a0: &a0 [ha, ha, ha, ha, ha, ha, ha, ha, ha, ha]\n");
        for level in 1..12 {
            let before = format!("*a{}", level - 1);
            let many = vec![before; 10].join(", ");
            laughs.push_str(&format!("a{level}: &a{level} [{many}]\n"));
        }
        for text in [
            laughs,
            "[".repeat(300_000),
            "{a: ".repeat(100_000),
            "- ".repeat(200_000),
            format!("a:\n{}", "  - x\n".repeat(60_000)),
            format!("a: {}\n", "x".repeat(5 << 20)),
        ] {
            let (node, defects) = parse(text.as_bytes());
            assert_eq!((node, defects.len()), (None, 1), "{:.40}", text);
        }
    }

    proptest::proptest! {
        #[test]
        fn no_input_makes_it_fail(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..400)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn nor_does_anything_that_looks_like_yaml(text in "([a-c&*!<:#\\-?|>{}\\[\\], '\"\n%@~\t]|<<: |- |\n  |: ){0,80}") {
            let (node, defects) = parse(text.as_bytes());
            proptest::prop_assert!(node.is_none() || defects.is_empty());
        }
    }
}
