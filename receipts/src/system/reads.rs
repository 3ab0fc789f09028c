//! What the ledger itself reads of the state in a step, beside what its policy reads.
//!
//! A witness has to show it, and a verifier on a witness has to know that it is shown before it relies on an answer.
//! Hence two questions: [`before_step`] is asked before [`Head::prepare`](crate::Head::prepare), [`of_step`] before
//! [`Head::seal`](crate::Head::seal), when it is known what the policy has done.

use super::{
    FAULTS_KEY, HALT_KEY, IDEMPOTENCY_PREFIX, PACKAGE_KEY, PRUNED_NEIGHBOURS, epochs, idempotency_state_key,
    outbox::{self, OutboxEntry},
    timers,
};
use crate::{
    ledger::{Executed, Head, Work},
    trie::StateTrie,
    witness::Read,
};
use reprise_abi::{
    EFFECT_KIND, EffectPhase, EffectResult, Event, Input, TIMER_KIND, TimerChange, decode_canonical,
    limits::IDEMPOTENCY_RETENTION_MS,
};

/// Reads that decide whether `event` may be the next one, and what has to be executed for it.
#[must_use]
pub fn before_step(head: &Head, event: &Event) -> Vec<Read> {
    let state = head.state();
    let mut reads: Vec<Read> = [FAULTS_KEY, HALT_KEY, PACKAGE_KEY].map(|key| get(key.to_vec())).into();
    let is_timer = |key: &[u8], _: &[u8]| {
        let id = key.get(timers::QUEUE_PREFIX.len() + 8..);
        id.is_some_and(|id| std::str::from_utf8(id).is_ok())
    };
    reads.extend(head.genesis_record().has_succession().then(|| all(state, epochs::PREFIX)));
    reads.push(first_that(state, timers::QUEUE_PREFIX, is_timer));
    let is_effect = |_: &[u8], value: &[u8]| decode_canonical::<OutboxEntry>(value).is_ok();
    reads.push(first_that(state, outbox::QUEUE_PREFIX, is_effect));
    match event.kind.as_str() {
        TIMER_KIND => {}
        EFFECT_KIND => read_effect(state, &event.id, &mut reads),
        _ => {
            let record = idempotency_state_key(event);
            reads.push(get(record.clone()));
            reads.push(neighbours(IDEMPOTENCY_PREFIX, record));
        }
    }
    reads
}

/// Reads of the ledger's own bookkeeping for a step that was executed.
#[must_use]
pub fn of_step(state: &StateTrie, input: &Input, work: &Work, executed: &Executed) -> Vec<Read> {
    let mut reads = Vec::new();
    match work {
        Work::Timer { id, due_ms } => read_timer(*due_ms, id, &mut reads),
        Work::Result(result) => read_result(state, result, input.logical_time_ms, &mut reads),
        Work::Epoch(_) => reads.push(get(epochs::key(input.epoch))),
        Work::Step | Work::Migrate { .. } | Work::Resume | Work::Refuse(_) => {}
    }
    for change in &executed.timers {
        let (TimerChange::Cancel { id } | TimerChange::Set(reprise_abi::Timer { id, .. })) = change;
        let due = state.get(&timers::index_key(id)).and_then(|due| due.try_into().ok());
        reads.push(get(timers::index_key(id)));
        reads.extend(due.map(|due| get(timers::queue_key(u64::from_be_bytes(due), id))));
        if let TimerChange::Set(timer) = change {
            read_timer(timer.due_ms, id, &mut reads);
        }
    }
    for (index, effect) in (0..).zip(&executed.effects) {
        reads.push(get(outbox::mark_key(&effect.idempotency_key)));
        reads.push(get(outbox::entry_key(effect.deadline_ms, input.seq, index)));
    }
    reads.extend(executed.changes.iter().map(|change| get(change.key.clone())));
    reads
}

fn read_timer(due_ms: u64, id: &str, reads: &mut Vec<Read>) {
    reads.push(get(timers::queue_key(due_ms, id)));
    reads.push(get(timers::index_key(id)));
}

/// What [`outbox::find`] reads.
fn read_effect(state: &StateTrie, idempotency_key: &str, reads: &mut Vec<Read>) {
    let mark = outbox::mark_key(idempotency_key);
    let entry = state.get(&mark).and_then(|mark| match decode_canonical(mark).ok()? {
        outbox::EffectMark::Pending { entry } => Some(entry),
        outbox::EffectMark::Ended { .. } => None,
    });
    reads.push(get(mark));
    reads.extend(entry.map(get));
}

/// Whatever becomes of an effect: it is filed again, undone, or forgotten.
fn read_result(state: &StateTrie, result: &EffectResult, now_ms: u64, reads: &mut Vec<Read>) {
    let Some(entry) = outbox::find(state, &result.idempotency_key) else { return };
    let mark = outbox::mark_key(&result.idempotency_key);
    reads.push(get(outbox::breaker_key(entry.driver())));
    reads.push(get(entry.key()));
    if entry.phase == EffectPhase::Act {
        let undone_by_ms = now_ms.saturating_add(IDEMPOTENCY_RETENTION_MS);
        reads.push(get(outbox::entry_key(undone_by_ms, entry.seq, entry.index)));
    }
    reads.push(neighbours(outbox::MARK_PREFIX, mark));
}

/// The scan that ends when there is no further entry.
fn all(state: &StateTrie, prefix: &[u8]) -> Read {
    first_that(state, prefix, |_, _| false)
}

/// The scan that ends with the first entry that is one of its kind.
fn first_that(state: &StateTrie, prefix: &[u8], is_one: impl Fn(&[u8], &[u8]) -> bool) -> Read {
    let passed = state.scan(prefix, None).take_while(|(key, value)| !is_one(key, value)).count();
    Read::Scan {
        prefix: prefix.to_vec(),
        after: None,
        pulls: u32::try_from(passed).unwrap_or(u32::MAX).saturating_add(1),
    }
}

fn neighbours(prefix: &[u8], key: Vec<u8>) -> Read {
    Read::Scan { prefix: prefix.to_vec(), after: Some(key), pulls: PRUNED_NEIGHBOURS as u32 }
}

fn get(key: Vec<u8>) -> Read {
    Read::Get { key }
}

#[cfg(test)]
mod tests;
