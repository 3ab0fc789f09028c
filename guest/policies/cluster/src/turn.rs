//! A step that may change the whole: the cluster's record and the ways out, for orders, announcements and timers.
//!
//! The heartbeat of a healthy node does not come here: see [`crate::node::heartbeat`].

use crate::{
    consensus,
    error::No,
    events::Event,
    order::Order,
    params::{NOTICE_MS, Timeouts},
    state::{CLUSTER, Change, Cluster, HEALTHY, Node, NodeId, NodeState, ORDERS, PEOPLE, Phase, TIMEOUTS},
};
use reprise_guest::{
    Host, LogLevel,
    abi::{Compensator, Effect, Rejection, Timer},
    json::Json,
    text::{decimal, join, push_decimal},
};

/// The driver on each node.
pub const NODE_AGENT: &str = "node-agent";
/// The driver that reaches every node.
pub const BROADCAST: &str = "broadcast";
/// The driver that takes and checks snapshots.
pub const SNAPSHOTS: &str = "snapshot";
/// The driver that reaches people.
pub const ALERT: &str = "alert";

/// Whom an alert is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum To {
    /// Those who run the cluster.
    Operators,
    /// Those who answer attacks.
    Security,
}

/// One step over the cluster's record.
pub struct Turn<'h> {
    /// The host.
    pub host: &'h mut dyn Host,
    /// Milliseconds of logical time.
    pub now_ms: u64,
    /// The timeouts.
    pub timeouts: Timeouts,
    /// The cluster, to be changed.
    pub cluster: Cluster,
    before: consensus::Status,
}

impl<'h> Turn<'h> {
    /// Reads the cluster.
    ///
    /// # Errors
    /// [`No::NotInitialised`], or corrupt state.
    pub fn open(host: &'h mut dyn Host, now_ms: u64) -> Result<Self, Rejection> {
        let Some(mut cluster) = CLUSTER.get(host)? else { return Err(No::NotInitialised.says(&["send `init` first"])) };
        let timeouts = TIMEOUTS.get(host)?.unwrap_or_default();
        cluster.changes.clear();
        Ok(Self { host, now_ms, timeouts, before: cluster.status(), cluster })
    }

    /// Begins with a cluster that is not in state yet.
    pub fn begin(host: &'h mut dyn Host, now_ms: u64, timeouts: Timeouts, cluster: Cluster) -> Self {
        Self { host, now_ms, timeouts, before: cluster.status(), cluster }
    }

    /// Sees to the quorum, announces a new status, and writes the cluster back.
    pub fn close(mut self) {
        consensus::watch_quorum(&mut self);
        let status = self.cluster.status();
        if status != self.before {
            let proposals = self.cluster.accepts_proposals();
            self.say(BROADCAST, verb("status").text("status", status.name()).flag("proposals", proposals));
            self.log(LogLevel::Warn, &["cluster is ", status.name()]);
        }
        CLUSTER.put(self.host, &self.cluster);
    }

    /// Nothing is halted and the cluster is not read-only.
    ///
    /// # Errors
    /// [`No::MutationsHalted`].
    #[inline(never)]
    pub fn mutable(&self) -> Result<(), Rejection> {
        if self.cluster.accepts_proposals() {
            return Ok(());
        }
        Err(No::MutationsHalted.says(&["the cluster is read-only, phase ", self.cluster.phase.name()]))
    }

    /// No procedure is under way that ends by itself.
    ///
    /// # Errors
    /// [`No::Busy`].
    #[inline(never)]
    pub fn idle(&self) -> Result<(), Rejection> {
        if self.cluster.phase.is_busy() {
            return Err(No::Busy.says(&["wait for the end of phase ", self.cluster.phase.name()]));
        }
        Ok(())
    }

    /// Whether nothing at all is halted.
    #[must_use]
    pub fn running(&self) -> bool {
        self.cluster.phase == Phase::Running
    }

    /// Changes a node's state, and everything that counts it.
    #[inline(never)]
    pub fn change(&mut self, id: NodeId, node: &mut Node, to: NodeState) {
        let from = node.state;
        node.state = to;
        let census = &mut self.cluster.census.by_state;
        census[from as usize] -= 1;
        census[to as usize] += 1;
        if from == NodeState::Healthy {
            HEALTHY.delete(self.host, &id);
        }
        if to == NodeState::Healthy {
            HEALTHY.put(self.host, &id, &());
            self.cluster.wake = Some(0);
            self.judge();
        }
        self.cluster.changes.push(Change { node: id, from, to });
        self.log(LogLevel::Info, &["node ", &decimal(id.0), " is ", to.name()]);
    }

    /// Orders something whose end matters. Answers the order's number.
    #[inline(never)]
    pub fn order(
        &mut self,
        driver: &str,
        for_ms: u64,
        payload: &mut Json,
        undo: Option<&mut Json>,
        order: &Order,
    ) -> u64 {
        let number = self.emit(driver, for_ms, payload, undo);
        ORDERS.put(self.host, &number, order);
        number
    }

    /// Says something that nobody waits for.
    #[inline(never)]
    pub fn say(&mut self, driver: &str, payload: &mut Json) {
        self.emit(driver, NOTICE_MS, payload, None);
    }

    /// Tells people.
    #[inline(never)]
    pub fn alert(&mut self, to: To, what: &str, details: &mut Json) {
        let to = match to {
            To::Operators => "operators",
            To::Security => "security",
        };
        self.log(LogLevel::Error, &["alert to ", to, ": ", what]);
        self.say(ALERT, verb("alert").text("to", to).text("what", what).verbatim("details", &details.done()));
    }

