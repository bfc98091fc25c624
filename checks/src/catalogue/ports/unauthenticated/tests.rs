//! Tests of `ports.unauthenticated`: what each answer becomes, and who is asked where.

use super::super::testing::{Scene, listener};
use super::*;

fn scene(each: &[(&str, Answer)]) -> Scene {
    Scene::answering(each)
}

const REDIS: &str = "tcp 0.0.0.0 6379 /usr/bin/redis-server";

#[test]
fn what_serves_whoever_comes_is_found() {
    for (text, answer, want) in [
        (REDIS, Answer::Open(None), "critical socket:tcp/0.0.0.0:6379 open"),
        ("tcp 127.0.0.1 6379 /usr/bin/redis-server", Answer::Open(None), "medium socket:tcp/127.0.0.1:6379 local"),
        ("tcp 127.0.0.1 2375 /usr/bin/dockerd", Answer::Open(None), "high socket:tcp/127.0.0.1:2375 local"),
        ("tcp 10.0.0.5 3306 /usr/sbin/mysqld", Answer::Open(None), "critical socket:tcp/10.0.0.5:3306 login"),
        ("tcp 0.0.0.0 2181 /usr/bin/java", Answer::Tells(None), "medium socket:tcp/0.0.0.0:2181 tells"),
        ("tcp 127.0.0.1 2181 /usr/bin/java", Answer::Tells(None), "low socket:tcp/127.0.0.1:2181 tells"),
        ("tcp 0.0.0.0 9100 /usr/bin/node_exporter", Answer::Open(None), "info socket:tcp/0.0.0.0:9100 figures"),
        ("tcp 0.0.0.0 9090 /usr/bin/prometheus", Answer::Open(None), "info socket:tcp/0.0.0.0:9090 figures"),
    ] {
        assert_eq!(scene(&[(text, answer)]).findings(&CHECK), [want], "{text}");
    }
    let found = scene(&[(REDIS, Answer::Open(Some("7.0.15".into())))]).run(&CHECK);
    let Verdict::Fail(findings, _) = found else { panic!("{found:?}") };
    assert!(findings[0].evidence.iter().any(|seen| seen.text == "Redis (version 7.0.15) answered, asked 2 h ago"));
}

#[test]
fn who_asks_for_credentials_passes() {
    assert_eq!(scene(&[(REDIS, Answer::Closed)]).run(&CHECK), Verdict::Pass);
    let local = ("tcp 127.0.0.1 9100 /usr/bin/node_exporter", Answer::Open(None));
    assert_eq!(scene(&[local]).run(&CHECK), Verdict::Pass);
}

#[test]
fn what_was_not_told_is_unknown() {
    let doubts = |scene: &Scene| match scene.run(&CHECK) {
        Verdict::Unknown(doubts) => doubts.into_iter().map(|doubt| (doubt.subject, doubt.why)).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    let subject = "socket:tcp/0.0.0.0:6379".to_owned();
    let silent = scene(&[(REDIS, Answer::Unclear(Why::TimedOut))]);
    assert_eq!(doubts(&silent), [(subject.clone(), Why::Failed("timed out (asked 2 h ago)".into()))]);
    let nobody = Scene::one(REDIS);
    assert_eq!(doubts(&nobody)[0].0, subject);
    let mut other = scene(&[(REDIS, Answer::Open(None))]);
    other.seen.services = Fact::Known(Vec::new());
    assert_eq!(doubts(&other)[0].0, subject);
    let activated = scene(&[("tcp 0.0.0.0 873 /usr/lib/systemd/systemd", Answer::Open(None))]);
    assert_eq!(doubts(&activated)[0].1, Why::NotAsked("systemd listens for it, and would start it"));
    assert_eq!(doubts(&Scene::blind())[0].0, "sockets");
    let both =
        scene(&[(REDIS, Answer::Open(None)), ("tcp 0.0.0.0 11211 /usr/bin/memcached", Answer::Unclear(Why::TimedOut))]);
    assert!(matches!(both.run(&CHECK), Verdict::Fail(findings, doubts) if findings.len() == 1 && doubts.len() == 1));
}

#[test]
fn where_nothing_listens_or_nothing_is_to_be_asked_the_question_does_not_arise() {
    let none = |scene: &Scene| matches!(scene.run(&CHECK), Verdict::NotApplicable(_));
    assert!(none(&Scene::one("tcp 0.0.0.0 80 /usr/sbin/nginx")));
    assert!(none(&scene(&[("tcp 0.0.0.0 8080 /usr/bin/java", Answer::Other)])), "no Jenkins");
    let mut off = scene(&[(REDIS, Answer::Open(None))]);
    off.policy.ask_services = false;
    assert!(none(&off));
    use crate::policy::Policy;
    for (profile, asks) in [(Profile::Basic, false), (Profile::Enhanced, true)] {
        assert_eq!(Policy::builtin(profile).ask_services, asks);
    }
}

/// Whom the probes are for and where they go: `SERVICE ADDRESS:PORT`.
fn asked(listeners: &[&str]) -> Vec<String> {
    let scene = Scene::of(listeners.iter().map(|text| listener(text)).collect());
    let line = |question: &Question<'_>| {
        format!("{} {}:{}", question.probe.service, question.to.unwrap(), question.listener.port)
    };
    questions(&scene.seen).iter().map(line).collect()
}

