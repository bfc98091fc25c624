//! iptables rules, from what `iptables-save` and `ip6tables-save` write.

use std::net::IpAddr;

use super::Defect;
use super::ruleset::{Action, Family, Hook, Net, Range, Rule, Ruleset, Test};
use crate::check::bytes_text;
use crate::observation::socket::Protocol;

/// Adds the tables of one family. A line that is not understood is a defect; a match that is not modelled holds perhaps.
pub fn read(bytes: &[u8], family: Family, rules: &mut Ruleset) -> Vec<Defect> {
    let (mut table, mut defects) = (String::new(), Vec::new());
    for (number, line) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
        let line = bytes_text(line.trim_ascii());
        let mut words = split(&line).into_iter();
        let Some(first) = words.next() else { continue };
        match first.split_at_checked(1) {
            Some(("*", name)) => name.clone_into(&mut table),
            Some((":", chain)) => {
                let entry = rules.chains.entry((family, table.clone(), chain.to_owned())).or_default();
                let policy = words.next();
                // `-` stands where a policy would: nobody hooks such a chain in.
                entry.hook = match (table.as_str(), chain, policy.as_deref()) {
                    (_, _, None | Some("-")) => None,
                    ("nat", "PREROUTING", _) => Some(Hook::Translation),
                    ("nat", _, _) => None,
                    (_, "OUTPUT" | "POSTROUTING", _) => Some(Hook::Output),
                    (_, "PREROUTING", _) => Some(Hook::Early),
                    (_, "INPUT", _) => Some(Hook::Input),
                    _ => None,
                };
                entry.drops = policy.as_deref() == Some("DROP");
            }
            Some(("#", _)) => {}
            _ if first == "COMMIT" => {}
            _ if first == "-A" || first.starts_with('[') => {
                let mut words = words.skip_while(|word| first.starts_with('[') && word != "-A");
                if first.starts_with('[') {
                    words.next();
                }
                let Some(chain) = words.next() else { continue };
                let rule = rule(&words.collect::<Vec<_>>());
                rules.chains.entry((family, table.clone(), chain)).or_default().rules.push(rule);
            }
            _ => defects.push(Defect { line: number, what: "not a line of iptables-save".to_owned() }),
        }
    }
    defects
}

/// Words, `"` quoting with backslashes as iptables-save writes comments.
fn split(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted, mut begun) = (Vec::new(), String::new(), false, false);
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => (quoted, begun) = (!quoted, true),
            '\\' if quoted => word.extend(chars.next()),
            c if c.is_whitespace() && !quoted => {
                if begun {
                    words.push(std::mem::take(&mut word));
                }
                begun = false;
            }
            c => {
                word.push(c);
                begun = true;
            }
        }
    }
    if begun {
        words.push(word);
    }
    words
}

