//! How state is kept: records field after field, numbers as LEB128, in cells and maps over the host's bytes.
//!
//! The SDK's typed state derives its encoders, and each of twenty record types would contain the encoder of every one of
//! its fields: a fifth of the component. Here a field is a call. Keys are the SDK's.

use core::marker::PhantomData;
use reprise_guest::{
    Host,
    abi::{Rejection, limits::SCAN_ENTRIES_MAX},
    rejection::{Code, SdkCode},
    typed::StateKey,
};

/// A value with one encoding that says where it ends.
pub trait Stored: Sized {
    /// Appends the encoding.
    fn store(&self, out: &mut Vec<u8>);
    /// Reads one value from the front; `None` when the bytes are no encoding.
    fn load(from: &mut &[u8]) -> Option<Self>;
}

/// Implements [`Stored`] for a record: `stored!(Type { field, ... })`.
macro_rules! stored {
    ($name:ident { $($field:ident),+ $(,)? }) => {
        impl crate::stored::Stored for $name {
            #[inline(never)]
            fn store(&self, out: &mut Vec<u8>) {
                $(crate::stored::Stored::store(&self.$field, out);)+
            }

            #[inline(never)]
            fn load(from: &mut &[u8]) -> Option<Self> {
                Some(Self { $($field: crate::stored::Stored::load(from)?),+ })
            }
        }
    };
}

/// Implements [`Stored`] for an enum without payload: its `ALL` gives the numbers.
macro_rules! stored_enum {
    ($name:ident) => {
        impl crate::stored::Stored for $name {
            fn store(&self, out: &mut Vec<u8>) {
                crate::stored::write_number(*self as u64, out);
            }

            fn load(from: &mut &[u8]) -> Option<Self> {
                let index = usize::try_from(crate::stored::read_number(from)?).ok()?;
                Self::ALL.get(index).copied()
            }
        }
    };
}

pub(crate) use {stored, stored_enum};

/// One value under one key.
#[derive(Debug)]
pub struct Cell<T> {
    key: &'static [u8],
    value: PhantomData<fn() -> T>,
}

impl<T: Stored> Cell<T> {
    /// A cell under `key`, which no other cell has and no map's prefix begins.
    #[must_use]
    pub const fn new(key: &'static [u8]) -> Self {
        Self { key, value: PhantomData }
    }

    /// Its value.
    ///
    /// # Errors
    /// Corrupt state: the bytes there are not a `T`.
    #[inline(never)]
    pub fn get(&self, host: &mut dyn Host) -> Result<Option<T>, Rejection> {
        host.get(self.key).map(|bytes| whole(&bytes)).transpose()
    }

    /// Stores a value.
    #[inline(never)]
    pub fn put(&self, host: &mut dyn Host, value: &T) {
        host.put(self.key, &encoded(value));
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

impl<K: StateKey, V: Stored> Map<K, V> {
    /// A map under `prefix`, which begins no other prefix or cell.
    #[must_use]
    pub const fn new(prefix: &'static [u8]) -> Self {
        Self { prefix, types: PhantomData }
    }

    /// The value under a key.
    ///
    /// # Errors
    /// Corrupt state: the bytes there are not a `V`.
    #[inline(never)]
    pub fn get(&self, host: &mut dyn Host, key: &K) -> Result<Option<V>, Rejection> {
        host.get(&self.key(key)).map(|bytes| whole(&bytes)).transpose()
    }

    /// Stores a value.
    #[inline(never)]
    pub fn put(&self, host: &mut dyn Host, key: &K, value: &V) {
        host.put(&self.key(key), &encoded(value));
    }

    /// Removes a key.
    pub fn delete(&self, host: &mut dyn Host, key: &K) {
        host.delete(&self.key(key));
    }

    /// All entries, in key order.
    ///
    /// # Errors
    /// Corrupt state.
    #[inline(never)]
    pub fn entries(&self, host: &mut dyn Host) -> Result<Vec<(K, V)>, Rejection> {
        let (mut entries, mut after) = (Vec::new(), None);
        loop {
            let page = host.scan(self.prefix, after.as_deref(), SCAN_ENTRIES_MAX);
            for (key, value) in &page.entries {
                entries.push((key_after(self.prefix, key)?, whole(value)?));
            }
            after = page.entries.last().map(|(key, _)| key.clone());
            if !page.more || after.is_none() {
                return Ok(entries);
            }
        }
    }

    /// The first keys, or those after one: at most `limit`, and at most a page.
    ///
    /// # Errors
    /// Corrupt state.
    #[inline(never)]
    pub fn keys(&self, host: &mut dyn Host, after: Option<&K>, limit: u32) -> Result<Vec<K>, Rejection> {
        keys(host, self.prefix, after, limit)
    }

    fn key(&self, key: &K) -> Vec<u8> {
        key_under(self.prefix, key)
    }
}

impl<A: StateKey, B: StateKey, V: Stored> Map<(A, B), V> {
    /// The second parts of the keys whose first part this is, as [`Self::keys`] gives them.
    ///
    /// # Errors
    /// Corrupt state.
    #[inline(never)]
    pub fn keys_of(&self, host: &mut dyn Host, part: &A, after: Option<&B>, limit: u32) -> Result<Vec<B>, Rejection> {
        keys(host, &key_under(self.prefix, part), after, limit)
    }
}

fn keys<K: StateKey>(host: &mut dyn Host, prefix: &[u8], after: Option<&K>, limit: u32) -> Result<Vec<K>, Rejection> {
    let after = after.map(|after| key_under(prefix, after));
    let page = host.scan(prefix, after.as_deref(), limit);
    page.entries.iter().map(|(key, _)| key_after(prefix, key)).collect()
}

#[inline(never)]
fn key_under<K: StateKey>(prefix: &[u8], key: &K) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(32);
    bytes.extend_from_slice(prefix);
    key.write(&mut bytes);
    bytes
}

#[inline(never)]
fn key_after<K: StateKey>(prefix: &[u8], key: &[u8]) -> Result<K, Rejection> {
    match key.get(prefix.len()..).and_then(K::read) {
        Some((key, [])) => Ok(key),
        _ => Err(corrupt()),
    }
}

#[inline(never)]
fn encoded<T: Stored>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(128);
    value.store(&mut bytes);
    bytes
}

