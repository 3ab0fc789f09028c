//! `UML_OS.Runtime.DetectFailureEvent_v1`: from observations and silence to classified, numbered failure events.
//!
//! Every observation and every rank is judged by itself against the state before the step; only then are the findings
//! put into one order. So it makes no difference in which order they came.

use crate::{
    config::Config,
    error::{ErrorRecord, No},
    events::Observation,
    resolve::{Claim, ClaimKind},
    state::{Health, Partition, Rank, RankRecord, increment},
    table::Table,
};
use reprise_guest::text::{decimal, join};
use serde::{Deserialize, Serialize};

/// What kind of failure it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureClass {
    /// Gone, on good authority.
    RankLost,
    /// Silent for too long.
    HeartbeatTimeout,
    /// Ended with a code that a restart may help.
    Crashed {
        /// The exit code.
        code: u8,
    },
    /// Cannot be started: exit code 126 or 127.
    NotStartable {
        /// The exit code.
        code: u8,
    },
    /// Ended by itself, with exit code 0.
    Departed,
    /// Cut off from the strict majority.
    Isolated,
    /// All attempts at its restart failed.
    RestartExhausted,
    /// Wants to come back.
    RejoinRequested {
        /// Its new life.
        incarnation: u64,
    },
    /// Two ranks have an equal claim to a partition.
    LeaseConflict {
        /// Which partition.
        partition: Partition,
    },
    /// The owner of a partition is on a side of a network partition that has no strict majority against it or for it.
    NoMajority {
        /// Which partition.
        partition: Partition,
    },
}

/// A failure, not numbered yet. Sorted by rank, then by the observer's number, then by class.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Which rank.
    pub rank: Rank,
    /// The observer's number.
    pub source_seq: u64,
    /// What happened.
    pub class: FailureClass,
}

/// A failure event, as it goes into the failure-event log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureEvent {
    /// Epoch in which it was detected.
    pub epoch: u64,
    /// Which rank.
    pub rank: Rank,
    /// Its number: without gaps, in the order of the findings of a step.
    pub event_seq: u64,
    /// When it was detected, in milliseconds of logical time.
    pub at_ms: u64,
    /// What happened.
    pub class: FailureClass,
}

/// What the observations of a step amount to. Everything is sorted and free of repeats.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Detection {
    /// Failures.
    pub findings: Table<Finding, ()>,
    /// Claims to partitions.
    pub claims: Table<Claim, ()>,
    /// Ranks of a network partition that leaves no strict majority.
    pub undecided: Table<Rank, ()>,
    /// Observations that say nothing new.
    pub ignored: u32,
}

/// Classifies the observations of one step.
///
/// # Errors
/// The first refusal in the canonical order of the observations: unknown rank, life that was never started, or sides
/// that overlap.
pub fn detect_failure_events(
    ranks: &Table<Rank, RankRecord>,
    observations: Vec<Observation>,
) -> Result<Detection, ErrorRecord> {
    let observations: Table<Observation, ()> = observations.into_iter().map(|seen| (canonical(seen), ())).collect();
    let mut detection = Detection::default();
    for observation in observations.into_keys() {
        classify(ranks, observation, &mut detection)?;
    }
    Ok(detection)
}

/// One form for observations that say the same: sides and their ranks in order.
fn canonical(mut observation: Observation) -> Observation {
    if let Observation::Partition { sides, .. } = &mut observation {
        for side in &mut *sides {
            *side = in_order(core::mem::take(side));
        }
        *sides = in_order(core::mem::take(sides));
    }
    observation
}

/// Sorted, repeats kept: by insertion, which is a tenth of the code of a general sort, for a few hundred items.
fn in_order<T: Ord>(mut items: Vec<T>) -> Vec<T> {
    for end in 1..items.len() {
        let place = items[..end].partition_point(|item| *item <= items[end]);
        items[place..=end].rotate_right(1);
    }
    items
}

fn classify(
    ranks: &Table<Rank, RankRecord>,
    observation: Observation,
    into: &mut Detection,
) -> Result<(), ErrorRecord> {
    let (rank, source_seq, class) = match observation {
        Observation::RankLost { rank, incarnation, event_seq } => {
            (lived(ranks, rank, incarnation)?, event_seq, FailureClass::RankLost)
        }
        Observation::ExitCode { rank, incarnation, code, event_seq } => {
            (lived(ranks, rank, incarnation)?, event_seq, class_of_exit(code))
        }
        Observation::RejoinRequest { rank, incarnation, event_seq } => {
            known(ranks, rank)?;
            (Some(rank), event_seq, FailureClass::RejoinRequested { incarnation })
        }
        Observation::Partition { sides, event_seq } => return split(ranks, &sides, event_seq, into),
        Observation::LeaseClaim { partition, rank, epoch, .. } => {
            known(ranks, rank)?;
            into.claims.insert_new(Claim { partition, rank, epoch, kind: ClaimKind::Asserted }, ());
            return Ok(());
        }
    };
    match rank.filter(|rank| is_news(&ranks[rank], class)) {
        Some(rank) => _ = into.findings.insert_new(Finding { rank, source_seq, class }, ()),
        None => into.ignored += 1,
    }
    Ok(())
}

fn known(ranks: &Table<Rank, RankRecord>, rank: Rank) -> Result<&RankRecord, ErrorRecord> {
    ranks.get(&rank).ok_or_else(|| No::UnknownRank.of("rank ", rank.0))
}

