//! A machine with a node on it: what stays when it loses its power, and how the node is started again.

use crate::{
    disk::SimDisk,
    flaws::Flaw,
    liar::port_towards,
    socket::{NodeSocket, Switch},
    watch::Watch,
    workload::{LEDGER, Workload, submit},
};
use reprise::{
    daemon::{
        Running,
        config::{LedgerConfig, NodeConfig, PeerConfig},
        control::Wanted,
        link_config,
        world::{Workers, World},
    },
    engine::EngineProfile,
    journal::{Journal, LedgerEntry},
    keys::KeyError,
    link::Link,
    node::{EngineChoice, Node},
};
use reprise_abi::decode_canonical;
use reprise_federation::{Action, Durability, Quorum, Standing, WindowRule};
use reprise_receipts::{
    Genesis, LeafHash, Package, SigningKey,
    genesis::{GENESIS_FORMAT, PROTOCOL_EPOCH},
};
use reprise_tests::{SplitMix, fixture};
use serde_json::Value;
use std::{
    cell::{Cell, RefCell},
    fs, io,
    net::SocketAddr,
    path::Path,
    rc::{Rc, Weak},
    sync::{self, Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, sleep},
};

pub const PORT: u16 = 7_400;
/// When the simulation begins, in milliseconds since 1970: after the events' times, so that none is ahead of a clock.
const BEGINS_MS: u64 = 1_800_000_000_000;
const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];
/// Bytes that may wait between a command and the node.
const PIPE_BYTES: usize = 64 * 1024;
/// How often an event is submitted.
const SUBMIT: Duration = Duration::from_millis(25);
/// How often an operator looks at a node.
const LOOK: Duration = Duration::from_secs(1);

/// The name of a node, in the network and in the configurations.
pub fn name(number: usize) -> &'static str {
    NAMES[number]
}

/// The key that names a node to its peers, or the one that signs its receipts.
pub fn key(number: usize, kind: u8) -> SigningKey {
    SigningKey::from_secret(&[number as u8 * 2 + kind + 1; 32])
}

/// What all machines of a run have in common.
#[derive(Clone)]
pub struct Shared {
    pub nodes: usize,
    pub quorum: Quorum,
    pub seed: u64,
    pub flaw: Option<Flaw>,
    /// A node that lies: it sees its mouth in the place of its peers.
    pub liar: Option<usize>,
    pub watch: Arc<Mutex<Watch>>,
    pub work: Rc<RefCell<Workload>>,
    pub package: Rc<Package>,
}

impl Shared {
    /// The package of the policy that all runs use.
    pub fn package() -> Rc<Package> {
        Rc::new(decode_canonical(&fs::read(fixture("packages/lease-1.0.0.reprise")).unwrap()).unwrap())
    }
}

/// How a node's clock goes.
#[derive(Clone, Copy, Debug)]
pub struct Skew {
    /// Ahead of the others, in milliseconds.
    pub ahead_ms: u64,
    /// Milliseconds that it counts in a second.
    pub ms_per_s: u64,
}

/// What a node's operator wants done to its machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// The node is to be started again.
    Restart,
    /// The disk is beyond repair: a new one.
    NewDisk,
}

/// How a disk is not what it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Damage {
    /// It has lost something, or will when the power goes: until it has all again, in a later life than this one.
    Lost { life: u64 },
    /// A bit is another, perhaps one that nobody has read yet.
    Flipped,
}

/// A machine.
pub struct Machine {
    pub number: usize,
    pub disk: SimDisk,
    pub switch: Switch,
    pub skew: Cell<Skew>,
    /// What it has answered may not be on its disk any more.
    damage: Cell<Option<Damage>>,
    /// Why the node did not start, or cannot go on.
    pub ailment: RefCell<Option<String>>,
    pub wish: Cell<Option<Wish>>,
    shared: Shared,
    life: Cell<u64>,
    node: RefCell<sync::Weak<Node>>,
    running: RefCell<Weak<Running>>,
}

impl Machine {
    /// A machine whose journal has the ledger, without receipts.
    pub fn new(number: usize, shared: Shared) -> Rc<Self> {
        let mut random = SplitMix(shared.seed ^ (number as u64 + 1) << 40);
        let machine = Self {
            number,
            disk: SimDisk::new(random.next_bits()),
            switch: Switch::new(random.next_bits()),
            skew: Cell::new(Skew { ahead_ms: 0, ms_per_s: 1_000 }),
            damage: Cell::new(None),
            ailment: RefCell::new(None),
            wish: Cell::new(None),
            shared,
            life: Cell::new(0),
            node: RefCell::default(),
            running: RefCell::default(),
        };
        machine.prepare();
        Rc::new(machine)
    }

