//! Those who use a node over its control protocol: whoever submits, and its operators.

use super::{Machine, Wish};
use crate::workload::{LEDGER, submit};
use reprise::daemon::{Running, control::Wanted};
use serde_json::Value;
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::sleep,
};

/// Bytes that may wait between a command and the node.
const PIPE_BYTES: usize = 64 * 1024;
/// How often an event is submitted.
const SUBMIT: Duration = Duration::from_millis(25);
/// How often whoever submits looks where the owner is.
const LOOK_FOR_OWNER: Duration = Duration::from_millis(20);
/// How often an operator looks on while a node that decides for itself repairs a ledger.
const PATIENCE: u32 = 15;
/// How often an operator looks at a node.
pub(super) const LOOK: Duration = Duration::from_secs(1);

impl Machine {
    /// Whoever submits does it where the owner is, or was not long ago.
    pub(super) async fn submit(&self, running: &Running) {
        let is_here = || self.shared.office.borrow().told() == self.number;
        loop {
            while !is_here() {
                sleep(LOOK_FOR_OWNER).await;
            }
            let (ours, theirs) = tokio::io::duplex(PIPE_BYTES);
            let (from, to) = tokio::io::split(theirs);
            let moved = async {
                while is_here() {
                    sleep(LOOK_FOR_OWNER).await;
                }
            };
            tokio::select! {
                biased;
                () = submit(self.shared.work.clone(), ours, SUBMIT, || self.disk.is_off()) => {}
                _ = running.command(from, to) => {}
                () = moved => {}
            }
            self.shared.work.borrow_mut().interrupted();
            sleep(LOOK_FOR_OWNER).await;
        }
    }

    /// Operators hand the node what they have granted it, until it takes that.
    pub(super) async fn take_office(&self) {
        loop {
            sleep(LOOK_FOR_OWNER).await;
            let Some(grant) = self.shared.office.borrow().to_hand_in(self.number) else { continue };
            let wanted = Wanted::Take { ledger: LEDGER.to_owned(), grant: grant.clone() };
            match self.command(&wanted).await {
                Some(answer) if answer["epoch"].is_u64() => {
                    self.shared.watch.lock().unwrap().count("grants taken");
                    self.shared.office.borrow_mut().was_taken(&grant);
                }
                _ => sleep(LOOK).await,
            }
        }
    }

    /// The node's operator looks at it now and then: a node with a fault of its own is started again, a suspension is
    /// lifted, and a member whose disk is damaged gets a new one.
    pub(super) async fn operate(&self) {
        let mut patience = self.patience();
        loop {
            sleep(LOOK).await;
            let Some(status) = self.command(&Wanted::Status).await else { return };
            let served = status["ledgers"].as_array().into_iter().flatten();
            let Some(ledger) = served.into_iter().find(|ledger| ledger["name"] == LEDGER) else { continue };
            self.orders.set(ledger["can go on"] == true && ledger["role"] == "owner");
            let suspended = ledger["service"].as_str().is_some_and(|service| service.starts_with("suspended"));
            let why_not = ledger["why not"].as_str().map(str::to_owned);
            if let Some(why) = &why_not {
                self.shared.watch.lock().unwrap().tell(|| format!("{}: cannot go on: {why}", self.number));
            }
            *self.ailment.borrow_mut() = why_not;
            if self.disk.is_full() {
                continue;
            }
            if !suspended {
                patience = self.patience();
            } else if ledger["why not"].is_null() && patience > 0 {
                patience -= 1;
                continue;
            }
            let own = status["own ledger"]["service"].as_str().unwrap_or_default();
            let own_is_lost = self.has_lied.get() && own.starts_with("suspended");
            let is_beyond_repair = self.is_damaged() || own_is_lost;
            if (suspended || ledger["why not"].is_string()) && is_beyond_repair && !self.is_owner() {
                self.wish.set(Some(Wish::NewDisk));
            } else if ledger["why not"].is_string() {
                self.wish.set(Some(Wish::Restart));
            } else if suspended {
                self.shared.watch.lock().unwrap().count("suspensions lifted by an operator");
                self.command(&Wanted::Resume { ledger: LEDGER.to_owned() }).await;
            }
        }
    }

    /// How often an operator looks at a suspended ledger before he does something about it: the node may.
    fn patience(&self) -> u32 {
        if self.shared.plan.decides { PATIENCE } else { 0 }
    }

    /// What an operator's command answers; none when no node runs here. For tasks of this machine.
    pub async fn command(&self, wanted: &Wanted) -> Option<Value> {
        let running = self.running.borrow().upgrade()?;
        let (mut ours, theirs) = tokio::io::duplex(PIPE_BYTES);
        let (from, to) = tokio::io::split(theirs);
        let text = format!("{}\n", serde_json::to_string(wanted).unwrap());
        let asking = async {
            ours.write_all(text.as_bytes()).await.ok()?;
            let mut answer = String::new();
            ours.read_to_string(&mut answer).await.ok()?;
            serde_json::from_str(&answer).ok()
        };
        tokio::join!(running.command(from, to), asking).1
    }
}
