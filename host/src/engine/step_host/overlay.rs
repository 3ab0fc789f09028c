//! The writes of a step, over a state that stays as it is.

use reprise_abi::Change;
use std::{
    collections::{BTreeMap, btree_map::Range},
    ops::Bound,
};

/// One key that was written.
pub(super) struct Written {
    /// Its value in the state.
    before: Option<Vec<u8>>,
    /// Its value now.
    after: Option<Vec<u8>>,
}

impl Written {
    /// Its value now.
    pub(super) fn after(&self) -> Option<&[u8]> {
        self.after.as_deref()
    }

    fn changes(&self) -> bool {
        self.before != self.after
    }
}

/// Keys written by a step, with their values before and after.
#[derive(Default)]
pub(super) struct Overlay {
    written: BTreeMap<Vec<u8>, Written>,
    size: Size,
}

/// How much a step has written. A key that is written back to what it was counts like any other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Size {
    /// Keys written.
    pub(super) keys: usize,
    /// Bytes of those keys and of their new values.
    pub(super) bytes: usize,
    /// Bytes of the entries that are there now.
    pub(super) state_bytes_added: u64,
    /// Bytes of the entries that were there before.
    pub(super) state_bytes_removed: u64,
}

impl Overlay {
    /// The value of a key that was written; `None` for one that was not.
    pub(super) fn get(&self, key: &[u8]) -> Option<Option<&[u8]>> {
        self.written.get(key).map(Written::after)
    }

    /// Writes a key. `before` looks it up in the state, the first time only.
    pub(super) fn write(&mut self, key: &[u8], value: Option<&[u8]>, before: impl FnOnce(&[u8]) -> Option<Vec<u8>>) {
        let size = &mut self.size;
        let entry_bytes = |value: Option<&[u8]>| value.map_or(0, |value| (key.len() + value.len()) as u64);
        let value_bytes = |value: Option<&[u8]>| value.map_or(0, <[u8]>::len);
        if let Some(written) = self.written.get_mut(key) {
            size.bytes -= value_bytes(written.after());
            size.state_bytes_added -= entry_bytes(written.after());
            written.after = value.map(<[u8]>::to_vec);
        } else {
            let before = before(key);
            size.keys += 1;
            size.bytes += key.len();
            size.state_bytes_removed += entry_bytes(before.as_deref());
            self.written.insert(key.to_vec(), Written { before, after: value.map(<[u8]>::to_vec) });
        }
        size.bytes += value_bytes(value);
        size.state_bytes_added += entry_bytes(value);
    }

    /// How much was written.
    pub(super) fn size(&self) -> Size {
        self.size
    }

    /// Keys written from `start` on, in key order.
    pub(super) fn range(&self, start: Bound<&[u8]>) -> Range<'_, Vec<u8>, Written> {
        self.written.range::<[u8], _>((start, Bound::Unbounded))
    }

    /// Some key has another value than before.
    pub(super) fn changes(&self) -> bool {
        self.written.values().any(Written::changes)
    }

    /// The keys that have another value than before, in key order.
    pub(super) fn into_changes(self) -> Vec<Change> {
        let changed = self.written.into_iter().filter(|(_, written)| written.changes());
        changed.map(|(key, written)| Change { key, before: written.before, after: written.after }).collect()
    }
}
