//! Verdicts: match, divergent at this step and key, or incomparable because this is missing.
//!
//! [`check_step`] takes what somebody claims of one step, does the step again through the same [`Head::seal`] that made
//! it, and compares. The order of its questions decides which record is blamed: first whether the receipt belongs here
//! (chain), then whether the material beside it is what the receipt names (input, diff, output), and only then whether
//! the claim itself is true (roots, outcome, fuel).

use crate::{
    digest::{DiffDigest, EngineProfileDigest, InputDigest, OutputDigest, PackageDigest, StateRoot},
    ledger::{Executed, Head, Sealed, Work},
    receipt::{Receipt, StepRecord},
};
use reprise_abi::{Change, Diff, Input, decode_canonical, encode};
use std::collections::BTreeMap;
use std::fmt;

/// Most keys that a divergence lists.
pub const LISTED_KEYS_MAX: usize = 16;

/// What came out of a verification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every step of the range gives what its receipt says.
    Match(Range),
    /// Some record is not what it should be: this is the first one.
    Divergent(Box<Divergence>),
    /// Something is missing that the answer depends on.
    Incomparable(Missing),
}

/// Receipts that were verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// First sequence number.
    pub from: u64,
    /// First sequence number that is not in the range.
    pub to: u64,
    /// State root at the end.
    pub state_root: StateRoot,
    /// The last receipt that an attestation covers.
    pub attested: Option<u64>,
}

/// The first record that is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Divergence {
    /// Which step.
    pub seq: u64,
    /// Which record or claim.
    pub what: Claim,
    /// What verification gives.
    pub expected: String,
    /// What the record says.
    pub found: String,
    /// Keys whose value differs, when the claim is about state; at most [`LISTED_KEYS_MAX`].
    pub keys: Vec<KeyDifference>,
}

/// One key with two values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyDifference {
    /// The state key, namespace byte included.
    pub key: Vec<u8>,
    /// What verification gives.
    pub expected: Option<Vec<u8>>,
    /// What the record says.
    pub found: Option<Vec<u8>>,
}

/// Which record or claim diverges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Claim {
    /// The receipt does not decode.
    ReceiptBytes,
    /// The receipt is not the next one of this ledger.
    Chain,
    /// The input is not the one that the receipt names.
    Input,
    /// The input breaks a rule of order.
    Order,
    /// The stored diff is not the one that the receipt names.
    StoredDiff,
    /// The stored output is not the one that the receipt names.
    StoredOutput,
    /// State root before the step.
    PriorState,
    /// Outcome class or code.
    Outcome,
    /// Diff of the step.
    Diff,
    /// State root after the step.
    NextState,
    /// Execution root.
    Execution,
    /// Output of the step.
    Output,
    /// Fuel charged.
    Fuel,
    /// Another field of the receipt.
    Receipt,
    /// A node of the log.
    LogNode,
    /// An attestation.
    Attestation,
    /// The stored state is not what the receipts lead to.
    StoredState,
    /// A record of a step that has no receipt.
    Stray,
    /// The log is not the one that members have made final.
    FinalMark,
}

impl Claim {
    /// Its name in tables and documents.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ReceiptBytes => "receipt record",
            Self::Chain => "chain",
            Self::Input => "input record",
            Self::Order => "order",
            Self::StoredDiff => "diff record",
            Self::StoredOutput => "output record",
            Self::PriorState => "prior state root",
            Self::Outcome => "outcome",
            Self::Diff => "diff",
            Self::NextState => "next state root",
            Self::Execution => "execution root",
            Self::Output => "output",
            Self::Fuel => "fuel",
            Self::Receipt => "receipt",
            Self::LogNode => "log node record",
            Self::Attestation => "attestation record",
            Self::StoredState => "state record",
            Self::Stray => "stray record",
            Self::FinalMark => "final mark",
        }
    }
}

