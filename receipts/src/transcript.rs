//! The transcript of a step: every host call with its arguments and its answer, then the outcome. Its digest is the
//! execution root of the receipt.
//!
//! ```text
//! execution root = derive_key("reprise 2026 transcript v1", entry* end)
//!
//! entry = 01                                       the policy's `step` begins
//!       | 02                                       its `check` begins
//!       | 03                                       its `migrate` begins
//!       | 10 bytes(key) option(bytes(value))       get
//!       | 11 bytes(key) bytes(value)               put
//!       | 12 bytes(key)                            delete
//!       | 13 bytes(prefix) option(bytes(after)) u32(limit)
//!            u32(count) (bytes(key) bytes(value))* bool(more)                                     scan
//!       | 20 bytes(idempotency key) bytes(driver) u64(deadline) bytes(payload)
//!            option(bytes(driver) bytes(payload))                                                 emit
//!       | 30 bytes(id) u64(due) bytes(payload)     set a timer
//!       | 31 bytes(id)                             cancel a timer
//!       | 40 u8(level) bytes(message)              log; debug 0, info 1, warn 2, error 3
//! end   = f0 bytes(answer)                         accepted
//!       | f1 u32(code) bytes(detail)               rejected
//!       | f2 u32(kind)                             trapped
//!       | f3                                       out of fuel
//!       | f4 u32(kind)                             limit exceeded
//!       | f5 bytes(invariant) bytes(detail)        invariant violated
//!
//! bytes(b)  = u32(length of b) b
//! option(x) = 00 | 01 x            bool = 00 | 01            integers little-endian
//! ```
//!
//! Keys are the policy's, without the namespace byte. Every entry is delimited by itself, so that two different
//! sequences never have the same bytes.
//!
//! A call is written when it has been answered. The call during which a step ends (over a limit, not allowed, without
//! fuel) is not in it, unless it is its answer that the fuel does not suffice for: the outcome says what happened, and
//! where it happened follows from the calls before. What a guest does between two calls is a function of the answers,
//! and the fuel at which it stops is the same on every back end, so the calls before a trap are as repeatable as those
//! of an accepted step. Native execution has no fuel: it agrees with a guest on everything but steps that run out of it.

use crate::digest::ExecutionRoot;
use reprise_abi::{Effect, Outcome, Timer};
use std::sync::LazyLock;

const CONTEXT: &str = "reprise 2026 transcript v1";
/// What is hashed at once. Long enough for BLAKE3 to work on several chunks in parallel.
const BUFFER_BYTES: usize = 16 * 1024;

/// Deriving the key of the context costs as much as hashing a short transcript: it is done once.
static EMPTY: LazyLock<blake3::Hasher> = LazyLock::new(|| blake3::Hasher::new_derive_key(CONTEXT));

/// Which function of the policy runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Call {
    /// One input.
    Step = 0x01,
    /// The invariants, after it.
    Check = 0x02,
    /// From an older version.
    Migrate = 0x03,
}

/// A transcript that is being written.
#[derive(Clone, Default)]
pub struct Transcript {
    /// Not hashed yet.
    buffer: Vec<u8>,
    /// What the buffer has been emptied into; most transcripts never need it.
    hasher: Option<Box<blake3::Hasher>>,
    /// Host calls in it.
    calls: u64,
}

impl Transcript {
    /// Without entries.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The host calls one of the policy's functions.
    pub fn enter(&mut self, call: Call) {
        self.tag(call as u8);
    }

    /// The policy read a key.
    pub fn get(&mut self, key: &[u8], value: Option<&[u8]>) {
        self.call(0x10).bytes(key).option(value, Self::bytes);
    }

    /// The policy wrote a key.
    pub fn put(&mut self, key: &[u8], value: &[u8]) {
        self.call(0x11).bytes(key).bytes(value);
    }

    /// The policy removed a key.
    pub fn delete(&mut self, key: &[u8]) {
        self.call(0x12).bytes(key);
    }

