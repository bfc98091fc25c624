//! Tests of the probes: each answer that the real programs give, cut anywhere, and bytes of any kind.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// The probe that is used at a port.
fn probe(service: &str, port: u16) -> &'static Probe {
    PROBES.iter().find(|probe| probe.service == service && probe.fits(Tcp, port, true, false)).unwrap()
}

fn say<'a>(bytes: &'a [u8], turn: u8, ended: bool) -> Heard<'a> {
    Heard { bytes, turn, ended, context: Context::default() }
}

/// What an answer that came whole means; cut short anywhere it never means that the door is open or closed another way.
fn meaning(service: &str, port: u16, turn: u8, bytes: &[u8]) -> String {
    let probe = probe(service, port);
    let word = |step: &Step| match step {
        Step::More => "more".to_owned(),
        Step::Say(_) => "say".to_owned(),
        Step::Done(Answer::Open(version)) => format!("open {}", version.as_deref().unwrap_or("")).trim_end().to_owned(),
        Step::Done(Answer::Tells(version)) => format!("tells {}", version.as_deref().unwrap_or("")),
        Step::Done(Answer::Closed) => "closed".to_owned(),
        Step::Done(Answer::Other) => "other".to_owned(),
        Step::Done(Answer::Unclear(_)) => "unclear".to_owned(),
    };
    let whole = word(&probe.hear(&say(bytes, turn, true)));
    for cut in 0..bytes.len() {
        let part = word(&probe.hear(&say(&bytes[..cut], turn, false)));
        assert!(part == "more" || part == whole, "{service} cut at {cut}: {part}, whole {whole}");
    }
    whole
}

