//! A peer is asked for a bundle: its file is streamed to disk, bounded in bytes and in waiting, and verified.

use super::{operator::Wish, remove};
use crate::{
    bundles::{self, BundleFile, BundleFileError, Verified},
    daemon::{driver::Driver, happening::Happening},
    link::{Receiving, TransferError},
    node::EngineChoice,
    panics::caught,
};
use reprise_federation::{
    Message, NodeKey,
    limits::QUARANTINE_OBJECT_BYTES_MAX,
    message::{Answer, BundleOffer, BundleQuery, Refusal, Reply},
    node::CannotAsk,
    quarantine::{DIGEST_CONTEXT, LongObject, Reason},
};
use reprise_receipts::{
    LedgerId, PublicKey, Verdict,
    bundle::{BundleKind, Checked, Trust},
};
use std::{
    fs::File,
    io::{self, Read, Write},
    path::{Path, PathBuf},
    thread,
};
use tokio::runtime::Handle;

/// Bundles that are fetched at the same time.
const FETCHES_MAX: usize = 4;
/// How long a stream may stay away after it was announced, in milliseconds.
const STREAM_BEGINS_MS: u64 = 20_000;
/// Bytes that are read from the stream and written at once.
const PIECE_BYTES: usize = 256 * 1024;

/// What is known of a ledger before anything of it is fetched.
#[derive(Clone, Copy, Debug)]
pub(super) struct Anchor {
    pub(super) ledger: LedgerId,
    /// Attests its first epoch.
    pub(super) attester: PublicKey,
}

/// For whom a bundle is fetched.
pub(super) enum For {
    Operator(Wish),
    Newcomer,
}

/// A bundle that was asked for.
pub(super) struct Fetch {
    peer: NodeKey,
    query: BundleQuery,
    anchor: Anchor,
    wanted: For,
    stage: Stage,
}

enum Stage {
    /// No answer yet. Streams have no order: this one may be there before its answer is.
    Asked { request: u32, early: Option<Receiving> },
    /// It is to come before this time.
    Announced { offer: BundleOffer, until_ms: u64 },
    /// A thread reads and verifies it.
    Coming,
}

/// A bundle that holds, as a file.
#[derive(Debug)]
pub(in crate::daemon) struct Fetched {
    pub(super) path: PathBuf,
    /// Match or incomparable; divergent ones are rejected.
    pub(super) verified: Verified,
    pub(super) bytes: u64,
}

/// How a fetch ended.
pub(in crate::daemon) type FetchEnd = Result<Fetched, FetchError>;

/// Why there is no bundle.
#[derive(Debug, thiserror::Error)]
pub(in crate::daemon) enum FetchError {
    #[error(transparent)]
    CannotAsk(#[from] CannotAsk),
    #[error("too many bundles are fetched already: try again later")]
    TooMany,
    #[error("it refuses: {0}")]
    Refused(Refusal),
    #[error("it gave no answer in time")]
    Silent,
    #[error("it announced a bundle and did not send it")]
    NotSent,
    #[error("the connection to it ended")]
    Gone,
    #[error("the stream: {0}")]
    Stream(TransferError),
    #[error("what it sent is rejected: {why}")]
    Rejected { reason: Reason, why: String, verdict: Option<Box<Verdict>>, object: Box<LongObject> },
    #[error("this node: {0}")]
    Fault(String),
}

impl Fetch {
    pub(super) fn peer(&self) -> NodeKey {
        self.peer
    }
}

impl Driver {
    /// Asks a peer for a bundle; returns the number of the stream. After an error `wanted` was not called.
    pub(super) fn fetch_bundle(
        &mut self,
        peer: NodeKey,
        anchor: Anchor,
        (kind, from, to): (BundleKind, u64, Option<u64>),
        wanted: impl FnOnce() -> For,
    ) -> Result<u64, FetchError> {
        if self.bundles.fetches.len() >= FETCHES_MAX {
            return Err(FetchError::TooMany);
        }
        let (now_ms, transfer) = (self.now_ms(), self.federation.new_transfer());
        let query = BundleQuery { ledger: anchor.ledger, kind, from, to, transfer };
        let request = self.federation.ask_for_bundle(now_ms, peer, query)?;
        let stage = Stage::Asked { request, early: None };
        self.bundles.fetches.insert(transfer, Fetch { peer, query, anchor, wanted: wanted(), stage });
        Ok(transfer)
    }

