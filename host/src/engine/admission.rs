//! Admission: what a component must be before it is compiled, with a reason that its author can use when it is not.
//!
//! One pass over the bytes validates everything under the proposals of the profile, function by function, and holds
//! each function against the bounds that keep a step's stack below the native one. Then imports and exports are held
//! against the contract. What passes can run on every host under this profile.

mod contract;
mod proposals;
mod walk;

pub use self::walk::Place;

use super::profile::{CORE_INSTANCES_MAX, LOCALS_MAX, MEMORIES_MAX, OPERANDS_MAX, PARAMS_MAX, RESULTS_MAX, TABLES_MAX};
use reprise_abi::limits::{COMPONENT_BYTES_MAX, MEMORY_BYTES_MAX, TABLE_ELEMENTS_MAX};
use wasmparser::Parser;

/// Bytes of a page of linear memory.
const PAGE_BYTES: u64 = 64 * 1024;
const MEMORY_PAGES_MAX: u64 = MEMORY_BYTES_MAX as u64 / PAGE_BYTES;

/// Why a component is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdmissionError {
    /// Longer than components may be.
    #[error("the component is {bytes} bytes long, at most {COMPONENT_BYTES_MAX} are allowed")]
    TooLarge {
        /// Its length.
        bytes: usize,
    },
    /// A module, not a component.
    #[error("this is a core module; a component is expected (make one with `reprise package build`)")]
    CoreModule,
    /// Neither.
    #[error("this is not WebAssembly")]
    NotWebAssembly,
    /// It breaks a rule of WebAssembly.
    #[error("{place}: not valid WebAssembly: {reason}")]
    Invalid {
        /// Where.
        place: Place,
        /// The parser's words.
        reason: String,
    },
    /// It needs a proposal that is switched off.
    #[error("{place}: needs the proposal `{proposal}`, which is switched off ({reason})")]
    Proposal {
        /// Which one, as its repository spells it.
        proposal: String,
        /// Where it is first needed.
        place: Place,
        /// The parser's words.
        reason: String,
    },
    /// A function is larger than the bound on stack frames allows.
    #[error("{place}: the function has {found} {what}, at most {} are allowed", .what.max())]
    Function {
        /// Of what it has too many.
        what: FunctionBound,
        /// How many it has; for operands, how many at this place.
        found: u32,
        /// Which function.
        place: Place,
    },
    /// The modules define or instantiate too much.
    #[error("the component has {found} {what}, at most {} are allowed", .what.max())]
    Count {
        /// Of what it has too many.
        what: Counted,
        /// How many.
        found: u32,
    },
    /// A memory begins larger than memories may be.
    #[error("{place}: a memory begins with {pages} pages, at most {MEMORY_PAGES_MAX} are allowed")]
    Memory {
        /// Which module.
        place: Place,
        /// Its minimum.
        pages: u64,
    },
    /// A table begins larger than tables may be.
    #[error("{place}: a table begins with {elements} elements, at most {TABLE_ELEMENTS_MAX} are allowed")]
    Table {
        /// Which module.
        place: Place,
        /// Its minimum.
        elements: u64,
    },
    /// It contains, makes or takes something that policies have no use for.
    #[error("{place}: {what} are not supported")]
    Unsupported {
        /// What.
        what: &'static str,
        /// Where.
        place: Place,
    },
    /// It imports what this host does not have.
    #[error("imports `{name}`, which this host does not supply")]
    UnknownImport {
        /// The interface, or the interface and the item in it.
        name: String,
    },
    /// It imports something of the host as another type than it has.
    #[error("imports `{name}` as `{found}`; the host's is `{expected}`")]
    ImportType {
        /// Interface and function.
        name: String,
        /// What the host has.
        expected: &'static str,
        /// What the component wants.
        found: String,
    },
    /// It does not export what every policy must.
    #[error("does not export `{name}: {expected}`")]
    MissingExport {
        /// The function.
        name: &'static str,
        /// Its type.
        expected: &'static str,
    },
    /// It exports something of the contract as another type.
    #[error("exports `{name}` as `{found}`; a policy's is `{expected}`")]
    ExportType {
        /// The function.
        name: &'static str,
        /// Its type.
        expected: &'static str,
        /// What the component has.
        found: String,
    },
}

/// Bounds on one function. They hold a stack frame to a few times the fuel that it costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FunctionBound {
    /// Parameters.
    Params,
    /// Results.
    Results,
    /// Locals, parameters included.
    Locals,
    /// Values on the operand stack.
    Operands,
}

impl FunctionBound {
    /// How many are allowed.
    #[must_use]
    pub fn max(self) -> u32 {
        match self {
            Self::Params => PARAMS_MAX as u32,
            Self::Results => RESULTS_MAX as u32,
            Self::Locals => LOCALS_MAX,
            Self::Operands => OPERANDS_MAX,
        }
    }
}

impl std::fmt::Display for FunctionBound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Params => "parameters",
            Self::Results => "results",
            Self::Locals => "locals",
            Self::Operands => "values on its operand stack",
        })
    }
}

/// What is counted over the whole component: a slot of the pool is that large.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// Instances of core modules.
    CoreInstances,
    /// Linear memories.
    Memories,
    /// Tables.
    Tables,
}

impl Counted {
    /// How many are allowed.
    #[must_use]
    pub fn max(self) -> u32 {
        match self {
            Self::CoreInstances => CORE_INSTANCES_MAX,
            Self::Memories => MEMORIES_MAX,
            Self::Tables => TABLES_MAX,
        }
    }
}

impl std::fmt::Display for Counted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::CoreInstances => "core instances",
            Self::Memories => "linear memories",
            Self::Tables => "tables",
        })
    }
}

/// Says whether this host takes a component, without compiling it.
///
/// # Errors
/// [`AdmissionError`]: the first reason, in the order of the bytes, to refuse it.
pub fn admit(component: &[u8]) -> Result<(), AdmissionError> {
    if component.len() > COMPONENT_BYTES_MAX {
        return Err(AdmissionError::TooLarge { bytes: component.len() });
    }
    if Parser::is_core_wasm(component) {
        return Err(AdmissionError::CoreModule);
    }
    if !Parser::is_component(component) {
        return Err(AdmissionError::NotWebAssembly);
    }
    let (types, imports) = walk::walk(component)?;
    contract::check(types.as_ref(), &imports)
}

#[cfg(test)]
mod tests;
