//! A connection that is authorised both ways: frames in order, transfers beside them.
//!
//! A [`Session`] is a handle to send with; its [`Inbox`] is where everything arrives. One task serves the connection. It
//! ends with the connection, and the connection ends when the last handle is dropped and what was queued is taken.
//! Transfers do not hold it open: whoever sends one keeps the handle until the peer has said that it has it.

use super::{
    counters::PeerCounters,
    end::{Code, Ended},
    frame::{self, Broken, LENGTH_BYTES},
    limits::{FRAME_BYTES_MAX, Limits},
    line::Line,
    pace::Pace,
    peers::Peers,
    transfer::{Receiving, Sending, TransferError},
    transport::Side,
};
use quinn::{RecvStream, SendStream};
use reprise_receipts::PublicKey;
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    sync::mpsc::{self, error::TrySendError},
    time::sleep,
};

/// A handle to an authorised connection. Clones are the same connection.
#[derive(Clone, Debug)]
pub struct Session {
    shared: Arc<Shared>,
}

/// Where what a peer sends arrives.
#[derive(Debug)]
pub struct Inbox {
    line: Line,
    frames: mpsc::Receiver<Vec<u8>>,
    transfers: mpsc::Receiver<Receiving>,
}

/// What arrives.
#[derive(Debug)]
pub enum Event {
    /// A control frame.
    Frame(Vec<u8>),
    /// The peer began a transfer. Its bytes come when they are read.
    Transfer(Receiving),
    /// The connection ended; nothing comes after this.
    Ended(Ended),
}

/// Why a frame was not queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Longer than a frame may be.
    #[error("a frame of {0} bytes: at most {FRAME_BYTES_MAX} are sent")]
    TooLong(usize),
    /// The peer does not take frames as fast as they are queued.
    #[error("the queue to the peer is full")]
    Full,
    /// The connection ended.
    #[error("{0}")]
    Ended(Ended),
}

/// Both streams of a connection after the hellos, and what goes with them.
pub(super) struct Established {
    pub(super) connection: quinn::Connection,
    pub(super) control: (SendStream, RecvStream),
    pub(super) key: PublicKey,
    pub(super) greeting: Vec<u8>,
    pub(super) side: Side,
}

#[derive(Debug)]
struct Shared {
    line: Line,
    counters: Arc<PeerCounters>,
    frames: mpsc::Sender<Vec<u8>>,
    key: PublicKey,
    greeting: Vec<u8>,
    called: bool,
    stall: Duration,
}

impl Established {
    /// Takes the connection among those of its peer and starts to serve it. `None`: the key was revoked meanwhile, and
    /// the connection is closed.
    pub(super) fn start(self, limits: &Limits, peers: &Arc<Peers>) -> Option<(Session, Inbox)> {
        let Self { connection, control, key, greeting, side } = self;
        let line = Line::new(connection);
        let Some(counters) = peers.enter(&key, &line) else {
            line.close(Code::Revoked);
            return None;
        };
        let (frames_out, to_send) = mpsc::channel(limits.peer.queue_frames_max.max(1));
        let (arrived, frames_in) = mpsc::channel(limits.peer.queue_frames_max.max(1));
        let (begun, transfers) = mpsc::channel(1);
        let server = Server {
            line: line.clone(),
            counters: counters.clone(),
            limits: limits.clone(),
            peers: peers.clone(),
            key,
        };
        tokio::spawn(server.serve(control, to_send, arrived, begun));
        let inbox = Inbox { line: line.clone(), frames: frames_in, transfers };
        let stall = limits.times.stall;
        let called = side == Side::Caller;
        let shared = Shared { line, counters, frames: frames_out, key, greeting, called, stall };
        Some((Session { shared: Arc::new(shared) }, inbox))
    }
}

impl Session {
    /// The peer's node key.
    #[must_use]
    pub fn key(&self) -> PublicKey {
        self.shared.key
    }

    /// What the peer said in its hello.
    #[must_use]
    pub fn greeting(&self) -> &[u8] {
        &self.shared.greeting
    }

    /// This node called; otherwise it was called.
    #[must_use]
    pub fn is_caller(&self) -> bool {
        self.shared.called
    }

