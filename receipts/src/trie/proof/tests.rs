//! Everything that is so can be proved, nothing else can, and hostile proofs end in an error.

use super::*;
use crate::trie::tests::{Model, any_key, any_model, any_value, naive_root, trie_of};
use proptest::{prelude::*, sample::Index};
use reprise_abi::{decode_canonical, encode};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn every_key_is_proved_present_or_absent(model in any_model(0..40), others in any_model(0..10)) {
        let (mut trie, root) = (trie_of(&model), naive_root(&model));
        for (key, value) in &model {
            let proof = trie.prove_presence(key).unwrap();
            prop_assert_eq!(proof.verify(&root, key, value), Ok(()));
            prop_assert_eq!(decode_canonical::<PresenceProof>(&encode(&proof)), Ok(proof));
            prop_assert_eq!(trie.prove_absence(key), None);
        }
        for key in others.keys().filter(|key| !model.contains_key(*key)) {
            let proof = trie.prove_absence(key).unwrap();
            prop_assert_eq!(proof.verify(&root, key), Ok(()));
            prop_assert_eq!(decode_canonical::<AbsenceProof>(&encode(&proof)), Ok(proof));
            prop_assert_eq!(trie.prove_presence(key), None);
        }
    }

    #[test]
    fn every_prefix_is_proved_complete(model in any_model(0..40), prefix in any_key(), at in any::<Index>(), cut in any::<Index>()) {
        let (mut trie, root) = (trie_of(&model), naive_root(&model));
        let mut prefixes = vec![vec![], prefix];
        if !model.is_empty() {
            let key = model.keys().nth(at.index(model.len())).unwrap();
            prefixes.push(key[..cut.index(key.len() + 1)].to_vec());
        }
        for prefix in prefixes {
            let proof = trie.prove_prefix(&prefix).unwrap();
            let expected: Vec<EntryRef<'_>> = trie.scan(&prefix, None).collect();
            prop_assert_eq!(proof.verify(&root, &prefix), Ok(expected));
            prop_assert_eq!(decode_canonical::<PrefixProof>(&encode(&proof)), Ok(proof));
        }
    }

    /// A proof for one state, key or value is none for another.
    #[test]
    fn proofs_do_not_carry_over(model in any_model(1..30), at in any::<Index>(), other in any_key(), value in any_value()) {
        let (mut trie, root) = (trie_of(&model), naive_root(&model));
        let (key, own) = model.iter().nth(at.index(model.len())).unwrap();
        let presence = trie.prove_presence(key).unwrap();
        if &value != own {
            prop_assert!(presence.verify(&root, key, &value).is_err());
        }
        if &other != key {
            prop_assert!(presence.verify(&root, &other, own).is_err());
        }
        let prefix = trie.prove_prefix(key).unwrap();
        if let Some(absence) = trie.prove_absence(&other) {
            prop_assert_eq!(absence.verify(&root, key).is_ok(), false);
        }
        trie.insert(key, &[own.as_slice(), b"!"].concat());
        let next = trie.root();
        prop_assert_eq!(presence.verify(&next, key, own), Err(ProofError::OtherRoot));
        prop_assert_eq!(prefix.verify(&next, key), Err(ProofError::OtherRoot));
    }

    /// Whatever byte is changed, inserted or deleted: no decoded mutant proves what is not so.
    #[test]
    fn mutants_are_refused(model in any_model(0..12), key in any_key(), at in any::<Index>(), flip in 1..=255_u8, way in 0..3) {
        let (mut trie, root) = (trie_of(&model), naive_root(&model));
        let mutate = |mut bytes: Vec<u8>| {
            match way {
                0 => { let at = at.index(bytes.len()); bytes[at] ^= flip; }
                1 => bytes.insert(at.index(bytes.len() + 1), flip),
                _ => { bytes.remove(at.index(bytes.len())); }
            }
            bytes
        };
        if let Some(proof) = trie.prove_absence(&key)
            && let Ok(mutant) = decode_canonical::<AbsenceProof>(&mutate(encode(&proof)))
        {
            prop_assert!(mutant.verify(&root, &key).is_err());
        }
        for (key, value) in &model {
            let proof = trie.prove_presence(key).unwrap();
            if let Ok(mutant) = decode_canonical::<PresenceProof>(&mutate(encode(&proof))) {
                prop_assert!(mutant.verify(&root, key, value).is_err());
            }
        }
        let proof = trie.prove_prefix(&key).unwrap();
        if let Ok(mutant) = decode_canonical::<PrefixProof>(&mutate(encode(&proof))) {
            prop_assert!(mutant.verify(&root, &key).is_err());
        }
    }

    /// Steps from nowhere, in any order: an error and no panic.
    #[test]
    fn invented_paths_are_refused(
        model in any_model(0..10),
        key in any_key(),
        steps in proptest::collection::vec((any::<u16>(), any::<Hash>()), 0..20),
        neighbour in proptest::option::of(any_key()),
    ) {
        let root = naive_root(&model);
        let path = Path(steps.into_iter().map(|(position, sibling)| Step { position, sibling }).collect());
        let neighbour = neighbour.map(|key| Neighbour { key, value_digest: [1; 32] });
        let absence = AbsenceProof { neighbour, path: path.clone() };
        let is_true = absence.neighbour.is_none() && absence.path.0.is_empty() && model.is_empty();
        prop_assert_eq!(absence.verify(&root, &key).is_ok(), is_true);
        prop_assert_eq!(PrefixProof(PrefixClaim::Nothing(absence)).verify(&root, &key).is_ok(), is_true);
        let presence = PresenceProof { path: path.clone() };
        prop_assert!(presence.verify(&root, &key, b"invented").is_err());
        let entries = vec![OwnedEntry { key: key.clone(), value: b"invented".to_vec() }];
        let prefix = PrefixProof(PrefixClaim::Entries { entries, path });
        prop_assert!(prefix.verify(&root, &key).is_err());
    }
}

