//! Random rule sets as iptables-restore and ip6tables-restore read them, of what real ones use.

use std::fmt::Write as _;

use crate::crossing::{CONTAINER, HOST, PORTS, SOURCES};
use crate::rng::Rng;

/// All four tables of IPv4 or of IPv6.
#[must_use]
pub fn tables(rng: &mut Rng, v6: bool) -> String {
    let mut text = Text { rng, v6 };
    let raw = if text.rng.chance(25) { text.rules(Place::Raw, "PREROUTING", 2) } else { String::new() };
    let mangle = if text.rng.chance(40) { text.rules(Place::Mangle, "PREROUTING", 3) } else { String::new() };
    let (nat, called) = (text.rules(Place::Nat, "PREROUTING", 2), text.rules(Place::Nat, "N0", 3));
    // Replies, and what the container sends, are not asked about.
    let replies = "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n";
    let filter: String = ["INPUT", "FORWARD"]
        .map(|chain| {
            let rules = text.rules(if chain == "INPUT" { Place::Input } else { Place::Forward }, chain, 7);
            format!("-A {chain} ! -i eth0 -j ACCEPT\n-A {chain} {replies}{rules}")
        })
        .concat();
    let chains: String = (0..CHAINS).map(|chain| text.rules(Place::Called(chain), &format!("C{chain}"), 4)).collect();
    let names: String = (0..CHAINS).map(|chain| format!(":C{chain} - [0:0]\n")).collect();
    let [input, forward] = [30, 40].map(|drops| if text.rng.chance(drops) { "DROP" } else { "ACCEPT" });
    format!(
        "*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING ! -i eth0 -j ACCEPT\n{raw}COMMIT\n\
         *mangle\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING ! -i eth0 -j ACCEPT\n-A PREROUTING {replies}{mangle}COMMIT\n\
         *nat\n:PREROUTING ACCEPT [0:0]\n:N0 - [0:0]\n{nat}-A PREROUTING -m addrtype --dst-type LOCAL -j N0\n{called}COMMIT\n\
         *filter\n:INPUT {input} [0:0]\n:FORWARD {forward} [0:0]\n{names}{filter}{chains}COMMIT\n"
    )
}

/// Chains of the table filter that others go on in: each in those after it.
const CHAINS: usize = 3;

/// Where a rule stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Raw,
    Mangle,
    Nat,
    Input,
    Forward,
    Called(usize),
}

struct Text<'r> {
    rng: &'r mut Rng,
    v6: bool,
}

