//! What the guards of the network ask of the running system.

use std::collections::BTreeSet;

use hostward_checks::fact::Fact;
use hostward_checks::guard::Circumstances;
use hostward_checks::observation::socket::Listener;
use hostward_checks::observation::{Mode, Observations};

use super::{connections, dependents, nft, observe};

/// Fills in who talks to which port, what needs which unit, who was seen asking the metadata service, and what our table would be
/// loaded by.
pub fn gather(out: &mut Circumstances, seen: &Observations) {
    if seen.mode != Mode::Live {
        return;
    }
    out.nft_missing = nft::program().is_none();
    out.program = std::env::current_exe().ok();
    out.metadata_users = observe::users(seen.now);
    out.peers = connections::peers();
    let listeners = seen.sockets.known().map_or(&[][..], |sockets| &sockets.listeners);
    let all: BTreeSet<&String> = listeners.iter().flat_map(units_of).collect();
    out.dependents = dependents::dependents(&all.into_iter().cloned().collect::<Vec<_>>());
    // Whoever talks to a unit now is cut with it.
    for listener in listeners.iter().filter(|listener| listener.namespace.is_none()) {
        let clients = out.peers.get(&(listener.protocol, listener.port)).into_iter().flatten();
        for unit in units_of(listener) {
            if let Some(dependents) = out.dependents.get_mut(unit) {
                dependents.extend(clients.clone().map(ToString::to_string));
                dependents.sort();
                dependents.dedup();
            }
        }
    }
}

fn units_of(listener: &Listener) -> impl Iterator<Item = &String> {
    let owners = match &listener.owners {
        Fact::Known(owners) => owners.as_slice(),
        _ => &[],
    };
    owners.iter().filter_map(|owner| owner.unit.as_ref())
}
