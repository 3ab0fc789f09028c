//! Roots of a ledger after so many receipts: told to peers, and compared with theirs one by one.
//!
//! | module | what it does |
//! | --- | --- |
//! | `local` | what this node has, found out on a thread beside |
//! | `compare` | `reprise federation compare` |
//!
//! Nothing that a peer tells here is acted on: an operator reads it. What nodes do about differences rests on proofs, see
//! `reconcile`.

mod compare;
mod local;

pub(super) use self::{
    compare::{CompareWish, Comparison},
    local::NoRoots,
};

use self::local::roots;
use super::{driver::Driver, happening::Happening};
use crate::panics::caught;
use reprise_federation::message::{Refusal, Roots, RootsQuery};
use std::thread;

/// Who wants to know what this node has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RootsFor {
    /// A peer: the number of the piece of work.
    Peer(u64),
    /// A comparison of this node.
    Comparison(u64),
}

impl Driver {
    /// Finds out what this node has, on a thread of its own.
    pub(super) fn find_roots(&mut self, wanted_for: RootsFor, query: RootsQuery) {
        let entry = self.ledgers.get(&query.ledger).map(|served| served.entry.clone());
        let (node, happenings) = (self.node.clone(), self.happenings.clone());
        let begun = thread::Builder::new().name("reprise-roots".to_owned()).spawn(move || {
            let found = entry.ok_or(NoRoots::NotHere).and_then(|entry| {
                caught(|| roots(&node, &entry, &query)).unwrap_or_else(|panic| Err(NoRoots::Fault(panic)))
            });
            let _ = happenings.blocking_send(Happening::RootsFound { wanted_for, found: found.map(Box::new) });
        });
        if let Err(error) = begun {
            self.roots_found(wanted_for, Err(NoRoots::Fault(format!("no thread for it: {error}"))));
        }
    }

    pub(super) fn roots_found(&mut self, wanted_for: RootsFor, found: Result<Box<Roots>, NoRoots>) {
        match wanted_for {
            RootsFor::Peer(number) => {
                let told = found.map(|roots| *roots).map_err(|why| {
                    tracing::warn!(%why, "a peer is not told roots");
                    Refusal::from(&why)
                });
                self.federation.roots_made(number, told);
            }
            RootsFor::Comparison(number) => self.own_roots_found(number, found),
        }
    }
}
