//! nftables rules, from the JSON of `nft -j list ruleset` (`libnftables-json(5)`).

use std::net::IpAddr;

use serde_json::Value;

use super::Defect;
use super::ruleset::{Action, ChainId, Family, Hook, Net, Range, Rule, Ruleset, Test};
use crate::observation::socket::Protocol;

/// What was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Read {
    /// The chains.
    pub rules: Ruleset,
    /// Tables that iptables wrote with extensions that nft cannot show: family and name. `iptables-save` can.
    pub extensions: Vec<(Family, String)>,
}

/// The priority at which destinations are translated (`NF_IP_PRI_NAT_DST`).
const TRANSLATION: i64 = -100;

/// Named sets, by family, table and name.
type Sets<'v> = Vec<(ChainId, &'v Value)>;

/// Reads the whole answer. What is not understood of a rule makes it hold perhaps, or end somehow: never nothing.
pub fn read(bytes: &[u8]) -> (Read, Vec<Defect>) {
    let mut out = Read::default();
    let root: Value = match serde_json::from_slice(bytes) {
        Ok(root) => root,
        Err(error) => {
            let line = u32::try_from(error.line()).unwrap_or(u32::MAX);
            return (out, vec![Defect { line, what: "not the JSON that nft writes".to_owned() }]);
        }
    };
    let Some(items) = root.get("nftables").and_then(Value::as_array) else {
        return (out, vec![Defect { line: 1, what: "not the JSON that nft writes".to_owned() }]);
    };
    let named = |kind: &str| items.iter().filter_map(move |item| item.get(kind)).collect::<Vec<_>>();
    let sets: Sets<'_> =
        [named("set"), named("map")].concat().into_iter().filter_map(|set| Some((id(set, "name")?, set))).collect();
    for chain in named("chain") {
        let Some(id) = id(chain, "name") else { continue };
        let entry = out.rules.chains.entry(id).or_default();
        let word = |key: &str| chain.get(key).and_then(Value::as_str);
        entry.hook = match (word("type"), word("hook")) {
            (Some("filter"), Some("prerouting")) if early(chain) => Some(Hook::Early),
            (Some("filter"), Some("input" | "prerouting")) => Some(Hook::Input),
            (Some("filter" | "route"), Some("output")) | (Some("filter"), Some("postrouting")) => Some(Hook::Output),
            (Some("nat"), Some("prerouting")) => Some(Hook::Translation),
            _ => None,
        };
        entry.drops = word("policy") == Some("drop");
    }
    for rule in named("rule") {
        let Some(id) = id(rule, "chain") else { continue };
        let expressions = rule.get("expr").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        if expressions.iter().any(|expression| expression.get("xt").is_some()) {
            let table = (id.0, id.1.clone());
            if !out.extensions.contains(&table) {
                out.extensions.push(table);
            }
        }
        let read = Reading { id: &id, sets: &sets }.rule(expressions);
        out.rules.chains.entry(id).or_default().rules.push(read);
    }
    (out, Vec::new())
}

/// Whether a chain comes before destinations are translated.
fn early(chain: &Value) -> bool {
    chain.get("prio").and_then(Value::as_i64).is_some_and(|priority| priority < TRANSLATION)
}

fn id(item: &Value, name: &str) -> Option<ChainId> {
    let word = |key: &str| item.get(key).and_then(Value::as_str);
    let family = match word("family")? {
        "ip" => Family::V4,
        "ip6" => Family::V6,
        "inet" => Family::Both,
        _ => return None,
    };
    Some((family, word("table")?.to_owned(), word(name)?.to_owned()))
}

struct Reading<'v> {
    id: &'v ChainId,
    sets: &'v Sets<'v>,
}

