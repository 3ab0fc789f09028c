//! What a step does to a ledger: one function for commit, restart, replay and verification.
//!
//! [`Head::prepare`] holds an input against the rules of order and says what must be executed. An executor does that.
//! [`Head::seal`] turns what came out of it into the diff, the roots, the receipt, and the next head. The node seals to
//! produce a receipt, a verifier seals to compare with one: there is no second path.

mod order;

pub use order::OrderError;

use crate::{
    attestation::PublicKey,
    command::{CommandError, SignedCommand},
    digest::{
        DiffDigest, EngineProfileDigest, ExecutionRoot, InputDigest, LeafHash, LedgerId, OutputDigest, PackageDigest,
        StateRoot,
    },
    genesis::Genesis,
    receipt::{RECEIPT_FORMAT, Receipt, StepOutput, StepRecord},
    system::{
        self, Due, FirstAnswer, SystemChanges,
        epochs::{self, Term},
        outbox::ResultError,
    },
    transcript::Transcript,
    trie::{ApplyError, StateTrie},
};
use core::cell::OnceCell;
use reprise_abi::{
    Change, Diff, EFFECT_KIND, Effect, EffectResult, Event, Input, Outcome, Rejection, TIMER_KIND, TimerChange, encode,
};

/// What an executor reports of one step. The ledger's own bookkeeping is not in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Executed {
    /// How it ended.
    pub outcome: Outcome,
    /// Changes of the policy's keys, namespace byte included, in key order; empty unless accepted.
    pub changes: Vec<Change>,
    /// Effects in the order they were emitted; empty unless accepted.
    pub effects: Vec<Effect>,
    /// Timer changes in the order they were made; empty unless accepted.
    pub timers: Vec<TimerChange>,
    /// Digest of the transcript.
    pub execution: ExecutionRoot,
    /// Fuel charged: all of the step's on a trap or when it ran out; 0 for native execution.
    pub fuel: u64,
    /// Host calls in the transcript.
    pub calls: u64,
}

impl Executed {
    /// The ledger itself answers: nothing runs, nothing but the outcome is in the transcript.
    #[must_use]
    pub fn answered(outcome: Outcome) -> Self {
        let execution = Transcript::new().finish(&outcome);
        Self { outcome, changes: Vec::new(), effects: Vec::new(), timers: Vec::new(), execution, fuel: 0, calls: 0 }
    }
}

/// What has to be executed for an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    /// The policy's `step`.
    Step,
    /// The `migrate` of package `to`, which takes over from the package in force.
    Migrate {
        /// The package to put in force.
        to: PackageDigest,
    },
    /// The policy's `step`, if it hears timers: this one is due.
    Timer {
        /// Which timer.
        id: String,
        /// When it was due, in milliseconds.
        due_ms: u64,
    },
    /// The policy's `step`, if it hears results of effects and this one is final.
    Result(EffectResult),
    /// Nothing: the ledger lifts its halt.
    Resume,
    /// Nothing: the ledger enters the epoch of its input.
    Epoch(Box<SignedCommand>),
    /// Nothing: the ledger itself rejects the input.
    Refuse(Refusal),
}

/// Why the ledger itself rejects an input. The receipt says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A command.
    Command(CommandError),
    /// The result of an effect.
    Result(ResultError),
}

impl From<Refusal> for Rejection {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Command(error) => error.into(),
            Refusal::Result(error) => error.into(),
        }
    }
}

/// Everything that the next step depends on.
#[derive(Clone, Debug)]
pub struct Head {
    genesis: Genesis,
    ledger: LedgerId,
    next_seq: u64,
    logical_time_ms: u64,
    previous: LeafHash,
    state_root: StateRoot,
    state: StateTrie,
    /// [`Due::first_ms`] of the state, looked up when it is asked for: every step asks, few change it.
    first_due_ms: OnceCell<Option<u64>>,
    /// The epoch in force, looked up likewise.
    term: OnceCell<Term>,
}

