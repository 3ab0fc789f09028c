//! What a step pays for its state root: two keys changed in a trie of 1,000, 100,000 and 1,000,000 keys.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use reprise_receipts::StateTrie;
use std::hint::black_box;

const VALUE_BYTES: usize = 32;

fn step_of_two_keys(c: &mut Criterion) {
    let mut group = c.benchmark_group("root after two keys");
    for keys in [1_000, 100_000, 1_000_000] {
        let mut trie = StateTrie::from_sorted(entries(keys)).expect("keys ascend");
        let mut step = 0_u64;
        group.bench_function(BenchmarkId::from_parameter(keys), |b| {
            b.iter(|| {
                step += 1;
                for half in 0..2 {
                    let value = [step.to_le_bytes(); VALUE_BYTES / 8].concat();
                    trie.insert(&key(scattered(2 * step + half) % keys), &value);
                }
                black_box(trie.root())
            });
        });
    }
    group.finish();
}

fn step_that_adds_and_removes(c: &mut Criterion) {
    let keys = 100_000;
    let mut trie = StateTrie::from_sorted(entries(keys)).expect("keys ascend");
    let (mut step, mut missing) = (0_u64, 0);
    trie.remove(&key(missing));
    c.bench_function("root after one key added and one removed/100000", |b| {
        b.iter(|| {
            step += 1;
            trie.insert(&key(missing), &[8; VALUE_BYTES]);
            missing = scattered(step) % keys;
            assert!(trie.remove(&key(missing)));
            black_box(trie.root())
        });
    });
}

fn open(c: &mut Criterion) {
    let mut group = c.benchmark_group("open");
    group.sample_size(10);
    let keys = 100_000;
    let entries: Vec<_> = entries(keys).collect();
    group.throughput(Throughput::Elements(keys));
    group.bench_function("from sorted/100000", |b| {
        b.iter(|| StateTrie::from_sorted(entries.iter().map(|(k, v)| (k, v))).expect("keys ascend").root());
    });
    group.bench_function("by insertion/100000", |b| {
        b.iter(|| {
            let mut trie = StateTrie::new();
            for (key, value) in &entries {
                trie.insert(key, value);
            }
            trie.root()
        });
    });
    group.finish();
}

fn entries(keys: u64) -> impl Iterator<Item = (Vec<u8>, [u8; VALUE_BYTES])> {
    (0..keys).map(|index| (key(index), [7; VALUE_BYTES]))
}

/// Ascends with `index`.
fn key(index: u64) -> Vec<u8> {
    format!("pmember/{index:012}").into_bytes()
}

/// A permutation of the 64-bit numbers without pattern (splitmix64's finaliser).
fn scattered(index: u64) -> u64 {
    let x = (index ^ (index >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

criterion_group!(benches, step_of_two_keys, step_that_adds_and_removes, open);
criterion_main!(benches);
