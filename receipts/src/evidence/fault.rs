//! Execution faults: a receipt in a signed log that its step, done again, does not give.

use super::{EvidenceError, SignedHead};
use crate::{
    attestation::PublicKey,
    bundle::witnessed_state,
    digest::{InputDigest, LeafHash, PackageDigest},
    genesis::Genesis,
    ledger::Head,
    log::InclusionProof,
    package::Package,
    receipt::Receipt,
    trie::StateTrie,
    witness::Witness,
};
use reprise_abi::{
    Canonical, CodecError, Input, decode_canonical,
    limits::{INPUT_BYTES_MAX, RECEIPT_BYTES_MAX},
};
use serde::{Deserialize, Serialize};

/// Most packages of one step: the one in force, and the one that takes over from it.
const PACKAGES_MAX: usize = 2;

/// A receipt in a signed log, with everything that doing its step again takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecutionFault {
    /// What names the ledger.
    pub genesis: Genesis,
    /// A signed log that the receipt is in.
    pub head: SignedHead,
    /// That it is there.
    pub proof: InclusionProof,
    /// The receipt before it, encoded; none before the first.
    #[serde(with = "serde_bytes")]
    pub before: Option<Vec<u8>>,
    /// The receipt, encoded.
    #[serde(with = "serde_bytes")]
    pub receipt: Vec<u8>,
    /// Its input, encoded.
    #[serde(with = "serde_bytes")]
    pub input: Vec<u8>,
    /// The part of the state before it that the step looks at; none when the state has no keys.
    pub witness: Option<Witness>,
    /// Packages that the step runs, in order of their digests.
    pub packages: Vec<Package>,
}

/// An execution fault whose signatures and digests hold: only the step is still to be done.
#[derive(Clone, Debug)]
pub struct OpenFault {
    /// The head before the step, on a witness of its state.
    pub head: Head,
    /// The receipt that is signed.
    pub receipt: Receipt,
    /// Its input.
    pub input: Input,
    /// The packages that came with it.
    pub packages: Vec<(PackageDigest, Package)>,
    /// It does not even begin with the state that the receipt before it ends with: nothing is to be done again.
    pub begins_elsewhere: bool,
}

impl ExecutionFault {
    /// Checks everything but the execution: that `key` signed a log with the receipt in it, and that all else is what
    /// the receipt names.
    ///
    /// # Errors
    /// [`EvidenceError`] with what does not fit.
    pub fn open(&self, key: &PublicKey) -> Result<OpenFault, EvidenceError> {
        let receipt: Receipt = decode_canonical(&self.receipt)?;
        let claim = self.head.verify(key)?;
        self.proof.verify(&claim.log_root, claim.size, receipt.seq, &LeafHash::of(&self.receipt))?;
        let fits = |fits, what| if fits { Ok(()) } else { Err(EvidenceError::Mismatch(what)) };
        fits(self.genesis.ledger_id() == receipt.ledger && claim.ledger == receipt.ledger, "genesis record")?;
        fits(InputDigest::of(&self.input) == receipt.input, "input")?;
        self.genesis.supported()?;
        let input = decode_canonical(&self.input)?;
        let before = self.before(&receipt)?;
        let starts = before.as_ref().map_or_else(|| StateTrie::new().root(), |(before, _)| before.next_state);
        let begins_elsewhere = starts != receipt.prior_state;
        let state = match &self.witness {
            Some(witness) if !begins_elsewhere => {
                witnessed_state(witness, receipt.prior_state)?.map_err(|found| EvidenceError::WitnessSize { found })?
            }
            _ => StateTrie::new(),
        };
        let head = Head::at(self.genesis.clone(), before.as_ref().map(|(receipt, leaf)| (receipt, *leaf)), state);
        fits(begins_elsewhere || head.state_root() == receipt.prior_state, "witness")?;
        Ok(OpenFault { head, receipt, input, packages: self.packages()?, begins_elsewhere })
    }

    fn before(&self, receipt: &Receipt) -> Result<Option<(Receipt, LeafHash)>, EvidenceError> {
        let Some(bytes) = &self.before else {
            let first = receipt.seq == 0 && receipt.previous == LeafHash::NONE;
            return if first { Ok(None) } else { Err(EvidenceError::Mismatch("receipt before it")) };
        };
        let leaf = LeafHash::of(bytes);
        let before: Receipt = decode_canonical(bytes)?;
        let follows = before.seq.checked_add(1) == Some(receipt.seq) && before.ledger == receipt.ledger;
        if leaf == receipt.previous && follows {
            return Ok(Some((before, leaf)));
        }
        Err(EvidenceError::Mismatch("receipt before it"))
    }

    fn packages(&self) -> Result<Vec<(PackageDigest, Package)>, EvidenceError> {
        let open = |package: &Package| {
            package.verify_component().map_err(|_| EvidenceError::Mismatch("package"))?;
            Ok((package.manifest.digest(), package.clone()))
        };
        self.packages.iter().map(open).collect()
    }

    pub(super) fn validate(&self) -> Result<(), CodecError> {
        let rule = |holds, rule| if holds { Ok(()) } else { Err(CodecError::Invalid { kind: "evidence", rule }) };
        self.genesis.validate()?;
        self.head.validate()?;
        self.proof.validate()?;
        self.witness.as_ref().map_or(Ok(()), Canonical::validate)?;
        self.packages.iter().try_for_each(Canonical::validate)?;
        rule(self.packages.len() <= PACKAGES_MAX, "a step runs at most 2 packages")?;
        let digests: Vec<_> = self.packages.iter().map(|package| package.manifest.digest()).collect();
        rule(digests.is_sorted_by(|a, b| a < b), "packages ascend strictly by digest")?;
        let receipts = self.before.iter().chain([&self.receipt]);
        rule(receipts.map(Vec::len).max() <= Some(RECEIPT_BYTES_MAX), "a receipt has at most 1 KiB")?;
        rule(self.input.len() <= INPUT_BYTES_MAX, "an input has at most 65,984 bytes")
    }
}
