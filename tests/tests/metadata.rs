//! The metadata client against a fake service at 100.100.100.200 in a network namespace: what it asks, what it concludes.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::net::TcpListener;
use std::process::Command;
use std::time::{Duration, Instant};

use hostward::observe::metadata::{Endpoint, metadata};
use hostward_checks::fact::{Fact, Why};
use hostward_checks::observation::metadata::Metadata;
use hostward_tests::imds::{Behaviour, Imds, Request};
use hostward_tests::machine::in_time;
use hostward_tests::netns::Netns;

/// The header of a token, as the service's documentation spells it, in lower case.
const TOKEN: &str = "x-aliyun-ecs-metadata-token";

/// A namespace in which everything is routable, only 100.100.100.200 is there, and packets to anywhere else are counted.
struct World {
    net: Netns,
    /// The other end of the cable, so that the default route leads somewhere.
    _outside: Netns,
}

impl World {
    fn new() -> Self {
        let net = Netns::new().unwrap();
        net.ip("addr add 100.100.100.200/32 dev lo").unwrap();
        let outside = Netns::new().unwrap();
        net.connect("wan", &outside, "far").unwrap();
        net.ip("addr add 172.31.0.10/24 dev wan").unwrap();
        net.ip("route add default dev wan").unwrap();
        let world = Self { net, _outside: outside };
        world.nft("add table ip watch");
        world.nft("add chain ip watch out { type filter hook output priority 0; }");
        world.nft("add rule ip watch out ip daddr != 100.100.100.200 counter comment \"elsewhere\"");
        world
    }

