//! Reading an archive, one part in memory at a time. What comes out was held against its receipt.

use super::{
    ArchiveError, ArchivedStep, PART_BYTES_MAX, StepsPart, Store,
    layout::{self, CHECKPOINT, EPOCHS, GENESIS, PACKAGE_CONTEXT, Place, SEAL_BYTES, TILE_WIDTH},
    part::{ArchivedEpochs, StepParts},
};
use reprise_abi::{Canonical, decode_canonical};
use reprise_receipts::{
    Attesters, Genesis, Package, PackageDigest,
    checkpoint::{CHECKPOINT_BYTES_MAX, Checkpoint, SignedCheckpoint},
    log::{TILE_BYTES_MAX, TileSource},
};

/// An archive as its checkpoint says it is.
pub struct ArchiveReader<'a> {
    store: &'a dyn Store,
    note: SignedCheckpoint,
    genesis: Option<Genesis>,
    attesters: Option<Attesters>,
}

impl<'a> ArchiveReader<'a> {
    /// Opens an archive. Whether its checkpoint is to be trusted is for the caller to find out.
    ///
    /// # Errors
    /// [`ArchiveError`]: there is no checkpoint, or the genesis record is of another ledger.
    pub fn open(store: &'a dyn Store) -> Result<Self, ArchiveError> {
        Self::open_if_there(store)?.ok_or_else(|| ArchiveError::Absent(CHECKPOINT.to_owned()))
    }

    /// [`Self::open`]; `None` if there is no checkpoint.
    ///
    /// # Errors
    /// [`ArchiveError`], as for [`Self::open`].
    pub fn open_if_there(store: &'a dyn Store) -> Result<Option<Self>, ArchiveError> {
        let Some(note) = store.read(CHECKPOINT, CHECKPOINT_BYTES_MAX as u64)? else { return Ok(None) };
        let note = SignedCheckpoint::parse(&note)?;
        let genesis = store.read(GENESIS, Genesis::BYTES_MAX as u64)?;
        let genesis = genesis.map(|bytes| decode_canonical::<Genesis>(&bytes)).transpose();
        let genesis = genesis.map_err(|error| ArchiveError::damaged(GENESIS, error))?;
        if let Some(genesis) = &genesis
            && genesis.ledger_id() != note.checkpoint().ledger
        {
            let (expected, found) = (note.checkpoint().ledger, genesis.ledger_id());
            return Err(ArchiveError::OtherLedger { expected, found });
        }
        let attesters = genesis.as_ref().map(|genesis| attesters(store, genesis)).transpose()?;
        Ok(Some(Self { store, note, genesis, attesters }))
    }

    /// The signed checkpoint.
    #[must_use]
    pub fn note(&self) -> &SignedCheckpoint {
        &self.note
    }

    /// What it says.
    #[must_use]
    pub fn checkpoint(&self) -> &Checkpoint {
        self.note.checkpoint()
    }

    /// The genesis record; `None` in an archive of receipts only.
    #[must_use]
    pub fn genesis(&self) -> Option<&Genesis> {
        self.genesis.as_ref()
    }

    /// Receipts of one tile's width, from `index * 256` on.
    ///
    /// # Errors
    /// [`ArchiveError`]: the entry bundle is not there or damaged.
    pub fn receipts(&self, index: u64) -> Result<Vec<Vec<u8>>, ArchiveError> {
        layout::read_entries(self.store, self.place(index)?)
    }

    /// A package.
    ///
    /// # Errors
    /// [`ArchiveError`]: not there, or another package.
    pub fn package(&self, digest: PackageDigest) -> Result<Package, ArchiveError> {
        let name = layout::package(digest);
        let file = self.store.read(&name, (SEAL_BYTES + Package::BYTES_MAX) as u64)?;
        let file = file.ok_or(ArchiveError::NoPackage(digest))?;
        let bytes = layout::unseal(PACKAGE_CONTEXT, &name, &file)?;
        let package: Package = decode_canonical(bytes).map_err(|error| ArchiveError::damaged(&name, error))?;
        package.verify_component().map_err(|error| ArchiveError::damaged(&name, error))?;
        if package.manifest.digest() == digest {
            return Ok(package);
        }
        Err(ArchiveError::damaged(name, "it is another package"))
    }

    /// A step.
    ///
    /// # Errors
    /// [`ArchiveError`]: it is not in the archive, or damaged.
    pub fn step(&self, seq: u64) -> Result<ArchivedStep, ArchiveError> {
        let size = self.checkpoint().size;
        let run = self.run_with(seq)?;
        run.into_iter().find(|step| step.receipt.seq == seq).ok_or(ArchiveError::Beyond { size, wanted: seq + 1 })
    }

