//! Keeping the proof of what has become final.

use super::Driver;
use crate::{
    finality::describe,
    journal::{Electorate, KeptMark},
};
use reprise_abi::decode_canonical;
use reprise_federation::{Ledgers as _, window::FinalWindow};
use reprise_receipts::{LedgerId, Receipt};
use serde_json::Value;

impl Driver {
    /// The proof that is kept of a ledger, for people. It may be a window behind the standing.
    pub(super) fn final_mark(&self, ledger: LedgerId) -> Option<Value> {
        let (seat, served) = (self.federation.seat(ledger)?, self.ledgers.get(&ledger)?);
        match self.node.journal().final_mark(served.entry.no) {
            Ok(kept) => {
                kept.map(|kept| describe(&kept, |key| seat.roster.signer(key).map(|member| self.name(member.node))))
            }
            Err(error) => Some(error.to_string().into()),
        }
    }

    /// Keeps the votes of a final window, for whoever asks later. Nothing rests on it: a proof that cannot be kept is
    /// missed until the next window.
    pub(super) fn keep_final(&self, ledger: LedgerId, window: &FinalWindow) {
        tracing::info!(%ledger, size = window.mark.size, votes = window.votes.len(), "final");
        let (Some(seat), Some(served)) = (self.federation.seat(ledger), self.ledgers.get(&ledger)) else { return };
        let electorate = Electorate::of(seat.roster);
        // The word of one member alone is its attestation, and that is kept already.
        if electorate.voters.len() < 2 {
            return;
        }
        let last = self.facts.receipt(ledger, window.mark.size.saturating_sub(1));
        let last = last.and_then(|bytes| decode_canonical::<Receipt>(&bytes).ok());
        let Some(mark) = last.and_then(|last| window.proof(&last, seat.roster)) else {
            tracing::warn!(%ledger, size = window.mark.size, "the votes of a final window are no proof together");
            return;
        };
        let kept = KeptMark { mark, electorate: Some(electorate) };
        if let Err(error) = self.node.journal().put_final_mark(served.entry.no, &kept) {
            tracing::error!(%ledger, %error, "the proof of a final window cannot be kept");
        }
    }
}
