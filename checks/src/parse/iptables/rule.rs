//! One rule of iptables-save, in the form that packets are asked by.

use std::net::IpAddr;

use super::super::ruleset::{Action, Family, Field, Key, MarkOf, Net, Part, Range, Rule, Set, Span, Target, Test};
use crate::observation::socket::Protocol;

pub(super) fn read(words: &[String], family: Family, at: u64) -> Rule {
    let mut reading = Reading { words, at: 0, family, protocol: None, parts: Vec::new() };
    let action = reading.options();
    Rule { parts: reading.parts, action, at }
}

struct Reading<'w> {
    words: &'w [String],
    at: usize,
    family: Family,
    protocol: Option<Protocol>,
    parts: Vec<Part>,
}

impl<'w> Reading<'w> {
    fn next(&mut self) -> Option<&'w str> {
        let word = self.words.get(self.at).map(String::as_str);
        self.at += 1;
        word
    }

    fn test(&mut self, test: Test) {
        self.parts.push(Part::Test(test));
    }

    fn is(&mut self, field: Field, spans: Option<Vec<Span>>, not: bool) {
        let spans = spans.unwrap_or_else(|| vec![Span::Unknown]);
        self.test(Test::is(field, spans, not));
    }

    fn options(&mut self) -> Action {
        let mut negated = false;
        while let Some(option) = self.next() {
            if option == "!" {
                negated = true;
                continue;
            }
            let not = std::mem::take(&mut negated);
            match option {
                "-j" | "-g" => {
                    let target = self.next().unwrap_or_default();
                    return self.target(target, option == "-g");
                }
                // Which extension is asked; its own options follow. Where none of them is known, it asks what is not modelled.
                "-m" | "--match" => {
                    let name = self.next().unwrap_or_default();
                    self.extension(name);
                }
                option if !option.starts_with('-') || self.plain(option, not) || self.extended(option, not) => {}
                option => self.test(Test::Perhaps(option.to_owned())),
            }
        }
        Action::Nothing
    }

    /// Extensions that are understood by their options, or that ask nothing.
    fn extension(&mut self, name: &str) {
        match name {
            "tcp" | "udp" | "multiport" | "comment" | "conntrack" | "state" | "addrtype" | "owner" | "mark"
            | "recent" | "connmark" | "iprange" | "limit" | "hashlimit" | "statistic" | "connlimit" | "pkttype"
            | "policy" | "set" => {}
            // Other protocols.
            "icmp" | "icmp6" | "sctp" | "dccp" => {}
            // Headers that the packet in question need not have.
            "rt" | "frag" | "dst" | "hbh" | "mh" | "ah" | "esp" => self.test(Test::Never),
            // An answer to the source would leave by the interface that the packet came by.
            "rpfilter" => self.is(Field::ReverseRoute, Some(vec![Span::number(1_u8)]), self.inverted()),
            other => self.test(Test::Perhaps(format!("-m {other}"))),
        }
    }

    fn inverted(&self) -> bool {
        self.words.iter().any(|word| word == "--invert")
    }

    /// What every rule may ask.
    fn plain(&mut self, option: &str, not: bool) -> bool {
        match option {
            "-p" | "--protocol" => {
                let word = self.next().unwrap_or_default();
                let protocol = match word {
                    "tcp" | "6" => Some((Protocol::Tcp, "tcp")),
                    "udp" | "17" => Some((Protocol::Udp, "udp")),
                    _ => None,
                };
                self.protocol = protocol.map(|(protocol, _)| protocol).filter(|_| !not);
                // 0 is every protocol.
                if !matches!(word, "all" | "0") {
                    let word = protocol.map_or(word, |(_, word)| word);
                    self.test(Test::is(Field::Protocol, [Span::word(word)], not));
                }
            }
            "-i" | "--in-interface" => self.interface(Field::InInterface, not),
            "-o" | "--out-interface" => self.interface(Field::OutInterface, not),
            "-s" | "--source" => self.address(Field::Source(self.family), not),
            "-d" | "--destination" => self.address(Field::Destination(self.family), not),
            // Fragments: the first packet of a connection is none.
            "-f" | "--fragment" => self.is(Field::Direction, Some(vec![Span::word("fragment")]), not),
            _ => return false,
        }
        true
    }

    fn interface(&mut self, field: Field, not: bool) {
        let name = self.next().unwrap_or_default();
        let span = name.strip_suffix('+').map_or_else(|| Span::word(name), |begin| Span::Prefix(begin.into()));
        self.test(Test::is(field, [span], not));
    }

    fn address(&mut self, field: Field, not: bool) {
        let spans = self.next().and_then(net).map(|net| vec![Span::net(net)]);
        self.is(field, spans, not);
    }

    /// What extensions ask.
    fn extended(&mut self, option: &str, not: bool) -> bool {
        let family = self.family;
        match option {
            "--dport" | "--destination-port" | "--dports" | "--destination-ports" => {
                let ranges = self.next().and_then(ports);
                self.is(Field::Port(self.protocol), ranges, not);
            }
            "--sport" | "--source-port" | "--sports" | "--source-ports" => {
                let ranges = self.next().and_then(ports);
                self.is(Field::SourcePort(self.protocol), ranges, not);
            }
            "--ports" => {
                self.next();
                self.test(Test::Perhaps(option.to_owned()));
            }
            "--ctstate" | "--state" => {
                let states = self.next().unwrap_or_default();
                self.state(states, not);
            }
            "--ctstatus" => {
                self.next();
                self.test(Test::Perhaps(option.to_owned()));
            }
            "--ctdir" => {
                let original = self.next() == Some("ORIGINAL");
                self.is(Field::Direction, Some(vec![Span::word(if original { "original" } else { "reply" })]), not);
            }
            "--ctorigdst" => self.address(Field::OriginalDestination(family), not),
            "--ctorigsrc" => self.address(Field::OriginalSource(family), not),
            "--ctorigdstport" => {
                let ranges = self.next().and_then(ports);
                self.is(Field::OriginalPort, ranges, not);
            }
            // The packet in question is a SYN.
            "--syn" => self.flags("SYN,RST,ACK,FIN", "SYN", not),
            "--tcp-flags" => {
                let (mask, set) = (self.next().unwrap_or_default(), self.next().unwrap_or_default());
                self.flags(mask, set, not);
            }
            "--tcp-option" | "--icmp-type" | "--icmpv6-type" => {
                self.next();
                self.test(Test::Perhaps(option.to_owned()));
            }
            "--dst-type" => self.kind(Field::DestinationType, not),
            "--src-type" => self.kind(Field::SourceType, not),
            "--uid-owner" => {
                let users = self.next().and_then(|text| span(text, '-'));
                self.is(Field::Owner, users.map(|span| vec![span]), not);
            }
            "--mark" => self.mark(not),
            "--src-range" => self.range(Field::Source(family), not),
            "--dst-range" => self.range(Field::Destination(family), not),
            "--pkt-type" => {
                let kind = self.next().unwrap_or_default();
                let kind = if kind == "unicast" { "host" } else { kind };
                self.is(Field::PacketType, Some(vec![Span::word(kind)]), not);
            }
            "--pol" => {
                let none = self.next() == Some("none");
                self.is(Field::Extra, Some(vec![Span::number(u8::from(!none))]), not);
            }
            // Which sets there are, ipset knows.
            "--match-set" => {
                let name = self.next().unwrap_or_default();
                self.next();
                self.test(Test::Perhaps(format!("--match-set {name}")));
            }
            // Who came too often is listed; without a number, whoever came at all.
            "--update" | "--rcheck" => {
                let often = !not && self.words.iter().any(|word| word == "--hitcount");
                self.test(if often { Test::Sometimes } else { Test::Perhaps("-m recent".to_owned()) });
            }
            // What is asked now and then.
            "--limit" | "--hashlimit-upto" | "--hashlimit-above" | "--hashlimit" | "--probability" | "--every"
            | "--connlimit-above" | "--connlimit-upto" => {
                self.next();
                self.test(Test::Sometimes);
            }
            // What only says how it is asked.
            "--comment"
            | "--seconds"
            | "--hitcount"
            | "--name"
            | "--mask"
            | "--limit-burst"
            | "--mode"
            | "--packet"
            | "--connlimit-mask"
            | "--dir"
            | "--proto"
            | "--hashlimit-burst"
            | "--hashlimit-name"
            | "--hashlimit-mode"
            | "--hashlimit-srcmask"
            | "--hashlimit-dstmask"
            | "--hashlimit-htable-size"
            | "--hashlimit-htable-max"
            | "--hashlimit-htable-expire"
            | "--hashlimit-htable-gcinterval" => {
                self.next();
            }
            // It lists whoever comes, and holds for all of them.
            "--set" if !not => {}
            "--rsource" | "--rdest" | "--rttl" | "--reap" | "--connlimit-saddr" | "--connlimit-daddr" | "--invert"
            | "--loose" | "--validmark" | "--accept-local" | "--strict" | "--limit-iface-in" | "--limit-iface-out" => {}
            _ => return false,
        }
        true
    }

    /// A connection has any of these: its state, or that it was translated, which iptables asks for among the states.
    fn state(&mut self, states: &str, not: bool) {
        let bit = |state: &str| match state {
            "INVALID" => Some(1_u128),
            "ESTABLISHED" => Some(2),
            "RELATED" => Some(4),
            "NEW" => Some(8),
            "SNAT" => Some(16),
            "DNAT" => Some(32),
            "UNTRACKED" => Some(64),
            _ => None,
        };
        let Some(bits) = states.split(',').map(bit).try_fold(0, |bits, bit| Some(bits | bit?)) else {
            return self.test(Test::Perhaps(format!("--ctstate {states}")));
        };
        let key = Key { field: Field::States, mask: Some(bits) };
        let none = Set::of(std::iter::once(vec![Span::number(0_u8)]));
        self.test(Test::Is(vec![key], none.into(), !not));
    }

    fn flags(&mut self, mask: &str, set: &str, not: bool) {
        const FLAGS: [(&str, u128); 7] =
            [("FIN", 1), ("SYN", 2), ("RST", 4), ("PSH", 8), ("ACK", 16), ("URG", 32), ("ALL", 63)];
        let bits = |list: &str| {
            let named = FLAGS.iter().filter(|(name, _)| list.split(',').any(|flag| flag == *name));
            named.fold(0, |bits, (_, bit)| bits | bit)
        };
        self.test(Test::is(Field::Protocol, [Span::word("tcp")], false));
        let key = Key { field: Field::Flags, mask: Some(bits(mask)) };
        let set = Set::of(std::iter::once(vec![Span::number(bits(set))]));
        self.test(Test::Is(vec![key], set.into(), not));
    }

    fn kind(&mut self, field: Field, not: bool) {
        let kinds = self.next().unwrap_or_default().to_ascii_lowercase();
        self.is(field, Some(kinds.split(',').map(Span::word).collect()), not);
    }

    fn mark(&mut self, not: bool) {
        // The packet's mark and the connection's are asked by the same option, of two extensions.
        let connection =
            self.words.iter().take(self.at).rev().find(|word| word.ends_with("mark") && !word.starts_with('-'));
        let field = if connection.is_some_and(|word| word == "connmark") { Field::ConnectionMark } else { Field::Mark };
        let (value, mask) = self.next().and_then(masked).unzip();
        let key = Key { field, mask: mask.map(u128::from) };
        let set = value.map_or_else(Set::unknown, |value| Set::of(std::iter::once(vec![Span::number(value)])));
        self.test(Test::Is(vec![key], set.into(), not));
    }

    fn range(&mut self, field: Field, not: bool) {
        let ends = self.next().and_then(|text| text.split_once('-'));
        let ends = ends.and_then(|(low, high)| Some((low.parse::<IpAddr>().ok()?, high.parse::<IpAddr>().ok()?)));
        let span = ends.and_then(|(low, high)| match (Span::address(low), Span::address(high)) {
            (Span::Range(low, _), Span::Range(_, high)) => Some(Span::Range(low, high)),
            _ => None,
        });
        self.is(field, span.map(|span| vec![span]), not);
    }

    /// What follows the target belongs to it.
    fn target(&mut self, target: &str, goto: bool) -> Action {
        let rest = self.words.get(self.at..).unwrap_or_default();
        let value = |option: &str| {
            let at = rest.iter().position(|word| word == option)?;
            rest.get(at + 1).map(String::as_str)
        };
        let has = |option: &str| rest.iter().any(|word| word == option);
        match target {
            "ACCEPT" | "MASQUERADE" | "SNAT" => Action::Accept,
            "DROP" | "REJECT" | "TARPIT" => Action::Drop,
            "RETURN" => Action::Return,
            "DNAT" => Action::Translate(value("--to-destination").map_or(Target::Unknown, destination)),
            "REDIRECT" => Action::Translate(match value("--to-ports") {
                None => Target::Here(None),
                Some(port) => port.parse().map_or(Target::Unknown, |port| Target::Here(Some(port))),
            }),
            "MARK" | "CONNMARK" => {
                let (which, other) = if target == "MARK" {
                    (MarkOf::Packet, MarkOf::Connection)
                } else {
                    (MarkOf::Connection, MarkOf::Packet)
                };
                let set = value("--set-xmark").or_else(|| value("--set-mark")).and_then(masked);
                let set = set.map(|(flip, mask)| (which, !mask, flip));
                let full = |option: &str| value(option).is_none_or(|mask| mask == "0xffffffff");
                let copies = full("--nfmask") && full("--ctmask") && full("--mask");
                if has("--restore-mark") {
                    let new = copies.then_some((MarkOf::Connection, u32::MAX, 0));
                    self.parts.push(Part::Mark(MarkOf::Packet, new));
                } else if has("--save-mark") {
                    let new = copies.then_some((other, u32::MAX, 0));
                    self.parts.push(Part::Mark(which, new));
                } else {
                    self.parts.push(Part::Mark(which, set));
                }
                Action::Nothing
            }
            "NOTRACK" => self.untrack(),
            "CT" if has("--notrack") => self.untrack(),
            "LOG" | "NFLOG" | "ULOG" | "CT" | "AUDIT" | "TRACE" | "SET" | "TCPMSS" | "TOS" | "DSCP" | "TTL" | "HL"
            | "CHECKSUM" | "CLASSIFY" | "SECMARK" | "CONNSECMARK" | "TEE" | "RATEEST" | "IDLETIMER" => Action::Nothing,
            "QUEUE" | "NFQUEUE" | "TPROXY" | "SYNPROXY" | "NETMAP" | "HMARK" | "TCPOPTSTRIP" | "CLUSTERIP" => {
                Action::Opaque(target.to_owned())
            }
            chain if goto => Action::Goto(chain.to_owned()),
            chain => Action::Jump(chain.to_owned()),
        }
    }

    fn untrack(&mut self) -> Action {
        self.parts.push(Part::Untrack);
        Action::Nothing
    }
}

