//! What every executor offers, and the two ways in which a step can end without an answer: the guest's fault, which is
//! an outcome, and the host's, which never is.

use super::{admission::AdmissionError, step_host::StepHost};
use reprise_abi::{Description, Input, LimitKind, Outcome, Rejection, TrapKind, Violation};
use reprise_receipts::{Executed, LedgerId, StateTrie};

/// Runs one policy.
///
/// A function of its arguments: nothing is remembered from one call to the next. The state is only read; it is the same
/// after every call, errors included. Only a panic of the host itself loses it: the caller then starts from its
/// journal.
pub trait Executor: Send {
    /// What the policy says of itself.
    ///
    /// # Errors
    /// [`HostFault`]; inside, [`GuestFault`] when the policy fails at it.
    fn describe(&mut self) -> Result<Result<Description, GuestFault>, HostFault>;

    /// Runs one input, and the policy's invariants if it is accepted and changes something.
    ///
    /// # Errors
    /// [`HostFault`]: there is no outcome, the input stays first in line.
    fn step(&mut self, state: &mut StateTrie, ledger: LedgerId, input: &Input) -> Result<Executed, HostFault>;

    /// Computes a projection.
    ///
    /// # Errors
    /// [`HostFault`]; inside, [`ViewError`] when the policy refuses or fails.
    fn view(&mut self, state: &mut StateTrie, name: &str, args: &[u8])
    -> Result<Result<Vec<u8>, ViewError>, HostFault>;

    /// Brings the state of version `from` to this policy's version. `ledger` and `input` say which step it is.
    ///
    /// # Errors
    /// [`HostFault`]: there is no outcome.
    fn migrate(
        &mut self,
        state: &mut StateTrie,
        ledger: LedgerId,
        input: &Input,
        from: &str,
    ) -> Result<Executed, HostFault>;

    /// Its name in tables and messages.
    fn name(&self) -> &'static str;
}

/// The guest stopped without an answer. Every host sees the same one at the same place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GuestFault {
    /// It trapped.
    #[error("trapped: {0:?}")]
    Trapped(TrapKind),
    /// It used all its fuel.
    #[error("out of fuel")]
    OutOfFuel,
    /// It went over a limit.
    #[error("over the limit: {0:?}")]
    LimitExceeded(LimitKind),
}

impl From<GuestFault> for Outcome {
    fn from(fault: GuestFault) -> Self {
        match fault {
            GuestFault::Trapped(kind) => Self::Trapped(kind),
            GuestFault::OutOfFuel => Self::OutOfFuel,
            GuestFault::LimitExceeded(kind) => Self::LimitExceeded(kind),
        }
    }
}

/// Why a view has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ViewError {
    /// The policy says no.
    #[error("{} (code {})", .0.detail, .0.code)]
    Rejected(Rejection),
    /// The policy failed.
    #[error("the view failed: {0}")]
    Guest(#[from] GuestFault),
}

/// The host could not do its part. Never an outcome, never in a receipt.
#[derive(Debug, thiserror::Error)]
pub enum HostFault {
    /// The thread was not started with [`super::on_engine_thread`]: its stack is too small for a guest.
    #[error("guests run only on engine threads, which have a stack of {} MiB", super::thread::STACK_BYTES >> 20)]
    SmallStack,
    /// The native stack ended before the fuel did.
    #[error("the native stack of the guest overflowed")]
    StackOverflow,
    /// The system has no memory left, or a memory that is within its limits could not grow.
    #[error("out of memory: {0}")]
    OutOfMemory(String),
    /// Too many instances at once.
    #[error("the instance pool is full: {0}")]
    PoolFull(String),
    /// A package in force is not one that this host can run.
    #[error("the package cannot be run: {0}")]
    Load(Box<LoadError>),
    /// An instance could not be made, although one could when the package was loaded.
    #[error("instantiation failed: {0}")]
    Instantiation(String),
    /// Something in the engine that is not a guest's doing.
    #[error("the engine failed: {0}")]
    Engine(String),
}

/// Why a component does not become an executor.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It is refused before it is compiled.
    #[error(transparent)]
    Refused(#[from] AdmissionError),
    /// It passes admission, but the engine cannot be set up or does not compile it.
    #[error("compilation failed: {0}")]
    Compile(String),
    /// Its start functions or segments fail: no step of it could ever run.
    #[error("instantiation always fails: {0}")]
    Start(GuestFault),
    /// The host could not do its part.
    #[error(transparent)]
    Host(HostFault),
}

impl From<LoadError> for HostFault {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Host(fault) => fault,
            other => Self::Load(Box::new(other)),
        }
    }
}

/// Why one call of a policy's function has no answer.
#[derive(Debug)]
pub(super) enum Stop {
    /// An outcome.
    Guest(GuestFault),
    /// Not one.
    Host(HostFault),
}

impl From<GuestFault> for Stop {
    fn from(fault: GuestFault) -> Self {
        Self::Guest(fault)
    }
}

impl From<HostFault> for Stop {
    fn from(fault: HostFault) -> Self {
        Self::Host(fault)
    }
}

/// What a function of the policy answers, or why it does not.
pub(super) type Answer = Result<Result<Vec<u8>, Rejection>, Stop>;

/// A policy in the middle of a step: native code or an instance.
pub(super) trait Running {
    /// Runs the invariants.
    fn check(&mut self) -> Result<Result<(), Violation>, Stop>;
    /// What the policy has done so far.
    fn host(&mut self) -> &mut StepHost;
    /// Fuel used so far; 0 if it is not counted.
    fn fuel_used(&mut self) -> u64;
    /// Fuel that a fault is charged; 0 if it is not counted.
    fn fuel_max(&self) -> u64;
}
