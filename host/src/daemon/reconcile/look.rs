//! Looking at what is stored: whether the state has the root that the last receipt says, whether the log is the one that
//! was attested, and which step is the first whose result is not what is stored.
//!
//! A ledger is looked at when this node begins to serve it, and at every window that it signs, on a thread beside: a bit
//! that the disk has lost is noticed then, not when somebody needs the state. After a look it rests ten times as long as
//! that took.

use crate::{
    daemon::{driver::Driver, happening::Happening},
    journal::{Journal, JournalError, LedgerEntry, LedgerReader},
    panics::told,
    recovery::{self, NoWatch, Way, checkpoint_restore},
};
use reprise_abi::decode_canonical;
use reprise_federation::Suspension;
use reprise_receipts::{Head, LeafHash, LedgerId, StateRoot, StateTrie, StepRecord, log::LogTail};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// After a look the ledger rests so many times as long as it took.
const REST_TIMES: u64 = 10;
/// And at least so long.
const REST_MS_MIN: u64 = 200;
/// Keys that are named at most.
const KEYS_MAX: usize = 4;

/// What a look has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Look {
    /// Receipts of the ledger.
    size: u64,
    /// The root of what is stored, if that makes a state at all.
    found: Option<StateRoot>,
    /// What is wrong; none when nothing is.
    wrong: Option<Wrong>,
}

/// Something that is stored is not what the receipts say.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Wrong {
    /// The first step whose result is not what is stored.
    first: Option<u64>,
    /// For people.
    what: String,
}

impl Look {
    /// What is stored is what the receipts say.
    pub(super) fn is_sound(&self) -> bool {
        self.wrong.is_none()
    }

    /// What the policy hears.
    pub(super) fn answer(&self) -> Value {
        match &self.wrong {
            None => json!({ "sound": true }),
            Some(Wrong { first: Some(first), what }) => json!({ "sound": false, "first_wrong": first, "what": what }),
            Some(Wrong { first: None, what }) => json!({ "sound": false, "what": what }),
        }
    }
}

/// Looks that are made, and when the next ones are.
#[derive(Debug, Default)]
pub(super) struct Looks {
    under_way: bool,
    ledgers: BTreeMap<LedgerId, LastLook>,
}

/// The last look at a ledger.
#[derive(Clone, Copy, Debug, Default)]
struct LastLook {
    /// What this node had signed then.
    signed: u64,
    rest_until_ms: u64,
}

/// A look has ended.
#[derive(Debug)]
pub(in crate::daemon) struct Looked {
    ledger: LedgerId,
    /// The order that asked for it.
    key: Option<String>,
    /// When it was asked for, on the node's clock.
    began_ms: u64,
    look: Result<Look, String>,
}

/// Holds what is stored against the receipts. `deep` names the first step that is wrong, and holds the log, too.
pub(super) fn look(journal: &Journal, entry: &LedgerEntry, deep: bool) -> Result<Look, JournalError> {
    let reader = journal.read(entry.no)?;
    let last = reader.last_receipt()?;
    let size = last.as_ref().map_or(0, |(receipt, _)| receipt.seq + 1);
    let expected = match &last {
        Some((receipt, _)) => receipt.next_state,
        None => Head::genesis(entry.genesis.clone()).state_root(),
    };
    let (found, mut wrong) = match reader.state() {
        Ok(mut state) => match state.root() {
            root if root == expected => (Some(root), None),
            root => (Some(root), Some(format!("the state has the root {root}, the last receipt says {expected}"))),
        },
        Err(JournalError::Damaged { reason, .. }) => (None, Some(reason)),
        Err(error) => return Err(error),
    };
    if deep && wrong.is_none() {
        wrong = log_is_wrong(&reader, size)?;
    }
    let wrong = match wrong {
        Some(what) if deep => Some(first_wrong(&reader, size, what)?),
        wrong => wrong.map(|what| Wrong { first: None, what }),
    };
    Ok(Look { size, found, wrong })
}