impl Reading<'_> {
    fn rule(&self, expressions: &[Value]) -> Rule {
        let mut rule = Rule { tests: Vec::new(), action: Action::Nothing };
        for expression in expressions {
            let Some((kind, value)) = expression.as_object().and_then(|object| object.iter().next()) else { continue };
            match kind.as_str() {
                "match" => rule.tests.push(self.test(value)),
                "counter" | "log" | "comment" | "mangle" | "quota" | "notrack" | "ct helper" | "ct timeout" => {}
                "vmap" => rule.action = self.verdict_map(value),
                _ => match verdict(kind, value) {
                    Some(action) => rule.action = action,
                    None => rule.tests.push(Test::Perhaps),
                },
            }
        }
        rule
    }

    fn test(&self, value: &Value) -> Test {
        let negated = value.get("op").and_then(Value::as_str) == Some("!=");
        let (Some(left), Some(right)) = (value.get("left"), value.get("right")) else { return Test::Perhaps };
        let ordered = value.get("op").and_then(Value::as_str).filter(|op| matches!(*op, "<" | ">" | "<=" | ">="));
        if let Some(op) = ordered {
            let user = matches!(key(left), Key::Owner).then(|| users_beyond(op, right)).flatten();
            return user.map_or(Test::Perhaps, |range| Test::Owner(range.into_iter().collect(), false));
        }
        match key(left) {
            Key::Owner => users(right).map_or(Test::Perhaps, |users| Test::Owner(users, negated)),
            Key::OutInterface => match words(right).as_slice() {
                ["lo"] => sure(false, negated),
                _ => Test::Perhaps,
            },
            Key::Port(protocol) => {
                self.ports(right).map_or(Test::Perhaps, |ranges| Test::Ports(protocol, ranges, negated))
            }
            Key::Protocol => protocols(right).map_or(Test::Perhaps, |these| Test::Protocols(these, negated)),
            // The packet in question opens a connection and was not translated.
            Key::State => sure(words(right).contains(&"new"), negated),
            Key::Status => sure(false, negated),
            Key::Interface => match words(right).as_slice() {
                ["lo"] => sure(false, negated),
                _ => Test::Perhaps,
            },
            // `fib saddr … oif missing`: a source that could not be answered, which is a forged one.
            Key::ReversePath => Test::Never,
            Key::LocalDestination => match words(right).as_slice() {
                ["local"] => Test::ToHost(negated),
                _ => Test::Perhaps,
            },
            Key::Destination => self.nets(right).map_or(Test::Perhaps, |nets| Test::Destination(nets, negated)),
            Key::Source if is_loopback(right) => sure(false, negated),
            Key::Source => self.nets(right).map_or(Test::Perhaps, |nets| Test::Source(nets, negated)),
            // The packet in question is a SYN.
            Key::Flags(mask) => {
                let expected = if mask.contains(&"syn") { &["syn"][..] } else { &[] };
                if (words(right) == expected) != negated {
                    Test::Protocols(vec![Protocol::Tcp], false)
                } else {
                    Test::Never
                }
            }
            Key::Other => Test::Perhaps,
        }
    }

    /// Ports of a value: one, a range, a set, a named set. None: something else, or a set that fills at run time.
    fn ports(&self, value: &Value) -> Option<Vec<Range>> {
        self.each(value, range)
    }

    /// Networks of a value, in the same forms; address ranges are something else.
    fn nets(&self, value: &Value) -> Option<Vec<Net>> {
        self.each(value, net)
    }

    fn each<T>(&self, value: &Value, one: impl Fn(&Value) -> Option<T>) -> Option<Vec<T>> {
        if let Some(name) = value.as_str().and_then(|word| word.strip_prefix('@')) {
            let set = self.set(name)?;
            return elements(set.get("elem"), one);
        }
        match value.get("set") {
            Some(set) => elements(Some(set), one),
            None => Some(vec![one(value)?]),
        }
    }

    fn set(&self, name: &str) -> Option<&Value> {
        let (_, set) = self.sets.iter().find(|(id, _)| id.0 == self.id.0 && id.1 == self.id.1 && id.2 == name)?;
        let flags = set.get("flags").map(words).unwrap_or_default();
        (!flags.contains(&"dynamic") && !flags.contains(&"timeout")).then_some(set)
    }

    fn verdict_map(&self, value: &Value) -> Action {
        let cases = || {
            let data = value.get("data")?;
            let named = data.as_str().and_then(|word| word.strip_prefix('@'));
            let items = named.map_or_else(|| data.get("set"), |name| self.set(name)?.get("elem"))?.as_array()?;
            let case = |item: &Value| {
                let (key, action) = (item.get(0)?, item.get(1)?.as_object()?.iter().next()?);
                Some((key.clone(), verdict(action.0, action.1)?))
            };
            items.iter().map(case).collect::<Option<Vec<_>>>()
        };
        let (Some(of), Some(cases)) = (value.get("key").map(key), cases()) else { return Action::Opaque };
        match of {
            Key::Port(protocol) => {
                let cases = cases.iter().map(|(key, action)| Some((vec![range(key)?], action.clone())));
                cases.collect::<Option<Vec<_>>>().map_or(Action::Opaque, |cases| Action::ByPort(protocol, cases))
            }
            Key::State => {
                let new = cases.into_iter().find(|(key, _)| words(key).contains(&"new"));
                new.map_or(Action::Nothing, |(_, action)| action)
            }
            // Loopback is not the interface in question; for all others one verdict would have to hold.
            Key::Interface if cases.iter().all(|(key, _)| words(key) == ["lo"]) => Action::Nothing,
            _ => Action::Opaque,
        }
    }
}

