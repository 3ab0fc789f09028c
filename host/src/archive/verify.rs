//! Reading all of an archive back: every receipt under the root that is signed, every step under its receipt.

use super::{
    ArchiveError, ArchiveReader, ArchivedStep, Store,
    layout::{self, Place, TILE_WIDTH},
};
use reprise_receipts::{
    LeafHash, PackageDigest,
    checkpoint::Checkpoint,
    log::{LogTail, TILE_BYTES_MAX, TileWrite},
    trust_policy::{Approval, TrustPolicy},
};
use std::collections::BTreeSet;

/// An archive that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// What it reaches up to.
    pub checkpoint: Checkpoint,
    /// Who says so.
    pub approval: Approval,
    /// It has everything that doing the steps again takes; otherwise receipts only.
    pub with_steps: bool,
    /// Attestations in it, all of which hold.
    pub attestations: u64,
    /// Packages that its receipts name, all of which are there.
    pub packages: u64,
}

/// Reads every file of an archive that its checkpoint speaks of. Memory does not grow with the archive.
///
/// # Errors
/// [`ArchiveError`]: the checkpoint is not trusted, or a file is missing or damaged; it is named.
pub fn verify(store: &dyn Store, policy: &TrustPolicy) -> Result<Verified, ArchiveError> {
    let archive = ArchiveReader::open(store)?;
    let approval = policy.check(archive.note())?;
    let mut sweep =
        Sweep { store, tail: LogTail::new(), previous: LeafHash::NONE, packages: BTreeSet::new(), attestations: 0 };
    let checkpoint = *archive.checkpoint();
    for index in 0..checkpoint.size.div_ceil(TILE_WIDTH) {
        if archive.genesis().is_some() {
            archive.for_each_of_tile(index, |step| sweep.step(&step))?;
        } else {
            archive.receipts(index)?.iter().try_for_each(|receipt| sweep.leaf(LeafHash::of(receipt)))?;
        }
    }
    sweep.check_tiles(checkpoint.size)?;
    if sweep.tail.root() != checkpoint.log_root {
        return Err(ArchiveError::Root);
    }
    for digest in &sweep.packages {
        archive.package(*digest)?;
    }
    Ok(Verified {
        checkpoint,
        approval,
        with_steps: archive.genesis().is_some(),
        attestations: sweep.attestations,
        packages: sweep.packages.len() as u64,
    })
}

/// What is known from the receipts so far.
struct Sweep<'a> {
    store: &'a dyn Store,
    tail: LogTail,
    previous: LeafHash,
    packages: BTreeSet<PackageDigest>,
    attestations: u64,
}

impl Sweep<'_> {
    fn step(&mut self, step: &ArchivedStep) -> Result<(), ArchiveError> {
        let seq = step.receipt.seq;
        let damaged = |reason| ArchiveError::damaged("tile/entries", format_args!("receipt {seq}: {reason}"));
        if step.receipt.previous != self.previous {
            return Err(damaged("it does not name the receipt before it"));
        }
        self.previous = LeafHash::of(&step.receipt_bytes);
        self.leaf(self.previous)?;
        self.packages.insert(step.receipt.package);
        if let Some(attestation) = &step.attestation {
            if attestation.body.log_root != self.tail.root() {
                return Err(damaged("its attestation signs another log"));
            }
            self.attestations += 1;
        }
        Ok(())
    }

    fn leaf(&mut self, leaf: LeafHash) -> Result<(), ArchiveError> {
        self.tail.append(leaf);
        let complete = self.tail.take_complete_tiles();
        complete.iter().try_for_each(|tile| self.check_tile(tile, self.tail.size()))
    }

    fn check_tiles(&mut self, size: u64) -> Result<(), ArchiveError> {
        let cut = self.tail.take_dirty_tiles();
        cut.iter().try_for_each(|tile| self.check_tile(tile, size))
    }

    fn check_tile(&self, tile: &TileWrite, size: u64) -> Result<(), ArchiveError> {
        let place = Place::of(tile.level, tile.index, size).expect("the tile is of a log of this size");
        let name = place.tile(tile.level);
        if layout::read(self.store, &name, TILE_BYTES_MAX as u64)? == tile.hashes {
            return Ok(());
        }
        Err(ArchiveError::damaged(name, "it does not hold the hashes of the receipts"))
    }
}
