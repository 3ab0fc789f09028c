//! Epochs of a ledger on this node: who may order its next input, and the command that lets a new owner do so.
//!
//! A grant on its way is a file of one line: `reprise-grant-v1`, the ledger's id, and the signed command in hexadecimal
//! digits. Each operator adds a signature to it.

use crate::{
    journal::{Journal, JournalError, LedgerEntry},
    keys,
    node::{Node, NodeError},
    orderer::Proposal,
};
use reprise_abi::{Canonical, decode_canonical, encode};
use reprise_receipts::{
    Head, LedgerId, PublicKey,
    command::{Command, SignedCommand},
};

const HEADER: &str = "reprise-grant-v1";
/// Longest file, in bytes.
pub const GRANT_FILE_BYTES_MAX: usize = HEADER.len() + 70 + 2 * SignedCommand::BYTES_MAX;

/// What is ordered first by an owner of this epoch: the command that begins it, or nothing when the log is in it already.
/// `None`: the log is in another epoch, or another key attests.
#[must_use]
pub fn first_input(
    head: &Head,
    epoch: u64,
    grant: Option<&SignedCommand>,
    attester: &PublicKey,
) -> Option<Option<Proposal>> {
    if head.epoch() == epoch {
        return (head.attester() == attester).then_some(None);
    }
    let grant = grant.filter(|grant| match &grant.command {
        Command::Epoch { to, attester: named, .. } => *to == epoch && epoch > head.epoch() && named == attester,
        _ => false,
    })?;
    Some(Some(Proposal::of_grant(head, grant)))
}

/// Attested receipts were taken back, and nothing was ordered since: the next input must begin an epoch, because another
/// receipt in their place under the same epoch would be evidence against the owner.
///
/// # Errors
/// [`JournalError`]: the disk refuses, or what is kept of rollbacks is damaged.
pub fn needs_fence(journal: &Journal, entry: &LedgerEntry, head: &Head) -> Result<bool, JournalError> {
    if !entry.genesis.has_succession() {
        return Ok(false);
    }
    let last = journal.rewinds(entry.no)?.into_iter().rfind(|rewind| rewind.attested.is_some());
    Ok(last.is_some_and(|rewind| head.next_seq() <= rewind.size))
}

/// The lowest epoch that this ledger was in neither here and now, nor in what was taken back.
///
/// # Errors
/// [`JournalError`]: the disk refuses, or what is kept of rollbacks is damaged.
pub fn next_epoch(journal: &Journal, entry: &LedgerEntry, in_force: u64) -> Result<u64, JournalError> {
    let taken_back = journal.rewinds(entry.no)?.into_iter().map(|rewind| rewind.epoch).max();
    Ok(taken_back.unwrap_or(0).max(in_force).saturating_add(1))
}

/// A command that keeps the ledger on this node under a higher epoch, if this node alone has enough operators' keys.
///
/// # Errors
/// [`NodeError`]: a key cannot be read.
pub fn own_grant(
    node: &Node,
    entry: &LedgerEntry,
    in_force: u64,
    roster: u64,
) -> Result<Option<SignedCommand>, NodeError> {
    let to = next_epoch(node.journal(), entry, in_force).map_err(|error| node.journal_error(error))?;
    let (operator, genesis) = (node.operator()?, &entry.genesis);
    let suffices = genesis.operator_threshold == 1 && genesis.operators.contains(&operator.public());
    let (owner, attester) = (keys::node(node.dir())?.public(), node.attester()?.public());
    let command = Command::Epoch { to, owner, attester, roster };
    Ok((suffices && genesis.has_succession()).then(|| command.sign(entry.id, &operator)))
}

/// A grant as a file.
#[must_use]
pub fn to_file(ledger: LedgerId, grant: &SignedCommand) -> String {
    format!("{HEADER} {ledger} {}\n", hex(&encode(grant)))
}

/// Reads a file; nothing is verified. `None`: it is not a grant.
#[must_use]
pub fn of_file(text: &str) -> Option<(LedgerId, SignedCommand)> {
    let mut words = text.split_ascii_whitespace();
    let is_one = words.next()? == HEADER;
    let (ledger, grant) = (words.next()?.parse().ok()?, decode_canonical(&parse_hex(words.next()?)?).ok()?);
    (is_one && words.next().is_none()).then_some((ledger, grant))
}

/// Bytes as hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Bytes of hexadecimal digits.
#[must_use]
pub fn parse_hex(digits: &str) -> Option<Vec<u8>> {
    if !digits.len().is_multiple_of(2) || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).ok()).collect()
}

#[cfg(test)]
mod tests;
