//! What peers sent and was rejected: kept for whoever wants to know why, never used.
//!
//! One file for each object in `federation/rejected`, named by its number: a line of JSON that says what it is, then its
//! bytes. Bounded in number and in bytes; the oldest go, and the file `dropped` says how many and how much went. Writing
//! is done beside: a peer that sends rubbish does not make the node wait for its disk, and what comes more quickly than
//! the disk takes it is counted as dropped.

use crate::orderer::clock_ms;
use crossbeam_channel::{Receiver, Sender, bounded};
use reprise_federation::{
    limits::{QUARANTINE_BYTES_MAX, QUARANTINE_OBJECT_BYTES_MAX, QUARANTINE_RECORDS_MAX},
    quarantine::Rejected,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// Objects that may wait for the disk.
const WAITING_MAX: usize = 64;
/// Longest first line of a file, in bytes.
const HEAD_BYTES_MAX: u64 = 4_096;
/// What the files end in.
const SUFFIX: &str = "rejected";

/// What one object is: the first line of its file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectedRecord {
    /// Number, from 1, never used again.
    pub number: u64,
    /// The node's clock, in milliseconds since 1970.
    pub at_ms: u64,
    /// Node key of who sent it.
    pub origin: String,
    /// The ledger that it was about, if it was about one.
    pub ledger: Option<String>,
    /// Why it was rejected.
    pub reason: String,
    /// Its length in bytes; at most the first 256 KiB are kept.
    pub length: u64,
    /// Digest of all of it, as `docs/federation.md` says.
    pub digest: String,
}

/// What went to make room, in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DroppedRecords {
    /// Objects.
    pub records: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Number of the last one.
    pub last: u64,
}

/// Keeps what is rejected.
pub(super) struct RejectedStore {
    to_keep: Sender<Rejected>,
    last_number: u64,
}

impl RejectedStore {
    /// In a node's directory.
    pub(super) fn open(node: &Path) -> io::Result<Self> {
        let dir = dir(node);
        DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
        let mut kept = BTreeMap::new();
        for number in numbers(node)? {
            kept.insert(number, fs::metadata(path(&dir, number))?.len());
        }
        let dropped = dropped(node)?;
        let last_number = kept.keys().next_back().copied().unwrap_or(0).max(dropped.last);
        let (to_keep, waiting) = bounded(WAITING_MAX);
        let keeper = Keeper { dir, kept, dropped, last: last_number };
        std::thread::Builder::new().name("reprise-rejected".to_owned()).spawn(move || keeper.run(&waiting))?;
        Ok(Self { to_keep, last_number })
    }

    /// The number of the last object when the node was started.
    pub(super) fn last_number(&self) -> u64 {
        self.last_number
    }

    /// Keeps an object, if the disk keeps up; a gap in the numbers is counted as dropped otherwise.
    pub(super) fn keep(&self, rejected: Rejected) {
        let _ = self.to_keep.try_send(rejected);
    }
}

struct Keeper {
    dir: PathBuf,
    /// Bytes of each file.
    kept: BTreeMap<u64, u64>,
    dropped: DroppedRecords,
    last: u64,
}

impl Keeper {
    fn run(mut self, waiting: &Receiver<Rejected>) {
        for rejected in waiting {
            if let Err(error) = self.keep(&rejected) {
                tracing::error!(number = rejected.number, %error, "rejected material cannot be kept");
            }
        }
    }

    fn keep(&mut self, rejected: &Rejected) -> io::Result<()> {
        let missed = rejected.number.saturating_sub(self.last + 1);
        self.last = rejected.number;
        let before = self.dropped;
        self.dropped.records += missed;
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let head = RejectedRecord {
            number: rejected.number,
            at_ms: clock_ms(),
            origin: rejected.origin.0.to_string(),
            ledger: rejected.ledger.map(|ledger| ledger.to_string()),
            reason: rejected.reason.to_string(),
            length: rejected.len,
            digest: hex(&rejected.digest),
        };
        let mut bytes = serde_json::to_vec(&head).map_err(io::Error::other)?;
        bytes.push(b'\n');
        bytes.extend_from_slice(&rejected.bytes);
        self.make_room(bytes.len() as u64)?;
        if self.dropped != before {
            write(&self.dir, "dropped", &serde_json::to_vec(&self.dropped).map_err(io::Error::other)?)?;
        }
        write(&self.dir, &name(rejected.number), &bytes)?;
        self.kept.insert(rejected.number, bytes.len() as u64);
        Ok(())
    }

