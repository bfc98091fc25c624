use std::fs;
use std::os::unix::fs::{lchown, symlink};
use std::path::Path;

use hostward_checks::check::Profile;
use hostward_checks::observation::Observations;
use hostward_checks::parse::access_key::Holds;

use super::*;
use crate::record::record;

const ID: &str = concat!("LTAI", "5tQ7xKp2VmZs9RwGd3Hc");
const SECRET: &str = concat!("Jz4mXq8Wv2TkRb6", "NpYd9LsGh3CfQx1");

/// An image with bob and these files.
struct Image(tempfile::TempDir);

impl Image {
    fn new() -> Self {
        let image = Self(tempfile::tempdir().unwrap());
        image.file("/etc/passwd", "root:x:0:0::/root:/bin/sh\nbob:x:1001:1001::/home/bob:/bin/sh\n");
        fs::create_dir_all(image.at("/home/bob")).unwrap();
        image
    }

    fn at(&self, path: &str) -> PathBuf {
        self.0.path().join(path.trim_start_matches('/'))
    }

    fn file(&self, path: &str, text: impl AsRef<[u8]>) {
        fs::create_dir_all(self.at(path).parent().unwrap()).unwrap();
        fs::write(self.at(path), text).unwrap();
    }

    fn search(&self, paths: &[&str], limits: Limits) -> AccessKeys {
        let root = Root::open(self.0.path()).unwrap();
        let host = record(&root, &Observations::offline(0)).host;
        let mut policy = Policy::builtin(Profile::Image);
        policy.credential_paths = paths.iter().map(|path| (*path).to_owned()).collect();
        access_keys(&root, &host, &policy, Mode::Offline, limits)
    }

    fn found(&self, paths: &[&str]) -> Vec<(String, Holds)> {
        let keys = self.search(paths, Limits::default());
        let mut found: Vec<_> =
            keys.found.iter().map(|found| (found.path.display().to_string(), found.key.holds)).collect();
        found.sort();
        found
    }
}

fn at(paths: &[&str]) -> Vec<(String, Holds)> {
    paths.iter().map(|path| ((*path).to_owned(), Holds::Id)).collect()
}

#[test]
fn known_places_of_the_system_and_of_homes_are_searched() {
    let image = Image::new();
    let mut places = [
        "/etc/environment",
        "/etc/profile.d/oss.sh",
        "/etc/passwd-ossfs",
        "/etc/systemd/system/app.service",
        "/etc/systemd/system/app.service.d/env.conf",
        "/usr/lib/systemd/system/shipped.service",
        "/etc/cron.d/backup",
        "/var/spool/cron/crontabs/bob",
        "/var/lib/cloud/instances/i-1/scripts/part-001",
        "/var/lib/cloud/instances/i-1/user-data.txt",
        "/var/log/cloud-init-output.log",
        "/usr/local/share/aliyun-assist/work/script/t-1.sh",
        "/root/.aliyun/config.json",
        "/root/.bash_history",
        "/home/bob/.ossutilconfig",
        "/home/bob/.alibabacloud/credentials",
        "/home/bob/.zsh_history",
        "/home/bob/terraform/prod/../main.tfvars",
        "/home/bob/build.pkrvars.hcl",
    ]
    .map(|path| path.replace("/prod/..", ""));
    places.sort();
    for path in &places {
        image.file(path, format!("x {ID}\n"));
    }
    assert_eq!(image.found(&[]), at(&places.each_ref().map(String::as_str)));
}

#[test]
fn what_a_file_of_roots_names_is_searched_and_what_the_policy_names() {
    let image = Image::new();
    image.file("/etc/systemd/system/app.service", "[Service]\nEnvironmentFile=-/opt/app/env-%i\n");
    image.file("/opt/app/env-one", format!("ALIBABA_CLOUD_CREDENTIALS_FILE=/opt/app/keys.ini\nKEY={ID}\n"));
    image.file("/opt/app/keys.ini", format!("access_key_id = {ID}\naccess_key_secret = {SECRET}\n"));
    image.file("/etc/fstab", "ossfs#b:/ /mnt fuse _netdev,passwd_file=/opt/oss.passwd,allow_other 0 0\n");
    image.file("/opt/oss.passwd", format!("b:{ID}:{SECRET}\n"));
    image.file("/srv/one/deep/app.yml", format!("id: {ID}\n"));
    image.file("/srv/one/fixtures/app.yml", format!("id: {ID}\n"));
    image.file("/data/x.conf", format!("id: {ID}\n"));
    let mut want = at(&["/data/x.conf", "/opt/app/env-one", "/srv/one/deep/app.yml", "/srv/one/fixtures/app.yml"]);
    want.extend(["/opt/app/keys.ini", "/opt/oss.passwd"].map(|path| (path.to_owned(), Holds::Pair)));
    want.sort();
    assert_eq!(image.found(&["/srv/one", "/data/*.conf", "/nowhere"]), want);
}

