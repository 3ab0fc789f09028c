//! Whether the contents of a bundle hold, without doing a step again: one item at a time, in their order.
//!
//! What is established: every receipt follows the one before it, in log, state and time; every input and step record
//! is the one that its receipt names; every signature holds and is over the bundle's own log; a signature of the
//! attester covers the last receipt; the starting point is the state that the receipt before the range ends with.
//! Whether the steps give what the receipts say is for whoever does them again.

mod signed;
pub(crate) mod skim;
mod start;
mod steps;

pub(crate) use self::start::witnessed_state;

use self::{signed::Signed, start::Start, steps::Steps};
use super::{
    BUNDLE_PACKAGES_BYTES_MAX, BundleError, BundleHeader, BundleKind, BundleMark, Place, Section,
    edge::{LogEdge, Peaks},
    frame::Piece,
    mark::LogOfBundle,
};
use crate::{
    attestation::{Attestation, PublicKey},
    checkpoint::{Ancestry, CheckpointRecord, SignedCheckpoint},
    digest::{BundleDigest, EngineProfileDigest, LeafHash, PackageDigest},
    finality::FinalMark,
    package::Package,
    receipt::{Receipt, StepRecord},
    snapshot::Manifest,
    trie::StateTrie,
    trust_policy::TrustPolicy,
};
use reprise_abi::{Canonical, Input, decode_canonical};
use std::collections::BTreeSet;

/// Whom a verifier believes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Whoever the genesis record names: good for looking at a file, not for relying on it.
    GenesisRecord,
    /// This key: the ledger's attester in the epoch of the signature that covers the range. What an attester of another
    /// epoch signed does not count, because who follows whom is the operators' word and not this key's.
    Attester(PublicKey),
    /// Several keys: that of [`Self::Attester`], and others whose votes count where members have made something final.
    Members {
        /// The ledger's attester.
        attester: PublicKey,
        /// Other members.
        others: Vec<PublicKey>,
    },
    /// A policy about checkpoints: the bundle must have one that it accepts. Its quorum of witnesses may have cosigned the
    /// checkpoint, or made a log final that has everything in the bundle.
    Policy(TrustPolicy),
}

/// What an item turned out to be.
#[derive(Clone, Debug)]
pub enum Checked {
    /// The header; all of it was checked when it was read.
    Header(Box<BundleHeader>),
    /// A package.
    Package(PackageDigest, Box<Package>),
    /// A checkpoint that the trust covers; a policy's quorum may still be owed, until the end.
    Note(Box<SignedCheckpoint>),
    /// The record of the checkpoint.
    CheckpointRecord(Box<CheckpointRecord>),
    /// The checkpoints from the ledger's first one to the one before this.
    Ancestry(Box<Ancestry>),
    /// The receipt before the range; of a checkpoint, its last one.
    Base(Box<Receipt>, LeafHash),
    /// The log up to and including the base.
    Edge(LogEdge),
    /// The manifest of the snapshot to start from.
    Manifest(Manifest),
    /// The next chunk of the snapshot.
    Chunk(Vec<u8>),
    /// The state before the range, as far as the range looks at it.
    Witness(Box<StateTrie>),
    /// A step.
    Step(Box<BundleStep>),
    /// The attestation over the last step.
    Attestation(Box<Attestation>),
    /// What members have made final: of the bundle's log, with signatures that hold. Whether theirs count is for
    /// [`FinalMark::vouched`].
    Final(Box<FinalMark>),
    /// An item that only stands for others.
    Taken,
    /// Everything holds.
    End(BundleDigest),
}

/// A step of a bundle: encodings, and what they decode to.
#[derive(Clone, Debug)]
pub struct BundleStep {
    /// The receipt.
    pub receipt: Receipt,
    /// Its leaf hash.
    pub leaf: LeafHash,
    /// The input.
    pub input: Input,
    /// Diff and output.
    pub record: StepRecord,
    /// Encodings of receipt, input and record.
    pub bytes: [Vec<u8>; 3],
}

/// Checks the pieces of a bundle as they come.
#[derive(Debug)]
pub struct BundleCheck {
    trust: Trust,
    body: Option<Body>,
}

