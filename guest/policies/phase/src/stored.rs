//! How state is kept: records field after field, numbers as LEB128, in cells and maps over the host's bytes.
//!
//! The SDK's typed state derives its encoders, and each of thirty record types would contain the encoder of every one of
//! its fields. Here a field is a call, and what does not depend on a type is one function. Keys are the SDK's.

use crate::{error::Refusal, ids::NodeId};
use core::marker::PhantomData;
use reprise_guest::{
    Host,
    rejection::{Code, SdkCode},
    typed::StateKey,
};

/// A value with one encoding that says where it ends.
pub trait Stored {
    /// Appends the encoding.
    fn store(&self, out: &mut Vec<u8>);
    /// Reads one value from the front. What is no encoding spoils the reader, and the value means nothing.
    fn load(from: &mut Reader<'_>) -> Self
    where
        Self: Sized;
}

/// Bytes that are read from the front, until something is wrong with them.
#[derive(Debug)]
pub struct Reader<'b> {
    bytes: &'b [u8],
    spoilt: bool,
}

impl<'b> Reader<'b> {
    /// Over these bytes.
    #[must_use]
    pub fn new(bytes: &'b [u8]) -> Self {
        Self { bytes, spoilt: false }
    }

    /// Everything was read, and nothing was wrong.
    #[must_use]
    pub fn is_done(&self) -> bool {
        !self.spoilt && self.bytes.is_empty()
    }

    /// Something is wrong.
    #[cold]
    pub fn spoil(&mut self) {
        self.spoilt = true;
        self.bytes = &[];
    }

    /// So many bytes; none when there are fewer.
    #[inline(never)]
    pub fn take(&mut self, len: u64) -> &'b [u8] {
        let split = usize::try_from(len).ok().and_then(|len| self.bytes.split_at_checked(len));
        let Some((bytes, rest)) = split else {
            self.spoil();
            return &[];
        };
        self.bytes = rest;
        bytes
    }

    /// Bytes that [`write_bytes`] wrote.
    #[inline(never)]
    pub fn bytes(&mut self) -> &'b [u8] {
        let len = self.number();
        self.take(len)
    }

    /// LEB128 without needless bytes.
    #[inline(never)]
    pub fn number(&mut self) -> u64 {
        let (mut value, mut shift) = (0_u64, 0_u32);
        while let Some((byte, rest)) = self.bytes.split_first() {
            self.bytes = rest;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 || shift > 63 || bits == 0 && *byte == 0 && shift > 0 {
                break;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return value;
            }
            shift += 7;
        }
        self.spoil();
        0
    }

    /// A number below a bound.
    #[inline(never)]
    pub fn below(&mut self, bound: u64) -> u64 {
        let number = self.number();
        if number >= bound {
            self.spoil();
            return 0;
        }
        number
    }
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

/// Their number, then bytes.
#[inline(never)]
pub fn write_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    write_number(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
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
            fn load(from: &mut crate::stored::Reader<'_>) -> Self {
                Self { $($field: crate::stored::Stored::load(from)),+ }
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

            fn load(from: &mut crate::stored::Reader<'_>) -> Self {
                Self::ALL[from.below(Self::ALL.len() as u64) as usize]
            }
        }
    };
}

pub(crate) use {stored, stored_enum};

/// A key, whatever its type.
pub trait Key {
    /// Appends the encoding.
    fn append(&self, out: &mut Vec<u8>);
}

impl<K: StateKey> Key for K {
    fn append(&self, out: &mut Vec<u8>) {
        self.write(out);
    }
}

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
    pub fn get(&self, host: &mut dyn Host) -> Result<Option<T>, Refusal> {
        whole(host.get(self.key))
    }

    /// Its value, or the value of one that was never stored.
    ///
    /// # Errors
    /// Corrupt state.
    #[inline(never)]
    pub fn or_default(&self, host: &mut dyn Host) -> Result<T, Refusal>
    where
        T: Default,
    {
        Ok(self.get(host)?.unwrap_or_default())
    }

    /// Stores a value.
    pub fn put(&self, host: &mut dyn Host, value: &T) {
        put(host, self.key, value);
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
    pub fn get(&self, host: &mut dyn Host, key: &K) -> Result<Option<V>, Refusal> {
        whole(fetch(host, self.prefix, key))
    }

    /// The value under a key, or the value of one that was never stored.
    ///
    /// # Errors
    /// Corrupt state.
    #[inline(never)]
    pub fn or_default(&self, host: &mut dyn Host, key: &K) -> Result<V, Refusal>
    where
        V: Default,
    {
        Ok(self.get(host, key)?.unwrap_or_default())
    }

    /// Stores a value.
    pub fn put(&self, host: &mut dyn Host, key: &K, value: &V) {
        put(host, &key_under(self.prefix, key), value);
    }

    /// Stores a value that is encoded already.
    pub fn put_encoded(&self, host: &mut dyn Host, key: &K, value: &[u8]) {
        host.put(&key_under(self.prefix, key), value);
    }

    /// Removes a key.
    pub fn delete(&self, host: &mut dyn Host, key: &K) {
        host.delete(&key_under(self.prefix, key));
    }

    /// The nodes that keys end with: the first, or those after a key; at most `limit`, and at most a page.
    pub fn nodes(&self, host: &mut dyn Host, after: Option<&K>, limit: u32) -> Vec<NodeId> {
        nodes(host, self.prefix, after.map(|after| key_under(self.prefix, after)), limit)
    }
}

