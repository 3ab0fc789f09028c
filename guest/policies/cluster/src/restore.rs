//! Restoration from a snapshot (3.3): authority, integrity, halt, every node, verification, resume.
//!
//! An admin has the authority. Integrity is the snapshot driver's word for the digest that was registered. The halt is
//! an emergency halt like any other, so a second operator confirms it, unless everything is halted already.

use crate::{
    error::No,
    events::{self, Fields, NewSnapshot},
    halt, incident,
    order::Order,
    params::{LIST_MAX, ORDERS_MAX},
    state::{INCIDENT, NODES, Node, NodeId, Phase, RESTORATION, SNAPSHOTS},
    turn::{self, NODE_AGENT, To, Turn, text, verb},
    verify,
};
use reprise_guest::{
    abi::Rejection,
    compact::{stored, stored_enum},
    json::Json,
};

/// A snapshot that can be restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Its name.
    pub name: String,
    /// When it was taken, in ticks.
    pub tick: u64,
    /// Digest of the state in it, as nodes report it.
    pub digest: String,
}
stored!(Snapshot { name, tick, digest });

/// The snapshots that are remembered, the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshots {
    /// At most [`LIST_MAX`].
    pub known: Vec<Snapshot>,
}
stored!(Snapshots { known });

/// How far a restoration is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Its integrity is being checked.
    Checking,
    /// The second operator, then the acknowledgements are waited for.
    AwaitingHalt,
    /// Nodes are being restored, then verified.
    Restoring,
    /// Operations have resumed.
    Done,
}
stored_enum!(Stage);

impl Stage {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Checking, Self::AwaitingHalt, Self::Restoring, Self::Done];

    /// Its name in views.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Checking => "checking",
            Self::AwaitingHalt => "awaiting_halt",
            Self::Restoring => "restoring",
            Self::Done => "done",
        }
    }
}

/// A restoration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restoration {
    /// Number of the order that checked its snapshot: its name.
    pub number: u64,
    /// The snapshot.
    pub snapshot: Snapshot,
    /// The admin.
    pub operator: String,
    /// How far it is.
    pub stage: Stage,
    /// The last node that was asked.
    pub after: Option<NodeId>,
    /// Nodes that were asked and have not answered.
    pub flying: u32,
    /// Nodes that were restored.
    pub restored: u32,
    /// Nodes that could not be.
    pub failed: u32,
}
stored!(Restoration { number, snapshot, operator, stage, after, flying, restored, failed });

/// Remembers a known-good snapshot.
///
/// # Errors
/// [`No::BadText`], [`No::SnapshotKnown`].
pub fn register(turn: &mut Turn<'_>, new: NewSnapshot) -> Result<Vec<u8>, Rejection> {
    text("snapshot", &new.snapshot)?;
    text("digest", &new.digest)?;
    let snapshots = SNAPSHOTS.get(turn.host)?.unwrap_or_default();
    if snapshots.known.iter().any(|known| known.name == new.snapshot) {
        return Err(No::SnapshotKnown.says(&[&new.snapshot]));
    }
    remember(turn, snapshots, Snapshot { name: new.snapshot, tick: new.tick, digest: new.digest });
    Ok(Json::object().done())
}

fn remember(turn: &mut Turn<'_>, mut snapshots: Snapshots, new: Snapshot) {
    if snapshots.known.len() == LIST_MAX {
        snapshots.known.remove(0);
    }
    snapshots.known.push(new);
    SNAPSHOTS.put(turn.host, &snapshots);
}

/// What the snapshot driver answers to `capture` and `check`: `{"digest": "..."}`.
#[inline(never)]
fn digest_of(answer: Option<&[u8]>) -> Option<String> {
    Fields::read(answer?)?.digest
}

/// A snapshot was taken, or not. With a digest it can be restored; its tick is the round it was taken in.
///
/// # Errors
/// Corrupt state.
pub fn captured(turn: &mut Turn<'_>, name: String, answer: Option<&[u8]>) -> Result<(), Rejection> {
    let Some(digest) = digest_of(answer).filter(|digest| text("digest", digest).is_ok()) else {
        turn.alert(To::Operators, "snapshot_not_taken", Json::object().text("snapshot", &name));
        return Ok(());
    };
    let snapshots = SNAPSHOTS.get(turn.host)?.unwrap_or_default();
    if snapshots.known.iter().all(|known| known.name != name) {
        remember(turn, snapshots, Snapshot { name, tick: turn.cluster.round.number, digest });
    }
    Ok(())
}

