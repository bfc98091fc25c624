//! Images: a root file system with every trace of its making is cleaned, and what boots from it is a host of its own.

#![cfg(test)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use hostward_tests::dhcp::Dhcp;
use hostward_tests::host::{Host, PUBLIC_CLIENT, Plan};
use hostward_tests::imds::{Behaviour, Imds};
use hostward_tests::keys::ssh_keygen;
use hostward_tests::ssh::{Client, Session, With};
use hostward_tests::suite::{Overlay, Suite, chosen, run_directory};
use hostward_tests::tier::Tier;
use hostward_tests::{binary, results};
use tempfile::TempDir;

const TEST: &str = "image";
/// What must be found nowhere afterwards.
const SECRET: &str = "S3cret-of-the-builder";
/// The instance that the image was made of; those made from it have the same id here, so that what is left of its state would
/// keep cloud-init from doing anything.
const INSTANCE_ID: &str = "i-bp1test0000000000001";

/// An image as somebody left it who built it by hand, over ssh, and with cloud-init's first boot behind it.
const LEFT: &str = r#"
    useradd -m -s /bin/bash ann; echo 'ann:Aliyun@123' | chpasswd; echo 'root:Pa55-root-word' | chpasswd; usermod -L ann
    usermod -U ann
    echo 4c6a3f0bd6c14fa5a2a7e52b4d3b7c11 >/etc/machine-id; rm -f /var/lib/dbus/machine-id; mkdir -p /var/lib/dbus
    cp /etc/machine-id /var/lib/dbus/machine-id
    head -c 512 /dev/urandom >/var/lib/systemd/random-seed; head -c 1024 /dev/urandom >/var/lib/systemd/credential.secret
    ssh-keygen -q -s /etc/ssh/ssh_host_ed25519_key -I S3cret-of-the-builder -h -n builder /etc/ssh/ssh_host_ed25519_key.pub
    a=/usr/local/share/aliyun-assist; mkdir -p $a/work/script $a/2.2.3.1/log /var/spool/exim4/input /var/lib/wtmpdb
    for trace in $a/work/script/t-hz0.sh $a/2.2.3.1/log/aliyun_assist_main.log /var/spool/exim4/input/x-D /var/lib/wtmpdb/wtmp.db; do
      echo S3cret-of-the-builder >$trace; done
    mkdir -p /var/lib/dhcp /var/lib/NetworkManager /var/log/journal/4c6a3f0bd6c14fa5a2a7e52b4d3b7c11 /var/crash
    echo 'lease { S3cret-of-the-builder }' | tee /var/lib/dhcp/dhclient.eth0.leases >/var/lib/NetworkManager/secret_key
    i=/var/lib/cloud/instances/i-bp1test0000000000001; mkdir -p $i/sem /var/lib/cloud/data /var/lib/cloud/sem
    touch $i/sem/config_ssh $i/sem/config_users_groups $i/sem/config_set_passwords $i/boot-finished
    echo 'password: S3cret-of-the-builder' >$i/user-data.txt; ln -sfn $i /var/lib/cloud/instance
    echo i-bp1test0000000000001 | tee /var/lib/cloud/data/instance-id >/var/lib/cloud/data/previous-instance-id
    for home in /root /home/ann; do echo 'mysql -pS3cret-of-the-builder' >$home/.bash_history; mkdir -p -m 700 $home/.ssh; done
    echo 'https://x:S3cret-of-the-builder@example.com' >/root/.git-credentials; echo S3cret-of-the-builder >/home/ann/.psql_history
    for cache in /root/.npm/_logs /home/ann/.cache/pip/http; do mkdir -p $cache; echo S3cret-of-the-builder >$cache/x; done
    ssh-keygen -q -t ed25519 -N '' -C ann -f /home/ann/.ssh/id_ed25519; chown -R ann /home/ann
    for log in auth.log auth.log.1 auth.log.2.gz syslog-20261101 journal/4c6a3f0bd6c14fa5a2a7e52b4d3b7c11/system.journal wtmp btmp \
      lastlog cloud-init.log cloud-init-output.log; do
      echo S3cret-of-the-builder >>/var/log/$log; done
    mkdir -p /var/log/site; chown ann /var/log/site; echo S3cret-of-the-builder >/var/log/site/access.log
    mkdir -p /tmp/deep/er /var/tmp/x; echo S3cret-of-the-builder | tee /tmp/script_1234.sh /tmp/deep/er/y /var/tmp/x/z >/var/mail/root
    echo 'rootpw --iscrypted S3cret-of-the-builder' >/root/anaconda-ks.cfg; echo S3cret-of-the-builder >/var/crash/core
    mkdir -p /etc/iscsi /usr/lib/open-iscsi; echo InitiatorName=iqn.1993-08.org.debian:01:f4b2 >/etc/iscsi/initiatorname.iscsi
    echo '#!/bin/sh' >/usr/lib/open-iscsi/startup-checks.sh
    echo "ann:1000:1:$(grep ^ann: /etc/shadow | cut -d: -f2)" >/etc/security/opasswd; chmod 600 /etc/security/opasswd"#;

