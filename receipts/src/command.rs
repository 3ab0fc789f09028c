//! Operators' commands: ordered inputs that the ledger itself carries out, signed by as many operators as it asks for.

use crate::{
    attestation::{PublicKey, Signature, SigningKey},
    digest::{LedgerId, PackageDigest},
    genesis::{Genesis, OPERATORS_MAX},
    system,
    trie::StateTrie,
};
use reprise_abi::{Canonical, CodecError, Event, Input, Rejection, decode_canonical, encode, input::HOST_KIND_PREFIX};
use serde::{Deserialize, Serialize};

/// Kind of the inputs that carry a command.
pub const COMMAND_KIND: &str = "reprise.command";
/// First bytes of everything that is signed as a command.
pub const COMMAND_DOMAIN: &[u8] = b"reprise operator command v1\n";

/// What operators may order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Take inputs again after the halt at this step.
    Resume {
        /// The step after which the ledger stands still: a signature lifts one halt, not a later one.
        halted_at: u64,
    },
    /// Put another package of the same policy in force, and migrate the state.
    Upgrade {
        /// The package in force now.
        from: PackageDigest,
        /// The package to put in force.
        to: PackageDigest,
        /// The sequence number it must get: a signature is good for one place in the ledger.
        at: u64,
    },
    /// Begin an epoch: from this input on another owner orders, and another key attests. Since protocol epoch 3.
    Epoch {
        /// The epoch that it begins: the one of its own input, above the one in force.
        to: u64,
        /// Node key of the owner.
        owner: PublicKey,
        /// Key that attests the receipts of this epoch, this command's first.
        attester: PublicKey,
        /// Number of the list of members that the operators had before them.
        roster: u64,
    },
}

/// A command with its signatures, as an input's payload carries it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedCommand {
    /// What to do.
    pub command: Command,
    /// By whom; signers ascend strictly.
    pub signatures: Vec<(PublicKey, Signature)>,
}

/// Why the ledger does not carry out a command. The discriminant is the rejection code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[repr(u32)]
pub enum CommandError {
    /// The payload does not decode, or the kind is not known.
    #[error("the command does not decode")]
    Malformed = 8_001,
    /// Fewer valid signatures of operators than the ledger asks for.
    #[error("too few valid signatures of operators")]
    TooFewSignatures = 8_002,
    /// There is no such halt.
    #[error("the ledger is not halted at that step")]
    NotHalted = 8_003,
    /// Another package is in force than the command says.
    #[error("another package is in force")]
    OtherPackage = 8_004,
    /// The new package hides a change of a governed rule in a minor version, or is another policy.
    #[error("the new package is not an allowed successor")]
    NotASuccessor = 8_005,
    /// The command was signed for another sequence number.
    #[error("the command was signed for another place in the ledger")]
    OtherPlace = 8_006,
    /// The epoch in force is no place for the command that begins one.
    #[error("the command does not begin the epoch that it was ordered in")]
    OtherEpoch = 8_007,
}

impl From<CommandError> for Rejection {
    fn from(error: CommandError) -> Self {
        Self { code: error as u32, detail: error.to_string() }
    }
}

impl Command {
    /// What operators sign.
    #[must_use]
    pub fn message(&self, ledger: LedgerId) -> Vec<u8> {
        let mut message = COMMAND_DOMAIN.to_vec();
        message.extend_from_slice(ledger.as_bytes());
        message.extend_from_slice(&encode(self));
        message
    }

    /// Signs it as one operator.
    #[must_use]
    pub fn sign(self, ledger: LedgerId, key: &SigningKey) -> SignedCommand {
        let signature = Signature::from_bytes(key.sign(&self.message(ledger)));
        SignedCommand { command: self, signatures: vec![(key.public(), signature)] }
    }
}

impl SignedCommand {
    /// Decodes the payload of an input of kind [`COMMAND_KIND`], ordered in the epoch in force, and checks its signatures
    /// and its precondition.
    ///
    /// # Errors
    /// [`CommandError`]: the ledger rejects the command with that code.
    pub fn authorised(
        input: &Input,
        ledger: LedgerId,
        genesis: &Genesis,
        state: &StateTrie,
    ) -> Result<Command, CommandError> {
        let signed = Self::of_event(&input.event, genesis)?;
        signed.check_signatures(ledger, genesis)?;
        signed.command.precondition(input.seq, genesis, state)?;
        Ok(signed.command)
    }

