//! Whole nodes in one process: the code of a running node, QUIC between them and journals on disks, on a network, disks and
//! clocks that a seed decides.
//!
//! One seed, one run. For twelve seconds of simulated time links are cut, slow and lossy, machines lose their power, also in
//! the middle of a write, disks are full, lie, have a bit flipped or are lost, clocks go differently, in half of the runs
//! the ledger gets other owners, and in a third one member lies. The invariants are held all along. Then the faults stop, and
//! all nodes must come to the same log, all of it final.
//!
//! | module | what it is |
//! | --- | --- |
//! | `plan` | what a seed decides |
//! | `run` | the machines, the faults, the peace |
//! | `node`, `world` | a machine, and what its node takes from it |
//! | `disk`, `socket` | what a machine has that can go wrong |
//! | `workload` | whoever submits |
//! | `office` | who owns the ledger |
//! | `liar` | what a member that lies says |
//! | `watch`, `invariants` | what is seen, and what must hold |
//! | `flaws` | planted bugs |
//! | `seeds` | many runs, and what they come to together |
//!
//! `REPRISE_NODE_SIM_SEEDS=from..to` runs other seeds.

mod disk;
mod flaws;
mod invariants;
mod liar;
mod node;
mod office;
mod plan;
mod run;
mod seeds;
#[path = "../link/sim_socket.rs"]
mod sim_socket;
mod socket;
mod watch;
mod workload;
mod world;

use flaws::Flaw;
use plan::Plan;
use reprise_federation::Quorum;
use run::run;
use seeds::{Totals, on_all_processors};
use std::env;

fn seeds() -> std::ops::Range<u64> {
    let Ok(text) = env::var("REPRISE_NODE_SIM_SEEDS") else { return 0..200 };
    let (from, to) = text.split_once("..").expect("REPRISE_NODE_SIM_SEEDS is from..to");
    from.parse().expect("a number")..to.parse().expect("a number")
}

#[test]
fn without_faults_everything_is_answered_and_final() {
    let plan = Plan {
        seed: 1,
        nodes: 4,
        observers: 1,
        quorum: Quorum::Majority,
        flaw: None,
        liar: None,
        faults: false,
        checkpoint_receipts: 50,
        takes: false,
        decides: true,
    };
    let outcome = run(&plan).expect("nothing goes wrong");
    assert!(outcome.acknowledged > 300, "{}", outcome.acknowledged);
    assert!(outcome.final_windows > 10, "{}", outcome.final_windows);
}

#[test]
fn the_invariants_hold_under_faults() {
    let outcomes = on_all_processors(seeds(), |seed| {
        let outcome = run(&Plan::of(seed, None));
        match &outcome {
            Ok(outcome) => println!("seed {seed}: {outcome}"),
            Err(violation) => println!("seed {seed}: {violation:?}"),
        }
        outcome
    });
    let mut totals = Totals::default();
    let mut failed = Vec::new();
    for (seed, outcome) in outcomes {
        match outcome {
            Ok(outcome) => totals.add(outcome),
            Err(violation) => failed.push(format!("seed {seed}: {violation:?} {:?}", Plan::of(seed, None))),
        }
    }
    println!("{totals}");
    assert!(failed.is_empty(), "{} seeds failed:\n{}", failed.len(), failed.join("\n"));
}

/// Each planted bug, and the first seed that finds it. `REPRISE_NODE_SIM_SEARCH=all`, or the name of one, searches anew.
const FOUND_BY: [(Flaw, u64); Flaw::ALL.len()] = [
    (Flaw::DisksLie, 0),
    (Flaw::SyncsTooEarly, 0),
    (Flaw::OldJournals, 0),
    (Flaw::OldBackups, 0),
    (Flaw::StandingsForget, 0),
    (Flaw::StandingsLate, 0),
    (Flaw::FullDiskIsIgnored, 0),
    (Flaw::SignedIsNotWritten, 0),
    (Flaw::AcknowledgesAlone, 0),
    (Flaw::SmallQuorum, 0),
    (Flaw::AgreesUnseen, 0),
    (Flaw::EverythingCommitted, 0),
    (Flaw::BelievesGrants, 0),
    (Flaw::PromisedIsNotWritten, 2),
    (Flaw::LostMemoryIsNotSaid, 72),
    (Flaw::NewIdsForOldEvents, 2),
    (Flaw::AnswersMixedUp, 0),
];
/// A planted bug that this many seeds do not find is not found.
const SEEDS_MAX: u64 = 1_000;

#[test]
fn planted_bugs_are_found() {
    let found = on_all_processors(0..FOUND_BY.len() as u64, |index| {
        let (flaw, seed) = FOUND_BY[index as usize];
        run(&Plan::of(seed, Some(flaw))).err()
    });
    // The same faults without the bug are withstood: it is the bug that was found.
    let without = on_all_processors(0..FOUND_BY.len() as u64, |index| {
        let (flaw, seed) = FOUND_BY[index as usize];
        run(&Plan { flaw: None, ..Plan::of(seed, Some(flaw)) }).err()
    });
    let withheld: Vec<_> = without.into_iter().filter_map(|(index, violation)| Some((index, violation?))).collect();
    assert!(withheld.is_empty(), "found without the bug: {withheld:?}");
    let mut missed = Vec::new();
    for ((flaw, seed), (_, violation)) in FOUND_BY.iter().zip(found) {
        println!("{flaw:?}, seed {seed}: {violation:?}");
        missed.extend(violation.is_none().then_some((flaw, seed)));
    }
    assert!(missed.is_empty(), "not found: {missed:?}");
}

#[test]
fn every_planted_bug_has_a_seed() {
    for flaw in Flaw::ALL {
        let seed = FOUND_BY.iter().find(|(known, _)| *known == flaw).map(|(_, seed)| *seed);
        assert!(seed.is_some_and(|seed| seed < SEEDS_MAX), "{flaw:?} is in no line of the table");
    }
    let Ok(wanted) = env::var("REPRISE_NODE_SIM_SEARCH") else { return };
    for flaw in Flaw::ALL.into_iter().filter(|flaw| wanted == "all" || format!("{flaw:?}") == wanted) {
        let first = (0..SEEDS_MAX).find_map(|seed| Some((seed, run(&Plan::of(seed, Some(flaw))).err()?)));
        println!("{flaw:?}: {first:?}");
        assert!(first.is_some(), "{flaw:?} is planted, and not found by any of {SEEDS_MAX} seeds");
    }
}

#[test]
fn the_same_seed_twice_gives_the_same_run() {
    let digest = |seed| run(&Plan::of(seed, None)).map(|outcome| outcome.digest);
    for seed in [2, 3] {
        assert_eq!(digest(seed), digest(seed));
    }
    assert_ne!(digest(2), digest(3));
}
