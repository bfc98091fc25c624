//! The servers whose packages are big: databases, queues, container and cluster interfaces.

use hostward_tests::host::Host;
use hostward_tests::results;

use super::{A_DAY_LATER, Case, FORGET, RUN, TEST, run_all, scanned};

/// What is run on a host.
type Run = fn(&Host);

/// The suites whose archives have them, and what is run on each.
pub(super) const SUITES: [(&str, Run); 5] =
    [("bookworm", run), ("focal", mongodb), ("bullseye", consul), ("jammy", mysql), ("trixie", valkey)];

/// What a server holds or counts of what changes it, by the beginning of the cases' names: the same before and after a scan. The logs
/// of PostgreSQL and MariaDB have every statement.
const WITNESSES: &[(&str, &str)] = &[
    (
        "postgresql",
        "log=/var/log/postgresql/postgresql-15-main.log
         grep -q 'statement: ' $log || su postgres -c 'psql -qAtc \"SELECT 1\"' >/dev/null; grep -c 'statement: ' $log",
    ),
    ("mariadb, root", "grep -cE 'Query|Execute|Init DB|Field List' /var/lib/mysql/general.log"),
    ("slapd", "slapcat 2>/dev/null | md5sum; slapcat -n 0 2>/dev/null | md5sum"),
    (
        "zookeeper, as",
        "until exec 3<>/dev/tcp/127.0.0.1/2181; printf srvr >&3; grep -E 'Zxid|Node count' <&3; do sleep 0.2; done",
    ),
    (
        "influxdb, open",
        "curl -s http://127.0.0.1:8086/debug/vars | grep -oE '\"writeReq\":[0-9]+'; curl -s 'http://127.0.0.1:8086/query?q=SHOW+DATABASES'",
    ),
    ("rabbitmq", "for what in users queues exchanges permissions vhosts; do rabbitmqctl -q list_$what | sort; done"),
    ("librdkafka", "kcat -L -b 127.0.0.1:9092 | grep -E 'topics:|topic '"),
    // No message or destination has come to its store.
    ("activemq", "md5sum /var/lib/activemq/main/data/kahadb/db-*.log"),
    (
        "docker",
        "for what in 'containers/json?all=1' images/json volumes networks; do curl -s http://127.0.0.1:2375/$what ||
         curl -sk --cert /root/c.pem --key /root/k.pem https://127.0.0.1:2376/$what; done",
    ),
];

const ETCD: &str =
    "rm -rf /root/e; run etcd --data-dir /root/e --advertise-client-urls http://127.0.0.1:2379 --listen-client-urls";