/// The state that the tables below are about.
fn example() -> (StateTrie, StateRoot) {
    let pairs = [("a", "1"), ("ab", "2"), ("abc", "3"), ("b", "4"), ("c", "5")];
    let model: Model = pairs.iter().map(|(key, value)| (key.as_bytes().to_vec(), value.as_bytes().to_vec())).collect();
    (trie_of(&model), naive_root(&model))
}

#[test]
fn hostile_paths_by_name() {
    let (mut trie, root) = example();
    let honest = trie.prove_presence(b"ab").unwrap();
    assert!(honest.path.0.len() >= 2);
    let check = |change: fn(&mut Vec<Step>), expected: ProofError| {
        let mut proof = honest.clone();
        change(&mut proof.path.0);
        assert_eq!(proof.verify(&root, b"ab", b"2"), Err(expected));
    };
    check(|path| path.reverse(), ProofError::Order { step: 1 });
    check(|path| path[1].position = path[0].position, ProofError::Order { step: 1 });
    check(|path| path.push(Step { position: 19, sibling: [0; 32] }), ProofError::PastEnd { step: 3 });
    check(|path| path[2].position = u16::MAX, ProofError::PastEnd { step: 2 });
    check(|path| path[0].position += 1, ProofError::OtherRoot);
    check(|path| path[0].sibling[31] ^= 1, ProofError::OtherRoot);
    check(|path| path.truncate(path.len() - 1), ProofError::OtherRoot);
    check(|path| path.rotate_left(1), ProofError::Order { step: 2 });
    check(|path| *path = path.split_off(1), ProofError::OtherRoot);
    let long = [0; STATE_KEY_BYTES_MAX + 1];
    assert_eq!(honest.verify(&root, &long, b"2"), Err(ProofError::KeyTooLong { len: 258 }));
}

#[test]
fn hostile_absence_by_name() {
    let (mut trie, root) = example();
    let honest = trie.prove_absence(b"abd").unwrap();
    assert_eq!(honest.neighbour.as_ref().map(|n| n.key.as_slice()), Some(b"abc".as_slice()));
    assert_eq!(honest.verify(&root, b"abd"), Ok(()));
    assert_eq!(honest.verify(&root, b"abc"), Err(ProofError::Present));
    assert_eq!(honest.verify(&root, b"b"), Err(ProofError::OffPath { step: 0 }));

    let nowhere = AbsenceProof { neighbour: None, path: Path::default() };
    assert_eq!(nowhere.verify(&root, b"abd"), Err(ProofError::OtherRoot));
    assert_eq!(nowhere.verify(&StateTrie::new().root(), b"abd"), Ok(()));
    let stretched = AbsenceProof { neighbour: None, path: honest.path.clone() };
    assert_eq!(stretched.verify(&root, b"abd"), Err(ProofError::PastEnd { step: 0 }));

    let mut long = honest.clone();
    long.neighbour.as_mut().unwrap().key = vec![0; STATE_KEY_BYTES_MAX + 1];
    assert_eq!(long.verify(&root, b"abd"), Err(ProofError::KeyTooLong { len: 258 }));
}

