//! Typed state and typed events: what a policy works with instead of bytes.
//!
//! [`Cell`] is one value under one key, [`Map`] many values under one prefix. Keys are order-preserving and prefix-free
//! ([`StateKey`]), values are postcard, so equal values are equal bytes and a scan comes in the order of the keys.
//! [`event()`] reads an input into an enum: the kind chooses the variant, the payload is the variant's JSON.

mod event;
pub mod json;
mod key;
mod state;

pub use event::{event, object, payload};
pub use key::StateKey;
pub use state::{Cell, CorruptState, Map, Scan};

#[cfg(test)]
mod tests;
