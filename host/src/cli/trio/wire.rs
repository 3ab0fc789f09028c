//! What lies between a node and its peers: datagrams pass, or they are lost.

use std::{
    collections::BTreeMap,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::{
    net::UdpSocket,
    runtime::{Builder, Runtime},
};

/// Longest datagram.
const DATAGRAM_BYTES_MAX: usize = 65_535;
/// Callers of one wire.
const CALLERS_MAX: usize = 16;

/// Wires that are cut and mended together. They go with it.
pub(crate) struct Wires {
    runtime: Runtime,
    cut: Arc<AtomicBool>,
}

impl Wires {
    pub(crate) fn new() -> io::Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        Ok(Self { runtime, cut: Arc::default() })
    }

    /// From now on everything is lost, or nothing.
    pub(crate) fn set_cut(&self, cut: bool) {
        self.cut.store(cut, Ordering::Release);
    }

    /// A wire to `target`: the address to call instead of it.
    pub(crate) fn lay(&self, target: SocketAddr) -> io::Result<SocketAddr> {
        let near = Arc::new(self.runtime.block_on(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)))?);
        let address = near.local_addr()?;
        self.runtime.spawn(carry(near, target, self.cut.clone()));
        Ok(address)
    }
}

/// Every caller gets a socket of its own at the far end, so that answers find their way back.
async fn carry(near: Arc<UdpSocket>, target: SocketAddr, cut: Arc<AtomicBool>) -> io::Result<()> {
    let mut callers: BTreeMap<SocketAddr, Arc<UdpSocket>> = BTreeMap::new();
    let mut datagram = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        // A node that is gone is told of by an error of the next receive.
        let Ok((bytes, caller)) = near.recv_from(&mut datagram).await else { continue };
        if cut.load(Ordering::Acquire) {
            continue;
        }
        let far = match callers.get(&caller) {
            Some(far) => far.clone(),
            None if callers.len() < CALLERS_MAX => {
                let far = Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?);
                far.connect(target).await?;
                tokio::spawn(carry_back(far.clone(), near.clone(), caller, cut.clone()));
                callers.insert(caller, far.clone());
                far
            }
            None => continue,
        };
        let _ = far.send(&datagram[..bytes]).await;
    }
}

async fn carry_back(far: Arc<UdpSocket>, near: Arc<UdpSocket>, caller: SocketAddr, cut: Arc<AtomicBool>) {
    let mut datagram = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        let Ok(bytes) = far.recv(&mut datagram).await else { continue };
        if !cut.load(Ordering::Acquire) {
            let _ = near.send_to(&datagram[..bytes], caller).await;
        }
    }
}