/// The receipts do not chain, or are not those that were attested.
fn log_is_wrong(reader: &LedgerReader, size: u64) -> Result<Option<String>, JournalError> {
    let Some((seq, attestation)) = reader.last_attestation()? else { return Ok(None) };
    // A log that begins with a checkpoint here has its right edge from there.
    if reader.base().is_some() {
        return Ok(None);
    }
    let mut tail = LogTail::new();
    for step in reader.steps(0..size.min(seq + 1))? {
        let Ok(step) = step? else { return Ok(Some("receipts are missing".to_owned())) };
        tail.append(LeafHash::of(step.receipt()));
    }
    let same = tail.root() == attestation.body.log_root;
    Ok((!same).then(|| format!("the receipts up to {seq} have another log root than was attested")))
}

/// The keys whose values are not those that the last step to change them left, and the first of those steps.
fn first_wrong(reader: &LedgerReader, size: u64, what: String) -> Result<Wrong, JournalError> {
    let (Ok(at), Ok(stored)) = (reader.state_at(), reader.stored_state()) else {
        return Ok(Wrong { first: None, what });
    };
    let mut left: BTreeMap<Vec<u8>, (u64, Option<Vec<u8>>)> = BTreeMap::new();
    let begin = reader.base().map_or(0, |base| base.size);
    for step in reader.steps(begin..at.min(size))? {
        let Ok(step) = step? else { break };
        let Ok(record) = decode_canonical::<StepRecord>(step.record()) else {
            return Ok(Wrong { first: Some(step.seq()), what: "its step record does not decode".to_owned() });
        };
        for change in record.diff.changes() {
            left.insert(change.key.clone(), (step.seq(), change.after.clone()));
        }
    }
    let differs = |(key, (_, value)): &(&Vec<u8>, &(u64, Option<Vec<u8>>))| stored.get(key) != value.as_deref();
    let wrong: Vec<(&Vec<u8>, u64)> = left.iter().filter(differs).map(|(key, (seq, _))| (key, *seq)).collect();
    let first = wrong.iter().map(|(_, seq)| *seq).min();
    let hex = |key: &[u8]| key.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let keys: Vec<String> =
        wrong.iter().take(KEYS_MAX).map(|(key, seq)| format!("{} of step {seq}", hex(key))).collect();
    let what = if keys.is_empty() { what } else { format!("{what}; keys: {}", keys.join(", ")) };
    Ok(Wrong { first, what })
}

impl Driver {
    /// Looks at a ledger before it is served: what is wrong suspends it before anything follows from it.
    pub(in crate::daemon) fn first_look(&mut self, entry: &LedgerEntry) -> Option<Suspension> {
        if !self.reconciler.decides() {
            return None;
        }
        match look(self.node.journal(), entry, false) {
            Ok(look) => {
                self.facts.set_found(entry.id, look.found.filter(|_| !look.is_sound()));
                let wrong = look.wrong?;
                tracing::error!(ledger = %entry.id, what = wrong.what, "what is stored is not what the receipts say");
                Some(Suspension::CorruptHere)
            }
            Err(error) => {
                tracing::error!(ledger = %entry.id, %error, "the ledger cannot be looked at");
                None
            }
        }
    }

    /// Looks at the ledgers that have signed another window since they were looked at, one at a time.
    pub(super) fn start_looks(&mut self) {
        let now_ms = self.now_ms();
        if self.reconciler.looks.under_way {
            return;
        }
        let due = self.ledgers.keys().copied().find_map(|ledger| {
            let standing = self.federation.seat(ledger)?.standing;
            let last = self.reconciler.looks.ledgers.get(&ledger).copied().unwrap_or_default();
            let due =
                standing.suspended.is_none() && standing.signed.size != last.signed && now_ms >= last.rest_until_ms;
            (due && !self.reconciler.is_own(ledger)).then_some((ledger, standing.signed.size))
        });
        if let Some((ledger, signed)) = due {
            self.reconciler.looks.ledgers.entry(ledger).or_default().signed = signed;
            self.reconciler.looks.under_way = true;
            self.look_beside(ledger, None);
        }
    }

