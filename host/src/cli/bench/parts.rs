//! Parts of a step by themselves: a synced write, a signature, a state root.

use super::{SINGLES, median};
use crate::cli::error::CliError;
use reprise_receipts::{SigningKey, StateTrie};
use std::{fs::File, hint::black_box, io::Write, path::Path, time::Instant};

/// Hashes of 64 KiB that are made at once.
const HASHES: usize = 20_000;
/// Keys of the large state.
const KEYS: u32 = 1_000_000;

/// Microseconds of writing and syncing one page of 4 KiB, in the directory of the journal.
pub(super) fn sync_us(dir: &Path) -> Result<f64, CliError> {
    let path = dir.join("sync");
    let failed = |error| CliError::File { path: path.clone(), error };
    let mut file = File::create(&path).map_err(failed)?;
    let mut samples = Vec::new();
    for _ in 0..SINGLES {
        let started = Instant::now();
        file.write_all(&[0; 4096]).and_then(|()| file.sync_data()).map_err(failed)?;
        samples.push(Ok(started.elapsed().as_secs_f64() * 1e6));
    }
    median(samples.into_iter())
}

/// Microseconds of one Ed25519 signature.
pub(super) fn sign_us() -> f64 {
    let key = SigningKey::from_secret(&[1; 32]);
    let started = Instant::now();
    for _ in 0..SINGLES {
        black_box(key.sign(black_box(&[0; 128])));
    }
    started.elapsed().as_secs_f64() * 1e6 / SINGLES as f64
}

/// Microseconds of hashing 64 KiB in memory, when that many threads share the work: what two of them gain is what this
/// machine has to give.
pub(super) fn hash_us(threads: usize) -> f64 {
    let started = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                for round in 0..HASHES / threads {
                    black_box(blake3::hash(&[round as u8; 64 * 1024]));
                }
            });
        }
    });
    started.elapsed().as_secs_f64() * 1e6 / HASHES as f64
}

/// Microseconds to change two keys of a large state and compute its root.
pub(super) fn root_us() -> f64 {
    let key = |number: u32| blake3::hash(&number.to_le_bytes());
    let mut state = StateTrie::new();
    for number in 0..KEYS {
        state.insert(key(number).as_bytes(), &number.to_le_bytes());
    }
    black_box(state.root());
    let started = Instant::now();
    for step in 0..KEYS / 100 {
        for number in [step * 97 % KEYS, step * 31 % KEYS] {
            state.insert(key(number).as_bytes(), &(number ^ (step + 1)).to_be_bytes());
        }
        black_box(state.root());
    }
    started.elapsed().as_secs_f64() * 1e6 / f64::from(KEYS / 100)
}
