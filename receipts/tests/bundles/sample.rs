//! A small ledger without an engine, and bundles of it that can be taken apart and put together wrongly.

use reprise_abi::{Change, Description, Event, Input, Outcome, encode};
use reprise_receipts::{
    Attestation, AttestationBody, EngineProfileDigest, Executed, Genesis, Head, LogRoot, Package, PublicKey, Sealed,
    SigningKey,
    bundle::{BUNDLE_MAGIC, BUNDLE_VERSION, BundleHeader, BundleKind, BundleMark, LogEdge, Section},
    checkpoint::{Ancestry, Checkpoint, CheckpointClaim, CheckpointRecord, Link},
    digest::ContinuityRoot,
    finality::FinalMark,
    genesis::{GENESIS_FORMAT, PROTOCOL_EPOCH},
    log::{LogTail, prove_inclusion},
    snapshot::{Chunk, ChunkOrder, Manifest, write_snapshot},
    system::reads::{before_step, of_step},
    witness::{Touched, Witness},
};
use std::collections::BTreeMap;

pub const PROFILE: &[u8] = b"engine profile of a test";
pub const FROM: u64 = 4;
pub const TO: u64 = 12;
pub const CHECKPOINT: u64 = 8;
/// Receipts that are final in the receipt bundle: some of its range are not.
pub const FINAL: u64 = 10;

pub fn attester() -> SigningKey {
    SigningKey::from_secret(&[7; 32])
}

/// Another member of the ledger.
pub fn member() -> SigningKey {
    SigningKey::from_secret(&[21; 32])
}

pub fn package(version: &str) -> Package {
    let name = |name: &str| name.to_owned();
    let description = Description {
        name: name("test"),
        version: name(version),
        input_kinds: vec![name("count")],
        views: vec![],
        rejections: vec![],
        governed: vec![],
    };
    Package::sign(description, b"component".to_vec(), "publisher.test", &SigningKey::from_secret(&[9; 32])).unwrap()
}

pub fn genesis() -> Genesis {
    Genesis {
        format: GENESIS_FORMAT,
        name: "sample".to_owned(),
        nonce: [3; 16],
        protocol_epoch: PROTOCOL_EPOCH,
        engine_profile: EngineProfileDigest::of(PROFILE),
        package: package("1.0.0").manifest.digest(),
        epoch: 1,
        attester: attester().public(),
        operators: vec![SigningKey::from_secret(&[8; 32]).public()],
        operator_threshold: 1,
    }
}

/// A ledger of [`TO`] steps.
pub struct Ledger {
    pub steps: Vec<Sealed>,
    /// The heads before each step, and after the last.
    heads: Vec<Head>,
    tiles: BTreeMap<(u8, u64), Vec<u8>>,
    roots: Vec<LogRoot>,
}

/// What a step of the sample does: two counters, one of which moves on.
fn execute(head: &Head, input: &Input) -> Executed {
    let key = |name: &str| [&[1], name.as_bytes()].concat();
    let mut keys = [key("steps"), key(&format!("step/{}", input.seq % 5))];
    keys.sort();
    let change = |key: &Vec<u8>| {
        let before = head.state().get(key).map(<[u8]>::to_vec);
        Change { key: key.clone(), before, after: Some(vec![input.seq as u8 + 1; 40]) }
    };
    let mut executed = Executed::answered(Outcome::Accepted { answer: vec![input.seq as u8] });
    executed.changes = keys.iter().map(change).collect();
    executed
}

impl Ledger {
    pub fn new() -> Self {
        let mut head = Head::genesis(genesis());
        let mut tail = LogTail::new();
        let (mut steps, mut heads, mut roots) = (Vec::new(), vec![head.clone()], vec![tail.root()]);
        for seq in 0..TO {
            let event = Event {
                id: seq.to_string(),
                source: "test".to_owned(),
                kind: "count".to_owned(),
                payload: vec![0; 10],
            };
            let input = Input { seq, epoch: 1, logical_time_ms: 1_000 * (seq + 1), event };
            let work = head.prepare(&input).unwrap();
            let executed = execute(&head, &input);
            steps.push(head.seal(&input, &work, executed));
            tail.append(steps.last().unwrap().leaf);
            roots.push(tail.root());
            heads.push(head.clone());
        }
        let tiles = tail.take_dirty_tiles().into_iter().map(|tile| ((tile.level, tile.index), tile.hashes)).collect();
        Self { steps, heads, tiles, roots }
    }

