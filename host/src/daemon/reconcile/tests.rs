//! The own ledger's time over the lives of a node.

use super::OwnTime;
use crate::orderer::FUTURE_MS_MAX;

#[test]
fn a_clock_that_has_gone_back_does_not_lengthen_waits() {
    // The ledger's time is a minute ahead: what is told from now on continues it.
    let time = OwnTime::after(41, 1_060_000, 1_000_000);
    assert_eq!((time.first_seq, time.ahead_ms), (42, 60_000));
    // A clock that went on as it should is taken as it is.
    assert_eq!(OwnTime::after(41, 1_000_000, 1_060_000).ahead_ms, 0);
}

#[test]
fn what_is_told_is_never_too_far_ahead_to_be_ordered() {
    let year_ms = 365 * 24 * 60 * 60 * 1_000;
    assert!(OwnTime::after(0, 2 * year_ms, year_ms).ahead_ms < FUTURE_MS_MAX);
}
