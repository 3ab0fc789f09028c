//! What holds for every history: order within a step does not matter, invariants hold, no two ranks may believe in one
//! lease, and numbers never go back.

use proptest::{
    prelude::*,
    sample::{Index, select},
};
use reprise_guest::{StepInput, abi::Outcome, testing::MemoryHost};
use reprise_lease::{
    Lease,
    detect::{FailureClass, FailureEvent},
    plan::{ClusterState, compute_recovery_plan},
    state::{Figures, HEADER, Health, LEASES, Partition, RANKS, Rank, RankRecord, Standing},
    table::Table,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const RANKS_OF_TEST: u32 = 6;
const PARTITIONS_OF_TEST: u32 = 4;
const TTL_MS: u64 = 3_000;

fn input(seq: u64, now_ms: u64, kind: &str, payload: &Value) -> StepInput {
    let payload = payload.to_string().into_bytes();
    StepInput { seq, logical_time_ms: now_ms, kind: kind.into(), payload, ..StepInput::default() }
}

fn begun(assignment: &str) -> MemoryHost {
    let mut host = MemoryHost::new();
    let payload = json!({
        "config": {
            "profile": { "name": "test" }, "lease_ttl_ms": TTL_MS, "heartbeat_timeout_ms": 1000, "suspect_threshold": 2,
            "restarts_max": 1, "action_attempts_max": 2, "action_timeout_ms": 1500, "assignment": assignment,
        },
        "epoch": 1,
        "ranks": (0..RANKS_OF_TEST).map(|rank| json!({ "rank": rank, "incarnation": 1 })).collect::<Vec<_>>(),
        "leases": (0..PARTITIONS_OF_TEST)
            .map(|partition| json!({ "partition": partition, "owner": partition, "token": 1 }))
            .collect::<Vec<_>>(),
    });
    let outcome = host.step::<Lease>(&input(0, 1_000, "init", &payload));
    assert!(outcome.is_accepted(), "{outcome:?}");
    host
}

fn rank() -> impl Strategy<Value = u32> {
    0..RANKS_OF_TEST
}

fn observation() -> impl Strategy<Value = Value> {
    let (seq, life) = (0..3_u64, 1..4_u64);
    let sides = (prop::collection::vec(0..3_u8, RANKS_OF_TEST as usize)).prop_map(|side_of| {
        let side = |side: u8| (0..RANKS_OF_TEST).filter(|rank| side_of[*rank as usize] == side).collect::<Vec<_>>();
        json!([side(0), side(1)])
    });
    prop_oneof![
        (rank(), life.clone(), seq.clone())
            .prop_map(|(r, i, s)| json!({ "rank_lost": { "rank": r, "incarnation": i, "event_seq": s } })),
        (rank(), life.clone(), select(&[0_u8, 1, 126, 137]), seq.clone()).prop_map(
            |(r, i, c, s)| json!({ "exit_code": { "rank": r, "incarnation": i, "code": c, "event_seq": s } })
        ),
        (sides, seq.clone()).prop_map(|(sides, s)| json!({ "partition": { "sides": sides, "event_seq": s } })),
        (0..PARTITIONS_OF_TEST, rank(), 1..5_u64, seq.clone()).prop_map(
            |(p, r, e, s)| json!({ "lease_claim": { "partition": p, "rank": r, "epoch": e, "event_seq": s } })
        ),
        (rank(), life, seq)
            .prop_map(|(r, i, s)| json!({ "rejoin_request": { "rank": r, "incarnation": i, "event_seq": s } })),
    ]
}

/// A step, with what depends on the state left open.
#[derive(Clone, Debug)]
enum Move {
    Beat(u32),
    Renew(u32),
    Claim(u32, u32, u64),
    Tick,
    Observe(Vec<Value>),
    Result(bool),
    Checkpoint,
    Restore,
}

fn step() -> impl Strategy<Value = (u64, Move)> {
    let what = prop_oneof![
        6 => rank().prop_map(Move::Beat),
        4 => (0..PARTITIONS_OF_TEST).prop_map(Move::Renew),
        2 => (0..PARTITIONS_OF_TEST, rank(), 0..2_u64).prop_map(|(p, r, back)| Move::Claim(p, r, back)),
        4 => Just(Move::Tick),
        3 => prop::collection::vec(observation(), 1..5).prop_map(Move::Observe),
        5 => prop::bool::weighted(0.7).prop_map(Move::Result),
        1 => Just(Move::Checkpoint),
        1 => Just(Move::Restore),
    ];
    (0..700_u64, what)
}

/// The input that a move is in the present state.
fn concrete(host: &mut MemoryHost, seq: u64, now_ms: u64, what: &Move) -> StepInput {
    let header = HEADER.get(host).unwrap().unwrap();
    let (kind, payload) = match what {
        Move::Beat(rank) => {
            let incarnation = RANKS.get(host, &Rank(*rank)).unwrap().unwrap().incarnation;
            ("heartbeat", json!({ "rank": rank, "incarnation": incarnation }))
        }
        Move::Renew(partition) => {
            let lease = LEASES.get(host, &Partition(*partition)).unwrap().unwrap();
            let owner = lease.owner().map_or(0, |owner| owner.0);
            ("lease_renew", json!({ "partition": partition, "rank": owner, "token": lease.token }))
        }
        Move::Claim(partition, rank, back) => {
            let epoch = header.epoch.saturating_sub(*back);
            ("lease_claim", json!({ "partition": partition, "rank": rank, "epoch": epoch }))
        }
        Move::Tick => ("tick", json!({})),
        Move::Observe(events) => ("observe", json!({ "events": events })),
        Move::Result(ok) => {
            let next = reprise_lease::state::EXECUTION.get(host).unwrap().map_or(0, |execution| execution.next);
            ("action_result", json!({ "plan": header.plan.to_string(), "index": next, "ok": ok }))
        }
        Move::Checkpoint => ("checkpoint", json!({})),
        Move::Restore => ("restore", json!({ "checkpoint": header.checkpoint.to_string() })),
    };
    input(seq, now_ms, kind, &payload)
}

/// Which ranks may believe that a partition is theirs, and until when: what an outsider can know.
#[derive(Default)]
struct Beliefs(BTreeMap<(Partition, Rank), u64>);

impl Beliefs {
    fn follow(&mut self, host: &mut MemoryHost, now_ms: u64) {
        let ranks: Table<Rank, RankRecord> = RANKS.scan(host).map(Result::unwrap).collect();
        let leases: Vec<_> = LEASES.scan(host).map(Result::unwrap).collect();
        let dead = |rank: &Rank| {
            use FailureClass::{Crashed, Departed, NotStartable, RankLost};
            let class = ranks[rank].fault.as_ref().map(|fault| fault.class);
            matches!(class, Some(RankLost | Crashed { .. } | NotStartable { .. } | Departed))
        };
        self.0.retain(|(_, rank), until_ms| *until_ms > now_ms && !dead(rank));
        for (partition, lease) in leases {
            let Standing::Held { owner, expires_ms } = lease.standing else { continue };
            for ((_, other), until_ms) in self.0.iter().filter(|((p, _), _)| *p == partition) {
                assert!(*other == owner, "{partition:?}: {owner:?} owns it, {other:?} believes so until {until_ms}");
            }
            self.0.insert((partition, owner), expires_ms);
        }
    }
}

fn never_back(before: (u64, Figures, Vec<u64>), after: (u64, Figures, Vec<u64>)) {
    let figures = |f: Figures| [f.failed_ranks, f.recovery_attempts, f.recovery_success, f.split_brain_prevented];
    assert!(after.0 >= before.0, "the epoch fell");
    assert!(figures(after.1).iter().zip(figures(before.1)).all(|(after, before)| *after >= before), "a figure fell");
    assert!(after.2.iter().zip(&before.2).all(|(after, before)| after >= before), "a token fell");
}

fn numbers(host: &mut MemoryHost) -> (u64, Figures, Vec<u64>) {
    let header = HEADER.get(host).unwrap().unwrap();
    (header.epoch, header.figures, LEASES.scan(host).map(|entry| entry.unwrap().1.token).collect())
}

fn permuted(events: &[Value], order: &[Index]) -> Vec<Value> {
    let mut rest = events.to_vec();
    let mut permuted = Vec::new();
    for index in order.iter().take(events.len()) {
        permuted.push(rest.remove(index.index(rest.len())));
    }
    permuted
}

fn code(outcome: &Outcome) -> Result<Vec<u8>, u32> {
    match outcome {
        Outcome::Accepted { answer } => Ok(answer.clone()),
        Outcome::Rejected(rejection) => Err(rejection.code),
        other => panic!("a policy never answers {other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_history_breaks_an_invariant(
        assignment in select(&["automatic", "by_claim"]),
        steps in prop::collection::vec(step(), 1..80),
    ) {
        let mut host = begun(assignment);
        let (mut now_ms, mut beliefs) = (1_000, Beliefs::default());
        for (seq, (wait_ms, what)) in steps.into_iter().enumerate() {
            now_ms += wait_ms;
            let before = numbers(&mut host);
            let step = concrete(&mut host, seq as u64 + 1, now_ms, &what);
            let outcome = host.step::<Lease>(&step);
            prop_assert!(matches!(outcome, Outcome::Accepted { .. } | Outcome::Rejected(_)), "{what:?}: {outcome:?}");
            never_back(before, numbers(&mut host));
            beliefs.follow(&mut host, now_ms);
        }
    }

    #[test]
    fn any_order_of_the_observations_is_the_same_step(
        assignment in select(&["automatic", "by_claim"]),
        history in prop::collection::vec(step(), 0..20),
        events in prop::collection::vec(observation(), 1..9),
        order in prop::collection::vec(any::<Index>(), 9),
    ) {
        let mut host = begun(assignment);
        let mut now_ms = 1_000;
        for (seq, (wait_ms, what)) in history.into_iter().enumerate() {
            now_ms += wait_ms;
            let step = concrete(&mut host, seq as u64 + 1, now_ms, &what);
            host.step::<Lease>(&step);
        }
        let mut other = host.clone();
        let observe = |events| input(99, now_ms, "observe", &json!({ "events": events }));
        let one = host.step::<Lease>(&observe(events.clone()));
        let two = other.step::<Lease>(&observe(permuted(&events, &order)));
        prop_assert_eq!(code(&one), code(&two));
        prop_assert_eq!(&host, &other, "state, effects, messages, number of host calls");
        prop_assert_eq!(host.view::<Lease>("report", b""), other.view::<Lease>("report", b""));
    }

    /// The pure operator by itself: events, not observations, in any order and with repeats.
    #[test]
    fn any_order_of_the_failure_events_is_the_same_plan(
        events in prop::collection::vec((1..4_u64, rank(), 0..40_u64, 0..6_usize), 0..12),
        order in prop::collection::vec(any::<Index>(), 12),
    ) {
        let record = RankRecord {
            health: Health::Failed, incarnation: 1, last_heartbeat_ms: 0, restarts: 0, fault: None,
        };
        let ranks: Table<Rank, RankRecord> = (0..RANKS_OF_TEST).map(|rank| (Rank(rank), record.clone())).collect();
        let classes = [
            FailureClass::RankLost,
            FailureClass::Departed,
            FailureClass::Isolated,
            FailureClass::Crashed { code: 1 },
            FailureClass::RejoinRequested { incarnation: 2 },
            FailureClass::LeaseConflict { partition: Partition(0) },
        ];
        let mut failures: Vec<FailureEvent> = Vec::new();
        for (epoch, rank, event_seq, class) in events {
            if failures.iter().all(|event| event.event_seq != event_seq) {
                failures.push(FailureEvent { epoch, rank: Rank(rank), event_seq, at_ms: 0, class: classes[class] });
            }
        }
        let cluster = ClusterState { epoch: 9, ranks: &ranks, restarts_max: 1 };
        let plan = compute_recovery_plan(cluster, &failures, &Table::default()).unwrap();
        let indices: Vec<Value> = (0..failures.len()).map(Value::from).collect();
        let shuffled: Vec<FailureEvent> = permuted(&indices, &order)
            .into_iter()
            .map(|index| failures[index.as_u64().unwrap() as usize].clone())
            .collect();
        prop_assert_eq!(plan.hash(), compute_recovery_plan(cluster, &shuffled, &Table::default()).unwrap().hash());
        prop_assert!(plan.is_ordered());
        let mut acted: Vec<Rank> = plan.actions.iter().map(|action| action.rank).collect();
        acted.sort();
        acted.dedup();
        prop_assert_eq!(acted.len(), plan.actions.len(), "one action for each rank");
    }
}
