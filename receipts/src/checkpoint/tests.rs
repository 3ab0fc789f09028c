use super::*;
use crate::{
    digest::{ChunkId, ContinuityRoot, StateRoot},
    snapshot::{Manifest, SNAPSHOT_FORMAT},
};
use reprise_abi::{decode_canonical, encode};
use signed_note::Verifier;

fn attester() -> SigningKey {
    SigningKey::from_secret(&[3; 32])
}

fn checkpoint() -> Checkpoint {
    Checkpoint { ledger: LedgerId::from_bytes([0xab; 32]), size: 1_234, log_root: LogRoot::from_bytes([0xcd; 32]) }
}

/// Signs any text as a note under the name of the ledger.
fn note(body: &str) -> String {
    NoteSigner::new(&Checkpoint::origin(checkpoint().ledger), &attester()).sign_note(body).unwrap()
}

#[test]
fn a_signed_checkpoint_reads_back_to_the_byte() {
    let signed = checkpoint().sign(&attester());
    let id = "ab".repeat(32);
    let root = "zc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc0=";
    assert!(signed.text().starts_with(&format!("reprise.invalid/{id}\n1234\n{root}\n\n— reprise.invalid/{id} ")));
    let read = SignedCheckpoint::parse(signed.text().as_bytes()).unwrap();
    assert_eq!(read, signed);
    assert_eq!(read.verify(&attester().public()), Ok(&checkpoint()));
}

/// `signed_note` and `tlog_tiles` are ports of Go's `sumdb/note` and `sumdb/tlog`; they get nothing but texts.
#[test]
fn other_tools_open_it() {
    let signed = checkpoint().sign(&attester());
    let key = Checkpoint::note_key(checkpoint().ledger, attester().public()).to_string();
    let verifier = signed_note::StandardVerifier::new(&key).unwrap();
    let note = Note::from_bytes(signed.text().as_bytes()).unwrap();
    let (verified, unverified) = note.verify(&VerifierList::new(vec![Box::new(verifier)])).unwrap();
    assert_eq!((verified.len(), unverified.len()), (1, 0));
    let parsed = tlog_tiles::Checkpoint::from_bytes(note.text()).unwrap();
    assert_eq!((parsed.size(), parsed.hash().0), (1_234, [0xcd; 32]));
    assert_eq!(parsed.origin(), Checkpoint::origin(checkpoint().ledger));
}

#[test]
fn every_flipped_bit_is_noticed() {
    let signed = checkpoint().sign(&attester());
    let text = signed.text().as_bytes();
    for bit in 0..text.len() * 8 {
        let mut mutant = text.to_vec();
        mutant[bit / 8] ^= 1 << (bit % 8);
        let verified = SignedCheckpoint::parse(&mutant).and_then(|mutant| mutant.verify(&attester().public()).copied());
        assert!(verified.is_err(), "bit {bit} makes no difference");
    }
}

#[test]
fn what_is_not_a_checkpoint_is_refused_with_its_reason() {
    use CheckpointError as E;
    let origin = Checkpoint::origin(checkpoint().ledger);
    let (root, empty) = (Hash([0xcd; 32]), Hash(*LogRoot::EMPTY.as_bytes()));
    let body = |origin: &str, size: &str, root: &str| note(&format!("{origin}\n{size}\n{root}\n"));
    let good = body(&origin, "1234", &root.to_string());
    let cases = [
        ("x".repeat(CHECKPOINT_BYTES_MAX + 1), E::TooLong { len: CHECKPOINT_BYTES_MAX + 1 }),
        (String::new(), E::NotANote),
        (good.split_once("\n\n").unwrap().0.to_owned(), E::NotANote),
        (good.trim_end().to_owned(), E::NotANote),
        (good.replace("— ", "- "), E::NotANote),
        (good.replace('\n', "\r\n"), E::NotANote),
        (format!("{good}not a signature\n"), E::NotANote),
        (note("reprise package v1\nsome 1.0.0\n"), E::NotACheckpoint),
        (body(&origin, "01234", &root.to_string()), E::NotACheckpoint),
        (body(&origin, "+1234", &root.to_string()), E::NotACheckpoint),
        (body(&origin, "-1", &root.to_string()), E::NotACheckpoint),
        (body(&origin, "1234", "zc3N"), E::NotACheckpoint),
        (body(&origin, "1234", &root.to_string().replace('=', "")), E::NotACheckpoint),
        (body(&origin, "1234", &format!("{root}\nextended")), E::Extension),
        (body("example.com/log", "1234", &root.to_string()), E::Origin),
        (body(&origin[..origin.len() - 1], "1234", &root.to_string()), E::Origin),
        (body(&origin.to_uppercase(), "1234", &root.to_string()), E::Origin),
        (body(&origin, "281474976710657", &root.to_string()), E::Size { size: (1 << 48) + 1 }),
        (body(&origin, "0", &root.to_string()), E::EmptyRoot),
    ];
    for (text, expected) in cases {
        assert_eq!(SignedCheckpoint::parse(text.as_bytes()), Err(expected), "{}", &text[..text.len().min(200)]);
    }
    assert_eq!(SignedCheckpoint::parse(b"\xff\n\n"), Err(E::NotANote));
    assert!(SignedCheckpoint::parse(body(&origin, "0", &empty.to_string()).as_bytes()).is_ok());
}

