use super::*;

#[test]
fn every_code_of_the_engine_is_written_down() {
    let codes: Vec<Trap> = (0..=u8::MAX).filter_map(Trap::from_u8).collect();
    assert!(codes.len() >= 40, "the codes are numbered from 0");
    for code in codes {
        assert!(meaning_written_down(code).is_some(), "{code:?} is new: what does it mean for a step?");
    }
}

#[test]
fn what_depends_on_the_host_is_no_outcome() {
    for trap in [Trap::StackOverflow, Trap::Interrupt, Trap::AllocationTooLarge] {
        assert_eq!(meaning(trap), Meaning::Host, "{trap:?}");
    }
}

#[test]
fn all_kinds_of_trap_have_a_code() {
    use TrapKind::{
        Arithmetic, BadIndirectCall, BadValue, ForbiddenCall, MemoryOutOfBounds, TableOutOfBounds, Unreachable,
    };
    let meanings: Vec<Meaning> = (0..=u8::MAX).filter_map(Trap::from_u8).map(meaning).collect();
    for kind in [Unreachable, MemoryOutOfBounds, TableOutOfBounds, BadIndirectCall, Arithmetic, BadValue, ForbiddenCall]
    {
        assert!(meanings.contains(&Meaning::Guest(GuestFault::Trapped(kind))), "{kind:?}");
    }
    assert!(meanings.contains(&Meaning::Guest(GuestFault::OutOfFuel)));
}
