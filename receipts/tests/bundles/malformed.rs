//! Bundles that do not hold: each is refused, and for its own reason.

use crate::{
    drafts, read,
    sample::{self, Draft, FROM, Ledger, TO, key, sealed},
};
use reprise_abi::{CodecError, encode};
use reprise_receipts::{
    Attestation, AttestationError, Genesis, LedgerId, Package, SigningKey,
    bundle::{BUNDLE_MAGIC, BundleError, BundleHeader, BundleKind, BundleMark, LogEdge, Place, Section, Trust},
    checkpoint::{Ancestry, AncestryError, CheckpointError, Link},
    digest::ContinuityRoot,
    finality::{FinalMark, FinalityError},
    log::{prove_consistency, prove_inclusion},
    snapshot::RestoreError,
    witness::WitnessError,
};

use BundleKind::{Checkpoint, Receipt, Replay};

/// What is done to a bundle, and what is said of it then.
struct Case {
    name: &'static str,
    file: Vec<u8>,
    is_expected: fn(&BundleError) -> bool,
}

fn draft(kind: BundleKind) -> Draft {
    let ledger = Ledger::new();
    match kind {
        Receipt => sample::receipt(&ledger),
        Replay => sample::replay(&ledger),
        Checkpoint => sample::checkpoint(&ledger),
    }
}

/// The items of a bundle are changed; counts and digest are made to fit.
macro_rules! items {
    ($name:literal, $kind:expr, |$draft:ident| $change:expr, $($expected:tt)+) => {{
        let mut made = draft($kind);
        let $draft = &mut made;
        $change;
        for section in Section::ALL {
            if !matches!(section, Section::Receipt | Section::Input | Section::Record) {
                made.count(section);
            }
        }
        Case { name: $name, file: made.to_bytes(), is_expected: |error| matches!(error, $($expected)+) }
    }};
}

/// The bytes of a bundle are changed; only the digest is made to fit.
macro_rules! bytes {
    ($name:literal, $kind:expr, |$draft:ident, $body:ident| $change:expr, $($expected:tt)+) => {{
        let made = draft($kind);
        let ($draft, mut $body) = (&made, made.body());
        $change;
        Case { name: $name, file: sealed($body), is_expected: |error| matches!(error, $($expected)+) }
    }};
}

/// The header of a bundle is changed, and nothing else.
macro_rules! header {
    ($name:literal, $kind:expr, |$header:ident| $change:expr, $($expected:tt)+) => {{
        let mut changed = draft($kind);
        let $header: &mut BundleHeader = &mut changed.header;
        $change;
        Case { name: $name, file: changed.to_bytes(), is_expected: |error| matches!(error, $($expected)+) }
    }};
}

fn place(section: Section, item: u64) -> Place {
    Place { section, item }
}

fn foreign(ledger: &Ledger, seq: u64) -> Attestation {
    ledger.attestation(seq).body.sign(&SigningKey::from_secret(&[9; 32]))
}