fn rule(words: &[String]) -> Rule {
    let mut rule = Rule { tests: Vec::new(), action: Action::Nothing };
    let (mut protocol, mut negated, mut at) = (None, false, 0);
    let mut next = || {
        let word = words.get(at).map(String::as_str);
        at += 1;
        word
    };
    while let Some(option) = next() {
        if option == "!" {
            negated = true;
            continue;
        }
        let not = std::mem::take(&mut negated);
        match option {
            "-p" | "--protocol" => {
                let these: Vec<Protocol> = match next() {
                    Some("tcp" | "6") => vec![Protocol::Tcp],
                    Some("udp" | "17") => vec![Protocol::Udp],
                    _ => Vec::new(),
                };
                protocol = these.first().copied().filter(|_| !not);
                rule.tests.push(Test::Protocols(these, not));
            }
            "--dport" | "--destination-port" | "--dports" | "--destination-ports" => {
                let ranges = next().and_then(ports);
                rule.tests.push(ranges.map_or(Test::Perhaps, |ranges| Test::Ports(protocol, ranges, not)));
            }
            "-i" | "--in-interface" => {
                let loopback = next() == Some("lo");
                rule.tests.push(if loopback { sure(not) } else { Test::Perhaps });
            }
            "--ctstate" | "--state" => {
                let new = next().is_some_and(|states| states.split(',').any(|state| state == "NEW"));
                rule.tests.push(sure(new != not));
            }
            // The packet in question is a SYN.
            "--syn" => rule.tests.push(sure(!not)),
            "--tcp-flags" => {
                let (mask, set) = (next().unwrap_or_default(), next().unwrap_or_default());
                let expected = if mask.split(',').any(|flag| flag == "SYN") { "SYN" } else { "NONE" };
                rule.tests.push(sure((set == expected) != not));
            }
            "-s" | "--source" => {
                let from = next().unwrap_or_default();
                rule.tests.push(match net(from) {
                    _ if from.starts_with("127.") || from == "::1/128" => sure(not),
                    Some(net) => Test::Source(vec![net], not),
                    None => Test::Perhaps,
                });
            }
            "-d" | "--destination" => {
                let to = next().and_then(net);
                rule.tests.push(to.map_or(Test::Perhaps, |net| Test::Destination(vec![net], not)));
            }
            "--dst-type" => {
                let local = next() == Some("LOCAL");
                rule.tests.push(if local { Test::ToHost(not) } else { Test::Perhaps });
            }
            "-o" | "--out-interface" => {
                let loopback = next() == Some("lo");
                rule.tests.push(if loopback { sure(not) } else { Test::Perhaps });
            }
            "--uid-owner" => {
                let users = next().and_then(users);
                rule.tests.push(users.map_or(Test::Perhaps, |range| Test::Owner(vec![range], not)));
            }
            "-j" | "-g" => {
                let target = next().unwrap_or_default();
                rule.action = action(target, option == "-g", words.get(at..).unwrap_or_default());
                // What follows belongs to the target.
                return rule;
            }
            // Which extension is asked; its own options follow. A comment asks nothing.
            "-m" | "--match" => match next() {
                Some("tcp" | "udp" | "multiport" | "comment" | "conntrack" | "state" | "addrtype" | "owner") => {}
                _ => rule.tests.push(Test::Perhaps),
            },
            "--comment" => {
                next();
            }
            option if option.starts_with('-') => rule.tests.push(Test::Perhaps),
            _ => {}
        }
    }
    rule
}

fn sure(holds: bool) -> Test {
    if holds { Test::Protocols(Vec::new(), true) } else { Test::Never }
}

fn ports(text: &str) -> Option<Vec<Range>> {
    let range = |part: &str| {
        let (low, high) = part.split_once(':').unwrap_or((part, part));
        Some((
            if low.is_empty() { 0 } else { low.parse().ok()? },
            if high.is_empty() { u16::MAX } else { high.parse().ok()? },
        ))
    };
    text.split(',').map(range).collect()
}

/// `ADDRESS/LENGTH`, as iptables-save writes it; a mask that is no prefix is something else.
fn net(text: &str) -> Option<Net> {
    let (address, length) = text.split_once('/').unwrap_or((text, ""));
    let address: IpAddr = address.parse().ok()?;
    let whole = if address.is_ipv4() { 32 } else { 128 };
    let length = if length.is_empty() { whole } else { length.parse().ok()? };
    (length <= whole).then_some((address, length))
}

/// `UID` or `UID-UID`.
fn users(text: &str) -> Option<(u32, u32)> {
    let (low, high) = text.split_once('-').unwrap_or((text, text));
    Some((low.parse().ok()?, high.parse().ok()?))
}

