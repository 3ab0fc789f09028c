//! A link: one socket, those who call and those who are called.

use super::{
    connect::{Answer, Call, ConnectError},
    counters::DoorCounts,
    end::Code,
    gate::{Gate, Judgement, Pass},
    hello::{self, Hello, Purpose},
    identity::Identity,
    limits::{GREETING_BYTES_MAX, LINK_VERSION, Limits},
    peers::{PeerReport, Peers},
    session::{Established, Inbox, Session},
    tls::{self, Expected},
    transport::{self, Side},
};
use quinn::{AsyncUdpSocket, EndpointConfig, Runtime, TokioRuntime};
use quinn_proto::HashedConnectionIdGenerator;
use reprise_receipts::{PublicKey, SigningKey};
use std::{
    collections::BTreeSet,
    io,
    net::{SocketAddr, UdpSocket},
    sync::Arc,
};
use tokio::{
    sync::{Mutex, mpsc},
    time::timeout,
};

/// Connections that are authorised and wait to be taken from the link.
const WAITING_MAX: usize = 16;

/// Why there is no link.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The address cannot be used.
    #[error("{address}: {error}")]
    Socket {
        /// Which.
        address: SocketAddr,
        /// What the system says.
        error: io::Error,
    },
    /// The greeting is too long.
    #[error("a greeting has at most {GREETING_BYTES_MAX} bytes, this one has {0}")]
    Greeting(usize),
}

/// How a link is set up.
#[derive(Clone, Debug)]
pub struct LinkConfig {
    /// The key of this node.
    pub key: Arc<SigningKey>,
    /// The keys that are let in and may be called.
    pub allowed: BTreeSet<PublicKey>,
    /// What this node says in its hellos; opaque here.
    pub greeting: Vec<u8>,
    /// What it may use.
    pub limits: Limits,
    /// Where QUIC's own choices come from. A simulation sets it; without it they come from the system.
    pub seed: Option<[u8; 32]>,
}

/// A socket on which this node calls and is called. Dropping it ends all its connections.
pub struct Link {
    inner: Arc<Inner>,
    waiting: Mutex<mpsc::Receiver<(Session, Inbox)>>,
}

struct Inner {
    endpoint: quinn::Endpoint,
    identity: Identity,
    peers: Arc<Peers>,
    gate: Arc<Gate>,
    limits: Limits,
    greeting: Vec<u8>,
}

impl LinkConfig {
    /// A node that knows nobody yet.
    #[must_use]
    pub fn new(key: SigningKey) -> Self {
        Self {
            key: Arc::new(key),
            allowed: BTreeSet::new(),
            greeting: Vec::new(),
            limits: Limits::default(),
            seed: None,
        }
    }
}

impl Link {
    /// Opens a UDP socket at this address. Needs a tokio runtime with time and I/O.
    ///
    /// # Errors
    /// [`BindError`].
    pub fn bind(address: SocketAddr, config: LinkConfig) -> Result<Self, BindError> {
        let socket = UdpSocket::bind(address).and_then(|socket| TokioRuntime.wrap_udp_socket(socket));
        Self::with_socket(socket.map_err(|error| BindError::Socket { address, error })?, config)
    }

    /// A link over any socket: the seam at which a simulation puts its own network. Needs a tokio runtime with time.
    ///
    /// # Errors
    /// [`BindError`].
    pub fn with_socket(socket: Arc<dyn AsyncUdpSocket>, config: LinkConfig) -> Result<Self, BindError> {
        if config.greeting.len() > GREETING_BYTES_MAX {
            return Err(BindError::Greeting(config.greeting.len()));
        }
        let LinkConfig { key, allowed, greeting, limits, seed } = config;
        let identity = Identity::new(key);
        let peers = Peers::new(allowed, limits.peer.connections_max);
        let server = server_config(&identity, &peers, &limits);
        let endpoint = quinn::Endpoint::new_with_abstract_socket(
            endpoint_config(&identity, seed),
            Some(server),
            socket,
            Arc::new(TokioRuntime),
        );
        let unknown: SocketAddr = ([0; 4], 0).into();
        let endpoint = endpoint.map_err(|error| BindError::Socket { address: unknown, error })?;
        let gate = Gate::new(limits.door.clone());
        let inner = Arc::new(Inner { endpoint, identity, peers, gate, limits, greeting });
        let (ready, waiting) = mpsc::channel(WAITING_MAX);
        tokio::spawn(take_calls(inner.clone(), ready));
        Ok(Self { inner, waiting: Mutex::new(waiting) })
    }