/// An admin asks for a restoration: authority first, then the integrity of the snapshot.
///
/// # Errors
/// [`No::UnknownOperator`], [`No::NotAuthorised`], [`No::UnknownSnapshot`], [`No::RestorePending`], [`No::NotCleared`],
/// [`No::Busy`].
pub fn request(turn: &mut Turn<'_>, request: &events::Restore) -> Result<Vec<u8>, Rejection> {
    turn.admin(&request.operator)?;
    let snapshots = SNAPSHOTS.get(turn.host)?.unwrap_or_default();
    let Some(snapshot) = snapshots.known.into_iter().find(|known| known.name == request.snapshot) else {
        return Err(No::UnknownSnapshot.says(&[&request.snapshot]));
    };
    require_none(turn)?;
    if !turn.cluster.suspects.is_empty() || INCIDENT.get(turn.host)?.is_some_and(|last| incident::is_uncleared(&last)) {
        return Err(No::NotCleared.says(&["a security incident has to be cleared first"]));
    }
    turn.idle()?;
    let mut payload = verb("check");
    payload.text("snapshot", &snapshot.name).text("digest", &snapshot.digest);
    let number = turn.cluster.last.order + 1;
    turn.order(turn::SNAPSHOTS, turn.timeouts.restore_ms, &mut payload, None, &Order::Check(number));
    let operator = request.operator.clone();
    let stage = Stage::Checking;
    let restoration =
        Box::new(Restoration { number, snapshot, operator, stage, after: None, flying: 0, restored: 0, failed: 0 });
    RESTORATION.put(turn.host, &restoration);
    Ok(Json::object().number("restoration", number).done())
}

/// No restoration is under way.
///
/// # Errors
/// [`No::RestorePending`].
#[inline(never)]
pub fn require_none(turn: &mut Turn<'_>) -> Result<(), Rejection> {
    match RESTORATION.get(turn.host)? {
        Some(restoration) if restoration.stage != Stage::Done => {
            Err(No::RestorePending.says(&["stage ", restoration.stage.name()]))
        }
        _ => Ok(()),
    }
}

/// The snapshot was checked. If it is intact, operations are halted, unless they are; if not, it is forgotten.
///
/// # Errors
/// Corrupt state.
pub fn checked(turn: &mut Turn<'_>, number: u64, answer: Option<&[u8]>) -> Result<(), Rejection> {
    let Some(mut restoration) = RESTORATION.get(turn.host)?.filter(|restoration| restoration.number == number) else {
        return Ok(());
    };
    if restoration.stage != Stage::Checking {
        return Ok(());
    }
    if digest_of(answer).as_ref() != Some(&restoration.snapshot.digest) {
        let corrupted = answer.is_some();
        if corrupted {
            let mut snapshots = SNAPSHOTS.get(turn.host)?.unwrap_or_default();
            snapshots.known.retain(|known| known.name != restoration.snapshot.name);
            SNAPSHOTS.put(turn.host, &snapshots);
        }
        return give_up(turn, if corrupted { "corrupted_snapshot" } else { "snapshot_not_checked" });
    }
    restoration.stage = Stage::AwaitingHalt;
    RESTORATION.put(turn.host, &restoration);
    match turn.cluster.phase {
        Phase::Running => halt_first(turn, &restoration),
        Phase::Halting => Ok(()),
        phase if phase.is_busy() => give_up(turn, "another_procedure_began"),
        _ => next_nodes(turn, restoration),
    }
}

/// "Restoration in progress" is a reason to halt like any other; a halt that is pending already will do.
fn halt_first(turn: &mut Turn<'_>, restoration: &Restoration) -> Result<(), Rejection> {
    if !crate::state::HALT.get(turn.host)?.is_some_and(|halt| halt.is_pending()) {
        halt::open(turn, "Restoration in progress", &restoration.operator);
    }
    Ok(())
}

/// A halt or a manual intervention begins: what was being restored is given up; what waits for a halt waits on.
///
/// # Errors
/// Corrupt state.
pub fn interrupted(turn: &mut Turn<'_>) -> Result<(), Rejection> {
    match RESTORATION.get(turn.host)? {
        Some(restoration) if restoration.stage == Stage::Restoring => give_up(turn, "interrupted"),
        _ => Ok(()),
    }
}

