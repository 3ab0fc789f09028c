//! `reprise ledger grant` and `reprise federation take`: moving a ledger to another owner.

use super::{
    args::GrantOptions,
    error::{CliError, Exit},
    node::{client, gone},
    report::{Printer, Record},
    session,
};
use crate::{
    daemon::{config::NodeConfig, control::Wanted},
    journal::LedgerEntry,
    keys,
    node::{Access, Node},
    orderer::{LocalOrderer, TimeSource},
    succession::{self, GRANT_FILE_BYTES_MAX},
};
use reprise_abi::encode;
use reprise_receipts::{
    LedgerId, PublicKey,
    command::{Command, SignedCommand},
};
use serde_json::Value;
use std::{fs, io, path::Path, thread::sleep, time::Duration};

/// How often it is asked whether a new owner orders inputs, and the time between.
const ENTER_QUESTIONS_MAX: u32 = 100;
const ENTER_PAUSE: Duration = Duration::from_millis(100);

/// Signs, and adds the signature to those that are in the file already.
pub(super) fn sign(options: &GrantOptions, dir: &Path, print: &Printer) -> Result<Exit, CliError> {
    let key = |text: &str, what: &str| {
        let weak = || CliError::Usage(format!("{what}: expected 64 hexadecimal digits of a public key"));
        keys::parse_public(text).ok_or_else(weak)
    };
    let (owner, attester) = (key(&options.to_owner, "--to-owner")?, key(&options.attester, "--attester")?);
    let (ledger, to) = target(options, dir)?;
    let operator = keys::read_signing(&dir.join("keys").join("operator.key"))?;
    let mut signed = Command::Epoch { to, owner, attester, roster: options.roster }.sign(ledger, &operator);
    let file_error = |error| CliError::File { path: options.out.clone(), error };
    match fs::read_to_string(&options.out) {
        Ok(text) => {
            let before = succession::of_file(&text).filter(|(of, _)| *of == ledger).map(|(_, before)| before);
            signed = before.and_then(|before| signed.joined(before)).ok_or_else(|| {
                CliError::Refusal(format!("{} is there and holds something else", options.out.display()))
            })?;
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(file_error(error)),
    }
    fs::write(&options.out, succession::to_file(ledger, &signed)).map_err(file_error)?;
    print.record(
        Record::new()
            .with("ledger id", ledger.to_string())
            .with("epoch", to)
            .with("owner", owner.to_string())
            .with("attester", attester.to_string())
            .with("signatures", signed.signatures.len())
            .with("file", options.out.display().to_string()),
    );
    Ok(Exit::Done)
}

/// The ledger and the epoch to begin; from the journal, unless both are given in full.
fn target(options: &GrantOptions, dir: &Path) -> Result<(LedgerId, u64), CliError> {
    if let Some(whole) = options.whole() {
        return Ok(whole);
    }
    let node = Node::open(dir, Access::Read)?;
    let entry = node.find_ledger(&options.ledger)?;
    if !entry.genesis.has_succession() {
        let protocol = entry.genesis.protocol_epoch;
        return Err(CliError::Refusal(format!("a ledger of protocol epoch {protocol} stays in its first epoch")));
    }
    let in_force = node.journal().attesters(&entry)?.in_force().epoch;
    let next = succession::next_epoch(node.journal(), &entry, in_force)?;
    let epoch = options.epoch.unwrap_or(next);
    if epoch <= in_force {
        return Err(CliError::Usage(format!("the ledger is in epoch {in_force}: only a higher one can begin")));
    }
    Ok((entry.id, epoch))
}

/// Hands a grant to the node that runs here; without one, this node enters the epoch if nobody else has a say.
pub(super) fn take(dir: &Path, ledger: &str, path: &Path, print: &Printer) -> Result<Exit, CliError> {
    let bytes = crate::node::read_bounded(path, GRANT_FILE_BYTES_MAX as u64)?;
    let grant = std::str::from_utf8(&bytes).ok().and_then(succession::of_file);
    let (of, grant) = grant.ok_or_else(|| CliError::Usage(format!("{}: it is not a grant", path.display())))?;
    if let Some(client) = client(dir)? {
        let wanted = Wanted::Take { ledger: ledger.to_owned(), grant: succession::hex(&encode(&grant)) };
        let answer = client.ask(&wanted).map_err(gone)?;
        if let Some(error) = answer["error"].as_str() {
            return Err(CliError::Refusal(error.to_owned()));
        }
        let record = Record::new().with("ledger", ledger).with("epoch", answer["epoch"].clone());
        print.record(what_next(record, dir, of, &grant.command)?);
        return Ok(Exit::Done);
    }
    let node = Node::open(dir, Access::Write)?;
    let entry = node.find_ledger(ledger)?;
    if entry.id != of {
        return Err(CliError::Refusal(format!("the grant is of ledger {of}, and `{ledger}` is {}", entry.id)));
    }
    is_alone(dir, &entry)?;
    enter(&node, &entry, grant, print)
}

/// A grant that was handed in is promised; what comes of it is waited for where this node is the new owner.
fn what_next(record: Record, dir: &Path, ledger: LedgerId, command: &Command) -> Result<Record, CliError> {
    let Command::Epoch { to, owner, .. } = command else { return Ok(record) };
    if *owner != keys::node(dir)?.public() {
        return Ok(record.with("next", format!("node {owner} begins the epoch as soon as it has the grant")));
    }
    for _ in 0..ENTER_QUESTIONS_MAX {
        let Some(running) = client(dir)? else { break };
        if orders(&running.ask(&Wanted::Status).map_err(gone)?, ledger, *to) {
            return Ok(record.with("entered", true));
        }
        sleep(ENTER_PAUSE);
    }
    Ok(record.with("entered", false).with(
        "next",
        "this node takes events when a quorum has answered what they have, and it has caught up: `reprise status` says so",
    ))
}

/// A running node orders the inputs of a ledger, in this epoch or a later one.
fn orders(status: &Value, ledger: LedgerId, epoch: u64) -> bool {
    let row = status["ledgers"].as_array().into_iter().flatten().find(|row| row["id"] == ledger.to_string());
    row.is_some_and(|row| row["epoch"].as_u64() >= Some(epoch) && row["role"] == "owner" && row["can go on"] == true)
}

/// Other members may have more of the ledger than this node, or other things: a running node asks them first.
pub(super) fn is_alone(dir: &Path, entry: &LedgerEntry) -> Result<(), CliError> {
    let path = dir.join("node.toml");
    if !path.exists() {
        return Ok(());
    }
    let config = NodeConfig::read(&path).map_err(|error| CliError::Refusal(error.to_string()))?;
    let is_this =
        |name: &str| name == entry.genesis.name || (name.len() >= 6 && entry.id.to_string().starts_with(name));
    if config.ledgers.iter().any(|ledger| is_this(&ledger.name)) {
        return Err(CliError::Refusal(
            "the ledger is shared with other members: start the node with `reprise node run`, so that it can ask them for \
             what they have"
                .to_owned(),
        ));
    }
    Ok(())
}

fn enter(node: &Node, entry: &LedgerEntry, grant: SignedCommand, print: &Printer) -> Result<Exit, CliError> {
    let (open, own) = (node.open_ledger(entry)?, keys::node(node.dir())?.public());
    let is_ours = |owner: &PublicKey| *owner == own;
    match &grant.command {
        Command::Epoch { owner, .. } if is_ours(owner) => {}
        _ => return Err(CliError::Refusal(format!("the grant names another owner; this node's key is {own}"))),
    }
    let none = std::iter::empty();
    session::run_open(node, entry, (open, Some(grant)), LocalOrderer::new(TimeSource::Event), none, |_| {})?;
    let term = *node.open_ledger(entry)?.head.term();
    print.record(
        Record::new()
            .with("ledger", entry.genesis.name.clone())
            .with("epoch", term.epoch)
            .with("receipt", term.first_seq)
            .with("attester", term.attester.to_string()),
    );
    Ok(Exit::Done)
}
