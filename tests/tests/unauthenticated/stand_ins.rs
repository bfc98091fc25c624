//! Stand-ins: services that no archive at hand has, played by a script that says recorded words.

use std::path::Path;

use hostward_tests::suite::Suite;

use super::{Case, host, run_all};

/// Says its answers to whoever comes, each once it was asked, and hangs up.
const SCRIPT: &str = r#"use IO::Socket::INET;
my ($port, $file) = @ARGV;
open my $words, '<:raw', $file or die $!;
my $answer = do { local $/; <$words> };
my $door = IO::Socket::INET->new(LocalAddr => '0.0.0.0', LocalPort => $port, Listen => 9, ReuseAddr => 1) or die $!;
while (my $guest = $door->accept) {
    for my $say (split /<then>/, $answer, -1) { sysread $guest, my $heard, 4096; syswrite $guest, $say if length $say }
    close $guest;
}
"#;

/// The service, the program that it is told by, its port, its words, and what a scan says of it.
type StandIn = (&'static str, &'static str, u16, &'static str, &'static str);

const STAND_INS: &[StandIn] = &[
    (
        "Elasticsearch, open",
        "perl",
        9200,
        r#"200 OK\r\n\r\n{"name":"n","cluster_name":"elasticsearch","version":{"number":"7.17.9"},"tagline":"You Know, for Search"}"#,
        "critical open",
    ),
    (
        "OpenSearch, open",
        "perl",
        9200,
        r#"200 OK\r\n\r\n{"name":"n","cluster_name":"opensearch","version":{"distribution":"opensearch","number":"2.11.0"}}"#,
        "critical open",
    ),
    (
        "Elasticsearch, with users",
        "perl",
        9200,
        r#"401 Unauthorized\r\nWWW-Authenticate: Basic realm="security"\r\n\r\n{"status":401}"#,
        "pass",
    ),
    (
        "CouchDB, open",
        "perl",
        5984,
        r#"200 OK\r\nServer: CouchDB/2.3.1 (Erlang OTP/19)\r\n\r\n["_users"]"#,
        "critical open",
    ),
    (
        "CouchDB, with users",
        "perl",
        5984,
        r#"401 Unauthorized\r\nServer: CouchDB/3.3.2 (Erlang OTP/24)\r\n\r\n{"error":"unauthorized"}"#,
        "pass",
    ),
    (
        "Kubernetes API, open",
        "kube-apiserver",
        8080,
        r#"200 OK\r\nAudit-Id: 1\r\nContent-Type: application/json\r\n\r\n{"kind":"NamespaceList","items":[]}"#,
        "critical open",
    ),
    (
        "Kubernetes API, with users",
        "kube-apiserver",
        8080,
        r#"403 Forbidden\r\nAudit-Id: 1\r\nContent-Type: application/json\r\n\r\n{"kind":"Status","code":403}"#,
        "pass",
    ),
    (
        "kubelet, open",
        "kubelet",
        10255,
        r#"200 OK\r\nContent-Type: application/json\r\n\r\n{"kind":"PodList","items":[]}"#,
        "critical open",
    ),
    ("kubelet, with users", "kubelet", 10255, r"401 Unauthorized\r\n\r\nUnauthorized", "pass"),
    (
        "Jenkins, open",
        "java",
        8080,
        r#"200 OK\r\nX-Jenkins: 2.440\r\n\r\n{"_class":"hudson.model.Hudson","mode":"NORMAL"}"#,
        "critical open",
    ),
    ("Jenkins, with users", "java", 8080, r"403 Forbidden\r\nX-Jenkins: 2.440\r\n\r\n", "pass"),
    ("another at its port", "java", 8080, r"404 Not Found\r\nServer: Apache Tomcat\r\n\r\n", "not_applicable"),
    ("YARN, open", "java", 8088, r#"200 OK\r\n\r\n{"clusterInfo":{"id":1,"hadoopVersion":"3.3.6"}}"#, "critical open"),
    ("YARN, with users", "java", 8088, r"401 Authentication required\r\n\r\n", "pass"),
    ("HDFS, open", "java", 9870, r#"200 OK\r\n\r\n{"FileStatus":{"type":"DIRECTORY"}}"#, "critical open"),
    ("HDFS, with users", "java", 9870, r#"403 Forbidden\r\n\r\n{"RemoteException":{}}"#, "pass"),
    (
        "Kafka, open",
        "java",
        9092,
        r"\0000\0000\0000\0020host\0000\0000\0000\0000\0000\0001\0000\0003\0000\0000\0000\0014<then>\0000\0000\0000\0024hosx\0000\0000\0000\0000\0000\0000\0000\0001\0000\0000\0000\0000\0000\0001h\0000",
        "critical open",
    ),
    (
        "Kafka, with SASL",
        "java",
        9092,
        r"\0000\0000\0000\0020host\0000\0000\0000\0000\0000\0001\0000\0003\0000\0000\0000\0014<then>",
        "pass",
    ),
    (
        "ActiveMQ's console, admin:admin",
        "java",
        8161,
        r"200 OK\r\nContent-Type: text/html\r\n\r\n<html><head><title>localhost : ActiveMQ Console</title>",
        "critical login",
    ),
    ("ActiveMQ's console, another password", "java", 8161, r"401 Unauthorized\r\n\r\n", "pass"),
];

#[test]
fn stand_ins_are_told_right() {
    let host = host(&Suite::find("bookworm").unwrap(), &[] as &[&Path]);
    let programs = "for name in java kubelet kube-apiserver; do cp /usr/bin/perl /usr/local/bin/$name; done";
    host.shell(&format!("cat >/root/stand-in.pl <<'END'\n{SCRIPT}END\n{programs}")).unwrap();
    let start = |(_, program, port, words, _): &StandIn| {
        let head = if words.starts_with('\\') { "" } else { "HTTP/1.1 " };
        format!("printf '%b' '{head}{words}' >/root/words; run {program} /root/stand-in.pl {port} /root/words")
    };
    let starts: Vec<String> = STAND_INS.iter().map(start).collect();
    let wants: Vec<[&str; 1]> = STAND_INS.iter().map(|stand_in| [stand_in.4]).collect();
    let each = STAND_INS.iter().zip(&starts).zip(&wants);
    let cases: Vec<Case<'_>> = each.map(|((of, start), want)| (of.0, start.as_str(), of.2, want.as_slice())).collect();
    run_all(
        &host,
        "stand-ins: Elasticsearch, OpenSearch, CouchDB, Kubernetes, Jenkins, Hadoop, Kafka, ActiveMQ's console",
        &cases,
        &[],
    );
}
