//! Connections to peers: called and taken, kept up, and everything that arrives handed to the driver.
//!
//! Of two nodes the one with the smaller key calls, so that there is one connection and no question which. The other one
//! waits. A caller whose call fails waits longer each time, up to a bound, with jitter.

use super::{config::PeerConfig, happening::Happening, world::World};
use crate::link::{Event, Inbox, Link, Session};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep},
};

/// First wait after a call that failed.
const WAIT_MIN: Duration = Duration::from_millis(100);
/// Longest wait between two calls.
const WAIT_MAX: Duration = Duration::from_secs(10);
/// A connection that lasted so long was a good one: the next wait is the first one again.
const GOOD: Duration = Duration::from_secs(10);

/// Gives connections their numbers and tells the driver of them.
#[derive(Clone)]
pub(super) struct Network {
    link: Arc<Link>,
    happenings: mpsc::Sender<Happening>,
    last: Arc<AtomicU64>,
    world: Arc<dyn World>,
}

impl Network {
    pub(super) fn new(link: Arc<Link>, happenings: mpsc::Sender<Happening>, world: Arc<dyn World>) -> Self {
        Self { link, happenings, last: Arc::default(), world }
    }

    /// Takes calls for ever.
    pub(super) async fn take_calls(self) {
        while let Some((session, inbox)) = self.link.accept().await {
            let this = self.clone();
            tokio::spawn(async move { this.serve(session, inbox).await });
        }
    }

    /// Keeps up a connection to a peer, if it is this node that calls.
    pub(super) async fn keep_up(self, peer: PeerConfig) {
        let Some(address) = peer.address.filter(|_| self.link.key() < peer.key) else { return };
        let mut wait = WAIT_MIN;
        loop {
            let began = Instant::now();
            match self.link.connect(address, peer.key).await {
                Ok((session, inbox)) => self.serve(session, inbox).await,
                Err(error) => tracing::debug!(peer = peer.name, %address, %error, "no connection"),
            }
            wait = if began.elapsed() >= GOOD { WAIT_MIN } else { (wait * 2).min(WAIT_MAX) };
            sleep(self.with_jitter(wait)).await;
        }
    }

    /// Hands over what arrives, until the connection ends.
    async fn serve(&self, session: Session, mut inbox: Inbox) {
        let number = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        let from = session.key();
        tracing::info!(peer = %from, address = %session.address(), "connected");
        let mut told = self.happenings.send(Happening::Connected { number, session }).await;
        while told.is_ok() {
            let happening = match inbox.next().await {
                Event::Frame(frame) => Happening::Frame { number, from, frame },
                Event::Transfer(transfer) => Happening::Transfer { number, from, transfer },
                Event::Ended(ended) => {
                    tracing::info!(peer = %from, %ended, "disconnected");
                    break;
                }
            };
            told = self.happenings.send(happening).await;
        }
        let _ = self.happenings.send(Happening::Gone { number, from }).await;
    }

    /// Between half of it and all of it: nodes that lost each other at the same moment do not call at the same moment.
    fn with_jitter(&self, wait: Duration) -> Duration {
        // Without random bits there is no jitter.
        let random = self.world.random().unwrap_or_default() % 1_024;
        wait / 2 + wait / 2 * u32::try_from(random).expect("below 1,024") / 1_023
    }
}
