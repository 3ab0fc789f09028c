//! Bundles: one portable file for a range of a ledger, a checkpoint, or a replay, that a stranger can check.
//!
//! ```text
//! file    = "reprise bundle\n", version u16, header, item*, trailer
//! header  = length u32, encoded BundleHeader
//! item    = section u8, length u32, that many bytes
//! trailer = 0x00, derive_key("reprise 2026 bundle v1", everything before the digest)
//! ```
//!
//! Integers are little-endian. Sections come in the order of their numbers, each with as many items as the header says;
//! receipts, inputs, records and attestations take turns, step by step. There is no compression: nothing in a file is
//! larger than it looks.
//!
//! | module | what it does |
//! | --- | --- |
//! | `frame` | bytes to items and back: order, counts, bounds, digest ([`BundleWriter`], [`BundleReader`]) |
//! | `check` | items to a claim that holds: chain, signatures, starting point ([`BundleCheck`]) |
//! | `edge` | the log before a range, as a few hashes ([`LogEdge`]) |
//! | `mark` | what members of the ledger have made final ([`BundleMark`]) |
//!
//! Both directions are state machines over byte slices. The memory of a reader is one item, and it grows with the bytes
//! that have come, never with what a length promises.

mod check;
mod edge;
mod error;
mod frame;
mod header;
mod mark;

pub(crate) use self::check::{skim, witnessed_state};
pub use self::{
    check::{BundleCheck, BundleStep, Checked, Trust},
    edge::LogEdge,
    error::{BundleError, Place},
    frame::{BundleReader, BundleWriter, Piece},
    header::{BundleHeader, BundleKind, Section},
    mark::BundleMark,
};

use crate::{digest::derive_hasher, package::Package, receipt::StepRecord};
use reprise_abi::Canonical as _;

/// First bytes of every bundle.
pub const BUNDLE_MAGIC: &[u8; 15] = b"reprise bundle\n";
/// Version of the bundle format that this code writes.
pub const BUNDLE_VERSION: u16 = 3;
/// The version before: nothing in it is about what is final.
const BUNDLE_VERSION_BEFORE_MARKS: u16 = 2;
/// The oldest version that it reads: its headers have no grants either.
pub const BUNDLE_VERSION_OLDEST: u16 = 1;
/// Most grants of a bundle: the epochs that commands began in its ledger.
pub const BUNDLE_GRANTS_MAX: usize = 256;
/// Most packages of a bundle.
pub const BUNDLE_PACKAGES_MAX: u64 = 64;
/// Most bytes of the packages of a bundle together. A verifier keeps them until they are needed.
pub const BUNDLE_PACKAGES_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Longest text of an engine profile, in bytes.
pub const PROFILE_BYTES_MAX: usize = 64 * 1024;
/// Longest ancestry in a bundle, in bytes: 65,536 digests, or fewer records.
pub const BUNDLE_ANCESTRY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Longest witness in a bundle, in bytes. A range that touches more takes a snapshot.
pub const BUNDLE_WITNESS_BYTES_MAX: usize = 12 * 1024 * 1024;
/// Longest step record in a bundle, in bytes: more than the limits of a step let one be.
pub const BUNDLE_RECORD_BYTES_MAX: usize = 27 * 1024 * 1024;

const _: () =
    assert!(BUNDLE_RECORD_BYTES_MAX <= StepRecord::BYTES_MAX && Package::BYTES_MAX <= BUNDLE_PACKAGES_BYTES_MAX);
