//! One step: receipt, input, step record, and the attestation over it.

use super::{Subject, scrub::Scrub, search};
use crate::{
    journal::{MendedStep, Quarantined, QuarantinedKind},
    recovery::{RecoveryError, replay_reconstruction},
};
use reprise_abi::{decode_canonical, encode};
use reprise_receipts::{
    Attestation, AttestationBody, Head, InputDigest, LeafHash, Receipt, Sealed, StepRecord,
    log::{TILE_HEIGHT, TileSource},
};

const HASH_BYTES: usize = 32;
/// Steps after which the root of the state is computed and compared.
const ROOT_STEPS: u64 = 256;

/// Bytes, and what proves them.
type Proved = (Vec<u8>, &'static str);

const AGAIN: &str = "doing the step again gives it";
const COPY: &str = "a copy has the digest";

impl Scrub {
    /// Looks at a step and gives it as it should be, as far as that can be proved.
    pub(super) fn step(&mut self, stored: &MendedStep, next: Option<&MendedStep>) -> Result<MendedStep, RecoveryError> {
        let mut step = stored.clone();
        let votes = self.votes(step.seq, next);
        self.report.records += 3;
        let receipt = match self.receipt_holds(&step, &votes) {
            Ok(receipt) => Some(receipt),
            Err(reason) => {
                let mended = self.mend_receipt(&step, &votes);
                let why = "neither doing the step again nor a change of one byte gives the leaf hash";
                self.find(Subject::Receipt(step.seq), reason, mended.as_ref().map(|(_, how)| *how), why);
                mended.and_then(|(bytes, _)| {
                    step.receipt = bytes;
                    decode_canonical(&step.receipt).ok()
                })
            }
        };
        let Some(receipt) = receipt else {
            self.lose(step.seq, votes.first().copied());
            return Ok(step);
        };
        self.input(&mut step, &receipt);
        let record = self.record(&mut step, &receipt);
        self.accept(receipt, LeafHash::of(&step.receipt), record);
        Ok(step)
    }

    /// Leaf hashes that others name for a receipt.
    fn votes(&self, seq: u64, next: Option<&MendedStep>) -> Vec<LeafHash> {
        let mut votes = Vec::new();
        let next = next.and_then(|next| decode_canonical::<Receipt>(&next.receipt).ok());
        votes.extend(next.map(|next| next.previous));
        let index = seq >> TILE_HEIGHT;
        let complete = self.reader.size().is_ok_and(|size| index < size >> TILE_HEIGHT);
        let tile = complete.then(|| self.reader.tile(0, index)).flatten();
        let start = (seq - (index << TILE_HEIGHT)) as usize * HASH_BYTES;
        let hash = tile.as_ref().and_then(|tile| tile.get(start..)?.first_chunk().copied());
        votes.extend(hash.map(LeafHash::from_bytes));
        let attestation = self.attestations.get(&seq).and_then(|bytes| self.intact_attestation(seq, bytes));
        votes.extend(attestation.map(|attestation| attestation.body.leaf));
        votes
    }

    fn receipt_holds(&mut self, step: &MendedStep, votes: &[LeafHash]) -> Result<Receipt, String> {
        let receipt: Receipt = decode_canonical(&step.receipt).map_err(|error| error.to_string())?;
        if receipt.ledger != self.ward.entry.id || receipt.seq != step.seq {
            return Err(format!("it is receipt {} of ledger {}", receipt.seq, receipt.ledger));
        }
        if self.trail.previous.is_some_and(|previous| previous != receipt.previous) {
            return Err("it names another receipt before it".to_owned());
        }
        let leaf = LeafHash::of(&step.receipt);
        if votes.contains(&leaf) {
            return Ok(receipt);
        }
        // Either nobody names it, or it is the one who names it that is damaged. What comes out again is right; where
        // no fuel is counted, only if there is no other receipt that is named.
        let again = self.redo(step).map(|again| again.leaf == leaf);
        let is_again = again == Some(true);
        let decided = self.again.engine.charges_fuel() || votes.is_empty();
        match (again, votes.first()) {
            _ if is_again && (decided || self.mend_receipt(step, votes).is_none()) => Ok(receipt),
            (None, None) => Ok(receipt),
            (_, Some(vote)) => Err(format!("its leaf hash is {leaf}, others name {vote}")),
            (Some(_), None) => Err("doing the step again gives another receipt".to_owned()),
        }
    }

    fn mend_receipt(&mut self, step: &MendedStep, votes: &[LeafHash]) -> Option<Proved> {
        let named = |bytes: &[u8]| votes.contains(&LeafHash::of(bytes));
        if let Some(again) = self.redo(step).filter(|again| named(&again.receipt_bytes)) {
            return Some((again.receipt_bytes, AGAIN));
        }
        if let Some(copy) = self.copied.receipt(step.seq).filter(|copy| named(copy)) {
            return Some((copy, COPY));
        }
        let found = search::one_byte(&step.receipt, named);
        found.map(|bytes| (bytes, "one byte changed gives the leaf hash that others name"))
    }

    fn input(&mut self, step: &mut MendedStep, receipt: &Receipt) {
        let named = |bytes: &[u8]| InputDigest::of(bytes) == receipt.input;
        if named(&step.input) {
            return;
        }
        let copy = self.copied.input(step.seq).filter(|copy| named(copy));
        let copy = copy.map(|copy| (copy, COPY));
        let found = || {
            let found = search::one_byte(&step.input, named);
            found.map(|bytes| (bytes, "one byte changed gives the digest in the receipt"))
        };
        let mended = copy.or_else(found);
        let reason = format!("its digest is {}, the receipt names {}", InputDigest::of(&step.input), receipt.input);
        let why = "no change of one byte gives the digest in the receipt; a copy would do";
        self.find(Subject::Input(step.seq), reason, mended.as_ref().map(|(_, how)| *how), why);
        if let Some((bytes, _)) = mended {
            step.input = bytes;
        }
    }

    fn record(&mut self, step: &mut MendedStep, receipt: &Receipt) -> Option<StepRecord> {
        let open = |bytes: &[u8]| {
            let record: StepRecord = decode_canonical(bytes).map_err(|error| error.to_string())?;
            let same = record.digests() == (receipt.diff, receipt.output);
            if same { Ok(record) } else { Err("its digests are not those in the receipt".to_owned()) }
        };
        let reason = match open(&step.record) {
            Ok(record) => return Some(record),
            Err(reason) => reason,
        };
        let again = self.redo(step).filter(|again| again.receipt_bytes == step.receipt);
        let again = again.map(|again| (again.record_bytes, AGAIN));
        let copy = || self.copied.record(step.seq).filter(|copy| open(copy).is_ok()).map(|copy| (copy, COPY));
        let found = || {
            let found = search::one_byte(&step.record, |bytes| open(bytes).is_ok());
            found.map(|bytes| (bytes, "one byte changed gives the digests in the receipt"))
        };
        let mended = again.or_else(copy).or_else(found);
        let why = "neither doing the step again nor a change of one byte gives the digests in the receipt";
        self.find(Subject::StepRecord(step.seq), reason, mended.as_ref().map(|(_, how)| *how), why);
        step.record = mended?.0;
        open(&step.record).ok()
    }

    /// Does a step again on the state before it, and leaves that as it was.
    fn redo(&mut self, step: &MendedStep) -> Option<Sealed> {
        let mut head = self.trail.head.take()?;
        let claimed = decode_canonical::<Receipt>(&step.receipt).map_or(0, |receipt| receipt.fuel);
        let counts = self.again.engine.charges_fuel();
        let fuel = |fuel| if counts { fuel } else { claimed };
        let sealed = replay_reconstruction::seal(&mut head, &mut self.again.runner, &step.input, fuel).ok();
        let mut state = std::mem::take(head.lend_state());
        if let Some(sealed) = &sealed {
            state.apply(&sealed.record.diff.inverted()).expect("a diff that was just applied can be undone");
        }
        let last = self.trail.last.as_ref().map(|(receipt, leaf)| (receipt, *leaf));
        self.trail.head = Some(Head::at(head.genesis_record().clone(), last, state));
        sealed
    }

    /// The step holds: the trail goes on.
    fn accept(&mut self, receipt: Receipt, leaf: LeafHash, record: Option<StepRecord>) {
        let trail = &mut self.trail;
        let applied = match (&mut trail.head, record) {
            (Some(head), Some(record)) => head.skip(&receipt, leaf, &record.diff).is_ok(),
            _ => false,
        };
        if !applied {
            trail.head = None;
        }
        if receipt.seq.is_multiple_of(ROOT_STEPS)
            && let Some(head) = &mut trail.head
            && head.lend_state().root() != receipt.next_state
        {
            trail.head = None;
        }
        trail.next_seq = receipt.seq + 1;
        trail.previous = Some(leaf);
        trail.last = Some((receipt, leaf));
        if let Some(tail) = &mut trail.tail {
            tail.append(leaf);
        }
    }

    /// The receipt is lost; others may still name its leaf hash.
    fn lose(&mut self, seq: u64, leaf: Option<LeafHash>) {
        let trail = &mut self.trail;
        (trail.next_seq, trail.head, trail.last, trail.previous) = (seq + 1, None, None, leaf);
        match (leaf, &mut trail.tail) {
            (Some(leaf), Some(tail)) => tail.append(leaf),
            _ => trail.tail = None,
        }
    }

    fn intact_attestation(&self, seq: u64, bytes: &[u8]) -> Option<Attestation> {
        let entry = &self.ward.entry;
        let attestation: Attestation = decode_canonical(bytes).ok()?;
        let holds = attestation.body.seq == seq
            && attestation.body.ledger == entry.id
            && self.ward.attesters.verify(&attestation).is_ok();
        holds.then_some(attestation)
    }

    /// The attestation over a receipt, if there is one.
    pub(super) fn attestation(&mut self, seq: u64) -> Result<(), RecoveryError> {
        let Some(stored) = self.attestations.remove(&seq) else { return Ok(()) };
        self.report.records += 1;
        let entry = &self.ward.entry;
        let expected = self.trail.previous.zip(self.trail.tail.as_ref()).map(|(leaf, tail)| AttestationBody {
            ledger: entry.id,
            seq,
            leaf,
            log_root: tail.root(),
            epoch: entry.genesis.has_succession().then(|| self.ward.attesters.term_at(seq).epoch),
        });
        let intact = self.intact_attestation(seq, &stored);
        let reason = match (&intact, &expected) {
            (Some(intact), Some(expected)) if intact.body == *expected => return Ok(()),
            (Some(_), None) => return Ok(()),
            (Some(_), Some(_)) => "it is intact, but signs another leaf or log than the receipts give",
            (None, _) => "its signature does not hold, or it is about another receipt",
        };
        let mended = self.sign_again(expected).filter(|_| intact.is_none()).or_else(|| {
            let copy = self.copied.attestation(seq);
            let copy = copy.filter(|copy| self.intact_attestation(seq, copy).is_some());
            copy.map(|copy| (copy, "the signature of a copy holds"))
        });
        let how = mended.as_ref().map(|(_, how)| *how);
        self.find(Subject::Attestation(seq), reason.to_owned(), how, "this node's key did not sign it");
        if let (Some((bytes, _)), true) = (mended, self.options.repair) {
            self.ward.take(vec![Quarantined { kind: QuarantinedKind::Attestation, seq, bytes: stored }])?;
            self.ward.journal.mend_attestation(self.ward.entry.no, seq, Some(&bytes))?;
        }
        Ok(())
    }

    fn sign_again(&self, body: Option<AttestationBody>) -> Option<Proved> {
        let key = self.options.attester.as_ref()?;
        let is_own = |body: &AttestationBody| key.public() == *self.ward.attesters.at(body.seq);
        let attestation = body.filter(is_own)?.sign(key);
        Some((encode(&attestation), "the same key gives the same signature"))
    }
}