impl Text<'_> {
    fn rules(&mut self, place: Place, chain: &str, most: usize) -> String {
        let mut out = String::new();
        for _ in 0..1 + self.rng.below(most) {
            let rule = self.rule(place);
            let _ = writeln!(out, "-A {chain} {rule}");
        }
        out
    }

    fn rule(&mut self, place: Place) -> String {
        let protocol = self.rng.pick(&["", "tcp", "tcp", "udp"]);
        let mut words = String::new();
        if protocol.is_empty() {
            if self.rng.chance(15) {
                words.push_str("! -p udp ");
            }
        } else {
            let _ = write!(words, "-p {protocol} {} ", self.ports(protocol));
        }
        for _ in 0..self.rng.below(3) {
            let condition = self.condition(place, protocol);
            // These are asked once a rule.
            if !["-s ", "-d ", "-i ", "-o "].iter().any(|once| condition.contains(once) && words.contains(once)) {
                words.push_str(&condition);
                words.push(' ');
            }
        }
        // What drops at a rate lets others pass: one packet does not tell.
        if !matches!(place, Place::Nat | Place::Mangle | Place::Raw) && self.rng.chance(5) {
            return format!("{words}-m limit --limit 1000/sec --limit-burst 2000 -j ACCEPT");
        }
        words + &self.target(place, protocol)
    }

    fn not(&mut self) -> &'static str {
        if self.rng.chance(15) { "! " } else { "" }
    }

    fn port(&mut self) -> u16 {
        PORTS.get(self.rng.below(PORTS.len())).copied().unwrap_or(22)
    }

    fn ports(&mut self, protocol: &str) -> String {
        let not = self.not();
        match self.rng.below(8) {
            0..3 => format!("-m {protocol} {not}--dport {}", self.port()),
            3 => format!("-m {protocol} {not}--dport {}", self.rng.pick(&["1000:1100", "3000:7000", ":1023", "1024:"])),
            4 | 5 => {
                let range = self.rng.pick(&["", ",8000:8100", ",30000:32767"]);
                format!("-m multiport {not}--dports {},{}{range}", self.port(), self.port())
            }
            6 => format!("-m {protocol} --sport 1024:65535 -m {protocol} {not}--dport {}", self.port()),
            _ => String::new(),
        }
    }

    fn network(&mut self) -> String {
        let half = SOURCES.len() / 2;
        let at = self.rng.below(half) + if self.v6 { half } else { 0 };
        let one = SOURCES.get(at).copied().unwrap_or("10.0.0.1");
        let nets: &[&str] = if self.v6 {
            &["2001:db8:9::/48", "fd00::/8", "2400:3200::/32", "2001:db8:1::2/128"]
        } else {
            &["203.0.113.0/24", "10.0.0.0/8", "192.168.0.0/16", "47.96.0.0/255.255.0.0", "8.8.8.8"]
        };
        if self.rng.chance(50) { one.to_owned() } else { self.rng.pick(nets).to_owned() }
    }

    fn condition(&mut self, place: Place, protocol: &str) -> String {
        let not = self.not();
        loop {
            return match self.rng.below(16) {
                0..3 => format!("{not}-s {}", self.network()),
                3 => {
                    let (host, container, net) = if self.v6 {
                        (HOST[1], CONTAINER[1], "fd00::/8")
                    } else {
                        (HOST[0], CONTAINER[0], "172.16.0.0/12")
                    };
                    format!("{not}-d {}", self.rng.pick(&[host, container, net]))
                }
                4 => format!("{not}-i {}", self.rng.pick(&["eth0", "eth+", "lo", "docker0"])),
                5 if place == Place::Forward => format!("{not}-o {}", self.rng.pick(&["docker0", "eth0", "docker+"])),
                6 if place != Place::Raw => {
                    let states = self.rng.pick(&[
                        "NEW",
                        "NEW,UNTRACKED",
                        "RELATED,ESTABLISHED",
                        "INVALID",
                        "DNAT",
                        "RELATED,ESTABLISHED,DNAT",
                        "INVALID,DNAT",
                        "UNTRACKED",
                    ]);
                    format!("-m conntrack {not}--ctstate {states}")
                }
                7 if place != Place::Raw => format!("-m state --state {}", self.rng.pick(&["NEW", "INVALID,NEW"])),
                8 if !protocol.is_empty() && place != Place::Raw => {
                    format!("-m conntrack {not}--ctorigdstport {}", self.port())
                }
                9 if place != Place::Raw => format!("-m conntrack --ctdir {}", self.rng.pick(&["ORIGINAL", "REPLY"])),
                10 => "-m comment --comment \"say \\\"-j DROP\\\" twice\"".to_owned(),
                11 => format!("-m mark {not}--mark {}", self.rng.pick(&["0x1", "0x0", "0x10/0x10", "0x1/0xf"])),
                12 if place != Place::Raw => format!("-m connmark {not}--mark {}", self.rng.pick(&["0x1", "0x0"])),
                13 => format!("-m addrtype {not}--dst-type LOCAL"),
                // What of a connection is not tracked is all of it.
                14 if protocol == "tcp" && place != Place::Raw => self
                    .rng
                    .pick(&["--syn", "! --syn", "--tcp-flags SYN,ACK SYN", "--tcp-flags FIN,SYN FIN,SYN"])
                    .to_owned(),
                15 => {
                    let range = if self.v6 { "fd00::1-fd00:ffff::1" } else { "10.1.0.0-10.1.2.200" };
                    format!("-m iprange {not}--src-range {range}")
                }
                _ => continue,
            };
        }
    }

    fn target(&mut self, place: Place, protocol: &str) -> String {
        match place {
            Place::Raw => self.rng.pick(&["-j CT --notrack", "-j CT --notrack", "-j DROP", "-j ACCEPT"]).to_owned(),
            Place::Mangle => self
                .rng
                .pick(&[
                    "-j MARK --set-xmark 0x1/0xffffffff",
                    "-j MARK --set-xmark 0x10/0x10",
                    "-j CONNMARK --set-xmark 0x1/0xffffffff",
                    "-j CONNMARK --save-mark",
                    "-j CONNMARK --restore-mark",
                    "-j DROP",
                    "-j ACCEPT",
                ])
                .to_owned(),
            Place::Nat => self.translation(protocol),
            Place::Input | Place::Forward | Place::Called(_) => {
                let first = if let Place::Called(own) = place { own + 1 } else { 0 };
                match self.rng.below(12) {
                    0..4 => "-j ACCEPT".to_owned(),
                    4 | 5 => "-j DROP".to_owned(),
                    6 => "-j REJECT".to_owned(),
                    7 if first > 0 => "-j RETURN".to_owned(),
                    8..11 if first < CHAINS => {
                        let word = self.rng.pick(&["-j", "-j", "-g"]).to_owned();
                        format!("{word} C{}", first + self.rng.below(CHAINS - first))
                    }
                    // It counts.
                    _ => String::new(),
                }
            }
        }
    }

    /// A port can be named for one protocol alone.
    fn translation(&mut self, protocol: &str) -> String {
        let address = if self.v6 { CONTAINER[1] } else { CONTAINER[0] };
        let port = self.port();
        match self.rng.below(6) {
            0 => "-j RETURN".to_owned(),
            1 => "-j ACCEPT".to_owned(),
            2 if !protocol.is_empty() => format!("-j REDIRECT --to-ports {port}"),
            3 | 4 if !protocol.is_empty() && self.v6 => format!("-j DNAT --to-destination [{address}]:{port}"),
            3 | 4 if !protocol.is_empty() => format!("-j DNAT --to-destination {address}:{port}"),
            _ => format!("-j DNAT --to-destination {address}"),
        }
    }
}
