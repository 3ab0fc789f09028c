//! What can be wrong with a bundle: one variant for each, with the section and item where it was seen.

use super::{BUNDLE_PACKAGES_BYTES_MAX, BUNDLE_VERSION, Section};
use crate::{
    attestation::{AttestationError, PublicKey},
    checkpoint::{AncestryError, CheckpointError},
    command::CommandError,
    digest::{BundleDigest, EngineProfileDigest, LeafHash, LedgerId, LogRoot, PackageDigest, StateRoot},
    finality::FinalityError,
    log::LogProofError,
    snapshot::RestoreError,
    trust_policy::PolicyRefusal,
    witness::WitnessError,
};
use core::fmt;
use reprise_abi::CodecError;

/// Where in a bundle. Items count from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Which section.
    pub section: Section,
    /// Which item of it.
    pub item: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, item {}", self.section, self.item)
    }
}

/// Why a file is not a bundle, or not one that holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// The file begins with something else.
    #[error("the file is not a bundle")]
    Magic,
    /// Written by another version.
    #[error("bundle version {found} is not supported; this version reads up to {BUNDLE_VERSION}")]
    Version {
        /// What the file says.
        found: u16,
    },
    /// The header is longer than any header.
    #[error("the header has {len} bytes, more than any header")]
    HeaderTooLong {
        /// What the file says.
        len: u64,
    },
    /// The header is not one.
    #[error("header: {0}")]
    Header(CodecError),
    /// The genesis record is not of this version, or has a weak key.
    #[error("header: {0}")]
    Unsupported(CodecError),
    /// The genesis record is not what names the ledger.
    #[error("the header speaks of ledger {found}, its genesis record makes {expected}")]
    Ledger {
        /// What the genesis record makes.
        expected: LedgerId,
        /// What the header says.
        found: LedgerId,
    },
    /// A grant does not hold: with it nobody knows who attests the ledger.
    #[error("header: grant {index}: {error}")]
    Grant {
        /// Which, from 0.
        index: usize,
        /// What is wrong.
        error: CommandError,
    },
    /// A receipt is of an epoch that no grant begins, or of a lower one than the receipt before it.
    #[error("{place}: the receipt is of epoch {found}, after epoch {after}, and no grant in the bundle begins it")]
    Epoch {
        /// Which receipt.
        place: Place,
        /// The epoch of the one before.
        after: u64,
        /// Its epoch.
        found: u64,
    },
    /// The first input of an epoch is another one than the command that begins it.
    #[error("{place}: the first input of an epoch is not the command that begins it")]
    EpochBegins {
        /// Which input.
        place: Place,
    },
    /// What is signed was signed by the attester of an epoch before the one of the last receipt.
    #[error("the last receipt is of epoch {last}, and who vouches for it attests epoch {signed}")]
    SignedEpoch {
        /// Of the receipt.
        last: u64,
        /// Of the signer.
        signed: u64,
    },
    /// No bundle of the kind has such a range.
    #[error("{from}..{to} is not the range of such a bundle")]
    Range {
        /// First sequence number.
        from: u64,
        /// First one after the range.
        to: u64,
    },
    /// A bundle of the kind and range does not have so many items there.
    #[error("a bundle of this kind and range does not have {found} items in section {section}")]
    Count {
        /// Which section.
        section: Section,
        /// What the header says.
        found: u64,
    },
    /// No section has this number.
    #[error("after {after:?} comes an unknown section {tag}")]
    UnknownSection {
        /// Number in the file.
        tag: u8,
        /// The last item before it.
        after: Option<Place>,
    },
    /// A section comes again, or a step's parts are not in their order.
    #[error("{found} stands where it cannot: after {after}")]
    Order {
        /// What comes.
        found: Place,
        /// The last item before it.
        after: Place,
    },
    /// A section has fewer items than the header says.
    #[error("{missing} is missing")]
    Missing {
        /// The first item that is not there.
        missing: Place,
    },
    /// A section has more items than the header says.
    #[error("{0} is one more than the header says")]
    Surplus(Place),
    /// Longer than any item of the section.
    #[error("{place}: {len} bytes, at most {max} are allowed")]
    TooLong {
        /// Which item.
        place: Place,
        /// What the file says.
        len: u64,
        /// What is allowed.
        max: u64,
    },
    /// The file ends before the header does.
    #[error("the file ends within its header")]
    TruncatedHeader,
    /// The file ends within an item, or before the next.
    #[error("the file ends at {0}")]
    Truncated(Place),
    /// The file ends within the trailer.
    #[error("the file ends within its trailer")]
    TruncatedTrailer,
    /// A byte was changed since the bundle was written.
    #[error("the bundle has the digest {found}, its trailer says {expected}")]
    Digest {
        /// What the trailer says.
        expected: BundleDigest,
        /// What the bytes give.
        found: BundleDigest,
    },
    /// Bytes follow after the trailer.
    #[error("bytes follow after the end of the bundle")]
    AfterEnd,
    /// An item is not what its section holds.
    #[error("{place}: {error}")]
    Codec {
        /// Which item.
        place: Place,
        /// What is wrong.
        error: CodecError,
    },
    /// A list in an item is longer than any step, package or witness makes it, or the item has another shape.
    #[error("{0}: not of the shape of its kind, or a list in it has more items than it can have")]
    TooMany(Place),
    /// A package's component is not the one that its manifest names.
    #[error("{0}: the component is not the one that the manifest names")]
    Component(Place),
    /// Packages do not ascend by digest.
    #[error("{0}: packages ascend strictly by digest")]
    PackageOrder(Place),
    /// The packages are too large together.
    #[error("{0}: the packages have more than {BUNDLE_PACKAGES_BYTES_MAX} bytes")]
    PackagesTooLarge(Place),
    /// A receipt was made with a package that is not there.
    #[error("{place}: package {package} is not in the bundle")]
    NoPackage {
        /// Which receipt.
        place: Place,
        /// Which package.
        package: PackageDigest,
    },
    /// The engine profile is not the ledger's.
    #[error("the engine profile is {found}, the ledger's is {expected}")]
    Profile {
        /// The ledger's.
        expected: EngineProfileDigest,
        /// Of the text in the bundle.
        found: EngineProfileDigest,
    },
    /// The note is not a checkpoint, or not signed by the attester.
    #[error("checkpoint: {0}")]
    Note(CheckpointError),
    /// The trust policy does not accept the note.
    #[error("checkpoint: {0}")]
    Untrusted(PolicyRefusal),
    /// The trust policy asks for a checkpoint.
    #[error("the bundle has no checkpoint, and the trust policy is about checkpoints: use the attester's key")]
    NoNote,
    /// The ledger is attested by another key than the one that is trusted.
    #[error("the ledger's attester is {found}, trusted is {expected}")]
    Attester {
        /// The one that is trusted.
        expected: PublicKey,
        /// The ledger's.
        found: PublicKey,
    },
    /// The trust policy does not know the ledger.
    #[error("no log of the trust policy is of ledger {0}")]
    UnknownLog(LedgerId),
    /// The note or the record is about another ledger or size.
    #[error("{0}: it is about another ledger or another size than the header")]
    OtherLog(Place),
    /// The record is not about the note's log, or not about the last receipt's state.
    #[error("checkpoint record: it does not fit the checkpoint or its last receipt")]
    RecordMismatch,
    /// The checkpoint has others before it, and they are not there.
    #[error("the checkpoints before this one are missing")]
    NoAncestry,
    /// The checkpoints before this one do not lead to it.
    #[error("ancestry: {0}")]
    Ancestry(AncestryError),
    /// A receipt is of another ledger.
    #[error("{place}: the receipt is of ledger {found}")]
    ReceiptLedger {
        /// Which.
        place: Place,
        /// Its ledger.
        found: LedgerId,
    },
    /// A receipt is not the next one.
    #[error("{place}: the receipt has sequence number {found}, expected {expected}")]
    Sequence {
        /// Which.
        place: Place,
        /// The next one.
        expected: u64,
        /// The one there.
        found: u64,
    },
    /// A receipt does not follow the one before.
    #[error("{place}: the receipt follows {found}, expected {expected}")]
    Chain {
        /// Which.
        place: Place,
        /// Leaf hash of the receipt before.
        expected: LeafHash,
        /// What it names.
        found: LeafHash,
    },
    /// A receipt does not begin with the state that the one before ends with.
    #[error("{place}: the receipt begins with state {found}, expected {expected}")]
    State {
        /// Which.
        place: Place,
        /// Where the receipt before ends.
        expected: StateRoot,
        /// Where it begins.
        found: StateRoot,
    },
    /// Logical time goes back.
    #[error("{0}: logical time goes back")]
    Time(Place),
    /// An input is not the one that its receipt names.
    #[error("{0}: not the input that the receipt names")]
    Input(Place),
    /// A diff is not the one that its receipt names.
    #[error("{0}: not the diff that the receipt names")]
    Diff(Place),
    /// An output is not the one that its receipt names.
    #[error("{0}: not the output that the receipt names")]
    Output(Place),
    /// The log before the range has another size.
    #[error("the log before the range has {found} receipts, expected {expected}")]
    EdgeSize {
        /// What the range says.
        expected: u64,
        /// What is there.
        found: u64,
    },
    /// An attestation is of another ledger, or over another receipt than the one before it.
    #[error("{0}: the attestation is over another receipt")]
    AttestedOther(Place),
    /// A signature does not hold.
    #[error("{place}: {error}")]
    Attestation {
        /// Which.
        place: Place,
        /// What is wrong.
        error: AttestationError,
    },
    /// What is signed is another log than the bundle's.
    #[error("{place}: the log root is {found}, what is signed is {expected}")]
    LogRoot {
        /// Which signature.
        place: Place,
        /// What is signed.
        expected: LogRoot,
        /// What the bundle gives.
        found: LogRoot,
    },
    /// The last receipt is not in the log that is signed.
    #[error("inclusion proof: {0}")]
    Proof(LogProofError),
    /// No signature covers the last receipt.
    #[error("no signature covers receipt {seq}")]
    Unattested {
        /// The last receipt.
        seq: u64,
    },
    /// The final mark does not hold, or is not of the bundle's log.
    #[error("{place}: {error}")]
    Final {
        /// Where it is.
        place: Place,
        /// What is wrong.
        error: FinalityError,
    },
    /// The manifest is of another state.
    #[error("snapshot manifest: it is of state {found}, expected {expected}")]
    Manifest {
        /// The state to start from.
        expected: StateRoot,
        /// What the manifest says.
        found: StateRoot,
    },
    /// A chunk is not the one that comes next, or chunks are missing.
    #[error("{place}: {error}")]
    Snapshot {
        /// Which chunk.
        place: Place,
        /// What is wrong.
        error: RestoreError,
    },
    /// The witness is not one of the state before the range.
    #[error("{0}")]
    Witness(WitnessError),
    /// The witness gives the state a size that it cannot have.
    #[error("the witness says that the state has {found} bytes, which cannot be")]
    WitnessSize {
        /// What it says.
        found: u64,
    },
}
