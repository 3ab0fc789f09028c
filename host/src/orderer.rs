//! The orderer: gives an event its place, its logical time and its epoch, or says why not.
//!
//! One node needs no network: [`LocalOrderer`] is alone with its ledger. The trait is the seam behind which a consensus
//! engine can stand later.

use reprise_abi::{EFFECT_KIND, Event, EventError, Input, encode};
use reprise_receipts::{
    command::{COMMAND_KIND, Command, SignedCommand, is_host_kind},
    ledger::{Head, Work},
    system::{self, Halt},
};
use std::time::{SystemTime, UNIX_EPOCH};

/// An event on its way in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// Where it stands in what was submitted, for answers: a line number, for instance.
    pub tag: u64,
    /// The event.
    pub event: Event,
    /// When its source says it happened, in milliseconds since 1970.
    pub time_ms: Option<u64>,
    /// Who brings it.
    pub origin: Origin,
}

/// Who brings an event: not everybody may bring every kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// Somebody outside.
    #[default]
    Submitted,
    /// A driver of this node, with the result of an effect.
    Driver,
    /// This node, with the operators' command that makes it the owner.
    Owner,
}

/// What becomes of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ordered {
    /// It is the next input.
    Next(Input),
    /// Something is due before it: this is the next input. Then ask again.
    DueFirst(Input, Proposal),
    /// It was answered before, at this sequence number.
    Duplicate {
        /// Where.
        first: u64,
    },
}

/// Why an event gets no place. The submitter is told; nothing is recorded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A field is over its bounds.
    #[error("{0}")]
    Bounds(#[from] EventError),
    /// Only the host may submit this kind.
    #[error("kinds that begin with `reprise.` belong to the node: give the event another type")]
    HostKind,
    /// The idempotency key was used for another event.
    #[error("its id was used for another event at sequence number {first}: give every event its own id")]
    Conflict {
        /// Where.
        first: u64,
    },
    /// More is due before it than one request waits for. What was due so far has its receipts.
    #[error(
        "more is due before it than one request waits for: the ledger is at {at_ms} ms of logical time now. Submit it \
         again to go on; if that time stands still, a timer of the policy leads to itself: `reprise ledger upgrade`"
    )]
    TooMuchDue {
        /// Logical time that was reached, in milliseconds.
        at_ms: u64,
    },
    /// Its time is further ahead of the node's clock than events may be.
    #[error(
        "its time is {at_ms} ms since 1970, more than {} hours ahead of this node's clock ({now_ms} ms): the ledger's \
         time would stand there until then. Mend the event's `time` or the clock, or submit with `--allow-future`",
        FUTURE_MS_MAX / 3_600_000
    )]
    TooFarAhead {
        /// What the event says, in milliseconds.
        at_ms: u64,
        /// The node's clock, in milliseconds.
        now_ms: u64,
    },
    /// The command begins an epoch: it is not for those who submit events.
    #[error("the command moves the ledger to another owner: give it to the new one with `reprise federation take`")]
    Grant,
    /// The command does not begin an epoch of this ledger, now.
    #[error(
        "the command does not begin an epoch of this ledger after epoch {in_force}, or too few operators signed it"
    )]
    NotGranted {
        /// The epoch that the ledger is in.
        in_force: u64,
    },
    /// It was answered before, by a step that is not on this node.
    #[error(
        "it was answered before, at sequence number {first}, and that step is not on this node: `reprise archive hydrate \
         LEDGER --archive DIR` brings it back, or ask where it is"
    )]
    AnsweredElsewhere {
        /// Where.
        first: u64,
    },
    /// The ledger stands still.
    #[error("the ledger is halted since sequence number {} ({}): see `reprise status`", .0.seq, .0.class.name())]
    Halted(Halt),
}

/// Where an event's logical time comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimeSource {
    /// The event's own time, or the node's clock when it has none.
    #[default]
    Event,
    /// The node's clock, whatever the event says.
    Clock,
}

/// Source of the events that carry the commands which begin epochs.
const GRANT_SOURCE: &str = "reprise/grant";

/// How far ahead of the node's clock the time of an event may be, where that is bounded: clocks differ, and a ledger
/// whose time was set ahead answers nothing in between. In milliseconds.
pub const FUTURE_MS_MAX: u64 = 24 * 60 * 60 * 1_000;

/// Gives events their places.
pub trait Orderer: Send {
    /// Places one event after the head.
    ///
    /// # Errors
    /// [`Refusal`]: the event gets no place.
    fn order(&mut self, head: &Head, proposal: Proposal) -> Result<Ordered, Refusal>;
}

/// Tells the time: milliseconds since 1970.
type Clock = Box<dyn Fn() -> u64 + Send>;

/// The orderer of a node that owns its ledger alone.
pub struct LocalOrderer {
    time_source: TimeSource,
    bounds_future: bool,
    clock: Clock,
}

