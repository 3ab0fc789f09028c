//! The driver: one thread owns the federation's state machines, tells them what happens, and carries out what they ask
//! for. Nothing in it waits for a peer or for an execution.

mod actions;
mod attest;
mod checkpoint;
mod finals;
mod growth;
mod join;
mod outward;
mod report;
mod succession;

pub(super) use outward::Outward;

use super::{
    bundles::Bundles,
    facts::Facts,
    follower::{Follower, Work},
    happening::{Happening, Reply},
    owner::Owner,
    reconcile::Reconciler,
    rejected::RejectedStore,
    revoked::Revoked,
    roots::Comparison,
    world::World,
};
use crate::{
    journal::LedgerEntry,
    link::{Code, Link, Receiving, Session},
    node::Node,
    orderer::Proposal,
};
use reprise_federation::{
    Federation, Ledgers, Message, NodeKey,
    limits::TRANSFER_BYTES_MAX,
    node::{Refused, Service},
};
use reprise_receipts::{LedgerId, PublicKey, SigningKey, command::COMMAND_KIND};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::{
    runtime::Handle,
    sync::mpsc,
    time::{MissedTickBehavior, interval},
};

/// How often the state machines are told the time.
const TICK: Duration = Duration::from_millis(20);
/// How often all events that wait are looked at before the state machines hear of a new head.
const TOGETHER_MAX: usize = 256;

/// Names of nodes, for people.
pub(super) type Names = BTreeMap<PublicKey, String>;

/// What the driver works with.
pub(super) struct Driver {
    pub(super) node: Arc<Node>,
    pub(super) link: Arc<Link>,
    pub(super) federation: Federation,
    pub(super) facts: Facts,
    /// Signs the receipts of this node.
    pub(super) attester: SigningKey,
    pub(super) names: Names,
    pub(super) ledgers: BTreeMap<LedgerId, Served>,
    pub(super) sessions: BTreeMap<PublicKey, (u64, Session)>,
    /// Where those who run beside it tell what happens.
    pub(super) happenings: mpsc::Sender<Happening>,
    /// Where streams are read and written.
    pub(super) network: Handle,
    pub(super) world: Arc<dyn World>,
    /// When it was started.
    pub(super) start_ms: u64,
    /// What is decided about differences, and by whom.
    pub(super) reconciler: Reconciler,
    /// What peers sent and was rejected; none where nothing is kept.
    pub(super) rejected: Option<RejectedStore>,
    /// Bundles for peers and of peers.
    pub(super) bundles: Bundles,
    /// Who is not let in.
    pub(super) revoked: Revoked,
    /// What operators want compared with peers.
    pub(super) comparisons: Vec<Comparison>,
}

/// A ledger that is served.
pub(super) struct Served {
    pub(super) entry: LedgerEntry,
    pub(super) part: Part,
    /// Why this node cannot go on with it: its own fault, for people.
    pub(super) fault: Option<String>,
    /// Up to where each member has this node's attestations; under this node's own key, up to where it has the owner's.
    pub(super) attested: BTreeMap<PublicKey, u64>,
    /// Its log has grown, and the state machines do not know yet.
    pub(super) grown: bool,
    /// Number of the last work that was handed to somebody.
    pub(super) given: u64,
    /// Work up to this number has come to its end, and the state machines do not know yet.
    pub(super) ended: Option<u64>,
    /// What there is to do again while the pipeline still ends.
    pub(super) queued: Vec<Work>,
    /// What this node has promised or signed for it last is not durable.
    pub(super) unkept: bool,
    /// An attestation over receipts that are not here yet.
    pub(super) early: Option<Vec<u8>>,
    /// Its time and its effects, while this node owns it.
    pub(super) outward: Outward,
}

/// What this node runs for a ledger.
pub(super) enum Part {
    /// Nothing yet.
    None,
    /// The pipeline.
    Owner(Box<Owner>),
    /// Doing again what the owner did.
    Follower(Follower),
}