fn action(target: &str, goto: bool, rest: &[String]) -> Action {
    let value = |option: &str| {
        let at = rest.iter().position(|word| word == option)?;
        rest.get(at + 1).map(String::as_str)
    };
    match target {
        "ACCEPT" => Action::Accept,
        "DROP" | "REJECT" | "TARPIT" => Action::Drop,
        "RETURN" => Action::Return,
        "DNAT" => Action::Translate(value("--to-destination").unwrap_or("…").to_owned()),
        "REDIRECT" => Action::Translate(format!(":{}", value("--to-ports").unwrap_or("…"))),
        "LOG" | "NFLOG" | "ULOG" | "MARK" | "CONNMARK" | "CT" | "NOTRACK" | "AUDIT" | "TRACE" | "SET" | "TCPMSS"
        | "TOS" | "DSCP" | "TTL" | "HL" | "CHECKSUM" | "CLASSIFY" | "SECMARK" | "CONNSECMARK" => Action::Nothing,
        "QUEUE" | "NFQUEUE" | "TPROXY" | "SYNPROXY" => Action::Opaque,
        chain if goto => Action::Goto(chain.to_owned()),
        chain => Action::Jump(chain.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::firewall::Firewall;

    const UFW: &str = "\
# Generated by iptables-save v1.8.9 (nf_tables) on Sat Nov 21 22:00:00 2026
*filter
:INPUT DROP [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:ufw-before-input - [0:0]
:ufw-not-local - [0:0]
:ufw-user-input - [0:0]
:ufw-reject - [0:0]
-A INPUT -j ufw-before-input
-A INPUT -j ufw-reject
-A ufw-before-input -i lo -j ACCEPT
-A ufw-before-input -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A ufw-before-input -m conntrack --ctstate INVALID -j DROP
-A ufw-before-input -p icmp -m icmp --icmp-type 8 -j ACCEPT
-A ufw-before-input -j ufw-not-local
-A ufw-before-input -d 224.0.0.251/32 -p udp -m udp --dport 5353 -j ACCEPT
-A ufw-before-input -j ufw-user-input
-A ufw-not-local -m addrtype --dst-type LOCAL -j RETURN
-A ufw-not-local -j DROP
-A ufw-user-input -p tcp -m tcp --dport 22 -m comment --comment \"dport \\\"x\\\" -j DROP\" -j ACCEPT
-A ufw-user-input -p tcp -m multiport --dports 80,443,8000:8010 -j ACCEPT
-A ufw-user-input -s 10.0.0.0/8 -p tcp -m tcp --dport 3306 -j ACCEPT
-A ufw-reject -j REJECT --reject-with icmp-port-unreachable
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:DOCKER - [0:0]
[3:180] -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A DOCKER -i docker0 -j RETURN
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 6379 -j DNAT --to-destination 172.17.0.2:6379
-A DOCKER -d 127.0.0.1/32 ! -i docker0 -p tcp -m tcp --dport 5432 -j DNAT --to-destination 172.17.0.3:5432
COMMIT
";

    fn judged(v4: &str, v6: &str) -> (Firewall, usize) {
        let mut rules = Ruleset::default();
        let mut defects = read(v4.as_bytes(), Family::V4, &mut rules);
        defects.extend(read(v6.as_bytes(), Family::V6, &mut rules));
        (rules.judge("iptables"), defects.len())
    }

    #[test]
    fn ufw_and_docker_are_understood() {
        let (firewall, defects) = judged(UFW, UFW);
        assert_eq!((defects, firewall.filters_input, firewall.default_accepts), (0, true, Some(false)));
        let cases = [
            (22, Some(true)),
            (80, Some(true)),
            (8005, Some(true)),
            (8011, Some(false)),
            (3306, None),
            (6379, Some(false)),
        ];
        for (port, expected) in cases {
            assert_eq!(firewall.accepts(Protocol::Tcp, port), expected, "{port}");
        }
        let published: Vec<_> = firewall.published.iter().map(|p| (p.port, p.to.as_str(), p.address)).collect();
        let local = Some("127.0.0.1".parse().unwrap());
        assert_eq!(published, [(5432, "172.17.0.3:5432", local), (6379, "172.17.0.2:6379", None)]);
        // Without rules for IPv6 the answer depends on the family.
        assert_eq!(judged(UFW, "").0.accepts(Protocol::Tcp, 25), None);
        assert_eq!(judged("garbage\n*filter\n-A INPUT\n", "").1, 1);
    }

    #[test]
    fn a_port_for_named_sources_is_closed_to_all_others() {
        let closed = |rule: &str| {
            let text = format!("*filter\n:INPUT DROP [0:0]\n-A INPUT {rule} -p tcp --dport 3306 -j ACCEPT\nCOMMIT\n");
            let (firewall, defects) = judged(&text, &text);
            assert_eq!((defects, firewall.accepts(Protocol::Tcp, 3306)), (0, None), "{rule}");
            firewall.keeps_strangers_out(Protocol::Tcp, 3306)
        };
        for (rule, expected) in [
            ("-s 10.0.0.0/8 --syn", true),
            ("-s 10.0.0.0/8 --tcp-flags FIN,SYN,RST,ACK SYN", true),
            // Half of the internet is nobody by name, and who is not there is anybody.
            ("-s 0.0.0.0/1", false),
            ("! -s 10.0.0.0/8", false),
            ("-m recent --rcheck", false),
            ("-i eth1", false),
        ] {
            assert_eq!(closed(rule), expected, "{rule}");
        }
        for (flags, expected) in [("SYN,ACK SYN", false), ("SYN,ACK ACK", true), ("FIN NONE", false), ("FIN FIN", true)]
        {
            let text = format!("*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -p tcp --tcp-flags {flags} -j DROP\nCOMMIT\n");
            assert_eq!(judged(&text, &text).0.accepts(Protocol::Tcp, 22), Some(expected), "{flags}");
        }
    }

    #[test]
    fn what_is_dropped_before_translation_is_not_published() {
        let early = "*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p tcp --dport 6379 -j DROP\nCOMMIT\n";
        let late = "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -p tcp --dport 6379 -j DROP\nCOMMIT\n";
        let ports = |rules: &str| {
            let (firewall, _) = judged(&format!("{UFW}{rules}"), &format!("{UFW}{rules}"));
            firewall.published.iter().map(|published| published.port).collect::<Vec<_>>()
        };
        assert_eq!((ports(early), ports(late)), (vec![5432], vec![5432, 6379]));
    }

    #[test]
    fn owner_rules_say_who_may_ask_the_metadata_service() {
        use crate::observation::firewall::MetadataUsers::{Everybody, Only};
        let cases = [
            ("-A OUTPUT -d 100.100.100.200/32 -p tcp -m owner ! --uid-owner 0 -j DROP", Only(vec![0])),
            (
                "-A OUTPUT -d 100.100.100.0/24 -m owner --uid-owner 0-2 -j ACCEPT\n-A OUTPUT -d 100.100.100.200/32 -j REJECT",
                Only(vec![0, 1, 2]),
            ),
            ("-A OUTPUT ! -d 100.100.100.200/32 -j DROP", Everybody),
            ("-A OUTPUT -o lo -j DROP", Everybody),
        ];
        for (rules, expected) in cases {
            let (firewall, defects) = judged(&format!("*filter\n:OUTPUT ACCEPT [0:0]\n{rules}\nCOMMIT\n"), "");
            assert_eq!((firewall.metadata, defects), (expected, 0), "{rules}");
        }
    }

    /// Fifteen chains that each ask the next one twice, with `last` in the last.
    fn doubling(table: &str, hook: &str, last: &str) -> String {
        let mut text = format!("*{table}\n:{hook} ACCEPT [0:0]\n-A {hook} -j c0\n");
        for chain in 0..14 {
            text.push_str(&format!("-A c{chain} -j c{0}\n-A c{chain} -j c{0}\n", chain + 1));
        }
        text + &format!(":c14 - [0:0]\n-A c14 {last}\n")
    }

    #[test]
    fn rules_made_to_be_expensive_are_cheap() {
        // Unbounded, these take minutes and more memory than hosts have.
        let ports = (1..2000).map(|port| format!("{}", port * 2)).collect::<Vec<_>>().join(",");
        let (firewall, _) =
            judged(&doubling("filter", "INPUT", &format!("-p tcp --dports {ports} -m mark -j DROP")), "");
        assert_eq!(firewall.accepts(Protocol::Tcp, 3998), None);
        let nat = doubling("nat", "PREROUTING", "--dports 1:4096 -j DNAT --to-destination 10.0.0.1");
        assert_eq!(judged(&nat, "").0.published.len(), 8192);
        let named = (1..2000).map(|port| format!("-A INPUT -p tcp --dport {port} -j ACCEPT\n")).collect::<String>();
        let open = format!("*filter\n:INPUT DROP [0:0]\n{named}-A INPUT --dports 0:65535 -j ACCEPT\n");
        assert_eq!(judged(&open, &open).0.default_accepts, Some(true));
    }
}
