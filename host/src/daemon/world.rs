//! What a running node takes from the world, besides its journal and its socket: keys, time, randomness, a few small
//! files, and threads. All of it comes through one trait, so that a simulation can give its own, and runs the same driver,
//! owner, follower and network code on one thread, in its own time.

use super::happening::Happening;
use crate::{
    keys::{self, KeyError},
    node::EngineChoice,
    orderer::clock_ms,
};
use reprise_federation::Action;
use reprise_receipts::SigningKey;
use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep},
};

/// The world of a node.
pub trait World: Send + Sync {
    /// The key that names this node to its peers.
    ///
    /// # Errors
    /// [`KeyError`].
    fn node_key(&self) -> Result<SigningKey, KeyError>;

    /// The key that signs receipts.
    ///
    /// # Errors
    /// [`KeyError`].
    fn receipts_key(&self) -> Result<SigningKey, KeyError>;

    /// Milliseconds since 1970 by the clock of this node. Never goes back as long as the node runs.
    fn now_ms(&self) -> u64;

    /// 64 random bits: for jitter, and for numbers that nobody shall guess.
    ///
    /// # Errors
    /// [`KeyError::Random`].
    fn random(&self) -> Result<u64, KeyError>;

    /// A file of the folder `federation`; `None` when it is not there.
    ///
    /// # Errors
    /// What the system says.
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>>;

    /// Makes this the content of a file of the folder `federation`, durably: all of it or nothing.
    ///
    /// # Errors
    /// What the system says.
    fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()>;

    /// What runs the policies.
    fn engine(&self) -> EngineChoice {
        EngineChoice::default()
    }

    /// Where executing and committing are done.
    fn workers(&self) -> Workers {
        Workers::Threads
    }

    /// Decisions about differences are made on a ledger of the node's own; otherwise the table of the state machines
    /// decides at once.
    fn decides(&self) -> bool {
        true
    }

    /// Hears of every action of the state machines before it is carried out. What holds in a run can be watched here.
    fn sees(&self, action: &Action) {
        let _ = action;
    }
}

/// Where a node executes and commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workers {
    /// On threads of their own: what nodes do.
    Threads,
    /// In tasks beside the driver's, one piece after the other, each of which takes this time: for simulated time.
    Tasks {
        /// From the moment when a piece of work is there until it is done.
        takes: Duration,
    },
}

impl Workers {
    /// Does a piece of work beside the driver, which hears what came of it.
    pub(super) fn beside(self, happenings: mpsc::Sender<Happening>, work: impl FnOnce() -> Happening + Send + 'static) {
        match self {
            Self::Threads => drop(std::thread::spawn(move || drop(happenings.blocking_send(work())))),
            Self::Tasks { takes } => drop(tokio::spawn(async move {
                sleep(takes).await;
                happenings.send(work()).await
            })),
        }
    }
}

/// The world as it is: the clock and randomness of the system, and the files in the node's directory.
#[derive(Debug)]
pub(super) struct RealWorld {
    node: PathBuf,
    start: Instant,
    start_ms: u64,
}

impl RealWorld {
    /// Of the node in this directory. Creates the folder `federation` when it is absent.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn new(node: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(node.join("federation"))?;
        Ok(Self { node: node.to_owned(), start: Instant::now(), start_ms: clock_ms() })
    }

    fn folder(&self) -> PathBuf {
        self.node.join("federation")
    }
}

impl World for RealWorld {
    fn node_key(&self) -> Result<SigningKey, KeyError> {
        keys::node(&self.node)
    }

    fn receipts_key(&self) -> Result<SigningKey, KeyError> {
        keys::read_signing(&self.node.join("keys/attester.key"))
    }

    fn now_ms(&self) -> u64 {
        let since_start = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.start_ms.saturating_add(since_start)
    }

    fn random(&self) -> Result<u64, KeyError> {
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(|_| KeyError::Random)?;
        Ok(u64::from_le_bytes(random))
    }

    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        match fs::read(self.folder().join(name)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Written beside the old one, synced, and put in its place.
    fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let folder = self.folder();
        let beside = folder.join(format!("{name}.new"));
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&beside, folder.join(name))?;
        File::open(&folder)?.sync_all()
    }
}
