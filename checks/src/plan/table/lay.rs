//! What the host would be seen to do once the plan's table is loaded and its units are stopped: for the simulation.

use std::path::Path;

use super::{Limits, STATE};
use crate::effect::{Effect, Verb};
use crate::observation::Observations;
use crate::observation::firewall::{Firewall, MetadataUsers, PortRule, Reach};
use crate::plan::Plan;

/// The limits as the plan leaves them; None: it does not touch them.
pub fn planned(plan: &Plan) -> Option<Limits> {
    let change = plan.files().find(|change| change.path == Path::new(STATE))?;
    let bytes = change.after.content().map_or(&[][..], |content| content);
    Some(Limits::read(bytes).0)
}

/// Lays what is no file over the observations: the firewall table, and units that are stopped.
pub fn lay_observed(seen: &mut Observations, plan: &Plan) {
    if let Some(limits) = planned(plan)
        && let crate::fact::Fact::Known(firewall) = &mut seen.firewall
    {
        lay(firewall, &limits);
    }
    let stopped = |unit: &str| {
        plan.effects.iter().any(|planned| match &planned.effect {
            Effect::Unit(action) => action.verb == Verb::StopAndDisable && action.unit == unit,
            _ => false,
        })
    };
    if let crate::fact::Fact::Known(sockets) = &mut seen.sockets {
        sockets.listeners.retain(|listener| {
            let owners = listener.owners.known().map_or(&[][..], Vec::as_slice);
            owners.is_empty() || !owners.iter().all(|owner| owner.unit.as_deref().is_some_and(stopped))
        });
    }
}

/// The firewall with these limits on top.
fn lay(firewall: &mut Firewall, limits: &Limits) {
    firewall.filters_input |= !limits.ports.is_empty();
    for ((protocol, port), sources) in &limits.ports {
        let (protocol, low, high) = (*protocol, *port, *port);
        // Whoever is let in must be let in by the other rules, too: certain is only who is not.
        if sources.iter().all(|(_, length)| *length > 0) {
            firewall.closed.push((protocol, low, high));
            firewall.published.retain(|published| (published.protocol, published.port) != (protocol, *port));
            let asked = firewall.listeners.iter_mut().filter(|asked| (asked.protocol, asked.port) == (protocol, *port));
            asked.for_each(|asked| asked.reach = Reach::Closed);
        }
        firewall.ports.insert(0, PortRule { protocol, low, high, accepts_any: None });
    }
    if let Some(users) = &limits.metadata {
        firewall.metadata = match &firewall.metadata {
            MetadataUsers::Only(only) => {
                MetadataUsers::Only(only.iter().copied().filter(|uid| users.contains(uid)).collect())
            }
            MetadataUsers::Everybody => MetadataUsers::Only(users.iter().copied().collect()),
            MetadataUsers::Unknown => MetadataUsers::Unknown,
        };
    }
}
