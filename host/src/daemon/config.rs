//! The configuration of a running node: TOML, with the line and column of everything that is wrong.
//!
//! ```toml
//! name = "a"
//! listen = "127.0.0.1:7400"
//!
//! [[peer]]
//! name = "b"
//! address = "127.0.0.1:7401"
//! key = "64 hexadecimal digits: reprise peer key"
//! receipts = "64 hexadecimal digits: the attester of reprise key show"
//!
//! [[ledger]]
//! name = "incident"
//! owner = "a"
//! replicas = ["b"]
//! durability = "majority"
//! ```

use crate::keys;
use reprise_federation::{
    Durability, Quorum, WindowRule,
    limits::{MEMBERS_MAX, PEERS_MAX},
};
use reprise_receipts::{LedgerId, PublicKey};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    fmt, fs, io,
    net::SocketAddr,
    ops::Range,
    path::{Path, PathBuf},
};
use toml::Spanned;

/// Longest configuration that is read, in bytes.
pub const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Why a configuration is not one.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{path}: {error}")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// Something in it is wrong.
    #[error("{path}:{place}: {what}")]
    Content {
        /// Which file.
        path: PathBuf,
        /// Where in it.
        place: Place,
        /// What is wrong there, and what is expected.
        what: String,
    },
}

/// A place in a text, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Line.
    pub line: usize,
    /// Column, in characters.
    pub column: usize,
}

/// A node's configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeConfig {
    /// What this node is called in `ledger`.
    pub name: String,
    /// Where it listens.
    pub listen: SocketAddr,
    /// The nodes that it knows.
    pub peers: Vec<PeerConfig>,
    /// The ledgers that it shares.
    pub ledgers: Vec<LedgerConfig>,
    /// It has lost what it had promised and signed: not from the file, but of this start (`reprise node run --rejoin`).
    pub rejoin: bool,
}

/// A node that this one knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerConfig {
    /// What it is called in this file.
    pub name: String,
    /// Where it is called; it is only waited for when absent.
    pub address: Option<SocketAddr>,
    /// Its node key.
    pub key: PublicKey,
    /// The key that attests and cosigns for it.
    pub receipts: PublicKey,
}

/// A ledger that this node shares. Members are named as in this file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerConfig {
    /// Its name in the journal, or the first digits of its id.
    pub name: String,
    /// Its id. With it the ledger need not be in the journal yet: the node begins with what its members send.
    pub id: Option<LedgerId>,
    /// Who owns it in its first epoch.
    pub owner: String,
    /// Who follows and cosigns.
    pub replicas: Vec<String>,
    /// Who verifies and keeps.
    pub observers: Vec<String>,
    /// When an input is acknowledged.
    pub durability: Durability,
    /// What its time follows.
    pub clock: Clock,
    /// How many decide.
    pub quorum: Quorum,
    /// When members compare and cosign.
    pub window: WindowRule,
    /// Number of this list of members: the same on all of them, higher for a later one.
    pub roster: u64,
}

/// What a ledger's time follows, where this node owns it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Clock {
    /// Its events, and whoever lets it go on.
    #[default]
    Events,
    /// The node's clock, too: what is due happens when the clock says so.
    Wall,
}

impl NodeConfig {
    /// Reads a file.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let file_error = |error| ConfigError::File { path: path.to_owned(), error };
        let length = fs::metadata(path).map_err(file_error)?.len();
        if length > FILE_BYTES_MAX {
            return Err(file_error(io::Error::other(format!("longer than {FILE_BYTES_MAX} bytes"))));
        }
        let text = fs::read_to_string(path).map_err(file_error)?;
        Self::parse(&text).map_err(|Wrong { at, what }| ConfigError::Content {
            path: path.to_owned(),
            place: Place::of(&text, at),
            what,
        })
    }

    fn parse(text: &str) -> Result<Self, Wrong> {
        let file: File = toml::from_str(text).map_err(|error: toml::de::Error| Wrong {
            at: error.span().map_or(0, |span| span.start),
            what: error.message().trim_end().to_owned(),
        })?;
        file.check()
    }
}

/// What is wrong, and where: the byte.
#[derive(Debug)]
struct Wrong {
    at: usize,
    what: String,
}

