//! A node: a directory with keys, a journal and a cache, and what can be done with it.
//!
//! | path | what |
//! | --- | --- |
//! | `journal.redb` | everything that must not be lost |
//! | `keys/attester.key` | signs receipts, mode 0600 |
//! | `keys/operator.key` | signs commands, mode 0600 |
//! | `keys/cache.key` | authenticates compiled code, mode 0600 |
//! | `keys/node.key` | names this node to its peers, mode 0600; made at first use |
//! | `publishers` | note keys of the publishers whose packages are taken, one per line |
//! | `node.toml` | peers and shared ledgers, for `reprise node run` |
//! | `federation/` | what this node has promised, one file for each shared ledger |
//! | `control.sock` | commands to a running node, mode 0600 |
//! | `drivers`, `effects/` | what carries out effects, and what the driver `log` has written |
//! | `drills/` | the nodes of drills, with their results |
//! | `cache/` | compiled code, mode 0700; can be deleted at any moment |

mod executors;
mod open;

pub use executors::{EngineChoice, PackageExecutors, code_cache, native_policies, native_policy};
pub(crate) use open::open_ledger;

use crate::{
    journal::{Journal, JournalError, LedgerEntry},
    keys::{self, KeyError},
};
use reprise_abi::CodecError;
use reprise_receipts::{
    Genesis, NoteKey, Package, PackageDigest, SigningKey,
    genesis::{GENESIS_FORMAT, PROTOCOL_EPOCH},
    package::{PackageError, SuccessorError},
};
use std::{
    fs,
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

/// Why a node cannot do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The directory is a node already, or has other things in it.
    #[error(
        "{0} is not empty: choose another directory, or use the node that is there; a node that has lost its journal is made \
         in a new directory, to which `keys/`, `publishers`, `drivers` and `node.toml` of the old one are copied"
    )]
    NotEmpty(PathBuf),
    /// A file or directory cannot be used.
    #[error("{path}: {error}")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// A key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The journal cannot be used.
    #[error("journal in {dir}: {error}")]
    Journal {
        /// The node's directory.
        dir: PathBuf,
        /// Why.
        error: JournalError,
    },
    /// No such ledger.
    #[error("there is no ledger `{0}`: see `reprise ledger list`")]
    UnknownLedger(String),
    /// Several ledgers fit.
    #[error("`{0}` fits several ledgers: give more digits of the id")]
    AmbiguousLedger(String),
    /// No such package.
    #[error("there is no package `{0}`: see `reprise package list`")]
    UnknownPackage(String),
    /// A file is no package.
    #[error("{path} is not a package: {error}")]
    NotAPackage {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        error: CodecError,
    },
    /// A package may not take over from the one in force.
    #[error("{new} may not take over from {old}: {error}")]
    NotASuccessor {
        /// Name and version of the one.
        new: String,
        /// And of the other.
        old: String,
        /// Why not.
        error: SuccessorError,
    },
    /// The publisher is not trusted here.
    #[error(
        "no key of publisher `{0}` is trusted here: look at the package with `reprise package inspect`, get the \
         publisher's key from somewhere you trust, and run `reprise package add FILE --publisher KEY` first"
    )]
    UnknownPublisher(String),
    /// The package does not hold.
    #[error("the package does not hold: {0}")]
    Package(#[from] PackageError),
    /// A line of the publishers' file is no key.
    #[error("{path} line {line}: expected a note key of the form name+keyid+base64")]
    PublisherLine {
        /// The file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
    },
    /// A name is not usable.
    #[error("a ledger's name is 1 to 128 bytes long")]
    LedgerName,
    /// A ledger cannot be recovered.
    #[error("{0}")]
    Recovery(Box<crate::recovery::RecoveryError>),
    /// A recovery plan was begun and cannot be brought to its end.
    #[error(
        "a recovery plan of the ledger was begun and cannot be brought to its end: {0}; `reprise recover abandon` gives \
         it up where that is safe"
    )]
    Stuck(Box<crate::recovery::RecoveryError>),
    /// No random bytes.
    #[error("the system gives no random bytes")]
    Random,
}

/// How a node is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// To change it. Only one process can.
    Write,
    /// To look at it. Several processes can, while none writes.
    Read,
}

/// An open node.
pub struct Node {
    dir: PathBuf,
    journal: Arc<Journal>,
}

