use super::*;
use crate::testing::{NOW_MS, TTL_MS, config, held, lease, leases, ranks};

const EPOCH: u64 = 6;

fn claim(rank: u32, epoch: u64, kind: ClaimKind) -> Claim {
    Claim { partition: Partition(0), rank: Rank(rank), epoch, kind }
}

fn asks(rank: u32, epoch: u64) -> Claim {
    claim(rank, epoch, ClaimKind::Requested)
}

fn acts(rank: u32, epoch: u64) -> Claim {
    claim(rank, epoch, ClaimKind::Asserted)
}

/// Ranks 0 to 3 are healthy, 4 is suspected, 5 has failed.
fn resolved(standing: Lease, claims: &[Claim], undecided: &[u32]) -> Result<(Lease, Resolution), No> {
    use Health::{Failed, Healthy, Suspected};
    let ranks = ranks(&[Healthy, Healthy, Healthy, Healthy, Suspected, Failed]);
    let rules = Rules { ranks: &ranks, config: &config(), epoch: EPOCH, now_ms: NOW_MS };
    let mut table = leases([standing]);
    let claims: Table<Claim, ()> = claims.iter().map(|claim| (claim.clone(), ())).collect();
    let claims: Vec<Claim> = claims.into_keys().collect();
    let undecided = undecided.iter().map(|rank| (Rank(*rank), ())).collect();
    let resolution = resolve_lease_state(rules, &mut table, &claims, &undecided)?;
    Ok((table[&Partition(0)].clone(), resolution))
}

fn vacant(free_from_ms: u64) -> Lease {
    lease(Standing::Vacant { last: Some(Rank(1)), free_from_ms })
}

/// What became of the partition: its owner and why it changed last, and the refusals.
fn outcome(standing: Lease, claims: &[Claim]) -> (Option<u32>, Option<Why>, Vec<No>) {
    let (lease, resolution) = resolved(standing, claims, &[]).unwrap();
    let refused = resolution.refused.into_iter().map(|(_, no)| no).collect();
    (lease.owner().map(|rank| rank.0), resolution.changes.last().map(|change| change.why), refused)
}

#[test]
fn claims_are_ruled_on() {
    let fenced = lease(Standing::Fenced { free_from_ms: NOW_MS });
    let cases = [
        ("nothing happens to a lease that lives", held(1), vec![], (Some(1), None, vec![])),
        ("a request in vain", held(1), vec![asks(2, EPOCH)], (Some(1), None, vec![No::LeaseHeld])),
        ("the owner asks for its own", held(1), vec![asks(1, EPOCH)], (Some(1), None, vec![])),
        ("another acts in the lease's epoch", held(1), vec![acts(2, 4)], (None, Some(Why::Conflict), vec![])),
        ("another acts in a later epoch", held(1), vec![acts(2, 5)], (Some(1), None, vec![No::LeaseHeld])),
        ("another acts in an earlier epoch", held(1), vec![acts(2, 3)], (Some(1), None, vec![No::StaleEpoch])),
        ("free: one asks", vacant(0), vec![asks(2, EPOCH)], (Some(2), Some(Why::Claimed), vec![])),
        ("free: asked in an old epoch", vacant(0), vec![asks(2, 5)], (None, None, vec![No::StaleEpoch])),
        ("free: from the future", vacant(0), vec![acts(2, 7)], (None, None, vec![No::EpochAhead])),
        ("free: highest epoch wins", vacant(0), vec![acts(2, 5), acts(3, 6)], (Some(3), Some(Why::Claimed), vec![])),
        ("free: a tie", vacant(0), vec![acts(2, 6), acts(3, 6)], (None, Some(Why::Conflict), vec![])),
        ("free: a suspected rank", vacant(0), vec![asks(4, EPOCH)], (None, None, vec![No::RankNotActive])),
        (
            "free: a failed one is no tie",
            vacant(0),
            vec![acts(2, 6), acts(5, 6)],
            (Some(2), Some(Why::Claimed), vec![No::RankNotActive]),
        ),
        ("not free yet", vacant(NOW_MS + 1), vec![asks(2, EPOCH)], (None, None, vec![No::LeaseDraining])),
        ("fenced: same epoch", fenced.clone(), vec![asks(2, 4)], (None, None, vec![No::PartitionFenced])),
        ("fenced: later epoch", fenced.clone(), vec![asks(2, EPOCH)], (Some(2), Some(Why::Claimed), vec![])),
        ("fenced: later epoch, two", fenced, vec![acts(2, 6), acts(3, 6)], (None, Some(Why::Conflict), vec![])),
        ("suspected owners keep", held(4), vec![], (Some(4), None, vec![])),
        ("failed owners lose", held(5), vec![], (None, Some(Why::OwnerLost), vec![])),
    ];
    for (name, standing, claims, expected) in cases {
        assert_eq!(outcome(standing, &claims), expected, "{name}");
    }
}