/// What is known once the header is there.
#[derive(Debug)]
struct Body {
    header: BundleHeader,
    packages: BTreeSet<PackageDigest>,
    package_bytes: usize,
    signed: Signed,
    start: Start,
    steps: Steps,
}

impl BundleCheck {
    /// Of a bundle that was made by whomever `trust` covers.
    #[must_use]
    pub fn new(trust: Trust) -> Self {
        Self { trust, body: None }
    }

    /// Takes the next piece, as [`BundleReader`](super::BundleReader) gives it.
    ///
    /// # Errors
    /// [`BundleError`]: the bundle does not hold. Then nothing more can be said of it.
    ///
    /// # Panics
    /// When the pieces are not those of a reader, in its order.
    pub fn accept(&mut self, piece: Piece) -> Result<Checked, BundleError> {
        match piece {
            Piece::Header(header) => self.header(header),
            Piece::Item { place, bytes } => self.body().item(place, bytes),
            Piece::End(digest) => {
                self.body().end()?;
                Ok(Checked::End(digest))
            }
        }
    }

    /// The last receipt that a signature covers, so far.
    #[must_use]
    pub fn attested(&self) -> Option<u64> {
        self.body.as_ref().and_then(|body| body.steps.attested())
    }

    fn body(&mut self) -> &mut Body {
        self.body.as_mut().expect("a reader gives the header first")
    }

    fn header(&mut self, header: Box<BundleHeader>) -> Result<Checked, BundleError> {
        let signed = Signed::new(&self.trust, &header)?;
        self.body = Some(Body {
            packages: BTreeSet::new(),
            package_bytes: 0,
            signed,
            start: Start::default(),
            steps: Steps::new(&header),
            header: (*header).clone(),
        });
        Ok(Checked::Header(header))
    }
}

impl Body {
    fn item(&mut self, place: Place, bytes: Vec<u8>) -> Result<Checked, BundleError> {
        match place.section {
            Section::Package => self.package(place, &bytes),
            Section::Profile => self.profile(&bytes),
            Section::Note => Ok(Checked::Note(Box::new(self.signed.note(&self.header, place, &bytes)?))),
            Section::CheckpointRecord => self.checkpoint_record(place, &bytes),
            Section::Ancestry => self.signed.ancestry(place, &bytes).map(|found| Checked::Ancestry(Box::new(found))),
            Section::Base => self.base(place, &bytes),
            Section::Edge => self.edge(place, &bytes),
            Section::Anchor => self.signed.anchor(&self.header, place, &bytes).map(|()| Checked::Taken),
            Section::Proof => self.proof(place, &bytes),
            Section::Manifest => self.manifest(place, &bytes),
            Section::Chunk => self.start.chunk(place, &bytes).map(|()| Checked::Chunk(bytes)),
            Section::Witness => self.start.witness(place, &bytes).map(|state| Checked::Witness(Box::new(state))),
            Section::Receipt => self.receipt(place, bytes),
            Section::Input => self.steps.input(place, bytes, &self.header).map(|()| Checked::Taken),
            Section::Record => self.steps.record(place, bytes).map(|step| Checked::Step(Box::new(step))),
            Section::Attestation => {
                let attestation = self.steps.attestation(place, &bytes, self.signed.attesters())?;
                Ok(Checked::Attestation(Box::new(attestation)))
            }
            Section::Final => self.final_mark(place, &bytes),
        }
    }

    fn end(&mut self) -> Result<(), BundleError> {
        self.start.end()?;
        self.signed.end()?;
        if self.header.kind == BundleKind::Checkpoint {
            return Ok(());
        }
        let (last, leaf) = self.steps.last().expect("a range is not empty");
        if self.header.has(Section::Proof) {
            self.signed.prove(last, self.steps.epoch(), leaf)?;
            self.steps.proved();
        } else {
            self.signed.attested_by_its_epoch(self.steps.epoch())?;
        }
        match self.steps.attested() {
            Some(seq) if seq == last => Ok(()),
            _ => Err(BundleError::Unattested { seq: last }),
        }
    }

