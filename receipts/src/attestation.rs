//! Attestations: signatures over receipts.
//!
//! A receipt's body names the leaf hash of the one before it, so a signature over receipt `n` also binds its signer to
//! every receipt up to `n`. One attestation per commit group therefore covers the group, at the price of one signature.

mod body;

pub use self::body::AttestationBody;

use core::fmt;
use ed25519_dalek::Signer;
use reprise_abi::{Canonical, CodecError};
use serde::{Deserialize, Serialize};

/// First bytes of everything that is signed as an attestation.
pub const ATTESTATION_DOMAIN: &[u8] = b"reprise attestation v1\n";

/// An Ed25519 public key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PublicKey([u8; 32]);

/// Why an attestation is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AttestationError {
    /// The key is not a point of the curve, or one of the few weak ones.
    #[error("the public key is weak or not a key")]
    WeakKey,
    /// Over a receipt of another epoch than the attester's, or it does not say of which.
    #[error("the attestation is of {}, and the ledger was in {} there", Named(*.found), Named(*.expected))]
    OtherEpoch {
        /// Of the receipt.
        expected: Option<u64>,
        /// What is attested.
        found: Option<u64>,
    },
    /// Made with a key that nobody enrolled.
    #[error("signed by {0}, which is not the ledger's attester")]
    ForeignKey(PublicKey),
    /// The signature does not hold.
    #[error("the signature of {0} does not verify")]
    BadSignature(PublicKey),
}

/// An epoch, as errors tell it.
struct Named(Option<u64>);

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(epoch) => write!(f, "epoch {epoch}"),
            None => f.write_str("no epoch"),
        }
    }
}

impl PublicKey {
    /// A key that is fit for use.
    ///
    /// # Errors
    /// [`AttestationError::WeakKey`] for bytes that are no point, and for points of small order.
    pub fn from_bytes(bytes: [u8; 32]) -> Result<Self, AttestationError> {
        let key = ed25519_dalek::VerifyingKey::from_bytes(&bytes).map_err(|_| AttestationError::WeakKey)?;
        if key.is_weak() { Err(AttestationError::WeakKey) } else { Ok(Self(bytes)) }
    }

    /// Its 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Strict verification (RFC 8032, without the cofactor and without malleable encodings).
    ///
    /// # Errors
    /// [`AttestationError`]: weak key, or a signature that does not hold.
    pub fn verify(&self, message: &[u8], signature: &[u8; 64]) -> Result<(), AttestationError> {
        let key = ed25519_dalek::VerifyingKey::from_bytes(&self.0).map_err(|_| AttestationError::WeakKey)?;
        if key.is_weak() {
            return Err(AttestationError::WeakKey);
        }
        let signature = ed25519_dalek::Signature::from_bytes(signature);
        key.verify_strict(message, &signature).map_err(|_| AttestationError::BadSignature(*self))
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

/// An Ed25519 signing key. Its bytes are wiped when it is dropped and never printed.
pub struct SigningKey(ed25519_dalek::SigningKey);

impl SigningKey {
    /// From its 32 secret bytes.
    #[must_use]
    pub fn from_secret(secret: &[u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(secret))
    }

    /// The key that others verify with.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// Signs bytes that already carry their domain.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey(public {})", self.public())
    }
}

/// 64 bytes of Ed25519.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature([u8; 64]);

impl Signature {
    /// Its 64 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }

    /// From its 64 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 64]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Serialize for Signature {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (low, high) = self.0.split_at(32);
        (<&[u8; 32]>::try_from(low).expect("32"), <&[u8; 32]>::try_from(high).expect("32")).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Signature {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (low, high) = <([u8; 32], [u8; 32])>::deserialize(deserializer)?;
        let mut bytes = [0; 64];
        bytes[..32].copy_from_slice(&low);
        bytes[32..].copy_from_slice(&high);
        Ok(Self(bytes))
    }
}

/// A signature over a receipt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attestation {
    /// What is signed.
    pub body: AttestationBody,
    /// By whom.
    pub signer: PublicKey,
    /// The signature over [`ATTESTATION_DOMAIN`] and the encoded body.
    pub signature: Signature,
}

impl Attestation {
    /// The signature holds and is `attester`'s.
    ///
    /// # Errors
    /// [`AttestationError`]: another key, a weak key, or a signature that does not hold.
    pub fn verify(&self, attester: &PublicKey) -> Result<(), AttestationError> {
        if self.signer != *attester {
            return Err(AttestationError::ForeignKey(self.signer));
        }
        attester.verify(&self.body.message(), &self.signature.0)
    }
}

impl Canonical for Attestation {
    const KIND: &'static str = "attestation";
    const BYTES_MAX: usize = 256;

    fn validate(&self) -> Result<(), CodecError> {
        self.body.validate()
    }
}
