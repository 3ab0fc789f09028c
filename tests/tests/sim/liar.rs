//! A node that lies. The node itself is a real and honest one; everything that it says to the others goes through a mouth
//! that has its key, and theirs towards it, and says something else. Some planted bugs have such a mouth, too.

use crate::{
    flaws::Flaw,
    node::{PORT, key, name},
    plan::Plan,
    sim_socket::SimSocket,
    watch::Watch,
};
use reprise::link::{Event, Inbox, Link, LinkConfig, Receiving, Session};
use reprise_federation::{
    List, Message,
    limits::TRANSFER_BYTES_MAX,
    message::{Reply, Steps, Vote},
};
use reprise_receipts::{LogRoot, Receipt, StateRoot};
use reprise_tests::SplitMix;
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::time::sleep;

/// How it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// Heads that are not its own.
    LyingHeads,
    /// Receipts of steps that give another state.
    ForgedReceipts,
    /// Two votes on one size.
    Equivocation,
    /// Votes in the name of others.
    ForgedSignatures,
    /// Old messages again.
    Replay,
    /// No answers, or none of the bytes.
    Withheld,
    /// Frames that are nothing.
    Garbage,
    /// Streams that come by drops.
    SlowStreams,
}

impl Lie {
    pub const ALL: [Self; 8] = [
        Self::LyingHeads,
        Self::ForgedReceipts,
        Self::Equivocation,
        Self::ForgedSignatures,
        Self::Replay,
        Self::Withheld,
        Self::Garbage,
        Self::SlowStreams,
    ];

    /// Its name in tables.
    fn name(self) -> &'static str {
        match self {
            Self::LyingHeads => "lies: heads that are not its own",
            Self::ForgedReceipts => "lies: receipts of other states",
            Self::Equivocation => "lies: two votes on one size",
            Self::ForgedSignatures => "lies: votes in the name of others",
            Self::Replay => "lies: old messages again",
            Self::Withheld => "lies: no answer, or none of the bytes",
            Self::Garbage => "lies: damaged frames",
            Self::SlowStreams => "lies: streams by drops",
        }
    }
}

/// Old messages that are kept to be said again, at most.
const SAID_MAX: usize = 200;

/// Where the mouth is called by the liar's own node as if it were this peer.
pub fn port_towards(peer: usize) -> u16 {
    PORT + 1 + peer as u16
}

/// Where the node itself is that has a mouth.
pub fn inner(number: usize) -> &'static str {
    ["inner-a", "inner-b", "inner-c", "inner-d", "inner-e", "inner-f"][number]
}

/// The mouth of a node: stands at its address, for ever.
pub async fn mouth(own: usize, plan: Plan, watch: Arc<Mutex<Watch>>) -> turmoil::Result {
    let (nodes, flaw) = (plan.nodes, plan.flaw);
    let lie = plan.liar.filter(|(liar, _)| *liar == own).map(|(_, lie)| lie);
    // Another life has other numbers for its connections.
    let seed = plan.seed ^ turmoil::sim_elapsed().unwrap_or_default().as_millis() as u64;
    let outer = Arc::new(link(own, PORT, (0..nodes).filter(|peer| *peer != own), seed).await);
    let mut inner_links = Vec::new();
    for peer in (0..nodes).filter(|peer| *peer != own) {
        let towards = link(peer, port_towards(peer), [own].into_iter(), seed ^ (peer as u64 + 1)).await;
        let random = SplitMix(seed + peer as u64);
        inner_links.push((towards, Mouth { lie, flaw, peer, own, random, said: Vec::new(), watch: watch.clone() }));
    }
    // Those that call it come in any order.
    let (called, waiting): (Vec<_>, Vec<_>) =
        inner_links.into_iter().partition(|(_, mouth)| key(mouth.peer, 0).public() < key(own, 0).public());
    for (towards, mouth) in waiting {
        tokio::task::spawn_local(mouth.calls(outer.clone(), towards));
    }
    let mut called: Vec<_> = called.into_iter().map(|(towards, mouth)| (Arc::new(towards), mouth)).collect();
    while let Some((session, inbox)) = outer.accept().await {
        let Some((towards, mouth)) = called.iter_mut().find(|(_, mouth)| key(mouth.peer, 0).public() == session.key())
        else {
            continue;
        };
        let (towards, mut mouth) = (towards.clone(), mouth.again());
        tokio::task::spawn_local(async move {
            let address = SocketAddr::new(turmoil::lookup(inner(mouth.own)), PORT);
            if let Ok(own) = towards.connect(address, key(mouth.own, 0).public()).await {
                mouth.pass_on(own, (session, inbox)).await;
            }
        });
    }
    Ok(())
}

