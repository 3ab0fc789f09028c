//! An honest node never signs two bodies for one sequence number, whatever it forgets: what it signs is durable before
//! anybody sees it.

use reprise_federation::{Standing, message::Vote};
use reprise_receipts::{AttestationBody, PublicKey};
use std::collections::BTreeMap;

#[derive(Default)]
pub struct Signing {
    signed: BTreeMap<(PublicKey, u64), AttestationBody>,
}

impl Signing {
    /// `standing`: what is durable.
    pub fn voted(&mut self, node: usize, vote: &Vote, standing: Option<&Standing>) -> Result<(), String> {
        if standing.is_none_or(|standing| standing.signed.size < vote.size) {
            return Err(format!("node {node} votes on {} receipts, and has not kept that", vote.size));
        }
        let body = vote.attestation().body;
        let known = self.signed.entry((vote.signer, body.seq)).or_insert_with(|| body.clone());
        if *known == body { Ok(()) } else { Err(format!("node {node} signs receipt {} twice", body.seq)) }
    }
}
