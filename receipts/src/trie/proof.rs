//! Proofs against a state root: a key with its value, a key that is not there, all keys with a prefix.
//!
//! Every proof is a *path*: the branch positions between the root and some node, each with the hash of the side that
//! the path does not take. Which side it takes is not in the proof; it is the bit of the key in question at that
//! position. The verifier computes the node's hash from the claim, folds the path onto it and compares with the root.
//! A hash names the kind of its node and, for an inner node, the position; so, as long as nobody finds a collision,
//! a path that folds to an honest root is the very path that this trie has.
//!
//! - **Presence.** The node is the leaf of the key and the value.
//! - **Absence of a key.** The node is the leaf of another key, the *neighbour*. In a Patricia trie all keys below the
//!   left side of a branch have a 0 at its position and all below the right side a 1. A key that is in the trie is
//!   therefore the one leaf that its own bits lead to. They lead to another leaf, so it is not in the trie.
//! - **All keys with a prefix.** The node is a subtree, given as its complete list of entries, and the path takes the
//!   bits of the prefix, at positions inside it. Any key with the prefix has those bits and so is in that subtree, hence
//!   in the list. The subtree's hash is computed from the list by the definition of the root.
//! - **No key with a prefix.** The node is the leaf that the prefix, read as a key, leads to; its key does not have the
//!   prefix. Suppose some key did. The bits of the prefix lead both to a common subtree of which every branch is beyond
//!   the prefix. The keys below such a subtree agree in all bits before its branch, the bits of the prefix included,
//!   so the neighbour would have the prefix too.
//! - In an empty trie everything is absent, and its root is of a kind of its own.

use super::{
    EntryRef, StateTrie, TrieBuilder,
    arena::Node,
    bits::{POSITIONS, STATE_KEY_BYTES_MAX, bit, end_bit},
    hash::{self, Hash},
};
use crate::digest::StateRoot;
use reprise_abi::{Canonical, CodecError};
use serde::{Deserialize, Serialize};

/// Most bytes of entries in one prefix proof: keys, values and [`ENTRY_OVERHEAD_BYTES`] for each. 16 MiB.
pub const PREFIX_PROOF_ENTRIES_BYTES_MAX: usize = 16 * 1024 * 1024;
/// What the lengths of a key and a value take at most.
pub const ENTRY_OVERHEAD_BYTES: usize = 6;

/// Longest encoding of a path: a count, and for each position two bytes and a hash.
const PATH_BYTES_MAX: usize = 2 + POSITIONS * (2 + 32);
/// Longest encoding of a neighbour that may be missing: the option, a length, a key and a digest.
const NEIGHBOUR_BYTES_MAX: usize = 1 + 2 + STATE_KEY_BYTES_MAX + 32;

/// Why a proof cannot be made or does not prove what is claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// Positions of the path do not ascend.
    #[error("step {step} of the path: positions must be strictly ascending")]
    Order {
        /// Index in the path, root first.
        step: usize,
    },
    /// The path branches where the key or prefix has no bits any more.
    #[error("step {step} of the path is past the end of the key")]
    PastEnd {
        /// Index in the path, root first.
        step: usize,
    },
    /// A key is longer than a state key can be.
    #[error("a key is {len} bytes long, at most {STATE_KEY_BYTES_MAX} are allowed")]
    KeyTooLong {
        /// Bytes of the key.
        len: usize,
    },
    /// The key said to be absent is the neighbour itself, or the neighbour has the prefix said to be unused.
    #[error("the proof of absence shows a key that is present")]
    Present,
    /// The bits of the key do not lead to the neighbour.
    #[error("step {step} of the path: the neighbour is on the other side")]
    OffPath {
        /// Index in the path, root first.
        step: usize,
    },
    /// The list of entries is empty, not in key order, or holds a key without the prefix.
    #[error("entry {index} of the list is missing, out of order or without the prefix")]
    Entry {
        /// Index in the list.
        index: usize,
    },
    /// Everything is in its place but for another root.
    #[error("the proof is not of this state root")]
    OtherRoot,
    /// The entries are too many for one proof.
    #[error("the entries have {bytes} bytes, at most {PREFIX_PROOF_ENTRIES_BYTES_MAX} fit one proof")]
    TooLarge {
        /// Bytes of the entries.
        bytes: u64,
    },
}

/// One branch of a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Step {
    /// First bit in which the two sides differ.
    position: u16,
    /// Hash of the side that the path does not take.
    sibling: Hash,
}

/// The branches from the root downwards.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Path(Vec<Step>);

/// That a key has a value: see the [module](self).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PresenceProof {
    path: Path,
}

/// That a key is not there: see the [module](self).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AbsenceProof {
    /// The key that the bits lead to instead; none in an empty trie.
    neighbour: Option<Neighbour>,
    path: Path,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Neighbour {
    #[serde(with = "serde_bytes")]
    key: Vec<u8>,
    value_digest: Hash,
}

