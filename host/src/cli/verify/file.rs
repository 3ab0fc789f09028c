//! `reprise verify FILE`: what kind of file it is, and the command that verifies that.

use super::super::{
    args::{CheckProofOptions, VerifyOptions},
    bundle,
    error::{CliError, Exit},
    evidence, log,
    place::Place,
    report::Printer,
    state,
};
use crate::node::{Access, read_bounded};
use reprise_abi::{Canonical, decode_canonical};
use reprise_receipts::{bundle::BUNDLE_MAGIC, evidence::EVIDENCE_MAGIC, projection::ProjectionFile};
use std::path::Path;

/// First bytes of a proof file (C2SP tlog-proof).
const PROOF_MAGIC: &[u8] = b"c2sp.org/tlog-proof@";

/// Verifies a file of any kind that this project writes. Only a projection needs a node.
pub(super) fn verify(
    path: &Path,
    options: &VerifyOptions,
    place: &Place<'_>,
    print: &Printer,
) -> Result<Exit, CliError> {
    let beginning = read_bounded(path, ProjectionFile::BYTES_MAX as u64)?;
    if beginning.starts_with(EVIDENCE_MAGIC) {
        let key = options.trust.only_key()?.ok_or_else(|| {
            CliError::Usage(format!(
                "{} is evidence: give the public key of whom it accuses with --key (evidence is not verified under a \
                 policy)",
                path.display()
            ))
        })?;
        return evidence::verify(path, key, options.engine.into(), print);
    }
    if beginning.starts_with(PROOF_MAGIC) {
        let check = CheckProofOptions { file: path.to_owned(), receipt: None, trust: options.trust.clone() };
        return log::check_proof(&check, print);
    }
    if !beginning.starts_with(BUNDLE_MAGIC) && decode_canonical::<ProjectionFile>(&beginning).is_ok() {
        return state::check_projection(&place.open(Access::Read)?, path, print);
    }
    bundle::verify_file(path, &bundle::trust(&options.trust)?, options.engine.into(), print)
}