impl Driver {
    /// Works until nobody can tell it anything any more, then ends what it runs.
    pub(super) async fn run(mut self, mut happenings: mpsc::Receiver<Happening>, mut stop: mpsc::Receiver<()>) {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                _ = stop.recv() => break,
                _ = ticks.tick() => {
                    let now_ms = self.now_ms();
                    self.federation.tick(now_ms, &self.facts);
                    self.send_attestations();
                    self.begin_ledgers();
                }
                Some(happening) = happenings.recv() => {
                    self.take(happening);
                    for _ in 0..TOGETHER_MAX {
                        let Ok(happening) = happenings.try_recv() else { break };
                        self.take(happening);
                    }
                }
            }
            self.tell_growth();
            self.carry_out();
            self.reconcile();
            self.look_outward();
        }
        self.end_deliverers(false);
        // Whoever still tells something must not wait for ever.
        drop(happenings);
        for served in self.ledgers.values_mut() {
            if let Part::Owner(owner) = &mut served.part {
                owner.stop();
            }
        }
        self.end_deliverers(true);
    }

    /// What the state machines measure with.
    pub(super) fn now_ms(&self) -> u64 {
        self.world.now_ms()
    }

    fn take(&mut self, happening: Happening) {
        let now_ms = self.now_ms();
        match happening {
            Happening::Connected { number, session } => self.connected(now_ms, number, session),
            Happening::Frame { number, from, frame } if self.is_current(&from, number) => {
                self.frame(now_ms, NodeKey(from), &frame);
            }
            Happening::Transfer { number, from, transfer } if self.is_current(&from, number) => {
                self.transfer(from, transfer);
            }
            Happening::Frame { .. } | Happening::Transfer { .. } => {}
            Happening::Received { transfer: attest::TRANSFER, bytes, .. } => {
                if let Err(error) = self.keep_attestation(&bytes) {
                    tracing::error!(%error, "an attestation cannot be kept");
                }
            }
            Happening::Received { from, transfer, bytes } => {
                if !self.federation.received(now_ms, NodeKey(from), transfer, &bytes, &self.facts) {
                    self.chunks_came(NodeKey(from), transfer, &bytes);
                }
            }
            Happening::Gone { number, from } => {
                if self.is_current(&from, number) {
                    self.sessions.remove(&from);
                    self.gone(NodeKey(from));
                }
            }
            Happening::Answered { ledger, answer } => {
                let mut refused = None;
                self.with(ledger, |served| {
                    served.grown = true;
                    if let Part::Owner(owner) = &mut served.part {
                        refused = owner.answered(answer).err();
                    }
                });
                if let Some(why) = refused {
                    self.broken(ledger, why);
                }
            }
            Happening::Followed { ledger, number } => self.ended(ledger, number),
            Happening::Stopped { ledger, fault: Some(fault) } => {
                self.with(ledger, |served| served.part = Part::None);
                self.broken(ledger, fault);
                self.all_given_ended(ledger);
            }
            Happening::CannotFollow { ledger, fault, number } => {
                self.broken(ledger, fault);
                if let Some(number) = number {
                    self.ended(ledger, number);
                }
            }
            // It was stopped because the ledger has another owner, or another epoch.
            Happening::Stopped { ledger, fault: None } => self.next_part(ledger),
            Happening::Refused { ledger, from, at, step, number } => {
                let refused = Refused { ledger, from: NodeKey(from), work: number, at, step: &step };
                self.refused(now_ms, &refused);
                self.ended(ledger, number);
            }
            Happening::Submit { ledger, proposal, reply } => self.submit(now_ms, &ledger, *proposal, reply),
            happening @ (Happening::Advance { .. }
            | Happening::Deliver { .. }
            | Happening::Drivers { .. }
            | Happening::Stands { .. }) => self.asked_outward(now_ms, happening),
            Happening::Looked(looked) => self.looked(*looked),
            Happening::Remains(remains) => self.remains_cut(*remains),
            Happening::Restored(restored) => self.restored(restored),
            Happening::Reconcile { ledger, act, reply } => {
                let _ = reply.send(self.would_decide(ledger.as_deref(), act));
            }
            Happening::Checkpoint { ledger, reply } => drop(reply.send(self.checkpoint(now_ms, &ledger))),
            Happening::Take { ledger, grant, reply } => {
                let _ = reply.send(self.take_grant(now_ms, &ledger, &grant));
            }
            Happening::Resume { ledger, reply } => self.order_resume(&ledger, reply),
            Happening::BundleMade(made) => self.bundle_made(*made),
            Happening::BundleSent { number } => self.federation.bundle_ended(number),
            Happening::BundleCame { transfer, end } => self.end_fetch(transfer, *end),
            Happening::Begun(begun) => self.ledger_begun(*begun),
            Happening::FetchBundle(wish) => self.wish_bundle(*wish),
            Happening::RootsFound { wanted_for, found } => self.roots_found(wanted_for, found),
            Happening::Admit { peer, admitted, reply } => drop(reply.send(self.admit(&peer, admitted))),
            Happening::Compare(wish) => self.compare_ledger(*wish),
            Happening::Currency { reply } => drop(reply.send(self.currency())),
            Happening::Query { query, reply } => {
                let _ = reply.send(self.report(query));
            }
        }
    }

    fn connected(&mut self, now_ms: u64, number: u64, session: Session) {
        let key = session.key();
        if let Some((_, old)) = self.sessions.insert(key, (number, session)) {
            old.close(Code::Replaced);
            self.gone(NodeKey(key));
        }
        // What was sent over an earlier connection may not have come.
        for served in self.ledgers.values_mut() {
            served.attested.remove(&key);
        }
        self.federation.connected(now_ms, NodeKey(key));
    }

    /// A connection is there no more: nothing that was asked over it is answered.
    pub(super) fn gone(&mut self, peer: NodeKey) {
        self.federation.disconnected(peer);
        self.asked_in_vain(peer);
        self.bundles_gone(peer);
        self.roots_gone(peer);
    }

    fn frame(&mut self, now_ms: u64, from: NodeKey, frame: &[u8]) {
        match Message::from_frame(frame) {
            // As if it were lost on the way: the owner sends it again when this node is ready.
            Ok(Message::Append(append)) if self.is_busy(append.ledger) => {}
            // As if it had not answered: nothing that it says about differences is used.
            Ok(Message::Answer(_)) if self.reconciler.in_quarantine(from) => {}
            Ok(message) => self.federation.handle(now_ms, from, message, &self.facts),
            Err(_) => self.federation.malformed(now_ms, from, frame),
        }
    }

    /// More steps wait to be done again than should.
    fn is_busy(&self, ledger: LedgerId) -> bool {
        match self.ledgers.get(&ledger).map(|served| &served.part) {
            Some(Part::Follower(follower)) => follower.is_busy(),
            Some(Part::Owner(owner)) => owner.is_closing(),
            _ => false,
        }
    }

    /// Reads a transfer beside, if it was asked for.
    fn transfer(&mut self, from: PublicKey, transfer: Receiving) {
        let Err(transfer) = self.take_bundle(NodeKey(from), transfer) else { return };
        let id = transfer.id();
        let bytes_max = if id == attest::TRANSFER { attest::BYTES_MAX } else { TRANSFER_BYTES_MAX };
        if id != attest::TRANSFER && !self.federation.expects(NodeKey(from), id) {
            tracing::debug!(peer = %from, id, "a stream that nobody asked for");
            return;
        }
        let happenings = self.happenings.clone();
        self.network.spawn(async move {
            match transfer.read_all(bytes_max).await {
                Ok(bytes) => drop(happenings.send(Happening::Received { from, transfer: id, bytes }).await),
                // It is missed by its deadline.
                Err(error) => tracing::warn!(peer = %from, id, %error, "a stream did not come to its end"),
            }
        });
    }

    fn submit(&mut self, now_ms: u64, ledger: &str, proposal: Proposal, reply: mpsc::Sender<Reply>) {
        let tag = proposal.tag;
        let is_command = proposal.event.kind == COMMAND_KIND;
        let why = match self.orders(now_ms, ledger).and_then(|id| self.takes_of_others(id, is_command)) {
            Ok(id) => {
                self.with(id, |served| {
                    if let Part::Owner(owner) = &mut served.part {
                        owner.submit(proposal, reply);
                    }
                });
                return;
            }
            Err(why) => why,
        };
        let _ = reply.try_send(Reply::NotHere { tag, why });
    }

    /// Lifts a suspension, as an operator's decision. What is still wrong suspends the ledger again.
    pub(super) fn resume(&mut self, now_ms: u64, ledger: LedgerId) -> Result<(), String> {
        let served = self.ledgers.get_mut(&ledger).ok_or("this node does not serve the ledger")?;
        served.fault = None;
        self.refresh(ledger);
        self.federation.resume(now_ms, ledger, &self.facts);
        Ok(())
    }

    /// The node's own ledger takes operators' commands, but no events.
    fn takes_of_others(&self, ledger: LedgerId, is_command: bool) -> Result<LedgerId, String> {
        if self.reconciler.is_own(ledger) && !is_command {
            return Err(
                "the node's own ledger takes only what the node itself finds: see `reprise reconcile`".to_owned()
            );
        }
        Ok(ledger)
    }

    /// The ledger of this name, if this node orders its inputs now.
    fn orders(&self, now_ms: u64, selector: &str) -> Result<LedgerId, String> {
        let entry = self.node.find_ledger(selector).map_err(|error| error.to_string())?;
        let served = self.ledgers.get(&entry.id).ok_or("this node does not serve the ledger: see its configuration")?;
        if let Some(fault) = &served.fault {
            return Err(format!("the ledger does not advance here: {fault}"));
        }
        let owner = self.federation.seat(entry.id).map(|seat| self.name(seat.standing.owner));
        match (self.federation.service(now_ms, entry.id), &served.part) {
            (Some(Service::Orders), Part::Owner(owner)) if !owner.is_closing() => Ok(entry.id),
            (Some(Service::Orders), _) => {
                Err("the ledger enters another epoch here: submit it again in a moment".to_owned())
            }
            (Some(Service::Suspended(why)), _) => Err(format!("the ledger is suspended here: {why}")),
            (Some(Service::Stale { .. }), Part::Owner(_)) => {
                Err("no majority of the members can be reached: nothing is ordered until then".to_owned())
            }
            _ if self.federation.seat(entry.id).is_some_and(|seat| seat.standing.owner.0 == self.link.key()) => {
                Err("this node is taking the ledger over: submit it again in a moment".to_owned())
            }
            _ => Err(format!(
                "inputs are ordered by {}: submit there",
                owner.unwrap_or_else(|| "another node".to_owned())
            )),
        }
    }

    pub(super) fn with(&mut self, ledger: LedgerId, work: impl FnOnce(&mut Served)) {
        if let Some(served) = self.ledgers.get_mut(&ledger) {
            work(served);
        }
    }

    fn is_current(&self, from: &PublicKey, number: u64) -> bool {
        self.sessions.get(from).is_some_and(|(current, _)| *current == number)
    }

    pub(super) fn name(&self, node: NodeKey) -> String {
        self.names.get(&node.0).cloned().unwrap_or_else(|| node.0.to_string())
    }

    pub(super) fn size(&self, ledger: LedgerId) -> u64 {
        self.facts.head(ledger).map_or(0, |head| head.log.size)
    }
}
