//! Where the node of a command is: in a directory, or running, with its journal open already.
//!
//! Invariant: a command that only reads sees one moment of a running node's journal, whatever is committed meanwhile.

use super::{error::CliError, report::Printer, text};
use crate::{
    daemon::commands::{Currency, Stale},
    journal::LedgerEntry,
    node::{Access, Node},
};
use serde_json::{Value, json};
use std::{ops::Deref, path::Path, sync::Arc};

/// Where the node of a command is.
pub(crate) struct Place<'a> {
    dir: &'a Path,
    running: Option<&'a RunningNode<'a>>,
    /// What may be out of date is not shown.
    fresh: bool,
    print: &'a Printer,
}

/// A node that runs in this process.
pub(crate) struct RunningNode<'a> {
    /// Its journal as it was when the command came.
    pub(crate) moment: Arc<Node>,
    /// Its journal, for a command that adds something; none for one that only reads.
    pub(crate) live: Option<Arc<Node>>,
    /// What it knows of how current its ledgers are.
    pub(crate) currency: &'a Currency,
}

/// A node that was opened for a command.
pub(crate) struct Opened<'a> {
    node: Arc<Node>,
    place: &'a Place<'a>,
}

impl<'a> Place<'a> {
    /// A directory, which no other process uses.
    pub(crate) fn directory(dir: &'a Path, fresh: bool, print: &'a Printer) -> Self {
        Self { dir, running: None, fresh, print }
    }

    /// A node that runs in this process.
    pub(crate) fn running(dir: &'a Path, running: &'a RunningNode<'a>, fresh: bool, print: &'a Printer) -> Self {
        Self { dir, running: Some(running), fresh, print }
    }

    /// The node's directory.
    pub(crate) fn dir(&self) -> &'a Path {
        self.dir
    }

    /// Whether other work of this process must go on beside the command.
    pub(crate) fn is_shared(&self) -> bool {
        self.running.is_some()
    }

    /// Opens the node.
    ///
    /// # Errors
    /// [`CliError`]: another process has it, or the node runs here and the command was to read only.
    pub(crate) fn open(&self, access: Access) -> Result<Opened<'_>, CliError> {
        let node = match (self.running, access) {
            (None, access) => Arc::new(Node::open(self.dir, access)?),
            (Some(running), Access::Read) => running.moment.clone(),
            (Some(RunningNode { live: Some(live), .. }), Access::Write) => live.clone(),
            (Some(RunningNode { live: None, .. }), Access::Write) => {
                return Err(CliError::Fault("a command that was to read only wants to write".to_owned()));
            }
        };
        Ok(Opened { node, place: self })
    }

    /// A node of this place that was opened otherwise.
    pub(crate) fn opened(&self, node: Node) -> Opened<'_> {
        Opened { node: Arc::new(node), place: self }
    }
}

impl Opened<'_> {
    /// A ledger by its name or the first digits of its id. When a running node cannot know that it is current, everything
    /// that is printed from now on says so.
    ///
    /// # Errors
    /// [`CliError`]: none fits, or several; or it may be out of date and that was not wanted.
    pub(crate) fn find_ledger(&self, selector: &str) -> Result<LedgerEntry, CliError> {
        let entry = self.node.find_ledger(selector)?;
        if let Some(stale) = self.staleness(&entry)? {
            self.place.print.mark_stale(stale);
        }
        Ok(entry)
    }

    /// Why what is read of a ledger may be out of date, said on standard error and given for programs; none when it is
    /// current, or when no node runs that could know.
    ///
    /// # Errors
    /// [`CliError`]: it may be out of date, and that was not wanted.
    pub(crate) fn staleness(&self, entry: &LedgerEntry) -> Result<Option<Value>, CliError> {
        let (Place { fresh, print, .. }, Some(running)) = (self.place, self.place.running) else {
            return self.unknown(entry).map(|()| None);
        };
        let Some(stale) = running.currency.of(entry.id) else { return Ok(None) };
        let last = self.node.journal().read(entry.no).and_then(|reader| reader.size()).ok();
        let last = last.and_then(|size| size.checked_sub(1));
        let said = describe(&entry.genesis.name, &stale, last);
        if *fresh {
            return Err(CliError::Refusal(format!("{said}; without --fresh it is shown all the same")));
        }
        print.warn(said);
        Ok(Some(json!({
            "ledger": entry.genesis.name,
            "since": stale.since_ms.map(text::time),
            "as of receipt": last,
            "suspended": stale.suspended,
            "why": stale.why,
        })))
    }

    /// Without a running node nobody knows what other members of a ledger have.
    fn unknown(&self, entry: &LedgerEntry) -> Result<(), CliError> {
        let Place { dir, fresh, .. } = self.place;
        if *fresh && super::grant::is_alone(dir, entry).is_err() {
            let ledger = &entry.genesis.name;
            return Err(CliError::Refusal(format!(
                "stale: ledger `{ledger}` is shared and no node runs here: nobody knows what its other members have; \
                 without --fresh it is shown all the same"
            )));
        }
        Ok(())
    }
}

impl Deref for Opened<'_> {
    type Target = Node;

    fn deref(&self) -> &Node {
        &self.node
    }
}

fn describe(ledger: &str, stale: &Stale, last: Option<u64>) -> String {
    let what = if stale.suspended { "suspended" } else { "stale" };
    let since = stale.since_ms.map(|ms| format!(" since {}", text::time(ms))).unwrap_or_default();
    let last = last.map_or_else(|| "without receipts".to_owned(), |last| format!("as of receipt {last}"));
    format!("{what}{since}: ledger `{ledger}` {last}: {}", stale.why)
}
