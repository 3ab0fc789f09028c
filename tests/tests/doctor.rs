//! The doctor finds every damaged byte, names its record, and repairs what the node can prove.
//!
//! Faults are flipped bit patterns of one byte of one record, anywhere in a closed journal: steps, rows, state, log,
//! attestations, packages, genesis, format, settings, checkpoints, chunks, quarantine, rewinds, final marks.

#[path = "support/book.rs"]
mod book;

use book::Book;
use reprise::{
    archive::{self, Contents, Directory},
    journal::{GuardedKey, Journal, KeptMark, QuarantinedKind, RawCheckpoint, tamper::Record},
    recovery::{
        NoWatch, RecoveryError, carry_out,
        doctor::{self, Copies, Options, Outcome, Report, Subject},
        rollback,
    },
};
use reprise_abi::decode_canonical;
use reprise_receipts::{FinalMark, NoteKey, SigningKey, bundle::LogEdge, digest::ChunkId};
use reprise_tests::{SplitMix, fixture};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

const FAULTS: usize = 1_000;
const SEED: u64 = 0x7265_7072_6973_6506;

/// A record of a ledger, wherever it is stored.
#[derive(Clone, Debug)]
enum Place {
    Record(Record),
    Guarded(GuardedKey),
    Checkpoint(u64),
    Note(u64),
    Chunk(ChunkId),
}

impl Place {
    /// The doctor names this record.
    fn is_named_by(&self, subject: &Subject) -> bool {
        match (self, subject) {
            (Self::Record(Record::State(key)), Subject::State(keys)) => keys.as_slice() == [key.clone()],
            (Self::Record(record), subject) => match (record, subject) {
                (Record::Format, Subject::Format) | (Record::Genesis, Subject::Genesis) => true,
                (Record::StateAt, Subject::StateAt) => true,
                (Record::Package(a), Subject::Package(b)) => a == b,
                (Record::Row(a), Subject::Row(b)) => a == b,
                (Record::Input(a), Subject::Input(b)) => a == b,
                (Record::Receipt(a), Subject::Receipt(b)) => a == b,
                (Record::StepRecord(a), Subject::StepRecord(b)) => a == b,
                (Record::Attestation(a), Subject::Attestation(b)) => a == b,
                (Record::LogTile(a, b), Subject::LogTile(c, d)) => (a, b) == (c, d),
                _ => false,
            },
            (Self::Guarded(GuardedKey::Settings), Subject::Settings) => true,
            (Self::Guarded(GuardedKey::Final), Subject::Final) => true,
            (Self::Guarded(GuardedKey::Case(a)), Subject::Case(b)) => a == b,
            (Self::Guarded(GuardedKey::Quarantined(a, b, c)), Subject::Quarantined(d, e, f)) => (a, b, c) == (d, e, f),
            (Self::Guarded(GuardedKey::Rewind(a)), Subject::Rewind(b)) => a == b,
            (Self::Checkpoint(a), Subject::Checkpoint(b)) | (Self::Note(a), Subject::Note(b)) => a == b,
            (Self::Chunk(a), Subject::Chunk(b)) => a == b,
            _ => false,
        }
    }
}

/// Every record with its length.
fn places(book: &Book) -> Vec<(Place, usize)> {
    let (journal, no) = (book.journal(), book.entry.no);
    let mut places: Vec<_> =
        journal.records(no).unwrap().into_iter().map(|(record, length)| (Place::Record(record), length)).collect();
    places.extend(journal.raw_guarded(no).unwrap().into_iter().map(|(key, bytes)| (Place::Guarded(key), bytes.len())));
    for raw in journal.raw_checkpoints(no).unwrap() {
        places.push((Place::Checkpoint(raw.size), raw.record.len()));
        places.push((Place::Note(raw.size), raw.note.len()));
    }
    let chunks = journal.chunks(no).unwrap();
    places.extend(chunks.all().unwrap().map(Result::unwrap).map(|(id, bytes)| (Place::Chunk(id), bytes.len())));
    places.retain(|(_, length)| *length > 0);
    places
}

