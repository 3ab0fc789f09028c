//! Projections: what a policy's view says of a state, as an artefact with a root of its own.
//!
//! ```text
//! root = derive_key("reprise 2026 projection v1", encoded projection)
//! ```
//!
//! A projection names the state that it is of and everything that it was computed with, so that whoever has the state
//! and the package computes the same bytes. It is never an input: nothing in the state depends on it, and no function
//! takes one and changes a state.

use crate::digest::{LedgerId, PackageDigest, ProjectionRoot, StateRoot, derive};
use reprise_abi::{
    Canonical, CodecError, encode,
    limits::{ANSWER_BYTES_MAX, INPUT_BYTES_MAX, NAME_BYTES_MAX},
};
use serde::{Deserialize, Serialize};

/// Version of the projection format that this code writes.
pub const PROJECTION_FORMAT: u16 = 1;

/// What a view says of a state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Projection {
    /// [`PROJECTION_FORMAT`].
    pub format: u16,
    /// Which ledger.
    pub ledger: LedgerId,
    /// Receipts that lead to the state.
    pub size: u64,
    /// Root of the state.
    pub state_root: StateRoot,
    /// The policy in force, which has the view.
    pub package: PackageDigest,
    /// Which view, 1 to 128 bytes.
    pub view: String,
    /// Its arguments.
    #[serde(with = "serde_bytes")]
    pub args: Vec<u8>,
    /// What it says.
    #[serde(with = "serde_bytes")]
    pub answer: Vec<u8>,
}

/// A projection with its root: what a file holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectionFile {
    /// The projection.
    pub projection: Projection,
    /// Its root.
    pub root: ProjectionRoot,
}

impl Projection {
    /// Its root.
    #[must_use]
    pub fn root(&self) -> ProjectionRoot {
        ProjectionRoot::from_bytes(derive("reprise 2026 projection v1", &encode(self)))
    }

    /// Ready to be written.
    #[must_use]
    pub fn into_file(self) -> ProjectionFile {
        ProjectionFile { root: self.root(), projection: self }
    }
}

fn rule(holds: bool, kind: &'static str, rule: &'static str) -> Result<(), CodecError> {
    if holds { Ok(()) } else { Err(CodecError::Invalid { kind, rule }) }
}

impl Canonical for Projection {
    const KIND: &'static str = "projection";
    const BYTES_MAX: usize = ANSWER_BYTES_MAX + INPUT_BYTES_MAX + NAME_BYTES_MAX + 256;

    fn validate(&self) -> Result<(), CodecError> {
        rule(self.format == PROJECTION_FORMAT, Self::KIND, "the format version is 1")?;
        rule((1..=NAME_BYTES_MAX).contains(&self.view.len()), Self::KIND, "the view's name is 1 to 128 bytes long")?;
        rule(self.args.len() <= INPUT_BYTES_MAX, Self::KIND, "the arguments have at most the bytes of an input")?;
        rule(self.answer.len() <= ANSWER_BYTES_MAX, Self::KIND, "the answer has at most the bytes of a step's")
    }
}

impl Canonical for ProjectionFile {
    const KIND: &'static str = "projection file";
    const BYTES_MAX: usize = Projection::BYTES_MAX + 32;

    fn validate(&self) -> Result<(), CodecError> {
        self.projection.validate()?;
        rule(self.root == self.projection.root(), Self::KIND, "the root is that of the projection")
    }
}