    fn nft(&self, rule: &str) -> String {
        let output = self.net.run(|| Command::new("nft").arg(rule).output()).unwrap().unwrap();
        assert!(output.status.success(), "nft {rule}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn serve(&self, behaviour: Behaviour) -> Imds {
        Imds::start(&self.net, behaviour).unwrap()
    }

    fn ask(&self) -> (Fact<Metadata>, Duration) {
        self.net
            .run(|| {
                let start = Instant::now();
                (metadata(Endpoint::default(), true), start.elapsed())
            })
            .unwrap()
    }

    fn nothing_went_elsewhere(&self) {
        let rules = self.nft("list ruleset");
        assert!(rules.contains("counter packets 0 bytes 0"), "{rules}");
    }
}

fn known(fact: Fact<Metadata>) -> Metadata {
    match fact {
        Fact::Known(metadata) => metadata,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_watch_sees_a_connection_to_anywhere_else() {
    let world = World::new();
    let elsewhere = "203.0.113.9:80".parse().unwrap();
    let connected =
        world.net.run(|| std::net::TcpStream::connect_timeout(&elsewhere, Duration::from_millis(50)).is_ok());
    assert!(!connected.unwrap());
    let rules = world.nft("list ruleset");
    assert!(!rules.contains("counter packets 0 bytes 0"), "{rules}");
}

/// What holds of every conversation, whoever answers.
fn manners(requests: &[Request]) {
    let tokenless: Vec<&Request> =
        requests.iter().filter(|r| r.method == "GET" && !r.headers.contains_key(TOKEN)).collect();
    assert!(tokenless.len() <= 1, "{tokenless:?}");
    for request in tokenless {
        assert_eq!(request.target, "/latest/meta-data/");
    }
    assert_eq!(requests.first().map(|r| (r.method.as_str(), r.target.as_str())), Some(("PUT", "/latest/api/token")));
    for request in requests {
        let below = request.target.split_once("security-credentials").map(|(_, rest)| rest);
        assert!(below.is_none_or(|rest| rest == "/"), "a credential was asked for: {}", request.target);
        assert!(!request.headers.contains_key("x-forwarded-for"), "{request:?}");
        assert!(!request.target.contains("://"), "{request:?}");
    }
}

#[test]
fn an_open_service_tells_everything_and_is_asked_once_without_a_token() {
    let world = World::new();
    let imds = world.serve(Behaviour::Open);
    imds.attach_role("EcsRole");
    imds.set("/latest/user-data", "#!/bin/sh\n");
    imds.set("/latest/meta-data/public-keys/", "skp-bp1\n");
    imds.set("/latest/meta-data/public-keys/skp-bp1/openssh-key", "ssh-ed25519 AAAA me\n");
    imds.set("/latest/meta-data/public-ipv4", "203.0.113.81");
    let (fact, took) = world.ask();
    let got = known(fact);
    assert_eq!((got.tokenless, got.tokenless_status, got.token_status), (Fact::Known(true), Some(200), Some(200)));
    assert_eq!(got.instance_id, Fact::Known("i-bp1test0000000000001".to_owned()));
    assert_eq!(got.region_id, Fact::Known("cn-hangzhou".to_owned()));
    assert_eq!(got.image_id, Fact::Known("aliyun_3_x64_20G_alibase_20240528.vhd".to_owned()));
    assert_eq!(got.ram_role, Fact::Known("EcsRole".to_owned()));
    assert_eq!(got.user_data, Fact::Known(b"#!/bin/sh\n".to_vec()));
    assert_eq!(got.private_address, Fact::Known("172.31.0.10".parse().unwrap()));
    let addresses = ["203.0.113.80", "203.0.113.81"].map(|text| text.parse().unwrap());
    assert_eq!(got.public_addresses, Fact::Known(addresses.to_vec()));
    assert_eq!(got.public_keys, Fact::Known(vec![("skp-bp1".to_owned(), "ssh-ed25519 AAAA me".to_owned())]));
    let requests = imds.requests();
    manners(&requests);
    let without = requests.iter().filter(|r| r.method == "GET" && !r.headers.contains_key(TOKEN)).count();
    assert_eq!(without, 1);
    assert!(in_time(took, Duration::from_secs(1)), "{took:?}");
    world.nothing_went_elsewhere();
}

#[test]
fn an_ordinary_instance_has_no_role_no_keys_and_no_user_data() {
    let world = World::new();
    let imds = world.serve(Behaviour::Open);
    let got = known(world.ask().0);
    assert_eq!((got.ram_role, got.user_data), (Fact::Absent, Fact::Absent));
    assert_eq!(got.public_keys, Fact::Known(vec![]));
    assert_eq!(got.public_addresses, Fact::Known(vec!["203.0.113.80".parse().unwrap()]));
    manners(&imds.requests());
}

#[test]
fn a_hardened_service_answers_403_without_a_token_and_everything_with_one() {
    let world = World::new();
    let imds = world.serve(Behaviour::TokenRequired);
    imds.attach_role("EcsRole");
    let got = known(world.ask().0);
    assert_eq!((got.tokenless, got.tokenless_status, got.token_status), (Fact::Known(false), Some(403), Some(200)));
    assert_eq!(got.ram_role, Fact::Known("EcsRole".to_owned()));
    manners(&imds.requests());
    world.nothing_went_elsewhere();
}

#[test]
fn a_disabled_endpoint_is_told_by_its_statuses_and_nothing_more_is_asked() {
    let world = World::new();
    let imds = world.serve(Behaviour::Disabled);
    let got = known(world.ask().0);
    assert_eq!((got.tokenless, got.tokenless_status, got.token_status), (Fact::Known(false), Some(403), Some(403)));
    assert!(matches!(&got.ram_role, Fact::Unknown(Why::Failed(what)) if what.contains("403")), "{:?}", got.ram_role);
    assert_eq!(imds.requests().len(), 2);
    manners(&imds.requests());
}

#[test]
fn whoever_is_no_metadata_service_leaves_everything_unknown_and_costs_little() {
    for (behaviour, requests, slow) in [
        (Behaviour::TimeOut, 1, true),
        (Behaviour::Garbage, 1, false),
        (Behaviour::Huge, 1, false),
        (Behaviour::Redirect("http://172.31.0.1/latest/meta-data/".to_owned()), 2, false),
        (Behaviour::Redirect("http://100.100.100.200/latest/meta-data/".to_owned()), 2, false),
    ] {
        let world = World::new();
        let imds = world.serve(behaviour.clone());
        let (fact, took) = world.ask();
        match fact {
            Fact::Unknown(_) => {}
            Fact::Known(got) => {
                assert!(matches!(got.tokenless, Fact::Unknown(_)), "{behaviour:?}: {got:?}");
                assert!(matches!(got.instance_id, Fact::Unknown(_)), "{behaviour:?}: {got:?}");
                assert!(matches!(got.user_data, Fact::Unknown(_)), "{behaviour:?}: {got:?}");
            }
            Fact::Absent => panic!("{behaviour:?}: absent"),
        }
        let asked = imds.requests();
        assert_eq!(asked.len(), requests, "{behaviour:?}: {asked:?}");
        manners(&asked);
        let most = if slow { 2500 } else { 1000 };
        assert!(in_time(took, Duration::from_millis(most)), "{behaviour:?}: {took:?}");
        world.nothing_went_elsewhere();
    }
}

#[test]
fn nobody_there_is_unknown_and_never_hardened() {
    let world = World::new();
    // Refused.
    let (fact, took) = world.ask();
    assert!(matches!(&fact, Fact::Unknown(Why::Failed(what)) if what.contains("refused")), "{fact:?}");
    assert!(in_time(took, Duration::from_millis(500)), "{took:?}");
    // Dropped on the way.
    world.nft("add rule ip watch out ip daddr 100.100.100.200 drop");
    let (fact, took) = world.ask();
    assert_eq!(fact, Fact::Unknown(Why::TimedOut));
    assert!(in_time(took, Duration::from_millis(1500)), "{took:?}");
}

#[test]
fn a_token_that_is_refused_is_renewed_once() {
    let world = World::new();
    let listener = world.net.run(|| TcpListener::bind("100.100.100.200:80")).unwrap().unwrap();
    let served = std::thread::spawn(move || script(&listener));
    let got = known(world.ask().0);
    let asked = served.join().unwrap();
    // The first GET with a token is refused, as are all after the renewal: no third token, no endless loop.
    assert_eq!(asked.iter().filter(|line| line.starts_with("PUT ")).count(), 2, "{asked:?}");
    assert!(matches!(got.instance_id, Fact::Unknown(_)));
    assert!(matches!(got.user_data, Fact::Unknown(_)));
}

/// Gives tokens and refuses them all, until nobody asks any more; returns the request lines.
fn script(listener: &TcpListener) -> Vec<String> {
    use std::io::{BufRead, BufReader, Write};
    let mut lines = Vec::new();
    for stream in listener.incoming() {
        let stream = stream.unwrap();
        let mut head = BufReader::new(&stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty());
        let first = head.next().unwrap_or_default();
        head.for_each(drop);
        let last = first.contains("user-data");
        let (status, body) = if first.starts_with("PUT ") { ("200 OK", "token") } else { ("401 Unauthorized", "") };
        lines.push(first);
        write!(&stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
        if last {
            break;
        }
    }
    lines
}

#[test]
fn hostile_values_are_unknown_and_never_words_of_a_command() {
    let world = World::new();
    let imds = world.serve(Behaviour::Open);
    imds.attach_role("../../user-data");
    for (item, value) in [
        ("instance-id", "i-1; rm -rf /"),
        ("region-id", "cn\u{1b}[2J"),
        ("image-id", &"x".repeat(7000)),
        ("eipv4", "203.0.113.80 evil"),
        ("private-ipv4", "999.1.1.1"),
        ("public-keys/", "../../ram/security-credentials/EcsRole\n"),
    ] {
        imds.set(&format!("/latest/meta-data/{item}"), value);
    }
    imds.set("/latest/user-data", vec![b'x'; 100_000]);
    let got = known(world.ask().0);
    assert!(matches!(got.instance_id, Fact::Unknown(Why::Defect(_))), "{:?}", got.instance_id);
    assert!(matches!(got.region_id, Fact::Unknown(Why::Defect(_))));
    assert!(matches!(got.image_id, Fact::Unknown(Why::Defect(_))));
    assert!(matches!(got.ram_role, Fact::Unknown(Why::Defect(_))));
    assert!(matches!(got.public_addresses, Fact::Unknown(Why::Defect(_))));
    assert!(matches!(got.private_address, Fact::Unknown(Why::Defect(_))));
    assert!(matches!(got.public_keys, Fact::Unknown(Why::Defect(_))));
    assert_eq!(got.user_data, Fact::Unknown(Why::TooLarge(65536)));
    manners(&imds.requests());
    world.nothing_went_elsewhere();
}

#[test]
fn a_drip_of_bytes_does_not_hold_it_up() {
    use std::io::Write;
    let world = World::new();
    let listener = world.net.run(|| TcpListener::bind("100.100.100.200:80")).unwrap().unwrap();
    let dripping = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        while stream.write_all(b"H").or_else(|_| stream.write_all(b"H")).is_ok() {
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    let (fact, took) = world.ask();
    assert!(matches!(fact, Fact::Unknown(_)), "{fact:?}");
    assert!(in_time(took, Duration::from_millis(2500)), "{took:?}");
    dripping.join().unwrap();
}
