//! Every size up to 600 against two other implementations, and every proof against its mutants.

use super::*;
use crate::digest::LeafHash;
use ct_merkle::{RootHash, mem_backed_tree::MemoryBackedTree};
use proptest::{prelude::*, sample::Index};
use reprise_abi::{decode_canonical, encode};
use sha2_next::Sha256 as CtSha256;
use std::{cell::RefCell, collections::BTreeMap};
use tlog_tiles::{Hash, HashReader, stored_hash_count, stored_hashes, tree_hash};

const SIZE_MAX: u64 = 600;

type Tiles = BTreeMap<(u8, u64), Vec<u8>>;

fn receipt(seq: u64) -> Vec<u8> {
    format!("receipt {seq}").into_bytes()
}

fn leaf(seq: u64) -> LeafHash {
    LeafHash::of(&receipt(seq))
}

fn source(tiles: &Tiles) -> impl TileSource + '_ {
    |level, index| tiles.get(&(level, index)).cloned()
}

fn store(tail: &mut LogTail, tiles: &mut Tiles) {
    for TileWrite { level, index, hashes } in tail.take_dirty_tiles() {
        assert!(!hashes.is_empty() && hashes.len() <= TILE_BYTES_MAX && hashes.len() % 32 == 0);
        let old = tiles.insert((level, index), hashes.clone());
        assert!(old.is_none_or(|old| hashes.len() > old.len() && hashes.starts_with(&old)), "tiles only grow");
    }
}

/// A log of `size` receipts, stored after every `batch` of them.
fn log_of(size: u64, batch: u64) -> (LogTail, Tiles) {
    let (mut tail, mut tiles) = (LogTail::new(), Tiles::new());
    for seq in 0..size {
        tail.append(leaf(seq));
        if (seq + 1) % batch == 0 {
            store(&mut tail, &mut tiles);
        }
    }
    store(&mut tail, &mut tiles);
    (tail, tiles)
}

/// `ct-merkle`'s logs of every size up to `size`: the last one, and all roots.
fn ct_logs(size: u64) -> (MemoryBackedTree<CtSha256, Vec<u8>>, Vec<RootHash<CtSha256>>) {
    let mut tree = MemoryBackedTree::new();
    let mut roots = vec![tree.root()];
    for seq in 0..size {
        tree.push(receipt(seq));
        roots.push(tree.root());
    }
    (tree, roots)
}

fn log_root(root: &RootHash<CtSha256>) -> LogRoot {
    LogRoot::from_bytes(root.as_bytes().as_slice().try_into().unwrap())
}

/// All hashes of a log in the order of `tlog_tiles`, without tiles.
#[derive(Default)]
struct Flat(RefCell<Vec<Hash>>);

impl HashReader for Flat {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, tlog_tiles::Error> {
        Ok(indexes.iter().map(|index| self.0.borrow()[usize::try_from(*index).unwrap()]).collect())
    }
}

#[test]
fn roots_are_those_of_two_other_implementations() {
    let (_, ct_roots) = ct_logs(SIZE_MAX);
    let (mut tail, flat) = (LogTail::new(), Flat::default());
    assert_eq!(tail.root(), LogRoot::EMPTY);
    for seq in 0..SIZE_MAX {
        tail.append(leaf(seq));
        let new = stored_hashes(seq, &receipt(seq), &flat).unwrap();
        flat.0.borrow_mut().extend(new);
        assert_eq!(flat.0.borrow().len() as u64, stored_hash_count(seq + 1));
        assert_eq!(tail.size(), seq + 1);
        assert_eq!(tail.root().as_bytes(), &tree_hash(seq + 1, &flat).unwrap().0);
        assert_eq!(tail.root(), log_root(&ct_roots[seq as usize + 1]));
    }
}

#[test]
fn empty_log_has_the_root_of_rfc_6962() {
    let text = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(LogRoot::EMPTY.to_string(), text);
    assert_eq!(log_root(&MemoryBackedTree::<CtSha256, Vec<u8>>::new().root()), LogRoot::EMPTY);
}

