//! A ledger that the configuration names by its id and the journal has not. Members are asked in turn for where to begin:
//! a checkpoint and steps after it, or, without one, the first steps. What comes later is fetched as any member does.
//!
//! | step | asked for | if the member has none |
//! | --- | --- | --- |
//! | 1 | a checkpoint bundle, the newest | 4 |
//! | 2 | a replay bundle from there on: its packages are needed | 3 |
//! | 3 | a replay bundle of the last step before the checkpoint | 4 |
//! | 4 | a replay bundle from receipt 0 on | the next member |
//!
//! Nothing is written down before everything is here and verified. Then, in this order: what is about to be staged, the
//! standing of a member that has lost its memory (it cannot know whether it has voted before), packages, ledger. A crash
//! before the ledger is visible begins again; afterwards the node is a member that lags.

use super::{
    fetch::{Anchor, FetchEnd, FetchError, Fetched, For},
    remove,
};
use crate::{
    bundles::{self, NoWatch, Publishers},
    daemon::{driver::Driver, happening::Happening, roster::SharedLedger, standing::Standings, world::World},
    journal::LedgerEntry,
    node::Node,
    panics::told,
};
use reprise_federation::{NodeKey, Roster, message::Refusal, node::CannotAsk};
use reprise_receipts::{
    LedgerId, Verdict,
    bundle::{BundleKind, Trust},
    digest::BundleDigest,
};
use serde_json::{Value, json};
use std::{collections::VecDeque, sync::Arc, thread};

/// How long is waited before the next member is asked, in milliseconds.
const RETRY_MS: u64 = 500;
/// How long is waited after a fault of this node's own, in milliseconds: everything is fetched again then.
const FAULT_REST_MS: u64 = 30_000;
/// How often a member that is busy is asked again, before it is the turn of the next one.
const BUSY_MAX: u32 = 20;

/// A ledger that is to begin here.
pub(in crate::daemon) struct Newcomer {
    shared: SharedLedger,
    ledger: LedgerId,
    /// The other members; the first one is asked next.
    members: VecDeque<NodeKey>,
    ask_at_ms: u64,
    next: Next,
    /// The checkpoint, while what comes after it is on its way.
    checkpoint: Option<Fetched>,
    /// Something is under way.
    under_way: bool,
    /// How often the member has said that it is busy.
    busy: u32,
    /// Why it has not begun yet, for people.
    waits: String,
}

/// What is asked for next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Checkpoint,
    /// Steps after the checkpoint over so many receipts.
    After(u64),
    /// The last step before it.
    Last(u64),
    /// Steps from the beginning on.
    Beginning,
}

/// A ledger has begun here, or could not.
#[derive(Debug)]
pub(in crate::daemon) struct Begun {
    ledger: LedgerId,
    result: Result<(LedgerEntry, Roster), String>,
}

impl Newcomer {
    pub(in crate::daemon) fn new(ledger: LedgerId, shared: SharedLedger) -> Self {
        Self {
            members: shared.others().collect(),
            shared,
            ledger,
            ask_at_ms: 0,
            next: Next::Checkpoint,
            checkpoint: None,
            under_way: false,
            busy: 0,
            waits: "a connection to one of its members".to_owned(),
        }
    }

    /// From the beginning, with the next member.
    fn next_member(&mut self, why: String) {
        self.members.rotate_left(1);
        self.again(Next::Checkpoint);
        self.waits = why;
    }

    /// The next member is asked for what is wanted now: a checkpoint that is here stays.
    fn other_member(&mut self, why: String) {
        self.members.rotate_left(1);
        (self.busy, self.waits) = (0, why);
    }

    fn again(&mut self, next: Next) {
        (self.next, self.busy) = (next, 0);
        let goes_on = matches!(next, Next::After(_) | Next::Last(_));
        if let Some(checkpoint) = self.checkpoint.take_if(|_| !goes_on) {
            remove(&checkpoint.path);
        }
    }

    /// Another member would not help at once: it begins again after a while.
    fn rest(&mut self, now_ms: u64, why: &str) {
        self.next_member(why.to_owned());
        self.ask_at_ms = now_ms + FAULT_REST_MS;
    }

    fn wanted(&self) -> (BundleKind, u64, Option<u64>) {
        match self.next {
            Next::Checkpoint => (BundleKind::Checkpoint, 0, None),
            Next::After(size) => (BundleKind::Replay, size, None),
            Next::Last(size) => (BundleKind::Replay, size - 1, Some(size)),
            Next::Beginning => (BundleKind::Replay, 0, None),
        }
    }
}

