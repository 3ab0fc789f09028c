//! Items and their frames: the order of sections, their counts, the bound on each length, and the digest.
//!
//! A writer and a reader go through the same [`Order`], so that whatever can be written can be read and nothing else.

use super::{
    BUNDLE_MAGIC, BUNDLE_VERSION, BUNDLE_VERSION_OLDEST, BundleError, BundleHeader, Place, Section, derive_hasher,
    header::SECTIONS,
};
use crate::digest::BundleDigest;
use reprise_abi::{Canonical, encode};

/// What stands in place of a section's number before the digest.
const TRAILER_TAG: u8 = 0;
const FRAME_BYTES: usize = 5;
const PRELUDE_BYTES: usize = BUNDLE_MAGIC.len() + 2 + 4;
const DIGEST_BYTES: usize = 32;

/// Writes a bundle into byte buffers, item by item.
#[derive(Clone, Debug)]
pub struct BundleWriter {
    order: Order,
    digest: blake3::Hasher,
}

impl BundleWriter {
    /// Begins a bundle in `out`.
    ///
    /// # Errors
    /// [`BundleError`]: no bundle has such a header.
    pub fn new(header: &BundleHeader, out: &mut Vec<u8>) -> Result<Self, BundleError> {
        check_header(header)?;
        let encoded = encode(header);
        let mut written = BUNDLE_MAGIC.to_vec();
        written.extend_from_slice(&BUNDLE_VERSION.to_le_bytes());
        written.extend_from_slice(&length(&encoded));
        written.extend_from_slice(&encoded);
        let mut digest = hasher();
        digest.update(&written);
        out.append(&mut written);
        Ok(Self { order: Order::new(header), digest })
    }

    /// Adds an item.
    ///
    /// # Errors
    /// [`BundleError`]: it does not belong there, or is too long. Nothing was written.
    pub fn item(&mut self, section: Section, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), BundleError> {
        let place = self.order.next(section)?;
        check_length(place, bytes.len() as u64)?;
        let mut frame = [section as u8, 0, 0, 0, 0];
        frame[1..].copy_from_slice(&length(bytes));
        for part in [frame.as_slice(), bytes] {
            self.digest.update(part);
            out.extend_from_slice(part);
        }
        Ok(())
    }

    /// Ends the bundle; returns its digest.
    ///
    /// # Errors
    /// [`BundleError::Missing`]: not everything that the header speaks of was added.
    pub fn finish(mut self, out: &mut Vec<u8>) -> Result<BundleDigest, BundleError> {
        self.order.end()?;
        self.digest.update(&[TRAILER_TAG]);
        out.push(TRAILER_TAG);
        let digest = BundleDigest::from_bytes(*self.digest.finalize().as_bytes());
        out.extend_from_slice(digest.as_bytes());
        Ok(digest)
    }
}

/// A part of a bundle, as it comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// The header, which is the first.
    Header(Box<BundleHeader>),
    /// An item.
    Item {
        /// Where it stands.
        place: Place,
        /// Its bytes.
        bytes: Vec<u8>,
    },
    /// The end: what was read is what was written.
    End(BundleDigest),
}

/// Reads a bundle from byte slices of any size.
#[derive(Clone, Debug)]
pub struct BundleReader {
    expects: Expects,
    /// What has come of it.
    buffer: Vec<u8>,
    digest: blake3::Hasher,
    order: Option<Order>,
}

/// What comes next in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expects {
    Prelude,
    Header {
        version: u16,
        len: usize,
    },
    /// Section and length of an item; of the trailer only the first byte.
    Frame,
    Item {
        place: Place,
        len: usize,
    },
    Digest,
    Nothing,
}

impl Default for BundleReader {
    fn default() -> Self {
        Self::new()
    }
}

impl BundleReader {
    /// At the beginning of a bundle.
    #[must_use]
    pub fn new() -> Self {
        Self { expects: Expects::Prelude, buffer: Vec::new(), digest: hasher(), order: None }
    }

    /// Takes bytes from the front of `input`, until a piece is complete or there are none left. Memory grows with the
    /// bytes that come, up to the longest item of the section. After an error nothing more can be read.
    ///
    /// # Errors
    /// [`BundleError`]: what came cannot be part of a bundle.
    pub fn read(&mut self, input: &mut &[u8]) -> Result<Option<Piece>, BundleError> {
        while !input.is_empty() {
            if self.expects == Expects::Nothing {
                return Err(BundleError::AfterEnd);
            }
            let wanted = self.wanted();
            let taken = input.split_off(..input.len().min(wanted - self.buffer.len())).expect("no more than there is");
            self.buffer.extend_from_slice(taken);
            if self.buffer.len() < self.wanted() {
                continue;
            }
            if let Some(piece) = self.complete()? {
                return Ok(Some(piece));
            }
        }
        Ok(None)
    }

