//! What leaves a node for others: the log as files, proof files, archives, and steps that come back from one.
//!
//! With `REPRISE_INTEROP_DIR` the material of the first test stays there, for other implementations to check:
//! `tests/go/run.sh` does it with Go's packages.

mod support;

use reprise::{
    archive::{self, ArchiveError, ArchiveReader, Contents, Directory},
    node::{Access, Node},
};
use reprise_receipts::{
    LeafHash,
    checkpoint::SignedCheckpoint,
    log::{ProofFile, prove_consistency, prove_inclusion},
    trust_policy::TrustPolicy,
};
use std::{
    env, fs,
    path::{Path, PathBuf},
};
use support::{Bench, events};
use tempfile::TempDir;

/// Events that are submitted first, and in all: the log gets two complete tiles, and one that is cut.
const OLDER: usize = 300;
const NEWER: usize = 700;

impl Bench {
    fn text(&self, args: &[&str], field: &str) -> String {
        self.json(args)[field].as_str().unwrap().to_owned()
    }

    fn dir(&self, name: &str) -> String {
        self.node().with_file_name(name).display().to_string()
    }

    /// An archive of the whole ledger; gives its note key.
    fn archive(&self, dir: &str) -> String {
        self.text(&["archive", "write", "incident", "--archive", dir], "note key")
    }
}

/// Some events of the incident, two days later: nobody remembers by then which events there were before.
fn days_later(range: std::ops::Range<usize>) -> String {
    let all = events(range.end);
    all.lines().skip(range.start).map(|line| line.replace("2026-03-14T", "2026-03-16T") + "\n").collect()
}

/// Every file below a directory, sorted.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { dirs.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

#[test]
fn material_for_other_tools() {
    let temporary = TempDir::new().unwrap();
    let dir = env::var_os("REPRISE_INTEROP_DIR").map_or_else(|| temporary.path().to_owned(), PathBuf::from);
    let (log, log_dir) = (dir.join("log"), dir.join("log").display().to_string());
    let bench = Bench::with_events(OLDER);
    let key = bench.text(&["log", "serve-dir", "incident", &log_dir], "note key");
    fs::copy(log.join("checkpoint"), dir.join("older")).unwrap();
    bench.submit(&events(NEWER)).says(0, &["new receipts"]);
    assert_eq!(bench.text(&["log", "serve-dir", "incident", &log_dir], "note key"), key);
    fs::write(dir.join("note-key"), format!("{key}\n")).unwrap();
    let size = bench.receipts();
    for seq in [0, 255, 256, size - 1] {
        let out = dir.join(format!("{seq}.tlog-proof")).display().to_string();
        bench.run(&["receipts", "prove", "incident", &seq.to_string(), "--out", &out]).says(0, &["hashes"]);
        bench.run(&["receipts", "check-proof", &out, "--key", &key]).says(0, &["holds"]);
    }
    bench.run(&["archive", "verify", &log_dir, "--key", &key]).says(0, &["holds", "receipts"]);
    check_log(&log, &dir.join("older"));
}

/// What a stranger does with the files, with our own code: inclusion, consistency, and four refusals of each.
fn check_log(log: &Path, older: &Path) {
    let store = Directory::new(log);
    let archive = ArchiveReader::open(&store).unwrap();
    let newer = *archive.checkpoint();
    let older = *SignedCheckpoint::parse(&fs::read(older).unwrap()).unwrap().checkpoint();
    assert!(older.size >= OLDER as u64 && newer.size > older.size);
    let proof = prove_consistency(&archive, older.size, newer.size).unwrap();
    let (old_root, root) = (older.log_root, newer.log_root);
    proof.verify(older.size, &old_root, newer.size, &root).unwrap();
    assert!(proof.verify(older.size, &root, newer.size, &root).is_err());
    assert!(proof.verify(older.size, &old_root, newer.size, &old_root).is_err());
    assert!(proof.verify(older.size - 1, &old_root, newer.size, &root).is_err());
    let other = prove_consistency(&archive, older.size - 1, newer.size).unwrap();
    assert!(other.verify(older.size, &old_root, newer.size, &root).is_err());
    for seq in [0, 255, 256, newer.size - 1] {
        let receipt = archive.receipts(seq / 256).unwrap().swap_remove((seq % 256) as usize);
        let leaf = LeafHash::of(&receipt);
        let proof = prove_inclusion(&archive, newer.size, seq).unwrap();
        proof.verify(&root, newer.size, seq, &leaf).unwrap();
        assert!(proof.verify(&old_root, newer.size, seq, &leaf).is_err());
        assert!(proof.verify(&root, newer.size, seq ^ 1, &leaf).is_err());
        assert!(proof.verify(&root, older.size, seq.min(older.size - 1), &leaf).is_err());
        assert!(proof.verify(&root, newer.size, seq, &LeafHash::of(&receipt[1..])).is_err());
    }
}

