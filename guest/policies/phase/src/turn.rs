//! A step that may change the whole: the record of the whole, and the ways out for orders, announcements and timers.
//!
//! A heartbeat of a healthy node does not come here: see [`crate::nodes::heard`].

use crate::{
    error::{No, Refusal},
    fields::Fields,
    ids::{NodeId, RunId},
    params::{Config, NOTICE_MS, Wait},
    state::{CONFIG, ORDERS, Order, ROSTER, RUNS, Run, WHOLE, Whole},
};
use reprise_guest::{
    Host, LogLevel,
    abi::{Effect, Timer},
    json::Json,
    text::{decimal, join},
};

/// The driver that writes the log on nodes.
pub const WAL: &str = "wal";
/// The driver that speaks to Raft.
pub const RAFT: &str = "raft";
/// The driver that carries out steps of a recovery.
pub const RECOVERY: &str = "recovery";
/// The driver that runs compensators.
pub const SEL: &str = "sel";
/// The driver that takes snapshots.
pub const SNAPSHOT: &str = "snapshot";
/// The driver that tells nodes what has happened.
pub const EVENT: &str = "event";
/// The driver that reaches people.
pub const ALERT: &str = "alert";

/// One step.
pub struct Turn<'h> {
    /// The host.
    pub host: &'h mut dyn Host,
    /// Milliseconds of logical time.
    pub now_ms: u64,
    /// The parameters.
    pub config: Config,
    /// The whole, to be changed.
    pub whole: Box<Whole>,
}

impl<'h> Turn<'h> {
    /// Reads the whole.
    ///
    /// # Errors
    /// [`No::NotInitialised`], or corrupt state.
    pub fn open(host: &'h mut dyn Host, now_ms: u64) -> Result<Self, Refusal> {
        let (Some(mut whole), Some(config)) = (WHOLE.get(host)?, CONFIG.get(host)?) else {
            return Err(No::NotInitialised.says(&["send `init` first"]));
        };
        whole.changes.clear();
        Ok(Self { host, now_ms, config, whole })
    }

    /// Writes the whole back.
    pub fn close(self) {
        WHOLE.put(self.host, &self.whole);
    }

    /// A run.
    ///
    /// # Errors
    /// [`No::UnknownRun`].
    #[inline(never)]
    pub fn run(&mut self, id: RunId) -> Result<Run, Refusal> {
        RUNS.get(self.host, &id)?.ok_or_else(|| No::UnknownRun.run(id))
    }

    /// Has the end of this tick look at a run: see [`crate::judge`].
    #[inline(never)]
    pub fn touch(&mut self, id: RunId) {
        insert(&mut self.whole.agenda, id);
        self.judge();
    }

    /// The moment so long from now.
    #[inline(never)]
    pub fn after(&self, wait: Wait) -> u64 {
        self.now_ms.saturating_add(self.config.wait(wait))
    }

    /// Has this tick judged when it is over.
    pub fn judge(&mut self) {
        self.timer("judge", self.now_ms + 1, 0);
    }

    /// Orders something whose end matters. Answers the order's number.
    #[inline(never)]
    pub fn order(&mut self, driver: &str, deadline_ms: u64, payload: &mut Json, order: &Order) -> u64 {
        let number = self.emit(driver, deadline_ms, payload);
        ORDERS.put(self.host, &number, order);
        number
    }

    /// An order of a recovery.
    #[inline(never)]
    pub fn order_step(&mut self, driver: &str, payload: &mut Json, order: &Order) -> u64 {
        let number = self.emit(driver, self.after(Wait::Order), payload);
        ORDERS.put(self.host, &number, order);
        number
    }

    /// Says something that nobody waits for.
    #[inline(never)]
    pub fn say(&mut self, driver: &str, payload: &mut Json) {
        self.emit(driver, self.now_ms.saturating_add(NOTICE_MS), payload);
    }

    /// Tells people.
    #[inline(never)]
    pub fn alert(&mut self, what: &str, name: &str, about: &str) {
        self.log(LogLevel::Error, &["ALERT:", what, " ", about]);
        self.say(ALERT, verb("alert").text("what", what).text(name, about));
    }

    /// Tells people about a run.
    pub fn alert_run(&mut self, what: &str, id: RunId) {
        self.alert(what, "trace", &id.trace());
    }

    /// Tells people about a node.
    pub fn alert_node(&mut self, what: &str, id: NodeId) {
        self.alert(what, "node", &decimal(id));
    }

    #[inline(never)]
    fn emit(&mut self, driver: &str, deadline_ms: u64, payload: &mut Json) -> u64 {
        self.whole.last.order += 1;
        let number = self.whole.last.order;
        self.host.emit(Effect {
            idempotency_key: join(&[driver, ".", &decimal(number)]),
            driver: driver.into(),
            deadline_ms,
            payload: payload.done(),
            compensator: None,
        });
        number
    }

    /// Sets a timer; `number` tells what it is about.
    #[inline(never)]
    pub fn timer(&mut self, id: &str, due_ms: u64, number: u64) {
        self.host.set_timer(Timer { id: id.into(), due_ms, payload: number.to_be_bytes().into() });
    }

    /// Sets one of the timers that are named after a number.
    #[inline(never)]
    pub fn numbered_timer(&mut self, kind: &str, number: u64, due_ms: u64) {
        self.timer(&join(&[kind, &decimal(number)]), due_ms, number);
    }

    /// Sets the one timer that a run has.
    #[inline(never)]
    pub fn run_timer(&mut self, id: RunId, due_ms: u64) {
        self.timer(&join(&["run.", &id.trace()]), due_ms, 0);
    }

    /// A message for people.
    #[inline(never)]
    pub fn log(&mut self, level: LogLevel, parts: &[&str]) {
        self.host.log(level, &join(parts));
    }

    /// Fewer than a majority can be reached, or could at the end of the last tick (section 5).
    #[must_use]
    #[inline(never)]
    pub fn on_minority(&self) -> bool {
        self.whole.partition_ms.is_some() || self.whole.census.partitioned()
    }

    /// The supervisor that an event names is on the roster, and not on a minority: who let nodes in there would make a
    /// majority of it (section 5).
    ///
    /// # Errors
    /// [`No::UnknownSupervisor`], [`No::OverrideOnMinority`], malformed.
    #[inline(never)]
    pub fn supervisor(&mut self, fields: &mut Fields) -> Result<String, Refusal> {
        let name: String = fields.take("supervisor")?;
        if !ROSTER.or_default(self.host)?.contains(&name) {
            return Err(No::UnknownSupervisor.says(&[&name]));
        }
        if self.on_minority() {
            return Err(No::OverrideOnMinority.says(&["wait for a majority"]));
        }
        Ok(name)
    }
}

/// The beginning of what is said or ordered.
#[must_use]
#[inline(never)]
pub fn verb(verb: &str) -> Json {
    let mut json = Json::object();
    json.text("do", verb);
    json
}

/// The beginning of what is said or ordered about a run.
#[must_use]
#[inline(never)]
pub fn verb_run(name: &str, id: RunId) -> Json {
    let mut json = verb(name);
    json.text("trace", &id.trace());
    json
}

/// Adds to a list that is ascending and has nothing twice.
#[inline(never)]
pub fn insert(list: &mut Vec<RunId>, id: RunId) {
    if let Err(place) = list.binary_search(&id) {
        list.insert(place, id);
    }
}
