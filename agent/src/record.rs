//! Recording to a fixpoint: parse, record what the parsers need, parse those parts again, until nothing is needed.

use hostward_checks::host::{Host, Reading};
use hostward_checks::observation::Observations;
use hostward_checks::snapshot::{Need, Snapshot};

use crate::root::{Budget, Root};

pub mod tape;

/// More rounds than any chain of includes and links takes; beyond it somebody changes the files while we read.
const MAX_ROUNDS: usize = 200;

/// What was recorded of a root, and the facts in it.
#[derive(Debug)]
pub struct Recorded {
    /// Every answer that the facts rest on.
    pub snapshot: Snapshot,
    /// The facts.
    pub host: Host,
}

/// Records a root until the parsers need nothing more. Facts about a path that never settles are unknown.
pub fn record(root: &Root, seen: &Observations) -> Recorded {
    record_over(root, seen, Snapshot::new(), |_| {})
}

/// The same, from what is recorded already; `lay` puts over the snapshot, each time the root has answered more, what is to be
/// read instead of it.
pub fn record_over(root: &Root, seen: &Observations, mut snapshot: Snapshot, lay: impl Fn(&mut Snapshot)) -> Recorded {
    let mut budget = Budget::default();
    let mut reading = Reading::default();
    lay(&mut snapshot);
    for _ in 0..MAX_ROUNDS {
        let need = reading.step(&snapshot, seen);
        if need.is_empty() {
            break;
        }
        root.answer(&need, &mut snapshot, &mut budget);
        lay(&mut snapshot);
    }
    // What never settles is taken as it stands.
    let host = reading.finish().unwrap_or_else(|| Host::read(&snapshot, seen).0);
    Recorded { snapshot, host }
}

/// Runs a parser until it needs nothing more, recording what it needs in between.
pub fn settle<T>(root: &Root, parse: impl Fn(&Snapshot) -> (T, Need)) -> T {
    let (mut snapshot, mut budget) = (Snapshot::new(), Budget::default());
    for rounds in 1.. {
        let (facts, need) = parse(&snapshot);
        if need.is_empty() || rounds == MAX_ROUNDS {
            return facts;
        }
        root.answer(&need, &mut snapshot, &mut budget);
    }
    unreachable!("the loop returns in its last round")
}
