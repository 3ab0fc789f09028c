//! The policy `reconcile` and the table of the state machines say the same about every difference: what is only proposed
//! where somebody else decides is what would be done where nobody does.

use reprise_federation::{Divergence, Remedy, Suspension, compare::Uncomparable, plan::suggest};
use reprise_reconcile::{
    decide::{self, remedy},
    state::{Divergence as Told, Why},
};

/// Places and counts that are below, at and above each other, and the ends of the range.
const NUMBERS: [u64; 6] = [0, 1, 9, 10, 11, u64::MAX];

fn all() -> Vec<(Divergence, Told)> {
    let uncomparable =
        [Uncomparable::ProtocolEpoch, Uncomparable::Engine, Uncomparable::Package, Uncomparable::History];
    let mut all = vec![(Divergence::CorruptHere, Told::CorruptHere), (Divergence::CorruptThere, Told::CorruptThere)];
    all.extend(uncomparable.map(|what| (Divergence::Incomparable(what), Told::Incomparable)));
    for n in NUMBERS {
        all.push((Divergence::StaleHere { missing: n }, Told::StaleHere { missing: n }));
        all.push((Divergence::StaleThere { missing: n }, Told::StaleThere { missing: n }));
        all.push((Divergence::Forked { at: n }, Told::Forked { at: n }));
        all.push((Divergence::Equivocation { at: n }, Told::Equivocation { at: n }));
        all.push((Divergence::ExecutionFault { at: n }, Told::ExecutionFault { at: n }));
    }
    all
}

fn same(remedy: decide::Remedy) -> Remedy {
    match remedy {
        decide::Remedy::Fetch => Remedy::Fetch,
        decide::Remedy::RollBack { to } => Remedy::RollBack { to },
        decide::Remedy::Nothing => Remedy::Nothing,
        decide::Remedy::Suspend(why) => Remedy::Suspend(match why {
            Why::CorruptHere => Suspension::CorruptHere,
            Why::Contradiction { at } => Suspension::Contradiction { at },
            Why::ExecutionFault { at } => Suspension::ExecutionFault { at },
            Why::Equivocation { at } => Suspension::Equivocation { at },
            Why::Incomparable => Suspension::Incomparable,
            Why::Ordered => Suspension::Ordered,
        }),
    }
}

#[test]
fn the_policy_decides_as_the_state_machines_suggest() {
    let mut compared = 0;
    for (divergence, told) in all() {
        for protected in NUMBERS {
            for leads in [false, true] {
                let (here, there) = (same(remedy(told, protected, leads)), suggest(divergence, protected, leads));
                assert_eq!(here, there, "{divergence:?}, protected {protected}, leads {leads}");
                compared += 1;
            }
        }
    }
    assert_eq!(compared, 36 * 6 * 2);
}
