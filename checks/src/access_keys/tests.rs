use super::*;
use crate::check::Profile;
use crate::fact::Why;
use crate::host::accounts::Accounts;
use crate::policy::Policy;
use crate::snapshot::{Reader, Sketch};

const ID: &str = concat!("LTAI", "5tQ7xKp2VmZs9RwGd3Hc");

#[test]
fn files_that_a_file_names_are_told() {
    let unit = "[Service]\nEnvironmentFile=-/etc/app/%i.env\nEnvironmentFile=relative\n";
    let told = |form, text: &str| -> Vec<String> {
        scan(form, text.as_bytes()).names.iter().map(|path| path.display().to_string()).collect()
    };
    assert_eq!(told(Form::Unit, unit), ["/etc/app/*.env"]);
    assert_eq!(told(Form::Text, unit), [""; 0]);
    let mount = "ossfs b /mnt -opasswd_file=/root/x -ourl=y\nexport ALIBABA_CLOUD_CONFIG_FILE=\"/root/c.json\"\n";
    assert_eq!(told(Form::Text, mount), ["/root/x", "/root/c.json"]);
}

#[test]
fn user_data_is_unpacked_and_programs_are_left_alone() {
    use base64::Engine;
    let script = format!("#!/bin/sh\nexport KEY={ID}\n");
    let packed = base64::engine::general_purpose::STANDARD.encode(&script);
    assert_eq!(scan(Form::UserData, packed.as_bytes()).keys.len(), 1);
    assert_eq!(scan(Form::Text, script.as_bytes()).keys.len(), 1);
    assert_eq!(scan(Form::Text, &[b"\x7fELF\x02", script.as_bytes()].concat()).keys, []);
    assert_eq!(scan(Form::Text, &[[0; 300].as_slice(), script.as_bytes()].concat()).keys.len(), 1, "after a crash");
    assert_eq!(scan(Form::UserData, b"\x1f\x8b\x08\x00broken").defects.len(), 1);
}

fn listed(sketch: Sketch, paths: &[&str]) -> Listing {
    let passwd = "root:x:0:0::/root:/bin/sh\nbob:x:1001:1001::/home/bob:/bin/sh\nbin:x:2:2::/bin:/bin/sh\n";
    let snapshot = sketch.file("/etc/passwd", passwd).snapshot();
    let reader = Reader::new(&snapshot);
    let accounts = Accounts::read(&reader);
    let mut policy = Policy::builtin(Profile::Enhanced);
    policy.credential_paths = paths.iter().map(|path| (*path).to_owned()).collect();
    list(&reader, &places(&accounts, &policy))
}

#[test]
fn a_home_is_searched_by_names_and_programs_directories_are_no_homes() {
    let sketch = Sketch::new()
        .file("/home/bob/.bash_history", "x")
        .file("/home/bob/.aliyun/config.json", "x")
        .file("/home/bob/.config/rclone/rclone.conf", "x")
        .file("/home/bob/picture.png", "x")
        .file("/home/bob/empty.txt", "")
        .file("/home/bob/my-terraform/a.tfvars", "x")
        .file("/home/bob/other/a.tfvars", "x")
        .file("/bin/tool.sh", "x");
    let listing = listed(sketch, &[]);
    let paths: Vec<String> = listing.files.iter().map(|file| file.path.display().to_string()).collect();
    let want = [
        "/home/bob/.aliyun/config.json",
        "/home/bob/.bash_history",
        "/home/bob/.config/rclone/rclone.conf",
        "/home/bob/my-terraform/a.tfvars",
    ];
    assert_eq!(paths, want);
    assert_eq!(listing.unread, []);
}

#[test]
fn links_of_roots_are_followed_in_homes_and_those_of_users_are_not() {
    let sketch = Sketch::new()
        .file("/data/aliyun/config.json", "x")
        .link("/root/.aliyun", "/data/aliyun")
        .file("/srv/notes", "x")
        .link("/home/bob/notes.txt", "/srv/notes")
        .owned("/home/bob/notes.txt", 1001, 1001, 0o777)
        .hidden("/home/bob/.bash_history", Why::Denied);
    let listing = listed(sketch, &[]);
    let paths: Vec<String> = listing.files.iter().map(|file| file.path.display().to_string()).collect();
    assert_eq!(paths, ["/data/aliyun/config.json"]);
    assert_eq!(listing.unread, [("/home/bob/.bash_history".into(), Why::Denied)]);
}

#[test]
fn a_file_with_several_names_is_read_once_and_the_kernels_files_never() {
    let sketch = Sketch::new().file("/srv/a.env", "x").link("/srv/b.env", "/srv/a.env").file("/proc/1/environ", "x");
    let listing = listed(sketch, &["/srv/*.env", "/srv", "/proc/1/environ"]);
    assert_eq!(listing.files.len(), 1, "{listing:?}");
}

#[test]
fn what_cannot_be_read_is_told() {
    let deep = (0..12).fold(String::from("/srv"), |path, _| path + "/x");
    let listing = listed(Sketch::new().file(format!("{deep}/a"), "x"), &["/srv"]);
    assert!(matches!(listing.unread.as_slice(), [(_, Why::Failed(why))] if why.contains("deeper")), "{listing:?}");
}