    fn make_room(&mut self, bytes: u64) -> io::Result<()> {
        let full = |kept: &BTreeMap<u64, u64>| {
            let all: u64 = kept.values().sum();
            kept.len() >= QUARANTINE_RECORDS_MAX || all + bytes > QUARANTINE_BYTES_MAX as u64
        };
        while full(&self.kept) {
            let Some((number, bytes)) = self.kept.pop_first() else { break };
            match fs::remove_file(path(&self.dir, number)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            self.dropped.records += 1;
            self.dropped.bytes += bytes;
            self.dropped.last = number;
        }
        Ok(())
    }
}

/// What is kept on a node, oldest first. The node may be running.
///
/// # Errors
/// A file cannot be read.
pub fn list(node: &Path) -> io::Result<Vec<RejectedRecord>> {
    numbers(node)?.into_iter().filter_map(|number| head(node, number).transpose()).collect()
}

/// One object with its bytes; `None` if it is not there.
///
/// # Errors
/// Its file cannot be read, or is not one.
pub fn read(node: &Path, number: u64) -> io::Result<Option<(RejectedRecord, Vec<u8>)>> {
    let Some(mut file) = open(node, number)? else { return Ok(None) };
    let record = read_head(&mut file)?;
    let mut bytes = Vec::new();
    file.take(QUARANTINE_OBJECT_BYTES_MAX as u64).read_to_end(&mut bytes)?;
    Ok(Some((record, bytes)))
}

/// Removes an object; whether it was there.
///
/// # Errors
/// The system refuses.
pub fn remove(node: &Path, number: u64) -> io::Result<bool> {
    match fs::remove_file(path(&dir(node), number)) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// What went to make room.
///
/// # Errors
/// The record of it cannot be read.
pub fn dropped(node: &Path) -> io::Result<DroppedRecords> {
    match fs::read(dir(node).join("dropped")) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(io::Error::other),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(DroppedRecords::default()),
        Err(error) => Err(error),
    }
}

fn head(node: &Path, number: u64) -> io::Result<Option<RejectedRecord>> {
    let Some(mut file) = open(node, number)? else { return Ok(None) };
    read_head(&mut file).map(Some)
}

fn open(node: &Path, number: u64) -> io::Result<Option<BufReader<File>>> {
    match File::open(path(&dir(node), number)) {
        Ok(file) => Ok(Some(BufReader::new(file))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn read_head(file: &mut BufReader<File>) -> io::Result<RejectedRecord> {
    let mut line = Vec::new();
    file.by_ref().take(HEAD_BYTES_MAX).read_until(b'\n', &mut line)?;
    serde_json::from_slice(&line).map_err(io::Error::other)
}

/// The numbers of what is kept, ascending.
fn numbers(node: &Path) -> io::Result<Vec<u64>> {
    let entries = match fs::read_dir(dir(node)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut numbers = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        let number: Option<u64> =
            name.to_str().and_then(|name| name.strip_suffix(SUFFIX)?.strip_suffix('.')?.parse().ok());
        numbers.extend(number);
    }
    numbers.sort_unstable();
    Ok(numbers)
}

fn dir(node: &Path) -> PathBuf {
    node.join("federation").join("rejected")
}

fn name(number: u64) -> String {
    format!("{number:08}.{SUFFIX}")
}

fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(name(number))
}

/// Written beside, synced, and put in its place.
fn write(dir: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let beside = dir.join("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, dir.join(name))?;
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests;
