//! How values are kept: records field after field, numbers as LEB128.
//!
//! The SDK's typed state derives its encoders, and each of thirty record types would contain the encoder of every one
//! of its fields. Here a field is a call, and what a call does not depend on a type is one function. A decoder that
//! fails goes on with nothings and says so at the end: a way out behind every field would be half of the code.

use reprise_guest::{
    abi::Rejection,
    rejection::{Code, SdkCode},
};

/// A value that can be encoded. A trait of its own, so that one function stores values of all types.
pub trait Store {
    /// Appends the encoding.
    fn store(&self, out: &mut Vec<u8>);
}

/// A value with one encoding that says where it ends.
pub trait Stored: Store + Sized {
    /// Reads one value from the front. Where the bytes are no encoding, anything comes out and the source is bad.
    fn load(from: &mut Source<'_>) -> Self;
}

/// Bytes that are being decoded.
#[derive(Debug)]
pub struct Source<'b> {
    rest: &'b [u8],
    bad: bool,
}

impl<'b> Source<'b> {
    /// All of these.
    #[must_use]
    pub const fn new(bytes: &'b [u8]) -> Self {
        Self { rest: bytes, bad: false }
    }

    /// Everything was read, and all of it was an encoding.
    ///
    /// # Errors
    /// Corrupt state.
    #[inline(never)]
    pub fn end(&self) -> Result<(), Rejection> {
        if self.bad || !self.rest.is_empty() { Err(corrupt()) } else { Ok(()) }
    }

    #[cold]
    fn spoil(&mut self) {
        self.bad = true;
        self.rest = &[];
    }