fn framing() -> Vec<Case> {
    let prelude = BUNDLE_MAGIC.len();
    vec![
        bytes!("another kind of file", Receipt, |_d, body| body[0] ^= 1, BundleError::Magic),
        bytes!("unknown version", Receipt, |_d, body| body[prelude] = 9, BundleError::Version { found: 9 }),
        bytes!(
            "no header",
            Receipt,
            |_d, body| body[prelude + 2..prelude + 6].fill(0),
            BundleError::HeaderTooLong { len: 0 }
        ),
        bytes!(
            "header of 4 GiB",
            Receipt,
            |_d, body| body[prelude + 2..prelude + 6].fill(0xff),
            BundleError::HeaderTooLong { .. }
        ),
        bytes!("header of another shape", Receipt, |_d, body| body[prelude + 6] = 7, BundleError::Header(_)),
        header!(
            "unsupported rules",
            Receipt,
            |h| h.genesis = Genesis { protocol_epoch: 1, ..h.genesis.clone() },
            BundleError::Unsupported(_)
        ),
        header!(
            "ledger of another name",
            Receipt,
            |h| h.ledger = LedgerId::from_bytes([1; 32]),
            BundleError::Ledger { .. }
        ),
        header!("range backwards", Receipt, |h| (h.from, h.to) = (TO, FROM), BundleError::Range { .. }),
        header!("empty range", Replay, |h| h.to = h.from, BundleError::Range { .. }),
        header!("range beyond any log", Receipt, |h| h.to = u64::MAX, BundleError::Range { .. }),
        header!("checkpoint of a range", Checkpoint, |h| h.from = 0, BundleError::Range { .. }),
        header!(
            "more packages than any range has",
            Replay,
            |h| h.set_count(Section::Package, 65),
            BundleError::Count { section: Section::Package, found: 65 }
        ),
        header!(
            "fewer receipts than the range",
            Receipt,
            |h| h.set_count(Section::Receipt, 1),
            BundleError::Count { section: Section::Receipt, .. }
        ),
        header!(
            "proof of nothing",
            Receipt,
            |h| h.set_count(Section::Proof, 1),
            BundleError::Count { section: Section::Proof, .. }
        ),
        header!(
            "witness and snapshot",
            Replay,
            |h| h.set_count(Section::Manifest, 1),
            BundleError::Count { section: Section::Witness, .. }
        ),
        header!(
            "no start",
            Replay,
            |h| h.set_count(Section::Witness, 0),
            BundleError::Count { section: Section::Witness, found: 0 }
        ),
        bytes!(
            "unknown section",
            Replay,
            |d, body| {
                let at = d.offset(1);
                body[at] = 77
            },
            BundleError::UnknownSection { tag: 77, after: Some(_) }
        ),
        items!(
            "sections in another order",
            Replay,
            |d| d.items.swap(0, 1),
            BundleError::Missing { missing: Place { section: Section::Package, item: 0 } }
        ),
        bytes!(
            "section that comes again",
            Checkpoint,
            |d, body| {
                let (start, end) = (d.offset(0), d.offset(1));
                let note = body[start..end].to_vec();
                let at = d.offset(3);
                body.splice(at..at, note);
            },
            BundleError::Order { .. }
        ),
        items!(
            "input before its receipt",
            Receipt,
            |d| {
                let at = d.at(Section::Receipt, 0);
                d.items.swap(at, at + 1)
            },
            BundleError::Missing { missing: Place { section: Section::Receipt, item: 0 } }
        ),
        items!(
            "record before its input",
            Receipt,
            |d| {
                let at = d.at(Section::Input, 2);
                d.items.swap(at, at + 1)
            },
            BundleError::Order { .. }
        ),
        items!(
            "two receipts in a row",
            Receipt,
            |d| {
                let at = d.at(Section::Receipt, 0);
                d.items.swap(at + 1, at + 3)
            },
            BundleError::Order { .. }
        ),
        bytes!(
            "one witness too many",
            Replay,
            |d, body| {
                let (at, end) = (d.offset(d.at(Section::Witness, 0)), d.offset(d.at(Section::Receipt, 0)));
                let item = body[at..end].to_vec();
                body.splice(end..end, item);
            },
            BundleError::Surplus(Place { section: Section::Witness, item: 1 })
        ),
        items!(
            "last step missing",
            Receipt,
            |d| d.items.truncate(d.items.len() - 5),
            BundleError::Missing { missing: Place { section: Section::Receipt, item: 7 } }
        ),
        items!("input missing", Receipt, |d| drop(d.remove(Section::Input, 1)), BundleError::Order { .. }),
        bytes!(
            "package of 4 GiB",
            Replay,
            |d, body| {
                let at = d.offset(0);
                body[at + 1..at + 5].fill(0xff)
            },
            BundleError::TooLong { place: Place { section: Section::Package, item: 0 }, .. }
        ),
        bytes!(
            "receipt of 1 MiB",
            Receipt,
            |d, body| {
                let at = d.offset(d.at(Section::Receipt, 3));
                body[at + 3] = 16
            },
            BundleError::TooLong { place: Place { section: Section::Receipt, item: 3 }, .. }
        ),
        bytes!(
            "record of 2 GiB",
            Receipt,
            |d, body| {
                let at = d.offset(d.at(Section::Record, 0));
                body[at + 4] = 0x80
            },
            BundleError::TooLong { place: Place { section: Section::Record, .. }, .. }
        ),
        Case {
            name: "wrong digest",
            file: {
                let mut file = draft(Receipt).to_bytes();
                *file.last_mut().unwrap() ^= 1;
                file
            },
            is_expected: |error| matches!(error, BundleError::Digest { .. }),
        },
        Case {
            name: "bytes after the end",
            file: [draft(Receipt).to_bytes(), vec![0]].concat(),
            is_expected: |error| matches!(error, BundleError::AfterEnd),
        },
        Case {
            name: "two bundles in one file",
            file: draft(Receipt).to_bytes().repeat(2),
            is_expected: |error| matches!(error, BundleError::AfterEnd),
        },
    ]
}

