//! Deterministic distributed failure recovery: failure detection, lease resolution, restart sequencing and validation.
//!
//! The policy of `UML_OS.Runtime.DistributedFailureRecovery_v1`, one module for each of its concepts. `README.md` beside
//! this crate lists inputs, effects, parameters and rejection codes.
//!
//! | operator of the document | function |
//! | --- | --- |
//! | `DetectFailureEvent_v1` | [`detect::detect_failure_events`], [`detect::detect_silence`] |
//! | `ResolveLeaseState_v1` | [`resolve::resolve_lease_state`], [`resolve::assign_vacant`] |
//! | `ComputeRecoveryPlan_v1` | [`plan::compute_recovery_plan`] |
//! | `ExecuteRecoveryPlan_v1` | [`execute::execute_recovery_plan`] |
//! | `Error.Emit_v1` | [`error::emit`] |

pub mod check;
pub mod checkpoint;
pub mod config;
pub mod detect;
pub mod digest;
pub mod error;
pub mod events;
pub mod execute;
pub mod init;
pub mod plan;
pub mod procedure;
pub mod report;
pub mod resolve;
pub mod signals;
pub mod state;
pub mod table;
pub mod trace;
pub mod turn;
pub mod views;

#[cfg(test)]
mod testing;

use digest::Digest;
use error::No;
use events::Event;
use reprise_guest::{
    Host, Policy, StepInput,
    abi::{Description, GovernedRule, Rejection, Violation},
    json,
    rejection::Code,
};
use turn::Turn;

/// The policy.
#[derive(Clone, Copy, Debug)]
pub struct Lease;
reprise_guest::export_policy!(Lease);

impl Policy for Lease {
    fn describe() -> Description {
        let governed = |name: &str, digest: Digest| GovernedRule { name: name.into(), digest: digest.0 };
        Description {
            name: "lease".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            input_kinds: listed(&events::KINDS),
            views: listed(&views::VIEWS),
            rejections: No::list(),
            governed: vec![
                governed("lease-policy", Digest::of(digest::LEASE_RULES, config::LEASE_RULES.as_bytes())),
                governed("restart-policy", Digest::of(digest::RESTART_RULES, config::RESTART_RULES.as_bytes())),
            ],
        }
    }

    fn step(host: &mut dyn Host, input: &StepInput) -> Result<Vec<u8>, Rejection> {
        dispatch(host, input).map_err(|rejection| error::refuse(host, rejection))
    }

    fn check(host: &mut dyn Host) -> Result<(), Violation> {
        check::check(host)
    }

    fn view(host: &mut dyn Host, name: &str, _args: &[u8]) -> Result<Vec<u8>, Rejection> {
        views::view(host, name)
    }
}

fn listed(names: &[&str]) -> Vec<String> {
    names.iter().copied().map(String::from).collect()
}

fn dispatch(host: &mut dyn Host, input: &StepInput) -> Result<Vec<u8>, Rejection> {
    let now_ms = input.logical_time_ms;
    let answer = match Event::of(input)? {
        Event::Heartbeat(beat) => return signals::heartbeat(host, now_ms, &beat).map(|()| Vec::new()),
        Event::LeaseRenew(renew) => return signals::lease_renew(host, now_ms, &renew).map(|()| Vec::new()),
        Event::Tick => procedure::tick(Turn::open(host, now_ms)?)?,
        Event::LeaseClaim(claim) => procedure::lease_claim(Turn::open(host, now_ms)?, &claim)?,
        Event::Observe(observed) => procedure::observe(Turn::open(host, now_ms)?, observed)?,
        Event::ActionResult(result) => procedure::action_result(Turn::open(host, now_ms)?, &result)?,
        Event::Checkpoint => checkpoint::checkpoint(Turn::open(host, now_ms)?)?,
        Event::Restore(restore) => checkpoint::restore(Turn::open_to_restore(host, now_ms)?, &restore)?,
        Event::Init(init) => init::init(host, now_ms, *init)?,
    };
    Ok(json::of(&answer))
}