/// A step with its receipt, encoded once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The receipt.
    pub receipt: Receipt,
    /// Its encoding: the leaf of the log.
    pub receipt_bytes: Vec<u8>,
    /// Its leaf hash.
    pub leaf: LeafHash,
    /// Diff and output.
    pub record: StepRecord,
    /// Their encoding.
    pub record_bytes: Vec<u8>,
    /// The encoding of the input.
    pub input_bytes: Vec<u8>,
}

impl Head {
    /// The head of a ledger without receipts.
    #[must_use]
    pub fn genesis(genesis: Genesis) -> Self {
        Self::at(genesis, None, StateTrie::new())
    }

    /// The head after `last`, with the state that `last` leads to. Whoever calls compares [`Head::state_root`] with
    /// the receipt's.
    #[must_use]
    pub fn at(genesis: Genesis, last: Option<(&Receipt, LeafHash)>, mut state: StateTrie) -> Self {
        Self {
            ledger: genesis.ledger_id(),
            next_seq: last.map_or(0, |(receipt, _)| receipt.seq + 1),
            logical_time_ms: last.map_or(0, |(receipt, _)| receipt.logical_time_ms),
            previous: last.map_or(LeafHash::NONE, |(_, leaf)| leaf),
            state_root: state.root(),
            genesis,
            state,
            first_due_ms: OnceCell::new(),
            term: OnceCell::new(),
        }
    }

    /// Applies what was executed for the next input, and moves on.
    ///
    /// # Panics
    /// When `executed` was computed on another state, or breaks the contract of [`Executed`]: a bug of the executor.
    pub fn seal(&mut self, input: &Input, work: &Work, executed: Executed) -> Sealed {
        assert_eq!(input.seq, self.next_seq, "inputs are sealed in their order");
        assert!(executed.outcome.is_accepted() || executed.changes.is_empty(), "only accepted steps change state");
        let input_bytes = encode(input);
        let package = self.package();
        let diff = self.whole_diff(input, work, &executed);
        let prior_state = self.state_root;
        self.apply_diff(&diff).expect("the diff was computed on this state");
        self.state_root = self.state.root();
        let output = StepOutput { outcome: executed.outcome, effects: executed.effects, timers: executed.timers };
        let (diff_bytes, output_bytes) = (encode(&diff), encode(&output));
        let receipt = Receipt {
            format: RECEIPT_FORMAT,
            ledger: self.ledger,
            seq: input.seq,
            epoch: input.epoch,
            protocol_epoch: self.genesis.protocol_epoch,
            engine_profile: self.genesis.engine_profile,
            package,
            input: InputDigest::of(&input_bytes),
            logical_time_ms: input.logical_time_ms,
            prior_state,
            next_state: self.state_root,
            diff: DiffDigest::of(&diff_bytes),
            execution: executed.execution,
            output: OutputDigest::of(&output_bytes),
            class: output.outcome.class(),
            code: output.outcome.code(),
            fuel: executed.fuel,
            previous: self.previous,
        };
        let receipt_bytes = encode(&receipt);
        let leaf = LeafHash::of(&receipt_bytes);
        self.advance(&receipt, leaf);
        let record_bytes = StepRecord::join(diff_bytes, &output_bytes);
        Sealed { leaf, record: StepRecord { diff, output }, record_bytes, input_bytes, receipt, receipt_bytes }
    }

    /// Takes over a step that was sealed before, without executing it: what a start-up and a verifier on its way to a
    /// range do. Whoever calls compares [`Head::state_root`] with a receipt that it trusts.
    ///
    /// # Errors
    /// [`ApplyError`]: the diff does not fit the state.
    pub fn skip(&mut self, receipt: &Receipt, leaf: LeafHash, diff: &Diff) -> Result<(), ApplyError> {
        self.apply_diff(diff)?;
        self.advance(receipt, leaf);
        Ok(())
    }

