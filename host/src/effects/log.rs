//! The driver `log`: appends one JSON line for each delivery to a file of the node, and that is all it does.
//!
//! A line is on the disk before the delivery counts as done. What a crash left of a line is cut off: its delivery was
//! not done, and comes again. The last line carries the highest epoch that the driver has seen, because it refuses a
//! lower one.

use super::{Delivered, Delivery, Driver, json};
use reprise_abi::EffectPhase;
use reprise_receipts::LedgerId;
use serde::Deserialize;
use serde_json::json;
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// Longer than any line: the longest payload with every byte escaped, and names.
const LINE_BYTES_MAX: u64 = 1024 * 1024;

/// Writes deliveries down.
#[derive(Debug)]
pub struct LogDriver {
    file: File,
    seen_epoch: u64,
}

/// What is read back of a line.
#[derive(Deserialize)]
struct Line {
    epoch: u64,
}

impl LogDriver {
    /// The file of a ledger's deliveries in the node's directory.
    #[must_use]
    pub fn path(dir: &Path, ledger: LedgerId) -> PathBuf {
        dir.join("effects").join(format!("{ledger}.jsonl"))
    }

    /// Opens or creates the file, mode 0600, and cuts off what a crash left of a line.
    ///
    /// # Errors
    /// What the system says; [`io::ErrorKind::InvalidData`] when the last line is not one of this driver's.
    pub fn open(dir: &Path, ledger: LedgerId) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir.join("effects"))?;
        let path = Self::path(dir, ledger);
        let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
        let len = file.metadata()?.len();
        let from = len.saturating_sub(2 * LINE_BYTES_MAX);
        let mut end = Vec::new();
        file.seek(SeekFrom::Start(from))?;
        Read::by_ref(&mut file).take(2 * LINE_BYTES_MAX).read_to_end(&mut end)?;
        let whole = end.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        if whole < end.len() {
            file.set_len(from + whole as u64)?;
            file.sync_all()?;
        }
        let last = end[..whole].split_last().map(|(_, lines)| lines.rsplit(|byte| *byte == b'\n').next());
        let seen_epoch = match last.flatten() {
            Some(line) => serde_json::from_slice::<Line>(line)?.epoch,
            None => 0,
        };
        Ok(Self { file, seen_epoch })
    }

    fn append(&mut self, delivery: &Delivery) -> io::Result<()> {
        let phase = match delivery.phase {
            EffectPhase::Act => "act",
            EffectPhase::Compensate => "compensate",
        };
        let line = json!({
            "ledger": delivery.ledger.to_string(),
            "epoch": delivery.epoch,
            "at_ms": delivery.at_ms,
            "seq": delivery.seq,
            "index": delivery.index,
            "attempt": delivery.attempt,
            "phase": phase,
            "key": delivery.idempotency_key,
            "driver": delivery.driver,
            "deadline_ms": delivery.deadline_ms,
            "payload": json::shown(&delivery.payload),
        });
        self.file.write_all(format!("{line}\n").as_bytes())?;
        self.file.sync_data()
    }
}

impl Driver for LogDriver {
    fn deliver(&mut self, delivery: &Delivery) -> Delivered {
        if delivery.epoch < self.seen_epoch {
            return Delivered::StaleEpoch { seen: self.seen_epoch };
        }
        match self.append(delivery) {
            Ok(()) => {
                self.seen_epoch = delivery.epoch;
                Delivered::Done { answer: Vec::new() }
            }
            Err(error) => Delivered::Retry { detail: format!("the line could not be written: {error}") },
        }
    }
}
