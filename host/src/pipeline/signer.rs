//! Who signs what a pipeline makes, and from when on a checkpoint may be signed.
//!
//! An attestation names the epoch of its receipt, so that it can be told apart from one over what took the receipt's place
//! under a later owner. A checkpoint does not: two of one size over two logs are a fork, whoever looks at them. So what may
//! still be taken back gets none.

use reprise_receipts::SigningKey;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// The attester's key, and how far checkpoints may go.
#[derive(Clone)]
pub struct Signer {
    pub(crate) key: Arc<SigningKey>,
    pub(crate) stays: Stays,
}

/// How many receipts of a ledger stay, whatever becomes of this node. Whoever hears of the other members raises it.
#[derive(Clone, Debug)]
pub struct Stays(Arc<AtomicU64>);

impl Signer {
    /// Signs checkpoints of what stays only.
    #[must_use]
    pub fn of_what(stays: Stays, key: Arc<SigningKey>) -> Self {
        Self { key, stays }
    }
}

/// Of a ledger that nobody else can take back.
impl From<Arc<SigningKey>> for Signer {
    fn from(key: Arc<SigningKey>) -> Self {
        Self { key, stays: Stays(Arc::new(AtomicU64::new(u64::MAX))) }
    }
}

impl Stays {
    /// Nothing, as far as is known.
    #[must_use]
    pub fn nothing() -> Self {
        Self(Arc::default())
    }

    /// So many receipts stay. It never becomes less.
    pub fn raise(&self, size: u64) {
        self.0.fetch_max(size, Ordering::AcqRel);
    }

    /// How many.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}