/// ECS's own words for cloud-init; nothing is to be asked for a network that is there already.
const CLOUD: &str = "datasource_list: [AliYun]
datasource: {AliYun: {timeout: 5, max_wait: 20}}
disable_root: false
users: [default]
user: {name: root, lock_passwd: false}
network: {config: disabled}
";

fn hostward(words: &[&str], root: &Path) -> Output {
    let mut command = Command::new(binary().unwrap());
    command.args(words).arg("--root").arg(root).args(["--password-budget", "0"]);
    command.env_clear().current_dir("/").output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Everything that must not be in the image any more: hashes, private keys, and the word that stands in every trace.
fn secrets(image: &Overlay) -> Vec<String> {
    let mut secrets = vec![SECRET.to_owned()];
    let shadow = fs::read_to_string(image.path("/etc/shadow")).unwrap();
    let hashes = shadow.lines().filter_map(|line| line.split(':').nth(1)).filter(|field| field.starts_with('$'));
    secrets.extend(hashes.map(str::to_owned));
    assert_eq!(secrets.len(), 3, "{shadow}");
    for key in ["/etc/ssh/ssh_host_ed25519_key", "/home/ann/.ssh/id_ed25519"] {
        secrets.push(fs::read_to_string(image.path(key)).unwrap().lines().nth(2).unwrap().to_owned());
    }
    secrets
}

/// Files below a directory that hold one of the words.
fn holding(dir: &Path, words: &[String], found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            holding(&entry.path(), words, found);
        } else if kind.is_file() {
            let bytes = fs::read(entry.path()).unwrap();
            if words.iter().any(|word| bytes.windows(word.len()).any(|part| part == word.as_bytes())) {
                found.push(entry.path());
            }
        }
    }
}