const CASES: &[Case<'static>] = &[
    (
        "postgresql, as installed",
        "echo log_statement=all >/etc/postgresql/15/main/conf.d/log.conf; systemctl start postgresql@15-main",
        5432,
        &["pass"],
    ),
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
        "printf '#!/bin/sh\\n' >/etc/mysql/debian-start; printf '[mysqld]\\nbind-address=0.0.0.0\\ngeneral_log=1\\ngeneral_log_file=/var/lib/mysql/general.log\\n' >/etc/mysql/mariadb.conf.d/99-t.cnf; systemctl start mariadb
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
        "systemctl start slapd; until ldapwhoami -Q -Y EXTERNAL -H ldapi:/// >&2; do sleep 0.2; done; printf 'dn: olcDatabase={1}mdb,cn=config\\nchangetype: modify\\nreplace: olcAccess\\nolcAccess: to * by users read by * none\\n' |
         ldapmodify -Q -Y EXTERNAL -H ldapi:///; systemctl stop slapd; systemctl start slapd",
        389,
        &["pass"],
    ),
    (
        "slapd, nobody without a login",
        "systemctl start slapd; until ldapwhoami -Q -Y EXTERNAL -H ldapi:/// >&2; do sleep 0.2; done; printf 'dn: cn=config\\nchangetype: modify\\nreplace: olcRequires\\nolcRequires: authc\\n' |
         ldapmodify -Q -Y EXTERNAL -H ldapi:///; systemctl stop slapd; systemctl start slapd",
        389,
        &["pass"],
    ),
    ("zookeeper, as installed", "systemctl start zookeeper", 2181, &["medium tells"]),
    // It answers `srvr` whatever the list of its commands says: its own scripts need it.
    (
        "zookeeper, one command alone",
        "echo 4lw.commands.whitelist=ruok >>/etc/zookeeper/conf/zoo.cfg; systemctl start zookeeper",
        2181,
        &["medium tells"],
    ),
    (
        "zookeeper, on loopback",
        "echo clientPortAddress=127.0.0.1 >>/etc/zookeeper/conf/zoo.cfg; systemctl start zookeeper",
        2181,
        &["low tells"],
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
    // Debian's has OpenWire and STOMP; its web console is left out, and so a stand-in here.
    (
        "activemq, as installed",
        "ln -s /etc/activemq/instances-available/main /etc/activemq/instances-enabled/; systemctl start activemq",
        61616,
        &["medium local"],
    ),
    (
        "activemq, OpenWire and STOMP for all",
        "sed -i 's#<transportConnector name=\"openwire\".*#<transportConnector name=\"openwire\" uri=\"tcp://0.0.0.0:61616\"/>\\n<transportConnector name=\"stomp\" uri=\"stomp://0.0.0.0:61613\"/>#' /etc/activemq/instances-available/main/activemq.xml
         systemctl start activemq",
        61613,
        &["critical open", "critical open"],
    ),
    (
        "activemq, with users",
        "sed -i 's#<persistenceAdapter>#<plugins><simpleAuthenticationPlugin><users><authenticationUser username=\"a\" password=\"b\" groups=\"c\"/></users></simpleAuthenticationPlugin></plugins>&#' /etc/activemq/instances-available/main/activemq.xml
         systemctl start activemq",
        61613,
        &["pass"],
    ),
    // Of others, by Kafka's protocol: it opens a port of the kernel's choice, and knows no login.
    (
        "librdkafka's mock cluster",
        "range=/proc/sys/net/ipv4/ip_local_port_range; was=$(cat $range); echo 9091 9092 >$range
         run kcat -C -t x -b localhost -X test.mock.num.brokers=1
         n=0; until [ -n \"$(ss -tlnH 'sport = :9092')\" ] || [ $n -ge 100 ]; do n=$((n + 1)); sleep 0.1; done; echo $was >$range",
        9092,
        &["medium local"],
    ),
];

/// Of others, by CouchDB's protocol: it lists its databases to whoever comes, an administrator or none. Run where npm has it.
const POUCHDB: &[Case<'static>] = &[
    (
        "pouchdb-server, open",
        "run --working-directory=/root/pouch node /opt/node_modules/.bin/pouchdb-server --in-memory --host 0.0.0.0",
        5984,
        &["critical open"],
    ),
    (
        "pouchdb-server, with an administrator",
        "echo '{\"admins\":{\"a\":\"b\"}}' >/root/pouch/config.json
         run --working-directory=/root/pouch node /opt/node_modules/.bin/pouchdb-server --in-memory --host 0.0.0.0",
        5984,
        &["critical open"],
    ),
    (
        "pouchdb-server, on loopback",
        "run --working-directory=/root/pouch node /opt/node_modules/.bin/pouchdb-server --in-memory",
        5984,
        &["medium local"],
    ),
];

fn run(host: &Host) {
    host.shell("mkdir -p /root/prom").unwrap();
    let (etcd_open, etcd_tls) =
        (format!("{ETCD} http://0.0.0.0:2379"), format!("{ETCD} https://0.0.0.0:2379 --auto-tls"));
    etcd(host, &etcd_open, &etcd_tls);
    run_all(host, "big services", CASES, WITNESSES);
    if host.shell("mkdir -p /root/pouch; test -e /opt/node_modules/.bin/pouchdb-server").is_err() {
        return results::skipped(TEST, "pouchdb-server", "there was no npm when its layer was made");
    }
    let databases = "curl -s http://127.0.0.1:5984/_all_dbs";
    run_all(host, "pouchdb-server, no CouchDB", POUCHDB, &[("pouchdb", databases)]);
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

/// MongoDB's operations that change something, and its databases.
const MONGO: &str =
    "mongo --quiet $login --eval 'var c = db.serverStatus().opcounters; print(c.insert, c.update, c.delete)
     print(db.adminCommand({listDatabases: 1, nameOnly: true}).databases.map(function(d) { return d.name }))' admin";

fn mongodb(host: &Host) {
    let user = "mongo --quiet --eval 'db.createUser({user: \"a\", pwd: \"b\", roles: [\"root\"]})' admin";
    let locked = format!(
        "run mongod --dbpath /root/m --bind_ip 0.0.0.0; until {user}; do sleep 0.2; done >&2
         systemctl stop case; run mongod --dbpath /root/m --bind_ip 0.0.0.0 --auth; until mongo --eval 1 >&2; do sleep 0.2; done"
    );
    let cases: &[Case<'_>] = &[
        (
            "mongodb, open",
            "mkdir -p /root/m; run mongod --dbpath /root/m --bind_ip 0.0.0.0; until mongo --eval 1 >&2; do sleep 0.2; done",
            27017,
            &["critical open"],
        ),
        (
            "mongodb, on loopback",
            "run mongod --dbpath /root/m; until mongo --eval 1 >&2; do sleep 0.2; done",
            27017,
            &["medium local"],
        ),
        ("mongodb, with users", &locked, 27017, &["pass"]),
    ];
    let with_login = format!("login='-u a -p b --authenticationDatabase admin'; {MONGO}");
    run_all(host, "mongodb", cases, &[("mongodb, with users", &with_login), ("mongodb", MONGO)]);
}

fn consul(host: &Host) {
    const RUNS: &str = "run consul agent -dev -client 0.0.0.0 -bind 127.0.0.1 -log-level err";
    const READY: &str = "until curl -s http://127.0.0.1:8500/v1/status/leader | grep -q 8300; do sleep 0.2; done";
    let open = format!("{RUNS}; {READY}");
    let locked = format!(
        "echo '{{\"acl\": {{\"enabled\": true, \"default_policy\": \"deny\", \"tokens\": {{\"master\": \"6f9f4ac4-ac5d-4a3f-9e11-2c6bb8f0c2b1\"}}}}}}' >/root/acl.json
         {RUNS} -config-file=/root/acl.json; {READY}; sleep 3"
    );
    let cases: &[Case<'_>] = &[
        ("consul, open", &open, 8500, &["critical open"]),
        ("consul, with lists of rights", &locked, 8500, &["pass"]),
    ];
    let keys = "curl -si -H 'X-Consul-Token: 6f9f4ac4-ac5d-4a3f-9e11-2c6bb8f0c2b1' 'http://127.0.0.1:8500/v1/kv/?recurse' | grep -iE '^HTTP|x-consul-index|Key'";
    run_all(host, "consul", cases, &[("consul", keys)]);
}

fn mysql(host: &Host) {
    let cases: &[Case<'_>] = &[
        (
            "mysql, root without a password",
            "printf '#!/bin/sh\\n' >/etc/mysql/debian-start; printf '[mysqld]\\nbind-address=0.0.0.0\\nmysqlx-bind-address=127.0.0.1\\ngeneral_log=1\\ngeneral_log_file=/var/lib/mysql/general.log\\n' >/etc/mysql/mysql.conf.d/zz.cnf; systemctl start mysql
             mysql -e \"CREATE USER root@'%' IDENTIFIED BY ''\"; systemctl stop mysql; systemctl start mysql",
            3306,
            &["critical login"],
        ),
        (
            "mysql, root with a password",
            "systemctl start mysql; mysql -e \"ALTER USER root@'%' IDENTIFIED BY 'x'\"; systemctl stop mysql; systemctl start mysql",
            3306,
            &["pass"],
        ),
    ];
    let statements = "grep -cE 'Query|Execute|Init DB|Field List' /var/lib/mysql/general.log";
    run_all(host, "mysql", cases, &[("mysql", statements)]);
}

fn valkey(host: &Host) {
    let cases: &[Case<'_>] = &[
        ("valkey, open", "run valkey-server --bind 0.0.0.0 --protected-mode no", 6379, &["critical open"]),
        ("valkey, protected mode", "run valkey-server --bind 0.0.0.0", 6379, &["pass"]),
        ("valkey, with a password", "run valkey-server --bind 0.0.0.0 --requirepass x", 6379, &["pass"]),
    ];
    let holds = "valkey-cli -a x --no-auth-warning INFO persistence | grep rdb_changes; valkey-cli -a x --no-auth-warning DBSIZE";
    run_all(host, "valkey", cases, &[("valkey", holds)]);
}
