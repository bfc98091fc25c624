use super::*;

fn shown(text: &str) -> Vec<(u32, Kind, String)> {
    secrets(text.as_bytes()).into_iter().map(|s| (s.line, s.kind, s.shown)).collect()
}

#[test]
fn secrets_of_scripts_are_found_and_never_shown() {
    const KEY: &str = concat!("LTAI", "5tQ7xKp2VmZs9RwGd3Hc");
    for (text, kind, want) in [
        ("echo 'root:Hunter22' | chpasswd", Kind::Password, "root:****"),
        ("echo root:Hunter22|/usr/sbin/chpasswd", Kind::Password, "root:****"),
        ("printf \"web:Hunter22\\n\" | sudo chpasswd", Kind::Password, "web:****"),
        ("echo Hunter22 | passwd --stdin root", Kind::Password, "echo **** | passwd --stdin"),
        ("useradd -m -p '$6$salt$0123456789abcdef' op", Kind::PasswordHash, "-p ****"),
        ("usermod -p Hunter22 op", Kind::Password, "-p ****"),
        ("export MYSQL_ROOT_PASSWORD='Hunter22'", Kind::Password, "MYSQL_ROOT_PASSWORD=****"),
        ("  db_password: Hunter22", Kind::Password, "db_password=****"),
        ("mysqladmin --password=Hunter22 ping", Kind::Password, "password=****"),
        ("redis-server --requirepass Hunter22", Kind::Password, "--requirepass ****"),
        ("sshpass -pHunter22 ssh host", Kind::Password, "sshpass -p****"),
        ("git clone https://bot:Hunter22@git.example/x", Kind::Password, "https://bot:****@"),
        (
            "ALIBABA_CLOUD_ACCESS_KEY_SECRET=Hunter22Hunter22Hunter22Hunter",
            Kind::Password,
            "ALIBABA_CLOUD_ACCESS_KEY_SECRET=****",
        ),
        ("-----BEGIN OPENSSH PRIVATE KEY-----", Kind::PrivateKey, "-----BEGIN ****"),
        ("key=\"-----BEGIN RSA PRIVATE KEY-----\\nMII\"", Kind::PrivateKey, "-----BEGIN ****"),
    ] {
        assert_eq!(shown(&format!("#!/bin/sh\n{text}\n")), [(2, kind, want.to_owned())], "{text}");
    }
    assert_eq!(shown(&format!("id={KEY}")), [(1, Kind::AccessKey, "LTAI****Hc".to_owned())]);
    assert_eq!(shown(concat!("LTAI", "bM4hwDeVtL7p"))[0].1, Kind::AccessKey);
}

#[test]
fn what_is_no_secret_is_left_alone() {
    for text in [
        "PASSWORD=$1",
        "PASSWORD=\"${DB_PASSWORD}\"",
        "password=$(pwgen)",
        "PASSWORD=",
        "password: <your password>",
        "password: ********",
        "secret=xxxxxxxx",
        "ssh_pwauth: true",
        "lock_passwd: false",
        "PasswordAuthentication no",
        "OLDPWD=/root",
        "cat list | chpasswd",
        "echo \"root:$PASS\" | chpasswd",
        "# password=Hunter22",
        "passwd -l root",
        "https://host:8080/path@2x",
        "-----BEGIN CERTIFICATE-----",
        "-----BEGIN PUBLIC KEY-----",
        "LTAI5t",
        "LTAI****************Ab12",
        "XLTAI5tQ7xKp2VmZs9RwGd3Hc",
        "LTAI5tAbCdEfGhIjKlMnOpQr",
        "mount -o password_file=/etc/secret",
    ] {
        assert_eq!(shown(text), [], "{text}");
    }
}

#[test]
fn cloud_config_is_read_as_what_it_is() {
    let text = "#cloud-config\npassword: Hunter22\nchpasswd:\n  expire: false\n  list:\n   - root:Hunter23\n   - web:RANDOM\n\
        users:\n - name: op\n   plain_text_passwd: Hunter24\n - name: db\n   hashed_passwd: $6$salt$0123456789abcdef\n";
    let found = shown(text);
    let lines: Vec<u32> = found.iter().map(|(line, ..)| *line).collect();
    for line in [2, 6, 10, 12] {
        assert!(lines.contains(&line), "line {line}: {found:?}");
    }
    assert!(!lines.contains(&7), "{found:?}");
    assert!(!found.iter().any(|(_, _, shown)| shown.contains("Hunter")), "{found:?}");
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_fail_and_no_password_is_shown(before in "[ -~\n]{0,60}", after in "[ -~\n]{0,60}") {
        for line in ["echo root:Zx9Hunter22Qy | chpasswd", "password: Zx9Hunter22Qy", "DB_PASSWORD='Zx9Hunter22Qy'"] {
            let text = format!("{before}\n{line}\n{after}");
            for secret in secrets(text.as_bytes()) {
                proptest::prop_assert!(!secret.shown.contains("Hunter22"), "{}", secret.shown);
            }
        }
    }

    #[test]
    fn nor_do_bytes(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
        let _ = secrets(&bytes);
    }
}
