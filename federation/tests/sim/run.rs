//! Runs: healthy ones, many seeds with faults, the same seed twice, and planted bugs.

use crate::{
    byzantine::Lie,
    flaws::Flaw,
    invariants::Violation,
    node::SimNode,
    support::random::Random,
    world::{Plan, World},
};
use reprise_federation::Quorum;
use std::{collections::BTreeMap, env, thread};

const FAULTS_MS: u64 = 6_000;
const HEALING_MS: u64 = 5_000;

struct Outcome {
    digest: [u8; 32],
    acknowledged: usize,
    finals: usize,
    counts: BTreeMap<&'static str, u64>,
}

fn plan(seed: u64, flaw: Option<Flaw>) -> Plan {
    let mut random = Random::new(seed.wrapping_mul(31));
    let lying = random.one_in(2);
    if lying {
        // One liar among four or five is fewer than a third.
        let nodes = 4 + random.below(2) as u8;
        let liar = (random.below(u64::from(nodes)) as usize, random.pick(&Lie::ALL));
        return Plan { seed, nodes, quorum: Quorum::TwoThirds, liar: Some(liar), flaw, faults_ms: FAULTS_MS };
    }
    let nodes = 3 + random.below(3) as u8;
    Plan { seed, nodes, quorum: Quorum::Majority, liar: None, flaw, faults_ms: FAULTS_MS }
}

fn run(plan: Plan) -> Result<Outcome, Violation> {
    let faults_ms = plan.faults_ms;
    let mut world = World::new(plan);
    world.run_until(1_000 + faults_ms)?;
    world.heal();
    // Operators see to it that an honest node owns the ledger; a node without its memory cannot.
    let able = |world: &World, node: usize| {
        let standing = world.nodes[node].disk.standing.as_ref();
        !world.is_liar(node) && !world.nodes[node].disk.lost && standing.is_none_or(|s| !s.rejoining)
    };
    let owner = (0..world.nodes.len()).filter(|node| able(&world, *node)).max_by_key(|node| {
        (
            world.nodes[*node].disk.standing.as_ref().map(|s| s.suspended.is_none()),
            world.nodes[*node].disk.ledger.size(),
        )
    });
    let healed_ms = 1_000 + faults_ms;
    world.run_until(healed_ms + 2_000)?;
    if let Some(owner) = owner {
        world.grant_to(owner);
    }
    world.run_until(healed_ms + HEALING_MS)?;
    world.stop_submitting();
    world.run_until(healed_ms + HEALING_MS + 2_000)?;
    converged(&world)?;
    world.check_end()?;
    Ok(Outcome {
        digest: world.digest(),
        acknowledged: world.invariants.acknowledged.count(),
        finals: world.invariants.final_windows.count(),
        counts: world.counts.clone(),
    })
}

fn converged(world: &World) -> Result<(), Violation> {
    let honest: Vec<_> = world.nodes.iter().filter(|node| node.is_honest()).collect();
    let head = honest[0].disk.ledger.mark();
    let same = honest.iter().all(|node| node.disk.ledger.mark() == head);
    let last_final = |node: &SimNode| node.disk.standing.as_ref().map_or(0, |standing| standing.last_final.size);
    let all_final = honest.iter().all(|node| last_final(node) == head.size);
    if same && all_final && head.size > 0 {
        return Ok(());
    }
    let what = honest.iter().map(|node| node.describe(world.now_ms)).collect::<Vec<_>>().join("; ");
    Err(Violation { invariant: "when faults stop, all honest nodes come to the same log, and it is final", what })
}

fn seeds() -> std::ops::Range<u64> {
    let Ok(text) = env::var("REPRISE_SIM_SEEDS") else { return 0..100 };
    let (from, to) = text.split_once("..").expect("REPRISE_SIM_SEEDS is from..to");
    from.parse().expect("a number")..to.parse().expect("a number")
}

/// Runs something for every seed, on all processors; answers in the order of the seeds.
fn on_all_processors<T: Send>(seeds: std::ops::Range<u64>, work: impl Fn(u64) -> T + Sync) -> Vec<T> {
    let threads = thread::available_parallelism().map_or(2, usize::from) as u64;
    let (work, all) = (&work, seeds);
    let mut results: Vec<(u64, T)> = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|worker| {
                let all = all.clone();
                let own = move |seed: &u64| seed % threads == worker;
                scope.spawn(move || all.filter(own).map(|seed| (seed, work(seed))).collect::<Vec<_>>())
            })
            .collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("no panic")).collect()
    });
    results.sort_by_key(|(seed, _)| *seed);
    results.into_iter().map(|(_, result)| result).collect()
}

