//! From entries in key order to chunks, with little more in memory than one chunk of each level.
//!
//! As in building a trie, only the rightmost path is open. A subtree to the left of it is *settled* when the branch above
//! it is known to be of a higher level: then it is a chunk, is written, and only its reference is kept. Until then
//! it is a list of entries (level 0) or of the chunks below it, as it may still become part of a larger chunk. The
//! entries that wait are always the last ones seen, and never weigh more than a run, or are one heavy entry.

use super::{
    chunk::{Chunk, ChunkRef, entry_weight, index_id, level},
    run::Waiting,
};
use crate::{
    digest::ChunkId,
    trie::subtree::{self, parting},
};
use reprise_abi::encode;

/// Where chunks go, and what is already known of them.
pub(super) trait Output {
    /// Address of the run of these entries, if that is known without hashing them.
    fn run_id(&mut self, first: &[u8], last: &[u8]) -> Option<ChunkId>;
    /// Takes a chunk; `encode` it only if it is needed.
    fn chunk(&mut self, id: ChunkId, encode: impl FnOnce() -> Vec<u8>);
}

/// Turns entries into chunks.
#[derive(Debug, Default)]
pub(super) struct Shaper {
    /// Branches of the rightmost path, root first; positions ascend.
    spine: Vec<Branch>,
    /// Which of them have a left side that is not settled.
    unsettled: Vec<usize>,
    /// The rightmost subtree: one entry.
    last: Option<Part>,
    /// Entries that wait, oldest first.
    waiting: Waiting,
    /// The last key of the last run that was written.
    written_to: Option<Vec<u8>>,
    /// Weight of everything so far.
    weight: u64,
    keys: u64,
}

#[derive(Debug)]
struct Branch {
    position: u16,
    left: Part,
    /// Weight of everything before it.
    weight_before: u64,
}

/// A complete subtree.
#[derive(Debug)]
struct Part {
    weight: u64,
    level: u32,
    body: Body,
}

#[derive(Debug)]
enum Body {
    /// So many of the entries that wait.
    Entries(usize),
    /// An index that may still grow, and the hash of the subtree.
    Refs(Vec<ChunkRef>, Hash),
    /// A chunk that is written.
    Settled(Written),
}

type Hash = [u8; 32];

/// A chunk that was handed to the output.
#[derive(Clone, Copy, Debug)]
pub(super) struct Written {
    /// Its address.
    pub(super) id: ChunkId,
    /// Hash of the subtree that it is.
    pub(super) hash: Hash,
}

impl Shaper {
    /// Adds an entry; keys ascend.
    pub(super) fn push(&mut self, key: &[u8], value: &[u8], output: &mut impl Output) {
        if let Some(last) = self.last.take() {
            let weight_before_last = self.weight - last.weight;
            let last_key = self.waiting.last_key().expect("the last entry waits");
            let position = parting(last_key, key).expect("keys ascend");
            let (left, weight_before) = self.close(position, last, weight_before_last, output);
            self.unsettled.push(self.spine.len());
            self.spine.push(Branch { position, left, weight_before });
        }
        let weight = entry_weight(key, value);
        self.waiting.push(key, value);
        self.last = Some(Part { weight, level: 0, body: Body::Entries(1) });
        self.weight += weight;
        self.keys += 1;
        self.settle(output);
    }

    /// Writes what is left; returns the first chunk of the snapshot, if there is any.
    pub(super) fn finish(&mut self, output: &mut impl Output) -> Option<Written> {
        let last = self.last.take()?;
        let weight_before_last = self.weight - last.weight;
        let (whole, _) = self.close(0, last, weight_before_last, output);
        Some(self.write(whole, output))
    }

    /// Number of entries so far, and what they weigh.
    pub(super) fn count(&self) -> (u64, u64) {
        (self.keys, self.weight)
    }

    /// Every run with keys up to this one is written.
    pub(super) fn written_to(&self) -> Option<&[u8]> {
        self.written_to.as_deref()
    }

    /// Closes what branches at `position` or later; `right` becomes the subtree that this makes of it. Also returns the
    /// weight of everything before that.
    fn close(
        &mut self,
        position: u16,
        mut right: Part,
        mut weight_before: u64,
        output: &mut impl Output,
    ) -> (Part, u64) {
        while let Some(branch) = self.spine.pop_if(|branch| branch.position >= position) {
            self.unsettled.pop_if(|index| *index == self.spine.len());
            weight_before = branch.weight_before;
            right = self.join(branch, right, output);
        }
        (right, weight_before)
    }

    /// Makes one subtree of both sides of a branch. What is of a lower level than the branch is a chunk.
    fn join(&mut self, branch: Branch, right: Part, output: &mut impl Output) -> Part {
        let left = branch.left;
        let weight = left.weight + right.weight;
        let level = level(weight);
        if level == 0 {
            let (Body::Entries(left), Body::Entries(right)) = (left.body, right.body) else {
                unreachable!("what is settled is below a higher level");
            };
            return Part { weight, level, body: Body::Entries(left + right) };
        }
        let (mut refs, left_hash) = self.refs_below(level, left, output);
        let seam = refs.len();
        let (more, right_hash) = self.refs_below(level, right, output);
        refs.extend(more);
        refs[seam].position = branch.position;
        let hash = subtree::join(branch.position, &left_hash, &right_hash);
        Part { weight, level, body: Body::Refs(refs, hash) }
    }

    /// The chunks that a branch of `level` has on one side, and the hash of that side.
    fn refs_below(&mut self, level: u32, side: Part, output: &mut impl Output) -> (Vec<ChunkRef>, Hash) {
        match side {
            Part { level: own, body: Body::Refs(refs, hash), .. } if own == level => (refs, hash),
            lower => {
                let weight = lower.weight;
                let Written { id, hash } = self.write(lower, output);
                (vec![ChunkRef { position: 0, id, weight }], hash)
            }
        }
    }

    /// Writes the left sides of which it is certain by now that they are chunks, oldest first.
    fn settle(&mut self, output: &mut impl Output) {
        let mut unsettled = std::mem::take(&mut self.unsettled);
        unsettled.retain(|index| {
            let branch = &mut self.spine[*index];
            if level(self.weight - branch.weight_before) == branch.left.level {
                return true;
            }
            let placeholder = Part { body: Body::Entries(0), ..branch.left };
            let left = std::mem::replace(&mut branch.left, placeholder);
            let written = self.write(left, output);
            self.spine[*index].left.body = Body::Settled(written);
            false
        });
        self.unsettled = unsettled;
    }

    /// Hands a chunk to the output, unless that has happened.
    fn write(&mut self, part: Part, output: &mut impl Output) -> Written {
        match part.body {
            Body::Settled(written) => written,
            Body::Entries(count) => self.write_run(count, output),
            Body::Refs(refs, hash) => {
                let bytes = encode(&Chunk::Index(refs));
                let id = index_id(&bytes);
                output.chunk(id, || bytes);
                Written { id, hash }
            }
        }
    }

    fn write_run(&mut self, count: usize, output: &mut impl Output) -> Written {
        let run = self.waiting.front(count);
        let id = output.run_id(run.first_key, run.last_key).unwrap_or_else(|| run.id());
        output.chunk(id, || run.encode());
        let written_to = self.written_to.get_or_insert_default();
        written_to.clear();
        written_to.extend_from_slice(run.last_key);
        self.waiting.drop_front(count);
        Written { id, hash: *id.as_bytes() }
    }
}
