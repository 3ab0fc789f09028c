//! The command `reprise`: arguments as typed, one module per command, one way to print and to exit.

mod advance;
mod archive;
mod args;
mod bench;
mod bundle;
mod checkpoint;
mod child;
mod deliver;
mod demo;
mod doctor;
mod drill;
mod drivers;
mod error;
mod evidence;
mod finality;
mod grant;
mod inside;
mod key;
mod ledger;
mod log;
mod node;
mod package;
mod peer;
mod place;
mod quarantine;
mod receipts;
mod recover;
mod replay;
mod report;
mod scenario;
mod session;
mod state;
mod status;
mod submit;
mod text;
mod trio;
mod verify;

use args::{Arguments, CheckpointCommand, Class, Command};
use clap::Parser;
use error::{CliError, Exit};
use place::Place;
use report::Printer;
use std::process::ExitCode;

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage.into() } else { Exit::Done.into() };
        }
    };
    start_logging();
    explain_panics();
    match run(&arguments) {
        Ok(exit) => exit.into(),
        Err(error) => {
            eprintln!("reprise: {error}");
            error.exit().into()
        }
    }
}

fn run(arguments: &Arguments) -> Result<Exit, CliError> {
    let print = &Printer::new(arguments.json);
    let dir = &arguments.dir;
    let class = arguments.command.class();
    if arguments.fresh && class != Class::Reads {
        return Err(CliError::Usage("--fresh is for commands that only read what a node has".to_owned()));
    }
    if matches!(class, Class::Reads | Class::Adds | Class::Changes)
        && let Some(running) = node::client(dir)?
    {
        return inside::ask(running, &arguments.command, dir);
    }
    if let Command::Checkpoint(CheckpointCommand::Create { ledger }) = &arguments.command
        && let Some(running) = node::client(dir)?
    {
        return node::checkpoint(running, ledger, dir, arguments.json);
    }
    match &arguments.command {
        Command::Init => status::init(dir, print),
        Command::Submit(options) => match node::client(dir)? {
            Some(running) => node::submit(running, options, print),
            None => submit::run(options, dir, print),
        },
        Command::Advance(options) => advance::run(options, dir, print),
        Command::Peer(command) => peer::run(command, dir, print),
        Command::Node(command) => node::run(command, dir, print),
        Command::Peers => node::peers(dir, print),
        Command::Reconcile(options) => node::reconcile(options, dir, print),
        Command::Federation(command) => node::federation(command, dir, print),
        Command::Status => match node::client(dir)? {
            Some(running) => node::status(running, print),
            None => status::run(dir, print),
        },
        Command::Scenario(command) => scenario::run(command, print),
        Command::Drill(options) => drill::run(options, dir, print),
        Command::Demo(options) => demo::run(options),
        Command::Bench(options) => bench::run(options, print),
        of_a_journal => over_journal(of_a_journal, &Place::directory(dir, arguments.fresh, print), print),
    }
}

/// Commands over a journal, which a directory has or a running node.
fn over_journal(command: &Command, place: &Place<'_>, print: &Printer) -> Result<Exit, CliError> {
    match command {
        Command::Key(command) => key::run(command, place, print),
        Command::Package(command) => package::run(command, place, print),
        Command::Ledger(command) => ledger::run(command, place, print),
        Command::Receipts(command) => receipts::run(command, place, print),
        Command::State(command) => state::run(command, place, print),
        Command::Verify(options) => verify::run(options, place, print),
        Command::Replay(options) => replay::run(options, place, print),
        Command::Checkpoint(command) => checkpoint::run(command, place, print),
        Command::Recover(command) => recover::run(command, place, print),
        Command::Doctor(options) => doctor::run(options, place, print),
        Command::Quarantine(command) => quarantine::run(command, place, print),
        Command::Bundle(command) => bundle::run(command, place, print),
        Command::Archive(command) => archive::run(command, place, print),
        Command::Log(command) => log::run(command, place, print),
        Command::Evidence(command) => evidence::run(command, place, print),
        Command::Init
        | Command::Submit(_)
        | Command::Advance(_)
        | Command::Peer(_)
        | Command::Node(_)
        | Command::Peers
        | Command::Reconcile(_)
        | Command::Federation(_)
        | Command::Status
        | Command::Scenario(_)
        | Command::Drill(_)
        | Command::Demo(_)
        | Command::Bench(_) => Err(CliError::Fault("the command is not over a journal".to_owned())),
    }
}

fn start_logging() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("REPRISE_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn,reprise::policy=off"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}

/// A panic is a broken invariant of ours, or of the database on a damaged file: it says so, and what to do.
fn explain_panics() {
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        default(info);
        eprintln!(
            "reprise: internal fault: nothing that was acknowledged is lost; run `reprise verify` before going on, and \
             keep a copy of the node's directory"
        );
    }));
}