#[test]
fn links_of_users_pipes_and_programs_lead_nowhere() {
    let image = Image::new();
    image.file("/opt/secret", format!("{ID}\n"));
    let link = image.at("/home/bob/.bash_history");
    symlink("/opt/secret", &link).unwrap();
    fs::create_dir_all(image.at("/opt/aliyun")).unwrap();
    image.file("/opt/aliyun/config.json", format!("{ID}\n"));
    symlink("/opt/aliyun", image.at("/home/bob/.aliyun")).unwrap();
    for link in [&link, &image.at("/home/bob/.aliyun")] {
        lchown(link, Some(1001), Some(1001)).unwrap();
    }
    nix::unistd::mkfifo(&image.at("/home/bob/.zsh_history"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    image.file("/home/bob/tool.sh", [b"\x7fELF\0\0", ID.as_bytes()].concat());
    let keys = image.search(&[], Limits::default());
    assert_eq!((keys.found, keys.unread), (vec![], vec![]));
    // A link that root laid is part of the system, in a home, too.
    symlink("/opt/secret", image.at("/etc/environment")).unwrap();
    assert_eq!(image.found(&[]), at(&["/opt/secret"]));
    lchown(image.at("/home/bob/.aliyun"), Some(0), Some(0)).unwrap();
    assert_eq!(image.found(&[]), at(&["/opt/aliyun/config.json", "/opt/secret"]));
}

#[test]
fn what_is_over_a_limit_is_told() {
    let image = Image::new();
    image.file("/root/.bash_history", format!("{ID}\n"));
    image.file("/home/bob/.bash_history", format!("{ID}\n{}", "x".repeat(9 << 20)));
    image.file("/home/bob/app.yml", format!("{ID}\n"));
    let keys = image.search(&[], Limits::default());
    assert_eq!(keys.found.len(), 2);
    assert_eq!(keys.unread, [(PathBuf::from("/home/bob/.bash_history"), Why::TooLarge(8 << 20))]);
    let few = image.search(&[], Limits { bytes: 30, ..Limits::default() });
    assert_eq!((few.found.len(), few.unread.len()), (1, 2), "{few:?}");
    let none = image.search(&[], Limits { time: Duration::ZERO, ..Limits::default() });
    assert_eq!((none.found.len(), none.files), (0, 0));
    assert!(none.unread.iter().any(|(_, why)| matches!(why, Why::Failed(_))), "{none:?}");
    let dir = image.at("/home/bob/many");
    fs::create_dir_all(&dir).unwrap();
    for number in 0..1100 {
        fs::write(dir.join(number.to_string()), "x").unwrap();
    }
    let many = image.search(&["/home/bob/many"], Limits::default());
    assert!(many.unread.iter().any(|(path, _)| path == Path::new("/home/bob/many")), "{:?}", many.unread);
}

/// Processes of this machine: one with a pair and its child, one with an id alone that has an environment that is too long.
#[test]
fn environments_of_processes_are_searched_and_their_limits_told() {
    use std::process::{Command, Stdio};
    let start = |variables: &[(&str, &str)], script: &str| {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]).env_clear().envs(variables.iter().copied());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
    };
    let pair = [("ALIBABA_CLOUD_ACCESS_KEY_ID", ID), ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", SECRET)];
    // Each says that it runs, and ends when nothing more is said to it.
    let mut parent = start(&pair, "/bin/sh -c 'echo; read line'; true");
    let long = "x".repeat(100_000);
    let words: Vec<String> = ["A", "B", "C"].map(str::to_owned).into();
    let large: Vec<(&str, &str)> = words.iter().map(|name| (name.as_str(), long.as_str())).collect();
    let mut large = start(&large, "echo; read line; true");
    for child in [&mut parent, &mut large] {
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut [0]).unwrap();
    }
    let mut keys = AccessKeys::default();
    environments::look(&mut keys);
    let own: Vec<_> = keys.environments.iter().filter(|one| one.key.shown == "LTAI****Hc").collect();
    assert_eq!(own.len(), 1, "{own:?}");
    assert_eq!((own[0].key.holds, own[0].pid), (Holds::Pair, i32::try_from(parent.id()).unwrap()));
    assert_eq!(keys.environments_unread, Some(Why::TooLarge(256 << 10)));
    for mut child in [parent, large] {
        drop(child.stdin.take());
        child.wait().unwrap();
    }
}