#[test]
fn without_faults_everything_is_acknowledged_and_final() {
    let plan = Plan { seed: 1, nodes: 3, quorum: Quorum::Majority, liar: None, flaw: None, faults_ms: 0 };
    let outcome = run(plan).expect("nothing goes wrong");
    assert!(outcome.acknowledged > 50, "{}", outcome.acknowledged);
    assert!(outcome.finals > 10, "{}", outcome.finals);
}

#[test]
fn the_invariants_hold_under_faults() {
    let outcomes = on_all_processors(seeds(), |seed| (seed, run(plan(seed, None))));
    let (mut counts, mut acknowledged, mut finals) = (BTreeMap::<&str, u64>::new(), 0, 0);
    let mut failed = Vec::new();
    for (seed, outcome) in outcomes {
        match outcome {
            Ok(outcome) => {
                for (what, count) in outcome.counts {
                    *counts.entry(what).or_default() += count;
                }
                acknowledged += outcome.acknowledged;
                finals += outcome.finals;
            }
            Err(violation) => failed.push(format!("seed {seed}: {violation:?} {:?}", plan(seed, None))),
        }
    }
    println!("{counts:?}, acknowledged {acknowledged}, final windows {finals}");
    assert!(failed.is_empty(), "{} seeds failed:\n{}", failed.len(), failed.join("\n"));
    assert!(acknowledged > 0 && finals > 0);
}

#[test]
fn the_same_seed_twice_gives_the_same_run() {
    for seed in [3, 4, 5] {
        let digest = || run(plan(seed, None)).map(|outcome| outcome.digest);
        assert_eq!(digest(), digest());
    }
    let digest = |seed| run(plan(seed, None)).map(|outcome| outcome.digest);
    assert_ne!(digest(3), digest(4));
}

/// Each planted bug, and the first seed that finds it: see `every_planted_bug_has_a_seed`.
const FOUND_BY: [(Flaw, u64); 15] = [
    (Flaw::AcknowledgeBeforeSync, 0),
    (Flaw::ForgetPromises, 106),
    (Flaw::SkipVoteSignatures, 4),
    (Flaw::SkipGrantSignatures, 4),
    (Flaw::BelieveReceipts, 53),
    (Flaw::MergeQuarantined, 29),
    (Flaw::SmallQuorum, 0),
    (Flaw::EverythingCommitted, 1),
    (Flaw::RollBackTooFar, 9),
    (Flaw::IgnoreSuspension, 6),
    (Flaw::TrustLostMemory, 16),
    (Flaw::AcknowledgeAlone, 0),
    (Flaw::CountAnyAck, 0),
    (Flaw::InLineTooEarly, 6),
    (Flaw::AcceptLowerEpoch, 17),
];

#[test]
fn planted_bugs_are_found() {
    let violations = on_all_processors(0..FOUND_BY.len() as u64, |index| {
        let (flaw, seed) = FOUND_BY[index as usize];
        (flaw, seed, run(plan(seed, Some(flaw))).err())
    });
    let missed: Vec<_> = violations.iter().filter(|(.., violation)| violation.is_none()).collect();
    assert!(missed.is_empty(), "not found: {missed:?}");
}

/// The table above is complete. With `REPRISE_SIM_SEARCH=all`, or the name of one, the first thousand seeds are searched
/// for it, and what is found is printed.
#[test]
fn every_planted_bug_has_a_seed() {
    for flaw in Flaw::ALL {
        let seed = FOUND_BY.iter().find(|(known, _)| *known == flaw).map(|(_, seed)| *seed);
        assert!(seed.is_some_and(|seed| seed < 1_000), "{flaw:?} is in no line of the table");
    }
    let Ok(wanted) = env::var("REPRISE_SIM_SEARCH") else { return };
    let flaws: Vec<Flaw> =
        Flaw::ALL.into_iter().filter(|flaw| wanted == "all" || format!("{flaw:?}") == wanted).collect();
    let mut missed = Vec::new();
    for flaw in flaws {
        // A few seeds at a time on each processor: the first that finds the bug, in the order of the seeds.
        let batches = (0..1_000).step_by(8);
        let first = batches.into_iter().find_map(|from| {
            let results = on_all_processors(from..from + 8, |seed| (seed, run(plan(seed, Some(flaw))).err()));
            results.into_iter().find_map(|(seed, violation)| Some((seed, violation?)))
        });
        println!("(Flaw::{flaw:?}, {first:?})");
        missed.extend(first.is_none().then_some(flaw));
    }
    assert!(missed.is_empty(), "planted, and not found by any of a thousand seeds: {missed:?}");
}
