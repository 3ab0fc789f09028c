//! What the driver is told, by whoever runs beside it.

use super::{
    bundles::{Begun, FetchEnd, Made, Wish},
    commands::Currency,
    deliverer::Settled,
    reconcile::{Looked, Remains, Restored},
    roots::{CompareWish, NoRoots, RootsFor},
};
use crate::{
    effects::config::{Change, Drivers},
    journal::LedgerNo,
    link::{Receiving, Session},
    operators::Stand,
    orderer::Proposal,
    pipeline::{Advanced, Answer},
};
use reprise_federation::message::{Roots, Step};
use reprise_receipts::{LedgerId, PublicKey};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

/// Something that the driver must know.
#[derive(Debug)]
pub(super) enum Happening {
    /// A connection is there. Its number tells what comes over it from what came over an earlier one.
    Connected { number: u64, session: Session },
    /// A frame has come.
    Frame { number: u64, from: PublicKey, frame: Vec<u8> },
    /// A transfer was begun.
    Transfer { number: u64, from: PublicKey, transfer: Receiving },
    /// A transfer is there as a whole.
    Received { from: PublicKey, transfer: u64, bytes: Vec<u8> },
    /// A connection has ended.
    Gone { number: u64, from: PublicKey },
    /// The pipeline of a ledger has made this durable.
    Answered { ledger: LedgerId, answer: Answer },
    /// The pipeline of a ledger has ended, with this fault.
    Stopped { ledger: LedgerId, fault: Option<String> },
    /// Steps of an owner were done again, or taken back, and are durable: the piece of work of this number.
    Followed { ledger: LedgerId, number: u64 },
    /// A step of an owner gives another receipt here.
    Refused { ledger: LedgerId, from: PublicKey, at: u64, step: Step, number: u64 },
    /// This node cannot follow: its own fault. Without a number the work goes on when the node starts again.
    CannotFollow { ledger: LedgerId, fault: String, number: Option<u64> },
    /// Somebody submits an event.
    Submit { ledger: String, proposal: Box<Proposal>, reply: mpsc::Sender<Reply> },
    /// What is due by this logical time is to happen.
    Advance { ledger: String, to_ms: u64, reply: mpsc::Sender<Reply> },
    /// Effects that may begin at this logical time are to be delivered.
    Deliver { ledger: String, at_ms: u64, reply: oneshot::Sender<Settled> },
    /// An operator changes what carries out a ledger's effects, or asks.
    Drivers { ledger: String, change: Change, reply: oneshot::Sender<Result<Drivers, String>> },
    /// Somebody wants to know what a command rests on, with the ledger's name; of a package, whether it may take over.
    Stands { ledger: String, package: Option<String>, reply: oneshot::Sender<Result<(String, Stand), String>> },
    /// What is stored of a ledger was looked at.
    Looked(Box<Looked>),
    /// What is left of a damaged state was cut into chunks.
    Remains(Box<Remains>),
    /// A state was made anew, or could not be.
    Restored(Restored),
    /// Somebody asks what would be decided about the differences there are; with `act`, they are looked for again.
    Reconcile { ledger: Option<String>, act: bool, reply: oneshot::Sender<Result<Value, String>> },
    /// A bundle for a peer was made, or could not be.
    BundleMade(Box<Made>),
    /// A bundle for a peer was sent, or could not be.
    BundleSent { number: u64 },
    /// A bundle of a peer was read and verified, or could not be.
    BundleCame { transfer: u64, end: Box<FetchEnd> },
    /// A ledger has begun here with bundles of its members, or could not.
    Begun(Box<Begun>),
    /// An operator wants a bundle of a peer.
    FetchBundle(Box<Wish>),
    /// What this node has of a ledger after so many receipts was found out, or cannot be.
    RootsFound { wanted_for: RootsFor, found: Result<Box<Roots>, NoRoots> },
    /// An operator lets a peer in no more, or again.
    Admit { peer: String, admitted: bool, reply: oneshot::Sender<Result<(), String>> },
    /// An operator wants to know who has what.
    Compare(Box<CompareWish>),
    /// An operator lifts the suspension of a ledger.
    Resume { ledger: String, reply: oneshot::Sender<Result<(), String>> },
    /// An operator wants a checkpoint of a ledger now: its number here, and how many receipts it has at least.
    Checkpoint { ledger: String, reply: oneshot::Sender<Result<(LedgerNo, u64), String>> },
    /// An operator hands in the grant of a ledger, encoded.
    Take { ledger: String, grant: Vec<u8>, reply: oneshot::Sender<Result<u64, String>> },
    /// Somebody is about to read, and asks how current the ledgers are.
    Currency { reply: oneshot::Sender<Currency> },
    /// Somebody asks.
    Query { query: Query, reply: oneshot::Sender<Value> },
}

/// What becomes of a submitted event. What it says holds as the ledger's durability asks for.
#[derive(Debug)]
pub(super) enum Reply {
    /// It was answered.
    Answer(Answer),
    /// It was not ordered.
    NotHere {
        /// Its tag.
        tag: u64,
        /// Why not, and what to do.
        why: String,
    },
}

/// What somebody asks a running node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Query {
    /// What it holds.
    Status,
    /// Its peers.
    Peers,
    /// Who agrees with whom, up to where.
    Federation,
    /// What was decided on the node's own ledger.
    Decisions,
}

impl Reply {
    /// The answer for a submitter, under the tag that it gave.
    pub(super) fn with_tag(self, given: u64) -> Self {
        match self {
            Self::NotHere { why, .. } => Self::NotHere { tag: given, why },
            Self::Answer(answer) => Self::Answer(match answer {
                Answer::Receipt { seq, class, code, leaf, duplicate, .. } => {
                    Answer::Receipt { tag: given, seq, class, code, leaf, duplicate }
                }
                Answer::Refused { refusal, .. } => Answer::Refused { tag: given, refusal },
                Answer::Advanced(advanced) => Answer::Advanced(Advanced { tag: given, ..advanced }),
            }),
        }
    }
}
