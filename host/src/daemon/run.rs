//! Start and stop of a running node.

use super::{
    bundles::{Bundles, Newcomer, forget_staged},
    commands::{Commands, JournalDesk},
    config::{Clock, NodeConfig},
    control::{self, Control, Desk},
    driver::{Driver, Names},
    facts::Facts,
    happening::Happening,
    network::Network,
    own,
    reconcile::Reconciler,
    rejected::RejectedStore,
    revoked::Revoked,
    roster::{OwnKeys, SharedLedger, alone},
    standing::Standings,
    world::{RealWorld, Workers, World},
};
use crate::{
    journal::LedgerEntry,
    keys::KeyError,
    link::{BindError, Link, LinkConfig},
    node::{Access, Node, NodeError},
};
use reprise_federation::{Config, Federation, Roster, message::Enrolment, quarantine::Quarantine};
use reprise_receipts::{LedgerId, SigningKey};
use std::{collections::BTreeMap, io, net::SocketAddr, path::Path, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    runtime::{Builder, Handle},
    signal::unix::{SignalKind, signal},
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::timeout,
};

/// What may wait for the driver.
const HAPPENINGS_MAX: usize = 4_096;
/// How long peers are told that this node stops.
const FAREWELL: Duration = Duration::from_secs(1);

/// Why a node does not run.
#[derive(Debug, thiserror::Error)]
pub enum RunNodeError {
    /// The node cannot be opened.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// A key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The network cannot be used.
    #[error("network: {0}")]
    Bind(#[from] BindError),
    /// The configuration does not fit what is here.
    #[error("configuration: ledger `{ledger}`: {why}")]
    Ledger {
        /// Which ledger.
        ledger: String,
        /// What does not fit, and what to do.
        why: String,
    },
    /// The system refuses something.
    #[error("{what}: {error}")]
    System {
        /// What was wanted.
        what: &'static str,
        /// What the system says.
        error: io::Error,
    },
}

fn system(what: &'static str) -> impl FnOnce(io::Error) -> RunNodeError {
    move |error| RunNodeError::System { what, error }
}

/// Runs a node until it is told to stop: by SIGTERM, by SIGINT, or over its control socket. `commands` are those that run
/// over its journal. `ready` hears where it listens, when everything is open.
///
/// # Errors
/// [`RunNodeError`]: it does not start.
pub fn run(
    dir: &Path,
    config: &NodeConfig,
    commands: Arc<dyn Commands>,
    ready: impl FnOnce(SocketAddr),
) -> Result<(), RunNodeError> {
    let node = Arc::new(Node::open(dir, Access::Write)?);
    let world: Arc<dyn World> = Arc::new(RealWorld::new(dir).map_err(system("folder `federation`"))?);
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(system("threads"))?;
    let journal = JournalDesk::new(node.clone(), commands);
    runtime.block_on(async {
        let link = Arc::new(Link::bind(config.listen, link_config(config, world.node_key()?))?);
        let address = link.address().map_err(system("the network"))?;
        let running = Running::start(node, config, link.clone(), world).await?;
        let control = Control::open(dir, Desk { journal: Some(journal.clone()), ..running.desk() });
        let serving = tokio::spawn(control.map_err(system("control socket"))?.serve());
        tokio::spawn(stop_on_signals(running.stop.clone())?);
        ready(address);
        running.ended().await;
        journal.close().await;
        serving.abort();
        // The file of the socket goes with its task.
        let _ = serving.await;
        let _ = timeout(FAREWELL, link.close()).await;
        Ok(())
    })
}

/// The link of a node with this configuration and key.
#[must_use]
pub fn link_config(config: &NodeConfig, key: SigningKey) -> LinkConfig {
    LinkConfig { allowed: config.peers.iter().map(|peer| peer.key).collect(), ..LinkConfig::new(key) }
}

/// A node that runs: its driver, and its connections to its peers.
pub struct Running {
    happenings: mpsc::Sender<Happening>,
    stop: mpsc::Sender<()>,
    driving: JoinHandle<()>,
}

impl Running {
    /// Starts a node over a link, in a world. Returns when it serves its ledgers.
    ///
    /// # Errors
    /// [`RunNodeError`]: it does not start.
    pub async fn start(
        node: Arc<Node>,
        config: &NodeConfig,
        link: Arc<Link>,
        world: Arc<dyn World>,
    ) -> Result<Self, RunNodeError> {
        let own = OwnKeys { node: world.node_key()?, receipts: world.receipts_key()? };
        let own_ledger = if world.decides() { Some(own_ledger(&node, &own)?) } else { None };
        let (mut rosters, newcomers) = rosters(&node, config, &own)?;
        let ids = config.ledgers.iter().filter_map(|ledger| ledger.id);
        let staged = ids.into_iter().try_for_each(|ledger| forget_staged(&node, &*world, ledger));
        staged.map_err(system("what was begun before"))?;
        let bundles = Bundles::new(node.dir(), newcomers);
        if world.workers() == Workers::Threads {
            bundles.clear().map_err(system("folder `federation`"))?;
        }
        // It decides about the others, so it is there first.
        rosters.sort_by_key(|seating| own_ledger.as_ref().is_none_or(|own| seating.entry.id != own.id));
        if config.rejoin {
            let rejoined = rosters.iter().try_for_each(|seating| Standings(&*world).rejoin(&seating.roster));
            rejoined.map_err(system("folder `federation`"))?;
        }
        let (happenings, happenings_in) = mpsc::channel(HAPPENINGS_MAX);
        let (stop, stop_in) = mpsc::channel(1);
        let revoked = Revoked::read(&*world).map_err(system("folder `federation`"))?;
        for key in revoked.keys() {
            link.revoke(key);
        }
        let driver =
            driver(node, (own, own_ledger, bundles), revoked, config, link.clone(), world.clone(), happenings.clone())?;
        let driving = start_driver(driver, rosters, happenings_in, stop_in).await?;
        let network = Network::new(link, happenings.clone(), world);
        tokio::spawn(network.clone().take_calls());
        for peer in &config.peers {
            tokio::spawn(network.clone().keep_up(peer.clone()));
        }
        Ok(Self { happenings, stop, driving })
    }

