//! Rollback: a ledger goes back to an earlier receipt, and takes another way from there.
//!
//! The state of then is made by whichever is cheaper: the stored state with the inverse diffs of what is cut off, or
//! the snapshot of a checkpoint with the diffs after it. What is cut off is copied to quarantine first, byte for byte.
//!
//! **What others have seen.** An attestation is a promise about one place in the ledger, and a promise cannot be taken
//! back: cut-off attestations stay valid, wherever copies of them are. Once the node signs another receipt for the same
//! sequence number under the same epoch, the two signatures together are evidence of equivocation, and whoever verifies
//! them is right to put the key into quarantine. Nothing in this module hides that. So a rollback across attested
//! receipts, or across a checkpoint, has to be asked for by name and with a reason; the journal keeps the reason, the
//! range, and leaf and log root of the history that was cut off; and `reprise status` says from then on that another
//! history was attested. A verifier who has only the new history sees it match. One who has both sees a fork at the
//! first receipt that was cut off, and two signed receipts for one place.
//!
//! Effects are not rolled back: the world keeps what was done to it. [`effects`] lists those that were carried out in
//! the range that goes, with the compensators that they named, for an operator to decide on.

use super::{Cost, Module, Plan, PlanStep, RecoveryError, Site, Way, ways};
use crate::{checkpoints, journal::LedgerReader};
use reprise_abi::{EFFECT_KIND, EffectPhase, EffectResult, EffectStatus, Input, decode_canonical};
use reprise_receipts::{LeafHash, StepRecord};
use std::{collections::BTreeMap, ops::Range};

/// What a rollback is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Receipts that stay.
    pub size: u64,
    /// Make the state in this way; the cheapest one when absent.
    pub way: Option<Way>,
    /// Go back across receipts that are attested.
    pub attested: bool,
    /// Why, in the operator's words.
    pub reason: String,
    /// The node's clock, in milliseconds since 1970.
    pub now_ms: u64,
}

/// A rollback before it is carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rollback {
    /// What will be done.
    pub plan: Plan,
    /// The ways to the state, cheapest first, with what each costs.
    pub ways: Vec<(Way, Cost)>,
    /// End of the receipts that attestations or checkpoints cover, if some of those are cut off.
    pub attested: Option<u64>,
    /// What was done to the world in the range that goes.
    pub effects: Vec<CutEffect>,
}

/// An effect that something in the cut-off range is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CutEffect {
    /// Its idempotency key.
    pub idempotency_key: String,
    /// The driver that carries it out, if the step that emitted it is cut off.
    pub driver: Option<String>,
    /// The step that emitted it; none if that step stays, so that the effect is asked for again under the same key.
    pub emitted: Option<u64>,
    /// The step that took its result, if it was carried out.
    pub done: Option<u64>,
    /// The driver that undoes it, if it says how.
    pub compensator: Option<String>,
}

/// Makes the plan of a rollback. Nothing is changed.
///
/// # Errors
/// [`RecoveryError`]: there is no such place, or attested receipts would go without leave.
pub fn plan(site: &Site<'_>, options: &Options) -> Result<Rollback, RecoveryError> {
    let reader = site.journal.read(site.entry.no)?;
    let (old_size, size) = (reader.size()?, options.size);
    if size >= old_size {
        return Err(RecoveryError::Beyond { size: old_size, wanted: size });
    }
    if let Some(first) = reader.base().map(|base| base.size).filter(|first| size < *first) {
        return Err(RecoveryError::BeforeOrigin { first });
    }
    let attested = attested_end(site, &reader, size)?;
    if let (Some(end), false) = (attested, options.attested) {
        return Err(RecoveryError::Attested { attested: end - 1 });
    }
    let ways = ways::ways(site.journal, site.entry, &reader, size)?;
    let state_root = ways::root_after(site, &reader, size)?;
    let way = match options.way {
        Some(way) => way,
        None => ways::cheapest_state(site, size, state_root)?.0,
    };
    let case = site.journal.next_case(site.entry.no)?;
    let last = reader.receipt(old_size - 1)?.ok_or(RecoveryError::NoReceipt(old_size - 1))?;
    let old_log_root = checkpoints::log_root_at(&reader, old_size)?;
    let mut steps = vec![
        PlanStep::Quarantine { case, from: size, to: old_size },
        PlanStep::RecordRewind { case, size, old_size, old_leaf: LeafHash::of(&last), old_log_root, attested },
        PlanStep::Cut { size, state_root, way },
        PlanStep::RemoveCheckpoints { size },
        PlanStep::Check { size, state_root },
    ];
    if size > 0 {
        steps.push(PlanStep::Attest { size });
    }
    let reason = bounded(&options.reason);
    let plan = Plan { ledger: site.entry.id, module: Module::Rollback, reason, made_ms: options.now_ms, steps };
    Ok(Rollback { plan, ways, attested, effects: effects(&reader, size..old_size)? })
}

/// End of the receipts that are covered by attestations or checkpoints over more than `size` receipts.
fn attested_end(site: &Site<'_>, reader: &LedgerReader, size: u64) -> Result<Option<u64>, RecoveryError> {
    let mut end = None;
    for attestation in reader.attestations(size..u64::MAX)? {
        end = Some(attestation?.0 + 1);
    }
    let checkpoint = site.journal.raw_checkpoints(site.entry.no)?.last().map(|last| last.size);
    Ok(end.max(checkpoint.filter(|checkpoint| *checkpoint > size)))
}

/// Effects that steps of a range emitted, or that results in it are about, by idempotency key.
///
/// # Errors
/// [`RecoveryError::Journal`].
pub fn effects(reader: &LedgerReader, range: Range<u64>) -> Result<Vec<CutEffect>, RecoveryError> {
    let mut found: BTreeMap<String, CutEffect> = BTreeMap::new();
    for step in reader.steps(range)? {
        // What does not decode says nothing of effects; that it does not is for the doctor to say.
        let Ok(step) = step? else { continue };
        if let Ok(record) = decode_canonical::<StepRecord>(step.record()) {
            for effect in &record.output.effects {
                let entry = found.entry(effect.idempotency_key.clone()).or_insert_with(|| CutEffect::of(effect));
                entry.emitted.get_or_insert(step.seq());
            }
        }
        let result = decode_canonical::<Input>(step.input()).ok().filter(|input| input.event.kind == EFFECT_KIND);
        let result = result.and_then(|input| decode_canonical::<EffectResult>(&input.event.payload).ok());
        if let Some(EffectResult { idempotency_key, phase: EffectPhase::Act, status: EffectStatus::Done { .. } }) =
            result
        {
            let unknown = CutEffect {
                driver: None,
                emitted: None,
                done: None,
                compensator: None,
                idempotency_key: idempotency_key.clone(),
            };
            found.entry(idempotency_key).or_insert(unknown).done = Some(step.seq());
        }
    }
    Ok(found.into_values().collect())
}

impl CutEffect {
    fn of(effect: &reprise_abi::Effect) -> Self {
        Self {
            idempotency_key: effect.idempotency_key.clone(),
            driver: Some(effect.driver.clone()),
            emitted: None,
            done: None,
            compensator: effect.compensator.as_ref().map(|undo| undo.driver.clone()),
        }
    }
}

/// A reason that fits a plan.
pub(super) fn bounded(reason: &str) -> String {
    reason[..reason.floor_char_boundary(reprise_abi::limits::DETAIL_BYTES_MAX)].to_owned()
}
