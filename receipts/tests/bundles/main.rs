//! Bundles: what holds, what does not and why, and that nothing else is ever said of any bytes.

mod epochs;
mod fuzz;
mod malformed;
mod sample;

use reprise_abi::encode;
use reprise_receipts::{
    bundle::{
        BUNDLE_MAGIC, BundleCheck, BundleError, BundleMark, BundleReader, BundleWriter, Checked, Piece, Section, Trust,
    },
    digest::BundleDigest,
    trust_policy::{PolicyRefusal, TrustPolicy},
};
use sample::{Draft, Ledger, key};
use std::{env, fs, path::PathBuf};

/// Reads a file in slices of this many bytes, and checks it.
pub(crate) fn read(file: &[u8], slice: usize, trust: Trust) -> Result<BundleDigest, BundleError> {
    let (mut reader, mut check, mut end) = (BundleReader::new(), BundleCheck::new(trust), None);
    for mut input in file.chunks(slice) {
        while let Some(piece) = reader.read(&mut input)? {
            if let Checked::End(digest) = check.accept(piece)? {
                end = Some(digest);
            }
        }
    }
    reader.end()?;
    Ok(end.expect("a reader that is at its end has said so"))
}

pub(crate) fn drafts() -> [(&'static str, Draft); 4] {
    let ledger = Ledger::new();
    [
        ("receipt", sample::receipt(&ledger)),
        ("replay", sample::replay(&ledger)),
        ("replay-from-snapshot", sample::replay_from_snapshot(&ledger)),
        ("checkpoint", sample::checkpoint(&ledger)),
    ]
}

pub(crate) fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fixtures/bundles").join(format!("{name}.bundle"))
}

#[test]
fn samples_hold_however_they_are_sliced() {
    for (name, draft) in drafts() {
        let file = draft.to_bytes();
        for slice in [1, 2, 3, 5, 7, 64, 1_000, file.len()] {
            let digest = read(&file, slice, Trust::Attester(key()));
            assert!(digest.is_ok(), "{name} in slices of {slice}: {digest:?}");
        }
    }
}

#[test]
fn a_writer_writes_what_a_reader_reads() {
    for (name, draft) in drafts() {
        let (file, mut written) = (draft.to_bytes(), Vec::new());
        let mut writer = BundleWriter::new(&draft.header, &mut written).unwrap();
        for (section, item) in &draft.items {
            writer.item(*section, item, &mut written).unwrap();
        }
        let digest = writer.finish(&mut written).unwrap();
        assert!(written == file, "{name}");
        let mut input = file.as_slice();
        let mut reader = BundleReader::new();
        let mut last = None;
        while let Some(piece) = reader.read(&mut input).unwrap() {
            last = Some(piece);
        }
        assert_eq!(last, Some(Piece::End(digest)), "{name}");
    }
}

/// The format is held by files: a change of them is a change of format, made with `REPRISE_BLESS=1`.
#[test]
fn samples_are_the_committed_ones() {
    for (name, draft) in drafts() {
        let (path, file) = (fixture(name), draft.to_bytes());
        if env::var_os("REPRISE_BLESS").is_some_and(|value| value == "1") {
            fs::write(&path, &file).unwrap();
        }
        assert!(fs::read(&path).unwrap_or_default() == file, "{}: the format has changed", path.display());
    }
}

/// As earlier versions wrote them; those of version 1 are of a ledger of protocol epoch 2.
#[test]
fn bundles_of_earlier_versions_are_read() {
    for (version, (name, _)) in [1, 2].into_iter().flat_map(|version| drafts().map(|draft| (version, draft))) {
        let path = fixture(name);
        let path = path.parent().unwrap().join(format!("version-{version}")).join(path.file_name().unwrap());
        let file = fs::read(&path).unwrap();
        assert_eq!(&file[BUNDLE_MAGIC.len()..][..2], [version, 0], "{}", path.display());
        assert!(read(&file, 1_000, Trust::Attester(key())).is_ok(), "{}", path.display());
        let mut with_mark = file[..file.len() - 33].to_vec();
        with_mark.extend_from_slice(&[Section::Final as u8, 0, 0, 0, 0]);
        let refused = read(&sample::sealed(with_mark), 1_000, Trust::Attester(key()));
        assert!(matches!(refused, Err(BundleError::Surplus(_))), "{}: {refused:?}", path.display());
    }
}

