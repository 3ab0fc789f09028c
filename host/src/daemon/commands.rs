//! Commands that run inside a running node, over the journal that it has open: those that only read, and the few that add
//! something beside its ledgers. What they do and print is the command line's business; it brings them along as a
//! [`Commands`], so that nothing here depends on it.

use super::happening::Happening;
use crate::{journal::StoredCheckpoint, node::Node};
use reprise_receipts::LedgerId;
use serde_json::{Value, json};
use std::{collections::BTreeMap, path::PathBuf, sync::Arc, thread, time::Duration};
use tokio::{
    sync::{Semaphore, mpsc, oneshot},
    time::{sleep, timeout},
};

/// Commands that run at the same time.
const RUNNING_MAX: u32 = 4;
/// Commands that run or wait for it. Further ones are refused, so that all others still reach the node.
const TAKEN_MAX: usize = 8;
/// Stack of a command, in bytes: as much as the main thread of a process has.
const STACK_BYTES: usize = 8 * 1024 * 1024;
/// How long a node that stops waits for commands that run. What they only read is given up then.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often it is asked whether a checkpoint is signed, and the time between.
const CHECKPOINT_QUESTIONS_MAX: u32 = 1_200;
/// So many looks, and the pipeline is asked once more.
const CHECKPOINT_ASKED_EVERY: u32 = 100;
const CHECKPOINT_PAUSE: Duration = Duration::from_millis(50);

/// Runs commands over an open node.
pub trait Commands: Send + Sync {
    /// Runs one command, on a thread that may block. What is refused is said in its answer.
    fn run(&self, asked: Asked, node: &Arc<Node>, currency: &Currency) -> Told;
}

/// What somebody asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The command line, without the name of the program.
    pub arguments: Vec<String>,
    /// Where whoever asks is: relative paths are of there.
    pub directory: PathBuf,
}

/// How a command ended, as a process would.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// What goes to standard output.
    pub out: String,
    /// What goes to standard error.
    pub errors: String,
    /// The exit code.
    pub exit: u8,
}

/// What a running node knows of how current its ledgers are.
#[derive(Clone, Debug, Default)]
pub struct Currency {
    served: BTreeMap<LedgerId, Option<Stale>>,
}

/// Why what is read of a ledger may be out of date.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stale {
    /// When it was last known to be current, in milliseconds since 1970, if it ever was.
    pub since_ms: Option<u64>,
    /// It does not advance until an operator lets it, or until it is repaired.
    pub suspended: bool,
    /// For people.
    pub why: String,
}

/// Where commands are run.
#[derive(Clone)]
pub(super) struct JournalDesk {
    node: Arc<Node>,
    commands: Arc<dyn Commands>,
    taken: Arc<Semaphore>,
    running: Arc<Semaphore>,
}

impl JournalDesk {
    pub(super) fn new(node: Arc<Node>, commands: Arc<dyn Commands>) -> Self {
        let (taken, running) = (Semaphore::new(TAKEN_MAX), Semaphore::new(RUNNING_MAX as usize));
        Self { node, commands, taken: Arc::new(taken), running: Arc::new(running) }
    }

    /// Runs one command. How current the ledgers are is asked first: what is read afterwards is not older.
    pub(super) async fn run(&self, asked: Asked, happenings: &mpsc::Sender<Happening>) -> Value {
        let Ok(_taken) = self.taken.try_acquire() else {
            return json!({ "error": "the node runs too many commands: try again when they have ended" });
        };
        let stops = || json!({ "error": "the node stops" });
        let Ok(place) = self.running.clone().acquire_owned().await else { return stops() };
        let (reply, currency) = oneshot::channel();
        let _ = happenings.send(Happening::Currency { reply }).await;
        let Ok(currency) = currency.await else { return stops() };
        let (tell, told) = oneshot::channel();
        let (node, commands) = (self.node.clone(), self.commands.clone());
        let command = move || {
            let told = commands.run(asked, &node, &currency);
            // The journal is let go of before the command counts as ended.
            drop(node);
            drop(place);
            let _ = tell.send(told);
        };
        let thread = thread::Builder::new().name("reprise-command".to_owned()).stack_size(STACK_BYTES).spawn(command);
        if let Err(error) = thread {
            return json!({ "fault": format!("no thread for the command: {error}") });
        }
        match told.await {
            Ok(Told { out, errors, exit }) => json!({ "out": out, "errors": errors, "exit": exit }),
            Err(_) => json!({ "fault": "the command failed inside the node: its log says more" }),
        }
    }

    /// Lets the owner's pipeline make a checkpoint, and waits until it is in the journal: the receipts that it is over.
    pub(super) async fn checkpoint(&self, ledger: &str, happenings: &mpsc::Sender<Happening>) -> Value {
        let mut wanted = None;
        for turn in 0..CHECKPOINT_QUESTIONS_MAX {
            let (no, least) = match wanted {
                Some(wanted) if turn % CHECKPOINT_ASKED_EVERY != 0 => wanted,
                // Asked again now and then: the pipeline may be another one by now.
                _ => {
                    let (reply, answer) = oneshot::channel();
                    let _ = happenings.send(Happening::Checkpoint { ledger: ledger.to_owned(), reply }).await;
                    match answer.await {
                        Ok(Ok(asked)) => *wanted.get_or_insert(asked),
                        Ok(Err(why)) => return json!({ "error": why }),
                        Err(_) => return json!({ "error": "the node stops" }),
                    }
                }
            };
            let is_it = |kept: &StoredCheckpoint| kept.restorable && kept.record.claim.size >= least;
            match self.node.journal().checkpoints(no) {
                Ok(checkpoints) => match checkpoints.into_iter().find(is_it) {
                    Some(made) => return json!({ "receipts": made.record.claim.size }),
                    None => sleep(CHECKPOINT_PAUSE).await,
                },
                Err(error) => return json!({ "error": error.to_string() }),
            }
        }
        let seconds = (CHECKPOINT_PAUSE * CHECKPOINT_QUESTIONS_MAX).as_secs();
        json!({ "error": format!(
            "no checkpoint after {seconds} s: a large state takes longer, and what a majority does not have is not signed; \
             `reprise checkpoint list` shows it when it is there"
        ) })
    }

    /// No further commands; returns when those that run have ended, or will not soon.
    pub(super) async fn close(&self) {
        if timeout(PATIENCE, self.running.acquire_many(RUNNING_MAX)).await.is_err() {
            tracing::warn!("a command that still runs is given up");
        }
        self.running.close();
    }
}

impl Currency {
    /// Takes in a ledger that is served.
    pub(super) fn insert(&mut self, ledger: LedgerId, stale: Option<Stale>) {
        self.served.insert(ledger, stale);
    }

    /// Why a ledger may be out of date; none when it is current.
    #[must_use]
    pub fn of(&self, ledger: LedgerId) -> Option<Stale> {
        match self.served.get(&ledger) {
            Some(known) => known.clone(),
            None => Some(Stale {
                since_ms: None,
                suspended: false,
                why: "the running node does not serve it, so it hears nothing of it: see its configuration".to_owned(),
            }),
        }
    }
}

#[cfg(test)]
mod tests;
