//! Keys of C2SP signed notes, held to the one signature rule of this project.
//!
//! The note format, key names and key ids are those of `c2sp.org/signed-note`, so that other tools read our notes and
//! we read theirs. Verification is strict (`verify_strict`) and weak keys are refused, as everywhere else here.

use crate::attestation::{PublicKey, SigningKey};
use core::fmt;
use signed_note::{Note, Signer, Verifier, VerifierList, key_id};

/// Algorithm byte of Ed25519 in note keys.
const ALGORITHM_ED25519: u8 = 1;
/// Longest note that is read, in bytes.
pub const NOTE_BYTES_MAX: usize = 4 * 1024;

/// A name and a key that notes are verified with: `name+keyid+base64`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NoteKey {
    name: String,
    key: PublicKey,
}

/// Why a text is not a note key, or a note does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Not `name+keyid+base64` of an Ed25519 key, or the key is weak.
    #[error("expected a note key of the form name+keyid+base64 (Ed25519)")]
    Key,
    /// The name is empty, or has spaces or a plus sign.
    #[error("a key name is not empty and has neither spaces nor plus signs")]
    Name,
    /// Not a signed note, or longer than 4 KiB.
    #[error("not a signed note")]
    Malformed,
    /// No signature of that key, or one that does not hold.
    #[error("the note has no valid signature of that key")]
    Unverified,
}

impl NoteKey {
    /// A key under a name.
    ///
    /// # Errors
    /// [`NoteError::Name`].
    pub fn new(name: &str, key: PublicKey) -> Result<Self, NoteError> {
        let usable = signed_note::is_key_name_valid(name) && name.len() <= reprise_abi::limits::NAME_BYTES_MAX;
        if usable { Ok(Self { name: name.to_owned(), key }) } else { Err(NoteError::Name) }
    }

    /// Reads `name+keyid+base64`.
    ///
    /// # Errors
    /// [`NoteError`]: not such a text, a key id that does not belong to it, a weak key.
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        signed_note::StandardVerifier::new(text).map_err(|_| NoteError::Key)?;
        // Base64 has plus signs of its own: only the first two separate.
        let (name, rest) = text.split_once('+').ok_or(NoteError::Key)?;
        let (_, encoded) = rest.split_once('+').ok_or(NoteError::Key)?;
        let bytes = base64_decode(encoded).ok_or(NoteError::Key)?;
        let key: [u8; 32] = bytes.get(1..).and_then(|key| key.try_into().ok()).ok_or(NoteError::Key)?;
        Self::new(name, PublicKey::from_bytes(key).map_err(|_| NoteError::Key)?)
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

    /// The text of a note that this key has signed.
    ///
    /// # Errors
    /// [`NoteError`]: not a note, or no valid signature of this key.
    pub fn open(&self, note: &str) -> Result<String, NoteError> {
        if note.len() > NOTE_BYTES_MAX {
            return Err(NoteError::Malformed);
        }
        let parsed = Note::from_bytes(note.as_bytes()).map_err(|_| NoteError::Malformed)?;
        let known = VerifierList::new(vec![Box::new(self.clone())]);
        parsed.verify(&known).map_err(|_| NoteError::Unverified)?;
        String::from_utf8(parsed.text().to_vec()).map_err(|_| NoteError::Malformed)
    }
}

impl fmt::Display for NoteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = ed25519_dalek::VerifyingKey::from_bytes(self.key.as_bytes()).map_err(|_| fmt::Error)?;
        f.write_str(&signed_note::new_ed25519_verifier_key(&self.name, &key))
    }
}

impl Verifier for NoteKey {
    fn name(&self) -> &str {
        &self.name
    }

    fn key_id(&self) -> u32 {
        note_key_id(&self.name, &self.key)
    }

    fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        signature.try_into().is_ok_and(|signature| self.key.verify(message, signature).is_ok())
    }
}

/// A name and a secret key that notes are signed with.
pub struct NoteSigner<'a> {
    name: &'a str,
    key: &'a SigningKey,
}

impl<'a> NoteSigner<'a> {
    /// A signer under a name.
    #[must_use]
    pub fn new(name: &'a str, key: &'a SigningKey) -> Self {
        Self { name, key }
    }

    /// Signs a text that ends in a newline.
    ///
    /// # Errors
    /// [`NoteError`]: the text cannot be a note, or the name cannot be a key name.
    pub fn sign_note(&self, text: &str) -> Result<String, NoteError> {
        let mut note = Note::new(text.as_bytes(), &[]).map_err(|_| NoteError::Malformed)?;
        note.add_sigs(&[self]).map_err(|_| NoteError::Name)?;
        String::from_utf8(note.to_bytes()).map_err(|_| NoteError::Malformed)
    }
}

impl Signer for NoteSigner<'_> {
    fn name(&self) -> &str {
        self.name
    }

    fn key_id(&self) -> u32 {
        note_key_id(self.name, &self.key.public())
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, ed25519_dalek::SignatureError> {
        Ok(self.key.sign(message).to_vec())
    }
}

fn note_key_id(name: &str, key: &PublicKey) -> u32 {
    let mut bytes = vec![ALGORITHM_ED25519];
    bytes.extend_from_slice(key.as_bytes());
    key_id(name, &bytes)
}

fn base64_decode(text: &str) -> Option<Vec<u8>> {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    STANDARD.decode(text).ok()
}

#[cfg(test)]
mod tests;
