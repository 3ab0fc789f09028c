//! A member that lies about bundles and roots: its end of the link is in this process, and says what no node would.

use crate::{bench::events, cluster::Cluster};
use reprise::link::{Event, Link, LinkConfig, Session};
use reprise_federation::{
    Message,
    message::{Answer, BundleOffer, BundleQuery, Enrolment, Hello, Question, Refusal, Reply, Roots},
};
use reprise_receipts::{SigningKey, bundle::BundleKind, digest::BundleDigest};
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::runtime::{Builder, Runtime};

/// What it does when it is asked for a replay bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    OneByteIsAnother,
    ShorterThanAnnounced,
    NothingComes,
    OfAnotherLedger,
    /// Its bundles are not asked for: it tells the roots that it is told to tell.
    Roots,
}

impl Lie {
    /// There is a file to reject; otherwise there is only silence, which the peer may not be to blame for.
    pub fn is_seen_in_the_file(self) -> bool {
        self != Self::NothingComes
    }
}

/// It ends with this.
pub struct Hostile {
    runtime: Runtime,
    liar: Liar,
}

#[derive(Clone)]
struct Liar {
    lie: Lie,
    /// A good bundle, its end, and a good one of another ledger of the same length of history.
    bundle: Vec<u8>,
    end: u64,
    roots: Arc<Mutex<Option<Roots>>>,
}

impl Hostile {
    /// Takes the place of node `place` in the configuration of node `victim`; what it lies about is the owner's.
    pub fn instead_of(cluster: &Cluster, place: usize, victim: usize, lie: Lie) -> Self {
        let keys = own_keys();
        let path = cluster.bench(victim).node().join("node.toml");
        let config = std::fs::read_to_string(&path).unwrap();
        let config = config.replace(cluster.node_key(place), &keys[0].public().to_string());
        std::fs::write(&path, config.replace(cluster.attester(place), &keys[1].public().to_string())).unwrap();
        let other;
        let owner = match lie {
            Lie::OfAnotherLedger => {
                other = Cluster::with(1, &events(60), false);
                other.bench(0)
            }
            _ => cluster.bench(0),
        };
        let file = owner.file("lie.bundle", "");
        std::fs::remove_file(&file).unwrap();
        owner.run(&["bundle", "export", "incident", "--kind", "replay", "--out", &file]).says(0, &[]);
        let liar = Liar { lie, bundle: std::fs::read(&file).unwrap(), end: owner.receipts(), roots: Arc::default() };
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        Self { runtime, liar }
    }

    /// What it answers from now on when it is asked for roots.
    pub fn tells(&self, roots: Roots) {
        *self.liar.roots.lock().unwrap() = Some(roots);
    }

    /// Keeps up a connection to a node.
    pub fn lies_to(&self, cluster: &Cluster, victim: usize) {
        let config = std::fs::read_to_string(cluster.bench(victim).node().join("node.toml")).unwrap();
        let address_of = |text: &str| text.split('"').nth(1).unwrap().parse::<SocketAddr>().unwrap();
        let listens = address_of(config.split("listen = ").nth(1).unwrap());
        let called = config.split("name = \"b\"\naddress = ").nth(1).unwrap();
        let victim = reprise_key(cluster.node_key(victim));
        let [node, receipts] = own_keys();
        let (liar, here) = (self.liar.clone(), address_of(called));
        self.runtime.spawn(async move {
            let enrolment = Enrolment::new(&node, &receipts);
            let mut link = LinkConfig::new(node);
            link.allowed.insert(victim);
            let link = Link::bind(here, link).unwrap();
            loop {
                let connected = match link.key() < victim {
                    true => link.connect(listens, victim).await.ok(),
                    false => link.accept().await,
                };
                let Some((session, mut inbox)) = connected else {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                };
                let hello = Message::Hello(Hello::new(enrolment));
                if session.send(hello.to_frame()).await.is_err() {
                    continue;
                }
                while let Event::Frame(frame) = inbox.next().await {
                    if let Ok(Message::Ask(ask)) = Message::from_frame(&frame) {
                        liar.answer(&session, ask.request, &ask.question).await;
                    }
                }
            }
        });
    }
}

impl Liar {
    async fn answer(&self, session: &Session, request: u32, question: &Question) {
        let reply = match question {
            Question::Bundle(query) if query.kind == BundleKind::Replay && query.from == 0 => {
                return self.lie(session, request, query).await;
            }
            Question::Digest(_) => Reply::Same,
            Question::Roots(_) => match self.roots.lock().unwrap().clone() {
                Some(roots) => Reply::Roots(Box::new(roots)),
                None => Reply::Refused(Refusal::NotMade),
            },
            Question::Bundle(_) => Reply::Refused(Refusal::Pruned),
            _ => Reply::Refused(Refusal::NotShared),
        };
        let _ = session.send(Message::Answer(Answer { request, reply }).to_frame()).await;
    }

    async fn lie(&self, session: &Session, request: u32, query: &BundleQuery) {
        let mut bytes = self.bundle.clone();
        let digest = BundleDigest::from_bytes(*bytes.last_chunk().unwrap());
        let offer = BundleOffer { to: self.end, bytes: bytes.len() as u64, digest };
        let reply = Reply::Bundle(offer);
        let _ = session.send(Message::Answer(Answer { request, reply }).to_frame()).await;
        match self.lie {
            Lie::OfAnotherLedger | Lie::Roots => {}
            Lie::NothingComes => return session.close(reprise::link::Code::Done),
            Lie::OneByteIsAnother => {
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
            }
            Lie::ShorterThanAnnounced => bytes.truncate(bytes.len() / 2),
        }
        let Ok(mut sending) = session.begin_transfer(query.transfer, bytes.len() as u64).await else { return };
        if sending.write(&bytes).await.is_ok() {
            let _ = sending.finish().await;
        }
    }
}

fn reprise_key(text: &str) -> reprise_receipts::PublicKey {
    reprise::keys::parse_public(text).unwrap()
}

/// Its node key and its receipt-signing key.
fn own_keys() -> [SigningKey; 2] {
    [0x51, 0x52].map(|byte| SigningKey::from_secret(&[byte; 32]))
}