fn elements<T>(list: Option<&Value>, one: impl Fn(&Value) -> Option<T>) -> Option<Vec<T>> {
    match list {
        None => Some(Vec::new()),
        Some(Value::Array(items)) => items.iter().map(one).collect(),
        Some(item) => Some(vec![one(item)?]),
    }
}

/// What a condition is about.
enum Key<'v> {
    /// TCP flags under this mask.
    Flags(Vec<&'v str>),
    Port(Option<Protocol>),
    Protocol,
    State,
    Status,
    Interface,
    ReversePath,
    LocalDestination,
    Source,
    Destination,
    OutInterface,
    Owner,
    Other,
}

fn key(left: &Value) -> Key<'_> {
    if let Some([what, mask]) = left.get("&").and_then(Value::as_array).map(Vec::as_slice)
        && what.get("payload").and_then(|payload| payload.get("field")).and_then(Value::as_str) == Some("flags")
    {
        let mut flags = Vec::new();
        each_word(mask, &mut flags, 0);
        return Key::Flags(flags);
    }
    let word = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    if let Some(payload) = left.get("payload") {
        return match (word(payload, "protocol").as_str(), word(payload, "field").as_str()) {
            ("tcp", "dport") => Key::Port(Some(Protocol::Tcp)),
            ("udp", "dport") => Key::Port(Some(Protocol::Udp)),
            ("th", "dport") => Key::Port(None),
            ("ip", "protocol") | ("ip6", "nexthdr") => Key::Protocol,
            ("ip" | "ip6", "saddr") => Key::Source,
            ("ip" | "ip6", "daddr") => Key::Destination,
            _ => Key::Other,
        };
    }
    if let Some(meta) = left.get("meta") {
        return match word(meta, "key").as_str() {
            "l4proto" => Key::Protocol,
            "iif" | "iifname" => Key::Interface,
            "oif" | "oifname" => Key::OutInterface,
            "skuid" => Key::Owner,
            _ => Key::Other,
        };
    }
    if let Some(ct) = left.get("ct") {
        return match word(ct, "key").as_str() {
            "state" => Key::State,
            "status" => Key::Status,
            _ => Key::Other,
        };
    }
    if let Some(fib) = left.get("fib") {
        let flags = fib.get("flags").map(words).unwrap_or_default();
        return match word(fib, "result").as_str() {
            "oif" | "oifname" if flags.contains(&"saddr") => Key::ReversePath,
            "type" if flags.contains(&"daddr") => Key::LocalDestination,
            _ => Key::Other,
        };
    }
    Key::Other
}

fn sure(holds: bool, negated: bool) -> Test {
    // "None of no protocols" always holds.
    if holds != negated { Test::Protocols(Vec::new(), true) } else { Test::Never }
}

/// One word, a list, or a set of them.
fn words(value: &Value) -> Vec<&str> {
    match value {
        Value::String(word) => vec![word],
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
        other => other.get("set").map(words).unwrap_or_default(),
    }
}

/// The words of a list, or of `|` within `|`, as older versions write it.
fn each_word<'v>(value: &'v Value, out: &mut Vec<&'v str>, depth: usize) {
    match value {
        Value::String(word) => out.push(word),
        Value::Array(items) if depth < 16 => items.iter().for_each(|item| each_word(item, out, depth + 1)),
        Value::Object(object) if depth < 16 => {
            object.get("|").into_iter().for_each(|item| each_word(item, out, depth + 1));
        }
        _ => {}
    }
}

fn protocols(value: &Value) -> Option<Vec<Protocol>> {
    let words = words(value);
    let known = words.iter().filter_map(|word| match *word {
        "tcp" => Some(Protocol::Tcp),
        "udp" => Some(Protocol::Udp),
        _ => None,
    });
    (!words.is_empty()).then(|| known.collect())
}

fn range(value: &Value) -> Option<Range> {
    let number = |value: &Value| u16::try_from(value.as_u64()?).ok();
    if let Some(element) = value.get("elem").and_then(|element| element.get("val")) {
        return range(element);
    }
    match value.get("range") {
        Some(ends) => Some((number(ends.get(0)?)?, number(ends.get(1)?)?)),
        None => number(value).map(|port| (port, port)),
    }
}

/// One address or network.
fn net(value: &Value) -> Option<Net> {
    if let Some(element) = value.get("elem").and_then(|element| element.get("val")) {
        return net(element);
    }
    if let Some(prefix) = value.get("prefix") {
        let address: IpAddr = prefix.get("addr")?.as_str()?.parse().ok()?;
        return Some((address, u8::try_from(prefix.get("len")?.as_u64()?).ok()?));
    }
    let address: IpAddr = value.as_str()?.parse().ok()?;
    Some((address, if address.is_ipv4() { 32 } else { 128 }))
}

