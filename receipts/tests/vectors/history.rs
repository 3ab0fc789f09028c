//! Values of what a ledger's history is made of: checkpoints, snapshots, witnesses, proof files.

use crate::{
    golden,
    receipts::{key, trie},
    roots::states,
    seeded::{Random, Seeded},
};
use reprise_receipts::{
    LeafHash, LedgerId, LogRoot, SigningKey, StateRoot,
    checkpoint::{
        Ancestry, CHECKPOINT_FORMAT, Checkpoint, CheckpointClaim, CheckpointRecord, Link, SignedCheckpoint, cosign,
    },
    digest::{CheckpointDigest, ChunkId, ContinuityRoot},
    log::{LOG_SIZE_MAX, LogTail, ProofFile, prove_inclusion},
    snapshot::{Chunk, Manifest, SNAPSHOT_FORMAT, SNAPSHOT_KEYS_MAX, write_snapshot},
    trie::StateTrie,
    trust_policy::TrustPolicy,
    witness::{Read, Touched, Witness},
};
use std::{collections::BTreeMap, fmt::Write};

impl Seeded for Manifest {
    fn seeded(random: &mut Random) -> Self {
        let keys = random.number() % (SNAPSHOT_KEYS_MAX + 1);
        Self {
            format: SNAPSHOT_FORMAT,
            state_root: StateRoot::from_bytes(random.digest()),
            keys,
            bytes: if keys == 0 { 0 } else { random.number() },
            first: (keys > 0).then(|| ChunkId::from_bytes(random.digest())),
        }
    }
}

impl Seeded for CheckpointClaim {
    fn seeded(random: &mut Random) -> Self {
        Self {
            format: CHECKPOINT_FORMAT,
            ledger: LedgerId::from_bytes(random.digest()),
            size: random.number().clamp(1, LOG_SIZE_MAX),
            log_root: LogRoot::from_bytes(random.digest()),
            logical_time_ms: random.number(),
            snapshot: Manifest::seeded(random),
        }
    }
}

impl Seeded for CheckpointRecord {
    fn seeded(random: &mut Random) -> Self {
        let claim = CheckpointClaim::seeded(random);
        let start = ContinuityRoot::start(claim.ledger);
        claim.after(if random.below(4) == 0 { start } else { ContinuityRoot::from_bytes(random.digest()) })
    }
}

impl Seeded for Ancestry {
    fn seeded(random: &mut Random) -> Self {
        let link = |random: &mut Random| match random.below(2) {
            0 => Link::Record(CheckpointRecord::seeded(random)),
            _ => Link::Claim(CheckpointDigest::from_bytes(random.digest())),
        };
        Self { links: random.list(4, link) }
    }
}

/// A state that is large enough for indexes.
fn state(random: &mut Random) -> StateTrie {
    let mut state = trie(random);
    for _ in 0..random.below(30) {
        state.insert(&random.bytes(9), &random.bytes(70));
    }
    state
}

impl Seeded for Chunk {
    fn seeded(random: &mut Random) -> Self {
        let (mut state, mut chunks) = (state(random), BTreeMap::new());
        state.insert(&key(random), &random.bytes(8));
        let root = state.root();
        write_snapshot(&state, root, &mut chunks);
        let chunks: Vec<(ChunkId, Vec<u8>)> = chunks.into_iter().collect();
        let (id, bytes) = random.pick(&chunks);
        Self::open(id, &bytes).expect("just written")
    }
}

impl Seeded for Witness {
    fn seeded(random: &mut Random) -> Self {
        let (mut state, mut touched) = (state(random), Touched::new());
        for _ in 0..random.below(4) {
            let key = key(random);
            let read = match random.below(2) {
                0 => Read::Get { key },
                _ => Read::Scan { prefix: key, after: None, pulls: random.below(3) as u32 },
            };
            touched.note(&state, &read);
        }
        Self::of(&mut state, &touched)
    }
}

