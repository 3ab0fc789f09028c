//! The socket by which commands reach a running node: `control.sock` in its directory, mode 0600, JSON lines.
//!
//! The first line says what is wanted: `{"do":"status"}`, `peers`, `federation`, `decisions`, `stop`,
//! `{"do":"resume","ledger":"..."}`, `{"do":"checkpoint","ledger":"..."}`, `{"do":"take","ledger":"...","grant":"..."}`,
//! `{"do":"reconcile","ledger":null,"act":false}`, `{"do":"advance","ledger":"...","to_ms":0}`,
//! `{"do":"stands","ledger":"...","package":null}`, `{"do":"order","ledger":"...","id":"...","command":"..."}`,
//! `{"do":"drivers","ledger":"...","set":{},"unset":[]}`, `{"do":"command","arguments":["..."],"directory":"..."}`,
//! `fetch-bundle` with what is wanted, or `{"do":"submit","ledger":"..."}`. All but the last are answered with one line;
//! that of a `command` has what goes to standard output and to standard error, and the exit code:
//! `{"out":"...","errors":"...","exit":0}`. What cannot be done is answered with `error`, and with `fault` when that is the
//! node's. After `submit` come events, one a line, as in a file; each is answered with one line as soon as its answer
//! holds, not always in their order. A line `{"end":true}` comes when all are answered.

mod operate;

pub(super) use operate::of_words;

use super::{
    bundles::Wish,
    commands::{Asked, JournalDesk},
    happening::{Happening, Query, Reply},
};
use crate::{
    events::{self, LINE_BYTES_MAX},
    pipeline::{Advanced, Answer},
    succession,
};
use reprise_receipts::bundle::BundleKind;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader},
    net::UnixListener,
    sync::{Semaphore, mpsc, oneshot},
};

/// Commands that are served at the same time. Further ones wait.
const COMMANDS_MAX: usize = 16;
/// Events of one command that are not answered yet.
const UNDER_WAY_MAX: usize = 512;

/// What is wanted: the first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Wanted {
    /// What the node holds and does.
    Status,
    /// Its peers.
    Peers,
    /// Who agrees with whom.
    Federation,
    /// What was decided on the node's own ledger.
    Decisions,
    /// What would be decided about the differences there are.
    Reconcile {
        /// Only of this ledger: its name, or the first digits of its id.
        ledger: Option<String>,
        /// Look for differences now, and let them be decided about.
        act: bool,
    },
    /// Stop.
    Stop,
    /// Lift the suspension of a ledger.
    Resume {
        /// The ledger's name, or the first digits of its id.
        ledger: String,
    },
    /// Move a ledger to another owner, who may be this node.
    Take {
        /// The ledger's name, or the first digits of its id.
        ledger: String,
        /// The signed command, encoded, in hexadecimal digits.
        grant: String,
    },
    /// Let happen what is due by this logical time, and what may begin be delivered.
    Advance {
        /// The ledger's name, or the first digits of its id.
        ledger: String,
        /// Until when, in milliseconds.
        to_ms: u64,
    },
    /// Where a ledger stands: what an operator's command rests on.
    Stands {
        /// The ledger's name, or the first digits of its id.
        ledger: String,
        /// A package that is to take over.
        package: Option<String>,
    },
    /// Order an operators' command.
    Order {
        /// The ledger's name, or the first digits of its id.
        ledger: String,
        /// The id of the event that carries it.
        id: String,
        /// The signed command, encoded, in hexadecimal digits.
        command: String,
    },
    /// Change what carries out a ledger's effects; nothing to change shows it.
    Drivers {
        /// The ledger's name, or the first digits of its id.
        ledger: String,
        /// Driver to kind.
        set: BTreeMap<String, String>,
        /// Drivers that nothing carries out any more.
        unset: Vec<String>,
    },
    /// Get a bundle of a peer, verify it, and put it into a file.
    FetchBundle {
        /// The ledger's name, or the first digits of its id.
        ledger: String,
        /// Name of the peer.
        peer: String,
        /// Which kind.
        kind: BundleWord,
        /// First sequence number.
        from: u64,
        /// End of the range; as far as the peer goes when absent.
        to: Option<u64>,
        /// Where the file goes: a path from the root.
        out: PathBuf,
    },
    /// Make a checkpoint of a ledger now. Answered when it is signed.
    Checkpoint {
        /// The ledger's name, or the first digits of its id.
        ledger: String,
    },
    /// Run a command over the journal: see [`super::commands`].
    Command {
        /// The command line, without the name of the program.
        arguments: Vec<String>,
        /// Where whoever asks is.
        directory: PathBuf,
    },
    /// Events follow.
    Submit {
        /// The ledger's name, or the first digits of its id.
        ledger: String,
    },
}

/// Kinds of bundles, as commands name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BundleWord {
    /// Receipts.
    Receipt,
    /// A checkpoint.
    Checkpoint,
    /// Everything that doing the steps again takes.
    Replay,
}

