//! One run of the pipeline from the command line: feed, answer, end.

use super::error::CliError;
use crate::{
    journal::LedgerEntry,
    node::{EngineChoice, Node, PackageExecutors},
    orderer::LocalOrderer,
    pipeline::{self, Answer, Committed, IN_FLIGHT_STEPS_MAX, OpenLedger, Request},
    runner::Runner,
};
use crossbeam_channel::bounded;
use std::sync::Arc;

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
    run_open(node, entry, node.open_ledger(entry)?, orderer, feed, on_answer)
}

/// [`run`], on a ledger that was opened already.
///
/// # Errors
/// [`CliError`], as for [`run`].
pub(crate) fn run_open(
    node: &Node,
    entry: &LedgerEntry,
    ledger: OpenLedger,
    orderer: impl Into<LocalOrderer>,
    feed: impl Iterator<Item = Result<Request, CliError>> + Send,
    mut on_answer: impl FnMut(Answer),
) -> Result<Committed, CliError> {
    let attester = node.attester()?;
    if attester.public() != entry.genesis.attester {
        return Err(CliError::Refusal(format!(
            "ledger `{}` is attested by {}, which is not this node's key: submit where that key is, and bring the \
             history here with a bundle",
            entry.genesis.name, entry.genesis.attester
        )));
    }
    let executors = PackageExecutors::new(node.journal().clone(), EngineChoice::Cranelift, node.dir());
    let runner = Runner::new(Box::new(executors));
    let orderer = Box::new(orderer.into());
    let attester = Arc::new(attester);
    let (requests_out, requests_in) = bounded(IN_FLIGHT_STEPS_MAX);
    let (answers_out, answers_in) = bounded(IN_FLIGHT_STEPS_MAX);
    std::thread::scope(|scope| {
        let feeder = scope.spawn(move || {
            for request in feed {
                if requests_out.send(request?).is_err() {
                    break;
                }
            }
            Ok(())
        });
        let journal = node.journal().clone();
        let pipeline =
            scope.spawn(move || pipeline::run(journal, ledger, orderer, runner, attester, requests_in, answers_out));
        answers_in.iter().for_each(&mut on_answer);
        let committed = pipeline.join().map_err(|_| CliError::Fault("the pipeline panicked".to_owned()))?;
        let fed: Result<(), CliError> =
            feeder.join().map_err(|_| CliError::Fault("reading the events panicked".to_owned()))?;
        let committed = committed?;
        fed.map(|()| committed)
    })
}
