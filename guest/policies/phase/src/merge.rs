//! Merging the logs of the nodes by their vector clocks (section 3, H12).
//!
//! In RECONCILE every node tells how far its log goes: its clock and a digest. Logs with one digest agree, and count as
//! one log with the join of their clocks. The log whose clock is after all others holds; if two differ and neither is
//! after the other, they cannot be ordered, and the phase goes back.
//!
//! The heads lie beside the run, so that only the steps that merge them pay for their clocks. More than [`HEADS_MAX`]
//! logs that differ, or a join of more than [`CLOCK_MAX`](crate::params::CLOCK_MAX) entries, are not merged: the phase
//! goes back, and no step runs out of fuel.

use crate::{
    clock::Clock,
    error::{No, Refusal},
    fields::{Fields, bounded},
    ids::{NodeId, Nodes},
    leader,
    machine::State,
    state::{HEADS, NODES, RUNS, TOMBSTONES},
    turn::Turn,
};
use core::cmp::Ordering;
use reprise_guest::{compact::stored, json::Json};

/// Logs that were reported for one run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Merge {
    /// By which nodes.
    pub nodes: Nodes,
    /// Digest of the log that is after all others, once a majority has told.
    pub digest: String,
    /// The logs cannot be merged, or a control record that the phase touched is not valid.
    pub invalid: bool,
}
stored!(Merge { nodes, digest, invalid });

/// Most logs that differ.
pub const HEADS_MAX: usize = 4;

/// How far a log goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// Its clock.
    pub clock: Clock,
    /// Digest of what it says.
    pub digest: String,
}
stored!(Head { clock, digest });

/// Takes one more log; whether it can be merged. What comes of many does not depend on their order: clocks under one
/// digest are joined.
pub fn add(heads: &mut Vec<Head>, head: Head) -> bool {
    if let Some(known) = heads.iter_mut().find(|known| known.digest == head.digest) {
        return known.clock.join(&head.clock);
    }
    heads.push(head);
    heads.len() <= HEADS_MAX
}

/// The log that is after all others.
#[must_use]
pub fn agreed(heads: Vec<Head>) -> Option<String> {
    let after = |head: &Head, other: &Head| other.clock.compare(&head.clock) == Some(Ordering::Less);
    let holds = |head: &Head| heads.iter().all(|other| other.digest == head.digest || after(head, other));
    let at = heads.iter().position(holds)?;
    heads.into_iter().nth(at).map(|head| head.digest)
}

/// A node tells how far its log goes, and whether all control records it touched are valid.
///
/// # Errors
/// [`No::UnknownNode`], [`No::NodeLeft`], [`No::LogReadOnly`], [`No::UnknownRun`], [`No::WrongState`],
/// [`No::StaleToken`], [`No::Repeated`], [`No::BadClock`], [`No::BadText`], malformed.
pub fn head(turn: &mut Turn<'_>, fields: &mut Fields) -> Result<Json, Refusal> {
    let (node_id, id, mut run) = leader::fenced(turn, fields)?;
    let (clock, digest): (_, String) = (Clock::taken(fields)?, fields.take("digest")?);
    let valid: bool = fields.take("valid")?;
    fields.end()?;
    bounded("digest", &digest)?;
    if run.state != State::Reconcile {
        return Err(No::WrongState.says(&[run.state.name()]));
    }
    if !run.merge.nodes.add(node_id) {
        return Err(No::Repeated.node(node_id));
    }
    let mut heads = HEADS.or_default(turn.host, &id)?;
    run.merge.invalid |= !add(&mut heads, Head { clock, digest }) || !valid;
    if run.merge.invalid {
        heads.clear();
    }
    HEADS.put(turn.host, &id, &heads);
    RUNS.put(turn.host, &id, &run);
    turn.touch(id);
    Ok(Json::object())
}

/// An archived log of a node whose clock was pruned is read again: its last clock has to be the one of the tombstone.
///
/// # Errors
/// [`No::NoTombstone`], [`No::BadClock`], [`No::ForensicMismatch`], malformed.
pub fn reingest(turn: &mut Turn<'_>, fields: &mut Fields) -> Result<Json, Refusal> {
    let node: NodeId = fields.take("node")?;
    let clock = Clock::taken(fields)?;
    fields.end()?;
    let proof = match TOMBSTONES.get(turn.host, &node)? {
        Some(proof) => proof,
        // Not pruned yet: what is kept proves as much.
        None => match NODES.get(turn.host, &node)? {
            Some(kept) if kept.left_ms.is_some() => kept.vc_hash,
            _ => return Err(No::NoTombstone.node(node)),
        },
    };
    if clock.hash() != proof {
        return Err(No::ForensicMismatch.node(node));
    }
    let mut answer = Json::object();
    answer.flag("verified", true);
    Ok(answer)
}

#[cfg(test)]
mod tests;
