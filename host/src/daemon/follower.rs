//! A ledger that another node owns: its steps are done again, and kept only if they give the same receipts.

use super::{
    happening::Happening,
    world::{Workers, World},
};
use crate::{
    engine::on_engine_thread,
    journal::{Group, JournalError, LedgerEntry, StateLag},
    node::{Node, NodeError, PackageExecutors},
    panics::caught,
    pipeline::{GROUP_STEPS_MAX, OpenLedger},
    recovery::{self, NoWatch, RecoveryError, rollback},
    runner::{RunError, Runner},
};
use reprise_abi::{Input, decode_canonical};
use reprise_federation::message::Step;
use reprise_receipts::{PublicKey, Receipt, Sealed};
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{sync::mpsc, time::sleep};

/// Bytes of steps that may wait before no more are taken from the owner, who sends them again.
const WAITING_BYTES_MAX: usize = 8 * 1024 * 1024;

/// What a follower has to do.
pub(super) enum Work {
    /// Do these steps again, and keep them.
    Apply { from: PublicKey, first: u64, steps: Vec<Step>, number: u64 },
    /// Take back what comes after this size.
    RollBack { size: u64, number: u64 },
    /// See whether it is over.
    Nothing,
}

/// Somebody who follows one ledger, and stops when this is dropped.
pub(super) struct Follower {
    work: mpsc::UnboundedSender<(Work, usize)>,
    signs: Arc<Signs>,
}

/// What whoever gives work and whoever does it let each other know.
#[derive(Default)]
struct Signs {
    /// Bytes of steps that wait.
    waiting: AtomicUsize,
    /// What waits is not to be done any more.
    ended: AtomicBool,
    /// What waits up to this number is left out.
    withdrawn: AtomicU64,
}

impl Follower {
    /// # Errors
    /// The system has no room for the thread.
    pub(super) fn start(
        node: Arc<Node>,
        entry: LedgerEntry,
        world: &Arc<dyn World>,
        happenings: mpsc::Sender<Happening>,
    ) -> io::Result<Self> {
        // What goes in is bounded by whoever asks `is_busy` before.
        let (work, to_do) = mpsc::unbounded_channel();
        let signs = Arc::new(Signs::default());
        let seen = signs.clone();
        let runner = runner(&node, world);
        let following = Following { node, entry, runner, world: world.clone(), open: None };
        match world.workers() {
            Workers::Threads => {
                on_engine_thread("reprise-follow", move || following.on_a_thread(to_do, &happenings, &seen))?;
            }
            Workers::Tasks { takes } => {
                tokio::spawn(following.in_a_task(takes, to_do, happenings, seen));
            }
        }
        Ok(Self { work, signs })
    }

    /// False when nobody is there any more.
    pub(super) fn give(&self, work: Work) -> bool {
        let bytes = work.bytes();
        self.signs.waiting.fetch_add(bytes, Ordering::Relaxed);
        self.work.send((work, bytes)).is_ok()
    }

    /// Lets it end without doing what still waits. When the journal is free of it, it says so.
    pub(super) fn end(&self) {
        self.signs.ended.store(true, Ordering::Relaxed);
        // Wakes it, if it waits for work.
        let _ = self.work.send((Work::Nothing, 0));
    }

    /// What waits up to this number need not be done.
    pub(super) fn withdraw(&self, number: u64) {
        self.signs.withdrawn.store(number, Ordering::Relaxed);
    }

    /// So much waits that further steps are better not taken now.
    pub(super) fn is_busy(&self) -> bool {
        self.signs.waiting.load(Ordering::Relaxed) > WAITING_BYTES_MAX
    }
}

impl Work {
    fn bytes(&self) -> usize {
        match self {
            Self::Apply { steps, .. } => steps.iter().map(Step::bytes).sum(),
            Self::RollBack { .. } | Self::Nothing => 0,
        }
    }
}

/// Why steps were not taken.
enum NotTaken {
    /// The step at this index gives another receipt.
    Differs(usize),
    /// A fault of this node.
    Fault(String),
}