fn steps() -> Vec<Case> {
    vec![
        items!(
            "step twice",
            Receipt,
            |d| {
                let at = d.at(Section::Receipt, 1);
                let step = d.items[at - 3..at].to_vec();
                d.items.splice(at..at + 3, step);
            },
            BundleError::Sequence { expected: 5, found: 4, .. }
        ),
        items!(
            "steps in another order",
            Receipt,
            |d| {
                let (a, b) = (d.at(Section::Receipt, 2), d.at(Section::Receipt, 4));
                for part in 0..3 {
                    d.items.swap(a + part, b + part)
                }
            },
            BundleError::Sequence { expected: 6, found: 8, .. }
        ),
        items!(
            "step left out",
            Receipt,
            |d| {
                let at = d.at(Section::Receipt, 2);
                d.items.drain(at..at + 3);
            },
            BundleError::Sequence { expected: 6, found: 7, .. }
        ),
        items!(
            "receipt that does not decode",
            Receipt,
            |d| d.item(Section::Receipt, 0).push(0),
            BundleError::Codec { place: Place { section: Section::Receipt, item: 0 }, .. }
        ),
        items!(
            "receipt of another ledger",
            Receipt,
            |d| edit(d, 0, |r| r.ledger = LedgerId::from_bytes([1; 32])),
            BundleError::ReceiptLedger { .. }
        ),
        items!(
            "receipt that follows another",
            Receipt,
            |d| edit(d, 3, |r| r.previous = reprise_receipts::LeafHash::NONE),
            BundleError::Chain { .. }
        ),
        items!(
            "receipt that was changed",
            Receipt,
            |d| edit(d, 2, |r| r.fuel += 1),
            BundleError::Chain { place: Place { item: 3, .. }, .. }
        ),
        items!(
            "receipt with another state before it",
            Receipt,
            |d| edit(d, 0, |r| r.prior_state = r.next_state),
            BundleError::State { .. }
        ),
        items!("time that goes back", Receipt, |d| edit(d, 0, |r| r.logical_time_ms = 0), BundleError::Time(_)),
        items!(
            "another receipt before the range",
            Receipt,
            |d| *d.item(Section::Base, 0) = Ledger::new().steps[2].receipt_bytes.clone(),
            BundleError::Sequence { place: Place { section: Section::Base, .. }, expected: 3, found: 2 }
        ),
        items!(
            "input of another step",
            Receipt,
            |d| *d.item(Section::Input, 1) = Ledger::new().steps[0].input_bytes.clone(),
            BundleError::Input(Place { item: 1, .. })
        ),
        items!(
            "diff of another step",
            Receipt,
            |d| *d.item(Section::Record, 1) = Ledger::new().steps[0].record_bytes.clone(),
            BundleError::Diff(Place { item: 1, .. })
        ),
        items!(
            "output of another step",
            Receipt,
            |d| answer(d.item(Section::Record, 1)),
            BundleError::Output(Place { item: 1, .. })
        ),
        items!(
            "record that does not decode",
            Receipt,
            |d| d.item(Section::Record, 1).push(0),
            BundleError::Codec { place: Place { section: Section::Record, item: 1 }, .. }
        ),
        items!(
            "record of 4 billion changes",
            Receipt,
            |d| {
                d.item(Section::Record, 0).splice(..1, [0xff, 0xff, 0xff, 0xff, 0x0f]);
            },
            BundleError::TooMany(Place { section: Section::Record, item: 0 })
        ),
        items!(
            "record of a million empty changes",
            Receipt,
            |d| *d.item(Section::Record, 0) = [vec![0xc0, 0x84, 0x3d], vec![0; 3_000_010]].concat(),
            BundleError::TooMany(_)
        ),
        items!(
            "log of another length",
            Receipt,
            |d| *d.item(Section::Edge, 0) = encode(&LogEdge::of(FROM - 1, &Ledger::new().tiles()).unwrap()),
            BundleError::EdgeSize { expected: FROM, found: 3 }
        ),
        items!(
            "log with another hash",
            Receipt,
            |d| *d.item(Section::Edge, 0).last_mut().unwrap() ^= 1,
            BundleError::LogRoot { place: Place { section: Section::Attestation, item: 0 }, .. }
        ),
        items!(
            "log with a hash too few",
            Receipt,
            |d| d.item(Section::Edge, 0).truncate(40),
            BundleError::Codec { place: Place { section: Section::Edge, .. }, .. }
        ),
    ]
}

