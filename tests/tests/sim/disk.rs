//! A node's disk: the journal's bytes and a folder with small files. It can lose its power in the middle of an operation,
//! lie about syncs, flip a byte, be full, and be lost.

use redb::StorageBackend;
use reprise_tests::{
    SplitMix,
    disk::{DiskOperation, MemoryDisk},
};
use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, MutexGuard},
};

/// A disk. Clones are the same disk.
#[derive(Clone, Debug)]
pub struct SimDisk {
    memory: MemoryDisk,
    rest: Arc<Mutex<Rest>>,
}

/// How a disk is wrong from the beginning: a planted bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskFlaw {
    /// Syncs of the journal do nothing, but say that they did.
    Lies,
    /// A sync leaves the last write out: it was asked for before the write was there.
    SyncsTooEarly,
    /// Files that were replaced are those of the start after a loss of power.
    FilesForget,
    /// A file that was replaced reaches the disk with the next one that is.
    FilesLate,
    /// That there is no room for a file is not told to whoever replaces it.
    FullIsIgnored,
    /// The journal is that of the start after a loss of power.
    JournalGoesBack,
    /// Everything is that of the start after a loss of power.
    AllGoesBack,
}

#[derive(Debug)]
struct Rest {
    /// The journal's bytes that a loss of power leaves in any case.
    synced: Vec<u8>,
    /// The journal as it was when the node was started.
    synced_at_start: Vec<u8>,
    /// The small files as the node reads them.
    files: BTreeMap<String, Vec<u8>>,
    /// Those that a loss of power leaves.
    files_durable: BTreeMap<String, Vec<u8>>,
    /// Those that were there when the node was started.
    files_at_start: BTreeMap<String, Vec<u8>>,
    random: SplitMix,
    /// Changes that are still done before the power goes; none: it stays.
    power_goes_after: Option<u64>,
    off: bool,
    full: bool,
    /// Until the power goes syncs do nothing, but say that they did.
    loses_syncs: bool,
    flaw: Option<DiskFlaw>,
    lost: Lost,
}

/// What losses of power have undone or left.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lost {
    /// Writes that were not synced and are gone.
    pub writes: u64,
    /// Writes of which half is there.
    pub torn: u64,
}

impl SimDisk {
    pub fn new(seed: u64) -> Self {
        let rest = Rest {
            synced: Vec::new(),
            synced_at_start: Vec::new(),
            files: BTreeMap::new(),
            files_durable: BTreeMap::new(),
            files_at_start: BTreeMap::new(),
            random: SplitMix(seed),
            power_goes_after: None,
            off: false,
            full: false,
            loses_syncs: false,
            flaw: None,
            lost: Lost::default(),
        };
        Self { memory: MemoryDisk::default(), rest: Arc::new(Mutex::new(rest)) }
    }

    /// From now on it is wrong in this way.
    pub fn set_flaw(&self, flaw: DiskFlaw) {
        self.rest().flaw = Some(flaw);
    }

    /// Until the power goes it lies about what is durable.
    pub fn lose_syncs(&self) {
        self.rest().loses_syncs = true;
    }

    /// The power goes after so many changes from now.
    pub fn cut_power_after(&self, changes: u64) {
        self.rest().power_goes_after = Some(changes);
    }

    /// Nothing more is to go wrong: there is room, and the power stays.
    pub fn is_left_alone(&self) {
        self.set_full(false);
        self.rest().power_goes_after = None;
    }

    /// The power goes now. What the process does from now on has no effect.
    pub fn cut_power(&self) {
        self.rest().off = true;
    }

    pub fn is_off(&self) -> bool {
        self.rest().off
    }

    /// There is no room for anything new, or there is again.
    pub fn set_full(&self, full: bool) {
        self.rest().full = full;
    }

    pub fn is_full(&self) -> bool {
        self.rest().full
    }

