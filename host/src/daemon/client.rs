//! The other end of the control socket: what a command does.

use super::control::{Wanted, of_words, path};
use crate::operators::Stand;
use serde_json::Value;
use std::{
    io::{self, BufRead, BufReader, Write},
    net::Shutdown,
    os::unix::net::UnixStream,
    path::Path,
};

/// A running node.
#[derive(Debug)]
pub struct Client {
    stream: UnixStream,
}

impl Client {
    /// The node that runs in this directory. `None` when none does.
    ///
    /// # Errors
    /// The socket is there and cannot be used.
    pub fn connect(node: &Path) -> io::Result<Option<Self>> {
        match UnixStream::connect(path(node)) {
            Ok(stream) => Ok(Some(Self { stream })),
            // A socket without a process is what a crash leaves.
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Asks one thing.
    ///
    /// # Errors
    /// The node went away, or gives no answer that can be read.
    pub fn ask(mut self, wanted: &Wanted) -> io::Result<Value> {
        self.say(wanted)?;
        answers(&self.stream).next().unwrap_or_else(|| Err(io::ErrorKind::UnexpectedEof.into()))
    }

    /// Where a ledger stands; with a package, whether that may take over. The inner error is the node's refusal.
    ///
    /// # Errors
    /// As for [`Self::ask`].
    pub fn stands(self, ledger: &str, package: Option<&str>) -> io::Result<Result<Stand, String>> {
        let wanted = Wanted::Stands { ledger: ledger.to_owned(), package: package.map(str::to_owned) };
        let answer = self.ask(&wanted)?;
        if let Some(error) = answer["error"].as_str() {
            return Ok(Err(error.to_owned()));
        }
        of_words(&answer).map(Ok).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// Submits events, one a line, and gives each answer to `on_answer` as soon as it holds.
    ///
    /// # Errors
    /// The events cannot be read, or the node went away: events without an answer may or may not have been taken, and are
    /// not done twice when they are submitted again.
    pub fn submit(
        mut self,
        ledger: &str,
        mut events: impl BufRead + Send + 'static,
        mut on_answer: impl FnMut(&Value),
    ) -> io::Result<()> {
        self.say(&Wanted::Submit { ledger: ledger.to_owned() })?;
        let mut to = self.stream.try_clone()?;
        let feeding = std::thread::spawn(move || {
            let copied = io::copy(&mut events, &mut to);
            to.shutdown(Shutdown::Write).and(copied.map(drop))
        });
        for answer in answers(&self.stream) {
            let answer = answer?;
            if answer.get("end").is_some() {
                return feeding.join().unwrap_or_else(|_| Err(io::Error::other("reading the events panicked")));
            }
            if let Some(error) = answer.get("error") {
                return Err(io::Error::other(error.to_string()));
            }
            on_answer(&answer);
        }
        Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the node went away"))
    }

    fn say(&mut self, wanted: &Wanted) -> io::Result<()> {
        let wanted = serde_json::to_string(wanted).map_err(io::Error::other)?;
        writeln!(self.stream, "{wanted}")
    }
}

fn answers(stream: &UnixStream) -> impl Iterator<Item = io::Result<Value>> {
    let lines = BufReader::new(stream).lines();
    lines.map(|line| serde_json::from_str(&line?).map_err(io::Error::other))
}
