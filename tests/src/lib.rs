//! What several tests of the workspace need: fixtures, repeatable randomness, and the operations of a simulated disk.

mod program;

pub use program::program;

use std::path::PathBuf;

/// Path of a file under `fixtures/`.
#[must_use]
pub fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fixtures").join(name)
}

/// SplitMix64 (Steele, Lea, Flood 2014): repeatable choices from a seed.
#[derive(Clone, Debug)]
pub struct SplitMix(pub u64);

impl SplitMix {
    /// The next 64 bits.
    pub fn next_bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next_bits() % end
    }
}

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

/// A disk in memory that remembers what was asked of it.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    /// What a reader sees now.
    pub image: Vec<u8>,
    /// Everything since the disk was made, in order.
    pub operations: Vec<DiskOperation>,
}

impl Disk {
    /// Does an operation and remembers it.
    pub fn perform(&mut self, operation: DiskOperation) {
        operation.apply(&mut self.image);
        self.operations.push(operation);
    }
}
