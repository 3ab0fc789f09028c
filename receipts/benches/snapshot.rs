//! Snapshots of 1,000,000 keys: making one in slices, reading one, and how much a later one writes.
//!
//! Reading is held against the least that it could be: going through the same chunks and hashing what the state root is
//! made of, without a state coming out of it. How large the longest slice is and what a checkpoint writes is printed
//! once, as those are not times of a loop.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use reprise_receipts::{
    StateTrie,
    digest::ChunkId,
    snapshot::{Chunk, ChunkOrder, ChunkSink, Manifest, Restorer, SnapshotWalk, write_snapshot},
};
use std::{
    collections::HashMap,
    hint::black_box,
    time::{Duration, Instant},
};

const KEYS: u64 = 1_000_000;
const VALUE_BYTES: usize = 32;
/// Keys that a walk reads between two steps.
const SLICE_KEYS: u32 = 2_000;

#[derive(Clone, Default)]
struct Store {
    chunks: HashMap<ChunkId, Vec<u8>>,
    written: usize,
}

impl ChunkSink for Store {
    fn contains(&mut self, id: ChunkId) -> bool {
        self.chunks.contains_key(&id)
    }

    fn put(&mut self, id: ChunkId, bytes: Vec<u8>) {
        self.written += bytes.len();
        self.chunks.insert(id, bytes);
    }
}

fn state() -> StateTrie {
    StateTrie::from_sorted((0..KEYS).map(|index| (key(index), [7; VALUE_BYTES]))).expect("keys ascend")
}

fn key(index: u64) -> Vec<u8> {
    format!("\u{1}member/{index:012}").into_bytes()
}

/// The chunks of a snapshot as a reader of a bundle meets them.
fn in_order(manifest: &Manifest, store: &Store) -> Vec<(ChunkId, Vec<u8>)> {
    let mut order = ChunkOrder::new(manifest);
    let mut chunks = Vec::new();
    while let Some(id) = order.wanted() {
        let bytes = &store.chunks[&id];
        order.accept(&Chunk::open(id, bytes).expect("the store is sound")).expect("the snapshot is sound");
        chunks.push((id, bytes.clone()));
    }
    chunks
}

fn reading(c: &mut Criterion) {
    let (mut state, mut store) = (state(), Store::default());
    let root = state.root();
    let manifest = write_snapshot(&state, root, &mut store);
    let chunks = in_order(&manifest, &store);
    drop(store);
    let mut group = c.benchmark_group("snapshot of 1000000 keys");
    group.sample_size(10);
    group.throughput(Throughput::Bytes(chunks.iter().map(|(_, bytes)| bytes.len() as u64).sum()));
    group.bench_function("one BLAKE3 hash of each chunk", |b| {
        b.iter(|| chunks.iter().fold(0, |mixed, (_, bytes)| mixed ^ blake3::hash(black_box(bytes)).as_bytes()[0]));
    });
    group.bench_function("open each chunk", |b| {
        b.iter(|| chunks.iter().for_each(|(id, bytes)| drop(black_box(Chunk::open(*id, bytes).expect("sound")))));
    });
    let restore = || {
        let mut restorer = Restorer::new(manifest);
        for (_, bytes) in &chunks {
            restorer.accept(bytes).expect("the snapshot is sound");
        }
        restorer.finish().expect("the snapshot is complete")
    };
    group.bench_function("restore", |b| b.iter_with_large_drop(restore));
    group.finish();
}

fn writing(c: &mut Criterion) {
    let (mut state, mut store) = (state(), Store::default());
    let root = state.root();
    let first = Instant::now();
    write_snapshot(&state, root, &mut store);
    let (whole, chunks) = (store.written, store.chunks.len());
    println!("first snapshot: {whole} bytes, {chunks} chunks, {:?}", first.elapsed());
    for index in 0..KEYS / 100 {
        state.insert(&key(100 * index + scattered(index) % 100), &[8; VALUE_BYTES]);
    }
    let root = state.root();
    store.written = 0;
    let mut walk = SnapshotWalk::begin(&state, root);
    let mut longest = Duration::ZERO;
    loop {
        let slice = Instant::now();
        let end = walk.advance(&state, SLICE_KEYS, &mut store).expect("nothing changes");
        longest = longest.max(slice.elapsed());
        if end.is_some() {
            break;
        }
    }
    println!(
        "after 1 % of the keys: {:.4} of the bytes, slices of at most {longest:?}",
        store.written as f64 / whole as f64
    );
    let mut group = c.benchmark_group("snapshot of 1000000 keys");
    group.sample_size(10);
    group.throughput(Throughput::Elements(KEYS));
    group.bench_function("write what is there", |b| b.iter(|| write_snapshot(&state, root, &mut store)));
    group.bench_function("write all of it", |b| {
        b.iter_batched(
            Store::default,
            |mut store| (write_snapshot(&state, root, &mut store), store),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

/// A permutation of the 64-bit numbers without pattern (splitmix64's finaliser).
fn scattered(index: u64) -> u64 {
    let x = (index ^ (index >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

criterion_group!(benches, reading, writing);
criterion_main!(benches);
