//! The accounts that cloud-init makes and the passwords it sets (`cc_users_groups.py`, `cc_set_passwords.py`).

use std::path::PathBuf;

use super::{Layer, Layers, Set, set, truth, words};
use crate::fact::Fact;
use crate::parse::yaml::{Node, Value};

/// An account that cloud-init makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Its name; empty where the default user is asked for and none is named.
    pub name: String,
    /// Whether it is the default user.
    pub is_default: bool,
    /// Whether its password is locked; cloud-init's own default is yes.
    pub lock_passwd: bool,
    /// Whether a password or a hash for it stands in the configuration.
    pub sets_password: bool,
    /// Whether it may become root: `sudo`, or a group that can.
    pub admin: bool,
    /// The file that names it.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: u32,
    /// Whose setting it is.
    pub layer: Layer,
}

/// Groups that may use sudo on the distributions that ECS offers.
const ADMIN_GROUPS: [&str; 4] = ["sudo", "wheel", "admin", "root"];

/// The accounts, in the order of the configuration.
pub(super) fn users(layers: &Layers) -> Fact<Vec<User>> {
    let mut out = Vec::new();
    match layers.find(&["users"]) {
        Fact::Unknown(why) => return Fact::Unknown(why),
        Fact::Absent => {}
        Fact::Known((source, list)) => {
            let place = |node: &Node| (source.file.clone(), node.line, source.layer);
            match &list.value {
                Value::List(items) => {
                    for item in items {
                        match (item.text(), item.get("name").and_then(Node::text)) {
                            (Some("default"), _) | (_, Some("default")) => out.push(default_user(layers, place(item))),
                            (Some(name), _) => out.push(user(name, &[], place(item))),
                            (None, Some(name)) => out.push(user(name, &[item], place(item))),
                            (None, None) => {}
                        }
                    }
                }
                // The old form: names as keys, or one string with commas.
                Value::Map(entries) => {
                    for (name, options) in entries {
                        if name == "default" {
                            out.push(default_user(layers, place(options)));
                        } else {
                            out.push(user(name, &[options], place(options)));
                        }
                    }
                }
                Value::Scalar { .. } => {
                    for name in list.text().unwrap_or_default().split(',').map(str::trim).filter(|n| !n.is_empty()) {
                        if name == "default" {
                            out.push(default_user(layers, place(list)));
                        } else {
                            out.push(user(name, &[], place(list)));
                        }
                    }
                }
            }
        }
    }
    match layers.find(&["user"]) {
        Fact::Unknown(why) => Fact::Unknown(why),
        Fact::Known((source, node)) if !node.is_null() && !out.iter().any(|user| user.is_default) => {
            out.push(default_user(layers, (source.file.clone(), node.line, source.layer)));
            Fact::Known(out)
        }
        Fact::Known(_) | Fact::Absent => Fact::Known(out),
    }
}

/// The default user: `system_info.default_user`, overruled by `user`.
fn default_user(layers: &Layers, place: (PathBuf, u32, Layer)) -> User {
    let own = layers.find(&["user"]).known().map(|(_, node)| *node);
    let system = layers.find(&["system_info", "default_user"]).known().map(|(_, node)| *node);
    let options: Vec<&Node> = own.into_iter().chain(system).collect();
    let name = options.iter().find_map(|node| node.text().or_else(|| node.get("name").and_then(Node::text)));
    User { is_default: true, ..user(name.unwrap_or_default(), &options, place) }
}

/// An account from its options, the strongest first.
fn user(name: &str, options: &[&Node], (file, line, layer): (PathBuf, u32, Layer)) -> User {
    let option = |key: &str| options.iter().find_map(|node| node.get(key)).filter(|node| !node.is_null());
    let groups = option("groups").map(words).unwrap_or_default();
    let in_group = groups
        .iter()
        .flat_map(|list| list.split(','))
        .chain(option("primary_group").and_then(Node::text))
        .any(|group| ADMIN_GROUPS.contains(&group.trim()));
    let sudo = option("sudo").is_some_and(|node| truth(node) != Some(false));
    User {
        name: name.to_owned(),
        is_default: false,
        lock_passwd: option("lock_passwd").or_else(|| option("lock-passwd")).and_then(truth).unwrap_or(true),
        sets_password: ["passwd", "hashed_passwd", "plain_text_passwd"].iter().any(|key| option(key).is_some()),
        admin: name == "root" || sudo || in_group,
        file,
        line,
        layer,
    }
}

/// The accounts of `chpasswd.list` (one string or a list of `name:password`) and `chpasswd.users`.
pub(super) fn chpasswd(layers: &Layers) -> Fact<Set<Vec<String>>> {
    let names_of_list = |node: &Node| -> Vec<String> {
        let lines = words(node);
        let named = lines.iter().flat_map(|text| text.lines()).filter_map(|line| line.split_once(':'));
        named
            .map(|(name, _)| name.trim().to_owned())
            .filter(|name| !name.is_empty() && !name.starts_with('#'))
            .collect()
    };
    let names_of_users = |node: &Node| -> Vec<String> {
        node.items().iter().filter_map(|item| item.get("name").and_then(Node::text).map(str::to_owned)).collect()
    };
    let list = set(layers.find(&["chpasswd", "list"]), names_of_list);
    let users = set(layers.find(&["chpasswd", "users"]), names_of_users);
    let both = match (list, users) {
        (Fact::Unknown(why), _) | (_, Fact::Unknown(why)) => Fact::Unknown(why),
        (Fact::Known(mut list), Fact::Known(users)) => {
            list.value.extend(users.value);
            Fact::Known(list)
        }
        (Fact::Known(one), Fact::Absent) | (Fact::Absent, Fact::Known(one)) => Fact::Known(one),
        (Fact::Absent, Fact::Absent) => Fact::Absent,
    };
    match both {
        Fact::Known(set) if set.value.is_empty() => Fact::Absent,
        other => other,
    }
}
