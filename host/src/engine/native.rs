//! Native policies: the same source as the guest, compiled into this program.
//!
//! An independent check of the compiler and of the sandbox, and a fast way to try a policy. There is no sandbox here:
//! it runs only what was built in. There is no fuel: receipts of native steps are compared without it, and a step that
//! runs out of fuel as a guest has another outcome here.

use super::{
    executor::{Answer, Executor, GuestFault, HostFault, Running, Stop, ViewError},
    step::{bounded_answer, bounded_rejection, conclude, seed},
    step_host::{EffectRef, Mode, StepHost},
};
use reprise_abi::{Canonical, Description, Effect, Input, Timer, TrapKind, Violation};
use reprise_guest::{Host, LogLevel, NativePolicy, Page, StepInput};
use reprise_receipts::{Executed, LedgerId, StateTrie};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Runs a policy that is part of this program.
pub struct NativeExecutor {
    policy: NativePolicy,
}

impl NativeExecutor {
    /// Runs this policy.
    #[must_use]
    pub const fn new(policy: NativePolicy) -> Self {
        Self { policy }
    }

    /// Lends the state to a step host, runs something over it, and takes the state back.
    fn with_host<T>(&self, state: &mut StateTrie, run: impl FnOnce(&mut NativeRun) -> T) -> T {
        let mut native = NativeRun { policy: self.policy, host: StepHost::new(std::mem::take(state)) };
        let result = run(&mut native);
        *state = native.host.into_state();
        result
    }
}

impl Executor for NativeExecutor {
    fn describe(&mut self) -> Result<Result<Description, GuestFault>, HostFault> {
        let description = match caught(self.policy.describe) {
            Ok(description) => description,
            Err(fault) => return Ok(Err(fault)),
        };
        let valid = description.validate().is_ok();
        Ok(if valid { Ok(description) } else { Err(GuestFault::Trapped(TrapKind::BadValue)) })
    }

    fn step(&mut self, state: &mut StateTrie, ledger: LedgerId, input: &Input) -> Result<Executed, HostFault> {
        self.with_host(state, |run| {
            let answer = run.step(ledger, input);
            conclude(run, answer)
        })
    }

    fn view(
        &mut self,
        state: &mut StateTrie,
        name: &str,
        args: &[u8],
    ) -> Result<Result<Vec<u8>, ViewError>, HostFault> {
        let viewed = self.with_host(state, |run| {
            let view = run.policy.view;
            run.call(Mode::View, |host| view(host, name, args))
        });
        Ok(match viewed {
            Ok(Ok(answer)) => bounded_answer(answer).map_err(ViewError::Guest),
            Ok(Err(rejection)) => Err(ViewError::Rejected(bounded_rejection(rejection))),
            Err(fault) => Err(ViewError::Guest(fault)),
        })
    }

    fn migrate(
        &mut self,
        state: &mut StateTrie,
        _ledger: LedgerId,
        _input: &Input,
        from: &str,
    ) -> Result<Executed, HostFault> {
        self.with_host(state, |run| {
            let migrate = run.policy.migrate;
            let answer = run.call(Mode::Migrate, |host| migrate(host, from)).map_err(Stop::from);
            conclude(run, answer)
        })
    }

    fn name(&self) -> &'static str {
        "native"
    }
}

/// A native policy in the middle of a step.
struct NativeRun {
    policy: NativePolicy,
    host: StepHost,
}

impl NativeRun {
    fn step(&mut self, ledger: LedgerId, input: &Input) -> Answer {
        let event = input.event.clone();
        let input = StepInput {
            seq: input.seq,
            epoch: input.epoch,
            logical_time_ms: input.logical_time_ms,
            id: event.id,
            source: event.source,
            kind: event.kind,
            payload: event.payload,
            seed: seed(ledger, input.seq),
        };
        let step = self.policy.step;
        Ok(self.call(Mode::Step, |host| step(host, &input))?)
    }

    fn call<T>(&mut self, mode: Mode, run: impl FnOnce(&mut dyn Host) -> T) -> Result<T, GuestFault> {
        self.host.enter(mode);
        caught(|| run(&mut NativeHost(&mut self.host)))
    }
}

impl Running for NativeRun {
    fn check(&mut self) -> Result<Result<(), Violation>, Stop> {
        let check = self.policy.check;
        Ok(caught(|| check(&mut NativeHost(&mut self.host)))?)
    }

    fn host(&mut self) -> &mut StepHost {
        &mut self.host
    }

    fn fuel_used(&mut self) -> u64 {
        0
    }

    fn fuel_max(&self) -> u64 {
        0
    }
}

/// Runs a policy's function. A host call that ends the step unwinds with its [`GuestFault`]; any other panic is the
/// policy's, which as a guest would be an `unreachable`.
fn caught<T>(run: impl FnOnce() -> T) -> Result<T, GuestFault> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|panic| match panic.downcast::<GuestFault>() {
        Ok(fault) => *fault,
        Err(_) => GuestFault::Trapped(TrapKind::Unreachable),
    })
}

/// The step host as policies see it.
struct NativeHost<'a>(&'a mut StepHost);

/// Ends the step from within a host call. `resume_unwind` does not print anything, unlike a panic.
fn carried_out<T>(result: Result<T, GuestFault>) -> T {
    result.unwrap_or_else(|fault| resume_unwind(Box::new(fault)))
}

impl Host for NativeHost<'_> {
    fn get(&mut self, key: &[u8]) -> Option<Vec<u8>> {
        carried_out(self.0.get(key)).map(<[u8]>::to_vec)
    }

    fn put(&mut self, key: &[u8], value: &[u8]) {
        carried_out(self.0.put(key, value));
    }

    fn delete(&mut self, key: &[u8]) {
        carried_out(self.0.delete(key));
    }

    fn scan(&mut self, prefix: &[u8], after: Option<&[u8]>, limit: u32) -> Page {
        carried_out(self.0.scan(prefix, after, limit)).page
    }

    fn emit(&mut self, effect: Effect) {
        let undo = effect.compensator.as_ref();
        let effect = EffectRef {
            idempotency_key: &effect.idempotency_key,
            driver: &effect.driver,
            deadline_ms: effect.deadline_ms,
            payload: &effect.payload,
            compensator: undo.map(|undo| (undo.driver.as_str(), undo.payload.as_slice())),
        };
        carried_out(self.0.emit(&effect));
    }

    fn set_timer(&mut self, timer: Timer) {
        carried_out(self.0.set_timer(&timer.id, timer.due_ms, &timer.payload));
    }

    fn cancel_timer(&mut self, id: &str) {
        carried_out(self.0.cancel_timer(id));
    }

    fn log(&mut self, level: LogLevel, message: &str) {
        carried_out(self.0.log(level, message));
    }
}

#[cfg(test)]
mod tests;
