//! Carrying out a plan, step by step, so that a crash at any moment can be resumed.
//!
//! The state that a plan leads to is made before anything is written: a plan that is begun has what it takes. The plan is
//! in the journal before its first step is done, and each step is written down after it is. What a crash leaves is a plan and the step that may have been half done: [`resume`] does it again.

use super::{Module, Plan, PlanStep, RecoveryError, Site, host, replay_reconstruction, ways};
use crate::{
    checkpoints::retention,
    journal::{
        Case, CaseKind, CaseNo, Group, JournalError, Quarantined, QuarantinedKind, RecordKind, Rewind, RunningPlan,
    },
    keys,
};
use reprise_abi::{decode_canonical, encode};
use reprise_receipts::{AttestationBody, StateTrie};
use std::ops::Range;

/// Steps that go into quarantine in one transaction.
const QUARANTINED_AT_ONCE: u64 = 1_024;

/// Where in a plan somebody is told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Before this step.
    Before(usize),
    /// In the middle of this step.
    During(usize),
    /// After this step, before it is written down.
    After(usize),
}

/// The plan is to stop here, as if the process had died.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stop;

/// Watches a plan: tells people how far it is, or stops it in tests.
pub trait Watch {
    /// The plan is at this moment.
    ///
    /// # Errors
    /// [`Stop`].
    fn at(&mut self, moment: Moment, step: &PlanStep) -> Result<(), Stop>;
}

/// Watches nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoWatch;

impl Watch for NoWatch {
    fn at(&mut self, _: Moment, _: &PlanStep) -> Result<(), Stop> {
        Ok(())
    }
}

impl From<Stop> for RecoveryError {
    fn from(_: Stop) -> Self {
        Self::Stopped
    }
}

/// Carries out a plan from its first step.
///
/// # Errors
/// [`RecoveryError`]. What was done stays done; [`resume`] goes on.
pub fn carry_out(site: &Site<'_>, plan: &Plan, watch: &mut dyn Watch) -> Result<(), RecoveryError> {
    if site.journal.running_plan(site.entry.no)?.is_some() {
        return Err(RecoveryError::Unfinished);
    }
    let ready = ready(site, plan)?;
    let running = RunningPlan { plan: encode(plan), next: 0, begun_ms: plan.made_ms };
    site.journal.put_running_plan(site.entry.no, &running)?;
    go_on(site, running, plan, ready, watch)
}

/// Goes on with the plan that was begun and is not done. Gives it, if there is one.
///
/// # Errors
/// [`RecoveryError`], as for [`carry_out`].
pub fn resume(site: &Site<'_>, watch: &mut dyn Watch) -> Result<Option<Plan>, RecoveryError> {
    let Some(running) = site.journal.running_plan(site.entry.no)? else { return Ok(None) };
    let plan: Plan = decode_canonical(&running.plan)?;
    tracing::warn!(ledger = %site.entry.id, step = running.next, "going on with a {} that was begun", plan.module.name());
    go_on(site, running, &plan, None, watch)?;
    Ok(Some(plan))
}

/// The state that the plan stores, made and held against its root.
fn ready(site: &Site<'_>, plan: &Plan) -> Result<Option<StateTrie>, RecoveryError> {
    let stored = plan.steps.iter().find_map(|step| match step {
        PlanStep::Cut { size, state_root, way } | PlanStep::StoreState { size, state_root, way } => {
            Some((*way, *size, *state_root))
        }
        _ => None,
    });
    stored.map(|(way, size, root)| ways::state_by(site, way, size, root)).transpose()
}

fn go_on(
    site: &Site<'_>,
    mut running: RunningPlan,
    plan: &Plan,
    mut ready: Option<StateTrie>,
    watch: &mut dyn Watch,
) -> Result<(), RecoveryError> {
    let done = usize::try_from(running.next).unwrap_or(usize::MAX);
    for (index, step) in plan.steps.iter().enumerate().skip(done) {
        watch.at(Moment::Before(index), step)?;
        perform(site, plan, step, &mut ready, &mut || watch.at(Moment::During(index), step))?;
        watch.at(Moment::After(index), step)?;
        running.next += 1;
        site.journal.put_running_plan(site.entry.no, &running)?;
    }
    site.journal.end_plan(site.entry.no)?;
    Ok(())
}

