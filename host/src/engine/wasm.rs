//! Guests: a component, a fresh instance for every step, on machine code or on an interpreter.
//!
//! A component is admitted, compiled and instantiated once for trial when it is loaded. Instantiation may call nothing
//! outside, so that it is a function of the component alone: if it fails at a step although the trial did not, the
//! host is at fault.

pub(super) mod abi;
pub(super) mod engines;
mod failure;
mod imports;

use self::{
    abi::{DescriptionValue, InputValue, RejectionValue, ViolationValue},
    failure::stop,
};
use super::{
    admission,
    back_end::BackEnd,
    cache::CodeCache,
    executor::{Answer, Executor, GuestFault, HostFault, LoadError, Running, Stop, ViewError},
    profile::INSTANTIATION_FUEL_MAX,
    step::{bounded_answer, bounded_rejection, conclude, seed},
    step_host::{Mode, StepHost},
    thread::is_engine_thread,
};
use reprise_abi::{
    Description, Input, Rejection, Violation,
    limits::{MEMORY_BYTES_MAX, MIGRATE_FUEL_MAX, STEP_FUEL_MAX, TABLE_ELEMENTS_MAX, VIEW_FUEL_MAX},
};
use reprise_receipts::{Executed, LedgerId, PackageDigest, StateTrie};
use wasmtime::{
    ResourceLimiter, Store,
    component::{Component, ComponentExportIndex, ComponentNamedList, Instance, InstancePre, Lift, Lower},
};

/// Bytes that wasmtime copies out of a guest in one call before it gives up, for `describe`: its lists of strings may
/// all point to the same bytes. Elsewhere the memory of the guest is the bound, and giving up would not be repeatable.
const DESCRIBE_COPY_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Runs a component. A clone shares the compiled code.
#[derive(Clone)]
pub struct WasmExecutor {
    back_end: BackEnd,
    instance: InstancePre<GuestStore>,
    exports: Exports,
}

/// Where the functions of the world are, looked up once.
#[derive(Clone)]
struct Exports {
    describe: ComponentExportIndex,
    step: ComponentExportIndex,
    check: ComponentExportIndex,
    view: ComponentExportIndex,
    migrate: ComponentExportIndex,
}

impl WasmExecutor {
    /// Makes a component ready to run: admission, compilation (or the cache), one instantiation for trial.
    ///
    /// `package` names the compiled code in the cache.
    ///
    /// # Errors
    /// [`LoadError`]: refused, not compiled, or never to be instantiated.
    pub fn new(
        back_end: BackEnd,
        package: PackageDigest,
        component: &[u8],
        cache: Option<&CodeCache>,
    ) -> Result<Self, LoadError> {
        admission::admit(component)?;
        let engine = engines::engine(back_end)?;
        let compiled = match cache {
            Some(cache) => cache.compiled(&engine, back_end, package, component),
            None => Component::from_binary(&engine, component),
        };
        let compiled = compiled.map_err(|error| LoadError::Compile(format!("{error:#}")))?;
        let linker = imports::linker(&engine).map_err(|error| LoadError::Compile(format!("{error:#}")))?;
        let instance = linker.instantiate_pre(&compiled).map_err(|error| LoadError::Compile(format!("{error:#}")))?;
        let executor = Self { back_end, instance, exports: Exports::of(&compiled) };
        match executor.with_guest(&mut StateTrie::new(), 0, |_| Ok(())) {
            Ok(()) => Ok(executor),
            Err(Stop::Guest(fault)) => Err(LoadError::Start(fault)),
            Err(Stop::Host(fault)) => Err(LoadError::Host(fault)),
        }
    }

