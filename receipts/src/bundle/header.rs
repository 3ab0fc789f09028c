//! What a bundle says of itself first: kind, ledger, range, and how many items follow in each section.

use super::{
    BUNDLE_ANCESTRY_BYTES_MAX, BUNDLE_GRANTS_MAX, BUNDLE_PACKAGES_MAX, BUNDLE_RECORD_BYTES_MAX,
    BUNDLE_VERSION_BEFORE_MARKS, BUNDLE_VERSION_OLDEST, BUNDLE_WITNESS_BYTES_MAX, BundleError, BundleMark,
    PROFILE_BYTES_MAX, edge::LogEdge,
};
use crate::{
    attestation::Attestation,
    attesters::Attesters,
    checkpoint::{CHECKPOINT_BYTES_MAX, CheckpointRecord},
    command::SignedCommand,
    digest::LedgerId,
    few::few,
    genesis::Genesis,
    log::{InclusionProof, LOG_SIZE_MAX},
    package::Package,
    snapshot::{CHUNK_BYTES_MAX, Manifest},
    system::epochs::EpochRecord,
};
use core::{fmt, ops::RangeInclusive};
use reprise_abi::{
    Canonical, CodecError, decode_canonical,
    limits::{INPUT_BYTES_MAX, RECEIPT_BYTES_MAX},
};
use serde::{Deserialize, Serialize};

/// Sections with items.
pub(super) const SECTIONS: usize = 17;
/// Sections with items before bundles carried final marks.
const SECTIONS_BEFORE_MARKS: usize = 16;
/// Most chunks of a snapshot: a state of 1 GiB has far fewer.
const CHUNKS_MAX: u64 = 1 << 32;

/// What a bundle is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BundleKind {
    /// Receipts of a range with their inputs, step records and attestations.
    Receipt,
    /// A checkpoint with its snapshot: a state to start from.
    Checkpoint,
    /// A range with everything that doing its steps again takes.
    Replay,
}

/// A section of a bundle. The discriminant is its number in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Section {
    /// Packages, by ascending digest.
    Package = 1,
    /// The text of the engine profile.
    Profile = 2,
    /// A signed checkpoint, with its cosignatures.
    Note = 3,
    /// The checkpoint's record.
    CheckpointRecord = 4,
    /// The checkpoints before it.
    Ancestry = 5,
    /// The receipt before the range; of a checkpoint, its last one.
    Base = 6,
    /// The log up to and including the base, as a few hashes.
    Edge = 7,
    /// An attestation over a later receipt than those of the range.
    Anchor = 8,
    /// That the last receipt is in the log of the note, or else of the anchor.
    Proof = 9,
    /// The manifest of the snapshot that a replay starts from.
    Manifest = 10,
    /// Chunks of a snapshot, an index before the chunks below it, in key order.
    Chunk = 11,
    /// The part of the state before the range that the range looks at.
    Witness = 12,
    /// A receipt.
    Receipt = 13,
    /// Its input.
    Input = 14,
    /// Its step record.
    Record = 15,
    /// The attestation over it, if there is one.
    Attestation = 16,
    /// What members of the ledger have made final.
    Final = 17,
}

/// What a bundle says of itself first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundleHeader {
    /// What it is for.
    pub kind: BundleKind,
    /// Which ledger: the digest of `genesis`.
    pub ledger: LedgerId,
    /// What names the ledger.
    pub genesis: Genesis,
    /// First sequence number of the range; of a checkpoint, its size.
    pub from: u64,
    /// First sequence number after the range; of a checkpoint, its size.
    pub to: u64,
    /// Items of each section, by number from 1.
    counts: [u64; SECTIONS],
    /// The commands that began the epochs of the ledger after its first, in their order, at least up to the one of the
    /// last signature.
    #[serde(deserialize_with = "few::<_, SignedCommand, BUNDLE_GRANTS_MAX>")]
    pub grants: Vec<SignedCommand>,
}

/// The header of version 2.
#[derive(Serialize, Deserialize)]
struct SecondHeader {
    first: FirstHeader,
    #[serde(deserialize_with = "few::<_, SignedCommand, BUNDLE_GRANTS_MAX>")]
    grants: Vec<SignedCommand>,
}

/// The header of version 1.
#[derive(Serialize, Deserialize)]
struct FirstHeader {
    kind: BundleKind,
    ledger: LedgerId,
    genesis: Genesis,
    from: u64,
    to: u64,
    counts: [u64; SECTIONS_BEFORE_MARKS],
}