fn flip(book: &Book, place: &Place, byte: usize, mask: u8) {
    let (journal, no) = (book.journal(), book.entry.no);
    let checkpoint = |size| journal.raw_checkpoints(no).unwrap().into_iter().find(|raw| raw.size == size).unwrap();
    match place {
        Place::Record(record) => assert!(journal.tamper(no, record, byte, mask).unwrap(), "{record}"),
        Place::Guarded(key) => {
            let (_, mut bytes) = journal.raw_guarded(no).unwrap().into_iter().find(|(other, _)| other == key).unwrap();
            bytes[byte] ^= mask;
            journal.mend_guarded(no, *key, &bytes).unwrap();
        }
        Place::Checkpoint(size) => {
            let mut raw: RawCheckpoint = checkpoint(*size);
            raw.record[byte] ^= mask;
            journal.mend_checkpoint(no, &raw).unwrap();
        }
        Place::Note(size) => {
            let mut raw = checkpoint(*size);
            raw.note[byte] ^= mask;
            journal.mend_checkpoint(no, &raw).unwrap();
        }
        Place::Chunk(id) => {
            let mut bytes = journal.chunks(no).unwrap().chunk(*id).unwrap().unwrap();
            bytes[byte] ^= mask;
            journal.put_chunks(no, &[(*id, bytes)], true).unwrap();
        }
    }
}

/// Every byte that the ledger stores, but for what repairs put into quarantine.
fn dump(book: &Book, cases: u32) -> BTreeMap<String, Vec<u8>> {
    let (journal, no) = (book.journal(), book.entry.no);
    let mut all = BTreeMap::new();
    for row in journal.raw_rows(no, 0).unwrap().map(Result::unwrap) {
        for step in row.open().unwrap() {
            all.insert(format!("step {}", step.seq), [step.input, step.receipt, step.record].concat());
        }
    }
    for (no, id, genesis) in journal.raw_ledgers().unwrap() {
        all.insert(format!("ledger {no} {id}"), genesis);
    }
    for (digest, package) in journal.raw_packages().unwrap() {
        all.insert(format!("package {digest}"), package);
    }
    let reader = journal.read(no).unwrap();
    for (key, value) in reader.stored_state().unwrap().scan(&[], None) {
        all.insert(format!("state {key:?}"), value.to_vec());
    }
    all.insert("state at".to_owned(), journal.raw_state_at(no).unwrap());
    for attestation in reader.attestations(0..u64::MAX).unwrap() {
        let (seq, bytes) = attestation.unwrap();
        all.insert(format!("attestation {seq}"), bytes);
    }
    for raw in journal.raw_checkpoints(no).unwrap() {
        all.insert(format!("checkpoint {}", raw.size), [raw.record, raw.note].concat());
    }
    for (id, bytes) in journal.chunks(no).unwrap().all().unwrap().map(Result::unwrap) {
        all.insert(format!("chunk {id}"), bytes);
    }
    for (key, bytes) in journal.raw_guarded(no).unwrap() {
        let is_new = matches!(key, GuardedKey::Case(no) | GuardedKey::Quarantined(no, ..) if no >= cases);
        if !is_new {
            all.insert(format!("{key:?}"), bytes);
        }
    }
    all
}

/// A ledger with everything in it: a rollback has been, checkpoints are kept, the stored state is at the end.
fn book(steps: u64) -> Book {
    let (book, recorded) = Book::recorded(steps, steps / 4);
    let options =
        rollback::Options { size: steps - 7, way: None, attested: true, reason: "test".to_owned(), now_ms: 5 };
    let rollback = rollback::plan(&book.site(), &options).unwrap();
    carry_out(&book.site(), &rollback.plan, &mut NoWatch).unwrap();
    recorded.go_on(&book, steps - 7);
    book.journal().bring_state_forward(book.entry.no).unwrap();
    make_final(&book, steps / 2);
    book
}

