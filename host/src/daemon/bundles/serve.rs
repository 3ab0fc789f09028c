//! A peer asks for a bundle: it is made as a file, announced, streamed, and removed.

use super::remove;
use crate::{
    bundles::{BundleFileError, ExportOptions, export},
    daemon::{driver::Driver, happening::Happening},
    journal::{JournalError, LedgerEntry, LedgerReader},
    link::{Session, TransferError},
    node::Node,
    panics::{caught, told},
};
use reprise_federation::{
    NodeKey,
    bundle::BundleOrder,
    limits::BUNDLE_BYTES_MAX,
    message::{BundleOffer, Refusal},
};
use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    thread,
};
use tokio::runtime::Handle;

/// Bytes that are read from the file and handed to the stream at once.
const PIECE_BYTES: usize = 64 * 1024;

/// A bundle for a peer was made, or could not be.
#[derive(Debug)]
pub(in crate::daemon) struct Made {
    to: NodeKey,
    number: u64,
    transfer: u64,
    path: PathBuf,
    offer: Result<BundleOffer, Refusal>,
}

#[derive(Debug, thiserror::Error)]
enum SendError {
    #[error(transparent)]
    Transfer(#[from] TransferError),
    #[error("its file: {0}")]
    File(#[from] io::Error),
}

impl Driver {
    /// Makes a bundle for a peer.
    pub(in crate::daemon) fn make_bundle(&mut self, to: NodeKey, number: u64, transfer: u64, order: BundleOrder) {
        let path = self.bundles.path("out", number);
        let entry = self.ledgers.get(&order.ledger).map(|served| served.entry.clone());
        let (node, happenings) = (self.node.clone(), self.happenings.clone());
        let begun = thread::Builder::new().name("reprise-bundle-out".to_owned()).spawn(move || {
            let offer = entry.ok_or(Refusal::NotShared).and_then(|entry| {
                caught(|| make(&node, &entry, &order, &path)).unwrap_or_else(|panic| {
                    tracing::error!(panic, "a bundle for a peer cannot be made");
                    remove(&path);
                    Err(Refusal::NotMade)
                })
            });
            let made = Made { to, number, transfer, path, offer };
            let _ = happenings.blocking_send(Happening::BundleMade(Box::new(made)));
        });
        if let Err(error) = begun {
            tracing::error!(%error, "no thread to make a bundle on");
            self.federation.bundle_made(number, Err(Refusal::Busy));
            self.federation.bundle_ended(number);
        }
    }

    /// Announces it, and sends it.
    pub(in crate::daemon) fn bundle_made(&mut self, made: Made) {
        let Made { to, number, transfer, path, offer } = made;
        let wanted = self.federation.bundle_made(number, offer);
        let session = self.sessions.get(&to.0).map(|(_, session)| session.clone());
        let (Some(session), true, Ok(offer)) = (session, wanted, offer) else {
            remove(&path);
            return self.federation.bundle_ended(number);
        };
        let (network, happenings) = (self.network.clone(), self.happenings.clone());
        let sending = thread::Builder::new().name("reprise-bundle-out".to_owned()).spawn(move || {
            match told(|| send(&network, &session, transfer, &path, offer.bytes)) {
                Ok(()) => tracing::info!(peer = %to.0, bytes = offer.bytes, "a bundle was sent"),
                Err(error) => tracing::warn!(peer = %to.0, %error, "a bundle is not taken"),
            }
            remove(&path);
            let _ = happenings.blocking_send(Happening::BundleSent { number });
        });
        if let Err(error) = sending {
            tracing::error!(%error, "no thread to send a bundle from");
            self.federation.bundle_ended(number);
        }
    }
}

fn make(node: &Node, entry: &LedgerEntry, order: &BundleOrder, path: &Path) -> Result<BundleOffer, Refusal> {
    // Of one moment: the log may be taken back and filled otherwise meanwhile.
    let node = &node.moment().map_err(|error| {
        tracing::warn!(%error, "a bundle for a peer cannot be made");
        Refusal::NotMade
    })?;
    let end = match order.open_end {
        true => signed_end(node, entry, order).map_err(|error| refusal(&error.into()))?.ok_or(Refusal::NotMade)?,
        false => order.range.end,
    };
    // Nothing is signed for it: what is durable and attested here is enough, and what was not ordered to stay is not
    // to be signed twice.
    let range = order.range.start..end;
    let options = ExportOptions { kind: order.kind, range, dir: node.dir().to_owned(), signer: None };
    let exported = export(node.journal(), entry, options, path).map_err(|error| refusal(&error))?;
    if exported.bytes > BUNDLE_BYTES_MAX {
        tracing::warn!(bytes = exported.bytes, "a bundle is too long to be sent");
        remove(path);
        return Err(Refusal::NotMade);
    }
    Ok(BundleOffer { to: end, bytes: exported.bytes, digest: exported.digest })
}

/// The largest end of a range that a signature covers; none if nothing of it is signed.
fn signed_end(node: &Node, entry: &LedgerEntry, order: &BundleOrder) -> Result<Option<u64>, JournalError> {
    let reader: LedgerReader = node.journal().read(entry.no)?;
    let (start, end) = (order.range.start, order.range.end.min(reader.size()?));
    let by_checkpoint = node.journal().checkpoints(entry.no)?.iter().any(|it| it.record.claim.size >= end);
    let by_attestation = end > start && reader.attestations(end - 1..u64::MAX)?.next().transpose()?.is_some();
    if by_checkpoint || by_attestation {
        return Ok(Some(end));
    }
    let mut last = None;
    for attested in reader.attestations(start..end)? {
        last = Some(attested?.0 + 1);
    }
    Ok(last)
}

fn refusal(error: &BundleFileError) -> Refusal {
    match error {
        BundleFileError::Range { .. } => Refusal::Pruned,
        BundleFileError::NoCheckpoint(_) | BundleFileError::NoCheckpoints | BundleFileError::NoAncestry(_) => {
            Refusal::Pruned
        }
        error => {
            tracing::warn!(%error, "a bundle for a peer cannot be made");
            Refusal::NotMade
        }
    }
}

fn send(network: &Handle, session: &Session, transfer: u64, path: &Path, bytes: u64) -> Result<(), SendError> {
    let mut file = File::open(path)?;
    let mut sending = network.block_on(session.begin_transfer(transfer, bytes))?;
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(network.block_on(sending.finish())?),
            count => network.block_on(sending.write(&piece[..count]))?,
        }
    }
}
