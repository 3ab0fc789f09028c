//! The genesis record: what a ledger is from its first byte, and what names it.

use crate::{
    attestation::PublicKey,
    digest::{EngineProfileDigest, LedgerId, PackageDigest},
};
use reprise_abi::{Canonical, CodecError, encode, limits::NAME_BYTES_MAX};
use serde::{Deserialize, Serialize};

/// Version of the genesis format that this code writes.
pub const GENESIS_FORMAT: u16 = 1;
/// The rules that new ledgers get: codec, system keys, outcome classes.
pub const PROTOCOL_EPOCH: u32 = 3;
/// The oldest rules that this code still runs and verifies.
pub const PROTOCOL_EPOCH_OLDEST: u32 = 2;
/// From these rules on, an operators' command moves a ledger to a higher epoch.
const PROTOCOL_EPOCH_OF_SUCCESSION: u32 = 3;
/// Most operators of a ledger.
pub const OPERATORS_MAX: usize = 32;

/// What a ledger is from its first byte.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Genesis {
    /// [`GENESIS_FORMAT`].
    pub format: u16,
    /// Name for people, 1 to 128 bytes; not necessarily unique.
    pub name: String,
    /// Makes two ledgers with the same content different.
    pub nonce: [u8; 16],
    /// Rules in force from the first receipt.
    pub protocol_epoch: u32,
    /// Engine in force from the first receipt.
    pub engine_profile: EngineProfileDigest,
    /// Policy in force from the first receipt.
    pub package: PackageDigest,
    /// First epoch: see [`system::epochs`](crate::system::epochs) for later ones.
    pub epoch: u64,
    /// Key that attests the receipts of the first epoch.
    pub attester: PublicKey,
    /// Keys that may command the ledger, strictly ascending.
    pub operators: Vec<PublicKey>,
    /// How many of them must sign a command.
    pub operator_threshold: u32,
}

impl Genesis {
    /// The ledger's name: digest of the encoding.
    #[must_use]
    pub fn ledger_id(&self) -> LedgerId {
        LedgerId::of(&encode(self))
    }

    /// An operators' command may move the ledger to a higher epoch, with another owner and attester. Before protocol epoch
    /// 3 nothing may.
    #[must_use]
    pub fn has_succession(&self) -> bool {
        Self::rules_have_succession(self.protocol_epoch)
    }

    /// [`Self::has_succession`] of a ledger with these rules.
    #[must_use]
    pub const fn rules_have_succession(protocol_epoch: u32) -> bool {
        protocol_epoch >= PROTOCOL_EPOCH_OF_SUCCESSION
    }

    /// This code knows the ledger's rules, and its keys are fit for use.
    ///
    /// # Errors
    /// [`CodecError::Invalid`] with what is not supported.
    pub fn supported(&self) -> Result<(), CodecError> {
        let rule = |holds, rule| if holds { Ok(()) } else { Err(CodecError::Invalid { kind: Self::KIND, rule }) };
        let known = PROTOCOL_EPOCH_OLDEST..=PROTOCOL_EPOCH;
        rule(known.contains(&self.protocol_epoch), "only protocol epochs 2 and 3 are supported")?;
        let mut keys = self.operators.iter().chain([&self.attester]);
        rule(keys.all(|key| PublicKey::from_bytes(*key.as_bytes()).is_ok()), "no key may be weak")
    }
}

impl Canonical for Genesis {
    const KIND: &'static str = "genesis record";
    const BYTES_MAX: usize = 4 * 1024;

    fn validate(&self) -> Result<(), CodecError> {
        let rule = |holds, rule| if holds { Ok(()) } else { Err(CodecError::Invalid { kind: Self::KIND, rule }) };
        rule(self.format == GENESIS_FORMAT, "the format version is 1")?;
        rule(!self.name.is_empty() && self.name.len() <= NAME_BYTES_MAX, "the name is 1 to 128 bytes long")?;
        rule(self.operators.len() <= OPERATORS_MAX, "there are at most 32 operators")?;
        rule(self.operators.is_sorted_by(|a, b| a < b), "operators ascend strictly")?;
        let threshold = self.operator_threshold as usize;
        rule((1..=self.operators.len()).contains(&threshold), "the threshold is between 1 and the number of operators")
    }
}
