//! `reprise key`: public halves of keys. Secret halves are never printed.

use super::{
    args::KeyCommand,
    error::{CliError, Exit},
    place::Place,
    report::{Printer, Record},
};
use crate::{keys, node::Access};
use reprise_receipts::{NoteKey, SigningKey};
use std::path::Path;

pub(crate) fn run(command: &KeyCommand, place: &Place<'_>, print: &Printer) -> Result<Exit, CliError> {
    match command {
        KeyCommand::Show => show(place, print),
        KeyCommand::Generate { name, out } => generate(name, out, print),
    }
}

fn show(place: &Place<'_>, print: &Printer) -> Result<Exit, CliError> {
    let node = place.open(Access::Read)?;
    let publishers: Vec<_> = node.publishers()?.iter().map(ToString::to_string).collect();
    print.record(
        Record::new()
            .with("attester", node.attester()?.public().to_string())
            .with("operator", node.operator()?.public().to_string())
            .with("trusted publishers", publishers),
    );
    Ok(Exit::Done)
}

fn generate(name: &str, out: &Path, print: &Printer) -> Result<Exit, CliError> {
    // The name is checked before there is a file.
    let usable = |key: &SigningKey| {
        NoteKey::new(name, key.public()).map_err(|error| CliError::Usage(format!("--name: {error}")))
    };
    usable(&SigningKey::from_secret(&[1; 32]))?;
    let key = SigningKey::from_secret(&*keys::create(out)?);
    print.record(
        Record::new().with("secret key", out.display().to_string()).with("public key", usable(&key)?.to_string()),
    );
    Ok(Exit::Done)
}
