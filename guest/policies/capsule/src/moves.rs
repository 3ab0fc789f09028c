//! What is to be done about a capsule: a pure function of its record, the tick and the parameters.
//!
//! It is asked at the end of a tick, when everything of that tick has been heard, so the order in which it was heard
//! does not matter. The flow is that of section 1.1 of the document.

use crate::{
    case::{Assessment, Case, Cause, Decision, Vote, Watch},
    config::Config,
    severity::Severity,
    state::{Capsule, Setback, Status},
};

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// Nothing.
    Stay,
    /// Correct it and verify (E2).
    Heal,
    /// Out of the pool (E3).
    Quarantine(Cause),
    /// Out of the pool, and ask the cluster (E4).
    Escalate(Cause),
    /// Isolate the lineage (E5).
    Isolate(Cause),
    /// Back to isolation: the release of the lineage did not hold.
    Reisolate(Cause),
    /// Attempt a repair (E3).
    Repair,
    /// A review releases it: verify (E12).
    Release,
    /// Verify for another five ticks (section 4.2).
    Extend,
    /// Success criteria are not met (section 4.2).
    Fail(Failed),
    /// The recovery is complete.
    Complete,
}

/// Success criteria of section 4.2 that are not met and forbid that the capsule goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failed {
    /// Drift velocity is not below 0.05, or nothing was measured in the last tick.
    pub velocity: bool,
    /// A node did not agree, or did not answer.
    pub agreement: bool,
    /// A node found a proof that is not valid.
    pub proof: bool,
}

impl Failed {
    /// The failure that weighs most.
    #[must_use]
    pub fn cause(self) -> Cause {
        if self.proof {
            Cause::InvestigateTampering
        } else if self.agreement {
            Cause::ManualIntervention
        } else {
            Cause::Requarantine
        }
    }
}

/// What is to be done about a capsule at the beginning of `tick`.
#[must_use]
pub fn next_move(capsule: &Capsule, tick: u64, config: &Config) -> Move {
    let at = At { capsule, tick, severity: capsule.fresh(tick).map(|reading| reading.severity()) };
    match (capsule.status, &capsule.case) {
        (Status::Normal, _) => at.normal(),
        (Status::Healing, Some(case)) => at.healing(case, config),
        (Status::Quarantined, Some(case)) => at.quarantined(case),
        (Status::Escalated, Some(case)) => at.escalated(case, config),
        (Status::Isolated, Some(case)) => at.isolated(case),
        (Status::Recovering, Some(case)) => at.recovering(case, config),
        (_, None) => Move::Stay,
    }
}

/// A capsule at the beginning of a tick.
struct At<'c> {
    capsule: &'c Capsule,
    tick: u64,
    /// Of what was measured in the tick that ended.
    severity: Option<Severity>,
}

