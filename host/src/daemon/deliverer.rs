//! Effects of a ledger that this node owns: a thread of their own asks the drivers, and hands results to the pipeline.
//!
//! What is owed is read from the journal after some durable receipts, and acted on once all of these are acknowledged as
//! the ledger's durability asks for, while this node orders. The answers to all results are awaited before anything else
//! is asked for. A result that gets none is lost, and its effect is delivered again, under the same key.
//!
//! Invariant: at most one thread of a node speaks with the drivers of a ledger, and nobody waits for it.

mod signs;

pub(super) use signs::{Settled, Standing};

use super::{
    config::Clock,
    happening::{Happening, Reply},
    world::World,
};
use crate::{
    effects::{
        Configured, DELIVERIES_MAX, Delivered, Delivery, Driver, Owed, Pump,
        rounds::{self, Books, ROUNDS_MAX, Round},
    },
    journal::{Journal, LedgerEntry},
    panics::caught,
    pipeline::Answer,
};
use reprise_abi::EffectResult;
use signs::{Asked, Next, Signs};
use std::{
    io,
    path::PathBuf,
    sync::Arc,
    thread::Builder,
    time::{Duration, Instant},
};
use tokio::sync::{mpsc, oneshot};

/// How long it rests after something went wrong.
const REST: Duration = Duration::from_secs(1);
/// How soon it tries again when the pipeline did not take its results; while this node does not order, it waits anyway.
const AGAIN: Duration = Duration::from_millis(100);
/// Shorter waits for the clock are not worth a look.
const WAIT_MS_MIN: u64 = 10;

/// Who delivers the effects of one ledger. It ends when this is dropped.
pub(super) struct Deliverer {
    signs: Arc<Signs>,
}

/// What it works with.
pub(super) struct Parts {
    /// Where effects are read.
    pub(super) journal: Arc<Journal>,
    /// The node's directory: drivers and their files.
    pub(super) dir: PathBuf,
    /// Which ledger.
    pub(super) entry: LedgerEntry,
    /// What time the effects follow.
    pub(super) clock: Clock,
    /// Tells the time.
    pub(super) world: Arc<dyn World>,
    /// Where results go.
    pub(super) happenings: mpsc::Sender<Happening>,
}

impl Deliverer {
    /// # Errors
    /// The system has no room for the thread.
    pub(super) fn start(parts: Parts) -> io::Result<Self> {
        let signs = Arc::new(Signs::default());
        let seen = signs.clone();
        Builder::new().name("reprise-deliver".to_owned()).spawn(move || {
            let delivering = Delivering { parts, signs: seen.clone(), owed: None, results: 0 };
            if let Err(panic) = caught(|| delivering.run()) {
                tracing::error!(panic, "the thread that delivers effects ended");
                seen.note(Some(format!("internal fault: {panic}")));
            }
            seen.gone();
        })?;
        Ok(Self { signs })
    }

    /// How the ledger is now.
    pub(super) fn tell(&self, standing: Standing) {
        self.signs.tell(standing);
    }

    /// Other drivers are configured.
    pub(super) fn drivers_changed(&self) {
        self.signs.drivers_changed();
    }

    /// Delivers what may begin at this logical time, and says when nothing may any more.
    pub(super) fn settle(&self, at_ms: u64, reply: oneshot::Sender<Settled>) {
        self.signs.ask(Asked { at_ms, reply });
    }

    /// Results that have a receipt since the node was started, and what went wrong last.
    pub(super) fn report(&self) -> (u64, Option<String>) {
        self.signs.report()
    }

    /// Lets it end, and waits for that so long at most: a driver may be slow, and what it does is done again.
    pub(super) fn end_within(&self, time: Duration) {
        self.signs.end_within(time);
    }
}

impl Drop for Deliverer {
    fn drop(&mut self) {
        self.signs.end();
    }
}

/// Why nothing is delivered now.
enum NotNow {
    /// It is to end.
    Ended,
    /// This node does not order the ledger's inputs now, or not as the same owner.
    NotOurs,
    /// Something went wrong: for people.
    Fault(String),
}

struct Delivering {
    parts: Parts,
    signs: Arc<Signs>,
    owed: Option<Owed>,
    /// Results that have a receipt.
    results: u64,
}

impl Delivering {
    fn run(mut self) {
        let mut pump: Option<Pump<Held>> = None;
        let mut wake = None;
        while let Some(Next { fresh, asked }) = self.signs.next(wake) {
            if fresh {
                (pump, self.owed) = (None, None);
            }
            let at_ms = asked.iter().map(|asked| asked.at_ms).max().unwrap_or(0);
            let rounds_max = if asked.is_empty() { 1 } else { ROUNDS_MAX };
            let done = self.work(&mut pump, at_ms, rounds_max);
            self.signs.count(self.results);
            let told = match &done {
                Ok(_) => Ok(self.results),
                Err(NotNow::Fault(fault)) => Err(fault.clone()),
                Err(NotNow::NotOurs | NotNow::Ended) => {
                    Err("this node does not order the ledger's inputs now".to_owned())
                }
            };
            asked.into_iter().for_each(|asked| drop(asked.reply.send(told.clone())));
            wake = match done {
                Ok(wait) => {
                    self.signs.note(None);
                    wait.and_then(|wait| Instant::now().checked_add(wait))
                }
                Err(NotNow::Ended) => return,
                // Whatever was asked for and has no result is asked for again.
                Err(NotNow::NotOurs) => {
                    pump.iter_mut().for_each(Pump::restart);
                    Instant::now().checked_add(AGAIN)
                }
                Err(NotNow::Fault(fault)) => {
                    if self.signs.note(Some(fault.clone())) {
                        tracing::warn!(ledger = %self.parts.entry.id, fault, "effects are not delivered");
                    }
                    (pump, self.owed) = (None, None);
                    Instant::now().checked_add(REST)
                }
            };
        }
    }

