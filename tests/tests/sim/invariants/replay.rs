//! Every final receipt replays: each final log is done again from its inputs, and gives the receipts and the root that the
//! quorum has signed.

use crate::node::Machine;
use reprise::{
    journal::{Journal, LedgerReader},
    node::{EngineChoice, PackageExecutors},
    runner::Runner,
};
use reprise_abi::{Input, decode_canonical};
use reprise_federation::Mark;
use reprise_receipts::{Genesis, Head, Package, log::LogTail};
use reprise_tests::disk::MemoryDisk;
use std::{collections::VecDeque, path::Path, rc::Rc, sync::Arc};

pub struct Replay {
    runner: Runner,
    /// The ledger after the last final receipt; none before the first.
    ledger: Option<(Head, LogTail)>,
    finals: VecDeque<(usize, Mark)>,
    /// Receipts that were done again.
    pub replayed: u64,
}

impl Replay {
    pub fn new(package: &Package) -> Self {
        let journal = Journal::on_backend(MemoryDisk::default()).unwrap();
        journal.put_package(package).unwrap();
        let executors = PackageExecutors::new(Arc::new(journal), EngineChoice::Native, Path::new("/nonexistent"));
        Self { runner: Runner::new(Box::new(executors)), ledger: None, finals: VecDeque::new(), replayed: 0 }
    }

    pub fn is_final(&mut self, node: usize, mark: Mark) {
        self.finals.push_back((node, mark));
    }

    pub fn check(&mut self, machines: &[Rc<Machine>]) -> Result<(), String> {
        while let Some((number, mark)) = self.finals.pop_front() {
            // A node that is gone by now says it again, or another one does.
            let Some((node, entry)) = machines[number].ledger() else { continue };
            let Ok(reader) = node.journal().read(entry.no) else { continue };
            if reader.size().is_ok_and(|size| size >= mark.size) {
                self.replay(&reader, &entry.genesis, mark).map_err(|what| format!("node {number}: {what}"))?;
            }
        }
        Ok(())
    }

    pub fn replay(&mut self, reader: &LedgerReader, genesis: &Genesis, mark: Mark) -> Result<(), String> {
        let (head, tail) = self.ledger.get_or_insert_with(|| (Head::genesis(genesis.clone()), LogTail::new()));
        if mark.size <= head.next_seq() {
            return Ok(());
        }
        for seq in head.next_seq()..mark.size {
            let (Ok(Some(input)), Ok(Some(receipt))) = (reader.input(seq), reader.receipt(seq)) else {
                return Err(format!("step {seq} of a final log cannot be read"));
            };
            let input: Input = decode_canonical(&input).map_err(|error| error.to_string())?;
            let work = head.prepare(&input).map_err(|error| format!("step {seq}: {error:?}"))?;
            let executed = self.runner.run(head, &input, &work).map_err(|error| error.to_string())?;
            let sealed = head.seal(&input, &work, executed);
            if sealed.receipt_bytes != receipt {
                return Err(format!("receipt {seq} is final and does not replay"));
            }
            tail.append(sealed.leaf);
            self.replayed += 1;
        }
        let same = tail.root() == mark.log_root;
        if same { Ok(()) } else { Err(format!("the final log of {} receipts has another root", mark.size)) }
    }
}