/// `PORT`, `PORT:PORT`, or several.
fn ports(text: &str) -> Option<Vec<Span>> {
    let range = |part: &str| -> Option<Range> {
        let (low, high) = part.split_once(':').unwrap_or((part, part));
        Some((
            if low.is_empty() { 0 } else { low.parse().ok()? },
            if high.is_empty() { u16::MAX } else { high.parse().ok()? },
        ))
    };
    let spans = text.split(',').map(|part| range(part).map(|(low, high)| Span::Range(low.into(), high.into())));
    spans.collect()
}

/// `ADDRESS/LENGTH`, as iptables-save writes it; a mask that is no prefix is something else.
fn net(text: &str) -> Option<Net> {
    let (address, length) = text.split_once('/').unwrap_or((text, ""));
    let address: IpAddr = address.parse().ok()?;
    let whole = if address.is_ipv4() { 32 } else { 128 };
    let length = if length.is_empty() { whole } else { length.parse().ok()? };
    (length <= whole).then_some((address, length))
}

/// `NUMBER` or two of them.
fn span(text: &str, between: char) -> Option<Span> {
    let (low, high) = text.split_once(between).unwrap_or((text, text));
    Some(Span::Range(low.parse::<u32>().ok()?.into(), high.parse::<u32>().ok()?.into()))
}

/// `VALUE` or `VALUE/MASK`, in hexadecimal as iptables-save writes them.
fn masked(text: &str) -> Option<(u32, u32)> {
    let number = |text: &str| match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    };
    match text.split_once('/') {
        Some((value, mask)) => Some((number(value)?, number(mask)?)),
        None => Some((number(text)?, u32::MAX)),
    }
}

/// `ADDRESS`, `ADDRESS:PORT`, `[ADDRESS]:PORT` or `:PORT`. Ranges are something else.
fn destination(text: &str) -> Target {
    if let Ok(address) = text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
        return Target::To(address, None);
    }
    let Some((address, port)) = text.rsplit_once(':') else { return Target::Unknown };
    let Ok(port) = port.parse() else { return Target::Unknown };
    if address.is_empty() {
        return Target::Port(port);
    }
    let address = address.trim_start_matches('[').trim_end_matches(']').parse();
    address.map_or(Target::Unknown, |address| Target::To(address, Some(port)))
}