#[test]
fn only_what_speaks_the_question_is_asked_and_once() {
    for (listeners, want) in [
        (&[REDIS][..], &["Redis 10.0.0.5:6379"][..]),
        (
            &["tcp 127.0.0.1 6379 /usr/bin/redis-server", "tcp ::1 6379 /usr/bin/redis-server"],
            &["Redis 127.0.0.1:6379"],
        ),
        (&[REDIS, "tcp 127.0.0.1 6380 /usr/bin/redis-server"], &["Redis 10.0.0.5:6379", "Redis 127.0.0.1:6380"]),
        (
            &["tcp :: 11211 /usr/bin/memcached", "udp 127.0.0.1 11211 /usr/bin/memcached"],
            &["Memcached ::1:11211", "Memcached 127.0.0.1:11211"],
        ),
        (&["tcp 127.0.0.1 7777 /usr/bin/memcached"], &["Memcached 127.0.0.1:7777"]),
        (
            &[
                "tcp 0.0.0.0 33060 /usr/sbin/mysqld",
                "tcp 0.0.0.0 2380 /usr/bin/etcd",
                "tcp 127.0.0.1 10248 /usr/bin/kubelet",
            ],
            &[],
        ),
        (
            &["tcp 0.0.0.0 5672 /usr/lib/erlang/beam.smp", "tcp 0.0.0.0 15672 /usr/lib/erlang/beam.smp"],
            &["RabbitMQ 10.0.0.5:15672"],
        ),
        (&["tcp 0.0.0.0 8080 /usr/bin/java"], &["Jenkins 10.0.0.5:8080"]),
        (&["tcp 0.0.0.0 8080 /usr/sbin/nginx", "tcp 0.0.0.0 9090 /usr/lib/systemd/systemd"], &[]),
        (&["tcp 0.0.0.0 9200 /usr/local/aegis/x"], &[]),
    ] {
        assert_eq!(asked(listeners), want, "{listeners:?}");
    }
    let foreign = Listener { namespace: Some(7), ..listener(REDIS) };
    assert!(questions(&Scene::of(vec![foreign]).seen).is_empty());
}

/// A local user may listen at any address, other hosts' too.
#[test]
fn nobody_is_asked_at_an_address_that_is_not_the_hosts_own() {
    for (text, kind) in [
        ("tcp 10.0.0.5 6379 /usr/bin/redis-server", "own"),
        ("tcp ::ffff:10.0.0.5 6379 /usr/bin/redis-server", "own"),
        ("tcp 127.9.9.9 6379 /usr/bin/redis-server", "loopback"),
        ("tcp ::ffff:127.0.0.1 6379 /usr/bin/redis-server", "loopback"),
        ("tcp ::1 6379 /usr/bin/redis-server", "loopback"),
        ("tcp 192.0.2.1 6379 /usr/bin/redis-server", "foreign"),
        ("tcp 100.100.100.200 6379 /usr/bin/redis-server", "foreign"),
        ("tcp ::ffff:192.0.2.1 6379 /usr/bin/redis-server", "foreign"),
        ("tcp 2001:db8::1 6379 /usr/bin/redis-server", "foreign"),
        ("tcp fe80::1 6379 /usr/bin/redis-server", "foreign"),
        ("udp 224.0.0.251 11211 /usr/bin/memcached", "foreign"),
        ("udp 255.255.255.255 11211 /usr/bin/memcached", "foreign"),
        ("udp ff02::1 11211 /usr/bin/memcached", "foreign"),
        ("udp 10.0.0.255 11211 /usr/bin/memcached", "foreign"),
    ] {
        let mut scene = Scene::one(text);
        assert_eq!(questions(&scene.seen)[0].to.is_ok(), kind != "foreign", "{text}");
        assert!(matches!(scene.run(&CHECK), Verdict::Unknown(_)), "{text}: nobody answered");
        // Where the host's own are not known, loopback alone is.
        scene.seen.addresses = Fact::Unknown(Why::TimedOut);
        assert_eq!(questions(&scene.seen)[0].to.is_ok(), kind == "loopback", "{text}");
    }
}
