//! The socket by which commands reach a running node: `control.sock` in its directory, mode 0600, JSON lines.
//!
//! The first line says what is wanted: `{"do":"status"}`, `peers`, `federation`, `decisions`, `stop`,
//! `{"do":"resume","ledger":"..."}`, `{"do":"checkpoint","ledger":"..."}`, `{"do":"take","ledger":"...","grant":"..."}`,
//! `{"do":"reconcile","ledger":null,"act":false}`, `{"do":"advance","ledger":"...","to_ms":0}`,
//! `{"do":"stands","ledger":"...","package":null}`, `{"do":"order","ledger":"...","id":"...","command":"..."}`,
//! `{"do":"drivers","ledger":"...","set":{},"unset":[]}`, `{"do":"command","arguments":["..."],"directory":"..."}`,
//! `{"do":"admit","peer":"...","admitted":false}`, `fetch-bundle` and `compare` with what is wanted, or `{"do":"submit","ledger":"..."}`. All but the last are answered with one line;
//! that of a `command` has what goes to standard output and to standard error, and the exit code:
//! `{"out":"...","errors":"...","exit":0}`. What cannot be done is answered with `error`, and with `fault` when that is the
//! node's. After `submit` come events, one a line, as in a file; each is answered with one line as soon as its answer
//! holds, not always in their order. A line `{"end":true}` comes when all are answered.

mod operate;
mod words;

pub(super) use operate::of_words;
pub use words::{BundleWord, Wanted};

use super::{
    bundles::Wish,
    commands::{Asked, JournalDesk},
    happening::{Happening, Query, Reply},
    roots::CompareWish,
};
use crate::{
    events::{self, LINE_BYTES_MAX},
    pipeline::{Advanced, Answer},
    succession,
};
use reprise_federation::{limits::VIEW_ARGS_MAX, message::View};
use serde_json::{Value, json};
use std::{
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
        Ok(Wanted::Compare { ledger, peers, receipts, view, args }) => {
            let told = match view.map(|name| named_view(name, &args)).transpose() {
                Ok(view) => {
                    let wish = |reply| CompareWish { ledger, peers, receipts, view, reply };
                    operate::ask(happenings, |reply| Happening::Compare(Box::new(wish(reply)))).await
                }
                Err(why) => Err(why),
            };
            answer(&mut to, &told.unwrap_or_else(operate::wrong)).await
        }
        Ok(Wanted::Admit { peer, admitted }) => {
            let told = operate::ask(happenings, |reply| Happening::Admit { peer, admitted, reply }).await;
            answer(&mut to, &told.map_or_else(operate::wrong, |()| json!({ "admitted": admitted }))).await
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
    operate::ask(happenings, |reply| Happening::Reconcile { ledger, act, reply }).await.unwrap_or_else(operate::wrong)
}

async fn fetch_bundle(
    happenings: &mpsc::Sender<Happening>,
    wish: impl FnOnce(oneshot::Sender<Result<Value, String>>) -> Wish,
) -> Value {
    let fetched = operate::ask(happenings, |reply| Happening::FetchBundle(Box::new(wish(reply)))).await;
    fetched.unwrap_or_else(operate::wrong)
}

fn named_view(name: String, args: &str) -> Result<View, String> {
    let args = succession::parse_hex(args).ok_or("the arguments are not hexadecimal")?;
    View::new(name, args)
        .ok_or_else(|| format!("a view's name has 1 to 128 bytes, its arguments at most {VIEW_ARGS_MAX}"))
}

async fn resume(happenings: &mpsc::Sender<Happening>, ledger: String) -> Value {
    let resumed = operate::ask(happenings, |reply| Happening::Resume { ledger, reply }).await;
    resumed.map_or_else(operate::wrong, |()| json!({ "resumed": true }))
}

async fn take(happenings: &mpsc::Sender<Happening>, ledger: String, grant: &str) -> Value {
    let Some(grant) = succession::parse_hex(grant) else { return operate::wrong("the grant is not hexadecimal") };
    let taken = operate::ask(happenings, |reply| Happening::Take { ledger, grant, reply }).await;
    taken.map_or_else(operate::wrong, |epoch| json!({ "epoch": epoch }))
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
