//! Random rule sets of nftables, of what real ones use.

use std::fmt::Write as _;

use crate::crossing::{CONTAINER, HOST, PORTS, SOURCES};
use crate::rng::Rng;

/// A rule set as `nft -f` reads it.
#[must_use]
pub fn ruleset(rng: &mut Rng) -> String {
    let mut out = String::new();
    for number in 0..1 + rng.below(3) {
        let family = rng.pick(&["inet", "inet", "inet", "ip", "ip6"]);
        let table = Table { rng, family, name: format!("t{number}"), chains: 2 };
        out.push_str(&table.text());
    }
    if rng.chance(20) {
        let mut table = Table { rng, family: "netdev", name: "early".to_owned(), chains: 0 };
        let rules: String = (0..2).map(|_| table.rule(Place::Early)).collect();
        let _ = write!(
            out,
            "table netdev early {{\n chain i {{\n  type filter hook ingress device \"eth0\" priority 0; policy accept;\n{rules} }}\n}}\n"
        );
    }
    out
}

/// What the kernel knows of a packet where a rule stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Before connection tracking.
    Early,
    /// In a chain that others jump to.
    Called,
    Filter,
    Nat,
}

struct Table<'r> {
    rng: &'r mut Rng,
    family: &'static str,
    name: String,
    chains: usize,
}

