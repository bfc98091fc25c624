//! A packet's way through the hooks of the kernel: to the host itself, through it, or out of it.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::IpAddr;

use super::model::{Chain, ChainId, Family, Hook, Ruleset};
use super::packet::{Device, Packet, Tracked};
use super::walk::{Doubt, State, Walk, Ways};
use super::{Holds, STEPS};
use crate::observation::firewall::{Network, Reach};

/// Where connection tracking and the translation of destinations stand (`NF_IP_PRI_CONNTRACK`, `NF_IP_PRI_NAT_DST`); sources are
/// translated at the same distance on the other side.
const TRACKING: i64 = -200;
const TRANSLATION: i64 = -100;

/// What may become of a packet.
#[derive(Debug, Default)]
pub(super) struct Fate<'r> {
    /// The ways on which it arrives.
    pub(super) arrives: Vec<State<'r>>,
    /// Whether it may be dropped.
    pub(super) dropped: bool,
    /// Where it was sent instead, if anywhere.
    pub(super) translated: Option<Packet<'r>>,
}

impl Fate<'_> {
    /// Whether it always arrives, or never; None: either may be.
    pub(super) fn certain(&self) -> Option<bool> {
        match (self.arrives.is_empty(), self.dropped) {
            (false, false) => Some(true),
            (true, _) => Some(false),
            (false, true) => None,
        }
    }

    /// Whether somebody who tries arrives.
    pub(super) fn reach(&self) -> Reach {
        reach(self.arrives.iter())
    }

    /// The same, of what was translated on its way.
    pub(super) fn reach_translated(&self) -> Reach {
        reach(self.arrives.iter().filter(|state| state.packet.original.is_some()))
    }
}

fn reach<'s, 'r: 's>(mut arrives: impl Iterator<Item = &'s State<'r>>) -> Reach {
    let Some(first) = arrives.next() else { return Reach::Closed };
    let doubt: Option<Doubt<'r>> = arrives.fold(first.doubt, |doubt, state| doubt.and(state.doubt));
    doubt.map_or(Reach::Open, |doubt| Reach::Unknown(doubt.text()))
}

type Hooked<'r> = (i64, &'r ChainId, &'r Chain);

/// The chains as the kernel enters them.
pub(super) struct Paths<'r> {
    rules: &'r Ruleset,
    pub(super) network: &'r Network,
    hooks: BTreeMap<(Hook, Family), Vec<Hooked<'r>>>,
    /// Rules that may still be looked at.
    pub(super) left: usize,
}

impl<'r> Paths<'r> {
    pub(super) fn new(rules: &'r Ruleset, network: &'r Network, left: usize) -> Self {
        let mut hooks: BTreeMap<(Hook, Family), Vec<Hooked<'r>>> = BTreeMap::new();
        for (id, chain) in &rules.chains {
            let Some(base) = &chain.base else { continue };
            let families = match id.0 {
                Family::Both => &[Family::V4, Family::V6][..],
                Family::V4 => &[Family::V4],
                Family::V6 => &[Family::V6],
                Family::Device => &[Family::Device],
                Family::Bridge => &[Family::Bridge],
            };
            let priority = match (base.nat, base.hook) {
                (true, Hook::Prerouting | Hook::Output) => TRANSLATION,
                (true, _) => -TRANSLATION,
                (false, _) => base.priority,
            };
            for family in families {
                hooks.entry((base.hook, *family)).or_default().push((priority, id, chain));
            }
        }
        for chains in hooks.values_mut() {
            chains.sort_by_key(|(priority, _, chain)| {
                let own = chain.base.as_ref().map_or(0, |base| base.priority);
                (*priority, own, Reverse(chain.order))
            });
        }
        Self { rules, network, hooks, left }
    }