    pub fn tiles(&self) -> impl reprise_receipts::log::TileSource + '_ {
        |level: u8, index: u64| self.tiles.get(&(level, index)).cloned()
    }

    pub fn attestation(&self, seq: u64) -> Attestation {
        let body = AttestationBody {
            ledger: genesis().ledger_id(),
            seq,
            leaf: self.steps[seq as usize].leaf,
            log_root: self.roots[seq as usize + 1],
            epoch: Some(1),
        };
        body.sign(&attester())
    }

    /// Signed by two of three members: the attester, and another one.
    pub fn mark(&self, size: u64) -> FinalMark {
        let last = self.steps[size as usize - 1].receipt.clone();
        FinalMark::unsigned(last, self.roots[size as usize]).signed(&attester(), 1_000).signed(&member(), 1_001)
    }

    pub fn checkpoint(&self, size: u64) -> Checkpoint {
        Checkpoint { ledger: genesis().ledger_id(), size, log_root: self.roots[size as usize] }
    }

    pub fn witness(&self) -> Witness {
        let mut touched = Touched::new();
        for seq in FROM..TO {
            let head = &self.heads[seq as usize];
            let input: Input = reprise_abi::decode_canonical(&self.steps[seq as usize].input_bytes).unwrap();
            let (work, executed) = (head.prepare(&input).unwrap(), execute(head, &input));
            let own = before_step(head, &input.event);
            for read in own.iter().chain(&of_step(head.state(), &input, &work, &executed)) {
                touched.note(head.state(), read);
            }
        }
        Witness::of(&mut self.heads[FROM as usize].state().clone(), &touched)
    }

    pub fn snapshot(&self, size: u64) -> (Manifest, Vec<Vec<u8>>) {
        let head = &self.heads[size as usize];
        let mut stored = BTreeMap::new();
        let manifest = write_snapshot(head.state(), head.state_root(), &mut stored);
        let mut order = ChunkOrder::new(&manifest);
        let mut chunks = Vec::new();
        while let Some(id) = order.wanted() {
            let bytes = stored[&id].clone();
            order.accept(&Chunk::open(id, &bytes).unwrap()).unwrap();
            chunks.push(bytes);
        }
        (manifest, chunks)
    }

    pub fn record(&self, size: u64, previous: ContinuityRoot) -> CheckpointRecord {
        let claim = CheckpointClaim {
            format: 1,
            ledger: genesis().ledger_id(),
            size,
            log_root: self.roots[size as usize],
            logical_time_ms: 1_000 * size,
            snapshot: self.snapshot(size).0,
        };
        claim.after(previous)
    }
}

/// A bundle in pieces.
#[derive(Clone)]
pub struct Draft {
    pub header: BundleHeader,
    pub items: Vec<(Section, Vec<u8>)>,
}

impl Draft {
    fn new(kind: BundleKind, from: u64, to: u64) -> Self {
        Self { header: BundleHeader::new(kind, genesis(), from, to), items: Vec::new() }
    }

    pub fn push(&mut self, section: Section, bytes: Vec<u8>) {
        self.items.push((section, bytes));
        self.count(section);
    }

    /// The header says what is there.
    pub fn count(&mut self, section: Section) {
        let count = self.items.iter().filter(|(of, _)| *of == section).count();
        self.header.set_count(section, count as u64);
    }

    /// Position of an item of a section.
    pub fn at(&self, section: Section, index: usize) -> usize {
        let of_section = self.items.iter().enumerate().filter(|(_, (of, _))| *of == section);
        of_section.map(|(at, _)| at).nth(index).unwrap()
    }

    pub fn item(&mut self, section: Section, index: usize) -> &mut Vec<u8> {
        let at = self.at(section, index);
        &mut self.items[at].1
    }

    pub fn remove(&mut self, section: Section, index: usize) -> Vec<u8> {
        let at = self.at(section, index);
        self.items.remove(at).1
    }

    /// The file, with the digest of whatever is in it.
    pub fn to_bytes(&self) -> Vec<u8> {
        sealed(self.body())
    }

