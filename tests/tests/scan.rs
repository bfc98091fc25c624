//! The main job, as its users run it: a scan on booted hosts, with and without something wrong.

#![cfg(test)]

use hostward_tests::host::Host;
use hostward_tests::imds::{Behaviour, Imds};
use hostward_tests::results;
use hostward_tests::suite::Suite;
use serde_json::Value;

/// A password that everybody tries, in one network only; a short key; a cache for the world; normal mode of the metadata service.
const OPEN: &str = "
    useradd -m -s /bin/bash deploy
    echo 'deploy:Aliyun@123' | chpasswd
    printf 'PasswordAuthentication no\\nKbdInteractiveAuthentication no\\nMatch Address 10.0.0.0/8\\n  PasswordAuthentication yes\\n' >/etc/ssh/sshd_config.d/10-office.conf
    install -d -m 700 /root/.ssh
    ssh-keygen -q -t rsa -b 1024 -N '' -f /root/short
    install -m 600 /root/short.pub /root/.ssh/authorized_keys
    printf '[Socket]\\nListenStream=0.0.0.0:6379\\nAccept=yes\\n' >/etc/systemd/system/cache.socket
    printf '[Service]\\nExecStart=/bin/true\\n' >/etc/systemd/system/cache@.service
    systemctl daemon-reload; systemctl start cache.socket; systemctl reload-or-restart ssh.service";

/// With proxies set that nobody is: who used one would not reach the metadata service.
const SCAN: &str = "cd /; export http_proxy=http://127.0.0.1:9 https_proxy=http://127.0.0.1:9 HTTP_PROXY=http://127.0.0.1:9 \
    ALL_PROXY=socks5://127.0.0.1:9 no_proxy=; hostward scan --metadata-endpoint http://100.100.100.200 --password-budget 10s";

/// Counts every packet of a connection or a question to anybody but the metadata service, loopback included, whoever sends it
/// as root.
const WATCH: &str = "
    nft add table inet watch
    nft add chain inet watch out '{ type filter hook output priority 0; }'
    nft add rule inet watch out ip daddr 100.100.100.200 accept
    nft add rule inet watch out tcp flags syn / syn,ack counter comment '\"connections\"'
    nft add rule inet watch out meta skuid 0 meta l4proto udp counter comment '\"questions\"'";

fn findings<'a>(report: &'a Value, check: &str) -> Vec<&'a Value> {
    let checks = report["checks"].as_array().unwrap();
    let check = checks.iter().find(|one| one["id"] == check).unwrap_or_else(|| panic!("{check} did not run"));
    check["findings"].as_array().unwrap().iter().collect()
}

#[test]
fn a_booted_host_with_open_doors_is_told_so() {
    for name in ["bookworm", "noble"] {
        let Ok(suite) = Suite::find(name) else {
            results::skipped("scan", name, "no root file system");
            continue;
        };
        let host = Host::of(&suite).bind(&hostward_tests::binary().unwrap(), "/usr/local/bin/hostward").boot().unwrap();
        let imds = Imds::start(host.vpc(), Behaviour::Open).unwrap();
        host.shell(OPEN).unwrap();
        host.shell(WATCH).unwrap();
        let text = host.shell(&format!("{SCAN} || echo \"exit $?\"")).unwrap();
        assert!(text.len() < 12_000, "{} bytes", text.len());
        assert!(text.trim_end().ends_with("exit 1") && text.contains("\nFAIL: "), "{text}");
        assert!(!text.contains("Aliyun@123") && !text.contains("$y$"), "a secret is printed: {text}");

        assert_eq!(host.shell("stat -c '%a %U' /var/lib/hostward/report.json").unwrap(), "600 root\n");
        let report: Value = serde_json::from_str(&host.shell("cat /var/lib/hostward/report.json").unwrap()).unwrap();
        assert_eq!(report["schema"], "hostward.report/1");
        assert_eq!(report["host"]["instance"]["id"], "i-bp1test0000000000001");
        for (check, subject) in [
            ("sshd.password-login", "account:deploy"),
            ("accounts.weak-password", "account:deploy"),
            ("ports.exposed", "tcp/0.0.0.0:6379"),
            ("keys.weak", "SHA256:"),
            ("metadata.hardened", ""),
        ] {
            let found = findings(&report, check);
            let told = found.iter().any(|finding| finding["subject"].as_str().unwrap().contains(subject));
            assert!(told, "{name}: {check} does not name {subject:?}: {found:?}\n{text}");
        }
        let opened = findings(&report, "sshd.password-login");
        let lines: Vec<String> = opened.iter().map(|finding| finding["evidence"].to_string()).collect();
        assert!(
            lines.iter().any(|lines| lines.contains("10-office.conf") && lines.contains("\"line\":4")),
            "{lines:?}"
        );
        let disagree = findings(&report, "sshd.running");
        assert!(!disagree.iter().any(|f| f["message_id"] == "disagrees"), "sshd says otherwise: {disagree:?}");

        let tokenless = imds
            .requests()
            .iter()
            .filter(|r| r.method == "GET" && !r.headers.contains_key("x-aliyun-ecs-metadata-token"))
            .count();
        assert_eq!(tokenless, 1, "the tokenless probe is made once a scan");
        let watched = host.shell("nft list table inet watch").unwrap();
        assert_eq!(
            watched.matches("counter packets 0 bytes 0").count(),
            2,
            "something else was connected to: {watched}"
        );
        host.shell("bash -c 'echo >/dev/tcp/127.0.0.1/9' 2>/dev/null || true").unwrap();
        let watched = host.shell("nft list table inet watch").unwrap();
        assert_eq!(watched.matches("counter packets 0 bytes 0").count(), 1, "the watch sees nothing: {watched}");
        // What was tried is remembered: who has such a password is found again, and nothing more is tried or written down.
        let memory = "stat -c '%a %U %i %y' /var/lib/hostward/tried.json; cat /var/lib/hostward/tried.json";
        let before = host.shell(memory).unwrap();
        assert!(
            before.starts_with("600 root ") && !before.contains("Aliyun") && !before.contains("deploy"),
            "{before}"
        );
        let again = host.shell(&format!("{SCAN} --only accounts.weak-password --format json || true")).unwrap();
        let again: Value = serde_json::from_str(&again).unwrap();
        assert_eq!(findings(&again, "accounts.weak-password").len(), 1);
        assert_eq!(host.shell(memory).unwrap(), before);
        let summary = host.shell(&format!("{SCAN} --format json-summary --exit-zero --lang zh")).unwrap();
        assert!(summary.len() <= 8192 && summary.lines().count() == 1, "{summary}");
        results::tested(
            "scan",
            name,
            format!("{} checks on a booted host", report["checks"].as_array().unwrap().len()),
        );
    }
}
