//! Digests and roots: one newtype and one domain for each kind of object.
//!
//! BLAKE3 in its key derivation mode with one context string per kind, so that bytes of one kind can never stand for
//! another. The receipt log alone is SHA-256 (RFC 6962), because every transparency tool speaks it.

use blake3::hazmat::{ContextKey, HasherExt};
use core::{fmt, str::FromStr};
use serde::{Deserialize, Serialize};

/// A digest is 64 hexadecimal digits; this text is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected 64 hexadecimal digits")]
pub struct DigestTextError;

/// [`derive`] for a context that is used over and over: it is hashed once per process, not once per call.
macro_rules! derive_once {
    ($context:literal, $bytes:expr) => {{
        static CONTEXT: std::sync::LazyLock<blake3::hazmat::ContextKey> =
            std::sync::LazyLock::new(|| blake3::hazmat::hash_derive_key_context($context));
        $crate::digest::derive_with(&CONTEXT, $bytes)
    }};
}
pub(crate) use derive_once;

macro_rules! digest {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name([u8; 32]);

        impl $name {
            /// From its 32 bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// Its 32 bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl FromStr for $name {
            type Err = DigestTextError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                from_hex(text).map(Self)
            }
        }
    };
}

digest!(
    /// Merkle root of the whole canonical state: see [`crate::trie`].
    StateRoot
);
digest!(
    /// Digest of a step's transcript: every host call with arguments and answer, then the outcome.
    ExecutionRoot
);
digest!(
    /// Digest of an encoded input.
    InputDigest
);
digest!(
    /// Digest of an encoded diff.
    DiffDigest
);
digest!(
    /// Digest of an encoded step output: outcome with its answer, effects, timers.
    OutputDigest
);
digest!(
    /// Digest of a package: manifest and component, without the publisher's signature.
    PackageDigest
);
digest!(
    /// Digest of the engine's version and of every setting that a result depends on.
    EngineProfileDigest
);
digest!(
    /// Name of a ledger: the digest of its genesis record.
    LedgerId
);
digest!(
    /// RFC 6962 leaf hash of a receipt (SHA-256).
    LeafHash
);
digest!(
    /// RFC 6962 tree head of a receipt log (SHA-256).
    LogRoot
);

digest!(
    /// What a checkpoint record claims: see [`crate::checkpoint`].
    CheckpointDigest
);
digest!(
    /// Head of the chain of a ledger's checkpoints: see [`crate::checkpoint`].
    ContinuityRoot
);
digest!(
    /// Address of a snapshot chunk, which is the hash of the subtree of the state that it holds: see [`crate::snapshot`].
    ChunkId
);

digest!(
    /// What a bundle's trailer holds: see [`crate::bundle`].
    BundleDigest
);

digest!(
    /// Digest of a projection: see [`crate::projection`].
    ProjectionRoot
);

impl LeafHash {
    /// What the first receipt of a ledger names as its predecessor.
    pub const NONE: Self = Self([0; 32]);
}

impl InputDigest {
    /// Of the canonical encoding of an input.
    #[must_use]
    pub fn of(encoded: &[u8]) -> Self {
        Self(derive_once!("reprise 2026 input v1", encoded))
    }
}

impl DiffDigest {
    /// Of the canonical encoding of a diff.
    #[must_use]
    pub fn of(encoded: &[u8]) -> Self {
        Self(derive_once!("reprise 2026 diff v1", encoded))
    }
}

impl OutputDigest {
    /// Of the canonical encoding of a step output.
    #[must_use]
    pub fn of(encoded: &[u8]) -> Self {
        Self(derive_once!("reprise 2026 step output v1", encoded))
    }
}

impl LedgerId {
    /// Of the canonical encoding of a genesis record.
    #[must_use]
    pub fn of(encoded: &[u8]) -> Self {
        Self(derive_once!("reprise 2026 genesis v1", encoded))
    }
}

impl EngineProfileDigest {
    /// Of the text of an engine profile.
    #[must_use]
    pub fn of(text: &[u8]) -> Self {
        Self(derive_once!("reprise 2026 engine profile v1", text))
    }
}

/// 256 bits of BLAKE3 in key derivation mode, the key of the context being known.
pub(crate) fn derive_with(context: &ContextKey, bytes: &[u8]) -> [u8; 32] {
    *blake3::Hasher::new_from_context_key(context).update(bytes).finalize().as_bytes()
}

/// 256 bits of BLAKE3 in key derivation mode.
#[must_use]
pub fn derive(context: &'static str, bytes: &[u8]) -> [u8; 32] {
    blake3::derive_key(context, bytes)
}

/// [`derive`] over bytes that come piece by piece.
#[must_use]
pub(crate) fn derive_hasher(context: &'static str) -> blake3::Hasher {
    blake3::Hasher::new_derive_key(context)
}

fn from_hex(text: &str) -> Result<[u8; 32], DigestTextError> {
    let digits = text.as_bytes();
    if digits.len() != 64 {
        return Err(DigestTextError);
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = hex_digit(pair[0])? << 4 | hex_digit(pair[1])?;
    }
    Ok(bytes)
}

fn hex_digit(digit: u8) -> Result<u8, DigestTextError> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        _ => Err(DigestTextError),
    }
}