    fn apply_diff(&mut self, diff: &Diff) -> Result<(), ApplyError> {
        self.state.apply(diff)?;
        if diff.changes().iter().any(|change| Due::is_told_by(&change.key)) {
            self.first_due_ms = OnceCell::new();
        }
        if diff.changes().iter().any(|change| epochs::is_told_by(&change.key)) {
            self.term = OnceCell::new();
        }
        Ok(())
    }

    fn whole_diff(&self, input: &Input, work: &Work, executed: &Executed) -> Diff {
        let mut system = SystemChanges::new(&self.state);
        let now_ms = input.logical_time_ms;
        if !is_owed(&input.event) {
            system.record_answer(&input.event, FirstAnswer::of(input));
        }
        match work {
            Work::Step => {}
            Work::Timer { id, due_ms } => system.timer_fired(*due_ms, id),
            Work::Result(result) => system.settle(result, now_ms),
            Work::Migrate { to } if executed.outcome.is_accepted() => system.put_in_force(*to),
            Work::Resume => system.resume(),
            Work::Epoch(grant) => system.begin_epoch(input, grant),
            Work::Migrate { .. } | Work::Refuse(_) => {}
        }
        let class = executed.outcome.class();
        // The policy may not even have heard of a timer or a result: only a fault says something about it.
        if *work == Work::Step || (is_owed(&input.event) && class.is_guest_fault()) {
            system.record_outcome(input.seq, class);
        }
        system.change_timers(&executed.timers);
        system.emit(&executed.effects, input.seq, input.epoch, now_ms);
        let mut changes = system.into_changes();
        changes.extend_from_slice(&executed.changes);
        Diff::new(changes).expect("system keys sort before policy keys, and both lists ascend")
    }

    fn advance(&mut self, receipt: &Receipt, leaf: LeafHash) {
        self.next_seq = receipt.seq + 1;
        self.logical_time_ms = receipt.logical_time_ms;
        self.previous = leaf;
        self.state_root = receipt.next_state;
    }
}

/// The ledger gives itself this input: nobody submits it, so there is nobody to repeat it.
fn is_owed(event: &Event) -> bool {
    matches!(event.kind.as_str(), TIMER_KIND | EFFECT_KIND)
}

impl Head {
    /// The ledger's genesis record.
    #[must_use]
    pub fn genesis_record(&self) -> &Genesis {
        &self.genesis
    }

    /// The ledger's name.
    #[must_use]
    pub fn ledger(&self) -> LedgerId {
        self.ledger
    }

    /// Sequence number of the next input; also the number of receipts.
    #[must_use]
    pub fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// Logical time of the last step in milliseconds, 0 before the first.
    #[must_use]
    pub fn logical_time_ms(&self) -> u64 {
        self.logical_time_ms
    }

    /// The epoch in force.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.term().epoch
    }

    /// The epoch in force, with its owner.
    #[must_use]
    pub fn term(&self) -> &Term {
        self.term.get_or_init(|| epochs::in_force(&self.genesis, &self.state))
    }

    /// Whose signature over the next receipt counts, as long as the epoch stays.
    #[must_use]
    pub fn attester(&self) -> &PublicKey {
        &self.term().attester
    }

    /// The engine in force.
    #[must_use]
    pub fn engine_profile(&self) -> EngineProfileDigest {
        self.genesis.engine_profile
    }

    /// The policy in force.
    #[must_use]
    pub fn package(&self) -> PackageDigest {
        system::package_in_force(&self.state).unwrap_or(self.genesis.package)
    }

    /// Leaf hash of the last receipt.
    #[must_use]
    pub fn previous(&self) -> LeafHash {
        self.previous
    }

    /// Root of the state.
    #[must_use]
    pub fn state_root(&self) -> StateRoot {
        self.state_root
    }

    /// The state.
    #[must_use]
    pub fn state(&self) -> &StateTrie {
        &self.state
    }

    /// The state, lent to an executor, which leaves it as it found it.
    pub fn lend_state(&mut self) -> &mut StateTrie {
        &mut self.state
    }
}

#[cfg(test)]
mod tests;
