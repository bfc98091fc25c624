//! A rule's expressions, in the form that packets are asked by.

use std::net::IpAddr;
use std::sync::Arc;

use serde_json::Value;

use super::super::ruleset::{
    Action, Case, Cases, Family, Field, Key, MarkOf, NewMark, Part, Rule, Set, Span, Target, Test,
};
use super::element::{each_word, span, spans, words};
use crate::observation::socket::Protocol;

/// A rule as it was read.
pub(super) struct Read {
    pub(super) rule: Rule,
    /// Whether iptables wrote it with an extension that nft cannot show.
    pub(super) extension: bool,
    /// Sets that packets are put into.
    pub(super) fills: Vec<String>,
}

pub(super) fn read(expressions: &[Value], at: u64) -> Read {
    let rule = Rule { parts: Vec::new(), action: Action::Nothing, at };
    let mut read = Read { rule, extension: false, fills: Vec::new() };
    for expression in expressions {
        let Some((kind, value)) = expression.as_object().and_then(|object| object.iter().next()) else { continue };
        read.expression(kind, value);
    }
    read
}

impl Read {
    fn expression(&mut self, kind: &str, value: &Value) {
        let test = match kind {
            "match" => Some(condition(value)),
            "counter" | "log" | "comment" | "dup" | "flow" | "last" | "ct helper" | "ct timeout" | "ct expectation"
            | "secmark" | "reset" | "continue" => None,
            "notrack" => return self.rule.parts.push(Part::Untrack),
            "mangle" => return self.mangle(value),
            "limit" | "ct count" => Some(Test::Sometimes),
            "quota" => Some(quota(value)),
            "set" | "map" => self.fills(value),
            "meter" => Some(Test::Sometimes),
            "xt" => {
                self.extension = true;
                let target = value.get("type").and_then(Value::as_str) != Some("match");
                let name = value.get("name").and_then(Value::as_str).unwrap_or("?");
                let what = format!("xt {name}");
                if target {
                    self.rule.action = Action::Opaque(what);
                    return;
                }
                Some(Test::Perhaps(what))
            }
            "vmap" => {
                self.rule.action = verdict_map(value);
                None
            }
            _ => {
                // What follows a statement that is not understood may never be looked at.
                if !matches!(self.rule.action, Action::Opaque(_)) {
                    self.rule.action = verdict(kind, value).unwrap_or_else(|| Action::Opaque(kind.to_owned()));
                }
                None
            }
        };
        self.rule.parts.extend(test.map(Part::Test));
    }

    fn mangle(&mut self, value: &Value) {
        let key = |of: &str| value.get("key")?.get(of)?.get("key")?.as_str();
        let which = match (key("meta"), key("ct")) {
            (Some("mark"), _) => MarkOf::Packet,
            (_, Some("mark")) => MarkOf::Connection,
            _ => return,
        };
        let new = value.get("value").and_then(|value| new_mark(value, 0));
        self.rule.parts.push(Part::Mark(which, new));
    }

    /// A set that packets are put into; with a rate, it asks something, too.
    fn fills(&mut self, value: &Value) -> Option<Test> {
        let name = value.get("set").or_else(|| value.get("map")).and_then(Value::as_str);
        self.fills.extend(name.and_then(|name| name.strip_prefix('@')).map(str::to_owned));
        value.get("stmt").map(|_| Test::Sometimes)
    }
}

/// The bits kept and turned over of an old mark.
fn new_mark(value: &Value, depth: usize) -> NewMark {
    if let Some(number) = value.as_u64().and_then(|number| u32::try_from(number).ok()) {
        return Some((MarkOf::Packet, 0, number));
    }
    let of = |kind: &str| value.get(kind).and_then(|what| what.get("key")).and_then(Value::as_str) == Some("mark");
    if of("meta") {
        return Some((MarkOf::Packet, u32::MAX, 0));
    }
    if of("ct") {
        return Some((MarkOf::Connection, u32::MAX, 0));
    }
    let (operation, sides) = value.as_object()?.iter().next().filter(|_| depth < 8)?;
    let (from, keep, flip) = new_mark(sides.get(0)?, depth + 1)?;
    let number = u32::try_from(sides.get(1)?.as_u64()?).ok()?;
    match operation.as_str() {
        "&" => Some((from, keep & number, flip & number)),
        "|" => Some((from, keep & !number, (flip & !number) | number)),
        "^" => Some((from, keep, flip ^ number)),
        _ => None,
    }
}

