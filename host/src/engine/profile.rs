//! The engine profile: what a result depends on beside state, input and package.
//!
//! Its digest is in every receipt. It names the exact version of wasmtime and every setting that decides how a step
//! ends or what it costs. It does not name the back end, the optimisation level or anything of the pool: those must not
//! show in a receipt, and the verifier's other back end is there to notice when they do.

use reprise_abi::limits::{
    ANSWER_BYTES_MAX, COMPONENT_BYTES_MAX, DETAIL_BYTES_MAX, DIFF_BYTES_MAX, DIFF_CHANGES_MAX, DIFF_REPLACED_BYTES_MAX,
    EFFECT_PAYLOAD_BYTES_MAX, EFFECTS_BYTES_MAX, EFFECTS_MAX, HOST_CALL_BYTES_PER_FUEL, HOST_CALL_FUEL, KEY_BYTES_MAX,
    LOG_MESSAGE_BYTES_MAX, LOG_MESSAGES_MAX, MEMORY_BYTES_MAX, MIGRATE_FUEL_MAX, NAME_BYTES_MAX, SCAN_BYTES_MAX,
    SCAN_ENTRIES_MAX, STATE_BYTES_MAX, STEP_FUEL_MAX, TABLE_ELEMENTS_MAX, TIMER_CHANGES_MAX, VALUE_BYTES_MAX,
};
use reprise_receipts::EngineProfileDigest;
use std::fmt::Write;
use wasmparser::WasmFeatures;

/// The version of wasmtime that this profile describes; `Cargo.toml` asks for exactly this one.
pub const WASMTIME_VERSION: &str = "48.0.8";

/// Fuel of a `call` and of a `call_indirect`: the most that the engine's table takes. With the instructions around it,
/// a frame costs at least 257, so that a step's fuel ends before the native stack does.
pub const CALL_FUEL: u8 = 255;
/// Fuel for instantiating a component, beside the fuel of the step. How much of it is used depends on how the host lays
/// out memory, so it is never in a receipt.
pub const INSTANTIATION_FUEL_MAX: u64 = 20_000_000;

/// Most parameters of a core function.
pub const PARAMS_MAX: usize = 64;
/// Most results of a core function. A caller reserves stack for them without paying fuel.
pub const RESULTS_MAX: usize = 16;
/// Most locals of a core function, parameters included.
pub const LOCALS_MAX: u32 = 512;
/// Most values on the operand stack of a core function.
pub const OPERANDS_MAX: u32 = 512;
/// Most core instances of a component. `wit-component` makes three.
pub const CORE_INSTANCES_MAX: u32 = 8;
/// Most tables that the modules of a component define.
pub const TABLES_MAX: u32 = 8;
/// Most linear memories that the modules of a component define.
pub const MEMORIES_MAX: u32 = 1;

/// The proposals that are on. Every other one that the parser knows is off, by name.
///
/// Compilers use these by default, all are deterministic, and none needs the host's help. `REFERENCE_TYPES` is for
/// the encoding of `call_indirect`; reference values other than functions need `GC_TYPES`, which is off. `FLOATS` is
/// deterministic because NaNs are made canonical.
pub const PROPOSALS_ON: WasmFeatures = WasmFeatures::MUTABLE_GLOBAL
    .union(WasmFeatures::SATURATING_FLOAT_TO_INT)
    .union(WasmFeatures::SIGN_EXTENSION)
    .union(WasmFeatures::REFERENCE_TYPES)
    .union(WasmFeatures::MULTI_VALUE)
    .union(WasmFeatures::BULK_MEMORY)
    .union(WasmFeatures::FLOATS)
    .union(WasmFeatures::EXTENDED_CONST)
    .union(WasmFeatures::COMPONENT_MODEL);

/// What a result depends on beside state, input and package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineProfile {
    text: String,
}

