//! What the driver was asked to do to a ledger's log, and how far it has come.
//!
//! Applying steps and taking steps back take time, and other things happen meanwhile. Each piece of work has a number, and
//! the driver does them in order and says when one has come to its end; what it led to, the journal says. Until then
//! nothing is concluded from the log that the work may still change:
//!
//! - While anything is under way, no epoch is entered, no log is taken over or searched, nothing more is taken back.
//! - While steps are being taken back, this node does not promise, acknowledge or sign anything either: what it would speak
//!   of may be gone a moment later.

use crate::{
    ledgers::{Ledgers, contains},
    message::Mark,
};
use reprise_receipts::{LedgerId, log::LogTail};
use std::collections::VecDeque;

/// Numbers of the pieces of work of one seat.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Work {
    given: u64,
    ended: u64,
    /// Number of the last piece that takes something back.
    back: u64,
}

impl Work {
    /// Number of the next piece.
    pub(super) fn give(&mut self) -> u64 {
        self.given += 1;
        self.given
    }

    /// Number of the next piece, which takes something back.
    pub(super) fn give_back(&mut self) -> u64 {
        self.back = self.give();
        self.back
    }

    /// Everything up to this number has come to its end, well or not.
    pub(super) fn end(&mut self, number: u64) {
        self.ended = self.ended.max(number.min(self.given));
    }

    /// Nothing is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.under_way().is_none()
    }

    /// Number of the last piece, if it has not come to its end.
    pub(super) fn under_way(&self) -> Option<u64> {
        (self.ended < self.given).then_some(self.given)
    }

    /// Something is being taken back.
    pub(super) fn takes_back(&self) -> bool {
        self.ended < self.back
    }
}

/// Steps that are being applied.
#[derive(Clone, Debug, Default)]
pub(super) struct Applying {
    /// The log after the last of them.
    end: Option<LogTail>,
    marks: VecDeque<Piece>,
}

/// A piece of work, and what it leads to.
#[derive(Clone, Copy, Debug)]
struct Piece {
    number: u64,
    /// The log after it.
    mark: Mark,
    source: Source,
}

/// Whose log steps are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// The owner's: it sent them.
    Owner,
    /// Some member's. They continue the log here; whether they are the owner's is seen when it is heard.
    Member,
}

impl Applying {
    pub(super) fn is_empty(&self) -> bool {
        self.marks.is_empty()
    }

    /// This piece of work is still wanted.
    pub(super) fn has(&self, number: u64) -> bool {
        self.marks.iter().any(|piece| piece.number == number)
    }

    /// The log after everything that is being applied; none if nothing is.
    pub(super) fn end(&self) -> Option<&LogTail> {
        self.end.as_ref()
    }

    pub(super) fn add(&mut self, number: u64, end: LogTail, source: Source) {
        let mark = Mark { size: end.size(), log_root: end.root() };
        self.marks.push_back(Piece { number, mark, source });
        self.end = Some(end);
    }

    /// Looks at the pieces that have ended: the size up to which the log is the owner's, if they say so. An error when the
    /// log has come otherwise, because something else was done to it before: what still follows is void then.
    pub(super) fn take_ended(
        &mut self,
        work: &Work,
        ledger: LedgerId,
        facts: &dyn Ledgers,
    ) -> Result<Option<u64>, Otherwise> {
        let mut reached = None;
        while let Some(piece) = self.marks.pop_front_if(|piece| piece.number <= work.ended) {
            if !contains(facts, ledger, &piece.mark) {
                *self = Self::default();
                return Err(Otherwise);
            }
            if piece.source == Source::Owner {
                reached = Some(piece.mark.size);
            }
        }
        if self.marks.is_empty() {
            self.end = None;
        }
        Ok(reached)
    }
}

/// The log is not what it was to be.
#[derive(Debug)]
pub(super) struct Otherwise;
