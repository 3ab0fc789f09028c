//! Overrides by supervisors: resume, abort, force-rollback (H9, section 5).
//!
//! Each supervisor signs with an event of their own, which the ledger takes only with their key. With
//! min(⌈N/2⌉, 3) signatures, at least one, N being the reachable supervisors, the override goes into the log like
//! `BEGIN_PHASE`, and is carried out once a majority has it. On a minority the endpoint is disabled.

use crate::{
    error::{No, Refusal, malformed},
    fields::{Field, Fields, bounded},
    ids::RunId,
    judge, leader, log,
    machine::{State, enter},
    nodes,
    params::{SHORT_LIST_MAX, SIGNATURES_MAX, Wait},
    recover,
    state::{Cause, Entry, Health, PROPOSALS, RECORDS, ROSTER, RUNS, Run},
    turn::{EVENT, Turn, insert, verb_run},
};
use reprise_guest::{
    compact::{stored, stored_enum},
    json::Json,
    typed::json::Value,
};

/// What a supervisor orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Go on: another two automatic attempts, or the compensator again.
    Resume,
    /// Give up: HARD_FAILED.
    Abort,
    /// Go back.
    ForceRollback,
}
stored_enum!(Action);

impl Action {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Resume, Self::Abort, Self::ForceRollback];

    /// The document's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        ["resume", "abort", "force-rollback"][self as usize]
    }

    /// The action of that name.
    #[must_use]
    fn named(name: &str) -> Option<Self> {
        core::hint::black_box(&Self::ALL[..]).iter().copied().find(|action| action.name() == name)
    }

    /// Whether a run in that state can be ordered so.
    #[must_use]
    pub const fn fits(self, run: &Run) -> bool {
        match self {
            Self::Resume => match run.state {
                State::Interrupted => run.recovery.held,
                state => matches!(state, State::BlockedCompensator | State::HardFailed),
            },
            Self::Abort => !run.state.is_final(),
            Self::ForceRollback => !matches!(run.state, State::CleanExit | State::Rollback),
        }
    }
}

/// An override that gathers signatures, or waits for a majority of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// What is ordered.
    pub action: Action,
    /// Who signed.
    pub by: Vec<String>,
    /// When the first one did, in milliseconds.
    pub since_ms: u64,
    /// Its record in the log, once there are enough.
    pub record: Option<u64>,
}
stored!(Proposal { action, by, since_ms, record });

/// min(⌈N/2⌉, 3), at least one.
#[must_use]
pub fn threshold(supervisors: usize) -> u32 {
    (supervisors as u32).div_ceil(2).clamp(1, SIGNATURES_MAX)
}

/// A supervisor signs an override, on the side of a node.
///
/// # Errors
/// [`No::UnknownSupervisor`], [`No::OverrideOnMinority`], [`No::UnknownNode`], [`No::NodeLeft`], [`No::BadName`],
/// [`No::UnknownRun`], [`No::WrongState`], [`No::OverridePending`], [`No::AlreadySigned`], [`No::TooManyOverrides`],
/// malformed.
pub fn sign(turn: &mut Turn<'_>, fields: &mut Fields) -> Result<Json, Refusal> {
    let (node_id, node) = nodes::taken(turn.host, fields)?;
    let trace: String = fields.take("trace")?;
    let action: String = fields.take("action")?;
    let supervisor = turn.supervisor(fields)?;
    fields.end()?;
    if node.health == Health::Partitioned || turn.whole.partition_ms.is_some() || turn.whole.census.partitioned() {
        return Err(No::OverrideOnMinority.node(node_id));
    }
    let id = RunId::traced(&trace)?;
    let Some(action) = Action::named(&action) else { return Err(No::BadName.says(&["action ", &action])) };
    let run = turn.run(id)?;
    if !action.fits(&run) {
        return Err(No::WrongState.says(&[action.name(), " does not fit ", run.state.name()]));
    }
    let mut proposal = match PROPOSALS.get(turn.host, &id)? {
        Some(proposal) if proposal.action != action || proposal.record.is_some() => {
            return Err(No::OverridePending.says(&[proposal.action.name()]));
        }
        Some(proposal) if proposal.by.contains(&supervisor) => return Err(No::AlreadySigned.says(&[&supervisor])),
        Some(proposal) => proposal,
        None if turn.whole.proposals.len() >= SHORT_LIST_MAX => {
            return Err(No::TooManyOverrides.says(&["64 are under way"]));
        }
        None => {
            turn.run_override_timer(id);
            Proposal { action, by: Vec::new(), since_ms: turn.now_ms, record: None }
        }
    };
    proposal.by.push(supervisor);
    PROPOSALS.put(turn.host, &id, &proposal);
    insert(&mut turn.whole.proposals, id);
    turn.touch(id);
    let need = threshold(ROSTER.or_default(turn.host)?.len());
    let mut answer = Json::object();
    answer.number("signatures", proposal.by.len() as u64).number("need", need);
    Ok(answer)
}