    /// Serves one command, as the control socket does: see [`super::control`]. Returns when it is answered.
    ///
    /// # Errors
    /// Whoever gave the command went away.
    pub async fn command(
        &self,
        from: impl AsyncRead + Unpin,
        to: impl AsyncWrite + Unpin + Send + 'static,
    ) -> io::Result<()> {
        control::command(from, to, &self.desk()).await
    }

    fn desk(&self) -> Desk {
        Desk { happenings: self.happenings.clone(), stop: self.stop.clone(), journal: None }
    }

    /// Returns when the node has stopped.
    pub async fn ended(self) {
        let Self { happenings, stop, driving } = self;
        drop((happenings, stop));
        let _ = driving.await;
    }
}

fn own_ledger(node: &Node, own: &OwnKeys) -> Result<LedgerEntry, RunNodeError> {
    let why = |why| RunNodeError::Ledger { ledger: own::NAME.to_owned(), why };
    own::ensure(node, &own.receipts.public())?.map_err(why)
}

fn driver(
    node: Arc<Node>,
    (own, own_ledger, bundles): (OwnKeys, Option<LedgerEntry>, Bundles),
    revoked: Revoked,
    config: &NodeConfig,
    link: Arc<Link>,
    world: Arc<dyn World>,
    happenings: mpsc::Sender<Happening>,
) -> Result<Driver, RunNodeError> {
    let enrolment = Enrolment::new(&own.node, &own.receipts);
    let mut names: Names = config.peers.iter().map(|peer| (peer.key, peer.name.clone())).collect();
    names.insert(own.node.public(), config.name.clone());
    let times = Config { decide_elsewhere: own_ledger.is_some(), ..Config::default() };
    let mut federation = Federation::new(enrolment, own.receipts, times, world.random()?);
    let rejected = match (&own_ledger, world.workers()) {
        (Some(_), Workers::Threads) => Some(RejectedStore::open(node.dir()).map_err(system("folder `federation`"))?),
        _ => None,
    };
    *federation.quarantine_mut() = Quarantine::after(rejected.as_ref().map_or(0, RejectedStore::last_number));
    Ok(Driver {
        attester: world.receipts_key()?,
        federation,
        reconciler: Reconciler::new(own_ledger),
        rejected,
        bundles,
        revoked,
        comparisons: Vec::new(),
        facts: Facts::new(node.journal().clone()),
        names,
        ledgers: BTreeMap::new(),
        sessions: BTreeMap::new(),
        happenings,
        network: Handle::current(),
        start_ms: world.now_ms(),
        world,
        link,
        node,
    })
}

/// Starts the driver, and waits until it serves its ledgers. What is given ends with it.
async fn start_driver(
    driver: Driver,
    rosters: Vec<Seating>,
    happenings: mpsc::Receiver<Happening>,
    stop: mpsc::Receiver<()>,
) -> Result<JoinHandle<()>, RunNodeError> {
    let (joined, has_joined) = oneshot::channel();
    let driving = match driver.world.workers() {
        Workers::Threads => {
            tokio::task::spawn_blocking(move || match Builder::new_current_thread().enable_time().build() {
                Ok(runtime) => runtime.block_on(drive(driver, rosters, joined, happenings, stop)),
                Err(error) => drop(joined.send(Err(error))),
            })
        }
        Workers::Tasks { .. } => tokio::spawn(drive(driver, rosters, joined, happenings, stop)),
    };
    let ended = || io::Error::other("the driver ended");
    has_joined.await.unwrap_or_else(|_| Err(ended())).map_err(system("ledgers"))?;
    Ok(driving)
}

async fn drive(
    mut driver: Driver,
    rosters: Vec<Seating>,
    joined: oneshot::Sender<io::Result<()>>,
    happenings: mpsc::Receiver<Happening>,
    stop: mpsc::Receiver<()>,
) {
    for Seating { entry, roster, clock } in rosters {
        if let Err(error) = driver.join(entry, roster, clock) {
            return drop(joined.send(Err(error)));
        }
    }
    if let Err(error) = driver.begin_reconciling() {
        return drop(joined.send(Err(error)));
    }
    let _ = joined.send(Ok(()));
    driver.run(happenings, stop).await;
}

fn stop_on_signals(stop: mpsc::Sender<()>) -> Result<impl Future<Output = ()> + Send + 'static, RunNodeError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(system("signals"))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(system("signals"))?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        let _ = stop.try_send(());
    })
}

