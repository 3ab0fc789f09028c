//! The state anew, from a peer's snapshot: its record, the chunks that are not in what is left here, the state of them,
//! and the diffs after it from the own log.
//!
//! Nothing of a peer is believed. The record's log root must be that of the own log at its size, which the ledger's owner
//! has attested or a quorum has signed; its state root that of the receipt at its end; every chunk has the address that
//! was asked for. A peer that gives something else counts as struck, and the next one is asked.

use super::{
    carry::{done, failed},
    look::remains,
};
use crate::{
    daemon::{driver::Driver, happening::Happening},
    journal::{JournalError, LedgerEntry},
    node::EngineChoice,
    panics::told,
    recovery::checkpoint_restore,
};
use reprise_abi::decode_canonical;
use reprise_federation::{
    Ledgers, Mark, NodeKey,
    compare::{ChunkSearch, split_chunks},
    ledgers::mark_at,
    limits::TRANSFER_BYTES_MAX,
    message::{Question, Reply},
    quarantine::Reason,
};
use reprise_receipts::{
    LedgerId, Receipt,
    checkpoint::CheckpointClaim,
    digest::ChunkId,
    snapshot::{ChunkSink, write_snapshot},
};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// How long an attempt waits for members to be there: after a start connections take a moment.
const LONELY_MS: u64 = 10_000;

/// Chunks by their addresses.
type Chunks = BTreeMap<ChunkId, Vec<u8>>;

/// A repair under way.
pub(super) struct Repair {
    /// The order.
    key: String,
    /// Which attempt it is: each begins with another peer.
    attempt: u32,
    /// Until when it waits for members to be there, on the node's clock.
    until_ms: u64,
    /// Peers that are there and were not asked yet; the first is asked now.
    peers: VecDeque<NodeKey>,
    /// Peers that were asked.
    asked: BTreeSet<NodeKey>,
    stage: Stage,
    /// Chunks that came over the wire.
    fetched: u64,
    bytes: u64,
}

enum Stage {
    /// No member that was not asked yet is there.
    Lonely,
    /// The peer is to be asked for its record.
    Ask,
    /// It was asked, under this number.
    Record { request: u32 },
    /// What is left here is cut into chunks.
    Remains { claim: CheckpointClaim },
    /// The peer is asked for chunks.
    Chunks(Box<Fetching>),
    /// The state is made of them.
    Making,
}

struct Fetching {
    claim: CheckpointClaim,
    chunks: Chunks,
    search: ChunkSearch,
    /// The question, the stream that it asks for, and the chunks in it.
    asked: Option<(u32, u64, Vec<ChunkId>)>,
}

/// Work beside has ended.
#[derive(Debug)]
pub(in crate::daemon) struct Restored {
    pub(super) ledger: LedgerId,
    pub(super) key: String,
    pub(super) result: Result<Value, String>,
}

/// What is left here, cut into chunks.
#[derive(Debug)]
pub(in crate::daemon) struct Remains {
    ledger: LedgerId,
    chunks: Result<Chunks, String>,
}

impl Driver {
    /// Begins a repair.
    pub(super) fn begin_repair(&mut self, key: &str, ledger: LedgerId, attempt: u32) {
        self.beside(key);
        let until_ms = self.now_ms().saturating_add(LONELY_MS);
        let (key, peers, asked) = (key.to_owned(), VecDeque::new(), BTreeSet::new());
        let repair = Repair { key, attempt, until_ms, peers, asked, stage: Stage::Lonely, fetched: 0, bytes: 0 };
        self.reconciler.repairs.insert(ledger, repair);
        self.go_on_with_repairs();
    }

    /// Members that can be asked if they are there, in the order of this attempt.
    fn members_to_ask(&self, ledger: LedgerId, attempt: u32) -> VecDeque<NodeKey> {
        let own = NodeKey(self.link.key());
        let members = self.federation.seat(ledger).map(|seat| seat.roster.members.iter().map(|member| member.node));
        let usable = |node: &NodeKey| *node != own && !self.reconciler.in_quarantine(*node);
        let mut peers: VecDeque<NodeKey> = members.into_iter().flatten().filter(usable).collect();
        let first = (attempt.saturating_sub(1) as usize).checked_rem(peers.len()).unwrap_or(0);
        peers.rotate_left(first);
        peers
    }

    /// Whether it waits for members that are not there yet. Those that are, are asked.
    fn wait_for_members(&self, ledger: LedgerId, repair: &mut Repair) -> bool {
        let mut open = self.members_to_ask(ledger, repair.attempt);
        open.retain(|node| !repair.asked.contains(node));
        let waits = !open.is_empty() && self.now_ms() < repair.until_ms;
        let connected: Vec<NodeKey> = self.federation.peers().filter(|p| p.connected).map(|p| p.node).collect();
        open.retain(|node| connected.contains(node));
        repair.stage = if open.is_empty() { Stage::Lonely } else { Stage::Ask };
        repair.peers = open;
        waits || !repair.peers.is_empty()
    }

