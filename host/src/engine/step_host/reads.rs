//! What a step reads of the state, for whoever makes or uses a witness.
//!
//! Recording is a property of the thread for as long as [`record_reads`] runs: an engine thread does one step at a time,
//! and nothing between a runner and a step host has to know of it. When it is off, a read costs one comparison.

use reprise_receipts::{system::POLICY_NAMESPACE, witness::Read};
use std::cell::RefCell;

thread_local! {
    /// What was reported so far, when somebody listens.
    static REPORTED: RefCell<Option<Vec<Read>>> = const { RefCell::new(None) };
}

/// Runs `step` and says what the policies that it ran on this thread have read of the state. Reads of the ledger's own
/// keys are not among them: see [`reprise_receipts::system::reads`].
pub fn record_reads<T>(step: impl FnOnce() -> T) -> (T, Vec<Read>) {
    REPORTED.set(Some(Vec::new()));
    let done = step();
    (done, REPORTED.take().unwrap_or_default())
}

/// Reads of one step; `None` when nobody listens.
pub(super) struct Reads(Option<Vec<Read>>);

impl Reads {
    pub(super) fn begin() -> Self {
        Self(REPORTED.with_borrow(|reported| reported.is_some().then(Vec::new)))
    }

    /// The value of a whole key was asked for.
    pub(super) fn get(&mut self, key: &[u8]) {
        if let Some(reads) = &mut self.0 {
            reads.push(Read::Get { key: key.to_vec() });
        }
    }

    /// A policy's scan asked for so many entries.
    pub(super) fn scan(&mut self, prefix: &[u8], after: Option<&[u8]>, pulls: u32) {
        if let Some(reads) = &mut self.0 {
            let full = |key: &[u8]| [&[POLICY_NAMESPACE], key].concat();
            reads.push(Read::Scan { prefix: full(prefix), after: after.map(full), pulls });
        }
    }

    pub(super) fn report(self) {
        let Some(mut reads) = self.0 else { return };
        REPORTED.with_borrow_mut(|reported| {
            if let Some(reported) = reported {
                reported.append(&mut reads);
            }
        });
    }
}
