//! How this node begins to take part in a ledger: with what is kept of it, held against its receipts.

use super::{Driver, Outward, Part, Served};
use crate::{
    daemon::{config::Clock, standing::Standings},
    journal::LedgerEntry,
    recovery::{self, NoWatch},
};
use reprise_federation::{Roster, SignedGrant};
use std::{collections::BTreeMap, io};

impl Driver {
    /// Takes part in ledgers with what is kept of them.
    ///
    /// # Errors
    /// A file of this node cannot be read, or its journal cannot.
    pub(in crate::daemon) fn join(&mut self, entry: LedgerEntry, roster: Roster, clock: Clock) -> io::Result<()> {
        // A roll-back that was interrupted would go on at the first step: until then nothing here says what will stay.
        let site = self.node.site(&entry, self.world.engine());
        recovery::resume(&site, &mut NoWatch).map_err(io::Error::other)?;
        let mut standing = Standings(&*self.world).read(&roster)?;
        // The log may be in a later epoch than this node was told of: it came with a bundle, or was begun offline.
        let reader = self.node.journal().read(entry.no).map_err(io::Error::other)?;
        let (_, epochs) = reader.epochs(&entry.genesis).map_err(io::Error::other)?;
        if let Some(grant) = epochs.last().and_then(|last| SignedGrant::of_command(entry.id, &last.grant)) {
            standing.catch_up(&grant);
        }
        self.facts.add(&entry).map_err(io::Error::other)?;
        if self.reconciler.is_own(entry.id) {
            let last = reader.last_receipt().map_err(io::Error::other)?;
            self.reconciler.begins(last.as_ref().map(|(receipt, _)| receipt), self.world.now_ms());
        }
        let suspended = match (self.reconciler.is_own(entry.id), self.first_look(&entry)) {
            // What suspended it was a fault of this node in an earlier life, and nobody decides about the ledger on which
            // decisions are made: it goes on if what is stored holds.
            (true, None) => None,
            (true, Some(_)) => standing.suspended,
            (false, looked) => standing.suspended.or(looked),
        };
        if suspended != standing.suspended {
            standing.suspended = suspended;
            Standings(&*self.world).write(&standing)?;
        }
        let ledger = entry.id;
        self.ledgers.insert(
            ledger,
            Served {
                entry,
                part: Part::None,
                fault: None,
                attested: BTreeMap::new(),
                grown: false,
                given: 0,
                ended: None,
                queued: Vec::new(),
                unkept: false,
                early: None,
                outward: Outward::new(clock),
            },
        );
        let now_ms = self.now_ms();
        if !self.federation.join(now_ms, roster, standing, &self.facts) {
            return Err(io::Error::other(format!(
                "ledger {ledger}: this node is no member, or serves too many ledgers"
            )));
        }
        self.carry_out();
        if matches!(self.ledgers[&ledger].part, Part::None) {
            self.follow(ledger);
        }
        Ok(())
    }
}
