use super::*;

#[test]
fn the_digest_is_of_the_rules() {
    let mut key = [0; 32];
    key[..26].copy_from_slice(b"reprise reconcile rules v1");
    assert_eq!(blake3::keyed_hash(&key, RULES.as_bytes()).as_bytes(), &RULES_DIGEST);
}

#[test]
fn each_difference_has_its_remedy() {
    let suspend = Remedy::Suspend;
    let table = [
        (Divergence::StaleHere { missing: 3 }, Remedy::Fetch, Remedy::Fetch),
        (Divergence::StaleThere { missing: 3 }, Remedy::Nothing, Remedy::Nothing),
        (Divergence::Forked { at: 10 }, Remedy::RollBack { to: 10 }, Remedy::Nothing),
        (Divergence::Forked { at: 9 }, suspend(Why::Contradiction { at: 9 }), Remedy::Nothing),
        (Divergence::CorruptHere, suspend(Why::CorruptHere), suspend(Why::CorruptHere)),
        (Divergence::CorruptThere, Remedy::Nothing, Remedy::Nothing),
        (Divergence::Equivocation { at: 10 }, suspend(Why::Equivocation { at: 10 }), Remedy::Nothing),
        (Divergence::ExecutionFault { at: 10 }, suspend(Why::ExecutionFault { at: 10 }), Remedy::Nothing),
        (Divergence::Incomparable, suspend(Why::Incomparable), Remedy::Nothing),
    ];
    for (divergence, of_the_owner, of_anybody) in table {
        assert_eq!(remedy(divergence, 10, true), of_the_owner, "{divergence:?}");
        assert_eq!(remedy(divergence, 10, false), of_anybody, "{divergence:?}");
    }
}
