//! Time and effects of the ledgers that this node owns, and what operators ask about them.

use super::{Driver, Part};
use crate::{
    daemon::{
        config::Clock,
        deliverer::{self, Deliverer, Settled, Standing},
        happening::{Happening, Reply},
        world::Workers,
    },
    effects::config::{self, Change, Drivers},
    operators::Stand,
};
use reprise_federation::node::Service;
use reprise_receipts::LedgerId;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// How long a node that stops waits for a driver that is slow.
const STOP_WAIT: Duration = Duration::from_secs(1);

/// What a ledger does in the world, while this node owns it.
#[derive(Default)]
pub(in crate::daemon) struct Outward {
    clock: Clock,
    /// How often this node has begun to own it.
    life: u64,
    /// Who delivers its effects; none where no driver is configured.
    deliverer: Option<Deliverer>,
}

impl Outward {
    pub(in crate::daemon) fn new(clock: Clock) -> Self {
        Self { clock, ..Self::default() }
    }

    /// Results that have a receipt since the node was started, and why nothing is delivered; none where nobody delivers.
    pub(in crate::daemon) fn report(&self) -> Option<(u64, Option<String>)> {
        self.deliverer.as_ref().map(Deliverer::report)
    }
}

impl Driver {
    /// This node has begun to own a ledger.
    pub(super) fn begin_outward(&mut self, ledger: LedgerId) {
        self.with(ledger, |served| served.outward.life += 1);
        match config::read(self.node.dir(), ledger) {
            Ok(drivers) if drivers.is_empty() => {}
            // What is wrong with the file, the deliverer says.
            Ok(_) | Err(_) => self.start_delivering(ledger),
        }
    }

    fn start_delivering(&mut self, ledger: LedgerId) {
        // The node's own ledger is carried out by the node itself. In simulated time there are no drivers.
        if self.reconciler.is_own(ledger) || self.world.workers() != Workers::Threads {
            return;
        }
        let Some(served) = self.ledgers.get_mut(&ledger).filter(|served| served.outward.deliverer.is_none()) else {
            return;
        };
        let parts = deliverer::Parts {
            journal: self.node.journal().clone(),
            dir: self.node.dir().to_owned(),
            entry: served.entry.clone(),
            clock: served.outward.clock,
            world: self.world.clone(),
            happenings: self.happenings.clone(),
        };
        match Deliverer::start(parts) {
            Ok(deliverer) => served.outward.deliverer = Some(deliverer),
            Err(error) => tracing::error!(%ledger, %error, "nobody delivers the effects of the ledger"),
        }
    }

    /// Tells those who deliver how their ledgers are, and keeps time where it is the clock's.
    pub(super) fn look_outward(&mut self) {
        let now_ms = self.now_ms();
        for (ledger, served) in &mut self.ledgers {
            let Outward { clock, life, deliverer } = &served.outward;
            if deliverer.is_none() && *clock == Clock::Events {
                continue;
            }
            let may_order = self.federation.service(now_ms, *ledger) == Some(Service::Orders) && served.fault.is_none();
            let owner = match &mut served.part {
                Part::Owner(owner) if may_order && !owner.is_closing() => Some(owner),
                _ => None,
            };
            if let Some(deliverer) = deliverer {
                let size = self.facts.size(*ledger);
                let (epoch, acknowledged) =
                    owner.as_ref().map_or((0, 0), |owner| (owner.epoch(), owner.acknowledged()));
                deliverer.tell(Standing { orders: owner.is_some(), life: *life, epoch, size, acknowledged });
            }
            if let (Clock::Wall, Some(owner)) = (clock, owner) {
                owner.keep_time(now_ms);
            }
        }
    }

    /// Nothing is asked of a driver any more.
    pub(super) fn end_deliverers(&mut self, and_wait: bool) {
        for deliverer in self.ledgers.values().filter_map(|served| served.outward.deliverer.as_ref()) {
            deliverer.end_within(if and_wait { STOP_WAIT } else { Duration::ZERO });
        }
    }

    /// Somebody asks for something of that.
    pub(super) fn asked_outward(&mut self, now_ms: u64, happening: Happening) {
        match happening {
            Happening::Advance { ledger, to_ms, reply } => self.advance(now_ms, &ledger, to_ms, reply),
            Happening::Deliver { ledger, at_ms, reply } => self.deliver(now_ms, &ledger, at_ms, reply),
            Happening::Drivers { ledger, change, reply } => {
                let _ = reply.send(self.change_drivers(&ledger, change));
            }
            Happening::Stands { ledger, package, reply } => self.stands(&ledger, package, reply),
            other => tracing::error!(?other, "it is not about time or effects"),
        }
    }

    fn advance(&mut self, now_ms: u64, ledger: &str, to_ms: u64, reply: mpsc::Sender<Reply>) {
        match self.orders(now_ms, ledger) {
            Ok(id) => self.with(id, |served| {
                if let Part::Owner(owner) = &mut served.part {
                    owner.submit_advance(0, to_ms, reply);
                }
            }),
            Err(why) => drop(reply.try_send(Reply::NotHere { tag: 0, why })),
        }
    }

    /// Effects that may begin at this logical time; those of a ledger without drivers wait for some.
    fn deliver(&mut self, now_ms: u64, ledger: &str, at_ms: u64, reply: oneshot::Sender<Settled>) {
        let ledger = match self.orders(now_ms, ledger) {
            Ok(ledger) => ledger,
            Err(why) => return drop(reply.send(Err(why))),
        };
        // What became durable a moment ago counts.
        self.look_outward();
        match self.ledgers.get(&ledger).and_then(|served| served.outward.deliverer.as_ref()) {
            Some(deliverer) => deliverer.settle(at_ms, reply),
            None => drop(reply.send(Ok(0))),
        }
    }

    fn change_drivers(&mut self, ledger: &str, change: Change) -> Result<Drivers, String> {
        let entry = self.node.find_ledger(ledger).map_err(|error| error.to_string())?;
        let changes = change != Change::default();
        let drivers = config::change(self.node.dir(), entry.id, change).map_err(|error| error.to_string())?;
        let served = self.ledgers.get(&entry.id).filter(|_| changes);
        match served.map(|served| (&served.outward.deliverer, &served.part)) {
            Some((Some(deliverer), _)) => deliverer.drivers_changed(),
            Some((None, Part::Owner(_))) => self.start_delivering(entry.id),
            _ => {}
        }
        Ok(drivers)
    }

    /// Where a ledger stands is read beside: the driver waits for no disk.
    fn stands(&self, ledger: &str, package: Option<String>, reply: oneshot::Sender<Result<(String, Stand), String>>) {
        let entry = match self.node.find_ledger(ledger) {
            Ok(entry) => entry,
            Err(error) => return drop(reply.send(Err(error.to_string()))),
        };
        let node = self.node.clone();
        let read = move || {
            let stand = Stand::read(&node, &entry, package.as_deref()).map_err(|error| error.to_string());
            let _ = reply.send(stand.map(|stand| (entry.genesis.name, stand)));
        };
        match self.world.workers() {
            Workers::Threads => drop(self.network.spawn_blocking(read)),
            Workers::Tasks { .. } => read(),
        }
    }
}
