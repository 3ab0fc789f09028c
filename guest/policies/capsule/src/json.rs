//! Writing JSON: one text that grows, commas put where they belong.
//!
//! A general library would be a large part of the component's size, and everything written here is a flat object or a
//! list of them. What is not inlined is written once: there are hundreds of calls.

/// A JSON text under construction.
#[derive(Clone, Debug, Default)]
pub struct Json(String);

impl Json {
    /// An object that is open.
    #[must_use]
    pub fn object() -> Self {
        Self("{".into())
    }

    /// A member that is a string.
    #[inline(never)]
    pub fn text(&mut self, name: &str, value: &str) -> &mut Self {
        self.name(name).quote(value)
    }

    /// A member that is a number.
    #[inline(never)]
    pub fn number(&mut self, name: &str, value: u32) -> &mut Self {
        self.count(name, value.into())
    }

    /// A member that is a larger number.
    #[inline(never)]
    pub fn count(&mut self, name: &str, value: u64) -> &mut Self {
        self.name(name).raw(&decimal(value, false))
    }

    /// A member that is a number, or `null`.
    #[inline(never)]
    pub fn maybe(&mut self, name: &str, value: Option<u64>) -> &mut Self {
        match value {
            Some(value) => self.count(name, value),
            None => self.null(name),
        }
    }

    /// A member that is `null`.
    #[inline(never)]
    pub fn null(&mut self, name: &str) -> &mut Self {
        self.name(name).raw("null")
    }

    /// A member that is true or false.
    #[inline(never)]
    pub fn truth(&mut self, name: &str, value: bool) -> &mut Self {
        self.name(name).raw(if value { "true" } else { "false" })
    }

    /// A member that is a list of strings.
    #[inline(never)]
    pub fn texts(&mut self, name: &str, values: &[String]) -> &mut Self {
        self.open(name, '[');
        for value in values {
            self.comma().quote(value);
        }
        self.close(']')
    }

    /// A member that is a list of numbers.
    #[inline(never)]
    pub fn numbers(&mut self, name: &str, values: &[i32]) -> &mut Self {
        self.open(name, '[');
        for value in values {
            self.comma().raw(&decimal(value.unsigned_abs().into(), *value < 0));
        }
        self.close(']')
    }

    /// Begins a member that is an object or a list.
    #[inline(never)]
    pub fn open(&mut self, name: &str, bracket: char) -> &mut Self {
        self.name(name);
        self.0.push(bracket);
        self
    }

    /// Begins an object in a list.
    pub fn item(&mut self) -> &mut Self {
        self.comma().raw("{")
    }

    /// Ends an object or a list.
    pub fn close(&mut self, bracket: char) -> &mut Self {
        self.0.push(bracket);
        self
    }

    /// The bytes of the text, the outermost object closed.
    #[must_use]
    pub fn done(mut self) -> Vec<u8> {
        self.0.push('}');
        self.0.into_bytes()
    }

    #[inline(never)]
    fn name(&mut self, name: &str) -> &mut Self {
        self.comma().quote(name).raw(":")
    }

    #[inline(never)]
    fn comma(&mut self) -> &mut Self {
        if !self.0.ends_with(['{', '[']) {
            self.0.push(',');
        }
        self
    }

    #[inline(never)]
    fn raw(&mut self, text: &str) -> &mut Self {
        self.0.push_str(text);
        self
    }

    #[inline(never)]
    fn quote(&mut self, text: &str) -> &mut Self {
        self.0.push('"');
        for letter in text.chars() {
            match letter {
                '"' | '\\' => self.0.extend(['\\', letter]),
                '\0'..='\x1f' => {
                    let digit = |value: u32| char::from_digit(value, 16).unwrap_or('0');
                    let code = u32::from(letter);
                    self.raw("\\u00").0.extend([digit(code >> 4), digit(code & 15)]);
                }
                _ => self.0.push(letter),
            }
        }
        self.raw("\"")
    }
}

/// A number in decimal digits.
#[must_use]
pub fn decimal(mut value: u64, negative: bool) -> String {
    let mut digits = Vec::with_capacity(20);
    loop {
        digits.push(b'0' + (value % 10) as u8);
        value /= 10;
        if value == 0 {
            break;
        }
    }
    if negative {
        digits.push(b'-');
    }
    digits.into_iter().rev().map(char::from).collect()
}

#[cfg(test)]
mod tests;
