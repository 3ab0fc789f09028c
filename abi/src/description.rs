//! What a policy says of itself.

use crate::{
    codec::{Canonical, CodecError, require},
    limits::{DESCRIPTION_ITEMS_MAX, NAME_BYTES_MAX},
};
use alloc::{string::String, vec::Vec};
use serde::{Deserialize, Serialize};

/// A rejection code and its stable name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RejectionCode {
    /// The code in receipts.
    pub code: u32,
    /// The name in documents and tables.
    pub name: String,
}

/// A rule whose change needs a new major version of the package (U12: lease and restart policy).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct GovernedRule {
    /// Which rule.
    pub name: String,
    /// Digest of the rule's content.
    pub digest: [u8; 32],
}

/// Name, version and vocabulary of a policy. All lists are strictly ascending.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// Name of the policy.
    pub name: String,
    /// Its version, `MAJOR.MINOR.PATCH`.
    pub version: String,
    /// Kinds of input it knows.
    pub input_kinds: Vec<String>,
    /// Views it offers.
    pub views: Vec<String>,
    /// Codes it rejects with.
    pub rejections: Vec<RejectionCode>,
    /// Rules it may change only with a new major version.
    pub governed: Vec<GovernedRule>,
}

impl Canonical for Description {
    const KIND: &'static str = "description";
    const BYTES_MAX: usize = 4 * DESCRIPTION_ITEMS_MAX * (NAME_BYTES_MAX + 40);

    fn validate(&self) -> Result<(), CodecError> {
        let name_ok = |n: &String| !n.is_empty() && n.len() <= NAME_BYTES_MAX;
        let names_ok = name_ok(&self.name)
            && name_ok(&self.version)
            && self.input_kinds.iter().all(name_ok)
            && self.views.iter().all(name_ok)
            && self.rejections.iter().all(|r| name_ok(&r.name))
            && self.governed.iter().all(|g| name_ok(&g.name));
        require(names_ok, Self::KIND, "names are 1 to 128 bytes long")?;
        let sorted = self.input_kinds.is_sorted_by(|a, b| a < b)
            && self.views.is_sorted_by(|a, b| a < b)
            && self.rejections.is_sorted_by(|a, b| a.code < b.code)
            && self.governed.is_sorted_by(|a, b| a.name < b.name);
        require(sorted, Self::KIND, "lists ascend strictly")?;
        let lists = [self.input_kinds.len(), self.views.len(), self.rejections.len(), self.governed.len()];
        require(lists.iter().all(|n| *n <= DESCRIPTION_ITEMS_MAX), Self::KIND, "lists have at most 256 items")
    }
}
