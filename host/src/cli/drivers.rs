//! `reprise ledger drivers`: what carries out a ledger's effects.

use super::{
    error::{CliError, Exit},
    place::Place,
    report::{Printer, Record},
};
use crate::{
    effects::{DriverKind, DriversError, config},
    node::Access,
};
use reprise_abi::limits::NAME_BYTES_MAX;

/// Changes the drivers of a ledger as asked, and shows them.
pub(crate) fn run(
    place: &Place<'_>,
    ledger: &str,
    set: &[String],
    unset: &[String],
    print: &Printer,
) -> Result<Exit, CliError> {
    let changes = !set.is_empty() || !unset.is_empty();
    let node = place.open(if changes { Access::Write } else { Access::Read })?;
    let entry = node.find_ledger(ledger)?;
    let mut drivers = config::read(node.dir(), entry.id).map_err(fault)?;
    for assignment in set {
        let (driver, kind) = parse(assignment)?;
        drivers.insert(driver, kind);
    }
    for driver in unset {
        drivers.remove(driver);
    }
    if changes {
        config::write(node.dir(), entry.id, &drivers).map_err(fault)?;
    }
    let row = |(driver, kind): (String, DriverKind)| Record::new().with("driver", driver).with("kind", kind.name());
    print.rows(drivers.into_iter().map(row).collect());
    Ok(Exit::Done)
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