    /// What becomes of a packet from outside.
    pub(super) fn incoming(&mut self, packet: Packet<'r>) -> Fate<'r> {
        let mut fate = Fate::default();
        let mut states = vec![State { packet, doubt: None }];
        if is_bridge(packet.came_by, self.network) {
            states = self.bridged(&[Hook::Prerouting, Hook::Input], states, &mut fate);
        }
        for family in [Family::Device, family(&packet)] {
            states = self.hook(Hook::Ingress, family, states, &mut fate);
        }
        states = self.hook(Hook::Prerouting, family(&packet), states, &mut fate);
        fate.translated = states.iter().map(|state| state.packet).find(|packet| packet.original.is_some());
        for state in states {
            let (here, through) = self.route(state);
            if let Some(state) = here {
                let arrived = self.hook(Hook::Input, family(&packet), vec![state], &mut fate);
                fate.arrives.extend(arrived);
            }
            if let Some(state) = through {
                self.forward(state, &mut fate);
            }
            if here.is_none() && through.is_none() {
                fate.dropped = true;
            }
        }
        fate
    }

    /// What becomes of a packet that a user of this host sends. Translations are not followed.
    pub(super) fn outgoing(&mut self, packet: Packet<'r>) -> Fate<'r> {
        let mut fate = Fate::default();
        let mut states = vec![State { packet, doubt: None }];
        for hook in [Hook::Output, Hook::Postrouting] {
            states = self.hook(hook, family(&packet), states, &mut fate);
            states.retain(|state| state.packet.original.is_none());
        }
        fate.arrives = states;
        fate
    }

    fn forward(&mut self, mut state: State<'r>, fate: &mut Fate<'r>) {
        let family = family(&state.packet);
        state.packet.leaves_by = match state.packet.destination.and_then(|to| self.network.leaves_by(to)) {
            Some(name) => Device::Named(name),
            None => Device::Foreign,
        };
        let leaves_by = state.packet.leaves_by;
        let mut states = vec![state];
        for hook in [Hook::Forward, Hook::Postrouting] {
            states = self.hook(hook, family, states, fate);
        }
        if is_bridge(leaves_by, self.network) {
            states = self.bridged(&[Hook::Output, Hook::Postrouting], states, fate);
        }
        for family in [Family::Device, family] {
            states = self.hook(Hook::Egress, family, states, fate);
        }
        fate.arrives.extend(states);
    }

    /// To the host itself, through it; where it is not told, both.
    fn route(&self, mut state: State<'r>) -> (Option<State<'r>>, Option<State<'r>>) {
        let packet = &mut state.packet;
        let translated = packet.original.is_some();
        let to_host = match (packet.to_host, packet.destination) {
            (Some(to_host), _) => Some(to_host),
            (None, Some(address)) => self.network.owns(address).or(translated.then_some(false)),
            (None, None) => None,
        };
        packet.to_host = to_host;
        // The kernel takes nothing for loopback that came from outside.
        let loopback = translated && packet.destination.is_some_and(|address| address.is_loopback());
        if loopback && self.network.takes_loopback == Some(false) {
            return (None, None);
        }
        let (v4, v6) = self.network.forwards;
        let forwards = if packet.v6 { v6 } else { v4 } != Some(false);
        let (here, through) = (to_host != Some(false), to_host != Some(true) && forwards);
        (here.then_some(state), through.then_some(state))
    }

    /// Through the chains of the bridge's own family, which see its ports.
    fn bridged(&mut self, hooks: &[Hook], mut states: Vec<State<'r>>, fate: &mut Fate<'r>) -> Vec<State<'r>> {
        for hook in hooks {
            let devices: Vec<_> =
                states.iter().map(|state| (state.packet.came_by, state.packet.leaves_by)).take(1).collect();
            for state in &mut states {
                (state.packet.came_by, state.packet.leaves_by) = (Device::Foreign, Device::Foreign);
            }
            states = self.hook(*hook, Family::Bridge, states, fate);
            for (state, devices) in states.iter_mut().zip(devices.into_iter().cycle()) {
                (state.packet.came_by, state.packet.leaves_by) = devices;
            }
        }
        states
    }

    /// Through every chain of a hook: each must let it pass.
    fn hook(&mut self, hook: Hook, family: Family, mut states: Vec<State<'r>>, fate: &mut Fate<'r>) -> Vec<State<'r>> {
        let chains = self.hooks.get(&(hook, family)).cloned().unwrap_or_default();
        let tracks = matches!(hook, Hook::Prerouting | Hook::Output) && family != Family::Bridge;
        let mut tracked = false;
        for (priority, id, chain) in chains {
            if tracks && !tracked && priority >= TRACKING {
                states.iter_mut().for_each(track);
                tracked = true;
            }
            let mut next = Vec::new();
            for mut state in states {
                match concerns(chain, &state.packet) {
                    Holds::No => {
                        next.push(state);
                        continue;
                    }
                    Holds::Yes => {}
                    _ => {
                        state = state.doubted(Doubt::chain(id, "which interface it is for"));
                        next.push(state);
                    }
                }
                let ways = self.walk(id, chain, state);
                fate.dropped |= ways.drop;
                next.extend(ways.accept);
                next.extend(ways.translated);
            }
            states = next;
        }
        if tracks && !tracked {
            states.iter_mut().for_each(track);
        }
        states
    }