fn signatures() -> Vec<Case> {
    vec![
        items!(
            "signature that does not hold",
            Receipt,
            |d| *d.item(Section::Attestation, 1).last_mut().unwrap() ^= 1,
            BundleError::Attestation { place: Place { item: 1, .. }, error: AttestationError::BadSignature(_) }
        ),
        items!(
            "signature of another key",
            Receipt,
            |d| *d.item(Section::Attestation, 0) = encode(&foreign(&Ledger::new(), 5)),
            BundleError::Attestation { error: AttestationError::ForeignKey(_), .. }
        ),
        items!(
            "attestation of another receipt",
            Receipt,
            |d| *d.item(Section::Attestation, 0) = encode(&Ledger::new().attestation(6)),
            BundleError::AttestedOther(_)
        ),
        items!(
            "attestation of another log",
            Receipt,
            |d| *d.item(Section::Attestation, 0) = encode(
                &{
                    let mut body = Ledger::new().attestation(5).body;
                    body.log_root = reprise_receipts::LogRoot::EMPTY;
                    body
                }
                .sign(&sample::attester())
            ),
            BundleError::LogRoot { .. }
        ),
        items!(
            "last receipts without a signature",
            Receipt,
            |d| drop(d.remove(Section::Attestation, 3)),
            BundleError::Unattested { seq: 11 }
        ),
        items!(
            "no signature at all",
            Receipt,
            |d| for _ in 0..4 {
                d.remove(Section::Attestation, 0);
            },
            BundleError::Unattested { seq: 11 }
        ),
        items!(
            "note that is none",
            Replay,
            |d| d.item(Section::Note, 0).truncate(30),
            BundleError::Note(CheckpointError::NotANote)
        ),
        items!(
            "note of another key",
            Replay,
            |d| *d.item(Section::Note, 0) =
                Ledger::new().checkpoint(TO).sign(&SigningKey::from_secret(&[9; 32])).text().into(),
            BundleError::Note(CheckpointError::Unsigned(_))
        ),
        items!(
            "note of a shorter log",
            Replay,
            |d| *d.item(Section::Note, 0) = Ledger::new().checkpoint(TO - 1).sign(&sample::attester()).text().into(),
            BundleError::OtherLog(Place { section: Section::Note, .. })
        ),
        items!(
            "proof of another receipt",
            Replay,
            |d| *d.item(Section::Proof, 0) = encode(&prove_inclusion(&Ledger::new().tiles(), TO, 2).unwrap()),
            BundleError::Proof(_)
        ),
        items!(
            "note of another log",
            Replay,
            |d| *d.item(Section::Note, 0) = {
                let mut other = Ledger::new().checkpoint(TO);
                other.log_root = Ledger::new().checkpoint(3).log_root;
                other.sign(&sample::attester()).text().into()
            },
            BundleError::Proof(_)
        ),
    ]
}