#[test]
fn hostile_prefix_lists_by_name() {
    let (mut trie, root) = example();
    let honest = trie.prove_prefix(b"a").unwrap();
    assert_eq!(honest.verify(&root, b"a").unwrap().len(), 3);
    let check = |change: fn(&mut Vec<OwnedEntry>, &mut Vec<Step>), expected: ProofError| {
        let mut proof = honest.clone();
        let PrefixClaim::Entries { entries, path } = &mut proof.0 else { panic!("there are entries") };
        change(entries, &mut path.0);
        assert_eq!(proof.verify(&root, b"a"), Err(expected));
    };
    check(|entries, _| drop(entries.pop()), ProofError::OtherRoot);
    check(|entries, _| drop(entries.remove(1)), ProofError::OtherRoot);
    check(|entries, _| entries.clear(), ProofError::Entry { index: 0 });
    check(|entries, _| entries.swap(0, 1), ProofError::Entry { index: 1 });
    check(|entries, _| entries[2].key[0] = b'b', ProofError::Entry { index: 2 });
    check(|entries, _| entries[2].value.push(0), ProofError::OtherRoot);
    check(|_, path| path.push(Step { position: 9, sibling: [0; 32] }), ProofError::PastEnd { step: 1 });

    // The list of a shorter prefix does not pass for that of a longer one, nor the other way round.
    assert_eq!(honest.verify(&root, b"ab"), Err(ProofError::Entry { index: 0 }));
    assert_eq!(trie.prove_prefix(b"ab").unwrap().verify(&root, b"a"), Err(ProofError::PastEnd { step: 1 }));
    // Nothing, said of a prefix that something has.
    let nothing = PrefixProof(PrefixClaim::Nothing(trie.prove_absence(b"abd").unwrap()));
    assert_eq!(nothing.verify(&root, b"abd"), Ok(vec![]));
    assert_eq!(nothing.verify(&root, b"ab"), Err(ProofError::Present));
}

#[test]
fn proofs_have_one_encoding_and_a_bound() {
    let (mut trie, _) = example();
    let mut disordered = trie.prove_presence(b"ab").unwrap();
    disordered.path.0.reverse();
    let bytes = postcard_like(&disordered);
    let rule = PATH_RULE;
    let expected = CodecError::Invalid { kind: PresenceProof::KIND, rule };
    assert_eq!(decode_canonical::<PresenceProof>(&bytes), Err(expected));

    let too_long = vec![0; PresenceProof::BYTES_MAX + 1];
    let expected =
        CodecError::TooLong { kind: PresenceProof::KIND, len: too_long.len(), max: PresenceProof::BYTES_MAX };
    assert_eq!(decode_canonical::<PresenceProof>(&too_long), Err(expected));
}

/// Encodes a path by hand, as `docs/format.md` has it: a count, then positions and hashes. `encode` would panic.
fn postcard_like(proof: &PresenceProof) -> Vec<u8> {
    let mut bytes = vec![proof.path.0.len() as u8];
    for Step { position, sibling } in &proof.path.0 {
        assert!(*position < 128);
        bytes.push(*position as u8);
        bytes.extend_from_slice(sibling);
    }
    bytes
}

#[test]
fn prefix_over_the_bound_is_not_proved() {
    let mut trie = StateTrie::new();
    let value = vec![0; 1024 * 1024];
    for key in 0..16_u8 {
        trie.insert(&[b'p', key], &value);
    }
    let bytes = 16 * (value.len() + 2 + ENTRY_OVERHEAD_BYTES) as u64;
    assert_eq!(trie.prove_prefix(b"p"), Err(ProofError::TooLarge { bytes }));
    assert!(trie.prove_prefix(b"p\x01").is_ok());
}
