//! A connection of QUIC that remembers why this node closed it.

use super::end::{Code, Ended};
use std::sync::{Arc, OnceLock};

/// A connection. Clones are the same one.
#[derive(Clone, Debug)]
pub(super) struct Line {
    quic: quinn::Connection,
    closed_for: Arc<OnceLock<Code>>,
}

impl Line {
    pub(super) fn new(quic: quinn::Connection) -> Self {
        Self { quic, closed_for: Arc::default() }
    }

    pub(super) fn quic(&self) -> &quinn::Connection {
        &self.quic
    }

    pub(super) fn is_open(&self) -> bool {
        self.quic.close_reason().is_none()
    }

    /// Closes it at once. What it ended for before stays what it ended for.
    pub(super) fn close(&self, code: Code) {
        if self.is_open() {
            self.closed_for.get_or_init(|| code);
            self.quic.close(code.to_wire(), b"");
        }
    }

    /// Waits for its end.
    pub(super) async fn ended(&self) -> Ended {
        self.quic.closed().await;
        self.ended_now()
    }

    /// How it ended, when it has.
    pub(super) fn ended_now(&self) -> Ended {
        match self.quic.close_reason() {
            // Without a code of ours, the whole link was closed, or the runtime is gone.
            Some(quinn::ConnectionError::LocallyClosed) | None => {
                Ended::Here(self.closed_for.get().copied().unwrap_or(Code::Stopping))
            }
            Some(error) => (&error).into(),
        }
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.closed_for, &other.closed_for)
    }
}