impl Section {
    /// In the order of the file.
    pub const ALL: [Self; SECTIONS] = [
        Self::Package,
        Self::Profile,
        Self::Note,
        Self::CheckpointRecord,
        Self::Ancestry,
        Self::Base,
        Self::Edge,
        Self::Anchor,
        Self::Proof,
        Self::Manifest,
        Self::Chunk,
        Self::Witness,
        Self::Receipt,
        Self::Input,
        Self::Record,
        Self::Attestation,
        Self::Final,
    ];

    /// The section with that number in the file.
    #[must_use]
    pub fn from_tag(tag: u8) -> Option<Self> {
        Self::ALL.get(usize::from(tag).checked_sub(1)?).copied()
    }

    /// Its name in messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Package => "packages",
            Self::Profile => "engine profile",
            Self::Note => "checkpoint",
            Self::CheckpointRecord => "checkpoint record",
            Self::Ancestry => "ancestry",
            Self::Base => "receipt before the range",
            Self::Edge => "log before the range",
            Self::Anchor => "later attestation",
            Self::Proof => "inclusion proof",
            Self::Manifest => "snapshot manifest",
            Self::Chunk => "snapshot chunks",
            Self::Witness => "witness",
            Self::Receipt => "receipts",
            Self::Input => "inputs",
            Self::Record => "step records",
            Self::Attestation => "attestations",
            Self::Final => "final mark",
        }
    }

    /// Longest item, in bytes.
    #[must_use]
    pub fn item_bytes_max(self) -> usize {
        match self {
            Self::Package => Package::BYTES_MAX,
            Self::Profile => PROFILE_BYTES_MAX,
            Self::Note => CHECKPOINT_BYTES_MAX,
            Self::CheckpointRecord => CheckpointRecord::BYTES_MAX,
            Self::Ancestry => BUNDLE_ANCESTRY_BYTES_MAX,
            Self::Base | Self::Receipt => RECEIPT_BYTES_MAX,
            Self::Edge => LogEdge::BYTES_MAX,
            Self::Anchor | Self::Attestation => Attestation::BYTES_MAX,
            Self::Proof => InclusionProof::BYTES_MAX,
            Self::Manifest => Manifest::BYTES_MAX,
            Self::Chunk => CHUNK_BYTES_MAX,
            Self::Witness => BUNDLE_WITNESS_BYTES_MAX,
            Self::Input => INPUT_BYTES_MAX,
            Self::Record => BUNDLE_RECORD_BYTES_MAX,
            Self::Final => BundleMark::BYTES_MAX,
        }
    }

    fn index(self) -> usize {
        usize::from(self as u8) - 1
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl BundleKind {
    /// Its name in arguments and messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Receipt => "receipt",
            Self::Checkpoint => "checkpoint",
            Self::Replay => "replay",
        }
    }
}

impl BundleHeader {
    /// Of a bundle whose sections are still empty, but for the steps of the range.
    #[must_use]
    pub fn new(kind: BundleKind, genesis: Genesis, from: u64, to: u64) -> Self {
        let ledger = genesis.ledger_id();
        let mut header = Self { kind, ledger, genesis, from, to, counts: [0; SECTIONS], grants: Vec::new() };
        for section in [Section::Receipt, Section::Input, Section::Record] {
            header.set_count(section, to.saturating_sub(from));
        }
        header
    }

    /// Decodes the header of a bundle of this version.
    pub(super) fn decode(version: u16, bytes: &[u8]) -> Result<Self, CodecError> {
        match version {
            BUNDLE_VERSION_OLDEST => Ok(Self::earlier(decode_canonical(bytes)?, Vec::new())),
            BUNDLE_VERSION_BEFORE_MARKS => {
                let SecondHeader { first, grants } = decode_canonical(bytes)?;
                Ok(Self::earlier(first, grants))
            }
            _ => decode_canonical(bytes),
        }
    }

    /// Of a bundle that was written before there were final marks.
    fn earlier(first: FirstHeader, grants: Vec<SignedCommand>) -> Self {
        let FirstHeader { kind, ledger, genesis, from, to, counts: earlier } = first;
        let mut counts = [0; SECTIONS];
        counts[..SECTIONS_BEFORE_MARKS].copy_from_slice(&earlier);
        Self { kind, ledger, genesis, from, to, counts, grants }
    }