    /// Lends the state to a fresh instance, runs something on it, and takes the state back.
    fn with_guest<T>(
        &self,
        state: &mut StateTrie,
        fuel_max: u64,
        run: impl FnOnce(&mut Guest<'_>) -> Result<T, Stop>,
    ) -> Result<T, Stop> {
        if !is_engine_thread() {
            return Err(Stop::Host(HostFault::SmallStack));
        }
        let host = StepHost::new(std::mem::take(state));
        let mut store = Store::new(self.instance.engine(), GuestStore { host: Some(Box::new(host)), limiter: Limiter });
        store.limiter(|data| &mut data.limiter);
        // Copying out of a guest is bounded by its memory: this other bound must not be met.
        store.set_hostcall_fuel(usize::MAX);
        let result = self.instantiate(&mut store).and_then(|instance| {
            store.set_fuel(fuel_max).map_err(|error| HostFault::Engine(format!("{error:#}")))?;
            run(&mut Guest { store: &mut store, instance, exports: &self.exports, fuel_max })
        });
        *state = store.into_data().take_host().into_state();
        result
    }

    fn instantiate(&self, store: &mut Store<GuestStore>) -> Result<Instance, Stop> {
        store.set_fuel(INSTANTIATION_FUEL_MAX).map_err(|error| HostFault::Engine(format!("{error:#}")))?;
        self.instance.instantiate(store).map_err(stop)
    }

    /// As [`Self::with_guest`], after the trial at loading: an instantiation that fails now is the host's fault.
    fn with_step<T>(
        &self,
        state: &mut StateTrie,
        fuel_max: u64,
        run: impl FnOnce(&mut Guest<'_>) -> Result<T, HostFault>,
    ) -> Result<T, HostFault> {
        let ran = self.with_guest(state, fuel_max, |guest| run(guest).map_err(Stop::Host));
        ran.map_err(|stop| match stop {
            Stop::Host(fault) => fault,
            Stop::Guest(fault) => HostFault::Instantiation(fault.to_string()),
        })
    }
}

impl Executor for WasmExecutor {
    fn describe(&mut self) -> Result<Result<Description, GuestFault>, HostFault> {
        self.with_step(&mut StateTrie::new(), STEP_FUEL_MAX, |guest| guest.describe())
    }

    fn step(&mut self, state: &mut StateTrie, ledger: LedgerId, input: &Input) -> Result<Executed, HostFault> {
        self.with_step(state, STEP_FUEL_MAX, |guest| {
            let answer = guest.step(ledger, input);
            conclude(guest, answer)
        })
    }

    fn view(
        &mut self,
        state: &mut StateTrie,
        name: &str,
        args: &[u8],
    ) -> Result<Result<Vec<u8>, ViewError>, HostFault> {
        self.with_step(state, VIEW_FUEL_MAX, |guest| match guest.view(name, args) {
            Ok(Ok(answer)) => Ok(bounded_answer(answer).map_err(ViewError::Guest)),
            Ok(Err(rejection)) => Ok(Err(ViewError::Rejected(bounded_rejection(rejection)))),
            Err(Stop::Guest(fault)) => Ok(Err(ViewError::Guest(fault))),
            Err(Stop::Host(fault)) => Err(fault),
        })
    }

    fn migrate(
        &mut self,
        state: &mut StateTrie,
        _ledger: LedgerId,
        _input: &Input,
        from: &str,
    ) -> Result<Executed, HostFault> {
        self.with_step(state, MIGRATE_FUEL_MAX, |guest| {
            let answer = guest.migrate(from);
            conclude(guest, answer)
        })
    }

    fn name(&self) -> &'static str {
        self.back_end.name()
    }
}

impl Exports {
    /// Admission has seen all of them.
    fn of(component: &Component) -> Self {
        let index = |name| component.get_export_index(None, name).expect("admission has seen this export");
        Self {
            describe: index("describe"),
            step: index("step"),
            check: index("check"),
            view: index("view"),
            migrate: index("migrate"),
        }
    }
}

/// An instance in the middle of a step.
struct Guest<'a> {
    store: &'a mut Store<GuestStore>,
    instance: Instance,
    exports: &'a Exports,
    fuel_max: u64,
}

