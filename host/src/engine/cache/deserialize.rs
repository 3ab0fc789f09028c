//! The one place of this project that needs `unsafe`: taking compiled code for what it says it is.

#![allow(unsafe_code)]

use wasmtime::{Engine, component::Component};

/// Loads code that this node compiled.
///
/// `code` must be what [`Component::serialize`] gave, unchanged. The caller has checked a keyed hash over it, whose key
/// only this node has.
///
/// # Errors
/// When the code is of another version, target or configuration of wasmtime than `engine`.
pub(super) fn trusted(engine: &Engine, code: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: `deserialize` runs what it is given as machine code, so it asks for bytes that came out of `serialize`
    // and were not modified. Only `CodeCache::write` makes entries, from `serialize`, under a hash keyed with a secret
    // that lies in a file of mode 0600; `CodeCache::read` returns nothing whose hash does not hold. Whoever can forge
    // that hash has read this user's secret, and can replace the program itself. wasmtime copies the bytes before it
    // uses them, so that the file is not read again after the check, and checks version and settings by itself.
    unsafe { Component::deserialize(engine, code) }
}
