use super::*;
use std::io;

fn fault_of(error: Error) -> Option<GuestFault> {
    match stop(error) {
        Stop::Guest(fault) => Some(fault),
        Stop::Host(_) => None,
    }
}

#[test]
fn guest_faults() {
    let limit = GuestFault::LimitExceeded(reprise_abi::LimitKind::Effects);
    assert_eq!(fault_of(Error::new(limit)), Some(limit));
    assert_eq!(fault_of(Error::new(limit).context("while calling")), Some(limit));
    assert_eq!(fault_of(Error::new(Trap::OutOfFuel)), Some(GuestFault::OutOfFuel));
    let unreachable = Some(GuestFault::Trapped(TrapKind::Unreachable));
    assert_eq!(fault_of(Error::new(Trap::UnreachableCodeReached)), unreachable);
}

#[test]
fn values_that_the_canonical_abi_does_not_allow() {
    let bad_value = Some(GuestFault::Trapped(TrapKind::BadValue));
    assert_eq!(fault_of(wasmtime::format_err!("pointer not aligned")), bad_value);
    assert_eq!(fault_of(wasmtime::format_err!("{} out of bounds", "pointer")), bad_value);
    let bytes = vec![0xc3, 0x28];
    assert_eq!(fault_of(Error::new(std::str::from_utf8(&bytes).unwrap_err())), bad_value);
    assert_eq!(fault_of(Error::new(String::from_utf8(bytes).unwrap_err())), bad_value);
}

#[test]
fn host_faults() {
    let faults = [
        Error::new(GrowFailed("no memory".into())),
        Error::new(OutOfMemory::new(64)),
        Error::new(io::Error::other("mmap")),
        Error::new(Trap::StackOverflow),
        Error::new(Trap::Interrupt),
        // Bare messages, but with something of the host's beneath them.
        Error::new(io::Error::other("mmap")).context("failed to make memory"),
        Error::new(OutOfMemory::new(64)).context("failed to make a table"),
    ];
    for (number, fault) in faults.into_iter().enumerate() {
        assert_eq!(fault_of(fault), None, "fault {number}");
    }
    assert!(matches!(stop(Error::new(Trap::StackOverflow)), Stop::Host(HostFault::StackOverflow)));
    assert!(matches!(stop(Error::new(OutOfMemory::new(64))), Stop::Host(HostFault::OutOfMemory(_))));
}
