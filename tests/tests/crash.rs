//! A crash at every operation of the disk: whatever reached it, the journal opens, and what was acknowledged is there.
//!
//! The disk keeps what was synced. Of what was asked since, a crash may leave nothing, everything, everything with the
//! last write torn in half, or any part: each of these images is opened, counted and verified.

use reprise::{
    engine::on_engine_thread,
    events::EventLines,
    journal::{Group, Journal, LedgerEntry},
    node::{EngineChoice, PackageExecutors},
    runner::Runner,
    verify::{VerifyOptions, verify},
};
use reprise_abi::{Input, decode_canonical};
use reprise_receipts::{
    Attestation, AttestationBody, Genesis, Head, LeafHash, Missing, Package, SigningKey, Verdict,
    genesis::{GENESIS_FORMAT, PROTOCOL_EPOCH},
    ledger::Sealed,
    log::LogTail,
};
use reprise_tests::{
    SplitMix,
    disk::{DiskOperation, MemoryDisk},
    fixture,
};
use std::{
    fs,
    path::Path,
    sync::{Arc, atomic::AtomicU64},
};

/// Steps of each group: one, few, and enough to fill a tile of the log.
const GROUPS: [usize; 8] = [1, 7, 40, 1, 200, 30, 3, 1];
/// The groups after which the stored state is brought forward.
const STATE_AFTER: [usize; 2] = [2, 5];
const SEED: u64 = 0x6372_6173_6821;

/// What a run left: a disk, and when it promised what.
struct Recorded {
    entry: LedgerEntry,
    /// The disk when the ledger had been created.
    start: Vec<u8>,
    operations: Vec<DiskOperation>,
    leaves: Vec<LeafHash>,
    /// After so many operations, so many steps were acknowledged.
    acknowledged: Vec<(usize, usize)>,
}

impl Recorded {
    /// Commits every group with the attestation over the one before it, and brings the stored state forward now and
    /// then, as a node does.
    fn new() -> Self {
        let disk = MemoryDisk::default();
        let journal = Arc::new(Journal::on_backend(disk.clone()).unwrap());
        let package: Package = decode_canonical(&fs::read(fixture("packages/lease-1.0.0.reprise")).unwrap()).unwrap();
        let key = SigningKey::from_secret(&[1; 32]);
        let genesis = genesis(&key, &journal.put_package(&package).unwrap());
        let entry = journal.put_ledger(&genesis).unwrap();
        let steps = seal(&journal, genesis);
        let start = {
            let mut disk = disk.lock();
            assert_eq!(disk.operations.last(), Some(&DiskOperation::Sync), "a ledger is durable when it is created");
            disk.operations.clear();
            disk.image.clone()
        };
        let mut acknowledged = vec![(0, 0)];
        let mut tail = LogTail::default();
        let mut unsaved: Option<Attestation> = None;
        let mut rest = steps.as_slice();
        for (index, length) in GROUPS.into_iter().enumerate() {
            let (group, after) = rest.split_at(length);
            rest = after;
            group.iter().for_each(|step| tail.append(step.leaf));
            let tiles = tail.take_complete_tiles();
            journal.commit(entry.no, &Group { steps: group, tiles: &tiles, attestation: unsaved.as_ref() }).unwrap();
            acknowledged.push((disk.lock().operations.len(), steps.len() - rest.len()));
            let last = group.last().unwrap();
            let body = AttestationBody::of(&last.receipt, last.leaf, tail.root());
            unsaved = Some(body.sign(&key));
            if STATE_AFTER.contains(&index) {
                journal.bring_state_forward(entry.no).unwrap();
            }
        }
        journal.commit(entry.no, &Group { attestation: unsaved.as_ref(), ..Group::default() }).unwrap();
        drop(journal);
        let operations = disk.lock().operations.clone();
        Self { entry, start, operations, leaves: steps.iter().map(|step| step.leaf).collect(), acknowledged }
    }

    /// Steps that were acknowledged when `operations` operations had been done.
    fn acknowledged_after(&self, operations: usize) -> usize {
        let by_then = self.acknowledged.iter().filter(|(at, _)| *at <= operations);
        by_then.map(|(_, steps)| *steps).max().unwrap_or(0)
    }