fn starts() -> Vec<Case> {
    vec![
        items!(
            "missing package",
            Replay,
            |d| *d.item(Section::Package, 0) = encode(&sample::package("2.0.0")),
            BundleError::NoPackage { place: Place { section: Section::Receipt, item: 0 }, .. }
        ),
        items!(
            "component of another package",
            Replay,
            |d| *d.item(Section::Package, 0) = encode(&{
                let mut package = sample::package("1.0.0");
                package.component = vec![1];
                package
            }),
            BundleError::Component(_)
        ),
        items!(
            "package twice",
            Replay,
            |d| {
                let package = d.items[0].clone();
                d.items.insert(0, package)
            },
            BundleError::PackageOrder(Place { item: 1, .. })
        ),
        items!(
            "package of a million names",
            Replay,
            |d| {
                let at = kinds(d);
                d.item(Section::Package, 0).splice(at..=at, [vec![0xc0, 0x84, 0x3d], vec![0; 1_000_000]].concat());
            },
            BundleError::TooMany(Place { section: Section::Package, .. })
        ),
        items!(
            "packages that are too large together",
            Replay,
            |d| {
                d.remove(Section::Package, 0);
                for package in large_packages() {
                    d.items.insert(0, (Section::Package, package))
                }
            },
            BundleError::PackagesTooLarge(Place { section: Section::Package, item: 4 })
        ),
        items!(
            "another engine profile",
            Replay,
            |d| d.item(Section::Profile, 0).push(b'.'),
            BundleError::Profile { .. }
        ),
        items!(
            "witness of another state",
            Replay,
            |d| *d.item(Section::Base, 0) = forged_base(),
            BundleError::Witness(WitnessError::OtherRoot { .. })
        ),
        items!(
            "witness that does not decode",
            Replay,
            |d| d.item(Section::Witness, 0).push(0),
            BundleError::Codec { place: Place { section: Section::Witness, .. }, .. }
        ),
        items!(
            "witness of a state without bytes",
            Replay,
            |d| size_of_state(d.item(Section::Witness, 0), 0),
            BundleError::WitnessSize { found: 0 }
        ),
        items!(
            "witness of an endless state",
            Replay,
            |d| size_of_state(d.item(Section::Witness, 0), u64::MAX),
            BundleError::WitnessSize { found: u64::MAX }
        ),
        items!(
            "witness of a million parts",
            Replay,
            |d| *d.item(Section::Witness, 0) = [vec![1, 0, 0xc0, 0x84, 0x3d], [0, 1, 0, 0].repeat(1_000_000)].concat(),
            BundleError::TooMany(Place { section: Section::Witness, .. })
        ),
        items!(
            "record of another size",
            Checkpoint,
            |d| *d.item(Section::CheckpointRecord, 0) =
                encode(&Ledger::new().record(FROM, ContinuityRoot::start(sample::genesis().ledger_id()))),
            BundleError::OtherLog(Place { section: Section::CheckpointRecord, .. })
        ),
        items!(
            "record of another log",
            Checkpoint,
            |d| *d.item(Section::CheckpointRecord, 0) =
                record(|claim| claim.log_root = reprise_receipts::LogRoot::EMPTY),
            BundleError::RecordMismatch
        ),
        items!(
            "record of another state",
            Checkpoint,
            |d| *d.item(Section::CheckpointRecord, 0) =
                record(|claim| claim.snapshot.state_root = reprise_receipts::StateRoot::from_bytes([1; 32])),
            BundleError::RecordMismatch
        ),
        items!("missing ancestry", Checkpoint, |d| drop(d.remove(Section::Ancestry, 0)), BundleError::NoAncestry),
        items!(
            "ancestry that leads elsewhere",
            Checkpoint,
            |d| *d.item(Section::Ancestry, 0) = encode(&Ancestry::default()),
            BundleError::Ancestry(AncestryError::End { .. })
        ),
        items!(
            "ancestry with a later checkpoint",
            Checkpoint,
            |d| *d.item(Section::Ancestry, 0) = encode(&Ancestry {
                links: vec![Link::Record(
                    Ledger::new().record(TO, ContinuityRoot::start(sample::genesis().ledger_id()))
                )]
            }),
            BundleError::Ancestry(AncestryError::Order { .. })
        ),
        items!(
            "log that is not the note's",
            Checkpoint,
            |d| *d.item(Section::Edge, 0).last_mut().unwrap() ^= 1,
            BundleError::LogRoot { place: Place { section: Section::Edge, .. }, .. }
        ),
        items!(
            "last receipt is another one",
            Checkpoint,
            |d| *d.item(Section::Base, 0) = Ledger::new().steps[3].receipt_bytes.clone(),
            BundleError::Sequence { .. }
        ),
        items!(
            "chunk missing",
            Checkpoint,
            |d| {
                d.remove(Section::Final, 0);
                d.items.pop();
            },
            BundleError::Snapshot { error: RestoreError::Incomplete(_), .. }
        ),
        items!(
            "chunk twice",
            Checkpoint,
            |d| {
                d.remove(Section::Final, 0);
                d.items.push(d.items.last().unwrap().clone())
            },
            BundleError::Snapshot { error: RestoreError::PastEnd, .. }
        ),
        items!(
            "chunks in another order",
            Checkpoint,
            |d| {
                let last = d.at(Section::Final, 0) - 1;
                d.items.swap(last, last - 1)
            },
            BundleError::Snapshot { error: RestoreError::Chunk(_), .. }
        ),
        items!(
            "chunk with another value",
            Checkpoint,
            |d| {
                let last = d.at(Section::Final, 0) - 1;
                *d.items[last].1.last_mut().unwrap() ^= 1
            },
            BundleError::Snapshot { error: RestoreError::Chunk(_), .. }
        ),
        items!(
            "snapshot of other counts",
            Checkpoint,
            |d| *d.item(Section::CheckpointRecord, 0) = record(|claim| claim.snapshot.keys -= 1),
            BundleError::Snapshot { .. }
        ),
    ]
}

