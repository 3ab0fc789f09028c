//! Transfers: a stream with an id and a declared length, then so many bytes and not one more.
//!
//! Only time spent waiting for the other side counts: a reader that is busy elsewhere holds nothing against its peer. A
//! transfer that is dropped before its end is cut on both sides.

use super::{
    counters::PeerCounters,
    end::{Code, Ended},
    limits::{TRANSFER_HEADER_BYTES, TransferLimits},
};
use quinn::{ReadError, ReadExactError, RecvStream, SendStream, WriteError};
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, timeout};

/// Why a transfer did not come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransferError {
    /// It declares more than is taken.
    #[error("a transfer of {declared} bytes: at most {max} are taken")]
    TooLong {
        /// Its declared length, in bytes.
        declared: u64,
        /// What is taken.
        max: u64,
    },
    /// More bytes than declared.
    #[error("more came than the {declared} bytes that were declared")]
    Excess {
        /// Its declared length, in bytes.
        declared: u64,
    },
    /// Fewer bytes than declared.
    #[error("the stream ended after {received} of {declared} bytes")]
    Short {
        /// Bytes there are.
        received: u64,
        /// Its declared length, in bytes.
        declared: u64,
    },
    /// It stood still, or fell behind the slowest rate.
    #[error("too slow: cut after {bytes} bytes")]
    TooSlow {
        /// Bytes that went over.
        bytes: u64,
    },
    /// The other side cut it.
    #[error("the other side cut the stream after {bytes} bytes")]
    Cut {
        /// Bytes that went over.
        bytes: u64,
    },
    /// The connection ended.
    #[error("{0}")]
    Ended(Ended),
}

/// A transfer to a peer.
#[derive(Debug)]
pub struct Sending {
    stream: SendStream,
    counters: Arc<PeerCounters>,
    stall: Duration,
    declared: u64,
    sent: u64,
    finished: bool,
}

/// A transfer from a peer.
#[derive(Debug)]
pub struct Receiving {
    stream: RecvStream,
    counters: Arc<PeerCounters>,
    limits: TransferLimits,
    id: u64,
    declared: u64,
    received: u64,
    waited: Duration,
}

impl Sending {
    /// Writes the header.
    pub(super) async fn begin(
        stream: SendStream,
        counters: Arc<PeerCounters>,
        stall: Duration,
        id: u64,
        bytes: u64,
    ) -> Result<Self, TransferError> {
        let mut sending = Self { stream, counters, stall, declared: bytes, sent: 0, finished: false };
        sending.put(&[id.to_le_bytes(), bytes.to_le_bytes()].concat()).await?;
        sending.counters.sent.transfers.add(1);
        Ok(sending)
    }

    /// Sends bytes; waits while the peer has no room for them.
    ///
    /// # Errors
    /// [`TransferError`]. More than was declared is not sent.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), TransferError> {
        let sent = self.sent.saturating_add(bytes.len() as u64);
        if sent > self.declared {
            return Err(TransferError::Excess { declared: self.declared });
        }
        // In pieces, so that the deadline is one for a standstill and not for the whole.
        for piece in bytes.chunks(PIECE_BYTES) {
            self.put(piece).await?;
            self.sent += piece.len() as u64;
        }
        Ok(())
    }

    /// Ends the transfer, and waits until the peer's transport has all of it.
    ///
    /// # Errors
    /// [`TransferError`]: less was written than declared, or the peer cut the stream.
    pub async fn finish(mut self) -> Result<(), TransferError> {
        if self.sent != self.declared {
            return Err(TransferError::Short { received: self.sent, declared: self.declared });
        }
        self.finished = true;
        let cut = TransferError::Cut { bytes: self.sent };
        self.stream.finish().map_err(|_| cut)?;
        match timeout(self.stall, self.stream.stopped()).await {
            Ok(Ok(None)) => Ok(()),
            Ok(Ok(Some(_))) => Err(cut),
            Ok(Err(quinn::StoppedError::ConnectionLost(error))) => Err(TransferError::Ended((&error).into())),
            Ok(Err(quinn::StoppedError::ZeroRttRejected)) => Err(cut),
            Err(_) => Err(TransferError::TooSlow { bytes: self.sent }),
        }
    }

    async fn put(&mut self, bytes: &[u8]) -> Result<(), TransferError> {
        let written = timeout(self.stall, self.stream.write_all(bytes)).await;
        match written {
            Ok(Ok(())) => {
                self.counters.sent.transfer_bytes.add(bytes.len() as u64);
                Ok(())
            }
            Ok(Err(WriteError::ConnectionLost(error))) => Err(TransferError::Ended((&error).into())),
            Ok(Err(_)) => Err(TransferError::Cut { bytes: self.sent }),
            Err(_) => Err(TransferError::TooSlow { bytes: self.sent }),
        }
    }
}

