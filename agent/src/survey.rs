//! Looking at a host once: observe what runs, record what the parsers need, and hand both on.

use std::path::{Path, PathBuf};

use hostward_checks::fact::Fact;
use hostward_checks::host::Host;
use hostward_checks::observation::{Mode, Observations};
use hostward_checks::snapshot::{Need, Reader, Snapshot};

use crate::observe::metadata::{self, Endpoint};
use crate::record::record;
use crate::root::{Budget, Root};

/// What a scan and `access` start from.
#[derive(Debug)]
pub struct Survey {
    /// The root.
    pub root: Root,
    /// Every answer that the facts rest on.
    pub snapshot: Snapshot,
    /// Facts from files.
    pub host: Host,
    /// Facts that are not files.
    pub seen: Observations,
}

impl Survey {
    /// Records something more that the judgement rests on.
    pub fn also_rests_on(&mut self, need: &Need) {
        self.root.answer(need, &mut self.snapshot, &mut Budget::default());
    }

    /// The content of a file that no fact of the host is read from, where it can be read.
    pub fn content(&mut self, path: &Path) -> Option<Vec<u8>> {
        // Each round brings another part of the path, or what a link leads to.
        for _ in 0..40 {
            let reader = Reader::new(&self.snapshot);
            if let Ok(file) = reader.file(path) {
                return Some(file.bytes.to_vec());
            }
            let need = reader.need();
            if need.is_empty() {
                break;
            }
            self.also_rests_on(&need);
        }
        None
    }
}

/// What to observe of a live host beyond its files.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Listening sockets, the firewall and addresses.
    pub network: bool,
    /// The metadata service.
    pub metadata: bool,
    /// Whether the metadata service may be asked without a token, which counts as an access in normal mode.
    pub tokenless: bool,
    /// Recent logins.
    pub logins: bool,
    /// The platform: agents, loggers, kernel settings.
    pub platform: bool,
    /// What a host carries into an image made of it: whole trees of files.
    pub image: bool,
    /// Another address of the metadata service, and the consent to ask it wherever we are.
    pub metadata_endpoint: Option<Endpoint>,
    /// What the configuration says of the platform: whether this is an ECS instance. None: nothing, the machine is asked.
    pub says_ecs: Option<bool>,
}

/// Looks at the live host, or at a directory as an offline root: then nothing outside it is read.
pub fn survey(dir: Option<&Path>, wanted: &Wanted) -> anyhow::Result<Survey> {
    let root = Root::open(dir.unwrap_or(Path::new("/")))?;
    let now = jiff::Timestamp::now().as_second();
    let mut seen = Observations::offline(now);
    seen.image = wanted.image;
    if dir.is_none() {
        seen.mode = Mode::Live;
        seen.foreign_mounts = root.foreign().list().to_vec();
        observe(&mut seen, wanted);
        if wanted.logins {
            seen.logins = crate::observe::logins(root.path(), now);
        }
    }
    let recorded = record(&root, &seen);
    Ok(Survey { root, snapshot: recorded.snapshot, host: recorded.host, seen })
}

fn observe(seen: &mut Observations, wanted: &Wanted) {
    seen.hostname = nix::unistd::gethostname()
        .map_or(Fact::Absent, |name| Fact::Known(hostward_checks::check::bytes_text(name.as_encoded_bytes())));
    seen.dmi_product = crate::observe::read_small(Path::new("/sys/class/dmi/id/product_name"));
    if wanted.network {
        seen.sockets = crate::observe::sockets();
        seen.addresses = crate::observe::addresses();
        seen.daemons = crate::observe::daemons(&seen.sockets);
        seen.firewall = crate::observe::firewall(&seen.sockets);
    }
    if wanted.platform {
        let endpoint = metadata::endpoint(&seen.dmi_product, wanted.says_ecs, wanted.metadata_endpoint);
        seen.platform = crate::observe::platform::platform(endpoint.map(|_| ()));
    }
    if wanted.metadata {
        seen.metadata = match metadata::endpoint(&seen.dmi_product, wanted.says_ecs, wanted.metadata_endpoint) {
            Ok(endpoint) => metadata::metadata(endpoint, wanted.tokenless),
            Err(why) => Fact::Unknown(why),
        };
    }
}

/// Where hostward keeps its state on a live host.
pub fn state_dir() -> PathBuf {
    PathBuf::from("/var/lib/hostward")
}