impl Turn<'_> {
    fn run_override_timer(&mut self, id: RunId) {
        let due_ms = self.after(Wait::Override);
        let name = reprise_guest::text::join(&["override.", &id.trace()]);
        self.timer(&name, due_ms, 0);
    }
}

/// Looks at an override under way: enough signatures, a majority of the log, or too late.
///
/// # Errors
/// Corrupt state.
pub fn look(turn: &mut Turn<'_>, id: RunId) -> Result<(), Refusal> {
    let Some(mut proposal) = PROPOSALS.get(turn.host, &id)? else { return Ok(()) };
    let roster = ROSTER.or_default(turn.host)?;
    proposal.by.retain(|name| roster.contains(name));
    let run = turn.run(id)?;
    if !proposal.action.fits(&run) || turn.now_ms >= proposal.since_ms + turn.config.wait(Wait::Override) {
        return end(turn, id, &proposal, "void");
    }
    if proposal.record.is_none() && proposal.by.len() as u32 >= threshold(roster.len()) {
        let token = leader::token(turn, id.phase)?;
        proposal.record = Some(log::append(turn, Entry::Override, id, token)?);
    }
    PROPOSALS.put(turn.host, &id, &proposal);
    match proposal.record {
        Some(record) if log::is_durable(turn, record)? => {
            execute(turn, id, run, proposal.action)?;
            end(turn, id, &proposal, "done")
        }
        _ => Ok(()),
    }
}

/// Ends an override. Its record, with who signed, stays in the receipts of the ledger.
fn end(turn: &mut Turn<'_>, id: RunId, proposal: &Proposal, how: &str) -> Result<(), Refusal> {
    PROPOSALS.delete(turn.host, &id);
    turn.whole.proposals.retain(|open| *open != id);
    if let Some(record) = proposal.record {
        RECORDS.delete(turn.host, &record);
    }
    let mut said = verb_run("override", id);
    turn.say(EVENT, said.text("action", proposal.action.name()).text("result", how).texts("by", &proposal.by));
    Ok(())
}

fn execute(turn: &mut Turn<'_>, id: RunId, mut run: Run, action: Action) -> Result<(), Refusal> {
    // Whoever signed has seen the cost: automation may spend as much again.
    run.spend.cap = run.spend.cost.saturating_add(turn.config.cost_limit);
    run.spend.swings_ms.clear();
    run.recovery.attempts = 0;
    run.recovery.held = false;
    if run.state.is_open() {
        run.cause = Some(Cause::Override);
        judge::interrupt(turn, id, &mut run);
    }
    run.recovery.back |= action == Action::ForceRollback;
    match (action, run.state) {
        (Action::Abort, _) => recover::finish(turn, id, &mut run, State::HardFailed)?,
        (_, State::HardFailed) => {
            run.recovery.back = true;
            enter(turn, id, &mut run, State::Interrupted);
        }
        (_, State::BlockedCompensator) => enter(turn, id, &mut run, State::Rollback),
        // A roll-forward under way is given up where it is: its order is void.
        (_, State::Reconcile) => run.recovery.order = 0,
        _ => {}
    }
    RUNS.put(turn.host, &id, &run);
    Ok(())
}

/// The supervisors whose accounts are reachable: thresholds of overrides under way change with them (R4 3).
///
/// # Errors
/// [`No::UnknownSupervisor`], [`No::BadList`], [`No::BadText`], malformed.
pub fn roster(turn: &mut Turn<'_>, fields: &mut Fields) -> Result<Json, Refusal> {
    turn.supervisor(fields)?;
    let names = take_roster(fields)?;
    fields.end()?;
    ROSTER.put(turn.host, &names);
    for id in turn.whole.proposals.clone() {
        turn.touch(id);
    }
    let mut answer = Json::object();
    answer.number("need", threshold(names.len()));
    Ok(answer)
}

/// A roster: 1 to 64 names, none twice.
///
/// # Errors
/// [`No::BadList`], [`No::BadText`], malformed.
pub fn take_roster(fields: &mut Fields) -> Result<Vec<String>, Refusal> {
    let values: Vec<Value<'_>> = fields.take("supervisors")?;
    if values.is_empty() || values.len() > SHORT_LIST_MAX {
        return Err(No::BadList.says(&["1 to 64 supervisors"]));
    }
    let mut names = Vec::with_capacity(values.len());
    for value in values {
        let Some(name) = String::of(value) else { return Err(malformed("field `supervisors`")) };
        bounded("supervisors", &name)?;
        if names.contains(&name) {
            return Err(No::BadList.says(&["twice: ", &name]));
        }
        names.push(name);
    }
    Ok(names)
}