#[test]
fn a_proof_file_stands_alone_and_any_change_is_refused() {
    let bench = Bench::with_events(20);
    let (file, other) = (bench.dir("7.tlog-proof"), bench.dir("changed.tlog-proof"));
    let key = bench.text(&["receipts", "prove", "incident", "7", "--out", &file], "note key");
    let prove_again = bench.run(&["receipts", "prove", "incident", "7", "--out", &file]);
    prove_again.says(1, &["is there already", "choose another name"]);
    fs::remove_dir_all(bench.node()).unwrap();
    bench.run(&["verify", &file, "--key", &key]).says(0, &["holds"]);
    let policy = bench.file("policy", format!("log {key}\nquorum none\n"));
    bench.run(&["receipts", "check-proof", &file, "--trust", &policy]).says(0, &["holds"]);
    bench.run(&["receipts", "check-proof", &file]).says(64, &["--key", "--trust"]);
    let text = fs::read_to_string(&file).unwrap();
    let proof = ProofFile::parse(text.as_bytes()).unwrap();
    let receipt = bench.file("receipt", proof.extra.as_ref().unwrap());
    let bare = bench.file("bare", ProofFile { extra: None, ..proof.clone() }.to_text());
    bench.run(&["receipts", "check-proof", &bare, "--key", &key]).says(64, &["--receipt"]);
    bench.run(&["receipts", "check-proof", &bare, "--receipt", &receipt, "--key", &key]).says(0, &["holds"]);
    let changes = [
        text.replace("index 7", "index 8"),
        text.replace("index 7", "index 07"),
        text.replacen("\n\n", "\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n", 1),
        text.replace("\n20\n", "\n21\n"),
        text.replace("tlog-proof@v1", "tlog-proof@v2"),
        text.lines().filter(|line| !line.starts_with('—')).map(|line| format!("{line}\n")).collect(),
    ];
    for changed in changes {
        assert_ne!(changed, text);
        fs::write(&other, changed).unwrap();
        bench.run(&["receipts", "check-proof", &other, "--key", &key]).says(1, &[]);
    }
    let stranger = reprise_receipts::SigningKey::from_secret(&[9; 32]).public().to_string();
    bench.run(&["receipts", "check-proof", &file, "--key", &stranger]).says(1, &["has not signed"]);
}

#[test]
fn an_archive_grows_and_complete_files_never_change() {
    let bench = Bench::with_events(OLDER);
    let dir = bench.dir("archive");
    bench.archive(&dir);
    let before: Vec<_> = files(dir.as_ref()).into_iter().map(|path| (fs::metadata(&path).unwrap(), path)).collect();
    assert!(before.iter().any(|(_, path)| path.ends_with("tile/entries/001.p/44")), "{before:?}");
    bench.submit(&events(NEWER)).says(0, &[]);
    let key = bench.archive(&dir);
    for (metadata, path) in before {
        let name = path.strip_prefix(&dir).unwrap().display().to_string();
        match fs::metadata(&path) {
            Ok(now) if name != "checkpoint" => {
                assert_eq!(now.modified().unwrap(), metadata.modified().unwrap(), "{name}")
            }
            Ok(_) => {}
            // What was cut is complete now.
            Err(_) => assert!(name.contains("001.p/"), "{name}"),
        }
    }
    assert_eq!(bench.json(&["archive", "write", "incident", "--archive", &dir])["files written"], 0);
    bench.run(&["archive", "verify", &dir, "--key", &key]).says(0, &["holds", "receipts and steps"]);
    let shorter = bench.run(&["archive", "write", "incident", "--archive", &dir, "--to", "300"]);
    shorter.says(1, &["more than 300"]);
}

