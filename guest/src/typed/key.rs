//! Keys whose bytes sort like their values.

/// A key, or one part of a composed key.
///
/// Two rules: bytes sort like values, and no encoding is the beginning of another. Hence parts can be put one after the
/// other (tuples), a scan comes in order, and the prefix of a part finds exactly the keys that begin with that part.
pub trait StateKey: Sized {
    /// Appends the encoding.
    fn write(&self, out: &mut Vec<u8>);
    /// Reads one key from the front; `None` when the bytes are not an encoding.
    fn read(bytes: &[u8]) -> Option<(Self, &[u8])>;
}

macro_rules! unsigned {
    ($($int:ty),+) => {$(
        /// Big endian, so that bytes sort like numbers.
        impl StateKey for $int {
            fn write(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_be_bytes());
            }

            fn read(bytes: &[u8]) -> Option<(Self, &[u8])> {
                let (head, tail) = bytes.split_first_chunk()?;
                Some((Self::from_be_bytes(*head), tail))
            }
        }
    )+};
}
unsigned!(u8, u16, u32, u64);

const ZERO: u8 = 0;
const ESCAPED_ZERO: u8 = 0xff;
const END: u8 = 1;

/// Zero bytes are escaped (`00 ff`) and the end is marked (`00 01`), which sorts below everything that could follow.
impl StateKey for String {
    fn write(&self, out: &mut Vec<u8>) {
        for byte in self.bytes() {
            out.push(byte);
            if byte == ZERO {
                out.push(ESCAPED_ZERO);
            }
        }
        out.extend_from_slice(&[ZERO, END]);
    }

    fn read(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let mut text = Vec::new();
        let mut rest = bytes;
        loop {
            rest = match rest {
                [ZERO, END, tail @ ..] => return Some((Self::from_utf8(text).ok()?, tail)),
                [ZERO, ESCAPED_ZERO, tail @ ..] => {
                    text.push(ZERO);
                    tail
                }
                [ZERO, ..] | [] => return None,
                [byte, tail @ ..] => {
                    text.push(*byte);
                    tail
                }
            };
        }
    }
}

impl<A: StateKey, B: StateKey> StateKey for (A, B) {
    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
        self.1.write(out);
    }

    fn read(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (a, rest) = A::read(bytes)?;
        let (b, rest) = B::read(rest)?;
        Some(((a, b), rest))
    }
}