async fn link(number: usize, port: u16, allowed: impl Iterator<Item = usize>, seed: u64) -> Link {
    let mut random = SplitMix(seed ^ u64::from(port) << 20);
    let config = LinkConfig {
        allowed: allowed.map(|peer| key(peer, 0).public()).collect(),
        seed: Some(std::array::from_fn(|_| random.next_bits() as u8)),
        ..LinkConfig::new(key(number, 0))
    };
    Link::with_socket(SimSocket::bind(port).await, config).unwrap()
}

struct Mouth {
    lie: Option<Lie>,
    flaw: Option<Flaw>,
    peer: usize,
    own: usize,
    random: SplitMix,
    said: Vec<Vec<u8>>,
    watch: Arc<Mutex<Watch>>,
}

impl Mouth {
    /// For another connection.
    fn again(&mut self) -> Self {
        let random = SplitMix(self.random.next_bits());
        Self { random, said: self.said.clone(), watch: self.watch.clone(), ..*self }
    }

    /// Its node calls, and the mouth calls the peer.
    async fn calls(mut self, outer: Arc<Link>, towards: Link) {
        while let Some(own) = towards.accept().await {
            let address = SocketAddr::new(turmoil::lookup(name(self.peer)), PORT);
            match outer.connect(address, key(self.peer, 0).public()).await {
                Ok(theirs) => self.pass_on(own, theirs).await,
                Err(_) => sleep(Duration::from_millis(200)).await,
            }
        }
    }

    /// Until one of the two connections ends.
    async fn pass_on(&mut self, own: (Session, Inbox), theirs: (Session, Inbox)) {
        let ((own, mut from_own), (theirs, mut from_theirs)) = (own, theirs);
        let mut is_first = true;
        loop {
            tokio::select! {
                biased;
                event = from_own.next() => match event {
                    Event::Frame(frame) => {
                        let said = if std::mem::take(&mut is_first) { vec![frame] } else { self.twist(frame) };
                        for frame in said {
                            let _ = theirs.send(frame).await;
                        }
                    }
                    Event::Transfer(transfer) => self.twist_stream(transfer, theirs.clone()),
                    Event::Ended(_) => return,
                },
                event = from_theirs.next() => match event {
                    Event::Frame(frame) => {
                        let heard = self.flaw.zip(Message::from_frame(&frame).ok());
                        if let Some(answer) = heard.and_then(|(flaw, message)| flaw.answers(&message)) {
                            let _ = theirs.send(answer.to_frame()).await;
                        }
                        let _ = own.send(frame).await;
                    }
                    Event::Transfer(transfer) => {
                        let own = own.clone();
                        tokio::task::spawn_local(async move {
                            let id = transfer.id();
                            if let Ok(bytes) = transfer.read_all(TRANSFER_BYTES_MAX).await {
                                send_stream(own, id, bytes, Duration::ZERO).await;
                            }
                        });
                    }
                    Event::Ended(_) => return,
                },
            }
        }
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.random.below(n) == 0
    }

    fn lies(&self) {
        let mut watch = self.watch.lock().unwrap();
        watch.count("lies told");
        if let Some(lie) = self.lie {
            watch.count(lie.name());
        }
    }