    /// The power is back. Of what was not synced some is there, some is torn, some is not.
    pub fn power_on(&self) {
        let mut rest = self.rest();
        let mut disk = self.memory.lock();
        let unsynced = std::mem::take(&mut disk.operations);
        let mut image = rest.synced.clone();
        let keep = rest.random.below(4);
        for (at, operation) in unsynced.iter().enumerate() {
            let is_last = at + 1 == unsynced.len();
            match keep {
                0 => rest.lost.writes += 1,
                1 => operation.apply(&mut image),
                2 if is_last => {
                    operation.torn().apply(&mut image);
                    rest.lost.torn += 1;
                }
                2 => operation.apply(&mut image),
                _ if rest.random.below(2) == 0 => operation.apply(&mut image),
                _ => rest.lost.writes += 1,
            }
        }
        if matches!(rest.flaw, Some(DiskFlaw::JournalGoesBack | DiskFlaw::AllGoesBack)) {
            image.clone_from(&rest.synced_at_start);
        }
        rest.synced.clone_from(&image);
        rest.synced_at_start.clone_from(&image);
        disk.image = image;
        rest.files = match rest.flaw {
            Some(DiskFlaw::FilesForget | DiskFlaw::AllGoesBack) => rest.files_at_start.clone(),
            _ => rest.files_durable.clone(),
        };
        rest.files_durable = rest.files.clone();
        rest.files_at_start = rest.files.clone();
        rest.off = false;
        rest.loses_syncs = false;
        rest.power_goes_after = None;
    }

    /// What losses of power did.
    pub fn lost(&self) -> Lost {
        self.rest().lost
    }

    /// Everything on it is gone.
    pub fn wipe(&self) {
        let mut rest = self.rest();
        let mut disk = self.memory.lock();
        disk.image.clear();
        disk.operations.clear();
        rest.synced.clear();
        rest.files.clear();
        rest.files_durable.clear();
        rest.files_at_start.clear();
        rest.synced_at_start.clear();
        rest.full = false;
    }

    /// Flips a bit where something other than zero is. False when there is nothing.
    pub fn flip(&self) -> bool {
        let mut rest = self.rest();
        let mut disk = self.memory.lock();
        let length = rest.synced.len() as u64;
        for _ in 0..4_096 {
            if length == 0 {
                return false;
            }
            let at = rest.random.below(length) as usize;
            if rest.synced[at] != 0 && at < disk.image.len() {
                let mask = 1 << rest.random.below(8);
                rest.synced[at] ^= mask;
                disk.image[at] ^= mask;
                return true;
            }
        }
        false
    }

    pub fn read_file(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        let rest = self.rest();
        rest.is_on()?;
        Ok(rest.files.get(name).cloned())
    }

    pub fn replace_file(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut rest = self.rest();
        rest.may_change()?;
        if rest.full {
            let ignored = rest.flaw == Some(DiskFlaw::FullIsIgnored);
            return if ignored { Ok(()) } else { Err(io::ErrorKind::StorageFull.into()) };
        }
        let before = rest.files.insert(name.to_owned(), bytes.to_vec());
        let durable = if rest.flaw == Some(DiskFlaw::FilesLate) { before } else { Some(bytes.to_vec()) };
        rest.files_durable.extend(durable.map(|bytes| (name.to_owned(), bytes)));
        Ok(())
    }

    /// What a loss of power would leave of a file.
    pub fn durable_file(&self, name: &str) -> Option<Vec<u8>> {
        self.rest().files_durable.get(name).cloned()
    }

    fn rest(&self) -> MutexGuard<'_, Rest> {
        self.rest.lock().unwrap()
    }
}

impl Rest {
    fn is_on(&self) -> io::Result<()> {
        if self.off { Err(io::Error::other("the power is gone")) } else { Ok(()) }
    }

    /// Counts down to the loss of power.
    fn may_change(&mut self) -> io::Result<()> {
        match &mut self.power_goes_after {
            Some(0) => self.off = true,
            Some(left) => *left -= 1,
            None => {}
        }
        self.is_on()
    }
}

impl StorageBackend for SimDisk {
    fn len(&self) -> io::Result<u64> {
        self.rest().is_on()?;
        self.memory.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.rest().is_on()?;
        self.memory.read(offset, out)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut rest = self.rest();
        rest.may_change()?;
        if rest.full && length > self.memory.len()? {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.memory.set_len(length)
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut rest = self.rest();
        rest.may_change()?;
        if rest.loses_syncs || rest.flaw == Some(DiskFlaw::Lies) {
            return Ok(());
        }
        let mut disk = self.memory.lock();
        let left_out = usize::from(rest.flaw == Some(DiskFlaw::SyncsTooEarly));
        let synced = disk.operations.len().saturating_sub(left_out);
        for operation in disk.operations.drain(..synced) {
            operation.apply(&mut rest.synced);
        }
        Ok(())
    }

    /// A full disk takes nothing: a file that has holes, as those of journals may have, needs room for every write.
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut rest = self.rest();
        rest.may_change()?;
        if rest.full {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.memory.lock().perform(DiskOperation::Write(offset as usize, data.to_vec()));
        Ok(())
    }
}
