//! `reprise ledger drivers`: what carries out a ledger's effects.

use super::{
    error::{CliError, Exit},
    node::{client, gone},
    place::Place,
    report::{Printer, Record},
};
use crate::{
    daemon::{client::Client, control::Wanted},
    effects::{
        DriverKind, DriversError,
        config::{self, Change, Drivers},
    },
    node::Access,
};
use reprise_abi::limits::NAME_BYTES_MAX;
use serde_json::Value;

/// Changes the drivers of a ledger as asked, and shows them.
pub(crate) fn run(
    place: &Place<'_>,
    ledger: &str,
    set: &[String],
    unset: &[String],
    print: &Printer,
) -> Result<Exit, CliError> {
    let set = set.iter().map(|assignment| parse(assignment)).collect::<Result<_, _>>()?;
    let change = Change { set, unset: unset.to_vec() };
    let changes = change != Change::default();
    let running = if changes { client(place.dir())? } else { None };
    let drivers = match running {
        Some(running) => change_running(running, ledger, change)?,
        None => {
            let node = place.open(if changes { Access::Write } else { Access::Read })?;
            let entry = node.find_ledger(ledger)?;
            config::change(node.dir(), entry.id, change).map_err(fault)?
        }
    };
    let row = |(driver, kind): (String, DriverKind)| Record::new().with("driver", driver).with("kind", kind.name());
    print.rows(drivers.into_iter().map(row).collect());
    Ok(Exit::Done)
}

/// The node that runs changes them: what it delivers from then on goes to these.
fn change_running(running: Client, ledger: &str, change: Change) -> Result<Drivers, CliError> {
    let set = change.set.into_iter().map(|(driver, kind)| (driver, kind.name().to_owned())).collect();
    let answer = running.ask(&Wanted::Drivers { ledger: ledger.to_owned(), set, unset: change.unset }).map_err(gone)?;
    if let Some(why) = answer["error"].as_str() {
        return Err(CliError::Refusal(why.to_owned()));
    }
    let row = |row: &Value| {
        let kind = row["kind"].as_str().and_then(DriverKind::named)?;
        Some((row["driver"].as_str()?.to_owned(), kind))
    };
    let rows = answer.as_array().and_then(|rows| rows.iter().map(row).collect());
    rows.ok_or_else(|| CliError::Fault(format!("the running node gave no drivers: {answer}")))
}

pub(super) fn fault(error: DriversError) -> CliError {
    CliError::Fault(error.to_string())
}

fn parse(assignment: &str) -> Result<(String, DriverKind), CliError> {
    let usage = || CliError::Usage(format!("`{assignment}`: write DRIVER=KIND, the kind being `log`"));
    let (driver, kind) = assignment.rsplit_once('=').ok_or_else(usage)?;
    let kind = DriverKind::named(kind).ok_or_else(usage)?;
    if driver.is_empty() || driver.len() > NAME_BYTES_MAX || driver.contains(char::is_control) {
        return Err(CliError::Usage(format!(
            "`{driver}`: a driver's name is 1 to {NAME_BYTES_MAX} bytes, on one line"
        )));
    }
    Ok((driver.to_owned(), kind))
}