impl Node {
    /// Creates a node in an empty or new directory: keys, journal, cache.
    ///
    /// # Errors
    /// [`NodeError`]. What was created before the error stays, and says so on the next try.
    pub fn init(dir: &Path) -> Result<Self, NodeError> {
        private_dir(dir)?;
        let mut entries = fs::read_dir(dir).map_err(|error| file_error(dir, error))?;
        if entries.next().is_some() {
            return Err(NodeError::NotEmpty(dir.to_owned()));
        }
        private_dir(&dir.join("keys"))?;
        private_dir(&dir.join("cache"))?;
        for name in ["attester", "operator", "cache"] {
            keys::create(&key_path(dir, name))?;
        }
        let journal = Journal::create(&dir.join("journal.redb")).map_err(|error| journal_error(dir, error))?;
        Ok(Self { dir: dir.to_owned(), journal: Arc::new(journal) })
    }

    /// Opens a node. For reading, a journal that a crash left open is repaired first.
    ///
    /// # Errors
    /// [`NodeError::Journal`]: not there, locked, damaged.
    pub fn open(dir: &Path, access: Access) -> Result<Self, NodeError> {
        let path = dir.join("journal.redb");
        let journal = match access {
            Access::Write => Journal::open(&path),
            Access::Read => match Journal::open_read_only(&path) {
                Err(JournalError::NeedsRepair) => Journal::open(&path),
                opened => opened,
            },
        };
        let journal = journal.map_err(|error| journal_error(dir, error))?;
        Ok(Self { dir: dir.to_owned(), journal: Arc::new(journal) })
    }

    /// A node with a journal that is open already: for repair, or on a storage of the caller's.
    #[must_use]
    pub fn with_journal(dir: &Path, journal: Journal) -> Self {
        Self { dir: dir.to_owned(), journal: Arc::new(journal) }
    }

    /// The node with its journal as it is now, for reading only: see [`Journal::moment`].
    ///
    /// # Errors
    /// [`NodeError::Journal`].
    pub fn moment(&self) -> Result<Self, NodeError> {
        let journal = self.journal.moment().map_err(|error| self.journal_error(error))?;
        Ok(Self { dir: self.dir.clone(), journal: Arc::new(journal) })
    }

    /// The node's directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The node's journal.
    #[must_use]
    pub fn journal(&self) -> &Arc<Journal> {
        &self.journal
    }

    /// The key that attests receipts.
    ///
    /// # Errors
    /// [`NodeError::Key`].
    pub fn attester(&self) -> Result<SigningKey, NodeError> {
        Ok(keys::read_signing(&key_path(&self.dir, "attester"))?)
    }

    /// The key that signs commands.
    ///
    /// # Errors
    /// [`NodeError::Key`].
    pub fn operator(&self) -> Result<SigningKey, NodeError> {
        Ok(keys::read_signing(&key_path(&self.dir, "operator"))?)
    }