    /// Asks what is to be asked next.
    pub(super) fn go_on_with_repairs(&mut self) {
        let ledgers: Vec<LedgerId> = self.reconciler.repairs.keys().copied().collect();
        for ledger in ledgers {
            let Some(mut repair) = self.reconciler.repairs.remove(&ledger) else { continue };
            if self.go_on_with(ledger, &mut repair) {
                self.reconciler.repairs.insert(ledger, repair);
            } else {
                self.close(&repair.key, failed("no member gives a snapshot that the signed log bears out"));
            }
        }
    }

    /// False: there is nobody left to ask.
    fn go_on_with(&mut self, ledger: LedgerId, repair: &mut Repair) -> bool {
        let now_ms = self.now_ms();
        if repair.peers.is_empty() && !self.wait_for_members(ledger, repair) {
            return false;
        }
        let Some(peer) = repair.peers.front().copied() else { return true };
        match &mut repair.stage {
            Stage::Ask => match self.federation.ask_peer(now_ms, peer, Question::Snapshot { ledger }) {
                Some(request) => {
                    repair.asked.insert(peer);
                    repair.stage = Stage::Record { request };
                }
                // It has not said yet who it is, or has more questions than it answers.
                None => {
                    repair.peers.pop_front();
                    if now_ms >= repair.until_ms {
                        repair.asked.insert(peer);
                    }
                }
            },
            Stage::Chunks(fetching) if fetching.asked.is_none() && !fetching.search.is_complete() => {
                let ids = fetching.search.next_ids();
                let transfer = self.federation.new_transfer();
                let question = Question::Chunks { ledger, transfer, ids: ids.clone() };
                if let Some(request) = self.federation.ask_peer(now_ms, peer, question) {
                    // Streams have no order: this one may be there before the answer that announces it.
                    self.federation.expect_stream(now_ms, peer, request, transfer, TRANSFER_BYTES_MAX);
                    fetching.asked = Some((request, transfer, ids.into_inner()));
                } else if !self.federation.peers().any(|view| view.node == peer && view.connected) {
                    repair.next_peer();
                }
            }
            Stage::Chunks(fetching) if fetching.search.is_complete() => {
                let Stage::Chunks(fetching) = std::mem::replace(&mut repair.stage, Stage::Making) else { return true };
                self.make_state(ledger, repair, *fetching);
            }
            _ => {}
        }
        true
    }

    /// The connection to a peer is another one, or gone, and with it what it was asked: it is asked again.
    pub(in crate::daemon) fn asked_in_vain(&mut self, peer: NodeKey) {
        for repair in self.reconciler.repairs.values_mut().filter(|repair| repair.peers.front() == Some(&peer)) {
            match &mut repair.stage {
                Stage::Record { .. } => repair.stage = Stage::Ask,
                Stage::Chunks(fetching) => fetching.asked = None,
                Stage::Lonely | Stage::Ask | Stage::Remains { .. } | Stage::Making => {}
            }
        }
    }

    /// The answer to a question of this node's own.
    pub(in crate::daemon) fn answered(&mut self, from: NodeKey, request: u32, reply: Option<Reply>) {
        let waits = |repair: &Repair| match &repair.stage {
            Stage::Record { request: asked } => *asked == request,
            Stage::Chunks(fetching) => fetching.asked.as_ref().is_some_and(|(asked, ..)| *asked == request),
            _ => false,
        };
        let found = self.reconciler.repairs.iter().find(|(_, repair)| waits(repair)).map(|(ledger, _)| *ledger);
        let Some((ledger, mut repair)) = found.and_then(|ledger| self.reconciler.repairs.remove_entry(&ledger)) else {
            return;
        };
        match (&repair.stage, reply) {
            (Stage::Record { .. }, Some(Reply::Snapshot(record))) if self.bears_out(ledger, &record.claim) => {
                repair.stage = Stage::Remains { claim: record.claim.clone() };
                self.cut_remains(ledger, record.claim.size);
            }
            (Stage::Chunks(fetching), Some(Reply::Sending(sending))) => {
                let transfer = fetching.asked.as_ref().map(|(_, transfer, _)| *transfer).unwrap_or_default();
                let now_ms = self.now_ms();
                self.federation.expect_stream(now_ms, from, request, transfer, sending.bytes);
            }
            // It has none, none that the log here bears out, or was silent.
            _ => repair.next_peer(),
        }
        self.reconciler.repairs.insert(ledger, repair);
        self.go_on_with_repairs();
    }

    /// The own log, as far as somebody has signed it, says of this state that it is the right one.
    fn bears_out(&self, ledger: LedgerId, claim: &CheckpointClaim) -> bool {
        let Some(served) = self.ledgers.get(&ledger).filter(|_| claim.ledger == ledger && claim.size > 0) else {
            return false;
        };
        let own = mark_at(&self.facts, ledger, claim.size);
        let receipt = self.facts.receipt(ledger, claim.size - 1);
        let receipt = receipt.and_then(|bytes| decode_canonical::<Receipt>(&bytes).ok());
        let reader = self.node.journal().read(served.entry.no).ok();
        let attested = reader.and_then(|reader| reader.last_attestation().ok()?).map_or(0, |(seq, _)| seq + 1);
        let protected = self.federation.seat(ledger).map_or(0, |seat| seat.standing.protected());
        own == Some(Mark { size: claim.size, log_root: claim.log_root })
            && receipt.is_some_and(|receipt| receipt.next_state == claim.snapshot.state_root)
            && claim.size <= attested.max(protected)
    }

