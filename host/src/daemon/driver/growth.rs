//! What has become of a ledger's journal, and how the state machines hear of it.

use super::Driver;
use reprise_federation::{Suspension, node::Refused};
use reprise_receipts::LedgerId;
use std::mem;

impl Driver {
    /// The work that was asked for up to this number has come to its end, well or not.
    pub(super) fn ended(&mut self, ledger: LedgerId, number: u64) {
        self.with(ledger, |served| served.ended = served.ended.max(Some(number)));
    }

    /// Nobody does any more what was handed to somebody.
    pub(super) fn all_given_ended(&mut self, ledger: LedgerId) {
        self.with(ledger, |served| served.ended = served.ended.max(Some(served.given)));
    }

    /// The state machines hear of every ledger whose log has grown, once.
    pub(super) fn tell_growth(&mut self) {
        let told = self.ledgers.iter_mut().filter_map(|(ledger, served)| {
            let (grown, ended) = (mem::take(&mut served.grown), served.ended.take());
            (grown || ended.is_some()).then_some((*ledger, ended))
        });
        let told: Vec<(LedgerId, Option<u64>)> = told.collect();
        for (ledger, ended) in told {
            self.refresh(ledger);
            let (own, size) = (self.link.key(), self.size(ledger));
            self.with(ledger, |served| served.attested.retain(|key, attested| *key != own || *attested <= size));
            let now_ms = self.now_ms();
            match ended {
                Some(number) => self.federation.carried_out(now_ms, ledger, number, &self.facts),
                None => self.federation.advanced(now_ms, ledger, &self.facts),
            }
            let early = self.ledgers.get_mut(&ledger).and_then(|served| served.early.take());
            if let Some(Err(error)) = early.map(|bytes| self.keep_attestation(&bytes)) {
                tracing::error!(%error, "an attestation cannot be kept");
            }
        }
    }

    pub(super) fn refresh(&mut self, ledger: LedgerId) {
        if let Err(error) = self.facts.refresh(ledger) {
            self.broken(ledger, error.to_string());
        }
    }

    pub(super) fn refused(&mut self, now_ms: u64, refused: &Refused<'_>) {
        tracing::error!(ledger = %refused.ledger, at = refused.at, "a step of the owner gives another receipt here");
        self.refresh(refused.ledger);
        self.federation.refused(now_ms, refused, &self.facts);
    }

    /// This node cannot go on with a ledger.
    pub(in crate::daemon) fn broken(&mut self, ledger: LedgerId, fault: String) {
        tracing::error!(%ledger, fault, "the ledger does not advance here");
        self.with(ledger, |served| served.fault = Some(fault));
        self.federation.suspend(ledger, Suspension::Incomparable);
    }
}
