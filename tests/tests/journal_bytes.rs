//! Every byte of the journal matters: each record, each byte, flipped, is found, and the record is named.

use reprise::{
    engine::on_engine_thread,
    events::EventLines,
    journal::{Group, Journal, JournalError, LedgerEntry, RecordKind, tamper::Record},
    node::{EngineChoice, PackageExecutors},
    runner::Runner,
    verify::{VerifyError, VerifyOptions, verify},
};
use reprise_abi::{Input, decode_canonical};
use reprise_receipts::{
    AttestationBody, Genesis, Head, Missing, NoteKey, Package, SigningKey, Verdict,
    genesis::{GENESIS_FORMAT, PROTOCOL_EPOCH},
    ledger::Sealed,
    log::LogTail,
    verdict::Claim,
};
use reprise_tests::{disk::MemoryDisk, fixture};
use std::{
    fs,
    path::Path,
    sync::{Arc, atomic::AtomicU64},
};

const MASKS: [u8; 2] = [0x01, 0x80];
/// Bytes of the package that are flipped, spread over its length.
const PACKAGE_BYTES: usize = 200;
/// At least the length of a publisher's note, in bytes.
const NOTE_BYTES: usize = 300;
/// Steps of the two groups. The stored state is that after the first.
const GROUPS: [usize; 2] = [5, 3];
/// Steps of two groups that fill a tile of the log.
const TILE_GROUPS: [usize; 2] = [250, 10];
const TILE_BYTES: usize = 256 * 32;

struct Book {
    memory: MemoryDisk,
    journal: Arc<Journal>,
    entry: LedgerEntry,
}

impl Book {
    fn new(groups: [usize; 2]) -> Self {
        let memory = MemoryDisk::default();
        memory.lock().forgets = true;
        let journal = Arc::new(Journal::on_backend(memory.clone()).unwrap());
        let package: Package = decode_canonical(&fs::read(fixture("packages/lease-1.0.0.reprise")).unwrap()).unwrap();
        let package = journal.put_package(&package).unwrap();
        let key = SigningKey::from_secret(&[1; 32]);
        let genesis = Genesis {
            format: GENESIS_FORMAT,
            name: "bytes".to_owned(),
            nonce: [2; 16],
            protocol_epoch: PROTOCOL_EPOCH,
            engine_profile: reprise::engine::EngineProfile::current().digest(),
            package,
            epoch: 1,
            attester: key.public(),
            operators: vec![key.public()],
            operator_threshold: 1,
        };
        let entry = journal.put_ledger(&genesis).unwrap();
        let steps = seal(&journal, genesis, groups.iter().sum());
        let mut tail = LogTail::default();
        let mut rest = steps.as_slice();
        for length in groups {
            let (group, after) = rest.split_at(length);
            rest = after;
            group.iter().for_each(|step| tail.append(step.leaf));
            let last = group.last().unwrap();
            let body = AttestationBody::of(&last.receipt, last.leaf, tail.root());
            let tiles = tail.take_complete_tiles();
            journal.commit(entry.no, &Group { steps: group, tiles: &tiles, attestation: None }).unwrap();
            let attestation = body.sign(&key);
            journal.commit(entry.no, &Group { attestation: Some(&attestation), ..Group::default() }).unwrap();
            if !rest.is_empty() {
                journal.bring_state_forward(entry.no).unwrap();
            }
        }
        Self { memory, journal, entry }
    }

    fn verify(&self, engine: EngineChoice) -> Result<Verdict, VerifyError> {
        let options = VerifyOptions { range: None, engine, jobs: 1 };
        verify(&self.journal, &self.entry, Path::new("/nonexistent"), &options, &Arc::new(AtomicU64::new(0)))
    }

    fn flip(&self, record: &Record, byte: usize, mask: u8) {
        assert!(self.journal.tamper(self.entry.no, record, byte, mask).unwrap(), "{record} has no byte {byte}");
    }

