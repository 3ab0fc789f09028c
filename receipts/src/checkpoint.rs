//! Checkpoints: what a ledger's log was at one size, signed so that any transparency tool can check it.
//!
//! A checkpoint is a C2SP tlog-checkpoint in a C2SP signed note:
//!
//! ```text
//! reprise.invalid/<ledger id, 64 hexadecimal digits>
//! <number of receipts, decimal>
//! <log root, base64>
//!
//! — reprise.invalid/<ledger id> <base64 of key id and signature>
//! ```
//!
//! The origin is derived from the ledger id and nothing else, so that two ledgers never share one and nobody has to
//! configure it; `.invalid` (RFC 2606) says that there is nothing to look up under it. The same text is the name of the
//! note key, and the key is the ledger's attester. Other lines of signatures are kept as they are: they are the
//! cosignatures of witnesses. There are no extension lines, as the state root is in the body of the last receipt.
//!
//! What a node keeps beside the note is a [`CheckpointRecord`]; it ties the checkpoint to a snapshot of the state and
//! to the checkpoints before it.

mod cosignature;
mod record;

pub use self::{
    cosignature::{COSIGNATURE_TIME_END_S, CosignerKey, cosign, cosigned_message},
    record::{ANCESTRY_LINKS_MAX, Ancestry, AncestryError, CHECKPOINT_FORMAT, CheckpointClaim, CheckpointRecord, Link},
};

pub(crate) use self::cosignature::split as split_cosignature;

use crate::{
    attestation::{PublicKey, SigningKey},
    digest::{LedgerId, LogRoot},
    log::LOG_SIZE_MAX,
    note::{NoteKey, NoteSigner},
};
use signed_note::{Note, Signature, VerifierList};
use tlog_tiles::Hash;

/// Longest signed checkpoint, in bytes: room for 16 signatures of 5 kB each in base64, which C2SP asks for.
pub const CHECKPOINT_BYTES_MAX: usize = 128 * 1024;

const ORIGIN_PREFIX: &str = "reprise.invalid/";

/// The log of a ledger at one size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which ledger.
    pub ledger: LedgerId,
    /// Number of receipts.
    pub size: u64,
    /// RFC 6962 root of them.
    pub log_root: LogRoot,
}

/// A checkpoint as it was signed, to the byte.
///
/// That it parses says nothing about its signatures: see [`SignedCheckpoint::verify`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedCheckpoint {
    checkpoint: Checkpoint,
    text: String,
}

/// Why a text is not a checkpoint, or not a trustworthy one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// Longer than any checkpoint.
    #[error("a checkpoint has at most {CHECKPOINT_BYTES_MAX} bytes, not {len}")]
    TooLong {
        /// Bytes given.
        len: usize,
    },
    /// Not UTF-8, a control character, no signature lines, or one that is not `— name base64`.
    #[error("not a signed note")]
    NotANote,
    /// Not the three lines of a checkpoint.
    #[error("not a checkpoint: expected origin, size and base64 root, one line each")]
    NotACheckpoint,
    /// Lines follow the root. They would be signed, but nobody could check them against the log.
    #[error("the checkpoint has extension lines")]
    Extension,
    /// The origin is not that of a ledger.
    #[error("the origin is not {ORIGIN_PREFIX} and a ledger id in lower-case hexadecimal digits")]
    Origin,
    /// More receipts than a log can have.
    #[error("a log has at most {LOG_SIZE_MAX} receipts, not {size}")]
    Size {
        /// Size given.
        size: u64,
    },
    /// A log of no receipts has one root only.
    #[error("an empty log has another root")]
    EmptyRoot,
    /// No signature of the attester under the origin as its name.
    #[error("the checkpoint is not signed by {0}")]
    Unsigned(PublicKey),
    /// There is a signature of the attester, but it does not hold.
    #[error("the signature of {0} does not verify")]
    BadSignature(PublicKey),
    /// A line to be added is not one signature line.
    #[error("not a signature line")]
    SignatureLine,
}

impl Checkpoint {
    /// First line of every checkpoint of a ledger, and the name of the key that signs it.
    #[must_use]
    pub fn origin(ledger: LedgerId) -> String {
        format!("{ORIGIN_PREFIX}{ledger}")
    }

    /// What is signed: three lines.
    #[must_use]
    pub fn body(&self) -> String {
        format!("{}\n{}\n{}\n", Self::origin(self.ledger), self.size, Hash(*self.log_root.as_bytes()))
    }

