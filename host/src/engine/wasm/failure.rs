//! Whose fault a failed call is.
//!
//! Never by the text of an error. In this order: our own types, which host calls and the limiter return; the trap code;
//! the types that only the canonical ABI makes of a guest's values. Whatever is left is the host's.
//!
//! The last step needs care. Where a result points outside of memory, has a discriminant that does not exist or is not
//! UTF-8, wasmtime 48 fails without a code: with a bare message, or with the error of the UTF-8 decoder. During a call
//! nothing else fails with a bare message: memory that does not grow comes from our limiter, memory that cannot be
//! allocated is an `OutOfMemory`, a system call an `io::Error`, a full pool a `PoolConcurrencyLimitError`; handles and
//! tasks, which have bare messages, need resources and async, which admission refuses.

use super::GrowFailed;
use crate::engine::{
    executor::{GuestFault, HostFault, Stop},
    traps::{Meaning, meaning},
};
use reprise_abi::TrapKind;
use std::{str::Utf8Error, string::FromUtf8Error};
use wasmtime::{Error, PoolConcurrencyLimitError, Trap, error::OutOfMemory};

/// What a failed call or instantiation means.
pub(super) fn stop(error: Error) -> Stop {
    if let Some(fault) = error.downcast_ref::<GuestFault>() {
        return Stop::Guest(*fault);
    }
    if error.is::<GrowFailed>() || error.is::<OutOfMemory>() {
        return Stop::Host(HostFault::OutOfMemory(format!("{error:#}")));
    }
    if error.is::<PoolConcurrencyLimitError>() {
        return Stop::Host(HostFault::PoolFull(format!("{error:#}")));
    }
    if let Some(trap) = error.downcast_ref::<Trap>() {
        return trapped(*trap, &error);
    }
    if is_bad_value(&error) {
        return Stop::Guest(GuestFault::Trapped(TrapKind::BadValue));
    }
    Stop::Host(HostFault::Engine(format!("{error:#}")))
}

fn trapped(trap: Trap, error: &Error) -> Stop {
    match meaning(trap) {
        Meaning::Guest(fault) => Stop::Guest(fault),
        Meaning::Host if trap == Trap::StackOverflow => Stop::Host(HostFault::StackOverflow),
        Meaning::Host | Meaning::SwitchedOff => Stop::Host(HostFault::Engine(format!("{error:#}"))),
    }
}

/// A message with something beneath it is somebody's account of another failure: not this.
fn is_bad_value(error: &Error) -> bool {
    if error.chain().count() != 1 {
        return false;
    }
    error.is::<&'static str>() || error.is::<String>() || error.is::<Utf8Error>() || error.is::<FromUtf8Error>()
}

#[cfg(test)]
mod tests;