impl Table<'_> {
    fn text(mut self) -> String {
        let mut out = format!("table {} {} {{\n", self.family, self.name);
        out.push_str(&self.sets());
        for chain in (0..self.chains).rev() {
            let rules: String = (0..1 + self.rng.below(4)).map(|_| self.rule_in(Place::Called, chain + 1)).collect();
            let _ = write!(out, " chain c{chain} {{\n{rules} }}\n");
        }
        let _ = write!(
            out,
            " map verdicts {{\n  type inet_service : verdict; flags interval;\n  elements = {{ {} : accept, 9000-9999 : drop, {} : jump c{} }}\n }}\n",
            22,
            31_000,
            self.chains - 1
        );
        let filters =
            [("input", "0"), ("forward", "0"), ("prerouting", "-300"), ("prerouting", "-150"), ("prerouting", "-90")];
        for (number, (hook, priority)) in filters.into_iter().enumerate() {
            if !self.rng.chance(if number < 2 { 75 } else { 20 }) {
                continue;
            }
            let place = if priority == "-300" { Place::Early } else { Place::Filter };
            let policy = if place == Place::Filter && self.rng.chance(40) { "drop" } else { "accept" };
            let priority = if number < 2 { self.rng.pick(&["-5", "0", "0", "10"]) } else { priority };
            let _ = write!(
                out,
                " chain b{number} {{\n  type filter hook {hook} priority {priority}; policy {policy};\n  iifname != \"eth0\" accept\n"
            );
            if place == Place::Filter {
                // What follows the first packet is not asked about.
                out.push_str("  ct state established accept\n");
            }
            for _ in 0..2 + self.rng.below(7) {
                out.push_str(&self.rule(place));
            }
            out.push_str(" }\n");
        }
        if self.rng.chance(60) {
            out.push_str(" chain n {\n  type nat hook prerouting priority -100; policy accept;\n");
            for _ in 0..1 + self.rng.below(4) {
                out.push_str(&self.rule(Place::Nat));
            }
            out.push_str(" }\n");
        }
        out + "}\n"
    }

    fn sets(&mut self) -> String {
        let (ports, more) = (self.ports(), self.ports());
        let (four, six) = (self.nets(false), self.nets(true));
        let pairs = format!("{} . {}, {} . {}", self.source(false), self.port(), self.source(false), self.port());
        let (tcp, udp) = (self.port(), self.port());
        format!(
            " set ports {{\n  type inet_service; flags interval; auto-merge;\n  elements = {{ {ports} }}\n }}\n \
              set plain {{\n  type inet_service;\n  elements = {{ {} }}\n }}\n \
              set four {{\n  type ipv4_addr; flags interval; auto-merge;\n  elements = {{ {four} }}\n }}\n \
              set six {{\n  type ipv6_addr; flags interval; auto-merge;\n  elements = {{ {six} }}\n }}\n \
              set pairs {{\n  type ipv4_addr . inet_service;\n  elements = {{ {pairs} }}\n }}\n \
              set both {{\n  type inet_proto . inet_service;\n  elements = {{ tcp . {tcp}, udp . {udp} }}\n }}\n",
            more.split(", ").filter(|one| !one.contains('-')).chain(["7"]).collect::<Vec<_>>().join(", "),
        )
    }

    fn port(&mut self) -> u16 {
        PORTS.get(self.rng.below(PORTS.len())).copied().unwrap_or(22)
    }

    fn ports(&mut self) -> String {
        let mut parts: Vec<String> = Vec::new();
        for _ in 0..1 + self.rng.below(4) {
            parts.push(self.port().to_string());
        }
        if self.rng.chance(40) {
            parts.push(self.rng.pick(&["1000-1100", "3000-7000", "8000-8100", "30000-32767"]).to_owned());
        }
        parts.join(", ")
    }

    fn source(&mut self, v6: bool) -> &'static str {
        let half = SOURCES.len() / 2;
        SOURCES.get(self.rng.below(half) + if v6 { half } else { 0 }).copied().unwrap_or("10.0.0.1")
    }

    fn nets(&mut self, v6: bool) -> String {
        let fixed: &[&str] = if v6 {
            &["2001:db8:9::/48", "fd00::/8", "2400:3200::/32", "2001:db8:1::2", "2001:db8:f::1-2001:db8:f::9"]
        } else {
            &["203.0.113.0/24", "10.0.0.0/8", "192.168.0.0/16", "47.96.0.1-47.96.99.0", "8.8.8.8"]
        };
        let mut parts = vec![self.source(v6).to_owned()];
        if self.rng.chance(50) {
            parts.push(self.rng.pick(fixed).to_owned());
        }
        parts.join(", ")
    }

    fn v4(&self) -> bool {
        self.family != "ip6"
    }

    fn v6(&self) -> bool {
        self.family != "ip"
    }

    fn rule(&mut self, place: Place) -> String {
        self.rule_in(place, 0)
    }

    /// A rule that may jump to the chains from `deepest` on.
    fn rule_in(&mut self, place: Place, deepest: usize) -> String {
        let mut words = Vec::new();
        let conditions = 1 + self.rng.below(2) + usize::from(place == Place::Nat);
        for _ in 0..conditions {
            words.push(self.condition(place));
        }
        if place == Place::Nat {
            words.push(self.translation());
        } else if words.iter().any(|word| word.starts_with("limit")) {
            // What drops at a rate lets others pass: one packet does not tell.
            words.push("accept".to_owned());
        } else {
            words.push(self.statement(place, deepest));
        }
        let rule = words.join(" ");
        let has = |words: &[&str]| words.iter().any(|word| rule.contains(word));
        // One family and one protocol a rule, as nft wants it.
        if has(&["ip6 ", "nfproto ipv6"]) && has(&["ip saddr", "ip daddr", "dnat ip ", "nfproto ipv4"]) {
            return self.rule_in(place, deepest);
        }
        let tcp = has(&["tcp flags"]) || self.rng.chance(60);
        let (one, other) = if tcp { ("tcp", "udp") } else { ("udp", "tcp") };
        let both = if has(&["tcp dport", "udp dport", "tcp flags"]) { one } else { "{ tcp, udp }" };
        let rule = rule
            .replace(&format!("{other} dport"), &format!("{one} dport"))
            .replace(&format!("l4proto {other}"), &format!("l4proto {one}"))
            .replace("l4proto { tcp, udp }", &format!("l4proto {both}"));
        format!("  {rule}\n")
    }

    fn condition(&mut self, place: Place) -> String {
        let not = if self.rng.chance(15) { "!= " } else { "" };
        let any = |of: &str| format!("{of} {not}");
        let netdev = self.family == "netdev";
        loop {
            return match self.rng.below(if netdev { 8 } else { 26 }) {
                0 | 1 => format!("{}{}", any("tcp dport"), self.port()),
                2 => format!("{}{{ {} }}", any("tcp dport"), self.ports()),
                3 => format!("{}{{ {} }}", any("udp dport"), self.ports()),
                4 => format!("meta l4proto {{ tcp, udp }} th dport {not}{{ {} }}", self.ports()),
                5 => self
                    .rng
                    .pick(&["meta l4proto tcp", "meta l4proto udp", "meta l4proto != udp", "meta l4proto { tcp, udp }"])
                    .to_owned(),
                6 if self.v4() => format!("ip saddr {not}{{ {} }}", self.nets(false)),
                7 if self.v6() => format!("ip6 saddr {not}{{ {} }}", self.nets(true)),
                8 => format!("tcp dport {not}@ports"),
                9 => format!("udp dport {not}@plain"),
                10 if self.v4() => format!("ip saddr {not}@four"),
                11 if self.v6() => format!("ip6 saddr {not}@six"),
                12 if self.v4() => "ip saddr . tcp dport @pairs".to_owned(),
                13 => format!("meta l4proto . th dport {not}@both"),
                14 => self
                    .rng
                    .pick(&[
                        "iifname \"eth0\"",
                        "iifname \"eth*\"",
                        "iifname { \"lo\", \"docker0\" }",
                        "iif != \"lo\"",
                        "iifname != \"docker0\"",
                    ])
                    .to_owned(),
                15 if place != Place::Early => self
                    .rng
                    .pick(&[
                        "ct state new",
                        "ct state { new, untracked }",
                        "ct state established,related",
                        "ct state != new",
                        "ct state invalid",
                        "ct state new,invalid",
                    ])
                    .to_owned(),
                16 if place == Place::Early => {
                    self.rng.pick(&["ct state new", "ct state invalid", "ct state untracked"]).to_owned()
                }
                16 => {
                    self.rng.pick(&["ct status dnat", "ct direction original", "ct mark 0x1", "ct mark 0"]).to_owned()
                }
                17 => self
                    .rng
                    .pick(&[
                        "meta mark 0x1",
                        "meta mark 0",
                        "meta mark & 0x10 == 0x10",
                        "meta mark { 0x1, 0x2, 0x11 }",
                        "meta mark != 0",
                    ])
                    .to_owned(),
                18 if place != Place::Early => self
                    .rng
                    .pick(&[
                        "tcp flags & (fin | syn | rst | ack) == syn",
                        "tcp flags syn",
                        "tcp flags & (syn | ack) != syn",
                        "tcp flags & ack == ack",
                    ])
                    .to_owned(),
                19 if place != Place::Called => self
                    .rng
                    .pick(&["fib daddr type local", "fib daddr type != local", "fib saddr type unicast"])
                    .to_owned(),
                20 if self.v4() => format!(
                    "ip daddr {not}{}",
                    self.rng.pick(&[HOST[0], CONTAINER[0], "198.51.100.0/24", "172.16.0.0/12"])
                ),
                21 if self.v6() => {
                    format!("ip6 daddr {not}{}", self.rng.pick(&[HOST[1], CONTAINER[1], "2001:db8:1::/64", "fd00::/8"]))
                }
                22 if place != Place::Early => {
                    format!("meta l4proto {{ tcp, udp }} ct original proto-dst {not}{}", self.port())
                }
                23 if self.family == "inet" => self
                    .rng
                    .pick(&[
                        "meta nfproto ipv4",
                        "meta nfproto ipv6",
                        "meta pkttype host",
                        "meta pkttype { broadcast, multicast }",
                    ])
                    .to_owned(),
                // A translation at a rate leaves the others where they go: one packet does not tell.
                24 if place != Place::Nat => "limit rate 1000/second burst 2000 packets".to_owned(),
                // What is not modelled.
                25 if self.rng.chance(30) => self
                    .rng
                    .pick(&["meta cpu < 64", "meta length > 20", "th sport 1024-65535 th sport != 7"])
                    .to_owned(),
                _ => continue,
            };
        }
    }

    fn statement(&mut self, place: Place, deepest: usize) -> String {
        let netdev = self.family == "netdev";
        loop {
            return match self.rng.below(20) {
                0..5 => "accept".to_owned(),
                5..8 => "drop".to_owned(),
                8 if !netdev && place != Place::Early => "counter reject".to_owned(),
                9 | 10 if deepest < self.chains => {
                    let word = self.rng.pick(&["jump", "jump", "goto"]).to_owned();
                    format!("{word} c{}", deepest + self.rng.below(self.chains - deepest))
                }
                11 => "return".to_owned(),
                12 => "counter".to_owned(),
                13 if !netdev => self
                    .rng
                    .pick(&[
                        "meta mark set 0x1",
                        "meta mark set meta mark | 0x10",
                        "meta mark set 0x2 accept",
                        "meta mark set meta mark & 0xf",
                    ])
                    .to_owned(),
                14 if place == Place::Filter => {
                    self.rng.pick(&["ct mark set 0x1", "meta mark set ct mark", "ct mark set meta mark"]).to_owned()
                }
                15 if place == Place::Early && !netdev => "notrack".to_owned(),
                16 if !netdev => format!("tcp dport vmap {{ {} : accept, 5000-6999 : drop, 80 : return }}", 443),
                17 if place == Place::Filter => {
                    "ct state vmap { established : accept, related : accept, invalid : drop }".to_owned()
                }
                18 if place == Place::Filter => {
                    "meta l4proto . th dport vmap { tcp . 22 : accept, udp . 53 : accept, tcp . 6379 : drop }"
                        .to_owned()
                }
                19 if place == Place::Filter => "tcp dport vmap @verdicts".to_owned(),
                _ => continue,
            };
        }
    }

    /// Where a packet goes instead. Only what has a family can be sent to an address.
    fn translation(&mut self) -> String {
        let protocol = self.rng.pick(&["tcp", "udp"]);
        let (from, to) = (self.port(), self.port());
        let four = self.v4() && (self.rng.chance(60) || !self.v6());
        let (word, address) = if four { ("ip", CONTAINER[0]) } else { ("ip6", CONTAINER[1]) };
        let shown = if four { address.to_owned() } else { format!("[{address}]") };
        match self.rng.below(6) {
            0 => format!("{protocol} dport {from} redirect to :{to}"),
            1 => format!("{protocol} dport {from} accept"),
            2 => format!("{protocol} dport {{ {} }} dnat {word} to {address}", self.ports()),
            3 => format!("dnat {word} to {protocol} dport map {{ {from} : {address} }}"),
            _ => format!("{protocol} dport {from} dnat {word} to {shown}:{to}"),
        }
    }
}
