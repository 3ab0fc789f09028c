//! The link's socket over the network of a simulation.

use quinn::{
    AsyncUdpSocket, UdpPoller,
    udp::{RecvMeta, Transmit},
};
use std::{
    io::{self, IoSliceMut},
    net::{Ipv4Addr, SocketAddr},
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};
use tokio::sync::mpsc;

/// Datagrams that arrived and were not read; further ones are lost, as they would be in a kernel.
const BUFFERED_MAX: usize = 1_024;
const DATAGRAM_BYTES_MAX: usize = 65_536;

#[derive(Debug)]
pub struct SimSocket {
    socket: Arc<turmoil::net::UdpSocket>,
    arrived: Mutex<mpsc::Receiver<(Vec<u8>, SocketAddr)>>,
    address: SocketAddr,
}

impl SimSocket {
    /// Opens a port of the simulated host that this runs on.
    pub async fn bind(port: u16) -> Arc<Self> {
        let socket = Arc::new(turmoil::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).await.unwrap());
        let address = socket.local_addr().unwrap();
        let (arrives, arrived) = mpsc::channel(BUFFERED_MAX);
        let from = socket.clone();
        tokio::spawn(async move {
            let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
            while let Ok((length, sender)) = from.recv_from(&mut buffer).await {
                match arrives.try_send((buffer[..length].to_vec(), sender)) {
                    Err(mpsc::error::TrySendError::Closed(_)) => break,
                    Ok(()) | Err(mpsc::error::TrySendError::Full(_)) => {}
                }
            }
        });
        Arc::new(Self { socket, arrived: Mutex::new(arrived), address })
    }
}

impl AsyncUdpSocket for SimSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(AlwaysWritable)
    }

    fn try_send(&self, transmit: &Transmit) -> io::Result<()> {
        match self.socket.try_send_to(transmit.contents, transmit.destination) {
            Ok(_) => Ok(()),
            // A host that is not there takes no datagrams and says nothing.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn poll_recv(
        &self,
        context: &mut Context,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        match self.arrived.lock().unwrap().poll_recv(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(None) => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            Poll::Ready(Some((datagram, sender))) => {
                let length = datagram.len().min(buffers[0].len());
                buffers[0][..length].copy_from_slice(&datagram[..length]);
                meta[0] = RecvMeta { addr: sender, len: length, stride: length, ..RecvMeta::default() };
                Poll::Ready(Ok(1))
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }

    fn may_fragment(&self) -> bool {
        false
    }
}

#[derive(Debug)]
struct AlwaysWritable;

impl UdpPoller for AlwaysWritable {
    fn poll_writable(self: Pin<&mut Self>, _: &mut Context) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
