//! An honest node never signs two bodies for one sequence number, whatever it forgets: what it signs is durable before
//! anybody sees it. And what counts as its vote it has cast.

use super::Signers;
use reprise_federation::{Standing, message::Vote, window::FinalWindow};
use reprise_receipts::{AttestationBody, PublicKey};
use std::collections::BTreeMap;

pub struct Signing {
    signers: Signers,
    signed: BTreeMap<(PublicKey, u64), AttestationBody>,
}

impl Signing {
    pub fn new(signers: Signers) -> Self {
        Self { signers, signed: BTreeMap::new() }
    }

    /// A node holds a window for final. Its own vote it may have shown to nobody.
    pub fn counted(&self, node: usize, window: &FinalWindow) -> Result<(), String> {
        for vote in &window.votes {
            let body = vote.attestation().body;
            let voter = self.signers.get(&vote.signer).filter(|voter| **voter != node);
            if let Some(voter) = voter
                && self.signed.get(&(vote.signer, body.seq)) != Some(&body)
            {
                return Err(format!("node {node} counts a vote of node {voter} on {} that was never cast", vote.size));
            }
        }
        Ok(())
    }

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
