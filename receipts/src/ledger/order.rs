//! The rules of order: which input may be the next one, and what has to be executed for it.

use super::{Head, Refusal, Work};
use crate::{
    command::{self, COMMAND_KIND, Command, CommandError, SignedCommand},
    system::{self, Due, Halt, outbox},
};
use reprise_abi::{EFFECT_KIND, Input, TIMER_KIND};

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
    /// Ordered under another epoch than the one in force, and not the command that begins it.
    #[error("epoch {found}, expected {expected}, and it is not the operators' command that begins it")]
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
    /// A timer or an expiry comes first.
    #[error("a timer or an expiry that is due at {due_ms} ms comes first")]
    DueFirst {
        /// When it is due, in milliseconds of logical time.
        due_ms: u64,
    },
    /// A timer that is not the next one due, or not at its time.
    #[error("no such timer is due now")]
    NotDue,
}

impl Head {
    /// Holds an input against the rules of order, and says what must be executed for it.
    ///
    /// # Errors
    /// [`OrderError`]: the input cannot be the next one.
    pub fn prepare(&self, input: &Input) -> Result<Work, OrderError> {
        let grant = self.check_place(input)?;
        let halt = system::halt(&self.state);
        let is_command = input.event.kind == COMMAND_KIND;
        if let (Some(halt), false) = (halt, is_command) {
            return Err(OrderError::Halted(halt));
        }
        // An operator's command goes before what is due: a policy whose timers lead to timers cannot keep it out.
        let due = (!is_command).then(|| self.due_by(input.logical_time_ms)).flatten();
        if let Some(due) = due {
            return self.prepare_due(due, input);
        }
        match input.event.kind.as_str() {
            TIMER_KIND => Err(OrderError::NotDue),
            EFFECT_KIND => Ok(self.prepare_result(input)),
            _ => {
                self.check_repeat(input)?;
                Ok(grant.map_or_else(|| self.prepare_submitted(input), |grant| Work::Epoch(Box::new(grant))))
            }
        }
    }

    fn prepare_due(&self, due: Due, input: &Input) -> Result<Work, OrderError> {
        let due_ms = due.due_ms();
        if due.into_event() != input.event {
            return Err(OrderError::DueFirst { due_ms });
        }
        if input.logical_time_ms != due_ms.max(self.logical_time_ms) {
            return Err(OrderError::NotDue);
        }
        Ok(match input.event.kind.as_str() {
            TIMER_KIND => Work::Timer { id: input.event.id.clone(), due_ms },
            _ => self.prepare_result(input),
        })
    }

    fn prepare_result(&self, input: &Input) -> Work {
        match outbox::accept(&self.state, &input.event.id, &input.event.payload, input.logical_time_ms) {
            Ok(result) => Work::Result(result),
            Err(error) => Work::Refuse(Refusal::Result(error)),
        }
    }

    fn prepare_submitted(&self, input: &Input) -> Work {
        if !command::is_host_kind(&input.event.kind) {
            return Work::Step;
        }
        match SignedCommand::authorised(input, self.ledger, &self.genesis, &self.state) {
            Ok(Command::Resume { .. }) => Work::Resume,
            Ok(Command::Upgrade { to, .. }) => Work::Migrate { to },
            Ok(Command::Epoch { .. }) => Work::Refuse(Refusal::Command(CommandError::OtherEpoch)),
            Err(error) => Work::Refuse(Refusal::Command(error)),
        }
    }

    /// The input that has to come before any other of logical time `at_ms` or later, if something is due by then.
    ///
    /// A ledger that stands still owes itself nothing until it is resumed.
    #[must_use]
    pub fn due_input(&self, at_ms: u64) -> Option<Input> {
        if system::halt(&self.state).is_some() {
            return None;
        }
        let due = self.due_by(at_ms)?;
        let logical_time_ms = due.due_ms().max(self.logical_time_ms);
        Some(Input { seq: self.next_seq, epoch: self.epoch(), logical_time_ms, event: due.into_event() })
    }

    /// When the next input of [`Self::due_input`] is due, in milliseconds of logical time; `None` for never.
    #[must_use]
    pub fn next_due_ms(&self) -> Option<u64> {
        if system::halt(&self.state).is_some() {
            return None;
        }
        self.first_due_ms()
    }

    fn first_due_ms(&self) -> Option<u64> {
        *self.first_due_ms.get_or_init(|| Due::first_ms(&self.state))
    }

    fn due_by(&self, at_ms: u64) -> Option<Due> {
        self.first_due_ms().filter(|first_ms| *first_ms <= at_ms).and_then(|_| Due::first_by(&self.state, at_ms))
    }

    /// Whether the input continues the ledger; the command that moves it to another epoch, if it is one.
    fn check_place(&self, input: &Input) -> Result<Option<SignedCommand>, OrderError> {
        if input.seq != self.next_seq {
            return Err(OrderError::Sequence { expected: self.next_seq, found: input.seq });
        }
        let expected = self.epoch();
        let grant = (input.epoch != expected).then(|| self.succession(input));
        let grant = grant.map(|grant| grant.ok_or(OrderError::Epoch { expected, found: input.epoch }));
        let grant = grant.transpose()?;
        if input.logical_time_ms < self.logical_time_ms {
            return Err(OrderError::Time { last: self.logical_time_ms, found: input.logical_time_ms });
        }
        Ok(grant)
    }

    /// The operators' command that this input carries, if it begins the epoch of its input. A new owner orders it, under
    /// its own epoch: an owner that was replaced cannot.
    fn succession(&self, input: &Input) -> Option<SignedCommand> {
        let signed = SignedCommand::of_event(&input.event, &self.genesis).ok()?;
        let Command::Epoch { to, .. } = signed.command else { return None };
        let rises = to == input.epoch && to > self.epoch();
        (rises && signed.may_begin_epoch(self.ledger, &self.genesis).is_ok()).then_some(signed)
    }

    fn check_repeat(&self, input: &Input) -> Result<(), OrderError> {
        match system::first_answer(&self.state, &input.event, input.logical_time_ms) {
            Some(first) => Err(OrderError::Duplicate { first: first.seq }),
            None => Ok(()),
        }
    }
}
