//! Whole nodes in one process: the code of a running node, QUIC between them and journals on disks, on a network, disks and
//! clocks that a seed decides.
//!
//! One seed, one run. For twelve seconds of simulated time links are cut, slow and lossy, machines lose their power, also in
//! the middle of a write, disks are full, lie, have a bit flipped or are lost, clocks go differently, and in a third of the
//! runs one member lies. The invariants are held all along. Then the faults stop, and all nodes must come to the same log, all of it final.
//!
//! | module | what it is |
//! | --- | --- |
//! | `plan` | what a seed decides |
//! | `run` | the machines, the faults, the peace |
//! | `node` | a machine, and the world of its node |
//! | `disk`, `socket` | what a machine has that can go wrong |
//! | `workload` | whoever submits |
//! | `liar` | what a member that lies says |
//! | `watch`, `invariants` | what is seen, and what must hold |
//! | `flaws` | planted bugs |
//!
//! `REPRISE_NODE_SIM_SEEDS=from..to` runs other seeds.

mod disk;
mod flaws;
mod invariants;
mod liar;
mod node;
mod plan;
mod run;
#[path = "../link/sim_socket.rs"]
mod sim_socket;
mod socket;
mod watch;
mod workload;

use flaws::Flaw;
use plan::Plan;
use reprise_federation::Quorum;
use run::run;
use std::{collections::BTreeMap, env};

fn seeds() -> std::ops::Range<u64> {
    let Ok(text) = env::var("REPRISE_NODE_SIM_SEEDS") else { return 0..24 };
    let (from, to) = text.split_once("..").expect("REPRISE_NODE_SIM_SEEDS is from..to");
    from.parse().expect("a number")..to.parse().expect("a number")
}

#[test]
fn without_faults_everything_is_answered_and_final() {
    let plan = Plan { seed: 1, nodes: 3, quorum: Quorum::Majority, flaw: None, liar: None, faults: false };
    let outcome = run(&plan).expect("nothing goes wrong");
    assert!(outcome.acknowledged > 300, "{}", outcome.acknowledged);
    assert!(outcome.final_windows > 10, "{}", outcome.final_windows);
}

#[test]
fn the_invariants_hold_under_faults() {
    let mut counts = BTreeMap::<&str, u64>::new();
    let mut failed = Vec::new();
    for seed in seeds() {
        match run(&Plan::of(seed, None)) {
            Ok(outcome) => {
                println!(
                    "seed {seed}: {} acknowledged, {} final windows, {} replayed, at rest after {} ms, {}",
                    outcome.acknowledged,
                    outcome.final_windows,
                    outcome.replayed,
                    outcome.healed_ms,
                    blake3::Hash::from_bytes(outcome.digest)
                );
                for (what, count) in outcome.counts {
                    *counts.entry(what).or_default() += count;
                }
            }
            Err(violation) => {
                println!("seed {seed}: {violation:?}");
                failed.push(format!("seed {seed}: {violation:?} {:?}", Plan::of(seed, None)));
            }
        }
    }
    println!("{counts:#?}");
    assert!(failed.is_empty(), "{} seeds failed:\n{}", failed.len(), failed.join("\n"));
}

/// Each planted bug, and a seed that finds it. `REPRISE_NODE_SIM_SEARCH=1` searches for the first of each.
const FOUND_BY: [(Flaw, u64); 4] =
    [(Flaw::DisksLie, 1), (Flaw::StandingsForget, 0), (Flaw::OldBackups, 0), (Flaw::AcknowledgesAlone, 0)];

#[test]
fn planted_bugs_are_found() {
    assert!(Flaw::ALL.iter().all(|flaw| FOUND_BY.iter().any(|(known, _)| known == flaw)), "one is not looked for");
    let finds = |flaw, seed| run(&Plan::of(seed, Some(flaw))).err();
    if env::var_os("REPRISE_NODE_SIM_SEARCH").is_some() {
        for flaw in Flaw::ALL {
            println!("{flaw:?}: {:?}", (0..1_000).find_map(|seed| Some((seed, finds(flaw, seed)?))));
        }
    }
    let missed: Vec<_> = FOUND_BY.iter().filter(|(flaw, seed)| finds(*flaw, *seed).is_none()).collect();
    assert!(missed.is_empty(), "not found: {missed:?}");
}

#[test]
fn the_same_seed_twice_gives_the_same_run() {
    let digest = |seed| run(&Plan::of(seed, None)).map(|outcome| outcome.digest);
    for seed in [2, 3] {
        assert_eq!(digest(seed), digest(seed));
    }
    assert_ne!(digest(2), digest(3));
}