    /// The file up to its trailer.
    pub fn body(&self) -> Vec<u8> {
        let header = encode(&self.header);
        let mut bytes = BUNDLE_MAGIC.to_vec();
        bytes.extend_from_slice(&BUNDLE_VERSION.to_le_bytes());
        bytes.extend_from_slice(&(header.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&header);
        for (section, item) in &self.items {
            bytes.push(*section as u8);
            bytes.extend_from_slice(&(item.len() as u32).to_le_bytes());
            bytes.extend_from_slice(item);
        }
        bytes
    }

    /// Where the frame of an item begins in the file.
    pub fn offset(&self, at: usize) -> usize {
        let before = Self { header: self.header.clone(), items: self.items[..at].to_vec() };
        before.body().len()
    }
}

/// A body with the trailer that belongs to it.
pub fn sealed(mut body: Vec<u8>) -> Vec<u8> {
    body.push(0);
    let digest = blake3::derive_key("reprise 2026 bundle v1", &body);
    body.extend_from_slice(&digest);
    body
}

pub fn key() -> PublicKey {
    attester().public()
}

fn steps(draft: &mut Draft, ledger: &Ledger) {
    let (from, to) = (draft.header.from, draft.header.to);
    for seq in from..to {
        let step = &ledger.steps[seq as usize];
        draft.push(Section::Receipt, step.receipt_bytes.clone());
        draft.push(Section::Input, step.input_bytes.clone());
        draft.push(Section::Record, step.record_bytes.clone());
        if seq % 2 == 1 {
            draft.push(Section::Attestation, encode(&ledger.attestation(seq)));
        }
    }
}

fn base(draft: &mut Draft, ledger: &Ledger) {
    let from = draft.header.from;
    draft.push(Section::Base, ledger.steps[from as usize - 1].receipt_bytes.clone());
    draft.push(Section::Edge, encode(&LogEdge::of(from, &ledger.tiles()).unwrap()));
}

/// What is final of the ledger, against the log of the bundle.
fn final_mark(draft: &mut Draft, ledger: &Ledger, size: u64) {
    let of_bundle = BundleMark::of(ledger.mark(size), draft.header.to, &ledger.tiles()).unwrap();
    draft.push(Section::Final, encode(&of_bundle));
}

/// Receipts of a range in the middle.
pub fn receipt(ledger: &Ledger) -> Draft {
    let mut draft = Draft::new(BundleKind::Receipt, FROM, TO);
    base(&mut draft, ledger);
    steps(&mut draft, ledger);
    final_mark(&mut draft, ledger, FINAL);
    draft
}

/// A replay on a witness, under a checkpoint.
pub fn replay(ledger: &Ledger) -> Draft {
    let mut draft = Draft::new(BundleKind::Replay, FROM, TO);
    draft.push(Section::Package, encode(&package("1.0.0")));
    draft.push(Section::Profile, PROFILE.to_vec());
    let note = ledger.checkpoint(TO).sign(&attester());
    draft.push(Section::Note, note.text().as_bytes().to_vec());
    base(&mut draft, ledger);
    draft.push(Section::Proof, encode(&prove_inclusion(&ledger.tiles(), TO, TO - 1).unwrap()));
    draft.push(Section::Witness, encode(&ledger.witness()));
    steps(&mut draft, ledger);
    final_mark(&mut draft, ledger, TO);
    draft
}

/// A replay from a snapshot, under a later attestation.
pub fn replay_from_snapshot(ledger: &Ledger) -> Draft {
    let mut draft = Draft::new(BundleKind::Replay, FROM, TO - 1);
    draft.push(Section::Package, encode(&package("1.0.0")));
    draft.push(Section::Profile, PROFILE.to_vec());
    base(&mut draft, ledger);
    draft.push(Section::Anchor, encode(&ledger.attestation(TO - 1)));
    draft.push(Section::Proof, encode(&prove_inclusion(&ledger.tiles(), TO, TO - 2).unwrap()));
    let (manifest, chunks) = ledger.snapshot(FROM);
    draft.push(Section::Manifest, encode(&manifest));
    chunks.into_iter().for_each(|chunk| draft.push(Section::Chunk, chunk));
    steps(&mut draft, ledger);
    final_mark(&mut draft, ledger, TO);
    draft
}

/// A checkpoint with one before it.
pub fn checkpoint(ledger: &Ledger) -> Draft {
    let mut draft = Draft::new(BundleKind::Checkpoint, CHECKPOINT, CHECKPOINT);
    let first = ledger.record(FROM, ContinuityRoot::start(genesis().ledger_id()));
    let record = ledger.record(CHECKPOINT, first.continuity);
    let note = ledger.checkpoint(CHECKPOINT).sign(&attester());
    draft.push(Section::Note, note.text().as_bytes().to_vec());
    draft.push(Section::CheckpointRecord, encode(&record));
    draft.push(Section::Ancestry, encode(&Ancestry { links: vec![Link::Record(first)] }));
    base(&mut draft, ledger);
    draft.push(Section::Proof, encode(&prove_inclusion(&ledger.tiles(), CHECKPOINT, CHECKPOINT - 1).unwrap()));
    ledger.snapshot(CHECKPOINT).1.into_iter().for_each(|chunk| draft.push(Section::Chunk, chunk));
    final_mark(&mut draft, ledger, CHECKPOINT - 2);
    draft
}

/// A key that has nothing to do with the ledger.
pub fn package_key() -> PublicKey {
    SigningKey::from_secret(&[9; 32]).public()
}