    /// The answer to a question for a bundle. False: it is the answer to something else.
    pub(in crate::daemon) fn bundle_answered(&mut self, from: NodeKey, request: u32, reply: Option<&Reply>) -> bool {
        let is_it = |fetch: &Fetch| {
            fetch.peer == from && matches!(fetch.stage, Stage::Asked { request: asked, .. } if asked == request)
        };
        let now_ms = self.now_ms();
        let Some((transfer, fetch)) = self.bundles.fetches.iter_mut().find(|(_, fetch)| is_it(fetch)) else {
            return false;
        };
        let transfer = *transfer;
        match reply {
            Some(Reply::Bundle(offer)) if fetch.query.is_met_by(offer) => {
                let announced = Stage::Announced { offer: *offer, until_ms: now_ms + STREAM_BEGINS_MS };
                if let Stage::Asked { early: Some(stream), .. } = std::mem::replace(&mut fetch.stage, announced) {
                    self.bundle_comes(from, stream);
                }
            }
            Some(Reply::Refused(refusal)) => self.end_fetch(transfer, Err(FetchError::Refused(*refusal))),
            None => self.end_fetch(transfer, Err(FetchError::Silent)),
            Some(other) => {
                let why = "the answer is not one to the question".to_owned();
                let frame = Message::Answer(Answer { request, reply: other.clone() }).to_frame();
                let object = Box::new(short_object(&frame));
                let rejected = FetchError::Rejected { reason: Reason::Protocol, why, verdict: None, object };
                self.end_fetch(transfer, Err(rejected));
            }
        }
        true
    }

    /// A stream that carries a bundle. `Err`: it carries something else, or nobody asked for it.
    pub(in crate::daemon) fn take_bundle(&mut self, from: NodeKey, stream: Receiving) -> Result<(), Receiving> {
        match self.bundles.fetches.get(&stream.id()) {
            Some(fetch) if fetch.peer == from => {
                self.bundle_comes(from, stream);
                Ok(())
            }
            _ => Err(stream),
        }
    }

    fn bundle_comes(&mut self, from: NodeKey, stream: Receiving) {
        let transfer = stream.id();
        let path = self.bundles.path("in", transfer);
        let Some(fetch) = self.bundles.fetches.get_mut(&transfer) else { return };
        let offer = match &mut fetch.stage {
            Stage::Asked { early, .. } => return *early = Some(stream),
            Stage::Coming => return,
            Stage::Announced { offer, .. } => *offer,
        };
        fetch.stage = Stage::Coming;
        let arrival = Arrival { path, query: fetch.query, anchor: fetch.anchor, offer, network: self.network.clone() };
        tracing::info!(peer = %from.0, bytes = offer.bytes, "a bundle comes");
        let happenings = self.happenings.clone();
        let begun = thread::Builder::new().name("reprise-bundle-in".to_owned()).spawn(move || {
            let end = caught(|| arrival.take(stream)).unwrap_or_else(|panic| Err(FetchError::Fault(panic)));
            if end.is_err() {
                remove(&arrival.path);
            }
            let _ = happenings.blocking_send(Happening::BundleCame { transfer, end: Box::new(end) });
        });
        if let Err(error) = begun {
            self.end_fetch(transfer, Err(FetchError::Fault(error.to_string())));
        }
    }

    /// Gives up on streams that were announced and do not come.
    pub(super) fn expire_fetches(&mut self) {
        let now_ms = self.now_ms();
        let late = |fetch: &Fetch| matches!(fetch.stage, Stage::Announced { until_ms, .. } if now_ms >= until_ms);
        let late: Vec<u64> =
            self.bundles.fetches.iter().filter(|(_, fetch)| late(fetch)).map(|(transfer, _)| *transfer).collect();
        for transfer in late {
            self.end_fetch(transfer, Err(FetchError::NotSent));
        }
    }

    /// A connection ended: what was asked over it is not answered. What already comes ends by itself.
    pub(in crate::daemon) fn bundles_gone(&mut self, peer: NodeKey) {
        let waits = |transfer: &u64| !matches!(self.bundles.fetches[transfer].stage, Stage::Coming);
        let gone: Vec<u64> = self.bundles.of_peer(peer).filter(waits).collect();
        for transfer in gone {
            self.end_fetch(transfer, Err(FetchError::Gone));
        }
    }

