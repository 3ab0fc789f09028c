//! Faults of the outside world: a scenario on a ledger of a live node. Its time is logical: what the policy's timers
//! and deadlines take is what it would take by the clock.

use super::{Drilled, LEDGER, catalogue::Script};
use crate::{
    cli::{child::packaged_node, error::CliError},
    engine::on_engine_thread,
    node::{EngineChoice, Node},
    scenario::{Deadline, Ended, Moment, Played, Scenario, Stage, difference},
    verify::{VerifyOptions, verify},
};
use reprise_abi::decode_canonical;
use reprise_receipts::{Package, Receipt, StateRoot, Verdict};
use std::{
    path::Path,
    sync::{Arc, atomic::AtomicU64},
};

pub(super) fn run(script: &Script, work: &Path) -> Result<Drilled, CliError> {
    let node = packaged_node(&work.join("node"), script.package)?;
    let package: Package = decode_canonical(script.package).map_err(|error| CliError::Fault(error.to_string()))?;
    let entry = node.create_ledger(LEDGER, package.manifest.digest())?;
    let mut scenario = Scenario::parse(Path::new(script.file), script.scenario.as_bytes())
        .map_err(|error| CliError::Fault(format!("a built-in scenario: {error}")))?;
    let well = scenario.expect.deadlines.len();
    scenario.expect.deadlines.push(Deadline {
        effect: None,
        status: None,
        view_holds: Some(script.view.to_owned()),
        args: (script.args)(),
        is: Some((script.well)()),
        by_ms: u64::MAX,
    });
    let node = Arc::new(node);
    let player = node.clone();
    let (live, scenario_played) = (entry.clone(), scenario.clone());
    let thread = on_engine_thread("reprise-drill", move || {
        let mut stage = Stage::new(&scenario_played.policy, Some(&package), EngineChoice::Cranelift)
            .map_err(|error| CliError::Fault(error.to_string()))?;
        stage.play_on(&scenario_played, &player, &live).map_err(|error| CliError::Fault(error.to_string()))
    });
    let thread = thread.map_err(|error| CliError::Fault(error.to_string()))?;
    let played = thread.join().map_err(|_| CliError::Fault("the engine thread panicked".to_owned()))??;
    let recovery_ms = played.held_ms.get(&well).map(|held_ms| held_ms - script.fault_ms);
    scenario.expect.deadlines.truncate(well);
    let differs = difference(&scenario, &played).map(|difference| difference.to_string());
    Ok(Drilled {
        start_root: root(&played, |at_ms| at_ms < script.fault_ms),
        end_root: root(&played, |_| true),
        receipts: played.steps().count() as u64,
        recovery_ms,
        inconsistent: differs.or(replayed(&node, &entry)?),
    })
}

/// The state root after the last step at such a time.
fn root(played: &Played, at: impl Fn(u64) -> bool) -> String {
    let receipts = played.moments.iter().filter_map(|moment| match moment {
        Moment::Input { at_ms, ended: Ended::Step(step), .. } if at(*at_ms) => Some(&step.sealed.receipt),
        _ => None,
    });
    let last: Option<&Receipt> = receipts.last();
    last.map_or_else(String::new, |receipt: &Receipt| StateRoot::to_string(&receipt.next_state))
}

/// Why the ledger does not replay on another engine than it ran on, if it does not.
fn replayed(node: &Node, entry: &crate::journal::LedgerEntry) -> Result<Option<String>, CliError> {
    let options = VerifyOptions { range: None, engine: EngineChoice::Pulley, jobs: 1 };
    match verify(node.journal(), entry, node.dir(), &options, &Arc::new(AtomicU64::new(0)))? {
        Verdict::Match(_) => Ok(None),
        other => Ok(Some(format!("the ledger does not replay: {other:?}"))),
    }
}
