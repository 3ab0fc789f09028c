//! Who is let in: TLS 1.3 with raw Ed25519 keys both ways.
//!
//! A key is judged inside the handshake, so whoever is not allowed never gets a stream. Nothing is remembered between
//! connections: a resumed session would skip the judgement, and let a revoked key in again.

use super::{identity::Identity, identity::parse_spki, limits::ALPN, peers::Peers};
use reprise_receipts::PublicKey;
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, SignatureScheme,
    client::{
        self,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, verify_tls13_signature_with_raw_key},
    pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime},
    server::{
        self,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};
use std::sync::{Arc, OnceLock, Weak};

/// The name in the handshake. Nobody looks at it: keys are what counts.
pub(super) const SERVER_NAME: &str = "reprise.invalid";

/// Whom a caller expects to find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    /// This node and no other.
    Key(PublicKey),
    /// Whoever answers. Only for asking who that is.
    Anyone,
}

/// What the handshake showed so far: there also when it failed.
pub(super) type Shown = Arc<OnceLock<PublicKey>>;

/// Settings for connections from others.
pub(super) fn server_config(own: &Identity, peers: &Arc<Peers>) -> Result<rustls::ServerConfig, rustls::Error> {
    let provider = provider();
    let verifier = Arc::new(Door { peers: Arc::downgrade(peers), provider: provider.clone() });
    let resolver = Arc::new(server::AlwaysResolvesServerRawPublicKeys::new(own.certified()));
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(resolver);
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(server::NoServerSessionStorage {});
    Ok(config)
}

/// Settings for one connection to another.
pub(super) fn client_config(
    own: &Identity,
    expected: Expected,
) -> Result<(rustls::ClientConfig, Shown), rustls::Error> {
    let provider = provider();
    let shown = Shown::default();
    let verifier = Arc::new(Callee { expected, shown: shown.clone(), provider: provider.clone() });
    let resolver = Arc::new(client::AlwaysResolvesClientRawPublicKeys::new(own.certified()));
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_client_cert_resolver(resolver);
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.resumption = client::Resumption::disabled();
    Ok((config, shown))
}

/// The key of the other side of an established connection.
pub(super) fn peer_key(connection: &quinn::Connection) -> Option<PublicKey> {
    let certificates = connection.peer_identity()?.downcast::<Vec<CertificateDer<'static>>>().ok()?;
    parse_spki(certificates.first()?)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn refused() -> rustls::Error {
    rustls::Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure)
}

fn signature_holds(
    message: &[u8],
    key: &CertificateDer<'_>,
    signature: &DigitallySignedStruct,
    provider: &CryptoProvider,
) -> Result<HandshakeSignatureValid, rustls::Error> {
    let key = SubjectPublicKeyInfoDer::from(key.as_ref());
    verify_tls13_signature_with_raw_key(message, &key, signature, &provider.signature_verification_algorithms)
}

/// Judges those who call: their key must be on the list at this moment.
#[derive(Debug)]
struct Door {
    /// Weak, because connections hold their configuration, and the peers hold the connections.
    peers: Weak<Peers>,
    provider: Arc<CryptoProvider>,
}

/// Judges who was called.
#[derive(Debug)]
struct Callee {
    expected: Expected,
    shown: Shown,
    provider: Arc<CryptoProvider>,
}

/// What both judges have in common.
macro_rules! raw_ed25519_over_tls13 {
    () => {
        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, rustls::Error> {
            Err(refused())
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            key: &CertificateDer<'_>,
            signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, rustls::Error> {
            signature_holds(message, key, signature, &self.provider)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            vec![SignatureScheme::ED25519]
        }

        fn requires_raw_public_keys(&self) -> bool {
            true
        }
    };
}

impl ClientCertVerifier for Door {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        key: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let peers = self.peers.upgrade().ok_or_else(refused)?;
        match parse_spki(key) {
            Some(key) if peers.is_allowed(&key) => Ok(ClientCertVerified::assertion()),
            _ => {
                peers.door().unknown_keys.add(1);
                Err(refused())
            }
        }
    }

    raw_ed25519_over_tls13!();
}

impl ServerCertVerifier for Callee {
    fn verify_server_cert(
        &self,
        key: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let key = parse_spki(key).ok_or_else(refused)?;
        self.shown.get_or_init(|| key);
        match self.expected {
            Expected::Key(expected) if expected != key => Err(refused()),
            Expected::Key(_) | Expected::Anyone => Ok(ServerCertVerified::assertion()),
        }
    }

    raw_ed25519_over_tls13!();
}
