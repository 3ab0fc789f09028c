//! A machine with a node on it: what stays when it loses its power, and how the node is started again.

mod users;

use crate::{
    disk::SimDisk,
    flaws::Flaw,
    liar::port_towards,
    office::{Office, operator},
    plan::Plan,
    socket::{NodeSocket, Switch},
    watch::Watch,
    workload::{LEDGER, Workload},
    world::NodeWorld,
};
use reprise::{
    daemon::{
        Running,
        config::{Clock, LedgerConfig, NodeConfig, PeerConfig},
        link_config,
    },
    engine::EngineProfile,
    journal::{CheckpointSettings, Journal, LedgerEntry, tamper::Record},
    link::Link,
    node::Node,
};
use reprise_abi::decode_canonical;
use reprise_federation::{Durability, WindowRule};
use reprise_receipts::{
    Genesis, LeafHash, Package, SigningKey,
    genesis::{GENESIS_FORMAT, PROTOCOL_EPOCH},
};
use reprise_tests::{SplitMix, fixture};
use std::{
    cell::{Cell, RefCell},
    fs,
    net::SocketAddr,
    ops::Range,
    path::Path,
    rc::{Rc, Weak},
    sync::{self, Arc, Mutex},
};
use tokio::time::{Instant, sleep};
use users::LOOK;

pub const PORT: u16 = 7_400;
/// The name of a node's own ledger.
const OWN: &str = "node";
const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

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
    pub plan: Plan,
    pub watch: Arc<Mutex<Watch>>,
    pub work: Rc<RefCell<Workload>>,
    pub office: Rc<RefCell<Office>>,
    pub packages: Rc<Packages>,
}

/// The policies of a run.
pub struct Packages {
    /// Of the ledger that the nodes share.
    pub lease: Package,
    /// Of each node's own ledger.
    pub reconcile: Package,
}

impl Packages {
    pub fn read() -> Self {
        let package = |name: &str| decode_canonical(&fs::read(fixture(name)).unwrap()).unwrap();
        Self { lease: package("packages/lease-1.0.0.reprise"), reconcile: package("packages/reconcile-1.0.0.reprise") }
    }
}

impl Shared {
    /// How the ledger begins that the nodes share.
    pub fn genesis(packages: &Packages) -> Genesis {
        genesis(LEDGER, 0, &packages.lease)
    }
}