/// Work that waits, with its bytes.
type ToDo = mpsc::UnboundedReceiver<(Work, usize)>;

struct Following {
    node: Arc<Node>,
    entry: LedgerEntry,
    runner: Runner,
    world: Arc<dyn World>,
    /// The ledger after the last step that is durable; none when it must be opened anew.
    open: Option<OpenLedger>,
}

impl Following {
    fn on_a_thread(mut self, mut to_do: ToDo, happenings: &mpsc::Sender<Happening>, signs: &Signs) {
        while let Some((work, bytes)) = to_do.blocking_recv() {
            if signs.ended.load(Ordering::Relaxed) {
                let _ = happenings.blocking_send(self.let_go());
                return;
            }
            let Some(told) = self.done_or_panicked(work, signs) else { continue };
            signs.waiting.fetch_sub(bytes, Ordering::Relaxed);
            if happenings.blocking_send(told).is_err() {
                break;
            }
        }
    }

    async fn in_a_task(
        mut self,
        takes: Duration,
        mut to_do: ToDo,
        happenings: mpsc::Sender<Happening>,
        signs: Arc<Signs>,
    ) {
        while let Some((work, bytes)) = to_do.recv().await {
            sleep(takes).await;
            if signs.ended.load(Ordering::Relaxed) {
                let _ = happenings.send(self.let_go()).await;
                return;
            }
            let Some(told) = self.done_or_panicked(work, &signs) else { continue };
            signs.waiting.fetch_sub(bytes, Ordering::Relaxed);
            if happenings.send(told).await.is_err() {
                break;
            }
        }
    }

    /// The journal is somebody else's from now on.
    fn let_go(&mut self) -> Happening {
        self.open = None;
        Happening::Stopped { ledger: self.entry.id, fault: None }
    }

    /// Does a piece of work. One that panics has come to its end, too: otherwise the ledger would wait for it for ever.
    fn done_or_panicked(&mut self, work: Work, signs: &Signs) -> Option<Happening> {
        let number = match work {
            Work::Apply { number, .. } | Work::RollBack { number, .. } => number,
            Work::Nothing => return None,
        };
        caught(|| self.done(work, signs)).unwrap_or_else(|panic| {
            // What it had in its hands is not used again.
            self.open = None;
            self.runner = runner(&self.node, &self.world);
            let fault = format!("internal fault: {panic}");
            let over = self.node.journal().running_plan(self.entry.no).is_ok_and(|plan| plan.is_none());
            Some(Happening::CannotFollow { ledger: self.entry.id, fault, number: over.then_some(number) })
        })
    }

    /// Does a piece of work, and says how that ended.
    fn done(&mut self, work: Work, signs: &Signs) -> Option<Happening> {
        let ledger = self.entry.id;
        let withdrawn = signs.withdrawn.load(Ordering::Relaxed);
        Some(match work {
            Work::Nothing => return None,
            Work::Apply { number, .. } | Work::RollBack { number, .. } if number <= withdrawn => {
                Happening::Followed { ledger, number }
            }
            Work::Apply { from, first, mut steps, number } => match self.apply(first, &steps) {
                Ok(()) => Happening::Followed { ledger, number },
                Err(NotTaken::Differs(index)) => {
                    let (at, step) = (first + index as u64, steps.swap_remove(index));
                    Happening::Refused { ledger, from, at, step, number }
                }
                Err(NotTaken::Fault(fault)) => Happening::CannotFollow { ledger, fault, number: Some(number) },
            },
            Work::RollBack { size, number } => match self.roll_back(size) {
                Ok(()) => Happening::Followed { ledger, number },
                Err(error) => {
                    let over = self.node.journal().running_plan(self.entry.no).is_ok_and(|plan| plan.is_none());
                    Happening::CannotFollow { ledger, fault: error.to_string(), number: over.then_some(number) }
                }
            },
        })
    }

