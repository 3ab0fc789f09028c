//! A node's socket: that of the simulation, on a machine that can lose its power, and beside a switch that loses datagrams.

use crate::{disk::SimDisk, sim_socket::SimSocket};
use quinn::{
    AsyncUdpSocket, UdpPoller,
    udp::{RecvMeta, Transmit},
};
use reprise_tests::SplitMix;
use std::{
    cell::Cell,
    io::{self, IoSliceMut},
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

/// What the network does to the datagrams of one node.
#[derive(Clone, Debug)]
pub struct Switch(Arc<Mutex<Losses>>);

#[derive(Debug)]
struct Losses {
    random: SplitMix,
    /// Of a thousand datagrams, so many are lost on their way out.
    lost_of_1000: u64,
    /// Of a thousand datagrams, so many are sent twice.
    doubled_of_1000: u64,
    lost: Cell<u64>,
    doubled: Cell<u64>,
}

/// What becomes of a datagram.
enum Fate {
    Sent,
    Lost,
    Doubled,
}

impl Switch {
    pub fn new(seed: u64) -> Self {
        let random = SplitMix(seed);
        Self(Arc::new(Mutex::new(Losses {
            random,
            lost_of_1000: 0,
            doubled_of_1000: 0,
            lost: Cell::new(0),
            doubled: Cell::new(0),
        })))
    }

    pub fn set(&self, lost_of_1000: u64, doubled_of_1000: u64) {
        let mut losses = self.0.lock().unwrap();
        (losses.lost_of_1000, losses.doubled_of_1000) = (lost_of_1000, doubled_of_1000);
    }

    /// Datagrams that were lost, and that were sent twice.
    pub fn counts(&self) -> (u64, u64) {
        let losses = self.0.lock().unwrap();
        (losses.lost.get(), losses.doubled.get())
    }

    fn fate(&self) -> Fate {
        let mut losses = self.0.lock().unwrap();
        let drawn = losses.random.below(1_000);
        if drawn < losses.lost_of_1000 {
            losses.lost.set(losses.lost.get() + 1);
            Fate::Lost
        } else if drawn < losses.lost_of_1000 + losses.doubled_of_1000 {
            losses.doubled.set(losses.doubled.get() + 1);
            Fate::Doubled
        } else {
            Fate::Sent
        }
    }
}

/// The socket of a node.
#[derive(Debug)]
pub struct NodeSocket {
    inner: Arc<SimSocket>,
    switch: Switch,
    disk: SimDisk,
}

impl NodeSocket {
    pub async fn bind(port: u16, switch: Switch, disk: SimDisk) -> Arc<Self> {
        Arc::new(Self { inner: SimSocket::bind(port).await, switch, disk })
    }
}

impl AsyncUdpSocket for NodeSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        self.inner.clone().create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit) -> io::Result<()> {
        // A machine without power says nothing, whatever its process was about to say.
        if self.disk.is_off() {
            return Ok(());
        }
        match self.switch.fate() {
            Fate::Lost => Ok(()),
            Fate::Sent => self.inner.try_send(transmit),
            Fate::Doubled => self.inner.try_send(transmit).and_then(|()| self.inner.try_send(transmit)),
        }
    }

    fn poll_recv(
        &self,
        context: &mut Context,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        self.inner.poll_recv(context, buffers, meta)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    fn may_fragment(&self) -> bool {
        false
    }
}
