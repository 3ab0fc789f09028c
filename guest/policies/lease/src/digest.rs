//! Digests of the policy's own objects: BLAKE3 with a key for each kind.
//!
//! Not its key derivation mode, which hashes the name of the kind every time: a chain link is one block, and a step of a
//! large cluster makes hundreds.

use core::fmt;
use reprise_guest::{text::hex, wire};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, Unexpected, Visitor},
};

/// 256 bits. Sixty-four hexadecimal digits in JSON, 32 bytes in state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Digest(pub [u8; 32]);

/// A kind of object: the key that its digests are made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Domain([u8; 32]);

impl Domain {
    /// The name itself, filled up with zeros, is the key: it hides nothing, it keeps kinds apart. At most 32 bytes.
    const fn named(name: &str) -> Self {
        let mut key = [0; 32];
        let mut i = 0;
        while i < name.len() {
            key[i] = name.as_bytes()[i];
            i += 1;
        }
        Self(key)
    }
}

/// Rules of the lease policy, as text.
pub const LEASE_RULES: Domain = Domain::named("reprise lease rules of leases v1");
/// Rules of the restart policy, as text.
pub const RESTART_RULES: Domain = Domain::named("reprise lease restart rules v1");
/// Both texts and the configuration.
pub const POLICY: Domain = Domain::named("reprise lease policy v1");
/// A recovery plan.
pub const PLAN: Domain = Domain::named("reprise lease plan v1");
/// One link of the chain over the failure-event log.
pub const FAILURE_LOG: Domain = Domain::named("reprise lease failure log v1");
/// One link of the chain over trace entries.
pub const TRACE: Domain = Domain::named("reprise lease trace v1");
/// What a checkpoint binds: epoch, lease table, pending plan.
pub const BINDING: Domain = Domain::named("reprise lease binding v1");
/// A whole checkpoint record.
pub const CHECKPOINT: Domain = Domain::named("reprise lease checkpoint v1");
/// Ranks and leases as validated at the end.
pub const FINAL_STATE: Domain = Domain::named("reprise lease final state v1");

impl Digest {
    /// Of bytes, as a certain kind of object.
    #[must_use]
    pub fn of(domain: Domain, bytes: &[u8]) -> Self {
        Self(*blake3::keyed_hash(&domain.0, bytes).as_bytes())
    }

    /// Of the postcard encoding of a value.
    #[must_use]
    pub fn of_value<T: Serialize>(domain: Domain, value: &T) -> Self {
        Self::of(domain, &wire::encode(value))
    }

    /// The next link of a chain: this one, then the bytes.
    #[must_use]
    pub fn chain(self, domain: Domain, bytes: &[u8]) -> Self {
        Self::of(domain, &[&self.0, bytes].concat())
    }
}

/// Bytes of lowercase hexadecimal digits; `None` for anything else.
#[must_use]
pub fn from_hex(text: &str) -> Option<Vec<u8>> {
    let nibble = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    pairs.iter().map(|[high, low]| Some(nibble(*high)? << 4 | nibble(*low)?)).collect()
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

/// As one string of bytes: element by element, 32 bytes would be most of the cost of the header.
impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(&hex(&self.0))
        } else {
            serializer.serialize_bytes(&self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_str(DigestVisitor)
        } else {
            deserializer.deserialize_bytes(DigestVisitor)
        }
    }
}

struct DigestVisitor;

impl Visitor<'_> for DigestVisitor {
    type Value = Digest;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("64 lowercase hexadecimal digits")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Digest, E> {
        let bytes = from_hex(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))?;
        self.visit_bytes(&bytes)
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Digest, E> {
        bytes.try_into().map(Digest).map_err(|_| E::invalid_length(bytes.len(), &self))
    }
}
