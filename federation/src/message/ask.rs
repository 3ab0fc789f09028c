//! Questions and answers: the tiers of comparison, cheapest first, and the fetching of what is missing.

use super::{
    bundle::{BundleOffer, BundleQuery},
    roots::{Roots, RootsQuery},
    rule,
};
use crate::{
    ledgers::{EpochStart, LedgerHead},
    limits::{
        CHUNK_IDS_MAX, EPOCHS_MAX, HEADS_MAX, PATH_HASHES_MAX, SUBTREE_FANOUT, TRANSFER_BYTES_MAX, TRANSFER_STEPS_MAX,
    },
    list::List,
};
use reprise_abi::{Canonical, CodecError, decode_canonical, limits::RECEIPT_BYTES_MAX};
use reprise_receipts::{
    LedgerId,
    attestation::Attestation,
    checkpoint::CheckpointRecord,
    digest::ChunkId,
    log::{ConsistencyProof, InclusionProof, LOG_SIZE_MAX},
};
use serde::{Deserialize, Serialize};

/// Highest level of subtrees of 16: `16^11` leaves are part of the largest log, `16^12` are all of it.
const SUBTREE_LEVEL_MAX: u8 = 11;

/// Hashes of a proof of the log, as they travel.
pub type ConsistencyPath = List<[u8; 32], PATH_HASHES_MAX>;

/// A question. The answer carries its number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// Chosen by whoever asks, ascending.
    pub request: u32,
    /// What is asked.
    pub question: Question,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Number of the question.
    pub request: u32,
    /// The answer.
    pub reply: Reply,
}

/// Digest over the heads of all ledgers that two nodes share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeadsDigest(pub [u8; 32]);

/// What one node wants to know of another. The variants keep their numbers for ever.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Question {
    /// Is anything different? Answered by [`Reply::Same`] or the first page of heads.
    Digest(HeadsDigest),
    /// The heads of the ledgers that we share, from after this one on.
    Heads {
        /// Last ledger of the page before.
        after: LedgerId,
    },
    /// Is the log of `from` receipts the beginning of yours of `to`?
    Continuity {
        /// Which ledger.
        ledger: LedgerId,
        /// Receipts of the older log.
        from: u64,
        /// Receipts of the newer log.
        to: u64,
    },
    /// With which receipt did each epoch begin?
    Epochs {
        /// Which ledger.
        ledger: LedgerId,
    },
    /// Roots of complete subtrees of `16^level` receipts.
    Subtrees {
        /// Which ledger.
        ledger: LedgerId,
        /// Height of the subtrees, in fours of levels: 0 asks for leaf hashes.
        level: u8,
        /// Index of the first subtree of that level.
        first: u64,
        /// How many, 1 to 16.
        count: u8,
    },
    /// A receipt and its place in the log of `size` receipts.
    Receipt {
        /// Which ledger.
        ledger: LedgerId,
        /// Which receipt.
        seq: u64,
        /// Receipts of the log that it is to be proved in.
        size: u64,
    },
    /// Steps, over a stream.
    Range {
        /// Which ledger.
        ledger: LedgerId,
        /// First step.
        first: u64,
        /// End of the range; less may be sent.
        end: u64,
        /// Receipts of the log that the end is to be proved in.
        of: u64,
        /// Number of the stream, chosen by whoever asks.
        transfer: u64,
        /// Most bytes to be sent.
        bytes_max: u64,
    },
    /// The newest checkpoint that has a snapshot.
    Snapshot {
        /// Which ledger.
        ledger: LedgerId,
    },
    /// Chunks of a snapshot, over a stream, in this order.
    Chunks {
        /// Which ledger.
        ledger: LedgerId,
        /// Number of the stream, chosen by whoever asks.
        transfer: u64,
        /// Addresses.
        ids: List<ChunkId, CHUNK_IDS_MAX>,
    },
    /// A bundle, over a stream. Only to a node that speaks version 3.
    Bundle(BundleQuery),
    /// The roots after so many receipts. Only to a node that speaks version 4.
    Roots(RootsQuery),
}

/// What is answered. The variants keep their numbers for ever.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// The digests are equal.
    Same,
    /// A page of heads.
    Heads(HeadPage),
    /// Consistency proof, to be checked against roots that are known.
    Continuity(ConsistencyPath),
    /// The last epochs, oldest first.
    Epochs(List<EpochStart, EPOCHS_MAX>),
    /// Roots of subtrees, as many as were asked for.
    Subtrees(List<[u8; 32], { SUBTREE_FANOUT as usize }>),
    /// A receipt in its place.
    Receipt(PlacedReceipt),
    /// A stream follows.
    Sending(Sending),
    /// What a snapshot is of.
    Snapshot(CheckpointRecord),
    /// No answer, and why.
    Refused(Refusal),
    /// A stream with a bundle follows.
    Bundle(BundleOffer),
    /// The roots that were asked for.
    Roots(Box<Roots>),
}

/// Heads in the order of their ledgers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeadPage {
    /// The heads.
    pub heads: List<LedgerHead, HEADS_MAX>,
    /// There are more after the last one.
    pub more: bool,
}

