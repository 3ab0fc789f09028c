//! Emergency halt (3.2): two operators, a snapshot, a broadcast, and a quorum of acknowledgements within 30 seconds.

use crate::{
    ballot,
    census::quorum,
    error::No,
    events::{ByOperator, HaltAck, HaltRequest},
    node::find,
    order::Order,
    params::{HALT_ACK_MS, HALT_PRIORITY},
    restore,
    state::{HALT, NODES, Phase},
    turn::{BROADCAST, SNAPSHOTS, To, Turn, text, verb},
};
use reprise_guest::{
    abi::Rejection,
    compact::stored,
    json::Json,
    text::{decimal, join},
};

/// An emergency halt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Halt {
    /// Its number. Its snapshot is `halt-<number>`.
    pub number: u64,
    /// Why.
    pub reason: String,
    /// Who asked.
    pub first: String,
    /// Who confirmed; empty until then.
    pub second: String,
    /// When it was confirmed, before that when it was asked for, in milliseconds.
    pub since_ms: u64,
    /// Acknowledgements that are needed: two thirds of the members.
    pub need: u32,
    /// Acknowledgements within 30 seconds.
    pub acks: u32,
    /// Whether there were enough, once that is known.
    pub success: Option<bool>,
}
stored!(Halt { number, reason, first, second, since_ms, need, acks, success });

impl Halt {
    /// The second operator is waited for.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.second.is_empty()
    }

    /// Name of the snapshot of what was before it.
    #[must_use]
    pub fn snapshot(&self) -> String {
        join(&["halt-", &decimal(self.number)])
    }
}

/// A first operator asks for a halt, whatever else goes on.
///
/// # Errors
/// [`No::BadText`], [`No::UnknownOperator`], [`No::HaltPending`], [`No::Busy`].
pub fn request(turn: &mut Turn<'_>, request: &HaltRequest) -> Result<Vec<u8>, Rejection> {
    text("reason", &request.reason)?;
    turn.operator(&request.operator)?;
    if HALT.get(turn.host)?.is_some_and(|halt| halt.is_pending()) {
        return Err(No::HaltPending.says(&["another operator has to confirm it"]));
    }
    if turn.cluster.phase == Phase::Halting {
        return Err(No::Busy.says(&["a halt waits for its acknowledgements"]));
    }
    open(turn, &request.reason, &request.operator);
    Ok(Json::object().number("halt", turn.cluster.last.halt).done())
}

/// Waits for a second operator.
pub fn open(turn: &mut Turn<'_>, reason: &str, operator: &str) {
    turn.cluster.last.halt += 1;
    let halt = Box::new(Halt {
        number: turn.cluster.last.halt,
        reason: reason.into(),
        first: operator.into(),
        second: String::new(),
        since_ms: turn.now_ms,
        need: 0,
        acks: 0,
        success: None,
    });
    HALT.put(turn.host, &halt);
    turn.timer("confirm", turn.timeouts.confirm_ms, halt.number);
    let mut details = Json::object();
    details.number("halt", halt.number).text("operator", operator).text("reason", reason);
    turn.alert(To::Operators, "confirm_halt", &mut details);
}

/// The second operator confirms: snapshot, broadcast, and the 30 seconds begin.
///
/// # Errors
/// [`No::UnknownOperator`], [`No::NothingToConfirm`], [`No::SameOperator`].
pub fn confirm(turn: &mut Turn<'_>, by: &ByOperator) -> Result<Vec<u8>, Rejection> {
    turn.operator(&by.operator)?;
    let Some(mut halt) = HALT.get(turn.host)?.filter(|halt| halt.is_pending()) else {
        return Err(No::NothingToConfirm.says(&["no halt was asked for"]));
    };
    if halt.first == by.operator {
        return Err(No::SameOperator.says(&["a halt needs two operators"]));
    }
    halt.second.push_str(&by.operator);
    halt.since_ms = turn.now_ms;
    halt.need = quorum(turn.cluster.census.members());
    HALT.put(turn.host, &halt);
    ballot::void(turn);
    turn.cluster.phase = Phase::Halting;
    restore::interrupted(turn)?;
    let snapshot = halt.snapshot();
    let mut capture = verb("capture");
    capture.text("snapshot", &snapshot).flag("forensic", false);
    turn.order(SNAPSHOTS, turn.timeouts.restore_ms, &mut capture, None, &Order::Capture(snapshot));
    let mut message = verb("emergency_halt");
    message
        .number("halt", halt.number)
        .number("priority", HALT_PRIORITY)
        .text("reason", &halt.reason)
        .text("operator", &halt.first)
        .text("confirmed_by", &halt.second)
        .number("timestamp", turn.now_ms);
    turn.say(BROADCAST, &mut message);
    turn.timer("acks", HALT_ACK_MS, halt.number);
    Ok(Json::object().number("halt", halt.number).number("quorum", halt.need).done())
}