/// Two members have signed so many receipts.
fn make_final(book: &Book, size: u64) {
    let reader = book.journal().read(book.entry.no).unwrap();
    let last = decode_canonical(&reader.receipt(size - 1).unwrap().unwrap()).unwrap();
    let mark = FinalMark::unsigned(last, LogEdge::of(size, &reader).unwrap().root());
    let mark = mark.signed(&book.key, 1).signed(&SigningKey::from_secret(&[8; 32]), 2);
    assert!(book.journal().put_final_mark(book.entry.no, &KeptMark { mark, electorate: None }).unwrap());
}

fn publisher() -> NoteKey {
    let text = fs::read_to_string(fixture("packages/example-publisher.pub")).unwrap();
    NoteKey::parse(text.trim()).unwrap()
}

fn examine(book: &Book, options: &Options) -> Result<Report, RecoveryError> {
    let mut report = doctor::examine_node(book.journal(), &[publisher()], options)?;
    report.findings.extend(doctor::examine(&book.site(), options)?.findings);
    Ok(report)
}

fn options(book: &Book, repair: bool, copies: Copies) -> Options {
    Options { repair, attester: Some(book.key.clone()), copies: Arc::new(copies), now_ms: 9 }
}

fn mask(random: &mut SplitMix) -> u8 {
    1 + random.below(255) as u8
}

#[test]
fn an_intact_ledger_has_no_findings() {
    let book = book(700);
    let report = examine(&book, &options(&book, false, Copies::default())).unwrap();
    assert_eq!(report.findings, []);
}

#[test]
fn each_of_a_thousand_faults_is_found_by_name_and_repaired_where_that_is_provable() {
    each_of_a_thousand_faults(&book(60), None);
}

#[test]
fn with_the_archive_at_hand_each_of_a_thousand_faults_is_repaired() {
    let book = book(60);
    let archive = archive_of(&book);
    each_of_a_thousand_faults(&book, Some(&archive));
}

/// The ledger as an archive beside the node.
fn archive_of(book: &Book) -> PathBuf {
    let dir = book.dir.path().join("archive");
    let size = book.journal().read(book.entry.no).unwrap().size().unwrap();
    let note = archive::checkpoint_of(book.journal(), &book.entry, size, Some(&book.key)).unwrap();
    archive::write(book.journal(), &book.entry, &Directory::new(&dir), &note, Contents::Steps).unwrap();
    dir
}

/// One fault after the other. Without an archive a package cannot be repaired; with it everything is.
fn each_of_a_thousand_faults(book: &Book, archive: Option<&Path>) {
    let copies = || archive.map_or_else(Copies::default, |dir| Copies::in_dir(dir).unwrap());
    let cases = book.journal().next_case(book.entry.no).unwrap();
    let before = dump(book, cases);
    let places = places(book);
    let mut random = SplitMix(SEED);
    let mut wrong = Vec::new();
    let package = places.iter().position(|(place, _)| matches!(place, Place::Record(Record::Package(_))));
    // The first one hits what only a copy proves: there is one such record among hundreds.
    let first = package.expect("the ledger has a package");
    for fault in 0..FAULTS {
        let random_place = random.below(places.len() as u64) as usize;
        let (place, length) = &places[if fault == 0 { first } else { random_place }];
        let (byte, mask) = (random.below(*length as u64) as usize, mask(&mut random));
        flip(book, place, byte, mask);
        let found = examine(book, &options(book, false, copies())).unwrap();
        if !found.findings.iter().all(|finding| place.is_named_by(&finding.subject)) || found.findings.is_empty() {
            wrong.push(format!("{place:?} byte {byte} mask {mask:#x}: {:?}", found.findings));
        }
        let repaired = examine(book, &options(book, true, copies())).unwrap();
        let is_package = matches!(place, Place::Record(Record::Package(_)));
        if is_package && archive.is_none() {
            assert!(matches!(repaired.findings[0].outcome, Outcome::Unproven(_)));
            flip(book, place, byte, mask);
        } else if repaired.open().next().is_some() || dump(book, cases) != before {
            wrong.push(format!("{place:?} byte {byte} mask {mask:#x} is not repaired: {:?}", repaired.findings));
            break;
        }
    }
    assert!(wrong.is_empty(), "{} of {FAULTS}:\n{}", wrong.len(), wrong.join("\n"));
    let kept = (cases..).map_while(|no| book.journal().quarantined(book.entry.no, no).ok().filter(|k| !k.is_empty()));
    assert!(kept.flatten().any(|record| record.kind == QuarantinedKind::Receipt));
}