    /// Flips a byte, asks what is found, and flips it back. None: this record is named; otherwise what was said.
    fn wrong_answer(&self, record: &Record, byte: usize, mask: u8, engine: EngineChoice) -> Option<String> {
        self.flip(record, byte, mask);
        let found = match record {
            Record::Genesis => names_genesis(&self.journal, &self.entry),
            Record::Package(_) => names_package(self, record),
            Record::Format => names_format(&self.memory),
            Record::Row(first) => names_row(*first, self.verify(engine)),
            Record::StateAt => names_state(self.verify(engine)),
            _ => names_step_record(record, self.verify(engine)),
        };
        self.flip(record, byte, mask);
        found.err().map(|what| format!("{record}, byte {byte}, mask {mask:#04x}: {what}"))
    }
}

fn seal(journal: &Arc<Journal>, genesis: Genesis, count: usize) -> Vec<Sealed> {
    let executors = PackageExecutors::new(journal.clone(), EngineChoice::Cranelift, Path::new("/nonexistent"));
    let run = move || {
        let mut head = Head::genesis(genesis);
        let mut runner = Runner::new(Box::new(executors));
        let lines = fs::read(fixture("incidents/rank-loss-and-split.jsonl")).unwrap();
        let step = |proposal: Result<reprise::orderer::Proposal, _>| {
            let proposal = proposal.unwrap();
            let logical_time_ms = proposal.time_ms.unwrap().max(head.logical_time_ms());
            let input = Input { seq: head.next_seq(), epoch: head.epoch(), logical_time_ms, event: proposal.event };
            // Duplicates have no step.
            let work = head.prepare(&input).ok()?;
            let executed = runner.run(&mut head, &input, &work).unwrap();
            Some(head.seal(&input, &work, executed))
        };
        EventLines::new(lines.as_slice()).filter_map(step).take(count).collect()
    };
    on_engine_thread("seal", run).unwrap().join().unwrap()
}

fn names_genesis(journal: &Journal, entry: &LedgerEntry) -> Result<(), String> {
    match journal.ledgers() {
        Err(JournalError::Damaged { kind: RecordKind::Genesis, name, .. }) if name == entry.id.to_string() => Ok(()),
        other => Err(format!("{other:?}")),
    }
}

/// The journal refuses the record, and verification says that the package is missing; or the record is intact but for
/// the publisher's note, which is no part of the package's name, and the note does not hold.
fn names_package(book: &Book, record: &Record) -> Result<(), String> {
    let Record::Package(digest) = record else { unreachable!() };
    match book.journal.packages() {
        Err(JournalError::Damaged { kind: RecordKind::Package, name, .. }) if name == digest.to_string() => {
            match book.verify(EngineChoice::Native) {
                Ok(Verdict::Incomparable(Missing::Package { package, .. })) if package == *digest => Ok(()),
                other => Err(format!("{other:?}")),
            }
        }
        Ok(packages) => {
            let publisher = fs::read_to_string(fixture("packages/example-publisher.pub")).unwrap();
            let held = packages[0].1.verify(&NoteKey::parse(publisher.trim()).unwrap());
            if held.is_err() { Ok(()) } else { Err("the package still holds".to_owned()) }
        }
        Err(other) => Err(format!("{other:?}")),
    }
}

/// A format record is read when a journal is opened: here a copy of the disk is.
fn names_format(memory: &MemoryDisk) -> Result<(), String> {
    let image = memory.lock().image.clone();
    match Journal::on_backend(MemoryDisk::of(image)) {
        Err(JournalError::Format { .. }) => Ok(()),
        Err(other) => Err(format!("{other:?}")),
        Ok(_) => Err("it opens".to_owned()),
    }
}

/// Where the parts of a row are: without it no step of the row can be read.
fn names_row(first: u64, verdict: Result<Verdict, VerifyError>) -> Result<(), String> {
    match verdict {
        Err(VerifyError::Journal(JournalError::Damaged { kind: RecordKind::Steps, name, .. }))
            if name == format!("from {first} on") =>
        {
            Ok(())
        }
        other => Err(format!("{other:?}")),
    }
}

