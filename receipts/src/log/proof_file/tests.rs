use super::*;
use crate::{
    SigningKey,
    digest::{LedgerId, LogRoot},
    log::{LogTail, prove_inclusion},
};
use std::collections::BTreeMap;

fn key() -> SigningKey {
    SigningKey::from_secret(&[1; 32])
}

fn policy() -> TrustPolicy {
    TrustPolicy::of_attester(LedgerId::from_bytes([0xab; 32]), key().public())
}

fn receipt(seq: u64) -> Vec<u8> {
    format!("receipt {seq}").into_bytes()
}

/// A proof out of a log of `size` receipts.
fn proof(size: u64, seq: u64) -> ProofFile {
    let (mut tail, mut tiles) = (LogTail::new(), BTreeMap::new());
    for seq in 0..size {
        tail.append(LeafHash::of(&receipt(seq)));
        tiles.extend(tail.take_dirty_tiles().into_iter().map(|tile| ((tile.level, tile.index), tile.hashes)));
    }
    let source = |level, index| tiles.get(&(level, index)).cloned();
    let checkpoint = Checkpoint { ledger: LedgerId::from_bytes([0xab; 32]), size, log_root: tail.root() };
    ProofFile {
        extra: Some(receipt(seq)),
        seq,
        inclusion: prove_inclusion(&source, size, seq).unwrap(),
        checkpoint: checkpoint.sign(&key()),
    }
}

#[test]
fn proofs_of_every_receipt_hold_and_read_back() {
    for size in [1, 2, 7, 300] {
        for seq in [0, size / 2, size - 1] {
            let proof = proof(size, seq);
            let text = proof.to_text();
            assert_eq!(ProofFile::parse(text.as_bytes()).as_ref(), Ok(&proof));
            assert_eq!(proof.verify(&receipt(seq), &policy()).unwrap().size, size);
            let other = proof.verify(&receipt(seq + 1), &policy());
            assert_eq!(other, Err(LogProofError::Refused.into()));
        }
    }
}

#[test]
fn the_file_is_laid_out_as_c2sp_says() {
    let proof = proof(3, 2);
    let encoded = "cmVjZWlwdCAy";
    let text = proof.to_text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[..3], ["c2sp.org/tlog-proof@v1", &format!("extra {encoded}"), "index 2"]);
    assert_eq!((lines[3].len(), lines[4], lines[6]), (44, "", "3"));
    let bare = ProofFile { extra: None, ..proof };
    assert!(bare.to_text().starts_with("c2sp.org/tlog-proof@v1\nindex 2\n"));
    assert_eq!(ProofFile::parse(bare.to_text().as_bytes()), Ok(bare));
}

#[test]
fn every_flipped_bit_of_the_proof_is_noticed() {
    let text = ProofFile { extra: None, ..proof(5, 3) }.to_text().into_bytes();
    for bit in 0..text.len() * 8 {
        let mut mutant = text.clone();
        mutant[bit / 8] ^= 1 << (bit % 8);
        let verified = ProofFile::parse(&mutant).and_then(|file| file.verify(&receipt(3), &policy()).copied());
        assert!(verified.is_err(), "bit {bit} makes no difference");
    }
}

#[test]
fn what_is_not_a_proof_file_is_refused_with_its_line() {
    use ProofFileError as E;
    let good = proof(3, 2).to_text();
    let bare = ProofFile { extra: None, ..proof(3, 2) }.to_text();
    let hash = good.lines().nth(3).unwrap().to_owned();
    let with_hashes = |count: usize| bare.replacen(&hash, &vec![hash.as_str(); count].join("\n"), 1);
    let extra = |text: &str| bare.replacen("index", &format!("extra {text}\nindex"), 1);
    let cases = [
        ("x".repeat(PROOF_FILE_BYTES_MAX + 1), E::TooLong { len: PROOF_FILE_BYTES_MAX + 1 }),
        (String::new(), E::Header),
        ("c2sp.org/tlog-proof@v1".to_owned(), E::Header),
        (good.replacen("@v1", "@v2", 1), E::Header),
        (good.replacen('\n', "\r\n", 1), E::Header),
        (extra(""), E::Extra),
        (extra("a"), E::Extra),
        (extra(&STANDARD.encode(vec![0; PROOF_FILE_EXTRA_BYTES_MAX + 1])), E::Extra),
        (extra("AAAA\nextra AAAA"), E::Index { line: 3 }),
        (bare.replacen("index 2\n", "", 1), E::Index { line: 2 }),
        (bare.replacen("index 2", "index 02", 1), E::Index { line: 2 }),
        (bare.replacen("index 2", "index -2", 1), E::Index { line: 2 }),
        (bare.replacen("index 2", "index  2", 1), E::Index { line: 2 }),
        (good.replacen("index 2", "index 18446744073709551616", 1), E::Index { line: 3 }),
        (good.replacen(&hash, &hash[1..], 1), E::Hash { line: 4 }),
        (good.replacen(&hash, &format!("{hash}="), 1), E::Hash { line: 4 }),
        (format!("c2sp.org/tlog-proof@v1\nindex 2\n{hash}\n"), E::Hash { line: 4 }),
        (with_hashes(PROOF_HASHES_MAX + 1), E::TooManyHashes),
        (format!("c2sp.org/tlog-proof@v1\nindex 2\n{hash}\n\n"), E::Checkpoint(CheckpointError::NotANote)),
    ];
    for (text, expected) in cases {
        assert_eq!(ProofFile::parse(text.as_bytes()), Err(expected), "{}", &text[..text.len().min(200)]);
    }
    assert!(ProofFile::parse(with_hashes(PROOF_HASHES_MAX).as_bytes()).is_ok());
}

#[test]
fn a_proof_of_another_log_or_place_proves_nothing() {
    let good = proof(5, 3);
    let moved = ProofFile { seq: 2, ..good.clone() };
    assert_eq!(moved.verify(&receipt(3), &policy()), Err(LogProofError::Refused.into()));
    let beyond = ProofFile { seq: 5, ..good.clone() };
    let refused = LogProofError::BeyondEnd { size: 5, wanted: 5 };
    assert_eq!(beyond.verify(&receipt(3), &policy()), Err(refused.into()));
    let other_root = Checkpoint { log_root: LogRoot::from_bytes([9; 32]), ..*good.checkpoint.checkpoint() };
    let forged = ProofFile { checkpoint: other_root.sign(&key()), ..good.clone() };
    assert_eq!(forged.verify(&receipt(3), &policy()), Err(LogProofError::Refused.into()));
    let stranger =
        ProofFile { checkpoint: good.checkpoint.checkpoint().sign(&SigningKey::from_secret(&[2; 32])), ..good };
    let ledger = LedgerId::from_bytes([0xab; 32]);
    assert_eq!(stranger.verify(&receipt(3), &policy()), Err(PolicyRefusal::Unsigned(ledger).into()));
}