/// A mark before the end of the bundle, at it, beyond it, and of a checkpoint: who verifies is told which.
#[test]
fn a_final_mark_comes_with_every_kind_of_bundle() {
    let sizes = [sample::FINAL, sample::TO, sample::TO, sample::CHECKPOINT - 2];
    for ((name, draft), size) in drafts().into_iter().zip(sizes) {
        let file = draft.to_bytes();
        let (mut reader, mut check, mut input) =
            (BundleReader::new(), BundleCheck::new(Trust::GenesisRecord), file.as_slice());
        let mut marks = Vec::new();
        while let Some(piece) = reader.read(&mut input).unwrap() {
            if let Checked::Final(mark) = check.accept(piece).unwrap() {
                marks.push((mark.size(), mark.names(&key()), mark.names(&sample::member().public())));
            }
        }
        assert_eq!(marks, [(size, true, true)], "{name}");
    }
}

/// Members are the witnesses: their votes on a log that has the whole bundle are their cosignatures, and no fewer.
#[test]
fn a_policys_quorum_may_be_in_the_final_mark() {
    let log = reprise_receipts::checkpoint::Checkpoint::note_key(sample::genesis().ledger_id(), key());
    let witness = |name: &str, key| {
        format!("witness {name} {}\n", reprise_receipts::checkpoint::CosignerKey::new("w.test", key).unwrap())
    };
    let (member, stranger) = (witness("m", sample::member().public()), witness("s", sample::package_key()));
    let policy = |quorum: &str| {
        let text = format!("log {log}\n{member}{stranger}group all all m s\nquorum {quorum}\n");
        Trust::Policy(TrustPolicy::parse(text.as_bytes()).unwrap())
    };
    let [_, (_, replay), _, (_, checkpoint)] = drafts();
    let read = |draft: &Draft, quorum: &str| read(&draft.to_bytes(), 100, policy(quorum)).map(|_| ());
    let refused = Err(BundleError::Untrusted(PolicyRefusal::NoQuorum { found: 0, known: 2 }));
    assert_eq!(read(&replay, "m"), Ok(()));
    assert_eq!(read(&replay, "all"), refused);
    assert_eq!(read(&checkpoint, "m"), refused, "the last receipts of the checkpoint are not final");
    for size in [sample::TO - 1, sample::TO] {
        let mut other = replay.clone();
        let mark = BundleMark::of(Ledger::new().mark(size), sample::TO, &Ledger::new().tiles()).unwrap();
        *other.item(Section::Final, 0) = encode(&mark);
        assert_eq!(read(&other, "m").is_ok(), size == sample::TO);
    }
}

#[test]
fn a_trust_policy_asks_for_a_checkpoint() {
    let policy = |key: &reprise_receipts::PublicKey, quorum: &str| {
        let log = reprise_receipts::checkpoint::Checkpoint::note_key(sample::genesis().ledger_id(), *key);
        let witness = reprise_receipts::checkpoint::CosignerKey::new("witness.test", sample::package_key()).unwrap();
        TrustPolicy::parse(format!("log {log}\nwitness w {witness}\nquorum {quorum}\n").as_bytes()).unwrap()
    };
    let [(_, receipt), (_, replay), ..] = drafts();
    let read = |draft: &Draft, policy| read(&draft.to_bytes(), 100, Trust::Policy(policy)).map(|_| ());
    assert_eq!(read(&replay, policy(&key(), "none")), Ok(()));
    assert_eq!(read(&receipt, policy(&key(), "none")), Err(BundleError::NoNote));
    let refusal = PolicyRefusal::NoQuorum { found: 0, known: 1 };
    assert_eq!(read(&replay, policy(&key(), "w")), Err(BundleError::Untrusted(refusal)));
    let other = policy(&sample::package_key(), "none");
    assert!(matches!(read(&replay, other), Err(BundleError::Attester { .. })));
}
