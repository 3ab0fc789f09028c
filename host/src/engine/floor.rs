//! The floor: the same guest work in the same pool, `step` and then `check` on a fresh instance, over a plain map. No
//! limits, no diff, no transcript, no roots, no fuel for host calls. Benches say how far above it a step is; nothing
//! else uses it.

use super::{
    back_end::BackEnd,
    executor::{HostFault, LoadError},
    profile::INSTANTIATION_FUEL_MAX,
    wasm::{
        abi::{EffectValue, InputValue, LevelValue, PageValue, RejectionValue, ViolationValue},
        engines,
    },
};
use reprise_abi::{Input, limits::SCAN_ENTRIES_MAX, limits::STEP_FUEL_MAX};
use reprise_guest::Page;
use std::collections::BTreeMap;
use wasmtime::{
    Engine, Result, Store, StoreContextMut,
    component::{Component, ComponentExportIndex, InstancePre, Linker, WasmList, WasmStr},
};

/// The state of the floor: keys without namespace.
pub type FloorState = BTreeMap<Vec<u8>, Vec<u8>>;

type Caller<'a> = StoreContextMut<'a, FloorState>;

/// Runs a component with nothing around it. Only on an engine thread.
pub struct Floor {
    instance: InstancePre<FloorState>,
    step: ComponentExportIndex,
    check: ComponentExportIndex,
}

impl Floor {
    /// Compiles an admitted component.
    ///
    /// # Errors
    /// [`LoadError::Compile`].
    pub fn new(back_end: BackEnd, component: &[u8]) -> Result<Self, LoadError> {
        let failed = |error: wasmtime::Error| LoadError::Compile(format!("{error:#}"));
        let engine = engines::engine(back_end)?;
        let component = Component::from_binary(&engine, component).map_err(failed)?;
        let instance = linker(&engine).and_then(|linker| linker.instantiate_pre(&component)).map_err(failed)?;
        let export = |name| component.get_export_index(None, name).expect("an admitted component exports the world");
        Ok(Self { step: export("step"), check: export("check"), instance })
    }

    /// Runs one input and the policy's invariants; its writes go straight into the map.
    ///
    /// # Errors
    /// [`HostFault`]: whatever stops the guest, or an input that it does not accept.
    pub fn step(&self, state: &mut FloorState, input: &Input) -> Result<(), HostFault> {
        let mut store = Store::new(self.instance.engine(), std::mem::take(state));
        let result = self.run(&mut store, input);
        *state = store.into_data();
        result.map_err(|error| HostFault::Engine(format!("{error:#}")))
    }

    fn run(&self, store: &mut Store<FloorState>, input: &Input) -> Result<()> {
        store.set_fuel(INSTANTIATION_FUEL_MAX)?;
        let instance = self.instance.instantiate(&mut *store)?;
        store.set_fuel(STEP_FUEL_MAX)?;
        type Answer = (core::result::Result<Vec<u8>, RejectionValue>,);
        let step = instance.get_typed_func::<(InputValue<'_>,), Answer>(&mut *store, &self.step)?;
        let (answer,) = step.call(&mut *store, (InputValue::new(input, [0; 4]),))?;
        wasmtime::ensure!(answer.is_ok(), "the policy does not accept input {}", input.seq);
        let check =
            instance.get_typed_func::<(), (core::result::Result<(), ViolationValue>,)>(&mut *store, &self.check)?;
        let (held,) = check.call(&mut *store, ())?;
        wasmtime::ensure!(held.is_ok(), "an invariant of the policy does not hold after input {}", input.seq);
        Ok(())
    }
}

fn linker(engine: &Engine) -> Result<Linker<FloorState>> {
    let mut linker = Linker::new(engine);
    linker.instance("reprise:policy/types@1.0.0")?;
    let mut state = linker.instance("reprise:policy/state@1.0.0")?;
    state.func_wrap("get", |store: Caller<'_>, (key,): (WasmList<u8>,)| {
        Ok((store.data().get(key.as_le_slice(&store)).cloned(),))
    })?;
    state.func_wrap("put", |mut store: Caller<'_>, (key, value): (WasmList<u8>, WasmList<u8>)| {
        let (key, value) = (key.as_le_slice(&store).to_vec(), value.as_le_slice(&store).to_vec());
        store.data_mut().insert(key, value);
        Ok(())
    })?;
    state.func_wrap("delete", |mut store: Caller<'_>, (key,): (WasmList<u8>,)| {
        let key = key.as_le_slice(&store).to_vec();
        store.data_mut().remove(&key);
        Ok(())
    })?;
    state.func_wrap("scan", scan)?;
    linker.instance("reprise:policy/effects@1.0.0")?.func_wrap("emit", |_: Caller<'_>, _: (EffectValue,)| Ok(()))?;
    let mut timers = linker.instance("reprise:policy/timers@1.0.0")?;
    timers.func_wrap("set", |_: Caller<'_>, _: (WasmStr, u64, WasmList<u8>)| Ok(()))?;
    timers.func_wrap("cancel", |_: Caller<'_>, _: (WasmStr,)| Ok(()))?;
    linker
        .instance("reprise:policy/log@1.0.0")?
        .func_wrap("write", |_: Caller<'_>, _: (LevelValue, WasmStr)| Ok(()))?;
    Ok(linker)
}

type ScanArguments = (WasmList<u8>, Option<WasmList<u8>>, u32);

fn scan(store: Caller<'_>, (prefix, after, limit): ScanArguments) -> Result<(PageValue,)> {
    let prefix = prefix.as_le_slice(&store);
    let after = after.map(|after| after.as_le_slice(&store));
    let entries = store.data().range(prefix.to_vec()..).take_while(|(key, _)| key.starts_with(prefix));
    let mut entries = entries.filter(|(key, _)| after.is_none_or(|after| key.as_slice() > after));
    let limit = limit.min(SCAN_ENTRIES_MAX) as usize;
    let page: Vec<_> = entries.by_ref().take(limit).map(|(key, value)| (key.clone(), value.clone())).collect();
    Ok((Page { entries: page, more: entries.next().is_some() }.into(),))
}
