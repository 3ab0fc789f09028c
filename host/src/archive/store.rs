//! Where the files of an archive are: named objects that appear whole or not at all.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, ErrorKind, Read, Write},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

/// An object cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The system says why.
    #[error("{name}: {error}")]
    Io {
        /// Which object.
        name: String,
        /// What the system says.
        error: io::Error,
    },
    /// Longer than anything that can have this name.
    #[error("{name}: longer than {max} bytes")]
    TooLong {
        /// Which object.
        name: String,
        /// Most bytes.
        max: u64,
    },
}

/// Named objects. Names are relative paths of plain ASCII with slashes.
///
/// It is what a directory and an object store such as S3 have in common.
pub trait Store {
    /// The bytes of an object, at most `bytes_max`; `None` if there is none.
    ///
    /// # Errors
    /// [`StoreError`].
    fn read(&self, name: &str, bytes_max: u64) -> Result<Option<Vec<u8>>, StoreError>;

    /// Writes an object, in the place of one that is there. A reader sees the one or the other.
    ///
    /// # Errors
    /// [`StoreError`].
    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError>;

    /// Removes every object whose name begins with `prefix` and a slash.
    ///
    /// # Errors
    /// [`StoreError`].
    fn remove_under(&self, prefix: &str) -> Result<(), StoreError>;

    /// Returns when everything that was written outlives a crash.
    ///
    /// # Errors
    /// [`StoreError`].
    fn settle(&self) -> Result<(), StoreError>;
}

/// A directory of plain files.
#[derive(Debug)]
pub struct Directory {
    root: PathBuf,
    /// Directories with new names in them, which are not durable yet.
    unsettled: Mutex<BTreeSet<PathBuf>>,
}

/// Suffix of files that are being written. No name of the layout ends like that.
const UNFINISHED: &str = ".unfinished";

impl Directory {
    /// The store under this path. Nothing is created before something is written.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), unsettled: Mutex::default() }
    }

    fn path(&self, name: &str) -> PathBuf {
        debug_assert!(name.split('/').all(|part| !matches!(part, "" | "." | "..")), "{name} is a name of the layout");
        self.root.join(name)
    }

    /// Creates the directories above a file, and remembers those that got a new name.
    fn prepare(&self, file: &Path) -> io::Result<()> {
        let mut unsettled = self.unsettled.lock().unwrap_or_else(PoisonError::into_inner);
        let parent = file.parent().unwrap_or(&self.root);
        for dir in parent.ancestors() {
            unsettled.insert(dir.to_owned());
            if dir.exists() {
                break;
            }
        }
        fs::create_dir_all(parent)
    }
}

impl Store for Directory {
    fn read(&self, name: &str, bytes_max: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let mut file = match File::open(self.path(name)) {
            Ok(file) => file.take(bytes_max + 1),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
            Err(error) => return Err(io_error(name)(error)),
        };
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(io_error(name))?;
        if bytes.len() as u64 > bytes_max {
            return Err(StoreError::TooLong { name: name.to_owned(), max: bytes_max });
        }
        Ok(Some(bytes))
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let path = self.path(name);
        let mut unfinished = path.clone().into_os_string();
        unfinished.push(UNFINISHED);
        let write = || {
            self.prepare(&path)?;
            let mut file = File::create(&unfinished)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&unfinished, &path)
        };
        write().map_err(io_error(name))
    }

    fn remove_under(&self, prefix: &str) -> Result<(), StoreError> {
        match fs::remove_dir_all(self.path(prefix)) {
            Err(error) if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                Err(io_error(prefix)(error))
            }
            _ => Ok(()),
        }
    }

    fn settle(&self) -> Result<(), StoreError> {
        let mut unsettled = self.unsettled.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(dir) = unsettled.pop_first() {
            let dir = if dir.as_os_str().is_empty() { PathBuf::from(".") } else { dir };
            match File::open(&dir).and_then(|dir| dir.sync_all()) {
                // What was removed again needs not outlive anything.
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(io_error(&dir.display().to_string())(error));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn io_error(name: &str) -> impl FnOnce(io::Error) -> StoreError + '_ {
    |error| StoreError::Io { name: name.to_owned(), error }
}
