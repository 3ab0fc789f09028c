//! What a node does about its ledgers: differences to peers, suspension, repair, resumption, peers in quarantine.
//!
//! It runs on the node's own ledger. The node says what it has found; the policy answers with a plan, a step at a time,
//! and hears what became of each step. `README.md` beside this crate lists events, states, effects and codes.
//!
//! [`decide`] is the table: one difference, one remedy. [`plans`] makes plans of it and of suspensions, [`results`] takes
//! them on from step to step, [`conduct`] keeps count of who sends what does not hold.

pub mod check;
pub mod conduct;
pub mod decide;
pub mod error;
pub mod events;
pub mod findings;
pub mod params;
pub mod plans;
pub mod results;
pub mod state;
pub mod turn;
pub mod views;

use error::No;
use events::Event;
use reprise_guest::{
    Host, HostEvent, Policy, StepInput,
    abi::{Description, GovernedRule, Rejection, Violation},
    rejection::Code,
    typed,
};
use turn::Turn;

/// The policy.
#[derive(Clone, Copy, Debug)]
pub struct Reconcile;

reprise_guest::export_policy!(Reconcile);

impl Policy for Reconcile {
    fn describe() -> Description {
        Description {
            name: "reconcile".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            input_kinds: events::KINDS.map(String::from).into(),
            views: views::VIEWS.map(String::from).into(),
            rejections: No::list(),
            governed: vec![GovernedRule { name: "reconciliation".into(), digest: decide::RULES_DIGEST }],
        }
    }

    fn step(host: &mut dyn Host, input: &StepInput) -> Result<Vec<u8>, Rejection> {
        if input.kind == events::INIT {
            return params::init(host, typed::payload(input)?);
        }
        let mut turn = Turn::open(host, input)?;
        match HostEvent::of(input)? {
            HostEvent::Timer { id, .. } => results::due(&mut turn, id)?,
            HostEvent::Effect(result) => results::ended(&mut turn, &result)?,
            HostEvent::Submitted => submitted(&mut turn, typed::event(input)?)?,
        }
        Ok(turn.close())
    }

    fn check(host: &mut dyn Host) -> Result<(), Violation> {
        check::check(host)
    }

    fn view(host: &mut dyn Host, name: &str, args: &[u8]) -> Result<Vec<u8>, Rejection> {
        views::view(host, name, args)
    }
}

fn submitted(turn: &mut Turn<'_>, event: Event) -> Result<(), Rejection> {
    match event {
        Event::Finding(finding) => findings::finding(turn, &finding),
        Event::Suspended(suspended) => plans::suspended(turn, &suspended),
        Event::Rejected(rejected) => conduct::rejected(turn, &rejected),
        Event::Evidence(evidence) => conduct::evidence(turn, &evidence),
        Event::Lifted(lifted) => plans::lifted(turn, &lifted.ledger),
        Event::Resume(resume) => plans::resume(turn, &resume.ledger),
        Event::Pardon(pardon) => conduct::pardon(turn, &pardon.peer),
    }
}