/// `quota over 10 mbytes`: holds once so much has passed.
fn quota(value: &Value) -> Test {
    let over = value.get("inv").and_then(Value::as_bool) == Some(true);
    // Nothing of it is used: what it says now is certain.
    match value.get("used").and_then(Value::as_u64) {
        Some(0) if over => Test::Never,
        _ => Test::Perhaps("quota".to_owned()),
    }
}

fn condition(value: &Value) -> Test {
    let operator = value.get("op").and_then(Value::as_str).unwrap_or("==");
    let (Some(left), Some(right)) = (value.get("left"), value.get("right")) else {
        return Test::Perhaps("a condition without sides".to_owned());
    };
    let keys = keys(left);
    let negated = operator == "!=";
    if let [Key { field: Field::Flags, mask }] = keys.as_slice() {
        return flags(*mask, operator, right);
    }
    if let Some(name) = right.as_str().and_then(|word| word.strip_prefix('@')) {
        return Test::Named(keys, name.to_owned(), negated);
    }
    if matches!(operator, "<" | ">" | "<=" | ">=") {
        let Some(range) = beyond(operator, right) else { return Test::Never };
        return Test::Is(keys, Arc::new(Set::of(std::iter::once(vec![range]))), false);
    }
    if mixed(&keys, right) {
        return Test::Perhaps("a value of another kind".to_owned());
    }
    let set = match right {
        Value::Array(words) => Set::of(words.iter().map(spans)),
        right => match right.get("set") {
            Some(Value::Array(items)) => Set::of(items.iter().map(spans)),
            Some(item) => Set::of(std::iter::once(spans(item))),
            None => Set::of(std::iter::once(spans(right))),
        },
    };
    Test::Is(keys, Arc::new(set), negated)
}

/// Words where the value is a number, e.g. a user's name: which number it is, is not told.
fn mixed(keys: &[Key], right: &Value) -> bool {
    let numbers = matches!(keys, [Key { field: Field::Owner | Field::Mark | Field::ConnectionMark, .. }]);
    numbers && !words(right).is_empty()
}

fn beyond(operator: &str, right: &Value) -> Option<Span> {
    let Span::Range(number, _) = span(right) else { return Some(Span::Unknown) };
    Some(match operator {
        ">=" => Span::Range(number, u128::MAX),
        ">" => Span::Range(number.checked_add(1)?, u128::MAX),
        "<=" => Span::Range(0, number),
        _ => Span::Range(0, number.checked_sub(1)?),
    })
}

/// Some of the flags, or just these of those that the mask names.
fn flags(mask: Option<u128>, operator: &str, right: &Value) -> Test {
    let Some(wanted) = flag_bits(right) else { return Test::Perhaps("tcp flags".to_owned()) };
    let (mask, value, negated) = match operator {
        // Any of them, as `tcp flags syn,ack` says without an operator.
        "in" => (Some(mask.unwrap_or(u128::MAX) & wanted), 0, true),
        "==" => (mask, wanted, false),
        "!=" => (mask, wanted, true),
        _ => return Test::Perhaps("tcp flags".to_owned()),
    };
    let set = Set::of(std::iter::once(vec![Span::number(value)]));
    Test::Is(vec![Key { field: Field::Flags, mask }], Arc::new(set), negated)
}

