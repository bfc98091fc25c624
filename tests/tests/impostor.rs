//! A user who calls a program of their own sshd gains nothing: root runs it for no question.

#![cfg(test)]

use hostward_tests::host::Host;
use hostward_tests::results;
use hostward_tests::suite::Suite;

/// A process of the user's that is called sshd, listens, and names another program of theirs as its own; one more names sshd, and a
/// log file that only root can write.
const IMPOSTOR: &str = r#"
    useradd -m -s /bin/bash eve
    install -d /home/eve/bin /home/eve/own
    cp /bin/bash /home/eve/own/sshd
    printf '#!/bin/sh\nid -u >>/home/eve/ran\n' >/home/eve/bin/sshd; chmod 755 /home/eve/bin/sshd
    echo 'NoSuchKeyword root' >/home/eve/config
    touch /home/eve/ran; chown -R eve /home/eve; chmod 777 /home/eve/ran
    systemd-run -q --unit=one -p User=eve systemd-socket-activate -l 127.0.0.1:2201 \
      bash -c 'exec -a /home/eve/bin/sshd /home/eve/own/sshd < <(sleep infinity)'
    systemd-run -q --unit=two -p User=eve systemd-socket-activate -l 127.0.0.1:2202 \
      bash -c 'exec -a "sshd: /usr/sbin/sshd -E /root/written -f /home/eve/config [listener] 0 of 10-100 startups" /home/eve/own/sshd < <(sleep infinity)'
    for port in 2201 2202; do
      for i in $(seq 100); do bash -c "exec 3<>/dev/tcp/127.0.0.1/$port" 2>/dev/null && break; sleep 0.1; done
    done
    for i in $(seq 100); do [ "$(ss -Hltnp 'sport >= 2201 and sport <= 2202' | grep -c '"sshd"')" = 2 ] && exit 0; sleep 0.1; done; exit 1"#;

#[test]
fn root_runs_nothing_of_a_users() {
    let suite = Suite::find("bookworm").unwrap();
    let host = Host::of(&suite).bind(&hostward_tests::binary().unwrap(), "/usr/local/bin/hostward").boot().unwrap();
    host.shell(IMPOSTOR).unwrap();
    let commands = [
        "hostward scan --password-budget 0 --cross-check all --exit-zero",
        "hostward fix --password-budget 0 || true",
        "hostward access || true",
        "hostward doctor || true",
    ];
    for command in commands {
        let said = host.shell(command).unwrap();
        let traces = host.shell("cat /home/eve/ran; cat /root/written 2>/dev/null || true").unwrap();
        assert_eq!(traces, "", "{command}: {said}");
    }
    results::tested("impostor", "bookworm", format!("{} commands run nothing of a user's", commands.len()));
}
