//! Programs here that ask the metadata service without a token, and would fail where only hardened mode is left.

use std::path::{Path, PathBuf};

use crate::fact::{Fact, Why};
use crate::parse::yaml::{self, Node};
use crate::snapshot::{Miss, Reader};

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetadataClients {
    /// afterburn: no release knows tokens.
    pub afterburn: Fact<PathBuf>,
    /// NetworkManager's nm-cloud-setup, where it is there.
    pub nm_cloud_setup: Fact<CloudSetup>,
    /// SDKs that fetch the RAM role's credentials, in the places where system-wide packages go.
    pub sdks: Vec<Sdk>,
    /// Places that could not be searched.
    pub unread: Vec<(PathBuf, Why)>,
}

/// nm-cloud-setup asks a provider only where its unit's environment says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloudSetup {
    /// The program.
    pub program: PathBuf,
    /// The file and line of `Environment=NM_CLOUD_SETUP_ALIYUN=yes`; None: it does not ask.
    pub enabled: Option<(PathBuf, u32)>,
}

/// An installed SDK.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sdk {
    /// What it is called where it is published.
    pub name: &'static str,
    /// Its version.
    pub version: String,
    /// The first version that fetches a token.
    pub needed: &'static str,
    /// Where it stands.
    pub path: PathBuf,
}

impl Sdk {
    /// Whether it would fail without normal mode.
    pub fn is_old(&self) -> bool {
        is_older(&self.version, self.needed)
    }
}

/// The first version of the Python SDK with tokens (Alibaba Cloud's page on the metadata service).
const PYTHON: &str = "0.3.6";
/// The same of the Node.js SDK.
const NODE: &str = "2.3.1";

impl MetadataClients {
    /// Looks for them.
    pub fn read(reader: &Reader<'_>) -> Self {
        let mut unread = Vec::new();
        let mut sdks = python_sdks(reader, &mut unread);
        sdks.extend(node_sdks(reader, &mut unread));
        Self {
            afterburn: program(reader, &["/usr/bin/afterburn", "/usr/sbin/afterburn"]),
            nm_cloud_setup: cloud_setup(reader),
            sdks,
            unread,
        }
    }
}

/// Whether a dotted version is lower than another; what follows the numbers is not looked at.
pub fn is_older(version: &str, than: &str) -> bool {
    let numbers = |text: &str| -> Vec<u64> {
        let digits = |part: &str| part.bytes().take_while(u8::is_ascii_digit).count();
        let mut out = Vec::new();
        for part in text.split('.') {
            let length = digits(part);
            let Some(number) = part.get(..length).and_then(|digits| digits.parse().ok()) else { break };
            out.push(number);
            if length < part.len() {
                break;
            }
        }
        while out.last() == Some(&0) {
            out.pop();
        }
        out
    };
    numbers(version) < numbers(than)
}

fn program(reader: &Reader<'_>, paths: &[&str]) -> Fact<PathBuf> {
    for path in paths {
        match reader.meta(Path::new(path)) {
            Ok(_) => return Fact::Known(PathBuf::from(path)),
            Err(Miss::Absent) => {}
            Err(miss) => return miss.fact(),
        }
    }
    Fact::Absent
}

