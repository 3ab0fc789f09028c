//! An honest node never signs two bodies for one sequence number, whatever it forgets.

use reprise_federation::message::Vote;
use reprise_receipts::{AttestationBody, PublicKey};
use std::collections::BTreeMap;

#[derive(Default)]
pub struct Signing {
    signed: BTreeMap<(PublicKey, u64), AttestationBody>,
}

impl Signing {
    pub fn voted(&mut self, node: usize, vote: &Vote) -> Result<(), String> {
        let body = vote.attestation().body;
        let known = self.signed.entry((vote.signer, body.seq)).or_insert_with(|| body.clone());
        if *known == body { Ok(()) } else { Err(format!("node {node} signs receipt {} twice", body.seq)) }
    }
}
