//! Recovery of a distributed exchange: retries, circuit breakers, crash recovery, fail-over, degraded modes, integrity.
//!
//! "Failure Recovery Philosophy Specification" as a policy, one module for each of its concepts. `README.md` beside
//! this crate lists states, events, effects, parameters and rejection codes, each with the section of the document.
//!
//! | section | module |
//! | --- | --- |
//! | 3.1, 3.2, 10 retries, circuit breakers, timeouts | [`operations`], [`retry`], [`breaker`], [`params`] |
//! | 4, 11.2, 13 crash recovery, remedies, objectives | [`recovery`], [`stage`], [`services`], [`engine`] |
//! | 3.3, 4.2, 5 fail-over, quorum, fencing | [`database`], [`regions`] |
//! | 7 degraded modes | [`degrade`], [`orders`] |
//! | 8.2 invariants | [`check`], [`integrity`], [`audit`] |
//! | 9 idempotency | [`idempotency`], [`accounts`], [`orders`], [`mod@matches`] |
//! | 11.1, 11.3 health, alerts | [`health`], [`alert`] |
//! | 12 drills | [`drill`] |

pub mod accounts;
pub mod alert;
pub mod answers;
pub mod audit;
pub mod breaker;
pub mod check;
pub mod database;
pub mod degrade;
pub mod dispatch;
pub mod drill;
pub mod ended;
pub mod engine;
pub mod error;
pub mod events;
pub mod health;
pub mod idempotency;
pub mod init;
pub mod integrity;
pub mod matches;
pub mod operations;
pub mod orders;
pub mod params;
pub mod payload;
pub mod recovery;
pub mod regions;
pub mod retry;
pub mod services;
pub mod stage;
pub mod state;
pub mod turn;
pub mod verdict;
pub mod views;

use error::No;
use reprise_guest::{
    Host, Policy, StepInput,
    abi::{Description, Rejection, Violation},
    rejection::Code,
};

/// The policy.
#[derive(Clone, Copy, Debug)]
pub struct Service;

reprise_guest::export_policy!(Service);

impl Policy for Service {
    fn describe() -> Description {
        Description {
            name: "service".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            input_kinds: listed(&dispatch::KINDS),
            views: listed(&views::names()),
            rejections: No::list(),
            governed: vec![],
        }
    }

    fn step(host: &mut dyn Host, input: &StepInput) -> Result<Vec<u8>, Rejection> {
        dispatch::dispatch(host, input)
    }

    fn check(host: &mut dyn Host) -> Result<(), Violation> {
        check::check(host)
    }

    fn view(host: &mut dyn Host, name: &str, args: &[u8]) -> Result<Vec<u8>, Rejection> {
        views::view(host, name, args)
    }
}

fn listed(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| String::from(*name)).collect()
}