    /// A fetch has come to its end: whoever wanted it hears of it, and what was rejected counts against the peer.
    pub(in crate::daemon) fn end_fetch(&mut self, transfer: u64, end: FetchEnd) {
        let Some(Fetch { peer, query, wanted, .. }) = self.bundles.fetches.remove(&transfer) else { return };
        if let Err(FetchError::Rejected { reason, why, object, .. }) = &end {
            tracing::warn!(peer = %peer.0, ledger = %query.ledger, why, "a bundle is rejected");
            let (now_ms, object) = (self.now_ms(), (**object).clone());
            self.federation.reject_bundle(now_ms, peer, query.ledger, *reason, object);
        }
        match wanted {
            For::Operator(wish) => wish.end(end, query.kind),
            For::Newcomer => self.newcomer_heard(query.ledger, peer, end),
        }
    }
}

/// A bundle on its way into a file.
struct Arrival {
    path: PathBuf,
    query: BundleQuery,
    anchor: Anchor,
    offer: BundleOffer,
    network: Handle,
}

impl Arrival {
    fn take(&self, stream: Receiving) -> FetchEnd {
        let Self { path, offer, .. } = self;
        if stream.bytes() != offer.bytes {
            let why = format!("it announced {} bytes, its stream has {}", offer.bytes, stream.bytes());
            let object = Box::new(short_object(&[]));
            return Err(FetchError::Rejected { reason: Reason::OtherBundle, why, verdict: None, object });
        }
        self.store(stream)?;
        // Before any of it runs.
        if !self.begins_as_asked()? {
            let why = "it is not of the ledger or the range that was asked for and announced".to_owned();
            return Err(self.reject(Reason::OtherBundle, why, None));
        }
        // The id of the ledger was known before. It is the digest of the genesis record, and with that come the key
        // that attests first and the operators who say which key attests next: nobody else is believed.
        let verified = match bundles::verify(path, Trust::GenesisRecord, EngineChoice::Cranelift) {
            Ok(verified) => verified,
            Err(BundleFileError::Bundle { error, .. }) => {
                return Err(self.reject(Reason::Bundle, error.to_string(), None));
            }
            Err(error) => return Err(fault(error)),
        };
        if verified.digest != offer.digest {
            let why = "it has another digest than was announced".to_owned();
            return Err(self.reject(Reason::OtherBundle, why, None));
        }
        if let Verdict::Divergent(divergence) = &verified.verdict {
            let why = format!("receipt {} diverges in its {}", divergence.seq, divergence.what.name());
            return Err(self.reject(Reason::BundleDiverges, why, Some(verified.verdict.clone())));
        }
        Ok(Fetched { path: path.clone(), verified, bytes: offer.bytes })
    }

    /// Its header says what was asked for and announced. What follows it is not read.
    fn begins_as_asked(&self) -> Result<bool, FetchError> {
        let first = BundleFile::open(&self.path, Trust::GenesisRecord).and_then(|mut file| file.next_item());
        let header = match first {
            Ok(Some(Checked::Header(header))) => header,
            Ok(_) => return Ok(false),
            Err(BundleFileError::Bundle { error, .. }) => {
                return Err(self.reject(Reason::Bundle, error.to_string(), None));
            }
            Err(error) => return Err(fault(error)),
        };
        let from = if header.kind == BundleKind::Checkpoint { 0 } else { header.from };
        let Self { anchor, query, offer, .. } = self;
        Ok((header.ledger, header.genesis.attester) == (anchor.ledger, anchor.attester)
            && (header.kind, from, header.to) == (query.kind, query.from, offer.to))
    }

    fn store(&self, mut stream: Receiving) -> Result<(), FetchError> {
        let mut file = File::create(&self.path).map_err(fault)?;
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            match self.network.block_on(stream.read(&mut piece)) {
                Ok(0) => return file.sync_all().map_err(fault),
                Ok(count) => file.write_all(&piece[..count]).map_err(fault)?,
                Err(error @ (TransferError::Excess { .. } | TransferError::Short { .. })) => {
                    return Err(self.reject(Reason::OtherBundle, error.to_string(), None));
                }
                Err(error) => return Err(FetchError::Stream(error)),
            }
        }
    }

    fn reject(&self, reason: Reason, why: String, verdict: Option<Verdict>) -> FetchError {
        match long_object(&self.path) {
            Ok(object) => {
                FetchError::Rejected { reason, why, verdict: verdict.map(Box::new), object: Box::new(object) }
            }
            Err(error) => fault(error),
        }
    }
}

fn fault(error: impl std::fmt::Display) -> FetchError {
    FetchError::Fault(error.to_string())
}

fn short_object(bytes: &[u8]) -> LongObject {
    let digest = blake3::derive_key(DIGEST_CONTEXT, bytes);
    LongObject { len: bytes.len() as u64, digest, beginning: bytes.to_vec() }
}

/// What the quarantine keeps of a file: its length, its digest, and its beginning.
fn long_object(path: &Path) -> io::Result<LongObject> {
    let (mut file, mut hasher) = (File::open(path)?, blake3::Hasher::new_derive_key(DIGEST_CONTEXT));
    let (mut piece, mut beginning, mut len) = (vec![0; PIECE_BYTES], Vec::new(), 0);
    loop {
        let count = file.read(&mut piece)?;
        if count == 0 {
            return Ok(LongObject { len, digest: *hasher.finalize().as_bytes(), beginning });
        }
        hasher.update(&piece[..count]);
        len += count as u64;
        let room = QUARANTINE_OBJECT_BYTES_MAX.saturating_sub(beginning.len());
        beginning.extend_from_slice(&piece[..count.min(room)]);
    }
}
