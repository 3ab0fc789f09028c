//! Every event is in the log once, however often it was submitted.

use crate::{node::Machine, workload::Workload};
use reprise_abi::{Event, Input, decode_canonical};
use std::collections::BTreeMap;

#[derive(Default)]
pub struct Once;

impl Once {
    /// An event is known by what it says: its id may be what is wrong.
    pub fn check_end(&self, machine: &Machine, work: &Workload) -> Result<(), String> {
        let Some((node, entry)) = machine.ledger() else { return Ok(()) };
        let text = |error: &dyn std::fmt::Display| error.to_string();
        let reader = node.journal().read(entry.no).map_err(|error| text(&error))?;
        let of = |event: &Event| (event.source.clone(), event.kind.clone(), event.payload.clone());
        let mut found = BTreeMap::<_, i64>::new();
        for seq in 0..reader.size().map_err(|error| text(&error))? {
            let input = reader.input(seq).ok().flatten().ok_or_else(|| format!("input {seq} cannot be read"))?;
            let input: Input = decode_canonical(&input).map_err(|error| text(&error))?;
            *found.entry(of(&input.event)).or_default() += 1;
        }
        for event in work.submitted() {
            *found.entry(of(&event)).or_default() -= 1;
        }
        let wrong = |((source, kind, _), count): (&(String, String, Vec<u8>), &i64)| {
            let is_ours = !kind.starts_with("reprise.");
            (is_ours && *count != 0).then(|| format!("an event `{kind}` of {source} is there {count} times too often"))
        };
        found.iter().find_map(wrong).map_or(Ok(()), Err)
    }
}
