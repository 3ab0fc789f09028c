//! `reprise bundle`: portable files, and `reprise verify FILE`.

use super::{
    args::{BundleCommand, ExportOptions, KindArg, TrustArgs},
    error::{CliError, Exit},
    finality, node,
    place::Place,
    report::{Printer, Record},
    text, verify,
};
use crate::{
    bundles::{self, BundleFile, BundleFileError},
    journal::StoredCheckpoint,
    node::{Access, EngineChoice, Node, read_bounded},
};
use reprise_receipts::{
    NoteKey, PublicKey, Verdict,
    bundle::{BundleHeader, BundleKind, Checked, Section, Trust},
    trust_policy::{POLICY_BYTES_MAX, TrustPolicy},
};
use serde_json::Value;
use std::path::Path;

pub(crate) fn run(command: &BundleCommand, place: &Place<'_>, print: &Printer) -> Result<Exit, CliError> {
    match command {
        BundleCommand::Export(options) => export(options, place, print),
        BundleCommand::Fetch(options) => node::fetch_bundle(options, place.dir(), print),
        BundleCommand::Import { file, trust: args, dry_run } => import(file, &trust(args)?, *dry_run, place, print),
        BundleCommand::Inspect { file } => inspect(file, print),
        BundleCommand::Verify { file, trust: args, engine } => {
            verify_file(file, &trust(args)?, (*engine).into(), print)
        }
    }
}

/// `reprise verify FILE`: match, divergent or incomparable, with nothing else at hand.
pub(crate) fn verify_file(path: &Path, trust: &Trust, engine: EngineChoice, print: &Printer) -> Result<Exit, CliError> {
    let verified = bundles::verify(path, trust.clone(), engine)?;
    let record = verify::report(&verified.header.genesis.name, &verified.verdict, engine)
        .with("ledger id", verified.header.ledger.to_string())
        .with("bundle", verified.header.kind.name())
        .with("digest", verified.digest.to_string())
        .with("steps done again", verified.redone);
    let record = match (verified.redone, &verified.verdict) {
        (0, Verdict::Match(_)) => record
            .with("what was held", "signatures, digests and roots: a replay bundle has what doing steps again takes"),
        _ => record,
    };
    print.record(finality::of_bundle(record, &verified, trust));
    Ok(verify::exit(&verified.verdict))
}

/// Whom the arguments say to believe.
pub(crate) fn trust(args: &TrustArgs) -> Result<Trust, CliError> {
    let keys = args.key.iter().map(|key| parse_key(key)).collect::<Result<Vec<_>, _>>()?;
    match (keys.as_slice(), &args.trust) {
        ([attester], _) => Ok(Trust::Attester(*attester)),
        ([attester, others @ ..], _) => Ok(Trust::Members { attester: *attester, others: others.to_vec() }),
        ([], Some(path)) => {
            let text = read_bounded(path, POLICY_BYTES_MAX as u64)?;
            let policy = TrustPolicy::parse(&text);
            policy.map(Trust::Policy).map_err(|error| CliError::Usage(format!("{}: {error}", path.display())))
        }
        ([], None) => Err(CliError::Usage(
            "whom to believe? give the attester's public key with --key, or a trust policy with --trust".to_owned(),
        )),
    }
}

/// A public key as typed: hexadecimal digits, or a note key.
pub(crate) fn parse_key(key: &str) -> Result<PublicKey, CliError> {
    let error = |_| CliError::Usage(format!("--key `{key}`: expected 64 hexadecimal digits or name+keyid+base64"));
    if key.contains('+') {
        return NoteKey::parse(key).map(|key| key.key()).map_err(|_| error(()));
    }
    let bytes = text::parse_bytes(&format!("0x{key}")).map_err(|_| error(()))?;
    let bytes: [u8; 32] = bytes.try_into().map_err(|_| error(()))?;
    PublicKey::from_bytes(bytes).map_err(|_| error(()))
}