#[inline(never)]
fn nodes(host: &mut dyn Host, prefix: &[u8], after: Option<Vec<u8>>, limit: u32) -> Vec<NodeId> {
    let page = host.scan(prefix, after.as_deref(), limit);
    let last = |(key, _): &(Vec<u8>, Vec<u8>)| key.last_chunk().map(|id| NodeId(u32::from_be_bytes(*id)));
    page.entries.iter().filter_map(last).collect()
}

#[inline(never)]
fn key_under(prefix: &[u8], key: &dyn Key) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(32);
    bytes.extend_from_slice(prefix);
    key.append(&mut bytes);
    bytes
}

#[inline(never)]
fn fetch(host: &mut dyn Host, prefix: &[u8], key: &dyn Key) -> Option<Vec<u8>> {
    host.get(&key_under(prefix, key))
}

/// The encoding of a value.
#[must_use]
#[inline(never)]
pub fn encoded(value: &dyn Stored) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(128);
    value.store(&mut bytes);
    bytes
}

#[inline(never)]
fn put(host: &mut dyn Host, key: &[u8], value: &dyn Stored) {
    host.put(key, &encoded(value));
}

#[inline(never)]
fn whole<T: Stored>(bytes: Option<Vec<u8>>) -> Result<Option<T>, Refusal> {
    let Some(bytes) = bytes else { return Ok(None) };
    let mut from = Reader::new(&bytes);
    let value = T::load(&mut from);
    if from.is_done() { Ok(Some(value)) } else { Err(corrupt()) }
}

#[cold]
#[inline(never)]
fn corrupt() -> Refusal {
    SdkCode::CorruptState.because("a record or key of another version").into()
}

impl Stored for u64 {
    fn store(&self, out: &mut Vec<u8>) {
        write_number(*self, out);
    }

    fn load(from: &mut Reader<'_>) -> Self {
        from.number()
    }
}

impl Stored for u32 {
    fn store(&self, out: &mut Vec<u8>) {
        write_number(u64::from(*self), out);
    }

    fn load(from: &mut Reader<'_>) -> Self {
        from.below(1 << 32) as Self
    }
}

impl Stored for bool {
    fn store(&self, out: &mut Vec<u8>) {
        write_number(u64::from(*self), out);
    }

    fn load(from: &mut Reader<'_>) -> Self {
        from.below(2) == 1
    }
}

impl Stored for String {
    #[inline(never)]
    fn store(&self, out: &mut Vec<u8>) {
        write_bytes(self.as_bytes(), out);
    }

    #[inline(never)]
    fn load(from: &mut Reader<'_>) -> Self {
        let bytes = from.bytes();
        match core::str::from_utf8(bytes) {
            Ok(text) => text.into(),
            Err(_) => {
                from.spoil();
                Self::new()
            }
        }
    }
}

/// A digest.
impl Stored for [u8; 32] {
    fn store(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }

    fn load(from: &mut Reader<'_>) -> Self {
        from.take(32).try_into().unwrap_or([0; 32])
    }
}

/// A large record, so that passing it on moves a pointer.
impl<T: Stored> Stored for Box<T> {
    fn store(&self, out: &mut Vec<u8>) {
        T::store(self, out);
    }

    fn load(from: &mut Reader<'_>) -> Self {
        Self::new(T::load(from))
    }
}

impl<T: Stored> Stored for Option<T> {
    fn store(&self, out: &mut Vec<u8>) {
        write_number(u64::from(self.is_some()), out);
        if let Some(value) = self {
            value.store(out);
        }
    }

    fn load(from: &mut Reader<'_>) -> Self {
        if bool::load(from) { Some(T::load(from)) } else { None }
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
    fn load(from: &mut Reader<'_>) -> Self {
        let mut items = Self::new();
        for _ in 0..from.number() {
            if from.spoilt {
                break;
            }
            items.push(T::load(from));
        }
        items
    }
}

#[cfg(test)]
mod tests;
