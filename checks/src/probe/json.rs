//! The few values that are looked for in an answer in JSON.

use serde_json::Value;

/// The object, once it is whole. None: it is none, or not yet.
pub(super) fn object(body: &[u8]) -> Option<Value> {
    serde_json::from_slice(body).ok().filter(Value::is_object)
}

/// Whether it is a whole array of strings.
pub(super) fn names(body: &[u8]) -> bool {
    serde_json::from_slice::<Vec<String>>(body).is_ok()
}

/// A string in it, by the names on the way.
pub(super) fn text<'v>(object: &'v Value, way: &[&str]) -> Option<&'v str> {
    way.iter().try_fold(object, |value, name| value.get(name))?.as_str()
}
