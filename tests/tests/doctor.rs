//! `hostward doctor` on booted hosts: it says what the host's own programs say, gives nothing away, and answers wherever it is run.

#![cfg(test)]

use std::process::Output;

use hostward_tests::host::{Host, INSTANCE, METADATA};
use hostward_tests::imds::{Behaviour, Imds};
use hostward_tests::resident::START;
use hostward_tests::results;
use hostward_tests::suite::Suite;
use hostward_tests::tier::Tier;
use serde_json::Value;

/// Names that occur nowhere else, wherever an administrator may give one.
const SECRETS: &str = "
    useradd -m -c 'Zqgecos Person' -s /bin/bash zqaccount
    install -d -m 700 -o zqaccount /home/zqaccount/.ssh
    ssh-keygen -q -t ed25519 -N '' -C zqcomment -f /root/zqkey </dev/null
    cp /root/zqkey.pub /home/zqaccount/.ssh/authorized_keys
    mkdir -p /etc/hostward /opt/zqprogram
    printf 'platform = \"ecs\"\\n' >/etc/hostward/hostward.toml
    printf '[accounts]\\n' >/etc/hostward/policy.toml
    cp /usr/sbin/sshd /opt/zqprogram/sshd
    printf 'Port 2222\\nPidFile /run/zq.pid\\n' >/etc/zqconfig
    mkdir -p /run/sshd
    printf '[Service]\\nExecStart=/opt/zqprogram/sshd -D -f /etc/zqconfig\\n' >/etc/systemd/system/zqunit.service
    systemctl daemon-reload; systemctl start zqunit
    for i in $(seq 100); do (exec 3<>/dev/tcp/127.0.0.1/2222) 2>/dev/null && break; sleep 0.1; done";

struct Doctor {
    code: Option<i32>,
    text: String,
    json: Value,
}

impl Doctor {
    /// Runs it in the host in both forms; `before` is put before its command line.
    fn run(host: &Host, before: &str) -> Self {
        let run = |more: &str| -> Output {
            host.command("bash")
                .args(["-c", &format!("{before} /usr/local/bin/hostward doctor {more}")])
                .output()
                .unwrap()
        };
        let (text, json) = (run(""), run("--json"));
        let (code, text) = (text.status.code(), String::from_utf8(text.stdout).unwrap());
        let json = serde_json::from_slice(&json.stdout).unwrap_or_else(|error| panic!("{before}: {error}\n{text}"));
        Self { code, text, json }
    }

    fn items(&self, id: &str) -> Vec<(String, String)> {
        let items = self.json["items"].as_array().unwrap().iter().filter(|item| item["id"] == id);
        let of = |item: &Value, key: &str| item[key].as_str().unwrap().to_owned();
        items.map(|item| (of(item, "state"), of(item, "found"))).collect()
    }

    /// The state of the thing, and what is said of it.
    fn item(&self, id: &str) -> (String, String) {
        self.items(id).into_iter().next().unwrap_or_else(|| panic!("no {id}: {}", self.text))
    }

    fn state(&self, id: &str) -> String {
        self.item(id).0
    }

    /// Says the same in both forms, one line a thing and one at the end.
    fn whole(&self) {
        let items = self.json["items"].as_array().unwrap();
        assert_eq!(self.text.lines().count(), items.len() + 1, "{}", self.text);
        assert_eq!(self.text.lines().last().unwrap(), self.json["summary"].as_str().unwrap());
        let codes = [("full", 0), ("less", 0), ("undecided", 2), ("cannot", 3)];
        let wanted = codes.iter().find(|(verdict, _)| self.json["verdict"] == *verdict).map(|(_, code)| *code);
        assert_eq!(self.code, wanted, "{}", self.text);
    }
}

/// What a program of the host prints first, on either output.
fn says(host: &Host, command: &str) -> String {
    host.shell(&format!("({command}) 2>&1 | head -1")).unwrap().trim().to_owned()
}

