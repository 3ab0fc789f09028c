//! Files on one side, state machines on the other; one buffer between them.

use super::BundleFileError;
use reprise_receipts::{
    bundle::{BundleCheck, BundleHeader, BundleReader, BundleWriter, Checked, Section, Trust},
    digest::BundleDigest,
};
use std::{
    fs::{self, File},
    io::{ErrorKind, Read, Write},
    path::{Path, PathBuf},
};

/// Bytes that are read or written at once.
const BUFFER_BYTES: usize = 256 * 1024;

/// A bundle that is being read, and checked as it is read.
pub struct BundleFile {
    path: PathBuf,
    file: File,
    reader: BundleReader,
    check: BundleCheck,
    buffer: Vec<u8>,
    /// Bytes of the buffer that are not taken yet.
    left: std::ops::Range<usize>,
}

impl BundleFile {
    /// Opens a file, of whoever `trust` covers.
    ///
    /// # Errors
    /// [`BundleFileError::File`].
    pub fn open(path: &Path, trust: Trust) -> Result<Self, BundleFileError> {
        let file = File::open(path).map_err(BundleFileError::file(path))?;
        Ok(Self {
            path: path.to_owned(),
            file,
            reader: BundleReader::new(),
            check: BundleCheck::new(trust),
            buffer: vec![0; BUFFER_BYTES],
            left: 0..0,
        })
    }

    /// The next item that holds; none at the end.
    ///
    /// # Errors
    /// [`BundleFileError`]: the file cannot be read, or does not hold.
    pub fn next_item(&mut self) -> Result<Option<Checked>, BundleFileError> {
        loop {
            let mut input = &self.buffer[self.left.clone()];
            let piece = self.reader.read(&mut input).map_err(BundleFileError::bundle(&self.path))?;
            self.left.start = self.left.end - input.len();
            if let Some(piece) = piece {
                return self.check.accept(piece).map(Some).map_err(BundleFileError::bundle(&self.path));
            }
            if self.fill()? == 0 {
                self.reader.end().map_err(BundleFileError::bundle(&self.path))?;
                return Ok(None);
            }
        }
    }

    /// The last receipt that a signature covers.
    #[must_use]
    pub fn attested(&self) -> Option<u64> {
        self.check.attested()
    }

    fn fill(&mut self) -> Result<usize, BundleFileError> {
        let read = loop {
            match self.file.read(&mut self.buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => break read.map_err(BundleFileError::file(&self.path))?,
            }
        };
        self.left = 0..read;
        Ok(read)
    }
}

/// A bundle that is being written: under another name until it is complete.
pub struct FileWriter {
    path: PathBuf,
    part: PathBuf,
    file: File,
    bundle: Option<BundleWriter>,
    buffer: Vec<u8>,
    bytes: u64,
}

impl FileWriter {
    /// Begins a file.
    ///
    /// # Errors
    /// [`BundleFileError`]: it is there already, cannot be written, or no bundle has such a header.
    pub fn create(path: &Path, header: &BundleHeader) -> Result<Self, BundleFileError> {
        if path.exists() {
            return Err(BundleFileError::Exists(path.to_owned()));
        }
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        let file = File::create(&part).map_err(BundleFileError::file(&part))?;
        let mut buffer = Vec::with_capacity(2 * BUFFER_BYTES);
        let bundle = BundleWriter::new(header, &mut buffer).map_err(BundleFileError::bundle(path))?;
        Ok(Self { path: path.to_owned(), part, file, bundle: Some(bundle), buffer, bytes: 0 })
    }

    /// Adds an item.
    ///
    /// # Errors
    /// [`BundleFileError`]: it does not belong there, or the disk refuses.
    pub fn item(&mut self, section: Section, bytes: &[u8]) -> Result<(), BundleFileError> {
        let bundle = self.bundle.as_mut().expect("only the end takes it");
        bundle.item(section, bytes, &mut self.buffer).map_err(BundleFileError::bundle(&self.path))?;
        if self.buffer.len() >= BUFFER_BYTES { self.flush() } else { Ok(()) }
    }

    /// Ends the bundle, reads it back as a verifier does, and gives the file its name once it is durable. Returns its
    /// digest and length in bytes.
    ///
    /// # Errors
    /// [`BundleFileError`]: items are missing, a verifier would refuse it, or the disk refuses.
    pub fn finish(mut self) -> Result<(BundleDigest, u64), BundleFileError> {
        let bundle = self.bundle.take().expect("only the end takes it");
        let digest = bundle.finish(&mut self.buffer).map_err(BundleFileError::bundle(&self.path))?;
        self.flush()?;
        self.file.sync_all().map_err(BundleFileError::file(&self.part))?;
        self.read_back()?;
        fs::rename(&self.part, &self.path).map_err(BundleFileError::file(&self.path))?;
        Ok((digest, self.bytes))
    }

    fn read_back(&self) -> Result<(), BundleFileError> {
        let mut file = BundleFile::open(&self.part, Trust::GenesisRecord)?;
        loop {
            match file.next_item() {
                Ok(Some(_)) => {}
                Ok(None) => return Ok(()),
                Err(BundleFileError::Bundle { error, .. }) => {
                    return Err(BundleFileError::Unsound { path: self.path.clone(), error });
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn flush(&mut self) -> Result<(), BundleFileError> {
        self.file.write_all(&self.buffer).map_err(BundleFileError::file(&self.part))?;
        self.bytes += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}

impl Drop for FileWriter {
    /// What was not finished is not kept.
    fn drop(&mut self) {
        if self.bytes > 0 || self.bundle.is_some() {
            let _ = fs::remove_file(&self.part);
        }
    }
}