fn finality() -> Vec<Case> {
    vec![
        items!(
            "33 votes",
            Receipt,
            |d| remark(d, |mark| (30..61)
                .fold(mark, |mark, secret| mark.signed(&SigningKey::from_secret(&[secret; 32]), 1))),
            BundleError::TooMany(Place { section: Section::Final, item: 0 })
        ),
        items!(
            "vote of one signer twice",
            Receipt,
            |d| remark(d, |mut mark| {
                mark.votes[1] = mark.votes[0];
                mark
            }),
            BundleError::Codec { error: CodecError::Invalid { rule: "votes ascend strictly by signer", .. }, .. }
        ),
        items!(
            "final mark without votes",
            Receipt,
            |d| remark(d, |mark| FinalMark { votes: Vec::new(), ..mark }),
            BundleError::Codec { error: CodecError::Invalid { rule: "there are 1 to 32 votes", .. }, .. }
        ),
        items!(
            "vote with another attestation",
            Receipt,
            |d| remark(d, |mut mark| {
                mark.votes[0].attested = mark.votes[1].attested;
                mark
            }),
            BundleError::Final { error: FinalityError::BadSignature(_), .. }
        ),
        items!(
            "vote at another time",
            Receipt,
            |d| remark(d, |mut mark| {
                mark.votes[0].time_s += 1;
                mark
            }),
            BundleError::Final { error: FinalityError::BadSignature(_), .. }
        ),
        items!(
            "final mark of another ledger",
            Receipt,
            |d| remark(d, |mut mark| {
                mark.receipt.ledger = LedgerId::from_bytes([1; 32]);
                signed_again(mark)
            }),
            BundleError::Final { error: FinalityError::OtherLedger(_), .. }
        ),
        items!(
            "final mark of another log",
            Receipt,
            |d| remark(d, |mut mark| {
                mark.log_root = Ledger::new().checkpoint(3).log_root;
                signed_again(mark)
            }),
            BundleError::Final { error: FinalityError::OtherLog { size: sample::FINAL, here: TO }, .. }
        ),
        items!(
            "final mark with the proof of another one",
            Receipt,
            |d| {
                let proof = prove_consistency(&Ledger::new().tiles(), sample::FINAL - 1, TO).unwrap();
                *d.item(Section::Final, 0) = encode(&BundleMark { mark: Ledger::new().mark(sample::FINAL), proof })
            },
            BundleError::Final { error: FinalityError::OtherLog { .. }, .. }
        ),
        items!(
            "final mark beyond the bundle",
            Receipt,
            |d| remark(d, |mut mark| {
                mark.receipt.seq = 99;
                signed_again(mark)
            }),
            BundleError::Final { error: FinalityError::Beyond { size: 100, here: TO }, .. }
        ),
        items!(
            "final mark with another last receipt",
            Replay,
            |d| remark(d, |mut mark| {
                mark.receipt.fuel += 1;
                signed_again(mark)
            }),
            BundleError::Final { error: FinalityError::OtherReceipt { seq: 11 }, .. }
        ),
        items!(
            "two final marks",
            Checkpoint,
            |d| {
                let mark = d.items.last().unwrap().clone();
                d.items.push(mark)
            },
            BundleError::Count { section: Section::Final, found: 2 }
        ),
        items!(
            "final mark before the last step",
            Receipt,
            |d| {
                let mark = d.items.pop().unwrap();
                let at = d.at(Section::Receipt, 7);
                d.items.insert(at, mark)
            },
            BundleError::Missing { missing: Place { section: Section::Receipt, item: 7 } }
        ),
        items!(
            "final mark within a step",
            Receipt,
            |d| {
                let mark = d.items.pop().unwrap();
                let at = d.at(Section::Input, 7);
                d.items.insert(at, mark)
            },
            BundleError::Order { found: Place { section: Section::Final, .. }, .. }
        ),
        items!(
            "final mark with a byte too many",
            Receipt,
            |d| d.item(Section::Final, 0).push(0),
            BundleError::Codec { place: Place { section: Section::Final, .. }, .. }
        ),
    ]
}

