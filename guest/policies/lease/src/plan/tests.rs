use super::*;
use crate::{
    state::Health,
    testing::{held, lease, leases, ranks},
};

fn event(epoch: u64, rank: u32, event_seq: u64, class: FailureClass) -> FailureEvent {
    FailureEvent { epoch, rank: Rank(rank), event_seq, at_ms: 0, class }
}

fn plan(events: &[FailureEvent]) -> Result<RecoveryPlan, No> {
    let mut ranks = ranks(&[Health::Failed; 6]);
    ranks.get_mut(&Rank(4)).unwrap().restarts = 2;
    ranks.get_mut(&Rank(5)).unwrap().incarnation = u64::MAX;
    let vacant = Standing::Vacant { last: Some(Rank(1)), free_from_ms: 0 };
    let leases = leases([held(1), held(2), lease(vacant), lease(Standing::Fenced { free_from_ms: 0 })]);
    compute_recovery_plan(ClusterState { epoch: 9, ranks: &ranks, restarts_max: 2 }, events, &leases)
}

fn kinds(events: &[FailureEvent]) -> Vec<(u32, u64, ActionKind)> {
    plan(events).unwrap().actions.iter().map(|action| (action.rank.0, action.event_seq, action.kind)).collect()
}

#[test]
fn actions_are_ordered_by_epoch_rank_event_seq() {
    use ActionKind::Restart;
    let lost = FailureClass::RankLost;
    let events = [event(3, 0, 9, lost), event(2, 3, 5, lost), event(2, 1, 7, lost), event(1, 2, 8, lost)];
    assert_eq!(kinds(&events), [(2, 8, Restart), (1, 7, Restart), (3, 5, Restart), (0, 9, Restart)]);
    assert!(plan(&events).unwrap().is_ordered());
}

#[test]
fn one_action_for_each_rank_the_strongest_then_the_earliest() {
    use ActionKind::{Evict, Rejoin, Restart};
    use FailureClass::{Crashed, Departed, LeaseConflict, RankLost, RejoinRequested};
    let conflict = LeaseConflict { partition: Partition(0) };
    assert_eq!(kinds(&[event(2, 0, 4, RankLost), event(2, 0, 3, Crashed { code: 1 })]), [(0, 3, Restart)]);
    assert_eq!(kinds(&[event(1, 0, 1, RankLost), event(2, 0, 2, Departed)]), [(0, 2, Evict)]);
    assert_eq!(kinds(&[event(1, 0, 1, RejoinRequested { incarnation: 6 })]), [(0, 1, Rejoin)]);
    assert_eq!(kinds(&[event(1, 4, 1, RankLost)]), [(4, 1, Evict)], "its restarts are used up");
    assert_eq!(kinds(&[event(1, 0, 1, conflict), event(1, 77, 2, RankLost)]), [], "nothing to do, nobody to do it to");
}

#[test]
fn an_action_names_the_life_and_what_to_fence() {
    let plan = plan(&[event(1, 1, 1, FailureClass::RankLost), event(1, 2, 2, FailureClass::Departed)]).unwrap();
    let of = |index: usize| (plan.actions[index].incarnation, plan.actions[index].fence.clone());
    assert_eq!(of(0), (6, vec![Partition(0), Partition(2)]), "restart: the next life");
    assert_eq!(of(1), (5, vec![Partition(1)]), "evict: the present one");
}

#[test]
fn the_last_incarnation_has_no_next() {
    assert_eq!(plan(&[event(1, 5, 1, FailureClass::RankLost)]), Err(No::CounterOverflow));
    assert!(plan(&[event(1, 5, 1, FailureClass::Departed)]).is_ok());
}

/// Equivalence "E0" of the source document: whatever is refactored, this plan keeps this hash. A change of plan or rules
/// is a new major version of the package.
#[test]
fn the_hash_of_a_known_plan() {
    let events = [
        event(1, 2, 8, FailureClass::Isolated),
        event(2, 1, 9, FailureClass::Crashed { code: 137 }),
        event(2, 0, 10, FailureClass::RejoinRequested { incarnation: 6 }),
    ];
    assert_eq!(plan(&events).unwrap().hash().to_string(), GOLDEN);
    assert_eq!(plan(&[]).unwrap().hash().to_string(), GOLDEN_EMPTY);
}

const GOLDEN: &str = "df45a86bb94c7fd98c131e63421e8db9fb55f28cc1f4df66f6e95074059434b5";
const GOLDEN_EMPTY: &str = "03ec5f1924cb88dce8c3c6c8b1a86ce4544028b11d7f741e62a0e87da1b0a3e2";
