//! Witnesses: the part of a state that a range of steps looks at, and nothing else of it.
//!
//! A verifier without the state can do steps again on a witness: it is opened against a state root that the verifier
//! trusts, as a [`StateTrie`] in which whole subtrees are *opaque*, known by their hash alone. Reading what is shown
//! gives the right answer, absence included; diffs apply, and every root comes out as it would of the whole state.
//!
//! **Making one.** Whoever does the steps on the whole state reports its reads ([`Read`]); [`Touched::note`] turns each,
//! against the state of that moment, into the leaves that the trie looks at to answer it. [`Witness::of`] then shows, of
//! the state before the range, those leaves, and leaves out every subtree that has none of them.
//!
//! **Using one.** An answer that rests on an opaque subtree is worth nothing, and the trie does not say that it
//! is one. So a verifier has its executor report its reads too, and asks [`covers`] with the state from before the step:
//! only when all reads are covered may anything be concluded. What the ledger itself reads is in
//! [`reads`](crate::system::reads).
//!
//! **What a root does not say** is how large the state is; that is in the witness, unproved. It matters to a step only
//! when it is about to pass the limit of a ledger's state.

use crate::{
    digest::StateRoot,
    trie::{
        STATE_KEY_BYTES_MAX, StateTrie,
        subtree::{Assembler, POSITIONS_MAX, Pruned, Reached, parting},
    },
};
use reprise_abi::{Canonical, CodecError, limits::VALUE_BYTES_MAX};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Version of the witness format that this code writes.
pub const WITNESS_FORMAT: u16 = 1;
/// Longest witness, in bytes. 64 MiB.
pub const WITNESS_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What was read of a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    /// The value of a key, namespace byte included. A key that is written is read as well.
    Get {
        /// The key.
        key: Vec<u8>,
    },
    /// Entries of [`StateTrie::scan`] with these arguments.
    Scan {
        /// What they begin with, namespace byte included.
        prefix: Vec<u8>,
        /// What they come after.
        after: Option<Vec<u8>>,
        /// How often `next` was called, the time that it answered `None` included.
        pulls: u32,
    },
}

/// A read rests on a part of the state that the witness does not show.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the witness does not cover a {kind} of {} bytes", .at.len())]
pub struct Uncovered {
    /// Which kind of read.
    pub kind: &'static str,
    /// Its key or prefix.
    pub at: Vec<u8>,
}

/// Keys of leaves that were looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Touched {
    keys: BTreeSet<Vec<u8>>,
}

/// A part of a state: see [the module](self).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Witness {
    /// [`WITNESS_FORMAT`].
    format: u16,
    /// Bytes of all keys and values of the state, shown or not.
    bytes: u64,
    /// In key order.
    items: Vec<Item>,
}

/// A subtree, and the bit at which its keys part from those of the one before; 0 for the first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Item {
    position: u16,
    part: Part,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Part {
    /// Its hash.
    Opaque([u8; 32]),
    /// Its one entry.
    Entry {
        #[serde(with = "serde_bytes")]
        key: Vec<u8>,
        #[serde(with = "serde_bytes")]
        value: Vec<u8>,
    },
}

/// Why a witness is not one of the state in question. Indices count from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WitnessError {
    /// A part cannot stand where it stands.
    #[error("part {index} of the witness does not belong where it stands")]
    Shape {
        /// Position in the witness.
        index: usize,
    },
    /// It is a witness of another state.
    #[error("the witness is of the state {found}, expected {expected}")]
    OtherRoot {
        /// The root in question.
        expected: StateRoot,
        /// The root of the witness.
        found: StateRoot,
    },
}

impl Touched {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes the leaves that a read looks at in `state`, the one that it was made on.
    pub fn note(&mut self, state: &StateTrie, read: &Read) {
        reach(state, read, |reached| {
            if let Reached::Entry(key) = reached
                && !self.keys.contains(key)
            {
                self.keys.insert(key.to_vec());
            }
        });
    }