    /// Says what is missing when there are no more bytes.
    ///
    /// # Errors
    /// [`BundleError`]: the file is truncated.
    pub fn end(&self) -> Result<(), BundleError> {
        match (self.expects, &self.order) {
            (Expects::Nothing, _) => Ok(()),
            (Expects::Item { place, .. }, _) => Err(BundleError::Truncated(place)),
            (Expects::Frame, Some(order)) => {
                Err(order.awaited().map_or(BundleError::TruncatedTrailer, BundleError::Truncated))
            }
            (Expects::Digest, _) => Err(BundleError::TruncatedTrailer),
            _ => Err(BundleError::TruncatedHeader),
        }
    }

    /// Bytes that make the next part complete.
    fn wanted(&self) -> usize {
        match self.expects {
            Expects::Prelude => PRELUDE_BYTES,
            Expects::Header { len, .. } | Expects::Item { len, .. } => len,
            Expects::Frame => match self.buffer.first() {
                // The first byte says whether there are more.
                None | Some(&TRAILER_TAG) => 1,
                Some(_) => FRAME_BYTES,
            },
            Expects::Digest => DIGEST_BYTES,
            Expects::Nothing => 0,
        }
    }

    /// Judges a part that is complete. A part of no bytes at all leads to the next at once.
    fn complete(&mut self) -> Result<Option<Piece>, BundleError> {
        let part = std::mem::take(&mut self.buffer);
        if self.expects != Expects::Digest {
            self.digest.update(&part);
        }
        match self.expects {
            Expects::Prelude => self.prelude(&part).map(|()| None),
            Expects::Header { version, .. } => self.header(version, &part).map(Some),
            Expects::Frame => self.frame(&part),
            Expects::Item { place, .. } => {
                self.expects = Expects::Frame;
                Ok(Some(Piece::Item { place, bytes: part }))
            }
            Expects::Digest => self.trailer(&part).map(Some),
            Expects::Nothing => unreachable!("nothing is taken after the end"),
        }
    }

    fn prelude(&mut self, part: &[u8]) -> Result<(), BundleError> {
        let (magic, rest) = part.split_at(BUNDLE_MAGIC.len());
        if magic != BUNDLE_MAGIC {
            return Err(BundleError::Magic);
        }
        let (version, len) = rest.split_at(2);
        let found = u16::from_le_bytes(version.try_into().expect("two bytes"));
        if !(BUNDLE_VERSION_OLDEST..=BUNDLE_VERSION).contains(&found) {
            return Err(BundleError::Version { found });
        }
        let len = u32::from_le_bytes(len.try_into().expect("four bytes")) as usize;
        if len == 0 || len > BundleHeader::BYTES_MAX {
            return Err(BundleError::HeaderTooLong { len: len as u64 });
        }
        self.expects = Expects::Header { version: found, len };
        Ok(())
    }

    fn header(&mut self, version: u16, part: &[u8]) -> Result<Piece, BundleError> {
        let header = BundleHeader::decode(version, part).map_err(BundleError::Header)?;
        check_header(&header)?;
        self.order = Some(Order::new(&header));
        self.expects = Expects::Frame;
        Ok(Piece::Header(Box::new(header)))
    }

    fn frame(&mut self, part: &[u8]) -> Result<Option<Piece>, BundleError> {
        let order = self.order.as_mut().expect("the header comes first");
        let tag = part[0];
        if tag == TRAILER_TAG {
            order.end()?;
            self.expects = Expects::Digest;
            return Ok(None);
        }
        let section = Section::from_tag(tag).ok_or(BundleError::UnknownSection { tag, after: order.last })?;
        let place = order.next(section)?;
        let len = u32::from_le_bytes(part[1..].try_into().expect("four bytes")) as usize;
        check_length(place, len as u64)?;
        self.expects = Expects::Item { place, len };
        // An item of no bytes is complete already.
        if len == 0 { self.complete() } else { Ok(None) }
    }