#[test]
fn a_thousand_faults_at_once_are_repaired_with_a_copy_of_the_packages() {
    let book = book(2_000);
    let cases = book.journal().next_case(book.entry.no).unwrap();
    let before = dump(&book, cases);
    let mut places = places(&book);
    let mut random = SplitMix(SEED + 1);
    for _ in 0..FAULTS {
        let (place, length) = places.swap_remove(random.below(places.len() as u64) as usize);
        // The parts of a row are only found while its lengths hold. Of the last step, two damaged records can be more
        // than its attestation alone proves: nothing comes after it.
        let last = |seq: &u64| *seq == 1_999;
        let spared = match &place {
            Place::Record(Record::Row(_)) => true,
            Place::Record(Record::Input(seq) | Record::Receipt(seq) | Record::StepRecord(seq)) => last(seq),
            _ => false,
        };
        if !spared {
            flip(&book, &place, random.below(length as u64) as usize, mask(&mut random));
        }
    }
    let package = places.iter().find(|(place, _)| matches!(place, Place::Record(Record::Package(_))));
    if let Some((place, length)) = package {
        flip(&book, place, length / 2, 1);
    }
    let copies = || Copies::in_dir(&fixture("packages")).unwrap();
    let mut rounds = 0;
    while !examine(&book, &options(&book, true, copies())).unwrap().findings.is_empty() {
        rounds += 1;
        assert!(rounds < 4, "{:?}", examine(&book, &options(&book, false, copies())).unwrap().findings);
    }
    assert_eq!(dump(&book, cases), before);
    assert!(matches!(book.verify(), reprise_receipts::Verdict::Match(_)));
}

#[test]
fn records_with_many_damaged_bytes_are_made_again() {
    let book = book(300);
    let cases = book.journal().next_case(book.entry.no).unwrap();
    let before = dump(&book, cases);
    for byte in 0..40 {
        for record in [Record::Receipt(17), Record::StepRecord(93), Record::Attestation(299), Record::LogTile(0, 0)] {
            flip(&book, &Place::Record(record), byte, 0x5a);
        }
    }
    let report = examine(&book, &options(&book, true, Copies::default())).unwrap();
    assert_eq!(report.findings.len(), 4, "{:?}", report.findings);
    assert_eq!(report.open().count(), 0, "{:?}", report.findings);
    assert_eq!(dump(&book, cases), before);
}

#[test]
fn an_input_with_many_damaged_bytes_needs_a_copy() {
    let book = book(300);
    let before = dump(&book, 1);
    let copy = book.dir.path().join("copy");
    fs::create_dir(&copy).unwrap();
    let dir = book.close();
    fs::copy(dir.path().join("node/journal.redb"), copy.join("journal.redb")).unwrap();
    let book = Book::reopen(dir);
    for byte in 0..9 {
        flip(&book, &Place::Record(Record::Input(120)), byte, 0x21);
        flip(&book, &Place::Record(Record::StepRecord(120)), byte, 0x21);
    }
    let alone = examine(&book, &options(&book, true, Copies::default())).unwrap();
    assert_eq!(alone.findings.len(), 2, "{:?}", alone.findings);
    assert!(alone.findings.iter().all(|finding| matches!(finding.outcome, Outcome::Unproven(_))));
    let copies = Copies::of_journal(Journal::open_read_only(&copy.join("journal.redb")).unwrap());
    let with_copy = examine(&book, &options(&book, true, copies)).unwrap();
    assert_eq!((with_copy.findings.len(), with_copy.open().count()), (2, 0), "{:?}", with_copy.findings);
    assert_eq!(dump(&book, 1), before);
}