    pub(super) fn order_look(&mut self, key: &str, ledger: LedgerId) {
        self.beside(key);
        self.look_beside(ledger, Some(key.to_owned()));
    }

    fn look_beside(&self, ledger: LedgerId, key: Option<String>) {
        let Some(entry) = self.ledgers.get(&ledger).map(|served| served.entry.clone()) else { return };
        let (journal, began_ms) = (self.node.journal().clone(), self.now_ms());
        self.world.workers().beside(self.happenings.clone(), move || {
            let look = told(|| look(&journal, &entry, key.is_some()));
            Happening::Looked(Box::new(Looked { ledger, key, began_ms, look }))
        });
    }

    /// A look has ended.
    pub(in crate::daemon) fn looked(&mut self, looked: Looked) {
        let Looked { ledger, key, began_ms, look } = looked;
        if let Ok(look) = &look {
            self.facts.set_found(ledger, look.found.filter(|_| !look.is_sound()));
            if let Some(wrong) = &look.wrong {
                tracing::error!(%ledger, size = look.size, first = wrong.first, wrong.what, "not what the receipts say");
                self.federation.suspend(ledger, Suspension::CorruptHere);
            }
        }
        match key {
            Some(key) => self.close_look(&key, look.as_ref()),
            None => {
                self.reconciler.looks.under_way = false;
                let now_ms = self.now_ms();
                let rest_ms = now_ms.saturating_sub(began_ms).saturating_mul(REST_TIMES).max(REST_MS_MIN);
                let rest_until_ms = now_ms.saturating_add(rest_ms);
                self.reconciler.looks.ledgers.entry(ledger).or_default().rest_until_ms = rest_until_ms;
            }
        }
    }
}

impl Driver {
    /// The state anew from what is here: snapshots and diffs first, all inputs executed again at last.
    pub(super) fn begin_rebuild(&mut self, key: &str, ledger: LedgerId) {
        self.beside(key);
        let Some(entry) = self.ledgers.get(&ledger).map(|served| served.entry.clone()) else { return };
        let (node, key) = (self.node.clone(), key.to_owned());
        let (engine, now_ms) = (self.world.engine(), self.now_ms());
        self.world.workers().beside(self.happenings.clone(), move || {
            let site = node.site(&entry, engine);
            let rebuilt = || {
                let size = site.journal.read(entry.no)?.size()?;
                let mut ways: Vec<Way> = recovery::ways_to(&site, size)?.into_iter().map(|(way, _)| way).collect();
                ways.retain(|way| *way != Way::StoredState);
                ways.push(Way::Replay);
                let mut last = recovery::RecoveryError::NoWay { size };
                for way in ways {
                    let plan = checkpoint_restore::plan_by(&site, way, "the stored state is damaged", now_ms)?;
                    match recovery::carry_out(&site, &plan, &mut NoWatch) {
                        Ok(()) => return Ok(way),
                        Err(error) => last = error,
                    }
                }
                Err(last)
            };
            let result = told(rebuilt).map(|way| json!({ "way": way.to_string() }));
            Happening::Restored(super::Restored { ledger, key, result })
        });
    }
}

/// The state as it is stored, with the diffs up to `size` applied or taken back whether they fit or not: what is left of
/// it, to take chunks from.
pub(super) fn remains(reader: &LedgerReader, size: u64) -> Result<StateTrie, JournalError> {
    let at = reader.state_at()?;
    let mut state = reader.stored_state()?;
    let mut then: BTreeMap<Vec<u8>, Option<Vec<u8>>> = BTreeMap::new();
    for step in reader.steps(at.min(size)..at.max(size))? {
        let Ok(step) = step? else { break };
        let Ok(record) = decode_canonical::<StepRecord>(step.record()) else { break };
        for change in record.diff.changes() {
            if at <= size {
                then.insert(change.key.clone(), change.after.clone());
            } else {
                then.entry(change.key.clone()).or_insert_with(|| change.before.clone());
            }
        }
    }
    for (key, value) in then {
        match value {
            Some(value) => state.insert(&key, &value),
            None => drop(state.remove(&key)),
        }
    }
    Ok(state)
}