impl EngineProfile {
    /// The profile of this build.
    #[must_use]
    pub fn current() -> Self {
        let mut text = "reprise engine profile v1\n".to_owned();
        let mut line = |name: &str, value: &dyn std::fmt::Display| {
            writeln!(text, "{name} = {value}").expect("writing into a string cannot fail");
        };
        line("wasmtime", &WASMTIME_VERSION);
        for (name, on) in WasmFeatures::all().iter_names().map(|(name, flag)| (name, PROPOSALS_ON.contains(flag))) {
            line(&format!("proposal {}", proposal_name(name)), &if on { "on" } else { "off" });
        }
        for (name, value) in SETTINGS {
            line(name, &value);
        }
        for (name, value) in bounds() {
            line(name, &value);
        }
        Self { text }
    }

    /// One setting to a line, `name = value`.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What receipts name it by.
    #[must_use]
    pub fn digest(&self) -> EngineProfileDigest {
        EngineProfileDigest::of(self.text.as_bytes())
    }
}

/// A proposal as its repository spells it: `tail-call`, not `TAIL_CALL`.
pub(super) fn proposal_name(flag: &str) -> String {
    flag.to_ascii_lowercase().replace('_', "-")
}

const SETTINGS: [(&str, &str); 10] = [
    ("nan", "canonical"),
    ("fuel table", "wasmtime default, call and call-indirect 255, bulk operations 1 for each byte or element"),
    ("fuel of a guest fault", "all of the step's"),
    ("host call charge", "base, then bytes in, then bytes out; each part rounded down"),
    ("instantiation", "fresh for every step, host calls forbidden, fuel apart"),
    ("memory init", "copy on write"),
    ("memory", "never moves; growing past the limit answers -1"),
    ("table", "growing past the limit answers -1"),
    ("strings", "utf-8"),
    ("seed", "derive_key(reprise 2026 step seed v1, ledger, seq)"),
];

fn bounds() -> [(&'static str, u64); 32] {
    [
        ("step fuel", STEP_FUEL_MAX),
        ("migrate fuel", MIGRATE_FUEL_MAX),
        ("host call fuel", HOST_CALL_FUEL),
        ("host call bytes per fuel", HOST_CALL_BYTES_PER_FUEL),
        ("instantiation fuel", INSTANTIATION_FUEL_MAX),
        ("memory bytes", MEMORY_BYTES_MAX as u64),
        ("table elements", TABLE_ELEMENTS_MAX as u64),
        ("component bytes", COMPONENT_BYTES_MAX as u64),
        ("core instances", CORE_INSTANCES_MAX.into()),
        ("memories", MEMORIES_MAX.into()),
        ("tables", TABLES_MAX.into()),
        ("parameters", PARAMS_MAX as u64),
        ("results", RESULTS_MAX as u64),
        ("locals", LOCALS_MAX.into()),
        ("operands", OPERANDS_MAX.into()),
        ("key bytes", KEY_BYTES_MAX as u64),
        ("value bytes", VALUE_BYTES_MAX as u64),
        ("diff changes", DIFF_CHANGES_MAX as u64),
        ("diff bytes", DIFF_BYTES_MAX as u64),
        ("diff replaced bytes", DIFF_REPLACED_BYTES_MAX),
        ("scan entries", SCAN_ENTRIES_MAX.into()),
        ("scan bytes", SCAN_BYTES_MAX as u64),
        ("effects", EFFECTS_MAX as u64),
        ("effects bytes", EFFECTS_BYTES_MAX as u64),
        ("effect payload bytes", EFFECT_PAYLOAD_BYTES_MAX as u64),
        ("timer changes", TIMER_CHANGES_MAX as u64),
        ("name bytes", NAME_BYTES_MAX as u64),
        ("answer bytes", ANSWER_BYTES_MAX as u64),
        ("detail bytes", DETAIL_BYTES_MAX as u64),
        ("log message bytes", LOG_MESSAGE_BYTES_MAX as u64),
        ("log messages", LOG_MESSAGES_MAX as u64),
        ("state bytes", STATE_BYTES_MAX),
    ]
}

#[cfg(test)]
mod tests;
