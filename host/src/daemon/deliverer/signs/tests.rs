use super::*;

fn standing(life: u64, size: u64, acknowledged: u64) -> Standing {
    Standing { orders: true, life, epoch: 3, size, acknowledged }
}

/// Signs that were looked at in this standing.
fn looked(at: Standing) -> Signs {
    let signs = Signs::default();
    signs.tell(at);
    assert!(signs.next(None).unwrap().fresh);
    signs
}

#[test]
fn what_is_not_acknowledged_is_not_acted_on() {
    let signs = looked(standing(1, 5, 4));
    assert!(signs.wait_for(4, 3).is_ok() && signs.may_act());
    assert!(matches!(signs.wait_for(4, 2), Err(NotNow::NotOurs)), "the log is in an earlier epoch yet");
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| signs.wait_for(5, 3));
        signs.tell(standing(1, 6, 5));
        assert!(waiting.join().unwrap().is_ok());
        let waiting = scope.spawn(|| signs.wait_for(6, 3));
        signs.tell(Standing { orders: false, ..standing(1, 6, 5) });
        assert!(matches!(waiting.join().unwrap(), Err(NotNow::NotOurs)));
    });
}

#[test]
fn another_life_of_the_owner_begins_anew() {
    let signs = looked(standing(1, 5, 5));
    signs.tell(standing(2, 5, 5));
    assert!(!signs.may_act(), "what was read before may be gone");
    assert!(matches!(signs.wait_for(5, 3), Err(NotNow::NotOurs)));
    assert!(signs.next(None).unwrap().fresh);
    assert!(signs.may_act());
}

#[test]
fn steps_time_and_drivers_wake_it_while_the_node_orders() {
    let signs = looked(standing(1, 5, 5));
    signs.tell(standing(1, 6, 5));
    assert!(!signs.next(None).unwrap().fresh);
    assert!(!signs.next(Some(Instant::now())).unwrap().fresh);
    signs.drivers_changed();
    assert!(signs.next(None).unwrap().fresh);
    // Somebody who asks is told, whatever the ledger is like.
    signs.tell(Standing { orders: false, ..standing(1, 7, 7) });
    let (reply, _told) = oneshot::channel();
    signs.ask(Asked { at_ms: 3, reply });
    assert_eq!(signs.next(Some(Instant::now())).unwrap().asked.len(), 1);
    signs.end();
    assert!(signs.next(None).is_none());
    assert!(matches!(signs.wait_for(1, 3), Err(NotNow::Ended)));
}

#[test]
fn nobody_waits_for_a_thread_that_is_gone() {
    let signs = looked(standing(1, 5, 5));
    signs.note(Some("internal fault".to_owned()));
    signs.gone();
    let (reply, mut told) = oneshot::channel();
    signs.ask(Asked { at_ms: 3, reply });
    assert_eq!(told.try_recv().unwrap(), Err("internal fault".to_owned()));
    signs.end_within(Duration::from_secs(60));
}
