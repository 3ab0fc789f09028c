//! Snapshots against a definition that shares no code with them, and against everything that may happen to them.

use super::{chunk::level, run::RunView, *};
use crate::trie::{StateTrie, subtree::parting};
use proptest::{collection::vec, prelude::*};
use reprise_abi::{Change, Diff, decode_canonical, encode};
use std::collections::BTreeMap;

type Model = BTreeMap<Vec<u8>, Vec<u8>>;
type Chunks = BTreeMap<ChunkId, Vec<u8>>;

fn state_of(model: &Model) -> StateTrie {
    StateTrie::from_sorted(model).unwrap()
}

fn snapshot_of(model: &Model) -> (Manifest, Chunks) {
    let (mut state, mut chunks) = (state_of(model), Chunks::new());
    let root = state.root();
    (write_snapshot(&state, root, &mut chunks), chunks)
}

/// The snapshot as the documentation defines it: each subtree's weight and level anew, chunks where the level drops.
fn naive_snapshot(model: &Model) -> (Manifest, Chunks) {
    let entries: Vec<_> = model.iter().map(|(key, value)| (key.as_slice(), value.as_slice())).collect();
    let mut chunks = Chunks::new();
    let first = (!entries.is_empty()).then(|| naive_chunk(&entries, &mut chunks));
    let bytes = model.iter().map(|(key, value)| (key.len() + value.len()) as u64).sum();
    let (state_root, keys) = (state_of(model).root(), model.len() as u64);
    (Manifest { format: 1, state_root, keys, bytes, first }, chunks)
}

type Entries<'a> = [(&'a [u8], &'a [u8])];

fn naive_weight(entries: &Entries<'_>) -> u64 {
    entries.iter().map(|(key, value)| (key.len() + value.len() + 8) as u64).sum()
}

fn naive_level(entries: &Entries<'_>) -> u32 {
    match entries {
        [_] => 0,
        _ => (0..).find(|level| naive_weight(entries) <= 256 * 4_u64.pow(*level)).unwrap(),
    }
}

fn naive_split<'a>(entries: &'a Entries<'a>) -> (u16, &'a Entries<'a>, &'a Entries<'a>) {
    let parts = |at: &usize| parting(entries[*at - 1].0, entries[*at].0).unwrap();
    let at = (1..entries.len()).min_by_key(parts).unwrap();
    (parts(&at), &entries[..at], &entries[at..])
}

fn naive_chunk(entries: &Entries<'_>, chunks: &mut Chunks) -> ChunkId {
    let (id, bytes) = if naive_level(entries) == 0 {
        let own = |(key, value): &(&[u8], &[u8])| SnapshotEntry { key: key.to_vec(), value: value.to_vec() };
        let root = StateTrie::from_sorted(entries.iter().copied()).unwrap().root();
        (*root.as_bytes(), encode(&Chunk::Run(entries.iter().map(own).collect())))
    } else {
        let mut refs = Vec::new();
        naive_refs(naive_level(entries), 0, entries, &mut refs, chunks);
        let bytes = encode(&Chunk::Index(refs));
        (blake3::derive_key("reprise 2026 snapshot index v1", &bytes), bytes)
    };
    chunks.insert(ChunkId::from_bytes(id), bytes);
    ChunkId::from_bytes(id)
}

fn naive_refs(level: u32, position: u16, entries: &Entries<'_>, refs: &mut Vec<ChunkRef>, chunks: &mut Chunks) {
    if naive_level(entries) < level {
        refs.push(ChunkRef { position, id: naive_chunk(entries, chunks), weight: naive_weight(entries) });
        return;
    }
    let (parts_at, left, right) = naive_split(entries);
    naive_refs(level, position, left, refs, chunks);
    naive_refs(level, parts_at, right, refs, chunks);
}

fn restore(manifest: Manifest, chunks: &Chunks) -> Result<StateTrie, RestoreError> {
    let mut restorer = Restorer::new(manifest);
    while let Some(wanted) = restorer.wanted() {
        restorer.accept(&chunks[&wanted])?;
    }
    restorer.finish()
}