    /// The run of steps in one file that a step is in.
    ///
    /// # Errors
    /// [`ArchiveError`], as for [`Self::step`].
    pub fn run_with(&self, seq: u64) -> Result<Vec<ArchivedStep>, ArchiveError> {
        let place = self.place(seq / TILE_WIDTH)?;
        let receipts = layout::read_entries(self.store, place)?;
        let mut parts = Parts::new(self, place);
        while let Some((name, part)) = parts.next()? {
            if (part.first..part.first + part.steps.len() as u64).contains(&seq) {
                return self.join(&name, part, &receipts);
            }
        }
        Err(ArchiveError::Beyond { size: self.checkpoint().size, wanted: seq + 1 })
    }

    /// Gives every step of a tile to `each`, in order.
    ///
    /// # Errors
    /// [`ArchiveError`], as for [`Self::step`], or from `each`.
    pub fn for_each_of_tile(
        &self,
        index: u64,
        mut each: impl FnMut(ArchivedStep) -> Result<(), ArchiveError>,
    ) -> Result<(), ArchiveError> {
        let place = self.place(index)?;
        let receipts = layout::read_entries(self.store, place)?;
        let mut parts = Parts::new(self, place);
        while let Some((name, part)) = parts.next()? {
            self.join(&name, part, &receipts)?.into_iter().try_for_each(&mut each)?;
        }
        Ok(())
    }

    fn join(&self, name: &str, part: StepsPart, receipts: &[Vec<u8>]) -> Result<Vec<ArchivedStep>, ArchiveError> {
        let attesters = self.attesters.as_ref().ok_or(ArchiveError::ReceiptsOnly)?;
        let ledger = self.checkpoint().ledger;
        let at = usize::try_from(part.first % TILE_WIDTH).expect("below 256");
        let steps = (part.first..).zip(part.steps).zip(&receipts[at..]);
        let checked = steps.map(|((seq, parts), receipt): ((u64, StepParts), _)| {
            let checked = parts.check(seq, ledger, receipt.clone(), attesters);
            checked.map_err(|reason| ArchiveError::damaged(name, format_args!("step {seq}: {reason}")))
        });
        checked.collect()
    }

    fn place(&self, index: u64) -> Result<Place, ArchiveError> {
        let size = self.checkpoint().size;
        Place::of(0, index, size).ok_or(ArchiveError::Beyond { size, wanted: index.saturating_mul(TILE_WIDTH) + 1 })
    }
}

/// Who attests which epoch: by the genesis record and the commands that operators signed.
fn attesters(store: &dyn Store, genesis: &Genesis) -> Result<Attesters, ArchiveError> {
    let mut attesters = Attesters::of_genesis(genesis);
    if let Some(bytes) = store.read(EPOCHS, ArchivedEpochs::BYTES_MAX as u64)? {
        let damaged = |error: &dyn std::fmt::Display| ArchiveError::damaged(EPOCHS, error);
        let epochs: ArchivedEpochs = decode_canonical(&bytes).map_err(|error| damaged(&error))?;
        for record in &epochs.records {
            attesters.add(genesis, record).map_err(|error| damaged(&error))?;
        }
    }
    Ok(attesters)
}

/// The hashes of a tile as far as the checkpoint reaches.
impl TileSource for ArchiveReader<'_> {
    fn tile(&self, level: u8, index: u64) -> Option<Vec<u8>> {
        let place = Place::of(level, index, self.checkpoint().size)?;
        self.store.read(&place.tile(level), TILE_BYTES_MAX as u64).ok()?
    }
}

/// The parts of a tile's steps, which follow one another without gaps and end with the tile.
struct Parts<'a, 'b> {
    archive: &'a ArchiveReader<'b>,
    place: Place,
    part: u64,
    next_seq: u64,
}

impl<'a, 'b> Parts<'a, 'b> {
    fn new(archive: &'a ArchiveReader<'b>, place: Place) -> Self {
        Self { archive, place, part: 0, next_seq: place.index * TILE_WIDTH }
    }

    fn next(&mut self) -> Result<Option<(String, StepsPart)>, ArchiveError> {
        let end = self.place.index * TILE_WIDTH + self.place.width;
        if self.next_seq == end {
            return Ok(None);
        }
        let name = self.place.part(self.part);
        let part = StepsPart::of_file(&name, &layout::read(self.archive.store, &name, PART_BYTES_MAX as u64)?)?;
        let steps = part.steps.len() as u64;
        let fits = part.ledger == self.archive.checkpoint().ledger && part.first == self.next_seq;
        if !fits || steps > end - self.next_seq {
            return Err(ArchiveError::damaged(name, "it is not the next part of the steps"));
        }
        self.next_seq += steps;
        self.part += 1;
        Ok(Some((name, part)))
    }
}