    /// Where the peer is.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.shared.line.quic().remote_address()
    }

    /// The current estimate of the round-trip time.
    #[must_use]
    pub fn round_trip(&self) -> Duration {
        self.shared.line.quic().rtt()
    }

    /// Queues a frame; waits while the queue is full.
    ///
    /// # Errors
    /// [`SendError`], never `Full`.
    pub async fn send(&self, frame: Vec<u8>) -> Result<(), SendError> {
        self.takes(&frame)?;
        self.shared.frames.send(frame).await.map_err(|_| SendError::Ended(self.ended_now()))
    }

    /// Queues a frame, or says at once that the queue is full: whoever serves many peers waits for none.
    ///
    /// # Errors
    /// [`SendError`].
    pub fn try_send(&self, frame: Vec<u8>) -> Result<(), SendError> {
        self.takes(&frame)?;
        self.shared.frames.try_send(frame).map_err(|error| match error {
            TrySendError::Full(_) => SendError::Full,
            TrySendError::Closed(_) => SendError::Ended(self.ended_now()),
        })
    }

    /// Begins a transfer of exactly `bytes` bytes; waits while the peer takes no further one.
    ///
    /// # Errors
    /// [`TransferError`].
    pub async fn begin_transfer(&self, id: u64, bytes: u64) -> Result<Sending, TransferError> {
        let opened = self.shared.line.quic().open_uni().await;
        let stream = opened.map_err(|_| TransferError::Ended(self.ended_now()))?;
        Sending::begin(stream, self.shared.counters.clone(), self.shared.stall, id, bytes).await
    }

    /// Closes the connection at once, whatever is queued.
    pub fn close(&self, code: Code) {
        self.shared.line.close(code);
    }

    /// Waits for the end of the connection.
    pub async fn ended(&self) -> Ended {
        self.shared.line.ended().await
    }

    /// A frame of this length, on a connection that is open.
    fn takes(&self, frame: &[u8]) -> Result<(), SendError> {
        if frame.len() > FRAME_BYTES_MAX {
            return Err(SendError::TooLong(frame.len()));
        }
        if self.shared.line.is_open() { Ok(()) } else { Err(SendError::Ended(self.ended_now())) }
    }

    fn ended_now(&self) -> Ended {
        self.shared.line.ended_now()
    }
}

impl Inbox {
    /// What arrives next. Frames that arrived before the end of the connection come before that end. Nothing is lost
    /// when the future is dropped.
    pub async fn next(&mut self) -> Event {
        // Frames first: transfers wait for whoever reads them anyway.
        tokio::select! {
            biased;
            Some(frame) = self.frames.recv() => return Event::Frame(frame),
            Some(transfer) = self.transfers.recv() => return Event::Transfer(transfer),
            else => {}
        }
        Event::Ended(self.line.ended().await)
    }
}

/// Serves one connection.
struct Server {
    line: Line,
    counters: Arc<PeerCounters>,
    limits: Limits,
    peers: Arc<Peers>,
    key: PublicKey,
}

impl Server {
    async fn serve(
        self,
        (mut out, mut incoming): (SendStream, RecvStream),
        mut to_send: mpsc::Receiver<Vec<u8>>,
        arrived: mpsc::Sender<Vec<u8>>,
        begun: mpsc::Sender<Receiving>,
    ) {
        // The first of them to end ends the connection, and says why.
        let code = tokio::select! {
            biased;
            _ = self.line.ended() => Code::Done,
            code = self.send_frames(&mut out, &mut to_send) => code,
            code = self.take_frames(&mut incoming, arrived) => code,
            code = self.take_transfers(begun) => code,
        };
        if !matches!(code, Code::Done | Code::Stopping) {
            self.counters.refused.add(1);
        }
        self.line.close(code);
        self.line.ended().await;
        self.peers.leave(&self.key, &self.line, &self.counters);
    }

    /// Sends what is queued until nobody can queue any more, then leaves it to the peer to close: what its transport has
    /// and its reader has not would be lost if this side did.
    async fn send_frames(&self, out: &mut SendStream, to_send: &mut mpsc::Receiver<Vec<u8>>) -> Code {
        let stall = self.limits.times.stall;
        while let Some(frame) = to_send.recv().await {
            self.counters.frame_sent(LENGTH_BYTES + frame.len());
            if let Err(broken) = frame::write(out, &frame, stall).await {
                return code_of(broken);
            }
        }
        if out.finish().is_ok() {
            sleep(stall).await;
        }
        Code::Done
    }

    /// Takes frames no faster than the limits say, and no faster than they are taken from the inbox.
    async fn take_frames(&self, incoming: &mut RecvStream, arrived: mpsc::Sender<Vec<u8>>) -> Code {
        let mut pace = Pace::new(self.limits.peer.frames_per_second);
        loop {
            let frame = match frame::read(incoming, self.limits.times.stall).await {
                Ok(frame) => frame,
                Err(broken) => return code_of(broken),
            };
            self.counters.frame_received(LENGTH_BYTES + frame.len());
            if pace.take().await {
                self.counters.throttled.add(1);
            }
            if arrived.send(frame).await.is_err() {
                // Nobody reads any more. The other direction may go on.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Takes transfers one after the other: a header that does not come delays only its own peer.
    async fn take_transfers(&self, begun: mpsc::Sender<Receiving>) -> Code {
        while let Ok(stream) = self.line.quic().accept_uni().await {
            match Receiving::begin(stream, self.counters.clone(), self.limits.transfer.clone()).await {
                Ok(transfer) => {
                    // With no inbox left the transfer is dropped, which tells the peer to stop.
                    let _ = begun.send(transfer).await;
                }
                Err(TransferError::Ended(_)) => break,
                Err(_) => self.counters.refused.add(1),
            }
        }
        Code::Done
    }
}

fn code_of(broken: Broken) -> Code {
    match broken {
        Broken::Fault(code) => code,
        Broken::Finished | Broken::Gone => Code::Done,
    }
}