fn any_key() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => vec(prop_oneof![Just(0), Just(1), Just(b'a'), Just(0x80), Just(0xff)], 0..6),
        2 => vec(any::<u8>(), 0..4),
        1 => (0..=257_usize).prop_map(|len| vec![0xff; len]),
    ]
}

fn any_value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![6 => vec(any::<u8>(), 0..40), 1 => vec(any::<u8>(), 200..2_000)]
}

fn any_model(keys: std::ops::Range<usize>) -> impl Strategy<Value = Model> {
    proptest::collection::btree_map(any_key(), any_value(), keys)
}

/// Keys as a policy would have them, a value each.
fn even_model(keys: u32) -> Model {
    (0..keys).map(|index| (format!("\u{1}member/{index:012}").into_bytes(), [index as u8; 32].to_vec())).collect()
}

/// Applies a change to a key and tells the walk, if there is one.
fn change(state: &mut StateTrie, walk: &mut SnapshotWalk, key: Vec<u8>, after: Option<Vec<u8>>) {
    let before = state.get(&key).map(<[u8]>::to_vec);
    if before != after {
        let diff = Diff::new(vec![Change { key, before, after }]).unwrap();
        walk.observe(&diff);
        state.apply(&diff).unwrap();
    }
}

proptest! {
    #[test]
    fn chunks_are_what_the_definition_says(model in any_model(0..120)) {
        let (manifest, chunks) = snapshot_of(&model);
        let expected = naive_snapshot(&model);
        prop_assert_eq!((manifest, &chunks), (expected.0, &expected.1));
        for (id, bytes) in &chunks {
            prop_assert!(Chunk::open(*id, bytes).is_ok());
        }
        let mut restored = restore(manifest, &chunks).unwrap();
        prop_assert_eq!(restored.root(), manifest.state_root);
        prop_assert!(restored.scan(&[], None).eq(model.iter().map(|(k, v)| (k.as_slice(), v.as_slice()))));
    }

    #[test]
    fn a_walk_is_of_the_state_that_it_began_with(
        model in any_model(0..80),
        changes in vec((any_key(), proptest::option::of(any_value()), 0..4_u32, any::<bool>()), 0..120),
        ranks in vec(any::<prop::sample::Index>(), 40),
    ) {
        let mut state = state_of(&model);
        let root = state.root();
        let mut walk = SnapshotWalk::begin(&state, root);
        let mut chunks = Chunks::new();
        let mut ranks = ranks.into_iter().cycle();
        for (key, after, slice, is_known) in changes {
            // Half of the changes are of keys that are there.
            let known = if is_known && !model.is_empty() {
                ranks.next().map(|rank| rank.get(&model.keys().collect::<Vec<_>>()).to_vec())
            } else {
                None
            };
            change(&mut state, &mut walk, known.unwrap_or(key), after);
            // Hashes may be stale or fresh when a slice is read.
            if slice % 2 == 0 {
                let _ = state.root();
            }
            if walk.progress().0 + u64::from(slice) < walk.progress().1 {
                prop_assert_eq!(walk.advance(&state, slice, &mut chunks), Ok(None));
            }
        }
        let manifest = loop {
            if let Some(manifest) = walk.advance(&state, 3, &mut chunks).unwrap() {
                break manifest;
            }
        };
        prop_assert_eq!((manifest, chunks), snapshot_of(&model));
    }

    #[test]
    fn levels_are_the_least_that_hold_a_weight(weight in 1..u64::MAX) {
        let holds = |level: u32| u128::from(weight) <= 256_u128 << (2 * level);
        prop_assert!(holds(level(weight)));
        prop_assert!(level(weight) == 0 || !holds(level(weight) - 1));
    }
}

#[test]
fn a_walk_that_misses_a_change_says_so() {
    let mut state = state_of(&even_model(50));
    let root = state.root();
    let mut walk = SnapshotWalk::begin(&state, root);
    let mut chunks = Chunks::new();
    assert_eq!(walk.advance(&state, 10, &mut chunks), Ok(None));
    state.insert(b"\x01member/000000000040", b"changed behind its back");
    assert_eq!(walk.advance(&state, 100, &mut chunks), Err(WalkError { expected: root }));
}