/// Dirties an image, cleans it, and makes sure that nothing of it is left.
fn cleaned(suite: &Suite, layer: Option<&Path>, builder: &str) -> Overlay {
    let image = layer.map_or_else(|| suite.overlay(), |layer| suite.overlay_with(layer)).unwrap();
    image.shell(LEFT).unwrap();
    image.write("/root/.ssh/authorized_keys", builder, 0o600).unwrap();
    // What an earlier fix has kept holds hashes, too.
    let earlier = hostward(&["fix", "accounts.password-age", "--apply"], image.root());
    assert!(said(&earlier).contains("DONE"), "{suite}: {}", said(&earlier));
    let secrets = secrets(&image);
    let mut before = Vec::new();
    holding(&image.changes(), &secrets, &mut before);
    assert!(before.len() > 20, "{suite}: the traces are there to be found: {before:?}");

    let fixed = hostward(&["fix", "--profile", "image", "--apply"], image.root());
    assert!(matches!(fixed.status.code(), Some(0 | 1)), "{suite}: {}", said(&fixed));
    assert!(said(&fixed).contains("DONE: transaction"), "{suite}: {}", said(&fixed));
    assert!(!said(&fixed).contains("warning: not erased"), "{suite}: {}", said(&fixed));
    let again = hostward(&["scan", "--profile", "image", "--only", "image"], image.root());
    let host_keys = fs::read_dir(image.path("/etc/ssh")).unwrap().flatten();
    let host_keys: Vec<PathBuf> = host_keys.map(|entry| entry.path()).filter(|path| is_host_key(path)).collect();
    if said(&fixed).contains("nothing here makes new host keys") {
        assert!(!host_keys.is_empty() && said(&again).contains("host key"), "{suite}: {}", said(&again));
    } else {
        assert_eq!(again.status.code(), Some(0), "{suite}: {}", said(&again));
        assert!(host_keys.is_empty(), "{suite}: {host_keys:?}");
        let mut left = Vec::new();
        holding(&image.changes(), &secrets, &mut left);
        assert!(left.is_empty(), "{suite}: secrets are left in {left:?}");
    }
    assert_eq!(fs::read(image.path("/etc/machine-id")).unwrap(), b"", "{suite}");
    for gone in ["/var/lib/cloud/instance", "/var/lib/systemd/credential.secret", "/var/lib/systemd/random-seed"] {
        assert!(fs::symlink_metadata(image.path(gone)).is_err(), "{suite}: {gone}");
    }
    let name = fs::read_to_string(image.path("/etc/iscsi/initiatorname.iscsi")).unwrap();
    assert_eq!(name, "GenerateName=yes\n", "{suite}");
    locked(&fs::read_to_string(image.path("/etc/shadow")).unwrap(), suite.name());
    image
}

/// Those who had a password are locked with `!`, and nobody has an empty one.
fn locked(shadow: &str, name: &str) {
    for user in ["root", "ann"] {
        assert!(shadow.lines().any(|line| line.starts_with(&format!("{user}:!:"))), "{name}: {shadow}");
    }
    let field = |line: &str| line.split(':').nth(1).map(str::to_owned);
    let closed = |field: &str| field.starts_with(['!', '*']);
    assert!(shadow.lines().all(|line| field(line).is_some_and(|field| closed(&field))), "{name}: {shadow}");
}

fn is_host_key(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("ssh_host_"))
}

/// What tells a booted host from others: its machine id and its host keys.
fn identity(host: &Host) -> BTreeSet<String> {
    let told = host.shell(
        "cat /etc/machine-id; for key in /etc/ssh/ssh_host_*_key.pub; do ssh-keygen -lf $key | cut -d' ' -f2; done",
    );
    told.unwrap().lines().map(str::to_owned).collect()
}

fn await_sshd(host: &Host) {
    let banner = "for i in $(seq 100); do bash -c 'exec 3<>/dev/tcp/127.0.0.1/22; read -t 5 -u 3' 2>/dev/null && exit 0; sleep 0.1; done; exit 1";
    host.shell(banner).unwrap_or_else(|error| {
        panic!(
            "{error:#}: {}",
            host.shell("systemctl --no-pager status ssh* sshd-keygen* | tail -60").unwrap_or_default()
        )
    });
}

/// A key pair that the tests hold: the file of the private half, and the line of the public one.
fn key_pair(dir: &Path, name: &str) -> (PathBuf, String) {
    let path = dir.join(name);
    ssh_keygen(&["-q", "-t", "ed25519", "-N", "", "-C", name, "-f", path.to_str().unwrap()]).unwrap();
    let line = fs::read_to_string(path.with_extension("pub")).unwrap();
    (path, line)
}

/// A suite with cloud-init, and the key pairs of who builds an image and of whose instances are made of it.
struct Cloud {
    suite: Suite,
    cloud_init: PathBuf,
    builder: (PathBuf, String),
    owner: (PathBuf, String),
    _keys: TempDir,
}

