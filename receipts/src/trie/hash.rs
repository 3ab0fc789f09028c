//! The four hashes that a state root is made of.
//!
//! A leaf takes three BLAKE3 compressions for a short key and value, an inner node exactly one: its 64 bytes are the
//! hashes of its children, and its position is in the key, not in the message. The keys are computed once per process.

use super::bits::POSITIONS;
use blake3::hazmat::{ContextKey, HasherExt, hash_derive_key_context};
use std::sync::OnceLock;

/// A node's or a value's digest; only the root of the whole trie becomes a [`StateRoot`](crate::StateRoot).
pub(super) type Hash = [u8; 32];

const VALUE_CONTEXT: &str = "reprise 2026 state value v1";
const LEAF_CONTEXT: &str = "reprise 2026 state leaf v1";
const NODE_CONTEXT: &str = "reprise 2026 state node v1";
const EMPTY_CONTEXT: &str = "reprise 2026 state empty v1";

/// Digest of a value.
pub(super) fn value_digest(value: &[u8]) -> Hash {
    derive(&keys().value, &[value])
}

/// Hash of the leaf of `key`, whose value has `digest`.
pub(super) fn leaf_hash(key: &[u8], digest: &Hash) -> Hash {
    derive(&keys().leaf, &[digest, key])
}

/// Hash of the inner node whose two sides part at `position`.
pub(super) fn node_hash(position: u16, left: &Hash, right: &Hash) -> Hash {
    let mut children = [0; 64];
    children[..32].copy_from_slice(left);
    children[32..].copy_from_slice(right);
    *blake3::keyed_hash(&keys().node[usize::from(position)], &children).as_bytes()
}

/// Root of the trie without keys.
pub(super) fn empty_root() -> Hash {
    keys().empty
}

struct Keys {
    value: ContextKey,
    leaf: ContextKey,
    empty: Hash,
    /// By position.
    node: Vec<Hash>,
}

fn keys() -> &'static Keys {
    static KEYS: OnceLock<Keys> = OnceLock::new();
    KEYS.get_or_init(|| {
        let node = hash_derive_key_context(NODE_CONTEXT);
        Keys {
            value: hash_derive_key_context(VALUE_CONTEXT),
            leaf: hash_derive_key_context(LEAF_CONTEXT),
            empty: blake3::derive_key(EMPTY_CONTEXT, b""),
            node: (0..POSITIONS as u32).map(|position| derive(&node, &[&position.to_le_bytes()])).collect(),
        }
    })
}

/// `blake3::derive_key` over the parts in a row, without hashing the context again.
fn derive(context: &ContextKey, parts: &[&[u8]]) -> Hash {
    let mut hasher = blake3::Hasher::new_from_context_key(context);
    for part in parts {
        hasher.update(part);
    }
    *hasher.finalize().as_bytes()
}
