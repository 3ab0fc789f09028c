//! Where values are kept: a cell is one value under one key, a map many under one prefix.
//!
//! What does not depend on a type is one function; what does is not inlined, because a policy has hundreds of calls.

use super::value::{Stored, corrupt, decoded, encoded};
use crate::{Host, typed::StateKey};
use core::marker::PhantomData;
use reprise_abi::{Rejection, limits::SCAN_ENTRIES_MAX};

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

    /// Its value, or the value of one that was never stored.
    ///
    /// # Errors
    /// Corrupt state.
    #[inline(never)]
    pub fn or_default(&self, host: &mut dyn Host) -> Result<T, Rejection>
    where
        T: Default,
    {
        Ok(self.get(host)?.unwrap_or_default())
    }

    /// Stores a value.
    pub fn put(&self, host: &mut dyn Host, value: &T) {
        put_under(host, self.key, value);
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
        decoded(host.get(&key_under(self.prefix, key)))
    }

    /// The value under a key, or the value of one that was never stored.
    ///
    /// # Errors
    /// Corrupt state.
    #[inline(never)]
    pub fn or_default(&self, host: &mut dyn Host, key: &K) -> Result<V, Rejection>
    where
        V: Default,
    {
        Ok(self.get(host, key)?.unwrap_or_default())
    }

    /// Whether there is a value under a key.
    pub fn has(&self, host: &mut dyn Host, key: &K) -> bool {
        host.get(&key_under(self.prefix, key)).is_some()
    }

    /// Stores a value.
    #[inline(never)]
    pub fn put(&self, host: &mut dyn Host, key: &K, value: &V) {
        put_under(host, &key_under(self.prefix, key), value);
    }

    /// Stores a value that is encoded already.
    pub fn put_encoded(&self, host: &mut dyn Host, key: &K, value: &[u8]) {
        host.put(&key_under(self.prefix, key), value);
    }

    /// Removes a key.
    pub fn delete(&self, host: &mut dyn Host, key: &K) {
        host.delete(&key_under(self.prefix, key));
    }

    /// The first keys, or those after one: at most `limit`, and at most a page.
    ///
    /// # Errors
    /// Corrupt state.
    #[inline(never)]
    pub fn keys(&self, host: &mut dyn Host, after: Option<&K>, limit: u32) -> Result<Vec<K>, Rejection> {
        keys(host, self.prefix, after, limit)
    }

    /// All entries, in key order: for maps that are known to be small.
    ///
    /// # Errors
    /// Corrupt state.
    #[inline(never)]
    pub fn entries(&self, host: &mut dyn Host) -> Result<Vec<(K, V)>, Rejection> {
        let (mut entries, mut after) = (Vec::new(), None);
        loop {
            let page = host.scan(self.prefix, after.as_deref(), SCAN_ENTRIES_MAX);
            after = page.entries.last().map(|(key, _)| key.clone());
            for (key, value) in page.entries {
                let value = decoded(Some(value))?.ok_or_else(corrupt)?;
                entries.push((key_after(self.prefix, &key)?, value));
            }
            if !page.more || after.is_none() {
                return Ok(entries);
            }
        }
    }
}

impl<A: StateKey, B: StateKey, V: Stored> Map<(A, B), V> {
    /// The second parts of the keys whose first part this is, as [`Map::keys`] gives them.
    ///
    /// # Errors
    /// Corrupt state.
    #[inline(never)]
    pub fn keys_of(&self, host: &mut dyn Host, part: &A, after: Option<&B>, limit: u32) -> Result<Vec<B>, Rejection> {
        keys(host, &key_under(self.prefix, part), after, limit)
    }
}

impl<V: Stored> Map<String, V> {
    /// The value under a name.
    ///
    /// # Errors
    /// Corrupt state: the bytes there are not a `V`.
    #[inline(never)]
    pub fn of(&self, host: &mut dyn Host, name: &str) -> Result<Option<V>, Rejection> {
        decoded(host.get(&key_of(self.prefix, name)))
    }

    /// Stores a value under a name.
    #[inline(never)]
    pub fn set(&self, host: &mut dyn Host, name: &str, value: &V) {
        put_under(host, &key_of(self.prefix, name), value);
    }

    /// The first names, or those after one: at most `limit`, and at most a page.
    ///
    /// # Errors
    /// Corrupt state.
    #[inline(never)]
    pub fn names(&self, host: &mut dyn Host, after: Option<&str>, limit: u32) -> Result<Vec<String>, Rejection> {
        let after = after.map(|after| key_of(self.prefix, after));
        let page = host.scan(self.prefix, after.as_deref(), limit);
        page.entries.iter().map(|(key, _)| key_after(self.prefix, key)).collect()
    }
}

impl<V> Map<u64, V> {
    /// The first numbers, or those after one: at most `limit`, and at most a page.
    pub fn numbers(&self, host: &mut dyn Host, after: Option<u64>, limit: u32) -> Vec<u64> {
        let after = after.map(|after| key_under(self.prefix, &after));
        last(host, self.prefix, after.as_deref(), limit)
    }
}

impl<A: StateKey, B, V> Map<(A, B), V> {
    /// The first numbers at the end of the keys that begin with this part, at most `limit` and at most a page.
    pub fn numbers_of(&self, host: &mut dyn Host, part: &A, limit: u32) -> Vec<u64> {
        last(host, &key_under(self.prefix, part), None, limit)
    }
}

impl<K, V> Map<K, V> {
    /// Takes the first entries out, at most `limit` and at most a page, in the order of their keys. Gives their values,
    /// still encoded.
    #[inline(never)]
    pub fn take(&self, host: &mut dyn Host, limit: u32) -> Vec<Vec<u8>> {
        let mut values = Vec::new();
        for (key, value) in host.scan(self.prefix, None, limit).entries {
            values.push(value);
            host.delete(&key);
        }
        values
    }
}

/// The numbers that keys end with.
#[inline(never)]
fn last(host: &mut dyn Host, prefix: &[u8], after: Option<&[u8]>, limit: u32) -> Vec<u64> {
    let page = host.scan(prefix, after, limit);
    let number = |(key, _): &(Vec<u8>, Vec<u8>)| key.last_chunk().map(|number| u64::from_be_bytes(*number));
    page.entries.iter().filter_map(number).collect()
}

fn keys<K: StateKey>(host: &mut dyn Host, prefix: &[u8], after: Option<&K>, limit: u32) -> Result<Vec<K>, Rejection> {
    let after = after.map(|after| key_under(prefix, after));
    let page = host.scan(prefix, after.as_deref(), limit);
    page.entries.iter().map(|(key, _)| key_after(prefix, key)).collect()
}

#[inline(never)]
fn key_under<K: StateKey>(prefix: &[u8], key: &K) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(64);
    bytes.extend_from_slice(prefix);
    key.write(&mut bytes);
    bytes
}

/// The key of a name, as the SDK writes it.
#[inline(never)]
fn key_of(prefix: &[u8], name: &str) -> Vec<u8> {
    key_under(prefix, &String::from(name))
}

#[inline(never)]
fn key_after<K: StateKey>(prefix: &[u8], key: &[u8]) -> Result<K, Rejection> {
    match key.get(prefix.len()..).and_then(K::read) {
        Some((key, [])) => Ok(key),
        _ => Err(corrupt()),
    }
}

#[inline(never)]
fn put_under(host: &mut dyn Host, key: &[u8], value: &dyn Stored) {
    host.put(key, &encoded(value));
}