#[inline(never)]
fn whole<T: Stored>(mut bytes: &[u8]) -> Result<T, Rejection> {
    match T::load(&mut bytes) {
        Some(value) if bytes.is_empty() => Ok(value),
        _ => Err(corrupt()),
    }
}

#[cold]
#[inline(never)]
fn corrupt() -> Rejection {
    SdkCode::CorruptState.because("a record or key of another version")
}

/// LEB128. Byte by byte, because most numbers are one byte and a call for each costs more than a loop.
#[inline(never)]
pub fn write_number(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// LEB128 without needless bytes.
#[inline(never)]
pub fn read_number(from: &mut &[u8]) -> Option<u64> {
    let (mut value, mut shift) = (0_u64, 0_u32);
    loop {
        let (byte, rest) = from.split_first()?;
        *from = rest;
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 || shift > 63 || bits == 0 && *byte == 0 && shift > 0 {
            return None;
        }
        value |= bits << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
        shift += 7;
    }
}

/// Nothing: the key says it all.
impl Stored for () {
    fn store(&self, _: &mut Vec<u8>) {}

    fn load(_: &mut &[u8]) -> Option<Self> {
        Some(())
    }
}

impl Stored for u64 {
    fn store(&self, out: &mut Vec<u8>) {
        write_number(*self, out);
    }

    fn load(from: &mut &[u8]) -> Option<Self> {
        read_number(from)
    }
}

impl Stored for u32 {
    fn store(&self, out: &mut Vec<u8>) {
        write_number(u64::from(*self), out);
    }

    fn load(from: &mut &[u8]) -> Option<Self> {
        Self::try_from(read_number(from)?).ok()
    }
}

impl Stored for bool {
    fn store(&self, out: &mut Vec<u8>) {
        write_number(u64::from(*self), out);
    }

    fn load(from: &mut &[u8]) -> Option<Self> {
        match read_number(from)? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

impl Stored for String {
    #[inline(never)]
    fn store(&self, out: &mut Vec<u8>) {
        write_number(self.len() as u64, out);
        out.extend_from_slice(self.as_bytes());
    }

    #[inline(never)]
    fn load(from: &mut &[u8]) -> Option<Self> {
        let len = usize::try_from(read_number(from)?).ok()?;
        let (text, rest) = from.split_at_checked(len)?;
        *from = rest;
        core::str::from_utf8(text).ok().map(Self::from)
    }
}

/// A large record, so that passing it on moves a pointer.
impl<T: Stored> Stored for Box<T> {
    fn store(&self, out: &mut Vec<u8>) {
        T::store(self, out);
    }

    fn load(from: &mut &[u8]) -> Option<Self> {
        T::load(from).map(Self::new)
    }
}

impl<T: Stored> Stored for Option<T> {
    fn store(&self, out: &mut Vec<u8>) {
        write_number(u64::from(self.is_some()), out);
        if let Some(value) = self {
            value.store(out);
        }
    }

    fn load(from: &mut &[u8]) -> Option<Self> {
        if bool::load(from)? { T::load(from).map(Some) } else { Some(None) }
    }
}

impl<T: Stored> Stored for Vec<T> {
    #[inline(never)]
    fn store(&self, out: &mut Vec<u8>) {
        write_number(self.len() as u64, out);
        for item in self {
            item.store(out);
        }
    }

    #[inline(never)]
    fn load(from: &mut &[u8]) -> Option<Self> {
        let count = read_number(from)?;
        let mut items = Self::new();
        for _ in 0..count {
            items.push(T::load(from)?);
        }
        Some(items)
    }
}

#[cfg(test)]
mod tests;
