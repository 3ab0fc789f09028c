use super::*;
use crate::engine::{
    back_end::Optimisation,
    component::{componentize, tests::harmless},
    native::NativeExecutor,
    on_engine_thread,
};
use reprise_abi::{Effect, Event, Outcome, Timer};
use reprise_guest::{Host, LogLevel, NativePolicy, Policy, StepInput};

const LEDGER: LedgerId = LedgerId::from_bytes([7; 32]);
const PACKAGE: PackageDigest = PackageDigest::from_bytes([1; 32]);

fn on_thread(run: impl FnOnce() + Send + 'static) {
    on_engine_thread("test", run).unwrap().join().unwrap();
}

fn load(back_end: BackEnd, component: &[u8]) -> WasmExecutor {
    WasmExecutor::new(back_end, PACKAGE, component, None).unwrap()
}

fn input() -> Input {
    let event =
        Event { id: "id".into(), source: "source".into(), kind: "kind".into(), payload: vec![1, 2, 3, 4, 5, 6, 7, 8] };
    Input { seq: 3, epoch: 2, logical_time_ms: 1_000, event }
}

/// Does the same as `twin.wat`.
struct Twin;

impl Policy for Twin {
    fn describe() -> Description {
        let (name, version) = ("hostile".to_owned(), "1.0.0".to_owned());
        Description { name, version, input_kinds: vec![], views: vec![], rejections: vec![], governed: vec![] }
    }

    fn step(host: &mut dyn Host, input: &StepInput) -> Result<Vec<u8>, Rejection> {
        let value = host.get(b"key").unwrap();
        host.put(b"other", &value);
        host.delete(b"key");
        host.scan(b"o", Some(b"a"), 9);
        let compensator = Some(reprise_abi::Compensator { driver: "key".into(), payload: b"er".to_vec() });
        let (idempotency_key, driver, payload) = ("key".into(), "other".into(), b"oth".to_vec());
        host.emit(Effect { idempotency_key, driver, deadline_ms: 5, payload, compensator });
        host.set_timer(Timer { id: "other".into(), due_ms: 77, payload: b"key".to_vec() });
        host.cancel_timer("key");
        host.log(LogLevel::Warn, "other");
        Ok([input.id.as_bytes(), &input.payload, &input.seed.map(u64::to_le_bytes).concat()].concat())
    }

    fn check(host: &mut dyn Host) -> Result<(), Violation> {
        host.get(b"key");
        Ok(())
    }
}

#[test]
fn a_guest_and_its_native_twin_do_the_same() {
    on_thread(|| {
        let component = componentize(&wat::parse_str(include_str!("twin.wat")).unwrap()).unwrap();
        let mut state = StateTrie::new();
        state.insert(b"\x01key", b"value");
        let mut native = NativeExecutor::new(NativePolicy::of::<Twin>());
        let expected = native.step(&mut state, LEDGER, &input()).unwrap();
        assert!(expected.outcome.is_accepted());
        assert_eq!((expected.changes.len(), expected.effects.len(), expected.timers.len()), (2, 1, 2));
        let mut fuel = None;
        for back_end in BackEnd::ALL {
            let mut guest = load(back_end, &component);
            assert_eq!(guest.describe().unwrap(), native.describe().unwrap());
            let executed = guest.step(&mut state, LEDGER, &input()).unwrap();
            assert_eq!(*fuel.get_or_insert(executed.fuel), executed.fuel);
            assert_eq!(Executed { fuel: 0, ..executed }, expected, "{}", back_end.name());
        }
    });
}

#[test]
fn a_step_leaves_nothing_to_the_next() {
    on_thread(|| {
        let mut guest = load(BackEnd::CRANELIFT, &componentize(&harmless()).unwrap());
        let first = guest.step(&mut StateTrie::new(), LEDGER, &input()).unwrap();
        for _ in 0..50 {
            assert_eq!(guest.step(&mut StateTrie::new(), LEDGER, &input()).unwrap(), first);
        }
        assert_eq!(first.outcome, Outcome::Accepted { answer: vec![] });
        assert!(first.fuel > 0 && first.fuel < 1_000, "{}", first.fuel);
    });
}

#[test]
fn views_and_migrations() {
    on_thread(|| {
        let mut guest = load(BackEnd::CRANELIFT, &componentize(&harmless()).unwrap());
        let mut state = StateTrie::new();
        assert_eq!(guest.view(&mut state, "any", b"args").unwrap(), Ok(vec![]));
        let migrated = guest.migrate(&mut state, LEDGER, &input(), "0.9.0").unwrap();
        assert_eq!(migrated.outcome, Outcome::Accepted { answer: vec![] });
    });
}

/// The pool of this back end is used by no other test of this program.
#[test]
fn a_full_pool_is_a_host_fault_and_the_state_comes_back() {
    fn nest(guest: &WasmExecutor) -> Result<(), Stop> {
        let mut state = StateTrie::new();
        state.insert(b"\x01key", b"value");
        let deeper = guest.with_guest(&mut state, 1_000, |_| nest(guest));
        assert_eq!(state.get(b"\x01key"), Some(&b"value"[..]));
        deeper
    }
    on_thread(|| {
        let guest = load(BackEnd::Cranelift(Optimisation::None), &componentize(&harmless()).unwrap());
        assert!(matches!(nest(&guest), Err(Stop::Host(HostFault::PoolFull(_)))));
        let ran = guest.with_guest(&mut StateTrie::new(), 1_000, |_| Ok(()));
        assert!(ran.is_ok(), "and there is room again");
    });
}

#[test]
fn growing_is_allowed_up_to_the_limits() {
    let mut limiter = Limiter;
    assert!(limiter.memory_growing(0, MEMORY_BYTES_MAX, None).unwrap());
    assert!(!limiter.memory_growing(0, MEMORY_BYTES_MAX + 65_536, None).unwrap());
    assert!(!limiter.memory_growing(0, 131_072, Some(65_536)).unwrap());
    assert!(limiter.table_growing(0, TABLE_ELEMENTS_MAX, None).unwrap());
    assert!(!limiter.table_growing(0, TABLE_ELEMENTS_MAX + 1, None).unwrap());
    assert!(limiter.memory_grow_failed(wasmtime::format_err!("mprotect")).unwrap_err().is::<GrowFailed>());
    assert!(limiter.table_grow_failed(wasmtime::format_err!("mprotect")).unwrap_err().is::<GrowFailed>());
}

#[test]
fn a_refusal_at_loading_is_a_host_fault_at_a_step() {
    on_thread(|| {
        let refused = WasmExecutor::new(BackEnd::CRANELIFT, PACKAGE, b"not this", None).err().unwrap();
        assert!(matches!(refused, LoadError::Refused(_)));
        assert!(matches!(HostFault::from(refused), HostFault::Load(_)));
    });
}