    /// Puts the ledger into an empty journal, as whoever sets a member up does.
    pub fn prepare(&self) {
        let journal = Journal::on_backend(self.disk.clone()).unwrap();
        let package = journal.put_package(&self.shared.package).unwrap();
        let genesis = Genesis {
            format: GENESIS_FORMAT,
            name: LEDGER.to_owned(),
            nonce: [6; 16],
            protocol_epoch: PROTOCOL_EPOCH,
            engine_profile: EngineProfile::current().digest(),
            package,
            epoch: 1,
            attester: key(0, 1).public(),
            operators: vec![key(20, 0).public()],
            operator_threshold: 1,
        };
        journal.put_ledger(&genesis).unwrap();
        drop(journal);
        self.disk.power_on();
    }

    /// Its disk has lost something of what it answered, or will when the power goes.
    pub fn loses(&self) {
        self.damage.set(Some(Damage::Lost { life: self.life.get() }));
    }

    /// A bit on its disk is another.
    pub fn flips(&self) {
        self.damage.set(Some(Damage::Flipped));
    }

    /// What it has answered may not be on its disk any more.
    pub fn is_damaged(&self) -> bool {
        self.damage.get().is_some()
    }

    /// It has everything that was acknowledged.
    pub fn has_all(&self) {
        if matches!(self.damage.get(), Some(Damage::Lost { life }) if life < self.life.get()) {
            self.damage.set(None);
        }
    }

    /// The node as it is now, if it runs.
    pub fn node(&self) -> Option<Arc<Node>> {
        self.node.borrow().upgrade()
    }

    /// The ledger, and the journal that has it.
    pub fn ledger(&self) -> Option<(Arc<Node>, LedgerEntry)> {
        let node = self.node()?;
        let entry = node.find_ledger(LEDGER).ok()?;
        Some((node, entry))
    }

    /// One life: starts the node, and submits to it if it is the one that orders.
    pub async fn live(self: Rc<Self>) -> turmoil::Result {
        match self.start().await {
            Ok(running) => {
                let running = Rc::new(running);
                *self.running.borrow_mut() = Rc::downgrade(&running);
                tokio::join!(self.submit(&running), self.operate());
            }
            Err(why) => {
                *self.ailment.borrow_mut() = Some(why);
                sleep(LOOK).await;
                self.wish.set(Some(if self.number == 0 { Wish::Restart } else { Wish::NewDisk }));
            }
        }
        std::future::pending().await
    }

    /// Whoever submits does it at the owner.
    async fn submit(&self, running: &Running) {
        if self.number == 0 {
            let (ours, theirs) = tokio::io::duplex(PIPE_BYTES);
            let (from, to) = tokio::io::split(theirs);
            let submitting = submit(self.shared.work.clone(), ours, SUBMIT, || self.disk.is_off());
            let _ = tokio::join!(running.command(from, to), submitting);
        }
    }

    /// The node's operator looks at it now and then: a node with a fault of its own is started again, a suspension is
    /// lifted, and a member whose disk is damaged gets a new one.
    async fn operate(&self) {
        loop {
            sleep(LOOK).await;
            let Some(status) = self.command(&Wanted::Status).await else { return };
            let ledger = &status["ledgers"][0];
            let suspended = ledger["service"].as_str().is_some_and(|service| service.starts_with("suspended"));
            *self.ailment.borrow_mut() = ledger["why not"].as_str().map(str::to_owned);
            if self.disk.is_full() {
                continue;
            }
            if (suspended || ledger["why not"].is_string()) && self.is_damaged() && self.number != 0 {
                self.wish.set(Some(Wish::NewDisk));
            } else if ledger["why not"].is_string() {
                self.wish.set(Some(Wish::Restart));
            } else if suspended {
                self.shared.watch.lock().unwrap().count("suspensions lifted by an operator");
                self.command(&Wanted::Resume { ledger: LEDGER.to_owned() }).await;
            }
        }
    }

    /// How many receipts it has, and the leaf hash of the last one.
    pub fn head(&self) -> Option<(u64, LeafHash)> {
        let (node, entry) = self.ledger()?;
        let (receipt, leaf) = node.journal().read(entry.no).ok()?.last_receipt().ok()??;
        Some((receipt.seq + 1, leaf))
    }

