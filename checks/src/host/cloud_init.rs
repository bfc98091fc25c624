//! What cloud-init is told to do at boot: its configuration layers, merged as it merges them.
//!
//! Strongest first (`cloudinit/helpers.py` ConfigMerger, `cloudinit/util.py` read_conf_with_confd): the instance's user and
//! vendor data, what was found while booting, `cloud.cfg.d/*.cfg` from the last name to the first, `cloud.cfg`. A scalar or a
//! list comes whole from the strongest layer that has it, mappings are merged key by key.

use std::path::{Path, PathBuf};

use crate::check::path_text;
use crate::fact::{Fact, Why};
use crate::parse::Defect;
use crate::parse::yaml::{self, Node};
use crate::snapshot::{Miss, Reader};

mod users;
mod version;

pub use users::User;

/// Where cloud-init keeps what it fetched for the instance that booted here last.
const INSTANCE: &str = "/var/lib/cloud/instance";

/// cloud-init's settings. In each of them Absent means that no layer says anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloudInit {
    /// The version of the installed package, e.g. `23.2.2`.
    pub version: Fact<String>,
    /// Whether a file keeps it from running at boot (`/etc/cloud/cloud-init.disabled`).
    pub disabled: Fact<bool>,
    /// What it does to sshd's PasswordAuthentication. Absent: nothing.
    pub ssh_pwauth: Fact<Set<PasswordLogin>>,
    /// Whether root's keys are replaced by a message. Absent: yes, for the keys it installs (`cc_ssh.py`).
    pub disable_root: Fact<Set<bool>>,
    /// Whether host keys are made anew for a new instance. Absent: yes.
    pub ssh_deletekeys: Fact<Set<bool>>,
    /// Whether its modules make host keys: `ssh` runs, and there are kinds to make. Absent: as its packages have it, yes.
    pub makes_host_keys: Fact<bool>,
    /// Where it looks for an instance's data.
    pub datasources: Fact<Set<Vec<String>>>,
    /// A password for the default user stands in the configuration.
    pub password: Fact<Set<()>>,
    /// Accounts whose passwords it sets (`chpasswd`).
    pub chpasswd: Fact<Set<Vec<String>>>,
    /// Accounts that it makes, the default user under its name.
    pub users: Fact<Vec<User>>,
    /// Files that were read, strongest first.
    pub files: Vec<PathBuf>,
    /// What in them could not be understood: cloud-init ignores such a file as a whole.
    pub defects: Vec<(PathBuf, Defect)>,
    /// A configuration file that the hypervisor provides (`aliyun_cloud.cfg` → `/sys/firmware/qemu_fw_cfg/…`).
    pub injected: Option<PathBuf>,
}

/// A value and where it is set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set<T> {
    /// The value.
    pub value: T,
    /// The file.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: u32,
    /// Whose setting it is.
    pub layer: Layer,
}

/// Whose setting it is: a file in `/etc/cloud` cannot overrule the instance's data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// User or vendor data of the instance that booted here last.
    Instance,
    /// Files of the root.
    System,
}

/// `ssh_pwauth` (`cc_set_passwords.py` handle_ssh_pwauth).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswordLogin {
    /// Writes `PasswordAuthentication yes`.
    On,
    /// Writes `PasswordAuthentication no`.
    Off,
    /// Leaves it alone.
    Unchanged,
}

/// One configuration file.
#[derive(Debug)]
struct Source {
    file: PathBuf,
    layer: Layer,
    content: Result<Node, Why>,
}

/// What the layers say under a path of keys.
type Found<'s> = Fact<(&'s Source, &'s Node)>;

impl CloudInit {
    /// Reads it. Absent: neither the program nor a configuration of it is there.
    pub fn read(reader: &Reader<'_>) -> Fact<Self> {
        let mut layers = Layers::default();
        for name in ["cloud-config.txt", "vendor2-cloud-config.txt", "vendor-cloud-config.txt"] {
            layers.add(reader, Path::new(INSTANCE).join(name), Layer::Instance);
        }
        layers.add(reader, PathBuf::from("/run/cloud-init/cloud.cfg"), Layer::System);
        layers.add_fragments(reader, Path::new("/etc/cloud/cloud.cfg.d"));
        layers.add(reader, PathBuf::from("/etc/cloud/cloud.cfg"), Layer::System);
        let version = version::installed(reader);
        if layers.sources.is_empty() && version == Fact::Absent {
            return Fact::Absent;
        }
        let disabled = match reader.link_meta(Path::new("/etc/cloud/cloud-init.disabled")) {
            Ok(_) => Fact::Known(true),
            Err(Miss::Absent) => Fact::Known(false),
            Err(miss) => miss.fact(),
        };
        Fact::Known(Self {
            version,
            disabled,
            ssh_pwauth: set(layers.find(&["ssh_pwauth"]), password_login),
            disable_root: set(layers.find(&["disable_root"]), |node| truth(node) == Some(true)),
            ssh_deletekeys: set(layers.find(&["ssh_deletekeys"]), |node| truth(node) == Some(true)),
            makes_host_keys: makes_host_keys(&layers),
            datasources: set(layers.find(&["datasource_list"]), words),
            password: match layers.find(&["password"]) {
                Fact::Known((_, node)) if node.text().is_none() => Fact::Absent,
                found => set(found, |_| ()),
            },
            chpasswd: users::chpasswd(&layers),
            users: users::users(&layers),
            files: layers.sources.iter().map(|source| source.file.clone()).collect(),
            defects: layers.defects,
            injected: layers.injected,
        })
    }
}