/// User ids of a value: one, a range, a set. nft shows numbers unless it is asked for names.
fn users(value: &Value) -> Option<Vec<(u32, u32)>> {
    let number = |value: &Value| u32::try_from(value.as_u64()?).ok();
    let one = |value: &Value| match value.get("range") {
        Some(ends) => Some((number(ends.get(0)?)?, number(ends.get(1)?)?)),
        None => number(value).map(|uid| (uid, uid)),
    };
    match value.get("set") {
        Some(set) => elements(Some(set), one),
        None => Some(vec![one(value)?]),
    }
}

/// The ids above or below one: None inside where there are none, None outside where it is no number.
fn users_beyond(op: &str, value: &Value) -> Option<Option<(u32, u32)>> {
    let uid = u32::try_from(value.as_u64()?).ok()?;
    Some(match op {
        ">=" => Some((uid, u32::MAX)),
        ">" => uid.checked_add(1).map(|low| (low, u32::MAX)),
        "<=" => Some((0, uid)),
        _ => uid.checked_sub(1).map(|high| (0, high)),
    })
}

fn is_loopback(value: &Value) -> bool {
    let address = value.as_str().or_else(|| value.get("prefix")?.get("addr")?.as_str());
    address.and_then(|word| word.parse::<IpAddr>().ok()).is_some_and(|address| address.is_loopback())
}

/// A verdict statement. None: not one.
fn verdict(kind: &str, value: &Value) -> Option<Action> {
    let target = || value.get("target").and_then(Value::as_str).map(str::to_owned);
    match kind {
        "accept" => Some(Action::Accept),
        "drop" | "reject" => Some(Action::Drop),
        "return" => Some(Action::Return),
        "jump" => target().map(Action::Jump),
        "goto" => target().map(Action::Goto),
        "dnat" | "redirect" => {
            let part = |key: &str| match value.get(key) {
                Some(Value::String(word)) => word.clone(),
                Some(Value::Number(number)) => number.to_string(),
                Some(_) => "…".to_owned(),
                None => String::new(),
            };
            Some(Action::Translate(format!("{}:{}", part("addr"), part("port"))))
        }
        "queue" | "tproxy" | "fwd" | "synproxy" => Some(Action::Opaque),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::firewall::Firewall;

    fn judged(json: &[u8]) -> Firewall {
        let (read, defects) = read(json);
        assert_eq!(defects, []);
        assert_eq!(read.extensions, []);
        read.rules.judge("nftables")
    }

    #[test]
    fn a_rule_set_of_every_kind_is_judged_port_by_port() {
        let firewall = judged(include_bytes!("nft/ruleset.json"));
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
            (Tcp, 700, None),
        ];
        for (protocol, port, expected) in cases {
            assert_eq!(firewall.accepts(protocol, port), expected, "{protocol:?} {port}");
        }
        let published: Vec<_> =
            firewall.published.iter().map(|p| (p.port, p.to.as_str(), p.address.map(|a| a.to_string()))).collect();
        assert_eq!(
            published,
            [(81, ":8081", None), (443, "10.0.0.1:6443", Some("10.96.0.1".to_owned())), (8080, "172.17.0.2:80", None)]
        );
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
            format!(
                r#"{{"match":{{"op":"==","left":{{"payload":{{"protocol":"ip","field":"daddr"}}}},"right":{right}}}}}"#
            )
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
                vec![
                    rule(&[&other, &by("!=", "0"), drop]),
                    rule(&[elsewhere, drop]),
                    rule(&[&service, &port(443), drop]),
                ],
                Everybody,
            ),
            (vec![rule(&[&service, group, accept]), rule(&[&service, drop])], Unknown),
            (vec![rule(&[&service, &by("==", r#""www-data""#), drop])], Unknown),
        ];
        for (rules, expected) in cases {
            let chain = r#"{"chain":{"family":"inet","table":"t","name":"o","type":"filter","hook":"output","policy":"accept"}}"#;
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
            let chain = r#"{"chain":{"family":"inet","table":"t","name":"i","type":"filter","hook":"input","policy":"accept"}}"#;
            judged(
                format!(
                    r#"{{"nftables":[{chain},{{"rule":{{"family":"inet","table":"t","chain":"i","expr":{expr}}}}}]}}"#
                )
                .as_bytes(),
            )
        };
        for expr in [
            r#"[{"future":{}},{"drop":null}]"#,
            r#"[{"match":{"op":"==","left":{"socket":{"key":"mark"}},"right":1}},{"drop":null}]"#,
            r#"[{"vmap":{"key":{"meta":{"key":"mark"}},"data":{"set":[[1,{"drop":null}]]}}}]"#,
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
}