/// What is missing for an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Missing {
    /// The package that the receipt names.
    Package {
        /// First step that needs it.
        seq: u64,
        /// Which.
        package: PackageDigest,
    },
    /// The engine that the receipt names.
    EngineProfile {
        /// First step that needs it.
        seq: u64,
        /// Which.
        needed: EngineProfileDigest,
        /// The one at hand.
        at_hand: EngineProfileDigest,
    },
    /// A record of the range.
    Record {
        /// Which kind.
        kind: &'static str,
        /// Of which step.
        seq: u64,
    },
    /// The native form of the policy.
    NativePolicy {
        /// First step that needs it.
        seq: u64,
        /// Which package.
        package: PackageDigest,
    },
    /// A signature over the last receipts.
    Attestation {
        /// First receipt that no attestation covers.
        seq: u64,
    },
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Package { seq, package } => write!(f, "package {package}, which receipt {seq} was made with"),
            Self::EngineProfile { seq, needed, at_hand } => {
                write!(f, "engine profile {needed}, which receipt {seq} was made with; at hand is {at_hand}")
            }
            Self::Record { kind, seq } => write!(f, "{kind} of sequence number {seq}"),
            Self::NativePolicy { seq, package } => {
                write!(f, "a native form of package {package}, which receipt {seq} was made with")
            }
            Self::Attestation { seq } => write!(f, "an attestation over receipt {seq} or a later one"),
        }
    }
}

/// What somebody claims of one step.
#[derive(Clone, Copy, Debug)]
pub struct Material<'a> {
    /// Which step.
    pub seq: u64,
    /// Encoded input.
    pub input: &'a [u8],
    /// Encoded receipt.
    pub receipt: &'a [u8],
    /// Encoded step record.
    pub record: &'a [u8],
}

/// A claim that was held against its material, before anything is executed.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// The receipt.
    pub receipt: Receipt,
    /// The input that it names.
    pub input: Input,
    /// Diff and output that it names.
    pub record: StepRecord,
}

impl Material<'_> {
    /// Decodes the material and holds it against the receipt.
    ///
    /// # Errors
    /// The [`Divergence`] that names the first record that is not what it should be.
    pub fn open(&self, head: &Head) -> Result<Claimed, Box<Divergence>> {
        let receipt: Receipt =
            decode_canonical(self.receipt).map_err(|e| self.diverges(Claim::ReceiptBytes, "a receipt", e))?;
        self.check_chain(head, &receipt)?;
        self.same(Claim::Input, InputDigest::of(self.input), receipt.input)?;
        let input = decode_canonical(self.input).map_err(|e| self.diverges(Claim::Input, "an input", e))?;
        let record = self.open_record(&receipt)?;
        Ok(Claimed { receipt, input, record })
    }

    fn check_chain(&self, head: &Head, receipt: &Receipt) -> Result<(), Box<Divergence>> {
        self.same(Claim::Chain, head.ledger(), receipt.ledger)?;
        if receipt.seq != head.next_seq() {
            return Err(self.diverges(Claim::Chain, head.next_seq(), receipt.seq));
        }
        self.same(Claim::Chain, head.previous(), receipt.previous)
    }

    fn open_record(&self, receipt: &Receipt) -> Result<StepRecord, Box<Divergence>> {
        let record: StepRecord =
            decode_canonical(self.record).map_err(|e| self.diverges(Claim::StoredDiff, "a step record", e))?;
        self.same(Claim::StoredDiff, receipt.diff, DiffDigest::of(&encode(&record.diff)))?;
        self.same(Claim::StoredOutput, receipt.output, OutputDigest::of(&encode(&record.output)))?;
        Ok(record)
    }

    fn same<T: PartialEq + fmt::Display>(&self, what: Claim, expected: T, found: T) -> Result<(), Box<Divergence>> {
        if expected == found { Ok(()) } else { Err(self.diverges(what, expected, found)) }
    }

    fn diverges(&self, what: Claim, expected: impl fmt::Display, found: impl fmt::Display) -> Box<Divergence> {
        Box::new(Divergence {
            seq: self.seq,
            what,
            expected: expected.to_string(),
            found: found.to_string(),
            keys: Vec::new(),
        })
    }
}

