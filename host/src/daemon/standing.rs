//! What this node has promised and signed for each ledger, in one small file each. A node that forgets a promise could
//! break it, so a damaged file is an error, not the same as none.

use super::world::World;
use reprise_abi::{decode_canonical, encode};
use reprise_federation::{Roster, Standing};
use reprise_receipts::LedgerId;
use std::io;

/// The standings of a node.
pub(super) struct Standings<'a>(pub(super) &'a dyn World);

impl Standings<'_> {
    /// What is kept of a ledger; that of a member without promises when nothing is.
    pub(super) fn read(&self, roster: &Roster) -> io::Result<Standing> {
        let name = name(roster.ledger);
        let Some(bytes) = self.0.read(&name)? else { return Ok(Standing::new(roster)) };
        let standing: Standing = decode_canonical(&bytes)
            .map_err(|error| io::Error::other(format!("federation/{name}: {error}: restore it, or ask for help")))?;
        let same = standing.ledger == roster.ledger;
        if same { Ok(standing) } else { Err(io::Error::other(format!("federation/{name}: of another ledger"))) }
    }

    /// Makes it durable.
    pub(super) fn write(&self, standing: &Standing) -> io::Result<()> {
        self.0.replace(&name(standing.ledger), &encode(standing))
    }
}

fn name(ledger: LedgerId) -> String {
    format!("{ledger}.standing")
}

#[cfg(test)]
mod tests;
