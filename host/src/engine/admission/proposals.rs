//! Which proposal a component needs, when it is not valid without it.

use crate::engine::profile::{PROPOSALS_ON, proposal_name};
use wasmparser::{BinaryReaderError, Validator, WasmFeatures};

/// The proposal that takes validation past this error.
///
/// The parser mostly says so itself. Where it does not, each proposal is tried: the one with which validation ends, or
/// gets further, is the one.
pub(super) fn needed(component: &[u8], error: &BinaryReaderError) -> Option<String> {
    let off = || WasmFeatures::all().iter_names().filter(|(_, flag)| !PROPOSALS_ON.contains(*flag));
    let named = error.missing_wasm_feature();
    let by_name = named.and_then(|missing| off().find(|(_, flag)| missing.contains(*flag)));
    let found = by_name.or_else(|| off().find(|(_, flag)| goes_further(component, *flag, error)));
    found.map(|(name, _)| proposal_name(name))
}

fn goes_further(component: &[u8], proposal: WasmFeatures, error: &BinaryReaderError) -> bool {
    match Validator::new_with_features(PROPOSALS_ON | proposal).validate_all(component) {
        Ok(_) => true,
        Err(next) => next.offset() > error.offset(),
    }
}