impl Claimed {
    /// Whether the input may be the next one, and what must be executed for it.
    ///
    /// # Errors
    /// The [`Divergence`] that says which rule of order is broken.
    pub fn work(&self, head: &Head) -> Result<Work, Box<Divergence>> {
        head.prepare(&self.input).map_err(|error| {
            Box::new(Divergence {
                seq: self.receipt.seq,
                what: Claim::Order,
                expected: "an input that may be the next one".to_owned(),
                found: error.to_string(),
                keys: Vec::new(),
            })
        })
    }

    /// Seals what was executed, and compares the receipt that comes out with the one that is claimed.
    ///
    /// Native execution has no fuel: give `fuel_counts` as false, and the claimed fuel is taken over unseen.
    ///
    /// # Errors
    /// The [`Divergence`] with the first root or field that differs, and the keys.
    pub fn check(
        &self,
        head: &mut Head,
        work: &Work,
        mut executed: Executed,
        fuel_counts: bool,
    ) -> Result<Sealed, Box<Divergence>> {
        if !fuel_counts {
            executed.fuel = self.receipt.fuel;
        }
        let sealed = head.seal(&self.input, work, executed);
        if sealed.receipt == self.receipt { Ok(sealed) } else { Err(self.first_difference(&sealed)) }
    }

    fn first_difference(&self, sealed: &Sealed) -> Box<Divergence> {
        let (mine, theirs) = (&sealed.receipt, &self.receipt);
        let outcome = |r: &Receipt| format!("{} ({})", r.class.name(), r.code);
        let claims = [
            (Claim::PriorState, mine.prior_state.to_string(), theirs.prior_state.to_string()),
            (Claim::Outcome, outcome(mine), outcome(theirs)),
            (Claim::Diff, mine.diff.to_string(), theirs.diff.to_string()),
            (Claim::NextState, mine.next_state.to_string(), theirs.next_state.to_string()),
            (Claim::Execution, mine.execution.to_string(), theirs.execution.to_string()),
            (Claim::Output, mine.output.to_string(), theirs.output.to_string()),
            (Claim::Fuel, mine.fuel.to_string(), theirs.fuel.to_string()),
            (Claim::Receipt, format!("{mine:?}"), format!("{theirs:?}")),
        ];
        let first = claims.into_iter().find(|(_, expected, found)| expected != found);
        let (what, expected, found) = first.expect("two receipts that differ differ in some field");
        let keys = key_differences(&sealed.record.diff, &self.record.diff);
        Box::new(Divergence { seq: theirs.seq, what, expected, found, keys })
    }
}

/// Keys that two diffs leave with different values, in key order, at most [`LISTED_KEYS_MAX`].
#[must_use]
pub fn key_differences(expected: &Diff, found: &Diff) -> Vec<KeyDifference> {
    let mut keys: BTreeMap<&[u8], [Option<&Change>; 2]> = BTreeMap::new();
    for change in expected.changes() {
        keys.entry(&change.key).or_default()[0] = Some(change);
    }
    for change in found.changes() {
        keys.entry(&change.key).or_default()[1] = Some(change);
    }
    let value = |side: Option<&Change>, other: Option<&Change>| match (side, other) {
        (Some(change), _) => change.after.clone(),
        (None, Some(other)) => other.before.clone(),
        (None, None) => None,
    };
    keys.into_iter()
        .map(|(key, [mine, theirs])| KeyDifference {
            key: key.to_vec(),
            expected: value(mine, theirs),
            found: value(theirs, mine),
        })
        .filter(|difference| difference.expected != difference.found)
        .take(LISTED_KEYS_MAX)
        .collect()
}