/// 66,000 receipts have three levels of tiles, with a complete tile on two of them.
#[test]
fn three_levels_of_tiles() {
    let size = 256 * 256 + 464;
    let (tail, tiles) = log_of(size, 1_000);
    let places: Vec<_> = tiles.keys().filter(|(level, _)| *level > 0).copied().collect();
    assert_eq!(places, [(1, 0), (1, 1), (2, 0)]);
    assert_eq!(tiles.len(), 258 + 3);
    assert_eq!(check_tiles(size, (0..size).map(leaf), &source(&tiles)), Ok(tail.root()));
    let loaded = LogTail::load(size, |level, index| tiles.get(&(level, index)).cloned()).unwrap();
    assert_eq!(loaded.root(), tail.root());
    for seq in [0, 255, 256, 65_535, 65_536, size - 1] {
        let proof = prove_inclusion(&source(&tiles), size, seq).unwrap();
        assert_eq!(proof.verify(&tail.root(), size, seq, &leaf(seq)), Ok(()));
    }
    let old = log_of(65_537, 70_000).0;
    let proof = prove_consistency(&source(&tiles), old.size(), size).unwrap();
    assert_eq!(proof.verify(old.size(), &old.root(), size, &tail.root()), Ok(()));
}

#[test]
fn tail_goes_on_where_it_was_stored() {
    let (whole, whole_tiles) = log_of(SIZE_MAX, SIZE_MAX);
    for size in 0..=SIZE_MAX {
        let (_, mut tiles) = log_of(size, 7);
        let mut tail = LogTail::load(size, |level, index| tiles.get(&(level, index)).cloned()).unwrap();
        assert_eq!(tail.size(), size);
        assert_eq!(tail.last_leaf(), size.checked_sub(1).map(leaf));
        assert_eq!(tail.take_dirty_tiles(), []);
        for seq in size..SIZE_MAX {
            tail.append(leaf(seq));
        }
        store(&mut tail, &mut tiles);
        assert_eq!((tail.root(), &tiles), (whole.root(), &whole_tiles), "loaded at {size}");
    }
}

#[test]
fn inclusion_at_every_size_and_place() {
    let (_, tiles) = log_of(SIZE_MAX, 100);
    let (mut ct, mut tail) = (MemoryBackedTree::<CtSha256, Vec<u8>>::new(), LogTail::new());
    for size in 1..=SIZE_MAX {
        ct.push(receipt(size - 1));
        tail.append(leaf(size - 1));
        // All places of small logs; of large ones those around the borders of tiles and a few between.
        for seq in (0..size).filter(|seq| size < 70 || seq % 37 == size % 37 || (seq + 1) % 256 < 2 || seq + 1 == size)
        {
            let proof = prove_inclusion(&source(&tiles), size, seq).unwrap();
            assert_eq!(proof.verify(&tail.root(), size, seq, &leaf(seq)), Ok(()));
            assert_eq!(&encode(&proof)[1..], ct.prove_inclusion(seq as usize).as_bytes());
            assert_eq!(decode_canonical(&encode(&proof)), Ok(proof));
        }
    }
}