fn wrong<T>(span: Range<usize>, what: impl Into<String>) -> Result<T, Wrong> {
    Err(Wrong { at: span.start, what: what.into() })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: Spanned<String>,
    #[serde(default = "any_loopback_port")]
    listen: SocketAddr,
    #[serde(default)]
    peer: Vec<Spanned<Peer>>,
    #[serde(default)]
    ledger: Vec<Spanned<Ledger>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Peer {
    name: Spanned<String>,
    address: Option<SocketAddr>,
    key: Spanned<String>,
    receipts: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ledger {
    name: Spanned<String>,
    id: Option<Spanned<String>>,
    owner: Spanned<String>,
    #[serde(default)]
    replicas: Vec<Spanned<String>>,
    #[serde(default)]
    observers: Vec<Spanned<String>>,
    #[serde(default)]
    durability: DurabilityWord,
    #[serde(default)]
    clock: Clock,
    #[serde(default)]
    quorum: QuorumWord,
    window: Option<Spanned<Window>>,
    #[serde(default = "first_roster")]
    roster: u64,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum DurabilityWord {
    #[default]
    Local,
    Majority,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum QuorumWord {
    #[default]
    Majority,
    TwoThirds,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct Window {
    receipts: u64,
    every_ms: u64,
}

/// When nothing else is said: often enough to notice within a second, seldom enough to cost little.
const WINDOW: WindowRule = WindowRule { receipts: 1_024, every_ms: 1_000 };

fn any_loopback_port() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

fn first_roster() -> u64 {
    1
}

impl File {
    fn check(self) -> Result<NodeConfig, Wrong> {
        if self.peer.len() > PEERS_MAX {
            return wrong(self.peer[PEERS_MAX].span(), format!("a node has at most {PEERS_MAX} peers"));
        }
        let mut names = BTreeMap::from([(self.name.get_ref().clone(), ())]);
        let mut keys = BTreeMap::new();
        let mut peers = Vec::new();
        for peer in self.peer {
            let peer = peer.into_inner();
            if names.insert(peer.name.get_ref().clone(), ()).is_some() {
                return wrong(peer.name.span(), format!("the name `{}` is taken", peer.name.get_ref()));
            }
            let key = public_key(&peer.key)?;
            if keys.insert(key, ()).is_some() {
                return wrong(peer.key.span(), "another peer has this key");
            }
            let receipts = public_key(&peer.receipts)?;
            if receipts == key {
                return wrong(peer.receipts.span(), "the key that attests is another key than the node key");
            }
            peers.push(PeerConfig { name: peer.name.into_inner(), address: peer.address, key, receipts });
        }
        let ledgers =
            self.ledger.into_iter().map(|ledger| ledger.into_inner().check(&names)).collect::<Result<_, _>>()?;
        Ok(NodeConfig { name: self.name.into_inner(), listen: self.listen, peers, ledgers, rejoin: false })
    }
}

impl Ledger {
    fn check(self, names: &BTreeMap<String, ()>) -> Result<LedgerConfig, Wrong> {
        let mut members = BTreeMap::new();
        for member in std::iter::once(&self.owner).chain(&self.replicas).chain(&self.observers) {
            if !names.contains_key(member.get_ref()) {
                return wrong(
                    member.span(),
                    format!("no node is called `{}`: see `name` and `[[peer]]`", member.get_ref()),
                );
            }
            if members.insert(member.get_ref().clone(), ()).is_some() {
                return wrong(member.span(), format!("`{}` is a member already", member.get_ref()));
            }
            if members.len() > MEMBERS_MAX {
                return wrong(member.span(), format!("a ledger has at most {MEMBERS_MAX} members"));
            }
        }
        let window = match &self.window {
            None => WINDOW,
            Some(window) if window.get_ref().receipts == 0 || window.get_ref().every_ms == 0 => {
                return wrong(window.span(), "a window has at least 1 receipt and 1 ms");
            }
            Some(window) => WindowRule { receipts: window.get_ref().receipts, every_ms: window.get_ref().every_ms },
        };
        let id = self.id.map(|id| ledger_id(&id)).transpose()?;
        let inner = |names: Vec<Spanned<String>>| names.into_iter().map(Spanned::into_inner).collect();
        Ok(LedgerConfig {
            name: self.name.into_inner(),
            id,
            owner: self.owner.into_inner(),
            replicas: inner(self.replicas),
            observers: inner(self.observers),
            durability: match self.durability {
                DurabilityWord::Local => Durability::Local,
                DurabilityWord::Majority => Durability::Majority,
            },
            clock: self.clock,
            quorum: match self.quorum {
                QuorumWord::Majority => Quorum::Majority,
                QuorumWord::TwoThirds => Quorum::TwoThirds,
            },
            window,
            roster: self.roster,
        })
    }
}

fn ledger_id(text: &Spanned<String>) -> Result<LedgerId, Wrong> {
    match text.get_ref().parse() {
        Ok(id) => Ok(id),
        Err(_) => {
            wrong(text.span(), "the id of a ledger is 64 hexadecimal digits: see `reprise ledger show` on its owner")
        }
    }
}

fn public_key(text: &Spanned<String>) -> Result<PublicKey, Wrong> {
    match keys::parse_public(text.get_ref()) {
        Some(key) => Ok(key),
        None => wrong(text.span(), "a public key is 64 hexadecimal digits"),
    }
}

impl Place {
    fn of(text: &str, at: usize) -> Self {
        let before = text.get(..at).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self { line: before.matches('\n').count() + 1, column: before[line_start..].chars().count() + 1 }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

#[cfg(test)]
mod tests;