#[test]
fn the_empty_state_has_no_chunks() {
    let (manifest, chunks) = snapshot_of(&Model::new());
    assert_eq!((manifest.keys, chunks.len(), manifest.first), (0, 0, None));
    assert!(restore(manifest, &chunks).unwrap().is_empty());
    assert_eq!(Restorer::new(manifest).accept(b"any"), Err(RestoreError::PastEnd));
}

#[test]
fn entries_that_are_heavy_are_runs_of_their_own() {
    let heavy = |index: u8| (vec![1, index], vec![index; 64 * 1024]);
    let model: Model = (0..5).map(heavy).chain([(vec![1], vec![]), (vec![2], vec![9])]).collect();
    let (manifest, chunks) = snapshot_of(&model);
    assert_eq!(chunks, naive_snapshot(&model).1);
    let runs = chunks.iter().filter_map(|(id, bytes)| match Chunk::open(*id, bytes).unwrap() {
        Chunk::Run(entries) => Some(entries.len()),
        Chunk::Index(_) => None,
    });
    assert_eq!(runs.collect::<Vec<_>>(), vec![1; 7]);
    assert_eq!(restore(manifest, &chunks).unwrap().root(), manifest.state_root);
}

#[test]
fn one_changed_key_in_a_hundred_costs_less_than_a_tenth() {
    for step in [100, 97] {
        let mut model = even_model(40_000);
        let (_, mut chunks) = snapshot_of(&model);
        let whole: usize = chunks.values().map(Vec::len).sum();
        let old = chunks.clone();
        for (index, value) in model.values_mut().enumerate() {
            // Evenly: one in each hundred, at a place without pattern.
            let scattered = (index as u64 / step).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
            if index as u64 % step == scattered % step {
                *value = vec![0xee; 32];
            }
        }
        let mut state = state_of(&model);
        let root = state.root();
        let manifest = write_snapshot(&state, root, &mut chunks);
        let written: usize = chunks.iter().filter(|(id, _)| !old.contains_key(id)).map(|(_, bytes)| bytes.len()).sum();
        assert!(written * 10 <= whole, "{written} of {whole} bytes, {} chunks", chunks.len());
        assert_eq!(restore(manifest, &chunks).unwrap().root(), root);
    }
}

#[test]
fn every_damaged_chunk_is_noticed_at_once() {
    let (manifest, chunks) = snapshot_of(&even_model(60));
    for (damaged, bytes) in &chunks {
        for at in 0..bytes.len() {
            let mut mutant = bytes.clone();
            mutant[at] ^= 1 << (at % 8);
            assert!(Chunk::open(*damaged, &mutant).is_err());
            let mut restorer = Restorer::new(manifest);
            while let Some(wanted) = restorer.wanted() {
                let bytes = if wanted == *damaged { &mutant } else { &chunks[&wanted] };
                if restorer.accept(bytes).is_err() {
                    assert_eq!(wanted, *damaged);
                    break;
                }
                assert_ne!(wanted, *damaged, "byte {at} of the chunk makes no difference");
            }
        }
    }
}

#[test]
fn chunks_out_of_order_are_refused() {
    let (manifest, chunks) = snapshot_of(&even_model(60));
    let first = manifest.first.unwrap();
    for (id, bytes) in &chunks {
        let found = Restorer::new(manifest).accept(bytes);
        if *id == first {
            assert_eq!(found, Ok(()));
        } else {
            assert_eq!(found, Err(ChunkError::OtherChunk { expected: first, found: *id }.into()));
        }
    }
    let incomplete = Restorer::new(manifest).finish().unwrap_err();
    assert_eq!(incomplete, RestoreError::Incomplete(first));
}

