//! The servers whose packages are big: databases, queues, container and cluster interfaces.

use hostward_tests::host::Host;
use hostward_tests::results;

use super::{A_DAY_LATER, Case, FORGET, RUN, TEST, run_all, scanned};

const ETCD: &str =
    "rm -rf /root/e; run etcd --data-dir /root/e --advertise-client-urls http://127.0.0.1:2379 --listen-client-urls";

const CASES: &[Case] = &[
    ("postgresql, as installed", "systemctl start postgresql@15-main", 5432, &["pass"]),
    (
        "postgresql, for all with a password",
        "echo \"listen_addresses='*'\" >/etc/postgresql/15/main/conf.d/t.conf
         echo 'host all all 0.0.0.0/0 scram-sha-256' >>/etc/postgresql/15/main/pg_hba.conf; systemctl start postgresql@15-main",
        5432,
        &["pass"],
    ),
    (
        "postgresql, trusting all",
        "sed -i 's/^host .*0.0.0.0.*/host all all 0.0.0.0\\/0 trust/' /etc/postgresql/15/main/pg_hba.conf; systemctl start postgresql@15-main",
        5432,
        &["critical open"],
    ),
    (
        "postgresql, for loopback alone",
        "sed -i '/0.0.0.0/d' /etc/postgresql/15/main/pg_hba.conf; systemctl start postgresql@15-main",
        5432,
        &["pass"],
    ),
    ("mariadb, as installed", "systemctl start mariadb", 3306, &["pass"]),
    (
        "mariadb, root without a password",
        "printf '[mysqld]\\nbind-address=0.0.0.0\\n' >/etc/mysql/mariadb.conf.d/99-t.cnf; systemctl start mariadb
         mariadb -e \"CREATE USER root@'%' IDENTIFIED BY ''\"; systemctl stop mariadb; systemctl start mariadb",
        3306,
        &["critical login"],
    ),
    (
        "mariadb, root with a password",
        "systemctl start mariadb; mariadb -e \"SET PASSWORD FOR root@'%' = PASSWORD('x')\"; systemctl stop mariadb; systemctl start mariadb",
        3306,
        &["pass"],
    ),
    ("slapd, as installed", "systemctl start slapd", 389, &["critical open"]),
    (
        "slapd, for users alone",
        "systemctl start slapd; printf 'dn: olcDatabase={1}mdb,cn=config\\nchangetype: modify\\nreplace: olcAccess\\nolcAccess: to * by users read by * none\\n' |
         ldapmodify -Q -Y EXTERNAL -H ldapi:///; systemctl stop slapd; systemctl start slapd",
        389,
        &["pass"],
    ),
    (
        "slapd, nobody without a login",
        "systemctl start slapd; printf 'dn: cn=config\\nchangetype: modify\\nreplace: olcRequires\\nolcRequires: authc\\n' |
         ldapmodify -Q -Y EXTERNAL -H ldapi:///; systemctl stop slapd; systemctl start slapd",
        389,
        &["pass"],
    ),
    ("zookeeper, as installed", "systemctl start zookeeper", 2181, &["medium tells"]),
    (
        "zookeeper, without commands",
        "echo 4lw.commands.whitelist=ruok >>/etc/zookeeper/conf/zoo.cfg; systemctl start zookeeper",
        2181,
        &["unknown"],
    ),
    ("influxdb, open", "run influxd", 8086, &["critical open"]),
    ("influxdb, with users", "INFLUXDB_HTTP_AUTH_ENABLED=true; run -E INFLUXDB_HTTP_AUTH_ENABLED=true influxd", 8086, &["pass"]),
    ("prometheus", "run prometheus --config.file=/etc/prometheus/prometheus.yml --storage.tsdb.path=/root/prom", 9090, &["info figures"]),
    ("node_exporter", "run prometheus-node-exporter", 9100, &["info figures"]),
    ("rabbitmq, as installed", "rabbitmq-plugins --offline enable rabbitmq_management >&2; systemctl start rabbitmq-server", 15672, &["pass"]),
    (
        "rabbitmq, guest from everywhere",
        "echo 'loopback_users = none' >/etc/rabbitmq/rabbitmq.conf; systemctl start rabbitmq-server",
        15672,
        &["critical login"],
    ),
    ("docker", "run dockerd -H tcp://0.0.0.0:2375 --tls=false --bridge=none --iptables=false --storage-driver=vfs", 2375, &["critical open"]),
    (
        "docker, for holders of a certificate",
        "cd /root; openssl req -x509 -newkey rsa:2048 -nodes -keyout k.pem -out c.pem -days 2 -subj /CN=x 2>/dev/null
         run dockerd -H tcp://0.0.0.0:2376 --tlsverify --tlscacert=/root/c.pem --tlscert=/root/c.pem --tlskey=/root/k.pem --bridge=none --iptables=false --storage-driver=vfs",
        2376,
        &["pass"],
    ),
];

pub(super) fn run(host: &Host) {
    host.shell("mkdir -p /root/prom").unwrap();
    let (etcd_open, etcd_tls) =
        (format!("{ETCD} http://0.0.0.0:2379"), format!("{ETCD} https://0.0.0.0:2379 --auto-tls"));
    etcd(host, &etcd_open, &etcd_tls);
    run_all(host, "big services", CASES);
}

/// etcd: what it holds is the same before and after; users lock it; TLS is found one day and spoken the next.
fn etcd(host: &Host, open: &str, tls: &str) {
    let wait = "until etcdctl endpoint health >/dev/null 2>&1; do sleep 0.2; done";
    let revision = || host.shell("etcdctl get x -w json | sed -E 's/.*\"revision\":([0-9]+).*/\\1/'").unwrap();
    host.shell(&format!("{RUN}{open}\n{wait}; etcdctl put x y")).unwrap();
    let before = revision();
    assert_eq!(scanned(host, FORGET).0, ["critical open"]);
    assert_eq!(revision(), before, "something was written");
    host.shell("etcdctl user add root:x; etcdctl user grant-role root root; etcdctl auth enable").unwrap();
    assert_eq!(scanned(host, FORGET).0, ["pass"]);
    host.shell(&format!(
        "systemctl stop case; {RUN}{tls}\nuntil curl -sk https://127.0.0.1:2379/health; do sleep 0.2; done"
    ))
    .unwrap();
    let (found, check) = scanned(host, FORGET);
    assert_eq!(found, ["unknown"]);
    // It says nothing to who does not speak TLS.
    assert!(check["reason"].as_str().unwrap().contains("hung up"), "{check}");
    assert_eq!(scanned(host, A_DAY_LATER).0, ["critical open"]);
    host.shell("systemctl stop case").unwrap();
    results::tested(TEST, "etcd", "open, with users, with TLS: each told right, its revision unchanged");
}
