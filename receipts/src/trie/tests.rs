//! The trie against a `BTreeMap`, and its root against a definition that shares no code with it.

use super::*;
use proptest::{collection::vec, prelude::*};
use reprise_abi::Change;
use std::collections::BTreeMap;

pub(super) type Model = BTreeMap<Vec<u8>, Vec<u8>>;

/// The root as the documentation defines it: bits as a list, sides as lists, everything hashed anew.
pub(super) fn naive_root(model: &Model) -> StateRoot {
    let entries: Vec<_> =
        model.iter().map(|(key, value)| (naive_bits(key), key.as_slice(), value.as_slice())).collect();
    StateRoot::from_bytes(if entries.is_empty() {
        blake3::derive_key("reprise 2026 state empty v1", b"")
    } else {
        naive_subtree(&entries)
    })
}

fn naive_bits(key: &[u8]) -> Vec<bool> {
    let mut bits = Vec::new();
    for byte in key {
        bits.push(true);
        bits.extend((0..8).rev().map(|power| byte & 1 << power != 0));
    }
    bits.push(false);
    bits
}

fn naive_subtree(entries: &[(Vec<bool>, &[u8], &[u8])]) -> [u8; 32] {
    if let [(_, key, value)] = entries {
        let digest = blake3::derive_key("reprise 2026 state value v1", value);
        return blake3::derive_key("reprise 2026 state leaf v1", &[&digest, *key].concat());
    }
    let parts_at = (0..).find(|at| entries.iter().any(|(bits, ..)| bits[*at] != entries[0].0[*at])).unwrap();
    let (right, left): (Vec<_>, Vec<_>) = entries.iter().cloned().partition(|(bits, ..)| bits[parts_at]);
    let node_key = blake3::derive_key("reprise 2026 state node v1", &(parts_at as u32).to_le_bytes());
    *blake3::keyed_hash(&node_key, &[naive_subtree(&left), naive_subtree(&right)].concat()).as_bytes()
}

pub(super) fn trie_of(model: &Model) -> StateTrie {
    let mut trie = StateTrie::new();
    for (key, value) in model {
        trie.insert(key, value);
    }
    trie
}

/// Keys that share prefixes, contain each other, and use all bits.
pub(super) fn any_key() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => vec(prop_oneof![Just(0), Just(1), Just(b'a'), Just(0x80), Just(0xff)], 0..5),
        2 => vec(any::<u8>(), 0..4),
        1 => vec(any::<u8>(), 250..=STATE_KEY_BYTES_MAX),
        1 => (0..=STATE_KEY_BYTES_MAX).prop_map(|len| vec![0xff; len]),
    ]
}

pub(super) fn any_value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![4 => vec(any::<u8>(), 0..4), 1 => vec(any::<u8>(), 0..200)]
}

pub(super) fn any_model(keys: std::ops::Range<usize>) -> impl Strategy<Value = Model> {
    proptest::collection::btree_map(any_key(), any_value(), keys)
}

#[derive(Clone, Debug)]
enum Op {
    Insert(Vec<u8>, Vec<u8>),
    Remove(Vec<u8>),
    /// Removes a key that is there: the one at this rank, modulo the number of keys.
    RemoveRank(usize),
    Root,
}

fn any_op() -> impl Strategy<Value = Op> {
    prop_oneof![
        5 => (any_key(), any_value()).prop_map(|(key, value)| Op::Insert(key, value)),
        1 => any_key().prop_map(Op::Remove),
        3 => any::<usize>().prop_map(Op::RemoveRank),
        1 => Just(Op::Root),
    ]
}