    /// The command that an event carries, if the ledger's rules know it.
    ///
    /// # Errors
    /// [`CommandError::Malformed`].
    pub fn of_event(event: &Event, genesis: &Genesis) -> Result<Self, CommandError> {
        if event.kind != COMMAND_KIND {
            return Err(CommandError::Malformed);
        }
        let signed: Self = decode_canonical(&event.payload).map_err(|_| CommandError::Malformed)?;
        let is_known = genesis.has_succession() || !matches!(signed.command, Command::Epoch { .. });
        if is_known { Ok(signed) } else { Err(CommandError::Malformed) }
    }

    /// As many operators of the genesis record signed it as the ledger asks for. Other signatures are ignored.
    ///
    /// # Errors
    /// [`CommandError::TooFewSignatures`].
    pub fn check_signatures(&self, ledger: LedgerId, genesis: &Genesis) -> Result<(), CommandError> {
        let message = self.command.message(ledger);
        let valid = |(signer, signature): &&(PublicKey, Signature)| {
            genesis.operators.binary_search(signer).is_ok() && signer.verify(&message, signature.as_bytes()).is_ok()
        };
        let enough = self.signatures.iter().filter(valid).count() >= genesis.operator_threshold as usize;
        if enough { Ok(()) } else { Err(CommandError::TooFewSignatures) }
    }

    /// It begins an epoch by the ledger's rules, its keys are fit for use, and enough operators signed it.
    ///
    /// # Errors
    /// [`CommandError`].
    pub fn may_begin_epoch(&self, ledger: LedgerId, genesis: &Genesis) -> Result<(), CommandError> {
        let Command::Epoch { owner, attester, .. } = &self.command else { return Err(CommandError::Malformed) };
        let is_fit = |key: &PublicKey| PublicKey::from_bytes(*key.as_bytes()).is_ok();
        if !genesis.has_succession() || !is_fit(owner) || !is_fit(attester) {
            return Err(CommandError::Malformed);
        }
        self.check_signatures(ledger, genesis)
    }

    /// The same command with the signatures of both; `None` if they are not the same.
    #[must_use]
    pub fn joined(mut self, other: Self) -> Option<Self> {
        if self.command != other.command {
            return None;
        }
        self.signatures.extend(other.signatures);
        self.signatures.sort_by_key(|(signer, _)| *signer);
        self.signatures.dedup_by_key(|(signer, _)| *signer);
        Some(self)
    }
}

impl Command {
    fn precondition(&self, seq: u64, genesis: &Genesis, state: &StateTrie) -> Result<(), CommandError> {
        match self {
            Self::Resume { halted_at } => match system::halt(state) {
                Some(halt) if halt.seq == *halted_at => Ok(()),
                _ => Err(CommandError::NotHalted),
            },
            Self::Upgrade { from, at, .. } => {
                let in_force = system::package_in_force(state).unwrap_or(genesis.package);
                if in_force != *from {
                    return Err(CommandError::OtherPackage);
                }
                if *at == seq { Ok(()) } else { Err(CommandError::OtherPlace) }
            }
            // The one that begins an epoch is the first input of it.
            Self::Epoch { .. } => Err(CommandError::OtherEpoch),
        }
    }
}

/// Inputs of this kind are the host's own: only a command may carry it.
#[must_use]
pub fn is_host_kind(kind: &str) -> bool {
    kind.starts_with(HOST_KIND_PREFIX)
}

impl Canonical for Command {
    const KIND: &'static str = "command";
    const BYTES_MAX: usize = 256;
}

impl Canonical for SignedCommand {
    const KIND: &'static str = "signed command";
    const BYTES_MAX: usize = 256 + OPERATORS_MAX * 128;

    fn validate(&self) -> Result<(), CodecError> {
        let ascending = self.signatures.is_sorted_by(|a, b| a.0 < b.0);
        if ascending && self.signatures.len() <= OPERATORS_MAX {
            return Ok(());
        }
        Err(CodecError::Invalid { kind: Self::KIND, rule: "at most 32 signers ascend strictly" })
    }
}
