//! The answering side: questions against durable facts. Costs a few reads each, whatever is asked.

use super::heads_digest;
use crate::{
    ledgers::{LedgerHead, Ledgers, continuity, place, subtree_roots},
    limits::{CHUNK_IDS_MAX, HEADS_MAX, TRANSFER_BYTES_MAX},
    list::List,
    message::{HeadPage, PlacedReceipt, Question, Refusal, Reply, Sending, path_of},
};
use reprise_abi::encode;
use reprise_receipts::{LedgerId, digest::ChunkId};

/// Bytes that a stream spends on each chunk beside its own: a length.
const CHUNK_FRAME_BYTES: u64 = 4;

/// An answer, and what is to follow over a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The answer.
    pub reply: Reply,
    /// What to stream, and under which number.
    pub stream: Option<(u64, Content)>,
}

/// What goes over a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// The encoded [`Steps`](crate::message::Steps) from `first` to `end`.
    Steps {
        /// Which ledger.
        ledger: LedgerId,
        /// First step.
        first: u64,
        /// End of the range.
        end: u64,
    },
    /// Chunks in this order, each after its length (`u32`, little-endian).
    Chunks {
        /// Which ledger.
        ledger: LedgerId,
        /// Addresses.
        ids: Vec<ChunkId>,
    },
}

/// Answers a question. `shared` are the heads of the ledgers that both nodes are members of, in the order of ledgers.
#[must_use]
pub fn respond(question: &Question, shared: &[LedgerHead], facts: &dyn Ledgers) -> Response {
    let mut stream = None;
    let reply = answer(question, shared, facts, &mut stream).unwrap_or_else(Reply::Refused);
    Response { reply, stream }
}

fn answer(
    question: &Question,
    shared: &[LedgerHead],
    facts: &dyn Ledgers,
    stream: &mut Option<(u64, Content)>,
) -> Result<Reply, Refusal> {
    let size_of = |ledger: &LedgerId| {
        let at = shared.binary_search_by_key(ledger, |head| head.ledger).map_err(|_| Refusal::NotShared)?;
        Ok(shared[at].size)
    };
    let within = |ledger: &LedgerId, end: u64| match size_of(ledger)? {
        size if end <= size => Ok(()),
        _ => Err(Refusal::BeyondEnd),
    };
    match question {
        Question::Digest(theirs) if *theirs == heads_digest(shared) => Ok(Reply::Same),
        Question::Digest(_) => Ok(Reply::Heads(page(shared))),
        Question::Heads { after } => Ok(Reply::Heads(page(&shared[shared.partition_point(|h| h.ledger <= *after)..]))),
        Question::Continuity { ledger, from, to } => {
            within(ledger, *to)?;
            Ok(Reply::Continuity(path_of(&continuity(facts, *ledger, *from, *to).ok_or(Refusal::Pruned)?)))
        }
        Question::Epochs { ledger } => {
            within(ledger, 0)?;
            Ok(Reply::Epochs(List::first(facts.epochs(*ledger))))
        }
        Question::Subtrees { ledger, level, first, count } => {
            within(ledger, (first + u64::from(*count)) << (4 * u32::from(*level)))?;
            let roots = subtree_roots(facts, *ledger, *level, *first, u64::from(*count));
            Ok(Reply::Subtrees(List::first(roots.ok_or(Refusal::Pruned)?)))
        }
        Question::Receipt { ledger, seq, size } => {
            within(ledger, *size)?;
            placed_receipt(facts, *ledger, *seq, *size).map(Reply::Receipt)
        }
        Question::Range { ledger, first, end, of, transfer, bytes_max } => {
            within(ledger, *of)?;
            let (end, bytes) = facts.stream(*ledger, *first, *end, *bytes_max).ok_or(Refusal::Pruned)?;
            let proof = continuity(facts, *ledger, end, *of).ok_or(Refusal::Pruned)?;
            *stream = Some((*transfer, Content::Steps { ledger: *ledger, first: *first, end }));
            Ok(Reply::Sending(Sending { end, bytes, path: path_of(&proof) }))
        }
        Question::Snapshot { ledger } => {
            within(ledger, 0)?;
            Ok(Reply::Snapshot(facts.snapshot(*ledger).ok_or(Refusal::Pruned)?))
        }
        // Their answers have to be made first: see `node::bundles` and `node::roots`.
        Question::Bundle(_) | Question::Roots(_) => Err(Refusal::NotMade),
        Question::Chunks { ledger, transfer, ids } => {
            within(ledger, 0)?;
            let (reply, content) = chunks(facts, *ledger, ids)?;
            *stream = Some((*transfer, content));
            Ok(reply)
        }
    }
}

fn page(heads: &[LedgerHead]) -> HeadPage {
    HeadPage { heads: List::first(heads.iter().copied()), more: heads.len() > HEADS_MAX }
}

fn placed_receipt(facts: &dyn Ledgers, ledger: LedgerId, seq: u64, size: u64) -> Result<PlacedReceipt, Refusal> {
    let receipt = facts.receipt(ledger, seq).ok_or(Refusal::Pruned)?;
    let proof = encode(&place(facts, ledger, seq, size).ok_or(Refusal::Pruned)?);
    let path = List::first(proof[1..].chunks_exact(32).map(|hash| hash.try_into().expect("32 bytes")));
    Ok(PlacedReceipt { receipt, path, attestation: facts.attestation(ledger, seq) })
}

/// The chunks that are there, from the first on, as many as one transfer carries.
fn chunks(
    facts: &dyn Ledgers,
    ledger: LedgerId,
    ids: &List<ChunkId, CHUNK_IDS_MAX>,
) -> Result<(Reply, Content), Refusal> {
    let (mut sent, mut bytes) = (Vec::new(), 0_u64);
    for id in ids.iter() {
        let Some(len) = facts.chunk(ledger, *id) else { break };
        let with = bytes.saturating_add(len).saturating_add(CHUNK_FRAME_BYTES);
        if with > TRANSFER_BYTES_MAX {
            break;
        }
        bytes = with;
        sent.push(*id);
    }
    if sent.is_empty() {
        return Err(Refusal::Pruned);
    }
    let sending = Sending { end: sent.len() as u64, bytes, path: List::empty() };
    Ok((Reply::Sending(sending), Content::Chunks { ledger, ids: sent }))
}

/// The stream of chunks: each after its length.
#[must_use]
pub fn join_chunks<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut stream = Vec::new();
    for chunk in chunks {
        let len = u32::try_from(chunk.len()).expect("a chunk is far shorter than 4 GiB");
        stream.extend_from_slice(&len.to_le_bytes());
        stream.extend_from_slice(chunk);
    }
    stream
}

/// The chunks of a stream; `None` if a length goes beyond its end, or there are more than were asked for.
#[must_use]
pub fn split_chunks(mut stream: &[u8]) -> Option<Vec<&[u8]>> {
    let mut chunks = Vec::new();
    while !stream.is_empty() {
        let (len, rest) = stream.split_first_chunk::<{ CHUNK_FRAME_BYTES as usize }>()?;
        let (chunk, rest) = rest.split_at_checked(u32::from_le_bytes(*len) as usize)?;
        if chunks.len() == CHUNK_IDS_MAX {
            return None;
        }
        chunks.push(chunk);
        stream = rest;
    }
    Some(chunks)
}
