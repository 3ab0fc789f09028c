//! Links to test with. Keys are numbers.

use reprise::link::{Event, Inbox, Limits, Link, LinkConfig, PeerReport, Session};
use reprise_receipts::{PublicKey, SigningKey};
use std::{net::SocketAddr, time::Duration};

/// The bound of every test with real sockets. None comes near it unless it hangs.
const TEST_MAX: Duration = Duration::from_secs(120);

pub fn key(no: u8) -> SigningKey {
    SigningKey::from_secret(&[no; 32])
}

pub fn public(no: u8) -> PublicKey {
    key(no).public()
}

/// Runs a test with real sockets and the real clock.
pub fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(TEST_MAX, test).await.expect("the test hangs") })
}

/// Settings of node `no`, which allows these.
pub fn config(no: u8, allowed: &[u8]) -> LinkConfig {
    let mut config = LinkConfig::new(key(no));
    config.allowed = allowed.iter().map(|no| public(*no)).collect();
    config.greeting = vec![no; 3];
    config
}

/// Node `no` on loopback, which allows these.
pub fn link(no: u8, allowed: &[u8]) -> Link {
    link_with(no, allowed, |_| {})
}

pub fn link_with(no: u8, allowed: &[u8], set: impl FnOnce(&mut Limits)) -> Link {
    let mut config = config(no, allowed);
    set(&mut config.limits);
    Link::bind(loopback(1, 0), config).unwrap()
}

/// 127.0.0.`host`: on Linux all of them are this machine.
pub fn loopback(host: u8, port: u16) -> SocketAddr {
    ([127, 0, 0, host], port).into()
}

/// Both ends of a connection from `caller` to `callee`.
pub async fn pair(caller: &Link, callee: &Link) -> ((Session, Inbox), (Session, Inbox)) {
    let address = callee.address().unwrap();
    let accepted = async {
        loop {
            let accepted = callee.accept().await.unwrap();
            // Others may have called, too.
            if accepted.0.key() == caller.key() {
                break accepted;
            }
        }
    };
    let (called, accepted) = tokio::join!(caller.connect(address, callee.key()), accepted);
    (called.unwrap(), accepted)
}

/// The next event, which is a frame.
#[track_caller]
pub fn frame(event: Event) -> Vec<u8> {
    match event {
        Event::Frame(frame) => frame,
        other => panic!("expected a frame: {other:?}"),
    }
}

/// A question and its answer: whoever gets it through has a working connection.
pub async fn echo(from: &mut (Session, Inbox), to: &mut (Session, Inbox), text: &[u8]) {
    from.0.send(text.to_vec()).await.unwrap();
    let heard = frame(to.1.next().await);
    to.0.send(heard).await.unwrap();
    assert_eq!(frame(from.1.next().await), text);
}

/// What a link says of a peer.
pub fn report(link: &Link, no: u8) -> PeerReport {
    link.peers().into_iter().find(|peer| peer.key == public(no)).expect("an allowed peer")
}