#[test]
fn consistency_between_all_sizes() {
    let (_, tiles) = log_of(SIZE_MAX, 100);
    let (mut ct, mut roots) = (MemoryBackedTree::<CtSha256, Vec<u8>>::new(), vec![LogRoot::EMPTY]);
    for new in 1..=SIZE_MAX {
        ct.push(receipt(new - 1));
        roots.push(log_root(&ct.root()));
        for old in (0..=new).filter(|old| new < 70 || old % 41 == new % 41 || old % 256 < 2 || old + 1 >= new) {
            let proof = prove_consistency(&source(&tiles), old, new).unwrap();
            assert_eq!(proof.verify(old, &roots[old as usize], new, &roots[new as usize]), Ok(()));
            if old > 0 {
                assert_eq!(&encode(&proof)[1..], ct.prove_consistency((new - old) as usize).as_bytes());
            }
            assert_eq!(decode_canonical(&encode(&proof)), Ok(proof));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn mutated_inclusion_is_refused(size in 2..SIZE_MAX, seq in any::<Index>(), at in any::<Index>(), flip in 1..=255_u8) {
        let (tail, tiles) = log_of(size, size);
        let (root, seq) = (tail.root(), seq.index(size as usize) as u64);
        let proof = prove_inclusion(&source(&tiles), size, seq).unwrap();
        let (leaf, foreign) = (leaf(seq), leaf(size));
        let mut bytes = encode(&proof);
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        if let Ok(mutant) = decode_canonical::<InclusionProof>(&bytes) {
            prop_assert_eq!(mutant.verify(&root, size, seq, &leaf), Err(LogProofError::Refused));
        }
        for longer_or_shorter in [1, -1] {
            let mut bytes = encode(&proof);
            bytes[0] = bytes[0].wrapping_add_signed(longer_or_shorter);
            bytes.resize(1 + 32 * usize::from(bytes[0]), 0);
            let mutant = decode_canonical::<InclusionProof>(&bytes).unwrap();
            prop_assert_eq!(mutant.verify(&root, size, seq, &leaf), Err(LogProofError::Refused));
        }
        let other = (seq + 1) % size;
        prop_assert_eq!(proof.verify(&root, size, other, &leaf), Err(LogProofError::Refused));
        prop_assert_eq!(proof.verify(&root, size, seq, &foreign), Err(LogProofError::Refused));
        prop_assert_eq!(proof.verify(&LogRoot::EMPTY, size, seq, &leaf), Err(LogProofError::Refused));
        let wanted = size;
        prop_assert_eq!(proof.verify(&root, size, wanted, &leaf), Err(LogProofError::BeyondEnd { size, wanted }));
    }

    #[test]
    fn mutated_consistency_is_refused(new in 2..SIZE_MAX, old in any::<Index>(), at in any::<Index>(), flip in 1..=255_u8) {
        let old = old.index(new as usize) as u64;
        let (old_root, (tail, tiles)) = (log_of(old, 1_000).0.root(), log_of(new, 1_000));
        let new_root = tail.root();
        let proof = prove_consistency(&source(&tiles), old, new).unwrap();
        prop_assert_eq!(proof.verify(old, &old_root, new, &new_root), Ok(()));
        let mut bytes = encode(&proof);
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        if let Ok(mutant) = decode_canonical::<ConsistencyProof>(&bytes) {
            prop_assert_eq!(mutant.verify(old, &old_root, new, &new_root), Err(LogProofError::Refused));
        }
        let wrong = LogRoot::from_bytes([flip; 32]);
        prop_assert_eq!(proof.verify(old, &wrong, new, &new_root), Err(LogProofError::Refused));
        if old > 0 {
            prop_assert_eq!(proof.verify(old, &old_root, new, &wrong), Err(LogProofError::Refused));
        }
        let beyond = LogProofError::BeyondEnd { size: old, wanted: new };
        prop_assert_eq!(proof.verify(new, &new_root, old, &old_root), Err(beyond));
    }

    /// A fork: the same size, one receipt different. No proof of one log passes for the other.
    #[test]
    fn fork_is_not_consistent(new in 2..SIZE_MAX, old in any::<Index>(), at in any::<Index>()) {
        let old = 1 + old.index(new as usize - 1) as u64;
        let forked_at = at.index(old as usize) as u64;
        let mut fork = LogTail::new();
        for seq in 0..old {
            fork.append(if seq == forked_at { leaf(SIZE_MAX) } else { leaf(seq) });
        }
        let (tail, tiles) = log_of(new, new);
        let proof = prove_consistency(&source(&tiles), old, new).unwrap();
        prop_assert_eq!(proof.verify(old, &fork.root(), new, &tail.root()), Err(LogProofError::Refused));
    }

    /// Any byte of any tile: named by the check, and by loading if a length changes.
    #[test]
    fn damaged_tile_is_named(size in 1..SIZE_MAX, which in any::<Index>(), at in any::<Index>(), flip in 1..=255_u8) {
        let (tail, tiles) = log_of(size, 50);
        let check = |tiles: &Tiles| check_tiles(size, (0..size).map(leaf), &source(tiles));
        prop_assert_eq!(check(&tiles), Ok(tail.root()));
        let (&(level, index), whole) = tiles.iter().nth(which.index(tiles.len())).unwrap();

        let mut damaged = tiles.clone();
        damaged.get_mut(&(level, index)).unwrap()[at.index(whole.len())] ^= flip;
        prop_assert_eq!(check(&damaged), Err(LogError::WrongTile { level, index }));

        let mut cut = tiles.clone();
        let found = at.index(whole.len());
        cut.get_mut(&(level, index)).unwrap().truncate(found);
        let too_short = LogError::TileLength { level, index, expected: whole.len(), found };
        prop_assert_eq!(check(&cut), Err(too_short));

        let mut missing = tiles.clone();
        missing.remove(&(level, index));
        prop_assert_eq!(check(&missing), Err(LogError::MissingTile { level, index }));

        let load = |tiles: &Tiles| LogTail::load(size, |level, index| tiles.get(&(level, index)).cloned()).err();
        if whole.len() < TILE_BYTES_MAX {
            prop_assert_eq!(load(&cut), Some(too_short));
            prop_assert_eq!(load(&missing), Some(LogError::MissingTile { level, index }));
            let loaded = LogTail::load(size, |level, index| damaged.get(&(level, index)).cloned()).unwrap();
            prop_assert_ne!(loaded.root(), tail.root());
        }
    }

    /// Hashes without sense at sizes without sense: an error and no panic.
    #[test]
    fn invented_proofs_are_refused(
        hashes in proptest::collection::vec(any::<[u8; 32]>(), 0..64),
        (size, wanted) in (any::<u64>(), any::<u64>()),
        shift in 0..64_u32,
    ) {
        let bytes: Vec<u8> = std::iter::once(hashes.len() as u8).chain(hashes.concat()).collect();
        let (root, other) = (LogRoot::from_bytes([1; 32]), LogRoot::from_bytes([2; 32]));
        let (size, wanted) = (size >> shift, wanted >> shift);
        if let Ok(proof) = decode_canonical::<InclusionProof>(&bytes) {
            prop_assert!(proof.verify(&root, size, wanted, &LeafHash::NONE).is_err());
        } else {
            prop_assert!(hashes.len() > proof::PROOF_HASHES_MAX);
        }
        if let Ok(proof) = decode_canonical::<ConsistencyProof>(&bytes) {
            prop_assert!(proof.verify(wanted, &root, size, &other).is_err());
        }
    }
}

#[test]
fn proofs_name_the_tile_they_lack() {
    let (_, mut tiles) = log_of(SIZE_MAX, SIZE_MAX);
    tiles.remove(&(0, 1));
    let missing = LogError::MissingTile { level: 0, index: 1 };
    assert_eq!(prove_inclusion(&source(&tiles), SIZE_MAX, 300), Err(missing));
    assert_eq!(prove_consistency(&source(&tiles), 300, SIZE_MAX), Err(missing));
    assert!(prove_inclusion(&source(&tiles), SIZE_MAX, 10).is_ok());
    tiles.get_mut(&(0, 2)).unwrap().truncate(32);
    let short = LogError::TileLength { level: 0, index: 2, expected: 64 * 32, found: 32 };
    assert_eq!(prove_inclusion(&source(&tiles), SIZE_MAX, 10), Err(short));
}

#[test]
fn ranges_are_checked() {
    let (_, tiles) = log_of(10, 10);
    let beyond = |size, wanted| LogError::BeyondEnd { size, wanted };
    assert_eq!(prove_inclusion(&source(&tiles), 10, 10), Err(beyond(10, 10)));
    assert_eq!(prove_inclusion(&source(&tiles), 0, 0), Err(beyond(0, 0)));
    assert_eq!(prove_consistency(&source(&tiles), 11, 10), Err(beyond(10, 11)));
    let too_large = LogError::TooLarge { size: LOG_SIZE_MAX + 1 };
    assert_eq!(prove_inclusion(&source(&tiles), LOG_SIZE_MAX + 1, 0), Err(too_large));
    assert_eq!(prove_consistency(&source(&tiles), 0, LOG_SIZE_MAX + 1), Err(too_large));
    assert_eq!(LogTail::load(LOG_SIZE_MAX + 1, |_, _| None).err(), Some(too_large));
    assert_eq!(LogTail::load(LOG_SIZE_MAX, |_, _| None).err(), Some(LogError::MissingTile { level: 6, index: 0 }));
    let leaves = |count| check_tiles(10, (0..count).map(leaf), &source(&tiles)).err();
    assert_eq!(leaves(9), Some(LogError::LeafCount { expected: 10, found: 9 }));
    assert_eq!(leaves(12), Some(LogError::LeafCount { expected: 10, found: 11 }));
    assert_eq!(leaves(10), None);
    assert_eq!(check_tiles(0, [], &source(&Tiles::new())), Ok(LogRoot::EMPTY));
}

#[test]
fn the_root_of_a_complete_tile_is_its_hash_in_the_tile_above() {
    let (tail, tiles) = log_of(256, 256);
    let complete = tiles[&(0, 0)].as_slice().try_into().unwrap();
    assert_eq!(tiles[&(1, 0)], tile_root(complete));
    assert_eq!(tail.root(), LogRoot::from_bytes(tile_root(complete)));
}
