//! From a core module, as compilers write it, to a component, as packages hold it.
//!
//! A module built with `wit-bindgen` says in a custom section which world it implements. A module without one is taken
//! to implement the policy world, so that a few lines of text format make a policy too. Every custom section is then
//! dropped, at every level: names, producers and debug information change with the toolchain and its paths, and a
//! component is named by its digest.

use wasmparser::{BinaryReader, Parser, Payload};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata, metadata::Bindgen};

/// The world that a policy implements, in [`reprise_abi::POLICY_WIT`].
const POLICY_WORLD: &str = "policy";
/// Custom sections that `wit-bindgen` writes begin with this.
const METADATA_PREFIX: &str = "component-type";
/// Magic, version and layer.
const HEADER_BYTES: usize = 8;

/// Why a core module does not become a component.
#[derive(Debug, thiserror::Error)]
pub enum ComponentizeError {
    /// Not WebAssembly, or cut short.
    #[error("not a WebAssembly module: {0}")]
    Malformed(#[from] wasmparser::BinaryReaderError),
    /// It is one already.
    #[error("this is a component already; a core module is expected")]
    AlreadyComponent,
    /// The module does not implement its world: an export is missing or has another type, or an import is unknown.
    #[error("the module does not implement its world: {0}")]
    World(String),
}

/// Makes a component of a core module. The same module gives the same bytes on every machine.
///
/// # Errors
/// [`ComponentizeError`]: not a core module, or not one that implements its world.
pub fn componentize(core_module: &[u8]) -> Result<Vec<u8>, ComponentizeError> {
    let mut module = core_module.to_vec();
    if !has_metadata(core_module)? {
        embed_policy_world(&mut module)?;
    }
    let encode = || ComponentEncoder::default().validate(true).module(&module)?.encode();
    let component = encode().map_err(|error| ComponentizeError::World(format!("{error:#}")))?;
    Ok(without_custom_sections(&component)?)
}

fn has_metadata(module: &[u8]) -> Result<bool, ComponentizeError> {
    if Parser::is_component(module) {
        return Err(ComponentizeError::AlreadyComponent);
    }
    for payload in Parser::new(0).parse_all(module) {
        if let Payload::CustomSection(section) = payload?
            && section.name().starts_with(METADATA_PREFIX)
        {
            return Ok(true);
        }
    }
    Ok(false)
}

fn embed_policy_world(module: &mut Vec<u8>) -> Result<(), ComponentizeError> {
    let mut resolve = Bindgen::default().resolve;
    let world = resolve
        .push_str("policy.wit", reprise_abi::POLICY_WIT)
        .and_then(|package| resolve.select_world(&[package], Some(POLICY_WORLD)))
        .expect("the policy world is part of this program and parses");
    embed_component_metadata(module, &resolve, world, StringEncoding::UTF8)
        .map_err(|error| ComponentizeError::World(format!("{error:#}")))
}

/// Copies a module or component section by section, without the custom ones, going into nested modules and components.
///
/// The bytes come from our own encoder, so nesting is as deep as it makes it: two levels.
fn without_custom_sections(bytes: &[u8]) -> Result<Vec<u8>, wasmparser::BinaryReaderError> {
    const CUSTOM: u8 = 0;
    const CORE_MODULE: u8 = 1;
    const COMPONENT: u8 = 4;

    let nests = Parser::is_component(bytes);
    let mut kept = bytes[..HEADER_BYTES].to_vec();
    let mut reader = BinaryReader::new(&bytes[HEADER_BYTES..], HEADER_BYTES);
    while !reader.eof() {
        let id = reader.read_u8()?;
        let len = reader.read_var_u32()?;
        let content = reader.read_bytes(len as usize)?;
        match id {
            CUSTOM => {}
            CORE_MODULE | COMPONENT if nests => push_section(&mut kept, id, &without_custom_sections(content)?),
            _ => push_section(&mut kept, id, content),
        }
    }
    Ok(kept)
}

fn push_section(out: &mut Vec<u8>, id: u8, content: &[u8]) {
    out.push(id);
    let mut rest = content.len();
    while rest >= 0x80 {
        out.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
    out.extend_from_slice(content);
}

#[cfg(test)]
pub(in crate::engine) mod tests;
