//! Recovery of nodes and of the whole: failover, redistribution, consensus loss, global failure, emergency halt, restore.
//!
//! The cluster and system half of "EFM Recovery Protocols", one module for each of its concepts. `README.md` beside this
//! crate lists states, events, effects, parameters and rejection codes, each with the section of the document.
//!
//! | section | module |
//! | --- | --- |
//! | 2.1, 2.2 node failure and recovery | [`node`], [`leader`], [`membership`] |
//! | 2.3 consensus loss | [`consensus`], [`ballot`] |
//! | 2.4 capsule redistribution | [`moves`], [`capsules`] |
//! | 3.1 global coordination failure | [`incident`], [`verify`] |
//! | 3.2 emergency halt | [`halt`] |
//! | 3.3 state restoration | [`restore`] |
//! | 4.2 success criteria | [`verify`], [`verdict`] |

pub mod audit;
pub mod ballot;
pub mod capsules;
pub mod census;
pub mod check;
pub mod consensus;
pub mod ended;
pub mod error;
pub mod events;
pub mod halt;
pub mod incident;
pub mod init;
pub mod leader;
pub mod membership;
pub mod moves;
pub mod node;
pub mod order;
pub mod params;
pub mod restore;
pub mod state;
pub mod turn;
pub mod verdict;
pub mod verify;
pub mod views;

use error::No;
use reprise_guest::{
    Host, HostEvent, Policy, StepInput,
    abi::{Description, Rejection, Violation},
    rejection::Code,
};
use turn::Turn;

/// The policy.
#[derive(Clone, Copy, Debug)]
pub struct Cluster;

reprise_guest::export_policy!(Cluster);

impl Policy for Cluster {
    fn describe() -> Description {
        Description {
            name: "cluster".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            input_kinds: listed(&events::KINDS),
            views: listed(&views::VIEWS),
            rejections: No::list(),
            governed: vec![],
        }
    }

    fn step(host: &mut dyn Host, input: &StepInput) -> Result<Vec<u8>, Rejection> {
        let now_ms = input.logical_time_ms;
        match HostEvent::of(input)? {
            HostEvent::Submitted => turn::dispatch(host, now_ms, events::Event::of(input)?),
            HostEvent::Timer { id, payload } => {
                let mut turn = Turn::open(host, now_ms)?;
                ended::timer(&mut turn, id, payload)?;
                turn.close();
                Ok(Vec::new())
            }
            HostEvent::Effect(result) => {
                let mut turn = Turn::open(host, now_ms)?;
                ended::effect(&mut turn, &result)?;
                turn.close();
                Ok(Vec::new())
            }
        }
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
