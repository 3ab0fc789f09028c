//! Cells and maps over the host's bytes.

use super::StateKey;
use crate::{
    host::Host,
    rejection::{Code, SdkCode},
    wire,
};
use core::marker::PhantomData;
use reprise_abi::{Rejection, limits::SCAN_ENTRIES_MAX};
use serde::{Serialize, de::DeserializeOwned};

/// Stored bytes are not of the type that this version keeps there.
///
/// The state is written through these types alone and stands under a signed root, so this means that another version
/// of the policy wrote it and no migration ran. Converts into a [`Rejection`], so that `?` does the right thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CorruptState {
    /// Key of the cell or prefix of the map.
    pub place: &'static [u8],
}

impl From<CorruptState> for Rejection {
    fn from(corrupt: CorruptState) -> Self {
        let place = String::from_utf8_lossy(corrupt.place);
        SdkCode::CorruptState.because(["`", &place, "` holds bytes of another version"].concat())
    }
}

/// Room for a key at once.
const KEY_BYTES_USUAL: usize = 64;

/// One value under one key.
#[derive(Debug)]
pub struct Cell<T> {
    key: &'static [u8],
    value: PhantomData<fn() -> T>,
}

impl<T: Serialize + DeserializeOwned> Cell<T> {
    /// A cell under `key`, which no other cell has and no map's prefix begins.
    #[must_use]
    pub const fn new(key: &'static [u8]) -> Self {
        Self { key, value: PhantomData }
    }

    /// Its value.
    ///
    /// # Errors
    /// [`CorruptState`]: the bytes there are not a `T`.
    pub fn get(&self, host: &mut dyn Host) -> Result<Option<T>, CorruptState> {
        host.get(self.key).map(|bytes| wire::decode(&bytes).map_err(|_| CorruptState { place: self.key })).transpose()
    }

    /// Stores a value.
    pub fn put(&self, host: &mut dyn Host, value: &T) {
        host.put(self.key, &wire::encode(value));
    }

    /// Removes it.
    pub fn delete(&self, host: &mut dyn Host) {
        host.delete(self.key);
    }
}

/// Many values under one prefix, in the order of their keys.
#[derive(Debug)]
pub struct Map<K, V> {
    prefix: &'static [u8],
    types: PhantomData<fn() -> (K, V)>,
}

impl<K: StateKey, V: Serialize + DeserializeOwned> Map<K, V> {
    /// A map under `prefix`, which begins no other prefix or cell.
    #[must_use]
    pub const fn new(prefix: &'static [u8]) -> Self {
        Self { prefix, types: PhantomData }
    }

    /// The value under a key.
    ///
    /// # Errors
    /// [`CorruptState`]: the bytes there are not a `V`.
    pub fn get(&self, host: &mut dyn Host, key: &K) -> Result<Option<V>, CorruptState> {
        let corrupt = CorruptState { place: self.prefix };
        host.get(&self.key(key)).map(|bytes| wire::decode(&bytes).map_err(|_| corrupt)).transpose()
    }

    /// Stores a value.
    pub fn put(&self, host: &mut dyn Host, key: &K, value: &V) {
        self.put_encoded(host, key, &wire::encode(value));
    }

    /// Stores the encoding of a value, for whoever has it already.
    pub fn put_encoded(&self, host: &mut dyn Host, key: &K, encoding: &[u8]) {
        host.put(&self.key(key), encoding);
    }

    /// Removes a key.
    pub fn delete(&self, host: &mut dyn Host, key: &K) {
        host.delete(&self.key(key));
    }

    /// All entries in key order, read page by page as they are taken.
    ///
    /// The iterator holds the host, so nothing can be written while it lives: collect first, then write.
    pub fn scan<'h>(&self, host: &'h mut dyn Host) -> Scan<'h, K, V> {
        Scan { host, prefix: self.prefix, page: Vec::new().into_iter(), after: None, more: true, types: PhantomData }
    }

    fn key(&self, key: &K) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(KEY_BYTES_USUAL);
        bytes.extend_from_slice(self.prefix);
        key.write(&mut bytes);
        bytes
    }
}

/// Entries of a [`Map`], in key order.
pub struct Scan<'h, K, V> {
    host: &'h mut dyn Host,
    prefix: &'static [u8],
    page: std::vec::IntoIter<(Vec<u8>, Vec<u8>)>,
    after: Option<Vec<u8>>,
    more: bool,
    types: PhantomData<fn() -> (K, V)>,
}

impl<K, V> Scan<'_, K, V> {
    /// The next entry as it is stored.
    #[inline(never)]
    fn next_entry(&mut self) -> Option<(Vec<u8>, Vec<u8>)> {
        if self.page.len() == 0 && self.more {
            let page = self.host.scan(self.prefix, self.after.as_deref(), SCAN_ENTRIES_MAX);
            self.more = page.more;
            self.after = page.entries.last().map(|(key, _)| key.clone());
            self.page = page.entries.into_iter();
        }
        self.page.next()
    }
}

impl<K: StateKey, V: DeserializeOwned> Iterator for Scan<'_, K, V> {
    type Item = Result<(K, V), CorruptState>;

    fn next(&mut self) -> Option<Self::Item> {
        let (key, value) = self.next_entry()?;
        let entry = || {
            let (key, rest) = K::read(key.strip_prefix(self.prefix)?)?;
            if rest.is_empty() { Some((key, wire::decode(&value).ok()?)) } else { None }
        };
        Some(entry().ok_or(CorruptState { place: self.prefix }))
    }
}
