//! One step again. On a witness nothing is concluded from what it does not show.

use crate::{
    engine::record_reads,
    node::EngineChoice,
    runner::{RunError, Runner},
    verify::Found,
};
use reprise_abi::{LimitKind, Outcome, OutcomeClass};
use reprise_receipts::{
    Executed, Head, Missing, Receipt, Sealed, Verdict,
    system::reads::{before_step, of_step},
    verdict::Material,
    witness::{Read, covers},
};

/// The encodings of a step.
#[derive(Clone, Copy, Debug)]
pub struct StepToRedo<'a> {
    /// Which.
    pub seq: u64,
    /// The receipt.
    pub receipt: &'a [u8],
    /// The input.
    pub input: &'a [u8],
    /// Diff and output.
    pub record: &'a [u8],
}

/// Does the steps of a range again, one after the other.
pub struct Redo {
    head: Head,
    runner: Runner,
    engine: EngineChoice,
    /// Parts of the state are left out: reads have to be covered.
    on_witness: bool,
}

impl Redo {
    /// From a head with its whole state, or on a witness of it.
    #[must_use]
    pub fn new(head: Head, runner: Runner, engine: EngineChoice, on_witness: bool) -> Self {
        Self { head, runner, engine, on_witness }
    }

    /// The head after the last step.
    #[must_use]
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// Does a step again and compares it with what is claimed.
    ///
    /// # Errors
    /// [`RunError::Host`]: there is no verdict. Inside, a verdict other than match.
    pub fn step(&mut self, step: &StepToRedo<'_>) -> Result<Found<Sealed>, RunError> {
        let StepToRedo { seq, receipt, input, record } = *step;
        let material = Material { seq, input, receipt, record };
        let claimed = match material.open(&self.head) {
            Ok(claimed) => claimed,
            Err(divergence) => return Ok(Err(Verdict::Divergent(divergence))),
        };
        if let Err(verdict) = self.covered(seq, &before_step(&self.head, &claimed.input.event)) {
            return Ok(Err(verdict));
        }
        let work = match claimed.work(&self.head) {
            Ok(work) => work,
            Err(divergence) => return Ok(Err(Verdict::Divergent(divergence))),
        };
        let (executed, reads) = record_reads(|| self.runner.run(&mut self.head, &claimed.input, &work));
        let executed = match executed {
            Ok(executed) => executed,
            Err(RunError::Missing(missing)) => return Ok(Err(Verdict::Incomparable(missing))),
            Err(error) => return Err(error),
        };
        let own = of_step(self.head.state(), &claimed.input, &work, &executed);
        for reads in [reads, own] {
            if let Err(verdict) = self.covered(seq, &reads) {
                return Ok(Err(verdict));
            }
        }
        if self.on_witness && hangs_on_the_size_of_the_state(&claimed.receipt, &executed) {
            return Ok(Err(Verdict::Incomparable(Missing::Record { kind: "size of the state", seq })));
        }
        let checked = claimed.check(&mut self.head, &work, executed, self.engine.charges_fuel());
        Ok(checked.map_err(Verdict::Divergent))
    }

    fn covered(&self, seq: u64, reads: &[Read]) -> Result<(), Verdict> {
        if !self.on_witness {
            return Ok(());
        }
        let missing = |_| Verdict::Incomparable(Missing::Record { kind: "part of the state", seq });
        covers(self.head.state(), reads).map_err(missing)
    }
}

/// The size of a state is not under its root, so a witness cannot prove it. It decides nothing but whether a step goes
/// over the limit of a ledger's state: where neither side says so, it decided nothing.
pub(crate) fn hangs_on_the_size_of_the_state(claimed: &Receipt, executed: &Executed) -> bool {
    let limit = Outcome::LimitExceeded(LimitKind::State);
    executed.outcome == limit || (claimed.class == OutcomeClass::LimitExceeded && claimed.code == limit.code())
}
