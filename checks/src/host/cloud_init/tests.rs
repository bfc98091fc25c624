use super::*;
use crate::snapshot::Sketch;

fn read(sketch: Sketch) -> CloudInit {
    let snapshot = sketch.snapshot();
    match CloudInit::read(&Reader::new(&snapshot)) {
        Fact::Known(facts) => facts,
        other => panic!("{other:?}"),
    }
}

fn value<T: Clone>(fact: &Fact<Set<T>>) -> Option<T> {
    fact.known().map(|set| set.value.clone())
}

/// What Alibaba Cloud's guide asks images to hold.
const ECS: &str = "users:\n - default\nuser:\n  name: root\n  lock_passwd: False\ndisable_root: false\n\
    datasource_list: [ AliYun ]\nsystem_info:\n  distro: centos\n  default_user:\n    name: cloud\n    groups: [wheel]\n    sudo: [\"ALL=(ALL) NOPASSWD:ALL\"]\n";

#[test]
fn the_layers_count_as_cloud_init_counts_them() {
    let base = Sketch::new().file("/etc/cloud/cloud.cfg", format!("ssh_pwauth: no\n{ECS}"));
    assert_eq!(value(&read(base.clone()).ssh_pwauth), Some(PasswordLogin::Off));

    let dropins = base
        .file("/etc/cloud/cloud.cfg.d/05_a.cfg", "ssh_pwauth: unchanged\nssh_deletekeys: 0\n")
        .file("/etc/cloud/cloud.cfg.d/90_b.cfg", "ssh_pwauth: yes\n")
        .file("/etc/cloud/cloud.cfg.d/99_note.txt", "ssh_pwauth: no\n");
    let facts = read(dropins.clone());
    let set = facts.ssh_pwauth.known().unwrap();
    assert_eq!(
        (set.value, set.file.as_path(), set.line, set.layer),
        (PasswordLogin::On, Path::new("/etc/cloud/cloud.cfg.d/90_b.cfg"), 1, Layer::System)
    );
    assert_eq!(value(&facts.ssh_deletekeys), Some(false));
    assert_eq!(value(&facts.datasources), Some(vec!["AliYun".to_owned()]));
    assert_eq!(value(&facts.disable_root), Some(false));

    let instance = dropins
        .link("/var/lib/cloud/instance", "/var/lib/cloud/instances/i-1")
        .file("/var/lib/cloud/instances/i-1/cloud-config.txt", "#cloud-config\nssh_pwauth: false\n")
        .file("/var/lib/cloud/instances/i-1/vendor-cloud-config.txt", "ssh_pwauth: true\nssh_deletekeys: true\n");
    let facts = read(instance);
    let set = facts.ssh_pwauth.known().unwrap();
    assert_eq!((set.value, set.layer), (PasswordLogin::Off, Layer::Instance));
    assert_eq!(value(&facts.ssh_deletekeys), Some(true));
}

#[test]
fn the_default_user_of_an_ecs_image_is_root_with_an_open_password() {
    let facts = read(Sketch::new().file("/etc/cloud/cloud.cfg", ECS));
    let users = facts.users.known().unwrap();
    assert_eq!(users.len(), 1);
    assert_eq!((users[0].name.as_str(), users[0].is_default, users[0].lock_passwd), ("root", true, false));
    assert!(users[0].admin);
}

#[test]
fn accounts_and_passwords_are_found_in_every_form() {
    let facts = read(Sketch::new().file(
        "/etc/cloud/cloud.cfg",
        "password: Secret123\nchpasswd:\n  expire: False\n  list: |\n    root:Secret\n    web:RANDOM\n  users:\n   - {name: db, password: x}\n\
         users:\n - plain\n - name: op\n   sudo: ALL=(ALL) ALL\n   passwd: $6$x\n   lock_passwd: 'no'\n - name: guest\n   sudo: False\n   groups: users, docker\n",
    ));
    assert!(facts.password.known().is_some());
    let chpasswd = facts.chpasswd.known().unwrap();
    assert_eq!(chpasswd.value, ["root", "web", "db"]);
    let users = facts.users.known().unwrap();
    let told: Vec<_> =
        users.iter().map(|u| (u.name.as_str(), u.lock_passwd, u.sets_password, u.admin, u.line)).collect();
    assert_eq!(
        told,
        [("plain", true, false, false, 10), ("op", false, true, true, 11), ("guest", true, false, false, 15)]
    );
}

#[test]
fn what_cannot_be_read_is_unknown_and_stays_so_for_weaker_layers_only() {
    let broken = Sketch::new()
        .file("/etc/cloud/cloud.cfg", "ssh_pwauth: no\ndisable_root: true\n")
        .file("/etc/cloud/cloud.cfg.d/50.cfg", "ssh_pwauth: [yes\n")
        .file("/etc/cloud/cloud.cfg.d/60.cfg", "disable_root: false\n");
    let facts = read(broken);
    assert!(matches!(&facts.ssh_pwauth, Fact::Unknown(Why::Defect(what)) if what.contains("50.cfg:")));
    assert_eq!(value(&facts.disable_root), Some(false));
    assert_eq!(facts.defects.len(), 1);

    let denied = Sketch::new()
        .file("/etc/cloud/cloud.cfg", "ssh_pwauth: no\n")
        .unreadable("/var/lib/cloud/instance/cloud-config.txt", Why::Denied);
    assert_eq!(read(denied).ssh_pwauth, Fact::Unknown(Why::Denied));
}

#[test]
fn the_hypervisors_file_is_told_and_its_dangling_link_is_no_file() {
    let raw = "/sys/firmware/qemu_fw_cfg/by_name/etc/cloud-init/vendor-data/raw";
    let link = Sketch::new()
        .file("/etc/cloud/cloud.cfg", "ssh_pwauth: yes\n")
        .link("/etc/cloud/cloud.cfg.d/aliyun_cloud.cfg", raw);
    assert_eq!(value(&read(link.clone()).ssh_pwauth), Some(PasswordLogin::On));
    let facts = read(link.file(raw, "ssh_pwauth: no\n"));
    assert_eq!(facts.injected.as_deref(), Some(Path::new("/etc/cloud/cloud.cfg.d/aliyun_cloud.cfg")));
    assert_eq!(value(&facts.ssh_pwauth), Some(PasswordLogin::Off));
}

#[test]
fn the_installed_version_is_told_or_unknown() {
    let installed =
        Sketch::new().file("/usr/lib/python3/dist-packages/cloudinit/version.py", "__VERSION__ = \"22.4\"\n");
    assert_eq!(read(installed).version, Fact::Known("22.4".to_owned()));
    assert!(matches!(read(Sketch::new().file("/usr/bin/cloud-init", "")).version, Fact::Unknown(_)));
    let nothing = Sketch::new().snapshot();
    assert_eq!(CloudInit::read(&Reader::new(&nothing)), Fact::Absent);
}

proptest::proptest! {
    #[test]
    fn no_configuration_makes_it_fail(
        text in "((users|user|chpasswd|ssh_pwauth|list|name|password|system_info|default_user|default)(: |:\n  |, )|[-{}\\[\\]\n ab]){0,60}",
    ) {
        let snapshot = Sketch::new().file("/etc/cloud/cloud.cfg", text).snapshot();
        let _ = CloudInit::read(&Reader::new(&snapshot));
    }
}
