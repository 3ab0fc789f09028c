//! Text for people: keys, values, digests, times, ranges.

use super::error::CliError;
use std::{ops::Range, time::UNIX_EPOCH};

/// Cells of a table are cut to this many characters.
const CELL_CHARS_MAX: usize = 72;
/// Digits that a digest is cut to in tables; more than a selector needs.
const DIGEST_DIGITS: usize = 16;

/// Bytes as text when they are printable, else as 0x and hexadecimal digits.
pub(crate) fn bytes(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.starts_with("0x") && text.chars().all(|c| !c.is_control()) => text.to_owned(),
        _ => hex(bytes),
    }
}

/// 0x and hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::from("0x"), |text, byte| format!("{text}{byte:02x}"))
}

/// A state key: the policy's own without its namespace byte, the ledger's own by what it is.
pub(crate) fn state_key(key: &[u8]) -> String {
    match key.split_first() {
        Some((&reprise_receipts::system::POLICY_NAMESPACE, key)) => bytes(key),
        Some((_, [b'f'])) => "(ledger: guest faults)".to_owned(),
        Some((_, [b'h'])) => "(ledger: halt)".to_owned(),
        Some((_, [b'p'])) => "(ledger: package in force)".to_owned(),
        Some((_, [b'i', digest @ ..])) => format!("(ledger: idempotency record {})", hex(digest)),
        _ => hex(key),
    }
}

/// A key as typed: text, or 0x and hexadecimal digits.
pub(crate) fn parse_bytes(text: &str) -> Result<Vec<u8>, CliError> {
    let Some(digits) = text.strip_prefix("0x") else { return Ok(text.as_bytes().to_vec()) };
    let error = || CliError::Usage(format!("`{text}`: after 0x come pairs of hexadecimal digits"));
    if !digits.is_ascii() || !digits.len().is_multiple_of(2) {
        return Err(error());
    }
    let pair = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).map_err(|_| error());
    (0..digits.len()).step_by(2).map(pair).collect()
}

/// A range as typed: FROM..TO, either of which may be left out.
pub(crate) fn parse_range(text: &str, size: u64) -> Result<Range<u64>, CliError> {
    let error = || CliError::Usage(format!("`{text}` is not a range: write FROM..TO, the end not included"));
    let (from, to) = text.split_once("..").ok_or_else(error)?;
    let number = |text: &str, absent| if text.is_empty() { Ok(absent) } else { text.parse().map_err(|_| error()) };
    let range = number(from, 0)?..number(to, size)?;
    if range.start <= range.end && range.end <= size {
        return Ok(range);
    }
    Err(CliError::Usage(format!("`{text}` is not in the ledger, which has receipts 0..{size}")))
}

/// The first digits of a digest.
pub(crate) fn digest(digest: impl ToString) -> String {
    digest.to_string().chars().take(DIGEST_DIGITS).collect()
}

/// Logical time as RFC 3339.
pub(crate) fn time(ms: u64) -> String {
    match UNIX_EPOCH.checked_add(std::time::Duration::from_millis(ms)) {
        Some(time) if ms < 253_402_300_800_000 => humantime::format_rfc3339_millis(time).to_string(),
        _ => format!("{ms} ms"),
    }
}

/// A length of time: milliseconds below a second, then seconds with one decimal, then whole minutes where it is some.
pub(crate) fn duration_ms(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        60_000.. if ms.is_multiple_of(60_000) => format!("{} min", ms / 60_000),
        _ => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
    }
}

/// A cell of a table.
pub(crate) fn short(text: &str) -> String {
    if text.chars().count() <= CELL_CHARS_MAX {
        return text.to_owned();
    }
    text.chars().take(CELL_CHARS_MAX - 1).chain(['…']).collect()
}

/// A figure with two decimals.
pub(crate) fn fixed(number: f64) -> String {
    format!("{number:.2}")
}

/// 12345678 as 12,345,678.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
