//! Peers that an operator has revoked: not let in and not called, whatever the configuration says, until an operator allows
//! them again. Kept in the file `revoked` of the folder `federation`, a key a line, so that a start does not forget it.

use super::{driver::Driver, world::World};
use crate::keys::parse_public;
use reprise_receipts::PublicKey;
use std::{collections::BTreeSet, io};

const FILE: &str = "revoked";

/// Node keys that are not let in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Revoked(BTreeSet<PublicKey>);

impl Revoked {
    /// What operators have ordered before.
    ///
    /// # Errors
    /// The file cannot be read, or says something else: then nobody knows who must stay out.
    pub(super) fn read(world: &dyn World) -> io::Result<Self> {
        let Some(bytes) = world.read(FILE)? else { return Ok(Self::default()) };
        let text = String::from_utf8_lossy(&bytes);
        let key = |(line, text): (usize, &str)| {
            let what = || io::Error::other(format!("line {} of `{FILE}` is not a node key: `{text}`", line + 1));
            parse_public(text).ok_or_else(what)
        };
        Ok(Self(text.lines().enumerate().map(key).collect::<Result<_, _>>()?))
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &PublicKey> {
        self.0.iter()
    }

    fn write(&self, world: &dyn World) -> io::Result<()> {
        world.replace(FILE, self.0.iter().map(|key| format!("{key}\n")).collect::<String>().as_bytes())
    }
}

impl Driver {
    /// Lets a peer in no more, or again. Durable before it holds.
    pub(super) fn admit(&mut self, peer: &str, admitted: bool) -> Result<(), String> {
        let key =
            self.names.iter().find(|(key, name)| **name == *peer && **key != self.link.key()).map(|(key, _)| *key);
        let key = key.ok_or_else(|| format!("no peer is called `{peer}`: see `reprise peers`"))?;
        let mut revoked = self.revoked.clone();
        if admitted {
            revoked.0.remove(&key);
        } else {
            revoked.0.insert(key);
        }
        revoked.write(&*self.world).map_err(|error| format!("federation/{FILE} cannot be written: {error}"))?;
        self.revoked = revoked;
        if admitted {
            self.link.allow(key);
            tracing::warn!(peer, "an operator lets a peer in again");
        } else {
            self.link.revoke(&key);
            tracing::warn!(peer, "an operator has revoked a peer");
        }
        Ok(())
    }
}
