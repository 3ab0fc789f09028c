//! The engine: runs a policy over a state, deterministically.
//!
//! | module | what it does |
//! | --- | --- |
//! | [`profile`] | what a result depends on: the engine's version and settings, by digest in every receipt |
//! | [`admission`] | refuses what must not run, with a reason |
//! | [`component`] | core module to component |
//! | [`executor`] | the trait of all executors; guest faults and host faults |
//! | [`wasm`] | guests: machine code or interpreter, a fresh instance for every step |
//! | [`native`] | the same policies as plain Rust functions |
//! | [`cache`] | compiled code on disk |
//! | [`floor`] | what benches compare with |
//! | `step_host` | host calls: one implementation for all executors |
//! | `step` | from an answer to what the step did: one implementation for all executors |
//!
//! Invariant: nothing that depends on the host (stack, memory, pool, compiler) becomes an outcome; it is a
//! [`HostFault`].
//! Invariant: the state is read, never written; what a step did is in its [`reprise_receipts::Executed`].

pub mod admission;
pub mod back_end;
pub mod cache;
pub mod component;
pub mod executor;
pub mod floor;
pub mod native;
pub mod profile;
mod step;
mod step_host;
mod thread;
mod traps;
pub mod wasm;

pub use self::{
    admission::{AdmissionError, admit},
    back_end::{BackEnd, Optimisation},
    cache::{CacheError, CodeCache},
    component::{ComponentizeError, componentize},
    executor::{Executor, GuestFault, HostFault, LoadError, ViewError},
    native::NativeExecutor,
    profile::EngineProfile,
    step::seed,
    step_host::reads::record_reads,
    thread::on_engine_thread,
    wasm::WasmExecutor,
};
