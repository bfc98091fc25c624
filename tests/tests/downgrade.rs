//! An older hostward on the state that a later one has left: it works on, sets aside what it cannot read, and says so.

#![cfg(test)]

use std::path::{Path, PathBuf};
use std::time::Duration;

use hostward_checks::guard::Confirm;
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
    for i in $(seq 600); do hostward status --json | grep -q '\"last_full\": \"2' && break; sleep 0.1; done";
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

/// Has it look at everything once more: that sshd read its files again it would hear of at the next poll.
fn settle(place: &Place) {
    let before = status(place);
    place.host.shell("systemctl kill --kill-who=main -s HUP hostward").unwrap();
    for _ in 0..600 {
        let now = status(place);
        if now["last_full"] != before["last_full"] && now["pending"].is_null() {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("it looks and looks: {}", status(place));
}

fn said(place: &Place, arguments: &[&str]) -> (Option<i32>, String) {
    let output = place.host.command("hostward").args(arguments).output().unwrap();
    (output.status.code(), text(&output.stdout) + &text(&output.stderr))
}

/// Fields that it does not know are nothing to it.
fn unknown_fields(place: &Place, id: &str) {
    settle(place);
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
    for path in kept(place).iter().filter(|path| !path.ends_with("stage.json")) {
        edit(path, raise);
    }
    place.host.shell(START).unwrap();
    let now = status(place);
    let told = "known.json is not to be used (its version is hostward.known/2): set aside";
    assert!(now["troubles"].to_string().contains(told), "{now}");
    assert!(!now["findings"].as_array().unwrap().is_empty(), "it has looked: {now}");
    place.host.shell("test -s /var/lib/hostward/known.json.broken; test -s /var/lib/hostward/known.json").unwrap();
    // A scan needs nothing of it; what somebody accepted is not guessed.
    assert_eq!(said(place, &["scan", "--password-budget", "0"]).0, Some(1));
    let (code, words) = said(place, &["scan", "--new-only", "--password-budget", "0"]);
    assert!(code == Some(78) && words.contains("hostward.baseline/2"), "{words}");
    // A fix that has ended is left alone, and is nobody's to undo but the version's that made it.
    let (code, words) = said(place, &["history"]);
    assert!(code == Some(0) && words.contains(id) && words.contains("another version of hostward"), "{words}");
    assert_eq!(said(place, &["recover"]), (Some(0), "nothing to recover\n".to_owned()));
    let (code, words) = said(place, &["rollback", id]);
    assert!(code == Some(4) && words.contains("another version of hostward"), "{words}");
    let before = place.config();
    let fix = ["fix", "--apply", "--password-budget", "0", "--confirm-by", "probe", "--confirm-within", "10s"];
    let (code, words) = said(place, &fix);
    assert!(matches!(code, Some(0 | 1)) && words.contains("DONE: "), "{code:?} {words}");
    assert_eq!(said(place, &["rollback"]).0, Some(0));
    assert_eq!(place.config(), before);
    // One of which nobody knows how far it came is told at every turn, and nothing is begun beside it.
    for path in kept(place).iter().filter(|path| path.to_string_lossy().contains(&format!("/{id}/stage.json"))) {
        edit(path, raise);
    }
    for arguments in [&["recover"][..], &fix] {
        let (code, words) = said(place, arguments);
        assert!(code == Some(4) && words.contains(id) && words.contains("cannot be read"), "{code:?} {words}");
    }
    assert_eq!(said(place, &["scan", "--password-budget", "0"]).0, Some(1));
}

/// Back on the later version: what the older one wrote is its own version's, and what it set aside is still there.
fn back_again(place: &Place) {
    settle(place);
    place.host.shell(STOP).unwrap();
    let before = events(place);
    place.host.shell(START).unwrap();
    let now = status(place);
    let told = place.host.shell("tail -n 3 /var/log/hostward/events.jsonl").unwrap();
    assert_eq!((now["troubles"].clone(), events(place)), (json!([]), before), "{now}\n{told}");
    place.host.shell("test -s /var/lib/hostward/known.json.broken").unwrap();
}

#[test]
fn an_older_version_works_on_what_a_later_one_left() {
    let place = Place::of(&Suite::find("bookworm").unwrap());
    let id = place.begin("VersionAddendum later\n", Confirm::Login, 600);
    assert!(place.apply(&id).status.success());
    place.await_stage(&id, is_waiting);
    place.host.shell(&format!("hostward rollback {id}; hostward baseline accept --password-budget 0")).unwrap();
    assert!(is_undone(&place.stage(&id)));
    place.host.shell(START).unwrap();
    unknown_fields(&place, &id);
    later_version(&place, &id);
    back_again(&place);
    results::tested(
        TEST,
        "bookworm",
        "unknown fields are nothing; a later version is set aside or left alone, and told",
    );
}