    fn trailer(&mut self, part: &[u8]) -> Result<Piece, BundleError> {
        let expected = BundleDigest::from_bytes(part.try_into().expect("32 bytes were asked for"));
        let found = BundleDigest::from_bytes(*self.digest.finalize().as_bytes());
        if found != expected {
            return Err(BundleError::Digest { expected, found });
        }
        self.expects = Expects::Nothing;
        Ok(Piece::End(found))
    }
}

/// Which item may come next.
#[derive(Clone, Debug)]
struct Order {
    /// Items that the header promises, by section.
    promised: [u64; SECTIONS],
    /// Items that came.
    come: [u64; SECTIONS],
    last: Option<Place>,
}

impl Order {
    fn new(header: &BundleHeader) -> Self {
        let promised = Section::ALL.map(|section| header.count(section));
        Self { promised, come: [0; SECTIONS], last: None }
    }

    /// Counts an item of `section`, if it may come now.
    fn next(&mut self, section: Section) -> Result<Place, BundleError> {
        let index = section as usize - 1;
        let found = Place { section, item: self.come[index] };
        if let Some(after) = self.last
            && !may_follow(after.section, section)
        {
            return Err(BundleError::Order { found, after });
        }
        if found.item >= self.promised[index] {
            return Err(BundleError::Surplus(found));
        }
        if let Some(missing) = self.first_missing(section) {
            return Err(BundleError::Missing { missing });
        }
        self.come[index] += 1;
        self.last = Some(found);
        Ok(found)
    }

    fn end(&self) -> Result<(), BundleError> {
        self.awaited().map_or(Ok(()), |missing| Err(BundleError::Missing { missing }))
    }

    /// The first item that is promised and has not come.
    fn awaited(&self) -> Option<Place> {
        self.missing_among(&Section::ALL)
    }

    /// As [`Self::awaited`], of the sections that must be complete before this one.
    fn first_missing(&self, section: Section) -> Option<Place> {
        // The parts of steps take turns; what comes after them comes after all of them.
        let before = if section > Section::Attestation { section } else { section.min(Section::Receipt) };
        let before = before as usize - 1;
        self.missing_among(&Section::ALL[..before]).or_else(|| {
            // A step begins with its receipt, and its parts come in their order.
            let place = |section: Section| Place { section, item: self.come[section as usize - 1] };
            match (section, self.last.map(|last| last.section)) {
                (Section::Input, Some(Section::Receipt)) | (Section::Record, Some(Section::Input)) => None,
                (Section::Attestation, Some(Section::Record)) => None,
                (Section::Input | Section::Attestation, _) => Some(place(Section::Receipt)),
                (Section::Record, _) => Some(place(Section::Input)),
                _ => None,
            }
        })
    }

    fn missing_among(&self, sections: &[Section]) -> Option<Place> {
        let item = |section: Section| self.come[section as usize - 1];
        let short = |section: &&Section| item(**section) < self.promised[**section as usize - 1];
        sections.iter().find(short).map(|section| Place { section: *section, item: item(*section) })
    }
}

/// An item of `section` can stand behind one of `last`.
fn may_follow(last: Section, section: Section) -> bool {
    match last {
        Section::Receipt => section == Section::Input,
        Section::Input => section == Section::Record,
        Section::Record => matches!(section, Section::Receipt | Section::Attestation | Section::Final),
        Section::Attestation => matches!(section, Section::Receipt | Section::Final),
        last => section >= last,
    }
}

fn check_header(header: &BundleHeader) -> Result<(), BundleError> {
    header.genesis.supported().map_err(BundleError::Unsupported)?;
    let expected = header.genesis.ledger_id();
    if header.ledger != expected {
        return Err(BundleError::Ledger { expected, found: header.ledger });
    }
    if !header.range_is_usable() {
        return Err(BundleError::Range { from: header.from, to: header.to });
    }
    header.attesters()?;
    match header.wrong_count() {
        Some(section) => Err(BundleError::Count { section, found: header.count(section) }),
        None => Ok(()),
    }
}

fn check_length(place: Place, len: u64) -> Result<(), BundleError> {
    let max = place.section.item_bytes_max() as u64;
    if len <= max { Ok(()) } else { Err(BundleError::TooLong { place, len, max }) }
}

fn length(bytes: &[u8]) -> [u8; 4] {
    u32::try_from(bytes.len()).expect("items are far below 4 GiB").to_le_bytes()
}

fn hasher() -> blake3::Hasher {
    derive_hasher("reprise 2026 bundle v1")
}
