//! The text and the place in it: everything that no type has a part in.
//!
//! Every part is one function, however short: the reader of each type has a call for it. A call costs a guest as much
//! fuel as 256 instructions, but what is written out at every member of every type is a third of a component.

use super::{DEPTH_MAX, ITEMS_MAX, JsonError};
use std::borrow::Cow;

/// A JSON text, read from the front.
pub struct Reader<'i> {
    text: &'i str,
    at: usize,
    depth: u32,
    items: u32,
}

/// A number, exactly; what is no integer of 64 bits stays text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Number<'i> {
    /// 0 to 2^64 - 1.
    Unsigned(u64),
    /// -2^63 to -1.
    Negative(i64),
    /// Anything else, -0 among it.
    Other(&'i str),
}

impl<'i> Reader<'i> {
    pub fn new(bytes: &'i [u8]) -> Result<Self, JsonError> {
        match core::str::from_utf8(bytes) {
            Ok(text) => Ok(Self { text, at: 0, depth: 0, items: 0 }),
            Err(error) => Err(JsonError::new("not UTF-8").at(error.valid_up_to())),
        }
    }

    /// Bytes read so far.
    pub fn at(&self) -> usize {
        self.at
    }

    fn here(&self) -> Option<u8> {
        self.rest().first().copied()
    }

