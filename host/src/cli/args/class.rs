//! What a command is to a node that runs.

use super::{
    ArchiveCommand, BundleCommand, CheckpointCommand, Command, EvidenceCommand, GrantOptions, KeyCommand,
    LedgerCommand, LogCommand, MakeCommand, NodeCommand, PackageCommand, PeerCommand, QuarantineCommand,
    ReceiptsCommand, RecoverCommand, StateCommand, VerifyOptions, Which,
};

/// Where a command runs while a node runs in its directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// In this process, as always: it needs no journal.
    Here,
    /// Inside the running node: it only reads the journal.
    Reads,
    /// Inside the running node: what it adds to the journal no ledger depends on yet.
    Adds,
    /// In this process: it asks the running node itself.
    Asks,
    /// Nowhere: it changes what the running node works with.
    Changes,
}

impl Command {
    /// What the command is to a node that runs. Every command has its arm: none is taken for a reader by accident.
    pub(crate) fn class(&self) -> Class {
        match self {
            Self::Init | Self::Scenario(_) | Self::Drill(_) | Self::Demo(_) | Self::Bench(_) => Class::Here,
            Self::Submit(_)
            | Self::Advance(_)
            | Self::Peers
            | Self::Federation(_)
            | Self::Reconcile(_)
            | Self::Status => Class::Asks,
            Self::State(
                StateCommand::Get { .. }
                | StateCommand::Scan { .. }
                | StateCommand::View { .. }
                | StateCommand::CheckProjection { .. },
            )
            | Self::Replay(_) => Class::Reads,
            Self::Peer(PeerCommand::Key | PeerCommand::Probe { .. }) => Class::Here,
            Self::Peer(PeerCommand::Revoke { .. } | PeerCommand::Allow { .. }) => Class::Asks,
            Self::Node(NodeCommand::Run { .. } | NodeCommand::Check { .. }) => Class::Here,
            Self::Node(NodeCommand::Stop) => Class::Asks,
            Self::Doctor(options) => reads_if(!options.repair),
            Self::Verify(options) => options.class(),
            Self::Key(command) => command.class(),
            Self::Package(command) => command.class(),
            Self::Ledger(command) => command.class(),
            Self::Receipts(command) => command.class(),
            Self::Checkpoint(command) => command.class(),
            Self::Recover(command) => command.class(),
            Self::Quarantine(command) => command.class(),
            Self::Bundle(command) => command.class(),
            Self::Archive(command) => command.class(),
            Self::Log(LogCommand::ServeDir { .. }) => Class::Reads,
            Self::Evidence(command) => command.class(),
        }
    }
}

fn reads_if(only_reads: bool) -> Class {
    if only_reads { Class::Reads } else { Class::Changes }
}

impl VerifyOptions {
    /// With a key or a policy it is about a file, which stands for itself.
    fn class(&self) -> Class {
        if self.trust.is_given() { Class::Here } else { Class::Reads }
    }
}

impl KeyCommand {
    fn class(&self) -> Class {
        match self {
            Self::Show => Class::Reads,
            Self::Generate { .. } => Class::Here,
        }
    }
}

impl PackageCommand {
    fn class(&self) -> Class {
        match self {
            Self::Inspect { .. } | Self::Build { .. } => Class::Here,
            Self::Add { .. } => Class::Adds,
            Self::List => Class::Reads,
        }
    }
}

impl LedgerCommand {
    fn class(&self) -> Class {
        match self {
            Self::Create { .. } => Class::Changes,
            Self::Resume { .. } | Self::Upgrade { .. } => Class::Asks,
            Self::Drivers { set, unset, .. } if set.is_empty() && unset.is_empty() => Class::Reads,
            Self::Drivers { .. } => Class::Asks,
            Self::List | Self::Show { .. } => Class::Reads,
            Self::Set(options) => reads_if(!options.changes()),
            Self::Grant(options) => options.class(),
        }
    }
}

impl GrantOptions {
    /// A running node does not sign with an operator's key.
    fn class(&self) -> Class {
        if self.whole().is_some() { Class::Here } else { Class::Changes }
    }
}

impl ReceiptsCommand {
    fn class(&self) -> Class {
        match self {
            Self::List { .. } | Self::Show { .. } | Self::Prove { .. } => Class::Reads,
            Self::CheckProof(_) => Class::Here,
        }
    }
}

impl CheckpointCommand {
    fn class(&self) -> Class {
        match self {
            Self::Create { .. } => Class::Asks,
            Self::List { .. } | Self::Show { .. } => Class::Reads,
            Self::Drop { dry_run, .. } => reads_if(*dry_run),
        }
    }
}

impl RecoverCommand {
    fn class(&self) -> Class {
        match self {
            Self::Rollback { dry_run, .. }
            | Self::Restore { dry_run, .. }
            | Self::Take { dry_run, .. }
            | Self::Rebuild { dry_run, .. }
            | Self::Resume { dry_run, .. }
            | Self::Abandon { dry_run, .. } => reads_if(*dry_run),
            Self::Runtime { .. } => Class::Reads,
        }
    }
}

impl QuarantineCommand {
    /// What peers sent is in files of its own.
    fn class(&self) -> Class {
        match self {
            Self::List { ledger: None, .. } => Class::Here,
            Self::List { ledger: Some(_), .. } => Class::Reads,
            Self::Show { which, .. } | Self::Export { which, .. } => match which.which() {
                Which::Case(..) => Class::Reads,
                Which::Record(_) => Class::Here,
            },
            Self::Drop { which, dry_run } => match which.which() {
                Which::Case(..) => reads_if(*dry_run),
                Which::Record(_) => Class::Here,
            },
        }
    }
}

impl BundleCommand {
    fn class(&self) -> Class {
        match self {
            Self::Fetch(_) => Class::Asks,
            Self::Export(_) => Class::Reads,
            Self::Import { dry_run, .. } => reads_if(*dry_run),
            Self::Inspect { .. } | Self::Verify { .. } => Class::Here,
        }
    }
}

impl ArchiveCommand {
    /// Writing one reads the journal only.
    fn class(&self) -> Class {
        match self {
            Self::Write(_) => Class::Reads,
            Self::Verify { .. } => Class::Here,
            Self::Hydrate { dry_run, .. } | Self::Prune { dry_run, .. } => reads_if(*dry_run),
        }
    }
}

impl EvidenceCommand {
    fn class(&self) -> Class {
        match self {
            Self::Make(MakeCommand::Equivocation(_) | MakeCommand::Fork(_)) => Class::Here,
            Self::Make(MakeCommand::Fault { .. }) => Class::Reads,
            Self::Show { .. } | Self::Verify { .. } => Class::Here,
        }
    }
}

#[cfg(test)]
mod tests;