impl At<'_> {
    fn normal(&self) -> Move {
        let drifts = self.capsule.fresh(self.tick).is_some_and(|reading| reading.drifts());
        match (self.severity.filter(|_| drifts), self.capsule.agenda.setback) {
            (Some(critical @ Severity::Critical), _) => Move::Isolate(Cause::drift(critical)),
            (_, Some(Setback::LineageRelease)) => Move::Isolate(Cause::ReleaseFailed),
            (Some(severe @ Severity::Severe), _) => Move::Escalate(Cause::drift(severe)),
            (_, Some(Setback::Release)) => Move::Quarantine(Cause::ReleaseFailed),
            (Some(moderate @ Severity::Moderate), _) => Move::Quarantine(Cause::drift(moderate)),
            (Some(Severity::Mild), _) => Move::Heal,
            (None, _) => Move::Stay,
        }
    }

    fn healing(&self, case: &Case, config: &Config) -> Move {
        match (self.severity, self.capsule.agenda.setback) {
            (Some(critical @ Severity::Critical), _) => Move::Isolate(Cause::drift(critical)),
            (Some(Severity::Moderate | Severity::Severe), _) | (_, Some(_)) => Move::Escalate(Cause::HealFailed),
            (Some(Severity::Mild) | None, None) => match &case.watch {
                Some(watch) if self.is_due() => self.healed(watch, config),
                _ => Move::Stay,
            },
        }
    }

    /// Healing holds if stability is higher than it was at the beginning, or as high as it need be.
    fn healed(&self, watch: &Watch, config: &Config) -> Move {
        let reading = self.capsule.fresh(self.tick);
        let holds =
            |reading: crate::severity::Reading| reading.stability_ppm > watch.baseline_ppm || reading.is_stable();
        if reading.is_some_and(holds) { self.verified(watch, config) } else { Move::Escalate(Cause::HealFailed) }
    }

    fn quarantined(&self, case: &Case) -> Move {
        match self.severity.filter(|severity| *severity > case.worst) {
            Some(critical @ Severity::Critical) => Move::Isolate(Cause::drift(critical)),
            Some(severe @ Severity::Severe) => Move::Escalate(Cause::drift(severe)),
            _ => self.reviewed(case),
        }
    }

    fn escalated(&self, case: &Case, config: &Config) -> Move {
        if let Some(critical @ Severity::Critical) = self.severity {
            return Move::Isolate(Cause::drift(critical));
        }
        let Some(assessment) = &case.assessment else { return Move::Stay };
        match decided(assessment, config) {
            Some(Vote::IsolateLineage) => Move::Isolate(Cause::ClusterDecision),
            Some(Vote::Quarantine) => Move::Quarantine(Cause::ClusterDecision),
            Some(Vote::Release) => Move::Release,
            None if assessment.until_tick <= self.tick || voters(assessment) >= config.nodes => {
                Move::Quarantine(Cause::ClusterUndecided)
            }
            None => self.repair_if_due(),
        }
    }

    fn isolated(&self, case: &Case) -> Move {
        self.reviewed(case)
    }

    fn recovering(&self, case: &Case, config: &Config) -> Move {
        let tainted = self.capsule.lineage_tainted;
        match self.severity {
            Some(severity @ (Severity::Moderate | Severity::Severe | Severity::Critical)) if tainted => {
                Move::Reisolate(Cause::drift(severity))
            }
            Some(critical @ Severity::Critical) => Move::Isolate(Cause::drift(critical)),
            Some(severe @ Severity::Severe) => Move::Escalate(Cause::drift(severe)),
            Some(Severity::Moderate) => Move::Quarantine(Cause::Requarantine),
            Some(Severity::Mild) | None => match &case.watch {
                Some(watch) if self.is_due() => self.verified(watch, config),
                _ => Move::Stay,
            },
        }
    }

    /// The success criteria of section 4.2 (E12).
    fn verified(&self, watch: &Watch, config: &Config) -> Move {
        let reading = self.capsule.fresh(self.tick);
        let failed = Failed {
            velocity: reading.is_none_or(|r| r.drift_velocity_ppm >= crate::severity::RECOVERED_VELOCITY_BELOW_PPM),
            agreement: (watch.agreed & !watch.disagreed).count_ones() < config.nodes,
            proof: watch.distrusted != 0,
        };
        if failed.velocity || failed.agreement || failed.proof {
            Move::Fail(failed)
        } else if reading.is_some_and(|reading| reading.is_stable()) {
            Move::Complete
        } else {
            Move::Extend
        }
    }

    fn reviewed(&self, case: &Case) -> Move {
        if case.review == Some(Decision::Release) { Move::Release } else { self.repair_if_due() }
    }

    fn repair_if_due(&self) -> Move {
        if self.is_due() { Move::Repair } else { Move::Stay }
    }

    fn is_due(&self) -> bool {
        self.capsule.agenda.due.is_some_and(|due| due <= self.tick)
    }
}

/// How many nodes have voted.
#[must_use]
pub fn voters(assessment: &Assessment) -> u32 {
    assessment.votes.iter().map(|who| who.count_ones()).sum()
}

/// What a quorum of the nodes wants, if there is one: two thirds, so there is at most one.
#[must_use]
pub fn decided(assessment: &Assessment, config: &Config) -> Option<Vote> {
    let wants = [Vote::Release, Vote::Quarantine, Vote::IsolateLineage];
    wants.into_iter().zip(assessment.votes).find(|(_, who)| who.count_ones() >= config.quorum()).map(|(vote, _)| vote)
}

#[cfg(test)]
mod tests;
