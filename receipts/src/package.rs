//! Packages: a policy component with its manifest and its publisher's signature, named by digest.
//!
//! The digest covers the manifest, and the manifest the component, so the name of a package pins every byte that runs.
//! The publisher signs a note over name, version and digest. Signatures are not part of the name: the same package
//! signed twice is the same package.

use crate::{
    attestation::SigningKey,
    digest::{PackageDigest, derive},
    note::{NOTE_BYTES_MAX, NoteError, NoteKey, NoteSigner},
};
use core::fmt;
use reprise_abi::{
    Canonical, CodecError, Description, encode,
    limits::{COMPONENT_BYTES_MAX, NAME_BYTES_MAX},
};
use serde::{Deserialize, Serialize};

/// Version of the package format that this code writes.
pub const PACKAGE_FORMAT: u16 = 1;
/// First line of a publisher's note.
pub const PACKAGE_NOTE_HEADER: &str = "reprise package v1";

/// What a package is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`PACKAGE_FORMAT`].
    pub format: u16,
    /// Key name of the publisher.
    pub publisher: String,
    /// What the component says of itself: admission compares it with the component's own answer.
    pub description: Description,
    /// Digest of the component.
    pub component: [u8; 32],
}

/// A package as a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    /// What it is.
    pub manifest: Manifest,
    /// The component's bytes.
    #[serde(with = "serde_bytes")]
    pub component: Vec<u8>,
    /// The publisher's signed note.
    pub note: String,
}

/// Why a package is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PackageError {
    /// The component is not the one that the manifest names.
    #[error("the component is not the one that the manifest names")]
    Component,
    /// The note does not hold under the publisher's key.
    #[error("publisher's note: {0}")]
    Note(#[from] NoteError),
    /// The note is about something else.
    #[error("the publisher's note is about another package")]
    OtherPackage,
    /// The key is another publisher's.
    #[error("the package is published under another key name")]
    OtherPublisher,
}

/// A version, `MAJOR.MINOR.PATCH`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// Changes when a governed rule changes.
    pub major: u64,
    /// Changes when something is added.
    pub minor: u64,
    /// Changes when something is mended.
    pub patch: u64,
}

/// Why one package may not take over from another.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SuccessorError {
    /// Not `MAJOR.MINOR.PATCH`.
    #[error("a version is MAJOR.MINOR.PATCH")]
    Version,
    /// Another policy.
    #[error("it is another policy")]
    OtherPolicy,
    /// Not a later version.
    #[error("its version is not later")]
    NotLater,
    /// A governed rule changes within one major version.
    #[error("it changes the governed rule `{rule}` without a new major version")]
    HiddenChange {
        /// Name of the rule.
        rule: String,
    },
}

impl Manifest {
    /// The package's name.
    #[must_use]
    pub fn digest(&self) -> PackageDigest {
        PackageDigest::from_bytes(derive("reprise 2026 package v1", &encode(self)))
    }

    fn note_text(&self) -> String {
        let Description { name, version, .. } = &self.description;
        format!("{PACKAGE_NOTE_HEADER}\n{name} {version}\n{}\n", self.digest())
    }

    /// Whether this package may take over from `old`: same policy, later version, and every change of a governed rule
    /// shown by a new major version (U12).
    ///
    /// # Errors
    /// [`SuccessorError`] with the rule that is hidden.
    pub fn check_successor_of(&self, old: &Self) -> Result<(), SuccessorError> {
        let (old, new) = (&old.description, &self.description);
        if old.name != new.name {
            return Err(SuccessorError::OtherPolicy);
        }
        let (from, to) = (old.version.parse::<Version>()?, new.version.parse::<Version>()?);
        if to <= from {
            return Err(SuccessorError::NotLater);
        }
        if to.major > from.major {
            return Ok(());
        }
        let changed = |rule: &&reprise_abi::GovernedRule| !(old.governed.contains(rule) && new.governed.contains(rule));
        match old.governed.iter().chain(&new.governed).find(changed) {
            Some(rule) => Err(SuccessorError::HiddenChange { rule: rule.name.clone() }),
            None => Ok(()),
        }
    }
}

