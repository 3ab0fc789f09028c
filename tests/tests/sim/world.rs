//! What a node takes from its machine, besides the journal and the socket.

use crate::{
    disk::SimDisk,
    flaws::Flaw,
    node::{Skew, key},
    watch::Watch,
};
use reprise::{
    daemon::world::{Workers, World},
    keys::KeyError,
    node::EngineChoice,
};
use reprise_abi::{decode_canonical, encode};
use reprise_federation::{Action, Standing};
use reprise_receipts::{LedgerId, SigningKey};
use reprise_tests::SplitMix;
use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::time::Instant;

/// When the simulation begins, in milliseconds since 1970: after the events' times, so that none is ahead of a clock.
const BEGINS_MS: u64 = 1_800_000_000_000;

/// The world as a node of the simulation has it.
pub struct NodeWorld {
    pub number: usize,
    pub disk: SimDisk,
    pub random: Mutex<SplitMix>,
    pub start: Instant,
    /// Simulated time when the node was started.
    pub start_ms: u64,
    pub skew: Skew,
    pub flaw: Option<Flaw>,
    /// What is done about differences is decided on the node's own ledger.
    pub decides: bool,
    /// The ledger that the nodes share: what is done with it is watched.
    pub shared_ledger: LedgerId,
    pub watch: Arc<Mutex<Watch>>,
}

impl World for NodeWorld {
    fn node_key(&self) -> Result<SigningKey, KeyError> {
        Ok(key(self.number, 0))
    }

    fn receipts_key(&self) -> Result<SigningKey, KeyError> {
        Ok(key(self.number, 1))
    }

    fn now_ms(&self) -> u64 {
        let true_ms = self.start_ms + self.start.elapsed().as_millis() as u64;
        BEGINS_MS + self.skew.ahead_ms + true_ms * self.skew.ms_per_s / 1_000
    }

    fn random(&self) -> Result<u64, KeyError> {
        Ok(self.random.lock().unwrap().next_bits())
    }

    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        self.disk.read_file(name)
    }

    fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let Ok(standing) = decode_canonical::<Standing>(bytes) else { return self.disk.replace_file(name, bytes) };
        let on_disk = || self.disk.durable_file(name).and_then(|bytes| decode_canonical(&bytes).ok());
        let written = self.flaw.map_or(standing.clone(), |flaw| flaw.written(standing.clone(), on_disk()));
        self.disk.replace_file(name, &encode(&written))?;
        if standing.ledger != self.shared_ledger {
            return Ok(());
        }
        let kept = on_disk();
        self.watch.lock().unwrap().persisted(self.number, &standing, kept.as_ref());
        Ok(())
    }

    fn engine(&self) -> EngineChoice {
        EngineChoice::Native
    }

    fn workers(&self) -> Workers {
        Workers::Tasks { takes: Duration::from_millis(3) }
    }

    fn decides(&self) -> bool {
        self.decides
    }

    fn sees(&self, action: &Action) {
        if !self.disk.is_off() && action.ledger().is_none_or(|ledger| ledger == self.shared_ledger) {
            self.watch.lock().unwrap().action(self.number, action);
        }
    }
}
