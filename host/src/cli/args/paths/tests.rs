use super::super::Arguments;
use clap::{CommandFactory, Parser, builder::ValueParser};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// A command line for every option that takes a path, with `here` as each path.
const LINES: &[&str] = &[
    "key generate --name n --out here",
    "package inspect here",
    "package add here",
    "package build --core here --publisher p --key here --out here",
    "ledger grant l --to-owner k --attester k --out here",
    "submit l here",
    "receipts prove l 1 --out here",
    "receipts check-proof here --receipt here --trust here",
    "state view l v --out here",
    "state check-projection here",
    "verify here --trust here",
    "recover take l --from here",
    "doctor l --archive here",
    "quarantine export l 1 --out here",
    "bundle export l --kind replay --out here",
    "bundle fetch l --from-peer p --kind replay --out here",
    "bundle import here --trust here",
    "bundle inspect here",
    "bundle verify here --trust here",
    "archive write l --archive here",
    "archive verify here --trust here",
    "archive hydrate l --archive here",
    "archive prune l --archive here --keep 1",
    "log serve-dir l here",
    "evidence make equivocation here here --out here",
    "evidence make fork here here --out here",
    "evidence make fault l 1 --out here",
    "evidence show here",
    "evidence verify here --key k",
    "node run --config here",
    "node check --config here",
    "federation take l --grant here",
    "scenario run here --package here --trace-dir here",
    "scenario check here --package here --trace-dir here",
    "demo --keep here",
];

#[test]
fn every_relative_path_is_taken_as_of_the_clients_directory() {
    for line in LINES {
        let mut arguments = Arguments::try_parse_from(["reprise"].into_iter().chain(line.split(' '))).unwrap();
        arguments.command.resolve(Path::new("/there"));
        let seen = format!("{:?}", arguments.command);
        // What `verify` is about may be a ledger too: it is kept as typed, and resolved as a file.
        let as_typed = usize::from(line.starts_with("verify"));
        assert_eq!(seen.matches("\"here\"").count(), as_typed, "{line}: {seen}");
        assert!(seen.matches("\"/there/here\"").count() + as_typed >= line.matches("here").count(), "{line}: {seen}");
        arguments.command.resolve(Path::new("/elsewhere"));
        assert!(format!("{:?}", arguments.command).contains("/there/here"), "an absolute path stays: {line}");
    }
}

#[test]
fn a_line_is_tried_for_every_option_that_takes_a_path() {
    let mut seen = BTreeSet::new();
    visit(&Arguments::command(), String::new(), &mut |command, option, positional| {
        seen.insert(format!("{command} {option}"));
        let named =
            |line: &&str| line.starts_with(command) && (positional || line.contains(&format!("--{option} here")));
        assert!(LINES.iter().any(named), "no line for `{option}` of `{command}`");
    });
    assert!(seen.len() > LINES.len(), "{seen:?}");
}

fn visit(command: &clap::Command, name: String, found: &mut impl FnMut(&str, &str, bool)) {
    let path = ValueParser::path_buf().type_id();
    for argument in command.get_arguments().filter(|argument| argument.get_value_parser().type_id() == path) {
        // The node's directory is not of the command: a running node knows its own.
        if argument.get_id() != "dir" {
            let option = argument.get_long().unwrap_or(argument.get_id().as_str());
            found(&name, option, argument.is_positional());
        }
    }
    for below in command.get_subcommands() {
        visit(below, format!("{name} {}", below.get_name()).trim_start().to_owned(), found);
    }
}

#[test]
fn a_file_to_verify_is_of_the_clients_directory() {
    let mut arguments = Arguments::try_parse_from(["reprise", "verify", "some.file"]).unwrap();
    arguments.command.resolve(Path::new("/there"));
    let super::Command::Verify(options) = &arguments.command else { panic!("{arguments:?}") };
    assert_eq!((options.file(), options.ledger.as_str()), (PathBuf::from("/there/some.file"), "some.file"));
}