fn http(head: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

#[test]
fn text_protocols_are_understood() {
    let info = b"$44\r\n# Server\r\nredis_version:7.0.15\r\nredis_git:0\r\n\r\n";
    for (service, port, bytes, want) in [
        ("Redis", 6379, &info[..], "open 7.0.15"),
        ("Redis", 6379, b"-NOAUTH Authentication required.\r\n", "closed"),
        ("Redis", 6379, b"-DENIED Redis is running in protected mode\r\n", "closed"),
        ("Redis", 6379, b"-NOPERM this user has no permissions to run the 'info' command\r\n", "closed"),
        ("Redis", 6379, b"-ERR operation not permitted\r\n", "closed"),
        ("Redis", 6379, b"-LOADING Redis is loading the dataset in memory\r\n", "unclear"),
        ("Redis", 6379, b"HTTP/1.1 400 Bad Request\r\n\r\n", "unclear"),
        ("Redis", 6379, b"\x15\x03\x01\0\x02\x02\x46", "unclear"),
        ("Redis", 6379, b"", "unclear"),
        ("Memcached", 11211, b"\x81\x0a\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", "open"),
        ("Memcached", 11211, b"\x81\x0a\0\0\0\0\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", "closed"),
        ("Memcached", 11211, b"ERROR\r\nERROR\r\nVERSION 1.6.18\r\n", "open 1.6.18"),
        ("Memcached", 11211, b"CLIENT_ERROR unauthenticated\r\n", "closed"),
        ("Memcached", 11211, b"ERROR Too many open connections\r\n", "unclear"),
        ("rsync", 873, b"@RSYNCD: 31.0 sha512\n@RSYNCD: OK\n", "open 31.0"),
        ("rsync", 873, b"@RSYNCD: 31.0\nWelcome\n\n@RSYNCD: AUTHREQD x\n", "closed"),
        ("rsync", 873, b"@RSYNCD: 31.0\n@ERROR: access denied to a from b (c)\n", "closed"),
        ("rsync", 873, b"@RSYNCD: 31.0\n@ERROR: Unknown module 'x'\n", "unclear"),
        ("rsync", 873, b"@RSYNCD: 31.0\nmodule \tcomment\n@RSYNCD: EXIT\n", "unclear"),
        ("rsync", 873, b"@RSYNCD: 31.0\n@RSYNCD: EXIT\n", "closed"),
        ("rsync", 873, b"SSH-2.0-OpenSSH\r\n", "unclear"),
        ("ZooKeeper", 2181, b"Zookeeper version: 3.8.0-1, built on 2022\nLatency\n", "tells 3.8.0-1"),
        ("ZooKeeper", 2181, b"srvr is not executed because it is not in the whitelist.\n", "unclear"),
        ("ActiveMQ", 61613, b"CONNECTED\nversion:1.2\n\n\0", "open"),
        ("ActiveMQ", 61613, b"ERROR\nmessage:x\n\n\0", "closed"),
        ("ActiveMQ", 61613, b"SSH-2.0-OpenSSH\r\n", "unclear"),
    ] {
        assert_eq!(meaning(service, port, 0, bytes), want, "{service} {}", bytes.escape_ascii());
    }
}

/// Each answer means what stands beside it.
fn mean(answers: &[(&str, u16, Vec<u8>, &str)]) {
    for (service, port, bytes, want) in answers {
        assert_eq!(meaning(service, *port, 0, bytes), *want, "{service} {}", bytes.escape_ascii());
    }
}

#[test]
fn services_over_http_are_understood() {
    mean(&[
        ("InfluxDB", 8086, http("200 OK\r\nX-Influxdb-Version: 1.6.7", "{}"), "open 1.6.7"),
        ("InfluxDB", 8086, http("401 Unauthorized\r\nX-Influxdb-Version: 1.6.7", "{}"), "closed"),
        ("Docker API", 2375, http("200 OK", r#"{"Version":"20.10.24","ApiVersion":"1.41"}"#), "open 20.10.24"),
        ("Docker API", 2375, http("403 Forbidden", "{}"), "closed"),
        ("etcd", 2379, http("200 OK", r#"{"header":{"revision":"1"}}"#), "open"),
        ("etcd", 2379, http("400 Bad Request", r#"{"error":"etcdserver: user name is empty","code":3}"#), "closed"),
        ("etcd", 2379, http("400 Bad Request", "Client sent an HTTP request to an HTTPS server."), "unclear"),
        ("etcd", 2379, http("404 Not Found", "404 page not found"), "unclear"),
        ("RabbitMQ", 15672, http("200 OK", r#"{"name":"guest","tags":["administrator"]}"#), "open"),
        ("RabbitMQ", 15672, http("401 Unauthorized", r#"{"error":"not_authorized"}"#), "closed"),
        ("ActiveMQ", 8161, http("200 OK", "<html><title>localhost : ActiveMQ Console</title>"), "open"),
        ("ActiveMQ", 8161, http("200 OK", "<html><title>Something</title>"), "unclear"),
        ("Consul", 8500, http("404 Not Found\r\nX-Consul-Index: 1", ""), "open"),
        ("Consul", 8500, http("403 Forbidden", "Permission denied"), "closed"),
        ("Consul", 8500, http("404 Not Found", ""), "unclear"),
        ("Prometheus", 9090, http("200 OK\r\nContent-Type: text/plain; version=0.0.4", "# HELP"), "open"),
        ("node_exporter", 9100, http("401 Unauthorized", ""), "closed"),
        ("node_exporter", 9100, http("302 Found\r\nLocation: /login", ""), "unclear"),
        ("node_exporter", 9100, b"SSH-2.0-OpenSSH_9.2p1\r\n".to_vec(), "unclear"),
    ]);
}

/// No archive has them: words as their documentation gives them, a stand-in. PouchDB Server's are its own.
#[test]
fn stand_ins_recorded_words_of_services_that_could_not_be_had_are_understood() {
    mean(&[
        ("Elasticsearch", 9200, http("200 OK", r#"{"cluster_name":"a","version":{"number":"7.10.2"}}"#), "open 7.10.2"),
        ("Elasticsearch", 9200, http("200 OK", "<html>"), "unclear"),
        ("Elasticsearch", 9200, http("401 Unauthorized", "{}"), "closed"),
        ("CouchDB", 5984, http("200 OK\r\nServer: CouchDB/3.2.2 (Erlang OTP/25)", "[]"), "open 3.2.2"),
        ("CouchDB", 5984, http("401 Unauthorized\r\nServer: CouchDB/3.2.2", ""), "closed"),
        ("CouchDB", 5984, http("200 OK\r\nX-Powered-By: Express", r#"["_replicator","_users"]"#), "open"),
        ("CouchDB", 5984, http("200 OK", r#"[{"a":1}]"#), "unclear"),
        ("CouchDB", 5984, http("200 OK", "{}"), "unclear"),
        ("Kubernetes API", 6443, http("200 OK\r\nAudit-Id: x\r\nContent-Type: application/json", "{"), "open"),
        ("Kubernetes API", 6443, http("403 Forbidden\r\nAudit-Id: x", "{}"), "closed"),
        ("kubelet", 10250, http("200 OK\r\nContent-Type: application/json", "{"), "open"),
        ("kubelet", 10250, http("401 Unauthorized", "Unauthorized"), "closed"),
        ("Jenkins", 8080, http("200 OK\r\nX-Jenkins: 2.440", "{}"), "open 2.440"),
        ("Jenkins", 8080, http("403 Forbidden\r\nX-Jenkins: 2.440", ""), "closed"),
        ("Jenkins", 8080, http("404 Not Found\r\nServer: Apache Tomcat", ""), "other"),
        ("Hadoop", 8088, http("200 OK", r#"{"clusterInfo":{"hadoopVersion":"3.3.6"}}"#), "open 3.3.6"),
        ("Hadoop", 9870, http("200 OK", r#"{"FileStatus":{}}"#), "open"),
        ("Hadoop", 9870, http("401 Authentication required", ""), "closed"),
    ]);
}

/// A packet of MySQL.
fn packet(number: u8, body: &[u8]) -> Vec<u8> {
    [&[u8::try_from(body.len()).unwrap(), 0, 0, number], body].concat()
}

#[test]
fn binary_protocols_are_understood() {
    let hello = packet(
        0,
        b"\x0a8.0.36\0\x08\0\0\0abcdefgh\0\xff\xf7\x2d\x02\0\xff\xc1\x15\0\0\0\0\0\0\0\0\0\0abcdefghijkl\0x\0",
    );
    let denied = packet(2, b"\xff\x15\x04#28000Access denied for user 'root'@'localhost'");
    let kafka = |version: u8, rest: &[u8]| {
        let body = [&[b'h', b'o', b's', b't' + version][..], rest].concat();
        [&u32::try_from(body.len()).unwrap().to_be_bytes()[..], &body].concat()
    };
    let speaks = |oldest: u8, latest: u8| kafka(0, &[0, 0, 0, 0, 0, 2, 0, 18, 0, 0, 0, 3, 0, 3, 0, oldest, 0, latest]);
    let mongo = |document: &[u8]| {
        let length = u32::try_from(document.len() + 26).unwrap();
        let header = [length, 9, 1, 2013, 0].map(u32::to_le_bytes);
        let inner = u32::try_from(document.len() + 5).unwrap().to_le_bytes();
        [header.as_flattened(), &[0], &inner, document, &[0]].concat()
    };
    let entry =
        b"\x30\x2f\x02\x01\x01\x64\x2a\x04\0\x30\x26\x30\x24\x04\x0enamingContexts\x31\x12\x04\x10dc=example,dc=or";
    let done = |number: u8, code: u8| [0x30, 0x0c, 2, 1, number, 0x65, 7, 0x0a, 1, code, 4, 0, 4, 0];
    // ActiveMQ 5.17 first says who it is and which broker; then it refuses.
    let openwire = |refusal: &[u8]| {
        let hello = b"\x01ActiveMQ\0\0\0\x0c\x01\0\0\0\x1c\0\0\0\x01\0\x0fProviderVersion\x09\0\x065.17.2";
        let frame = |body: &[u8]| [&u32::try_from(body.len()).unwrap().to_be_bytes(), body].concat();
        let class = u16::try_from(refusal.len()).unwrap().to_be_bytes();
        let refused = [b"\x1f\0\0\0\0\0\0\0\0\0\x01\x01", &class[..], refusal, b"\x01\0\x02no"].concat();
        [frame(hello), frame(b"\x02\0\0\0\0\0"), frame(&refused)].concat()
    };
    for (service, port, turn, bytes, want) in [
        ("ActiveMQ", 61616, 0, openwire(b"javax.jms.InvalidClientIDException"), "open 5.17.2"),
        ("ActiveMQ", 61616, 0, openwire(b"java.lang.SecurityException"), "closed"),
        ("ActiveMQ", 61616, 0, openwire(b"java.lang.NullPointerException"), "unclear"),
        ("ActiveMQ", 61616, 0, openwire(b""), "unclear"),
        ("ActiveMQ", 61616, 0, b"\0\0\0\x0a\x1e\0\0\0\0\0\0\0\0\x01".to_vec(), "unclear"),
        ("ActiveMQ", 61616, 0, b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), "unclear"),
        ("PostgreSQL", 5432, 0, b"R\0\0\0\x08\0\0\0\0S\0\0\0".to_vec(), "open"),
        ("PostgreSQL", 5432, 0, b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0".to_vec(), "closed"),
        ("PostgreSQL", 5432, 0, b"E\0\0\0\x17SFATAL\0C28000\0Mno\0\0".to_vec(), "closed"),
        ("PostgreSQL", 5432, 0, b"E\0\0\0\x17SFATAL\0C57P03\0Mno\0\0".to_vec(), "unclear"),
        ("PostgreSQL", 5432, 0, b"HTTP/1.1 400".to_vec(), "unclear"),
        ("MySQL", 3306, 0, hello, "unclear"),
        ("MySQL", 3306, 1, packet(2, b"\0\0\0\x02\0\0\0"), "open"),
        ("MySQL", 3306, 1, denied, "closed"),
        ("MySQL", 3306, 0, packet(0, b"\xff\x6a\x04Host 'a' is not allowed to connect"), "closed"),
        ("MySQL", 3306, 0, packet(0, b"\xff\x69\x04Host 'a' is blocked"), "unclear"),
        ("MySQL", 3306, 2, packet(4, b"\x01\x04"), "closed"),
        ("MySQL", 3306, 0, b"HTTP/1.1 400 Bad Request".to_vec(), "unclear"),
        ("Kafka", 9092, 0, speaks(5, 13), "unclear"),
        ("Kafka", 9092, 0, kafka(0, &[0, 35, 0, 0, 0, 0]), "unclear"),
        ("Kafka", 9092, 0, kafka(0, &[0, 0, 0, 0, 0, 1, 0, 18, 0, 0, 0, 3]), "unclear"),
        // Old ones hang up on a version that they do not know, and those with TLS on who does not speak it.
        ("Kafka", 9092, 0, Vec::new(), "unclear"),
        ("Kafka", 9092, 1, kafka(4, &[0, 0, 0, 0, 0, 0, 0, 1, 0]), "open"),
        ("Kafka", 9092, 1, kafka(1, &[0, 0, 0, 1, 0]), "open"),
        ("Kafka", 9092, 1, kafka(1, &[0, 0, 0, 0, 0]), "unclear"),
        ("Kafka", 9092, 1, Vec::new(), "closed"),
        ("MongoDB", 27017, 0, mongo(b"\x01ok\0\0\0\0\0\0\0\xf0\x3f"), "open"),
        (
            "MongoDB",
            27017,
            0,
            mongo(b"\x01ok\0\0\0\0\0\0\0\0\0\x02errmsg\0\x02\0\0\0a\0\x10code\0\x0d\0\0\0"),
            "closed",
        ),
        ("MongoDB", 27017, 0, mongo(b"\x01ok\0\0\0\0\0\0\0\0\0\x10code\0\x3b\0\0\0"), "unclear"),
        ("LDAP", 389, 1, [&entry[..], &done(2, 0)].concat(), "open"),
        ("LDAP", 389, 1, done(2, 32).to_vec(), "closed"),
        ("LDAP", 389, 0, done(1, 48).to_vec(), "closed"),
        ("LDAP", 389, 0, done(1, 52).to_vec(), "unclear"),
    ] {
        assert_eq!(meaning(service, port, turn, &bytes), want, "{service} {}", bytes.escape_ascii());
    }
    for (latest, version, topics) in [(12, 4, &b"\0\0\0\0\0"[..]), (2, 2, b"\0\0\0\0")] {
        let asked = probe("Kafka", 9092).hear(&say(&speaks(0, latest), 0, false));
        let Step::Say(asked) = asked else { panic!("{asked:?}") };
        assert!(
            asked[4..8] == [0, 3, 0, version] && asked.ends_with(&[b"\0\x08hostward", topics].concat()),
            "{asked:?}"
        );
    }
    let asked = probe("LDAP", 389).hear(&say(&[&entry[..], &done(1, 0)].concat(), 0, false));
    assert!(matches!(&asked, Step::Say(next) if next.windows(16).any(|part| part == b"dc=example,dc=or")), "{asked:?}");
    let again = probe("MySQL", 3306).hear(&say(&packet(2, b"\xfecaching_sha2_password\0salt"), 1, false));
    assert_eq!(again, Step::Say(vec![1, 0, 0, 3, 0]));
    let again = probe("MySQL", 3306).hear(&say(&packet(2, b"\xfemysql_native_password\0salt"), 1, false));
    assert_eq!(again, Step::Say(vec![0, 0, 0, 3]));
    let heard = Heard { bytes: b"\0\x01\0\0\0\x01\0\0VERSION 1.6.18\r\n", ..say(b"", 0, false) };
    let udp = PROBES.iter().find(|probe| probe.protocol == Udp).unwrap();
    assert_eq!(udp.hear(&heard), Step::Done(Answer::Open(Some("1.6.18".into()))));
}

#[test]
fn a_module_is_chosen_that_shows_whether_a_password_is_asked_for() {
    for (conf, want) in [
        ("[a]\npath=/a\nauth users = x\n[b]\npath=/b\n", Some("b")),
        ("auth users = x\n[a]\n[b c]\nAuth  Users=\n", Some("b c")),
        ("[a]\nauth users = x\n", Some("a")),
        ("[a]\nearly exec = /bin/true\n[b]\npre-xfer exec=/x\n", None),
        ("# [c]\nuid = nobody\n", None),
        ("[\u{1}]\n[#list]\n", None),
        ("", None),
    ] {
        let want = want.map(|name| name.as_bytes().to_vec());
        assert_eq!(module_to_ask(conf.as_bytes()), want, "{conf}");
    }
}

#[test]
fn the_table_is_sound() {
    let mut seen = BTreeSet::new();
    for probe in PROBES {
        for port in probe.ports.iter().chain(probe.tls) {
            assert!(seen.insert((probe.protocol, *port)) || *port == 8080, "{} twice", port);
        }
        assert!(probe.first(&Context::default()).len() < 512 && !probe.service.is_empty());
    }
}

proptest! {
    #[test]
    fn any_bytes_end_the_exchange(bytes in proptest::collection::vec(any::<u8>(), 0..600), turn in 0_u8..4) {
        for probe in PROBES {
            let ended = probe.hear(&say(&bytes, turn, true));
            prop_assert!(matches!(ended, Step::Done(_)), "{}: {ended:?}", probe.service);
            if turn >= TURNS {
                prop_assert!(!matches!(probe.hear(&say(&bytes, turn, false)), Step::Say(_)));
            }
        }
        let _ = module_to_ask(&bytes);
    }
}