impl Driver {
    /// Asks on where something is to begin and nothing is under way, and gives up on what does not come.
    pub(in crate::daemon) fn begin_ledgers(&mut self) {
        self.expire_fetches();
        let now_ms = self.now_ms();
        let due = |newcomer: &Newcomer| !newcomer.under_way && now_ms >= newcomer.ask_at_ms;
        let due: Vec<LedgerId> = self.bundles.newcomers.values().filter(|it| due(it)).map(|it| it.ledger).collect();
        for ledger in due {
            self.ask_to_begin(ledger, now_ms);
        }
    }

    fn ask_to_begin(&mut self, ledger: LedgerId, now_ms: u64) {
        let Some(newcomer) = self.bundles.newcomers.get(&ledger) else { return };
        let Some(member) = newcomer.members.front().copied() else { return };
        let (anchor, wanted) = (Anchor { ledger, attester: newcomer.shared.first_attester() }, newcomer.wanted());
        let asked = self.fetch_bundle(member, anchor, wanted, || For::Newcomer);
        let name = self.name(member);
        let Some(newcomer) = self.bundles.newcomers.get_mut(&ledger) else { return };
        newcomer.ask_at_ms = now_ms + RETRY_MS;
        match asked {
            Ok(_) => {
                newcomer.under_way = true;
                newcomer.waits = format!("a {} bundle of `{name}`", wanted.0.name());
            }
            Err(FetchError::CannotAsk(CannotAsk::NotConnected)) => newcomer.members.rotate_left(1),
            // It, or this node, has too much under way.
            Err(FetchError::CannotAsk(CannotAsk::NotNow) | FetchError::TooMany) => {}
            Err(error) => newcomer.other_member(format!("another member: `{name}`: {error}")),
        }
    }

    /// What a newcomer had asked for has come, or has not.
    pub(super) fn newcomer_heard(&mut self, ledger: LedgerId, peer: NodeKey, end: FetchEnd) {
        let (name, now_ms) = (self.name(peer), self.now_ms());
        let Some(newcomer) = self.bundles.newcomers.get_mut(&ledger) else {
            return end.into_iter().for_each(|fetched| remove(&fetched.path));
        };
        newcomer.under_way = false;
        match (newcomer.next, end) {
            (_, Ok(Fetched { path, verified, .. })) if !matches!(verified.verdict, Verdict::Match(_)) => {
                remove(&path);
                let Verdict::Incomparable(missing) = verified.verdict else { return };
                newcomer.rest(now_ms, &format!("what `{name}` sent cannot be verified: {missing}"));
            }
            (Next::Checkpoint, Ok(fetched)) => {
                (newcomer.next, newcomer.busy) = (Next::After(fetched.verified.header.to), 0);
                newcomer.checkpoint = Some(fetched);
                newcomer.ask_at_ms = 0;
            }
            (_, Ok(fetched)) => self.begin_ledger(ledger, fetched),
            // It may still be sending what came before, and what nobody has signed yet may be signed in a moment.
            (_, Err(FetchError::Refused(Refusal::Busy)))
            | (Next::Checkpoint, Err(FetchError::Refused(Refusal::NotMade)))
                if newcomer.busy < BUSY_MAX =>
            {
                newcomer.busy += 1;
                newcomer.waits = format!("`{name}`, which is busy");
            }
            // Less is enough: the packages that are needed come with one step, too.
            (
                Next::After(size),
                Err(FetchError::Refused(Refusal::BeyondEnd | Refusal::NotMade) | FetchError::Silent),
            ) => newcomer.again(Next::Last(size)),
            (Next::Checkpoint | Next::After(_) | Next::Last(_), Err(FetchError::Refused(refusal)))
                if !matches!(refusal, Refusal::NotShared | Refusal::Busy) =>
            {
                newcomer.again(Next::Beginning);
                newcomer.ask_at_ms = 0;
            }
            (_, Err(FetchError::Fault(why))) => newcomer.rest(now_ms, &format!("this node: {why}")),
            (_, Err(error)) => newcomer.other_member(format!("another member: `{name}`: {error}")),
        }
    }

    /// Everything is here: it becomes a ledger of this node.
    fn begin_ledger(&mut self, ledger: LedgerId, steps: Fetched) {
        let Some(newcomer) = self.bundles.newcomers.get_mut(&ledger) else { return };
        newcomer.under_way = true;
        newcomer.waits = "taking in what its members sent".to_owned();
        let files: Vec<Fetched> = newcomer.checkpoint.take().into_iter().chain([steps]).collect();
        let (node, world, shared) = (self.node.clone(), self.world.clone(), newcomer.shared.clone());
        let (happenings, now_ms) = (self.happenings.clone(), self.now_ms());
        let begun = thread::Builder::new().name("reprise-begin".to_owned()).spawn(move || {
            let result = told(|| take_in(&node, &world, &shared, &files));
            files.iter().for_each(|file| remove(&file.path));
            let _ = happenings.blocking_send(Happening::Begun(Box::new(Begun { ledger, result })));
        });
        if let Err(error) = begun
            && let Some(newcomer) = self.bundles.newcomers.get_mut(&ledger)
        {
            newcomer.under_way = false;
            newcomer.rest(now_ms, &format!("this node: {error}"));
        }
    }

