//! The sticky hash ring (H2, H14): which peers a stream of the log goes to.
//!
//! The members lie on a ring in the order of their hashes; a stream begins at its own hash and goes clockwise. When
//! members come or go, streams stay where they are until the cluster has been stable for the sticky window (5 minutes),
//! and then a quarter of them moves to the new ring in each window (R4 4). So several rings may be in use.

use crate::{
    digest::crc32,
    error::Refusal,
    ids::{NodeId, RunId},
    params::{STREAMS, STREAMS_PER_WINDOW, Wait},
    state::{MEMBERS, Peers, RINGS, STREAMS as ON},
    turn::{EVENT, Turn, verb},
};
use reprise_guest::{
    Host,
    compact::{Reader, Stored, write_bytes},
};

/// Members in the order of their hashes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ring(pub Vec<u16>);

impl Stored for Ring {
    fn store(&self, out: &mut Vec<u8>) {
        let mut bytes = Vec::with_capacity(self.0.len() * 2);
        for node in &self.0 {
            bytes.extend_from_slice(&node.to_le_bytes());
        }
        write_bytes(&bytes, out);
    }

    fn load(from: &mut Reader<'_>) -> Self {
        let (pairs, rest) = from.bytes().as_chunks();
        if !rest.is_empty() {
            from.spoil();
        }
        Self(pairs.iter().map(|pair| u16::from_le_bytes(*pair)).collect())
    }
}

impl Ring {
    /// The node so many places after a position.
    #[must_use]
    pub fn at(&self, from: u32, places: u32) -> NodeId {
        let len = self.0.len().max(1);
        self.0.get((from + places) as usize % len).map_or(NodeId(0), |node| NodeId(u32::from(*node)))
    }

    /// How many places after a position the node is.
    #[must_use]
    pub fn places(&self, from: u32, node: NodeId) -> Option<u32> {
        let at = self.0.iter().position(|member| u32::from(*member) == node.0)? as u32;
        let len = self.0.len() as u32;
        Some((at + len - from) % len)
    }

    /// Where a hash lies: the position of the first member whose hash is not below it.
    #[must_use]
    #[inline(never)]
    pub fn place(&self, hash: u32) -> usize {
        self.0.partition_point(|node| point(NodeId(u32::from(*node))) < hash)
    }

    /// How many members it has.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.0.len() as u32
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A node's hash. No two nodes have the same one: CRC-32 of four bytes is a permutation of them.
#[must_use]
pub fn point(node: NodeId) -> u32 {
    crc32(&node.0.to_be_bytes())
}

/// The stream of a run.
#[must_use]
pub fn stream(run: RunId) -> u64 {
    u64::from(crc32(run.trace().as_bytes())) % STREAMS
}

/// The peers of a stream: so many, clockwise.
///
/// # Errors
/// Corrupt state.
pub fn peers(host: &mut dyn Host, stream: u64, count: u32) -> Result<(Peers, Ring), Refusal> {
    let on = ON.or_default(host)?;
    let version = on.get(stream as usize).copied().unwrap_or_default() as u32;
    let ring = RINGS.or_default(host, &version)?;
    let anchor = crc32(&stream.to_be_bytes());
    let from = ring.place(anchor) as u32;
    let count = count.min(ring.len());
    Ok((Peers { ring: version, from: if from < ring.len() { from } else { 0 }, count }, ring))
}

/// The first ring, with every stream on it.
///
/// # Errors
/// Corrupt state.
pub fn first(turn: &mut Turn<'_>, members: &[u64]) -> Result<(), Refusal> {
    // Hashed once: a thousand members are most of what `init` costs.
    let (mut hashes, mut ring) = (Vec::with_capacity(members.len()), Ring::default());
    for member in members {
        let hash = point(NodeId(*member as u32));
        let place = hashes.partition_point(|other| *other < hash);
        hashes.insert(place, hash);
        ring.0.insert(place, *member as u16);
    }
    MEMBERS.put(turn.host, &ring);
    ON.put(turn.host, &vec![1; STREAMS as usize]);
    build(turn)
}

/// A member came.
///
/// # Errors
/// Corrupt state.
pub fn add(turn: &mut Turn<'_>, node: NodeId) -> Result<(), Refusal> {
    let mut ring = MEMBERS.or_default(turn.host)?;
    let place = ring.place(point(node));
    ring.0.insert(place, node.0 as u16);
    MEMBERS.put(turn.host, &ring);
    changed(turn);
    Ok(())
}

/// A member went.
///
/// # Errors
/// Corrupt state.
pub fn remove(turn: &mut Turn<'_>, node: NodeId) -> Result<(), Refusal> {
    let mut ring = MEMBERS.or_default(turn.host)?;
    ring.0.retain(|member| u32::from(*member) != node.0);
    MEMBERS.put(turn.host, &ring);
    changed(turn);
    Ok(())
}

/// The window begins again.
fn changed(turn: &mut Turn<'_>) {
    turn.whole.ring.stale = true;
    turn.timer("ring", turn.after(Wait::Sticky), 0);
}

/// The window is over: a new ring if members have changed, and a quarter of the streams goes to the newest.
///
/// # Errors
/// Corrupt state.
pub fn settle(turn: &mut Turn<'_>) -> Result<(), Refusal> {
    if turn.whole.ring.stale {
        build(turn)?;
    }
    let newest = u64::from(turn.whole.ring.newest);
    let before = ON.or_default(turn.host)?;
    let mut on = before.clone();
    let mut moved = 0;
    for version in on.iter_mut().filter(|version| **version != newest).take(STREAMS_PER_WINDOW) {
        *version = newest;
        moved += 1;
    }
    for version in before {
        if !on.contains(&version) {
            RINGS.delete(turn.host, &(version as u32));
        }
    }
    turn.whole.figures.migrated += moved;
    if on.iter().any(|version| *version != newest) {
        turn.timer("ring", turn.after(Wait::Sticky), 0);
    }
    ON.put(turn.host, &on);
    turn.say(EVENT, verb("ring").number("version", newest).number("migrated", moved));
    Ok(())
}

fn build(turn: &mut Turn<'_>) -> Result<(), Refusal> {
    let members = MEMBERS.or_default(turn.host)?;
    turn.whole.ring.stale = false;
    turn.whole.ring.newest += 1;
    RINGS.put(turn.host, &turn.whole.ring.newest, &members);
    Ok(())
}

#[cfg(test)]
mod tests;