/// The suite where it can be had; else that is told.
fn cloud(name: &str) -> Option<Cloud> {
    let Ok(suite) = Suite::find(name) else {
        results::skipped(TEST, name, "no root file system");
        return None;
    };
    let Ok(cloud_init) = suite.cloud_init() else {
        results::skipped(TEST, name, "NOT TESTED: cloud-init is not in the cache");
        return None;
    };
    let keys = run_directory("keys").unwrap();
    let builder = key_pair(keys.path(), "packer_builder");
    let owner = key_pair(keys.path(), "owner");
    Some(Cloud { suite, cloud_init, builder, owner, _keys: keys })
}

/// Nothing that opened the builder's host opens this one.
fn the_builder_stays_out(client: &Client, builder: &Path, name: &str) {
    for (user, password) in [("root", "Pa55-root-word"), ("ann", "Aliyun@123")] {
        let outcome = client.login(user, PUBLIC_CLIENT, &With::Password(password.to_owned())).unwrap();
        assert!(!outcome.authenticated, "{name}: {user} still enters with its password");
    }
    let outcome = client.login("root", PUBLIC_CLIENT, &With::Key(builder.to_owned())).unwrap();
    assert!(!outcome.authenticated, "{name}: the builder's key still opens root");
}

/// What the metadata service answers to the datasource AliYun, old and new.
fn metadata(imds: &Imds, key: &str) {
    for version in ["latest", "2016-01-01"] {
        let at = |item: &str| format!("/{version}/meta-data/{item}");
        imds.set(&at(""), "hostname\ninstance-id\npublic-keys/");
        imds.set(&at("hostname"), "iZbp1test");
        imds.set(&at("instance-id"), INSTANCE_ID);
        imds.set(&at("public-keys/"), "skp-bp1/");
        imds.set(&at("public-keys/skp-bp1/"), "openssh-key");
        imds.set(&at("public-keys/skp-bp1/openssh-key"), key);
        let all = format!(
            r#"{{"hostname":"iZbp1test","instance-id":"{INSTANCE_ID}","public-keys":{{"skp-bp1":{{"openssh-key":"{}"}}}}}}"#,
            key.trim()
        );
        imds.set(&at("all"), all);
        imds.set(&format!("/{version}/dynamic/instance-identity/"), "");
    }
}

