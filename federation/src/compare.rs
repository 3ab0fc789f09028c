//! Finding out where two nodes differ, cheapest question first.
//!
//! | tier | question | cost |
//! | --- | --- | --- |
//! | 1 | is anything different? [`heads_digest`] over all heads | 1 round trip, 32 bytes |
//! | 2 | which ledgers? the head vector, sent at once when the digests differ | none, or one for each further page |
//! | 3 | behind or forked? a consistency proof | 1 round trip, under 1 KiB |
//! | 4 | where is the fork? the epoch table, then [`Descent`] with 16 branches | 1 + log16(n) round trips |
//! | 5 | whose execution is wrong? [`classify`] the two receipts; the rest is replay, which is local | 1 round trip |
//! | 6 | what is missing? ranges of steps, and [`ChunkSearch`] for states | what is missing |
//!
//! [`Search`] is tiers 3 and 4 for one ledger and one peer. [`respond`] is the other side of all of them.

mod chunks;
mod classify;
mod descent;
mod respond;
mod roots;
mod search;

pub use self::{
    chunks::{ChunkSearch, ChunkSearchError},
    classify::{Classified, Divergence, ForkSide, Uncomparable, classify, classify_states},
    descent::{Descent, DescentError},
    respond::{Content, Response, join_chunks, respond, split_chunks},
    roots::{Likeness, RootsCompared, compare_roots},
    search::{Relation, Search, SearchError},
};

use crate::{ledgers::LedgerHead, message::HeadsDigest};
use reprise_receipts::digest::derive;

/// Digest over heads in the order of their ledgers: two nodes that share the same ledgers and agree have the same one.
///
/// It is `derive("reprise 2026 heads v1", m)`, where `m` is, for each head, ledger, epoch and size as 8 bytes each,
/// little-endian, log root and state root.
#[must_use]
pub fn heads_digest(heads: &[LedgerHead]) -> HeadsDigest {
    let mut message = Vec::with_capacity(heads.len() * 112);
    for head in heads {
        message.extend_from_slice(head.ledger.as_bytes());
        message.extend_from_slice(&head.epoch.to_le_bytes());
        message.extend_from_slice(&head.size.to_le_bytes());
        message.extend_from_slice(head.log_root.as_bytes());
        message.extend_from_slice(head.state_root.as_bytes());
    }
    HeadsDigest(derive("reprise 2026 heads v1", &message))
}