    /// LEB128 without needless bytes.
    #[inline(never)]
    pub fn number(&mut self) -> u64 {
        let (mut value, mut shift) = (0_u64, 0_u32);
        while let Some((byte, rest)) = self.rest.split_first() {
            self.rest = rest;
            let bits = u64::from(byte & 0x7f);
            if shift > 63 || shift == 63 && bits > 1 || bits == 0 && *byte == 0 && shift > 0 {
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

    /// One of so many variants.
    #[inline(never)]
    pub fn variant(&mut self, count: usize) -> usize {
        let variant = self.number() as usize;
        if variant >= count {
            self.spoil();
            return 0;
        }
        variant
    }

    /// How many items follow. Each takes a byte at least.
    #[inline(never)]
    fn count(&mut self) -> usize {
        let count = self.number() as usize;
        if count > self.rest.len() {
            self.spoil();
            return 0;
        }
        count
    }

    #[inline(never)]
    fn text(&mut self) -> String {
        let count = self.count();
        let (text, rest) = self.rest.split_at_checked(count).unwrap_or_default();
        self.rest = rest;
        core::str::from_utf8(text).map_or_else(
            |_| {
                self.spoil();
                String::new()
            },
            String::from,
        )
    }
}

/// Implements [`Stored`] for a record: `stored!(Type { field, ... })`.
macro_rules! stored {
    ($name:ident { $($field:ident),+ $(,)? }) => {
        impl crate::stored::Store for $name {
            #[inline(never)]
            fn store(&self, out: &mut Vec<u8>) {
                $(crate::stored::Store::store(&self.$field, out);)+
            }
        }

        impl crate::stored::Stored for $name {
            #[inline(never)]
            fn load(from: &mut crate::stored::Source<'_>) -> Self {
                Self { $($field: crate::stored::Stored::load(from)),+ }
            }
        }
    };
}

/// Implements [`Stored`] for an enum without payload: its `ALL` gives the numbers.
macro_rules! stored_enum {
    ($name:ident) => {
        impl crate::stored::Store for $name {
            fn store(&self, out: &mut Vec<u8>) {
                crate::stored::write_number(*self as u64, out);
            }
        }

        impl crate::stored::Stored for $name {
            fn load(from: &mut crate::stored::Source<'_>) -> Self {
                Self::ALL[from.variant(Self::ALL.len())]
            }
        }
    };
}

pub(crate) use {stored, stored_enum};

/// The encoding of a value.
#[must_use]
pub fn encoded(value: &dyn Store) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(128);
    value.store(&mut bytes);
    bytes
}

/// The value that bytes are the encoding of, if there are any.
///
/// # Errors
/// Corrupt state: they are no encoding of such a value.
#[inline(never)]
pub fn decoded<T: Stored>(bytes: Option<Vec<u8>>) -> Result<Option<T>, Rejection> {
    let Some(bytes) = bytes else { return Ok(None) };
    let mut source = Source::new(&bytes);
    let value = T::load(&mut source);
    source.end().map(|()| Some(value))
}

#[cold]
#[inline(never)]
pub(crate) fn corrupt() -> Rejection {
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

/// Nothing: the key says it all.
impl Store for () {
    fn store(&self, _: &mut Vec<u8>) {}
}

impl Stored for () {
    fn load(_: &mut Source<'_>) -> Self {}
}

impl Store for u64 {
    fn store(&self, out: &mut Vec<u8>) {
        write_number(*self, out);
    }
}

impl Stored for u64 {
    fn load(from: &mut Source<'_>) -> Self {
        from.number()
    }
}

impl Store for i64 {
    /// Zigzag: small numbers of either sign are short.
    fn store(&self, out: &mut Vec<u8>) {
        write_number((self << 1 ^ self >> 63) as u64, out);
    }
}

impl Stored for i64 {
    fn load(from: &mut Source<'_>) -> Self {
        let zigzag = from.number();
        (zigzag >> 1) as Self ^ -((zigzag & 1) as Self)
    }
}

impl Store for u32 {
    fn store(&self, out: &mut Vec<u8>) {
        write_number(u64::from(*self), out);
    }
}

impl Stored for u32 {
    fn load(from: &mut Source<'_>) -> Self {
        let number = from.number();
        if number > u64::from(Self::MAX) {
            from.spoil();
        }
        number as Self
    }
}

impl Store for bool {
    fn store(&self, out: &mut Vec<u8>) {
        write_number(u64::from(*self), out);
    }
}

impl Stored for bool {
    fn load(from: &mut Source<'_>) -> Self {
        from.variant(2) == 1
    }
}

impl Store for String {
    #[inline(never)]
    fn store(&self, out: &mut Vec<u8>) {
        write_number(self.len() as u64, out);
        out.extend_from_slice(self.as_bytes());
    }
}

impl Stored for String {
    fn load(from: &mut Source<'_>) -> Self {
        from.text()
    }
}

/// A large record, so that passing it on moves a pointer.
impl<T: Store> Store for Box<T> {
    fn store(&self, out: &mut Vec<u8>) {
        T::store(self, out);
    }
}

impl<T: Stored> Stored for Box<T> {
    fn load(from: &mut Source<'_>) -> Self {
        Self::new(T::load(from))
    }
}

impl<T: Store> Store for Option<T> {
    fn store(&self, out: &mut Vec<u8>) {
        write_number(u64::from(self.is_some()), out);
        if let Some(value) = self {
            value.store(out);
        }
    }
}

impl<T: Stored> Stored for Option<T> {
    fn load(from: &mut Source<'_>) -> Self {
        if bool::load(from) { Some(T::load(from)) } else { None }
    }
}

impl<T: Store> Store for Vec<T> {
    #[inline(never)]
    fn store(&self, out: &mut Vec<u8>) {
        write_number(self.len() as u64, out);
        for item in self {
            item.store(out);
        }
    }
}

impl<T: Stored> Stored for Vec<T> {
    #[inline(never)]
    fn load(from: &mut Source<'_>) -> Self {
        (0..from.count()).map(|_| T::load(from)).collect()
    }
}

impl<A: Store, B: Store> Store for (A, B) {
    fn store(&self, out: &mut Vec<u8>) {
        self.0.store(out);
        self.1.store(out);
    }
}

impl<A: Stored, B: Stored> Stored for (A, B) {
    fn load(from: &mut Source<'_>) -> Self {
        (A::load(from), B::load(from))
    }
}

#[cfg(test)]
mod tests;