/// How a ledger begins that this node attests first.
fn genesis(name: &str, node: usize, package: &Package) -> Genesis {
    Genesis {
        format: GENESIS_FORMAT,
        name: name.to_owned(),
        nonce: [6; 16],
        protocol_epoch: PROTOCOL_EPOCH,
        engine_profile: EngineProfile::current().digest(),
        package: package.manifest.digest(),
        epoch: 1,
        attester: key(node, 1).public(),
        operators: vec![operator().public()],
        operator_threshold: 1,
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
    /// Its disk has lied about syncs: the shared ledger comes back from the others, the node's own one from nobody.
    has_lied: Cell<bool>,
    /// Its disk is a new one: whoever starts the node says that what it had promised and signed is lost.
    is_new: Cell<bool>,
    /// Why the node did not start, or cannot go on.
    pub ailment: RefCell<Option<String>>,
    pub wish: Cell<Option<Wish>>,
    /// It ordered inputs when it was looked at last.
    pub orders: Cell<bool>,
    shared: Shared,
    life: Cell<u64>,
    node: RefCell<sync::Weak<Node>>,
    running: RefCell<Weak<Running>>,
}

/// Changes a bit of a value of the stored state, as nothing that checks its own writes would.
fn tamper(journal: &Journal, random: &mut SplitMix) -> Option<bool> {
    let no = journal.ledgers().ok()?.iter().find(|entry| entry.genesis.name == LEDGER)?.no;
    // What is stored of the state may lag behind the log by more steps than a run has.
    journal.bring_state_forward(no).ok()?;
    let records = journal.records(no).ok()?;
    let states: Vec<_> = records.iter().filter(|(record, _)| matches!(record, Record::State(_))).collect();
    let (record, bytes) = states.get(random.below(states.len().max(1) as u64) as usize)?;
    let byte = random.below((*bytes).max(1) as u64) as usize;
    journal.tamper(no, record, byte, 1 << random.below(8)).ok()
}

impl Machine {
    /// A machine whose journal has the ledger, without receipts.
    pub fn new(number: usize, shared: Shared) -> Rc<Self> {
        let mut random = SplitMix(shared.plan.seed ^ (number as u64 + 1) << 40);
        let machine = Self {
            number,
            disk: SimDisk::new(random.next_bits()),
            switch: Switch::new(random.next_bits()),
            skew: Cell::new(Skew { ahead_ms: 0, ms_per_s: 1_000 }),
            damage: Cell::new(None),
            has_lied: Cell::new(false),
            is_new: Cell::new(false),
            ailment: RefCell::new(None),
            wish: Cell::new(None),
            orders: Cell::new(false),
            shared,
            life: Cell::new(0),
            node: RefCell::default(),
            running: RefCell::default(),
        };
        machine.prepare();
        Rc::new(machine)
    }

    /// Puts the ledgers into an empty journal, as whoever sets a member up does. The node's own one would be made at its
    /// start, with keys that the system draws.
    pub fn prepare(&self) {
        let journal = Journal::on_backend(self.disk.clone()).unwrap();
        let Packages { lease, reconcile } = &*self.shared.packages;
        journal.put_package(lease).unwrap();
        journal.put_package(reconcile).unwrap();
        let no = journal.put_ledger(self.shared.office.borrow().genesis()).unwrap().no;
        journal.put_ledger(&genesis(OWN, self.number, reconcile)).unwrap();
        let receipts = self.shared.plan.checkpoint_receipts;
        // No snapshot goes: old ones are swept on a thread, which has no simulated time.
        let settings = CheckpointSettings { receipts, logical_ms: 0, keep: 2 };
        journal.set_checkpoint_settings(no, &settings).unwrap();
        drop(journal);
        self.disk.power_on();
    }

    /// Changes a bit of a value of the stored state while the node does not run. False when there is none.
    pub fn tamper(&self, random: &mut SplitMix) -> bool {
        self.disk.power_on();
        let tampered = Journal::on_backend(self.disk.clone()).ok().and_then(|journal| tamper(&journal, random));
        self.disk.power_on();
        self.disk.cut_power();
        tampered == Some(true)
    }

    /// The same under a node that runs, and notices nothing until it looks at what is stored.
    pub fn tamper_live(&self, random: &mut SplitMix) -> bool {
        self.node().and_then(|node| tamper(node.journal(), random)) == Some(true)
    }

    /// All that it had is gone.
    pub fn has_a_new_disk(&self) {
        self.is_new.set(true);
        self.has_lied.set(false);
    }

    /// It owns the ledger, as far as operators know.
    pub fn is_owner(&self) -> bool {
        self.shared.office.borrow().owner() == self.number
    }

    /// Its disk has lost something of what it answered, or will when the power goes.
    pub fn loses(&self) {
        self.damage.set(Some(Damage::Lost { life: self.life.get() }));
        self.has_lied.set(true);
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
        self.ledger_of_name(LEDGER)
    }

    /// The ledger on which the node decides what it does about differences.
    pub fn own_ledger(&self) -> Option<(Arc<Node>, LedgerEntry)> {
        self.ledger_of_name(OWN)
    }

    fn ledger_of_name(&self, name: &str) -> Option<(Arc<Node>, LedgerEntry)> {
        let node = self.node()?;
        let entry = node.find_ledger(name).ok()?;
        Some((node, entry))
    }

    /// One life: starts the node, and submits to it if it is the one that orders.
    pub async fn live(self: Rc<Self>) -> turmoil::Result {
        match self.start().await {
            Ok(running) => {
                let running = Rc::new(running);
                *self.running.borrow_mut() = Rc::downgrade(&running);
                tokio::join!(self.submit(&running), self.operate(), self.take_office());
            }
            Err(why) => {
                *self.ailment.borrow_mut() = Some(why);
                sleep(LOOK).await;
                let beyond_repair = self.is_damaged() && !self.is_owner() && !self.disk.is_full();
                self.wish.set(Some(if beyond_repair { Wish::NewDisk } else { Wish::Restart }));
            }
        }
        std::future::pending().await
    }

    /// How many checkpoints it has made.
    pub fn checkpoints(&self) -> u64 {
        let found = self.ledger().and_then(|(node, entry)| node.journal().checkpoints(entry.no).ok());
        found.map_or(0, |found| found.len() as u64)
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
        self.orders.set(false);
        let text = |error: &dyn std::fmt::Display| error.to_string();
        let journal = Journal::on_backend(self.disk.clone()).map_err(|error| text(&error))?;
        let node = Arc::new(Node::with_journal(Path::new("/nonexistent"), journal));
        *self.node.borrow_mut() = Arc::downgrade(&node);
        let config = self.config();
        let seed = self.shared.plan.seed ^ (self.number as u64) << 32 ^ self.life.get() << 48;
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
            flaw: self.shared.plan.flaw,
            decides: self.shared.plan.decides,
            shared_ledger: self.shared.office.borrow().genesis().ledger_id(),
            watch: self.shared.watch.clone(),
        };
        Running::start(node, &config, link, Arc::new(world)).await.map_err(|error| text(&error))
    }

    fn config(&self) -> NodeConfig {
        let plan = &self.shared.plan;
        let has_mouth = plan.has_mouth(self.number);
        let peer = |number: usize| PeerConfig {
            name: name(number).to_owned(),
            address: Some(match has_mouth {
                true => SocketAddr::new(turmoil::lookup(name(self.number)), port_towards(number)),
                false => SocketAddr::new(turmoil::lookup(name(number)), PORT),
            }),
            key: key(number, 0).public(),
            receipts: key(number, 1).public(),
        };
        let wrong = |flaw: Flaw| plan.flaw == Some(flaw) && self.number == 0;
        let voting = if wrong(Flaw::SmallQuorum) { 2 } else { plan.voting() };
        let names = |numbers: Range<usize>| numbers.map(|number| name(number).to_owned()).collect();
        let ledger = LedgerConfig {
            name: LEDGER.to_owned(),
            id: None,
            owner: name(0).to_owned(),
            replicas: names(1..voting),
            observers: names(voting..plan.nodes),
            durability: if wrong(Flaw::AcknowledgesAlone) { Durability::Local } else { Durability::Majority },
            quorum: plan.quorum,
            clock: Clock::Events,
            window: WindowRule { receipts: 16, every_ms: 300 },
            roster: 1,
        };
        NodeConfig {
            rejoin: self.is_new.get() && plan.flaw != Some(Flaw::LostMemoryIsNotSaid),
            name: name(self.number).to_owned(),
            listen: ([0; 4], PORT).into(),
            peers: (0..plan.nodes).filter(|number| *number != self.number).map(peer).collect(),
            ledgers: vec![ledger],
        }
    }
}
