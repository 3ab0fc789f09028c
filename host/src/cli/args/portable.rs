//! Arguments of commands about portable files: bundles and evidence.

use super::{super::error::CliError, EngineArg};
use clap::{Args, Subcommand, ValueEnum};
use reprise_receipts::bundle::BundleKind;
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(crate) enum BundleCommand {
    /// Write a range of a ledger, or a checkpoint, to a file that others can verify
    Export(ExportOptions),
    /// Get a bundle of a peer over a running node's connection, verify it, and put it into a file
    Fetch(FetchOptions),
    /// Verify a bundle and take what it holds into this node
    Import {
        /// The bundle
        file: PathBuf,
        #[command(flatten)]
        trust: TrustArgs,
        /// Verify, say what would come, and do nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// What a bundle says of itself, and whether its parts belong together
    Inspect {
        /// The bundle
        file: PathBuf,
    },
    /// Verify a bundle with nothing else at hand; the same as `reprise verify FILE`
    Verify {
        /// The bundle
        file: PathBuf,
        #[command(flatten)]
        trust: TrustArgs,
        /// What runs the policies of a replay bundle
        #[arg(long, value_enum, default_value_t = EngineArg::Cranelift)]
        engine: EngineArg,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ExportOptions {
    /// Name, or the first digits of its id
    pub(crate) ledger: String,
    /// What the file is for
    #[arg(long, value_enum)]
    pub(crate) kind: KindArg,
    /// First sequence number; 0 when absent
    #[arg(long, value_name = "SEQ")]
    pub(crate) from: Option<u64>,
    /// First sequence number that is not in the bundle; of a checkpoint, its number of receipts. All when absent
    #[arg(long, value_name = "SEQ")]
    pub(crate) to: Option<u64>,
    /// Where the bundle goes; an existing file is never overwritten
    #[arg(long)]
    pub(crate) out: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct FetchOptions {
    /// Name, or the first digits of its id
    pub(crate) ledger: String,
    /// Name of the peer, as in the configuration
    #[arg(long, value_name = "NAME")]
    pub(crate) from_peer: String,
    /// What the file is for
    #[arg(long, value_enum)]
    pub(crate) kind: KindArg,
    /// First sequence number
    #[arg(long, value_name = "SEQ", default_value_t = 0)]
    pub(crate) from: u64,
    /// First sequence number that is not in the bundle, at most 16384 after the first; of a checkpoint, its number of
    /// receipts. When absent, as far as a quorum has it; the newest checkpoint
    #[arg(long, value_name = "SEQ")]
    pub(crate) to: Option<u64>,
    /// Where the bundle goes; an existing file is never overwritten
    #[arg(long)]
    pub(crate) out: PathBuf,
}

/// Whom to believe: a key or a policy.
#[derive(Clone, Debug, Args)]
pub(crate) struct TrustArgs {
    /// The ledger's attester: 64 hexadecimal digits, or a note key, name+keyid+base64. Given again: another member, whose
    /// vote counts where a bundle says what is final
    #[arg(long, value_name = "PUBLIC")]
    pub(crate) key: Vec<String>,
    /// File with a trust policy (C2SP tlog-policy)
    #[arg(long, value_name = "POLICY", conflicts_with = "key")]
    pub(crate) trust: Option<PathBuf>,
}

impl TrustArgs {
    /// Somebody is named.
    pub(super) fn is_given(&self) -> bool {
        !self.key.is_empty() || self.trust.is_some()
    }

    /// The key, where more than one have no meaning.
    pub(crate) fn only_key(&self) -> Result<Option<&str>, CliError> {
        match self.key.as_slice() {
            [] => Ok(None),
            [key] => Ok(Some(key)),
            _ => Err(CliError::Usage("give --key once: several say whose votes count in a bundle".to_owned())),
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum KindArg {
    /// Receipts with their inputs, step records and attestations
    Receipt,
    /// A checkpoint with its snapshot
    Checkpoint,
    /// A range with everything that doing its steps again takes
    Replay,
}

impl From<KindArg> for BundleKind {
    fn from(arg: KindArg) -> Self {
        match arg {
            KindArg::Receipt => Self::Receipt,
            KindArg::Checkpoint => Self::Checkpoint,
            KindArg::Replay => Self::Replay,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum EvidenceCommand {
    /// Make evidence
    #[command(subcommand)]
    Make(MakeCommand),
    /// What a file of evidence says
    Show {
        /// The file
        file: PathBuf,
    },
    /// Whether the holder of a key signed something wrong: 0 it holds, 1 it does not, 2 it cannot be told here
    Verify {
        /// The file
        file: PathBuf,
        /// The public key: 64 hexadecimal digits, or a note key, name+keyid+base64
        #[arg(long, value_name = "PUBLIC")]
        key: String,
        /// What runs the policy
        #[arg(long, value_enum, default_value_t = EngineArg::Cranelift)]
        engine: EngineArg,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum MakeCommand {
    /// Of two bundles: one key signed two receipts with the same sequence number
    Equivocation(PairOptions),
    /// Of two checkpoints, or two bundles that begin with their ledger: one key signed two logs that contradict
    Fork(PairOptions),
    /// Of a ledger of this node: a signed receipt that its step does not give
    Fault {
        /// Name, or the first digits of its id
        ledger: String,
        /// Which receipt; `reprise verify` names it
        seq: u64,
        /// Where the evidence goes; an existing file is never overwritten
        #[arg(long)]
        out: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct PairOptions {
    /// One of them
    pub(crate) one: PathBuf,
    /// The other
    pub(crate) other: PathBuf,
    /// Where the evidence goes; an existing file is never overwritten
    #[arg(long)]
    pub(crate) out: PathBuf,
}
