//! Values on the right side of a condition, and elements of sets.

use std::net::IpAddr;

use serde_json::Value;

use super::super::ruleset::Span;

/// An element: as many spans as it has parts.
pub(super) fn spans(value: &Value) -> Vec<Span> {
    let value = inner(value);
    match value.get("concat").and_then(Value::as_array) {
        Some(parts) => parts.iter().map(span).collect(),
        None => vec![span(value)],
    }
}

/// Without its counters and time-outs.
fn inner(value: &Value) -> &Value {
    value.get("elem").and_then(|element| element.get("val")).unwrap_or(value)
}

/// One part of an element.
pub(super) fn span(value: &Value) -> Span {
    match inner(value) {
        Value::Number(number) => number.as_u64().map_or(Span::Unknown, Span::number),
        Value::Bool(exists) => Span::number(u8::from(*exists)),
        Value::String(word) => match word.parse::<IpAddr>() {
            Ok(address) => Span::address(address),
            // nft says so where it does not know how to write a number.
            Err(_) if word.ends_with("[invalid type]") => Span::Unknown,
            Err(_) if word == "*" => Span::Prefix("".into()),
            Err(_) => word.strip_suffix('*').map_or_else(|| Span::word(word), |begin| Span::Prefix(begin.into())),
        },
        value => range(value).or_else(|| prefix(value)).unwrap_or(Span::Unknown),
    }
}

fn range(value: &Value) -> Option<Span> {
    let ends = value.get("range")?;
    match (span(ends.get(0)?), span(ends.get(1)?)) {
        (Span::Range(low, _), Span::Range(_, high)) => Some(Span::Range(low, high)),
        _ => None,
    }
}

fn prefix(value: &Value) -> Option<Span> {
    let prefix = value.get("prefix")?;
    let address: IpAddr = prefix.get("addr")?.as_str()?.parse().ok()?;
    Some(Span::net((address, u8::try_from(prefix.get("len")?.as_u64()?).ok()?)))
}

/// One word, a list, or a set of them.
pub(super) fn words(value: &Value) -> Vec<&str> {
    match value {
        Value::String(word) => vec![word],
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
        other => other.get("set").map(words).unwrap_or_default(),
    }
}

/// The words of a list, or of `|` within `|`, as older versions write it.
pub(super) fn each_word<'v>(value: &'v Value, out: &mut Vec<&'v str>, depth: usize) {
    match value {
        Value::String(word) => out.push(word),
        Value::Array(items) if depth < 16 => items.iter().for_each(|item| each_word(item, out, depth + 1)),
        Value::Object(object) if depth < 16 => {
            object.get("|").into_iter().for_each(|item| each_word(item, out, depth + 1));
        }
        _ => {}
    }
}