fn export(options: &ExportOptions, place: &Place<'_>, print: &Printer) -> Result<Exit, CliError> {
    let node = place.open(Access::Read)?;
    let entry = node.find_ledger(&options.ledger)?;
    let size = node.journal().read(entry.no)?.size()?;
    let to = match (options.to, options.kind) {
        (Some(to), _) => to,
        (None, KindArg::Receipt | KindArg::Replay) => size,
        (None, KindArg::Checkpoint) => {
            let kept = |checkpoint: &StoredCheckpoint| checkpoint.restorable;
            let newest = node.journal().checkpoints(entry.no)?.into_iter().rfind(kept);
            newest.ok_or(BundleFileError::NoCheckpoints)?.record.claim.size
        }
    };
    let export = bundles::ExportOptions {
        kind: options.kind.into(),
        range: options.from.unwrap_or(0)..to,
        dir: place.dir().to_owned(),
        signer: node.attester().ok(),
    };
    let attester = *node.journal().attesters(&entry)?.of_log(to);
    let exported = bundles::export(node.journal(), &entry, export, &options.out)?;
    print.record(
        head(&exported.header)
            .with("file", options.out.display().to_string())
            .with("bytes", exported.bytes)
            .with("digest", exported.digest.to_string())
            .with("verify with", format!("--key {attester}")),
    );
    Ok(Exit::Done)
}

fn import(path: &Path, trust: &Trust, dry_run: bool, place: &Place<'_>, print: &Printer) -> Result<Exit, CliError> {
    let node = place.open(if dry_run { Access::Read } else { Access::Write })?;
    if dry_run {
        return plan_import(&node, path, trust, print);
    }
    let imported = match bundles::import(&node, path, trust.clone()) {
        Err(BundleFileError::NotImported(verdict)) => return Ok(not_imported(&verdict, print)),
        imported => imported?,
    };
    print.record(
        head(&imported.header)
            .with("new receipts", imported.receipts)
            .with("new packages", imported.packages)
            .with("final", imported.final_size),
    );
    Ok(Exit::Done)
}

fn plan_import(node: &Node, path: &Path, trust: &Trust, print: &Printer) -> Result<Exit, CliError> {
    let plan = match bundles::plan_import(node, path, trust.clone()) {
        Err(BundleFileError::NotImported(verdict)) => return Ok(not_imported(&verdict, print)),
        plan => plan?,
    };
    print.record(
        head(&plan.header)
            .with("ledger is here", plan.present)
            .with("receipts that are here", plan.size)
            .with("receipts that would come", plan.receipts)
            .with("imported", false),
    );
    Ok(Exit::Done)
}

fn not_imported(verdict: &Verdict, print: &Printer) -> Exit {
    print.record(verify::report("-", verdict, EngineChoice::Cranelift).with("imported", false));
    verify::exit(verdict)
}

fn inspect(path: &Path, print: &Printer) -> Result<Exit, CliError> {
    let mut file = BundleFile::open(path, Trust::GenesisRecord)?;
    let mut record = Record::new();
    while let Some(item) = file.next_item()? {
        match item {
            Checked::Header(header) => record = sections(head(&header), &header),
            Checked::Package(name, package) => {
                let description = &package.manifest.description;
                let package = format!("{} {} ({})", description.name, description.version, text::digest(name));
                record = record.with("package", package);
            }
            Checked::Note(note) => record = record.with("checkpoint over", note.checkpoint().size),
            Checked::Final(mark) => record = record.with("final mark", finality::shown(&mark, &Trust::GenesisRecord)),
            Checked::End(digest) => record = record.with("digest", digest.to_string()),
            _ => {}
        }
    }
    print.record(record.with("signed by", "the attester that the genesis record names; nobody says whose key that is, nor vouches for those of a final mark"));
    Ok(Exit::Done)
}

fn head(header: &BundleHeader) -> Record {
    let record = Record::new()
        .with("bundle", header.kind.name())
        .with("ledger", header.genesis.name.clone())
        .with("ledger id", header.ledger.to_string())
        .with(
            if header.grants.is_empty() { "attester" } else { "first attester" },
            header.genesis.attester.to_string(),
        );
    let record = if header.grants.is_empty() { record } else { record.with("epochs begun since", header.grants.len()) };
    match header.kind {
        BundleKind::Checkpoint => record.with("receipts", header.to),
        BundleKind::Receipt | BundleKind::Replay => record.with("from", header.from).with("to", header.to),
    }
}

fn sections(record: Record, header: &BundleHeader) -> Record {
    let filled = Section::ALL.into_iter().filter(|section| header.has(*section));
    let sections: Vec<Value> = filled.map(|section| format!("{section}: {}", header.count(section)).into()).collect();
    record.with("sections", sections)
}
