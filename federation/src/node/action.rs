//! What a driver is asked to do, and the times it can set.

use crate::{
    bundle::BundleOrder,
    compare::{Content, Divergence},
    membership::{Standing, Suspension},
    message::{Goodbye, Mark, Message, NodeKey, Reply, RootsQuery, Step},
    plan::Remedy,
    quarantine::Rejected,
    window::FinalWindow,
};
use reprise_receipts::{LedgerId, evidence::Evidence};

/// Times of the protocol, in milliseconds, and what a driver can choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// An owner that has nothing to say says so after this time.
    pub heartbeat_ms: u64,
    /// Steps without an answer are sent again after this time.
    pub retry_ms: u64,
    /// A member that was not heard for this time does not count as reachable.
    pub silence_ms: u64,
    /// Peers compare the digests of their heads this often.
    pub compare_ms: u64,
    /// A stream has this time, and one more millisecond for every 64 bytes.
    pub stream_ms: u64,
    /// A replica that is further behind than this fetches over streams.
    pub catch_up_steps: u64,
    /// Somebody else decides what is done about a difference: [`Action::Decide`] instead of doing it.
    pub decide_elsewhere: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            heartbeat_ms: 200,
            retry_ms: 500,
            silence_ms: 1_500,
            compare_ms: 2_000,
            stream_ms: 5_000,
            catch_up_steps: 2_048,
            decide_elsewhere: false,
        }
    }
}

/// Something to do, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send a control frame. It may be lost; it is never needed twice as often.
    Send {
        /// To whom.
        to: NodeKey,
        /// What.
        message: Message,
    },
    /// Open a stream with this number and send its content.
    Stream {
        /// To whom.
        to: NodeKey,
        /// Number of the stream.
        transfer: u64,
        /// What.
        content: Content,
    },
    /// Make a bundle as a file, then call `bundle_made` with the number; if that answers yes, send it over a stream with
    /// the number `transfer`, and then, in any case, call `bundle_ended`.
    Bundle {
        /// For whom.
        to: NodeKey,
        /// Number of this piece of work.
        number: u64,
        /// Number of the stream.
        transfer: u64,
        /// What is asked for.
        order: BundleOrder,
    },
    /// Find out the roots that are asked for, then call `roots_made` with the number.
    Roots {
        /// Number of this piece of work.
        number: u64,
        /// What is asked for.
        query: RootsQuery,
    },
    /// End the connection.
    Disconnect {
        /// With whom.
        from: NodeKey,
        /// Why.
        reason: Goodbye,
    },
    /// Make this durable before anything that follows.
    Persist(Standing),
    /// Do these steps again after all steps before; store those that give the same receipts, then call `carried_out`. At
    /// the first that does not, call `refused`, and then `carried_out`. If the first does not continue the log, they are
    /// void.
    Apply {
        /// Which ledger.
        ledger: LedgerId,
        /// Who sent them.
        from: NodeKey,
        /// Sequence number of the first.
        first: u64,
        /// The steps; they are chained, but nothing of them is executed.
        steps: Vec<Step>,
        /// Number of this piece of work.
        work: u64,
    },
    /// Take back all steps after this log, then call `carried_out`. Work that was given before it comes first.
    RollBack {
        /// Which ledger.
        ledger: LedgerId,
        /// What is left.
        to: Mark,
        /// Number of this piece of work.
        work: u64,
    },
    /// What was asked for up to this piece of work, and was not begun, is not wanted any more: it is left out, and its end
    /// told as that of any other.
    Withdraw {
        /// Which ledger.
        ledger: LedgerId,
        /// Number of the piece of work.
        work: u64,
    },
    /// Everything submitted before this size may be acknowledged.
    Acknowledge {
        /// Which ledger.
        ledger: LedgerId,
        /// Number of receipts.
        size: u64,
    },
    /// This node owns the ledger now and may order inputs under this epoch.
    Lead {
        /// Which ledger.
        ledger: LedgerId,
        /// Under which epoch.
        epoch: u64,
    },
    /// Another node owns the ledger from this epoch on; inputs are not ordered here.
    Follow {
        /// Which ledger.
        ledger: LedgerId,
        /// From which epoch on.
        epoch: u64,
        /// Who.
        owner: NodeKey,
    },
    /// A quorum has cosigned the ledger at this size.
    Final {
        /// Which ledger.
        ledger: LedgerId,
        /// The votes.
        window: FinalWindow,
    },
    /// The ledger does not advance any more.
    Suspended {
        /// Which ledger.
        ledger: LedgerId,
        /// Why.
        why: Suspension,
    },
    /// This node and a peer differ.
    Found(Finding),
    /// Decide what is done about a difference, and hand it to [`Federation::decide`](super::Federation::decide). Only with
    /// [`Config::decide_elsewhere`].
    Decide {
        /// The difference.
        finding: Finding,
        /// So many receipts are committed, signed or final here.
        protected: u64,
        /// The peer's word is enough to take something back: see [`suggest`](crate::plan::suggest).
        leads: bool,
        /// What would be done about it.
        proposed: Remedy,
    },
    /// The answer to a question of the driver's.
    Answered {
        /// Who was asked.
        from: NodeKey,
        /// Number of the question.
        request: u32,
        /// The answer, which nobody has verified; none if it, or the stream after it, did not come in time.
        reply: Option<Reply>,
    },
    /// Somebody signed something wrong: keep the proof. It was verified.
    Evidence(Box<Evidence>),
    /// Something was rejected.
    Quarantined(Rejected),
}

impl Action {
    /// The ledger that it is about, where it may rest on what is promised or signed there.
    #[must_use]
    pub fn ledger(&self) -> Option<LedgerId> {
        match self {
            Self::Send { message, .. } => match message {
                Message::Append(append) => Some(append.ledger),
                Message::Ack(ack) => Some(ack.ledger),
                Message::Claim(claim) => Some(claim.grant.grant.ledger),
                Message::Promise(promise) => Some(promise.ledger),
                Message::Vote(vote) => Some(vote.ledger),
                Message::Hello(_)
                | Message::Ask(_)
                | Message::Answer(_)
                | Message::Evidence(_)
                | Message::Goodbye(_) => None,
            },
            Self::Persist(standing) => Some(standing.ledger),
            Self::Apply { ledger, .. }
            | Self::RollBack { ledger, .. }
            | Self::Withdraw { ledger, .. }
            | Self::Acknowledge { ledger, .. }
            | Self::Lead { ledger, .. }
            | Self::Follow { ledger, .. }
            | Self::Final { ledger, .. }
            | Self::Suspended { ledger, .. } => Some(*ledger),
            Self::Found(finding) | Self::Decide { finding, .. } => Some(finding.ledger),
            Self::Stream { .. }
            | Self::Bundle { .. }
            | Self::Roots { .. }
            | Self::Disconnect { .. }
            | Self::Answered { .. }
            | Self::Evidence(_)
            | Self::Quarantined(_) => None,
        }
    }
}

/// A difference to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finding {
    /// On which ledger.
    pub ledger: LedgerId,
    /// To whom.
    pub peer: NodeKey,
    /// What it is.
    pub divergence: Divergence,
}