fn check_equal(trie: &mut StateTrie, model: &Model) {
    assert_eq!(trie.len(), model.len());
    assert_eq!(trie.is_empty(), model.is_empty());
    assert_eq!(trie.bytes(), model.iter().map(|(k, v)| (k.len() + v.len()) as u64).sum::<u64>());
    let entries: Model = trie.scan(b"", None).map(|(k, v)| (k.to_vec(), v.to_vec())).collect();
    assert_eq!(&entries, model);
    assert!(trie.scan(b"", None).is_sorted_by(|a, b| a.0 < b.0));
    assert_eq!(trie.root(), naive_root(model));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn behaves_like_an_ordered_map(ops in vec(any_op(), 0..80)) {
        let (mut trie, mut model) = (StateTrie::new(), Model::new());
        for op in ops {
            match op {
                Op::Insert(key, value) => {
                    trie.insert(&key, &value);
                    prop_assert_eq!(trie.get(&key), Some(value.as_slice()));
                    model.insert(key, value);
                }
                Op::Remove(key) => prop_assert_eq!(trie.remove(&key), model.remove(&key).is_some()),
                Op::RemoveRank(rank) => {
                    let Some(key) = model.keys().nth(rank % model.len().max(1)).cloned() else { continue };
                    prop_assert!(trie.remove(&key));
                    prop_assert_eq!(trie.get(&key), None);
                    model.remove(&key);
                }
                Op::Root => prop_assert_eq!(trie.root(), naive_root(&model)),
            }
        }
        check_equal(&mut trie, &model);
    }

    #[test]
    fn root_knows_no_history(model in any_model(0..40), extra in any_model(0..20), seed in any::<u64>()) {
        let mut order: Vec<_> = model.iter().chain(&extra).collect();
        order.sort_by_key(|(key, _)| blake3::hash(&[&seed.to_le_bytes(), key.as_slice()].concat()).to_hex());
        let mut trie = StateTrie::new();
        for (key, value) in order {
            trie.insert(key, value);
        }
        let _ = trie.root();
        for key in extra.keys() {
            trie.remove(key);
        }
        for (key, value) in &model {
            trie.insert(key, value);
        }
        prop_assert_eq!(trie.root(), naive_root(&model));
        prop_assert_eq!(StateTrie::from_sorted(&model).unwrap().root(), naive_root(&model));
    }

    #[test]
    fn built_trie_takes_changes(model in any_model(0..40), ops in any_model(0..20)) {
        let mut trie = StateTrie::from_sorted(&model).unwrap();
        check_equal(&mut trie, &model);
        let mut model = model;
        for (key, value) in ops {
            prop_assert_eq!(trie.remove(&key), model.remove(&key).is_some());
            trie.insert(&key, &value);
            model.insert(key, value);
        }
        check_equal(&mut trie, &model);
    }

    #[test]
    fn scan_pages_through_a_prefix(model in any_model(0..60), prefix in any_key(), after in any_key()) {
        let trie = trie_of(&model);
        for prefix in [prefix.as_slice(), &prefix[..prefix.len().min(1)]] {
            let expected = |after: Option<&[u8]>| -> Vec<(Vec<u8>, Vec<u8>)> {
                let wanted = |key: &[u8]| key.starts_with(prefix) && after.is_none_or(|after| key > after);
                model.iter().filter(|(key, _)| wanted(key)).map(|(k, v)| (k.clone(), v.clone())).collect()
            };
            let found = |after: Option<&[u8]>| -> Vec<(Vec<u8>, Vec<u8>)> {
                trie.scan(prefix, after).map(|(key, value)| (key.to_vec(), value.to_vec())).collect()
            };
            prop_assert_eq!(found(None), expected(None));
            prop_assert_eq!(found(Some(&after)), expected(Some(&after)));
            for key in model.keys() {
                prop_assert_eq!(found(Some(key)), expected(Some(key)));
            }
        }
    }

    #[test]
    fn diff_and_its_inverse_cancel(before in any_model(0..30), after in any_model(0..30)) {
        let mut trie = trie_of(&before);
        let root = trie.root();
        let diff = diff_between(&before, &after);
        trie.apply(&diff).unwrap();
        check_equal(&mut trie, &after);
        trie.apply(&diff.inverted()).unwrap();
        prop_assert_eq!(trie.root(), root);
        check_equal(&mut trie, &before);
    }

    #[test]
    fn diff_that_does_not_fit_changes_nothing(before in any_model(0..10), after in any_model(1..10), at in any::<usize>()) {
        let diff = diff_between(&before, &after);
        prop_assume!(!diff.is_empty());
        let index = at % diff.changes().len();
        let change = &diff.changes()[index];
        let mut other = before.clone();
        match &change.before {
            Some(_) => other.remove(&change.key),
            None => other.insert(change.key.clone(), b"already there".to_vec()),
        };
        let mut trie = trie_of(&other);
        prop_assert_eq!(trie.apply(&diff), Err(ApplyError::OtherValue { index }));
        check_equal(&mut trie, &other);
    }
}

fn diff_between(before: &Model, after: &Model) -> Diff {
    let keys: std::collections::BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let change =
        |key: &Vec<u8>| Change { key: key.clone(), before: before.get(key).cloned(), after: after.get(key).cloned() };
    Diff::new(keys.into_iter().map(change).filter(|change| change.before != change.after).collect()).unwrap()
}

