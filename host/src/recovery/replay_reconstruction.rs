//! Replay reconstruction: inputs are intact, and everything else is made of them again.
//!
//! Receipts, step records, log and state are pure functions of the inputs. So they are computed anew and compared with
//! what is stored: [`survey`] names the first step that differs. Whether the stored or the new one is right is decided
//! by signatures, not by this machine: only when the rebuilt log has the roots that the attestations name, and reaches
//! behind every step that differs, is anything replaced. Otherwise nothing is written. A ledger that begins with a
//! checkpoint on this node is done again from there.

use super::{Module, Origin, Plan, PlanStep, RecoveryError, Site, Stop, rollback::bounded};
use crate::{
    engine::{HostFault, on_engine_thread},
    journal::{
        Case, CaseNo, Group, Journal, JournalError, LedgerEntry, MendedStep, Quarantined, QuarantinedKind, RecordKind,
        StoredStep,
    },
    node::EngineChoice,
    runner::Runner,
};
use reprise_abi::{Input, decode_canonical};
use reprise_receipts::{
    Attestation, Divergence, Head, LogRoot, Receipt, Sealed, StateRoot, StateTrie,
    log::{LogTail, TileSource, TileWrite},
    verdict::Claim,
};
use std::collections::BTreeMap;

/// Steps that are written in one transaction.
const BATCH_STEPS: usize = 256;

/// What doing everything again gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survey {
    /// Receipts.
    pub size: u64,
    /// The state after them.
    pub state_root: StateRoot,
    /// Root of the log of them.
    pub log_root: LogRoot,
    /// First step that was done again.
    pub from: u64,
    /// Stored steps that differ.
    pub differing: u64,
    /// The last of those.
    pub last: Option<u64>,
    /// The first of those.
    pub first: Option<Divergence>,
    /// Receipts that an attestation proves.
    pub proven: u64,
}

/// Does every input again and compares.
///
/// # Errors
/// [`RecoveryError`]: an input is damaged, a step cannot be executed, or attested receipts are contradicted.
pub fn survey(site: &Site<'_>) -> Result<Survey, RecoveryError> {
    let (journal, entry) = (site.journal.clone(), site.entry.clone());
    let mut again = Again::new(site)?;
    on_engine(move || {
        let reader = journal.read(entry.no)?;
        let size = reader.size()?;
        let attested = attested_roots(&journal, &entry)?;
        let from = again.head.next_seq();
        let (mut differing, mut first, mut last, mut proven) = (0, None, None, from);
        for step in reader.steps(from..size)? {
            let step = step?.map_err(|missing| JournalError::damaged(RecordKind::Steps, "of the ledger", missing))?;
            let sealed = again.step(&step)?;
            if let Some(divergence) = difference(&step, &sealed) {
                differing += 1;
                last = Some(step.seq());
                first.get_or_insert(divergence);
            }
            if let Some(root) = attested.get(&(step.seq() + 1)) {
                if *root != again.tail.root() {
                    let differs = first.unwrap_or_else(|| other_root(step.seq(), *root, again.tail.root()));
                    return Err(RecoveryError::Divergent(Box::new(differs)));
                }
                proven = step.seq() + 1;
            }
        }
        let (state_root, log_root) = (again.head.state_root(), again.tail.root());
        Ok(Survey { size, state_root, log_root, from, differing, last, first, proven })
    })
}

/// The plan that replaces what differs.
///
/// # Errors
/// [`RecoveryError::Unproven`]: no attestation covers the step that differs.
pub fn plan(site: &Site<'_>, survey: &Survey, reason: &str, now_ms: u64) -> Result<Plan, RecoveryError> {
    let Survey { size, state_root, log_root, proven, .. } = *survey;
    if let Some(seq) = survey.last.filter(|last| *last >= proven) {
        return Err(RecoveryError::Unproven { seq, proven });
    }
    let case = site.journal.next_case(site.entry.no)?;
    let steps = vec![PlanStep::Rebuild { case, size, log_root }, PlanStep::Check { size, state_root }];
    let reason = bounded(reason);
    Ok(Plan { ledger: site.entry.id, module: Module::ReplayReconstruction, reason, made_ms: now_ms, steps })
}

