//! Values: one encoding for each, and a reader that is spoilt by any other.

use crate::rejection::{Code, SdkCode};
use reprise_abi::Rejection;

/// A value with one encoding that says where it ends.
pub trait Stored {
    /// Appends the encoding.
    fn store(&self, out: &mut Vec<u8>);
    /// Reads one value from the front. What is no encoding spoils the reader, and the value means nothing.
    fn load(from: &mut Reader<'_>) -> Self
    where
        Self: Sized;
}

/// The encoding of a value.
#[must_use]
#[inline(never)]
pub fn encoded(value: &dyn Stored) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(128);
    value.store(&mut bytes);
    bytes
}

/// The value that bytes are the encoding of, if there are any.
///
/// # Errors
/// [`SdkCode::CorruptState`]: they are no encoding of such a value.
#[inline(never)]
pub fn decoded<T: Stored>(bytes: Option<Vec<u8>>) -> Result<Option<T>, Rejection> {
    let Some(bytes) = bytes else { return Ok(None) };
    let mut from = Reader::new(&bytes);
    let value = T::load(&mut from);
    if from.is_done() { Ok(Some(value)) } else { Err(corrupt()) }
}

/// State that no version of this policy has written.
#[cold]
#[inline(never)]
pub fn corrupt() -> Rejection {
    SdkCode::CorruptState.because("a record or key of another version")
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
    pub const fn new(bytes: &'b [u8]) -> Self {
        Self { bytes, spoilt: false }
    }

    /// Everything was read, and nothing was wrong.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        !self.spoilt && self.bytes.is_empty()
    }

    /// Something is wrong: nothing more is read.
    #[cold]
    pub const fn spoil(&mut self) {
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

    /// A number below a bound; 0 when it is not.
    #[inline(never)]
    pub fn below(&mut self, bound: u64) -> u64 {
        let number = self.number();
        if number >= bound {
            self.spoil();
            return 0;
        }
        number
    }

    /// How many items follow. Each takes a byte at least, so that a count alone does not decide how long this takes.
    #[inline(never)]
    fn count(&mut self) -> u64 {
        self.below(self.bytes.len() as u64)
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

/// Nothing: the key says it all.
impl Stored for () {
    fn store(&self, _: &mut Vec<u8>) {}

    fn load(_: &mut Reader<'_>) -> Self {}
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

impl Stored for i64 {
    /// Zigzag: small numbers of either sign are short.
    fn store(&self, out: &mut Vec<u8>) {
        write_number((self << 1 ^ self >> 63) as u64, out);
    }

    fn load(from: &mut Reader<'_>) -> Self {
        let zigzag = from.number();
        (zigzag >> 1) as Self ^ -((zigzag & 1) as Self)
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
        core::str::from_utf8(bytes).map_or_else(
            |_| {
                from.spoil();
                Self::new()
            },
            Self::from,
        )
    }
}

/// A digest: its bytes.
impl Stored for [u8; 32] {
    fn store(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }

    fn load(from: &mut Reader<'_>) -> Self {
        from.take(32).try_into().unwrap_or([0; 32])
    }
}

/// A table of a fixed length: one after the other.
impl<T: Stored, const N: usize> Stored for [T; N] {
    fn store(&self, out: &mut Vec<u8>) {
        self.iter().for_each(|item| item.store(out));
    }

    fn load(from: &mut Reader<'_>) -> Self {
        core::array::from_fn(|_| T::load(from))
    }
}

impl<A: Stored, B: Stored> Stored for (A, B) {
    fn store(&self, out: &mut Vec<u8>) {
        self.0.store(out);
        self.1.store(out);
    }

    fn load(from: &mut Reader<'_>) -> Self {
        (A::load(from), B::load(from))
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
        (0..from.count()).map(|_| T::load(from)).collect()
    }
}
