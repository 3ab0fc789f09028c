//! This program, run as an operator runs it: another process, its exit code, and what it prints.

use super::{demo, error::CliError};
use crate::node::Node;
use reprise_abi::decode_canonical;
use reprise_receipts::{NoteKey, Package};
use serde_json::Value;
use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Longest end of a child's messages that goes into an error, in bytes.
const MESSAGE_BYTES_MAX: usize = 2_000;

/// A new node that has a built-in package.
pub(crate) fn packaged_node(dir: &Path, package: &[u8]) -> Result<Node, CliError> {
    let built_in = |error: &dyn std::fmt::Display| CliError::Fault(format!("a built-in package: {error}"));
    let node = Node::init(dir)?;
    let package: Package = decode_canonical(package).map_err(|error| built_in(&error))?;
    node.trust_publisher(&NoteKey::parse(demo::PUBLISHER.trim()).map_err(|error| built_in(&error))?)?;
    node.add_package(&package)?;
    Ok(node)
}

/// This program on a node.
pub(crate) struct Reprise {
    program: PathBuf,
    dir: PathBuf,
}

impl Reprise {
    pub(crate) fn at(dir: &Path) -> Result<Self, CliError> {
        let program = env::current_exe().map_err(|error| CliError::File { path: "/proc/self/exe".into(), error })?;
        Ok(Self { program, dir: dir.to_owned() })
    }

    /// A command that is not started yet.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        self.arguments(&mut command, arguments);
        command
    }

    /// The same under a bound on the size of every file that it writes.
    ///
    /// The shell's unit is 512 bytes. The signal that comes with a refused write is ignored: what is left is the error.
    pub(crate) fn command_with_file_size(&self, bytes: u64, arguments: &[&str]) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "trap '' XFSZ; ulimit -f \"$0\"; exec \"$@\"", &(bytes / 512).to_string()]);
        command.arg(&self.program);
        self.arguments(&mut command, arguments);
        command
    }

    fn arguments(&self, command: &mut Command, arguments: &[&str]) {
        command.arg("--dir").arg(&self.dir).arg("--json").args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    }

    /// Runs a command that has to end with this exit code, and gives what it prints last.
    pub(crate) fn run(&self, exit: i32, arguments: &[&str]) -> Result<Value, CliError> {
        let failed = |why: String| CliError::Fault(format!("`reprise {}`: {why}", arguments.join(" ")));
        let output = self.command(arguments).output().map_err(|error| failed(error.to_string()))?;
        if output.status.code() != Some(exit) {
            // A verdict is a report, not a message.
            let said = [message(&output.stderr), message(&output.stdout)].join("\n");
            return Err(failed(format!("{}, {}", output.status, said.trim())));
        }
        let printed = String::from_utf8_lossy(&output.stdout);
        let last = printed.lines().last().unwrap_or("null");
        serde_json::from_str(last).map_err(|error| failed(format!("it printed no JSON: {error}")))
    }
}

/// The end of what a child said.
pub(crate) fn message(stderr: &[u8]) -> String {
    let said = String::from_utf8_lossy(stderr);
    let said = said.trim();
    said[said.floor_char_boundary(said.len().saturating_sub(MESSAGE_BYTES_MAX))..].to_owned()
}

/// A string of a report.
pub(crate) fn text_of(report: &Value, name: &str) -> String {
    report.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// A number of a report.
pub(crate) fn number_of(report: &Value, name: &str) -> u64 {
    report.get(name).and_then(Value::as_u64).unwrap_or_default()
}
