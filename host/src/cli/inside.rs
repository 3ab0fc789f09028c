//! Commands inside a running node: both ends of it.
//!
//! The client hands over its command line as it was typed, and where it is. The node reads it as the client did, refuses
//! what is not for a running node, runs the very code that runs without one, over its open journal, and gives back what
//! the command said and how it ended.

use super::{
    args::{Arguments, Class, Command, LedgerCommand},
    error::{CliError, Exit},
    node::gone,
    over_journal,
    place::{Place, RunningNode},
    report::{PAGE_BYTES_MAX, Page, Printer},
};
use crate::{
    daemon::{
        client::Client,
        commands::{Asked, Commands, Currency, Told},
        control::Wanted,
    },
    node::Node,
};
use clap::Parser;
use std::{
    env,
    ffi::OsString,
    io::{self, Write},
    path::Path,
    sync::Arc,
};

/// Hands this process's command line to the running node, prints what it says, and ends as the command did there.
pub(super) fn ask(running: Client, command: &Command, dir: &Path) -> Result<Exit, CliError> {
    if command.class() == Class::Changes {
        return Err(changes(command, dir));
    }
    let arguments = env::args_os().skip(1).map(text).collect::<Result<Vec<_>, _>>()?;
    run_there(running, arguments)
}

/// Lets the running node run a command line, and prints what it says.
pub(super) fn run_there(running: Client, arguments: Vec<String>) -> Result<Exit, CliError> {
    let here = env::current_dir().map_err(|error| CliError::File { path: ".".into(), error })?;
    let wanted = Wanted::Command { arguments, directory: text(here.into_os_string())?.into() };
    let answer = running.ask(&wanted).map_err(gone)?;
    if let Some(error) = answer["error"].as_str() {
        return Err(CliError::Refusal(error.to_owned()));
    }
    if let Some(fault) = answer["fault"].as_str() {
        return Err(CliError::Fault(fault.to_owned()));
    }
    let (Some(out), Some(errors), Some(exit)) =
        (answer["out"].as_str(), answer["errors"].as_str(), answer["exit"].as_u64())
    else {
        return Err(CliError::Fault("the running node gives no answer that can be read".to_owned()));
    };
    // A reader that went away, as `head` does, is no reason to fail.
    let _ = io::stdout().write_all(out.as_bytes());
    let _ = io::stderr().write_all(errors.as_bytes());
    Exit::of(exit).ok_or_else(|| CliError::Fault(format!("the running node ends the command with {exit}")))
}

fn text(text: OsString) -> Result<String, CliError> {
    let not_text = |_| CliError::Usage("a running node takes arguments and directories in UTF-8 only".to_owned());
    text.into_string().map_err(not_text)
}

/// The commands of this program.
pub(super) struct Inside;

impl Commands for Inside {
    fn run(&self, asked: Asked, node: &Arc<Node>, currency: &Currency) -> Told {
        let typed = std::iter::once("reprise".to_owned()).chain(asked.arguments);
        let mut arguments = match Arguments::try_parse_from(typed) {
            Ok(arguments) => arguments,
            Err(error) => return Told { out: String::new(), errors: error.to_string(), exit: Exit::Usage as u8 },
        };
        arguments.command.resolve(&asked.directory);
        let print = Printer::on_page(arguments.json);
        let ended = run(&arguments, node, currency, &print);
        let Page { out, mut errors, is_full, .. } = print.take_page();
        let ended = match ended {
            Ok(_) if is_full => Err(CliError::Refusal(format!(
                "there is more to say than a running node says at once, {PAGE_BYTES_MAX} bytes: ask for less, with a range \
                 or a limit"
            ))),
            ended => ended,
        };
        let exit = ended.unwrap_or_else(|error| {
            errors.push_str(&format!("reprise: {error}\n"));
            error.exit()
        });
        Told { out, errors, exit: exit as u8 }
    }
}

fn run(arguments: &Arguments, node: &Arc<Node>, currency: &Currency, print: &Printer) -> Result<Exit, CliError> {
    let live = match arguments.command.class() {
        Class::Reads => None,
        Class::Adds => Some(node.clone()),
        Class::Changes => return Err(changes(&arguments.command, node.dir())),
        Class::Here | Class::Asks => {
            return Err(CliError::Refusal("the command does not run inside a node".to_owned()));
        }
    };
    let running = RunningNode { moment: Arc::new(node.moment()?), live, currency };
    over_journal(&arguments.command, &Place::running(node.dir(), &running, arguments.fresh, print), print)
}

fn changes(command: &Command, dir: &Path) -> CliError {
    let otherwise = match command {
        Command::Ledger(LedgerCommand::Grant(_)) => "; with the ledger's whole id and --epoch it needs no journal",
        _ => "",
    };
    CliError::Refusal(format!(
        "a node runs in {}, and this command changes what it works with: stop it with `reprise node stop`, and start it \
         again afterwards{otherwise}",
        dir.display()
    ))
}
