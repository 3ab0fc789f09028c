//! The guest side of the sandbox: a [`Host`] over the WIT imports and the exports of the world `policy`.

use crate::{
    host::{Host, LogLevel, Page},
    policy::{Policy, StepInput},
};
use core::marker::PhantomData;
use lol_alloc::{LeakingAllocator, LockedAllocator};
use reprise_abi::{Effect, Rejection, Timer};

/// What `wit-bindgen` makes of `abi/wit/policy.wit`: the canonical ABI, hence the only unsafe code of a policy.
#[allow(unsafe_code, missing_docs, clippy::all)]
pub mod bindings {
    wit_bindgen::generate!({
        world: "policy",
        path: "../abi/wit",
        runtime_path: "::wit_bindgen::rt",
        pub_export_macro: true,
        export_macro_name: "export_world",
        default_bindings_module: "reprise_guest::component::bindings",
    });
}

use bindings::{
    Guest,
    reprise::policy::{effects, log, state, timers, types},
};

/// Every step has an instance of its own, so memory need never be given back: allocation is an addition.
#[global_allocator]
static ALLOCATOR: LockedAllocator<LeakingAllocator> = LockedAllocator::new(LeakingAllocator::new());

/// Used by [`export_policy!`](crate::export_policy): the exported functions of a component.
#[doc(hidden)]
#[macro_export]
macro_rules! component_exports {
    ($component:ty) => {
        #[allow(unsafe_code)]
        const _: () = {
            type Exported = $component;
    $crate::component::bindings::export_world!(Exported with_types_in $crate::component::bindings);
        };
    };
}

/// A policy behind the exports of the world.
#[derive(Debug)]
pub struct Component<P>(PhantomData<P>);

impl<P: Policy> Guest for Component<P> {
    fn describe() -> types::Description {
        let description = P::describe();
        types::Description {
            name: description.name,
            version: description.version,
            input_kinds: description.input_kinds,
            views: description.views,
            rejections: description
                .rejections
                .into_iter()
                .map(|rejection| types::RejectionCode { code: rejection.code, name: rejection.name })
                .collect(),
            governed: description
                .governed
                .into_iter()
                .map(|rule| types::GovernedRule { name: rule.name, digest: rule.digest.to_vec() })
                .collect(),
        }
    }

    fn step(input: types::Input) -> Result<Vec<u8>, types::Rejection> {
        let (a, b, c, d) = input.seed;
        let input = StepInput {
            seq: input.seq,
            epoch: input.epoch,
            logical_time_ms: input.logical_time_ms,
            id: input.id,
            source: input.source,
            kind: input.kind,
            payload: input.payload,
            seed: [a, b, c, d],
        };
        P::step(&mut WitHost, &input).map_err(rejection)
    }

    fn check() -> Result<(), types::Violation> {
        P::check(&mut WitHost)
            .map_err(|violation| types::Violation { invariant: violation.invariant, detail: violation.detail })
    }

    fn view(name: String, args: Vec<u8>) -> Result<Vec<u8>, types::Rejection> {
        P::view(&mut WitHost, &name, &args).map_err(rejection)
    }

    fn migrate(from: String) -> Result<Vec<u8>, types::Rejection> {
        P::migrate(&mut WitHost, &from).map_err(rejection)
    }
}

fn rejection(rejection: Rejection) -> types::Rejection {
    types::Rejection { code: rejection.code, detail: rejection.detail }
}

/// The host on the other side of the sandbox.
#[derive(Clone, Copy, Debug)]
pub struct WitHost;

impl Host for WitHost {
    fn get(&mut self, key: &[u8]) -> Option<Vec<u8>> {
        state::get(key)
    }

    fn put(&mut self, key: &[u8], value: &[u8]) {
        state::put(key, value);
    }

    fn delete(&mut self, key: &[u8]) {
        state::delete(key);
    }

    fn scan(&mut self, prefix: &[u8], after: Option<&[u8]>, limit: u32) -> Page {
        let page = state::scan(prefix, after, limit);
        Page { entries: page.entries.into_iter().map(|entry| (entry.key, entry.value)).collect(), more: page.more }
    }

    fn emit(&mut self, effect: Effect) {
        let compensator = effect.compensator.map(|c| effects::Compensator { driver: c.driver, payload: c.payload });
        effects::emit(&effects::Effect {
            idempotency_key: effect.idempotency_key,
            driver: effect.driver,
            deadline_ms: effect.deadline_ms,
            payload: effect.payload,
            compensator,
        });
    }

    fn set_timer(&mut self, timer: Timer) {
        timers::set(&timer.id, timer.due_ms, &timer.payload);
    }

    fn cancel_timer(&mut self, id: &str) {
        timers::cancel(id);
    }

    fn log(&mut self, level: LogLevel, message: &str) {
        let level = match level {
            LogLevel::Debug => log::Level::Debug,
            LogLevel::Info => log::Level::Info,
            LogLevel::Warn => log::Level::Warn,
            LogLevel::Error => log::Level::Error,
        };
        log::write(level, message);
    }
}
