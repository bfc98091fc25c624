//! Counting first who asks the metadata service: a table of its own that lets everybody pass and keeps the user ids it saw.

use anyhow::Context;
use hostward_checks::plan::table::rules::METADATA;
use serde_json::Value;

use super::nft;
use crate::observe::command::ask;
use hostward_checks::fact::Fact;
use std::time::Duration;

/// The table's name; its family is `inet`.
pub const TABLE: &str = "hostward_observe";

/// So long must be looked, in seconds, before anybody may conclude anything: ten minutes are two rounds of most agents.
const LEAST: i64 = 600;

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// Since when, in seconds since the epoch.
    pub since: i64,
    /// User ids that asked; root is not counted.
    pub users: Vec<u32>,
}

/// Begins to look, forgetting what was seen before. The rules end with the next boot.
///
/// # Errors
/// nft is missing or refuses the rules.
pub fn start(now: i64) -> anyhow::Result<()> {
    // The empty chain's name keeps when it began; `add` for a set of user ids is understood by every version since 0.8.
    nft::load(&format!(
        "add table inet {TABLE}\ndelete table inet {TABLE}\ntable inet {TABLE} {{\n\
         \tset users {{\n\t\ttype uid\n\t\tsize 65535\n\t\tflags dynamic\n\t}}\n\
         \tchain since_{now} {{\n\t}}\n\
         \tchain seen {{\n\t\ttype filter hook output priority 19; policy accept;\n\
         \t\tip daddr {METADATA} meta skuid != 0 counter add @users {{ meta skuid }}\n\t}}\n}}\n"
    ))
    .context("cannot observe who asks the metadata service")
}

/// Ends looking.
///
/// # Errors
/// nft is missing or refuses.
pub fn stop() -> anyhow::Result<()> {
    nft::load(&format!("add table inet {TABLE}\ndelete table inet {TABLE}\n"))
}

/// What was seen so far; None: nobody looks.
pub fn observed() -> Option<Observed> {
    let programs = nft::program()?;
    match ask(&[programs], &["-j", "list", "table", "inet", TABLE], Duration::from_secs(5), 4 << 20) {
        Fact::Known(output) if output.success => read(&output.bytes),
        // Before 0.9 nft writes no JSON.
        Fact::Known(output) if !output.cut => {
            let listing = ask(&[programs], &["-nnn", "list", "table", "inet", TABLE], Duration::from_secs(5), 4 << 20);
            read_text(std::str::from_utf8(&listing.known().filter(|listing| listing.success)?.bytes).ok()?)
        }
        _ => None,
    }
}

fn read_text(text: &str) -> Option<Observed> {
    let since =
        text.lines().find_map(|line| line.trim().strip_prefix("chain since_")?.strip_suffix(" {")?.parse().ok())?;
    // Elements may run over several lines.
    let elements =
        text.split_once("elements = {").and_then(|(_, rest)| rest.split_once('}')).map_or("", |(elements, _)| elements);
    let words = elements.split(',').map(str::trim).filter(|word| !word.is_empty());
    Some(Observed { since, users: words.map(|word| word.parse().ok()).collect::<Option<Vec<_>>>()? })
}

/// The users to go by: None where nobody has looked for long enough.
pub fn users(now: i64) -> Option<Vec<u32>> {
    observed().filter(|observed| now - observed.since >= LEAST).map(|observed| observed.users)
}

fn read(json: &[u8]) -> Option<Observed> {
    let root: Value = serde_json::from_slice(json).ok()?;
    let items = root.get("nftables")?.as_array()?;
    let name = |item: &Value| item.get("chain")?.get("name")?.as_str()?.strip_prefix("since_")?.parse().ok();
    let since = items.iter().find_map(name)?;
    let set = items
        .iter()
        .find_map(|item| item.get("set").filter(|set| set.get("name").is_some_and(|name| name == "users")))?;
    let elements = set.get("elem").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let uid = |element: &Value| {
        let value = element.get("elem").and_then(|element| element.get("val")).unwrap_or(element);
        u32::try_from(value.as_u64()?).ok()
    };
    // An element that is not understood is somebody who asked: then nothing may be concluded.
    let users = elements.iter().map(uid).collect::<Option<Vec<_>>>()?;
    Some(Observed { since, users })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_is_read() {
        let with = |elements: &str| {
            read(
                format!(
                    r#"{{"nftables":[{{"table":{{"name":"hostward_observe"}}}},{{"set":{{"name":"users"{elements}}}}},
                    {{"chain":{{"name":"since_1780000000"}}}},{{"chain":{{"name":"seen"}}}}]}}"#
                )
                .as_bytes(),
            )
        };
        let seen = |users: &[u32]| Some(Observed { since: 1_780_000_000, users: users.to_vec() });
        assert_eq!(with(""), seen(&[]));
        assert_eq!(with(r#","elem":[33,{"elem":{"val":1000,"expires":5}}]"#), seen(&[33, 1000]));
        assert_eq!(with(r#","elem":[33,"www-data"]"#), None);
        assert_eq!(read(b"{}"), None);
        let text = |elements: &str| {
            read_text(&format!(
                "table inet hostward_observe {{\n\tset users {{\n\t\ttype uid\n{elements}\t}}\n\n\tchain since_1780000000 {{\n\t}}\n}}\n"
            ))
        };
        assert_eq!(text(""), seen(&[]));
        assert_eq!(text("\t\telements = { 33, 1000,\n\t\t\t     2000 }\n"), seen(&[33, 1000, 2000]));
        assert_eq!(text("\t\telements = { 33, \"www\" }\n"), None);
        assert_eq!(read_text("table inet hostward_observe {\n}\n"), None);
    }
}