    /// In groups: what is kept before a step that differs stays.
    fn apply(&mut self, first: u64, steps: &[Step]) -> Result<(), NotTaken> {
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.node.open_ledger(&self.entry)?,
        };
        if !continues(&open, first, steps) {
            // Something came between: it is void, and the state machines ask for what they want now.
            self.open = Some(open);
            return Ok(());
        }
        for (group, group_steps) in steps.chunks(GROUP_STEPS_MAX).enumerate() {
            let mut sealed = Vec::with_capacity(group_steps.len());
            let mut differs = None;
            for (index, step) in group_steps.iter().enumerate() {
                match self.again(&mut open, step)? {
                    Some(same) => sealed.push(same),
                    None => {
                        differs = Some(group * GROUP_STEPS_MAX + index);
                        break;
                    }
                }
            }
            self.keep(&mut open, &sealed)?;
            if let Some(index) = differs {
                // The head has taken the step that differs: the next one begins from the journal.
                return Err(NotTaken::Differs(index));
            }
        }
        self.open = Some(open);
        Ok(())
    }

    /// Does a step again. `None`: it gives another receipt, or may not stand here.
    fn again(&mut self, open: &mut OpenLedger, step: &Step) -> Result<Option<Sealed>, RunError> {
        let Ok(input) = decode_canonical::<Input>(&step.input) else { return Ok(None) };
        let Ok(work) = open.head.prepare(&input) else { return Ok(None) };
        let executed = self.runner.run(&mut open.head, &input, &work)?;
        let sealed = open.head.seal(&input, &work, executed);
        Ok((sealed.receipt_bytes == step.receipt).then_some(sealed))
    }

    fn keep(&self, open: &mut OpenLedger, sealed: &[Sealed]) -> Result<(), JournalError> {
        if sealed.is_empty() {
            return Ok(());
        }
        for step in sealed {
            open.tail.append(step.leaf);
            open.state_lag.note(step);
        }
        let tiles = open.tail.take_complete_tiles();
        self.node.journal().commit(open.no, &Group { steps: sealed, tiles: &tiles, attestation: None })?;
        if open.state_lag.is_due() {
            self.node.journal().bring_state_forward(open.no)?;
            open.state_lag = StateLag::default();
        }
        Ok(())
    }

    /// By the plan that an operator's rollback would take: what goes is kept in quarantine. One that a crash has left is
    /// brought to its end first; often it is the same.
    fn roll_back(&mut self, size: u64) -> Result<(), RecoveryError> {
        self.open = None;
        let site = self.node.site(&self.entry, self.world.engine());
        if recovery::resume(&site, &mut NoWatch)?.is_some() && site.journal.read(site.entry.no)?.size()? <= size {
            return Ok(());
        }
        let reason = "the owner's log goes another way".to_owned();
        let options = rollback::Options { size, way: None, attested: true, reason, now_ms: self.world.now_ms() };
        let plan = rollback::plan(&site, &options)?.plan;
        recovery::carry_out(&site, &plan, &mut NoWatch)
    }
}

fn runner(node: &Node, world: &Arc<dyn World>) -> Runner {
    Runner::new(Box::new(PackageExecutors::new(node.journal().clone(), world.engine(), node.dir())))
}

/// The first step follows the last one here.
fn continues(open: &OpenLedger, first: u64, steps: &[Step]) -> bool {
    let receipt = steps.first().and_then(|step| decode_canonical::<Receipt>(&step.receipt).ok());
    let previous = receipt.map(|receipt| receipt.previous);
    open.head.next_seq() == first && previous.is_none_or(|previous| previous == open.head.previous())
}

impl From<NodeError> for NotTaken {
    fn from(error: NodeError) -> Self {
        Self::Fault(error.to_string())
    }
}

impl From<RunError> for NotTaken {
    fn from(error: RunError) -> Self {
        Self::Fault(error.to_string())
    }
}

impl From<JournalError> for NotTaken {
    fn from(error: JournalError) -> Self {
        Self::Fault(error.to_string())
    }
}

#[cfg(test)]
mod tests;
