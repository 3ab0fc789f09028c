//! Which driver of a ledger is carried out by what: the file `drivers` of the node, one line `LEDGER KIND DRIVER` each.
//!
//! A driver that is not there delivers nothing: its effects wait in the outbox until they expire.

use super::{Delivered, Delivery, Driver, LogDriver};
use reprise_receipts::LedgerId;
use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// Longest file, in bytes.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// What carries out a driver's effects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DriverKind {
    /// [`LogDriver`].
    Log,
}

impl DriverKind {
    /// Its name in the file and in arguments.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Log => "log",
        }
    }

    /// The kind of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        (name == Self::Log.name()).then_some(Self::Log)
    }
}

/// Why drivers cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DriversError {
    /// A file cannot be read or written.
    #[error("{path}: {error}")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The file is longer than any that this program writes.
    #[error(
        "{path} has {bytes} bytes, and {FILE_BYTES_MAX} at most are read: take out ledgers that are not here any more"
    )]
    TooLong {
        /// The file.
        path: PathBuf,
        /// How long it is.
        bytes: u64,
    },
    /// A line is not one of this file.
    #[error("{path} line {line}: expected `LEDGER KIND DRIVER`, the kind being `log`")]
    Line {
        /// The file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
    },
}

/// Driver names of one ledger, with what carries them out.
pub type Drivers = BTreeMap<String, DriverKind>;

/// The drivers of a ledger.
///
/// # Errors
/// [`DriversError`].
pub fn read(dir: &Path, ledger: LedgerId) -> Result<Drivers, DriversError> {
    let lines = read_lines(dir)?.into_iter();
    Ok(lines.filter(|(of, _, _)| *of == ledger.to_string()).map(|(_, kind, driver)| (driver, kind)).collect())
}

/// Replaces the drivers of a ledger.
///
/// # Errors
/// [`DriversError`]: nothing has changed then.
pub fn write(dir: &Path, ledger: LedgerId, drivers: &Drivers) -> Result<(), DriversError> {
    let mut lines = read_lines(dir)?;
    lines.retain(|(of, _, _)| *of != ledger.to_string());
    lines.extend(drivers.iter().map(|(driver, kind)| (ledger.to_string(), *kind, driver.clone())));
    let text: String =
        lines.iter().map(|(ledger, kind, driver)| format!("{ledger} {} {driver}\n", kind.name())).collect();
    let (path, new) = (dir.join("drivers"), dir.join("drivers.new"));
    let replaced = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&new);
    let replaced = replaced.and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()));
    let replaced = replaced.and_then(|()| fs::rename(&new, &path)).and_then(|()| File::open(dir)?.sync_all());
    replaced.map_err(|error| DriversError::File { path, error })
}

/// What is to be changed about the drivers of a ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// What carries these out from now on.
    pub set: Drivers,
    /// These are carried out by nothing any more.
    pub unset: Vec<String>,
}

/// Changes the drivers of a ledger. Gives those that it has then.
///
/// # Errors
/// [`DriversError`]: nothing has changed then.
pub fn change(dir: &Path, ledger: LedgerId, change: Change) -> Result<Drivers, DriversError> {
    let mut drivers = read(dir, ledger)?;
    let before = drivers.clone();
    drivers.extend(change.set);
    drivers.retain(|driver, _| !change.unset.contains(driver));
    if drivers != before {
        write(dir, ledger, &drivers)?;
    }
    Ok(drivers)
}

fn read_lines(dir: &Path) -> Result<Vec<(String, DriverKind, String)>, DriversError> {
    let path = dir.join("drivers");
    let error = |error| DriversError::File { path: path.clone(), error };
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(other) => return Err(error(other)),
    };
    let bytes = file.metadata().map_err(error)?.len();
    if bytes > FILE_BYTES_MAX {
        return Err(DriversError::TooLong { path, bytes });
    }
    let text = io::read_to_string(io::Read::take(file, FILE_BYTES_MAX)).map_err(error)?;
    let parse = |(index, line): (usize, &str)| {
        let mut words = line.splitn(3, ' ');
        let (ledger, kind, driver) = (words.next(), words.next().and_then(DriverKind::named), words.next());
        match (ledger, kind, driver) {
            (Some(ledger), Some(kind), Some(driver)) => Ok((ledger.to_owned(), kind, driver.to_owned())),
            _ => Err(DriversError::Line { path: path.clone(), line: index + 1 }),
        }
    };
    text.lines().enumerate().map(parse).collect()
}

/// The drivers of a ledger, ready to act.
#[derive(Debug)]
pub struct Configured {
    drivers: Drivers,
    log: Option<LogDriver>,
}

impl Configured {
    /// Reads which drivers there are, and opens what they need.
    ///
    /// # Errors
    /// [`DriversError`].
    pub fn open(dir: &Path, ledger: LedgerId) -> Result<Self, DriversError> {
        let drivers = read(dir, ledger)?;
        let log = if drivers.is_empty() {
            None
        } else {
            let error = |error| DriversError::File { path: LogDriver::path(dir, ledger), error };
            Some(LogDriver::open(dir, ledger).map_err(error)?)
        };
        Ok(Self { drivers, log })
    }

    /// No driver is there: nothing is ever delivered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.drivers.is_empty()
    }
}

impl Driver for Configured {
    fn deliver(&mut self, delivery: &Delivery) -> Delivered {
        match (self.drivers.get(&delivery.driver), &mut self.log) {
            (Some(DriverKind::Log), Some(log)) => log.deliver(delivery),
            _ => Delivered::NotTaken,
        }
    }
}
