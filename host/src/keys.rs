//! Secret keys as files: mode 0600, one line of text, never printed.

use reprise_receipts::{PublicKey, SigningKey};
use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

const HEADER: &str = "reprise-secret-key-v1 ";
const FILE_BYTES_MAX: u64 = 1_024;

/// Why a key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read or written.
    #[error("key file {path}: {error}")]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// Others may read it.
    #[error("key file {path} is readable by others (mode {mode:04o}): run `chmod 600 {path}`")]
    Mode {
        /// Which file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// It does not hold a key.
    #[error("key file {path} does not hold a key: expected `reprise-secret-key-v1` and 64 hexadecimal digits")]
    Content {
        /// Which file.
        path: PathBuf,
    },
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    Random,
}

/// 32 secret bytes, wiped when dropped.
pub type Secret = Zeroizing<[u8; 32]>;

/// Makes a new secret and writes it to a new file of mode 0600.
///
/// # Errors
/// [`KeyError`]: the file exists already or cannot be written; no random bytes.
pub fn create(path: &Path) -> Result<Secret, KeyError> {
    let mut secret = Zeroizing::new([0; 32]);
    getrandom::fill(secret.as_mut()).map_err(|_| KeyError::Random)?;
    write(path, &secret)?;
    Ok(secret)
}

/// Reads a secret.
///
/// # Errors
/// [`KeyError`]: not there, readable by others, or not a key.
pub fn read(path: &Path) -> Result<Secret, KeyError> {
    let file_error = |error| KeyError::File { path: path.to_owned(), error };
    let file = File::open(path).map_err(file_error)?;
    let mode = file.metadata().map_err(file_error)?.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(KeyError::Mode { path: path.to_owned(), mode });
    }
    let mut text = Zeroizing::new(String::new());
    file.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(file_error)?;
    parse(&text).ok_or_else(|| KeyError::Content { path: path.to_owned() })
}

/// Reads a signing key.
///
/// # Errors
/// [`KeyError`], as for [`read`].
pub fn read_signing(path: &Path) -> Result<SigningKey, KeyError> {
    Ok(SigningKey::from_secret(&*read(path)?))
}

/// The key by which other nodes know this one, made when it is asked for the first time. It never signs receipts.
///
/// # Errors
/// [`KeyError`], as for [`create`] and [`read`].
pub fn node(dir: &Path) -> Result<SigningKey, KeyError> {
    let path = dir.join("keys").join("node.key");
    let secret = match create(&path) {
        // Made before, or at this moment by another process.
        Err(KeyError::File { error, .. }) if error.kind() == io::ErrorKind::AlreadyExists => read(&path)?,
        created => created?,
    };
    Ok(SigningKey::from_secret(&secret))
}

/// A public key as it is printed: 64 hexadecimal digits. `None` for every other text, and for weak keys.
#[must_use]
pub fn parse_public(text: &str) -> Option<PublicKey> {
    PublicKey::from_bytes(*parse_hex(text)?).ok()
}

fn write(path: &Path, secret: &Secret) -> Result<(), KeyError> {
    let file_error = |error| KeyError::File { path: path.to_owned(), error };
    let mut text = Zeroizing::new(String::from(HEADER));
    for byte in secret.iter() {
        text.push_str(&format!("{byte:02x}"));
    }
    text.push('\n');
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(file_error)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(file_error)
}

fn parse(text: &str) -> Option<Secret> {
    parse_hex(text.trim_end().strip_prefix(HEADER)?)
}

fn parse_hex(digits: &str) -> Option<Secret> {
    if digits.len() != 64 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let mut secret = Zeroizing::new([0; 32]);
    for (byte, at) in secret.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(&digits[at..at + 2], 16).ok()?;
    }
    Some(secret)
}

#[cfg(test)]
mod tests;