#[test]
fn equal_value_marks_nothing() {
    let mut trie = trie_of(&Model::from([(b"a".to_vec(), b"1".to_vec()), (b"b".to_vec(), b"2".to_vec())]));
    let _ = trie.root();
    trie.insert(b"a", b"1");
    assert!(!trie.remove(b"c"));
    assert!(!trie.root.unwrap().is_stale());
    trie.insert(b"a", b"2");
    assert!(trie.root.unwrap().is_stale());
}

#[test]
fn nodes_are_used_again() {
    let mut trie = StateTrie::new();
    for round in 0..10_u8 {
        for key in 0..100_u8 {
            trie.insert(&[round, key], b"value");
        }
        for key in 0..100_u8 {
            assert!(trie.remove(&[round, key]));
        }
    }
    assert_eq!((trie.len(), trie.bytes(), trie.inners.len()), (0, 0, 0));
    assert_eq!(trie.root(), naive_root(&Model::new()));
    trie.insert(b"k", b"v");
    assert_eq!(trie.root(), naive_root(&Model::from([(b"k".to_vec(), b"v".to_vec())])));
}

#[test]
#[cfg(target_pointer_width = "64")]
fn nodes_weigh_what_they_are_said_to() {
    assert_eq!((size_of::<Inner>(), size_of::<Leaf>()), (80, 24));
}

/// One key that branches at every bit that it has: the deepest trie there is.
#[test]
fn deepest_trie() {
    let longest = vec![0xff; STATE_KEY_BYTES_MAX];
    let mut model = Model::from([(longest.clone(), b"end".to_vec())]);
    for len in 0..STATE_KEY_BYTES_MAX {
        model.insert(longest[..len].to_vec(), vec![]);
        for bit in 0..8 {
            let mut key = longest[..=len].to_vec();
            key[len] ^= 1 << bit;
            model.insert(key, vec![bit]);
        }
    }
    let mut trie = trie_of(&model);
    assert_eq!(trie.prove_presence(&longest).unwrap().verify(&trie.root(), &longest, b"end"), Ok(()));
    assert_eq!(trie.root(), StateTrie::from_sorted(&model).unwrap().root());
    assert_eq!(trie.scan(b"", None).count(), 9 * STATE_KEY_BYTES_MAX + 1);
    let copy = trie.clone();
    for key in model.keys() {
        assert!(trie.remove(key));
    }
    assert!(trie.is_empty());
    assert_eq!(copy.len(), model.len());
}

#[test]
fn builder_refuses_what_is_out_of_order_or_too_long() {
    let build = |keys: &[&[u8]]| StateTrie::from_sorted(keys.iter().map(|key| (key, b"v"))).map(|trie| trie.len());
    assert_eq!(build(&[b"a", b"ab", b"b"]), Ok(3));
    assert_eq!(build(&[b"a", b"b", b"ab"]), Err(BuildError::Order { index: 2 }));
    assert_eq!(build(&[b"a", b"a"]), Err(BuildError::Order { index: 1 }));
    let long = [0; STATE_KEY_BYTES_MAX + 1];
    assert_eq!(build(&[b"", &long]), Err(BuildError::KeyTooLong { index: 1, len: 258 }));
}

#[test]
fn keys_over_the_bound() {
    let long = vec![0xff; STATE_KEY_BYTES_MAX + 1];
    let mut trie = StateTrie::new();
    trie.insert(&long[1..], b"longest");
    assert_eq!(trie.get(&long), None);
    assert!(!trie.remove(&long));
    assert_eq!(trie.scan(&long, None).count(), 0);
    assert_eq!(trie.scan(&long[1..], Some(&long)).count(), 0);
    assert_eq!(trie.scan(b"\xff", Some(&long[..7])).count(), 1);
    let change = Change { key: long, before: None, after: Some(vec![]) };
    let diff = Diff::new(vec![change]).unwrap();
    assert_eq!(trie.apply(&diff), Err(ApplyError::KeyTooLong { index: 0, len: 258 }));
}

#[test]
#[should_panic(expected = "a state key is at most 257 bytes long")]
fn inserting_a_key_over_the_bound_is_a_bug() {
    StateTrie::new().insert(&[0; STATE_KEY_BYTES_MAX + 1], b"");
}