impl From<BundleKind> for BundleWord {
    fn from(kind: BundleKind) -> Self {
        match kind {
            BundleKind::Receipt => Self::Receipt,
            BundleKind::Checkpoint => Self::Checkpoint,
            BundleKind::Replay => Self::Replay,
        }
    }
}

impl From<BundleWord> for BundleKind {
    fn from(word: BundleWord) -> Self {
        match word {
            BundleWord::Receipt => Self::Receipt,
            BundleWord::Checkpoint => Self::Checkpoint,
            BundleWord::Replay => Self::Replay,
        }
    }
}

/// Where the socket of a node is.
#[must_use]
pub fn path(node: &Path) -> PathBuf {
    node.join("control.sock")
}

/// The socket, open. The file goes with it.
pub(super) struct Control {
    listener: UnixListener,
    path: PathBuf,
    desk: Desk,
}

/// Where commands are served.
#[derive(Clone)]
pub(super) struct Desk {
    pub(super) happenings: mpsc::Sender<Happening>,
    pub(super) stop: mpsc::Sender<()>,
    /// What runs over the journal; nothing does in a simulation.
    pub(super) journal: Option<JournalDesk>,
}

impl Control {
    /// Opens the socket. What an earlier process left there is replaced: this one has the journal, so that one is gone.
    pub(super) fn open(node: &Path, desk: Desk) -> io::Result<Self> {
        let path = path(node);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&path)?;
        // The directory is private; the mode says it once more.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        Ok(Self { listener, path, desk })
    }

    /// Serves commands for ever.
    pub(super) async fn serve(self) {
        let places = Arc::new(Semaphore::new(COMMANDS_MAX));
        loop {
            let Ok(place) = places.clone().acquire_owned().await else { return };
            let Ok((stream, _)) = self.listener.accept().await else { continue };
            let desk = self.desk.clone();
            tokio::spawn(async move {
                let (from, to) = stream.into_split();
                if let Err(error) = command(from, to, &desk).await {
                    tracing::debug!(%error, "a command went away");
                }
                drop(place);
            });
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Serves one command, over anything that carries bytes both ways.
pub(super) async fn command(
    from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin + Send + 'static,
    desk: &Desk,
) -> io::Result<()> {
    let happenings = &desk.happenings;
    let mut from = BufReader::new(from);
    let Some(line) = line(&mut from).await? else { return Ok(()) };
    match serde_json::from_slice(&line) {
        Ok(Wanted::Status) => answer(&mut to, &ask(happenings, Query::Status).await).await,
        Ok(Wanted::Peers) => answer(&mut to, &ask(happenings, Query::Peers).await).await,
        Ok(Wanted::Federation) => answer(&mut to, &ask(happenings, Query::Federation).await).await,
        Ok(Wanted::Decisions) => answer(&mut to, &ask(happenings, Query::Decisions).await).await,
        Ok(Wanted::Reconcile { ledger, act }) => answer(&mut to, &reconcile(happenings, ledger, act).await).await,
        Ok(Wanted::Stop) => {
            let _ = desk.stop.try_send(());
            answer(&mut to, &json!({ "stops": true })).await
        }
        Ok(Wanted::Resume { ledger }) => answer(&mut to, &resume(happenings, ledger).await).await,
        Ok(Wanted::Take { ledger, grant }) => answer(&mut to, &take(happenings, ledger, &grant).await).await,
        Ok(Wanted::Advance { ledger, to_ms }) => {
            answer(&mut to, &operate::advance(happenings, ledger, to_ms).await).await
        }
        Ok(Wanted::Stands { ledger, package }) => {
            answer(&mut to, &operate::stands(happenings, ledger, package).await).await
        }
        Ok(Wanted::Order { ledger, id, command }) => {
            answer(&mut to, &operate::order(happenings, ledger, id, &command).await).await
        }
        Ok(Wanted::Drivers { ledger, set, unset }) => {
            answer(&mut to, &operate::drivers(happenings, ledger, set, unset).await).await
        }
        Ok(Wanted::FetchBundle { ledger, peer, kind, from, to: end, out }) => {
            let wish = |reply| Wish { ledger, peer, kind: kind.into(), from, to: end, out, reply };
            answer(&mut to, &fetch_bundle(happenings, wish).await).await
        }
        Ok(Wanted::Checkpoint { ledger }) => {
            let told = match &desk.journal {
                Some(journal) => journal.checkpoint(&ledger, happenings).await,
                None => no_journal(),
            };
            answer(&mut to, &told).await
        }
        Ok(Wanted::Command { arguments, directory }) => {
            let told = match &desk.journal {
                Some(journal) => journal.run(Asked { arguments, directory }, happenings).await,
                None => no_journal(),
            };
            answer(&mut to, &told).await
        }
        Ok(Wanted::Submit { ledger }) => submit(&ledger, &mut from, to, happenings).await,
        Err(error) => answer(&mut to, &json!({ "error": error.to_string() })).await,
    }
}

fn no_journal() -> Value {
    json!({ "error": "this node runs no commands over its journal" })
}

async fn ask(happenings: &mpsc::Sender<Happening>, query: Query) -> Value {
    let (reply, answer) = oneshot::channel();
    let stops = || json!({ "error": "the node stops" });
    if happenings.send(Happening::Query { query, reply }).await.is_err() {
        return stops();
    }
    answer.await.unwrap_or_else(|_| stops())
}

async fn reconcile(happenings: &mpsc::Sender<Happening>, ledger: Option<String>, act: bool) -> Value {
    let (reply, answer) = oneshot::channel();
    let _ = happenings.send(Happening::Reconcile { ledger, act, reply }).await;
    match answer.await {
        Ok(Ok(rows)) => rows,
        Ok(Err(why)) => json!({ "error": why }),
        Err(_) => json!({ "error": "the node stops" }),
    }
}

async fn fetch_bundle(
    happenings: &mpsc::Sender<Happening>,
    wish: impl FnOnce(oneshot::Sender<Result<Value, String>>) -> Wish,
) -> Value {
    let (reply, answer) = oneshot::channel();
    let _ = happenings.send(Happening::FetchBundle(Box::new(wish(reply)))).await;
    match answer.await {
        Ok(Ok(report)) => report,
        Ok(Err(why)) => json!({ "error": why }),
        Err(_) => json!({ "error": "the node stops" }),
    }
}

async fn resume(happenings: &mpsc::Sender<Happening>, ledger: String) -> Value {
    let (reply, answer) = oneshot::channel();
    let _ = happenings.send(Happening::Resume { ledger, reply }).await;
    match answer.await {
        Ok(Ok(())) => json!({ "resumed": true }),
        Ok(Err(why)) => json!({ "error": why }),
        Err(_) => json!({ "error": "the node stops" }),
    }
}

async fn take(happenings: &mpsc::Sender<Happening>, ledger: String, grant: &str) -> Value {
    let Some(grant) = succession::parse_hex(grant) else { return json!({ "error": "the grant is not hexadecimal" }) };
    let (reply, answer) = oneshot::channel();
    let _ = happenings.send(Happening::Take { ledger, grant, reply }).await;
    match answer.await {
        Ok(Ok(epoch)) => json!({ "epoch": epoch }),
        Ok(Err(why)) => json!({ "error": why }),
        Err(_) => json!({ "error": "the node stops" }),
    }
}

/// Hands events over and gives answers back, both at their own pace.
async fn submit(
    ledger: &str,
    from: &mut (impl AsyncBufRead + Unpin),
    mut to: impl AsyncWrite + Unpin + Send + 'static,
    happenings: &mpsc::Sender<Happening>,
) -> io::Result<()> {
    let (reply, mut replies) = mpsc::channel(UNDER_WAY_MAX);
    let room = Arc::new(Semaphore::new(UNDER_WAY_MAX));
    let answered = room.clone();
    let writing = tokio::spawn(async move {
        while let Some(reply) = replies.recv().await {
            answer(&mut to, &told(reply)).await?;
            answered.add_permits(1);
        }
        answer(&mut to, &json!({ "end": true })).await
    });
    let mut tag = 0;
    while let Some(line) = line(from).await? {
        tag += 1;
        if line.trim_ascii().is_empty() {
            continue;
        }
        let Ok(permit) = room.acquire().await else { break };
        permit.forget();
        let handed = match events::parse(&line, tag) {
            Ok(proposal) => {
                let (ledger, reply) = (ledger.to_owned(), reply.clone());
                happenings.send(Happening::Submit { ledger, proposal: Box::new(proposal), reply }).await.is_ok()
            }
            Err(kind) => reply.send(Reply::NotHere { tag, why: kind.to_string() }).await.is_ok(),
        };
        if !handed || writing.is_finished() {
            break;
        }
    }
    drop(reply);
    writing.await?
}

/// A line without its end, at most as long as an event may be.
async fn line(from: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let read = from.take(LINE_BYTES_MAX as u64 + 1).read_until(b'\n', &mut line).await?;
    if line.len() > LINE_BYTES_MAX {
        return Err(io::Error::other("a line is too long"));
    }
    Ok((read > 0).then_some(line))
}

async fn answer(to: &mut (impl AsyncWrite + Unpin), value: &Value) -> io::Result<()> {
    to.write_all(format!("{value}\n").as_bytes()).await
}

fn told(reply: Reply) -> Value {
    match reply {
        Reply::NotHere { tag, why } => json!({ "line": tag, "refused": why }),
        Reply::Answer(Answer::Refused { tag, refusal }) => json!({ "line": tag, "refused": refusal.to_string() }),
        Reply::Answer(Answer::Advanced(Advanced { tag, steps, .. })) => json!({ "line": tag, "due steps": steps }),
        Reply::Answer(Answer::Receipt { tag, seq, class, code, leaf, duplicate }) => json!({
            "line": tag,
            "seq": seq,
            "outcome": class.name(),
            "code": code,
            "leaf": leaf.to_string(),
            "duplicate": duplicate,
        }),
    }
}
