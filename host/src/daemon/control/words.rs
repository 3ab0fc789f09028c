//! The words of the control socket: what a command says that it wants.

use reprise_receipts::bundle::BundleKind;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::PathBuf};

/// What is wanted: the first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Wanted {
    /// What the node holds and does.
    Status,
    /// Its peers.
    Peers,
    /// Who agrees with whom.
    Federation,
    /// What was decided on the node's own ledger.
    Decisions,
    /// What would be decided about the differences there are.
    Reconcile {
        /// Only of this ledger: its name, or the first digits of its id.
        ledger: Option<String>,
        /// Look for differences now, and let them be decided about.
        act: bool,
    },
    /// Stop.
    Stop,
    /// Lift the suspension of a ledger.
    Resume {
        /// The ledger's name, or the first digits of its id.
        ledger: String,
    },
    /// Move a ledger to another owner, who may be this node.
    Take {
        /// The ledger's name, or the first digits of its id.
        ledger: String,
        /// The signed command, encoded, in hexadecimal digits.
        grant: String,
    },
    /// Let happen what is due by this logical time, and what may begin be delivered.
    Advance {
        /// The ledger's name, or the first digits of its id.
        ledger: String,
        /// Until when, in milliseconds.
        to_ms: u64,
    },
    /// Where a ledger stands: what an operator's command rests on.
    Stands {
        /// The ledger's name, or the first digits of its id.
        ledger: String,
        /// A package that is to take over.
        package: Option<String>,
    },
    /// Order an operators' command.
    Order {
        /// The ledger's name, or the first digits of its id.
        ledger: String,
        /// The id of the event that carries it.
        id: String,
        /// The signed command, encoded, in hexadecimal digits.
        command: String,
    },
    /// Change what carries out a ledger's effects; nothing to change shows it.
    Drivers {
        /// The ledger's name, or the first digits of its id.
        ledger: String,
        /// Driver to kind.
        set: BTreeMap<String, String>,
        /// Drivers that nothing carries out any more.
        unset: Vec<String>,
    },
    /// Get a bundle of a peer, verify it, and put it into a file.
    FetchBundle {
        /// The ledger's name, or the first digits of its id.
        ledger: String,
        /// Name of the peer.
        peer: String,
        /// Which kind.
        kind: BundleWord,
        /// First sequence number.
        from: u64,
        /// End of the range; as far as the peer goes when absent.
        to: Option<u64>,
        /// Where the file goes: a path from the root.
        out: PathBuf,
    },
    /// What members have after the same number of receipts, root by root.
    Compare {
        /// The ledger's name, or the first digits of its id.
        ledger: String,
        /// Names of members; all others when there are none.
        peers: Vec<String>,
        /// After so many receipts; as many as this node and one of them have when absent.
        receipts: Option<u64>,
        /// A view whose projection is compared, too.
        view: Option<String>,
        /// Its arguments, in hexadecimal digits.
        args: String,
    },
    /// Let a peer in no more, or again.
    Admit {
        /// Its name.
        peer: String,
        /// Again.
        admitted: bool,
    },
    /// Make a checkpoint of a ledger now. Answered when it is signed.
    Checkpoint {
        /// The ledger's name, or the first digits of its id.
        ledger: String,
    },
    /// Run a command over the journal: see [`crate::daemon::commands`].
    Command {
        /// The command line, without the name of the program.
        arguments: Vec<String>,
        /// Where whoever asks is.
        directory: PathBuf,
    },
    /// Events follow.
    Submit {
        /// The ledger's name, or the first digits of its id.
        ledger: String,
    },
}

/// Kinds of bundles, as commands name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BundleWord {
    /// Receipts.
    Receipt,
    /// A checkpoint.
    Checkpoint,
    /// Everything that doing the steps again takes.
    Replay,
}

impl From<BundleKind> for BundleWord {
    fn from(kind: BundleKind) -> Self {
        match kind {
            BundleKind::Receipt => Self::Receipt,
            BundleKind::Checkpoint => Self::Checkpoint,
            BundleKind::Replay => Self::Replay,
        }
    }
}

impl From<BundleWord> for BundleKind {
    fn from(word: BundleWord) -> Self {
        match word {
            BundleWord::Receipt => Self::Receipt,
            BundleWord::Checkpoint => Self::Checkpoint,
            BundleWord::Replay => Self::Replay,
        }
    }
}
