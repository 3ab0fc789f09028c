//! One incident, every engine: the guests make the same receipts to the byte, native code the same diffs, outputs and
//! roots.

use reprise::{
    engine::{BackEnd, EngineProfile, Executor, NativeExecutor, ViewError, WasmExecutor, on_engine_thread},
    events::EventLines,
};
use reprise_abi::{Input, Outcome, decode_canonical};
use reprise_guest::NativePolicy;
use reprise_lease::Lease;
use reprise_receipts::{
    Executed, Genesis, Head, Package, SigningKey,
    genesis::{GENESIS_FORMAT, PROTOCOL_EPOCH},
    ledger::{OrderError, Sealed, Work},
};
use std::{fs, path::PathBuf};

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fixtures").join(name)
}

fn package() -> Package {
    decode_canonical(&fs::read(fixture("packages/lease-1.0.0.reprise")).unwrap()).unwrap()
}

fn head(package: &Package) -> Head {
    let key = SigningKey::from_secret(&[1; 32]).public();
    Head::genesis(Genesis {
        format: GENESIS_FORMAT,
        name: "engines agree".to_owned(),
        nonce: [2; 16],
        protocol_epoch: PROTOCOL_EPOCH,
        engine_profile: EngineProfile::current().digest(),
        package: package.manifest.digest(),
        epoch: 1,
        attester: key,
        operators: vec![key],
        operator_threshold: 1,
    })
}

/// Runs the incident: what it sealed, and a few projections of where it ended.
fn run(executor: &mut dyn Executor, package: &Package) -> (Vec<Sealed>, Vec<Result<Vec<u8>, ViewError>>) {
    let lines = fs::read(fixture("incidents/rank-loss-and-split.jsonl")).unwrap();
    let mut head = head(package);
    let mut sealed = Vec::new();
    for proposal in EventLines::new(lines.as_slice()) {
        let proposal = proposal.unwrap();
        let logical_time_ms = proposal.time_ms.unwrap_or(0).max(head.logical_time_ms());
        // Deadlines that passed: the policy does not hear of them, so the ledger answers by itself.
        while let Some(due) = head.due_input(logical_time_ms) {
            let work = head.prepare(&due).unwrap();
            sealed.push(head.seal(&due, &work, Executed::answered(Outcome::Accepted { answer: Vec::new() })));
        }
        let input = Input { seq: head.next_seq(), epoch: head.epoch(), logical_time_ms, event: proposal.event };
        match head.prepare(&input) {
            Ok(Work::Step) => {}
            Err(OrderError::Duplicate { .. }) => continue,
            other => panic!("{}: {other:?}", executor.name()),
        }
        let ledger = head.ledger();
        let executed = executor.step(head.lend_state(), ledger, &input).unwrap();
        sealed.push(head.seal(&input, &Work::Step, executed));
    }
    let views = package.manifest.description.views.iter();
    let views = views.map(|view| executor.view(head.lend_state(), view, b"").unwrap()).collect();
    (sealed, views)
}

#[test]
fn guests_make_the_same_receipts_and_native_code_the_same_roots() {
    let compare = || {
        let package = package();
        let (native, native_views) = run(&mut NativeExecutor::new(NativePolicy::of::<Lease>()), &package);
        let guests = BackEnd::ALL.map(|back_end| {
            let mut guest = WasmExecutor::new(back_end, package.manifest.digest(), &package.component, None).unwrap();
            assert_eq!(guest.describe().unwrap().unwrap(), package.manifest.description);
            run(&mut guest, &package)
        });
        assert!(native.len() > 2_000 && native_views.iter().any(Result::is_ok));
        for (back_end, (sealed, views)) in BackEnd::ALL.iter().zip(&guests) {
            assert_eq!(sealed.len(), native.len());
            assert_eq!(*views, native_views, "{}", back_end.name());
            for (guest, native) in sealed.iter().zip(&native) {
                let step = format!("{} at sequence number {}", back_end.name(), native.receipt.seq);
                assert_eq!(guest.record, native.record, "{step}");
                let execution = (guest.receipt.execution, guest.receipt.next_state);
                assert_eq!(execution, (native.receipt.execution, native.receipt.next_state), "{step}");
            }
            for (guest, first) in sealed.iter().zip(&guests[0].0) {
                assert_eq!(guest.receipt, first.receipt, "{}", back_end.name());
                assert_eq!(guest.receipt_bytes, first.receipt_bytes, "{}", back_end.name());
            }
        }
        let dearest = guests[0].0.iter().map(|sealed| sealed.receipt.fuel).max();
        assert!(dearest.is_some_and(|fuel| fuel > 0 && fuel < reprise_abi::limits::STEP_FUEL_MAX));
    };
    on_engine_thread("engines-agree", compare).unwrap().join().unwrap();
}
