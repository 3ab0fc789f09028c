//! The trait that a policy implements, and its native form.

use crate::host::Host;
use reprise_abi::{Description, Rejection, Violation};

/// One input as a policy sees it. The default is empty: for tests that care about a few fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StepInput {
    /// Position in the ledger.
    pub seq: u64,
    /// The fencing token.
    pub epoch: u64,
    /// Logical time in milliseconds: the only clock.
    pub logical_time_ms: u64,
    /// Idempotency key.
    pub id: String,
    /// Who submitted it.
    pub source: String,
    /// What it is.
    pub kind: String,
    /// The submitter's bytes.
    pub payload: Vec<u8>,
    /// 256 bits derived from (ledger, seq): the only randomness.
    pub seed: [u64; 4],
}

/// A recovery policy.
///
/// Every function is deterministic: no clock but the input's time, no randomness but its seed, no state but the
/// host's. A panic is a guest fault, not an answer: answer with a [`Rejection`].
pub trait Policy {
    /// What the policy says of itself. It calls nothing.
    fn describe() -> Description;

    /// Turns one input into state changes, effects, timers and an answer.
    ///
    /// # Errors
    /// A [`Rejection`] with a code from the policy's documented list. Nothing that the step did is kept then.
    fn step(host: &mut dyn Host, input: &StepInput) -> Result<Vec<u8>, Rejection>;

    /// The policy's invariants, after every step that changed state.
    ///
    /// # Errors
    /// The first [`Violation`]. The step is discarded and the ledger halts.
    fn check(_host: &mut dyn Host) -> Result<(), Violation> {
        Ok(())
    }

    /// A projection: reads state, writes nothing.
    ///
    /// # Errors
    /// A [`Rejection`], as for a step.
    fn view(_host: &mut dyn Host, name: &str, _args: &[u8]) -> Result<Vec<u8>, Rejection> {
        Err(Rejection { code: crate::policy::UNKNOWN_VIEW, detail: format!("there is no view `{name}`") })
    }

    /// Brings the state of version `from` to this version.
    ///
    /// # Errors
    /// A [`Rejection`]: this version cannot take over from that one.
    fn migrate(_host: &mut dyn Host, from: &str) -> Result<Vec<u8>, Rejection> {
        Err(Rejection { code: crate::policy::NO_MIGRATION, detail: format!("no migration from {from}") })
    }
}

/// Rejection code of a view that a policy does not have.
pub const UNKNOWN_VIEW: u32 = 9_001;
/// Rejection code of a migration that a policy does not have.
pub const NO_MIGRATION: u32 = 9_002;

/// [`Policy::view`] as a plain function.
pub type ViewFn = fn(&mut dyn Host, &str, &[u8]) -> Result<Vec<u8>, Rejection>;

/// A policy as plain functions: what the host's native executor runs.
#[derive(Clone, Copy, Debug)]
pub struct NativePolicy {
    /// See [`Policy::describe`].
    pub describe: fn() -> Description,
    /// See [`Policy::step`].
    pub step: fn(&mut dyn Host, &StepInput) -> Result<Vec<u8>, Rejection>,
    /// See [`Policy::check`].
    pub check: fn(&mut dyn Host) -> Result<(), Violation>,
    /// See [`Policy::view`].
    pub view: ViewFn,
    /// See [`Policy::migrate`].
    pub migrate: fn(&mut dyn Host, &str) -> Result<Vec<u8>, Rejection>,
}

impl NativePolicy {
    /// The native form of a policy.
    #[must_use]
    pub const fn of<P: Policy>() -> Self {
        Self { describe: P::describe, step: P::step, check: P::check, view: P::view, migrate: P::migrate }
    }
}