/// A receipt and the proof that it is in the log that was asked about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlacedReceipt {
    /// Its canonical encoding.
    #[serde(with = "serde_bytes")]
    pub receipt: Vec<u8>,
    /// Its audit path, leaf to root.
    pub path: ConsistencyPath,
    /// The first attestation that covers it, if there is one.
    pub attestation: Option<Attestation>,
}

/// What comes over the stream that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sending {
    /// End of the range that is sent, or number of chunks.
    pub end: u64,
    /// Bytes of the stream.
    pub bytes: u64,
    /// Consistency proof from the end of the range to the log that was asked about; empty for chunks.
    pub path: ConsistencyPath,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// The node has no such ledger, or does not share it with whoever asks.
    #[error("the ledger is not shared with this node")]
    NotShared,
    /// The log does not reach that far.
    #[error("the log does not reach that far")]
    BeyondEnd,
    /// The history before is not kept.
    #[error("the history asked for is not kept any more")]
    Pruned,
    /// Too much is under way.
    #[error("too much is under way; ask again later")]
    Busy,
    /// What was asked for cannot be made here: nobody has signed that far, it does not hold, or it is too long.
    #[error("what is asked for cannot be made there")]
    NotMade,
}

impl Question {
    pub(super) fn validate(&self) -> Result<(), CodecError> {
        match self {
            Self::Digest(_) | Self::Heads { .. } | Self::Epochs { .. } | Self::Snapshot { .. } => Ok(()),
            Self::Continuity { from, to, .. } => rule(from <= to && *to <= LOG_SIZE_MAX, "an older log is not longer"),
            Self::Subtrees { level, first, count, .. } => {
                rule((1..=SUBTREE_FANOUT).contains(&u64::from(*count)), "1 to 16 subtrees are asked for")?;
                let leaves = 1_u64 << (4 * u32::from((*level).min(SUBTREE_LEVEL_MAX)));
                let end = first.checked_add(u64::from(*count)).and_then(|end| end.checked_mul(leaves));
                let inside = *level <= SUBTREE_LEVEL_MAX && end.is_some_and(|end| end <= LOG_SIZE_MAX);
                rule(inside, "subtrees lie within the largest log")
            }
            Self::Receipt { seq, size, .. } => rule(seq < size && *size <= LOG_SIZE_MAX, "a receipt is in its log"),
            Self::Range { first, end, of, bytes_max, .. } => {
                let ordered = first < end && end <= of && *of <= LOG_SIZE_MAX;
                rule(ordered && end - first <= TRANSFER_STEPS_MAX, "a range has 1 to 8192 steps, within its log")?;
                rule(*bytes_max <= TRANSFER_BYTES_MAX, "a transfer has at most 8 MiB")
            }
            Self::Chunks { ids, .. } => rule(!ids.is_empty(), "at least one chunk is asked for"),
            Self::Bundle(query) => query.validate(),
            Self::Roots(query) => query.validate(),
        }
    }
}

impl Reply {
    pub(super) fn validate(&self) -> Result<(), CodecError> {
        match self {
            Self::Heads(page) => {
                let heads = &page.heads;
                rule(heads.is_sorted_by(|a, b| a.ledger < b.ledger), "heads ascend strictly by ledger")?;
                rule(!page.more || !heads.is_empty(), "more heads follow after at least one")?;
                heads.iter().try_for_each(|head| rule(head.size <= LOG_SIZE_MAX, "a log has at most 2^48 receipts"))
            }
            Self::Epochs(epochs) => {
                let ascend = |a: &EpochStart, b: &EpochStart| a.epoch < b.epoch && a.first < b.first;
                rule(epochs.is_sorted_by(ascend), "epochs and their beginnings ascend strictly")
            }
            Self::Receipt(placed) => {
                placed.attestation.as_ref().map_or(Ok(()), Canonical::validate)?;
                rule(placed.receipt.len() <= RECEIPT_BYTES_MAX, "a receipt has at most 1 KiB")
            }
            Self::Sending(sending) => rule(sending.bytes <= TRANSFER_BYTES_MAX, "a transfer has at most 8 MiB"),
            Self::Snapshot(record) => record.validate(),
            Self::Bundle(offer) => offer.validate(),
            Self::Roots(roots) => roots.validate(),
            Self::Same | Self::Continuity(_) | Self::Subtrees(_) | Self::Refused(_) => Ok(()),
        }
    }
}

/// The hashes as a proof of the log. Proofs are lists of hashes, so the encoding is the same.
pub(crate) fn consistency(path: &ConsistencyPath) -> ConsistencyProof {
    decode_canonical(&as_list(path)).expect("a proof is a list of at most as many hashes")
}

/// The hashes as a proof of the log.
pub(crate) fn inclusion(path: &ConsistencyPath) -> InclusionProof {
    decode_canonical(&as_list(path)).expect("a proof is a list of at most as many hashes")
}

/// The hashes of a proof, for a message.
pub(crate) fn path_of(proof: &ConsistencyProof) -> ConsistencyPath {
    let bytes = reprise_abi::encode(proof);
    List::first(bytes[1..].chunks_exact(32).map(|hash| hash.try_into().expect("32 bytes")))
}

fn as_list(path: &[[u8; 32]]) -> Vec<u8> {
    let count = u8::try_from(path.len()).expect("at most 50 hashes");
    [&[count], path.as_flattened()].concat()
}
