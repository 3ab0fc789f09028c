//! Calling another node: to work with it, or to see who is there.

use super::{
    end::{Code, Ended},
    frame::Broken,
    hello::{self, Hello, Purpose},
    limits::{LINK_VERSION, Limits},
    session::Established,
    tls::{self, Expected, Shown},
    transport::Side,
};
use quinn::{RecvStream, SendStream};
use reprise_receipts::PublicKey;
use std::{net::SocketAddr, time::Duration};
use tokio::time::timeout;

/// Why there is no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// The key is not on this node's own list.
    #[error("the key {0} is not allowed on this node: add it to the peers")]
    NotAllowed(PublicKey),
    /// The address cannot be called: port 0, or a family that the socket does not have.
    #[error("{0} cannot be called from this socket")]
    Address(SocketAddr),
    /// This node stops.
    #[error("the link of this node is closed")]
    Closed,
    /// Somebody else is there.
    #[error("the peer has the key {found}, not {expected}")]
    WrongKey {
        /// Whom we called.
        expected: PublicKey,
        /// Who answered.
        found: PublicKey,
    },
    /// Another version of the link.
    #[error("the peer speaks version {0} of the link, this node speaks version {LINK_VERSION}")]
    Version(u16),
    /// The peer's hello did not come in time, or does not decode.
    #[error("the peer gave no proper hello")]
    NoHello,
    /// Nobody answered in time.
    #[error("no answer in {0:?}")]
    NoAnswer(Duration),
    /// The connection ended before the hellos were exchanged.
    #[error("{0}")]
    Ended(Ended),
}

/// What a peer answers to a probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The peer's node key.
    pub key: PublicKey,
    /// The protocol that was agreed on, as in TLS. `None` when it was not.
    pub protocol: Option<String>,
    /// The version in the peer's hello, when it let us in.
    pub version: Result<u16, Refusal>,
    /// Its greeting; empty when it did not let us in.
    pub greeting: Vec<u8>,
    /// The estimate of the round-trip time.
    pub round_trip: Duration,
}

/// A peer is there and does not work with us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(pub ConnectError);

/// A call that this node makes.
pub(super) struct Call<'a> {
    pub(super) endpoint: &'a quinn::Endpoint,
    pub(super) identity: &'a super::identity::Identity,
    pub(super) limits: &'a Limits,
    pub(super) greeting: &'a [u8],
    pub(super) address: SocketAddr,
    pub(super) expected: Expected,
}

impl Call<'_> {
    /// Connects and exchanges hellos.
    pub(super) async fn connect(&self) -> Result<Established, ConnectError> {
        let (connecting, shown) = self.dial()?;
        let attempt = async {
            let connection = connecting.await.map_err(|error| self.failed(&error, &shown))?;
            let (control, hello) = self.exchange(&connection, Purpose::Session).await?;
            let key = tls::peer_key(&connection).ok_or(ConnectError::NoHello)?;
            if hello.version != LINK_VERSION {
                connection.close(Code::Version.to_wire(), b"");
                return Err(ConnectError::Version(hello.version));
            }
            Ok(Established { connection, control, key, greeting: hello.greeting, side: Side::Caller })
        };
        let patience = self.limits.times.handshake;
        timeout(patience, attempt).await.unwrap_or(Err(ConnectError::NoAnswer(patience)))
    }

    /// Asks who is there and whether it would work with us.
    pub(super) async fn probe(&self) -> Result<Answer, ConnectError> {
        let (connecting, shown) = self.dial()?;
        let attempt = async {
            let connection = match connecting.await {
                Ok(connection) => connection,
                Err(error) => {
                    let error = self.failed(&error, &shown);
                    return without_connection(error, &shown);
                }
            };
            let key = tls::peer_key(&connection).ok_or(ConnectError::NoHello)?;
            let exchanged = self.exchange(&connection, Purpose::Probe).await;
            let (version, greeting) = match exchanged {
                Ok((_, hello)) => (Ok(hello.version), hello.greeting),
                Err(error) => (Err(Refusal(error)), Vec::new()),
            };
            let answer =
                Answer { key, protocol: protocol(&connection), version, greeting, round_trip: connection.rtt() };
            connection.close(Code::Done.to_wire(), b"");
            Ok(answer)
        };
        let patience = self.limits.times.handshake;
        timeout(patience, attempt).await.unwrap_or(Err(ConnectError::NoAnswer(patience)))
    }

    fn dial(&self) -> Result<(quinn::Connecting, Shown), ConnectError> {
        let (config, shown) = tls::client_config(self.identity, self.expected).expect("ring has TLS 1.3");
        let crypto = quinn::crypto::rustls::QuicClientConfig::try_from(config).expect("TLS 1.3 has a suite for QUIC");
        let mut config = quinn::ClientConfig::new(std::sync::Arc::new(crypto));
        config.transport_config(super::transport::config(self.limits, Side::Caller));
        match self.endpoint.connect_with(config, self.address, tls::SERVER_NAME) {
            Ok(connecting) => Ok((connecting, shown)),
            Err(quinn::ConnectError::InvalidRemoteAddress(address)) => Err(ConnectError::Address(address)),
            Err(_) => Err(ConnectError::Closed),
        }
    }

    /// Says hello and waits for the answer: only then the peer has let us in.
    async fn exchange(
        &self,
        connection: &quinn::Connection,
        purpose: Purpose,
    ) -> Result<((SendStream, RecvStream), Hello), ConnectError> {
        let stall = self.limits.times.stall;
        let broken = |broken| match (broken, connection.close_reason()) {
            (Broken::Fault(_) | Broken::Finished, _) | (Broken::Gone, None) => ConnectError::NoHello,
            (Broken::Gone, Some(error)) => ConnectError::Ended((&error).into()),
        };
        let opened = connection.open_bi().await;
        let (mut out, mut incoming) = opened.map_err(|error| ConnectError::Ended((&error).into()))?;
        hello::write(&mut out, &Hello::new(purpose, self.greeting), stall).await.map_err(broken)?;
        let hello = hello::read(&mut incoming, stall).await.map_err(broken)?;
        Ok(((out, incoming), hello))
    }

    /// What a failed handshake means.
    fn failed(&self, error: &quinn::ConnectionError, shown: &Shown) -> ConnectError {
        match (self.expected, shown.get()) {
            (Expected::Key(expected), Some(found)) if *found != expected => {
                ConnectError::WrongKey { expected, found: *found }
            }
            _ => ConnectError::Ended(error.into()),
        }
    }
}

/// A peer that showed its key and then broke off has answered, too.
fn without_connection(error: ConnectError, shown: &Shown) -> Result<Answer, ConnectError> {
    let Some(key) = shown.get() else { return Err(error) };
    Ok(Answer {
        key: *key,
        protocol: None,
        version: Err(Refusal(error)),
        greeting: Vec::new(),
        round_trip: Duration::ZERO,
    })
}

fn protocol(connection: &quinn::Connection) -> Option<String> {
    let data = connection.handshake_data()?.downcast::<quinn::crypto::rustls::HandshakeData>().ok()?;
    Some(String::from_utf8_lossy(&data.protocol?).into_owned())
}
