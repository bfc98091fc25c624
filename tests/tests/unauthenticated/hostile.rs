//! A local user who listens at the ports of services and answers anything, beside a service that is asked all the same.

use std::time::Instant;

use hostward_tests::host::Host;
use hostward_tests::results;
use serde_json::Value;

use super::{A_DAY_LATER, CHECK, FORGET, RUN, TEST, listening, scanned, words_at};

/// Each port and what is done there; 4444 is where a redirect leads, and 192.0.2.1 nobody's address.
const SCRIPT: &str = r#"use IO::Socket::INET; use Socket;
$SIG{CHLD} = 'IGNORE'; $SIG{PIPE} = 'IGNORE';
my $head = "HTTP/1.1 200 OK\r\n";
my %ways = (
    27017 => sub { for (1 .. 600) { syswrite $_[0], "\0" or last; sleep 1 } },
    9200 => sub { syswrite $_[0], "${head}X: "; 1 while syswrite $_[0], 'a' x 65536 },
    11211 => sub { 1 while syswrite $_[0], "\n" x 65536 },
    3306 => sub { sleep 600 },
    5432 => sub { syswrite $_[0], "R\0\0"; sleep 600 },
    8086 => sub { },
    2375 => sub { syswrite $_[0], "\x15\x03\x03\0\x02\x02\x46" },
    2379 => sub { syswrite $_[0], "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:4444/\r\n\r\n" },
    9092 => sub { syswrite $_[0], "\0" x 500 },
    8088 => sub { syswrite $_[0], "$head\r\n{\"clusterInfo\":\"\xff\xfe\"}" },
    61613 => sub { syswrite $_[0], "SSH-2.0-OpenSSH_9.2\r\n" },
    5984 => sub { syswrite $_[0], "${head}Server: CouchDB/3\e[31m\a\xff\xe2\x80\xae\r\n\r\n[]" },
    2181 => sub { syswrite $_[0], "Zookeeper version: 3.8\e]0;x\a\n" },
    4444 => sub { open my $came, '>', '/tmp/hostile/came' },
);
socket my $foreign, PF_INET, SOCK_STREAM, 0; setsockopt $foreign, 0, 15, 1;
bind $foreign, sockaddr_in(6379, inet_aton('192.0.2.1')) or die $!; listen $foreign, 9;
for my $port (keys %ways) {
    my $door = IO::Socket::INET->new(LocalAddr => '0.0.0.0', LocalPort => $port, Listen => 9, ReuseAddr => 1) or die $!;
    next if fork;
    while (my $guest = $door->accept) { unless (fork) { sysread $guest, my $heard, 4096 if $port != 3306; $ways{$port}->($guest); exit } }
}
sleep 600;
"#;

/// 200 ports that nobody answers at. Named as a service's own program it is asked at any.
const MANY: &str = "use IO::Socket::INET;
my @keep = map { IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $_, Listen => 9) or die $! } 20000 .. 20199; sleep 600";

/// The ports whose answers say nothing.
const UNCLEAR: [u16; 11] = [27017, 9200, 11211, 3306, 5432, 8086, 2375, 2379, 9092, 8088, 61613];

pub(super) fn who_answers_anything_holds_nobody_up(host: &Host) {
    host.shell(&format!(
        "mkdir -m 777 /tmp/hostile; cp /usr/bin/perl /tmp/hostile/redis-server; cat >/tmp/hostile/script <<'END'\n{SCRIPT}END\n{RUN}
         run redis-server --bind 127.0.0.1 --protected-mode no; systemd-run -q --unit=hostile -p User=nobody perl /tmp/hostile/script
         {}",
        listening(UNCLEAR.into_iter().chain([4444, 6379]))
    ))
    .unwrap();
    let scan = |format: &str| format!("hostward scan --only {CHECK} --format {format} --exit-zero");
    let from = Instant::now();
    let json = host.shell(&format!("{FORGET}\n{}", scan("json"))).unwrap();
    let took = from.elapsed().as_secs_f64();
    let report: Value = serde_json::from_str(&json).unwrap();
    let check = &report["checks"][0];
    assert_eq!(words_at(check, 6379), ["medium local"], "{check}");
    let reason = check["reason"].as_str().unwrap();
    assert!(
        reason.contains("tcp/192.0.2.1:6379: it listens on an address that is not seen to be this host's own"),
        "{reason}"
    );
    for port in UNCLEAR {
        assert_eq!(words_at(check, port), ["unknown"], "{port}: {check}");
    }
    // A liar is believed, for no more than a version.
    let evidence = check["findings"].to_string();
    assert!(evidence.contains("CouchDB (version 3) answered"), "{evidence}");
    assert!(evidence.contains("ZooKeeper (version 3.8) answered"), "{evidence}");
    host.shell("! test -e /tmp/hostile/came").expect("a redirect was followed");
    let texts = [json, host.shell(&scan("text")).unwrap(), host.shell("cat /var/lib/hostward/asked.json").unwrap()];
    for text in &texts {
        let odd = text.chars().find(|c| (c.is_control() && *c != '\n') || *c == '\u{202e}');
        assert_eq!(odd, None, "{text:?}");
    }
    host.shell(&format!(
        "cat >/tmp/hostile/many <<'END'\n{MANY}\nEND\nsystemd-run -q --unit=hostile-many -p User=nobody /tmp/hostile/redis-server /tmp/hostile/many\n{}",
        listening([20_199].into_iter())
    ))
    .unwrap();
    let from = Instant::now();
    let (_, check) = scanned(host, A_DAY_LATER);
    let with_many = from.elapsed().as_secs_f64();
    assert_eq!(words_at(&check, 6379), ["medium local"], "{check}");
    assert_eq!(words_at(&check, 20_199), ["unknown"], "{check}");
    let figures = format!(
        "a local user's 15 listeners (tarpit, floods, silence, lies, another's address) beside one service: it is told, and the scan takes {took:.1} s, with 200 more that are silent {with_many:.1} s"
    );
    results::tested(TEST, "hostile listeners", figures);
    assert!(took.max(with_many) < 30.0, "{took} {with_many}");
    host.shell("systemctl stop hostile hostile-many case").unwrap();
}
