//! The first message: who speaks, and which key signs its receipts.

use super::NodeKey;
use reprise_abi::CodecError;
use reprise_receipts::{PublicKey, SigningKey, attestation::Signature};
use serde::{Deserialize, Serialize};

/// The highest version of the protocol that this code speaks.
pub const PROTOCOL_VERSION: u16 = 4;
/// The lowest one: without bundles, without roots.
pub const PROTOCOL_VERSION_MIN: u16 = 2;
/// The first version with [`Question::Bundle`](super::Question::Bundle).
pub const PROTOCOL_BUNDLES: u16 = 3;
/// The first version with [`Question::Roots`](super::Question::Roots).
pub const PROTOCOL_ROOTS: u16 = 4;
/// First bytes of everything that is signed as an enrolment.
pub const ENROLMENT_DOMAIN: &[u8] = b"reprise enrolment v1\n";

/// First message of both sides of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Lowest version that the node speaks.
    pub version_min: u16,
    /// Highest version that the node speaks.
    pub version_max: u16,
    /// Its keys.
    pub enrolment: Enrolment,
}

/// A node key and a receipt-signing key that belong together. Each has signed both, so that neither can be claimed by
/// somebody who does not hold it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrolment {
    /// The key of the TLS identity.
    pub node: NodeKey,
    /// The key that attests and cosigns.
    pub receipts: PublicKey,
    /// By the node key.
    pub by_node: Signature,
    /// By the receipt-signing key.
    pub by_receipts: Signature,
}

/// Why an enrolment is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnrolmentError {
    /// The connection is of another node.
    #[error("the enrolment is of {found:?}, the connection is of {expected:?}")]
    OtherNode {
        /// Key of the connection.
        expected: NodeKey,
        /// Key of the enrolment.
        found: NodeKey,
    },
    /// One key for both: a TLS stack must not be able to sign receipts.
    #[error("the node key and the receipt-signing key are the same")]
    SameKey,
    /// A key is weak, or a signature does not hold.
    #[error("a signature of the enrolment does not verify, or a key is weak")]
    BadSignature,
}

impl Enrolment {
    /// Binds two keys.
    #[must_use]
    pub fn new(node: &SigningKey, receipts: &SigningKey) -> Self {
        let message = message(NodeKey(node.public()), receipts.public());
        Self {
            node: NodeKey(node.public()),
            receipts: receipts.public(),
            by_node: Signature::from_bytes(node.sign(&message)),
            by_receipts: Signature::from_bytes(receipts.sign(&message)),
        }
    }

    /// It is the enrolment of the node at the other end of the connection.
    ///
    /// # Errors
    /// [`EnrolmentError`].
    pub fn verify(&self, connection: NodeKey) -> Result<(), EnrolmentError> {
        if self.node != connection {
            return Err(EnrolmentError::OtherNode { expected: connection, found: self.node });
        }
        if self.node.0 == self.receipts {
            return Err(EnrolmentError::SameKey);
        }
        let message = message(self.node, self.receipts);
        let by_node = self.node.0.verify(&message, self.by_node.as_bytes());
        let by_receipts = self.receipts.verify(&message, self.by_receipts.as_bytes());
        by_node.and(by_receipts).map_err(|_| EnrolmentError::BadSignature)
    }
}

impl Hello {
    /// Of the versions that this code speaks.
    #[must_use]
    pub fn new(enrolment: Enrolment) -> Self {
        Self { version_min: PROTOCOL_VERSION_MIN, version_max: PROTOCOL_VERSION, enrolment }
    }

    /// The highest version that both sides speak: what either sends is of this one. None if there is none.
    #[must_use]
    pub fn version_with_us(&self) -> Option<u16> {
        let highest = self.version_max.min(PROTOCOL_VERSION);
        (highest >= self.version_min.max(PROTOCOL_VERSION_MIN)).then_some(highest)
    }

    pub(super) fn validate(&self) -> Result<(), CodecError> {
        super::rule(self.version_min <= self.version_max, "the lowest version is not above the highest")
    }
}

fn message(node: NodeKey, receipts: PublicKey) -> Vec<u8> {
    [ENROLMENT_DOMAIN, node.0.as_bytes(), receipts.as_bytes()].concat()
}
