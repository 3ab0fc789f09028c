//! The driver `log`: appends one JSON line for each delivery to a file of the node, and that is all it does.
//!
//! A line is on the disk before the delivery counts as done. What a crash or a full disk left of a line is cut off, back
//! to the last good line: its delivery was not done, and comes again. The last line carries the highest epoch that the
//! driver has seen, because it refuses a lower one.

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
    /// Where the last good line ends.
    good_bytes: u64,
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

    /// Opens or creates the file, mode 0600, and cuts off what follows the last good line.
    ///
    /// # Errors
    /// What the system says; [`io::ErrorKind::InvalidData`] when there is something, and no line of this driver at the
    /// end of it: the file is another's.
    pub fn open(dir: &Path, ledger: LedgerId) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir.join("effects"))?;
        let path = Self::path(dir, ledger);
        let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
        let len = file.metadata()?.len();
        let from = len.saturating_sub(2 * LINE_BYTES_MAX);
        let mut end = Vec::new();
        file.seek(SeekFrom::Start(from))?;
        Read::by_ref(&mut file).take(2 * LINE_BYTES_MAX).read_to_end(&mut end)?;
        let (good, seen_epoch) = match last_good_line(&end) {
            Some((good, line)) => (from + good as u64, line.epoch),
            None if from == 0 && !end.contains(&b'\n') => (0, 0),
            None => return Err(io::Error::new(io::ErrorKind::InvalidData, "no line of the driver `log` at its end")),
        };
        let mut driver = Self { file, good_bytes: good, seen_epoch };
        if driver.cut_back()? {
            driver.file.sync_all()?;
        }
        Ok(driver)
    }

    /// Takes away what follows the last good line. Answers whether there was anything.
    fn cut_back(&mut self) -> io::Result<bool> {
        let len = self.file.metadata()?.len();
        // Somebody has taken lines away to keep them elsewhere.
        self.good_bytes = self.good_bytes.min(len);
        let longer = len > self.good_bytes;
        if longer {
            tracing::warn!(bytes = len - self.good_bytes, "what was left of a line is cut off");
            self.file.set_len(self.good_bytes)?;
        }
        Ok(longer)
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
        let line = format!("{line}\n");
        // A write that failed half-way may have left something, and cannot be relied on to take it away again.
        self.cut_back()?;
        self.file.write_all(line.as_bytes())?;
        self.file.sync_data()?;
        self.good_bytes += line.len() as u64;
        Ok(())
    }
}

/// The last line that is whole and this driver's, and where it ends.
fn last_good_line(bytes: &[u8]) -> Option<(usize, Line)> {
    let mut end = bytes.len();
    loop {
        end = bytes[..end].iter().rposition(|byte| *byte == b'\n')?;
        let begin = bytes[..end].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        if let Ok(line) = serde_json::from_slice(&bytes[begin..end]) {
            return Some((end + 1, line));
        }
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
