//! The host's side of the WIT imports: reads arguments in the guest's memory, charges fuel, calls the step host.
//!
//! A call costs [`HOST_CALL_FUEL`] and the bytes of its arguments before it is done, and the bytes of its answer after.
//! The engine has brought its count up to date when a guest calls out, so that the charge is exact on every back end.

use super::{
    GuestStore,
    abi::{EffectValue, LevelValue, PageValue},
};
use crate::engine::{
    executor::GuestFault,
    step_host::{EffectRef, StepHost},
};
use reprise_abi::limits::{HOST_CALL_BYTES_PER_FUEL, HOST_CALL_FUEL};
use wasmtime::{
    Engine, Result, StoreContextMut,
    component::{Linker, WasmList, WasmStr},
};

type Caller<'a> = StoreContextMut<'a, GuestStore>;

/// Everything that a policy may import.
pub(super) fn linker(engine: &Engine) -> Result<Linker<GuestStore>> {
    let mut linker = Linker::new(engine);
    linker.instance("reprise:policy/types@1.0.0")?;
    let mut state = linker.instance("reprise:policy/state@1.0.0")?;
    state.func_wrap("get", |store, (key,): (WasmList<u8>,)| get(store, &key).map(|value| (value,)))?;
    state.func_wrap("put", |store, (key, value): (WasmList<u8>, WasmList<u8>)| put(store, &key, &value))?;
    state.func_wrap("delete", |store, (key,): (WasmList<u8>,)| delete(store, &key))?;
    state.func_wrap("scan", |store, (prefix, after, limit): (WasmList<u8>, Option<WasmList<u8>>, u32)| {
        scan(store, &prefix, after.as_ref(), limit).map(|page| (page,))
    })?;
    let mut effects = linker.instance("reprise:policy/effects@1.0.0")?;
    effects.func_wrap("emit", |store, (effect,): (EffectValue,)| emit(store, &effect))?;
    let mut timers = linker.instance("reprise:policy/timers@1.0.0")?;
    timers.func_wrap("set", |store, (id, due_ms, payload): (WasmStr, u64, WasmList<u8>)| {
        set_timer(store, &id, due_ms, &payload)
    })?;
    timers.func_wrap("cancel", |store, (id,): (WasmStr,)| cancel_timer(store, &id))?;
    let mut log = linker.instance("reprise:policy/log@1.0.0")?;
    log.func_wrap("write", |store, (level, message): (LevelValue, WasmStr)| write_log(store, level, &message))?;
    Ok(linker)
}

fn get(store: Caller<'_>, key: &WasmList<u8>) -> Result<Option<Vec<u8>>> {
    call(store, |host, meter, store| {
        meter.call(key.len())?;
        let value = host.get(key.as_le_slice(store))?;
        meter.bytes(value.map_or(0, <[u8]>::len))?;
        Ok(value.map(<[u8]>::to_vec))
    })
}

fn put(store: Caller<'_>, key: &WasmList<u8>, value: &WasmList<u8>) -> Result<()> {
    call(store, |host, meter, store| {
        meter.call(key.len() + value.len())?;
        Ok(host.put(key.as_le_slice(store), value.as_le_slice(store))?)
    })
}

fn delete(store: Caller<'_>, key: &WasmList<u8>) -> Result<()> {
    call(store, |host, meter, store| {
        meter.call(key.len())?;
        Ok(host.delete(key.as_le_slice(store))?)
    })
}

fn scan(store: Caller<'_>, prefix: &WasmList<u8>, after: Option<&WasmList<u8>>, limit: u32) -> Result<PageValue> {
    call(store, |host, meter, store| {
        meter.call(prefix.len() + after.map_or(0, WasmList::len))?;
        let after = after.map(|after| after.as_le_slice(store));
        let scanned = host.scan(prefix.as_le_slice(store), after, limit)?;
        meter.bytes(scanned.bytes)?;
        Ok(scanned.page.into())
    })
}

fn emit(store: Caller<'_>, effect: &EffectValue) -> Result<()> {
    call(store, |host, meter, store| {
        let (key, driver) = (effect.idempotency_key.to_str(store)?, effect.driver.to_str(store)?);
        let undo = match &effect.compensator {
            Some(undo) => Some((undo.driver.to_str(store)?, undo.payload.as_le_slice(store))),
            None => None,
        };
        let effect = EffectRef {
            idempotency_key: &key,
            driver: &driver,
            deadline_ms: effect.deadline_ms,
            payload: effect.payload.as_le_slice(store),
            compensator: undo.as_ref().map(|(driver, payload)| (driver.as_ref(), *payload)),
        };
        meter.call(effect.bytes())?;
        Ok(host.emit(&effect)?)
    })
}

fn set_timer(store: Caller<'_>, id: &WasmStr, due_ms: u64, payload: &WasmList<u8>) -> Result<()> {
    call(store, |host, meter, store| {
        let id = id.to_str(store)?;
        meter.call(id.len() + payload.len())?;
        Ok(host.set_timer(&id, due_ms, payload.as_le_slice(store))?)
    })
}

fn cancel_timer(store: Caller<'_>, id: &WasmStr) -> Result<()> {
    call(store, |host, meter, store| {
        let id = id.to_str(store)?;
        meter.call(id.len())?;
        Ok(host.cancel_timer(&id)?)
    })
}

fn write_log(store: Caller<'_>, level: LevelValue, message: &WasmStr) -> Result<()> {
    call(store, |host, meter, store| {
        let message = message.to_str(store)?;
        meter.call(message.len())?;
        Ok(host.log(level.into(), &message)?)
    })
}

/// The fuel of a step during one host call.
struct Meter {
    left: u64,
}

impl Meter {
    /// Charges for the call and for its arguments.
    fn call(&mut self, argument_bytes: usize) -> Result<(), GuestFault> {
        self.spend(HOST_CALL_FUEL)?;
        self.bytes(argument_bytes)
    }

    fn bytes(&mut self, bytes: usize) -> Result<(), GuestFault> {
        self.spend(bytes as u64 / HOST_CALL_BYTES_PER_FUEL)
    }

    fn spend(&mut self, fuel: u64) -> Result<(), GuestFault> {
        self.left = self.left.checked_sub(fuel).ok_or(GuestFault::OutOfFuel)?;
        Ok(())
    }
}

/// Does a host call. The step host is taken out of the store meanwhile, so that arguments can be read where they are.
fn call<'a, T>(
    mut store: Caller<'a>,
    run: impl FnOnce(&mut StepHost, &mut Meter, &Caller<'a>) -> Result<T>,
) -> Result<T> {
    let mut meter = Meter { left: store.get_fuel()? };
    let mut host = store.data_mut().host.take().expect("host calls do not nest");
    let result = run(&mut host, &mut meter, &store);
    store.data_mut().host = Some(host);
    store.set_fuel(meter.left)?;
    result
}
