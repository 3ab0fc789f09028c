//! The node key as TLS sees it (RFC 7250 with the Ed25519 of RFC 8410), and what else is derived from it.
//!
//! A node that starts again must be able to tell its old peers that it knows nothing of their connections (RFC 9000,
//! 10.3): otherwise they find out only when those have been idle for too long. So the key of such resets, and the mark by
//! which a connection id is known as one of ours, do not change from one start to the next.

use quinn::crypto;
use reprise_receipts::{PublicKey, SigningKey};
use rustls::{
    SignatureAlgorithm, SignatureScheme,
    pki_types::{CertificateDer, SubjectPublicKeyInfoDer},
    sign,
};
use std::sync::Arc;

/// What comes before the 32 bytes of the key: a sequence of the algorithm 1.3.101.112 and a bit string (RFC 8410, 4).
const SPKI_HEAD: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
const RESET_DOMAIN: &[u8] = b"reprise link reset key v1\n";
const CONNECTION_ID_CONTEXT: &str = "reprise link 2026-11 connection ids v1";

/// A node's key, shared by all its connections.
#[derive(Clone, Debug)]
pub(super) struct Identity(Arc<SigningKey>);

impl Identity {
    pub(super) fn new(key: Arc<SigningKey>) -> Self {
        Self(key)
    }

    pub(super) fn public(&self) -> PublicKey {
        self.0.public()
    }

    /// The key in the place where TLS has a certificate.
    pub(super) fn certified(&self) -> Arc<sign::CertifiedKey> {
        let certificate = CertificateDer::from(spki(&self.public()));
        Arc::new(sign::CertifiedKey::new(vec![certificate], Arc::new(self.clone())))
    }

    /// A secret that only the holder of the node key can derive. The signature it comes from is never shown.
    pub(super) fn reset_secret(&self) -> ResetSecret {
        ResetSecret(*blake3::hash(&self.0.sign(RESET_DOMAIN)).as_bytes())
    }
}

/// The key of a node in the form that TLS carries.
pub(super) fn spki(key: &PublicKey) -> Vec<u8> {
    [SPKI_HEAD.as_slice(), key.as_bytes()].concat()
}

/// The key in what a peer showed. `None` for every other form, other algorithms and weak keys.
pub(super) fn parse_spki(bytes: &[u8]) -> Option<PublicKey> {
    let key = bytes.strip_prefix(&SPKI_HEAD)?;
    PublicKey::from_bytes(key.try_into().ok()?).ok()
}

impl sign::SigningKey for Identity {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn sign::Signer>> {
        offered.contains(&SignatureScheme::ED25519).then(|| Box::new(self.clone()) as Box<dyn sign::Signer>)
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        Some(SubjectPublicKeyInfoDer::from(spki(&self.public())))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ED25519
    }
}

impl sign::Signer for Identity {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        Ok(self.0.sign(message).to_vec())
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ED25519
    }
}

/// The key of stateless resets.
#[derive(Clone)]
pub(super) struct ResetSecret([u8; 32]);

impl ResetSecret {
    /// What marks connection ids as ours, so that noise is cheap to tell from packets of an earlier start.
    pub(super) fn connection_id_mark(&self) -> u64 {
        let derived = blake3::derive_key(CONNECTION_ID_CONTEXT, &self.0);
        u64::from_le_bytes(derived[..8].try_into().expect("8 of 32 bytes"))
    }
}

impl crypto::HmacKey for ResetSecret {
    fn sign(&self, data: &[u8], signature_out: &mut [u8]) {
        signature_out.copy_from_slice(blake3::keyed_hash(&self.0, data).as_bytes());
    }

    fn signature_len(&self) -> usize {
        blake3::OUT_LEN
    }

    fn verify(&self, data: &[u8], signature: &[u8]) -> Result<(), crypto::CryptoError> {
        let signature: [u8; blake3::OUT_LEN] = signature.try_into().map_err(|_| crypto::CryptoError)?;
        // `blake3::Hash` compares in constant time.
        if blake3::keyed_hash(&self.0, data) == signature { Ok(()) } else { Err(crypto::CryptoError) }
    }
}