    /// Who attests which epoch, by the genesis record and the grants. Where epochs begin is not in the header.
    ///
    /// # Errors
    /// [`BundleError::Grant`]: a grant is not signed by enough operators, or does not begin a later epoch than those before.
    pub fn attesters(&self) -> Result<Attesters, BundleError> {
        let mut attesters = Attesters::of_genesis(&self.genesis);
        for (index, grant) in self.grants.iter().enumerate() {
            let record = EpochRecord { first_seq: 0, grant: grant.clone() };
            attesters.add(&self.genesis, &record).map_err(|error| BundleError::Grant { index, error })?;
        }
        Ok(attesters)
    }

    /// Items of a section.
    #[must_use]
    pub fn count(&self, section: Section) -> u64 {
        self.counts[section.index()]
    }

    /// Says how many items a section has.
    pub fn set_count(&mut self, section: Section, items: u64) {
        self.counts[section.index()] = items;
    }

    /// A section has an item.
    #[must_use]
    pub fn has(&self, section: Section) -> bool {
        self.count(section) > 0
    }

    /// The first section that has more or fewer items than a bundle of this kind and range may have.
    pub(super) fn wrong_count(&self) -> Option<Section> {
        let one_proof = self.has(Section::Note) || self.has(Section::Anchor);
        Section::ALL.into_iter().find(|section| {
            let allowed = match section {
                Section::Proof => u64::from(one_proof)..=u64::from(one_proof),
                // A range that does not begin with its ledger starts from a witness or from a snapshot.
                Section::Witness if self.kind == BundleKind::Replay && self.from > 0 => {
                    let one = u64::from(!self.has(Section::Manifest));
                    one..=one
                }
                Section::Chunk if self.kind == BundleKind::Replay => {
                    0..=if self.has(Section::Manifest) { CHUNKS_MAX } else { 0 }
                }
                section => self.allowed(*section),
            };
            !allowed.contains(&self.count(*section))
        })
    }

    fn allowed(&self, section: Section) -> RangeInclusive<u64> {
        use BundleKind::{Checkpoint, Receipt, Replay};
        let steps = self.to.saturating_sub(self.from);
        let later = u64::from(self.from > 0);
        match (self.kind, section) {
            (Replay, Section::Package) => 1..=BUNDLE_PACKAGES_MAX,
            (Replay, Section::Profile) | (Checkpoint, Section::Note | Section::CheckpointRecord) => 1..=1,
            (Receipt | Replay, Section::Note | Section::Anchor) | (Checkpoint, Section::Ancestry) => 0..=1,
            (_, Section::Base | Section::Edge) => later..=later,
            (Replay, Section::Manifest) => 0..=later,
            (Checkpoint, Section::Chunk) => 0..=CHUNKS_MAX,
            (Receipt | Replay, Section::Receipt | Section::Input | Section::Record) => steps..=steps,
            (Receipt | Replay, Section::Attestation) => 0..=steps,
            (_, Section::Final) => 0..=1,
            _ => 0..=0,
        }
    }

    /// The range is one that a bundle of this kind may have.
    pub(super) fn range_is_usable(&self) -> bool {
        let bounded = self.to <= LOG_SIZE_MAX;
        bounded
            && match self.kind {
                BundleKind::Receipt | BundleKind::Replay => self.from < self.to,
                BundleKind::Checkpoint => self.from == self.to && self.to > 0,
            }
    }
}

impl Canonical for BundleHeader {
    const KIND: &'static str = "bundle header";
    const BYTES_MAX: usize = FirstHeader::BYTES_MAX + 8 + BUNDLE_GRANTS_MAX * SignedCommand::BYTES_MAX;

    fn validate(&self) -> Result<(), CodecError> {
        self.grants.iter().try_for_each(Canonical::validate)?;
        self.genesis.validate()
    }
}

impl Canonical for SecondHeader {
    const KIND: &'static str = BundleHeader::KIND;
    const BYTES_MAX: usize = BundleHeader::BYTES_MAX;

    fn validate(&self) -> Result<(), CodecError> {
        self.grants.iter().try_for_each(Canonical::validate)?;
        self.first.validate()
    }
}

impl Canonical for FirstHeader {
    const KIND: &'static str = BundleHeader::KIND;
    const BYTES_MAX: usize = Genesis::BYTES_MAX + 256;

    fn validate(&self) -> Result<(), CodecError> {
        self.genesis.validate()
    }
}
