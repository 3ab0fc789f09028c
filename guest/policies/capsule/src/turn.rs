//! One turn of a step: what it reads, changes and orders, with the indexes and counters kept in one place.

use crate::{
    config::{Config, SLICE_WORK_MAX},
    rejection::No,
    state::{CAPSULES, CONFIG, Capsule, DUE, HEADER, Header, PLAN, Status, TOUCHED, Touched},
};
use reprise_guest::{
    Host, StepInput,
    abi::{Rejection, Timer},
    rejection::Code,
};

/// Id of the policy's only timer: the beginning of a tick in which there is something to do.
pub const TIMER: &str = "tick";

/// A capsule that is being worked on, and what of it stands in the indexes.
#[derive(Clone, Debug)]
pub struct Held {
    /// Its name.
    pub id: String,
    /// Its record, to be changed.
    pub capsule: Box<Capsule>,
    status_was: Option<Status>,
    due_was: Option<u64>,
    planned_was: Option<u64>,
}

impl Held {
    /// A capsule that is new.
    #[must_use]
    pub fn new(id: String, capsule: Box<Capsule>) -> Self {
        Self { id, capsule, status_was: None, due_was: None, planned_was: None }
    }

    fn stored(id: String, capsule: Box<Capsule>) -> Self {
        let (status_was, due_was) = (Some(capsule.status), capsule.agenda.due);
        let planned_was = capsule.agenda.planned.then(|| capsule.urgency());
        Self { id, capsule, status_was, due_was, planned_was }
    }
}

/// A turn.
pub struct Turn<'h> {
    /// The host.
    pub host: &'h mut dyn Host,
    /// Parameters.
    pub config: Config,
    /// Counters.
    pub header: Header,
    /// Milliseconds of logical time.
    pub now_ms: u64,
    /// The tick of that.
    pub tick: u64,
    /// Number of the step.
    pub seq: u64,
    /// What the step answers.
    pub answer: Vec<u8>,
    touched: Touched,
    work: u32,
}

impl<'h> Turn<'h> {
    /// Reads what every step needs.
    ///
    /// # Errors
    /// [`No::NotInitialised`], or corrupt state.
    pub fn open(host: &'h mut dyn Host, input: &StepInput) -> Result<Self, Rejection> {
        let before = || No::NotInitialised.because("the first event is `init`");
        let config = CONFIG.get(host)?.ok_or_else(before)?;
        let header = HEADER.get(host)?.ok_or_else(before)?;
        Ok(Self::with(host, input, config, header))
    }

    /// Begins with parameters that are not in state yet.
    pub fn with(host: &'h mut dyn Host, input: &StepInput, config: Config, header: Header) -> Self {
        let touched = Touched { by_status_before: header.by_status, ..Touched::default() };
        let (now_ms, seq) = (input.logical_time_ms, input.seq);
        Self { host, tick: config.tick_at(now_ms), config, header, now_ms, seq, answer: Vec::new(), touched, work: 0 }
    }

    /// Writes back what is not written yet, and gives the answer.
    pub fn close(self) -> Vec<u8> {
        HEADER.put(self.host, &self.header);
        TOUCHED.put(self.host, &self.touched);
        self.answer
    }

    /// A capsule, if it is known.
    ///
    /// # Errors
    /// Corrupt state.
    #[inline(never)]
    pub fn find(&mut self, id: &String) -> Result<Option<Held>, Rejection> {
        self.spend(1);
        Ok(CAPSULES.get(self.host, id)?.map(|capsule| Held::stored(id.clone(), Box::new(capsule))))
    }

    /// A capsule that an event names.
    ///
    /// # Errors
    /// [`No::UnknownCapsule`], or corrupt state.
    #[inline(never)]
    pub fn named(&mut self, id: &String) -> Result<Held, Rejection> {
        self.find(id)?.ok_or_else(|| No::UnknownCapsule.because(id))
    }

    /// Stores a capsule, and keeps indexes and counters true to it.
    #[inline(never)]
    pub fn save(&mut self, held: Held) {
        let Held { id, capsule, status_was, due_was, planned_was } = held;
        let (due, planned) = (capsule.agenda.due, capsule.agenda.planned.then(|| capsule.urgency()));
        if due != due_was {
            if let Some(due) = due_was {
                DUE.remove(self.host, &(due, id.clone()));
            }
            if let Some(due) = due {
                DUE.insert(self.host, &(due, id.clone()));
                self.wake(due);
            }
        }
        if planned != planned_was {
            if let Some(urgency) = planned_was {
                PLAN.remove(self.host, &(urgency, id.clone()));
            }
            if let Some(urgency) = planned {
                PLAN.insert(self.host, &(urgency, id.clone()));
                self.header.heard_tick = self.tick;
                self.wake(self.tick.saturating_add(1));
            }
        }
        if let Some(status) = status_was {
            let count = &mut self.header.by_status[status as usize];
            *count = count.saturating_sub(1);
        }
        let count = &mut self.header.by_status[capsule.status as usize];
        *count = count.saturating_add(1);
        CAPSULES.put(self.host, &id, &capsule);
        self.spend(2);
        self.touch(id, status_was, capsule.status);
    }

    fn touch(&mut self, id: String, from: Option<Status>, to: Status) {
        let changes = &mut self.touched.changes;
        match changes.binary_search_by(|change| change.0.cmp(&id)) {
            // What is new and stored again stays a path of one.
            Ok(at) if changes[at].1.last() == Some(&to) => {}
            Ok(at) => changes[at].1.push(to),
            Err(at) => changes.insert(at, (id, from.into_iter().chain([to]).collect())),
        }
    }

    /// Sees to it that the timer goes off at the beginning of this tick, or before.
    pub fn wake(&mut self, tick: u64) {
        if self.header.timer.is_none_or(|set| set > tick) {
            self.header.timer = Some(tick);
            let due_ms = self.config.begin_ms(tick);
            self.host.set_timer(Timer { id: TIMER.into(), due_ms, payload: Vec::new() });
        }
    }

    /// Tells `check` what an audit found.
    pub fn report(&mut self, broken: &str, id: &str) {
        self.touched.broken.get_or_insert_with(|| (broken.into(), id.into()));
    }

    /// Counts work.
    pub fn spend(&mut self, work: u32) {
        self.work = self.work.saturating_add(work);
    }

    /// This step has done its share; what is left is for the next.
    #[must_use]
    pub fn is_spent(&self) -> bool {
        self.work >= SLICE_WORK_MAX
    }
}
