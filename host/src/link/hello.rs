//! The first frame each way: the version, what the connection is for, and words of whoever is above.
//!
//! The caller speaks first. Its connection seems established before the other side has judged its key, so it knows that it
//! is authorised only when the answer is there.

use super::{
    end::Code,
    frame::{self, Broken},
    limits::{GREETING_BYTES_MAX, LINK_VERSION},
};
use quinn::{RecvStream, SendStream};
use reprise_abi::{Canonical, CodecError, decode_canonical, encode};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A hello.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Hello {
    /// [`LINK_VERSION`] of whoever speaks.
    pub(super) version: u16,
    pub(super) purpose: Purpose,
    /// Opaque here; at most [`GREETING_BYTES_MAX`].
    pub(super) greeting: Vec<u8>,
}

/// What a connection is for. The answer repeats it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Purpose {
    /// To work together.
    Session,
    /// To see who is there. It does not take the place of another connection and ends after the answer.
    Probe,
}

impl Hello {
    pub(super) fn new(purpose: Purpose, greeting: &[u8]) -> Self {
        Self { version: LINK_VERSION, purpose, greeting: greeting.to_vec() }
    }
}

impl Canonical for Hello {
    const KIND: &'static str = "hello";
    const BYTES_MAX: usize = GREETING_BYTES_MAX + 16;

    fn validate(&self) -> Result<(), CodecError> {
        let short = self.greeting.len() <= GREETING_BYTES_MAX;
        let rule = "a greeting has at most 16384 bytes";
        if short { Ok(()) } else { Err(CodecError::Invalid { kind: Self::KIND, rule }) }
    }
}

/// Reads a hello.
///
/// # Errors
/// [`Broken`].
pub(super) async fn read(stream: &mut RecvStream, stall: Duration) -> Result<Hello, Broken> {
    let frame = frame::read(stream, stall).await?;
    decode_canonical(&frame).map_err(|_| Broken::Fault(Code::Malformed))
}

/// Writes a hello.
///
/// # Errors
/// [`Broken`].
pub(super) async fn write(stream: &mut SendStream, hello: &Hello, stall: Duration) -> Result<(), Broken> {
    frame::write(stream, &encode(hello), stall).await
}

#[cfg(test)]
mod tests;
