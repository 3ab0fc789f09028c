use super::*;
use reprise_abi::Effect;
use reprise_receipts::{Genesis, PackageDigest, SigningKey, genesis::*, ledger::Executed};
use std::{fs, os::unix::fs::PermissionsExt};

const LEDGER: LedgerId = LedgerId::from_bytes([7; 32]);

fn delivery(key: &str, epoch: u64) -> Delivery {
    Delivery {
        ledger: LEDGER,
        epoch,
        at_ms: 10,
        seq: 3,
        index: 0,
        attempt: 1,
        phase: EffectPhase::Act,
        idempotency_key: key.to_owned(),
        driver: "bell".to_owned(),
        deadline_ms: 99,
        payload: br#"{"ring":2}"#.to_vec(),
    }
}

/// A head whose only step emitted these effects at 10 ms.
fn head(keys: &[&str]) -> Head {
    let key = SigningKey::from_secret(&[1; 32]).public();
    let mut head = Head::genesis(Genesis {
        format: GENESIS_FORMAT,
        name: "effects".to_owned(),
        nonce: [0; 16],
        protocol_epoch: PROTOCOL_EPOCH,
        engine_profile: crate::engine::EngineProfile::current().digest(),
        package: PackageDigest::from_bytes([2; 32]),
        epoch: 4,
        attester: key,
        operators: vec![key],
        operator_threshold: 1,
    });
    let event = Event { id: "i".into(), source: "s".into(), kind: "k".into(), payload: vec![] };
    let input = reprise_abi::Input { seq: 0, epoch: 4, logical_time_ms: 10, event };
    let work = head.prepare(&input).unwrap();
    let mut executed = Executed::answered(reprise_abi::Outcome::Accepted { answer: vec![] });
    let effect = |key: &&str| Effect {
        idempotency_key: (*key).to_owned(),
        driver: "bell".to_owned(),
        deadline_ms: 99,
        payload: vec![1],
        compensator: None,
    };
    executed.effects = keys.iter().map(effect).collect();
    head.seal(&input, &work, executed);
    head
}

/// Answers what it is told, and remembers what it was asked.
struct Told(Delivered, Vec<Delivery>);

impl Driver for Told {
    fn deliver(&mut self, delivery: &Delivery) -> Delivered {
        self.1.push(delivery.clone());
        self.0.clone()
    }
}

#[test]
fn a_pump_asks_once_and_again_after_a_restart() {
    let head = head(&["a", "b"]);
    let mut pump = Pump::new(Told(Delivered::Done { answer: b"yes".to_vec() }, vec![]));
    assert_eq!(pump.next_ms(&head), Some(10));
    let mut asked = Vec::new();
    let results = pump.deliver(&head, 10, |delivery, _| asked.push(delivery.idempotency_key.clone()));
    assert_eq!(asked, ["a", "b"]);
    let done = |key: &str| EffectResult {
        idempotency_key: key.to_owned(),
        phase: EffectPhase::Act,
        status: EffectStatus::Done { answer: b"yes".to_vec() },
    };
    assert_eq!(results, [done("a"), done("b")]);
    assert_eq!((pump.next_ms(&head), pump.deliver(&head, 11, |_, _| ()).len()), (None, 0));
    pump.restart();
    assert_eq!(pump.deliver(&head, 12, |_, _| ()).len(), 2);
    let asked = &pump.driver().1;
    assert!(asked.iter().all(|delivery| delivery.epoch == 4 && delivery.attempt == 1 && delivery.seq == 0));
    assert_eq!(asked.iter().map(|delivery| delivery.at_ms).collect::<Vec<_>>(), [10, 10, 12, 12]);
}

#[test]
fn nothing_is_asked_after_its_deadline_or_before_its_time() {
    let head = head(&["a"]);
    let mut pump = Pump::new(Told(Delivered::Later, vec![]));
    assert_eq!(pump.deliver(&head, 9, |_, _| ()), []);
    assert_eq!(pump.deliver(&head, 100, |_, _| ()), []);
    assert_eq!(pump.driver().1, []);
    assert_eq!(pump.deliver(&head, 99, |_, _| ()), []);
    assert_eq!(pump.driver().1.len(), 1);
}

#[test]
fn a_round_is_bounded() {
    let keys: Vec<String> = (0..DELIVERIES_MAX + 10).map(|n| format!("key-{n}")).collect();
    let head = head(&keys.iter().map(String::as_str).collect::<Vec<_>>());
    let mut pump = Pump::new(Told(Delivered::Done { answer: vec![] }, vec![]));
    assert_eq!(pump.deliver(&head, 10, |_, _| ()).len(), DELIVERIES_MAX);
    assert_eq!(pump.next_ms(&head), Some(10));
    assert_eq!(pump.deliver(&head, 10, |_, _| ()).len(), 10);
}

#[test]
fn the_last_attempt_that_would_be_tried_again_has_failed() {
    let retry = |attempt| {
        let status = EffectStatus::Retry { detail: "é".repeat(600) };
        Delivery { attempt, ..delivery("k", 1) }.result(status).status
    };
    assert!(matches!(retry(4), EffectStatus::Retry { detail } if detail.len() == 1_024));
    assert!(matches!(retry(5), EffectStatus::Failed { detail } if detail.len() == 1_024));
    let long = delivery("k", 1).result(EffectStatus::Done { answer: vec![0; EFFECT_ANSWER_BYTES_MAX + 1] });
    assert!(matches!(long.status, EffectStatus::Failed { .. }));
    let event = result_event(&long);
    assert_eq!((&event.id[..], &event.source[..], &event.kind[..]), ("k", HOST_SOURCE, EFFECT_KIND));
    assert_eq!(event.bounds(), Ok(()));
}