impl LocalOrderer {
    /// An orderer that stamps with this time.
    #[must_use]
    pub fn new(time_source: TimeSource) -> Self {
        Self { time_source, bounds_future: false, clock: Box::new(clock_ms) }
    }

    /// With another clock than the system's.
    #[must_use]
    pub fn by(self, clock: impl Fn() -> u64 + Send + 'static) -> Self {
        Self { clock: Box::new(clock), ..self }
    }

    /// Events may not be more than [`FUTURE_MS_MAX`] ahead of the node's clock.
    #[must_use]
    pub fn bounding_future(self) -> Self {
        Self { bounds_future: true, ..self }
    }
}

impl Default for LocalOrderer {
    fn default() -> Self {
        Self::new(TimeSource::default())
    }
}

impl From<TimeSource> for LocalOrderer {
    fn from(time_source: TimeSource) -> Self {
        Self::new(time_source)
    }
}

impl Orderer for LocalOrderer {
    /// Logical time is the event's or the clock's, and never before the last step's. An event that was answered before
    /// lets no time pass, nor does an operator's command while something is due: it goes first.
    fn order(&mut self, head: &Head, proposal: Proposal) -> Result<Ordered, Refusal> {
        proposal.event.bounds()?;
        proposal.may_bring_its_kind()?;
        let is_command = proposal.event.kind == COMMAND_KIND;
        let proposed_ms = match self.time_source {
            // What operators order moves no time: nothing is due by it, and what was answered stays answered.
            _ if is_command => 0,
            TimeSource::Event => proposal.time_ms.unwrap_or_else(&self.clock),
            TimeSource::Clock => (self.clock)(),
        };
        let mut logical_time_ms = proposed_ms.max(head.logical_time_ms());
        if proposal.origin != Origin::Driver
            && let Some(answer) = system::first_answer(head.state(), &proposal.event, logical_time_ms)
        {
            let same = answer.event == system::event_digest(&proposal.event);
            return if same {
                Ok(Ordered::Duplicate { first: answer.seq })
            } else {
                Err(Refusal::Conflict { first: answer.seq })
            };
        }
        if self.bounds_future && proposal.origin == Origin::Submitted {
            let now_ms = (self.clock)();
            if proposed_ms > now_ms.saturating_add(FUTURE_MS_MAX) {
                return Err(Refusal::TooFarAhead { at_ms: proposed_ms, now_ms });
            }
        }
        if let (Some(halt), false) = (system::halt(head.state()), is_command) {
            return Err(Refusal::Halted(halt));
        }
        match head.due_input(logical_time_ms) {
            Some(_) if is_command => logical_time_ms = head.logical_time_ms(),
            Some(due) => return Ok(Ordered::DueFirst(due, proposal)),
            None => {}
        }
        let (origin, event) = (proposal.origin, proposal.event);
        let mut input = Input { seq: head.next_seq(), epoch: head.epoch(), logical_time_ms, event };
        if let Some(to) = begins_epoch(head, &input.event) {
            if origin != Origin::Owner {
                return Err(Refusal::Grant);
            }
            input.epoch = to;
            let work = head.prepare(&input);
            if !matches!(work, Ok(Work::Epoch(_))) {
                return Err(Refusal::NotGranted { in_force: head.epoch() });
            }
        }
        Ok(Ordered::Next(input))
    }
}

/// The epoch that a command begins, if the ledger knows such commands.
fn begins_epoch(head: &Head, event: &Event) -> Option<u64> {
    match SignedCommand::of_event(event, head.genesis_record()).ok()?.command {
        Command::Epoch { to, .. } => Some(to),
        _ => None,
    }
}

impl Proposal {
    /// The command that begins an epoch, as its owner orders it. Its id is one that nothing was answered under: whoever
    /// guesses an id must not keep the ledger from moving.
    #[must_use]
    pub fn of_grant(head: &Head, grant: &SignedCommand) -> Self {
        let (source, kind, payload) = (GRANT_SOURCE.to_owned(), COMMAND_KIND.to_owned(), encode(grant));
        let mut event = Event { id: format!("epoch-at-{}", head.next_seq()), source, kind, payload };
        let now_ms = head.logical_time_ms();
        while system::first_answer(head.state(), &event, now_ms).is_some() {
            event.id.push('+');
        }
        // It moves no time: nothing is due by it, and what was answered stays answered.
        Self { tag: 0, event, time_ms: Some(now_ms), origin: Origin::Owner }
    }

    fn may_bring_its_kind(&self) -> Result<(), Refusal> {
        let may = match self.origin {
            Origin::Submitted => !is_host_kind(&self.event.kind) || self.event.kind == COMMAND_KIND,
            Origin::Driver => self.event.kind == EFFECT_KIND,
            Origin::Owner => self.event.kind == COMMAND_KIND,
        };
        if may { Ok(()) } else { Err(Refusal::HostKind) }
    }
}

/// The node's clock, in milliseconds since 1970.
#[must_use]
pub fn clock_ms() -> u64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