/// Does every input again, and stores what came out where it differs, the state in any case. Nothing is written before
/// the log was found to have its root: where more differs than is kept in memory, inputs are done twice.
pub(super) fn rebuild(
    site: &Site<'_>,
    case: (CaseNo, Case),
    size: u64,
    log_root: LogRoot,
    during: &mut dyn FnMut() -> Result<(), Stop>,
) -> Result<(), RecoveryError> {
    let rebuilt = Rebuilt::of(site, size, log_root, None)?;
    during()?;
    if rebuilt.is_complete {
        replace(site.journal, site.entry.no, &case, rebuilt.differing)?;
    } else {
        Rebuilt::of(site, size, log_root, Some(case))?;
    }
    site.journal.mend_tiles(site.entry.no, &rebuilt.tiles)?;
    Ok(site.journal.cut(site.entry.no, size, &rebuilt.state)?)
}

/// What doing every input again gave.
struct Rebuilt {
    /// Steps that differ, as far as they fit a batch.
    differing: Vec<(StoredStep, Sealed)>,
    is_complete: bool,
    /// Complete tiles of the log that differ.
    tiles: Vec<TileWrite>,
    state: StateTrie,
}

impl Rebuilt {
    /// Does every input again and compares. With a case, what differs goes there and is replaced.
    fn of(site: &Site<'_>, size: u64, log_root: LogRoot, case: Option<(CaseNo, Case)>) -> Result<Self, RecoveryError> {
        let (journal, no) = (site.journal.clone(), site.entry.no);
        let mut again = Again::new(site)?;
        on_engine(move || {
            let reader = journal.read(no)?;
            let (mut differing, mut is_complete) = (Vec::new(), true);
            for step in reader.steps(again.head.next_seq()..size)? {
                let step =
                    step?.map_err(|missing| JournalError::damaged(RecordKind::Steps, "of the ledger", missing))?;
                let sealed = again.step(&step)?;
                let differs = difference(&step, &sealed).is_some();
                match &case {
                    _ if !differs => {}
                    _ if differing.len() < BATCH_STEPS => differing.push((step, sealed)),
                    None => is_complete = false,
                    Some(case) => {
                        replace(&journal, no, case, std::mem::take(&mut differing))?;
                        differing.push((step, sealed));
                    }
                }
            }
            if again.tail.root() != log_root {
                let other = other_root(size.saturating_sub(1), log_root, again.tail.root());
                return Err(RecoveryError::Divergent(Box::new(other)));
            }
            if let Some(case) = &case {
                replace(&journal, no, case, std::mem::take(&mut differing))?;
            }
            let mut tiles = again.tail.take_complete_tiles();
            tiles.retain(|tile| reader.tile(tile.level, tile.index).is_none_or(|stored| stored != tile.hashes));
            Ok(Self { differing, is_complete, tiles, state: std::mem::take(again.head.lend_state()) })
        })
    }
}

/// Builds a ledger out of nothing but its inputs, in a journal where it has no receipts yet. Gives its right edge.
///
/// # Errors
/// [`RecoveryError`]: an input cannot be the next one, or a step cannot be executed.
pub fn from_inputs(
    journal: &Journal,
    entry: &LedgerEntry,
    runner: &mut Runner,
    inputs: impl Iterator<Item = Result<Vec<u8>, JournalError>>,
) -> Result<(StateTrie, LogTail), RecoveryError> {
    let mut head = Head::genesis(entry.genesis.clone());
    let mut tail = LogTail::new();
    let mut group: Vec<Sealed> = Vec::with_capacity(BATCH_STEPS);
    let keep = |group: &mut Vec<Sealed>, tail: &mut LogTail| {
        let tiles = tail.take_complete_tiles();
        let kept = journal.commit(entry.no, &Group { steps: group, tiles: &tiles, attestation: None });
        group.clear();
        kept
    };
    for input in inputs {
        let sealed = seal(&mut head, runner, &input?, |fuel| fuel)?;
        tail.append(sealed.leaf);
        group.push(sealed);
        if group.len() == BATCH_STEPS {
            keep(&mut group, &mut tail)?;
        }
    }
    keep(&mut group, &mut tail)?;
    Ok((std::mem::take(head.lend_state()), tail))
}

/// Everything again, from the first input on that is here.
struct Again {
    head: Head,
    tail: LogTail,
    runner: Runner,
    engine: EngineChoice,
}

impl Again {
    fn new(site: &Site<'_>) -> Result<Self, RecoveryError> {
        let origin = Origin::find(site)?;
        let (head, tail) = (origin.head(site.entry.genesis.clone()), origin.tail);
        Ok(Self { head, tail, runner: site.runner(), engine: site.engine })
    }

    fn step(&mut self, stored: &StoredStep) -> Result<Sealed, RecoveryError> {
        // Native execution counts no fuel: what the receipt says is taken over, and the log root says whether it holds.
        let claimed = decode_canonical::<Receipt>(stored.receipt()).ok().map(|receipt| receipt.fuel);
        let counts = self.engine.charges_fuel();
        let fuel = |fuel| if counts { fuel } else { claimed.unwrap_or(fuel) };
        let sealed = seal(&mut self.head, &mut self.runner, stored.input(), fuel)?;
        self.tail.append(sealed.leaf);
        Ok(sealed)
    }
}