#[test]
fn a_manifest_that_miscounts_is_refused() {
    let (manifest, chunks) = snapshot_of(&even_model(60));
    let first = manifest.first.unwrap();
    let fewer_bytes = Manifest { bytes: manifest.bytes - 1, ..manifest };
    assert_eq!(restore(fewer_bytes, &chunks).unwrap_err(), RestoreError::Misplaced(first));
    // The weight is the same, the split of it into keys and bytes is not.
    let other_split = Manifest { keys: manifest.keys - 1, bytes: manifest.bytes + ENTRY_WEIGHT, ..manifest };
    assert_eq!(restore(other_split, &chunks).unwrap_err(), RestoreError::Count { expected: 59, found: 60 });
    let other_split = Manifest { keys: manifest.keys + 1, bytes: manifest.bytes - ENTRY_WEIGHT, ..manifest };
    assert_eq!(restore(other_split, &chunks).unwrap_err(), RestoreError::Count { expected: 61, found: 60 });
    let other_state = Manifest { state_root: StateRoot::from_bytes([1; 32]), ..manifest };
    let refused = RestoreError::OtherRoot { expected: other_state.state_root, found: manifest.state_root };
    assert_eq!(restore(other_state, &chunks).unwrap_err(), refused);
}

/// The reader that restores and the codec accept the same bytes.
#[test]
fn runs_are_read_as_the_codec_reads_them() {
    let entry = |key: &[u8], len| SnapshotEntry { key: key.to_vec(), value: vec![b'v'; len] };
    let runs = [
        vec![entry(b"", 0)],
        vec![entry(b"a", 3), entry(b"b", 0), entry(b"bb", 130)],
        vec![entry(&[7; 257], 200)],
        vec![entry(b"k", 20_000)],
    ];
    let mut accepted = 0;
    for run in runs {
        let bytes = encode(&Chunk::Run(run));
        let cut = |at: usize| bytes[..at].to_vec();
        let changed = |at: usize| {
            [0x00, 0x01, 0x7f, 0x80, 0xff].into_iter().flat_map(move |byte| [(at, byte, true), (at, byte, false)])
        };
        let mutants = (0..bytes.len().min(400)).flat_map(changed).map(|(at, byte, is_inserted)| {
            let mut mutant = bytes.clone();
            mutant.splice(at..at + usize::from(!is_inserted), [byte]);
            mutant
        });
        let long_lengths = [3, 4, 5].map(|len| [&[0_u8][..], &vec![0x81; len], &[1]].concat());
        for mutant in mutants.chain((0..=bytes.len().min(400)).map(cut)).chain([bytes.clone()]).chain(long_lengths) {
            let read = RunView::parse(&mutant).ok().flatten();
            match decode_canonical::<Chunk>(&mutant) {
                Ok(Chunk::Run(entries)) => {
                    let read = read.expect("the codec accepts it");
                    let entries: Vec<_> = entries.iter().map(|e| (e.key.as_slice(), e.value.as_slice())).collect();
                    assert_eq!(read.entries().collect::<Vec<_>>(), entries);
                    accepted += 1;
                }
                Ok(Chunk::Index(_)) | Err(_) => assert!(read.is_none(), "{:?}", &mutant[..mutant.len().min(40)]),
            }
        }
    }
    assert!(accepted > 500, "{accepted}");
}

/// Rules by which a state has one set of chunks only.
#[test]
fn chunks_that_no_state_has_are_refused() {
    let entry = |key: u8, len: usize| SnapshotEntry { key: vec![key], value: vec![0; len] };
    let below = |position, weight| ChunkRef { position, id: ChunkId::from_bytes([7; 32]), weight };
    let refused = [
        Chunk::Run(vec![]),
        Chunk::Run(vec![entry(2, 1), entry(1, 1)]),
        Chunk::Run(vec![entry(1, 1), entry(1, 1)]),
        Chunk::Run(vec![entry(1, 200), entry(2, 200)]),
        Chunk::Run(vec![SnapshotEntry { key: vec![0; 258], value: vec![] }]),
        Chunk::Run(vec![entry(1, 64 * 1024 + 1)]),
        Chunk::Index(vec![]),
        Chunk::Index(vec![below(0, 300)]),
        Chunk::Index(vec![below(1, 200), below(2, 200)]),
        Chunk::Index(vec![below(0, 200), below(2314, 200)]),
        Chunk::Index(vec![below(0, 200), below(3, 200), below(3, 200)]),
        Chunk::Index(vec![below(0, 100), below(3, 100)]),
        // Of level 2, with a branch of level 1 below: that one is a chunk of its own.
        Chunk::Index(vec![below(0, 900), below(3, 200), below(4, 200)]),
    ];
    for (index, chunk) in refused.iter().enumerate() {
        assert!(chunk.validate().is_err(), "{index}");
    }
    let accepted = [Chunk::Run(vec![entry(1, 100), entry(2, 100)]), Chunk::Index(vec![below(0, 900), below(3, 200)])];
    assert!(accepted.iter().all(|chunk| chunk.validate().is_ok()));
}

