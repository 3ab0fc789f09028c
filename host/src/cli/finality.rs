//! What is final, in reports: of a ledger of this node, and of a bundle.

use super::{error::CliError, report::Record};
use crate::{
    bundles::Verified,
    daemon::config::NodeConfig,
    finality::{describe, signers},
    journal::{JournalError, KeptMark, LedgerEntry},
    node::Node,
};
use reprise_receipts::{
    FinalMark, PublicKey, Verdict,
    bundle::{BundleKind, Trust},
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, ops::Range};

/// The final mark that a ledger has here, or what is wrong with it.
pub(super) fn kept(node: &Node, entry: &LedgerEntry) -> Result<Option<Value>, CliError> {
    match node.journal().final_mark(entry.no) {
        Ok(kept) => Ok(kept.map(|kept| by_name(node, &kept))),
        Err(error @ JournalError::Damaged { .. }) => Ok(Some(error.to_string().into())),
        Err(error) => Err(error.into()),
    }
}

/// Which of the receipts that match are final: a verification has held the mark against their log.
pub(super) fn of_ledger(
    report: Record,
    node: &Node,
    entry: &LedgerEntry,
    verdict: &Verdict,
) -> Result<Record, CliError> {
    let Verdict::Match(range) = verdict else { return Ok(report) };
    let Some(kept) = node.journal().final_mark(entry.no)? else { return Ok(report) };
    Ok(split(report, range.from..range.to, kept.mark.size()).with("final mark", by_name(node, &kept)))
}

/// What a bundle says is final, and for whom.
pub(super) fn of_bundle(report: Record, verified: &Verified, trust: &Trust) -> Record {
    let (Some(mark), Verdict::Match(range)) = (&verified.mark, &verified.verdict) else { return report };
    let from = if verified.header.kind == BundleKind::Checkpoint { 0 } else { range.from };
    match mark.vouched(trust) {
        Ok(vouchers) => {
            let vouched = match trust {
                Trust::Policy(_) => "the quorum of the trust policy".to_owned(),
                _ => format!("{} of the {} keys given", vouchers.signers.len(), vouchers.known),
            };
            let report = split(report, from..range.to, mark.size());
            report.with("final mark", shown(mark, trust)).with("vouched for by", vouched)
        }
        Err(why) => report
            .with("final", Value::Null)
            .with("final mark", shown(mark, trust))
            .with("why nothing is final", why.to_string()),
    }
}

/// A mark as it stands in a bundle: who signed what.
pub(super) fn shown(mark: &FinalMark, trust: &Trust) -> Value {
    let names: BTreeMap<PublicKey, String> = match trust {
        Trust::Policy(policy) => policy.witnesses().map(|witness| (witness.key(), witness.name().to_owned())).collect(),
        _ => BTreeMap::new(),
    };
    json!({
        "receipts": mark.size(),
        "log root": mark.log_root.to_string(),
        "state root": mark.receipt.next_state.to_string(),
        "signed by": signers(mark, |key| names.get(key).cloned()),
    })
}

/// The receipts of a range that are among the first `size`, and those that only the ledger's attester vouches for.
fn split(report: Record, range: Range<u64>, size: u64) -> Record {
    let end = size.clamp(range.start, range.end);
    let text = |range: Range<u64>| (!range.is_empty()).then(|| format!("{}..{}", range.start, range.end));
    report.with("final", text(range.start..end)).with("attested only", text(end..range.end))
}

fn by_name(node: &Node, kept: &KeptMark) -> Value {
    let names = names(node);
    describe(kept, |key| names.get(key).cloned())
}

/// The members that this node knows by name, by their receipt-signing keys. A configuration that cannot be read names
/// nobody.
fn names(node: &Node) -> BTreeMap<PublicKey, String> {
    let Ok(config) = NodeConfig::read(&node.dir().join("node.toml")) else { return BTreeMap::new() };
    let mut names: BTreeMap<_, _> = config.peers.into_iter().map(|peer| (peer.receipts, peer.name)).collect();
    names.extend(node.attester().ok().map(|attester| (attester.public(), config.name)));
    names
}
