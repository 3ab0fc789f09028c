//! `reprise bundle fetch`: an operator gets a bundle of a peer, verified, as a file.

use super::{
    fetch::{Anchor, FetchEnd, FetchError, Fetched, For},
    remove,
};
use crate::daemon::driver::Driver;
use reprise_federation::NodeKey;
use reprise_receipts::{Verdict, bundle::BundleKind};
use serde_json::{Value, json};
use std::{
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
    thread,
};
use tokio::sync::oneshot;

/// What an operator wants.
#[derive(Debug)]
pub(in crate::daemon) struct Wish {
    /// Name, or the first digits of its id.
    pub(in crate::daemon) ledger: String,
    /// Name of the peer.
    pub(in crate::daemon) peer: String,
    pub(in crate::daemon) kind: BundleKind,
    pub(in crate::daemon) from: u64,
    pub(in crate::daemon) to: Option<u64>,
    /// Where the file goes. It is not there.
    pub(in crate::daemon) out: PathBuf,
    pub(in crate::daemon) reply: oneshot::Sender<Result<Value, String>>,
}

impl Driver {
    /// Begins to fetch; the answer comes when the file is there.
    pub(in crate::daemon) fn wish_bundle(&mut self, wish: Wish) {
        let (peer, anchor) = match self.wanted_of(&wish) {
            Ok(wanted) => wanted,
            Err(why) => return wish.refuse(why),
        };
        let what = (wish.kind, wish.from, wish.to);
        let mut wish = Some(wish);
        let asked = self.fetch_bundle(peer, anchor, what, || For::Operator(wish.take().expect("it is called once")));
        if let (Err(error), Some(wish)) = (asked, wish) {
            wish.end(Err(error), what.0);
        }
    }

    fn wanted_of(&self, wish: &Wish) -> Result<(NodeKey, Anchor), String> {
        let entry = self.node.find_ledger(&wish.ledger).map_err(|error| error.to_string())?;
        let peer = self.names.iter().find(|(key, name)| **name == wish.peer && **key != self.link.key());
        let (peer, _) = peer.ok_or_else(|| format!("no peer is called `{}`: see `reprise peers`", wish.peer))?;
        let is_checkpoint = wish.kind == BundleKind::Checkpoint;
        if is_checkpoint && wish.from != 0 || wish.to.is_some_and(|to| to <= wish.from) {
            return Err(format!("{}..{} is no range", wish.from, wish.to.unwrap_or_default()));
        }
        Ok((NodeKey(*peer), Anchor { ledger: entry.id, attester: entry.genesis.attester }))
    }
}

impl Wish {
    fn refuse(self, why: String) {
        let _ = self.reply.send(Err(why));
    }

    /// Puts the file in its place, and answers.
    pub(super) fn end(self, end: FetchEnd, kind: BundleKind) {
        match end {
            Ok(fetched) => {
                // It may have to be copied to another disk.
                let placing = move || {
                    let placed = place(&fetched.path, &self.out);
                    remove(&fetched.path);
                    let report = || report(&self, &fetched, kind);
                    let placed = placed.map(|()| report()).map_err(|error| format!("{}: {error}", self.out.display()));
                    let _ = self.reply.send(placed);
                };
                drop(thread::spawn(placing));
            }
            Err(FetchError::Rejected { why, verdict: Some(verdict), .. }) => {
                let answer = json!({ "verdict": word(&verdict), "why": why, "from peer": self.peer });
                let _ = self.reply.send(Ok(answer));
            }
            Err(error) => {
                let why = format!("{}: {error}", self.peer);
                self.refuse(why);
            }
        }
    }
}

fn report(wish: &Wish, fetched: &Fetched, kind: BundleKind) -> Value {
    let Fetched { verified, bytes, .. } = fetched;
    let header = &verified.header;
    let (from, missing) = match &verified.verdict {
        Verdict::Incomparable(missing) => (header.from, Some(missing.to_string())),
        Verdict::Match(range) => (range.from, None),
        Verdict::Divergent(divergence) => (divergence.seq, None),
    };
    json!({
        "bundle": kind.name(),
        "ledger": header.genesis.name,
        "ledger id": header.ledger.to_string(),
        "from peer": wish.peer,
        "verdict": word(&verified.verdict),
        "missing": missing,
        "from": from,
        "to": header.to,
        "steps done again": verified.redone,
        "file": wish.out.display().to_string(),
        "bytes": bytes,
        "digest": verified.digest.to_string(),
    })
}

fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Match(_) => "match",
        Verdict::Divergent(_) => "divergent",
        Verdict::Incomparable(_) => "incomparable",
    }
}

/// Gives a file its name, durably; nothing that is there is overwritten.
fn place(from: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(from, to) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(error),
        // Another file system.
        Err(_) => copy(from, to)?,
    }
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(to)?;
    let copied = io::copy(&mut File::open(from)?, &mut file).and_then(|_| file.sync_all());
    if copied.is_err() {
        remove(to);
    }
    copied
}