#[test]
fn a_damaged_byte_in_any_file_of_an_archive_is_found_and_named() {
    let bench = Bench::with_events(OLDER);
    let dir = bench.dir("archive");
    bench.archive(&dir);
    let node = Node::open(&bench.node(), Access::Read).unwrap();
    let entry = node.find_ledger("incident").unwrap();
    let policy = TrustPolicy::of_attester(entry.id, entry.genesis.attester);
    let store = Directory::new(dir.as_ref());
    let all = files(dir.as_ref());
    assert!(all.len() >= 9, "{all:?}");
    for path in all {
        let bytes = fs::read(&path).unwrap();
        for at in [0, bytes.len() / 2, bytes.len() - 2] {
            let mut changed = bytes.clone();
            changed[at] ^= 4;
            fs::write(&path, changed).unwrap();
            let refused = archive::verify(&store, &policy).unwrap_err();
            assert!(!matches!(refused, ArchiveError::Store(_) | ArchiveError::Root), "{}: {refused}", path.display());
        }
        fs::remove_file(&path).unwrap();
        // Without the genesis record it is an archive of receipts.
        assert_eq!(archive::verify(&store, &policy).is_ok(), path.ends_with("reprise/genesis"), "{}", path.display());
        fs::write(&path, bytes).unwrap();
    }
    assert_eq!(archive::verify(&store, &policy).unwrap().checkpoint.size, OLDER as u64);
}

#[test]
fn an_interrupted_write_goes_on_and_another_history_is_refused() {
    let bench = Bench::with_events(OLDER);
    let dir = bench.dir("archive");
    bench.archive(&dir);
    let whole: Vec<_> = files(dir.as_ref()).into_iter().map(|path| (fs::read(&path).unwrap(), path)).collect();
    // The checkpoint comes last; any of the other files may not have been written.
    fs::remove_file(Path::new(&dir).join("checkpoint")).unwrap();
    for (_, path) in whole.iter().step_by(2) {
        let _ = fs::remove_file(path);
    }
    bench.archive(&dir);
    for (bytes, path) in &whole {
        assert!(fs::read(path).unwrap() == *bytes, "{}", path.display());
    }
    let other = Bench::with_events(20);
    other.run(&["archive", "write", "incident", "--archive", &dir]).says(1, &["is of ledger"]);
    let back = ["recover", "rollback", "incident", "--to", "250", "--attested", "--reason", "test"];
    bench.run(&back).says(0, &[]);
    bench.run(&["archive", "write", "incident", "--archive", &dir]).says(1, &["300 receipts already"]);
    let lines: String = events(OLDER + 20).lines().skip(260).map(|line| format!("{line}\n")).collect();
    bench.submit(&lines).says(0, &[]);
    let (now, archived) = (bench.receipts(), OLDER as u64);
    assert!(now >= archived, "{now}");
    bench.run(&["archive", "write", "incident", "--archive", &dir]).says(1, &["two histories"]);
}

#[test]
fn archived_steps_leave_the_journal_and_come_back() {
    let bench = Bench::with_ledger();
    bench.run(&["ledger", "set", "incident", "--checkpoint-seconds", "0"]).says(0, &[]);
    bench.submit(&events(OLDER)).says(0, &[]);
    let dir = bench.dir("archive");
    let prune = ["archive", "prune", "incident", "--archive", &dir, "--keep", "100"];
    bench.run(&prune).says(1, &["checkpoint is not in the archive"]);
    bench.run(&["checkpoint", "create", "incident"]).says(0, &["300"]);
    bench.submit(&events(NEWER)).says(0, &[]);
    bench.archive(&dir);
    bench.run(&prune).says(1, &["24 hours"]);
    bench.submit(&days_later(NEWER..NEWER + 20)).says(0, &[]);
    let records = journal(&bench);
    bench.run(&[&prune[..], &["--dry-run"]].concat()).says(0, &["would go"]);
    assert!(journal(&bench) == records);
    let entry = Path::new(&dir).join("tile/entries/000");
    let bytes = fs::read(&entry).unwrap();
    fs::write(&entry, &bytes[1..]).unwrap();
    bench.run(&prune).says(1, &["tile/entries/000 is damaged"]);
    assert!(journal(&bench) == records);
    fs::write(&entry, &bytes).unwrap();
    bench.run(&prune).says(0, &["gone"]);
    assert!(journal(&bench) == records[300..]);
    bench.run(&["verify", "incident"]).says(0, &["match", "300", "archive hydrate"]);
    bench.run(&["verify", "incident", "--range", "10..400"]).says(2, &["sequence number 10", "archive hydrate"]);
    bench.run(&["recover", "rebuild", "incident"]).says(0, &["from receipt", "300", "step 2 done"]);
    bench.run(&["receipts", "show", "incident", "650"]).says(0, &["holds"]);
    bench.run(&["receipts", "show", "incident", "3"]).says(1, &["is not on this node", "archive hydrate"]);
    // The ledger goes on, and so does its archive; checkpoints before and after its new beginning hold.
    bench.submit(&days_later(NEWER + 20..NEWER + 50)).says(0, &["new receipts"]);
    bench.run(&["checkpoint", "create", "incident"]).says(0, &[]);
    bench.run(&["doctor", "incident", "--repair"]).says(0, &["0"]);
    let key = bench.archive(&dir);
    bench.run(&["archive", "verify", &dir, "--key", &key]).says(0, &["holds"]);
    let gap = bench.run(&["archive", "hydrate", "incident", "--archive", &dir, "--range", "10..20"]);
    gap.says(64, &["hydrate 10..300"]);
    let now = journal(&bench);
    let dry = ["archive", "hydrate", "incident", "--archive", &dir, "--range", "10..", "--dry-run"];
    bench.run(&dry).says(0, &["steps that would come back", "290"]);
    assert!(journal(&bench) == now);
    bench.run(&["archive", "hydrate", "incident", "--archive", &dir, "--range", "10.."]).says(0, &["290"]);
    assert!(journal(&bench)[..records.len() - 10] == records[10..]);
    bench.run(&["archive", "hydrate", "incident", "--archive", &dir]).says(0, &["10"]);
    assert!(journal(&bench)[..records.len()] == records);
    bench.run(&["verify", "incident"]).says(0, &["match"]);
    bench.run(&["doctor", "incident"]).says(0, &[]);
}

