//! Timers under the root: what is set, in the order in which it is due.
//!
//! A timer has two entries: one under its due time, which is the queue, and one under its id, which finds the first.

use super::{SYSTEM_NAMESPACE, SystemChanges};
use crate::trie::StateTrie;
use reprise_abi::{Timer, TimerChange};

pub(super) const QUEUE_PREFIX: &[u8] = &[SYSTEM_NAMESPACE, b't'];
const INDEX_PREFIX: &[u8] = &[SYSTEM_NAMESPACE, b'u'];

/// All timers that are set, in (due time, id) order.
pub fn pending(state: &StateTrie) -> impl Iterator<Item = Timer> + '_ {
    state.scan(QUEUE_PREFIX, None).filter_map(|(key, payload)| {
        let (due, id) = key[QUEUE_PREFIX.len()..].split_first_chunk()?;
        let id = String::from_utf8(id.to_vec()).ok()?;
        Some(Timer { id, due_ms: u64::from_be_bytes(*due), payload: payload.to_vec() })
    })
}

/// When the first timer is due, in milliseconds.
#[must_use]
pub fn first_due_ms(state: &StateTrie) -> Option<u64> {
    let (key, _) = state.scan(QUEUE_PREFIX, None).next()?;
    key[QUEUE_PREFIX.len()..].first_chunk().map(|due| u64::from_be_bytes(*due))
}

/// The timer that is due first.
#[must_use]
pub fn first(state: &StateTrie) -> Option<Timer> {
    pending(state).next()
}

impl SystemChanges<'_> {
    /// A timer has become an input: it is not set any more.
    pub(crate) fn timer_fired(&mut self, due_ms: u64, id: &str) {
        self.write(queue_key(due_ms, id), None);
        self.write(index_key(id), None);
    }

    /// What an accepted step did to its timers, in order.
    pub(crate) fn change_timers(&mut self, changes: &[TimerChange]) {
        for change in changes {
            match change {
                TimerChange::Set(timer) => {
                    self.unset(&timer.id);
                    self.write(queue_key(timer.due_ms, &timer.id), Some(timer.payload.clone()));
                    self.write(index_key(&timer.id), Some(timer.due_ms.to_be_bytes().to_vec()));
                }
                TimerChange::Cancel { id } => self.unset(id),
            }
        }
    }

    fn unset(&mut self, id: &str) {
        let due = self.value(&index_key(id)).and_then(|due| due.try_into().ok());
        if let Some(due) = due {
            self.timer_fired(u64::from_be_bytes(due), id);
        }
    }
}

pub(super) fn queue_key(due_ms: u64, id: &str) -> Vec<u8> {
    [QUEUE_PREFIX, &due_ms.to_be_bytes(), id.as_bytes()].concat()
}

pub(super) fn index_key(id: &str) -> Vec<u8> {
    [INDEX_PREFIX, id.as_bytes()].concat()
}