    fn cut_remains(&self, ledger: LedgerId, size: u64) {
        let Some(entry) = self.ledgers.get(&ledger).map(|served| served.entry.clone()) else { return };
        let journal = self.node.journal().clone();
        self.world.workers().beside(self.happenings.clone(), move || {
            let chunks = || -> Result<Chunks, JournalError> {
                let mut state = remains(&journal.read(entry.no)?, size)?;
                let mut sink = Collected(BTreeMap::new());
                let root = state.root();
                write_snapshot(&state, root, &mut sink);
                Ok(sink.0)
            };
            let chunks = told(chunks);
            Happening::Remains(Box::new(Remains { ledger, chunks }))
        });
    }

    /// What is left here is cut: what is not in it is fetched.
    pub(in crate::daemon) fn remains_cut(&mut self, remains: Remains) {
        let Some(repair) = self.reconciler.repairs.get_mut(&remains.ledger) else { return };
        let Stage::Remains { claim } = &repair.stage else { return };
        let claim = claim.clone();
        // Of a state that cannot be read at all, nothing is left.
        let chunks = remains.chunks.unwrap_or_default();
        let search = ChunkSearch::new(&claim.snapshot, |id| chunks.contains_key(&id));
        repair.stage = Stage::Chunks(Box::new(Fetching { claim, chunks, search, asked: None }));
        self.go_on_with_repairs();
    }

    /// A stream that a repair waits for has come.
    pub(in crate::daemon) fn chunks_came(&mut self, from: NodeKey, transfer: u64, bytes: &[u8]) {
        let waits = |repair: &Repair| match &repair.stage {
            Stage::Chunks(fetching) => fetching.asked.as_ref().is_some_and(|(_, asked, _)| *asked == transfer),
            _ => false,
        };
        let found = self.reconciler.repairs.iter_mut().find(|(_, repair)| waits(repair));
        let Some((_, repair)) = found else { return };
        if !repair.take_chunks(bytes) {
            repair.next_peer();
            self.strike(from, Reason::Chunk);
        }
        self.go_on_with_repairs();
    }

    fn make_state(&self, ledger: LedgerId, repair: &Repair, fetching: Fetching) {
        let Some(entry) = self.ledgers.get(&ledger).map(|served| served.entry.clone()) else { return };
        let (node, engine, key) = (self.node.clone(), self.world.engine(), repair.key.clone());
        let figures = json!({ "chunks": repair.fetched, "bytes": repair.bytes, "from": fetching.claim.size });
        tracing::info!(%ledger, %figures, "the state is made anew of a peer's chunks");
        self.world.workers().beside(self.happenings.clone(), move || {
            let result = told(|| make(&node, &entry, engine, &fetching)).map(|()| figures);
            Happening::Restored(Restored { ledger, key, result })
        });
    }

    /// The state was made anew, or could not be.
    pub(in crate::daemon) fn restored(&mut self, restored: Restored) {
        self.reconciler.repairs.remove(&restored.ledger);
        match restored.result {
            Ok(figures) => {
                self.facts.set_found(restored.ledger, None);
                self.close(&restored.key, done(&figures));
            }
            Err(why) => self.close(&restored.key, failed(&why)),
        }
    }
}

fn make(
    node: &crate::node::Node,
    entry: &LedgerEntry,
    engine: EngineChoice,
    fetching: &Fetching,
) -> Result<(), crate::recovery::RecoveryError> {
    let site = node.site(entry, engine);
    checkpoint_restore::from_chunks(&site, &fetching.claim, |id| Ok(fetching.chunks.get(&id).cloned()))
}

impl Repair {
    /// Nothing more of the peer that is asked now.
    fn next_peer(&mut self) {
        self.peers.pop_front();
        self.stage = Stage::Ask;
    }

    /// False: it is not what was asked for.
    fn take_chunks(&mut self, bytes: &[u8]) -> bool {
        let Stage::Chunks(fetching) = &mut self.stage else { return false };
        let Some((_, _, ids)) = fetching.asked.take() else { return false };
        let Some(parts) = split_chunks(bytes).filter(|parts| !parts.is_empty() && parts.len() <= ids.len()) else {
            return false;
        };
        for (id, part) in ids.into_iter().zip(parts) {
            let chunks = &fetching.chunks;
            if fetching.search.accept(id, part, |id| chunks.contains_key(&id)).is_err() {
                return false;
            }
            fetching.chunks.insert(id, part.to_vec());
            self.fetched += 1;
            self.bytes += part.len() as u64;
        }
        true
    }
}

/// Keeps chunks in memory.
struct Collected(Chunks);

impl ChunkSink for Collected {
    fn contains(&mut self, id: ChunkId) -> bool {
        self.0.contains_key(&id)
    }

    fn put(&mut self, id: ChunkId, bytes: Vec<u8>) {
        self.0.insert(id, bytes);
    }
}