    /// Number of leaves.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// No leaf was looked at.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

impl Witness {
    /// Shows what was touched of `state`, the one before the first of the steps that touched it. Keys that are not in
    /// it came with one of the steps.
    #[must_use]
    pub fn of(state: &mut StateTrie, touched: &Touched) -> Self {
        let there = |key: &&[u8]| state.get(key).is_some();
        let shown: Vec<&[u8]> = touched.keys.iter().map(Vec::as_slice).filter(there).collect();
        let bytes = state.bytes();
        let mut items = Vec::new();
        state.prune(&shown, |position, pruned| {
            let part = match pruned {
                Pruned::Opaque(hash) => Part::Opaque(hash),
                Pruned::Entry(key, value) => Part::Entry { key: key.to_vec(), value: value.to_vec() },
            };
            items.push(Item { position, part });
        });
        Self { format: WITNESS_FORMAT, bytes, items }
    }

    /// The part of the state with `root` that the witness shows, as a state.
    ///
    /// # Errors
    /// [`WitnessError`]: no trie has such parts, or it is another state.
    pub fn open(&self, root: StateRoot) -> Result<StateTrie, WitnessError> {
        let mut assembler = Assembler::new();
        for (index, item) in self.items.iter().enumerate() {
            let pushed = match &item.part {
                Part::Opaque(hash) => assembler.push_opaque_at(item.position, *hash),
                Part::Entry { key, value } => assembler.push_at(item.position, key, value),
            };
            pushed.map_err(|_| WitnessError::Shape { index })?;
        }
        let (state, found) = assembler.finish(Some(self.bytes));
        if found != root {
            return Err(WitnessError::OtherRoot { expected: root, found });
        }
        self.check_places(&state)?;
        Ok(state)
    }

    /// Every entry is where its key leads to, and parts from the one before where their keys do.
    fn check_places(&self, state: &StateTrie) -> Result<(), WitnessError> {
        let mut last: Option<&[u8]> = None;
        let mut least_position = u16::MAX;
        for (index, item) in self.items.iter().enumerate() {
            least_position = least_position.min(item.position);
            let Part::Entry { key, .. } = &item.part else { continue };
            let parts = last.is_none_or(|last| last < key.as_slice() && parting(last, key) == Some(least_position));
            if !parts || state.get(key).is_none() {
                return Err(WitnessError::Shape { index });
            }
            (last, least_position) = (Some(key.as_slice()), u16::MAX);
        }
        Ok(())
    }
}

/// All of these reads, made on `state`, rest on what the witness that it was opened from shows.
///
/// # Errors
/// [`Uncovered`] with the first that does not.
pub fn covers<'a>(state: &StateTrie, reads: impl IntoIterator<Item = &'a Read>) -> Result<(), Uncovered> {
    for read in reads {
        let mut opaque = false;
        reach(state, read, |reached| opaque |= reached == Reached::Opaque);
        if opaque {
            return Err(match read {
                Read::Get { key } => Uncovered { kind: "key", at: key.clone() },
                Read::Scan { prefix, .. } => Uncovered { kind: "prefix", at: prefix.clone() },
            });
        }
    }
    Ok(())
}

fn reach<'a>(state: &'a StateTrie, read: &Read, mut visit: impl FnMut(Reached<'a>)) {
    match read {
        Read::Get { key } => state.reach_by_get(key).into_iter().for_each(visit),
        Read::Scan { prefix, after, pulls } => state.reach_by_scan(prefix, after.as_deref(), *pulls, &mut visit),
    }
}

impl Canonical for Witness {
    const KIND: &'static str = "witness";
    const BYTES_MAX: usize = WITNESS_BYTES_MAX;

    fn validate(&self) -> Result<(), CodecError> {
        let rule = |holds, rule| if holds { Ok(()) } else { Err(CodecError::Invalid { kind: Self::KIND, rule }) };
        rule(self.format == WITNESS_FORMAT, "the format version is 1")?;
        let inside = |item: &Item| usize::from(item.position) < POSITIONS_MAX;
        rule(self.items.iter().all(inside), "positions lie in the longest key")?;
        let fits = |item: &Item| match &item.part {
            Part::Opaque(_) => true,
            Part::Entry { key, value } => key.len() <= STATE_KEY_BYTES_MAX && value.len() <= VALUE_BYTES_MAX,
        };
        rule(self.items.iter().all(fits), "keys are at most 257 bytes long, values at most 64 KiB")
    }
}

#[cfg(test)]
mod tests;
