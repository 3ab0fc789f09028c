//! What the driver of the daemon and a deliverer let each other know. Neither waits for the other.

use super::NotNow;
use std::{
    mem,
    sync::{Condvar, Mutex, MutexGuard},
    time::{Duration, Instant},
};
use tokio::sync::oneshot;

/// Results that have a receipt since the node was started, or why nothing is delivered.
pub(in crate::daemon) type Settled = Result<u64, String>;

/// How a ledger is, as the daemon's driver sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::daemon) struct Standing {
    /// This node orders its inputs now.
    pub(in crate::daemon) orders: bool,
    /// How often it has begun to: what was read in an earlier life may be gone.
    pub(in crate::daemon) life: u64,
    /// The epoch under which it does. Before the log is in it, nothing is delivered: drivers would take the new owner for
    /// the old one.
    pub(in crate::daemon) epoch: u64,
    /// Receipts that are durable here.
    pub(in crate::daemon) size: u64,
    /// Receipts that may be acted on.
    pub(in crate::daemon) acknowledged: u64,
}

/// Somebody who waits until nothing may begin.
pub(super) struct Asked {
    /// Logical time, in milliseconds.
    pub(super) at_ms: u64,
    /// How he is told.
    pub(super) reply: oneshot::Sender<Settled>,
}

/// What there is to do.
pub(super) struct Next {
    /// Nothing that was read or opened before holds.
    pub(super) fresh: bool,
    /// Who waits for it.
    pub(super) asked: Vec<Asked>,
}

#[derive(Default)]
pub(super) struct Signs {
    told: Mutex<Told>,
    changed: Condvar,
}

#[derive(Default)]
struct Told {
    standing: Standing,
    /// Life and size that were looked at last.
    seen: Option<Standing>,
    drivers_changed: bool,
    asked: Vec<Asked>,
    ended: bool,
    /// The thread is not there any more.
    gone: bool,
    results: u64,
    fault: Option<String>,
}

impl Signs {
    pub(super) fn tell(&self, standing: Standing) {
        let mut told = self.told();
        if told.standing != standing {
            told.standing = standing;
            self.changed.notify_all();
        }
    }

    pub(super) fn drivers_changed(&self) {
        self.told().drivers_changed = true;
        self.changed.notify_all();
    }

    pub(super) fn ask(&self, asked: Asked) {
        let mut told = self.told();
        if told.gone {
            let fault = told.fault.clone().unwrap_or_default();
            drop(asked.reply.send(Err(fault)));
            return;
        }
        told.asked.push(asked);
        self.changed.notify_all();
    }

    pub(super) fn end(&self) {
        self.told().ended = true;
        self.changed.notify_all();
    }

    pub(super) fn end_within(&self, time: Duration) {
        self.end();
        let _ = self.changed.wait_timeout_while(self.told(), time, |told| !told.gone);
    }

    pub(super) fn report(&self) -> (u64, Option<String>) {
        let told = self.told();
        (told.results, told.fault.clone())
    }

    /// Waits until there is something to do: somebody asks, other drivers, further steps, or the time has come. `None`: it
    /// is to end.
    pub(super) fn next(&self, wake: Option<Instant>) -> Option<Next> {
        let mut told = self.told();
        loop {
            if told.ended {
                return None;
            }
            let life_is_new = told.seen.is_none_or(|seen| seen.life != told.standing.life);
            let has_grown = life_is_new || told.seen.is_some_and(|seen| seen.size != told.standing.size);
            let is_time = wake.is_some_and(|wake| wake <= Instant::now());
            if !told.asked.is_empty() || told.standing.orders && (has_grown || is_time || told.drivers_changed) {
                let fresh = mem::take(&mut told.drivers_changed) || life_is_new;
                told.seen = Some(told.standing);
                return Some(Next { fresh, asked: mem::take(&mut told.asked) });
            }
            // While it does not order, the time that has come is kept for later.
            told = match wake.filter(|_| told.standing.orders).map(|wake| wake.duration_since(Instant::now())) {
                Some(wait) => self.changed.wait_timeout(told, wait).map_or_else(|e| e.into_inner().0, |(told, _)| told),
                None => self.changed.wait(told).unwrap_or_else(|poisoned| poisoned.into_inner()),
            };
        }
    }

    /// Waits until so many receipts, after which this epoch is in force, may be acted on.
    pub(super) fn wait_for(&self, size: u64, epoch: u64) -> Result<(), NotNow> {
        let told = self.told();
        let waits = |told: &mut Told| told.may_act() && told.standing.acknowledged < size && !told.ended;
        let told = self.changed.wait_while(told, waits).unwrap_or_else(|poisoned| poisoned.into_inner());
        match (told.ended, told.may_act() && told.standing.epoch == epoch) {
            (true, _) => Err(NotNow::Ended),
            (false, false) => Err(NotNow::NotOurs),
            (false, true) => Ok(()),
        }
    }

    /// This node still orders, in the life that was looked at.
    pub(super) fn may_act(&self) -> bool {
        let told = self.told();
        told.may_act() && !told.ended
    }

    pub(super) fn count(&self, results: u64) {
        self.told().results = results;
    }

    /// What went wrong; `None`: nothing any more. Whether that is news.
    pub(super) fn note(&self, fault: Option<String>) -> bool {
        let mut told = self.told();
        let is_news = told.fault != fault;
        told.fault = fault;
        is_news
    }

    pub(super) fn gone(&self) {
        let mut told = self.told();
        (told.gone, told.asked) = (true, Vec::new());
        self.changed.notify_all();
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Told {
    fn may_act(&self) -> bool {
        self.standing.orders && self.seen.is_some_and(|seen| seen.life == self.standing.life)
    }
}

#[cfg(test)]
mod tests;