/// All entries with a prefix: see the [module](self).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrefixProof(PrefixClaim);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum PrefixClaim {
    /// No key has it.
    Nothing(AbsenceProof),
    /// These have it, and only these.
    Entries { entries: Vec<OwnedEntry>, path: Path },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct OwnedEntry {
    #[serde(with = "serde_bytes")]
    key: Vec<u8>,
    #[serde(with = "serde_bytes")]
    value: Vec<u8>,
}

impl StateTrie {
    /// Proves `key` and its value; `None` if it is not there.
    #[must_use]
    pub fn prove_presence(&mut self, key: &[u8]) -> Option<PresenceProof> {
        self.get(key)?;
        Some(PresenceProof { path: self.path(key, POSITIONS).0 })
    }

    /// Proves that `key` is not there; `None` if it is.
    #[must_use]
    pub fn prove_absence(&mut self, key: &[u8]) -> Option<AbsenceProof> {
        self.get(key).is_none().then(|| self.neighbour_proof(key))
    }

    /// Proves which entries have `prefix`; they are in the proof.
    ///
    /// # Errors
    /// [`ProofError::TooLarge`] when they are more than [`PREFIX_PROOF_ENTRIES_BYTES_MAX`].
    pub fn prove_prefix(&mut self, prefix: &[u8]) -> Result<PrefixProof, ProofError> {
        let size = |(key, value): EntryRef<'_>| (key.len() + value.len() + ENTRY_OVERHEAD_BYTES) as u64;
        let bytes: u64 = self.scan(prefix, None).map(size).sum();
        if bytes > PREFIX_PROOF_ENTRIES_BYTES_MAX as u64 {
            return Err(ProofError::TooLarge { bytes });
        }
        let own = |(key, value): EntryRef<'_>| OwnedEntry { key: key.to_vec(), value: value.to_vec() };
        let entries: Vec<OwnedEntry> = self.scan(prefix, None).map(own).collect();
        Ok(PrefixProof(if entries.is_empty() {
            PrefixClaim::Nothing(self.neighbour_proof(prefix))
        } else {
            PrefixClaim::Entries { entries, path: self.path(prefix, end_bit(prefix.len())).0 }
        }))
    }

    fn neighbour_proof(&mut self, key: &[u8]) -> AbsenceProof {
        let (path, end) = self.path(key, POSITIONS);
        let neighbour = end.map(|end| {
            let leaf = &self.leaves[self.nearest(end, key)];
            Neighbour { key: leaf.key().to_vec(), value_digest: hash::value_digest(leaf.value()) }
        });
        AbsenceProof { neighbour, path }
    }

    /// The path that the bits of `key` take through branches before `end_bit`, and the node it ends at.
    fn path(&mut self, key: &[u8], end_bit: usize) -> (Path, Option<Node>) {
        self.refresh();
        let mut path = Path::default();
        let Some(mut node) = self.root.map(|root| root.node()) else { return (path, None) };
        while let Node::Inner(index) = node {
            let inner = &self.inners[index];
            if usize::from(inner.position) >= end_bit {
                break;
            }
            let side = bit(key, inner.position);
            path.0.push(Step { position: inner.position, sibling: *inner.children[1 - side].hash() });
            node = inner.children[side].node();
        }
        (path, Some(node))
    }
}

impl PresenceProof {
    /// In the state with `root`, `key` has `value`.
    ///
    /// # Errors
    /// [`ProofError`]: a path that no trie has, or another root.
    pub fn verify(&self, root: &StateRoot, key: &[u8], value: &[u8]) -> Result<(), ProofError> {
        check_key(key)?;
        self.path.check(end_bit(key.len()) + 1)?;
        self.path.leads_from(root, key, hash::leaf_hash(key, &hash::value_digest(value)))
    }
}

impl AbsenceProof {
    /// In the state with `root`, `key` is not there.
    ///
    /// # Errors
    /// [`ProofError`]: the key is there, a path that no trie has, or another root.
    pub fn verify(&self, root: &StateRoot, key: &[u8]) -> Result<(), ProofError> {
        self.verify_neighbour(root, key, |neighbour| neighbour == key)
    }

    /// The bits of `key` lead to a neighbour, or there is none; and it is none of those that `is_claimed_absent`.
    fn verify_neighbour(
        &self,
        root: &StateRoot,
        key: &[u8],
        is_claimed_absent: impl Fn(&[u8]) -> bool,
    ) -> Result<(), ProofError> {
        let Some(neighbour) = &self.neighbour else {
            self.path.check(0)?;
            return self.path.leads_from(root, key, hash::empty_root());
        };
        check_key(&neighbour.key)?;
        self.path.check(end_bit(neighbour.key.len()) + 1)?;
        if is_claimed_absent(&neighbour.key) {
            return Err(ProofError::Present);
        }
        let other_side = |step: &Step| bit(key, step.position) != bit(&neighbour.key, step.position);
        if let Some(step) = self.path.0.iter().position(other_side) {
            return Err(ProofError::OffPath { step });
        }
        self.path.leads_from(root, key, hash::leaf_hash(&neighbour.key, &neighbour.value_digest))
    }
}

