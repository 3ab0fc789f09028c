use super::*;
use reprise_abi::{Event, LimitKind, Outcome, Rejection, limits::VALUE_BYTES_MAX};
use reprise_guest::Policy;

const LEDGER: LedgerId = LedgerId::from_bytes([1; 32]);

/// Does what the kind of the input says.
struct Obedient;

impl Policy for Obedient {
    fn describe() -> Description {
        Description {
            name: "obedient".into(),
            version: "1.0.0".into(),
            input_kinds: vec![],
            views: vec![],
            rejections: vec![],
            governed: vec![],
        }
    }

    fn step(host: &mut dyn Host, input: &StepInput) -> Result<Vec<u8>, Rejection> {
        host.put(b"key", input.kind.as_bytes());
        match input.kind.as_str() {
            "panic" => panic!("as told"),
            "value too long" => host.put(b"key", &vec![0; VALUE_BYTES_MAX + 1]),
            "reject" => return Err(Rejection { code: 5, detail: "as told".into() }),
            "seed" => return Ok(input.seed.map(u64::to_le_bytes).concat()),
            _ => {}
        }
        Ok(vec![])
    }

    fn check(host: &mut dyn Host) -> Result<(), Violation> {
        match host.get(b"key").as_deref() {
            Some(b"violate") => Err(Violation { invariant: "obedience".into(), detail: String::new() }),
            Some(b"write in check") => {
                host.delete(b"key");
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn view(host: &mut dyn Host, name: &str, args: &[u8]) -> Result<Vec<u8>, Rejection> {
        match name {
            "key" => Ok(host.get(b"key").unwrap_or_default()),
            "args" => Ok(args.to_vec()),
            "write" => {
                host.delete(b"key");
                Ok(vec![])
            }
            _ => Err(Rejection { code: 1, detail: "no such view".into() }),
        }
    }
}

fn step(kind: &str) -> Executed {
    let event = Event { id: "i".into(), source: "s".into(), kind: kind.into(), payload: vec![] };
    let input = Input { seq: 9, epoch: 1, logical_time_ms: 5, event };
    let mut state = StateTrie::new();
    state.insert(b"\x01other", b"value");
    let root = state.root();
    let executed = NativeExecutor::new(NativePolicy::of::<Obedient>()).step(&mut state, LEDGER, &input).unwrap();
    assert_eq!(state.root(), root, "a step does not write");
    assert_eq!(executed.changes.is_empty(), !executed.outcome.is_accepted());
    assert_eq!(executed.fuel, 0);
    executed
}

#[test]
fn a_step_ends_as_a_guests_would() {
    let outcome = |kind| step(kind).outcome;
    assert_eq!(outcome("fine"), Outcome::Accepted { answer: vec![] });
    assert_eq!(outcome("reject"), Outcome::Rejected(Rejection { code: 5, detail: "as told".into() }));
    assert_eq!(outcome("panic"), Outcome::Trapped(TrapKind::Unreachable));
    assert_eq!(outcome("value too long"), Outcome::LimitExceeded(LimitKind::Value));
    assert_eq!(outcome("write in check"), Outcome::Trapped(TrapKind::ForbiddenCall));
    let violated = Violation { invariant: "obedience".into(), detail: String::new() };
    assert_eq!(outcome("violate"), Outcome::InvariantViolated(violated));
}

#[test]
fn a_step_is_seeded() {
    assert_eq!(step("seed").outcome, Outcome::Accepted { answer: seed(LEDGER, 9).map(u64::to_le_bytes).concat() });
}

#[test]
fn the_transcript_tells_steps_apart() {
    assert_eq!(step("fine").execution, step("fine").execution);
    assert_ne!(step("fine").execution, step("else").execution);
}

#[test]
fn views_read_and_do_not_write() {
    let mut executor = NativeExecutor::new(NativePolicy::of::<Obedient>());
    let mut state = StateTrie::new();
    state.insert(b"\x01key", b"value");
    let mut view = |name| executor.view(&mut state, name, b"args").unwrap();
    assert_eq!(view("key"), Ok(b"value".to_vec()));
    assert_eq!(view("args"), Ok(b"args".to_vec()));
    assert_eq!(view("write"), Err(ViewError::Guest(GuestFault::Trapped(TrapKind::ForbiddenCall))));
    assert!(matches!(view("none"), Err(ViewError::Rejected(_))));
    assert_eq!(state.get(b"\x01key"), Some(&b"value"[..]));
}

#[test]
fn a_policy_without_a_migration_says_so() {
    let mut executor = NativeExecutor::new(NativePolicy::of::<Obedient>());
    let event = Event { id: "i".into(), source: "s".into(), kind: "k".into(), payload: vec![] };
    let input = Input { seq: 9, epoch: 1, logical_time_ms: 5, event };
    let migrated = executor.migrate(&mut StateTrie::new(), LEDGER, &input, "0.9.0").unwrap();
    let Outcome::Rejected(rejection) = migrated.outcome else { panic!("{migrated:?}") };
    assert_eq!(rejection.code, reprise_guest::policy::NO_MIGRATION);
}
