//! Tests of what nft writes.
use super::*;
use crate::observation::firewall::{Firewall, Network, Reach};
use crate::observation::socket::Protocol;

fn judged(json: &[u8]) -> Firewall {
    let (read, defects) = read(json);
    assert_eq!(defects, []);
    assert_eq!(read.extensions, []);
    read.rules.judge("nftables")
}

#[test]
fn a_rule_set_of_every_kind_is_judged_port_by_port() {
    let firewall = judged(include_bytes!("ruleset.json"));
    assert!(firewall.filters_input);
    // Above every port that is named, this one accepts: `tcp dport != 0-30000 accept`.
    assert_eq!(firewall.default_accepts, Some(true));
    use Protocol::{Tcp, Udp};
    let cases = [
        (Tcp, 80, Some(true)),
        (Tcp, 443, Some(true)),
        (Tcp, 1000, Some(true)),
        (Tcp, 1100, Some(true)),
        (Tcp, 1101, Some(false)),
        (Tcp, 22, None),
        (Tcp, 8000, Some(true)),
        (Tcp, 8011, Some(false)),
        (Tcp, 9090, Some(true)),
        (Tcp, 53, Some(true)),
        (Udp, 53, Some(true)),
        (Udp, 80, Some(false)),
        (Udp, 123, Some(true)),
        (Udp, 161, Some(false)),
        (Tcp, 123, Some(false)),
        (Tcp, 30000, Some(false)),
        (Tcp, 30001, Some(true)),
        (Tcp, 65535, Some(true)),
        (Udp, 65535, Some(false)),
        // Nothing marks it.
        (Tcp, 700, Some(false)),
    ];
    for (protocol, port, expected) in cases {
        assert_eq!(firewall.accepts(protocol, port), expected, "{protocol:?} {port}");
    }
    let network = Network {
        arrivals: vec!["eth0".to_owned()],
        addresses: vec![("eth0".to_owned(), "192.0.2.1".parse().unwrap())],
        ..Network::default()
    };
    let rules = read(include_bytes!("ruleset.json")).0.rules;
    let firewall = rules.judge_on("nftables", &network, &[(Protocol::Tcp, "0.0.0.0".parse().unwrap(), 22)]);
    // For named sources alone.
    assert_eq!(firewall.listeners[0].reach, Reach::Closed);
    let published: Vec<_> = firewall.published.iter().map(|p| (p.port, p.to.as_str(), &p.reach)).collect();
    // 8081 is let in for what was translated; 443 is another address's.
    assert_eq!(published, [(81, ":8081", &Reach::Open), (8080, "172.17.0.2:80", &Reach::Open)]);
}