/// The rank, if the message is of its present life; `None` if it is of an earlier one.
fn lived(ranks: &Table<Rank, RankRecord>, rank: Rank, incarnation: u64) -> Result<Option<Rank>, ErrorRecord> {
    let present = known(ranks, rank)?.incarnation;
    if incarnation > present {
        let context = join(&[
            "rank ",
            &decimal(rank.0),
            ": incarnation ",
            &decimal(incarnation),
            ", but ",
            &decimal(present),
            " is the last one started",
        ]);
        return Err(No::UnexpectedIncarnation.at(context));
    }
    Ok((incarnation == present).then_some(rank))
}

/// Exit codes as a shell gives them.
#[must_use]
pub fn class_of_exit(code: u8) -> FailureClass {
    match code {
        0 => FailureClass::Departed,
        126 | 127 => FailureClass::NotStartable { code },
        _ => FailureClass::Crashed { code },
    }
}

/// Whether a failure of that class changes what has to be done about the rank.
fn is_news(record: &RankRecord, class: FailureClass) -> bool {
    match (record.health, class) {
        (Health::Evicted, FailureClass::RejoinRequested { incarnation }) => incarnation > record.incarnation,
        (_, FailureClass::RejoinRequested { .. }) | (Health::Evicted | Health::Rejoining, _) => false,
        (Health::Healthy | Health::Suspected, _) => true,
        (Health::Failed | Health::Restarting | Health::Isolated, _) => {
            let evicts = |class: FailureClass| !class.may_restart();
            evicts(class) && record.fault.as_ref().is_none_or(|fault| !evicts(fault.class))
        }
    }
}

impl FailureClass {
    /// A restart may help.
    #[must_use]
    pub fn may_restart(self) -> bool {
        matches!(self, Self::RankLost | Self::HeartbeatTimeout | Self::Crashed { .. })
    }

    /// The rank is known to be gone, so that its leases are free at once.
    #[must_use]
    pub fn is_confirmed(self) -> bool {
        !matches!(self, Self::HeartbeatTimeout | Self::Isolated)
    }
}

/// A network partition: whoever is not with the strict majority of all members is cut off; without one, nobody knows.
fn split(
    ranks: &Table<Rank, RankRecord>,
    sides: &[Vec<Rank>],
    source_seq: u64,
    into: &mut Detection,
) -> Result<(), ErrorRecord> {
    let mut seen = Table::default();
    for rank in sides.iter().flatten() {
        known(ranks, *rank)?;
        if !seen.insert_new(*rank, ()) {
            return Err(No::BadSides.says(&["rank ", &decimal(rank.0), " is listed twice"]));
        }
    }
    if sides.len() < 2 || sides.iter().any(Vec::is_empty) {
        return Err(No::BadSides.at("there are at least two sides, and none is empty"));
    }
    let members = ranks.values().filter(|record| record.health.is_member()).count();
    let alive = |rank: &&Rank| ranks[*rank].health.may_own();
    let majority = sides.iter().find(|side| side.iter().filter(alive).count() * 2 > members);
    let Some(majority) = majority else {
        for rank in seen.keys().filter(alive) {
            into.undecided.insert_new(*rank, ());
        }
        return Ok(());
    };
    let cut_off = sides.iter().filter(|side| *side != majority).flatten();
    for rank in cut_off.filter(|rank| is_news(&ranks[*rank], FailureClass::Isolated)) {
        into.findings.insert_new(Finding { rank: *rank, source_seq, class: FailureClass::Isolated }, ());
    }
    Ok(())
}

/// What a rank's silence means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Silence {
    /// Heard of in time, or not expected to be heard of.
    None,
    /// A heartbeat is missing.
    Suspicious,
    /// Too many are missing.
    Failed,
}

/// Judges one rank by its silence.
#[must_use]
pub fn check_rank(record: &RankRecord, config: &Config, now_ms: u64) -> Silence {
    let missed = now_ms.saturating_sub(record.last_heartbeat_ms) / config.heartbeat_timeout_ms;
    if !record.health.may_own() || missed == 0 {
        Silence::None
    } else if missed >= config.suspect_threshold {
        Silence::Failed
    } else {
        Silence::Suspicious
    }
}

/// Judges every rank by its silence: the failures, and who is newly suspected.
#[must_use]
pub fn detect_silence(
    ranks: &Table<Rank, RankRecord>,
    config: &Config,
    now_ms: u64,
) -> (Table<Finding, ()>, Vec<Rank>) {
    let mut findings = Table::default();
    let mut suspects = Vec::new();
    for (rank, record) in ranks.iter() {
        match check_rank(record, config, now_ms) {
            Silence::Failed => {
                let class = FailureClass::HeartbeatTimeout;
                findings.insert_new(Finding { rank: *rank, source_seq: 0, class }, ());
            }
            Silence::Suspicious if record.health == Health::Healthy => suspects.push(*rank),
            Silence::Suspicious | Silence::None => {}
        }
    }
    (findings, suspects)
}

/// Gives findings their epoch and number.
///
/// # Errors
/// [`No::EventSeqOverflow`].
pub fn number(
    findings: &Table<Finding, ()>,
    epoch: u64,
    now_ms: u64,
    event_seq: &mut u64,
) -> Result<Vec<FailureEvent>, No> {
    let mut events = Vec::with_capacity(findings.len());
    for finding in findings.keys() {
        let Finding { rank, class, .. } = *finding;
        events.push(FailureEvent { epoch, rank, event_seq: *event_seq, at_ms: now_ms, class });
        increment(event_seq, No::EventSeqOverflow)?;
    }
    Ok(events)
}

#[cfg(test)]
mod tests;
