//! The doctor: looks at every record of a node, and repairs what other material proves.
//!
//! Nothing is believed because it can be read. A receipt is held against whoever names its leaf hash (the next receipt,
//! the log, an attestation), an input and a step record against the receipt, tiles, checkpoints and the stored state
//! against what the receipts lead to, packages and genesis records against their own digests, and whatever nobody names
//! against the digest that it carries.
//!
//! | record | what proves a repair |
//! | --- | --- |
//! | receipt | doing the step again, or the one byte whose change gives the leaf hash that others name |
//! | step record | doing the step again, or the one byte that gives the digests in the receipt |
//! | input, genesis record, what carries its own digest | the one byte that gives the digest |
//! | a row that overlaps the one before it | its steps are the same as those there |
//! | lengths of a row | the one byte for which the steps of the row decode and fit their receipts |
//! | log tile, stored state, its count, checkpoint record, chunk | they follow from receipts and step records |
//! | attestation, checkpoint note | the same key signs the same bytes again, if it is this node's |
//! | package | a copy elsewhere |
//! | anything | a copy in another journal that has the digest which is asked for |
//!
//! What is replaced goes to quarantine first. What cannot be proved stays as it is and is reported.

mod copies;
mod history;
mod node;
mod rows;
mod scrub;
mod search;
mod steps;

pub use copies::Copies;
pub use node::examine_node;
pub use scrub::Scrub;

use super::{RecoveryError, Site, replay_reconstruction::on_engine};
use crate::journal::{Case, CaseKind, CaseNo, Journal, JournalError, LedgerEntry, Quarantined};
use reprise_receipts::{Attesters, PackageDigest, SigningKey, digest::ChunkId};
use std::{fmt, sync::Arc};

/// What the doctor is asked for, and what it has.
#[derive(Clone, Default)]
pub struct Options {
    /// Repair what can be proved.
    pub repair: bool,
    /// The node's key: it signs again what it signed before.
    pub attester: Option<Arc<SigningKey>>,
    /// Copies to repair from.
    pub copies: Arc<Copies>,
    /// The node's clock, in milliseconds since 1970.
    pub now_ms: u64,
}

/// A record that can be damaged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// What the journal says of its format.
    Format,
    /// A package.
    Package(PackageDigest),
    /// The genesis record.
    Genesis,
    /// Lengths of the row of steps that begins with this one.
    Row(u64),
    /// An input.
    Input(u64),
    /// A receipt.
    Receipt(u64),
    /// A step record.
    StepRecord(u64),
    /// An attestation.
    Attestation(u64),
    /// A complete tile of the log.
    LogTile(u8, u64),
    /// Keys of the stored state: at most 16 of those that differ.
    State(Vec<Vec<u8>>),
    /// The number of receipts that the stored state is after.
    StateAt,
    /// The record of the checkpoint over so many receipts.
    Checkpoint(u64),
    /// The signed note of that checkpoint.
    Note(u64),
    /// A chunk of snapshots.
    Chunk(ChunkId),
    /// When the ledger makes checkpoints.
    Settings,
    /// A case of quarantine.
    Case(CaseNo),
    /// A record in quarantine: case, kind and number.
    Quarantined(CaseNo, u8, u64),
    /// The plan that is being carried out.
    Plan,
    /// What is on record of a rewind.
    Rewind(u32),
    /// Where the ledger begins on this node.
    Base,
    /// What the checkpoint over so many receipts came after.
    Ancestry(u64),
    /// What members have made final.
    Final,
    /// The row of steps that begins with this one, within the row before it.
    Overlap(u64),
    /// Steps that cannot be looked at, from this one on.
    Steps(u64),
    /// An attestation or log tile over receipts that are not there.
    Stray(u64),
}

/// What became of a damaged record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was found; a repair was not asked for.
    Found,
    /// It was replaced; this proves the new bytes.
    Repaired(&'static str),
    /// Nothing at hand proves what it should be.
    Unproven(&'static str),
}

/// A damaged record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which record.
    pub subject: Subject,
    /// What is wrong with it.
    pub reason: String,
    /// What became of it.
    pub outcome: Outcome,
}

/// What was looked at, and what was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Records that were looked at.
    pub records: u64,
    /// Steps that were looked at.
    pub steps: u64,
    /// Damaged records.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Damaged records that are still damaged.
    pub fn open(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| !matches!(finding.outcome, Outcome::Repaired(_)))
    }
}

/// Why something that this node signed is not signed again.
const NOT_WHOLE: &str = "it is signed again when the receipts that it is over are whole, and some are not";

