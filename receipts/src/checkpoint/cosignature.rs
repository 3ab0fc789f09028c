//! Cosignatures of witnesses: C2SP tlog-cosignature, version 1 with Ed25519.
//!
//! A witness signs the body of a checkpoint together with the time at which it saw it. Its key is of another type than
//! a log's (`04`), hence its key id is another one even for the same key and name. What is signed is
//!
//! ```text
//! cosignature/v1
//! time <seconds since 1970, decimal>
//! <body of the checkpoint>
//! ```
//!
//! and what stands in the note is the time as 8 bytes, big-endian, before the 64 bytes of the signature.

use super::{Checkpoint, SignedCheckpoint};
use crate::{
    attestation::{PublicKey, SigningKey},
    note::NoteError,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use core::fmt;
use reprise_abi::limits::NAME_BYTES_MAX;
use signed_note::{Signature, Verifier, key_id};

/// Algorithm byte of timestamped Ed25519 cosignatures in note keys.
const ALGORITHM_COSIGNATURE: u8 = 4;
/// Times at or beyond this, in seconds since 1970, are refused, as tlog-cosignature demands.
pub const COSIGNATURE_TIME_END_S: u64 = 1 << 63;

/// A name and a key that cosignatures are verified with: `name+keyid+base64`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CosignerKey {
    name: String,
    key: PublicKey,
}

impl CosignerKey {
    /// A key under a name.
    ///
    /// # Errors
    /// [`NoteError::Name`].
    pub fn new(name: &str, key: PublicKey) -> Result<Self, NoteError> {
        let usable = signed_note::is_key_name_valid(name) && name.len() <= NAME_BYTES_MAX;
        if usable { Ok(Self { name: name.to_owned(), key }) } else { Err(NoteError::Name) }
    }

    /// Reads `name+keyid+base64` of a key of type `04`.
    ///
    /// # Errors
    /// [`NoteError`]: not such a text, a key id that does not belong to it, a weak key.
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let (name, rest) = text.split_once('+').ok_or(NoteError::Key)?;
        let encoded = rest.split_once('+').ok_or(NoteError::Key)?.1;
        let bytes = STANDARD.decode(encoded).map_err(|_| NoteError::Key)?;
        let [ALGORITHM_COSIGNATURE, key @ ..] = bytes.as_slice() else { return Err(NoteError::Key) };
        let key = key.try_into().map_err(|_| NoteError::Key)?;
        let parsed = Self::new(name, PublicKey::from_bytes(key).map_err(|_| NoteError::Key)?)?;
        // The key id is in the text again, in lower-case digits: one comparison says that all of it belongs together.
        if parsed.to_string() == text { Ok(parsed) } else { Err(NoteError::Key) }
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key.
    #[must_use]
    pub fn key(&self) -> PublicKey {
        self.key
    }

    fn typed_key(&self) -> Vec<u8> {
        [&[ALGORITHM_COSIGNATURE], self.key.as_bytes().as_slice()].concat()
    }
}

impl fmt::Display for CosignerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{:08x}+{}", self.name, self.key_id(), STANDARD.encode(self.typed_key()))
    }
}

impl Verifier for CosignerKey {
    fn name(&self) -> &str {
        &self.name
    }

    fn key_id(&self) -> u32 {
        key_id(&self.name, &self.typed_key())
    }

    fn verify(&self, body: &[u8], signature: &[u8]) -> bool {
        let Some((time_s, signature)) = split(signature) else { return false };
        self.key.verify(&message(time_s, body), signature).is_ok()
    }
}

/// The signature line with which a witness says that it saw this checkpoint at `time_s`, in seconds since 1970.
///
/// Only for a witness that has checked that the log extends what it saw of it before.
///
/// # Errors
/// [`NoteError::Name`]: the name cannot be a key name.
pub fn cosign(checkpoint: &SignedCheckpoint, name: &str, key: &SigningKey, time_s: u64) -> Result<String, NoteError> {
    let cosigner = CosignerKey::new(name, key.public())?;
    let signature = key.sign(&cosigned_message(time_s, checkpoint.checkpoint()));
    let stamped = [time_s.to_be_bytes().as_slice(), signature.as_slice()].concat();
    let line = Signature::new(cosigner.name.clone(), cosigner.key_id(), stamped).map_err(|_| NoteError::Name)?;
    let line = String::from_utf8(line.to_bytes()).map_err(|_| NoteError::Name)?;
    Ok(line.trim_end_matches('\n').to_owned())
}

/// Time in seconds since 1970 and Ed25519 signature of a cosignature.
pub(crate) fn split(cosignature: &[u8]) -> Option<(u64, &[u8; 64])> {
    let (time, signature) = cosignature.split_first_chunk::<8>()?;
    let time_s = u64::from_be_bytes(*time);
    (time_s < COSIGNATURE_TIME_END_S).then_some((time_s, signature.try_into().ok()?))
}

/// What a witness signs that saw this checkpoint at `time_s`, in seconds since 1970.
#[must_use]
pub fn cosigned_message(time_s: u64, checkpoint: &Checkpoint) -> Vec<u8> {
    message(time_s, checkpoint.body().as_bytes())
}

fn message(time_s: u64, body: &[u8]) -> Vec<u8> {
    let mut message = format!("cosignature/v1\ntime {time_s}\n").into_bytes();
    message.extend_from_slice(body);
    message
}
