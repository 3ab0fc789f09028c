//! Recovery of capsules: severity of drift, healing, quarantine, escalation, isolation of a lineage.
//!
//! The policy of section 1 of the document `EFM Recovery Protocols`, with the criteria of section 4.2. `README.md`
//! beside this crate lists events, states, effects, parameters and rejection codes.
//!
//! What is heard in a tick is kept ([`observe`], [`answers`], [`results`]); at its end [`tick`] goes through it in a
//! fixed order, asks [`moves`] what to do about each capsule, and does it: [`heal`], [`quarantine`], [`escalate`],
//! [`isolate`], [`recover`].

pub mod answers;
pub mod audit;
pub mod canary;
pub mod case;
pub mod check;
pub mod config;
pub mod escalate;
pub mod events;
pub mod heal;
pub mod index;
pub mod isolate;
pub mod lineage;
pub mod moves;
pub mod numbers;
pub mod observe;
pub mod orders;
pub mod phi;
pub mod quarantine;
pub mod recover;
pub mod register;
pub mod rejection;
pub mod results;
pub mod severity;
pub mod state;
pub mod tick;
pub mod turn;
pub mod views;

use events::Event;
use rejection::No;
use reprise_guest::{
    Host, Policy, StepInput,
    abi::{Description, EFFECT_KIND, GovernedRule, Rejection, TIMER_KIND, Violation},
    rejection::Code,
    typed,
};
use turn::Turn;

/// The policy.
#[derive(Clone, Copy, Debug)]
pub struct Capsule;

reprise_guest::export_policy!(Capsule);

impl Policy for Capsule {
    fn describe() -> Description {
        Description {
            name: "capsule".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            input_kinds: events::KINDS.map(String::from).into(),
            views: views::VIEWS.map(String::from).into(),
            rejections: No::list(),
            governed: vec![GovernedRule { name: "capsule-recovery".into(), digest: config::RULES_DIGEST }],
        }
    }

    fn step(host: &mut dyn Host, input: &StepInput) -> Result<Vec<u8>, Rejection> {
        if input.kind == events::INIT {
            return register::init(host, input, typed::payload(input)?);
        }
        let mut turn = Turn::open(host, input)?;
        match input.kind.as_str() {
            TIMER_KIND => tick::ended(&mut turn, &input.id)?,
            EFFECT_KIND => results::heard(&mut turn, input)?,
            _ => submitted(&mut turn, typed::event(input)?)?,
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

fn submitted(turn: &mut Turn, event: Event) -> Result<(), Rejection> {
    tick::recall(turn);
    match event {
        Event::Observe(observed) => observe::observe(turn, observed),
        Event::Register(register) => register::register(turn, register),
        Event::Assess(assess) => answers::assess(turn, &assess),
        Event::Confirm(confirm) => answers::confirm(turn, &confirm),
        Event::Review(review) => answers::review(turn, &review),
        Event::Canary(canary) => canary::canary(turn, &canary),
        Event::Audit => audit::begin(turn),
    }
}