/// Every figure is the host's own.
fn agrees(host: &Host, doctor: &Doctor) {
    let number = |command: &str| host.shell(command).unwrap().trim().to_owned();
    assert_eq!(doctor.item("kernel").1, format!("Linux {}", number("uname -rm")));
    assert_eq!(doctor.item("os").1, number(". /etc/os-release; echo $ID $VERSION_ID"));
    let (state, systemd) = doctor.item("systemd");
    let own = says(host, "systemctl --version").trim_start_matches("systemd ").to_owned();
    let older = own.split(' ').next().unwrap().parse::<u32>().unwrap() < 238;
    let units = if older { "the units of systemd-219 serve" } else { "the usual units serve" };
    assert!(state == "there" && systemd.starts_with(&own) && systemd.ends_with(units), "{systemd}, not {own}");
    let inotify = doctor.item("inotify").1;
    assert!(inotify.starts_with(&(number("sysctl -n fs.inotify.max_user_watches") + " watches")), "{inotify}");
    // Older ones know no -V and say it on the way to refusing it; the binary of Ubuntu 18.04 tells the same.
    let version = host.shell("ssh -V 2>&1").unwrap();
    let version = version.trim().split(',').next().unwrap();
    for (state, sshd) in doctor.items("sshd") {
        assert!(state == "there" && sshd.starts_with(version), "{sshd}, not {version}");
        let asked =
            |name: &str| sshd.contains(&format!("{name} answers")) && !sshd.contains(&format!("{name} answers once"));
        for (name, question) in [("-t", "-t"), ("-T", "-T"), ("-G", "-G")] {
            let own = host.command("/usr/sbin/sshd").arg(question).output().unwrap().status.success();
            assert_eq!(asked(name), own, "{name}: {sshd}");
        }
        let include = "echo 'Include /nonexistent/*' >/root/zqinclude; /usr/sbin/sshd -t -f /root/zqinclude && echo yes || echo no";
        assert_eq!(sshd.contains("knows Include"), number(include) == "yes", "{sshd}");
    }
    let by_socket =
        host.command("systemctl").args(["-q", "is-active", "ssh.socket"]).output().unwrap().status.success();
    let first = doctor.item("sshd").1;
    let wanted = if by_socket { "ssh.socket" } else { "runs in ssh.service;" };
    assert!(doctor.items("sshd").iter().any(|(_, sshd)| sshd.contains(wanted)), "{wanted}: {first}");
    let has = |program: &str| host.command("test").args(["-x", program]).output().unwrap().status.success();
    for (id, program) in
        [("visudo", "/usr/sbin/visudo"), ("nft", "/usr/sbin/nft"), ("ssh-keygen", "/usr/bin/ssh-keygen")]
    {
        assert_eq!(doctor.state(id) == "there", has(program), "{id}: {}", doctor.text);
    }
    if doctor.state("nft") == "there" {
        assert_eq!(doctor.item("nft").1, says(host, "nft --version"));
    }
}

/// Nothing of what only this host has is in the answer.
fn gives_nothing_away(host: &Host, doctor: &Doctor) {
    let key = host.shell("ssh-keygen -lf /root/zqkey.pub | cut -d' ' -f2").unwrap();
    let machine = host.shell("cat /etc/machine-id").unwrap();
    let secrets = [host.name(), INSTANCE, METADATA, "127.0.0.1", "i-bp1", "zq", "Zq", key.trim(), machine.trim()];
    let zh = host.shell("hostward doctor --lang zh || true").unwrap();
    for said in [&doctor.text, &doctor.json.to_string(), &zh] {
        for secret in secrets {
            assert!(!said.contains(secret), "{secret} is in\n{said}");
        }
    }
}

