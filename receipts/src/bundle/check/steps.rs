//! The steps of a range: each receipt after the one before it, with the input and the record that it names.

use super::{BundleStep, decode, skim};
use crate::{
    attestation::Attestation,
    attesters::Attesters,
    bundle::{BundleError, BundleHeader, Place, edge::Peaks},
    command::{COMMAND_KIND, Command, SignedCommand},
    digest::{DiffDigest, InputDigest, LeafHash, LedgerId, LogRoot, OutputDigest, PackageDigest, StateRoot},
    receipt::{Receipt, StepRecord},
    trie::StateTrie,
};
use reprise_abi::{Input, encode};

/// Where the range is, as far as it has come.
#[derive(Debug)]
pub(super) struct Steps {
    ledger: LedgerId,
    next: u64,
    previous: LeafHash,
    /// Where the receipt before ends. A ledger begins without keys.
    state: StateRoot,
    logical_time_ms: u64,
    /// The epoch of the receipt before.
    epoch: u64,
    /// The receipt that is not complete is the first of its epoch.
    begins_epoch: bool,
    log: Peaks,
    /// The receipt of the step that is not complete, and its encoding.
    receipt: Option<(Receipt, Vec<u8>)>,
    /// Its input, and the encoding.
    input: Option<(Input, Vec<u8>)>,
    attested: Option<u64>,
}

impl Steps {
    pub(super) fn new(header: &BundleHeader) -> Self {
        Self {
            ledger: header.ledger,
            next: header.from,
            previous: LeafHash::NONE,
            state: StateTrie::new().root(),
            logical_time_ms: 0,
            epoch: header.genesis.epoch,
            begins_epoch: false,
            log: Peaks::default(),
            receipt: None,
            input: None,
            attested: None,
        }
    }

    /// The receipt before the first.
    pub(super) fn base(
        &mut self,
        place: Place,
        bytes: &[u8],
        attesters: &Attesters,
    ) -> Result<(Receipt, LeafHash), BundleError> {
        let receipt: Receipt = decode(place, bytes)?;
        self.check_place(place, &receipt, self.next - 1)?;
        self.check_epoch(place, &receipt, attesters)?;
        let leaf = LeafHash::of(bytes);
        self.move_past(&receipt, leaf);
        Ok((receipt, leaf))
    }

    /// The log that the receipts of the range are added to.
    pub(super) fn begin_log(&mut self, log: Peaks) {
        self.log = log;
    }

    /// A receipt; returns the package that it was made with.
    pub(super) fn receipt(
        &mut self,
        place: Place,
        bytes: Vec<u8>,
        attesters: &Attesters,
    ) -> Result<PackageDigest, BundleError> {
        let receipt: Receipt = decode(place, &bytes)?;
        self.check_place(place, &receipt, self.next)?;
        if receipt.previous != self.previous {
            return Err(BundleError::Chain { place, expected: self.previous, found: receipt.previous });
        }
        if receipt.prior_state != self.state {
            return Err(BundleError::State { place, expected: self.state, found: receipt.prior_state });
        }
        if receipt.logical_time_ms < self.logical_time_ms {
            return Err(BundleError::Time(place));
        }
        self.check_epoch(place, &receipt, attesters)?;
        self.begins_epoch = receipt.epoch != self.epoch;
        let package = receipt.package;
        self.receipt = Some((receipt, bytes));
        Ok(package)
    }

    pub(super) fn input(&mut self, place: Place, bytes: Vec<u8>, header: &BundleHeader) -> Result<(), BundleError> {
        let (receipt, _) = self.receipt.as_ref().expect("an input comes after its receipt");
        if InputDigest::of(&bytes) != receipt.input {
            return Err(BundleError::Input(place));
        }
        let input: Input = decode(place, &bytes)?;
        let begins = |grant: &SignedCommand| {
            let is_its = matches!(grant.command, Command::Epoch { to, .. } if to == receipt.epoch);
            is_its && input.event.kind == COMMAND_KIND && input.event.payload == encode(grant)
        };
        if self.begins_epoch && !header.grants.iter().any(begins) {
            return Err(BundleError::EpochBegins { place });
        }
        self.input = Some((input, bytes));
        Ok(())
    }

    pub(super) fn record(&mut self, place: Place, bytes: Vec<u8>) -> Result<BundleStep, BundleError> {
        let (receipt, receipt_bytes) = self.receipt.take().expect("a record comes after its receipt");
        let (input, input_bytes) = self.input.take().expect("a record comes after its input");
        skim::step_record(&bytes).ok_or(BundleError::TooMany(place))?;
        let record: StepRecord = decode(place, &bytes)?;
        if DiffDigest::of(&encode(&record.diff)) != receipt.diff {
            return Err(BundleError::Diff(place));
        }
        if OutputDigest::of(&encode(&record.output)) != receipt.output {
            return Err(BundleError::Output(place));
        }
        let leaf = LeafHash::of(&receipt_bytes);
        self.log.append(leaf);
        self.move_past(&receipt, leaf);
        Ok(BundleStep { receipt, leaf, input, record, bytes: [receipt_bytes, input_bytes, bytes] })
    }

    pub(super) fn attestation(
        &mut self,
        place: Place,
        bytes: &[u8],
        attesters: &Attesters,
    ) -> Result<Attestation, BundleError> {
        let attestation: Attestation = decode(place, bytes)?;
        let (body, found) = (&attestation.body, self.log.root());
        if body.ledger != self.ledger || body.seq.checked_add(1) != Some(self.next) || body.leaf != self.previous {
            return Err(BundleError::AttestedOther(place));
        }
        attesters.verify_in(self.epoch, &attestation).map_err(|error| BundleError::Attestation { place, error })?;
        if body.log_root != found {
            return Err(BundleError::LogRoot { place, expected: body.log_root, found });
        }
        self.attested = Some(body.seq);
        Ok(attestation)
    }

    /// Of the log up to the last receipt.
    pub(super) fn log_root(&self) -> LogRoot {
        self.log.root()
    }

    /// The last receipt, the base included.
    pub(super) fn last(&self) -> Option<(u64, LeafHash)> {
        self.next.checked_sub(1).map(|last| (last, self.previous))
    }

    /// The last receipt was found in a log that is signed.
    pub(super) fn proved(&mut self) {
        self.attested = self.next.checked_sub(1);
    }

    /// The epoch of the last receipt.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    pub(super) fn attested(&self) -> Option<u64> {
        self.attested
    }

    fn check_place(&self, place: Place, receipt: &Receipt, expected: u64) -> Result<(), BundleError> {
        if receipt.ledger != self.ledger {
            return Err(BundleError::ReceiptLedger { place, found: receipt.ledger });
        }
        if receipt.seq != expected {
            return Err(BundleError::Sequence { place, expected, found: receipt.seq });
        }
        Ok(())
    }

    fn check_epoch(&self, place: Place, receipt: &Receipt, attesters: &Attesters) -> Result<(), BundleError> {
        let (after, found) = (self.epoch, receipt.epoch);
        let is_known = attesters.of_epoch(found).is_some();
        if is_known && found >= after { Ok(()) } else { Err(BundleError::Epoch { place, after, found }) }
    }

    fn move_past(&mut self, receipt: &Receipt, leaf: LeafHash) {
        self.next = receipt.seq + 1;
        self.previous = leaf;
        self.state = receipt.next_state;
        self.logical_time_ms = receipt.logical_time_ms;
        self.epoch = receipt.epoch;
    }
}