/// What ECS's images have of their own for cloud-init. A container shows no DMI: that it runs on ECS is said instead.
fn cloud_of_a_container(cloud_init: &Path) -> [(&'static str, String); 2] {
    const SOURCE: &str = "/usr/lib/python3/dist-packages/cloudinit/sources/DataSourceAliYun.py";
    let source = fs::read_to_string(cloud_init.join(SOURCE.trim_start_matches('/'))).unwrap();
    let asks = "def _is_aliyun():\n";
    assert!(source.contains(asks), "{source}");
    [
        ("/etc/cloud/cloud.cfg.d/99-ecs.cfg", CLOUD.to_owned()),
        (SOURCE, source.replace(asks, &format!("{asks}    return True\n"))),
    ]
}

/// Boots as an instance is started by ECS: DHCP and the metadata service are there, and the key pair is this.
fn booted(plan: Plan<'_>, public: &str) -> (Host, (Imds, Dhcp)) {
    let (host, beside) = plan
        .boot_beside(|vpc| {
            let imds = Imds::start(vpc, Behaviour::Open)?;
            metadata(&imds, public);
            Ok((imds, Dhcp::start(vpc)?))
        })
        .unwrap();
    await_sshd(&host);
    (host, beside)
}

/// Boots an instance of a clean image: it is none of those that are known, cloud-init has run as at a first boot, and its owner's
/// key alone opens it.
fn a_new_instance(
    plan: Plan<'_>,
    (owner, public): (&Path, &str),
    builder: &Path,
    known: &mut BTreeSet<String>,
    name: &str,
) {
    let (host, (imds, _dhcp)) = booted(plan, public);
    let log = || host.shell("tail -150 /var/log/cloud-init.log 2>/dev/null").unwrap_or_default();
    assert!(!imds.requests().is_empty(), "{name}: cloud-init asked nobody: {}", log());
    let ran = host.shell("cat /var/lib/cloud/data/instance-id; ls /var/lib/cloud/instance/sem/").unwrap();
    assert!(ran.starts_with(INSTANCE_ID) && ran.contains("config_ssh"), "{name}: {ran}: {}", log());
    let own = identity(&host);
    assert!(own.len() >= 3 && own.is_disjoint(known), "{name}: {own:?} and {known:?}: {}", log());
    known.extend(own);
    let client = Client::of(&host).unwrap();
    let entered = client.login("root", PUBLIC_CLIENT, &With::Key(owner.to_owned())).unwrap();
    assert!(entered.shell, "{name}: the owner is locked out: {}\n{}", entered.log, log());
    the_builder_stays_out(&client, builder, name);
}

#[test]
fn instances_of_a_cleaned_image_are_new_and_their_owners() {
    let suites: &[&str] = Tier::current().pick(
        &["bookworm"],
        &["bullseye", "bookworm", "trixie", "sid", "bionic", "focal", "jammy", "noble", "resolute"],
    );
    for name in chosen(suites) {
        let Some(Cloud { suite, cloud_init, builder: (builder, line), owner: (owner, public), _keys }) = cloud(name)
        else {
            continue;
        };
        let image = cleaned(&suite, Some(&cloud_init), &line);
        for (path, content) in cloud_of_a_container(&cloud_init) {
            image.write(path, content, 0o644).unwrap();
        }
        let mut known = BTreeSet::new();
        for _ in 0..2 {
            let plan = Host::of(&suite).layer(&cloud_init).layer(&image.changes());
            a_new_instance(plan, (&owner, &public), &builder, &mut known, name);
        }
        results::tested(
            TEST,
            name,
            "cleaned, two instances with cloud-init: new ids and host keys, the owner's key alone opens",
        );
    }
}

/// What a builder does in the instance, over ssh, before the last step.
const WORKED: &str =
    "useradd -m -s /bin/bash ann; echo 'ann:Aliyun@123' | chpasswd; echo 'root:Pa55-root-word' | chpasswd
    echo 'mysql -pS3cret-of-the-builder' >/root/.bash_history; echo S3cret-of-the-builder >/tmp/script_1234.sh
    logger S3cret-of-the-builder; echo S3cret-of-the-builder >>/var/log/auth.log";

#[test]
fn a_builder_seals_its_own_instance_over_ssh() {
    let suites: &[&str] = Tier::current()
        .pick(&[], &["bullseye", "bookworm", "trixie", "sid", "bionic", "focal", "jammy", "noble", "resolute"]);
    if suites.is_empty() {
        results::skipped(TEST, "a seal over ssh", "in the long size only");
    }
    for name in chosen(suites) {
        let Some(Cloud { suite, cloud_init, builder: (builder, line), owner: (owner, public), _keys }) = cloud(name)
        else {
            continue;
        };
        let mut plan = Host::of(&suite).layer(&cloud_init).bind(&binary().unwrap(), "/usr/local/bin/hostward");
        for (path, content) in cloud_of_a_container(&cloud_init) {
            plan = plan.file(path, content, 0o644);
        }
        let (mut host, _beside) = booted(plan, &line);
        let mut known = identity(&host);
        let client = Client::of(&host).unwrap();
        let mut session = client.open("root", PUBLIC_CLIENT, &With::Key(builder.clone()), &[]).unwrap();
        assert_eq!(session.run(WORKED).unwrap().1, 0, "{name}");

        // Nothing of what the builder needs goes before the last step is named.
        let (said, status) = session.run("hostward fix --root / --profile image --password-budget 0 --apply").unwrap();
        assert!(status <= 1 && said.contains("DONE: transaction"), "{name}: {status}: {said}");
        assert!(client.login("root", PUBLIC_CLIENT, &With::Key(builder.clone())).unwrap().shell, "{name}: {said}");
        let (said, status) =
            session.run("hostward fix --profile image --password-budget 0 --apply image sshd.host-keys").unwrap();
        assert!(status <= 1 && said.contains("DONE: transaction"), "{name}: {status}: {said}");
        assert!(!said.contains("warning: not erased"), "{name}: {said}");
        let keeps = said.contains("nothing here makes new host keys");
        // The session that asked is the one that still runs, and nobody comes in anew.
        let (shadow, status) = session.run("cat /etc/shadow").unwrap();
        assert_eq!(status, 0, "{name}: the builder's session was cut");
        locked(&shadow, name);
        let order = last_erased(&mut session);
        let first_key = order.iter().position(|path| path.contains("/ssh_host_"));
        let after = first_key.map_or(&[][..], |first| &order[first..]);
        assert!(
            keeps || (!after.is_empty() && after.iter().all(|path| path.contains("/ssh_host_"))),
            "{name}: {order:?}"
        );
        let (judged, status) =
            session.run("hostward scan --root / --profile image --only image --fail-on high").unwrap();
        assert!(keeps || status == 0, "{name}: {status}: {judged}");
        the_builder_stays_out(&client, &builder, name);
        drop(session);

        host.halt().unwrap();
        let mut left = Vec::new();
        holding(&host.changes(), &[SECRET.to_owned()], &mut left);
        assert!(left.is_empty(), "{name}: secrets are left in {left:?}");
        for _ in 0..2 {
            let plan = Host::of(&suite).layer(&cloud_init).layer(&host.changes());
            a_new_instance(plan, (&owner, &public), &builder, &mut known, name);
        }
        results::tested(
            TEST,
            name,
            "sealed over ssh while it ran, its session whole to the end; what boots from its disk is new",
        );
    }
}

/// What the last transaction took away, in order.
fn last_erased(session: &mut Session) -> Vec<String> {
    let (manifest, _) = session.run("cat $(ls -td /var/lib/hostward/transactions/*/ | head -1)manifest.json").unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    let effects = manifest["effects"].as_array().unwrap();
    let erased = effects.iter().filter(|effect| effect["kind"] == "erase");
    erased.map(|effect| effect["path"].as_str().unwrap().to_owned()).collect()
}

/// Debian's own unit makes host keys at a first boot alone, and an empty machine id makes none of a boot.
#[test]
fn host_keys_are_made_where_only_the_distribution_does() {
    let suites: &[&str] = Tier::current().pick(&["trixie"], &["trixie", "sid", "resolute", "bookworm", "noble"]);
    for name in chosen(suites) {
        let Ok(suite) = Suite::find(name) else {
            results::skipped(TEST, name, "no root file system");
            continue;
        };
        let keys = run_directory("keys").unwrap();
        let (builder, line) = key_pair(keys.path(), "packer_builder");
        let image = cleaned(&suite, None, &line);
        let makes = suite.root().join("usr/lib/systemd/system/sshd-keygen.service").exists();
        let mut known = BTreeSet::new();
        for _ in 0..if makes { Tier::current().pick(1, 2) } else { 0 } {
            let host = Host::of(&suite).layer(&image.changes()).boot().unwrap();
            await_sshd(&host);
            let own = identity(&host);
            assert!(own.len() >= 3 && own.is_disjoint(&known), "{name}: {own:?} and {known:?}");
            known.extend(own);
            the_builder_stays_out(&Client::of(&host).unwrap(), &builder, name);
        }
        let what = if makes {
            "without cloud-init: an id and host keys of its own"
        } else {
            "host keys stay, and that is said"
        };
        results::tested(TEST, name, what);
    }
}