    async fn start(&self) -> Result<Running, String> {
        self.life.set(self.life.get() + 1);
        *self.ailment.borrow_mut() = None;
        self.wish.set(None);
        let text = |error: &dyn std::fmt::Display| error.to_string();
        let journal = Journal::on_backend(self.disk.clone()).map_err(|error| text(&error))?;
        let node = Arc::new(Node::with_journal(Path::new("/nonexistent"), journal));
        *self.node.borrow_mut() = Arc::downgrade(&node);
        let config = self.config();
        let seed = self.shared.seed ^ (self.number as u64) << 32 ^ self.life.get() << 48;
        let mut link = link_config(&config, key(self.number, 0));
        let mut random = SplitMix(seed);
        link.seed = Some(std::array::from_fn(|_| random.next_bits() as u8));
        let socket = NodeSocket::bind(PORT, self.switch.clone(), self.disk.clone()).await;
        let link = Arc::new(Link::with_socket(socket, link).map_err(|error| text(&error))?);
        let world = NodeWorld {
            number: self.number,
            disk: self.disk.clone(),
            random: Mutex::new(random),
            start: Instant::now(),
            start_ms: turmoil::sim_elapsed().unwrap_or_default().as_millis() as u64,
            skew: self.skew.get(),
            watch: self.shared.watch.clone(),
        };
        Running::start(node, &config, link, Arc::new(world)).await.map_err(|error| text(&error))
    }

    fn config(&self) -> NodeConfig {
        let all = 0..self.shared.nodes;
        let peer = |number: usize| PeerConfig {
            name: name(number).to_owned(),
            address: Some(match self.shared.liar {
                Some(liar) if liar == self.number => SocketAddr::new(turmoil::lookup(name(liar)), port_towards(number)),
                _ => SocketAddr::new(turmoil::lookup(name(number)), PORT),
            }),
            key: key(number, 0).public(),
            receipts: key(number, 1).public(),
        };
        let ledger = LedgerConfig {
            name: LEDGER.to_owned(),
            owner: name(0).to_owned(),
            replicas: all.clone().skip(1).map(|number| name(number).to_owned()).collect(),
            observers: Vec::new(),
            durability: match self.shared.flaw {
                Some(Flaw::AcknowledgesAlone) if self.number == 0 => Durability::Local,
                _ => Durability::Majority,
            },
            quorum: self.shared.quorum,
            window: WindowRule { receipts: 16, every_ms: 300 },
            roster: 1,
        };
        NodeConfig {
            name: name(self.number).to_owned(),
            listen: ([0; 4], PORT).into(),
            peers: all.filter(|number| *number != self.number).map(peer).collect(),
            ledgers: vec![ledger],
        }
    }

    /// What an operator's command answers; none when no node runs here. For tasks of this machine.
    pub async fn command(&self, wanted: &Wanted) -> Option<Value> {
        let running = self.running.borrow().upgrade()?;
        let (mut ours, theirs) = tokio::io::duplex(PIPE_BYTES);
        let (from, to) = tokio::io::split(theirs);
        let text = format!("{}\n", serde_json::to_string(wanted).unwrap());
        let asking = async {
            ours.write_all(text.as_bytes()).await.ok()?;
            let mut answer = String::new();
            ours.read_to_string(&mut answer).await.ok()?;
            serde_json::from_str(&answer).ok()
        };
        tokio::join!(running.command(from, to), asking).1
    }
}

/// The world as a node of the simulation has it.
struct NodeWorld {
    number: usize,
    disk: SimDisk,
    random: Mutex<SplitMix>,
    start: Instant,
    /// Simulated time when the node was started.
    start_ms: u64,
    skew: Skew,
    watch: Arc<Mutex<Watch>>,
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
        self.disk.replace_file(name, bytes)?;
        if let Ok(standing) = decode_canonical::<Standing>(bytes) {
            self.watch.lock().unwrap().persisted(self.number, &standing);
        }
        Ok(())
    }

    fn engine(&self) -> EngineChoice {
        EngineChoice::Native
    }

    fn workers(&self) -> Workers {
        Workers::Tasks { takes: Duration::from_millis(3) }
    }

    fn sees(&self, action: &Action) {
        if !self.disk.is_off() {
            self.watch.lock().unwrap().action(self.number, action);
        }
    }
}
