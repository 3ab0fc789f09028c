//! What this node has promised and signed for each ledger, in one small file each: written beside the old one, synced, and
//! put in its place. A node that forgets a promise could break it.

use reprise_abi::{decode_canonical, encode};
use reprise_federation::{Roster, Standing};
use reprise_receipts::LedgerId;
use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// The files of a node.
#[derive(Clone, Debug)]
pub(super) struct Standings {
    dir: PathBuf,
}

impl Standings {
    /// In the folder `federation` of a node's directory, which is created when it is absent.
    pub(super) fn open(node: &Path) -> io::Result<Self> {
        let dir = node.join("federation");
        DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
        Ok(Self { dir })
    }

    /// What is kept of a ledger; that of a member without promises when nothing is.
    pub(super) fn read(&self, roster: &Roster) -> io::Result<Standing> {
        let path = self.path(roster.ledger);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Standing::new(roster)),
            Err(error) => return Err(error),
        };
        let standing: Standing = decode_canonical(&bytes)
            .map_err(|error| io::Error::other(format!("{}: {error}: restore it, or ask for help", path.display())))?;
        let same = standing.ledger == roster.ledger;
        if same { Ok(standing) } else { Err(io::Error::other(format!("{}: of another ledger", path.display()))) }
    }

    /// For a node that has lost its disk: of a ledger that nothing is kept of, what is written down is that the memory is
    /// lost. Until it has all that the owner has, it neither promises nor counts nor signs.
    pub(super) fn rejoin(&self, roster: &Roster) -> io::Result<()> {
        let kept = self.path(roster.ledger).exists() || roster.members.len() == 1;
        if kept { Ok(()) } else { self.write(&Standing { rejoining: true, ..Standing::new(roster) }) }
    }

    /// Makes it durable.
    pub(super) fn write(&self, standing: &Standing) -> io::Result<()> {
        let path = self.path(standing.ledger);
        let beside = path.with_extension("new");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        file.write_all(&encode(standing))?;
        file.sync_all()?;
        fs::rename(&beside, &path)?;
        File::open(&self.dir)?.sync_all()
    }

    fn path(&self, ledger: LedgerId) -> PathBuf {
        self.dir.join(format!("{ledger}.standing"))
    }
}

#[cfg(test)]
mod tests;
