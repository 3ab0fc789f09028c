//! A page of a scan: the state and the writes over it, merged.

use super::{Scanned, overlay::Overlay};
use reprise_abi::limits::{SCAN_BYTES_MAX, SCAN_ENTRIES_MAX};
use reprise_guest::Page;
use reprise_receipts::{StateTrie, system::POLICY_NAMESPACE};
use std::{cell::Cell, cmp::Ordering, ops::Bound};

/// At most `limit` entries whose key begins with `prefix` and sorts after `after`, within the bounds of a page.
pub(super) fn page(state: &StateTrie, overlay: &Overlay, prefix: &[u8], after: Option<&[u8]>, limit: u32) -> Scanned {
    let prefix = full(prefix);
    let after = after.map(full);
    let entries_max = limit.min(SCAN_ENTRIES_MAX) as usize;
    let mut page = Page::default();
    let (mut page_bytes, mut bytes) = (0, 0);
    let pulls = Cell::new(0);
    for (key, value) in merged(state, overlay, &prefix, after.as_deref(), &pulls) {
        let Some(value) = value else {
            bytes += key.len();
            continue;
        };
        let key = &key[1..];
        let entry_bytes = key.len() + value.len();
        if page.entries.len() == entries_max || page_bytes + entry_bytes > SCAN_BYTES_MAX {
            page.more = true;
            break;
        }
        page_bytes += entry_bytes;
        page.entries.push((key.to_vec(), value.to_vec()));
    }
    Scanned { page, bytes: bytes + page_bytes, pulls: pulls.get() }
}

fn full(key: &[u8]) -> Vec<u8> {
    let mut full = Vec::with_capacity(key.len() + 1);
    full.push(POLICY_NAMESPACE);
    full.extend_from_slice(key);
    full
}

/// Both in key order; where both have a key, the overlay's. `None` is a key that the step removed. `pulls` counts how
/// often the state is asked for its next entry.
fn merged<'a>(
    state: &'a StateTrie,
    overlay: &'a Overlay,
    prefix: &'a [u8],
    after: Option<&'a [u8]>,
    pulls: &'a Cell<u32>,
) -> impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> {
    let start = match after {
        Some(after) if after >= prefix => Bound::Excluded(after),
        _ => Bound::Included(prefix),
    };
    let written = overlay.range(start).take_while(move |(key, _)| key.starts_with(prefix));
    let mut written = written.map(|(key, written)| (key.as_slice(), written.after())).peekable();
    let mut entries = state.scan(prefix, after);
    let kept = std::iter::from_fn(move || {
        pulls.set(pulls.get().saturating_add(1));
        entries.next().map(|(key, value)| (key, Some(value)))
    });
    let mut kept = kept.fuse().peekable();
    std::iter::from_fn(move || {
        let order = match (kept.peek(), written.peek()) {
            (Some((kept, _)), Some((written, _))) => kept.cmp(written),
            (Some(_), None) => Ordering::Less,
            (None, _) => Ordering::Greater,
        };
        match order {
            Ordering::Less => kept.next(),
            Ordering::Equal => kept.next().and(written.next()),
            Ordering::Greater => written.next(),
        }
    })
}
