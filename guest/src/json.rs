//! JSON out: answers, views and the payloads of effects, written from front to back.
//!
//! A [`Json`] is an object under construction. It puts the commas and closes what is open, so what comes out is always
//! JSON; the order of the members is the order of the calls, so equal calls are equal bytes. There is no formatting
//! machinery behind it, which would be a large part of a small component, and what is not one call is written once:
//! policies have hundreds of calls. [`of`] writes a type that derives `Serialize`. JSON in is [`typed`](crate::typed).
//!
//! ```
//! use reprise_guest::json::Json;
//! let mut json = Json::object();
//! json.text("node", "n-1").number("attempt", 2_u32).list("waits_ms");
//! for wait in [100, 200] {
//!     json.item_number(wait);
//! }
//! json.close().nested("last").null("error").flag("done", true);
//! assert_eq!(
//!     json.done(),
//!     br#"{"node":"n-1","attempt":2,"waits_ms":[100,200],"last":{"error":null,"done":true}}"#,
//! );
//! assert_eq!(Json::object().text("do", "restart").done(), br#"{"do":"restart"}"#);
//! ```

mod value;

pub use value::of;

use crate::text::{decimal_digits, hex_digit};

/// A JSON object under construction. Equal calls give equal bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Json {
    text: Vec<u8>,
    /// The brackets that close what is open inside the outermost object, innermost last.
    open: Vec<u8>,
}

impl Json {
    /// An object without members.
    #[must_use]
    #[inline(never)]
    pub fn object() -> Self {
        let mut text = Vec::with_capacity(TEXT_BYTES_USUAL);
        text.push(b'{');
        Self { text, open: Vec::new() }
    }

    /// A member that is a string.
    #[inline(never)]
    pub fn text(&mut self, name: &str, value: &str) -> &mut Self {
        self.name(name).quote(value)
    }

    /// A member that is a number.
    #[inline(always)]
    pub fn number(&mut self, name: &str, value: impl Into<u64>) -> &mut Self {
        self.maybe(name, Some(value.into()))
    }

    /// A member that is a number which may be negative.
    #[inline(never)]
    pub fn signed(&mut self, name: &str, value: i64) -> &mut Self {
        self.name(name).digits(value.unsigned_abs(), value < 0)
    }

    /// A member that is a number, or `null`.
    #[inline(never)]
    pub fn maybe(&mut self, name: &str, value: Option<u64>) -> &mut Self {
        self.name(name);
        match value {
            Some(value) => self.digits(value, false),
            None => self.raw(b"null"),
        }
    }

    /// A member that is a string, or `null`.
    #[inline(never)]
    pub fn maybe_text(&mut self, name: &str, value: Option<&str>) -> &mut Self {
        match value {
            Some(value) => self.text(name, value),
            None => self.null(name),
        }
    }

    /// A member that is `null`.
    #[inline(always)]
    pub fn null(&mut self, name: &str) -> &mut Self {
        self.maybe(name, None)
    }

    /// A member that is true or false.
    #[inline(never)]
    pub fn flag(&mut self, name: &str, value: bool) -> &mut Self {
        self.name(name).raw(if value { b"true" } else { b"false" })
    }

    /// A member that is JSON already, as [`done`](Self::done) gives it.
    #[inline(never)]
    pub fn verbatim(&mut self, name: &str, json: &[u8]) -> &mut Self {
        self.name(name).raw(json)
    }

    /// A member that is a list of strings.
    #[inline(never)]
    pub fn texts(&mut self, name: &str, values: &[String]) -> &mut Self {
        self.list(name);
        for value in values {
            self.item_text(value);
        }
        self.close()
    }

    /// A member that is a list of numbers: of whatever is a `u64` without loss, ids among it.
    #[inline(always)]
    pub fn numbers<N: Copy + Into<u64>>(&mut self, name: &str, values: &[N]) -> &mut Self {
        self.list(name);
        for value in values {
            self.item_number((*value).into());
        }
        self.close()
    }

    /// A member that is a list of numbers which may be negative.
    #[inline(always)]
    pub fn signed_numbers<N: Copy + Into<i64>>(&mut self, name: &str, values: &[N]) -> &mut Self {
        self.list(name);
        for value in values {
            self.item_signed((*value).into());
        }
        self.close()
    }

    /// Begins a member that is an object, to be ended by [`close`](Self::close).
    #[inline(never)]
    pub fn nested(&mut self, name: &str) -> &mut Self {
        self.name(name).begin(b'{', b'}')
    }

    /// Begins a member that is a list, to be filled with items and ended by [`close`](Self::close).
    #[inline(never)]
    pub fn list(&mut self, name: &str) -> &mut Self {
        self.name(name).begin(b'[', b']')
    }

    /// Begins an object as an item of a list, to be ended by [`close`](Self::close).
    #[inline(never)]
    pub fn item(&mut self) -> &mut Self {
        self.comma().begin(b'{', b'}')
    }

    /// An item of a list that is a string.
    #[inline(never)]
    pub fn item_text(&mut self, value: &str) -> &mut Self {
        self.comma().quote(value)
    }

    /// An item of a list that is a number.
    #[inline(never)]
    pub fn item_number(&mut self, value: u64) -> &mut Self {
        self.comma().digits(value, false)
    }

    /// An item of a list that is a number which may be negative.
    #[inline(never)]
    pub fn item_signed(&mut self, value: i64) -> &mut Self {
        self.comma().digits(value.unsigned_abs(), value < 0)
    }

    /// Ends the innermost object or list that is open; the outermost object is ended by [`done`](Self::done) alone.
    #[inline(never)]
    pub fn close(&mut self) -> &mut Self {
        self.text.extend(self.open.pop());
        self
    }

    /// The whole text, everything that is open ended. What is left behind is empty: this is the last call.
    #[must_use]
    #[inline(never)]
    pub fn done(&mut self) -> Vec<u8> {
        while !self.open.is_empty() {
            self.close();
        }
        self.text.push(b'}');
        core::mem::take(&mut self.text)
    }

    #[inline(never)]
    fn name(&mut self, name: &str) -> &mut Self {
        self.comma().quote(name).raw(b":")
    }

    /// Nothing written ends with an opening bracket but the beginning of an object or list: strings end with a quote.
    #[inline(never)]
    fn comma(&mut self) -> &mut Self {
        if !matches!(self.text.last(), Some(b'{' | b'[')) {
            self.text.push(b',');
        }
        self
    }

    #[inline(never)]
    fn begin(&mut self, first: u8, last: u8) -> &mut Self {
        self.text.push(first);
        self.open.push(last);
        self
    }

    #[inline(never)]
    fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.text.extend_from_slice(bytes);
        self
    }

    #[inline(never)]
    fn digits(&mut self, value: u64, negative: bool) -> &mut Self {
        if negative {
            self.text.push(b'-');
        }
        decimal_digits(&mut self.text, value);
        self
    }

    #[inline(never)]
    fn quote(&mut self, value: &str) -> &mut Self {
        self.text.push(b'"');
        for byte in value.bytes() {
            match byte {
                b'"' | b'\\' => self.text.extend_from_slice(&[b'\\', byte]),
                0..=0x1f => {
                    self.text.extend_from_slice(&[b'\\', b'u', b'0', b'0', hex_digit(byte >> 4), hex_digit(byte)])
                }
                _ => self.text.push(byte),
            }
        }
        self.raw(b"\"")
    }
}

/// Room for an object at once: growing a list byte by byte is most of the cost of a small one.
const TEXT_BYTES_USUAL: usize = 128;

#[cfg(test)]
mod tests;