fn cloud_setup(reader: &Reader<'_>) -> Fact<CloudSetup> {
    const PROGRAMS: [&str; 2] = ["/usr/libexec/nm-cloud-setup", "/usr/lib/NetworkManager/nm-cloud-setup"];
    let program = match program(reader, &PROGRAMS) {
        Fact::Known(program) => program,
        Fact::Absent => return Fact::Absent,
        Fact::Unknown(why) => return Fact::Unknown(why),
    };
    const UNIT: &str = "nm-cloud-setup.service";
    const DIRS: [&str; 4] =
        ["/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];
    let mut files = Vec::new();
    // The unit itself from the first directory that has it, then drop-ins by name; the first directory's wins a name.
    let unit = DIRS.iter().map(|dir| Path::new(dir).join(UNIT)).find(|file| reader.meta(file).is_ok());
    files.extend(unit);
    let mut dropins: Vec<PathBuf> = Vec::new();
    for dir in DIRS {
        let globbed = reader.glob(&Path::new(dir).join("nm-cloud-setup.service.d/*.conf"));
        if let Some((_, why)) = globbed.unreadable.into_iter().next() {
            return Fact::Unknown(why);
        }
        for path in globbed.paths {
            if !dropins.iter().any(|known| known.file_name() == path.file_name()) {
                dropins.push(path);
            }
        }
    }
    dropins.sort_by(|a, b| a.file_name().cmp(&b.file_name()));
    files.extend(dropins);
    let mut enabled = None;
    for file in files {
        match reader.fact(&file) {
            Fact::Known(view) => environment(view.bytes, &file, &mut enabled),
            Fact::Absent => {}
            Fact::Unknown(why) => return Fact::Unknown(why),
        }
    }
    Fact::Known(CloudSetup { program, enabled })
}

/// `Environment=` lines: the last assignment counts, an empty value clears (`systemd.exec(5)`).
fn environment(bytes: &[u8], file: &Path, enabled: &mut Option<(PathBuf, u32)>) {
    for (number, line) in (1..).zip(bytes.split(|b| *b == b'\n')) {
        let line = String::from_utf8_lossy(line.trim_ascii());
        let Some(value) = line.strip_prefix("Environment=") else { continue };
        if value.trim().is_empty() {
            *enabled = None;
        }
        for word in value.split_whitespace().map(|word| word.trim_matches(['"', '\''])) {
            if let Some(said) = word.strip_prefix("NM_CLOUD_SETUP_ALIYUN=") {
                let yes = ["yes", "y", "true", "on", "1"].contains(&said.to_ascii_lowercase().as_str());
                *enabled = yes.then(|| (file.to_path_buf(), number));
            }
        }
    }
}

/// `alibabacloud_credentials-0.3.5.dist-info` or `…-py3.8.egg-info`.
fn python_sdks(reader: &Reader<'_>, unread: &mut Vec<(PathBuf, Why)>) -> Vec<Sdk> {
    let mut out = Vec::new();
    for base in ["/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/local/lib64"] {
        for packages in ["dist-packages", "site-packages"] {
            let pattern = format!("{base}/python3*/{packages}/alibabacloud_credentials-*-info");
            let globbed = reader.glob(Path::new(&pattern));
            unread.extend(globbed.unreadable);
            for path in globbed.paths {
                let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
                let version = name.strip_prefix("alibabacloud_credentials-").map(|rest| {
                    let rest =
                        rest.strip_suffix(".dist-info").or_else(|| rest.strip_suffix(".egg-info")).unwrap_or(rest);
                    rest.split('-').next().unwrap_or(rest).to_owned()
                });
                if let Some(version) = version.filter(|version| is_version(version)) {
                    out.push(Sdk { name: "alibabacloud_credentials", version, needed: PYTHON, path });
                }
            }
        }
    }
    out
}

fn node_sdks(reader: &Reader<'_>, unread: &mut Vec<(PathBuf, Why)>) -> Vec<Sdk> {
    let mut out = Vec::new();
    for base in ["/usr/lib", "/usr/local/lib"] {
        let path = Path::new(base).join("node_modules/@alicloud/credentials/package.json");
        match reader.fact(&path) {
            Fact::Absent => {}
            Fact::Unknown(why) => unread.push((path, why)),
            // JSON is YAML enough.
            Fact::Known(view) => {
                let (node, _) = yaml::parse(view.bytes);
                let version = node.as_ref().and_then(|node| node.get("version")).and_then(Node::text);
                match version.filter(|version| is_version(version)) {
                    Some(version) => {
                        out.push(Sdk {
                            name: "@alicloud/credentials",
                            version: version.to_owned(),
                            needed: NODE,
                            path,
                        });
                    }
                    None => unread.push((path, Why::Defect("it does not say its version".to_owned()))),
                }
            }
        }
    }
    out
}

fn is_version(text: &str) -> bool {
    text.len() <= 40
        && text.starts_with(|c: char| c.is_ascii_digit())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b".-+~".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Sketch;

    fn read(sketch: Sketch) -> MetadataClients {
        let snapshot = sketch.snapshot();
        MetadataClients::read(&Reader::new(&snapshot))
    }

    #[test]
    fn versions_compare_by_their_numbers() {
        for (version, than, want) in [
            ("22.4.2", "23.2.2", true),
            ("23.2", "23.2.2", true),
            ("23.2.2", "23.2.2", false),
            ("23.10", "23.2.2", false),
            ("24.1-0ubuntu1", "23.2.2", false),
            ("0.7.6a15", "23.2.2", true),
            ("23.2.2~rc1", "23.2.2", false),
            ("25.2.0", "25.2", false),
        ] {
            assert_eq!(is_older(version, than), want, "{version} than {than}");
        }
    }

    #[test]
    fn sdks_are_found_where_packages_go() {
        let clients = read(
            Sketch::new()
                .dir("/usr/lib/python3/dist-packages/alibabacloud_credentials-0.3.5.dist-info")
                .dir("/usr/local/lib/python3.11/site-packages/alibabacloud_credentials-1.0.2-py3.11.egg-info")
                .dir("/usr/local/lib/python3.11/site-packages/alibabacloud_credentials_api-1.0-info")
                .file(
                    "/usr/lib/node_modules/@alicloud/credentials/package.json",
                    "{\n  \"name\": \"x\", \"version\": \"2.2.0\"\n}\n",
                ),
        );
        let told: Vec<_> = clients.sdks.iter().map(|sdk| (sdk.version.as_str(), sdk.is_old())).collect();
        assert_eq!(told, [("0.3.5", true), ("1.0.2", false), ("2.2.0", true)]);
        assert_eq!(clients.unread, []);
    }

    #[test]
    fn nm_cloud_setup_counts_where_its_unit_asks_for_this_provider() {
        const SHIPPED: &str = "[Service]\n#Environment=NM_CLOUD_SETUP_ALIYUN=yes\nEnvironment=NM_CLOUD_SETUP_EC2=yes\n";
        let program = Sketch::new()
            .file("/usr/libexec/nm-cloud-setup", "")
            .file("/usr/lib/systemd/system/nm-cloud-setup.service", SHIPPED);
        let enabled = |sketch: Sketch| read(sketch).nm_cloud_setup.known().unwrap().enabled.clone();
        assert_eq!(enabled(program.clone()), None);
        let dropin = "/etc/systemd/system/nm-cloud-setup.service.d/10-aliyun.conf";
        let on = program.file(dropin, "[Service]\nEnvironment=\"NM_CLOUD_SETUP_ALIYUN=yes\"\n");
        assert_eq!(enabled(on.clone()), Some((PathBuf::from(dropin), 2)));
        let off = on.file("/etc/systemd/system/nm-cloud-setup.service.d/20.conf", "Environment=\n");
        assert_eq!(enabled(off), None);
        assert_eq!(read(Sketch::new()).nm_cloud_setup, Fact::Absent);
    }

    #[test]
    fn afterburn_is_found_or_unknown() {
        assert_eq!(
            read(Sketch::new().file("/usr/bin/afterburn", "")).afterburn,
            Fact::Known("/usr/bin/afterburn".into())
        );
        assert_eq!(read(Sketch::new()).afterburn, Fact::Absent);
    }
}
