use super::*;
use crate::testing::{NOW_MS, config, rank, ranks};

fn seen(observation: Observation) -> Result<Vec<(u32, FailureClass)>, &'static str> {
    use Health::{Evicted, Failed, Healthy, Suspected};
    let mut ranks = ranks(&[Healthy, Suspected, Failed, Evicted, Healthy]);
    ranks.get_mut(&Rank(2)).unwrap().fault =
        Some(FailureEvent { epoch: 1, rank: Rank(2), event_seq: 0, at_ms: 0, class: FailureClass::HeartbeatTimeout });
    let detection = detect_failure_events(&ranks, vec![observation]).map_err(|error| error.name)?;
    Ok(detection.findings.keys().map(|finding| (finding.rank.0, finding.class)).collect())
}

fn lost(rank: u32, incarnation: u64) -> Observation {
    Observation::RankLost { rank: Rank(rank), incarnation, event_seq: 0 }
}

fn exit(rank: u32, code: u8) -> Observation {
    Observation::ExitCode { rank: Rank(rank), incarnation: 5, code, event_seq: 0 }
}

fn rejoin(rank: u32, incarnation: u64) -> Observation {
    Observation::RejoinRequest { rank: Rank(rank), incarnation, event_seq: 0 }
}

fn split(sides: &[&[u32]]) -> Observation {
    let sides = sides.iter().map(|side| side.iter().copied().map(Rank).collect()).collect();
    Observation::Partition { sides, event_seq: 0 }
}

#[test]
fn observations_are_classified() {
    use FailureClass::{Crashed, Departed, Isolated, NotStartable, RankLost, RejoinRequested};
    let nothing = Ok(vec![]);
    let cases = [
        (lost(0, 5), Ok(vec![(0, RankLost)])),
        (lost(1, 5), Ok(vec![(1, RankLost)])),
        (lost(0, 4), nothing.clone()),
        (lost(0, 6), Err("UnexpectedIncarnation")),
        (lost(9, 5), Err("UnknownRank")),
        (lost(2, 5), nothing.clone()),
        (lost(3, 5), nothing.clone()),
        (exit(0, 0), Ok(vec![(0, Departed)])),
        (exit(0, 1), Ok(vec![(0, Crashed { code: 1 })])),
        (exit(0, 126), Ok(vec![(0, NotStartable { code: 126 })])),
        (exit(0, 137), Ok(vec![(0, Crashed { code: 137 })])),
        // A failed rank that waits for its restart: what evicts it is news, what restarts it is not.
        (exit(2, 0), Ok(vec![(2, Departed)])),
        (exit(2, 137), nothing.clone()),
        (rejoin(3, 6), Ok(vec![(3, RejoinRequested { incarnation: 6 })])),
        (rejoin(3, 5), nothing.clone()),
        (rejoin(0, 6), nothing.clone()),
        // Four members, three of them alive.
        (split(&[&[0, 1, 4], &[2]]), Ok(vec![(2, Isolated)])),
        (split(&[&[2, 3], &[4, 1, 0]]), Ok(vec![(2, Isolated)])),
        (split(&[&[0, 1], &[4, 2]]), nothing.clone()),
        (split(&[&[0, 1], &[1, 4]]), Err("BadSides")),
        (split(&[&[0, 1]]), Err("BadSides")),
        (split(&[&[0, 1], &[]]), Err("BadSides")),
    ];
    for (observation, expected) in cases {
        assert_eq!(seen(observation.clone()), expected, "{observation:?}");
    }
}

#[test]
fn without_a_strict_majority_everybody_alive_is_undecided() {
    let four = ranks(&[Health::Healthy, Health::Healthy, Health::Healthy, Health::Failed]);
    let detection = detect_failure_events(&four, vec![split(&[&[0, 1], &[2, 3]])]).unwrap();
    assert!(detection.findings.is_empty());
    assert_eq!(detection.undecided.keys().copied().collect::<Vec<_>>(), [Rank(0), Rank(1), Rank(2)]);
}

#[test]
fn the_same_said_twice_is_said_once() {
    let four = ranks(&[Health::Healthy; 4]);
    let said = vec![split(&[&[3], &[2, 1, 0]]), lost(1, 5), split(&[&[0, 1, 2], &[3]]), lost(1, 5)];
    let detection = detect_failure_events(&four, said).unwrap();
    assert_eq!(detection.findings.len(), 2);
}

#[test]
fn silence_is_judged_rank_by_rank() {
    let silent = |health, ms| {
        let record = RankRecord { last_heartbeat_ms: NOW_MS - ms, ..rank(health) };
        check_rank(&record, &config(), NOW_MS)
    };
    assert_eq!(silent(Health::Healthy, 999), Silence::None);
    assert_eq!(silent(Health::Healthy, 1_000), Silence::Suspicious);
    assert_eq!(silent(Health::Suspected, 2_999), Silence::Suspicious);
    assert_eq!(silent(Health::Healthy, 3_000), Silence::Failed);
    assert_eq!(silent(Health::Evicted, 9_000), Silence::None);
    assert_eq!(silent(Health::Restarting, 9_000), Silence::None);
}

#[test]
fn numbers_end_at_the_last_one() {
    let finding = |rank| (Finding { rank: Rank(rank), source_seq: 0, class: FailureClass::RankLost }, ());
    let two = [finding(1), finding(0)].into_iter().collect();
    let mut next = 7;
    let events = number(&two, 3, NOW_MS, &mut next).unwrap();
    assert_eq!(events.iter().map(|event| (event.rank.0, event.event_seq)).collect::<Vec<_>>(), [(0, 7), (1, 8)]);
    assert_eq!(next, 9);
    assert_eq!(number(&two, 3, NOW_MS, &mut (u64::MAX - 1)), Err(No::EventSeqOverflow));
}
