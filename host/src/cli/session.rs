//! One run of the pipeline from the command line: feed, answer, end.

use super::error::CliError;
use crate::{
    journal::LedgerEntry,
    node::{EngineChoice, Node, PackageExecutors},
    orderer::{LocalOrderer, Proposal},
    pipeline::{self, Answer, Committed, IN_FLIGHT_STEPS_MAX, OpenLedger, Request},
    runner::Runner,
    succession,
};
use crossbeam_channel::bounded;
use reprise_receipts::{
    Head, PublicKey,
    command::{Command, SignedCommand},
};
use std::sync::Arc;

/// Tag of the command that begins an epoch: nobody waits for its answer.
const GRANT_TAG: u64 = u64::MAX;

/// Runs requests through a ledger. `feed` gives them until it has no more; `on_answer` gets each answer when it is
/// durable. The error of a feed that stops early is returned when everything before it is durable.
///
/// # Errors
/// [`CliError`]: of the feed, of the node, or of the pipeline.
pub(crate) fn run(
    node: &Node,
    entry: &LedgerEntry,
    orderer: impl Into<LocalOrderer>,
    feed: impl Iterator<Item = Result<Request, CliError>> + Send,
    on_answer: impl FnMut(Answer),
) -> Result<Committed, CliError> {
    run_open(node, entry, (node.open_ledger(entry)?, None), orderer, feed, on_answer)
}

/// [`run`], on a ledger that was opened already. With a grant this node enters its epoch first; after attested receipts
/// were taken back, it makes a grant itself if it has enough operators' keys.
///
/// # Errors
/// [`CliError`], as for [`run`].
pub(crate) fn run_open(
    node: &Node,
    entry: &LedgerEntry,
    (ledger, grant): (OpenLedger, Option<SignedCommand>),
    orderer: impl Into<LocalOrderer>,
    feed: impl Iterator<Item = Result<Request, CliError>> + Send,
    mut on_answer: impl FnMut(Answer),
) -> Result<Committed, CliError> {
    let attester = node.attester()?;
    let grant = match grant {
        None if succession::needs_fence(node.journal(), entry, &ledger.head)? => {
            Some(fence(node, entry, &ledger.head)?)
        }
        grant => grant,
    };
    let first = first_input(entry, &ledger.head, grant.as_ref(), &attester.public())?;
    let executors = PackageExecutors::new(node.journal().clone(), EngineChoice::Cranelift, node.dir());
    let runner = Runner::new(Box::new(executors));
    let orderer = Box::new(orderer.into());
    let attester = Arc::new(attester);
    let (requests_out, requests_in) = bounded(IN_FLIGHT_STEPS_MAX);
    let (answers_out, answers_in) = bounded(IN_FLIGHT_STEPS_MAX);
    std::thread::scope(|scope| {
        let first = first.map(|first| Ok(Request::from(Proposal { tag: GRANT_TAG, ..first })));
        let feeder = scope.spawn(move || {
            for request in first.into_iter().chain(feed) {
                if requests_out.send(request?).is_err() {
                    break;
                }
            }
            Ok(())
        });
        let journal = node.journal().clone();
        let pipeline = scope
            .spawn(move || pipeline::run(journal, ledger, orderer, runner, attester.into(), requests_in, answers_out));
        let mut refused = None;
        for answer in answers_in {
            match answer {
                Answer::Refused { tag: GRANT_TAG, refusal } => refused = Some(refusal),
                Answer::Receipt { tag: GRANT_TAG, .. } => {}
                answer => on_answer(answer),
            }
        }
        let committed = pipeline.join().map_err(|_| CliError::Fault("the pipeline panicked".to_owned()))?;
        let fed: Result<(), CliError> =
            feeder.join().map_err(|_| CliError::Fault("reading the events panicked".to_owned()))?;
        let committed = committed?;
        match refused {
            Some(refusal) => Err(CliError::Refusal(refusal.to_string())),
            None => fed.map(|()| committed),
        }
    })
}

/// The command that comes before everything else, if the ledger enters another epoch.
fn first_input(
    entry: &LedgerEntry,
    head: &Head,
    grant: Option<&SignedCommand>,
    attester: &PublicKey,
) -> Result<Option<Proposal>, CliError> {
    let epoch = match grant.map(|grant| &grant.command) {
        Some(Command::Epoch { to, .. }) => *to,
        _ => head.epoch(),
    };
    let term = head.term();
    succession::first_input(head, epoch, grant, attester).ok_or_else(|| {
        CliError::Refusal(format!(
            "ledger `{}` is in epoch {}, attested by {}, and this node's key is {attester}: submit where that key is, and \
             bring the history here with a bundle, or have the ledger granted to this node under a higher epoch",
            entry.genesis.name, term.epoch, term.attester
        ))
    })
}

/// Attested receipts were taken back: their places are filled under the next epoch.
fn fence(node: &Node, entry: &LedgerEntry, head: &Head) -> Result<SignedCommand, CliError> {
    let grant = succession::own_grant(node, entry, head.epoch(), 1)?;
    grant.ok_or_else(|| {
        CliError::Refusal(
            "attested receipts were taken back, so the ledger must enter a higher epoch before it goes on, and this node \
             alone has not enough operators' keys: `reprise ledger grant`, then `reprise federation take`"
                .to_owned(),
        )
    })
}
