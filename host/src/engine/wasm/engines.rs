//! One wasmtime engine, with its pool, for each back end of the process.

use crate::engine::{
    back_end::{BackEnd, Optimisation},
    executor::LoadError,
};
use std::sync::OnceLock;
use wasmtime::Engine;

static ENGINES: [OnceLock<Engine>; 3] = [OnceLock::new(), OnceLock::new(), OnceLock::new()];

/// The engine of a back end. It is made at the first call and lives as long as the process.
pub(in crate::engine) fn engine(back_end: BackEnd) -> Result<Engine, LoadError> {
    let slot = match back_end {
        BackEnd::Cranelift(Optimisation::Speed) => &ENGINES[0],
        BackEnd::Cranelift(Optimisation::None) => &ENGINES[1],
        BackEnd::Pulley => &ENGINES[2],
    };
    if let Some(engine) = slot.get() {
        return Ok(engine.clone());
    }
    let made = back_end.config().and_then(|config| Engine::new(&config));
    let made = made.map_err(|error| LoadError::Compile(format!("{error:#}")))?;
    Ok(slot.get_or_init(|| made).clone())
}