    /// The policy read a page of keys.
    pub fn scan<'a>(
        &mut self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: u32,
        entries: impl ExactSizeIterator<Item = (&'a [u8], &'a [u8])>,
        more: bool,
    ) {
        self.call(0x13).bytes(prefix).option(after, Self::bytes).u32(limit).len(entries.len());
        for (key, value) in entries {
            self.bytes(key).bytes(value);
        }
        self.tag(u8::from(more));
    }

    /// The policy recorded an effect.
    pub fn emit(&mut self, effect: &Effect) {
        self.call(0x20).text(&effect.idempotency_key).text(&effect.driver);
        self.u64(effect.deadline_ms).bytes(&effect.payload);
        self.option(effect.compensator.as_ref(), |to, undo| to.text(&undo.driver).bytes(&undo.payload));
    }

    /// The policy set a timer.
    pub fn set_timer(&mut self, timer: &Timer) {
        self.call(0x30).text(&timer.id).u64(timer.due_ms).bytes(&timer.payload);
    }

    /// The policy forgot a timer.
    pub fn cancel_timer(&mut self, id: &str) {
        self.call(0x31).text(id);
    }

    /// The policy wrote a message. Levels: debug 0, info 1, warn 2, error 3.
    pub fn log(&mut self, level: u8, message: &str) {
        self.call(0x40).tag(level).text(message);
    }

    /// Host calls so far.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.calls
    }

    /// Ends it. This is the execution root of the step.
    #[must_use]
    pub fn finish(mut self, outcome: &Outcome) -> ExecutionRoot {
        match outcome {
            Outcome::Accepted { answer } => self.tag(0xf0).bytes(answer),
            Outcome::Rejected(rejection) => self.tag(0xf1).u32(rejection.code).text(&rejection.detail),
            Outcome::Trapped(kind) => self.tag(0xf2).u32(*kind as u32),
            Outcome::OutOfFuel => self.tag(0xf3),
            Outcome::LimitExceeded(kind) => self.tag(0xf4).u32(*kind as u32),
            Outcome::InvariantViolated(violation) => self.tag(0xf5).text(&violation.invariant).text(&violation.detail),
        };
        let mut hasher = self.hasher.map_or_else(|| EMPTY.clone(), |hasher| *hasher);
        ExecutionRoot::from_bytes(hasher.update(&self.buffer).finalize().into())
    }

    fn call(&mut self, tag: u8) -> &mut Self {
        self.calls += 1;
        self.tag(tag)
    }

    fn tag(&mut self, tag: u8) -> &mut Self {
        self.write(&[tag])
    }

    fn u32(&mut self, number: u32) -> &mut Self {
        self.write(&number.to_le_bytes())
    }

    fn u64(&mut self, number: u64) -> &mut Self {
        self.write(&number.to_le_bytes())
    }

    fn len(&mut self, len: usize) -> &mut Self {
        self.u32(u32::try_from(len).expect("the limits of the contract are far below 4 GiB"))
    }

    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.len(bytes.len()).write(bytes)
    }

    fn text(&mut self, text: &str) -> &mut Self {
        self.bytes(text.as_bytes())
    }

    fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T) -> &mut Self) -> &mut Self {
        match value {
            None => self.tag(0),
            Some(value) => write(self.tag(1), value),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> &mut Self {
        if self.buffer.len() + bytes.len() > BUFFER_BYTES {
            self.flush();
        }
        if bytes.len() > BUFFER_BYTES {
            self.hasher().update(bytes);
        } else {
            self.buffer.extend_from_slice(bytes);
        }
        self
    }

    fn flush(&mut self) {
        let buffer = core::mem::take(&mut self.buffer);
        self.hasher().update(&buffer);
        self.buffer = buffer;
        self.buffer.clear();
    }

    fn hasher(&mut self) -> &mut blake3::Hasher {
        self.hasher.get_or_insert_with(|| Box::new(EMPTY.clone()))
    }
}

impl core::fmt::Debug for Transcript {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Transcript").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