#[test]
fn a_grant_raises_the_token_and_sets_epoch_and_expiry() {
    let (lease, resolution) = resolved(vacant(0), &[asks(2, EPOCH)], &[]).unwrap();
    let expires_ms = NOW_MS + TTL_MS;
    assert_eq!(lease, Lease { token: 8, epoch: EPOCH, standing: Standing::Held { owner: Rank(2), expires_ms } });
    let change = LeaseChange { partition: Partition(0), from: None, to: Some(Rank(2)), token: 8, why: Why::Claimed };
    assert_eq!(resolution.changes, [change]);
}

#[test]
fn a_fence_stands_as_long_as_anybody_may_believe() {
    let (lease, resolution) = resolved(held(1), &[acts(2, 4)], &[]).unwrap();
    assert_eq!(lease.standing, Standing::Fenced { free_from_ms: NOW_MS + TTL_MS });
    let class = FailureClass::LeaseConflict { partition: Partition(0) };
    assert_eq!(resolution.fenced.into_keys().collect::<Vec<_>>(), [Finding { rank: Rank(1), source_seq: 0, class }]);

    let (lease, resolution) = resolved(held(1), &[], &[1]).unwrap();
    assert_eq!(lease.standing, Standing::Fenced { free_from_ms: NOW_MS + 500 });
    let class = FailureClass::NoMajority { partition: Partition(0) };
    assert_eq!(resolution.fenced.into_keys().collect::<Vec<_>>(), [Finding { rank: Rank(1), source_seq: 0, class }]);
}

#[test]
fn tokens_and_times_do_not_wrap() {
    let last = Lease { token: u64::MAX, ..vacant(0) };
    assert_eq!(resolved(last, &[asks(2, EPOCH)], &[]), Err(No::TokenOverflow));
    let ranks = ranks(&[Health::Healthy]);
    let rules = Rules { ranks: &ranks, config: &config(), epoch: EPOCH, now_ms: u64::MAX - TTL_MS + 1 };
    assert_eq!(assign_vacant(rules, &mut leases([vacant(0)])), Err(No::TimeOverflow));
}

#[test]
fn assignment_spreads_the_load_and_avoids_the_last_owner() {
    use Health::{Healthy, Suspected};
    let ranks = ranks(&[Healthy, Healthy, Suspected]);
    let config = config();
    let rules = Rules { ranks: &ranks, config: &config, epoch: EPOCH, now_ms: NOW_MS };
    let mut table = leases([held(0), held(0), vacant(0), vacant(0), vacant(NOW_MS + 1), held(2)]);
    let changes = assign_vacant(rules, &mut table).unwrap();
    let given: Vec<_> = changes.iter().map(|change| (change.partition.0, change.to.unwrap().0)).collect();
    assert_eq!(given, [(2, 0), (3, 0)], "rank 1 was the last owner, rank 2 is suspected");

    let mut table = leases([lease(Standing::Vacant { last: None, free_from_ms: 0 }), held(0)]);
    let changes = assign_vacant(rules, &mut table).unwrap();
    assert_eq!(changes[0].to, Some(Rank(1)), "the one with fewest leases");

    let by_claim = Config { assignment: Assignment::ByClaim, ..config.clone() };
    assert_eq!(assign_vacant(Rules { config: &by_claim, ..rules }, &mut leases([vacant(0)])), Ok(vec![]));
}
