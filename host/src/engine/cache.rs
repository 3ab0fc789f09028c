//! Compiled code on disk, so that a node starts without compiling.
//!
//! An entry is machine code that this program will run, so it is believed only if it was written with this node's cache
//! key: `keyed_hash(key, name || code) || code`, in a directory that only its user can enter. The name of an entry is
//! the digest of everything that decides what the code is: package, engine profile, back end, and wasmtime's own
//! compatibility hash (version, target, processor features, settings). Entries never leave the node and may be deleted
//! at any moment. What is damaged, foreign or from another build is discarded and compiled anew; failures to compile
//! are not remembered.

mod deserialize;

use super::{back_end::BackEnd, profile::EngineProfile};
use reprise_receipts::PackageDigest;
use std::{
    fs::{self, DirBuilder, OpenOptions},
    hash::{Hash, Hasher},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};
use wasmtime::{Engine, component::Component};

const TAG_BYTES: usize = 32;
/// Longest entry that is read: far above what the longest component compiles to.
const ENTRY_BYTES_MAX: u64 = 512 * 1024 * 1024;

/// Compiled code of this node.
pub struct CodeCache {
    dir: PathBuf,
    key: [u8; 32],
}

/// Why there is no cache.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The directory cannot be made or examined.
    #[error("{path}: {error}")]
    Io {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// Others could put code there.
    #[error("{path}: mode {mode:o} lets others in; it must be 700")]
    NotPrivate {
        /// The directory.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
}

/// Name of an entry: 64 hexadecimal digits.
struct EntryName(blake3::Hash);

impl CodeCache {
    /// Opens the cache in `dir`, which is made if it is not there. `key` is a secret of this node.
    ///
    /// # Errors
    /// [`CacheError`]: no such directory can be had, or others can write into it.
    pub fn open(dir: &Path, key: [u8; 32]) -> Result<Self, CacheError> {
        let failed = |error| CacheError::Io { path: dir.to_owned(), error };
        if !dir.exists() {
            DirBuilder::new().mode(0o700).recursive(true).create(dir).map_err(failed)?;
        }
        let metadata = fs::metadata(dir).map_err(failed)?;
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(CacheError::NotPrivate { path: dir.to_owned(), mode });
        }
        if !metadata.is_dir() {
            return Err(failed(io::ErrorKind::NotADirectory.into()));
        }
        Ok(Self { dir: dir.to_owned(), key })
    }

    /// The compiled form of a component: from the cache, or compiled and kept.
    pub(super) fn compiled(
        &self,
        engine: &Engine,
        back_end: BackEnd,
        package: PackageDigest,
        component: &[u8],
    ) -> wasmtime::Result<Component> {
        let name = entry_name(engine, back_end, package, component);
        if let Some(code) = self.read(&name) {
            match deserialize::trusted(engine, &code) {
                Ok(component) => return Ok(component),
                Err(error) => tracing::debug!("a cache entry is of another build, compiling anew: {error:#}"),
            }
        }
        let compiled = Component::from_binary(engine, component)?;
        if let Err(error) = self.write(&name, &compiled.serialize()?) {
            tracing::warn!("compiled code cannot be kept in {}: {error}", self.dir.display());
        }
        Ok(compiled)
    }

    fn path(&self, name: &EntryName) -> PathBuf {
        self.dir.join(format!("{}.code", name.0.to_hex()))
    }

    /// The code of an entry, if this node wrote it and it is whole. Anything else is deleted.
    fn read(&self, name: &EntryName) -> Option<Vec<u8>> {
        let path = self.path(name);
        let metadata = fs::metadata(&path).ok()?;
        let mut entry = if metadata.len() <= ENTRY_BYTES_MAX { fs::read(&path).ok()? } else { Vec::new() };
        let whole = entry.split_at_checked(TAG_BYTES).is_some_and(|(tag, code)| {
            // `blake3::Hash` compares in constant time.
            let tag: [u8; TAG_BYTES] = tag.try_into().expect("split there");
            self.tag(name, code) == blake3::Hash::from_bytes(tag)
        });
        if !whole {
            tracing::warn!("{} is damaged or not this node's: discarded", path.display());
            let _ = fs::remove_file(&path);
            return None;
        }
        entry.drain(..TAG_BYTES);
        Some(entry)
    }

    /// Writes beside the entry and renames, so that there is never half of one.
    fn write(&self, name: &EntryName, code: &[u8]) -> io::Result<()> {
        let path = self.path(name);
        let unfinished = path.with_extension(format!("{}.unfinished", std::process::id()));
        let written = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished);
        let written = written.and_then(|mut file| {
            file.write_all(self.tag(name, code).as_bytes())?;
            file.write_all(code)
        });
        let written = written.and_then(|()| fs::rename(&unfinished, &path));
        if written.is_err() {
            let _ = fs::remove_file(&unfinished);
        }
        written
    }

    fn tag(&self, name: &EntryName, code: &[u8]) -> blake3::Hash {
        blake3::Hasher::new_keyed(&self.key).update(name.0.as_bytes()).update(code).finalize()
    }
}

/// Everything that decides what the code is. The component is hashed too: a caller that names it wrongly gets its own
/// entry, not another component's code.
fn entry_name(engine: &Engine, back_end: BackEnd, package: PackageDigest, component: &[u8]) -> EntryName {
    let mut hasher = CompatibilityHasher(blake3::Hasher::new_derive_key("reprise 2026 compiled code v1"));
    hasher.write(package.as_bytes());
    hasher.write(EngineProfile::current().digest().as_bytes());
    hasher.write(blake3::hash(component).as_bytes());
    back_end.name().hash(&mut hasher);
    engine.precompile_compatibility_hash().hash(&mut hasher);
    EntryName(hasher.0.finalize())
}

/// Collects what wasmtime offers to a [`Hasher`], with a digest that does not collide by chance.
struct CompatibilityHasher(blake3::Hasher);

impl Hasher for CompatibilityHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let mut word = [0; 8];
        self.0.finalize_xof().fill(&mut word);
        u64::from_le_bytes(word)
    }
}

#[cfg(test)]
mod tests;
