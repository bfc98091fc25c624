//! An older hostward on the state that a later one has left: it works on, sets aside what it cannot read, and says so.

#![cfg(test)]

use std::path::{Path, PathBuf};

use hostward::transaction::{PATH, Store};
use hostward_checks::guard::Confirm;
use hostward_tests::host::Host;
use hostward_tests::place::{Place, is_undone, is_waiting, text};
use hostward_tests::results;
use hostward_tests::suite::Suite;
use serde_json::{Value, json};

const TEST: &str = "downgrade";

/// Starts the resident as its unit does, and waits until it has looked at everything.
const START: &str = "
    systemctl reset-failed hostward 2>/dev/null || true
    systemd-run -q --unit=hostward --service-type=notify -p RuntimeDirectory=hostward -p RuntimeDirectoryMode=0700 \
        -p NotifyAccess=main /usr/local/bin/hostward agent
    for i in $(seq 600); do hostward status --json | grep -q '\"extent\": \"full\"' && break; sleep 0.1; done";
const STOP: &str = "systemctl stop hostward";

fn status(place: &Place) -> Value {
    serde_json::from_str(&place.host.shell("hostward status --json").unwrap()).unwrap()
}

/// Every file of JSON that hostward keeps.
fn kept(place: &Place) -> Vec<PathBuf> {
    let listing = place.host.shell("find /var/lib/hostward -name '*.json' ! -name 'x_*'").unwrap();
    listing.lines().map(|path| place.root().join(path.trim_start_matches('/'))).collect()
}

fn edit(path: &Path, change: impl Fn(&mut Value)) {
    let mut value: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    change(&mut value);
    std::fs::write(path, serde_json::to_vec(&value).unwrap()).unwrap();
}

/// A field that nobody knows yet in every object that is none of names and what they stand for.
fn grow(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (key, inside) in map.iter_mut() {
                if !["open", "files", "counts", "params"].contains(&key.as_str()) {
                    grow(inside);
                }
            }
            map.insert("x_later".to_owned(), json!({"since": 2, "of": ["a later version"]}));
        }
        Value::Array(items) => items.iter_mut().for_each(grow),
        _ => {}
    }
}

/// A later version of each shape, in which something has another name.
fn raise(value: &mut Value) {
    if let Some(schema) = value.get("schema").and_then(Value::as_str).and_then(|schema| schema.strip_suffix("/1")) {
        value["schema"] = json!(format!("{schema}/2"));
    }
    if let Some(open) = value.as_object_mut().and_then(|map| map.remove("open")) {
        value["findings"] = open;
    }
}

fn events(place: &Place) -> usize {
    place.host.shell("cat /var/log/hostward/events.jsonl 2>/dev/null | wc -l || :").unwrap().trim().parse().unwrap()
}

fn said(place: &Place, arguments: &[&str]) -> (Option<i32>, String) {
    let output = place.host.command("hostward").args(arguments).output().unwrap();
    (output.status.code(), text(&output.stdout) + &text(&output.stderr))
}

/// Fields that it does not know are nothing to it.
fn unknown_fields(place: &Place, id: &str) {
    let before = (events(place), status(place)["findings"].clone());
    place.host.shell(STOP).unwrap();
    for path in kept(place) {
        edit(&path, grow);
    }
    place.host.shell(START).unwrap();
    let now = status(place);
    assert_eq!(now["troubles"], json!([]), "{now}");
    assert_eq!((events(place), now["findings"].clone()), before, "what was told is told again");
    let (code, history) = said(place, &["history"]);
    assert!(code == Some(0) && history.contains(id), "{history}");
    assert!(matches!(said(place, &["scan", "--new-only", "--password-budget", "0"]).0, Some(0)));
    assert!(matches!(said(place, &["fix", "--password-budget", "0"]).0, Some(0 | 1)));
    assert_eq!(said(place, &["recover"]).0, Some(0));
}

/// What is of a later version is set aside or left alone, and told; everything else goes on.
fn later_version(place: &Place, id: &str) {
    place.host.shell(STOP).unwrap();
    for path in kept(place) {
        edit(&path, raise);
    }
    place.host.shell(START).unwrap();
    let now = status(place);
    let troubles = now["troubles"].to_string();
    println!("{troubles}");
    assert!(troubles.contains("known.json") && troubles.contains("set aside"), "{now}");
    place.host.shell("test -s /var/lib/hostward/known.json.broken; test -s /var/lib/hostward/known.json").unwrap();
    assert!(!now["findings"].as_array().unwrap().is_empty(), "it has looked: {now}");
    for arguments in [
        &["history"][..],
        &["scan", "--new-only", "--password-budget", "0"],
        &["scan", "--password-budget", "0"],
        &["fix", "--password-budget", "0"],
        &["fix", "--apply", "--password-budget", "0", "--confirm-by", "probe", "--confirm-within", "10s"],
        &["recover"],
        &["rollback", id],
        &["rollback"],
    ] {
        let (code, words) = said(place, arguments);
        println!("{arguments:?} {code:?} {}", words.lines().rev().take(3).collect::<Vec<_>>().join(" | "));
    }
}

#[test]
fn an_older_version_works_on_what_a_later_one_left() {
    let place = Place::of(&Suite::find("bookworm").unwrap());
    let id = place.begin("VersionAddendum later\n", Confirm::Login, 600);
    assert!(place.apply(&id).status.success());
    place.await_stage(&id, is_waiting);
    place
        .host
        .shell(&format!(
            "hostward rollback {id}; hostward baseline accept --password-budget 0; hostward agent --help >/dev/null"
        ))
        .unwrap();
    assert!(is_undone(&place.stage(&id)));
    place.host.shell(START).unwrap();
    unknown_fields(&place, &id);
    later_version(&place, &id);
    let _ = (PATH, Store::open(&place.root()));
    results::tested(TEST, "bookworm", "");
}
