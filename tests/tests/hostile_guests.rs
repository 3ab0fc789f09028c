//! Guests that do what a policy must not do: each ends with the outcome or refusal that is written down, the same on
//! every back end, with the state untouched and the host alive. `fixtures/hostile/README.md` says how the fixtures are
//! written.

use reprise::engine::{
    AdmissionError, BackEnd, Executor, GuestFault, HostFault, LoadError, WasmExecutor, componentize, on_engine_thread,
};
use reprise_abi::{Event, Input, Outcome, TrapKind};
use reprise_receipts::{Executed, LedgerId, PackageDigest, StateTrie};
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

const LEDGER: LedgerId = LedgerId::from_bytes([7; 32]);

fn hostile_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/hostile")
}

/// The bytes of a fixture: what a publisher would put into a package.
fn component(name: &str) -> Vec<u8> {
    let text = fs::read_to_string(hostile_dir().join(name).with_extension("wat")).unwrap();
    let text = repeated(&text);
    if text.starts_with("(module") || text.starts_with("(component") {
        return wat::parse_str(text).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    let module = with_defaults(&text);
    let module = wat::parse_str(&module).unwrap_or_else(|error| panic!("{name}: {error}\n{module}"));
    componentize(&module).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn component_of(fields: &str) -> Vec<u8> {
    componentize(&wat::parse_str(with_defaults(fields)).unwrap()).unwrap()
}

fn with_defaults(fields: &str) -> String {
    let default = |name: &str| fs::read_to_string(hostile_dir().join("defaults").join(name)).unwrap();
    let mut module = format!("(module\n{}{fields}", default("imports.wat"));
    for export in ["memory", "cabi_realloc", "describe", "step", "check", "view", "migrate"] {
        if !fields.contains(&format!("(export \"{export}\")")) {
            module.push_str(&default(&format!("{export}.wat")));
        }
    }
    module + ")"
}

/// Writes out `{{N TEXT}}`.
fn repeated(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let (body, after) = after.split_once("}}").expect("a repetition ends");
        let (times, body) = body.split_once(' ').expect("a repetition has a number");
        out.push_str(before);
        for number in 0..times.parse::<u32>().unwrap() {
            out.push_str(&body.replace('#', &number.to_string()));
        }
        rest = after;
    }
    out + rest
}

/// A state with a key of the policy's and one of the ledger's own.
fn state() -> StateTrie {
    let mut state = StateTrie::new();
    state.insert(b"\x00ledger's own", b"not for policies");
    state.insert(b"\x01old", b"value");
    state
}

fn input() -> Input {
    let event =
        Event { id: "input-1".into(), source: "test".into(), kind: "hostile".into(), payload: b"payload".to_vec() };
    Input { seq: 3, epoch: 1, logical_time_ms: 1_000, event }
}

fn load(back_end: BackEnd, component: &[u8]) -> Result<WasmExecutor, LoadError> {
    WasmExecutor::new(back_end, PackageDigest::from_bytes([1; 32]), component, None)
}

/// What became of a guest on one back end.
#[derive(Debug, PartialEq)]
enum Fate {
    Refused(AdmissionError),
    NeverStarts(GuestFault),
    Ran(Executed),
}

fn fate(name: &str, back_end: BackEnd, component: &[u8]) -> Fate {
    let mut executor = match load(back_end, component) {
        Ok(executor) => executor,
        Err(LoadError::Refused(error)) => return Fate::Refused(error),
        Err(LoadError::Start(fault)) => return Fate::NeverStarts(fault),
        Err(error) => panic!("{name} on {}: {error}", back_end.name()),
    };
    let mut state = state();
    let root = state.root();
    let executed = executor.step(&mut state, LEDGER, &input());
    let executed = executed.unwrap_or_else(|fault| panic!("{name} on {}: {fault}", back_end.name()));
    assert_eq!(state.root(), root, "{name} on {}: a step does not write", back_end.name());
    if !executed.outcome.is_accepted() {
        assert!(executed.changes.is_empty() && executed.effects.is_empty() && executed.timers.is_empty(), "{name}");
    }
    Fate::Ran(executed)
}

impl Fate {
    fn line(&self) -> String {
        let executed = match self {
            Self::Refused(error) => return format!("refused: {error}"),
            Self::NeverStarts(fault) => return format!("never starts: {fault}"),
            Self::Ran(executed) => executed,
        };
        let outcome = match &executed.outcome {
            Outcome::Accepted { answer } => {
                let hex = answer.iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
                format!("accepted {hex}")
            }
            Outcome::Rejected(rejection) => {
                format!("rejected {} with a detail of {} bytes", rejection.code, rejection.detail.len())
            }
            Outcome::Trapped(kind) => format!("trapped {} {kind:?}", *kind as u32),
            Outcome::OutOfFuel => "out of fuel".to_owned(),
            Outcome::LimitExceeded(kind) => format!("limit exceeded {} {kind:?}", *kind as u32),
            Outcome::InvariantViolated(violation) => {
                format!("invariant violated `{}`: {}", violation.invariant, violation.detail)
            }
        };
        format!("{}, fuel {}", outcome.trim_end(), executed.fuel)
    }
}

/// The fixtures, by name.
fn fixtures() -> Vec<String> {
    let files = fs::read_dir(hostile_dir()).unwrap().map(|entry| entry.unwrap().path());
    let wat = files.filter(|path| path.extension().is_some_and(|extension| extension == "wat"));
    let mut names: Vec<String> = wat.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

fn on_thread(run: impl FnOnce() + Send + 'static) {
    on_engine_thread("hostile-guests", run).unwrap().join().unwrap();
}

#[test]
fn every_hostile_guest_ends_as_expected_on_every_back_end() {
    on_thread(|| {
        let mut found = String::new();
        for name in fixtures() {
            let component = component(&name);
            let fates = BackEnd::ALL.map(|back_end| fate(&name, back_end, &component));
            assert_eq!(fates[0], fates[1], "{name}: unoptimised code differs from optimised");
            assert_eq!(fates[0], fates[2], "{name}: the interpreter differs from machine code");
            writeln!(found, "{name}: {}", fates[0].line()).unwrap();
        }
        let path = hostile_dir().join("expected.txt");
        if std::env::var_os("UPDATE_EXPECTED").is_some() {
            fs::write(&path, &found).unwrap();
        }
        let expected = fs::read_to_string(&path).unwrap();
        let by_name = |text: &str| -> BTreeMap<String, String> {
            text.lines().filter_map(|line| line.split_once(": ")).map(|(n, f)| (n.to_owned(), f.to_owned())).collect()
        };
        let (found, expected) = (by_name(&found), by_name(&expected));
        for name in found.keys().chain(expected.keys()) {
            assert_eq!(found.get(name), expected.get(name), "{name}");
        }
    });
}

#[test]
fn an_accepted_step_leaves_what_it_did_and_nothing_else() {
    on_thread(|| {
        let component = component_of(
            r#"(data (i32.const 1024) "newvalue") (data (i32.const 1040) "old")
            (func (export "step") (type $step)
              (call $put (i32.const 1024) (i32.const 3) (i32.const 1027) (i32.const 5))
              (call $delete (i32.const 1040) (i32.const 3))
              (call $set_timer (i32.const 1024) (i32.const 3) (i64.const 99) (i32.const 1027) (i32.const 5))
              (i32.const 0))"#,
        );
        for back_end in BackEnd::ALL {
            let Fate::Ran(executed) = fate("accepted", back_end, &component) else { panic!("it runs") };
            let changes: Vec<_> = executed.changes.iter().map(|c| (&c.key[..], &c.before, &c.after)).collect();
            let value = Some(b"value".to_vec());
            assert_eq!(changes, [(&b"\x01new"[..], &None, &value), (&b"\x01old"[..], &value, &None)]);
            assert_eq!((executed.timers.len(), executed.effects.len()), (1, 0));
        }
    });
}

#[test]
fn describe_may_call_nothing() {
    on_thread(|| {
        let component = component_of(
            r#"(func (export "describe") (result i32)
              (call $get (i32.const 1024) (i32.const 3) (i32.const 256))
              (i32.const 0))"#,
        );
        for back_end in BackEnd::ALL {
            let described = load(back_end, &component).unwrap().describe().unwrap();
            assert_eq!(described, Err(GuestFault::Trapped(TrapKind::ForbiddenCall)));
        }
    });
}

#[test]
fn a_view_may_not_write() {
    on_thread(|| {
        let component = component_of(
            r#"(func (export "view") (param i32 i32 i32 i32) (result i32)
              (call $delete (i32.const 1024) (i32.const 3))
              (i32.const 0))"#,
        );
        for back_end in BackEnd::ALL {
            let mut state = state();
            let root = state.root();
            let viewed = load(back_end, &component).unwrap().view(&mut state, "any", b"").unwrap();
            assert_eq!(viewed, Err(GuestFault::Trapped(TrapKind::ForbiddenCall).into()));
            assert_eq!(state.root(), root);
        }
    });
}