/// Wherever it is run it answers.
fn answers_everywhere(host: &Host) {
    let own = |script: &str| format!("unshare --mount sh -c '{script}; exec \"$@\"' sh");
    let doctor = Doctor::run(host, "runuser -u nobody --");
    doctor.whole();
    assert_eq!((doctor.code, doctor.state("rights")), (Some(2), "unseen".to_owned()));
    let doctor = Doctor::run(host, &own("umount -R /sys || umount -l /sys"));
    doctor.whole();
    assert_eq!(
        (doctor.state("cgroup"), doctor.state("proc")),
        ("missing".to_owned(), "there".to_owned()),
        "{}",
        doctor.text
    );
    let doctor = Doctor::run(host, &own("umount -l /proc"));
    doctor.whole();
    assert_eq!((doctor.code, doctor.state("proc")), (Some(3), "fatal".to_owned()));
    let chroot = "mkdir -p /root/zqroot/usr/local/bin; cp /usr/local/bin/hostward /root/zqroot/usr/local/bin/";
    let doctor = Doctor::run(host, &own(&format!("{chroot}; set -- chroot /root/zqroot \"$@\"")));
    doctor.whole();
    assert_eq!(
        (doctor.code, doctor.state("sshd"), doctor.state("systemd")),
        (Some(3), "missing".to_owned(), "missing".to_owned())
    );
    host.shell(
        "systemctl stop zqunit; rm -r /opt/zqprogram /etc/systemd/system/zqunit.service; systemctl daemon-reload",
    )
    .unwrap();
    let doctor = Doctor::run(host, &own("mount -t tmpfs none /var/lib; mount -o remount,ro /var/lib"));
    doctor.whole();
    assert_eq!(doctor.state("state"), "missing", "{}", doctor.text);
    host.shell("echo 'zqwrong = 1' >>/etc/hostward/policy.toml").unwrap();
    let doctor = Doctor::run(host, "");
    doctor.whole();
    assert_eq!((doctor.code, doctor.state("configuration")), (Some(3), "fatal".to_owned()));
    assert!(!doctor.text.contains("zq"), "{}", doctor.text);
    host.shell("rm /etc/hostward/policy.toml").unwrap();
    host.shell("systemctl stop ssh.socket 2>/dev/null || true; systemctl stop ssh.service; mv /usr/sbin/sshd /root/")
        .unwrap();
    let doctor = Doctor::run(host, "");
    doctor.whole();
    assert_eq!((doctor.code, doctor.state("sshd")), (Some(0), "missing".to_owned()), "{}", doctor.text);
}

#[test]
fn it_says_what_is_there_and_nothing_that_is_a_secret() {
    let names: &[&str] =
        Tier::current().pick(&["bookworm"], &["bookworm", "bullseye", "trixie", "bionic", "focal", "jammy", "noble"]);
    for suite in names.iter().filter_map(|name| Suite::find(name).ok()) {
        let host = Host::of(&suite).bind(&hostward_tests::binary().unwrap(), "/usr/local/bin/hostward").boot().unwrap();
        let imds = Imds::start(host.vpc(), Behaviour::Open).unwrap();
        host.shell(SECRETS).unwrap();
        host.sshd_answers().unwrap();
        let before = Doctor::run(&host, "");
        before.whole();
        assert_eq!(before.state("hostward.service"), "missing", "{}", before.text);
        // A question without a token would count as an access in normal mode.
        let asked: Vec<String> = imds.requests().into_iter().map(|request| request.method).collect();
        assert_eq!(asked, ["PUT", "PUT"], "once for each form");
        host.shell(START).unwrap();
        let doctor = Doctor::run(&host, "");
        doctor.whole();
        assert_eq!(doctor.items("sshd").len(), 2, "{}", doctor.text);
        for id in [
            "hostward.service",
            "tracepoint",
            "journal",
            "metadata",
            "ecs",
            "configuration",
            "state",
            "proc",
            "sock_diag",
        ] {
            assert_eq!(doctor.state(id), "there", "{id}: {}", doctor.text);
        }
        agrees(&host, &doctor);
        gives_nothing_away(&host, &doctor);
        drop(imds);
        host.shell("systemctl stop hostward").unwrap();
        answers_everywhere(&host);
        results::tested("doctor", suite.name(), doctor.json["summary"].as_str().unwrap());
    }
}