    /// What is not read yet. By `get`, here and below, because every index that the compiler cannot prove links the
    /// printing of a panic.
    #[inline(always)]
    fn rest(&self) -> &'i [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    /// The text from a place that was read to here.
    #[inline(always)]
    fn since(&self, begin: usize) -> &'i str {
        self.text.get(begin..self.at).unwrap_or_default()
    }

    /// The next byte that is no white space.
    pub fn peek(&mut self) -> Option<u8> {
        while matches!(self.here(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
        self.here()
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// Nothing follows.
    #[inline(never)]
    pub fn end(&mut self) -> Result<(), JsonError> {
        if self.peek().is_none() { Ok(()) } else { Err(JsonError::new("expected the end of the text")) }
    }

    /// The first byte of an array or object, if it is next.
    #[inline(never)]
    pub fn open(&mut self, bracket: u8) -> Result<bool, JsonError> {
        if self.depth == DEPTH_MAX {
            return Err(JsonError::new("nested too deep"));
        }
        let found = self.take(bracket);
        self.depth += u32::from(found);
        Ok(found)
    }

    /// The last byte of an array or object.
    #[inline(never)]
    pub fn close(&mut self, bracket: u8) -> Result<(), JsonError> {
        self.depth -= 1;
        if self.take(bracket) {
            Ok(())
        } else {
            Err(JsonError::new(if bracket == b']' { "expected ]" } else { "expected }" }))
        }
    }

    /// Whether another item comes, its comma taken.
    #[inline(never)]
    pub fn next_item(&mut self, first: &mut bool, end: u8) -> Result<bool, JsonError> {
        if self.peek() == Some(end) {
            return Ok(false);
        }
        self.items += 1;
        if self.items > ITEMS_MAX {
            return Err(JsonError::new("too many items"));
        }
        if !core::mem::take(first) {
            if !self.take(b',') {
                return Err(JsonError::new("expected a comma"));
            }
            if self.peek() == Some(end) {
                return Err(JsonError::new("a comma too many"));
            }
        }
        Ok(true)
    }

    /// Whether another member comes, its comma taken; it begins with a string.
    #[inline(never)]
    pub fn next_member(&mut self, first: &mut bool) -> Result<bool, JsonError> {
        let comes = self.next_item(first, b'}')?;
        if comes && self.peek() != Some(b'"') { Err(JsonError::new("expected a name")) } else { Ok(comes) }
    }

    /// What stands between a name and its value.
    #[inline(never)]
    pub fn colon(&mut self) -> Result<(), JsonError> {
        if self.take(b':') { Ok(()) } else { Err(JsonError::new("expected a colon")) }
    }

    /// `true`, `false` or `null`, if it is next.
    #[inline(never)]
    pub fn take_word(&mut self, word: &str) -> bool {
        self.peek();
        let found = self.rest().starts_with(word.as_bytes());
        self.at += if found { word.len() } else { 0 };
        found
    }

    /// A number, if one is next.
    #[inline(never)]
    pub fn number(&mut self) -> Result<Option<Number<'i>>, JsonError> {
        if let Some(value) = self.short_integer() {
            return Ok(Some(Number::Unsigned(value)));
        }
        self.long_number()
    }

    #[inline(never)]
    fn long_number(&mut self) -> Result<Option<Number<'i>>, JsonError> {
        let Some(text) = self.number_text()? else { return Ok(None) };
        let (digits, negative) = text.strip_prefix('-').map_or((text, false), |digits| (digits, true));
        let mut value = 0_u64;
        for digit in digits.bytes() {
            let next = value.checked_mul(10).and_then(|n| n.checked_add(u64::from(digit.wrapping_sub(b'0'))));
            match next {
                Some(next) if digit.is_ascii_digit() => value = next,
                _ => return Ok(Some(Number::Other(text))),
            }
        }
        Ok(Some(if !negative {
            Number::Unsigned(value)
        } else if (1..=i64::MIN.unsigned_abs()).contains(&value) {
            Number::Negative(0_i64.wrapping_sub_unsigned(value))
        } else {
            Number::Other(text)
        }))
    }

    /// The ordinary number, read at once: up to 19 digits, nothing before them and no fraction after them.
    ///
    /// 19 digits cannot overflow. Checking would cost a multiplication of 128 bits for each of them.
    #[inline]
    fn short_integer(&mut self) -> Option<u64> {
        self.peek();
        let rest = self.rest();
        let mut value = 0_u64;
        let mut digits = 0;
        while let Some(digit @ b'0'..=b'9') = rest.get(digits) {
            if digits == 19 {
                return None;
            }
            value = value.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
            digits += 1;
        }
        let good = digits > 0
            && (digits == 1 || rest.first() != Some(&b'0'))
            && !matches!(rest.get(digits), Some(b'.' | b'e' | b'E'));
        self.at += if good { digits } else { 0 };
        good.then_some(value)
    }

    /// The text of a number, if one is next: sign, integer, fraction, exponent.
    #[inline(never)]
    pub fn number_text(&mut self) -> Result<Option<&'i str>, JsonError> {
        if !matches!(self.peek(), Some(b'-' | b'0'..=b'9')) {
            return Ok(None);
        }
        let begin = self.at;
        self.at += usize::from(self.here() == Some(b'-'));
        let zero = self.here() == Some(b'0');
        let integer = self.digits();
        let mut good = integer > 0 && !(zero && integer > 1);
        if self.here() == Some(b'.') {
            self.at += 1;
            good &= self.digits() > 0;
        }
        if matches!(self.here(), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.here(), Some(b'+' | b'-')));
            good &= self.digits() > 0;
        }
        if good { Ok(Some(self.since(begin))) } else { Err(JsonError::new("not a number")) }
    }

    fn digits(&mut self) -> usize {
        let begin = self.at;
        while matches!(self.here(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        self.at - begin
    }

    /// A string, if one is next; borrowed when nothing in it is escaped.
    #[inline(never)]
    pub fn string(&mut self) -> Result<Option<Cow<'i, str>>, JsonError> {
        if !self.take(b'"') {
            return Ok(None);
        }
        let begin = self.at;
        self.at += self.ordinary();
        if self.here() == Some(b'"') {
            let text = self.since(begin);
            self.at += 1;
            return Ok(Some(Cow::Borrowed(text)));
        }
        self.at = begin;
        self.escaped_string().map(|text| Some(Cow::Owned(text)))
    }

    /// How many bytes of a string follow that stand for themselves.
    #[inline]
    fn ordinary(&self) -> usize {
        let rest = self.rest();
        rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f)).unwrap_or(rest.len())
    }

    #[inline(never)]
    fn escaped_string(&mut self) -> Result<String, JsonError> {
        let mut text = String::new();
        loop {
            let begin = self.at;
            self.at += self.ordinary();
            text.push_str(self.since(begin));
            match self.here() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(text);
                }
                Some(b'\\') => text.push(self.escape()?),
                Some(_) => return Err(JsonError::new("control character in a string")),
                None => return Err(JsonError::new("a string without end")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, JsonError> {
        self.at += 1;
        let letter = self.here();
        self.at += usize::from(letter.is_some());
        Ok(match letter {
            Some(same @ (b'"' | b'\\' | b'/')) => char::from(same),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => self.code_point()?,
            _ => return Err(JsonError::new("unknown escape")),
        })
    }

    /// Four hexadecimal digits, or a surrogate pair of them.
    fn code_point(&mut self) -> Result<char, JsonError> {
        let lone = || JsonError::new("half a surrogate pair");
        let high = self.hex4()?;
        if !(0xd800..0xe000).contains(&high) {
            return char::from_u32(high).ok_or_else(lone);
        }
        if high >= 0xdc00 || !self.rest().starts_with(b"\\u") {
            return Err(lone());
        }
        self.at += 2;
        let low = self.hex4()?;
        if !(0xdc00..0xe000).contains(&low) {
            return Err(lone());
        }
        char::from_u32(0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00)).ok_or_else(lone)
    }

    fn hex4(&mut self) -> Result<u32, JsonError> {
        let mut value = 0;
        for _ in 0..4 {
            let digit = self.here().and_then(|digit| char::from(digit).to_digit(16));
            value = value << 4 | digit.ok_or_else(|| JsonError::new("expected four hexadecimal digits"))?;
            self.at += 1;
        }
        Ok(value)
    }

    /// Any value, passed over.
    pub fn skip(&mut self) -> Result<(), JsonError> {
        if self.string()?.is_some() || self.number_text()?.is_some() {
            return Ok(());
        }
        if ["true", "false", "null"].into_iter().any(|word| self.take_word(word)) {
            return Ok(());
        }
        let mut first = true;
        if self.open(b'[')? {
            while self.next_item(&mut first, b']')? {
                self.skip()?;
            }
            self.close(b']')
        } else if self.open(b'{')? {
            while self.next_member(&mut first)? {
                self.string()?;
                self.colon()?;
                self.skip()?;
            }
            self.close(b'}')
        } else {
            Err(JsonError::new("expected a value"))
        }
    }
}
