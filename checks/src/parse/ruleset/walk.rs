//! A packet's walk through the chains of one hook, along every way that it may take.

use std::net::IpAddr;

use super::model::{Action, Case, Cases, Chain, ChainId, Key, Part, Rule, Ruleset, Target, Test};
use super::packet::Packet;
use super::values::{Set, Span, Value, row_holds};
use super::{DEPTH, Holds};

/// A rule on whose meaning the answer hangs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Doubt<'r> {
    chain: &'r ChainId,
    at: u64,
    what: &'r str,
}

impl<'r> Doubt<'r> {
    /// About a chain as a whole.
    pub(super) fn chain(chain: &'r ChainId, what: &'r str) -> Self {
        Self { chain, at: 0, what }
    }

    /// The rule, as its program names it, and what of it is not understood.
    pub(super) fn text(&self) -> String {
        let (family, table, chain) = self.chain;
        let rule = if self.at == 0 { String::new() } else { format!(" {}", self.at) };
        format!("{} {table} {chain}{rule}: {}", family.word(), self.what)
    }
}

/// A packet on its way. With a doubt it is here only if that rule means one thing and not the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct State<'r> {
    pub(super) packet: Packet<'r>,
    pub(super) doubt: Option<Doubt<'r>>,
}

impl<'r> State<'r> {
    /// The same, only perhaps.
    pub(super) fn doubted(self, doubt: Doubt<'r>) -> Self {
        Self { doubt: self.doubt.or(Some(doubt)), ..self }
    }
}

/// Two ways that meet: certain where one of them is.
fn join<'r>(a: Option<State<'r>>, b: Option<State<'r>>) -> Option<State<'r>> {
    match (a, b) {
        (Some(a), Some(b)) => {
            let doubt = if b.doubt.is_none() { None } else { a.doubt };
            Some(State { packet: a.packet.join(b.packet), doubt })
        }
        (a, b) => a.or(b),
    }
}

/// Translations looked at for one packet.
const MOST_TRANSLATIONS: usize = 8;

/// What may become of the packet in a chain.
#[derive(Debug, Default)]
pub(super) struct Ways<'r> {
    pub(super) accept: Option<State<'r>>,
    pub(super) drop: bool,
    pub(super) translated: Vec<State<'r>>,
    /// How often any of them was found.
    told: usize,
}

impl<'r> Ways<'r> {
    fn accept(&mut self, state: State<'r>) {
        self.told += 1;
        self.accept = join(self.accept, Some(state));
    }

    fn drop(&mut self) {
        self.told += 1;
        self.drop = true;
    }

    fn translate(&mut self, state: State<'r>) {
        self.told += 1;
        if !self.translated.contains(&state) && self.translated.len() < MOST_TRANSLATIONS {
            self.translated.push(state);
        }
    }
}

/// One walk.
pub(super) struct Walk<'r> {
    pub(super) rules: &'r Ruleset,
    pub(super) steps: usize,
    pub(super) limit: usize,
    pub(super) ways: Ways<'r>,
}

/// Where a packet goes on: with the next rule, with the chain that called.
type On<'r> = (Option<State<'r>>, Option<State<'r>>);

impl<'r> Walk<'r> {
    /// Passes a chain that hangs in the kernel, with its policy.
    pub(super) fn base(&mut self, id: &'r ChainId, chain: &'r Chain, state: State<'r>) {
        if let Some(back) = self.chain(id, state, 0) {
            if chain.drops { self.ways.drop() } else { self.ways.accept(back) }
        }
    }