type Runs<'a> = [&'a [&'a [u8]]];

/// Runs side by side that are sound each, under an index that says so.
fn restore_runs(runs: &Runs, positions: &[u16]) -> Result<StateTrie, RestoreError> {
    let (mut chunks, mut refs, mut state) = (Chunks::new(), Vec::new(), Model::new());
    for (keys, position) in runs.iter().zip(positions) {
        let entries: Vec<_> = keys.iter().map(|key| SnapshotEntry { key: key.to_vec(), value: vec![7; 100] }).collect();
        state.extend(entries.iter().map(|entry| (entry.key.clone(), entry.value.clone())));
        let run = Chunk::Run(entries);
        refs.push(ChunkRef { position: *position, id: run.id(), weight: run.weight() });
        chunks.insert(run.id(), encode(&run));
    }
    let index = Chunk::Index(refs);
    chunks.insert(index.id(), encode(&index));
    restore(Manifest { first: Some(index.id()), ..snapshot_of(&state).0 }, &chunks)
}

#[test]
fn runs_that_are_not_subtrees_side_by_side_are_refused() {
    let sound = restore_runs(&[&[b"aa", b"ad"], &[b"b"]], &[0, 7]);
    assert_eq!(sound.unwrap().len(), 3);
    let sound = restore_runs(&[&[b"", b"ad"], &[b"b"]], &[0, 7]);
    assert!(matches!(sound, Err(RestoreError::Misplaced(_))), "the empty key parts from all others first");
    assert_eq!(restore_runs(&[&[b""], &[b"ad", b"b"]], &[0, 0]).unwrap().len(), 3);
    let refused: [(&Runs<'_>, &[u16]); 4] = [
        // The keys part at bit 7.
        (&[&[b"aa", b"ad"], &[b"b"]], &[0, 6]),
        // `ae` belongs in the subtree of `aa` and `ad`.
        (&[&[b"aa", b"ad"], &[b"ae"]], &[0, 17]),
        // `b` parts from `a` first, and belongs on the other side of its run.
        (&[&[b"aa"], &[b"ad", b"b"]], &[0, 15]),
        // Out of order.
        (&[&[b"b"], &[b"aa", b"ad"]], &[0, 7]),
    ];
    for (runs, positions) in refused {
        assert!(matches!(restore_runs(runs, positions), Err(RestoreError::Misplaced(_))), "{runs:?}");
    }
}

#[test]
fn an_index_below_one_of_its_own_level_is_refused() {
    // Honest but for the split: both halves of a state are indexes of its own level.
    let model = even_model(24);
    let (manifest, mut chunks) = snapshot_of(&model);
    let first = manifest.first.unwrap();
    let Chunk::Index(refs) = Chunk::open(first, &chunks[&first]).unwrap() else { panic!("not an index") };
    let cut = (1..refs.len()).min_by_key(|at| refs[*at].position).unwrap();
    let mut halves = Vec::new();
    for half in [&refs[..cut], &refs[cut..]] {
        let mut half = half.to_vec();
        let position = std::mem::take(&mut half[0].position);
        let index = Chunk::Index(half);
        if index.validate().is_err() {
            halves.push(refs[cut]);
            continue;
        }
        let (id, weight) = (index.id(), index.weight());
        chunks.insert(id, encode(&index));
        halves.push(ChunkRef { position, id, weight });
    }
    let forged = Chunk::Index(halves);
    chunks.insert(forged.id(), encode(&forged));
    let manifest = Manifest { first: Some(forged.id()), ..manifest };
    assert!(matches!(restore(manifest, &chunks), Err(RestoreError::Misplaced(_))));
}