    /// The publishers whose packages are taken.
    ///
    /// # Errors
    /// [`NodeError`]: the file cannot be read, or a line is no key.
    pub fn publishers(&self) -> Result<Vec<NoteKey>, NodeError> {
        let path = self.dir.join("publishers");
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(file_error(&path, error)),
        };
        let parse = |(index, line): (usize, &str)| {
            let error = |_| NodeError::PublisherLine { path: path.clone(), line: index + 1 };
            NoteKey::parse(line).map_err(error)
        };
        text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).map(parse).collect()
    }

    /// Takes packages of this publisher from now on.
    ///
    /// # Errors
    /// [`NodeError::File`].
    pub fn trust_publisher(&self, key: &NoteKey) -> Result<(), NodeError> {
        if self.publishers()?.contains(key) {
            return Ok(());
        }
        let path = self.dir.join("publishers");
        let file = fs::OpenOptions::new().create(true).append(true).mode(0o600).open(&path);
        let mut file = file.map_err(|error| file_error(&path, error))?;
        writeln!(file, "{key}").and_then(|()| file.sync_all()).map_err(|error| file_error(&path, error))
    }

    /// Keeps a package whose publisher is trusted. Admission to the engine is the caller's business.
    ///
    /// # Errors
    /// [`NodeError`]: the publisher is unknown, or the package does not hold.
    pub fn add_package(&self, package: &Package) -> Result<PackageDigest, NodeError> {
        let publishers = self.publishers()?;
        let mut known = publishers.iter().filter(|key| key.name() == package.manifest.publisher).peekable();
        if known.peek().is_none() {
            return Err(NodeError::UnknownPublisher(package.manifest.publisher.clone()));
        }
        let verified = known.map(|key| package.verify(key)).reduce(Result::or);
        verified.expect("at least one key is known")?;
        self.journal.put_package(package).map_err(|error| journal_error(&self.dir, error))
    }

    /// A package by the first digits of its digest, or by `name` or `name@version`; the latest version of a name.
    ///
    /// # Errors
    /// [`NodeError::UnknownPackage`].
    pub fn find_package(&self, selector: &str) -> Result<(PackageDigest, Package), NodeError> {
        let mut packages = self.journal.packages().map_err(|error| journal_error(&self.dir, error))?;
        packages.sort_by_key(|(_, package)| {
            package.manifest.description.version.parse::<reprise_receipts::package::Version>().ok()
        });
        let fits = |(digest, package): &(PackageDigest, Package)| {
            let description = &package.manifest.description;
            selector == description.name
                || selector == format!("{}@{}", description.name, description.version)
                || is_prefix(selector, &digest.to_string())
        };
        packages.into_iter().rfind(fits).ok_or_else(|| NodeError::UnknownPackage(selector.to_owned()))
    }

    /// A package as [`Self::find_package`] finds it, which may take over from the one in force.
    ///
    /// # Errors
    /// [`NodeError`]: one of them is not here, or it may not.
    pub fn find_successor(&self, in_force: &PackageDigest, selector: &str) -> Result<PackageDigest, NodeError> {
        let (to, new) = self.find_package(selector)?;
        let (_, old) = self.find_package(&in_force.to_string())?;
        let name = |package: &Package| {
            format!("{}@{}", package.manifest.description.name, package.manifest.description.version)
        };
        let may = new.manifest.check_successor_of(&old.manifest);
        may.map_err(|error| NodeError::NotASuccessor { new: name(&new), old: name(&old), error })?;
        Ok(to)
    }

    /// Creates a ledger for a package, with this node's keys.
    ///
    /// # Errors
    /// [`NodeError`]: the name is not usable, or the disk refuses.
    pub fn create_ledger(&self, name: &str, package: PackageDigest) -> Result<LedgerEntry, NodeError> {
        if name.is_empty() || name.len() > reprise_abi::limits::NAME_BYTES_MAX {
            return Err(NodeError::LedgerName);
        }
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce).map_err(|_| NodeError::Random)?;
        let genesis = Genesis {
            format: GENESIS_FORMAT,
            name: name.to_owned(),
            nonce,
            protocol_epoch: PROTOCOL_EPOCH,
            engine_profile: crate::engine::EngineProfile::current().digest(),
            package,
            epoch: 1,
            attester: self.attester()?.public(),
            operators: vec![self.operator()?.public()],
            operator_threshold: 1,
        };
        self.journal.put_ledger(&genesis).map_err(|error| journal_error(&self.dir, error))
    }

    /// A ledger by its name or the first digits of its id.
    ///
    /// # Errors
    /// [`NodeError`]: none fits, or several.
    pub fn find_ledger(&self, selector: &str) -> Result<LedgerEntry, NodeError> {
        let ledgers = self.journal.ledgers().map_err(|error| journal_error(&self.dir, error))?;
        let fits = |entry: &LedgerEntry| selector == entry.genesis.name || is_prefix(selector, &entry.id.to_string());
        let mut fitting = ledgers.into_iter().filter(fits);
        let Some(found) = fitting.next() else { return Err(NodeError::UnknownLedger(selector.to_owned())) };
        if fitting.next().is_some() { Err(NodeError::AmbiguousLedger(selector.to_owned())) } else { Ok(found) }
    }

    pub(crate) fn journal_error(&self, error: JournalError) -> NodeError {
        journal_error(&self.dir, error)
    }
}

/// Reads a package from a file, bounded.
///
/// # Errors
/// [`NodeError`]: the file cannot be read, is too long, or is no package.
pub fn read_package(path: &Path) -> Result<Package, NodeError> {
    let bytes = read_bounded(path, <Package as reprise_abi::Canonical>::BYTES_MAX as u64)?;
    let not_a_package = |error| NodeError::NotAPackage { path: path.to_owned(), error };
    let package: Package = reprise_abi::decode_canonical(&bytes).map_err(not_a_package)?;
    package.verify_component()?;
    Ok(package)
}

/// Reads a file of at most `bytes_max` bytes; of a longer one, one byte more, so that a decoder refuses it.
pub(crate) fn read_bounded(path: &Path, bytes_max: u64) -> Result<Vec<u8>, NodeError> {
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(|error| file_error(path, error))?;
    io::Read::read_to_end(&mut io::Read::take(file, bytes_max + 1), &mut bytes)
        .map_err(|error| file_error(path, error))?;
    Ok(bytes)
}

fn is_prefix(selector: &str, digest: &str) -> bool {
    selector.len() >= 6 && digest.starts_with(selector)
}

fn key_path(dir: &Path, name: &str) -> PathBuf {
    dir.join("keys").join(format!("{name}.key"))
}

fn private_dir(path: &Path) -> Result<(), NodeError> {
    let created = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    created.map_err(|error| file_error(path, error))
}

fn file_error(path: &Path, error: io::Error) -> NodeError {
    NodeError::File { path: path.to_owned(), error }
}

fn journal_error(dir: &Path, error: JournalError) -> NodeError {
    NodeError::Journal { dir: dir.to_owned(), error }
}
