//! Effects: what agents, nodes and people are told.
//!
//! | driver | key | who |
//! | --- | --- | --- |
//! | `capsule-agent` | `ACTION.CAPSULE.SEQ` | who runs the capsule |
//! | `dctm` | `alert.ROUND.NODE`, `verify.ROUND.NODE` | each node of the cluster |
//! | `operator` | `notice.CAPSULE.SEQ.ALERT` | a person |
//! | `forensic` | `lineage.ORDER.SEQ`, `lineage-release.ORDER.SEQ`, `review.CAPSULE.SEQ` | the audit trail |

use crate::{
    config::NOTICE_MS,
    phi::Phi,
    state::{NODES, Order},
    turn::Turn,
};
use reprise_guest::{
    abi::{Compensator, Effect, Rejection},
    json::Json,
    text::decimal,
};

/// Runs the capsules.
pub const AGENT: &str = "capsule-agent";
/// Brings messages to nodes.
pub const DCTM: &str = "dctm";
/// Tells people.
pub const OPERATOR: &str = "operator";
/// Keeps the audit trail.
pub const FORENSIC: &str = "forensic";

/// What an agent is asked to do. The name is the first part of the idempotency key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Apply a correction.
    Heal,
    /// Apply a correction, in quarantine.
    Repair,
    /// Out of the pool, nothing may propagate.
    Quarantine,
    /// The same for a whole lineage.
    IsolateLineage,
    /// Back into the pool.
    Release,
    /// The same for a whole lineage.
    ReleaseLineage,
}

impl Action {
    const ALL: [Self; 6] =
        [Self::Heal, Self::Repair, Self::Quarantine, Self::IsolateLineage, Self::Release, Self::ReleaseLineage];

    /// In capitals.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Heal => "HEAL",
            Self::Repair => "REPAIR",
            Self::Quarantine => "QUARANTINE",
            Self::IsolateLineage => "ISOLATE_LINEAGE",
            Self::Release => "RELEASE",
            Self::ReleaseLineage => "RELEASE_LINEAGE",
        }
    }

    /// The action of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.name() == name)
    }
}

/// An order to a capsule's agent, open for more members.
#[must_use]
pub fn order(action: Action, capsule: &str) -> Json {
    let mut order = Json::object();
    order.text("action", action.name()).text("capsule", capsule);
    order
}

/// Gives an agent a correction. It is undone by the vector before.
pub fn correct(turn: &mut Turn, action: Action, capsule: &str, order: Json, phi_before: Option<&Phi>, until_tick: u64) {
    let undo = phi_before.map(|phi| {
        let mut undo = Json::object();
        undo.text("action", "RESTORE_PHI").text("capsule", capsule).signed_numbers("phi", &phi.0);
        undo
    });
    // It ends before the tick in which it is judged.
    let deadline_ms = turn.config.begin_ms(until_tick).saturating_sub(2);
    emit(turn, [action.name(), capsule, &number(turn.seq)], AGENT, deadline_ms, order, undo);
}

/// Takes a capsule or a lineage out of the pool. Nothing undoes it.
pub fn contain(turn: &mut Turn, action: Action, capsule: &str) {
    let mut order = order(action, capsule);
    order.flag("consensus_participation", false).flag("propagation_blocked", true);
    let deadline_ms = turn.now_ms.saturating_add(NOTICE_MS);
    emit(turn, [action.name(), capsule, &number(turn.seq)], AGENT, deadline_ms, order, None);
}

/// Gives a capsule or a lineage back. A release that fails is undone by containing it again.
pub fn release(turn: &mut Turn, action: Action, undo: Action, capsule: &str) {
    let compensator = self::order(undo, capsule);
    let deadline_ms = turn.config.begin_ms(turn.tick.saturating_add(crate::config::REPAIR_TICKS));
    emit(
        turn,
        [action.name(), capsule, &number(turn.seq)],
        AGENT,
        deadline_ms,
        order(action, capsule),
        Some(compensator),
    );
}

/// Sends a message to every node. `message` is an open object, the same for all of them.
///
/// # Errors
/// Corrupt state.
pub fn broadcast(turn: &mut Turn, name: &str, round: u64, message: &Json, until_tick: u64) -> Result<(), Rejection> {
    let deadline_ms = turn.config.begin_ms(until_tick);
    for node in NODES.get(turn.host)?.unwrap_or_default() {
        let mut message = message.clone();
        message.text("node", &node);
        emit(turn, [name, &number(round), &node], DCTM, deadline_ms, message, None);
    }
    Ok(())
}

/// Tells people.
pub fn notice(turn: &mut Turn, capsule: &str, alert: &str) {
    let mut notice = Json::object();
    notice.text("alert", alert).text("capsule", capsule);
    let capsule = [capsule, ".", &number(turn.seq)].concat();
    let deadline_ms = turn.now_ms.saturating_add(NOTICE_MS);
    emit(turn, ["notice", &capsule, alert], OPERATOR, deadline_ms, notice, None);
}

/// Writes a line of the audit trail about a lineage.
pub fn forensic(turn: &mut Turn, number_of_order: u64, order: &Order) {
    let released = order.releasing;
    let mut record = Json::object();
    record.text("event_type", if released { "LINEAGE_RELEASE" } else { "LINEAGE_ISOLATION" });
    record.number("order", number_of_order).text("root_capsule", &order.root).text("cause", order.cause.name());
    record.number("affected_count", order.affected);
    if released {
        record.number("released_count", order.released).number("held_count", order.held);
    }
    let name = if released { "lineage-release" } else { "lineage" };
    trail(turn, name, &number(number_of_order), record);
}

/// Writes a line of the audit trail.
pub fn trail(turn: &mut Turn, name: &str, about: &str, record: Json) {
    let deadline_ms = turn.now_ms.saturating_add(NOTICE_MS);
    emit(turn, [name, about, &number(turn.seq)], FORENSIC, deadline_ms, record, None);
}

fn number(value: u64) -> String {
    decimal(value)
}

fn emit(turn: &mut Turn, key: [&str; 3], driver: &str, deadline_ms: u64, mut payload: Json, undo: Option<Json>) {
    turn.spend(1);
    turn.host.emit(Effect {
        idempotency_key: key.join("."),
        driver: driver.into(),
        deadline_ms,
        payload: payload.done(),
        compensator: undo.map(|mut undo| Compensator { driver: driver.into(), payload: undo.done() }),
    });
}