    /// A ledger has begun here: this node is one of its members from now on.
    pub(in crate::daemon) fn ledger_begun(&mut self, begun: Begun) {
        let (Begun { ledger, result }, now_ms) = (begun, self.now_ms());
        let Some(newcomer) = self.bundles.newcomers.get(&ledger) else { return };
        let clock = newcomer.shared.config.clock;
        let joined =
            result.and_then(|(entry, roster)| self.join(entry, roster, clock).map_err(|error| error.to_string()));
        match joined {
            Ok(()) => {
                tracing::info!(%ledger, "the ledger has begun here with bundles of its members");
                self.bundles.newcomers.remove(&ledger);
            }
            Err(why) => {
                tracing::error!(%ledger, why, "the ledger does not begin here");
                let Some(newcomer) = self.bundles.newcomers.get_mut(&ledger) else { return };
                newcomer.under_way = false;
                newcomer.rest(now_ms, &format!("this node: {why}"));
            }
        }
    }

    /// What is told of ledgers that have not begun.
    pub(in crate::daemon) fn awaited_ledgers(&self) -> impl Iterator<Item = Value> {
        self.bundles.newcomers.values().map(|newcomer| {
            json!({
                "name": newcomer.shared.config.name,
                "id": newcomer.ledger.to_string(),
                "service": "has not begun here",
                "waits for": newcomer.waits,
                "can go on": false,
                "why not": format!("it is not in the journal: waits for {}", newcomer.waits),
            })
        })
    }
}

fn take_in(
    node: &Node,
    world: &Arc<dyn World>,
    shared: &SharedLedger,
    files: &[Fetched],
) -> Result<(LedgerEntry, Roster), String> {
    let last = files.last().ok_or("there is nothing to begin with")?;
    let genesis = &last.verified.header.genesis;
    if genesis.name != shared.config.name {
        return Err(format!(
            "the ledger with this id is called `{}`, the configuration calls it `{}`",
            genesis.name, shared.config.name
        ));
    }
    let roster = shared.roster(genesis)?;
    let ledgers = node.journal().ledgers().map_err(|error| error.to_string())?;
    if let Some(entry) = ledgers.into_iter().find(|entry| entry.id == roster.ledger) {
        // An attempt before this one came so far, and not to its end: the rest is fetched as any member does.
        return Ok((entry, roster));
    }
    let disk = |error: std::io::Error| format!("folder `federation`: {error}");
    forget_staged(node, &**world, roster.ledger).map_err(disk)?;
    let digests: Vec<u8> = files.iter().flat_map(|file| *file.verified.digest.as_bytes()).collect();
    world.replace(&staging(roster.ledger), &digests).map_err(disk)?;
    Standings(&**world).rejoin(&roster).map_err(disk)?;
    let mut entry = None;
    bundles::take_packages_of_ledger(node, &last.path, Trust::GenesisRecord).map_err(|error| error.to_string())?;
    for Fetched { path, verified, .. } in files {
        let imported =
            bundles::import_verified(node, path, Trust::GenesisRecord, verified, Publishers::OfLedger, &mut NoWatch);
        entry = Some(imported.map_err(|error| error.to_string())?.entry);
    }
    world.replace(&staging(roster.ledger), &[]).map_err(disk)?;
    Ok((entry.ok_or("nothing was taken in")?, roster))
}

/// Throws away what an interrupted beginning has staged in the journal.
pub(in crate::daemon) fn forget_staged(node: &Node, world: &dyn World, ledger: LedgerId) -> std::io::Result<()> {
    let Some(digests) = world.read(&staging(ledger))? else { return Ok(()) };
    let (digests, _) = digests.as_chunks::<32>();
    for digest in digests {
        node.journal().abandon_import(BundleDigest::from_bytes(*digest)).map_err(std::io::Error::other)?;
    }
    if digests.is_empty() { Ok(()) } else { world.replace(&staging(ledger), &[]) }
}

/// The file that names what is being staged for a ledger.
fn staging(ledger: LedgerId) -> String {
    format!("{ledger}.staging")
}
