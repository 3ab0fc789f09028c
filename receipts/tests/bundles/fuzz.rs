//! Mutated bundles: whatever bytes come, a reader says something sensible, and says it again.
//!
//! The corpus is `fixtures/bundles`. Half of the mutants get a digest that fits, so that mutations reach what lies
//! behind it. A run is a function of its seed; `REPRISE_FUZZ_SECONDS` makes it go on for that long with seeds that follow.

use crate::{
    drafts, fixture, read,
    sample::{key, sealed},
};
use reprise_receipts::{
    bundle::{BUNDLE_MAGIC, BUNDLE_VERSION, BundleError, BundleReader, BundleWriter, Piece, Section, Trust},
    digest::BundleDigest,
};
use std::{
    collections::BTreeSet,
    env, fs,
    panic::catch_unwind,
    time::{Duration, Instant},
};

/// Mutants of a run without a time.
const MUTANTS: u64 = 4_000;
const SEED: u64 = 2026;
const DIGEST_BYTES: usize = 32;

/// splitmix64 (Steele, Lea, Flood 2014).
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % end.max(1) as u64) as usize
    }

    fn range(&mut self, len: usize, longest: usize) -> std::ops::Range<usize> {
        let start = self.below(len + 1);
        start..(start + self.below(longest)).min(len)
    }
}

fn corpus() -> Vec<Vec<u8>> {
    drafts().iter().map(|(name, _)| fs::read(fixture(name)).expect("the corpus is committed")).collect()
}

/// One to four changes of a file of the corpus.
fn mutant(random: &mut Random, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut file = corpus[random.below(corpus.len())].clone();
    for _ in 0..=random.below(4) {
        let at = random.below(file.len());
        match random.below(7) {
            0 => file[at] ^= 1 << random.below(8),
            1 => file[at] = [0, 1, 0x7f, 0x80, 0xff][random.below(5)],
            2 => file.truncate(at.max(1)),
            3 => drop(file.drain(random.range(file.len() - 1, 64))),
            4 => {
                let piece = file[random.range(file.len(), 600)].to_vec();
                file.splice(at..at, piece);
            }
            5 => {
                let other = &corpus[random.below(corpus.len())];
                let piece = other[random.range(other.len(), 600)].to_vec();
                let end = (at + piece.len()).min(file.len());
                file.splice(at..end, piece);
            }
            _ => {
                let number = [0_u32, 1, 0xffff, 0x7fff_ffff, u32::MAX][random.below(5)];
                let end = (at + 4).min(file.len());
                file.splice(at..end, number.to_le_bytes());
            }
        }
    }
    if random.below(2) == 0 && file.len() > DIGEST_BYTES + 1 {
        file.truncate(file.len() - DIGEST_BYTES - 1);
        file = sealed(file);
    }
    file
}

/// What must hold of any bytes, and what was said of these.
fn check(file: &[u8], slice: usize, corpus: &[Vec<u8>]) -> Result<BundleDigest, BundleError> {
    let whole = read(file, file.len().max(1), Trust::Attester(key()));
    assert_eq!(read(file, slice, Trust::Attester(key())), whole, "slices of {slice} bytes make a difference");
    if whole.is_ok() {
        // A writer writes the newest version, and a header without grants is one of an older version, too.
        let is_newest = file[BUNDLE_MAGIC.len()..].starts_with(&BUNDLE_VERSION.to_le_bytes());
        assert!(!is_newest || rewritten(file) == file, "a bundle has another encoding");
        let signed = history(file);
        assert!(corpus.iter().any(|known| history(known) == signed), "what nobody signed was accepted");
    }
    whole
}

/// What signatures stand for: everything but the publisher's note, lines of unknown signers, and the size that a witness
/// gives the state.
fn history(file: &[u8]) -> Vec<Piece> {
    let (mut reader, mut input, mut pieces) = (BundleReader::new(), file, Vec::new());
    while let Some(piece) = reader.read(&mut input).expect("it was read before") {
        let steps = [Section::Receipt, Section::Input, Section::Record];
        let signed = [[Section::Base, Section::Chunk, Section::Final].as_slice(), &steps].concat();
        if matches!(&piece, Piece::Item { place, .. } if signed.contains(&place.section)) {
            pieces.push(piece);
        }
    }
    pieces
}

/// The bundle, read and written again.
fn rewritten(file: &[u8]) -> Vec<u8> {
    let (mut reader, mut input, mut out) = (BundleReader::new(), file, Vec::new());
    let mut writer: Option<BundleWriter> = None;
    while let Some(piece) = reader.read(&mut input).expect("it was read before") {
        match (piece, writer.as_mut()) {
            (Piece::Header(header), _) => writer = Some(BundleWriter::new(&header, &mut out).unwrap()),
            (Piece::Item { place, bytes }, Some(writer)) => writer.item(place.section, &bytes, &mut out).unwrap(),
            (Piece::End(_), _) => drop(writer.take().unwrap().finish(&mut out).unwrap()),
            (Piece::Item { .. }, None) => unreachable!("the header comes first"),
        }
    }
    out
}

/// Tries mutants until told to stop; returns which errors were met.
fn run(seed: u64, mutants: u64, judge: impl Fn(&Result<BundleDigest, BundleError>)) -> BTreeSet<String> {
    let corpus = corpus();
    let mut met = BTreeSet::new();
    let mut random = Random(seed);
    for _ in 0..mutants {
        let file = mutant(&mut random, &corpus);
        let slice = 1 + random.below(2_000);
        let said = check(&file, slice, &corpus);
        judge(&said);
        if let Err(error) = said {
            let name = format!("{error:?}");
            met.insert(name.split([' ', '(', '{']).next().unwrap_or_default().to_owned());
        }
    }
    met
}

#[test]
fn mutants_are_refused() {
    let seconds = env::var("REPRISE_FUZZ_SECONDS").ok().map(|text| text.parse().expect("a number of seconds"));
    let mut met = run(SEED, MUTANTS, |_| ());
    if let Some(seconds) = seconds {
        let end = Instant::now() + Duration::from_secs(seconds);
        for seed in SEED + 1.. {
            if Instant::now() >= end {
                break;
            }
            met.append(&mut run(seed, MUTANTS, |_| ()));
        }
    }
    // A driver that never gets past the frames would find nothing.
    assert!(met.len() >= 25, "only these errors were met: {met:?}");
}

/// The driver finds a planted bug: a reader that gives up on a signature deep in a file.
#[test]
fn a_planted_bug_is_found() {
    let planted = || {
        run(SEED, MUTANTS, |said| {
            assert!(!matches!(said, Err(BundleError::Attestation { .. })), "planted");
        })
    };
    assert!(catch_unwind(planted).is_err(), "the driver does not get as far as a signature");
}
