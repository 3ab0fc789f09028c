//! Panics at the boundary of a thread: a broken invariant of ours ends the work, never without a word of it.

use std::{
    any::Any,
    fmt::Display,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// Does some work. Whoever calls uses nothing again that the work had in its hands.
///
/// # Errors
/// It panicked: what it said.
pub(crate) fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| text(&*panic))
}

/// Does some work for whoever waits for its result: a panic is a reason like any other.
///
/// # Errors
/// Why not, for people.
pub(crate) fn told<T, E: Display>(work: impl FnOnce() -> Result<T, E>) -> Result<T, String> {
    caught(work)?.map_err(|error| error.to_string())
}

/// What a panic said.
pub(crate) fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "it panicked".to_owned())
}