/// Another mark in the place of the one in a bundle, with the same proof.
fn remark(draft: &mut Draft, change: impl FnOnce(FinalMark) -> FinalMark) {
    let item = draft.item(Section::Final, 0);
    let BundleMark { mark, proof } = reprise_abi::decode_canonical(item).unwrap();
    let remade = BundleMark { mark: change(mark), proof };
    // The codec writes nothing that breaks a rule.
    *item = postcard::to_allocvec(&remade).unwrap();
}

/// What the same members would have signed.
fn signed_again(mark: FinalMark) -> FinalMark {
    mark.signed(&sample::attester(), 1).signed(&sample::member(), 1)
}

/// Changes a receipt of a bundle. What names its leaf hash is left as it is.
fn edit(draft: &mut Draft, index: usize, change: impl FnOnce(&mut reprise_receipts::Receipt)) {
    let item = draft.item(Section::Receipt, index);
    let mut receipt = reprise_abi::decode_canonical(item).unwrap();
    change(&mut receipt);
    *item = encode(&receipt);
}

/// Another answer in a step record.
fn answer(record: &mut Vec<u8>) {
    let mut decoded: reprise_receipts::StepRecord = reprise_abi::decode_canonical(record).unwrap();
    decoded.output.outcome = reprise_abi::Outcome::Accepted { answer: b"another".to_vec() };
    *record = encode(&decoded);
}

/// A receipt before the range that ends with another state.
fn forged_base() -> Vec<u8> {
    let mut receipt = Ledger::new().steps[FROM as usize - 1].receipt.clone();
    receipt.next_state = receipt.prior_state;
    encode(&receipt)
}

