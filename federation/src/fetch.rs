//! Fetching what is missing: which steps from which peer, in what order they are taken, what happens with bad ones.
//!
//! The range is cut into segments. Each goes to a peer that has room; answers come in any order and are taken in order, each
//! verified against the log that was proved before anything was fetched. A segment that does not verify, is refused or
//! does not come in time goes to another peer. Nothing that was taken is asked for again.

mod verify;

pub use self::verify::{SegmentError, verify_chain, verify_segment};

use crate::{
    limits::{HELD_BYTES_MAX, TRANSFER_BYTES_MAX, TRANSFER_STEPS_MAX},
    message::{ConsistencyPath, Mark, NodeKey, Question, Sending, Step},
};
use reprise_receipts::LedgerId;
use std::collections::{BTreeMap, BTreeSet};

/// Most segments asked of one peer at once.
const SEGMENTS_PER_PEER_MAX: usize = 2;

/// A fetch of all steps of a ledger up to a log that is proved to continue the local one.
#[derive(Clone, Debug)]
pub struct Fetch {
    ledger: LedgerId,
    target: Mark,
    /// Everything before is taken.
    next: u64,
    /// Most steps of a segment.
    segment_steps: u64,
    /// By their first step; they cover what is missing without gaps.
    segments: BTreeMap<u64, Segment>,
    /// Peers that have given bad or no answers, with the segment: each is asked once for it.
    failed: BTreeSet<(u64, NodeKey)>,
    held_bytes: u64,
}

#[derive(Clone, Debug)]
struct Segment {
    end: u64,
    state: SegmentState,
}

#[derive(Clone, Debug)]
enum SegmentState {
    Wanted,
    Asked { peer: NodeKey, transfer: u64, sending: Option<Sending> },
    Held(Held),
}

/// Steps that have come, with the proof that goes with them. Nothing of it is verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Who sent them.
    pub peer: NodeKey,
    /// Sequence number of the first.
    pub first: u64,
    /// The steps.
    pub steps: Vec<Step>,
    /// That the log after the last one is the beginning of the target.
    pub path: ConsistencyPath,
    /// Bytes that came over the stream.
    pub bytes: u64,
}

impl Fetch {
    /// Of the steps from `first` to the end of `target`, in segments of at most `segment_steps`.
    #[must_use]
    pub fn new(ledger: LedgerId, first: u64, target: Mark, segment_steps: u64) -> Self {
        let mut segments = BTreeMap::new();
        let segment_steps = segment_steps.clamp(1, TRANSFER_STEPS_MAX);
        // One segment is cut off when the one before is asked for: a long range takes no memory.
        if first < target.size {
            segments
                .insert(first, Segment { end: target.size.min(first + segment_steps), state: SegmentState::Wanted });
        }
        Self { ledger, target, next: first, segment_steps, segments, failed: BTreeSet::new(), held_bytes: 0 }
    }

    /// Which ledger.
    #[must_use]
    pub fn ledger(&self) -> LedgerId {
        self.ledger
    }

    /// The log that it leads to.
    #[must_use]
    pub fn target(&self) -> Mark {
        self.target
    }

