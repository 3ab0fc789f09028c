//! Sparse vector clocks: entries of nodes that have done something, ascending by node (H12).

use crate::{
    digest::sha256,
    error::{No, Refusal, malformed},
    fields::{Field, Fields},
    ids::NodeId,
    params::{CLOCK_MAX, NODE_IDS},
};
use core::cmp::Ordering;
use reprise_guest::{
    compact::{Reader, Stored, write_number},
    typed::json::Value,
};

/// A clock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Clock(Vec<(u32, u64)>);

impl Clock {
    /// Takes the member `vc`: a list of pairs of node and counter.
    ///
    /// # Errors
    /// [`No::BadClock`]: not pairs, not ascending, a counter of zero (sparse: such an entry is left out), too long;
    /// malformed.
    #[inline(never)]
    pub fn taken(fields: &mut Fields) -> Result<Self, Refusal> {
        let values: Vec<Value<'_>> = fields.take("vc")?;
        let mut clock = Self::default();
        for value in values {
            let Some(Ok(pair)) = Vec::of(value).map(<[u64; 2]>::try_from) else { return Err(malformed("field `vc`")) };
            if !clock.push(pair) {
                return Err(No::BadClock.says(&["`vc` is a list of [node, counter], ascending, without zeros"]));
            }
        }
        Ok(clock)
    }

    /// Adds an entry after all others. Whether it may be there.
    fn push(&mut self, [node, counter]: [u64; 2]) -> bool {
        let node = u32::try_from(node).unwrap_or(NODE_IDS);
        let after = self.0.last().is_none_or(|(last, _)| *last < node);
        self.0.push((node, counter));
        counter > 0 && after && node < NODE_IDS && self.0.len() <= CLOCK_MAX
    }

    /// The counter of a node; 0 if there is no entry.
    #[must_use]
    pub fn entry(&self, node: NodeId) -> u64 {
        self.0.iter().find(|(id, _)| *id == node.0).map_or(0, |(_, counter)| *counter)
    }

    /// Which of two clocks is before the other; none if they are concurrent.
    #[must_use]
    #[inline(never)]
    pub fn compare(&self, other: &Self) -> Option<Ordering> {
        let (mut mine, mut theirs) = (self.0.iter().peekable(), other.0.iter().peekable());
        let (mut less, mut more) = (false, false);
        loop {
            let order = match (mine.peek(), theirs.peek()) {
                (None, None) => break,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some((a, _)), Some((b, _))) => a.cmp(b),
            };
            let left = if order.is_le() { mine.next().map_or(0, |(_, counter)| *counter) } else { 0 };
            let right = if order.is_ge() { theirs.next().map_or(0, |(_, counter)| *counter) } else { 0 };
            less |= left < right;
            more |= left > right;
        }
        match (less, more) {
            (false, false) => Some(Ordering::Equal),
            (true, false) => Some(Ordering::Less),
            (false, true) => Some(Ordering::Greater),
            (true, true) => None,
        }
    }

    /// The least clock that is not before either.
    #[inline(never)]
    pub fn join(&mut self, other: &Self) {
        for (node, counter) in &other.0 {
            match self.0.binary_search_by_key(node, |(known, _)| *known) {
                Ok(at) => self.0[at].1 = self.0[at].1.max(*counter),
                Err(at) => self.0.insert(at, (*node, *counter)),
            }
        }
    }

    /// SHA-256 of its encoding: what a tombstone keeps of it.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        let mut bytes = Vec::new();
        self.store(&mut bytes);
        sha256(&bytes)
    }
}

impl Stored for Clock {
    fn store(&self, out: &mut Vec<u8>) {
        write_number(self.0.len() as u64, out);
        for (node, counter) in &self.0 {
            write_number(u64::from(*node), out);
            write_number(*counter, out);
        }
    }

    fn load(from: &mut Reader<'_>) -> Self {
        let mut entries = Vec::new();
        for _ in 0..from.below(u64::from(NODE_IDS) + 1) {
            entries.push((u32::load(from), u64::load(from)));
        }
        Self(entries)
    }
}

#[cfg(test)]
mod tests;