impl Package {
    /// Builds and signs a package.
    ///
    /// # Errors
    /// [`NoteError`]: the publisher's name cannot be a key name.
    pub fn sign(
        description: Description,
        component: Vec<u8>,
        publisher: &str,
        key: &SigningKey,
    ) -> Result<Self, NoteError> {
        let component_digest = component_digest(&component);
        let publisher_name = publisher.to_owned();
        let manifest =
            Manifest { format: PACKAGE_FORMAT, publisher: publisher_name, description, component: component_digest };
        let note = NoteSigner::new(publisher, key).sign_note(&manifest.note_text())?;
        Ok(Self { manifest, component, note })
    }

    /// The component is the one that the manifest names, and the note is the publisher's and about this package.
    ///
    /// # Errors
    /// [`PackageError`].
    pub fn verify(&self, publisher: &NoteKey) -> Result<(), PackageError> {
        self.verify_component()?;
        if self.manifest.publisher != publisher.name() {
            return Err(PackageError::OtherPublisher);
        }
        let text = publisher.open(&self.note)?;
        if text == self.manifest.note_text() { Ok(()) } else { Err(PackageError::OtherPackage) }
    }

    /// The component is the one that the manifest names.
    ///
    /// # Errors
    /// [`PackageError::Component`].
    pub fn verify_component(&self) -> Result<(), PackageError> {
        let same = self.manifest.component == component_digest(&self.component);
        if same { Ok(()) } else { Err(PackageError::Component) }
    }
}

/// Digest of a component's bytes, as manifests name it.
#[must_use]
pub fn component_digest(component: &[u8]) -> [u8; 32] {
    derive("reprise 2026 component v1", component)
}

impl core::str::FromStr for Version {
    type Err = SuccessorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split('.').map(|part| {
            let canonical = part == "0" || (!part.starts_with('0') && part.bytes().all(|b| b.is_ascii_digit()));
            if canonical { part.parse().map_err(|_| SuccessorError::Version) } else { Err(SuccessorError::Version) }
        });
        let mut next = || parts.next().unwrap_or(Err(SuccessorError::Version));
        let version = Self { major: next()?, minor: next()?, patch: next()? };
        if parts.next().is_none() { Ok(version) } else { Err(SuccessorError::Version) }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl Canonical for Manifest {
    const KIND: &'static str = "package manifest";
    const BYTES_MAX: usize = Description::BYTES_MAX + NAME_BYTES_MAX + 64;

    fn validate(&self) -> Result<(), CodecError> {
        self.description.validate()?;
        let rule = |holds, rule| if holds { Ok(()) } else { Err(CodecError::Invalid { kind: Self::KIND, rule }) };
        rule(self.format == PACKAGE_FORMAT, "the format version is 1")?;
        rule(self.publisher.len() <= NAME_BYTES_MAX, "the publisher's name is at most 128 bytes long")?;
        rule(self.description.version.parse::<Version>().is_ok(), "the version is MAJOR.MINOR.PATCH")
    }
}

impl Canonical for Package {
    const KIND: &'static str = "package";
    const BYTES_MAX: usize = Manifest::BYTES_MAX + COMPONENT_BYTES_MAX + NOTE_BYTES_MAX + 64;

    fn validate(&self) -> Result<(), CodecError> {
        self.manifest.validate()?;
        let rule = |holds, rule| if holds { Ok(()) } else { Err(CodecError::Invalid { kind: Self::KIND, rule }) };
        rule(self.component.len() <= COMPONENT_BYTES_MAX, "the component is at most 4 MiB long")?;
        rule(self.note.len() <= NOTE_BYTES_MAX, "the note is at most 4 KiB long")
    }
}

#[cfg(test)]
mod tests;