    /// What is said instead of a frame.
    fn twist(&mut self, frame: Vec<u8>) -> Vec<Vec<u8>> {
        let Ok(message) = Message::from_frame(&frame) else { return vec![frame] };
        let Some(lie) = self.lie else {
            return vec![self.flaw.map_or(frame, |flaw| flaw.says(message).to_frame())];
        };
        if let (Some(flaw), Message::Vote(vote)) = (self.flaw, &message)
            && let Some(forged) = flaw.forges(vote, self.own)
        {
            self.lies();
            return vec![forged.to_frame(), frame];
        }
        match (lie, message) {
            (Lie::LyingHeads, Message::Answer(mut answer)) => {
                let Reply::Heads(page) = &mut answer.reply else { return vec![frame] };
                let mut heads = page.heads.to_vec();
                for head in &mut heads {
                    head.size += self.random.below(20);
                    head.log_root = LogRoot::from_bytes([self.random.next_bits() as u8; 32]);
                }
                page.heads = List::first(heads);
                self.lies();
                vec![Message::Answer(answer).to_frame()]
            }
            (Lie::LyingHeads, Message::Ack(mut ack)) if self.one_in(3) => {
                ack.state_root = StateRoot::from_bytes([9; 32]);
                self.lies();
                vec![Message::Ack(ack).to_frame()]
            }
            (Lie::Equivocation, Message::Vote(vote)) if self.one_in(2) => {
                let other = Vote { log_root: LogRoot::from_bytes([6; 32]), ..vote };
                self.lies();
                vec![Message::Vote(other.sign(&key(self.own, 1))).to_frame(), frame]
            }
            (Lie::ForgedSignatures, Message::Vote(vote)) => {
                let signer = key((self.peer + 1) % 3, 1).public();
                self.lies();
                vec![Message::Vote(Vote { signer, log_root: LogRoot::from_bytes([8; 32]), ..vote }).to_frame(), frame]
            }
            (Lie::Replay, message) => self.replay(&message, frame),
            (Lie::Withheld, Message::Answer(_) | Message::Ack(_)) if !self.one_in(3) => {
                self.lies();
                vec![]
            }
            (Lie::Garbage, _) if self.one_in(20) => {
                let mut garbage = frame;
                let at = self.random.below(garbage.len() as u64) as usize;
                garbage[at] ^= 1 << self.random.below(8);
                self.lies();
                vec![garbage]
            }
            _ => vec![frame],
        }
    }

    /// A second hello ends the connection: that one is not said again.
    fn replay(&mut self, message: &Message, frame: Vec<u8>) -> Vec<Vec<u8>> {
        if self.said.len() < SAID_MAX && !matches!(message, Message::Hello(_)) {
            self.said.push(frame.clone());
        }
        if self.said.is_empty() || !self.one_in(3) {
            return vec![frame];
        }
        let at = self.random.below(self.said.len() as u64) as usize;
        self.lies();
        vec![frame, self.said[at].clone()]
    }

    fn twist_stream(&mut self, transfer: Receiving, theirs: Session) {
        let (lie, forge, withhold) = (self.lie, self.one_in(2), !self.one_in(4));
        let watch = self.watch.clone();
        tokio::task::spawn_local(async move {
            let id = transfer.id();
            let Ok(mut bytes) = transfer.read_all(TRANSFER_BYTES_MAX).await else { return };
            let mut pause = Duration::ZERO;
            match lie {
                Some(Lie::Withheld) if withhold => return watch.lock().unwrap().count("lies told"),
                Some(Lie::SlowStreams) => pause = Duration::from_secs(2),
                Some(Lie::ForgedReceipts) if forge => bytes = forged(&bytes).unwrap_or(bytes),
                _ => return send_stream(theirs, id, bytes, pause).await,
            }
            watch.lock().unwrap().count("lies told");
            send_stream(theirs, id, bytes, pause).await;
        });
    }
}

/// Sends bytes; with a pause, in a hundred drops.
async fn send_stream(session: Session, id: u64, bytes: Vec<u8>, pause: Duration) {
    let Ok(mut sending) = session.begin_transfer(id, bytes.len() as u64).await else { return };
    let drop_bytes = if pause.is_zero() { bytes.len() } else { bytes.len().div_ceil(100) };
    for part in bytes.chunks(drop_bytes.max(1)) {
        if sending.write(part).await.is_err() {
            return;
        }
        sleep(pause).await;
    }
    let _ = sending.finish().await;
}

/// Another state after the last of these steps.
fn forged(bytes: &[u8]) -> Option<Vec<u8>> {
    let steps: Steps = reprise_abi::decode_canonical(bytes).ok()?;
    let mut steps = steps.steps.to_vec();
    let last = steps.last_mut()?;
    let mut receipt: Receipt = reprise_abi::decode_canonical(&last.receipt).ok()?;
    receipt.next_state = StateRoot::from_bytes([7; 32]);
    last.receipt = reprise_abi::encode(&receipt);
    Some(reprise_abi::encode(&Steps { steps: List::first(steps) }))
}
