//! What a policy may ask of its host: the Rust face of the WIT imports.

use reprise_abi::{Effect, Timer};

/// How urgent a log message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum LogLevel {
    /// For the author.
    Debug = 0,
    /// For the operator, when asked.
    Info = 1,
    /// For the operator.
    Warn = 2,
    /// For the operator, now.
    Error = 3,
}

/// Part of the entries with a prefix.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Keys and values, in key order.
    pub entries: Vec<(Vec<u8>, Vec<u8>)>,
    /// Entries remain after the last one given.
    pub more: bool,
}

/// Host calls. None of them returns an error: what goes over a limit ends the step, and the receipt says which limit.
pub trait Host {
    /// The value under a key.
    fn get(&mut self, key: &[u8]) -> Option<Vec<u8>>;
    /// Stores a value.
    fn put(&mut self, key: &[u8], value: &[u8]);
    /// Removes a key; nothing happens if it is not there.
    fn delete(&mut self, key: &[u8]);
    /// At most `limit` entries that begin with `prefix` and sort after `after`.
    fn scan(&mut self, prefix: &[u8], after: Option<&[u8]>, limit: u32) -> Page;
    /// Records an effect: the outside world should do something once the step is durable.
    ///
    /// What becomes of it comes back as an input: see [`HostEvent`](crate::HostEvent).
    fn emit(&mut self, effect: Effect);
    /// Sets or replaces a timer: an input to oneself at a logical time.
    ///
    /// It comes back as an input: see [`HostEvent`](crate::HostEvent).
    fn set_timer(&mut self, timer: Timer);
    /// Forgets a timer.
    fn cancel_timer(&mut self, id: &str);
    /// A message for people.
    fn log(&mut self, level: LogLevel, message: &str);
}
