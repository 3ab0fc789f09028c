//! Merging the logs of the nodes by their vector clocks (section 3, H12).
//!
//! In RECONCILE every node tells how far its log goes: its clock and a digest. Logs with one digest agree, and count as
//! one log with the join of their clocks. The log whose clock is after all others holds; if two differ and neither is
//! after the other, they cannot be ordered, and the phase goes back.

use crate::{
    clock::Clock,
    error::{No, Refusal},
    fields::{Fields, bounded},
    ids::{NodeId, Nodes},
    leader,
    machine::State,
    state::{NODES, RUNS, TOMBSTONES},
    turn::Turn,
};
use core::cmp::Ordering;
use reprise_guest::{compact::stored, json::Json};

/// Logs that were reported for one run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Merge {
    /// By which nodes.
    pub nodes: Nodes,
    /// What they say, one for each digest.
    pub heads: Vec<Head>,
    /// A control record that the phase touched is not valid.
    pub invalid: bool,
}
/// Most logs that differ; more are not merged.
const HEADS_MAX: usize = 16;
stored!(Merge { nodes, heads, invalid });

/// How far a log goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// Its clock.
    pub clock: Clock,
    /// Digest of what it says.
    pub digest: String,
}
stored!(Head { clock, digest });

impl Merge {
    /// Takes one more log. What comes of many does not depend on their order: clocks under one digest are joined.
    pub fn add(&mut self, head: Head) {
        if let Some(known) = self.heads.iter_mut().find(|known| known.digest == head.digest) {
            known.clock.join(&head.clock);
        } else if self.heads.len() < HEADS_MAX {
            self.heads.push(head);
        } else {
            self.invalid = true;
        }
    }

    /// The digest of the log that is after all others.
    #[must_use]
    pub fn agreed(&self) -> Option<&str> {
        let after = |head: &&Head, other: &Head| other.clock.compare(&head.clock) == Some(Ordering::Less);
        let holds = |head: &&Head| self.heads.iter().all(|other| other.digest == head.digest || after(head, other));
        self.heads.iter().find(holds).filter(|_| !self.invalid).map(|head| head.digest.as_str())
    }
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
    run.merge.add(Head { clock, digest });
    run.merge.invalid |= !valid;
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
