//! A file and whom to trust: match, divergent or incomparable, with nothing else at hand.

use super::{BundleExecutors, BundleFile, BundleFileError, Redo, StepToRedo};
use crate::{
    engine::{EngineProfile, on_engine_thread},
    node::EngineChoice,
    runner::Runner,
};
use reprise_receipts::{
    FinalMark, Head, LeafHash, Missing, Package, PackageDigest, Receipt, StateTrie, Verdict,
    bundle::{BundleHeader, BundleKind, BundleStep, Checked, Section, Trust},
    digest::BundleDigest,
    snapshot::Restorer,
    verdict::Range,
};
use std::{collections::BTreeMap, path::Path};

/// What verification says of a bundle whose contents belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// What the bundle says of itself.
    pub header: BundleHeader,
    /// Its digest.
    pub digest: BundleDigest,
    /// Steps that were done again.
    pub redone: u64,
    /// Match; of a replay bundle also divergent or incomparable.
    pub verdict: Verdict,
    /// What it says is final: of its log, with signatures that hold. Whose they are is for [`FinalMark::vouched`].
    pub mark: Option<FinalMark>,
}

/// Verifies a file: order, bounds, digest, chain and signatures; of a replay bundle every step is done again.
///
/// # Errors
/// [`BundleFileError`]: the file cannot be read, is not a bundle, or its contents do not belong together.
pub fn verify(path: &Path, trust: Trust, engine: EngineChoice) -> Result<Verified, BundleFileError> {
    let path = path.to_owned();
    let thread =
        on_engine_thread("reprise-bundle", move || Verification::new(engine).run(BundleFile::open(&path, trust)?));
    thread.map_err(|_| BundleFileError::Thread)?.join().map_err(|_| BundleFileError::Thread)?
}

/// A verification that is going on.
struct Verification {
    engine: EngineChoice,
    header: Option<BundleHeader>,
    packages: BTreeMap<PackageDigest, Package>,
    base: Option<(Receipt, LeafHash)>,
    start: StartState,
    redo: Option<Redo>,
    redone: u64,
    last: Option<Receipt>,
    mark: Option<FinalMark>,
    /// The first that is not match. What comes after it still has to belong together.
    verdict: Option<Verdict>,
}

/// The state before the range, as it comes.
enum StartState {
    Empty,
    Witness(Box<StateTrie>),
    Snapshot(Box<Restorer>),
}

impl Verification {
    fn new(engine: EngineChoice) -> Self {
        Self {
            engine,
            header: None,
            packages: BTreeMap::new(),
            base: None,
            start: StartState::Empty,
            redo: None,
            redone: 0,
            last: None,
            mark: None,
            verdict: None,
        }
    }

    fn run(mut self, mut file: BundleFile) -> Result<Verified, BundleFileError> {
        let mut digest = None;
        while let Some(item) = file.next_item()? {
            match item {
                Checked::Header(header) => self.begin(*header),
                Checked::Package(name, package) => drop(self.packages.insert(name, *package)),
                Checked::Base(receipt, leaf) => self.base = Some((*receipt, leaf)),
                Checked::Manifest(manifest) => self.start = StartState::Snapshot(Box::new(Restorer::new(manifest))),
                Checked::Chunk(bytes) => self.chunk(&bytes),
                Checked::Witness(state) => self.start = StartState::Witness(state),
                Checked::Step(step) => self.step(*step)?,
                Checked::Final(mark) => self.mark = Some(*mark),
                Checked::End(found) => digest = Some(found),
                Checked::Note(_) | Checked::CheckpointRecord(_) | Checked::Ancestry(_) | Checked::Edge(_) => {}
                Checked::Attestation(_) | Checked::Taken => {}
            }
        }
        let header = self.header.expect("a bundle has a header");
        let last = self.last.as_ref().or(self.base.as_ref().map(|(receipt, _)| receipt));
        let range = Range {
            from: header.from,
            to: header.to,
            state_root: last.expect("a bundle has a receipt").next_state,
            attested: file.attested().or(header.to.checked_sub(1)),
        };
        let verdict = self.verdict.unwrap_or(Verdict::Match(range));
        let digest = digest.expect("a bundle has an end");
        Ok(Verified { header, digest, redone: self.redone, verdict, mark: self.mark })
    }

    fn begin(&mut self, header: BundleHeader) {
        let (needed, at_hand) = (header.genesis.engine_profile, EngineProfile::current().digest());
        if header.kind == BundleKind::Replay && needed != at_hand {
            self.verdict = Some(Verdict::Incomparable(Missing::EngineProfile { seq: header.from, needed, at_hand }));
        }
        self.header = Some(header);
    }

    fn chunk(&mut self, bytes: &[u8]) {
        if let StartState::Snapshot(restorer) = &mut self.start {
            restorer.accept(bytes).expect("the chunk was found to be the next one");
        }
    }

    fn step(&mut self, step: BundleStep) -> Result<(), BundleFileError> {
        let header = self.header.as_ref().expect("a bundle begins with its header");
        if header.kind == BundleKind::Replay && self.verdict.is_none() {
            let redo = match self.redo.take() {
                Some(redo) => redo,
                None => self.begin_steps(),
            };
            self.redo_step(redo, &step)?;
        }
        self.last = Some(step.receipt);
        Ok(())
    }

    /// Everything that comes before the steps is there.
    fn begin_steps(&mut self) -> Redo {
        let header = self.header.as_ref().expect("a bundle begins with its header");
        let on_witness = header.has(Section::Witness);
        let state = match std::mem::replace(&mut self.start, StartState::Empty) {
            StartState::Empty => StateTrie::new(),
            StartState::Witness(state) => *state,
            StartState::Snapshot(restorer) => restorer.finish().expect("every chunk was found to be the next one"),
        };
        let last = self.base.as_ref().map(|(receipt, leaf)| (receipt, *leaf));
        let head = Head::at(header.genesis.clone(), last, state);
        let steps = header.to - header.from;
        let executors = BundleExecutors::new(self.engine, std::mem::take(&mut self.packages), steps);
        Redo::new(head, Runner::new(Box::new(executors)), self.engine, on_witness)
    }

    fn redo_step(&mut self, mut redo: Redo, step: &BundleStep) -> Result<(), BundleFileError> {
        let [receipt, input, record] = &step.bytes;
        let seq = step.receipt.seq;
        let done = redo.step(&StepToRedo { seq, receipt, input, record });
        match done.map_err(|error| BundleFileError::Run { seq, error })? {
            Ok(_) => self.redone += 1,
            Err(verdict) => self.verdict = Some(verdict),
        }
        self.redo = Some(redo);
        Ok(())
    }
}
