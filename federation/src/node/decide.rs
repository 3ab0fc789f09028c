//! What is done about a difference: by this node's own plan, or by somebody else's decision.

use super::{
    Federation,
    action::{Action, Finding},
    pursue::{Next, Pursuit},
    seat::Seat,
};
use crate::{
    compare::Divergence,
    ledgers::Ledgers,
    message::Mark,
    plan::{Remedy, suggest},
};
use reprise_receipts::LedgerId;

impl Federation {
    /// The decision about the difference that a pursuit of this ledger waits for.
    ///
    /// A decision that would take back what is committed, signed or final suspends the ledger instead. One that nobody
    /// waits for any more does nothing.
    pub fn decide(&mut self, now_ms: u64, ledger: LedgerId, remedy: Remedy, facts: &dyn Ledgers) {
        self.with_seat(ledger, |this, seat| {
            let Some(mut pursuit) = seat.pursuit.take_if(|pursuit| pursuit.is_undecided()) else { return };
            let head = this.head(seat, facts);
            if !matches!(this.begin(remedy, &head, &mut pursuit, seat), Next::Over) && seat.is_open() {
                seat.pursuit = Some(pursuit);
                this.pursue(now_ms, seat, facts);
            }
        });
    }

    /// Tells of a difference, and goes on with what is suggested, or waits for a decision.
    pub(super) fn propose(
        &mut self,
        divergence: Divergence,
        head: &Mark,
        pursuit: &mut Pursuit,
        seat: &mut Seat,
    ) -> Next {
        let (ledger, peer) = (seat.roster.ledger, pursuit.peer());
        self.found(ledger, peer, divergence);
        let (protected, leads) = (seat.standing.protected(), pursuit.leads());
        let proposed = suggest(divergence, protected, leads);
        if self.config.decide_elsewhere && proposed != Remedy::Nothing {
            let finding = Finding { ledger, peer, divergence };
            self.outbox.push_back(Action::Decide { finding, protected, leads, proposed });
            pursuit.wait_for_decision();
            return Next::Wait;
        }
        self.begin(proposed, head, pursuit, seat)
    }

    fn begin(&mut self, remedy: Remedy, head: &Mark, pursuit: &mut Pursuit, seat: &mut Seat) -> Next {
        match remedy {
            Remedy::Fetch => pursuit.go_fetch(seat.roster.ledger, head.size),
            Remedy::RollBack { to } => pursuit.go_back(to),
            Remedy::Suspend(why) => {
                self.halt(seat, why);
                return Next::Over;
            }
            Remedy::Nothing => return Next::Over,
        }
        Next::Again
    }
}