/// Nobody confirmed the halt: what waited for it does not go on. What found everything halted by then does.
///
/// # Errors
/// Corrupt state.
pub fn unconfirmed(turn: &mut Turn<'_>) -> Result<(), Rejection> {
    match RESTORATION.get(turn.host)? {
        Some(restoration) if restoration.stage == Stage::AwaitingHalt => give_up(turn, "halt_not_confirmed"),
        _ => Ok(()),
    }
}

/// The halt was acknowledged.
///
/// # Errors
/// Corrupt state.
pub fn halted(turn: &mut Turn<'_>) -> Result<(), Rejection> {
    match RESTORATION.get(turn.host)? {
        Some(restoration) if restoration.stage == Stage::AwaitingHalt => next_nodes(turn, restoration),
        _ => Ok(()),
    }
}

/// Asks the next members, or verifies when there are none.
fn next_nodes(turn: &mut Turn<'_>, mut restoration: Box<Restoration>) -> Result<(), Rejection> {
    turn.cluster.phase = Phase::Restoring;
    restoration.stage = Stage::Restoring;
    let nodes: Vec<(NodeId, Node)> = NODES.entries(turn.host)?;
    let after = restoration.after;
    let rest = nodes.into_iter().filter(|(id, node)| after < Some(*id) && node.state.is_member());
    for (id, _) in rest.take(ORDERS_MAX as usize) {
        let mut payload = verb("restore");
        payload.number("node", id.0).text("snapshot", &restoration.snapshot.name);
        turn.order(NODE_AGENT, turn.timeouts.restore_ms, &mut payload, None, &Order::Restore(id, restoration.number));
        restoration.after = Some(id);
        restoration.flying += 1;
    }
    RESTORATION.put(turn.host, &restoration);
    if restoration.flying > 0 {
        return Ok(());
    }
    if restoration.failed > 0 {
        return verify::manual(turn, "nodes_not_restored");
    }
    verify::begin(turn);
    Ok(())
}

/// A node was restored, or not.
///
/// # Errors
/// Corrupt state.
pub fn restored(turn: &mut Turn<'_>, id: NodeId, number: u64, done: bool) -> Result<(), Rejection> {
    let Some(mut restoration) = RESTORATION.get(turn.host)?.filter(|restoration| restoration.number == number) else {
        return Ok(());
    };
    if restoration.stage != Stage::Restoring || turn.cluster.phase != Phase::Restoring {
        return Ok(());
    }
    restoration.flying = restoration.flying.saturating_sub(1);
    restoration.restored += u32::from(done);
    restoration.failed += u32::from(!done);
    if !done {
        turn.alert(To::Operators, "node_not_restored", Json::object().number("node", id.0));
    }
    if restoration.flying == 0 {
        return next_nodes(turn, restoration);
    }
    RESTORATION.put(turn.host, &restoration);
    Ok(())
}

/// All nodes agree: after a restoration it has to be on the restored state.
///
/// # Errors
/// Corrupt state.
pub fn proven(turn: &mut Turn<'_>) -> Result<bool, Rejection> {
    let Some(mut restoration) = RESTORATION.get(turn.host)?.filter(|last| last.stage == Stage::Restoring) else {
        return Ok(true);
    };
    if restoration.snapshot.digest != turn.cluster.round.digest {
        return Ok(false);
    }
    restoration.stage = Stage::Done;
    turn.cluster.figures.restores += 1;
    RESTORATION.put(turn.host, &restoration);
    let mut result = Json::object();
    result
        .number("restored_tick", restoration.snapshot.tick)
        .number("nodes_restored", restoration.restored)
        .text("snapshot", &restoration.snapshot.name);
    turn.alert(To::Operators, "restored", &mut result);
    Ok(true)
}

/// The restoration does not go on. What is halted stays halted.
///
/// # Errors
/// Corrupt state.
#[inline(never)]
pub fn give_up(turn: &mut Turn<'_>, why: &str) -> Result<(), Rejection> {
    if let Some(restoration) = RESTORATION.get(turn.host)?.filter(|last| last.stage != Stage::Done) {
        RESTORATION.delete(turn.host);
        let mut details = Json::object();
        details.text("why", why).text("snapshot", &restoration.snapshot.name);
        turn.alert(To::Operators, "restoration_given_up", &mut details);
    }
    Ok(())
}
