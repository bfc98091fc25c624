//! What is said of packets to a host or through it, against what becomes of them.

use std::collections::BTreeMap;
use std::net::IpAddr;

use anyhow::Result;
use hostward_checks::observation::firewall::{Network, Reach};
use hostward_checks::observation::socket::Protocol;
use hostward_checks::parse::ruleset::Ruleset;

use crate::crossing::{Crossing, PORTS, Packet, SOURCES};

/// What the packets of every source to every port met.
#[derive(Debug, Default)]
pub struct Verdicts {
    /// How many were sent.
    pub packets: usize,
    /// How many of them were answered.
    pub answered: usize,
    /// The rules that were not understood, and how often.
    pub unknown: BTreeMap<String, usize>,
    /// What a stranger reaches, by certain answers.
    pub open: Vec<Packet>,
    /// Certain answers that were wrong.
    pub wrong: Vec<Packet>,
}

impl Verdicts {
    /// Asks and sends them to these addresses, but where nobody would answer what arrives.
    ///
    /// # Errors
    /// Out of sockets.
    pub fn of(
        crossing: &Crossing,
        rules: &Ruleset,
        network: &Network,
        to: &[IpAddr],
        answers: impl Fn(Protocol, IpAddr, u16) -> bool,
    ) -> Result<Self> {
        let (mut packets, mut said) = (Vec::new(), Vec::new());
        for &to in to {
            let sources = SOURCES.iter().filter_map(|source| source.parse().ok());
            for from in sources.filter(|from: &IpAddr| from.is_ipv4() == to.is_ipv4()) {
                for protocol in [Protocol::Tcp, Protocol::Udp] {
                    for port in PORTS.into_iter().filter(|port| answers(protocol, to, *port)) {
                        let reach = rules.reach(network, protocol, from, to, port);
                        packets.push(Packet { protocol, from, to, port, expected: reach == Reach::Open });
                        said.push(reach);
                    }
                }
            }
        }
        let answered = crossing.answered(&packets)?;
        let mut told = Self { packets: packets.len(), ..Self::default() };
        for ((packet, said), answered) in packets.into_iter().zip(said).zip(answered) {
            told.answered += usize::from(answered);
            let stranger = [SOURCES[1], SOURCES[5]].contains(&packet.from.to_string().as_str());
            match said {
                Reach::Unknown(rule) => *told.unknown.entry(rule).or_default() += 1,
                said if (said == Reach::Open) != answered => told.wrong.push(packet),
                Reach::Open if stranger => told.open.push(packet),
                _ => {}
            }
        }
        Ok(told)
    }
}