fn flag_bits(value: &Value) -> Option<u128> {
    if let Some(number) = value.as_u64() {
        return Some(u128::from(number));
    }
    let mut words = Vec::new();
    each_word(value, &mut words, 0);
    let bit = |word: &&str| {
        let all = ["fin", "syn", "rst", "psh", "ack", "urg", "ecn", "cwr"];
        all.iter().position(|one| one == word).map(|place| 1_u128 << place)
    };
    words.iter().try_fold(0, |bits, word| Some(bits | bit(word)?))
}

/// What a condition is about.
pub(super) fn keys(left: &Value) -> Vec<Key> {
    if let Some(parts) = left.get("concat").and_then(Value::as_array) {
        return parts.iter().map(key).collect();
    }
    vec![key(left)]
}

fn key(left: &Value) -> Key {
    if let Some([what, mask]) = left.get("&").and_then(Value::as_array).map(Vec::as_slice) {
        let inner = key(what);
        let mask = if inner.field == Field::Flags { flag_bits(mask) } else { number_of(mask) };
        return match (inner.mask, mask) {
            (None, Some(mask)) => Key { mask: Some(mask), ..inner },
            _ => Field::Other("bits of a value".to_owned()).into(),
        };
    }
    field(left).into()
}

fn number_of(value: &Value) -> Option<u128> {
    match span(value) {
        Span::Range(low, high) if low == high => Some(low),
        _ => None,
    }
}

fn field(left: &Value) -> Field {
    let Some((kind, what)) = left.as_object().and_then(|object| object.iter().next()) else {
        return Field::Other("a constant".to_owned());
    };
    let word = |key: &str| what.get(key).and_then(Value::as_str).unwrap_or_default();
    match kind.as_str() {
        "payload" => payload(what),
        "meta" => match word("key") {
            "l4proto" => Field::Protocol,
            "nfproto" | "protocol" => Field::Family,
            "iif" | "iifname" => Field::InInterface,
            "oif" | "oifname" => Field::OutInterface,
            "mark" => Field::Mark,
            "skuid" => Field::Owner,
            "pkttype" => Field::PacketType,
            "secpath" => Field::Extra,
            other => Field::Other(format!("meta {other}")),
        },
        "ct" => tracked(word("key"), word("dir")),
        "fib" => {
            let flags = what.get("flags").map(words).unwrap_or_default();
            match word("result") {
                "oif" | "oifname" if flags.contains(&"saddr") => Field::ReverseRoute,
                "type" if flags.contains(&"daddr") => Field::DestinationType,
                "type" if flags.contains(&"saddr") => Field::SourceType,
                other => Field::Other(format!("fib {other}")),
            }
        }
        // Headers that the packet in question need not have.
        "exthdr" if what.get("field").is_some() => Field::Missing,
        "exthdr" => Field::Extra,
        other => Field::Other(format!("{other} {}", word("key")).trim_end().to_owned()),
    }
}

fn payload(what: &Value) -> Field {
    let word = |key: &str| what.get(key).and_then(Value::as_str).unwrap_or_default();
    let number = |key: &str| what.get(key).and_then(Value::as_u64);
    match (word("protocol"), word("field")) {
        ("tcp", "dport") => Field::Port(Some(Protocol::Tcp)),
        ("udp", "dport") => Field::Port(Some(Protocol::Udp)),
        ("th", "dport") => Field::Port(None),
        ("tcp", "sport") => Field::SourcePort(Some(Protocol::Tcp)),
        ("udp", "sport") => Field::SourcePort(Some(Protocol::Udp)),
        ("th", "sport") => Field::SourcePort(None),
        ("tcp", "flags") => Field::Flags,
        ("ip", "protocol") | ("ip6", "nexthdr") => Field::Protocol,
        ("ip", "saddr") => Field::Source(Family::V4),
        ("ip6", "saddr") => Field::Source(Family::V6),
        ("ip", "daddr") => Field::Destination(Family::V4),
        ("ip6", "daddr") => Field::Destination(Family::V6),
        ("", _) if word("base") == "th" && (number("offset"), number("len")) == (Some(16), Some(16)) => {
            Field::Port(None)
        }
        ("icmp" | "icmpv6" | "igmp" | "sctp" | "dccp" | "ah" | "esp" | "comp" | "udplite" | "arp" | "vlan", _) => {
            Field::Missing
        }
        (protocol, field) => Field::Other(format!("{protocol} {field}").trim().to_owned()),
    }
}

