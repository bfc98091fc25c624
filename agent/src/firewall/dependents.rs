//! What hangs on a unit: the units that need it, as the service manager knows them.

use std::collections::BTreeMap;
use std::time::Duration;

use hostward_checks::fact::Fact;

use crate::observe::command::ask;

const SYSTEMCTL: [&str; 2] = ["/usr/bin/systemctl", "/bin/systemctl"];

/// Which units name another one, and whether the relation makes them need it. `TriggeredBy`: they would start it again.
const RELATIONS: [&str; 6] = ["RequiredBy", "RequisiteOf", "WantedBy", "BoundBy", "ConsistsOf", "TriggeredBy"];

/// The units that need each of these, or would start it again; targets need everything and are not among them. A unit that the
/// service manager does not tell of is missing.
pub(super) fn dependents(units: &[String]) -> BTreeMap<String, Vec<String>> {
    if units.is_empty() {
        return BTreeMap::new();
    }
    let properties = format!("--property=Id,{}", RELATIONS.join(","));
    let mut arguments = vec!["--no-pager", "show", &properties, "--"];
    arguments.extend(units.iter().map(String::as_str));
    match ask(&SYSTEMCTL, &arguments, Duration::from_secs(10), 1 << 20) {
        Fact::Known(output) if output.success => read(&String::from_utf8_lossy(&output.bytes)),
        _ => BTreeMap::new(),
    }
}

/// Blocks of `KEY=VALUE`, one a unit, with an empty line between.
fn read(text: &str) -> BTreeMap<String, Vec<String>> {
    let mut found = BTreeMap::new();
    for block in text.split("\n\n") {
        let (mut id, mut needed) = (None, Vec::new());
        for (key, value) in block.lines().filter_map(|line| line.split_once('=')) {
            if key == "Id" {
                id = Some(value.to_owned());
            } else if RELATIONS.contains(&key) {
                let units = value.split_ascii_whitespace().filter(|unit| !unit.ends_with(".target"));
                needed.extend(units.map(str::to_owned));
            }
        }
        needed.sort();
        needed.dedup();
        if let Some(id) = id {
            found.insert(id, needed);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn needs_are_told_unit_by_unit() {
        let text = "Id=redis.service\nRequiredBy=app.service\nWantedBy=multi-user.target app.service web.service\nTriggeredBy=\n\n\
                    Id=cups.service\nTriggeredBy=cups.socket cups.path\nWantedBy=printer.target\n";
        let found = read(text);
        assert_eq!(found["redis.service"], ["app.service", "web.service"]);
        assert_eq!(found["cups.service"], ["cups.path", "cups.socket"]);
        assert!(read("").is_empty() && read("WantedBy=x.service\n").is_empty());
    }
}
