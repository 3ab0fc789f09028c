//! Events as JSON lines: one CloudEvent per line.
//!
//! `id`, `source` and `type` are required. `time` (RFC 3339) is the logical time that the event proposes. `data` is any
//! JSON value; its bytes reach the policy unchanged. `specversion` and `datacontenttype` may be there and say nothing
//! new. Any other field is refused, so that a misspelt one is not lost in silence.

use crate::orderer::{Origin, Proposal};
use reprise_abi::{Event, EventError, limits::INPUT_BYTES_MAX};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::{
    io::{self, BufRead},
    time::UNIX_EPOCH,
};

/// Longest line, in bytes: the longest input, and room for names of fields and escapes.
pub const LINE_BYTES_MAX: usize = 2 * INPUT_BYTES_MAX;

/// Why a line is no event.
#[derive(Debug, thiserror::Error)]
pub enum LineErrorKind {
    /// It cannot be read.
    #[error("{0}")]
    Read(#[from] io::Error),
    /// It is too long.
    #[error("longer than {LINE_BYTES_MAX} bytes")]
    TooLong,
    /// It is not such a JSON object.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// `time` is not a time.
    #[error("`time` is {0:?}, expected RFC 3339 such as 2026-03-14T02:17:09.120Z, not before 1970")]
    Time(String),
    /// The version is another.
    #[error("`specversion` is {0:?}, only \"1.0\" is known")]
    SpecVersion(String),
    /// A field is over its bounds.
    #[error("{0}")]
    Bounds(#[from] EventError),
}

/// A line that is no event.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {kind}")]
pub struct LineError {
    /// Which line, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub kind: LineErrorKind,
}

/// Reads events line by line. The tag of a proposal is its line number. Blank lines are passed over.
pub struct EventLines<R> {
    reader: R,
    line: u64,
    bytes: u64,
    buffer: Vec<u8>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CloudEvent<'a> {
    id: String,
    source: String,
    #[serde(rename = "type")]
    kind: String,
    time: Option<String>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    specversion: Option<String>,
    #[serde(rename = "datacontenttype")]
    _datacontenttype: Option<String>,
}

impl<R: BufRead> EventLines<R> {
    /// Reads from here.
    pub fn new(reader: R) -> Self {
        Self { reader, line: 0, bytes: 0, buffer: Vec::new() }
    }

    /// Bytes read so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    fn next_line(&mut self) -> Result<bool, LineErrorKind> {
        self.buffer.clear();
        let limit = u64::try_from(LINE_BYTES_MAX).expect("the bound is small") + 1;
        let read = io::Read::take(&mut self.reader, limit).read_until(b'\n', &mut self.buffer)?;
        self.line += 1;
        self.bytes += read as u64;
        if self.buffer.len() > LINE_BYTES_MAX {
            return Err(LineErrorKind::TooLong);
        }
        Ok(read > 0)
    }
}

impl<R: BufRead> Iterator for EventLines<R> {
    type Item = Result<Proposal, LineError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.next_line() {
                Ok(false) => return None,
                Ok(true) if self.buffer.trim_ascii().is_empty() => {}
                Ok(true) => {
                    let line = self.line;
                    return Some(parse(&self.buffer, line).map_err(|kind| LineError { line, kind }));
                }
                Err(kind) => return Some(Err(LineError { line: self.line, kind })),
            }
        }
    }
}

/// One line as a proposal.
///
/// # Errors
/// [`LineErrorKind`].
pub fn parse(line: &[u8], tag: u64) -> Result<Proposal, LineErrorKind> {
    let event: CloudEvent<'_> = serde_json::from_slice(line)?;
    if let Some(version) = event.specversion.filter(|version| version != "1.0") {
        return Err(LineErrorKind::SpecVersion(version));
    }
    let time_ms = event.time.map(|time| time_ms(&time).ok_or(LineErrorKind::Time(time))).transpose()?;
    let payload = event.data.map_or_else(Vec::new, |data| data.get().as_bytes().to_vec());
    let event = Event { id: event.id, source: event.source, kind: event.kind, payload };
    event.bounds()?;
    Ok(Proposal { tag, event, time_ms, origin: Origin::Submitted })
}

fn time_ms(text: &str) -> Option<u64> {
    let time = humantime::parse_rfc3339(text).ok()?;
    u64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_millis()).ok()
}

#[cfg(test)]
mod tests;