#[test]
fn steps_from_an_archive_that_is_wrong_do_not_come_back() {
    let bench = Bench::with_events(OLDER);
    let dir = bench.dir("archive");
    bench.run(&["checkpoint", "create", "incident"]).says(0, &[]);
    bench.submit(&days_later(OLDER..OLDER + 30)).says(0, &[]);
    bench.archive(&dir);
    let cut = bench.receipts() - 256;
    assert!((44..256).contains(&cut), "the second tile is cut: {cut}");
    bench.run(&["archive", "prune", "incident", "--archive", &dir, "--keep", "5"]).says(0, &["gone"]);
    let pruned = journal(&bench);
    let hydrate = ["archive", "hydrate", "incident", "--archive", &dir, "--range", "256.."];
    let (entries, steps) = (format!("tile/entries/001.p/{cut}"), format!("reprise/steps/001.p/{cut}/0"));
    for name in [entries.as_str(), &steps, "tile/0/000", "checkpoint", "reprise/genesis"] {
        let path = Path::new(&dir).join(name);
        let bytes = fs::read(&path).unwrap();
        let mut changed = bytes.clone();
        changed[bytes.len() / 2] ^= 1;
        fs::write(&path, changed).unwrap();
        bench.run(&hydrate).says(1, &[]);
        fs::write(&path, bytes).unwrap();
        assert!(journal(&bench) == pruned, "{name}");
    }
    bench.run(&hydrate).says(0, &["44"]);
}

#[test]
fn receipts_become_steps_and_steps_stay_steps() {
    let bench = Bench::with_events(30);
    let (dir, node) = (bench.dir("archive"), Node::open(&bench.node(), Access::Read).unwrap());
    let entry = node.find_ledger("incident").unwrap();
    let policy = TrustPolicy::of_attester(entry.id, entry.genesis.attester);
    let store = Directory::new(dir.as_ref());
    for (size, contents, with_steps) in [
        (10, Contents::Receipts, false),
        (20, Contents::Receipts, false),
        (20, Contents::Steps, true),
        (30, Contents::Receipts, true),
    ] {
        let attester = node.attester().unwrap();
        let note = archive::checkpoint_of(node.journal(), &entry, size, Some(&attester)).unwrap();
        archive::write(node.journal(), &entry, &store, &note, contents).unwrap();
        let verified = archive::verify(&store, &policy).unwrap();
        assert_eq!((verified.checkpoint.size, verified.with_steps), (size, with_steps));
    }
    let nobody = archive::checkpoint_of(node.journal(), &entry, 30, None);
    assert!(matches!(nobody, Err(ArchiveError::NoSigner { size: 30 })));
}

/// Input, receipt and step record of every step that the journal of `incident` has.
fn journal(bench: &Bench) -> Vec<[Vec<u8>; 3]> {
    let node = Node::open(&bench.node(), Access::Read).unwrap();
    let reader = node.journal().read(node.find_ledger("incident").unwrap().no).unwrap();
    let first = reader.base().map_or(0, |base| base.size);
    let steps = reader.steps(first..reader.size().unwrap()).unwrap().map(|step| step.unwrap().unwrap());
    steps.map(|step| [step.input().to_vec(), step.receipt().to_vec(), step.record().to_vec()]).collect()
}