#[test]
fn only_the_attester_under_the_origin_counts() {
    let stranger = SigningKey::from_secret(&[4; 32]);
    let key = attester().public();
    let by_stranger = checkpoint().sign(&stranger);
    assert_eq!(by_stranger.verify(&key), Err(CheckpointError::Unsigned(key)));
    let other_name = NoteSigner::new("example.com/log", &attester()).sign_note(&checkpoint().body()).unwrap();
    let other_name = SignedCheckpoint::parse(other_name.as_bytes()).unwrap();
    assert_eq!(other_name.verify(&key), Err(CheckpointError::Unsigned(key)));
    // The attester's signature of another checkpoint, under this one.
    let other = Checkpoint { size: 1_235, ..checkpoint() }.sign(&attester());
    let line = other.signature_lines().next().unwrap();
    let moved = SignedCheckpoint::parse(format!("{}\n{line}\n", checkpoint().body()).as_bytes()).unwrap();
    assert_eq!(moved.verify(&key), Err(CheckpointError::BadSignature(key)));
}

#[test]
fn foreign_signatures_are_kept() {
    let signed = checkpoint().sign(&attester());
    let witness = SigningKey::from_secret(&[5; 32]);
    let line = cosign(&signed, "witness.example/w1", &witness, 1_679_315_147).unwrap();
    let cosigned = signed.with_signature(&line).unwrap();
    assert_eq!(cosigned.signature_lines().last(), Some(line.as_str()));
    assert_eq!(cosigned.signature_lines().count(), 2);
    assert_eq!(cosigned.with_signature(&line).unwrap(), cosigned);
    assert_eq!(cosigned.verify(&attester().public()), Ok(&checkpoint()));
    assert_eq!(SignedCheckpoint::parse(cosigned.text().as_bytes()), Ok(cosigned));
    for line in ["", "no dash", "— name", "— name AAAA", "— name AAAAAAA=\n— name AAAAAAA="] {
        assert_eq!(signed.with_signature(line), Err(CheckpointError::SignatureLine), "{line}");
    }
}

#[test]
fn a_cosignature_is_of_a_time_and_a_body() {
    let signed = checkpoint().sign(&attester());
    let witness = SigningKey::from_secret(&[5; 32]);
    let key = CosignerKey::new("witness.example/w1", witness.public()).unwrap();
    assert_eq!(CosignerKey::parse(&key.to_string()), Ok(key.clone()));
    let line = cosign(&signed, key.name(), &witness, 1_679_315_147).unwrap();
    let signature = Signature::from_bytes(line.as_bytes()).unwrap();
    assert_eq!(signature.id(), key.key_id());
    let body = checkpoint().body();
    assert!(key.verify(body.as_bytes(), signature.signature()));
    for bit in 0..signature.signature().len() * 8 {
        let mut mutant = signature.signature().to_vec();
        mutant[bit / 8] ^= 1 << (bit % 8);
        assert!(!key.verify(body.as_bytes(), &mutant), "bit {bit}");
    }
    assert!(!key.verify(body.replace("1234", "1235").as_bytes(), signature.signature()));
    assert!(!key.verify(body.as_bytes(), &signature.signature()[..71]));
    // tlog-cosignature: the time must not exceed 2^63 - 1.
    let late = cosign(&signed, key.name(), &witness, 1 << 63).unwrap();
    let late = Signature::from_bytes(late.as_bytes()).unwrap();
    assert!(!key.verify(body.as_bytes(), late.signature()));
}

/// The example of `c2sp.org/tlog-cosignature` and its neighbours: what is and is not a cosigner's key.
#[test]
fn a_cosigner_key_is_of_its_type() {
    let key = CosignerKey::new("w", SigningKey::from_secret(&[5; 32]).public()).unwrap().to_string();
    let (head, tail) = key.split_at(key.len() - 4);
    let other_id = key.replacen(&key[2..10], "00000000", 1);
    let upper_id = format!("w+{}{}", key[2..10].to_uppercase(), &key[10..]);
    let log_key = NoteKey::new("w", SigningKey::from_secret(&[5; 32]).public()).unwrap().to_string();
    for text in ["", "w", "w+00000000", &other_id, &log_key, head, &format!("{head}!{tail}"), &format!("x{key}")] {
        assert_eq!(CosignerKey::parse(text), Err(crate::note::NoteError::Key), "{text}");
    }
    if upper_id != key {
        assert!(CosignerKey::parse(&upper_id).is_err());
    }
    assert!(CosignerKey::new("with space", SigningKey::from_secret(&[5; 32]).public()).is_err());
}