#[test]
fn the_log_driver_writes_a_line_and_refuses_a_stale_owner() {
    let dir = tempfile::tempdir().unwrap();
    let done = Delivered::Done { answer: vec![] };
    let mut driver = LogDriver::open(dir.path(), LEDGER).unwrap();
    assert_eq!(driver.deliver(&delivery("a", 5)), done);
    assert_eq!(driver.deliver(&delivery("a", 5)), done, "a repeat is written down too");
    assert_eq!(driver.deliver(&delivery("b", 4)), Delivered::StaleEpoch { seen: 5 });
    drop(driver);

    let path = LogDriver::path(dir.path(), LEDGER);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let text = fs::read_to_string(&path).unwrap();
    let line: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!((&line["key"], &line["epoch"], &line["payload"]["ring"]), (&"a".into(), &5.into(), &2.into()));
    assert_eq!(text.lines().count(), 2);

    fs::write(&path, format!("{text}{{\"epoch\":9,\"ke")).unwrap();
    let mut driver = LogDriver::open(dir.path(), LEDGER).unwrap();
    assert_eq!(driver.deliver(&delivery("b", 4)), Delivered::StaleEpoch { seen: 5 }, "half a line was not written");
    assert_eq!(driver.deliver(&delivery("c", 6)), done);
    let after = fs::read_to_string(&path).unwrap();
    assert!(after.starts_with(&text) && after.lines().count() == 3, "{after}");
}

#[test]
fn what_a_failed_write_leaves_does_not_spoil_the_next_line() {
    let dir = tempfile::tempdir().unwrap();
    let done = Delivered::Done { answer: vec![] };
    let mut driver = LogDriver::open(dir.path(), LEDGER).unwrap();
    assert_eq!(driver.deliver(&delivery("a", 5)), done);
    let path = LogDriver::path(dir.path(), LEDGER);
    let good = fs::read_to_string(&path).unwrap();
    // The disk was full: half a line, while the driver is open.
    fs::write(&path, format!("{good}{{\"epoch\":9,\"ke")).unwrap();
    assert_eq!(driver.deliver(&delivery("b", 5)), done);
    let keys = |text: &str| -> Vec<String> {
        let lines = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        lines.map(|line| line["key"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(keys(&fs::read_to_string(&path).unwrap()), ["a", "b"]);

    // Two lines in one, as a driver without that care leaves them: back to the last good line.
    let two = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{two}{{\"epoch\":9,\"ke{{\"epoch\":5}}\n{{}}\n")).unwrap();
    let mut driver = LogDriver::open(dir.path(), LEDGER).unwrap();
    assert_eq!(driver.deliver(&delivery("c", 4)), Delivered::StaleEpoch { seen: 5 });
    assert_eq!(driver.deliver(&delivery("c", 5)), done);
    assert_eq!(keys(&fs::read_to_string(&path).unwrap()), ["a", "b", "c"]);

    fs::write(&path, "").unwrap();
    assert_eq!(driver.deliver(&delivery("d", 5)), done, "somebody moved the lines away");
    assert_eq!(keys(&fs::read_to_string(&path).unwrap()), ["d"]);
    fs::write(&path, "a letter\nto somebody\n").unwrap();
    assert_eq!(LogDriver::open(dir.path(), LEDGER).unwrap_err().kind(), std::io::ErrorKind::InvalidData);
}

#[test]
fn a_driver_that_is_not_configured_delivers_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let other = LedgerId::from_bytes([8; 32]);
    assert!(Configured::open(dir.path(), LEDGER).unwrap().is_empty());
    let drivers = config::Drivers::from([("bell".to_owned(), DriverKind::Log), ("a b".to_owned(), DriverKind::Log)]);
    config::write(dir.path(), LEDGER, &drivers).unwrap();
    config::write(dir.path(), other, &config::Drivers::from([("bell".to_owned(), DriverKind::Log)])).unwrap();
    assert_eq!(config::read(dir.path(), LEDGER).unwrap(), drivers);
    assert_eq!(fs::metadata(dir.path().join("drivers")).unwrap().permissions().mode() & 0o777, 0o600);

    let mut configured = Configured::open(dir.path(), LEDGER).unwrap();
    assert_eq!(configured.deliver(&delivery("a", 1)), Delivered::Done { answer: vec![] });
    let elsewhere = Delivery { driver: "whistle".to_owned(), ..delivery("b", 1) };
    assert_eq!(configured.deliver(&elsewhere), Delivered::NotTaken);
    config::write(dir.path(), LEDGER, &config::Drivers::new()).unwrap();
    assert!(Configured::open(dir.path(), LEDGER).unwrap().is_empty());
    assert!(!Configured::open(dir.path(), other).unwrap().is_empty());

    fs::write(dir.path().join("drivers"), "x log bell\nx horn bell\n").unwrap();
    let error = config::read(dir.path(), LEDGER).unwrap_err().to_string();
    fs::write(dir.path().join("drivers"), format!("{LEDGER} log bell\n").repeat(20_000)).unwrap();
    let long = config::read(dir.path(), LEDGER).unwrap_err();
    assert!(matches!(long, DriversError::TooLong { bytes: 1_480_000, .. }), "{long}");
    assert!(error.ends_with("drivers line 2: expected `LEDGER KIND DRIVER`, the kind being `log`"), "{error}");
}
