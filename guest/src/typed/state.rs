//! Cells and maps over the host's bytes.

use super::StateKey;
use crate::{
    host::Host,
    rejection::{Code, SdkCode},
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
        host.get(self.key).map(|bytes| decode(&bytes).ok_or(CorruptState { place: self.key })).transpose()
    }

    /// Stores a value.
    pub fn put(&self, host: &mut dyn Host, value: &T) {
        host.put(self.key, &encode(value));
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
        host.get(&self.key(key)).map(|bytes| decode(&bytes).ok_or(corrupt)).transpose()
    }

    /// Stores a value.
    pub fn put(&self, host: &mut dyn Host, key: &K, value: &V) {
        host.put(&self.key(key), &encode(value));
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
        let mut bytes = Vec::with_capacity(ENCODING_BYTES_USUAL);
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

impl<K: StateKey, V: DeserializeOwned> Iterator for Scan<'_, K, V> {
    type Item = Result<(K, V), CorruptState>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.page.len() == 0 && self.more {
            let page = self.host.scan(self.prefix, self.after.as_deref(), SCAN_ENTRIES_MAX);
            self.more = page.more;
            self.after = page.entries.last().map(|(key, _)| key.clone());
            self.page = page.entries.into_iter();
        }
        let (key, value) = self.page.next()?;
        let entry = || {
            let (key, rest) = K::read(key.strip_prefix(self.prefix)?)?;
            if rest.is_empty() { Some((key, decode(&value)?)) } else { None }
        };
        Some(entry().ok_or(CorruptState { place: self.prefix }))
    }
}

/// Room for an encoding at once, because growing a list byte by byte is most of the cost of a small one.
const ENCODING_BYTES_USUAL: usize = 64;

fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    let room = Vec::with_capacity(ENCODING_BYTES_USUAL);
    postcard::to_extend(value, room).expect("encoding into memory cannot fail for serde-derived types")
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Some(value),
        _ => None,
    }
}
