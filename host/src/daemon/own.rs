//! The node's own ledger: the policy `reconcile` decides on it, and every decision has a receipt.
//!
//! It is called `node`, this node alone is its member and attests it, and it is made at the first `reprise node run`.
//! The package is part of this program; it goes into the journal with the ledger, so that the history replays when a
//! later program brings a later one. `reprise ledger upgrade node` puts that in force.

use crate::{
    journal::LedgerEntry,
    node::{Node, NodeError},
    orderer::{Origin, Proposal},
};
use reprise_abi::{Event, decode_canonical};
use reprise_receipts::{Package, PublicKey};

/// What the ledger is called.
pub const NAME: &str = "node";
/// The policy's name.
const POLICY: &str = "reconcile";
/// The policy, built from `guest/policies/reconcile`.
const PACKAGE: &[u8] = include_bytes!("../../../fixtures/packages/reconcile-1.0.0.reprise");

/// The node's own ledger, made if it is not there. `Err`: why there is none, for people.
pub(super) fn ensure(node: &Node, attester: &PublicKey) -> Result<Result<LedgerEntry, String>, NodeError> {
    let ledgers = node.journal().ledgers().map_err(|error| node.journal_error(error))?;
    let Some(entry) = ledgers.into_iter().find(|entry| entry.genesis.name == NAME) else {
        return create(node).map(Ok);
    };
    let package = node.journal().package(entry.genesis.package).map_err(|error| node.journal_error(error))?;
    let is_reconcile = package.is_some_and(|package| package.manifest.description.name == POLICY);
    if is_reconcile && entry.genesis.attester == *attester {
        return Ok(Ok(entry));
    }
    Ok(Err(format!("the name `{NAME}` is that of the node's own ledger: this one has another policy or attester")))
}

fn create(node: &Node) -> Result<LedgerEntry, NodeError> {
    let package: Package = decode_canonical(PACKAGE).expect("a test holds that the package decodes");
    let digest = node.journal().put_package(&package).map_err(|error| node.journal_error(error))?;
    let entry = node.create_ledger(NAME, digest)?;
    tracing::info!(ledger = %entry.id, "the node's own ledger was made: its decisions have receipts from now on");
    Ok(entry)
}

/// An event that this node itself submits to its own ledger, now. `id` is never used twice.
pub(super) fn event(now_ms: u64, id: String, kind: &str, payload: &serde_json::Value) -> Proposal {
    let event = Event { id, source: NAME.to_owned(), kind: kind.to_owned(), payload: payload.to_string().into_bytes() };
    Proposal { tag: 0, event, time_ms: Some(now_ms), origin: Origin::Submitted }
}