    fn package(&mut self, place: Place, bytes: &[u8]) -> Result<Checked, BundleError> {
        self.package_bytes += bytes.len();
        if self.package_bytes > BUNDLE_PACKAGES_BYTES_MAX {
            return Err(BundleError::PackagesTooLarge(place));
        }
        skim::package(bytes).ok_or(BundleError::TooMany(place))?;
        let package: Package = decode(place, bytes)?;
        package.verify_component().map_err(|_| BundleError::Component(place))?;
        let digest = package.manifest.digest();
        if self.packages.last().is_some_and(|last| *last >= digest) {
            return Err(BundleError::PackageOrder(place));
        }
        self.packages.insert(digest);
        Ok(Checked::Package(digest, Box::new(package)))
    }

    fn profile(&self, text: &[u8]) -> Result<Checked, BundleError> {
        let (expected, found) = (self.header.genesis.engine_profile, EngineProfileDigest::of(text));
        if found == expected { Ok(Checked::Taken) } else { Err(BundleError::Profile { expected, found }) }
    }

    fn checkpoint_record(&mut self, place: Place, bytes: &[u8]) -> Result<Checked, BundleError> {
        let record = self.signed.checkpoint_record(&self.header, place, bytes)?;
        self.start.expect_snapshot(record.claim.snapshot);
        Ok(Checked::CheckpointRecord(Box::new(record)))
    }

    fn base(&mut self, place: Place, bytes: &[u8]) -> Result<Checked, BundleError> {
        let (receipt, leaf) = self.steps.base(place, bytes, self.signed.attesters())?;
        self.start.begin_with(receipt.next_state);
        self.signed.check_base(&receipt)?;
        Ok(Checked::Base(Box::new(receipt), leaf))
    }

    fn edge(&mut self, place: Place, bytes: &[u8]) -> Result<Checked, BundleError> {
        let edge: LogEdge = decode(place, bytes)?;
        if edge.size() != self.header.from {
            return Err(BundleError::EdgeSize { expected: self.header.from, found: edge.size() });
        }
        if self.header.kind == BundleKind::Checkpoint {
            self.signed.check_root(place, edge.root())?;
        }
        self.steps.begin_log(Peaks::of(&edge));
        Ok(Checked::Edge(edge))
    }

    fn proof(&mut self, place: Place, bytes: &[u8]) -> Result<Checked, BundleError> {
        self.signed.proof(place, bytes)?;
        if self.header.kind == BundleKind::Checkpoint {
            let (last, leaf) = self.steps.last().expect("the base comes before the proof");
            self.signed.prove(last, self.steps.epoch(), leaf)?;
        }
        Ok(Checked::Taken)
    }

    fn manifest(&mut self, place: Place, bytes: &[u8]) -> Result<Checked, BundleError> {
        let manifest: Manifest = decode(place, bytes)?;
        self.start.manifest(manifest)?;
        Ok(Checked::Manifest(manifest))
    }

    fn final_mark(&mut self, place: Place, bytes: &[u8]) -> Result<Checked, BundleError> {
        skim::final_mark(bytes).ok_or(BundleError::TooMany(place))?;
        let of_bundle: BundleMark = decode(place, bytes)?;
        let (_, last) = self.steps.last().expect("a bundle has a receipt");
        let (ledger, size, root) = (self.header.ledger, self.header.to, self.steps.log_root());
        of_bundle.check(place, &LogOfBundle { ledger, size, last, root })?;
        self.signed.witness(&self.header, &of_bundle.mark);
        Ok(Checked::Final(Box::new(of_bundle.mark)))
    }

    fn receipt(&mut self, place: Place, bytes: Vec<u8>) -> Result<Checked, BundleError> {
        // Whoever does the steps again begins with the state: it must be whole by now.
        self.start.end()?;
        let package = self.steps.receipt(place, bytes, self.signed.attesters())?;
        if self.header.kind == BundleKind::Replay && !self.packages.contains(&package) {
            return Err(BundleError::NoPackage { place, package });
        }
        Ok(Checked::Taken)
    }
}

fn decode<T: Canonical>(place: Place, bytes: &[u8]) -> Result<T, BundleError> {
    decode_canonical(bytes).map_err(|error| BundleError::Codec { place, error })
}
