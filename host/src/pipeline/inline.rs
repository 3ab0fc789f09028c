//! The pipeline without threads of its own: the same engine and the same committer, called one after the other by whoever
//! has it. For native policies, because guests need an engine thread.

use super::{
    Engine, OpenLedger, PipelineError, Request, Signer,
    commit::{Answer, Committed, Committer, GROUP_STEPS_MAX, ToCommit},
    noted, parts,
};
use crate::{
    checkpoints::Pace,
    journal::{Journal, LedgerNo},
    orderer::Orderer,
    runner::Runner,
};
use crossbeam_channel::{Receiver, Sender, unbounded};
use std::sync::Arc;

/// A pipeline that does what it is told, when it is told.
pub struct Inline {
    journal: Arc<Journal>,
    no: LedgerNo,
    engine: Engine,
    committer: Committer,
    /// What is sealed and not committed: at most what one call of [`Self::execute`] was given, and what is due before it.
    sealed: (Sender<ToCommit>, Receiver<ToCommit>),
    answers: Receiver<Answer>,
}

impl Inline {
    /// For one ledger.
    ///
    /// # Errors
    /// [`PipelineError::Journal`].
    pub fn new(
        journal: Arc<Journal>,
        ledger: OpenLedger,
        orderer: Box<dyn Orderer>,
        runner: Runner,
        signer: Signer,
    ) -> Result<Self, PipelineError> {
        let (answers_out, answers) = unbounded();
        let no = ledger.no;
        let (engine, committer) = parts(&journal, ledger, orderer, runner, (signer, Pace::Fixed), answers_out)?;
        Ok(Self { journal, no, engine, committer, sealed: unbounded(), answers })
    }

    /// Orders, executes and seals. Nothing of it is durable.
    ///
    /// # Errors
    /// [`PipelineError`]. The ledger must then be opened anew from the journal.
    pub fn execute(&mut self, requests: impl IntoIterator<Item = Request>) -> Result<(), PipelineError> {
        for request in requests {
            self.engine.take(request, &self.sealed.0).map_err(|error| noted(&self.journal, self.no, error))?;
        }
        Ok(())
    }

    /// Makes everything that is sealed durable, in groups, and gives the answers.
    ///
    /// # Errors
    /// [`PipelineError`], as above.
    pub fn commit(&mut self) -> Result<Vec<Answer>, PipelineError> {
        loop {
            let group: Vec<ToCommit> = self.sealed.1.try_iter().take(GROUP_STEPS_MAX).collect();
            if group.is_empty() {
                return Ok(self.answers.try_iter().collect());
            }
            self.committer.commit(group)?;
        }
    }

    /// Signs what is not signed. What was not committed is gone.
    ///
    /// # Errors
    /// [`PipelineError`], as above.
    pub fn finish(self) -> Result<Committed, PipelineError> {
        self.committer.finish()
    }
}
