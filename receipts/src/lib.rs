//! State roots, receipts, the transparency log and their verification, without I/O, clock or engine.
//!
//! Everything here is a pure function of its arguments, so that a verifier can run it anywhere, a browser included. The
//! node uses the same functions to produce what a stranger uses to check.

#![forbid(unsafe_code)]

pub mod attestation;
pub mod attesters;
pub mod bundle;
pub mod checkpoint;
pub mod command;
pub mod digest;
pub mod evidence;
pub mod few;
pub mod finality;
pub mod genesis;
pub mod ledger;
pub mod log;
pub mod note;
pub mod package;
pub mod projection;
pub mod receipt;
pub mod snapshot;
pub mod system;
pub mod transcript;
pub mod trie;
pub mod trust_policy;
pub mod verdict;
pub mod witness;

pub use attestation::{Attestation, AttestationBody, AttestationError, PublicKey, SigningKey};
pub use attesters::Attesters;
pub use digest::{
    DiffDigest, EngineProfileDigest, ExecutionRoot, InputDigest, LeafHash, LedgerId, LogRoot, OutputDigest,
    PackageDigest, StateRoot,
};
pub use finality::FinalMark;
pub use genesis::Genesis;
pub use ledger::{Executed, Head, Sealed};
pub use note::{NoteKey, NoteSigner};
pub use package::Package;
pub use receipt::{Receipt, StepOutput, StepRecord};
pub use transcript::Transcript;
pub use trie::StateTrie;
pub use verdict::{Divergence, Missing, Verdict};
