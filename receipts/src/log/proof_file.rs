//! Proof files: C2SP tlog-proof, one receipt's place in a signed checkpoint, as text that other tools read.
//!
//! ```text
//! c2sp.org/tlog-proof@v1
//! extra <base64>                       (may be missing)
//! index <sequence number>
//! <hash of the inclusion proof, base64>  (none or more, leaf to root)
//!
//! <signed checkpoint>
//! ```
//!
//! The extra data is not authenticated by the format. This project puts the encoded receipt there, so that the file
//! is enough by itself: the receipt is hashed, and the proof says whether that hash is in the log.

use super::{InclusionProof, LogProofError, proof::PROOF_HASHES_MAX};
use crate::{
    checkpoint::{CHECKPOINT_BYTES_MAX, Checkpoint, CheckpointError, SignedCheckpoint},
    digest::LeafHash,
    trust_policy::{PolicyRefusal, TrustPolicy},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use tlog_tiles::HASH_SIZE;

/// Most extra data, in bytes.
pub const PROOF_FILE_EXTRA_BYTES_MAX: usize = 64 * 1024;
/// Longest proof file, in bytes.
pub const PROOF_FILE_BYTES_MAX: usize =
    64 + PROOF_FILE_EXTRA_BYTES_MAX.div_ceil(3) * 4 + PROOF_HASHES_MAX * (HASH_LINE_BYTES + 1) + CHECKPOINT_BYTES_MAX;

const HEADER: &str = "c2sp.org/tlog-proof@v1";
/// Base64 of 32 bytes.
const HASH_LINE_BYTES: usize = HASH_SIZE.div_ceil(3) * 4;

/// A receipt's place in a signed checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProofFile {
    /// Data that comes along, not authenticated: the encoded receipt, or nothing.
    pub extra: Option<Vec<u8>>,
    /// Sequence number of the receipt.
    pub seq: u64,
    /// Its way to the root of the checkpoint.
    pub inclusion: InclusionProof,
    /// The checkpoint.
    pub checkpoint: SignedCheckpoint,
}

/// Why a text is not a proof file, or proves nothing. Lines count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofFileError {
    /// Longer than any proof file.
    #[error("a proof file has at most {PROOF_FILE_BYTES_MAX} bytes, not {len}")]
    TooLong {
        /// Bytes given.
        len: usize,
    },
    /// The first line is another.
    #[error("the first line is not {HEADER}")]
    Header,
    /// The second line begins with `extra`, but base64 of 1 byte to 64 KiB does not follow.
    #[error("line 2: expected `extra` and base64 of at most {PROOF_FILE_EXTRA_BYTES_MAX} bytes")]
    Extra,
    /// No index, or not a decimal number without leading zeros.
    #[error("line {line}: expected `index` and a decimal number without leading zeros")]
    Index {
        /// Where it should be.
        line: usize,
    },
    /// A line is not the base64 of a hash.
    #[error("line {line}: expected the base64 of 32 bytes, or the empty line before the checkpoint")]
    Hash {
        /// Which.
        line: usize,
    },
    /// More hashes than any inclusion proof has.
    #[error("an inclusion proof has at most {PROOF_HASHES_MAX} hashes")]
    TooManyHashes,
    /// The checkpoint is not one.
    #[error("the checkpoint: {0}")]
    Checkpoint(#[from] CheckpointError),
    /// The checkpoint is not trustworthy.
    #[error("the checkpoint: {0}")]
    Policy(#[from] PolicyRefusal),
    /// The receipt is not at this place of the log.
    #[error("the receipt is not in the log: {0}")]
    Inclusion(#[from] LogProofError),
}

impl ProofFile {
    /// The file.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = format!("{HEADER}\n");
        if let Some(extra) = &self.extra {
            text += &format!("extra {}\n", STANDARD.encode(extra));
        }
        text += &format!("index {}\n", self.seq);
        for hash in self.inclusion.hashes() {
            text += &STANDARD.encode(hash);
            text.push('\n');
        }
        text.push('\n');
        text += self.checkpoint.text();
        text
    }

    /// Reads a file. Nothing is verified.
    ///
    /// # Errors
    /// [`ProofFileError`] with the line that is not as it should be.
    pub fn parse(file: &[u8]) -> Result<Self, ProofFileError> {
        if file.len() > PROOF_FILE_BYTES_MAX {
            return Err(ProofFileError::TooLong { len: file.len() });
        }
        let mut lines = Lines { rest: file, number: 0 };
        if lines.next() != Some(HEADER.as_bytes()) {
            return Err(ProofFileError::Header);
        }
        let mut line = lines.next();
        let mut extra = None;
        if let Some(encoded) = line.and_then(|line| line.strip_prefix(b"extra ")) {
            extra = Some(parse_extra(encoded).ok_or(ProofFileError::Extra)?);
            line = lines.next();
        }
        let seq = line.and_then(|line| parse_index(line.strip_prefix(b"index ")?));
        let seq = seq.ok_or(ProofFileError::Index { line: lines.number })?;
        let inclusion = parse_hashes(&mut lines)?;
        Ok(Self { extra, seq, inclusion, checkpoint: SignedCheckpoint::parse(lines.rest)? })
    }

    /// The encoded receipt is in a log that the policy trusts; returns the checkpoint that says so.
    ///
    /// # Errors
    /// [`ProofFileError::Policy`] or [`ProofFileError::Inclusion`].
    pub fn verify(&self, receipt: &[u8], policy: &TrustPolicy) -> Result<&Checkpoint, ProofFileError> {
        policy.check(&self.checkpoint)?;
        let checkpoint = self.checkpoint.checkpoint();
        self.inclusion.verify(&checkpoint.log_root, checkpoint.size, self.seq, &LeafHash::of(receipt))?;
        Ok(checkpoint)
    }
}

/// Lines that end in a line feed, and what comes after those read so far.
struct Lines<'a> {
    rest: &'a [u8],
    /// Of the last line that was asked for.
    number: usize,
}

impl<'a> Lines<'a> {
    fn next(&mut self) -> Option<&'a [u8]> {
        self.number += 1;
        let end = self.rest.iter().position(|byte| *byte == b'\n')?;
        let line = &self.rest[..end];
        self.rest = &self.rest[end + 1..];
        Some(line)
    }
}

fn parse_extra(encoded: &[u8]) -> Option<Vec<u8>> {
    if encoded.len() > PROOF_FILE_EXTRA_BYTES_MAX.div_ceil(3) * 4 {
        return None;
    }
    let extra = STANDARD.decode(encoded).ok()?;
    (!extra.is_empty() && extra.len() <= PROOF_FILE_EXTRA_BYTES_MAX).then_some(extra)
}

fn parse_index(digits: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(digits).ok()?;
    let index: u64 = digits.parse().ok()?;
    (index.to_string() == digits).then_some(index)
}

fn parse_hashes(lines: &mut Lines<'_>) -> Result<InclusionProof, ProofFileError> {
    let mut hashes = Vec::new();
    loop {
        let line = lines.next().ok_or(ProofFileError::Hash { line: lines.number })?;
        if line.is_empty() {
            return InclusionProof::from_hashes(hashes).ok_or(ProofFileError::TooManyHashes);
        }
        if hashes.len() == PROOF_HASHES_MAX {
            return Err(ProofFileError::TooManyHashes);
        }
        let hash = if line.len() == HASH_LINE_BYTES { STANDARD.decode(line).ok() } else { None };
        let hash = hash.and_then(|hash| hash.try_into().ok());
        hashes.push(hash.ok_or(ProofFileError::Hash { line: lines.number })?);
    }
}

#[cfg(test)]
mod tests;