    /// Passes a chain; the state in which the packet may come back from it undecided.
    fn chain(&mut self, id: &'r ChainId, state: State<'r>, depth: usize) -> Option<State<'r>> {
        let chain = self.rules.chains.get(id).filter(|_| depth < DEPTH);
        let Some(chain) = chain else {
            return self.anything(state, Doubt { chain: id, at: 0, what: "no such chain, or too deep" });
        };
        let (mut here, mut back) = (Some(state), None);
        for rule in &chain.rules {
            let Some(state) = here else { break };
            self.steps += 1;
            if self.steps > self.limit {
                let too_many = Doubt { chain: id, at: rule.at, what: "too many rules to follow" };
                return self.anything(state, too_many);
            }
            // Most rules do not hold, and are told by their first test.
            if let Some(Part::Test(test)) = rule.parts.first()
                && state.packet.meets(test) == Holds::No
            {
                self.steps += cost(test);
                continue;
            }
            let (on, returned) = self.rule(rule, id, state, depth);
            here = on;
            back = join(back, returned);
        }
        join(back, here)
    }

    fn rule(&mut self, rule: &'r Rule, id: &'r ChainId, state: State<'r>, depth: usize) -> On<'r> {
        let (mut within, mut missed, mut open) = (state, None, false);
        for part in &rule.parts {
            let Part::Test(test) = part else {
                within.packet.apply(part);
                continue;
            };
            self.steps += cost(test);
            match within.packet.meets(test) {
                Holds::Yes => {}
                // Whatever the tests before it mean, the next rule follows.
                Holds::No => {
                    let on = join(missed, Some(within)).map(|on| State { doubt: state.doubt, ..on });
                    return (on, None);
                }
                Holds::Sometimes => missed = join(missed, Some(within)),
                Holds::Perhaps => {
                    within = within.doubted(Doubt { chain: id, at: rule.at, what: describe(test) });
                    missed = join(missed, Some(within));
                    open = true;
                }
            }
        }
        let told = self.ways.told;
        let (on, back) = self.act(&rule.action, id, rule.at, within, depth);
        let on = match (missed, on) {
            // Whichever way it goes, nothing comes of it.
            (Some(missed), Some(on))
                if open && told == self.ways.told && missed.packet == on.packet && back.is_none() =>
            {
                Some(State { doubt: state.doubt, ..on })
            }
            (missed, on) => join(missed, on),
        };
        (on, back)
    }

    fn act(&mut self, action: &'r Action, id: &'r ChainId, at: u64, state: State<'r>, depth: usize) -> On<'r> {
        match action {
            Action::Nothing => (Some(state), None),
            Action::Accept => {
                self.ways.accept(state);
                (None, None)
            }
            Action::Drop => {
                self.ways.drop();
                (None, None)
            }
            Action::Return => (None, Some(state)),
            Action::Jump(name) => (self.call(id, name, at, state, depth), None),
            Action::Goto(name) => (None, self.call(id, name, at, state, depth)),
            Action::Opaque(what) => (self.anything(state, Doubt { chain: id, at, what }), None),
            Action::Translate(target) => (self.translate(target, id, at, state), None),
            Action::Map(keys, cases) => self.choose(keys, cases, id, at, state, depth),
        }
    }

    fn call(&mut self, id: &'r ChainId, name: &'r str, at: u64, state: State<'r>, depth: usize) -> Option<State<'r>> {
        let other = (id.0, id.1.clone(), name.to_owned());
        match self.rules.chains.get_key_value(&other) {
            Some((other, _)) => self.chain(other, state, depth + 1),
            None => self.anything(state, Doubt { chain: id, at, what: "goes on in a chain that is not there" }),
        }
    }

    /// Accepts, drops, and goes on: whichever it is.
    fn anything(&mut self, state: State<'r>, doubt: Doubt<'r>) -> Option<State<'r>> {
        let state = state.doubted(doubt);
        self.ways.accept(state);
        self.ways.drop();
        Some(state)
    }

    fn choose(
        &mut self,
        keys: &'r [Key],
        cases: &'r Cases,
        id: &'r ChainId,
        at: u64,
        state: State<'r>,
        depth: usize,
    ) -> On<'r> {
        let Cases::Here(rows) = cases else {
            return (self.anything(state, Doubt { chain: id, at, what: "a map that is not there" }), None);
        };
        self.steps += rows.len() / 8;
        let (mut on, mut back, mut state) = (None, None, state);
        let packet = state.packet;
        let values: Vec<Value<'_>> = keys.iter().map(|key| packet.key(key)).collect();
        if values.contains(&Value::Missing) {
            return (Some(state), None);
        }
        for (row, case) in rows.iter() {
            let holds = row_holds(row, &values);
            if holds == Holds::No {
                continue;
            }
            if holds != Holds::Yes {
                state = state.doubted(Doubt { chain: id, at, what: "a map by what is not told" });
            }
            let Case::Verdict(action) = case else { continue };
            let (went_on, went_back) = self.act(action, id, at, state, depth);
            on = join(on, went_on);
            back = join(back, went_back);
            if holds == Holds::Yes {
                return (on, back);
            }
        }
        (join(on, Some(state)), back)
    }

    /// Sends it elsewhere; the state in which it goes on, where the rule is for another family or has nothing for it.
    fn translate(&mut self, target: &'r Target, id: &'r ChainId, at: u64, state: State<'r>) -> Option<State<'r>> {
        let packet = state.packet;
        let (address, port, to_host) = match target {
            Target::To(address, port) => (Some(*address), port.or(packet.port), None),
            Target::Port(port) => (packet.destination, Some(*port), packet.to_host),
            Target::Here(port) => (packet.destination, port.or(packet.port), Some(true)),
            Target::Map(keys, Cases::Here(rows)) => match self.looked_up(&packet, keys, rows) {
                None => return Some(state),
                Some(Some((address, port))) => {
                    let to_host = packet.to_host.filter(|_| address.is_none());
                    (address.or(packet.destination), port.or(packet.port), to_host)
                }
                Some(None) => return self.unknown_translation(id, at, state),
            },
            Target::Map(_, Cases::Named(_)) | Target::Unknown => return self.unknown_translation(id, at, state),
        };
        if address.is_some_and(|address| address.is_ipv6() != packet.v6) {
            return Some(state);
        }
        let original = Some((packet.destination, packet.port));
        let packet = Packet { destination: address, port, to_host, original, ..packet };
        self.ways.translate(State { packet, ..state });
        None
    }

    fn unknown_translation(&mut self, id: &'r ChainId, at: u64, state: State<'r>) -> Option<State<'r>> {
        let state = state.doubted(Doubt { chain: id, at, what: "translates in a way that is not understood" });
        let original = Some((state.packet.destination, state.packet.port));
        let packet = Packet { destination: None, port: None, to_host: None, original, ..state.packet };
        self.ways.translate(State { packet, ..state });
        None
    }

    /// What a map of addresses and ports says. None: nothing; None inside: what is not told.
    #[expect(clippy::option_option, reason = "no such key, and a key whose value is not told, are two things")]
    fn looked_up(
        &mut self,
        packet: &Packet<'_>,
        keys: &[Key],
        rows: &[(Vec<Span>, Case)],
    ) -> Option<Option<(Option<IpAddr>, Option<u16>)>> {
        self.steps += rows.len() / 8;
        let values: Vec<Value<'_>> = keys.iter().map(|key| packet.key(key)).collect();
        for (row, case) in rows {
            match row_holds(row, &values) {
                Holds::No => {}
                Holds::Yes => {
                    let Case::Data(data) = case else { return Some(None) };
                    return Some(destination(data));
                }
                _ => return Some(None),
            }
        }
        None
    }
}

