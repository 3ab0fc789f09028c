//! Giving up a plan that was begun: where nothing of it shows yet, or where nothing is left to be done.
//!
//! | plan | may be given up |
//! | --- | --- |
//! | rollback, before the cut | yes: the copy in quarantine and the note of the rewind go with the plan |
//! | rollback, after the cut, with checkpoints still to be removed | no: it has to come to its end |
//! | rollback, when only looking at the ledger and signing it are left | yes: the ledger stays cut, as is on record |
//! | restore | yes: the stored state is the old one or the new one, and a start-up goes around one that does not hold |
//! | rebuild | yes: each step that was replaced is the one that is proved, the others are as they were |

use super::{Module, Plan, PlanStep, RecoveryError, Site};
use crate::journal::CaseNo;
use reprise_abi::decode_canonical;

/// A plan that was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Abandoned {
    /// What it was.
    pub plan: Plan,
    /// Its steps that were done.
    pub done: u32,
    /// What it had copied to quarantine is gone again.
    pub undone: bool,
}

/// Gives up the plan that was begun and is not done. `None`: there is none. Without `carry_out` it is only said what
/// would be done.
///
/// # Errors
/// [`RecoveryError::PastAbandoning`]: it can only be brought to its end. Or the plan does not decode; then nothing says
/// how far it is.
pub fn abandon(site: &Site<'_>, carry_out: bool) -> Result<Option<Abandoned>, RecoveryError> {
    let Some(running) = site.journal.running_plan(site.entry.no)? else { return Ok(None) };
    let plan: Plan = decode_canonical(&running.plan)?;
    let case = match plan.module {
        Module::Rollback => rollback(site, &plan, running.next)?,
        Module::CheckpointRestore | Module::ReplayReconstruction => None,
    };
    // The number may have gone to another case, if the plan's own was not opened yet.
    let opened = site.journal.cases(site.entry.no)?.into_iter().find(|(no, _)| Some(*no) == case);
    let case =
        case.filter(|_| opened.is_none_or(|(_, case)| (case.at_ms, &case.reason) == (plan.made_ms, &plan.reason)));
    if carry_out {
        site.journal.abandon_plan(site.entry.no, case)?;
    }
    Ok(Some(Abandoned { plan, done: running.next, undone: case.is_some() }))
}

/// The case that goes with a rollback that did not cut yet; none when it has done everything that shows.
fn rollback(site: &Site<'_>, plan: &Plan, next: u32) -> Result<Option<CaseNo>, RecoveryError> {
    let rest = plan.steps.get(usize::try_from(next).unwrap_or(usize::MAX)..).unwrap_or_default();
    let only_looks = |step: &PlanStep| matches!(step, PlanStep::Check { .. } | PlanStep::Attest { .. });
    if rest.iter().all(only_looks) {
        return Ok(None);
    }
    // A crash between the cut and the note of it leaves the step to be done again, and the ledger cut.
    let size = site.journal.read(site.entry.no)?.size()?;
    let mut case = None;
    for step in &plan.steps {
        match step {
            PlanStep::RecordRewind { case: of_plan, old_size, .. } if size == *old_size => case = Some(*of_plan),
            PlanStep::RecordRewind { size, .. } => return Err(RecoveryError::PastAbandoning { size: *size }),
            _ => {}
        }
    }
    let cut = |step: &PlanStep| matches!(step, PlanStep::Cut { .. });
    if rest.iter().any(cut) { Ok(case) } else { Err(RecoveryError::PastAbandoning { size }) }
}