impl PrefixProof {
    /// In the state with `root`, the entries with `prefix` are those returned, in key order, and no others.
    ///
    /// # Errors
    /// [`ProofError`]: an entry out of place, a path that no trie has, or another root.
    pub fn verify<'a>(&'a self, root: &StateRoot, prefix: &[u8]) -> Result<Vec<EntryRef<'a>>, ProofError> {
        let (entries, path) = match &self.0 {
            PrefixClaim::Nothing(absence) => {
                absence.verify_neighbour(root, prefix, |neighbour| neighbour.starts_with(prefix))?;
                return Ok(Vec::new());
            }
            PrefixClaim::Entries { entries, path } => (entries, path),
        };
        let mut subtree = TrieBuilder::new();
        for (index, entry) in entries.iter().enumerate() {
            if !entry.key.starts_with(prefix) {
                return Err(ProofError::Entry { index });
            }
            subtree.push(&entry.key, &entry.value).map_err(|_| ProofError::Entry { index })?;
        }
        if entries.is_empty() {
            return Err(ProofError::Entry { index: 0 });
        }
        path.check(end_bit(prefix.len()))?;
        path.leads_from(root, prefix, *subtree.finish().root().as_bytes())?;
        Ok(entries.iter().map(|entry| (entry.key.as_slice(), entry.value.as_slice())).collect())
    }
}

impl Path {
    /// Positions ascend strictly and are below `end`.
    fn check(&self, end: usize) -> Result<(), ProofError> {
        for (step, Step { position, .. }) in self.0.iter().enumerate() {
            if step > 0 && self.0[step - 1].position >= *position {
                return Err(ProofError::Order { step });
            }
            if usize::from(*position) >= end {
                return Err(ProofError::PastEnd { step });
            }
        }
        Ok(())
    }

    /// Folding the path of `key` onto `end` gives `root`. The path has been checked.
    fn leads_from(&self, root: &StateRoot, key: &[u8], end: Hash) -> Result<(), ProofError> {
        let fold = |end: Hash, step: &Step| match bit(key, step.position) {
            0 => hash::node_hash(step.position, &end, &step.sibling),
            _ => hash::node_hash(step.position, &step.sibling, &end),
        };
        if self.0.iter().rev().fold(end, fold) == *root.as_bytes() { Ok(()) } else { Err(ProofError::OtherRoot) }
    }
}

fn check_key(key: &[u8]) -> Result<(), ProofError> {
    if key.len() <= STATE_KEY_BYTES_MAX { Ok(()) } else { Err(ProofError::KeyTooLong { len: key.len() }) }
}

fn rule(holds: bool, kind: &'static str, rule: &'static str) -> Result<(), CodecError> {
    if holds { Ok(()) } else { Err(CodecError::Invalid { kind, rule }) }
}

const PATH_RULE: &str = "positions ascend strictly and lie in the longest key";
const KEY_RULE: &str = "keys are at most 257 bytes long";

impl Canonical for PresenceProof {
    const KIND: &'static str = "presence proof";
    const BYTES_MAX: usize = PATH_BYTES_MAX;

    fn validate(&self) -> Result<(), CodecError> {
        rule(self.path.check(POSITIONS).is_ok(), Self::KIND, PATH_RULE)
    }
}

impl Canonical for AbsenceProof {
    const KIND: &'static str = "absence proof";
    const BYTES_MAX: usize = NEIGHBOUR_BYTES_MAX + PATH_BYTES_MAX;

    fn validate(&self) -> Result<(), CodecError> {
        rule(self.neighbour.iter().all(|n| check_key(&n.key).is_ok()), Self::KIND, KEY_RULE)?;
        rule(self.path.check(POSITIONS).is_ok(), Self::KIND, PATH_RULE)
    }
}

impl Canonical for PrefixProof {
    const KIND: &'static str = "prefix proof";
    const BYTES_MAX: usize = 1 + 4 + PREFIX_PROOF_ENTRIES_BYTES_MAX + NEIGHBOUR_BYTES_MAX + PATH_BYTES_MAX;

    fn validate(&self) -> Result<(), CodecError> {
        match &self.0 {
            PrefixClaim::Nothing(absence) => absence.validate(),
            PrefixClaim::Entries { entries, path } => {
                rule(entries.is_sorted_by(|a, b| a.key < b.key), Self::KIND, "keys ascend strictly")?;
                rule(entries.iter().all(|entry| check_key(&entry.key).is_ok()), Self::KIND, KEY_RULE)?;
                rule(path.check(POSITIONS).is_ok(), Self::KIND, PATH_RULE)
            }
        }
    }
}

#[cfg(test)]
mod tests;