/// `ADDRESS`, `PORT` or `ADDRESS . PORT`.
fn destination(data: &[Span]) -> Option<(Option<IpAddr>, Option<u16>)> {
    let one = |span: &Span| match span {
        Span::Range(low, high) if low == high => Some(*low),
        _ => None,
    };
    // No address of IPv6 that anything is sent to is as low as those of IPv4.
    let address = |number: u128| match u32::try_from(number) {
        Ok(number) => IpAddr::V4(number.into()),
        Err(_) => IpAddr::V6(number.into()),
    };
    match data {
        [first] => {
            let number = one(first)?;
            Some(match u16::try_from(number) {
                Ok(port) => (None, Some(port)),
                Err(_) => (Some(address(number)), None),
            })
        }
        [first, second] => Some((Some(address(one(first)?)), Some(u16::try_from(one(second)?).ok()?))),
        _ => None,
    }
}

fn cost(test: &Test) -> usize {
    match test {
        Test::Is(_, set, _) => Set::cost(set) - 1,
        _ => 0,
    }
}

/// What of a test is not understood.
fn describe(test: &Test) -> &str {
    use super::model::Field;
    match test {
        Test::Perhaps(what) => what,
        Test::Named(..) => "a set that is not there",
        Test::Is(keys, set, _) => {
            let other = keys.iter().find_map(|key| match &key.field {
                Field::Other(what) => Some(what.as_str()),
                _ => None,
            });
            match other {
                Some(what) => what,
                None if set.fills => "a set that fills as packets pass",
                None => match keys.first().map(|key| &key.field) {
                    Some(Field::Source(_) | Field::OriginalSource(_)) => "the source address",
                    Some(Field::SourcePort(_)) => "the source port",
                    Some(Field::Destination(_) | Field::OriginalDestination(_)) => "the destination address",
                    Some(Field::InInterface | Field::OutInterface) => "the interface",
                    Some(Field::Mark | Field::ConnectionMark) => "the mark",
                    Some(Field::Owner) => "the owner of the socket",
                    Some(Field::Flags) => "the flags of packets that are not tracked",
                    _ => "a value that is not told",
                },
            }
        }
        _ => "?",
    }
}
