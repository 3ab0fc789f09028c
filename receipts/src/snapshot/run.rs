//! Runs as bytes: written from entries that wait, read without copying them.
//!
//! A snapshot is mostly runs, and a run mostly a few short entries. Going through the codec of [`Chunk`] would allocate
//! each key and value twice and encode all of it again to see that there is no other encoding. What is here reads
//! and writes the same bytes; that it accepts exactly what [`Chunk`] does is held by a test.
//!
//! [`Chunk`]: super::Chunk

use super::chunk::{Chunk, ENTRY_WEIGHT, RUN_WEIGHT_MAX};
use crate::{
    digest::ChunkId,
    trie::{STATE_KEY_BYTES_MAX, subtree::Assembler},
};
use reprise_abi::{Canonical, CodecError, limits::VALUE_BYTES_MAX};
use std::collections::VecDeque;

/// First byte of a run: the variant of [`Chunk`].
const RUN_TAG: u8 = 0;

/// Entries that wait to become runs, in key order, already encoded.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    bytes: Vec<u8>,
    entries: VecDeque<Span>,
}

/// Where an entry is. Offsets are from the beginning of the entry.
#[derive(Clone, Copy, Debug)]
struct Span {
    key: (usize, usize),
    len: usize,
}

/// The entries that wait longest, as one run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Front<'a> {
    pub(super) first_key: &'a [u8],
    pub(super) last_key: &'a [u8],
    count: usize,
    entries: &'a [u8],
}

impl Waiting {
    /// Adds an entry.
    pub(super) fn push(&mut self, key: &[u8], value: &[u8]) {
        let start = self.bytes.len();
        put_varint(&mut self.bytes, key.len());
        let key_at = self.bytes.len() - start;
        self.bytes.extend_from_slice(key);
        put_varint(&mut self.bytes, value.len());
        self.bytes.extend_from_slice(value);
        self.entries.push_back(Span { key: (key_at, key_at + key.len()), len: self.bytes.len() - start });
    }

    /// The key of the entry that came last.
    pub(super) fn last_key(&self) -> Option<&[u8]> {
        let last = self.entries.back()?;
        let start = self.bytes.len() - last.len;
        Some(&self.bytes[start + last.key.0..start + last.key.1])
    }

    /// The first `count` entries, of which there is at least one.
    pub(super) fn front(&self, count: usize) -> Front<'_> {
        let (first, last) = (self.entries[0], self.entries[count - 1]);
        let len: usize = self.entries.iter().take(count).map(|entry| entry.len).sum();
        let last_at = len - last.len;
        Front {
            first_key: &self.bytes[first.key.0..first.key.1],
            last_key: &self.bytes[last_at + last.key.0..last_at + last.key.1],
            count,
            entries: &self.bytes[..len],
        }
    }

    /// Forgets the first `count` entries.
    pub(super) fn drop_front(&mut self, count: usize) {
        let len: usize = self.entries.drain(..count).map(|entry| entry.len).sum();
        self.bytes.drain(..len);
    }
}

impl Front<'_> {
    /// The run's address, which is the hash of its subtree.
    pub(super) fn id(&self) -> ChunkId {
        let mut subtree = Assembler::new();
        for (key, value) in entries(self.count, self.entries) {
            subtree.push(key, value).expect("keys ascend");
        }
        ChunkId::from_bytes(*subtree.finish(None).1.as_bytes())
    }

    /// Encodes the run.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(4 + self.entries.len());
        bytes.push(RUN_TAG);
        put_varint(&mut bytes, self.count);
        bytes.extend_from_slice(self.entries);
        bytes
    }
}

/// An encoded run that keeps all rules of its kind.
#[derive(Clone, Copy, Debug)]
pub(super) struct RunView<'a> {
    count: usize,
    entries: &'a [u8],
    weight: u64,
}

impl<'a> RunView<'a> {
    /// Reads a run; `None` if the first byte says that it is none.
    ///
    /// # Errors
    /// [`CodecError`], as for [`Chunk`].
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Option<Self>, CodecError> {
        let kind = Chunk::KIND;
        if bytes.len() > Chunk::BYTES_MAX {
            return Err(CodecError::TooLong { kind, len: bytes.len(), max: Chunk::BYTES_MAX });
        }
        let Some(mut rest) = bytes.strip_prefix(&[RUN_TAG]) else { return Ok(None) };
        let malformed = CodecError::Malformed { kind };
        let count = take_varint(&mut rest).ok_or(malformed)?;
        let mut run = Self { count, entries: rest, weight: 0 };
        let mut last: Option<&[u8]> = None;
        for _ in 0..count {
            let (key, value) = take_entry(&mut rest).ok_or(malformed)?;
            if last.is_some_and(|last| last >= key) {
                return Err(CodecError::Invalid { kind, rule: "keys ascend strictly" });
            }
            if key.len() > STATE_KEY_BYTES_MAX || value.len() > VALUE_BYTES_MAX {
                return Err(CodecError::Invalid { kind, rule: "keys have at most 257 bytes, values at most 64 KiB" });
            }
            run.weight += (key.len() + value.len()) as u64 + ENTRY_WEIGHT;
            last = Some(key);
        }
        if !rest.is_empty() {
            return Err(CodecError::TrailingBytes { kind, extra: rest.len() });
        }
        if count == 0 || (count > 1 && run.weight > RUN_WEIGHT_MAX) {
            return Err(CodecError::Invalid { kind, rule: "a run is one entry, or entries that weigh at most 256" });
        }
        Ok(Some(run))
    }

    /// Its entries, in key order.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        entries(self.count, self.entries)
    }

    /// How many they are.
    pub(super) fn count(&self) -> u64 {
        self.count as u64
    }

    /// What they weigh.
    pub(super) fn weight(&self) -> u64 {
        self.weight
    }
}

fn entries<'a>(count: usize, mut encoded: &'a [u8]) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
    (0..count).map(move |_| take_entry(&mut encoded).expect("so many entries are encoded"))
}

fn take_entry<'a>(rest: &mut &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    Some((take_bytes(rest)?, take_bytes(rest)?))
}

fn take_bytes<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = take_varint(rest)?;
    let (bytes, after) = rest.split_at_checked(len)?;
    *rest = after;
    Some(bytes)
}

/// A varint as the codec writes it: no longer than it must be. Larger than any length here is none.
fn take_varint(rest: &mut &[u8]) -> Option<usize> {
    let mut number = 0;
    for shift in [0, 7, 14, 21] {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        number |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return (*byte != 0 || shift == 0).then_some(number);
        }
    }
    None
}

fn put_varint(bytes: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}