/// The size that a witness gives the state: the varint behind the format.
fn size_of_state(witness: &mut Vec<u8>, size: u64) {
    let end = 1 + witness[1..].iter().position(|byte| byte & 0x80 == 0).unwrap();
    let mut varint = Vec::new();
    let mut rest = size;
    while rest > 0x7f {
        varint.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    varint.push(rest as u8);
    witness.splice(1..=end, varint);
}

/// Where a package counts the kinds of input of its policy.
fn kinds(draft: &mut Draft) -> usize {
    let package = draft.item(Section::Package, 0);
    package.windows(6).position(|bytes| bytes == b"\x01\x05coun").unwrap()
}

/// Five packages of almost 4 MiB, the last one first.
fn large_packages() -> Vec<Vec<u8>> {
    let key = SigningKey::from_secret(&[9; 32]);
    let large = |fill: u8| {
        let description = sample::package("1.0.0").manifest.description;
        Package::sign(description, vec![fill; 4_000_000], "publisher.test", &key).unwrap()
    };
    let mut packages: Vec<_> = (0..5).map(large).collect();
    packages.sort_by_key(|package| std::cmp::Reverse(package.manifest.digest()));
    packages.iter().map(encode).collect()
}

/// The checkpoint's record with another claim, in its place.
fn record(change: impl FnOnce(&mut reprise_receipts::checkpoint::CheckpointClaim)) -> Vec<u8> {
    let ledger = Ledger::new();
    let first = ledger.record(FROM, ContinuityRoot::start(sample::genesis().ledger_id()));
    let mut claim = ledger.record(sample::CHECKPOINT, first.continuity).claim;
    change(&mut claim);
    encode(&claim.after(first.continuity))
}

#[test]
fn each_is_refused_for_its_own_reason() {
    let cases: Vec<Case> = [framing(), steps(), signatures(), starts(), finality()].into_iter().flatten().collect();
    assert!(cases.len() >= 40, "the table has {} rows", cases.len());
    let mut wrong = Vec::new();
    for Case { name, file, is_expected } in cases {
        for slice in [1_024, file.len()] {
            let said = read(&file, slice, Trust::Attester(key()));
            if !said.as_ref().is_err_and(is_expected) {
                wrong.push(format!("{name}: {said:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn another_attester_is_refused() {
    let refused = read(&draft(Receipt).to_bytes(), 100, Trust::Attester(sample::package_key()));
    assert!(matches!(refused, Err(BundleError::Attester { .. })), "{refused:?}");
}

/// Cut off at every byte: never accepted, and the error says in which section.
#[test]
fn a_truncated_file_says_where_it_ends() {
    for (name, draft) in drafts() {
        let file = draft.to_bytes();
        let mut sections = std::collections::BTreeSet::new();
        for len in 0..file.len() {
            match read(&file[..len], 4_096, Trust::Attester(key())) {
                Err(BundleError::Truncated(Place { section, .. })) => drop(sections.insert(section)),
                Err(BundleError::TruncatedHeader) => assert!(len < draft.offset(0), "{name}, {len} bytes"),
                Err(BundleError::TruncatedTrailer) => assert!(len + 33 >= file.len(), "{name}, {len} bytes"),
                other => panic!("{name}, {len} bytes: {other:?}"),
            }
        }
        let filled = Section::ALL.into_iter().filter(|section| draft.header.has(*section));
        assert!(filled.eq(sections), "{name}");
    }
}

/// One bit of any byte: the digest sees it, if nothing before it does.
#[test]
fn every_flipped_bit_is_seen() {
    for (name, draft) in drafts() {
        let file = draft.to_bytes();
        for at in 0..file.len() {
            let mut flipped = file.clone();
            flipped[at] ^= 1 << (at % 8);
            assert!(read(&flipped, 8_192, Trust::Attester(key())).is_err(), "{name}, byte {at}");
        }
    }
}

#[test]
fn places_are_named() {
    let missing = BundleError::Truncated(place(Section::Chunk, 3));
    assert_eq!(missing.to_string(), "the file ends at snapshot chunks, item 3");
}