/// Bytes written under one deadline.
const PIECE_BYTES: usize = 64 * 1024;

impl Drop for Sending {
    fn drop(&mut self) {
        // A stream that is dropped would end as if it were complete.
        if !self.finished {
            let _ = self.stream.reset(Code::Done.to_wire());
        }
    }
}

impl Receiving {
    /// Reads the header.
    pub(super) async fn begin(
        mut stream: RecvStream,
        counters: Arc<PeerCounters>,
        limits: TransferLimits,
    ) -> Result<Self, TransferError> {
        let mut header = [0; TRANSFER_HEADER_BYTES];
        match timeout(limits.grace, stream.read_exact(&mut header)).await {
            Ok(Ok(())) => {}
            Ok(Err(ReadExactError::ReadError(error))) => return Err(read_error(error, 0)),
            Ok(Err(ReadExactError::FinishedEarly(_))) => {
                return Err(TransferError::Short { received: 0, declared: 0 });
            }
            Err(_) => {
                let _ = stream.stop(Code::TooSlow.to_wire());
                return Err(TransferError::TooSlow { bytes: 0 });
            }
        }
        let (id, declared) = header.split_at(TRANSFER_HEADER_BYTES / 2);
        let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("half of the header"));
        let (id, declared) = (number(id), number(declared));
        if declared > limits.bytes_max {
            let _ = stream.stop(Code::TooLong.to_wire());
            return Err(TransferError::TooLong { declared, max: limits.bytes_max });
        }
        counters.transfer_received();
        counters.received.transfer_bytes.add(TRANSFER_HEADER_BYTES as u64);
        Ok(Self { stream, counters, limits, id, declared, received: 0, waited: Duration::ZERO })
    }

    /// Which transfer this is: what the sender said.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Its declared length, in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.declared
    }

    /// Reads what there is into `buffer`, which is not empty. 0 at the end, when all that was declared is there.
    ///
    /// # Errors
    /// [`TransferError`]; the transfer is cut and counted as refused.
    pub async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, TransferError> {
        let result = self.read_some(buffer).await;
        if let Err(error) = result
            && !matches!(error, TransferError::Ended(_))
        {
            self.counters.refused.add(1);
            let code = if matches!(error, TransferError::TooSlow { .. }) { Code::TooSlow } else { Code::Malformed };
            let _ = self.stream.stop(code.to_wire());
        }
        result
    }

    /// Reads all of it, when it is at most `bytes_max` long.
    ///
    /// # Errors
    /// [`TransferError`], as for [`Self::read`].
    pub async fn read_all(mut self, bytes_max: u64) -> Result<Vec<u8>, TransferError> {
        if self.declared > bytes_max {
            let _ = self.stream.stop(Code::TooLong.to_wire());
            return Err(TransferError::TooLong { declared: self.declared, max: bytes_max });
        }
        let mut bytes = Vec::new();
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            match self.read(&mut piece).await? {
                0 => return Ok(bytes),
                count => bytes.extend_from_slice(&piece[..count]),
            }
        }
    }

    async fn read_some(&mut self, buffer: &mut [u8]) -> Result<usize, TransferError> {
        assert!(!buffer.is_empty(), "an empty buffer would read as the end");
        let began = Instant::now();
        let read = timeout(self.patience(), self.stream.read(buffer)).await;
        self.waited += began.elapsed();
        let Ok(read) = read else { return Err(TransferError::TooSlow { bytes: self.received }) };
        let Some(count) = read.map_err(|error| read_error(error, self.received))? else {
            return if self.received == self.declared { Ok(0) } else { Err(self.short()) };
        };
        self.received += count as u64;
        self.counters.received.transfer_bytes.add(count as u64);
        if self.received > self.declared {
            return Err(TransferError::Excess { declared: self.declared });
        }
        Ok(count)
    }

    /// How long may still be waited for the next bytes.
    fn patience(&self) -> Duration {
        let earned = self.received.saturating_mul(1_000) / self.limits.bytes_per_second_min.max(1);
        self.limits.grace.saturating_add(Duration::from_millis(earned)).saturating_sub(self.waited)
    }

    fn short(&self) -> TransferError {
        TransferError::Short { received: self.received, declared: self.declared }
    }
}

fn read_error(error: ReadError, bytes: u64) -> TransferError {
    match error {
        ReadError::ConnectionLost(error) => TransferError::Ended((&error).into()),
        _ => TransferError::Cut { bytes },
    }
}
