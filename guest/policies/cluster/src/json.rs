//! JSON out: one object, member by member. A general library would be a fifth of the component.

/// An object that is being written.
#[derive(Debug)]
pub struct Json(Vec<u8>);

impl Json {
    /// An object without members.
    #[must_use]
    pub fn object() -> Self {
        Self(vec![b'{'])
    }

    /// An object that orders something: its first member is `do`.
    #[must_use]
    #[inline(never)]
    pub fn verb(verb: &str) -> Self {
        Self::object().text("do", verb)
    }

    /// A member that is a string.
    #[must_use]
    #[inline(never)]
    pub fn text(mut self, name: &str, value: &str) -> Self {
        self.name(name);
        self.string(value);
        self
    }

    /// A member that is a number.
    #[must_use]
    #[inline(always)]
    pub fn num(self, name: &str, value: impl Into<u64>) -> Self {
        self.maybe(name, Some(value.into()))
    }

    /// A member that is a number or null.
    #[must_use]
    #[inline(never)]
    pub fn maybe(mut self, name: &str, value: Option<u64>) -> Self {
        self.name(name);
        match value {
            Some(value) => digits(&mut self.0, value),
            None => self.0.extend_from_slice(b"null"),
        }
        self
    }

    /// A member that is true or false.
    #[must_use]
    #[inline(never)]
    pub fn flag(mut self, name: &str, value: bool) -> Self {
        self.name(name);
        self.0.extend_from_slice(if value { b"true" } else { b"false" });
        self
    }

    /// A member that is a list of numbers.
    #[must_use]
    #[inline(never)]
    pub fn nums(mut self, name: &str, values: &[u32]) -> Self {
        self.name(name);
        self.0.push(b'[');
        for (index, value) in values.iter().enumerate() {
            if index > 0 {
                self.0.push(b',');
            }
            digits(&mut self.0, u64::from(*value));
        }
        self.0.push(b']');
        self
    }

    /// A member that is a list of ids.
    #[must_use]
    pub fn ids<T: Copy + Into<u32>>(self, name: &str, ids: &[T]) -> Self {
        let numbers: Vec<u32> = ids.iter().map(|id| (*id).into()).collect();
        self.nums(name, &numbers)
    }

    /// A member that is a list of objects.
    #[must_use]
    #[inline(never)]
    pub fn list(mut self, name: &str, items: Vec<Json>) -> Self {
        self.name(name);
        self.0.push(b'[');
        for (index, item) in items.into_iter().enumerate() {
            if index > 0 {
                self.0.push(b',');
            }
            self.0.extend(item.end());
        }
        self.0.push(b']');
        self
    }

    /// A member that is an object.
    #[must_use]
    #[inline(never)]
    pub fn nested(mut self, name: &str, item: Json) -> Self {
        self.name(name);
        self.0.extend(item.end());
        self
    }

    /// The object's bytes.
    #[must_use]
    #[inline(never)]
    pub fn end(mut self) -> Vec<u8> {
        self.0.push(b'}');
        self.0
    }

    #[inline(never)]
    fn name(&mut self, name: &str) {
        if self.0.len() > 1 {
            self.0.push(b',');
        }
        self.string(name);
        self.0.push(b':');
    }

    #[inline(never)]
    fn string(&mut self, text: &str) {
        self.0.push(b'"');
        for byte in text.bytes() {
            match byte {
                b'"' | b'\\' => self.0.extend_from_slice(&[b'\\', byte]),
                0..=0x1f => {
                    let hex = |nibble: u8| b"0123456789abcdef"[usize::from(nibble)];
                    self.0.extend_from_slice(b"\\u00");
                    self.0.extend_from_slice(&[hex(byte >> 4), hex(byte & 15)]);
                }
                _ => self.0.push(byte),
            }
        }
        self.0.push(b'"');
    }
}

/// A number in decimal, for a text.
#[must_use]
#[inline(always)]
pub fn decimal(value: impl Into<u64>) -> String {
    decimal_of(value.into())
}

#[inline(never)]
fn decimal_of(value: u64) -> String {
    let mut text = String::with_capacity(20);
    push_decimal(&mut text, value);
    text
}

/// Appends a number in decimal.
#[inline(never)]
pub fn push_decimal(text: &mut String, value: u64) {
    let (digits, at) = digits_of(value);
    for digit in &digits[at..] {
        text.push(char::from(*digit));
    }
}

/// Texts, one after the other. One function, where `concat` is one for each place.
#[must_use]
#[inline(never)]
pub fn join(parts: &[&str]) -> String {
    let mut text = String::with_capacity(64);
    for part in parts {
        text.push_str(part);
    }
    text
}

#[inline(never)]
fn digits(out: &mut Vec<u8>, value: u64) {
    let (digits, at) = digits_of(value);
    out.extend_from_slice(&digits[at..]);
}

/// The digits of a number, at the end of the array, and where they begin.
#[inline(never)]
fn digits_of(mut value: u64) -> ([u8; 20], usize) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            return (digits, at);
        }
    }
}

#[cfg(test)]
mod tests;
