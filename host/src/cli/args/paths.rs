//! The files and directories that a command names.

use super::{
    ArchiveCommand, BundleCommand, Command, EvidenceCommand, FederationCommand, KeyCommand, LedgerCommand, LogCommand,
    MakeCommand, NodeCommand, PackageCommand, QuarantineCommand, ReceiptsCommand, RecoverCommand, ScenarioCommand,
    StateCommand, TrustArgs,
};
use std::path::{Path, PathBuf};

impl Command {
    /// Takes relative paths as of `directory`, not of where this process is.
    pub(crate) fn resolve(&mut self, directory: &Path) {
        if let Self::Verify(options) = self {
            options.directory = directory.to_owned();
        }
        for path in self.paths() {
            *path = directory.join(&*path);
        }
    }

    /// Every path that the command names. Of `verify` the first may be a ledger or a file: see `VerifyOptions::file`.
    fn paths(&mut self) -> Vec<&mut PathBuf> {
        match self {
            Self::Init | Self::Advance(_) | Self::Replay(_) | Self::Checkpoint(_) | Self::Peer(_) => Vec::new(),
            Self::Peers | Self::Reconcile(_) | Self::Status | Self::Bench(_) | Self::Drill(_) => Vec::new(),
            Self::Federation(FederationCommand::Take { grant, .. }) => vec![grant],
            Self::Federation(
                FederationCommand::Status | FederationCommand::Resume { .. } | FederationCommand::Compare(_),
            ) => Vec::new(),
            Self::Scenario(ScenarioCommand::Run(options) | ScenarioCommand::Check(options)) => {
                options.files.iter_mut().chain(&mut options.package).chain(&mut options.trace_dir).collect()
            }
            Self::Demo(options) => options.keep.iter_mut().collect(),
            Self::Submit(options) => vec![&mut options.file],
            Self::Key(KeyCommand::Show) => Vec::new(),
            Self::Key(KeyCommand::Generate { out, .. }) => vec![out],
            Self::Package(command) => command.paths(),
            Self::Ledger(LedgerCommand::Grant(options)) => vec![&mut options.out],
            Self::Ledger(_) => Vec::new(),
            Self::Receipts(ReceiptsCommand::Prove { out, .. }) => vec![out],
            Self::Receipts(ReceiptsCommand::CheckProof(options)) => {
                options.receipt.iter_mut().chain([&mut options.file]).chain(options.trust.paths()).collect()
            }
            Self::Receipts(ReceiptsCommand::List { .. } | ReceiptsCommand::Show { .. }) => Vec::new(),
            Self::State(StateCommand::View { out, .. }) => out.iter_mut().collect(),
            Self::State(StateCommand::CheckProjection { file }) => vec![file],
            Self::State(StateCommand::Get { .. } | StateCommand::Scan { .. }) => Vec::new(),
            Self::Verify(options) => options.trust.paths().collect(),
            Self::Recover(RecoverCommand::Take { from, .. }) => vec![from],
            Self::Recover(_) => Vec::new(),
            Self::Doctor(options) => options.archive.iter_mut().collect(),
            Self::Quarantine(QuarantineCommand::Export { out, .. }) => vec![out],
            Self::Quarantine(_) => Vec::new(),
            Self::Bundle(command) => command.paths(),
            Self::Archive(command) => command.paths(),
            Self::Log(LogCommand::ServeDir { out, .. }) => vec![out],
            Self::Evidence(command) => command.paths(),
            Self::Node(NodeCommand::Run { config, .. } | NodeCommand::Check { config }) => config.iter_mut().collect(),
            Self::Node(NodeCommand::Stop) => Vec::new(),
        }
    }
}

impl TrustArgs {
    fn paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        self.trust.iter_mut()
    }
}

impl PackageCommand {
    fn paths(&mut self) -> Vec<&mut PathBuf> {
        match self {
            Self::Inspect { file, .. } | Self::Add { file, .. } => vec![file],
            Self::List => Vec::new(),
            Self::Build { core, key, out, .. } => vec![core, key, out],
        }
    }
}

impl BundleCommand {
    fn paths(&mut self) -> Vec<&mut PathBuf> {
        match self {
            Self::Export(options) => vec![&mut options.out],
            Self::Fetch(options) => vec![&mut options.out],
            Self::Import { file, trust, .. } | Self::Verify { file, trust, .. } => {
                trust.paths().chain([file]).collect()
            }
            Self::Inspect { file } => vec![file],
        }
    }
}

impl ArchiveCommand {
    fn paths(&mut self) -> Vec<&mut PathBuf> {
        match self {
            Self::Write(options) => vec![&mut options.archive],
            Self::Verify { archive, trust } => trust.paths().chain([archive]).collect(),
            Self::Hydrate { archive, .. } | Self::Prune { archive, .. } => vec![archive],
        }
    }
}

impl EvidenceCommand {
    fn paths(&mut self) -> Vec<&mut PathBuf> {
        match self {
            Self::Make(MakeCommand::Equivocation(pair) | MakeCommand::Fork(pair)) => {
                vec![&mut pair.one, &mut pair.other, &mut pair.out]
            }
            Self::Make(MakeCommand::Fault { out, .. }) => vec![out],
            Self::Show { file } | Self::Verify { file, .. } => vec![file],
        }
    }
}

#[cfg(test)]
mod tests;