impl CloudInit {
    /// Whether it makes host keys for a new instance. A configuration without the program makes nothing.
    pub fn renews_host_keys(&self) -> bool {
        self.disabled == Fact::Known(false)
            && self.version != Fact::Absent
            && matches!(self.makes_host_keys, Fact::Known(true) | Fact::Absent)
    }
}

#[derive(Debug, Default)]
struct Layers {
    /// Strongest first.
    sources: Vec<Source>,
    defects: Vec<(PathBuf, Defect)>,
    injected: Option<PathBuf>,
}

impl Layers {
    fn add(&mut self, reader: &Reader<'_>, file: PathBuf, layer: Layer) {
        let content = match reader.file(&file) {
            Err(Miss::Absent) => return,
            Err(miss) => match miss.fact::<()>() {
                Fact::Unknown(why) => Err(why),
                Fact::Known(()) | Fact::Absent => return,
            },
            Ok(view) => match yaml::parse(view.bytes) {
                (Some(node), _) => Ok(node),
                (None, defects) if defects.is_empty() => return,
                (None, defects) => {
                    let why = defects.first().map_or_else(String::new, |defect| {
                        format!("{}:{}: {}", path_text(&file), defect.line, defect.what)
                    });
                    self.defects.extend(defects.into_iter().map(|defect| (file.clone(), defect)));
                    Err(Why::Defect(why))
                }
            },
        };
        self.sources.push(Source { file, layer, content });
    }

    fn add_fragments(&mut self, reader: &Reader<'_>, dir: &Path) {
        let names = match reader.names(dir) {
            Ok(names) => names,
            Err(Miss::Absent) => return,
            Err(miss) => {
                if let Fact::Unknown(why) = miss.fact::<()>() {
                    self.sources.push(Source { file: dir.to_path_buf(), layer: Layer::System, content: Err(why) });
                }
                return;
            }
        };
        for name in names.iter().rev().filter(|name| name.as_os_str().as_encoded_bytes().ends_with(b".cfg")) {
            let file = dir.join(name);
            if let Ok(walk) = reader.walk(&file, true)
                && walk.canonical.starts_with("/sys/firmware/qemu_fw_cfg")
            {
                self.injected = Some(file.clone());
            }
            self.add(reader, file, Layer::System);
        }
    }

    /// What stands under these keys once all layers are merged.
    fn find(&self, keys: &[&str]) -> Found<'_> {
        for source in &self.sources {
            let root = match &source.content {
                Ok(root) => root,
                // It could set the key, and no weaker layer would count.
                Err(why) => return Fact::Unknown(why.clone()),
            };
            let mut node = root;
            let mut rest = keys.iter();
            loop {
                let Some(key) = rest.next() else { return Fact::Known((source, node)) };
                match node.get(key) {
                    Some(inner) => node = inner,
                    // A mapping lets weaker layers add to it, anything else stands alone.
                    None if matches!(node.value, yaml::Value::Map(_)) => break,
                    None if std::ptr::eq(node, root) => break,
                    None => return Fact::Absent,
                }
            }
        }
        Fact::Absent
    }
}

/// `cloud_init_modules` and `ssh_genkeytypes` (`cc_ssh.py`). A module stands by its name, or first in a list with its frequency.
fn makes_host_keys(layers: &Layers) -> Fact<bool> {
    let is_ssh = |node: &Node| node.text().or_else(|| node.items().first().and_then(Node::text)) == Some("ssh");
    let runs = layers.find(&["cloud_init_modules"]).map(|(_, node)| node.items().iter().any(is_ssh));
    let kinds = layers.find(&["ssh_genkeytypes"]).map(|(_, node)| !words(node).is_empty());
    match (runs, kinds) {
        (Fact::Known(false), _) | (_, Fact::Known(false)) => Fact::Known(false),
        (Fact::Unknown(why), _) | (_, Fact::Unknown(why)) => Fact::Unknown(why),
        (Fact::Absent, Fact::Absent) => Fact::Absent,
        _ => Fact::Known(true),
    }
}

fn set<T>(found: Found<'_>, value: impl FnOnce(&Node) -> T) -> Fact<Set<T>> {
    found.map(|(source, node)| Set {
        value: value(node),
        file: source.file.clone(),
        line: node.line,
        layer: source.layer,
    })
}

/// `util.is_true` and `util.is_false`: None is neither.
fn truth(node: &Node) -> Option<bool> {
    match node.text()?.trim().to_ascii_lowercase().as_str() {
        "true" | "1" | "on" | "yes" => Some(true),
        "false" | "0" | "off" | "no" => Some(false),
        _ => None,
    }
}

fn password_login(node: &Node) -> PasswordLogin {
    match truth(node) {
        Some(true) => PasswordLogin::On,
        Some(false) => PasswordLogin::Off,
        None => PasswordLogin::Unchanged,
    }
}

/// The words of a list, or of one string.
fn words(node: &Node) -> Vec<String> {
    match node.text() {
        Some(text) => vec![text.to_owned()],
        None => node.items().iter().filter_map(|item| item.text().map(str::to_owned)).collect(),
    }
}

#[cfg(test)]
mod tests;