#[test]
fn a_description_made_of_the_same_bytes_again_and_again_is_not_copied_out() {
    on_thread(|| {
        // 4,096 kinds of 64 KiB each, all of them the same bytes: 256 MiB out of 32 KiB of pointers.
        let component = component_of(
            r#"(func (export "describe") (result i32)
              (local $at i32)
              (local.set $at (i32.const 65536))
              (loop $again
                (i32.store (local.get $at) (i32.const 131072))
                (i32.store (i32.add (local.get $at) (i32.const 4)) (i32.const 65536))
                (br_if $again
                  (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 8))) (i32.const 98304))))
              (i32.store (i32.const 272) (i32.const 65536))
              (i32.store (i32.const 276) (i32.const 4096))
              (i32.const 256))"#,
        );
        for back_end in BackEnd::ALL {
            let described = load(back_end, &component).unwrap().describe();
            assert!(matches!(described, Err(HostFault::Engine(_))), "{described:?}");
        }
    });
}

#[test]
fn the_host_survives_all_of_them_at_once() {
    let names = ["recursion_small_frames", "memory_bomb", "trap_after_writes", "unreachable", "infinite_loop"];
    let threads = names.map(|name| {
        let run = move || {
            let mut executor = load(BackEnd::CRANELIFT, &component(name)).unwrap();
            let first = executor.step(&mut state(), LEDGER, &input()).unwrap();
            for _ in 0..3 {
                assert_eq!(executor.step(&mut state(), LEDGER, &input()).unwrap(), first, "{name}");
            }
        };
        on_engine_thread(name, run).unwrap()
    });
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn no_guest_runs_on_a_small_stack() {
    on_thread(|| {
        let mut executor = load(BackEnd::CRANELIFT, &component("recursion_small_frames")).unwrap();
        let elsewhere = std::thread::spawn(move || {
            let mut state = state();
            let root = state.root();
            let fault = executor.step(&mut state, LEDGER, &input()).unwrap_err();
            assert_eq!(state.root(), root);
            fault
        });
        assert!(matches!(elsewhere.join().unwrap(), HostFault::SmallStack));
    });
}