/// The states of `state_roots`, as snapshots.
#[test]
fn snapshots() {
    let mut text =
        "# Snapshots of the states of state_roots: the encoded manifest, then for each chunk, in the order of\n\
                    # addresses, its address and its encoding.\n"
            .to_owned();
    for (name, map) in states() {
        let (mut state, mut chunks) = (StateTrie::from_sorted(&map).expect("a map is sorted"), BTreeMap::new());
        let root = state.root();
        let manifest = write_snapshot(&state, root, &mut chunks);
        writeln!(text, "\nstate {name}\n{}", golden::hex(&reprise_abi::encode(&manifest)))
            .expect("a string takes text");
        for (id, bytes) in chunks {
            writeln!(text, "{id} {}", golden::hex(&bytes)).expect("a string takes text");
        }
    }
    golden::check("snapshots", &text);
}

fn signed_checkpoint(random: &mut Random) -> (SignedCheckpoint, SigningKey, LogTail) {
    let (ledger, key) = (LedgerId::from_bytes(random.digest()), SigningKey::seeded(random));
    let mut tail = LogTail::new();
    for _ in 0..1 + random.below(20) {
        tail.append(LeafHash::from_bytes(random.digest()));
    }
    let mut signed = Checkpoint { ledger, size: tail.size(), log_root: tail.root() }.sign(&key);
    for witness in 0..random.below(3) {
        let (name, key) = (format!("witness.example/{witness}"), SigningKey::seeded(random));
        let line = cosign(&signed, &name, &key, random.below(1 << 40)).expect("a name without spaces");
        signed = signed.with_signature(&line).expect("few signatures");
    }
    (signed, key, tail)
}

/// Texts that others sign and read: some in full, and BLAKE3 over many.
fn check_texts(name: &str, kind: &str, make: impl Fn(&mut Random) -> String) {
    let mut text =
        format!("# {kind}: seeded ones, each after a line of dashes, and BLAKE3 over 200 of them, each after\n");
    text += "# its length (u32, little-endian).\n";
    let (mut random, mut all) = (Random::for_kind(name), blake3::Hasher::new());
    for index in 0..200 {
        let made = make(&mut random);
        all.update(&(made.len() as u32).to_le_bytes()).update(made.as_bytes());
        if index < 4 {
            write!(text, "-----\n{made}").expect("a string takes text");
        }
    }
    writeln!(text, "-----\nblake3 {}", all.finalize().to_hex()).expect("a string takes text");
    golden::check(name, &text);
}

#[test]
fn signed_checkpoints() {
    check_texts("signed_checkpoint", "signed checkpoint", |random| {
        let (signed, key, _) = signed_checkpoint(random);
        assert!(signed.verify(&key.public()).is_ok());
        signed.text().to_owned()
    });
}

#[test]
fn proof_files() {
    check_texts("proof_file", "proof file", |random| {
        let (signed, key, mut tail) = signed_checkpoint(random);
        // One receipt more than the checkpoint was of, as only its receipt is known.
        let receipt = random.bytes(60);
        tail.append(LeafHash::of(&receipt));
        let ledger = signed.checkpoint().ledger;
        let checkpoint = Checkpoint { ledger, size: tail.size(), log_root: tail.root() }.sign(&key);
        let tiles = tail.take_dirty_tiles();
        let tile = |level, index| {
            let tile = tiles.iter().find(|tile| (tile.level, tile.index) == (level, index));
            tile.map(|tile| tile.hashes.clone())
        };
        let seq = tail.size() - 1;
        let inclusion = prove_inclusion(&tile, tail.size(), seq).expect("every tile is there");
        let extra = (!receipt.is_empty() && random.below(2) == 0).then(|| receipt.clone());
        let file = ProofFile { extra, seq, inclusion, checkpoint };
        assert!(file.verify(&receipt, &TrustPolicy::of_attester(ledger, key.public())).is_ok());
        file.to_text()
    });
}
