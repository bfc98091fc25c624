//! Ports that rules send elsewhere before routing: published without a listener on the host.

use std::net::IpAddr;

use super::{Action, ChainId, DEPTH, Hook, Range, Ruleset, STEPS, Test};
use crate::observation::firewall::Published;
use crate::observation::socket::Protocol;

/// Ports told of as published, before those told twice are joined: every port of both protocols.
const MAX_PUBLISHED: usize = 2 << 16;

impl Ruleset {
    /// Ports that chains before routing send elsewhere.
    pub(super) fn published(&self) -> Vec<Published> {
        let mut out = Vec::new();
        let mut steps = 0;
        for (id, chain) in &self.chains {
            if chain.hook == Some(Hook::Translation) {
                self.translations(id, &Narrowed::default(), 0, &mut steps, &mut out);
            }
        }
        out.sort_by(|a, b| (a.protocol, a.port, a.address, &a.to).cmp(&(b.protocol, b.port, b.address, &b.to)));
        out.dedup_by(|a, b| (a.protocol, a.port, a.address) == (b.protocol, b.port, b.address));
        out
    }

    fn translations(&self, id: &ChainId, so_far: &Narrowed, depth: usize, steps: &mut usize, out: &mut Vec<Published>) {
        let Some(chain) = self.chains.get(id).filter(|_| depth < DEPTH) else { return };
        for rule in &chain.rules {
            *steps += 1;
            if *steps > STEPS {
                return;
            }
            let Some(narrowed) = so_far.by(&rule.tests) else { continue };
            match &rule.action {
                Action::Translate(to) => narrowed.publish(to, out),
                Action::Jump(name) | Action::Goto(name) => {
                    self.translations(&(id.0, id.1.clone(), name.clone()), &narrowed, depth + 1, steps, out);
                }
                _ => {}
            }
        }
    }
}

/// What the rules on the way to a translation ask for.
#[derive(Clone, Default)]
struct Narrowed {
    protocol: Option<Protocol>,
    ports: Option<Vec<Range>>,
    address: Option<IpAddr>,
}

impl Narrowed {
    /// Narrowed further. None: the packet in question does not come here.
    fn by(&self, tests: &[Test]) -> Option<Self> {
        let mut out = self.clone();
        for test in tests {
            match test {
                Test::Never => return None,
                Test::Protocols(these, false) => match these.as_slice() {
                    [] => return None,
                    [protocol] => out.protocol = Some(*protocol),
                    _ => {}
                },
                Test::Ports(protocol, ranges, false) => {
                    out.protocol = out.protocol.or(*protocol);
                    out.ports = Some(ranges.clone());
                }
                Test::Destination(nets, false) => {
                    if let [(address, length)] = nets.as_slice()
                        && *length == if address.is_ipv4() { 32 } else { 128 }
                    {
                        out.address = Some(*address);
                    }
                }
                Test::ToHost(true) => return None,
                Test::Protocols(_, true)
                | Test::Ports(_, _, true)
                | Test::Destination(_, true)
                | Test::ToHost(false)
                | Test::Owner(..)
                | Test::Source(..)
                | Test::Perhaps => {}
            }
        }
        Some(out)
    }

    fn publish(&self, to: &str, out: &mut Vec<Published>) {
        // A translation of every port is a gateway's, not a published service; 4096 ports are enough to tell of.
        let ports = self.ports.iter().flatten().flat_map(|(low, high)| *low..=*high).take(4096);
        let protocols = self.protocol.map_or_else(|| vec![Protocol::Tcp, Protocol::Udp], |protocol| vec![protocol]);
        for port in ports {
            for protocol in &protocols {
                if out.len() >= MAX_PUBLISHED {
                    return;
                }
                out.push(Published { protocol: *protocol, port, address: self.address, to: to.to_owned() });
            }
        }
    }
}
