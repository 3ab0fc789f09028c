//! Back ends, and the wasmtime configuration that makes all of them give the same results.
//!
//! Each setting here is either in the [`super::profile`], because a result depends on it, or it is about speed and
//! must not show. `DETERMINISM` in the comments names the source of nondeterminism that a setting closes.

use super::profile::{CALL_FUEL, CORE_INSTANCES_MAX, MEMORIES_MAX, PROPOSALS_ON, TABLES_MAX};
use reprise_abi::limits::{MEMORY_BYTES_MAX, TABLE_ELEMENTS_MAX};
use wasmparser::WasmFeatures;
use wasmtime::{
    Config, Enabled, InstanceAllocationStrategy, OperatorCost, OptLevel, PoolingAllocationConfig, Strategy,
    WasmBacktraceDetails,
};

/// Stack that a guest may use, in bytes. What a step's fuel can build up stays below it (see [`CALL_FUEL`]).
pub const WASM_STACK_BYTES: usize = 768 * 1024 * 1024;

/// Component instances that can be alive at once in one process and back end: one for each thread that executes.
const INSTANCES_MAX: u32 = 32;
/// Address space of a linear memory: all that it may grow to, so that it never moves.
const MEMORY_RESERVATION_BYTES: u64 = MEMORY_BYTES_MAX as u64;
/// Memory that a slot of the pool keeps, to be wiped instead of unmapped: what a small policy touches.
const MEMORY_RESIDENT_BYTES: usize = 1024 * 1024;
/// Likewise of a table. One page is wiped without asking the kernel which pages were written.
const TABLE_RESIDENT_BYTES: usize = 4 * 1024;
/// Largest bookkeeping of one core or component instance.
const INSTANCE_BYTES_MAX: usize = 1024 * 1024;

/// What turns a component into results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BackEnd {
    /// Machine code.
    Cranelift(Optimisation),
    /// Cranelift's front end, and an interpreter instead of machine code.
    Pulley,
}

/// How hard Cranelift tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Optimisation {
    /// For fast code: what nodes run.
    Speed,
    /// Not at all.
    None,
}

impl BackEnd {
    /// What nodes run.
    pub const CRANELIFT: Self = Self::Cranelift(Optimisation::Speed);
    /// All of them.
    pub const ALL: [Self; 3] = [Self::CRANELIFT, Self::Cranelift(Optimisation::None), Self::Pulley];

    /// Its name in tables, messages and cache keys.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cranelift(Optimisation::Speed) => "cranelift",
            Self::Cranelift(Optimisation::None) => "cranelift-unoptimised",
            Self::Pulley => "pulley",
        }
    }

    /// The configuration of this back end under the current profile.
    pub(super) fn config(self) -> wasmtime::Result<Config> {
        let mut config = Config::new();
        config.strategy(Strategy::Cranelift);
        match self {
            Self::Cranelift(Optimisation::Speed) => config.cranelift_opt_level(OptLevel::Speed),
            Self::Cranelift(Optimisation::None) => config.cranelift_opt_level(OptLevel::None),
            Self::Pulley => config.target("pulley64")?,
        };
        proposals(&mut config);
        semantics(&mut config);
        memory(&mut config);
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool()));
        Ok(config)
    }
}

/// wasmtime switches some proposals on by itself: each one is set by name, so that a new one is off.
fn proposals(config: &mut Config) {
    for (_, proposal) in WasmFeatures::all().iter_names() {
        config.wasm_features(proposal, PROPOSALS_ON.contains(proposal));
    }
    config.relaxed_simd_deterministic(true);
}

/// DETERMINISM: NaN bits, fuel, stack overflow, backtraces.
fn semantics(config: &mut Config) {
    config.cranelift_nan_canonicalization(true);
    config.consume_fuel(true);
    let mut cost = OperatorCost::new();
    (cost.Call, cost.CallIndirect) = (CALL_FUEL, CALL_FUEL);
    config.operator_cost(cost);
    config.max_wasm_stack(WASM_STACK_BYTES);
    // There are no such stacks, but wasmtime wants them to be as large.
    config.async_stack_size(WASM_STACK_BYTES);
    config.wasm_backtrace_max_frames(None);
    config.wasm_backtrace_details(WasmBacktraceDetails::Disable);
    config.generate_address_map(false);
}

/// DETERMINISM: `memory.grow`, fuel of data segments.
fn memory(config: &mut Config) {
    config.memory_reservation(MEMORY_RESERVATION_BYTES);
    // A guest that grows would make the kernel change the protection of pages, and the next instance in the slot would
    // have it changed back: a lock on the whole address space and an interrupt of every other thread, several times for
    // each step. With explicit bounds checks pages that were once accessible stay so, and are wiped like all others.
    config.signals_based_traps(false);
    config.memory_guard_size(0);
    config.memory_may_move(false);
    config.memory_init_cow(true);
    config.table_lazy_init(true);
}

fn pool() -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(INSTANCES_MAX)
        .total_core_instances(INSTANCES_MAX * CORE_INSTANCES_MAX)
        .total_memories(INSTANCES_MAX * MEMORIES_MAX)
        .total_tables(INSTANCES_MAX * TABLES_MAX)
        .max_core_instances_per_component(CORE_INSTANCES_MAX)
        .max_memories_per_component(MEMORIES_MAX)
        .max_tables_per_component(TABLES_MAX)
        .max_memories_per_module(MEMORIES_MAX)
        .max_tables_per_module(TABLES_MAX)
        .max_core_instance_size(INSTANCE_BYTES_MAX)
        .max_component_instance_size(INSTANCE_BYTES_MAX)
        .max_memory_size(MEMORY_BYTES_MAX)
        .table_elements(TABLE_ELEMENTS_MAX)
        .linear_memory_keep_resident(MEMORY_RESIDENT_BYTES)
        .table_keep_resident(TABLE_RESIDENT_BYTES)
        .pagemap_scan(Enabled::Auto);
    pool
}

#[cfg(test)]
mod tests;