/// Looks at every record of one ledger.
///
/// # Errors
/// [`RecoveryError`]: the disk refuses.
pub fn examine(site: &Site<'_>, options: &Options) -> Result<Report, RecoveryError> {
    if !options.repair || options.attester.is_none() {
        return scrub(site, options);
    }
    // The key signs only what is whole. So everything else is repaired first, and looked at once more.
    let keyless = |repair| Options { attester: None, repair, copies: options.copies.clone(), now_ms: options.now_ms };
    let mut report = scrub(site, &keyless(true))?;
    if !report.findings.iter().any(is_signed) {
        return Ok(report);
    }
    if scrub(site, &keyless(false))?.findings.iter().any(is_signed_over) {
        let left = report.findings.iter_mut().filter(|finding| is_signed(finding));
        left.filter(|finding| matches!(finding.outcome, Outcome::Unproven(_)))
            .for_each(|finding| finding.outcome = Outcome::Unproven(NOT_WHOLE));
        return Ok(report);
    }
    let signed = scrub(site, options)?;
    report.findings.retain(|finding| !is_signed(finding) || matches!(finding.outcome, Outcome::Repaired(_)));
    report.findings.extend(signed.findings.into_iter().filter(is_signed));
    Ok(report)
}

/// The key makes it anew, from what it is signed over.
fn is_signed(finding: &Finding) -> bool {
    matches!(finding.subject, Subject::Attestation(_) | Subject::Note(_) | Subject::Checkpoint(_))
}

/// What the key signs rests on it.
fn is_signed_over(finding: &Finding) -> bool {
    matches!(
        finding.subject,
        Subject::Genesis
            | Subject::Row(_)
            | Subject::Overlap(_)
            | Subject::Steps(_)
            | Subject::Input(_)
            | Subject::Receipt(_)
            | Subject::StepRecord(_)
            | Subject::LogTile(..)
            | Subject::Base
    )
}

fn scrub(site: &Site<'_>, options: &Options) -> Result<Report, RecoveryError> {
    let scrub = Scrub::new(site, options)?;
    on_engine(move || scrub.run_to_end())
}

/// Puts what is replaced into a case of its own, opened with the first record.
struct Ward {
    journal: Arc<Journal>,
    entry: LedgerEntry,
    /// By what the journal says now.
    attesters: Attesters,
    now_ms: u64,
    case: Option<CaseNo>,
}

impl Ward {
    fn new(journal: Arc<Journal>, entry: LedgerEntry, now_ms: u64) -> Self {
        let attesters = journal.attesters(&entry).unwrap_or_else(|_| Attesters::of_genesis(&entry.genesis));
        Self { journal, entry, attesters, now_ms, case: None }
    }

    fn take(&mut self, records: Vec<Quarantined>) -> Result<(), JournalError> {
        let no = match self.case {
            Some(no) => no,
            None => {
                let no = self.journal.next_case(self.entry.no)?;
                let size = self.journal.read(self.entry.no).and_then(|reader| reader.size()).unwrap_or(0);
                let case = Case::new(CaseKind::Damaged, "replaced by the doctor", self.now_ms, 0..size);
                self.journal.put_case(self.entry.no, no, &case)?;
                *self.case.insert(no)
            }
        };
        self.journal.quarantine(self.entry.no, no, records)
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Format => f.write_str("format record"),
            Self::Package(digest) => write!(f, "package {digest}"),
            Self::Genesis => f.write_str("genesis record"),
            Self::Row(first) => write!(f, "lengths of the row of steps from {first} on"),
            Self::Input(seq) => write!(f, "input {seq}"),
            Self::Receipt(seq) => write!(f, "receipt {seq}"),
            Self::StepRecord(seq) => write!(f, "step record {seq}"),
            Self::Attestation(seq) => write!(f, "attestation {seq}"),
            Self::LogTile(level, index) => write!(f, "log tile {level}/{index}"),
            Self::State(keys) => write!(f, "stored state ({} keys listed)", keys.len()),
            Self::StateAt => f.write_str("number of receipts that the stored state is after"),
            Self::Checkpoint(size) => write!(f, "record of the checkpoint over {size} receipts"),
            Self::Note(size) => write!(f, "note of the checkpoint over {size} receipts"),
            Self::Chunk(id) => write!(f, "snapshot chunk {id}"),
            Self::Settings => f.write_str("checkpoint settings"),
            Self::Case(no) => write!(f, "quarantine case {no}"),
            Self::Quarantined(no, kind, seq) => write!(f, "record {kind}/{seq} of quarantine case {no}"),
            Self::Plan => f.write_str("running plan"),
            Self::Rewind(no) => write!(f, "rewind {no}"),
            Self::Base => f.write_str("beginning of the ledger on this node"),
            Self::Ancestry(size) => write!(f, "ancestry of the checkpoint over {size} receipts"),
            Self::Final => f.write_str("final mark"),
            Self::Overlap(first) => write!(f, "row of steps from {first} on, which overlaps the row before it"),
            Self::Steps(seq) => write!(f, "steps from {seq} on"),
            Self::Stray(seq) => write!(f, "record over receipt {seq}, which is not there"),
        }
    }
}

impl Outcome {
    /// For people.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Found => "not repaired: add --repair".to_owned(),
            Self::Repaired(how) => format!("repaired: {how}"),
            Self::Unproven(why) => format!("stays as it is: {why}"),
        }
    }
}