    /// Delivers so many rounds, or until nothing may begin. Says how long to wait; `None`: until a step changes what is
    /// owed.
    fn work(&mut self, pump: &mut Option<Pump<Held>>, at_ms: u64, rounds_max: u32) -> Result<Option<Duration>, NotNow> {
        let pump = match pump {
            Some(pump) => pump,
            None => pump.insert(Pump::new(self.open_drivers()?)),
        };
        for _ in 0..rounds_max {
            let clock_ms = match self.parts.clock {
                Clock::Events => None,
                Clock::Wall => Some(self.parts.world.now_ms()),
            };
            pump.driver_mut().held_back = false;
            let done = rounds::round(pump, self, at_ms.max(clock_ms.unwrap_or(0)), log)?;
            if pump.driver().held_back {
                return Err(NotNow::NotOurs);
            }
            match done {
                Round::Delivered { results } => self.results += results,
                Round::Nothing { next_ms } => {
                    let wait_ms = next_ms.zip(clock_ms).map(|(next_ms, now_ms)| next_ms.saturating_sub(now_ms));
                    return Ok(wait_ms.map(|wait_ms| Duration::from_millis(wait_ms.max(WAIT_MS_MIN))));
                }
            }
        }
        Ok(Some(Duration::ZERO))
    }

    fn open_drivers(&self) -> Result<Held, NotNow> {
        let drivers = Configured::open(&self.parts.dir, self.parts.entry.id);
        let drivers = drivers.map_err(|error| NotNow::Fault(error.to_string()))?;
        Ok(Held { drivers, signs: self.signs.clone(), held_back: false })
    }
}

impl Books for Delivering {
    type Error = NotNow;

    /// Waits until everything that was read is acknowledged.
    fn owed(&mut self) -> Result<&Owed, NotNow> {
        let Parts { journal, entry, .. } = &self.parts;
        let owed = match self.owed.take() {
            Some(mut owed) => owed.refresh(journal, entry).map(|()| owed),
            None => Owed::read(journal, entry),
        };
        let owed = owed.map_err(|error| NotNow::Fault(format!("journal: {error}")))?;
        self.signs.wait_for(owed.size(), owed.view().epoch)?;
        Ok(self.owed.insert(owed))
    }

    fn settle(&mut self, results: &[EffectResult], now_ms: u64) -> Result<(), NotNow> {
        let ledger = self.parts.entry.id.to_string();
        let (reply, mut replies) = mpsc::channel(DELIVERIES_MAX + 1);
        let submit =
            |proposal| Happening::Submit { ledger: ledger.clone(), proposal: Box::new(proposal), reply: reply.clone() };
        let advance = Happening::Advance { ledger: ledger.clone(), to_ms: now_ms, reply: reply.clone() };
        let all: Vec<Happening> = rounds::proposals(results, now_ms).map(submit).chain([advance]).collect();
        let mut waiting = all.len();
        for happening in all {
            self.parts.happenings.blocking_send(happening).map_err(|_| NotNow::Ended)?;
        }
        drop(reply);
        let mut lost = None;
        while let Some(reply) = replies.blocking_recv() {
            waiting -= 1;
            match reply {
                Reply::Answer(Answer::Receipt { .. } | Answer::Advanced(_)) => {}
                Reply::Answer(Answer::Refused { refusal, .. }) => {
                    lost = Some(NotNow::Fault(format!("a result was refused: {refusal}")));
                }
                Reply::NotHere { .. } => lost = lost.or(Some(NotNow::NotOurs)),
            }
        }
        // Those that get no answer at all are lost with the pipeline.
        lost.or((waiting > 0).then_some(NotNow::NotOurs)).map_or(Ok(()), Err)
    }
}

/// The drivers, as long as this node may act.
struct Held {
    drivers: Configured,
    signs: Arc<Signs>,
    /// Something was asked for that may not be done now.
    held_back: bool,
}

impl Driver for Held {
    fn deliver(&mut self, delivery: &Delivery) -> Delivered {
        if !self.signs.may_act() {
            self.held_back = true;
            return Delivered::NotTaken;
        }
        self.drivers.deliver(delivery)
    }
}

fn log(delivery: &Delivery, delivered: &Delivered) {
    tracing::debug!(key = delivery.idempotency_key, driver = delivery.driver, ?delivered, "an effect was asked for");
}