    /// Everything is taken.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.next >= self.target.size
    }

    /// Questions to ask now, given peers that have the target's log, those that are best first. `transfer` gives out
    /// numbers of streams.
    pub fn ask(&mut self, peers: &[NodeKey], mut transfer: impl FnMut() -> u64) -> Vec<(NodeKey, Question)> {
        let mut asked = Vec::new();
        // In rounds, so that nobody gets a second segment before everybody has one.
        for _ in 0..SEGMENTS_PER_PEER_MAX {
            for peer in peers {
                if self.under_way(*peer) >= SEGMENTS_PER_PEER_MAX || !self.has_room() {
                    continue;
                }
                let Some(first) = self.segment_for(*peer) else { continue };
                let number = transfer();
                let segment = self.segments.get_mut(&first).expect("just found");
                segment.state = SegmentState::Asked { peer: *peer, transfer: number, sending: None };
                let (ledger, end, of) = (self.ledger, segment.end, self.target.size);
                let bytes_max = TRANSFER_BYTES_MAX;
                asked.push((*peer, Question::Range { ledger, first, end, of, transfer: number, bytes_max }));
                self.extend();
            }
        }
        asked
    }

    /// The peer announces the stream. Less than was asked for leaves the rest wanted. Answers whether it makes sense.
    pub fn sending(&mut self, from: NodeKey, number: u64, announced: &Sending) -> bool {
        let found = self.find(from, number);
        let Some((first, end)) = found else { return false };
        if announced.end <= first || announced.end > end {
            return false;
        }
        if announced.end < end {
            let rest = Segment { end, state: SegmentState::Wanted };
            self.segments.insert(announced.end, rest);
        }
        let segment = self.segments.get_mut(&first).expect("just found");
        segment.end = announced.end;
        if let SegmentState::Asked { sending, .. } = &mut segment.state {
            *sending = Some(announced.clone());
        }
        true
    }

    /// The stream has come to its end. Answers whether it was announced and has as many steps as that.
    pub fn received(&mut self, from: NodeKey, number: u64, steps: Vec<Step>, bytes: u64) -> bool {
        let Some((first, end)) = self.find(from, number) else { return false };
        let segment = self.segments.get_mut(&first).expect("just found");
        let SegmentState::Asked { sending: Some(sending), .. } = &segment.state else { return false };
        if steps.len() as u64 != end - first || bytes != sending.bytes {
            return false;
        }
        let path = sending.path.clone();
        segment.state = SegmentState::Held(Held { peer: from, first, steps, path, bytes });
        self.held_bytes += bytes;
        true
    }

    /// The next steps in order, if they are there.
    #[must_use]
    pub fn ready(&self) -> Option<&Held> {
        match &self.segments.get(&self.next)?.state {
            SegmentState::Held(held) => Some(held),
            _ => None,
        }
    }

    /// The steps of [`Self::ready`] are verified and taken.
    pub fn took(&mut self) {
        if let Some(segment) = self.segments.remove(&self.next) {
            if let SegmentState::Held(held) = segment.state {
                self.held_bytes -= held.bytes;
            }
            self.next = segment.end;
            self.extend();
        }
    }

    /// The steps of [`Self::ready`] are bad: another peer is asked.
    pub fn refuse(&mut self) -> Option<Held> {
        let segment = self.segments.get_mut(&self.next)?;
        let SegmentState::Held(held) = std::mem::replace(&mut segment.state, SegmentState::Wanted) else { return None };
        self.held_bytes -= held.bytes;
        self.failed.insert((self.next, held.peer));
        Some(held)
    }

    /// The peer does not give this segment: another one is asked.
    pub fn lost(&mut self, peer: NodeKey, number: u64) {
        if let Some((first, _)) = self.find(peer, number) {
            self.segments.get_mut(&first).expect("just found").state = SegmentState::Wanted;
            self.failed.insert((first, peer));
        }
    }

    /// The question did not go out: nothing is held against the peer.
    pub fn unasked(&mut self, peer: NodeKey, number: u64) {
        if let Some((first, _)) = self.find(peer, number) {
            self.segments.get_mut(&first).expect("just found").state = SegmentState::Wanted;
        }
    }

    /// The peer is gone: what it was asked for is asked of others, or of it when it is back.
    pub fn gone(&mut self, gone: NodeKey) {
        for segment in self.segments.values_mut() {
            if matches!(&segment.state, SegmentState::Asked { peer, .. } if *peer == gone) {
                segment.state = SegmentState::Wanted;
            }
        }
    }

    /// Nobody can give the next segment: all peers have failed.
    #[must_use]
    pub fn is_stuck(&self, peers: &[NodeKey]) -> bool {
        let Some(segment) = self.segments.get(&self.next) else { return false };
        matches!(segment.state, SegmentState::Wanted)
            && peers.iter().all(|peer| self.failed.contains(&(self.next, *peer)))
    }

    fn under_way(&self, of: NodeKey) -> usize {
        let asked = |segment: &&Segment| matches!(&segment.state, SegmentState::Asked { peer, .. } if *peer == of);
        self.segments.values().filter(asked).count()
    }

    /// What may come fits beside what is held. The next segment in order is always asked for.
    fn has_room(&self) -> bool {
        let asked = self.segments.values().filter(|s| matches!(s.state, SegmentState::Asked { .. })).count() as u64;
        asked == 0 || self.held_bytes + (asked + 1) * TRANSFER_BYTES_MAX <= HELD_BYTES_MAX
    }

    fn segment_for(&self, peer: NodeKey) -> Option<u64> {
        let wanted = self.segments.iter().filter(|(_, segment)| matches!(segment.state, SegmentState::Wanted));
        wanted.map(|(first, _)| *first).find(|first| !self.failed.contains(&(*first, peer)))
    }

    fn find(&self, from: NodeKey, number: u64) -> Option<(u64, u64)> {
        let matches = |segment: &Segment| matches!(&segment.state, SegmentState::Asked { peer, transfer, .. } if *peer == from && *transfer == number);
        self.segments.iter().find(|(_, segment)| matches(segment)).map(|(first, segment)| (*first, segment.end))
    }

    /// Cuts the next segment off what is not yet in any, as long as there is none that is wanted.
    fn extend(&mut self) {
        let none_wanted = !self.segments.values().any(|segment| matches!(segment.state, SegmentState::Wanted));
        let end = self.segments.values().map(|segment| segment.end).max().unwrap_or(self.next);
        if none_wanted && end < self.target.size {
            let to = self.target.size.min(end + self.segment_steps);
            self.segments.insert(end, Segment { end: to, state: SegmentState::Wanted });
        }
    }
}
