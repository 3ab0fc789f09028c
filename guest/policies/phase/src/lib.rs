//! Recovery of phase transitions: detection, sync-majority log, fencing tokens, roll-forward and rollback, order barrier.
//!
//! The resolution "Phase-Transition Failure Detection & Recovery", one module for each of its concepts. `README.md`
//! beside this crate lists states, events, effects, parameters and rejection codes, each with the section or revision.
//!
//! | section | module |
//! | --- | --- |
//! | 1 detection | [`detector`], [`nodes`], [`phases`], [`judge`] |
//! | 2 log, control records, fencing tokens | [`log`], [`ring`], [`control`], [`leader`], [`digest`] |
//! | 3 state machine, side-effect ledger | [`machine`], [`recover`], [`merge`], [`sel`] |
//! | 4 order barrier, recovery locks | [`phases`], [`leader`] |
//! | 5 partitions and overrides | [`nodes`], [`overrides`] |
//! | 6 adaptive parameters | [`detector`], [`log`], [`clock`] |
//! | 7 budgets | [`budget`] |
//! | 8 edge cases | [`leader`], [`log`], [`nodes`], [`ring`] |

pub mod budget;
pub mod check;
pub mod clock;
pub mod control;
pub mod detector;
pub mod digest;
pub mod error;
pub mod events;
pub mod fields;
pub mod ids;
pub mod init;
pub mod judge;
pub mod leader;
pub mod log;
pub mod machine;
pub mod merge;
pub mod nodes;
pub mod overrides;
pub mod params;
pub mod phases;
pub mod recover;
pub mod ring;
pub mod sel;
pub mod state;
pub mod turn;
pub mod views;

use error::No;
use reprise_guest::{
    Host, Policy, StepInput,
    abi::{Description, EFFECT_KIND, Rejection, TIMER_KIND, Violation},
    rejection::Code,
    wire,
};
use turn::Turn;

/// The policy.
#[derive(Clone, Copy, Debug)]
pub struct PhaseTransitions;

reprise_guest::export_policy!(PhaseTransitions);

impl Policy for PhaseTransitions {
    fn describe() -> Description {
        Description {
            name: "phase".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            input_kinds: listed(&events::KINDS),
            views: listed(&views::NAMES),
            rejections: No::list(),
            governed: vec![],
        }
    }

    fn step(host: &mut dyn Host, input: &StepInput) -> Result<Vec<u8>, Rejection> {
        // Read by hand: the bounds of a result are the ledger's business, and holding them is a fiftieth of the package.
        let timer = input.kind == TIMER_KIND;
        if !timer && input.kind != EFFECT_KIND {
            return Ok(events::dispatch(host, input)?);
        }
        let mut turn = Turn::open(host, input.logical_time_ms)?;
        if timer {
            events::timer(&mut turn, &input.id, &input.payload)?;
        } else {
            let result = wire::decode(&input.payload).map_err(|_| error::malformed("not the result of an effect"))?;
            events::effect(&mut turn, &result)?;
        }
        turn.close();
        Ok(Vec::new())
    }

    fn check(host: &mut dyn Host) -> Result<(), Violation> {
        check::check(host)
    }

    fn view(host: &mut dyn Host, name: &str, args: &[u8]) -> Result<Vec<u8>, Rejection> {
        Ok(views::view(host, name, args)?)
    }
}

fn listed(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| String::from(*name)).collect()
}
