//! The SDK for recovery policies: typed state, typed events, one trait; native and guest from one source.
//!
//! A policy is one `impl Policy`. [`export_policy!`] turns it into a component for the sandbox; [`NativePolicy::of`]
//! turns the same code into something the host can run without one; [`testing::MemoryHost`] runs it in a unit test.
//! `README.md` beside this crate shows a whole small policy.

pub mod compact;
pub mod host;
pub mod host_event;
pub mod json;
mod never;
pub mod policy;
pub mod rejection;
pub mod text;
pub mod typed;
pub mod wire;

#[cfg(target_family = "wasm")]
pub mod component;
#[cfg(not(target_family = "wasm"))]
pub mod testing;

pub use host::{Host, LogLevel, Page};
pub use host_event::HostEvent;
pub use policy::{NativePolicy, Policy, StepInput};
pub use reprise_abi as abi;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeExamples;

/// Exports a [`Policy`] as a component of the world `reprise:policy/policy`.
///
/// Once in a crate of the type `cdylib`. Natively it expands to nothing, so that the same source is also an `rlib`.
#[macro_export]
macro_rules! export_policy {
    ($policy:ty) => {
        #[cfg(target_family = "wasm")]
        const _: () = {
            $crate::component_exports!($crate::component::Component<$policy>);
        };
    };
}
