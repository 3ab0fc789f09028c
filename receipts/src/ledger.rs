//! What a step does to a ledger: one function for commit, restart, replay and verification.
//!
//! [`Head::prepare`] holds an input against the rules of order and says what must be executed. An executor does that.
//! [`Head::seal`] turns what came out of it into the diff, the roots, the receipt, and the next head. The node seals to
//! produce a receipt, a verifier seals to compare with one: there is no second path.

use crate::{
    command::{self, Command, CommandError, SignedCommand},
    digest::{
        DiffDigest, EngineProfileDigest, ExecutionRoot, InputDigest, LeafHash, LedgerId, OutputDigest, PackageDigest,
        StateRoot,
    },
    genesis::Genesis,
    receipt::{RECEIPT_FORMAT, Receipt, StepOutput, StepRecord},
    system::{self, FirstAnswer, Halt, SystemChanges},
    transcript::Transcript,
    trie::{ApplyError, StateTrie},
};
use reprise_abi::{Change, Diff, Effect, Input, Outcome, TimerChange, encode};

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
}

impl Executed {
    /// The ledger itself answers: nothing runs, nothing but the outcome is in the transcript.
    #[must_use]
    pub fn answered(outcome: Outcome) -> Self {
        let execution = Transcript::new().finish(&outcome);
        Self { outcome, changes: Vec::new(), effects: Vec::new(), timers: Vec::new(), execution, fuel: 0 }
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
    /// Nothing: the ledger lifts its halt.
    Resume,
    /// Nothing: the ledger rejects a command.
    Refuse(CommandError),
}

/// Why an input cannot be the next one. The orderer never lets this happen; a verifier reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    /// Not the next sequence number.
    #[error("sequence number {found}, expected {expected}")]
    Sequence {
        /// The next one.
        expected: u64,
        /// The one given.
        found: u64,
    },
    /// Ordered under another epoch than the one in force.
    #[error("epoch {found}, expected {expected}")]
    Epoch {
        /// The one in force.
        expected: u64,
        /// The one given.
        found: u64,
    },
    /// Logical time goes back.
    #[error("logical time {found} ms is before {last} ms")]
    Time {
        /// Logical time of the last step.
        last: u64,
        /// The one given.
        found: u64,
    },
    /// The idempotency key was answered less than 24 hours of logical time ago.
    #[error("the idempotency key was answered at sequence number {first}")]
    Duplicate {
        /// Where.
        first: u64,
    },
    /// The ledger stands still and this is no command.
    #[error("the ledger is halted since sequence number {}", .0.seq)]
    Halted(Halt),
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
        }
    }

    /// Holds an input against the rules of order, and says what must be executed for it.
    ///
    /// # Errors
    /// [`OrderError`]: the input cannot be the next one.
    pub fn prepare(&self, input: &Input) -> Result<Work, OrderError> {
        self.check_order(input)?;
        if !command::is_host_kind(&input.event.kind) {
            return match system::halt(&self.state) {
                Some(halt) => Err(OrderError::Halted(halt)),
                None => Ok(Work::Step),
            };
        }
        Ok(match SignedCommand::authorised(input, self.ledger, &self.genesis, &self.state) {
            Ok(Command::Resume { .. }) => Work::Resume,
            Ok(Command::Upgrade { to, .. }) => Work::Migrate { to },
            Err(error) => Work::Refuse(error),
        })
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
        self.state.apply(diff)?;
        self.advance(receipt, leaf);
        Ok(())
    }

    fn apply_diff(&mut self, diff: &Diff) -> Result<(), ApplyError> {
        self.state.apply(diff)?;
        self.state_root = self.state.root();
        Ok(())
    }

    fn check_order(&self, input: &Input) -> Result<(), OrderError> {
        if input.seq != self.next_seq {
            return Err(OrderError::Sequence { expected: self.next_seq, found: input.seq });
        }
        if input.epoch != self.genesis.epoch {
            return Err(OrderError::Epoch { expected: self.genesis.epoch, found: input.epoch });
        }
        if input.logical_time_ms < self.logical_time_ms {
            return Err(OrderError::Time { last: self.logical_time_ms, found: input.logical_time_ms });
        }
        match system::first_answer(&self.state, &input.event, input.logical_time_ms) {
            Some(first) => Err(OrderError::Duplicate { first: first.seq }),
            None => Ok(()),
        }
    }

    fn whole_diff(&self, input: &Input, work: &Work, executed: &Executed) -> Diff {
        let mut system = SystemChanges::new(&self.state);
        let answer = FirstAnswer::of(input);
        system.record_answer(&input.event, answer);
        match work {
            Work::Step => system.record_outcome(input.seq, executed.outcome.class()),
            Work::Migrate { to } if executed.outcome.is_accepted() => system.put_in_force(*to),
            Work::Resume => system.resume(),
            Work::Migrate { .. } | Work::Refuse(_) => {}
        }
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
        self.genesis.epoch
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