    #[inline(never)]
    fn emit(&mut self, driver: &str, for_ms: u64, payload: &mut Json, undo: Option<&mut Json>) -> u64 {
        self.cluster.last.order += 1;
        let number = self.cluster.last.order;
        self.host.emit(Effect {
            idempotency_key: join(&[driver, ".", &decimal(number)]),
            driver: driver.into(),
            deadline_ms: self.now_ms.saturating_add(for_ms),
            payload: payload.done(),
            compensator: undo.map(|undo| Compensator { driver: driver.into(), payload: undo.done() }),
        });
        number
    }

    /// Sets a timer, so many milliseconds from now; `number` tells its setting from an earlier one.
    #[inline(never)]
    pub fn timer(&mut self, id: &str, in_ms: u64, number: u64) {
        self.set_timer(id.into(), in_ms, number);
    }

    /// Sets the one timer that a node has.
    #[inline(never)]
    pub fn wake(&mut self, id: NodeId, in_ms: u64) {
        let mut name = String::with_capacity(16);
        name.push_str("node.");
        push_decimal(&mut name, u64::from(id.0));
        self.set_timer(name, in_ms, u64::from(id.0));
    }

    fn set_timer(&mut self, id: String, in_ms: u64, number: u64) {
        let due_ms = self.now_ms.saturating_add(in_ms);
        self.host.set_timer(Timer { id, due_ms, payload: number.to_be_bytes().into() });
    }

    /// Has the evidence judged when this tick is over: see [`crate::verdict`].
    pub fn judge(&mut self) {
        self.timer("judge", 1, 0);
    }

    /// A message for people.
    #[inline(never)]
    pub fn log(&mut self, level: LogLevel, parts: &[&str]) {
        self.host.log(level, &join(parts));
    }

    /// The operator exists.
    ///
    /// # Errors
    /// [`No::UnknownOperator`].
    #[inline(never)]
    pub fn operator(&mut self, name: &str) -> Result<(), Rejection> {
        let people = PEOPLE.get(self.host)?;
        if people.is_some_and(|people| people.operators.iter().any(|known| known == name)) {
            return Ok(());
        }
        Err(No::UnknownOperator.says(&[name]))
    }

    /// The operator is an admin.
    ///
    /// # Errors
    /// [`No::UnknownOperator`], [`No::NotAuthorised`].
    pub fn admin(&mut self, name: &str) -> Result<(), Rejection> {
        self.operator(name)?;
        let people = PEOPLE.get(self.host)?;
        if people.is_some_and(|people| people.admins.iter().any(|known| known == name)) {
            return Ok(());
        }
        Err(No::NotAuthorised.says(&[name, " is no admin"]))
    }
}

/// The beginning of what a driver is told: what it is to do.
#[must_use]
#[inline(never)]
pub fn verb(verb: &str) -> Json {
    let mut json = Json::object();
    json.text("do", verb);
    json
}

/// A name, digest or reason within its bounds.
///
/// # Errors
/// [`No::BadText`].
pub fn text(what: &str, text: &str) -> Result<(), Rejection> {
    if (1..=crate::params::TEXT_MAX).contains(&text.len()) {
        return Ok(());
    }
    Err(No::BadText.says(&["`", what, "` is 1 to 128 bytes long"]))
}

/// Runs what an event asks for.
///
/// # Errors
/// The event's own rejections.
pub fn dispatch(host: &mut dyn Host, now_ms: u64, event: Event) -> Result<Vec<u8>, Rejection> {
    use crate::{audit, ballot, capsules, halt, incident, init, membership, moves, node, restore, verify};
    match event {
        Event::Init(init) => return init::init(host, now_ms, *init),
        Event::Heartbeat(beat) => return node::heartbeat(host, now_ms, &beat),
        _ => {}
    }
    let mut turn = Turn::open(host, now_ms)?;
    let answer = match event {
        Event::Init(_) | Event::Heartbeat(_) => Vec::new(),
        Event::Report(report) => consensus::report(&mut turn, report)?,
        Event::Propose(propose) => ballot::propose(&mut turn, &propose)?,
        Event::Vote(vote) => ballot::vote(&mut turn, &vote)?,
        Event::Assign(assign) => capsules::assign(&mut turn, &assign)?,
        Event::Retire(retire) => capsules::retire(&mut turn, &retire)?,
        Event::Restart(order) => node::restart(&mut turn, &order)?,
        Event::Failover(order) => node::failover_by_hand(&mut turn, &order)?,
        Event::Redistribute(order) => moves::redistribute(&mut turn, &order)?,
        Event::Evict(order) => membership::evict_by_hand(&mut turn, &order)?,
        Event::Admit(order) => membership::admit(&mut turn, &order)?,
        Event::CoordinationFailure(reason) => incident::coordination_failure(&mut turn, &reason)?,
        Event::HaltRequest(request) => halt::request(&mut turn, &request)?,
        Event::HaltConfirm(by) => halt::confirm(&mut turn, &by)?,
        Event::HaltAck(ack) => halt::acknowledge(&mut turn, &ack)?,
        Event::Snapshot(snapshot) => restore::register(&mut turn, snapshot)?,
        Event::Restore(restore) => restore::request(&mut turn, &restore)?,
        Event::Resume(by) => verify::resume(&mut turn, &by)?,
        Event::Clear(by) => incident::clear(&mut turn, &by)?,
        Event::Audit(audit) => audit::audit(&mut turn, &audit)?,
    };
    turn.close();
    Ok(answer)
}