    /// Opens what a crash left, and gives how many steps are there.
    fn check(&self, image: Vec<u8>, acknowledged: usize, crash: &str) -> usize {
        let journal = Journal::on_backend(MemoryDisk::of(image));
        let journal = Arc::new(journal.unwrap_or_else(|error| panic!("{crash}: {error}")));
        assert_eq!(journal.ledgers().unwrap(), std::slice::from_ref(&self.entry), "{crash}");
        let reader = journal.read(self.entry.no).unwrap();
        let size = reader.size().unwrap() as usize;
        assert!(size >= acknowledged, "{crash}: {acknowledged} steps were acknowledged, {size} are there");
        assert!(self.acknowledged.iter().any(|(_, steps)| *steps == size), "{crash}: {size} steps are part of a group");
        for (seq, leaf) in (0..).zip(&self.leaves[..size]) {
            assert_eq!(LeafHash::of(&reader.receipt(seq).unwrap().unwrap()), *leaf, "{crash}: receipt {seq}");
        }
        let attested = reader.last_attestation().unwrap().map_or(0, |(seq, _)| seq + 1);
        let options = VerifyOptions { range: None, engine: EngineChoice::Native, jobs: 1 };
        let progress = Arc::new(AtomicU64::new(0));
        match verify(&journal, &self.entry, Path::new("/nonexistent"), &options, &progress).unwrap() {
            Verdict::Match(range) => assert_eq!(range.to as usize, size, "{crash}"),
            Verdict::Incomparable(Missing::Attestation { seq }) => {
                assert_eq!(seq, attested, "{crash}");
                assert!((attested as usize) < size, "{crash}");
            }
            verdict => panic!("{crash}: {verdict:?}"),
        }
        size
    }
}

fn genesis(key: &SigningKey, package: &reprise_receipts::PackageDigest) -> Genesis {
    Genesis {
        format: GENESIS_FORMAT,
        name: "crash".to_owned(),
        nonce: [3; 16],
        protocol_epoch: PROTOCOL_EPOCH,
        engine_profile: reprise::engine::EngineProfile::current().digest(),
        package: *package,
        epoch: 1,
        attester: key.public(),
        operators: vec![key.public()],
        operator_threshold: 1,
    }
}

fn seal(journal: &Arc<Journal>, genesis: Genesis) -> Vec<Sealed> {
    let executors = PackageExecutors::new(journal.clone(), EngineChoice::Native, Path::new("/nonexistent"));
    let run = move || {
        let mut head = Head::genesis(genesis);
        let mut runner = Runner::new(Box::new(executors));
        let lines = fs::read(fixture("incidents/rank-loss-and-split.jsonl")).unwrap();
        let mut steps = Vec::new();
        for proposal in EventLines::new(lines.as_slice()) {
            let proposal = proposal.unwrap();
            let logical_time_ms = proposal.time_ms.unwrap().max(head.logical_time_ms());
            let input = Input { seq: head.next_seq(), epoch: head.epoch(), logical_time_ms, event: proposal.event };
            // Duplicates have no step.
            let Ok(work) = head.prepare(&input) else { continue };
            let executed = runner.run(&mut head, &input, &work).unwrap();
            steps.push(head.seal(&input, &work, executed));
            if steps.len() == GROUPS.iter().sum::<usize>() {
                break;
            }
        }
        steps
    };
    on_engine_thread("seal", run).unwrap().join().unwrap()
}

/// What a crash may leave of operations that were not synced.
fn crash_images(synced: &[u8], unsynced: &[DiskOperation], random: &mut SplitMix) -> Vec<(&'static str, Vec<u8>)> {
    let after = |operations: &[DiskOperation]| {
        let mut image = synced.to_vec();
        operations.iter().for_each(|operation| operation.apply(&mut image));
        image
    };
    let Some((last, before)) = unsynced.split_last() else { return vec![("synced", synced.to_vec())] };
    let mut torn = before.to_vec();
    torn.push(last.torn());
    let some: Vec<_> = unsynced.iter().filter(|_| random.below(2) == 0).cloned().collect();
    vec![
        ("nothing since the sync", synced.to_vec()),
        ("everything", after(unsynced)),
        ("the last write torn", after(&torn)),
        ("some writes", after(&some)),
    ]
}

#[test]
fn a_crash_at_any_operation_loses_nothing_that_was_acknowledged() {
    let recorded = Recorded::new();
    let mut synced = recorded.start.clone();
    let mut synced_operations = 0;
    let mut random = SplitMix(SEED);
    let mut sizes = std::collections::BTreeSet::new();
    for done in 0..=recorded.operations.len() {
        if done > 0 && recorded.operations[done - 1] == DiskOperation::Sync {
            recorded.operations[synced_operations..done].iter().for_each(|operation| operation.apply(&mut synced));
            synced_operations = done;
        }
        let unsynced = &recorded.operations[synced_operations..done];
        for (what, image) in crash_images(&synced, unsynced, &mut random) {
            let crash = format!("after operation {done} of {}, {what}", recorded.operations.len());
            sizes.insert(recorded.check(image, recorded.acknowledged_after(done), &crash));
        }
    }
    let groups: Vec<usize> = recorded.acknowledged.iter().map(|(_, steps)| *steps).collect();
    assert_eq!(sizes.into_iter().collect::<Vec<_>>(), groups, "a crash was tried around every group");
}
