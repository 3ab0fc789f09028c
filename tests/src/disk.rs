//! A disk in memory for a journal. It remembers what was asked of it, so that a test can make the disks that a loss of
//! power could have left.

use redb::StorageBackend;
use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// What was asked of a disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiskOperation {
    /// Bytes at an offset.
    Write(usize, Vec<u8>),
    /// A new length; what is new is zero.
    SetLength(usize),
    /// Everything before is on the disk for good.
    Sync,
}

impl DiskOperation {
    /// Does it to an image of the disk.
    pub fn apply(&self, image: &mut Vec<u8>) {
        match self {
            Self::Write(offset, bytes) => {
                image.resize(image.len().max(offset + bytes.len()), 0);
                image[*offset..offset + bytes.len()].copy_from_slice(bytes);
            }
            Self::SetLength(length) => image.resize(*length, 0),
            Self::Sync => {}
        }
    }

    /// The first half of a write; the whole of anything else.
    #[must_use]
    pub fn torn(&self) -> Self {
        match self {
            Self::Write(offset, bytes) => Self::Write(*offset, bytes[..bytes.len() / 2].to_vec()),
            other => other.clone(),
        }
    }
}

/// What is on a disk, and how it came there.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    /// What a reader sees now.
    pub image: Vec<u8>,
    /// Everything that was asked, in order, and not taken out of here.
    pub operations: Vec<DiskOperation>,
    /// Nothing is remembered: for tests that write much and look at the image alone.
    pub forgets: bool,
}

impl Disk {
    /// Does an operation and remembers it.
    pub fn perform(&mut self, operation: DiskOperation) {
        operation.apply(&mut self.image);
        if !self.forgets {
            self.operations.push(operation);
        }
    }
}

/// A disk that a journal can be opened on. Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub struct MemoryDisk(Arc<Mutex<Disk>>);

impl MemoryDisk {
    /// A disk with this content and no past.
    #[must_use]
    pub fn of(image: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(Disk { image, ..Disk::default() })))
    }

    /// The disk itself.
    pub fn lock(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StorageBackend for MemoryDisk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.lock().image.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let disk = self.lock();
        let start = offset as usize;
        let bytes = disk.image.get(start..start + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.lock().perform(DiskOperation::SetLength(length as usize));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.lock().perform(DiskOperation::Sync);
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.lock().perform(DiskOperation::Write(offset as usize, data.to_vec()));
        Ok(())
    }
}