#[test]
fn no_rules_let_everything_in_and_broken_json_nothing_said() {
    let firewall = judged(br#"{"nftables":[{"metainfo":{"json_schema_version":1}}]}"#);
    assert_eq!((firewall.filters_input, firewall.default_accepts), (false, Some(true)));
    assert_eq!(firewall.accepts(Protocol::Tcp, 22), Some(true));
    for broken in [&b""[..], b"{}", b"[1]", b"{\"nftables\":3}", b"nft: command"] {
        assert_eq!(read(broken).1.len(), 1, "{}", String::from_utf8_lossy(broken));
    }
}

#[test]
fn who_may_ask_the_metadata_service_is_told_user_by_user() {
    use crate::observation::firewall::MetadataUsers::{Everybody, Only, Unknown};
    let to = |right: &str| {
        format!(r#"{{"match":{{"op":"==","left":{{"payload":{{"protocol":"ip","field":"daddr"}}}},"right":{right}}}}}"#)
    };
    let by = |op: &str, right: &str| {
        format!(r#"{{"match":{{"op":"{op}","left":{{"meta":{{"key":"skuid"}}}},"right":{right}}}}}"#)
    };
    let service = to(r#""100.100.100.200""#);
    let net = to(r#"{"set":[{"prefix":{"addr":"100.100.0.0","len":16}},"10.0.0.1"]}"#);
    let other = to(r#"{"prefix":{"addr":"100.100.101.0","len":24}}"#);
    let rule = |parts: &[&str]| format!("[{}]", parts.join(","));
    let (accept, drop) = (r#"{"accept":null}"#, r#"{"reject":{"type":"icmp"}}"#);
    let elsewhere = r#"{"match":{"op":"==","left":{"meta":{"key":"oifname"}},"right":"lo"}}"#;
    let port = |number: u16| {
        format!(
            r#"{{"match":{{"op":"==","left":{{"payload":{{"protocol":"tcp","field":"dport"}}}},"right":{number}}}}}"#
        )
    };
    let group = r#"{"match":{"op":"==","left":{"meta":{"key":"skgid"}},"right":33}}"#;
    let cases = [
        (vec![rule(&[&service, &by("!=", "0"), drop])], Only(vec![0])),
        (
            vec![rule(&[&net, &by("==", r#"{"set":[0,{"range":[33,34]}]}"#), accept]), rule(&[&net, drop])],
            Only(vec![0, 33, 34]),
        ),
        (vec![rule(&[&service, &by(">=", "3"), drop])], Only(vec![0, 1, 2])),
        (vec![rule(&[&service, &by(">", "0"), drop])], Only(vec![0])),
        // One user less is everybody else still.
        (vec![rule(&[&service, &by("==", "33"), drop])], Everybody),
        (vec![rule(&[&service, drop])], Only(vec![])),
        (
            vec![rule(&[&other, &by("!=", "0"), drop]), rule(&[elsewhere, drop]), rule(&[&service, &port(443), drop])],
            Everybody,
        ),
        (vec![rule(&[&service, group, accept]), rule(&[&service, drop])], Unknown),
        (vec![rule(&[&service, &by("==", r#""www-data""#), drop])], Unknown),
    ];
    for (rules, expected) in cases {
        let chain =
            r#"{"chain":{"family":"inet","table":"t","name":"o","type":"filter","hook":"output","policy":"accept"}}"#;
        let rules = rules
            .iter()
            .map(|expr| format!(r#",{{"rule":{{"family":"inet","table":"t","chain":"o","expr":{expr}}}}}"#));
        let json = format!(r#"{{"nftables":[{chain}{}]}}"#, rules.collect::<String>());
        assert_eq!(judged(json.as_bytes()).metadata, expected, "{json}");
    }
}

#[test]
fn what_is_not_understood_leaves_the_answer_open() {
    let with = |expr: &str| {
        let chain =
            r#"{"chain":{"family":"inet","table":"t","name":"i","type":"filter","hook":"input","policy":"accept"}}"#;
        judged(
            format!(r#"{{"nftables":[{chain},{{"rule":{{"family":"inet","table":"t","chain":"i","expr":{expr}}}}}]}}"#)
                .as_bytes(),
        )
    };
    for expr in [
        r#"[{"future":{}},{"drop":null}]"#,
        r#"[{"match":{"op":"==","left":{"socket":{"key":"mark"}},"right":1}},{"drop":null}]"#,
        r#"[{"vmap":{"key":{"meta":{"key":"cpu"}},"data":{"set":[[1,{"drop":null}]]}}}]"#,
        r#"[{"jump":{"target":"missing"}}]"#,
        r#"[{"match":{"op":"==","left":{"payload":{"protocol":"tcp","field":"dport"}},"right":"@missing"}},{"drop":null}]"#,
        r#"[{"queue":{"num":0}}]"#,
    ] {
        assert_eq!(with(expr).accepts(Protocol::Tcp, 22), None, "{expr}");
    }
    assert_eq!(with(r#"[{"drop":null}]"#).accepts(Protocol::Tcp, 22), Some(false));
    // A chain that calls itself ends.
    assert_eq!(with(r#"[{"jump":{"target":"i"}}]"#).accepts(Protocol::Tcp, 22), None);
}

#[test]
fn a_hundred_thousand_elements_are_looked_up_one_by_one() {
    let prefix = |n: u32| {
        let [_, a, b, c] = (n * 16).to_be_bytes();
        format!(r#"{{"prefix":{{"addr":"11.{a}.{b}.{c}","len":29}}}}"#)
    };
    let elements = (0..100_000).map(prefix).collect::<Vec<_>>().join(",");
    let json = format!(
        r#"{{"nftables":[
        {{"set":{{"family":"inet","table":"t","name":"big","type":"ipv4_addr","flags":["interval"],"elem":[{elements}]}}}},
        {{"chain":{{"family":"inet","table":"t","name":"i","type":"filter","hook":"input","prio":0,"policy":"accept"}}}},
        {{"rule":{{"family":"inet","table":"t","chain":"i","handle":4,"expr":[
            {{"match":{{"op":"==","left":{{"payload":{{"protocol":"ip","field":"saddr"}}}},"right":"@big"}}}},{{"drop":null}}]}}}}]}}"#
    );
    let (read, defects) = read(json.as_bytes());
    assert_eq!(defects, []);
    let to = "192.0.2.1".parse().unwrap();
    let reach = |from: &str| read.rules.reach(&Network::default(), Protocol::Tcp, from.parse().unwrap(), to, 22);
    for (from, expected) in [
        ("11.0.0.7", Reach::Closed),
        ("11.0.0.8", Reach::Open),
        ("11.12.53.0", Reach::Closed),
        ("11.12.53.8", Reach::Open),
        ("11.255.0.1", Reach::Open),
        ("203.0.113.1", Reach::Open),
    ] {
        assert_eq!(reach(from), expected, "{from}");
    }
}

#[test]
fn what_tests_mean_is_what_the_kernel_does() {
    let with = |hook: &str, priority: i32, expr: &str| {
        let json = format!(
            r#"{{"nftables":[{{"chain":{{"family":"inet","table":"t","name":"i","type":"filter","hook":"{hook}","prio":{priority},"policy":"accept"}}}},
            {{"rule":{{"family":"inet","table":"t","chain":"i","handle":9,"expr":[{expr},{{"drop":null}}]}}}}]}}"#
        );
        let rules = read(json.as_bytes()).0.rules;
        rules.reach(
            &Network::default(),
            Protocol::Tcp,
            "203.0.113.1".parse().unwrap(),
            "192.0.2.1".parse().unwrap(),
            22,
        )
    };
    let test =
        |left: &str, op: &str, right: &str| format!(r#"{{"match":{{"op":"{op}","left":{left},"right":{right}}}}}"#);
    let state = r#"{"ct":{"key":"state"}}"#;
    // Before connection tracking has seen it, every packet is invalid to rules.
    assert_eq!(with("prerouting", -300, &test(state, "in", r#""invalid""#)), Reach::Closed);
    assert_eq!(with("prerouting", -150, &test(state, "in", r#""invalid""#)), Reach::Open);
    assert_eq!(with("prerouting", -300, &test(state, "in", r#""new""#)), Reach::Open);
    let route = r#"{"fib":{"result":"oif","flags":["saddr","iif"]}}"#;
    assert_eq!(with("prerouting", -300, &test(route, "==", "false")), Reach::Open);
    assert_eq!(with("prerouting", -300, &test(route, "==", "true")), Reach::Closed);
    let flags = r#"{"payload":{"protocol":"tcp","field":"flags"}}"#;
    assert_eq!(with("input", 0, &test(flags, "in", r#""syn""#)), Reach::Closed);
    assert_eq!(with("input", 0, &test(flags, "in", r#"["ack","fin"]"#)), Reach::Open);
    assert_eq!(with("input", 0, &test(flags, "==", r#""syn""#)), Reach::Closed);
    assert_eq!(with("input", 0, &test(flags, "!=", r#""syn""#)), Reach::Open);
    let some = r#"{"&":[{"payload":{"protocol":"tcp","field":"flags"}},["fin","syn","rst","ack"]]}"#;
    assert_eq!(with("input", 0, &test(some, "==", r#""syn""#)), Reach::Closed);
    assert_eq!(with("input", 0, &test(some, "!=", r#""syn""#)), Reach::Open);
    assert_eq!(with("input", 0, &test(some, "in", r#"["ecn","cwr"]"#)), Reach::Open);
    // The packets after it have other flags, and no connection lets them pass.
    let untracked = format!(r#"{{"notrack":null}},{}"#, test(flags, "in", r#""syn""#));
    let doubt = "inet t i 9: the flags of packets that are not tracked".to_owned();
    assert_eq!(with("prerouting", -300, &untracked), Reach::Unknown(doubt));
    let mark = r#"{"&":[{"meta":{"key":"mark"}},16]}"#;
    assert_eq!(with("input", 0, &test(mark, "==", "16")), Reach::Open);
    let set = r#"{"mangle":{"key":{"meta":{"key":"mark"}},"value":{"|":[{"meta":{"key":"mark"}},16]}}}"#;
    assert_eq!(with("input", 0, &format!("{set},{}", test(mark, "==", "16"))), Reach::Closed);
    let port = r#"{"payload":{"protocol":"udp","field":"dport"}}"#;
    assert_eq!(with("input", 0, &test(port, "!=", "53")), Reach::Open, "no test of UDP holds for TCP");
    let socket = r#"{"socket":{"key":"transparent"}}"#;
    assert_eq!(with("input", 0, &test(socket, "==", "1")), Reach::Unknown("inet t i 9: socket transparent".to_owned()));
    let ours = format!("{},{}", test(socket, "==", "1"), test(port, "==", "53"));
    assert_eq!(with("input", 0, &ours), Reach::Open, "whatever it means, the rule is not for this packet");
}
