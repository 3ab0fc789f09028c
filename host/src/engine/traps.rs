//! From the engine's trap codes to the project's own.
//!
//! Codes are positional and grow with every release, so none of them is ever recorded. Each one that wasmtime has is
//! written down here with what it means for a step; a test goes over all of them and fails when there is a new one.

use super::executor::GuestFault;
use reprise_abi::TrapKind;
use wasmtime::Trap;

/// What a trap code means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The guest did it: it would on every host.
    Guest(GuestFault),
    /// The host could not go on, or nobody knows.
    Host,
    /// Cannot happen, because the proposal that has it is switched off. As bad as [`Meaning::Host`] if it does.
    SwitchedOff,
}

/// The meaning of a code.
pub(super) fn meaning(trap: Trap) -> Meaning {
    meaning_written_down(trap).unwrap_or(Meaning::Host)
}

/// `None` for a code that this table does not have: the enum may grow.
fn meaning_written_down(trap: Trap) -> Option<Meaning> {
    let guest = |kind| Meaning::Guest(GuestFault::Trapped(kind));
    Some(match trap {
        Trap::UnreachableCodeReached => guest(TrapKind::Unreachable),
        Trap::MemoryOutOfBounds => guest(TrapKind::MemoryOutOfBounds),
        Trap::TableOutOfBounds => guest(TrapKind::TableOutOfBounds),
        Trap::IndirectCallToNull | Trap::BadSignature => guest(TrapKind::BadIndirectCall),
        Trap::IntegerOverflow | Trap::IntegerDivisionByZero | Trap::BadConversionToInteger => {
            guest(TrapKind::Arithmetic)
        }
        Trap::InvalidChar
        | Trap::InvalidDiscriminant
        | Trap::StringOutOfBounds
        | Trap::ListOutOfBounds
        | Trap::UnalignedPointer => guest(TrapKind::BadValue),
        Trap::CannotEnterComponent | Trap::CannotLeaveComponent => guest(TrapKind::ForbiddenCall),
        Trap::OutOfFuel => Meaning::Guest(GuestFault::OutOfFuel),
        // Where the native stack ends depends on the compiler; nothing interrupts a guest but an operator.
        Trap::StackOverflow | Trap::Interrupt | Trap::AllocationTooLarge => Meaning::Host,
        // Assertions of the engine's own adapter code.
        Trap::DebugAssertStringEncodingFinished
        | Trap::DebugAssertEqualCodeUnits
        | Trap::DebugAssertPointerAligned
        | Trap::DebugAssertUpperBitsUnset
        | Trap::DisabledOpcode => Meaning::Host,
        // threads
        Trap::HeapMisaligned | Trap::AtomicWaitNonSharedMemory => Meaning::SwitchedOff,
        // function references, gc, exceptions, stack switching
        Trap::NullReference
        | Trap::ArrayOutOfBounds
        | Trap::CastFailure
        | Trap::UncaughtException
        | Trap::UnhandledTag
        | Trap::ContinuationAlreadyConsumed => Meaning::SwitchedOff,
        // component async
        Trap::NoAsyncResult
        | Trap::AsyncDeadlock
        | Trap::CannotBlockSyncTask
        | Trap::TaskCancelNotCancelled
        | Trap::TaskCancelOrReturnTwice
        | Trap::SubtaskCancelAfterTerminal
        | Trap::TaskReturnInvalid
        | Trap::WaitableSetDropHasWaiters
        | Trap::SubtaskDropNotResolved
        | Trap::ThreadNewIndirectInvalidType
        | Trap::ThreadNewIndirectUninitialized
        | Trap::BackpressureOverflow
        | Trap::UnsupportedCallbackCode
        | Trap::CannotResumeThread
        | Trap::ConcurrentFutureStreamOp
        | Trap::ReferenceCountOverflow
        | Trap::StreamOpTooBig
        | Trap::WaitableSyncAndAsync => Meaning::SwitchedOff,
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