/// Does one input, as it is stored.
pub(super) fn seal(
    head: &mut Head,
    runner: &mut Runner,
    input: &[u8],
    fuel: impl FnOnce(u64) -> u64,
) -> Result<Sealed, RecoveryError> {
    let seq = head.next_seq();
    let damaged = |error: String| JournalError::damaged(RecordKind::Input, seq, error);
    let input: Input = decode_canonical(input).map_err(|error| damaged(error.to_string()))?;
    let work = head.prepare(&input).map_err(|error| damaged(error.to_string()))?;
    let mut executed = runner.run(head, &input, &work).map_err(|error| RecoveryError::Run { seq, error })?;
    executed.fuel = fuel(executed.fuel);
    Ok(head.seal(&input, &work, executed))
}

/// Log roots that intact attestations name, by the number of receipts that they are over.
fn attested_roots(journal: &Journal, entry: &LedgerEntry) -> Result<BTreeMap<u64, LogRoot>, JournalError> {
    let mut roots = BTreeMap::new();
    let attesters = journal.attesters(entry)?;
    for filed in journal.read(entry.no)?.attestations(0..u64::MAX)? {
        let (seq, bytes) = filed?;
        let attestation = decode_canonical::<Attestation>(&bytes).ok();
        let holds = |a: &Attestation| a.body.seq == seq && a.body.ledger == entry.id && attesters.verify(a).is_ok();
        if let Some(attestation) = attestation.filter(holds) {
            roots.insert(seq + 1, attestation.body.log_root);
        }
    }
    for checkpoint in journal.raw_checkpoints(entry.no)? {
        let note = reprise_receipts::checkpoint::SignedCheckpoint::parse(&checkpoint.note).ok();
        if let Some(note) = note.filter(|note| note.verify(attesters.of_log(note.checkpoint().size)).is_ok()) {
            roots.insert(note.checkpoint().size, note.checkpoint().log_root);
        }
    }
    Ok(roots)
}

fn difference(stored: &StoredStep, sealed: &Sealed) -> Option<Divergence> {
    let pairs = [
        (Claim::Receipt, sealed.receipt_bytes.as_slice(), stored.receipt()),
        (Claim::StoredDiff, &sealed.record_bytes, stored.record()),
    ];
    let (what, expected, found) = pairs.into_iter().find(|(_, expected, found)| expected != found)?;
    let name = |bytes: &[u8]| format!("{} bytes with the hash {}", bytes.len(), blake3::hash(bytes).to_hex());
    Some(Divergence { seq: stored.seq(), what, expected: name(expected), found: name(found), keys: Vec::new() })
}

fn other_root(seq: u64, expected: LogRoot, found: LogRoot) -> Divergence {
    let (expected, found) = (expected.to_string(), found.to_string());
    Divergence { seq, what: Claim::LogNode, expected, found, keys: Vec::new() }
}

fn replace(
    journal: &Journal,
    no: crate::journal::LedgerNo,
    case: &(CaseNo, Case),
    steps: Vec<(StoredStep, Sealed)>,
) -> Result<(), JournalError> {
    if steps.is_empty() {
        return Ok(());
    }
    journal.put_case(no, case.0, &case.1)?;
    let old = steps.iter().flat_map(|(stored, _)| {
        let record = |kind, bytes: &[u8]| Quarantined { kind, seq: stored.seq(), bytes: bytes.to_vec() };
        [record(QuarantinedKind::Receipt, stored.receipt()), record(QuarantinedKind::StepRecord, stored.record())]
    });
    journal.quarantine(no, case.0, old)?;
    let mended = steps.into_iter().map(|(stored, sealed)| MendedStep {
        seq: stored.seq(),
        input: sealed.input_bytes,
        receipt: sealed.receipt_bytes,
        record: sealed.record_bytes,
    });
    journal.mend_steps(no, &mended.collect::<Vec<_>>())
}

/// Runs something on an engine thread, and waits for it.
pub(crate) fn on_engine<T: Send + 'static>(
    run: impl FnOnce() -> Result<T, RecoveryError> + Send + 'static,
) -> Result<T, RecoveryError> {
    let thread = on_engine_thread("reprise-recovery", run).map_err(|error| HostFault::Engine(error.to_string()))?;
    thread.join().map_err(|_| HostFault::Engine("the engine thread panicked".to_owned()))?
}
