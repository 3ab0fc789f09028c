//! Checkpoints, chunks, and whatever carries its own digest.

use super::{
    Options, Report, Subject, Ward,
    copies::CopiedLedger,
    scrub::{Trail, find},
    search,
};
use crate::{
    checkpoints::{self, CheckpointError, retention},
    journal::{Base, GuardedKey, JournalError, Quarantined, QuarantinedKind, RawCheckpoint},
    recovery::RecoveryError,
};
use reprise_abi::{decode_canonical, encode};
use reprise_receipts::{
    Genesis, Head, SigningKey,
    checkpoint::{CHECKPOINT_FORMAT, Checkpoint, CheckpointClaim, CheckpointRecord, SignedCheckpoint},
    digest::{ChunkId, ContinuityRoot},
    snapshot::{Chunk, ChunkSink, write_snapshot},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Checkpoints that the pass has not come to yet, and chunks that do not hold.
pub(super) struct History {
    /// By size.
    checkpoints: BTreeMap<u64, RawCheckpoint>,
    /// Continuity root before the next checkpoint, while all before it hold.
    continuity: Option<ContinuityRoot>,
    intact: BTreeSet<ChunkId>,
    /// Chunks that do not hold, with what is wrong, until one is found in its place.
    damaged: BTreeMap<ChunkId, String>,
    journal: Arc<crate::journal::Journal>,
    no: u32,
}

impl History {
    pub(super) fn begin(
        ward: &mut Ward,
        report: &mut Report,
        options: &Options,
        copied: &CopiedLedger,
        base: Option<&Base>,
    ) -> Result<Self, RecoveryError> {
        let (journal, no) = (ward.journal.clone(), ward.entry.no);
        guarded(ward, report, options)?;
        let mut history = Self {
            checkpoints: journal.raw_checkpoints(no)?.into_iter().map(|raw| (raw.size, raw)).collect(),
            // A ledger that begins with a checkpoint here has those before it somewhere else.
            // So has a copy of another node's ledger: only its attester has all of them, and only it may make them anew.
            continuity: (base.is_none() && is_attester(ward, options)).then(|| ContinuityRoot::start(ward.entry.id)),
            intact: BTreeSet::new(),
            damaged: BTreeMap::new(),
            journal: journal.clone(),
            no,
        };
        if let Some(base) = base {
            history.before(base, ward, report, options);
        }
        for chunk in journal.chunks(no)?.all()? {
            let (id, bytes) = chunk?;
            report.records += 1;
            match Chunk::open(id, &bytes) {
                Ok(_) => drop(history.intact.insert(id)),
                Err(error) => {
                    let copy = copied.chunk(id);
                    match copy.filter(|copy| Chunk::open(id, copy).is_ok()) {
                        Some(copy) => {
                            let how = Some("a copy has the address");
                            find(report, options, Subject::Chunk(id), error.to_string(), how, "");
                            replace_chunk(ward, options, id, bytes, copy)?;
                            history.intact.insert(id);
                        }
                        None => drop(history.damaged.insert(id, error.to_string())),
                    }
                }
            }
        }
        Ok(history)
    }

    /// Checkpoints that the ledger's first receipt here comes after: there is nothing to make them anew from, so they are
    /// held against their signature and against one another.
    fn before(&mut self, base: &Base, ward: &Ward, report: &mut Report, options: &Options) {
        let later = self.checkpoints.split_off(&(base.size + 1));
        for (size, raw) in std::mem::replace(&mut self.checkpoints, later) {
            report.records += 2;
            let record: Result<CheckpointRecord, _> = decode_canonical(&raw.record);
            let follows = |record: &CheckpointRecord| {
                record.claim.size == size && self.continuity.is_none_or(|root| root == record.previous)
            };
            if !record.as_ref().is_ok_and(follows) {
                let reason = "it does not follow the checkpoint before it".to_owned();
                find(report, options, Subject::Checkpoint(size), reason, None, "the steps before it are not here");
            }
            let signed = SignedCheckpoint::parse(&raw.note);
            let log_root = record.as_ref().ok().map(|record| record.claim.log_root);
            let vouches = |note: &SignedCheckpoint| {
                let signed = note.verify(ward.attesters.of_log(size));
                signed.is_ok_and(|signed| signed.size == size && log_root.is_none_or(|root| root == signed.log_root))
            };
            if !signed.as_ref().is_ok_and(vouches) {
                let reason = "it does not sign the checkpoint of this size".to_owned();
                find(report, options, Subject::Note(size), reason, None, "the steps before it are not here");
            }
            self.continuity = record.ok().map(|record| record.continuity);
        }
    }

    /// The head at the trail's place from a snapshot there, if one is kept and holds.
    pub(super) fn head_at(&self, trail: &Trail, genesis: &Genesis) -> Option<Head> {
        let raw = self.checkpoints.get(&trail.next_seq).filter(|raw| raw.restorable)?;
        let record: CheckpointRecord = decode_canonical(&raw.record).ok()?;
        let (receipt, leaf) = trail.last.as_ref()?;
        if record.claim.snapshot.state_root != receipt.next_state {
            return None;
        }
        let chunks = self.journal.chunks(self.no).ok()?;
        let state = checkpoints::restore_state(record.claim.snapshot, |id| chunks.chunk(id)).ok()?;
        Some(Head::at(genesis.clone(), Some((receipt, *leaf)), state))
    }

    /// The pass is at this place: is there a checkpoint, and does it say what the receipts lead to?
    pub(super) fn at(
        &mut self,
        trail: &mut Trail,
        ward: &mut Ward,
        report: &mut Report,
        options: &Options,
    ) -> Result<(), RecoveryError> {
        if !self.checkpoints.contains_key(&trail.next_seq) {
            return Ok(());
        }
        if trail.head.is_none() {
            // A snapshot that holds is a state to go on with.
            trail.head = self.head_at(trail, &ward.entry.genesis);
        }
        let Some(raw) = self.checkpoints.remove(&trail.next_seq) else { return Ok(()) };
        report.records += 2;
        let expected = expected(trail, ward, self.continuity.filter(|_| is_attester(ward, options)));
        let mut mended = raw.clone();
        self.record(&mut mended, expected.as_ref(), report, options);
        note(&mut mended, trail, ward, report, options);
        if mended != raw && options.repair {
            let record = |kind, bytes| Quarantined { kind, seq: raw.size, bytes };
            let old = [
                (raw.record != mended.record).then(|| record(QuarantinedKind::Checkpoint, raw.record.clone())),
                (raw.note != mended.note).then(|| record(QuarantinedKind::Note, raw.note.clone())),
            ];
            ward.take(old.into_iter().flatten().collect())?;
            ward.journal.mend_checkpoint(ward.entry.no, &mended)?;
        }
        if raw.restorable
            && let Some(head) = &trail.head
        {
            self.chunks(head, ward, report, options)?;
        }
        Ok(())
    }

    fn record(
        &mut self,
        raw: &mut RawCheckpoint,
        expected: Option<&CheckpointRecord>,
        report: &mut Report,
        options: &Options,
    ) {
        let stored: Result<CheckpointRecord, _> = decode_canonical(&raw.record);
        let reason = match (&stored, expected) {
            (Ok(stored), Some(expected)) if stored == expected => None,
            (Ok(_), Some(_)) => Some("it says something else than the receipts lead to".to_owned()),
            (Ok(stored), None) if Some(stored.previous) == self.continuity || self.continuity.is_none() => None,
            (Ok(_), None) => Some("it does not follow the checkpoint before it".to_owned()),
            (Err(error), _) => Some(error.to_string()),
        };
        if let Some(reason) = reason {
            let how = expected.map(|_| "it follows from the receipts and the checkpoint before it");
            find(report, options, Subject::Checkpoint(raw.size), reason, how, "the state of then is lost");
            if let Some(expected) = expected {
                raw.record = encode(expected);
            }
        }
        self.continuity = decode_canonical::<CheckpointRecord>(&raw.record).ok().map(|record| record.continuity);
    }

    /// Chunks of the snapshot of this state that are missing or do not hold.
    fn chunks(
        &mut self,
        head: &Head,
        ward: &mut Ward,
        report: &mut Report,
        options: &Options,
    ) -> Result<(), RecoveryError> {
        let mut sink = Missing { intact: &self.intact, chunks: Vec::new() };
        write_snapshot(head.state(), head.state_root(), &mut sink);
        for (id, bytes) in sink.chunks {
            let reason = self.damaged.remove(&id).unwrap_or_else(|| "it is missing".to_owned());
            let how = Some("it follows from the state of a checkpoint");
            find(report, options, Subject::Chunk(id), reason, how, "");
            let old = ward.journal.chunks(ward.entry.no)?.chunk(id)?.unwrap_or_default();
            replace_chunk(ward, options, id, old, bytes)?;
            self.intact.insert(id);
        }
        Ok(())
    }

    /// What the pass did not come to.
    pub(super) fn finish(
        &mut self,
        ward: &mut Ward,
        report: &mut Report,
        options: &Options,
    ) -> Result<(), RecoveryError> {
        for size in std::mem::take(&mut self.checkpoints).into_keys() {
            let reason = "the ledger does not reach to it".to_owned();
            find(report, options, Subject::Checkpoint(size), reason, None, "its receipts are not there");
        }
        self.unneeded_chunks(ward, report, options)
    }

    /// Chunks that do not hold and that no state of the pass gave: nobody needs them, or nobody can prove them.
    fn unneeded_chunks(
        &mut self,
        ward: &mut Ward,
        report: &mut Report,
        options: &Options,
    ) -> Result<(), RecoveryError> {
        let kept = ward.journal.checkpoints(ward.entry.no).unwrap_or_default();
        let needed = retention::reachable(&ward.journal.chunks(ward.entry.no)?, &kept);
        if let Err(CheckpointError::MissingChunk(id)) = &needed {
            let reason = "it is missing".to_owned();
            find(report, options, Subject::Chunk(*id), reason, None, "the state of its checkpoint is lost");
        }
        let mut sweep = false;
        for (id, reason) in std::mem::take(&mut self.damaged) {
            let unneeded = needed.as_ref().is_ok_and(|needed| !needed.contains(&id));
            sweep |= unneeded;
            let how = unneeded.then_some("no snapshot that is kept needs it: it is swept");
            find(report, options, Subject::Chunk(id), reason, how, "the state of its checkpoint is lost");
        }
        if let (Ok(needed), true) = (&needed, sweep && options.repair) {
            ward.journal.sweep_chunks(ward.entry.no, needed)?;
        }
        Ok(())
    }
}

/// It has attested all of the ledger.
fn is_attester(ward: &Ward, options: &Options) -> bool {
    let attests_all = |key: &Arc<SigningKey>| ward.attesters.terms().iter().all(|term| term.attester == key.public());
    options.attester.as_ref().is_some_and(attests_all)
}

/// What the checkpoint at this place must say.
fn expected(trail: &Trail, ward: &Ward, previous: Option<ContinuityRoot>) -> Option<CheckpointRecord> {
    let (head, tail, previous) = (trail.head.as_ref()?, trail.tail.as_ref()?, previous?);
    let snapshot = write_snapshot(head.state(), head.state_root(), &mut Nowhere);
    let claim = CheckpointClaim {
        format: CHECKPOINT_FORMAT,
        ledger: ward.entry.id,
        size: trail.next_seq,
        log_root: tail.root(),
        logical_time_ms: head.logical_time_ms(),
        snapshot,
    };
    Some(claim.after(previous))
}

fn note(raw: &mut RawCheckpoint, trail: &Trail, ward: &Ward, report: &mut Report, options: &Options) {
    let Some(tail) = &trail.tail else { return };
    let (ledger, size, log_root) = (ward.entry.id, raw.size, tail.root());
    let checkpoint = Checkpoint { ledger, size, log_root };
    let attester = ward.attesters.of_log(size);
    let is_own = |key: &&Arc<SigningKey>| key.public() == *attester;
    let own = options.attester.as_ref().filter(is_own).map(|key| checkpoint.sign(key));
    let stored = SignedCheckpoint::parse(&raw.note);
    let holds = stored.as_ref().is_ok_and(|note| {
        let signed = note.verify(attester).is_ok_and(|signed| *signed == checkpoint);
        // Whoever has the key knows every byte of its line.
        signed
            && own
                .as_ref()
                .is_none_or(|own| own.signature_lines().all(|line| note.signature_lines().any(|l| l == line)))
    });
    if holds {
        return;
    }
    let reason = stored.map_or_else(|error| error.to_string(), |_| "it does not sign this log".to_owned());
    let how = own.as_ref().map(|_| "the same key gives the same signature");
    find(report, options, Subject::Note(size), reason, how, "this node's key did not sign it");
    if let Some(own) = own {
        raw.note = own.text().as_bytes().to_vec();
    }
}

fn replace_chunk(
    ward: &mut Ward,
    options: &Options,
    id: ChunkId,
    old: Vec<u8>,
    new: Vec<u8>,
) -> Result<(), JournalError> {
    if !options.repair {
        return Ok(());
    }
    if !old.is_empty() {
        let seq = u64::from_le_bytes(*id.as_bytes().first_chunk().expect("8 of 32 bytes"));
        ward.take(vec![Quarantined { kind: QuarantinedKind::Other, seq, bytes: old }])?;
    }
    ward.journal.put_chunks(ward.entry.no, &[(id, new)], true)
}

/// Records that carry their own digest.
fn guarded(ward: &mut Ward, report: &mut Report, options: &Options) -> Result<(), RecoveryError> {
    let (journal, no) = (ward.journal.clone(), ward.entry.no);
    for (key, stored) in journal.raw_guarded(no)? {
        report.records += 1;
        let Err(error) = key.check(&stored) else { continue };
        let mended = search::one_byte(&stored, |bytes| key.check(bytes).is_ok());
        let how = mended.as_ref().map(|_| "one byte changed gives the digest that is stored with it");
        let subject = match key {
            GuardedKey::Settings => Subject::Settings,
            GuardedKey::Case(no) => Subject::Case(no),
            GuardedKey::Quarantined(case, kind, seq) => Subject::Quarantined(case, kind, seq),
            GuardedKey::Plan => Subject::Plan,
            GuardedKey::Rewind(no) => Subject::Rewind(no),
            GuardedKey::Base => Subject::Base,
            GuardedKey::Ancestry(size) => Subject::Ancestry(size),
            GuardedKey::Final => Subject::Final,
        };
        find(report, options, subject, error.to_string(), how, "no change of one byte gives its digest");
        if let (Some(mended), true) = (mended, options.repair) {
            journal.mend_guarded(no, key, &mended)?;
        }
    }
    Ok(())
}

/// Takes the chunks that are not intact.
struct Missing<'a> {
    intact: &'a BTreeSet<ChunkId>,
    chunks: Vec<(ChunkId, Vec<u8>)>,
}

impl ChunkSink for Missing<'_> {
    fn contains(&mut self, id: ChunkId) -> bool {
        self.intact.contains(&id)
    }

    fn put(&mut self, id: ChunkId, bytes: Vec<u8>) {
        self.chunks.push((id, bytes));
    }
}

/// Takes nothing.
struct Nowhere;

impl ChunkSink for Nowhere {
    fn contains(&mut self, _: ChunkId) -> bool {
        true
    }

    fn put(&mut self, _: ChunkId, _: Vec<u8>) {}
}
