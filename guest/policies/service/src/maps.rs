//! Where values are kept: cells and maps over the host's bytes. Keys are the SDK's.
//!
//! What does not depend on a type is one function; what does is not inlined: there are hundreds of calls.

use crate::stored::{Store, Stored, corrupt, decoded, encoded};
use core::marker::PhantomData;
use reprise_guest::{Host, abi::Rejection, typed::StateKey};

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
        decoded(host.get(self.key))
    }

    /// Stores a value.
    #[inline(always)]
    pub fn put(&self, host: &mut dyn Host, value: &T) {
        put_under(host, self.key.into(), value);
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
        decoded(get_under(host, key_under(self.prefix, key)))
    }

    /// Whether there is a value under a key.
    #[inline(always)]
    pub fn has(&self, host: &mut dyn Host, key: &K) -> bool {
        get_under(host, key_under(self.prefix, key)).is_some()
    }

    /// Stores a value.
    #[inline(never)]
    pub fn put(&self, host: &mut dyn Host, key: &K, value: &V) {
        put_under(host, key_under(self.prefix, key), value);
    }

    /// Removes a key.
    #[inline(always)]
    pub fn delete(&self, host: &mut dyn Host, key: &K) {
        delete_under(host, self.prefix, key);
    }
}

impl<V: Stored> Map<String, V> {
    /// The first names, or those after one: at most `limit`, and at most a page.
    ///
    /// # Errors
    /// Corrupt state.
    #[inline(never)]
    pub fn names(&self, host: &mut dyn Host, after: Option<&str>, limit: u32) -> Result<Vec<String>, Rejection> {
        let after = after.map(|after| key_of(self.prefix, after));
        let mut names = Vec::new();
        for (key, _) in host.scan(self.prefix, after.as_deref(), limit).entries {
            let name = key.get(self.prefix.len()..).and_then(String::read);
            names.push(name.ok_or_else(corrupt)?.0);
        }
        Ok(names)
    }

    /// The value under a name.
    ///
    /// # Errors
    /// Corrupt state: the bytes there are not a `V`.
    #[inline(never)]
    pub fn of(&self, host: &mut dyn Host, name: &str) -> Result<Option<V>, Rejection> {
        decoded(get_under(host, key_of(self.prefix, name)))
    }

    /// Stores a value under a name.
    #[inline(never)]
    pub fn set(&self, host: &mut dyn Host, name: &str, value: &V) {
        put_under(host, key_of(self.prefix, name), value);
    }
}

impl<K, V> Map<K, V> {
    /// The first entries, at most `limit` and at most a page, in the order of their keys: their values, still encoded.
    /// They are removed.
    #[inline(always)]
    pub fn take(&self, host: &mut dyn Host, limit: u32) -> Vec<Vec<u8>> {
        take(host, self.prefix, limit)
    }
}

impl<V> Map<u64, V> {
    /// The first numbers, or those after one: at most `limit`, and at most a page.
    #[inline(always)]
    pub fn numbers(&self, host: &mut dyn Host, after: Option<u64>, limit: u32) -> Vec<u64> {
        let after = after.map(|after| key_under(self.prefix, &after));
        numbers(host, self.prefix, after.as_deref(), limit)
    }
}

impl<A: StateKey, B, V> Map<(A, B), V> {
    /// The first numbers at the end of the keys that begin with this part, at most `limit` and at most a page.
    #[inline(always)]
    pub fn numbers_of(&self, host: &mut dyn Host, part: &A, limit: u32) -> Vec<u64> {
        numbers(host, &key_under(self.prefix, part), None, limit)
    }
}

/// The numbers that keys end with.
#[inline(never)]
fn numbers(host: &mut dyn Host, prefix: &[u8], after: Option<&[u8]>, limit: u32) -> Vec<u64> {
    let mut numbers = Vec::new();
    for (key, _) in host.scan(prefix, after, limit).entries {
        numbers.extend(key.last_chunk().map(|number| u64::from_be_bytes(*number)));
    }
    numbers
}

#[inline(never)]
fn take(host: &mut dyn Host, prefix: &[u8], limit: u32) -> Vec<Vec<u8>> {
    let mut values = Vec::new();
    for (key, value) in host.scan(prefix, None, limit).entries {
        values.push(value);
        host.delete(&key);
    }
    values
}

#[inline(never)]
fn key_under<K: StateKey>(prefix: &[u8], key: &K) -> Vec<u8> {
    let mut bytes = begin(prefix);
    key.write(&mut bytes);
    bytes
}

/// The key of a name, as the SDK writes it.
#[inline(never)]
fn key_of(prefix: &[u8], name: &str) -> Vec<u8> {
    key_under(prefix, &String::from(name))
}

#[inline(never)]
fn begin(prefix: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(64);
    bytes.extend_from_slice(prefix);
    bytes
}

#[inline(never)]
fn get_under(host: &mut dyn Host, key: Vec<u8>) -> Option<Vec<u8>> {
    host.get(&key)
}

#[inline(never)]
fn put_under(host: &mut dyn Host, key: Vec<u8>, value: &dyn Store) {
    host.put(&key, &encoded(value));
}

#[inline(never)]
fn delete_under<K: StateKey>(host: &mut dyn Host, prefix: &[u8], key: &K) {
    host.delete(&key_under(prefix, key));
}
