//! Sets of keys under a prefix: what there is to do, and who descends from whom.
//!
//! The values are empty; the order of the keys is the order of the set. A page is read, not the set, so that what a
//! step costs does not depend on how much there is.

use core::marker::PhantomData;
use reprise_guest::{
    Host,
    typed::{CorruptState, StateKey},
};

/// A sorted set in state.
#[derive(Debug)]
pub struct Index<K> {
    prefix: &'static [u8],
    keys: PhantomData<fn() -> K>,
}

impl<K: StateKey> Index<K> {
    /// A set under `prefix`, which begins no other prefix or cell.
    #[must_use]
    pub const fn new(prefix: &'static [u8]) -> Self {
        Self { prefix, keys: PhantomData }
    }

    /// Puts a key in.
    pub fn insert(&self, host: &mut dyn Host, key: &K) {
        host.put(&key_under(self.prefix, key), &[]);
    }

    /// Takes a key out.
    pub fn remove(&self, host: &mut dyn Host, key: &K) {
        host.delete(&key_under(self.prefix, key));
    }

    /// The first key.
    ///
    /// # Errors
    /// [`CorruptState`]: the bytes there are not a `K`.
    pub fn first(&self, host: &mut dyn Host) -> Result<Option<K>, CorruptState> {
        let page = host.scan(self.prefix, None, 1);
        let corrupt = CorruptState { place: self.prefix };
        page.entries.first().map(|(key, _)| part(key, self.prefix).ok_or(corrupt)).transpose()
    }
}

impl Index<(String, String)> {
    /// At most `limit` second parts under a first one, those after `after`; and whether more follow.
    ///
    /// # Errors
    /// [`CorruptState`]: the bytes there are not a pair of names.
    pub fn under(
        &self,
        host: &mut dyn Host,
        first: &String,
        after: Option<&String>,
        limit: u32,
    ) -> Result<Names, CorruptState> {
        names(host, &key_under(self.prefix, first), after, limit).ok_or(CorruptState { place: self.prefix })
    }
}

/// Some names, and whether more follow.
pub type Names = (Vec<String>, bool);

/// At most `limit` keys that are a prefix and a name, those after `after`; `None` if one is something else.
pub fn names(host: &mut dyn Host, prefix: &[u8], after: Option<&String>, limit: u32) -> Option<Names> {
    let after = after.map(|after| key_under(prefix, after));
    let page = host.scan(prefix, after.as_deref(), limit);
    let mut names = Vec::with_capacity(page.entries.len());
    for (key, _) in &page.entries {
        names.push(part(key, prefix)?);
    }
    Some((names, page.more))
}

fn key_under(prefix: &[u8], key: &impl StateKey) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(160);
    bytes.extend_from_slice(prefix);
    key.write(&mut bytes);
    bytes
}

fn part<K: StateKey>(bytes: &[u8], prefix: &[u8]) -> Option<K> {
    let (key, rest) = K::read(bytes.strip_prefix(prefix)?)?;
    rest.is_empty().then_some(key)
}