/// Which receipt the stored state is after: more than there are, or one whose state is another.
fn names_state(verdict: Result<Verdict, VerifyError>) -> Result<(), String> {
    match verdict {
        Err(VerifyError::Journal(JournalError::Damaged { kind: RecordKind::State, .. })) => Ok(()),
        Ok(Verdict::Divergent(divergence)) if divergence.what == Claim::StoredState && !divergence.keys.is_empty() => {
            Ok(())
        }
        other => Err(format!("{other:?}")),
    }
}

fn names_step_record(record: &Record, verdict: Result<Verdict, VerifyError>) -> Result<(), String> {
    let Ok(Verdict::Divergent(divergence)) = &verdict else { return Err(format!("{verdict:?}")) };
    let (seq, what) = (divergence.seq, divergence.what);
    let named = match record {
        Record::Input(at) => seq == *at && what == Claim::Input,
        Record::Receipt(at) => seq == *at && what == Claim::ReceiptBytes,
        Record::StepRecord(at) => seq == *at && matches!(what, Claim::StoredDiff | Claim::StoredOutput),
        Record::Attestation(at) => seq == *at && what == Claim::Attestation,
        Record::LogTile(..) => what == Claim::LogNode,
        Record::State(key) => {
            what == Claim::StoredState && divergence.keys.len() == 1 && divergence.keys[0].key == *key
        }
        other => unreachable!("{other} is no record of a step"),
    };
    if named { Ok(()) } else { Err(format!("{verdict:?}")) }
}

/// Every byte; of a package, which is long, some of them, and all of its publisher's note, which is at the end.
fn is_flipped(record: &Record, byte: usize, length: usize) -> bool {
    let is_package = matches!(record, Record::Package(_));
    !is_package || byte.is_multiple_of(length / PACKAGE_BYTES) || byte + NOTE_BYTES > length
}

fn is_match(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Match(range) if range.to == GROUPS.iter().sum::<usize>() as u64)
}

#[test]
fn every_byte_is_found_and_its_record_named() {
    let book = Book::new(GROUPS);
    assert!(is_match(&book.verify(EngineChoice::Native).unwrap()));
    let records = book.journal.records(book.entry.no).unwrap();
    let attestations = records.iter().filter(|(record, _)| matches!(record, Record::Attestation(_))).count();
    assert_eq!(attestations, GROUPS.len());
    for kind in [Record::Row(0), Record::Row(GROUPS[0] as u64), Record::StateAt] {
        assert!(records.iter().any(|(record, _)| *record == kind), "{kind} is tried");
    }
    assert!(records.iter().filter(|(record, _)| matches!(record, Record::State(_))).count() > GROUPS[0]);
    let mut wrong = Vec::new();
    let mut flips = 0_u64;
    for (record, length) in &records {
        for byte in (0..*length).filter(|byte| is_flipped(record, *byte, *length)) {
            for mask in MASKS {
                flips += 1;
                wrong.extend(book.wrong_answer(record, byte, mask, EngineChoice::Native));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {flips} flips:\n{}", wrong.len(), wrong.join("\n"));
    assert!(flips > 1000, "only {flips} flips");
    assert!(is_match(&book.verify(EngineChoice::Native).unwrap()));
}

/// Tiles of the log are stored when they are complete.
#[test]
fn every_byte_of_a_log_tile_is_found_and_the_log_named() {
    let book = Book::new(TILE_GROUPS);
    let tile = Record::LogTile(0, 0);
    assert!(book.journal.records(book.entry.no).unwrap().contains(&(tile.clone(), TILE_BYTES)));
    let flips = (0..TILE_BYTES).map(|byte| (byte, 1 << (byte % 8)));
    let wrong: Vec<String> =
        flips.filter_map(|(byte, mask)| book.wrong_answer(&tile, byte, mask, EngineChoice::Native)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn compiled_guests_name_the_same_records() {
    let book = Book::new(GROUPS);
    let last = GROUPS.iter().sum::<usize>() as u64 - 1;
    for record in [Record::Input(0), Record::Receipt(last), Record::StepRecord(1), Record::Attestation(last)] {
        assert_eq!(book.wrong_answer(&record, 20, 0x01, EngineChoice::Cranelift), None);
    }
    assert!(is_match(&book.verify(EngineChoice::Cranelift).unwrap()));
}