    fn walk(&mut self, id: &'r ChainId, chain: &'r Chain, state: State<'r>) -> Ways<'r> {
        let limit = STEPS.min(self.left);
        let mut walk = Walk { rules: self.rules, steps: 0, limit, ways: Ways::default() };
        walk.base(id, chain, state);
        self.left = self.left.saturating_sub(walk.steps);
        walk.ways
    }
}

/// What connection tracking does once the packet comes by.
fn track(state: &mut State<'_>) {
    if state.packet.tracked == Tracked::NotYet {
        state.packet.tracked = Tracked::New;
    }
}

/// Whether the kernel shows the packet to the chain.
fn concerns(chain: &Chain, packet: &Packet<'_>) -> Holds {
    let Some(base) = &chain.base else { return Holds::No };
    // Translated once, and never where the connection is not tracked.
    let translates = matches!(base.hook, Hook::Prerouting | Hook::Output);
    if base.nat && (packet.tracked == Tracked::Never || (translates && packet.original.is_some())) {
        return Holds::No;
    }
    let device = match base.hook {
        Hook::Ingress => packet.came_by,
        Hook::Egress => packet.leaves_by,
        _ => return Holds::Yes,
    };
    match device {
        // Some versions of nft do not tell.
        Device::Named(_) if base.devices.is_empty() => Holds::Perhaps,
        Device::Named(name) if base.devices.iter().any(|one| one == name) => Holds::Yes,
        Device::Named(_) | Device::Nowhere => Holds::No,
        Device::Foreign => Holds::Perhaps,
    }
}

fn family(packet: &Packet<'_>) -> Family {
    if packet.v6 { Family::V6 } else { Family::V4 }
}

fn is_bridge(device: Device<'_>, network: &Network) -> bool {
    matches!(device, Device::Named(name) if network.bridges.iter().any(|bridge| bridge == name))
}

impl Network {
    /// The interface that a packet to this address leaves by, where the routes tell.
    fn leaves_by(&self, to: IpAddr) -> Option<&str> {
        let fits = |(net, _): &&(super::Net, String)| super::contains(*net, to);
        self.routes.iter().filter(fits).max_by_key(|((_, length), _)| *length).map(|(_, name)| name.as_str())
    }

    /// Whether it is one of the host's own addresses. None: these are not known.
    pub(super) fn owns(&self, address: IpAddr) -> Option<bool> {
        let own = || self.addresses.iter().any(|(_, own)| *own == address);
        (!self.addresses.is_empty() || address.is_loopback()).then(|| address.is_loopback() || own())
    }
}
