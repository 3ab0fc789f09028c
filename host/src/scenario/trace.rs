//! Golden traces: what a run did, one line per step, held by a committed file.
//!
//! ```text
//! reprise trace v1
//! <seq> <kind> <outcome> <code> calls=<n> fuel=<n> state=<16 digits> execution=<16 digits>
//! ...
//! steps=<n> digest=<64 digits>
//! ```
//!
//! A changed policy, engine or ledger shows in the first line that differs; the digest is over every step, with the
//! roots in full, those that have no line included.

use super::played::{Played, Step};
use std::fmt::Write;

/// Steps that have a line of their own.
pub const TRACE_LINES_MAX: usize = 200;

/// First line of a trace.
const HEADER: &str = "reprise trace v1";

/// The trace of a run, as the text of a file.
#[must_use]
pub fn trace(played: &Played) -> String {
    let mut text = format!("{HEADER}\n");
    let mut digest = blake3::Hasher::new_derive_key("reprise 2026 golden trace v1");
    let mut steps = 0;
    for (step, kind) in played.steps_with_kinds() {
        let (state, execution) =
            (step.sealed.receipt.next_state.to_string(), step.sealed.receipt.execution.to_string());
        digest.update(line(step, kind, &state, &execution).as_bytes());
        if steps < TRACE_LINES_MAX {
            text.push_str(&line(step, kind, &state[..16], &execution[..16]));
        }
        steps += 1;
    }
    let _ = writeln!(text, "steps={steps} digest={}", digest.finalize().to_hex());
    text
}

fn line(step: &Step, kind: &str, state: &str, execution: &str) -> String {
    let receipt = &step.sealed.receipt;
    let (class, calls) = (receipt.class.name().replace(' ', "_"), step.calls);
    let (seq, code, fuel) = (receipt.seq, receipt.code, receipt.fuel);
    format!("{seq} {kind} {class} {code} calls={calls} fuel={fuel} state={state} execution={execution}\n")
}
