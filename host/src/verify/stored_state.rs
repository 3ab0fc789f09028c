//! The stored state against the state at hand.
//!
//! The stored state may be behind the receipts. Brought forward by the stored diffs, which have been verified by then,
//! it must have the root at hand: a diff fits one state only. To name keys when it does not, the state at hand is taken
//! back by the same diffs.

use crate::journal::{JournalError, LedgerReader, RecordKind};
use reprise_abi::{Diff, decode_canonical};
use reprise_receipts::{
    Divergence, Head, StateTrie, StepRecord,
    verdict::{Claim, KeyDifference, LISTED_KEYS_MAX},
};

/// How the stored state differs from that of `head`, the head after the last receipt. Its state is used up.
pub(super) fn differs(reader: &LedgerReader, head: &mut Head) -> Result<Option<Divergence>, JournalError> {
    let expected = head.state_root();
    let found = match reader.state() {
        Ok(mut state) => state.root().to_string(),
        Err(JournalError::Damaged { kind: RecordKind::State, reason, .. }) => reason,
        Err(error) => return Err(error),
    };
    if found == expected.to_string() {
        return Ok(None);
    }
    let seq = head.next_seq().saturating_sub(1);
    let at_hand = taken_back(reader, std::mem::take(head.lend_state()), reader.state_at()?..head.next_seq())?;
    let keys = key_differences(&at_hand, &reader.stored_state()?);
    Ok(Some(Divergence { seq, what: Claim::StoredState, expected: expected.to_string(), found, keys }))
}

/// The state before a run of verified steps, from the state after them.
fn taken_back(
    reader: &LedgerReader,
    mut state: StateTrie,
    range: std::ops::Range<u64>,
) -> Result<StateTrie, JournalError> {
    let mut diffs: Vec<Diff> = Vec::new();
    for step in reader.steps(range)? {
        let record = step?.ok().and_then(|step| decode_canonical::<StepRecord>(step.record()).ok());
        diffs.push(record.expect("every step has been verified").diff);
    }
    for diff in diffs.iter().rev() {
        state.apply(&diff.inverted()).expect("verified diffs lead to this state");
    }
    Ok(state)
}

fn key_differences(expected: &StateTrie, found: &StateTrie) -> Vec<KeyDifference> {
    let value = |state: &StateTrie, key: &[u8]| state.get(key).map(<[u8]>::to_vec);
    let other = expected.scan(&[], None).filter(|(key, value)| found.get(key) != Some(value)).map(|(key, _)| key);
    let stray = found.scan(&[], None).map(|(key, _)| key).filter(|key| expected.get(key).is_none());
    let difference =
        |key: &[u8]| KeyDifference { key: key.to_vec(), expected: value(expected, key), found: value(found, key) };
    other.chain(stray).take(LISTED_KEYS_MAX).map(difference).collect()
}