    /// Signs it. Only for a log that extends every log that `key` has signed before for this ledger.
    #[must_use]
    pub fn sign(self, key: &SigningKey) -> SignedCheckpoint {
        let origin = Self::origin(self.ledger);
        let text = NoteSigner::new(&origin, key).sign_note(&self.body()).expect("an origin is a key name");
        SignedCheckpoint { checkpoint: self, text }
    }

    /// The note key of the ledger's attester: what other tools are given to verify with.
    #[must_use]
    pub fn note_key(ledger: LedgerId, attester: PublicKey) -> NoteKey {
        NoteKey::new(&Self::origin(ledger), attester).expect("an origin is a key name")
    }

    fn parse(body: &str) -> Result<Self, CheckpointError> {
        let parsed =
            tlog_tiles::Checkpoint::from_bytes(body.as_bytes()).map_err(|_| CheckpointError::NotACheckpoint)?;
        if !parsed.extension().is_empty() {
            return Err(CheckpointError::Extension);
        }
        let ledger = parsed.origin().strip_prefix(ORIGIN_PREFIX).and_then(|id| id.parse().ok());
        let ledger = ledger.ok_or(CheckpointError::Origin)?;
        let checkpoint = Self { ledger, size: parsed.size(), log_root: LogRoot::from_bytes(parsed.hash().0) };
        if checkpoint.size > LOG_SIZE_MAX {
            return Err(CheckpointError::Size { size: checkpoint.size });
        }
        if checkpoint.size == 0 && checkpoint.log_root != LogRoot::EMPTY {
            return Err(CheckpointError::EmptyRoot);
        }
        // Whatever a lenient decoder lets through is not what the ledger would have written.
        if checkpoint.body() == body { Ok(checkpoint) } else { Err(CheckpointError::NotACheckpoint) }
    }
}

impl SignedCheckpoint {
    /// Reads a signed checkpoint. Signatures are not verified.
    ///
    /// # Errors
    /// [`CheckpointError`]: too long, not a note, or not a checkpoint of a ledger.
    pub fn parse(note: &[u8]) -> Result<Self, CheckpointError> {
        if note.len() > CHECKPOINT_BYTES_MAX {
            return Err(CheckpointError::TooLong { len: note.len() });
        }
        let text = std::str::from_utf8(note).map_err(|_| CheckpointError::NotANote)?;
        let parsed = Note::from_bytes(note).map_err(|_| CheckpointError::NotANote)?;
        let body = std::str::from_utf8(parsed.text()).expect("the body is a part of the note");
        Ok(Self { checkpoint: Checkpoint::parse(body)?, text: text.to_owned() })
    }

    /// What it says; not to be relied on before it is verified.
    #[must_use]
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The note, exactly as it was read or signed.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The lines of signatures, in their order, without line feeds.
    pub fn signature_lines(&self) -> impl Iterator<Item = &str> {
        let (_, lines) = self.text.rsplit_once("\n\n").expect("a note has lines of signatures");
        lines.lines()
    }

    /// The ledger's attester signed it.
    ///
    /// # Errors
    /// [`CheckpointError::Unsigned`] or [`CheckpointError::BadSignature`].
    pub fn verify(&self, attester: &PublicKey) -> Result<&Checkpoint, CheckpointError> {
        let known = VerifierList::new(vec![Box::new(Checkpoint::note_key(self.checkpoint.ledger, *attester))]);
        match self.note().verify(&known) {
            Ok(_) => Ok(&self.checkpoint),
            Err(signed_note::NoteError::InvalidSignature { .. }) => Err(CheckpointError::BadSignature(*attester)),
            Err(_) => Err(CheckpointError::Unsigned(*attester)),
        }
    }

    /// The same checkpoint with one more signature line, which is not verified here; without a change if it is there.
    ///
    /// # Errors
    /// [`CheckpointError`]: not a signature line, too many of them, or too long in all.
    pub fn with_signature(&self, line: &str) -> Result<Self, CheckpointError> {
        Signature::from_bytes(line.as_bytes()).map_err(|_| CheckpointError::SignatureLine)?;
        if self.signature_lines().any(|present| present == line) {
            return Ok(self.clone());
        }
        Self::parse(format!("{}{line}\n", self.text).as_bytes())
    }

    pub(crate) fn note(&self) -> Note {
        Note::from_bytes(self.text.as_bytes()).expect("it was read from a note")
    }
}

#[cfg(test)]
mod tests;