impl Guest<'_> {
    fn describe(&mut self) -> Result<Result<Description, GuestFault>, HostFault> {
        self.store.set_hostcall_fuel(DESCRIBE_COPY_BYTES_MAX);
        match self.call::<(), (DescriptionValue,)>(&self.exports.describe, ()) {
            Ok((value,)) => Ok(value.validated()),
            Err(Stop::Guest(fault)) => Ok(Err(fault)),
            Err(Stop::Host(fault)) => Err(fault),
        }
    }

    fn step(&mut self, ledger: LedgerId, input: &Input) -> Answer {
        self.host().enter(Mode::Step);
        let input = InputValue::new(input, seed(ledger, input.seq));
        let (answer,) = self.call::<_, (Result<Vec<u8>, RejectionValue>,)>(&self.exports.step, (input,))?;
        Ok(answer.map_err(Rejection::from))
    }

    fn migrate(&mut self, from: &str) -> Answer {
        self.host().enter(Mode::Migrate);
        let (answer,) = self.call::<_, (Result<Vec<u8>, RejectionValue>,)>(&self.exports.migrate, (from,))?;
        Ok(answer.map_err(Rejection::from))
    }

    fn view(&mut self, name: &str, args: &[u8]) -> Answer {
        self.host().enter(Mode::View);
        let (answer,) = self.call::<_, (Result<Vec<u8>, RejectionValue>,)>(&self.exports.view, (name, args))?;
        Ok(answer.map_err(Rejection::from))
    }

    /// Calls an export. Its results are copied out before the guest's own clean-up runs.
    fn call<Params, Results>(&mut self, export: &ComponentExportIndex, params: Params) -> Result<Results, Stop>
    where
        Params: ComponentNamedList + Lower,
        Results: ComponentNamedList + Lift,
    {
        let function = self.instance.get_typed_func::<Params, Results>(&mut *self.store, export);
        let function = function.map_err(|error| HostFault::Engine(format!("{error:#}")))?;
        function.call(&mut *self.store, params).map_err(stop)
    }
}

impl Running for Guest<'_> {
    fn check(&mut self) -> Result<Result<(), Violation>, Stop> {
        let (answer,) = self.call::<_, (Result<(), ViolationValue>,)>(&self.exports.check, ())?;
        Ok(answer.map_err(Violation::from))
    }

    fn host(&mut self) -> &mut StepHost {
        self.store.data_mut().host.as_mut().expect("only a host call in progress takes it")
    }

    fn fuel_used(&mut self) -> u64 {
        let left = self.store.get_fuel().expect("fuel is switched on");
        self.fuel_max - left
    }

    fn fuel_max(&self) -> u64 {
        self.fuel_max
    }
}

/// What belongs to an instance.
struct GuestStore {
    /// Taken out while a host call reads the guest's memory, which belongs to the same store.
    host: Option<Box<StepHost>>,
    limiter: Limiter,
}

impl GuestStore {
    fn take_host(self) -> StepHost {
        *self.host.expect("only a host call in progress takes it")
    }
}

/// Over a limit, growing answers -1. Within it, growing cannot fail but for the host's reasons.
struct Limiter;

/// Memory or a table that is within its limits did not grow.
#[derive(Debug, thiserror::Error)]
#[error("growing within the limits failed: {0}")]
struct GrowFailed(String);

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, _: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= maximum.map_or(MEMORY_BYTES_MAX, |maximum| maximum.min(MEMORY_BYTES_MAX)))
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        Err(GrowFailed(format!("{error:#}")).into())
    }

    fn table_growing(&mut self, _: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= maximum.map_or(TABLE_ELEMENTS_MAX, |maximum| maximum.min(TABLE_ELEMENTS_MAX)))
    }

    fn table_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        Err(GrowFailed(format!("{error:#}")).into())
    }
}

#[cfg(test)]
mod tests;