/// A ledger to serve.
struct Seating {
    entry: LedgerEntry,
    roster: Roster,
    clock: Clock,
}

/// The members of every ledger that is served: those of the configuration, and this node alone for ledgers that it
/// attests and that are not in there. Beside them the ledgers that are to begin here.
type Rosters = (Vec<Seating>, BTreeMap<LedgerId, Newcomer>);

fn rosters(node: &Node, config: &NodeConfig, own: &OwnKeys) -> Result<Rosters, RunNodeError> {
    let (mut rosters, mut newcomers) = (Vec::new(), BTreeMap::new());
    for ledger in &config.ledgers {
        let wrong = |why| RunNodeError::Ledger { ledger: ledger.name.clone(), why };
        let shared = SharedLedger::new(ledger, config, own);
        match (find(node, &shared)?.map_err(wrong)?, shared.id()) {
            (Some(entry), _) => {
                let roster = shared.roster(&entry.genesis).map_err(wrong)?;
                rosters.push(Seating { entry, roster, clock: ledger.clock });
            }
            (None, Some(id)) => drop(newcomers.insert(id, Newcomer::new(id, shared))),
            (None, None) => return Err(NodeError::UnknownLedger(ledger.name.clone()).into()),
        }
    }
    let ledgers = node.journal().ledgers().map_err(|error| node.journal_error(error))?;
    for entry in ledgers {
        let attesters = node.journal().attesters(&entry).map_err(|error| node.journal_error(error))?;
        let is_ours = attesters.in_force().attester == own.receipts.public();
        if is_ours && rosters.iter().all(|shared: &Seating| shared.entry.id != entry.id) {
            let roster = alone(&entry.genesis, own);
            rosters.push(Seating { entry, roster, clock: Clock::Events });
        }
    }
    Ok((rosters, newcomers))
}

/// The ledger in the journal; none if it is one that may still come. `Err`: what is in the journal is another one.
fn find(node: &Node, shared: &SharedLedger) -> Result<Result<Option<LedgerEntry>, String>, NodeError> {
    let name = &shared.config.name;
    let Some(id) = shared.id() else { return node.find_ledger(name).map(|entry| Ok(Some(entry))) };
    let ledgers = node.journal().ledgers().map_err(|error| node.journal_error(error))?;
    if let Some(entry) = ledgers.iter().find(|entry| entry.id == id) {
        let same = entry.genesis.name == *name;
        let other = || format!("the ledger {id} is called `{}`", entry.genesis.name);
        return Ok(if same { Ok(Some(entry.clone())) } else { Err(other()) });
    }
    match ledgers.iter().find(|entry| entry.genesis.name == *name) {
        Some(entry) => Ok(Err(format!("the ledger of this name has the id {}, the configuration says {id}", entry.id))),
        None => Ok(Ok(None)),
    }
}
