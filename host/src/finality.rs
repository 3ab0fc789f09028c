//! What a node says of what is final, for people and programs: the same running and offline.

use crate::journal::KeptMark;
use reprise_federation::Quorum;
use reprise_receipts::{FinalMark, PublicKey};
use serde_json::{Value, json};

/// A mark that a node keeps: how far it reaches, how many votes of how many it has, and which rule that satisfies. Who may
/// vote is not known of one that came with a bundle. `name` knows some members.
pub(crate) fn describe(kept: &KeptMark, name: impl Fn(&PublicKey) -> Option<String>) -> Value {
    let electorate = kept.electorate.as_ref();
    let votes = electorate.map_or(kept.mark.votes.len(), |electorate| electorate.votes(&kept.mark));
    json!({
        "receipts": kept.mark.size(),
        "votes": votes,
        "of": electorate.map(|electorate| electorate.voters.len()),
        "rule": electorate.map(|electorate| match electorate.rule {
            Quorum::Majority => "majority",
            Quorum::TwoThirds => "two-thirds",
        }),
        "signed by": signers(&kept.mark, name),
    })
}

/// Who signed a mark: by name, or else by key.
pub(crate) fn signers(mark: &FinalMark, name: impl Fn(&PublicKey) -> Option<String>) -> Vec<String> {
    let signer = |key: &PublicKey| name(key).unwrap_or_else(|| key.to_string());
    mark.votes.iter().map(|vote| signer(&vote.signer)).collect()
}
