//! Frames on the control stream: a length of 4 bytes, little endian, then so many bytes.

use super::{end::Code, limits::FRAME_BYTES_MAX};
use quinn::{ReadExactError, RecvStream, SendStream};
use std::time::Duration;
use tokio::time::timeout;

/// Bytes of a frame's length.
pub(super) const LENGTH_BYTES: usize = 4;

/// Why no further frame was read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// The stream ended between two frames.
    Finished,
    /// The other side broke a rule; the code says which.
    Fault(Code),
    /// The connection is gone.
    Gone,
}

/// Reads one frame. Waits for its first byte as long as it takes, then at most `stall` for the rest.
///
/// # Errors
/// [`Broken`]. Nothing is allocated for a frame that is too long.
pub(super) async fn read(stream: &mut RecvStream, stall: Duration) -> Result<Vec<u8>, Broken> {
    let mut length = [0; LENGTH_BYTES];
    if stream.read(&mut length[..1]).await.map_err(|_| Broken::Gone)?.is_none() {
        return Err(Broken::Finished);
    }
    timeout(stall, read_rest(stream, length)).await.unwrap_or(Err(Broken::Fault(Code::TooSlow)))
}

async fn read_rest(stream: &mut RecvStream, mut length: [u8; LENGTH_BYTES]) -> Result<Vec<u8>, Broken> {
    stream.read_exact(&mut length[1..]).await.map_err(cut_off)?;
    let length = u32::from_le_bytes(length) as usize;
    if length > FRAME_BYTES_MAX {
        return Err(Broken::Fault(Code::TooLong));
    }
    let mut frame = vec![0; length];
    stream.read_exact(&mut frame).await.map_err(cut_off)?;
    Ok(frame)
}

/// Writes one frame, which is at most [`FRAME_BYTES_MAX`] long.
///
/// # Errors
/// [`Broken`], also when the other side takes nothing for `stall`.
pub(super) async fn write(stream: &mut SendStream, frame: &[u8], stall: Duration) -> Result<(), Broken> {
    let length = u32::try_from(frame.len()).expect("checked before it was queued");
    let bytes = [&length.to_le_bytes(), frame].concat();
    match timeout(stall, stream.write_all(&bytes)).await {
        Ok(written) => written.map_err(|_| Broken::Gone),
        Err(_) => Err(Broken::Fault(Code::TooSlow)),
    }
}

fn cut_off(error: ReadExactError) -> Broken {
    match error {
        ReadExactError::FinishedEarly(_) => Broken::Fault(Code::Malformed),
        ReadExactError::ReadError(_) => Broken::Gone,
    }
}
