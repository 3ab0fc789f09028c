//! Inputs, as typed events. The kind of the input names the variant, the payload is its JSON.
//!
//! Ledgers and peers are named by 64 hexadecimal digits: a ledger's id, a peer's node key.

use crate::{
    error::No,
    state::{Divergence, Head, Why},
};
use reprise_guest::{
    abi::{EFFECT_KIND, Rejection, TIMER_KIND},
    rejection::Code,
};
use serde::Deserialize;

/// The kind of the first event, whose payload is [`Init`](crate::params::Init).
pub const INIT: &str = "init";
/// Every kind of input that the policy knows, ascending.
pub const KINDS: [&str; 10] =
    ["evidence", "finding", INIT, "lifted", "pardon", "rejected", EFFECT_KIND, TIMER_KIND, "resume", "suspended"];
/// Letters in the name of a ledger or peer.
pub const NAME_LETTERS: usize = 64;

/// A submitted input after the first.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// This node and a peer differ.
    Finding(Finding),
    /// A ledger does not advance any more.
    Suspended(Suspended),
    /// Something that a peer sent was rejected.
    Rejected(Rejected),
    /// A peer is proved to have signed something wrong.
    Evidence(Evidence),
    /// A suspension is over without this policy: a grant of a higher epoch was the answer to it.
    Lifted(OfLedger),
    /// An operator lifts a suspension.
    Resume(OfLedger),
    /// An operator takes a peer out of quarantine.
    Pardon(OfPeer),
}

/// This node and a peer differ.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// On which ledger.
    pub ledger: String,
    /// To whom.
    pub peer: String,
    /// What it is: see [`divergence`](Self::divergence).
    pub class: String,
    /// First receipt that differs, where there is one.
    #[serde(default)]
    pub at: Option<u64>,
    /// Receipts that one side lacks.
    #[serde(default)]
    pub missing: Option<u64>,
    /// So many receipts are committed, signed or final here.
    pub protected: u64,
    /// The peer owns the ledger in the promised epoch, or a quorum has shown its log.
    pub leads: bool,
    /// The ledger here.
    pub here: Head,
    /// The ledger there, as far as it is known.
    #[serde(default)]
    pub there: Option<Head>,
}

impl Finding {
    /// The difference, by its class. `stale_here`, `stale_there` come with `missing`; `forked`, `equivocation`,
    /// `execution_fault` with `at`; `corrupt_here`, `corrupt_there`, `incomparable` with neither.
    ///
    /// # Errors
    /// [`No::BadFinding`].
    pub fn divergence(&self) -> Result<Divergence, Rejection> {
        let divergence = match (self.class.as_str(), self.at, self.missing) {
            ("stale_here", None, Some(missing)) => Divergence::StaleHere { missing },
            ("stale_there", None, Some(missing)) => Divergence::StaleThere { missing },
            ("forked", Some(at), None) => Divergence::Forked { at },
            ("equivocation", Some(at), None) => Divergence::Equivocation { at },
            ("execution_fault", Some(at), None) => Divergence::ExecutionFault { at },
            ("corrupt_here", None, None) => Divergence::CorruptHere,
            ("corrupt_there", None, None) => Divergence::CorruptThere,
            ("incomparable", None, None) => Divergence::Incomparable,
            (class, ..) => return Err(No::BadFinding.because(class)),
        };
        Ok(divergence)
    }
}

/// A ledger does not advance any more.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suspended {
    /// Which.
    pub ledger: String,
    /// Why: see [`why`](Self::why).
    pub why: String,
    /// Which receipt it is about, where it is about one.
    #[serde(default)]
    pub at: Option<u64>,
}

impl Suspended {
    /// The reason. `contradiction`, `execution_fault` and `equivocation` come with `at`; `corrupt_here`, `incomparable`
    /// and `ordered` without.
    ///
    /// # Errors
    /// [`No::BadReason`].
    pub fn why(&self) -> Result<Why, Rejection> {
        Why::named(&self.why, self.at).ok_or_else(|| No::BadReason.because(&self.why))
    }
}

/// Something that a peer sent was rejected.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rejected {
    /// Who sent it.
    pub peer: String,
    /// Why, for people, at most 64 bytes.
    pub reason: String,
    /// How many objects; more than one where they come quickly.
    pub count: u32,
    /// It could be the fault of this node: it does not count against the peer.
    #[serde(default)]
    pub ours: bool,
}

/// A peer is proved to have signed something wrong.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// About which ledger.
    pub ledger: String,
    /// Whose key it convicts.
    pub peer: String,
    /// First receipt that it is about.
    pub at: u64,
}

/// An event that names a ledger.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OfLedger {
    /// Which.
    pub ledger: String,
}

/// An event that names a peer.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OfPeer {
    /// Which.
    pub peer: String,
}

/// Holds the name of a ledger or peer to its form.
///
/// # Errors
/// [`No::BadName`].
pub fn named(name: &str) -> Result<(), Rejection> {
    let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let holds = name.len() == NAME_LETTERS && name.bytes().all(is_hex);
    if holds { Ok(()) } else { Err(No::BadName.because("64 small hexadecimal digits name a ledger or a peer")) }
}
