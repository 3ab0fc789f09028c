use super::*;
use crate::compare::Uncomparable;

#[test]
fn each_difference_has_its_remedy() {
    let suspend = Remedy::Suspend;
    let table = [
        (Divergence::StaleHere { missing: 3 }, Remedy::Fetch, Remedy::Fetch),
        (Divergence::StaleThere { missing: 3 }, Remedy::Nothing, Remedy::Nothing),
        (Divergence::Forked { at: 10 }, Remedy::RollBack { to: 10 }, Remedy::Nothing),
        (Divergence::Forked { at: 9 }, suspend(Suspension::Contradiction { at: 9 }), Remedy::Nothing),
        (Divergence::CorruptHere, suspend(Suspension::CorruptHere), suspend(Suspension::CorruptHere)),
        (Divergence::CorruptThere, Remedy::Nothing, Remedy::Nothing),
        (Divergence::Equivocation { at: 10 }, suspend(Suspension::Equivocation { at: 10 }), Remedy::Nothing),
        (Divergence::ExecutionFault { at: 10 }, suspend(Suspension::ExecutionFault { at: 10 }), Remedy::Nothing),
        (Divergence::Incomparable(Uncomparable::Engine), suspend(Suspension::Incomparable), Remedy::Nothing),
    ];
    for (divergence, of_the_owner, of_anybody) in table {
        assert_eq!(suggest(divergence, 10, true), of_the_owner, "{divergence:?}");
        assert_eq!(suggest(divergence, 10, false), of_anybody, "{divergence:?}");
    }
}
