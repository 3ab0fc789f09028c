//! What nodes say to each other: one canonical encoding for each message, a bound on every list, nothing beyond a frame.
//!
//! | message | from | says |
//! | --- | --- | --- |
//! | [`Hello`] | both, first | who I am, and which key signs my receipts |
//! | [`Ask`], [`Answer`] | both | the tiers of comparison and the fetching of what is missing |
//! | [`Append`], [`Ack`] | owner, replica | the next steps; what is durable and agreed |
//! | [`Claim`], [`Promise`] | new owner, members | a grant of ownership; what its reader has, and will refuse from now on |
//! | [`Vote`] | members | this is the ledger at this size, signed |
//! | [`EvidenceNote`] | both | a proof that somebody signed something wrong |
//! | [`Goodbye`] | both, last | why the connection ends |
//!
//! A frame is one message. Whatever does not decode is answered with a [`Goodbye`] and kept in quarantine.

mod ask;
mod bundle;
mod hello;
mod roots;
mod steps;
mod vote;

pub(crate) use self::ask::{consistency, inclusion, path_of};
pub use self::{
    ask::{Answer, Ask, ConsistencyPath, HeadPage, HeadsDigest, PlacedReceipt, Question, Refusal, Reply, Sending},
    bundle::{BundleOffer, BundleQuery},
    hello::{
        ENROLMENT_DOMAIN, Enrolment, EnrolmentError, Hello, PROTOCOL_BUNDLES, PROTOCOL_ROOTS, PROTOCOL_VERSION,
        PROTOCOL_VERSION_MIN,
    },
    roots::{Projected, Roots, RootsQuery, View},
    steps::{Ack, Append, Standpoint, Step, Steps},
    vote::{Vote, VoteError},
};

use crate::{
    limits::{EVIDENCE_FRAME_BYTES_MAX, FRAME_BYTES_MAX},
    membership::SignedGrant,
};
use reprise_abi::{Canonical, CodecError, decode_canonical, encode};
use reprise_receipts::{LedgerId, LogRoot, PublicKey};
use serde::{Deserialize, Serialize};

/// The key that names a node: the one of its TLS identity.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeKey(pub PublicKey);

impl core::fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let [a, b, c, d, ..] = self.0.as_bytes();
        write!(f, "node {a:02x}{b:02x}{c:02x}{d:02x}")
    }
}

/// A log of a ledger at one size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Number of receipts.
    pub size: u64,
    /// RFC 6962 root of them.
    pub log_root: LogRoot,
}

impl Mark {
    /// Of the log without receipts.
    pub const EMPTY: Self = Self { size: 0, log_root: LogRoot::EMPTY };
}

/// One control frame. The variants keep their numbers for ever.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// First message of both sides.
    Hello(Hello),
    /// A question.
    Ask(Ask),
    /// What is answered to it.
    Answer(Answer),
    /// The next steps of a ledger, from its owner.
    Append(Append),
    /// What a member has of them.
    Ack(Ack),
    /// A grant of ownership, shown by whoever knows it.
    Claim(Claim),
    /// What a member has, and that it refuses lower epochs from now on.
    Promise(Promise),
    /// A signature over a ledger at one size.
    Vote(Vote),
    /// A proof that somebody signed something wrong.
    Evidence(EvidenceNote),
    /// The connection ends.
    Goodbye(Goodbye),
}

/// A grant, passed on as the operators signed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The grant.
    pub grant: SignedGrant,
}

/// A member's answer to a grant that it has made durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promise {
    /// Which ledger.
    pub ledger: LedgerId,
    /// Lower epochs than this are refused from now on.
    pub epoch: u64,
    /// The epoch whose owner the log was last brought in line with.
    pub log_epoch: u64,
    /// The log.
    pub log: Mark,
}

/// Evidence as a file: see `reprise_receipts::evidence`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvidenceNote {
    /// The file. Longer evidence is not passed on this way.
    #[serde(with = "serde_bytes")]
    pub file: Vec<u8>,
}

/// Why a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Goodbye {
    /// The node stops.
    #[error("the node stops")]
    Stopping,
    /// No common version.
    #[error(
        "no common version of the protocol; this node speaks versions {PROTOCOL_VERSION_MIN} to {PROTOCOL_VERSION}"
    )]
    Version,
    /// The enrolment does not hold, or is another node's.
    #[error("the enrolment does not hold for this node key")]
    Enrolment,
    /// A frame that is no message.
    #[error("a frame is not a message of the protocol")]
    Malformed,
    /// Messages in an order in which they make no sense, or too many questions.
    #[error("the messages do not keep to the protocol")]
    Protocol,
    /// The node is not on the list, or not any more.
    #[error("the node is not on the list of peers")]
    NotAllowed,
}

impl Message {
    /// The frame.
    ///
    /// # Panics
    /// When the message breaks its own bounds: whoever builds such a message has a bug.
    #[must_use]
    pub fn to_frame(&self) -> Vec<u8> {
        encode(self)
    }

    /// Reads a frame.
    ///
    /// # Errors
    /// [`CodecError`]: too long, malformed, another encoding of the same message, or a broken bound.
    pub fn from_frame(frame: &[u8]) -> Result<Self, CodecError> {
        decode_canonical(frame)
    }
}

impl Canonical for Message {
    const KIND: &'static str = "message";
    const BYTES_MAX: usize = FRAME_BYTES_MAX;

    fn validate(&self) -> Result<(), CodecError> {
        match self {
            Self::Hello(hello) => hello.validate(),
            Self::Ask(ask) => ask.question.validate(),
            Self::Answer(answer) => answer.reply.validate(),
            Self::Append(append) => append.validate(),
            Self::Claim(claim) => claim.grant.validate(),
            Self::Evidence(note) => {
                rule(note.file.len() <= EVIDENCE_FRAME_BYTES_MAX, "evidence in a frame has at most 60 KiB")
            }
            Self::Vote(vote) => vote.validate(),
            Self::Ack(_) | Self::Promise(_) | Self::Goodbye(_) => Ok(()),
        }
    }
}

/// `rule` must hold of a message.
pub(crate) fn rule(holds: bool, rule: &'static str) -> Result<(), CodecError> {
    if holds { Ok(()) } else { Err(CodecError::Invalid { kind: Message::KIND, rule }) }
}

#[cfg(test)]
mod tests;