fn perform(
    site: &Site<'_>,
    plan: &Plan,
    step: &PlanStep,
    ready: &mut Option<StateTrie>,
    during: &mut dyn FnMut() -> Result<(), Stop>,
) -> Result<(), RecoveryError> {
    let (journal, no) = (site.journal, site.entry.no);
    match step {
        PlanStep::Quarantine { case, from, to } => {
            let kind = if plan.module == Module::ReplayReconstruction { CaseKind::Damaged } else { CaseKind::CutOff };
            journal.put_case(no, *case, &Case::new(kind, &plan.reason, plan.made_ms, *from..*to))?;
            quarantine(site, *case, *from..*to, during)
        }
        PlanStep::RecordRewind { .. } => {
            let last = journal.read(no)?.last_receipt()?;
            let epoch = last.map_or(0, |(last, _)| last.epoch);
            Ok(journal.put_rewind(no, &rewind(plan, step, epoch))?)
        }
        PlanStep::Cut { size, state_root, way } | PlanStep::StoreState { size, state_root, way } => {
            let made = ready.take().map(Ok).unwrap_or_else(|| ways::state_by(site, *way, *size, *state_root));
            let state = made?;
            during()?;
            Ok(journal.cut(no, *size, &state)?)
        }
        PlanStep::RemoveCheckpoints { size } => {
            journal.remove_checkpoints_over(no, *size)?;
            during()?;
            if let Err(error) = retention::sweep(journal, no) {
                tracing::warn!(%error, "chunks that nobody needs stay");
            }
            Ok(())
        }
        PlanStep::Rebuild { case, size, log_root } => {
            let case = (*case, Case::new(CaseKind::Damaged, &plan.reason, plan.made_ms, 0..*size));
            replay_reconstruction::rebuild(site, case, *size, *log_root, during)
        }
        PlanStep::Check { size, state_root } => check(site, *size, *state_root),
        PlanStep::Attest { size } => {
            during()?;
            attest(site, *size)
        }
    }
}

fn rewind(plan: &Plan, step: &PlanStep, epoch: u64) -> Rewind {
    let PlanStep::RecordRewind { case, size, old_size, old_leaf, old_log_root, attested } = *step else {
        unreachable!("only called for this step")
    };
    let (reason, at_ms) = (plan.reason.clone(), plan.made_ms);
    Rewind { size, old_size, old_leaf, old_log_root, attested, reason, at_ms, case, epoch }
}

/// Copies what belongs to receipts of a range, some of them at a time.
fn quarantine(
    site: &Site<'_>,
    case: CaseNo,
    range: Range<u64>,
    during: &mut dyn FnMut() -> Result<(), Stop>,
) -> Result<(), RecoveryError> {
    let (journal, no) = (site.journal, site.entry.no);
    let reader = journal.read(no)?;
    let mut from = range.start;
    while from < range.end {
        let to = range.end.min(from + QUARANTINED_AT_ONCE);
        let mut records = Vec::new();
        for step in reader.steps(from..to)? {
            let step = step?.map_err(|missing| JournalError::damaged(RecordKind::Steps, "of the ledger", missing))?;
            let record = |kind, bytes: &[u8]| Quarantined { kind, seq: step.seq(), bytes: bytes.to_vec() };
            records.push(record(QuarantinedKind::Input, step.input()));
            records.push(record(QuarantinedKind::Receipt, step.receipt()));
            records.push(record(QuarantinedKind::StepRecord, step.record()));
        }
        for attestation in reader.attestations(from..to)? {
            let (seq, bytes) = attestation?;
            records.push(Quarantined { kind: QuarantinedKind::Attestation, seq, bytes });
        }
        journal.quarantine(no, case, records)?;
        during()?;
        from = to;
    }
    let mut records = Vec::new();
    for raw in journal.raw_checkpoints(no)?.into_iter().filter(|raw| raw.size > range.start) {
        records.push(Quarantined { kind: QuarantinedKind::Checkpoint, seq: raw.size, bytes: raw.record });
        records.push(Quarantined { kind: QuarantinedKind::Note, seq: raw.size, bytes: raw.note });
    }
    Ok(journal.quarantine(no, case, records)?)
}

fn check(site: &Site<'_>, size: u64, expected: reprise_receipts::StateRoot) -> Result<(), RecoveryError> {
    let (open, start) = host::start(site.journal, site.entry)?;
    let found = open.head.state_root();
    if open.head.next_seq() != size {
        return Err(RecoveryError::Beyond { size: open.head.next_seq(), wanted: size });
    }
    if found == expected {
        return Ok(());
    }
    Err(RecoveryError::OtherState { way: start.way, size, expected, found })
}

/// Signs the last receipt, unless it is signed or this node is not the one to do it.
fn attest(site: &Site<'_>, size: u64) -> Result<(), RecoveryError> {
    let path = site.dir.join("keys/attester.key");
    if !path.exists() {
        return Ok(());
    }
    let key = keys::read_signing(&path)?;
    let (open, _) = host::start(site.journal, site.entry)?;
    let leaf = open.tail.last_leaf().filter(|_| open.attested < size && open.tail.size() == size);
    let last = site.journal.read(site.entry.no)?.last_receipt()?;
    let (Some(leaf), Some((receipt, _))) = (leaf.filter(|_| key.public() == *open.head.attester()), last) else {
        return Ok(());
    };
    let body = AttestationBody::of(&receipt, leaf, open.tail.root());
    let attestation = body.sign(&key);
    Ok(site.journal.commit(site.entry.no, &Group { attestation: Some(&attestation), ..Group::default() })?)
}
