//! Whole nodes in one process: the code of a running node, QUIC between them and journals on disks, on a network, disks and
//! clocks that a seed decides.
//!
//! One seed, one run. For twelve seconds of simulated time links are cut, slow and lossy, machines lose their power, also in
//! the middle of a write, disks are full, lie, have a bit flipped or are lost, and clocks go differently. The invariants are
//! held all along. Then the faults stop, and all nodes must come to the same log, all of it final.
//!
//! | module | what it is |
//! | --- | --- |
//! | `plan` | what a seed decides |
//! | `run` | the machines, the faults, the peace |
//! | `node` | a machine, and the world of its node |
//! | `disk`, `socket` | what a machine has that can go wrong |
//! | `workload` | whoever submits |
//! | `watch`, `invariants` | what is seen, and what must hold |
//! | `flaws` | planted bugs |
//!
//! `REPRISE_NODE_SIM_SEEDS=from..to` runs other seeds.

mod disk;
mod flaws;
mod invariants;
mod node;
mod plan;
mod run;
#[path = "../link/sim_socket.rs"]
mod sim_socket;
mod socket;
mod watch;
mod workload;

use plan::Plan;
use reprise_federation::Quorum;
use run::run;
use std::{collections::BTreeMap, env};

fn seeds() -> std::ops::Range<u64> {
    let Ok(text) = env::var("REPRISE_NODE_SIM_SEEDS") else { return 0..8 };
    let (from, to) = text.split_once("..").expect("REPRISE_NODE_SIM_SEEDS is from..to");
    from.parse().expect("a number")..to.parse().expect("a number")
}

#[test]
fn without_faults_everything_is_answered_and_final() {
    let plan = Plan { seed: 1, nodes: 3, quorum: Quorum::Majority, flaw: None, faults: false };
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

#[test]
fn the_same_seed_twice_gives_the_same_run() {
    let digest = |seed| run(&Plan::of(seed, None)).map(|outcome| outcome.digest);
    assert_eq!(digest(3), digest(3));
}
