//! What an attestation says, and its bytes: those of ledgers that cannot change their epoch leave it out.

use super::{ATTESTATION_DOMAIN, Attestation, Signature, SigningKey};
use crate::{
    digest::{LeafHash, LedgerId, LogRoot},
    genesis::Genesis,
    log::LOG_SIZE_MAX,
    receipt::Receipt,
};
use reprise_abi::{Canonical, CodecError, encode};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, SeqAccess, Visitor},
    ser::SerializeTuple,
};

/// Added to the sequence number when an epoch follows: no log has so many receipts.
const WITH_EPOCH: u64 = 1 << 62;

/// What is signed: this receipt, and the log up to and including it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttestationBody {
    /// Which ledger.
    pub ledger: LedgerId,
    /// Which receipt.
    pub seq: u64,
    /// Its leaf hash.
    pub leaf: LeafHash,
    /// Root of the log of `seq + 1` receipts.
    pub log_root: LogRoot,
    /// The epoch of the receipt; none in protocol epoch 2, where there is one epoch only. A signature says under which
    /// epoch it was made, because an owner that lost its epoch may sign another receipt in that place later.
    pub epoch: Option<u64>,
}

impl AttestationBody {
    /// Of this receipt, at the end of a log with this root.
    #[must_use]
    pub fn of(receipt: &Receipt, leaf: LeafHash, log_root: LogRoot) -> Self {
        let epoch = Genesis::rules_have_succession(receipt.protocol_epoch).then_some(receipt.epoch);
        Self { ledger: receipt.ledger, seq: receipt.seq, leaf, log_root, epoch }
    }

    /// An epoch follows on the number in which an encoding has the sequence number.
    pub(crate) const fn place_has_epoch(place: u64) -> bool {
        place & WITH_EPOCH != 0
    }

    pub(super) fn message(&self) -> Vec<u8> {
        let mut message = ATTESTATION_DOMAIN.to_vec();
        message.extend_from_slice(&encode(self));
        message
    }

    /// Signs it. Only for receipts that are durable in the signer's own journal.
    #[must_use]
    pub fn sign(self, key: &SigningKey) -> Attestation {
        let signature = key.sign(&self.message());
        Attestation { signer: key.public(), signature: Signature(signature), body: self }
    }
}

impl Serialize for AttestationBody {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let place = self.epoch.map_or(self.seq, |_| self.seq | WITH_EPOCH);
        let mut fields = serializer.serialize_tuple(if self.epoch.is_some() { 5 } else { 4 })?;
        fields.serialize_element(&self.ledger)?;
        fields.serialize_element(&place)?;
        fields.serialize_element(&self.leaf)?;
        fields.serialize_element(&self.log_root)?;
        if let Some(epoch) = &self.epoch {
            fields.serialize_element(epoch)?;
        }
        fields.end()
    }
}

impl<'de> Deserialize<'de> for AttestationBody {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_tuple(5, Fields)
    }
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = AttestationBody;

    fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("an attestation body")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
        let missing = |index| move || A::Error::invalid_length(index, &"an attestation body");
        let ledger = fields.next_element()?.ok_or_else(missing(0))?;
        let place: u64 = fields.next_element()?.ok_or_else(missing(1))?;
        let leaf = fields.next_element()?.ok_or_else(missing(2))?;
        let log_root = fields.next_element()?.ok_or_else(missing(3))?;
        let seq = place & !WITH_EPOCH;
        let follows = Self::Value::place_has_epoch(place);
        let epoch = follows.then(|| fields.next_element()?.ok_or_else(missing(4))).transpose()?;
        Ok(AttestationBody { ledger, seq, leaf, log_root, epoch })
    }
}

impl Canonical for AttestationBody {
    const KIND: &'static str = "attestation body";
    const BYTES_MAX: usize = 128;

    fn validate(&self) -> Result<(), CodecError> {
        let rule = "with an epoch, the receipt is one of 2^48";
        let fits = self.epoch.is_none() || self.seq < LOG_SIZE_MAX;
        if fits { Ok(()) } else { Err(CodecError::Invalid { kind: Self::KIND, rule }) }
    }
}
