//! Arguments of the commands that do steps again.

use super::{EngineArg, TrustArgs};
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct VerifyOptions {
    /// Name, or the first digits of its id; or a file: a bundle, evidence, a projection, a proof of a receipt
    #[arg(value_name = "LEDGER|FILE")]
    pub(crate) ledger: String,
    /// Where a relative path of a file begins, when that is not where this process is.
    #[arg(skip)]
    pub(super) directory: PathBuf,
    #[command(flatten)]
    pub(crate) trust: TrustArgs,
    /// FROM..TO, the end not included; the whole ledger when absent
    #[arg(long, value_name = "FROM..TO")]
    pub(crate) range: Option<String>,
    /// What runs the policy
    #[arg(long, value_enum, default_value_t = EngineArg::Cranelift)]
    pub(crate) engine: EngineArg,
    /// Segments verified at the same time; as many as there are processors when absent
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) jobs: Option<u16>,
}

#[derive(Debug, Args)]
pub(crate) struct ReplayOptions {
    /// Name, or the first digits of its id
    pub(crate) ledger: String,
    /// FROM..TO, the end not included; the whole ledger when absent
    #[arg(value_name = "FROM..TO")]
    pub(crate) range: Option<String>,
    /// What runs the policy
    #[arg(long, value_enum, default_value_t = EngineArg::Cranelift)]
    pub(crate) engine: EngineArg,
    /// Print the keys that each step changes
    #[arg(long)]
    pub(crate) changes: bool,
}

impl VerifyOptions {
    /// What is to be verified, as a file.
    pub(crate) fn file(&self) -> PathBuf {
        self.directory.join(&self.ledger)
    }
}
