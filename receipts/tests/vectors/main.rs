//! Golden vectors: the bytes of every kind of object, held fast in `fixtures/vectors`.
//!
//! For each kind there is a file with a few encodings in full and one hash over a thousand. A difference is a change of
//! format: it is made on purpose, with `REPRISE_BLESS=1 cargo test -p reprise-receipts --test vectors`, and reviewed as
//! a diff of those files. The same values feed the mutation tests: one byte more, less or different is another value or
//! none at all.

mod abi;
mod bundle;
mod golden;
mod history;
mod owed;
mod projections;
mod receipts;
mod roots;
mod seeded;

use reprise_abi::{Canonical, decode_canonical, encode};
use seeded::{Random, Seeded};
use std::fmt::{Debug, Write};

/// Values under the hash of a kind.
const SEEDED: usize = 1_000;
/// Encodings written out in full.
const IN_FULL: usize = 6;
/// Encodings of which every mutant is tried.
const MUTATED: usize = 60;
/// Longest of these, in bytes: mutants are many, and the long ones teach nothing new.
const MUTATED_BYTES_MAX: usize = 700;

/// One line for each kind: its file, its type. The type says in `impl Seeded` what its values are.
macro_rules! kinds {
    ($($name:ident: $type:ty,)*) => {$(
        mod $name {
            #[test]
            fn vectors() {
                super::check_vectors::<$type>(stringify!($name));
            }

            #[test]
            fn mutants() {
                super::check_mutants::<$type>(stringify!($name));
            }
        }
    )*};
}

kinds! {
    event: reprise_abi::Event,
    input: reprise_abi::Input,
    diff: reprise_abi::Diff,
    description: reprise_abi::Description,
    receipt: reprise_receipts::Receipt,
    step_output: reprise_receipts::StepOutput,
    step_record: reprise_receipts::StepRecord,
    genesis: reprise_receipts::Genesis,
    attestation_body: reprise_receipts::AttestationBody,
    attestation: reprise_receipts::Attestation,
    manifest: reprise_receipts::package::Manifest,
    package: reprise_receipts::package::Package,
    command: reprise_receipts::command::Command,
    signed_command: reprise_receipts::command::SignedCommand,
    attestation_in_epoch: crate::receipts::AttestationInEpoch,
    epoch_record: reprise_receipts::system::epochs::EpochRecord,
    halt: reprise_receipts::system::Halt,
    effect_result: reprise_abi::EffectResult,
    outbox_entry: reprise_receipts::system::outbox::OutboxEntry,
    effect_mark: reprise_receipts::system::outbox::EffectMark,
    presence_proof: reprise_receipts::trie::PresenceProof,
    absence_proof: reprise_receipts::trie::AbsenceProof,
    prefix_proof: reprise_receipts::trie::PrefixProof,
    inclusion_proof: reprise_receipts::log::InclusionProof,
    consistency_proof: reprise_receipts::log::ConsistencyProof,
    snapshot_manifest: reprise_receipts::snapshot::Manifest,
    snapshot_chunk: reprise_receipts::snapshot::Chunk,
    checkpoint_claim: reprise_receipts::checkpoint::CheckpointClaim,
    checkpoint_record: reprise_receipts::checkpoint::CheckpointRecord,
    ancestry: reprise_receipts::checkpoint::Ancestry,
    projection: reprise_receipts::projection::Projection,
    projection_file: reprise_receipts::projection::ProjectionFile,
    witness: reprise_receipts::witness::Witness,
    bundle_header: reprise_receipts::bundle::BundleHeader,
    log_edge: reprise_receipts::bundle::LogEdge,
    evidence: reprise_receipts::evidence::Evidence,
    final_mark: reprise_receipts::finality::FinalMark,
    bundle_mark: reprise_receipts::bundle::BundleMark,
}

fn check_vectors<T: Canonical + Seeded + Debug + PartialEq>(name: &str) {
    let mut text = format!("# {}: encodings of seeded values, and BLAKE3 over {SEEDED} of them,\n", T::KIND);
    text += "# each after its length (u32, little-endian).\n";
    let mut random = Random::for_kind(name);
    let mut all = blake3::Hasher::new();
    for index in 0..SEEDED {
        let value = T::seeded(&mut random);
        let bytes = encode(&value);
        assert_eq!(decode_canonical(&bytes), Ok(value), "{name} {index}");
        let len = u32::try_from(bytes.len()).expect("a short encoding");
        all.update(&len.to_le_bytes()).update(&bytes);
        if index < IN_FULL {
            writeln!(text, "{}", golden::hex(&bytes)).expect("a string takes text");
        }
    }
    writeln!(text, "blake3 {}", all.finalize().to_hex()).expect("a string takes text");
    golden::check(name, &text);
}

fn check_mutants<T: Canonical + Seeded + Debug + PartialEq>(name: &str) {
    let mut random = Random::for_kind(name);
    let mut tried = 0;
    for _ in 0..SEEDED {
        let value = T::seeded(&mut random);
        let bytes = encode(&value);
        if bytes.len() > MUTATED_BYTES_MAX {
            continue;
        }
        for mutant in mutants(&bytes) {
            if let Ok(decoded) = decode_canonical::<T>(&mutant) {
                assert_ne!(decoded, value, "{name}: {} is also {}", golden::hex(&mutant), golden::hex(&bytes));
            }
        }
        tried += 1;
        if tried == MUTATED {
            return;
        }
    }
    panic!("{name}: only {tried} of {SEEDED} values are short enough to try all mutants");
}

/// Every bit flipped, every byte deleted, and several bytes inserted at every place.
fn mutants(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    let flipped = (0..bytes.len() * 8).map(|bit| {
        let mut mutant = bytes.to_vec();
        mutant[bit / 8] ^= 1 << (bit % 8);
        mutant
    });
    let deleted = (0..bytes.len()).map(|at| [&bytes[..at], &bytes[at + 1..]].concat());
    let inserted = (0..=bytes.len())
        .flat_map(move |at| [0x00, 0x01, 0x7f, 0x80, 0xff].map(|byte| [&bytes[..at], &[byte], &bytes[at..]].concat()));
    flipped.chain(deleted).chain(inserted)
}
