//! The trace: failure events, lease transitions, restart actions, epochs, verdicts and errors, in order.
//!
//! A step in which something happens adds one entry. Entries extend a hash chain in the header; the newest 256 are kept in
//! state under their numbers, so that an entry can be proved present under the state root, and an older one by the chain.
//! What outcomes depend on (failure events, lease transitions, ends of attempts) extends a second chain beside it: the
//! failure-event log.

use crate::{
    config::TRACE_MAX,
    detect::FailureEvent,
    digest::{self, Digest},
    error::No,
    plan::ActionKind,
    resolve::LeaseChange,
    state::{Header, Health, Rank, TRACE, Verdict, increment},
};
use reprise_guest::{Host, wire};
use serde::{Deserialize, Serialize};

/// What happened in one step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceEntry {
    /// When, in milliseconds of logical time.
    pub at_ms: u64,
    /// The recovery epoch after the step.
    pub epoch: u64,
    /// What, in order.
    pub what: Vec<Happening>,
}

impl TraceEntry {
    /// Puts the entry into the trace and forgets the one that falls off the end.
    ///
    /// # Errors
    /// [`No::CounterOverflow`]: the trace cannot be numbered further.
    pub fn record(self, host: &mut dyn Host, header: &mut Header) -> Result<(), No> {
        if self.what.is_empty() {
            return Ok(());
        }
        let seq = header.trace_seq;
        increment(&mut header.trace_seq, No::CounterOverflow)?;
        let logged: Vec<&Happening> = self.what.iter().filter(|what| what.is_logged()).collect();
        if !logged.is_empty() {
            let link = wire::encode(&(self.at_ms, self.epoch, logged));
            header.failure_log = header.failure_log.chain(digest::FAILURE_LOG, &link);
        }
        let entry = wire::encode(&self);
        header.trace = header.trace.chain(digest::TRACE, &entry);
        TRACE.put_encoded(host, &seq, &entry);
        if let Some(old) = seq.checked_sub(TRACE_MAX) {
            TRACE.delete(host, &old);
        }
        Ok(())
    }
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Happening {
    /// The cluster was initialised.
    Initialised,
    /// A failure event was recorded.
    Failure(FailureEvent),
    /// A rank's health changed.
    Rank {
        /// Which rank.
        rank: Rank,
        /// How it was.
        from: Health,
        /// How it is.
        to: Health,
    },
    /// A lease changed.
    Lease(LeaseChange),
    /// A new epoch began with a new plan.
    Plan {
        /// Its hash.
        hash: Digest,
        /// How many actions it has.
        actions: u32,
    },
    /// An attempt at an action.
    Action {
        /// Which action of the plan.
        index: u32,
        /// On which rank.
        rank: Rank,
        /// What is done.
        kind: ActionKind,
        /// Which attempt, from 0.
        attempt: u64,
        /// How far it is.
        stage: Stage,
    },
    /// The cluster was judged anew.
    Judged {
        /// How.
        verdict: Verdict,
    },
    /// An error was emitted.
    Error {
        /// Its code.
        code: u32,
        /// What it is about.
        context: String,
    },
    /// A checkpoint was written.
    Checkpoint {
        /// Its digest.
        hash: Digest,
    },
    /// A checkpoint was restored.
    Restored {
        /// Its digest.
        hash: Digest,
    },
}

/// How far an attempt is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The effect is out.
    Begun,
    /// It worked.
    Done,
    /// It did not work.
    Failed,
    /// It did not end in time.
    TimedOut,
}

impl Happening {
    /// Belongs to the failure-event log: an outcome depends on it.
    fn is_logged(&self) -> bool {
        match self {
            Self::Failure(_) | Self::Lease(_) => true,
            Self::Action { stage, .. } => *stage != Stage::Begun,
            _ => false,
        }
    }
}