/// `ct KEY`, `ct original KEY`.
fn tracked(key: &str, direction: &str) -> Field {
    match (key, direction) {
        ("state", _) => Field::State,
        ("status", _) => Field::Status,
        ("mark", _) => Field::ConnectionMark,
        ("direction", _) => Field::Direction,
        ("ip daddr", "original") => Field::OriginalDestination(Family::V4),
        ("ip6 daddr", "original") => Field::OriginalDestination(Family::V6),
        ("ip saddr", "original") => Field::OriginalSource(Family::V4),
        ("ip6 saddr", "original") => Field::OriginalSource(Family::V6),
        ("proto-dst", "original") => Field::OriginalPort,
        ("protocol", "original") => Field::Protocol,
        _ => Field::Other(format!("ct {direction} {key}").replace("  ", " ")),
    }
}

/// A row of a map: key and what it leads to. None: a set's element.
pub(super) fn row(item: &Value) -> Option<(Vec<Span>, Case)> {
    let (key, to) = (item.get(0)?, item.get(1)?);
    let action = to.as_object().and_then(|object| object.iter().next());
    let case = match action.and_then(|(kind, value)| verdict(kind, value)) {
        Some(action) => Case::Verdict(action),
        None => Case::Data(spans(to)),
    };
    Some((spans(key), case))
}

fn map(value: &Value) -> Option<(Vec<Key>, Cases)> {
    let (of, data) = (value.get("key")?, value.get("data")?);
    let cases = match data.as_str().and_then(|word| word.strip_prefix('@')) {
        Some(name) => Cases::Named(name.to_owned()),
        None => {
            let rows: Option<Vec<_>> = data.get("set")?.as_array()?.iter().map(row).collect();
            Cases::Here(Arc::new(rows?))
        }
    };
    Some((keys(of), cases))
}

fn verdict_map(value: &Value) -> Action {
    map(value).map_or_else(|| Action::Opaque("vmap".to_owned()), |(keys, cases)| Action::Map(keys, cases))
}

/// A verdict statement. None: not one.
fn verdict(kind: &str, value: &Value) -> Option<Action> {
    let target = || value.get("target").and_then(Value::as_str).map(str::to_owned);
    match kind {
        // A source that is translated goes on, as far as its destination is concerned.
        "accept" | "masquerade" | "snat" => Some(Action::Accept),
        "drop" | "reject" => Some(Action::Drop),
        "return" => Some(Action::Return),
        "continue" => Some(Action::Nothing),
        "jump" => target().map(Action::Jump),
        "goto" => target().map(Action::Goto),
        "dnat" => Some(Action::Translate(translation(value))),
        "redirect" => Some(Action::Translate(match port(value) {
            Ok(port) => Target::Here(port),
            Err(()) => Target::Unknown,
        })),
        _ => None,
    }
}

fn translation(value: &Value) -> Target {
    let Ok(port) = port(value) else { return Target::Unknown };
    match value.get("addr") {
        None => port.map_or(Target::Unknown, Target::Port),
        Some(Value::String(word)) => {
            word.parse::<IpAddr>().map_or(Target::Unknown, |address| Target::To(address, port))
        }
        Some(other) => match other.get("map").and_then(map).filter(|_| port.is_none()) {
            Some((keys, cases)) => Target::Map(keys, cases),
            None => Target::Unknown,
        },
    }
}

/// The port of a translation, if one is given. An error: one of several.
fn port(value: &Value) -> Result<Option<u16>, ()> {
    match value.get("port") {
        None => Ok(None),
        Some(port) => port.as_u64().and_then(|port| u16::try_from(port).ok()).map(Some).ok_or(()),
    }
}