/// Nobody confirmed in time.
///
/// # Errors
/// Corrupt state.
pub fn unconfirmed(turn: &mut Turn<'_>, number: u64) -> Result<(), Rejection> {
    if HALT.get(turn.host)?.is_some_and(|halt| halt.is_pending() && halt.number == number) {
        HALT.delete(turn.host);
        turn.alert(To::Operators, "halt_not_confirmed", Json::object().number("halt", number));
        restore::unconfirmed(turn)?;
    }
    Ok(())
}

/// A node has halted.
///
/// # Errors
/// [`No::UnknownNode`], [`No::UnknownHalt`], [`No::WrongNodeState`], [`No::AckTooLate`], [`No::AlreadyAcknowledged`].
pub fn acknowledge(turn: &mut Turn<'_>, ack: &HaltAck) -> Result<Vec<u8>, Rejection> {
    let mut node = find(turn.host, ack.node)?;
    let Some(mut halt) = HALT.get(turn.host)?.filter(|halt| halt.number == ack.halt && !halt.is_pending()) else {
        return Err(No::UnknownHalt.number("halt ", ack.halt));
    };
    if !node.state.is_member() {
        return Err(No::WrongNodeState.says(&["the node is ", node.state.name()]));
    }
    if turn.now_ms.saturating_sub(halt.since_ms) >= HALT_ACK_MS {
        return Err(No::AckTooLate.number("halt ", ack.halt));
    }
    if node.acked == halt.number {
        return Err(No::AlreadyAcknowledged.node(ack.node));
    }
    node.acked = halt.number;
    NODES.put(turn.host, &ack.node, &node);
    halt.acks += 1;
    HALT.put(turn.host, &halt);
    if halt.acks == halt.need {
        turn.judge();
    }
    Ok(Json::object().done())
}

/// Says whether the halt succeeded, once there are enough acknowledgements or, `late`, the time is over. It stays in
/// force either way; without a quorum people have to stop the rest, and a restoration does not go on.
///
/// # Errors
/// Corrupt state.
pub fn decide(turn: &mut Turn<'_>, late: bool) -> Result<(), Rejection> {
    let Some(mut halt) = HALT.get(turn.host)?.filter(|_| turn.cluster.phase == Phase::Halting) else { return Ok(()) };
    let success = halt.acks >= halt.need;
    if !success && !late {
        return Ok(());
    }
    halt.success = Some(success);
    HALT.put(turn.host, &halt);
    turn.cluster.phase = Phase::Halted;
    let mut result = Json::object();
    result
        .number("halt", halt.number)
        .flag("success", success)
        .text("snapshot", &halt.snapshot())
        .number("nodes_halted", halt.acks)
        .number("quorum", halt.need);
    if success {
        turn.alert(To::Operators, "halted", &mut result);
        restore::halted(turn)
    } else {
        turn.alert(To::Operators, "halt_without_quorum", &mut result);
        restore::give_up(turn, "halt_without_quorum")
    }
}

/// The timer of the acknowledgements is due.
///
/// # Errors
/// Corrupt state.
pub fn time_is_over(turn: &mut Turn<'_>, number: u64) -> Result<(), Rejection> {
    match HALT.get(turn.host)? {
        Some(halt) if halt.number == number => decide(turn, true),
        _ => Ok(()),
    }
}