fn claim(size: u64) -> CheckpointClaim {
    CheckpointClaim {
        format: CHECKPOINT_FORMAT,
        ledger: checkpoint().ledger,
        size,
        log_root: LogRoot::from_bytes([size as u8; 32]),
        logical_time_ms: size * 10,
        snapshot: Manifest {
            format: SNAPSHOT_FORMAT,
            state_root: StateRoot::from_bytes([size as u8 + 1; 32]),
            keys: size,
            bytes: 60 * size,
            first: Some(ChunkId::from_bytes([size as u8 + 2; 32])),
        },
    }
}

/// Checkpoints of a ledger from its start on.
fn chain(sizes: &[u64]) -> Vec<CheckpointRecord> {
    let mut continuity = ContinuityRoot::start(checkpoint().ledger);
    let next = |size: &u64| {
        let record = claim(*size).after(continuity);
        continuity = record.continuity;
        record
    };
    sizes.iter().map(next).collect()
}

#[test]
fn records_may_go_and_ancestry_stays() {
    let records = chain(&[10, 20, 30, 40, 50]);
    let (from, to) = (ContinuityRoot::start(checkpoint().ledger), records[4].continuity);
    for kept in 0..1_u32 << records.len() {
        let link = |(index, record): (usize, &CheckpointRecord)| match kept >> index & 1 {
            0 => Link::Claim(record.claim.digest()),
            _ => Link::Record(record.clone()),
        };
        let ancestry = Ancestry { links: records.iter().enumerate().map(link).collect() };
        assert_eq!(ancestry.verify(from, to), Ok(()));
        assert_eq!(decode_canonical(&encode(&ancestry)), Ok(ancestry.clone()));
        let from_the_third = Ancestry { links: ancestry.links[3..].to_vec() };
        assert_eq!(from_the_third.verify(records[2].continuity, to), Ok(()));
    }
    assert_eq!(Ancestry::default().verify(to, to), Ok(()));
}

#[test]
fn a_chain_with_a_gap_or_a_swap_leads_elsewhere() {
    let records = chain(&[10, 20, 30, 40]);
    let (from, to) = (ContinuityRoot::start(checkpoint().ledger), records[3].continuity);
    let links = |order: &[usize], as_records: bool| Ancestry {
        links: order
            .iter()
            .map(|index| match as_records {
                true => Link::Record(records[*index].clone()),
                false => Link::Claim(records[*index].claim.digest()),
            })
            .collect(),
    };
    for order in [&[0, 1, 3][..], &[1, 2, 3], &[0, 1, 2], &[0, 2, 1, 3], &[0, 1, 1, 2, 3], &[]] {
        assert!(
            matches!(links(order, false).verify(from, to), Err(AncestryError::End { expected, .. }) if expected == to)
        );
    }
    let gap = links(&[0, 2, 3], true).verify(from, to);
    let found = records[1].continuity;
    assert_eq!(gap, Err(AncestryError::Previous { index: 1, expected: records[0].continuity, found }));
}

#[test]
fn records_are_in_order_and_of_one_ledger() {
    let first = claim(20).after(ContinuityRoot::start(checkpoint().ledger));
    let verify = |second: CheckpointClaim| {
        let second = second.after(first.continuity);
        let to = second.continuity;
        let ancestry = Ancestry { links: vec![Link::Record(first.clone()), Link::Record(second)] };
        ancestry.verify(ContinuityRoot::start(checkpoint().ledger), to)
    };
    assert_eq!(verify(claim(21)), Ok(()));
    assert_eq!(verify(claim(20)), Err(AncestryError::Order { index: 1 }));
    assert_eq!(verify(CheckpointClaim { logical_time_ms: 199, ..claim(21) }), Err(AncestryError::Order { index: 1 }));
    let foreign = CheckpointClaim { ledger: LedgerId::from_bytes([1; 32]), ..claim(21) };
    assert_eq!(verify(foreign), Err(AncestryError::Ledger { index: 1 }));
}

#[test]
fn a_record_says_its_own_continuity() {
    let record = chain(&[10]).remove(0);
    let other = CheckpointRecord { previous: record.continuity, ..record.clone() };
    assert!(reprise_abi::Canonical::validate(&other).is_err());
    let other = CheckpointRecord { claim: claim(11), ..record };
    assert!(reprise_abi::Canonical::validate(&other).is_err());
}