    /// Where this link is.
    ///
    /// # Errors
    /// What the system says.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.inner.endpoint.local_addr()
    }

    /// This node's key.
    #[must_use]
    pub fn key(&self) -> PublicKey {
        self.inner.identity.public()
    }

    /// Calls a node that is allowed here. When this returns, the other side has let us in.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub async fn connect(&self, address: SocketAddr, key: PublicKey) -> Result<(Session, Inbox), ConnectError> {
        if !self.inner.peers.is_allowed(&key) {
            return Err(ConnectError::NotAllowed(key));
        }
        let established = self.inner.call(address, Expected::Key(key)).connect().await?;
        established.start(&self.inner.limits, &self.inner.peers).ok_or(ConnectError::NotAllowed(key))
    }

    /// Asks who is at an address, allowed here or not, and whether it would let us in. Without a key, whoever answers.
    ///
    /// # Errors
    /// [`ConnectError`], when nobody shows a key.
    pub async fn probe(&self, address: SocketAddr, key: Option<PublicKey>) -> Result<Answer, ConnectError> {
        self.inner.call(address, key.map_or(Expected::Anyone, Expected::Key)).probe().await
    }

    /// The next node that called and was let in. `None` when the link is closed. Nothing is lost when the future is
    /// dropped.
    pub async fn accept(&self) -> Option<(Session, Inbox)> {
        self.waiting.lock().await.recv().await
    }

    /// Lets a key in from now on.
    pub fn allow(&self, key: PublicKey) {
        self.inner.peers.allow(key);
    }

    /// Lets a key in no more, and closes its connections. False when it was not let in before.
    pub fn revoke(&self, key: &PublicKey) -> bool {
        self.inner.peers.revoke(key)
    }

    /// All allowed peers, connected or not, in the order of their keys.
    #[must_use]
    pub fn peers(&self) -> Vec<PeerReport> {
        self.inner.peers.report()
    }

    /// What was counted of those who called, let in or not.
    #[must_use]
    pub fn door(&self) -> DoorCounts {
        self.inner.peers.door().now()
    }

    /// Closes all connections and waits until the peers were told, or cannot be.
    pub async fn close(&self) {
        self.inner.endpoint.close(Code::Stopping.to_wire(), b"");
        self.inner.endpoint.wait_idle().await;
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.inner.endpoint.close(Code::Stopping.to_wire(), b"");
    }
}

impl Inner {
    fn call(&self, address: SocketAddr, expected: Expected) -> Call<'_> {
        Call {
            endpoint: &self.endpoint,
            identity: &self.identity,
            limits: &self.limits,
            greeting: &self.greeting,
            address,
            expected,
        }
    }

    /// Lets a caller in: handshake, hello, place among its peer's connections. `None` when it ends before that.
    async fn welcome(&self, incoming: quinn::Incoming) -> Option<(Session, Inbox)> {
        let connection = incoming.accept().ok()?.await.ok()?;
        let (mut out, mut from) = connection.accept_bi().await.ok()?;
        let hello = match hello::read(&mut from, self.limits.times.stall).await {
            Ok(hello) => hello,
            Err(_) => {
                connection.close(Code::Malformed.to_wire(), b"");
                return None;
            }
        };
        let key = tls::peer_key(&connection)?;
        let answer = Hello::new(hello.purpose, &self.greeting);
        hello::write(&mut out, &answer, self.limits.times.stall).await.ok()?;
        if hello.purpose == Purpose::Probe || hello.version != LINK_VERSION {
            // The caller has what it wants, or will see that the versions differ.
            connection.closed().await;
            return None;
        }
        let established =
            Established { connection, control: (out, from), key, greeting: hello.greeting, side: Side::Callee };
        established.start(&self.limits, &self.peers)
    }
}

/// Takes calls until the endpoint is closed.
async fn take_calls(inner: Arc<Inner>, ready: mpsc::Sender<(Session, Inbox)>) {
    while let Some(incoming) = inner.endpoint.accept().await {
        let door = inner.peers.door();
        match inner.gate.judge(incoming.remote_address(), incoming.remote_address_validated()) {
            Judgement::Enter(pass) => {
                door.handshakes.add(1);
                tokio::spawn(open_door(inner.clone(), incoming, pass, ready.clone()));
            }
            Judgement::Retry => {
                door.retried.add(1);
                let _ = incoming.retry();
            }
            Judgement::Busy => {
                door.busy.add(1);
                incoming.refuse();
            }
        }
    }
}

async fn open_door(inner: Arc<Inner>, incoming: quinn::Incoming, pass: Pass, ready: mpsc::Sender<(Session, Inbox)>) {
    match timeout(inner.limits.times.handshake, inner.welcome(incoming)).await {
        Ok(Some(session)) => {
            drop(pass);
            let _ = ready.send(session).await;
        }
        Ok(None) | Err(_) => inner.peers.door().failed.add(1),
    }
}

fn endpoint_config(identity: &Identity, seed: Option<[u8; 32]>) -> EndpointConfig {
    let secret = identity.reset_secret();
    let mark = secret.connection_id_mark();
    let mut config = EndpointConfig::new(Arc::new(secret));
    config.cid_generator(move || Box::new(HashedConnectionIdGenerator::from_key(mark))).rng_seed(seed);
    config
}

fn server_config(identity: &Identity, peers: &Arc<Peers>, limits: &Limits) -> quinn::ServerConfig {
    let crypto = tls::server_config(identity, peers).expect("ring has TLS 1.3");
    let crypto = quinn::crypto::rustls::QuicServerConfig::try_from(crypto).expect("TLS 1.3 has a suite for QUIC");
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(crypto));
    config
        .transport_config(transport::config(limits, Side::Callee))
        .migration(false)
        .max_incoming(limits.door.handshakes_max)
        .incoming_buffer_size(limits.door.buffer_bytes_max / limits.door.handshakes_max.max(1) as u64)
        .incoming_buffer_size_total(limits.door.buffer_bytes_max);
    config
}
