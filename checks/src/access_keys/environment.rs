//! AccessKeys in the environments of processes: what one has, and whose it is.

use std::collections::{BTreeMap, BTreeSet};

use crate::check::path_text;
use crate::observation::access_key::InEnvironment;
use crate::observation::socket::Process;
use crate::parse::Defect;
use crate::parse::access_key::{AccessKey, access_keys};

/// A longer environment is not searched, and told. What a program is started with may be longer, and hardly ever is (`execve(2)`).
pub const ENVIRONMENT_LIMIT: usize = 256 << 10;

/// A process in whose environment keys were found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    /// The process.
    pub pid: i32,
    /// Who started it.
    pub parent: i32,
    /// Whose environment it is: see [`holder`].
    pub holder: String,
    /// The keys.
    pub keys: Vec<AccessKey>,
}

/// The keys of an environment as `/proc/PID/environ` has it: one variable beside the other, each ended by a zero.
pub fn in_environment(bytes: &[u8]) -> (Vec<AccessKey>, Vec<Defect>) {
    let lines: Vec<u8> = bytes.iter().map(|byte| if *byte == 0 { b'\n' } else { *byte }).collect();
    access_keys(&lines)
}

/// Whose environment a process has, in words that no process id and no name made up for one run stands in: a unit of the system, else the
/// program with its user, and the runtime of the container that it runs in (a machine's name lasts, a container's id does not).
pub fn holder(process: &Process, container: Option<&str>) -> String {
    let lasting =
        |unit: &&String| unit.ends_with(".service") && !["user@", "run-"].iter().any(|start| unit.starts_with(start));
    let program = process.executable.known().map_or_else(|| process.name.clone(), path_text);
    match (container, process.unit.as_ref().filter(lasting)) {
        (Some(container), _) => {
            let named = ["machine:", "lxc:"].iter().any(|start| container.starts_with(start));
            let runtime = if named { container } else { container.split(':').next().unwrap_or_default() };
            format!("{runtime}/{program}")
        }
        (None, Some(unit)) => unit.clone(),
        (None, None) => format!("{program} (uid {})", process.uid),
    }
}

/// What is told: each key once of each holder. A process that has it from its parent is no source of it.
pub fn sources(environments: &[Environment]) -> Vec<InEnvironment> {
    let shown: BTreeMap<i32, BTreeSet<&str>> =
        environments.iter().map(|one| (one.pid, one.keys.iter().map(|key| key.shown.as_str()).collect())).collect();
    let mut out: Vec<InEnvironment> = Vec::new();
    for one in environments {
        let inherited = |key: &AccessKey| shown.get(&one.parent).is_some_and(|keys| keys.contains(key.shown.as_str()));
        for key in one.keys.iter().filter(|key| !inherited(key)) {
            match out.iter_mut().find(|known| known.holder == one.holder && known.key.shown == key.shown) {
                Some(known) if known.key.holds >= key.holds => {}
                Some(known) => (known.pid, known.key) = (one.pid, key.clone()),
                None => out.push(InEnvironment { holder: one.holder.clone(), pid: one.pid, key: key.clone() }),
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::fact::Fact;
    use crate::parse::access_key::Holds;

    const ID: &str = concat!("LTAI", "5tQ7xKp2VmZs9RwGd3Hc");
    const SECRET: &str = concat!("Jz4mXq8Wv2TkRb6", "NpYd9LsGh3CfQx1");

    fn keys(variables: &[&str]) -> Vec<AccessKey> {
        let (keys, defects) = in_environment(variables.join("\0").as_bytes());
        assert_eq!(defects, []);
        keys
    }

    #[test]
    fn a_pair_in_two_variables_is_one_and_no_variable_is_taken_for_a_piece_of_the_next() {
        let (id, secret) =
            (format!("ALIBABA_CLOUD_ACCESS_KEY_ID={ID}"), format!("ALIBABA_CLOUD_ACCESS_KEY_SECRET={SECRET}"));
        let found = keys(&["PATH=/bin", &id, "X=", &secret, ""]);
        assert_eq!(found.iter().map(|key| (key.holds, &key.lines[..])).collect::<Vec<_>>(), [(Holds::Pair, &[2][..])]);
        assert_eq!(keys(&["PATH=/bin", &id, ""])[0].holds, Holds::Id);
        assert_eq!(keys(&["A=LTAI5tQ7xKp2", "VmZs9RwGd3Hc", "B=x"]), []);
        assert_eq!(in_environment(b"\0\0\xff=\xfe"), (vec![], vec![]));
    }

    #[test]
    fn nothing_of_one_run_stands_in_the_name_of_a_holder() {
        let process = |unit: Option<&str>| Process {
            pid: 4711,
            name: "app".to_owned(),
            executable: Fact::Known(PathBuf::from("/opt/app")),
            deleted: false,
            uid: 1001,
            unit: unit.map(str::to_owned),
            started: Some(1),
        };
        for (unit, container, want) in [
            (Some("app.service"), None, "app.service"),
            (Some("run-r8a1.service"), None, "/opt/app (uid 1001)"),
            (Some("user@1001.service"), None, "/opt/app (uid 1001)"),
            (Some("session-3.scope"), None, "/opt/app (uid 1001)"),
            (None, None, "/opt/app (uid 1001)"),
            (Some("docker-0123.scope"), Some("docker:0123456789ab"), "docker//opt/app"),
            (None, Some("machine:web"), "machine:web//opt/app"),
        ] {
            assert_eq!(holder(&process(unit), container), want);
        }
    }

    #[test]
    fn who_has_a_key_from_its_parent_is_no_source_and_two_workers_are_one() {
        let (id, pair) = (keys(&[&format!("K={ID}")]), keys(&[&format!("K={ID}"), &format!("S={SECRET}")]));
        let one = |pid, parent, holder: &str, keys: &[AccessKey]| Environment {
            pid,
            parent,
            holder: holder.to_owned(),
            keys: keys.to_vec(),
        };
        let told = sources(&[
            one(10, 1, "app.service", &id),
            one(11, 10, "app.service", &pair),
            one(20, 1, "b.service", &id),
            one(21, 1, "b.service", &pair),
            one(30, 20, "/bin/sh (uid 0)", &id),
        ]);
        let told: Vec<_> = told.iter().map(|one| (one.holder.as_str(), one.pid, one.key.holds)).collect();
        assert_eq!(told, [("app.service", 10, Holds::Id), ("b.service", 21, Holds::Pair)]);
    }
}
