//! A QUIC client that keeps to no rule but those of QUIC: what a hostile node would run.

use crate::support::loopback;
use quinn::{
    AsyncUdpSocket, Connection, EndpointConfig, RecvStream, Runtime, SendStream, TokioRuntime,
    rustls::{
        self, DigitallySignedStruct, SignatureScheme,
        client::{
            AlwaysResolvesClientRawPublicKeys,
            danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        },
        pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime},
        sign::CertifiedKey,
    },
};
use std::{net::SocketAddr, sync::Arc};

/// A client with the key of node `no`.
pub struct Raw {
    endpoint: quinn::Endpoint,
}

impl Raw {
    /// From 127.0.0.`host`, with this protocol name; with none when it is empty.
    pub fn new(no: u8, host: u8, alpn: &[u8]) -> Self {
        let socket = std::net::UdpSocket::bind(loopback(host, 0)).unwrap();
        Self::over(TokioRuntime.wrap_udp_socket(socket).unwrap(), no, alpn)
    }

    /// Over any socket.
    pub fn over(socket: Arc<dyn AsyncUdpSocket>, no: u8, alpn: &[u8]) -> Self {
        let runtime = Arc::new(TokioRuntime);
        let endpoint = quinn::Endpoint::new_with_abstract_socket(EndpointConfig::default(), None, socket, runtime);
        let mut endpoint = endpoint.unwrap();
        endpoint.set_default_client_config(client_config(no, alpn));
        Self { endpoint }
    }

    /// Begins a handshake.
    pub fn dial(&self, address: SocketAddr) -> quinn::Connecting {
        self.endpoint.connect(address, "raw.invalid").unwrap()
    }

    /// Finishes a handshake. The other side may not have judged the key yet.
    pub async fn connect(&self, address: SocketAddr) -> Connection {
        self.dial(address).await.unwrap()
    }

    /// A connection with a proper hello, which the other side has answered.
    pub async fn greet(&self, address: SocketAddr) -> (Connection, SendStream, RecvStream) {
        let connection = self.connect(address).await;
        let (mut out, mut incoming) = connection.open_bi().await.unwrap();
        // Length 3, then version 1, a session, no greeting.
        out.write_all(&[3, 0, 0, 0, 1, 0, 0]).await.unwrap();
        let mut length = [0; 4];
        incoming.read_exact(&mut length).await.unwrap();
        let mut hello = vec![0; u32::from_le_bytes(length) as usize];
        incoming.read_exact(&mut hello).await.unwrap();
        assert_eq!(hello[..2], [1, 0], "version 1, a session");
        (connection, out, incoming)
    }
}

/// The code that the other side closed a connection with.
pub async fn closed_with(connection: &Connection) -> u64 {
    match connection.closed().await {
        quinn::ConnectionError::ApplicationClosed(close) => close.error_code.into_inner(),
        other => panic!("closed without a code: {other}"),
    }
}

fn client_config(no: u8, alpn: &[u8]) -> quinn::ClientConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider.clone());
    let mut config = builder
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody))
        .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(certified(no, &provider))));
    config.alpn_protocols = Some(alpn.to_vec()).filter(|name| !name.is_empty()).into_iter().collect();
    let crypto = quinn::crypto::rustls::QuicClientConfig::try_from(config).unwrap();
    quinn::ClientConfig::new(Arc::new(crypto))
}

/// The key of node `no`, by way of ring and PKCS #8 (RFC 8410): not the way that the link takes.
fn certified(no: u8, provider: &rustls::crypto::CryptoProvider) -> Arc<CertifiedKey> {
    let head = [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
    let secret = [head.as_slice(), &[no; 32]].concat();
    let secret = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(secret));
    let key = provider.key_provider.load_private_key(secret).unwrap();
    let spki = key.public_key().unwrap().to_vec();
    Arc::new(CertifiedKey::new(vec![CertificateDer::from(spki)], key))
}

/// Takes whoever answers.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}
