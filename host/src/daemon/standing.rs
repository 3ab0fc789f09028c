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

    /// For a node that has lost its disk: of a ledger that nothing is kept of, what is written down is that the memory is
    /// lost. Until it has all that the owner has, it neither promises nor counts nor signs.
    pub(super) fn rejoin(&self, roster: &Roster) -> io::Result<()> {
        let kept = self.0.read(&name(roster.ledger))?.is_some() || roster.members.len() == 1;
        if kept { Ok(()) } else { self.write(&Standing { rejoining: true, ..Standing::new(roster) }) }
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
