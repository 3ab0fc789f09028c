//! Bundles between running nodes: made for a peer, taken from one, and the beginning of a ledger on a new member.
//!
//! | module | what it does |
//! | --- | --- |
//! | `serve` | makes a bundle as a file, as `reprise bundle export` does, and streams it |
//! | `fetch` | streams a peer's bundle into a file, and verifies it as `reprise verify FILE` does |
//! | `operator` | `reprise bundle fetch` |
//! | `newcomer` | a ledger that the configuration names and the journal has not: begun with a member's bundles |
//!
//! Making, writing and verifying is done on threads beside: the driver hears how it ended.
//!
//! Invariant: what came from a peer is used only after it was verified against what was known before the download: the id
//! of the ledger, and the key that attests its first epoch.

mod fetch;
mod newcomer;
mod operator;
mod serve;

pub(super) use self::{
    fetch::FetchEnd,
    newcomer::{Begun, Newcomer, forget_staged},
    operator::Wish,
    serve::Made,
};

use self::fetch::Fetch;
use reprise_federation::NodeKey;
use reprise_receipts::LedgerId;
use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

/// What is done about bundles at this moment.
pub(super) struct Bundles {
    /// Where files are that are not complete, or not needed for long.
    dir: PathBuf,
    /// What was asked for, by the number of its stream.
    fetches: BTreeMap<u64, Fetch>,
    /// Ledgers that are to begin here.
    newcomers: BTreeMap<LedgerId, Newcomer>,
}

impl Bundles {
    /// Of a node in this directory, with the ledgers that are to begin on it.
    pub(super) fn new(node: &Path, newcomers: BTreeMap<LedgerId, Newcomer>) -> Self {
        Self { dir: node.join("federation").join("bundles"), fetches: BTreeMap::new(), newcomers }
    }

    /// Removes what an earlier process left: nothing of it is complete.
    pub(super) fn clear(&self) -> io::Result<()> {
        match fs::remove_dir_all(&self.dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        DirBuilder::new().recursive(true).mode(0o700).create(&self.dir)
    }

    /// A file for a stream: `what` is its direction, the number is one of this process.
    fn path(&self, what: &str, number: u64) -> PathBuf {
        self.dir.join(format!("{what}-{number}.bundle"))
    }

    fn of_peer(&self, peer: NodeKey) -> impl Iterator<Item = u64> {
        self.fetches.iter().filter(move |(_, fetch)| fetch.peer() == peer).map(|(transfer, _)| *transfer)
    }
}

/// A file that is not needed any more.
fn remove(path: &Path) {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(path = %path.display(), %error, "a file cannot be removed");
        }
        _ => {}
    }
}
