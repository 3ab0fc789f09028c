//! The command as people and programs meet it: exit codes, and messages that say what to do.

mod support;

use redb::TableDefinition;
use reprise::{
    journal::tamper::Record,
    node::{Access, Node},
};
use reprise_abi::limits::INPUT_BYTES_MAX;
use reprise_receipts::EngineProfileDigest;
use std::{
    fs::{self, Permissions},
    os::unix::{fs::PermissionsExt, process::CommandExt},
    process::Command,
};
use support::{Bench, events, package, program, publisher};

#[test]
fn init_twice() {
    Bench::with_node().run(&["init"]).says(1, &["is not empty", "choose another directory"]);
}

#[test]
fn no_node() {
    Bench::empty().run(&["status"]).says(70, &["there is no journal", "reprise init"]);
}

#[test]
fn unknown_ledger() {
    Bench::with_node().run(&["ledger", "show", "other"]).says(1, &["no ledger `other`", "reprise ledger list"]);
}

#[test]
fn ledger_of_the_same_name() {
    let bench = Bench::with_ledger();
    let again = bench.run(&["ledger", "create", "incident", "--package", "lease"]);
    again.says(1, &["there is a ledger `incident` already", "choose another name"]);
}

#[test]
fn usage() {
    let bench = Bench::empty();
    bench.run(&["submit"]).says(64, &["Usage", "<LEDGER>"]);
    bench.run(&["verify", "incident", "--engine", "other"]).says(64, &["cranelift", "pulley", "native"]);
    bench.run(&["--help"]).says(0, &["Exit codes"]);
}

#[test]
fn range_that_is_none() {
    let bench = Bench::with_events(3);
    bench.run(&["verify", "incident", "--range", "1..9"]).says(64, &["1..9", "receipts 0..3"]);
    bench.run(&["verify", "incident", "--range", "one"]).says(64, &["one"]);
}

#[test]
fn malformed_line() {
    let bench = Bench::with_ledger();
    let lines = format!("{}{{\"id\": \"x\",\n", events(4));
    bench.submit(&lines).says(1, &["line 5", "have their receipts", "mend line 5"]);
    assert_eq!(bench.receipts(), 4);
    bench.submit("not an event\n").says(1, &["line 1", "Nothing was submitted"]);
    assert_eq!(bench.receipts(), 4);
}

#[test]
fn unknown_field() {
    let bench = Bench::with_ledger();
    let line = r#"{"id":"a","source":"b","type":"tick","tiem":"2026-03-14T02:10:00Z"}"#;
    bench.submit(line).says(1, &["line 1", "unknown field `tiem`"]);
}

#[test]
fn event_over_the_limit() {
    let bench = Bench::with_ledger();
    let data = "x".repeat(INPUT_BYTES_MAX + 1);
    let event = format!("{{\"id\":\"big\",\"source\":\"test\",\"type\":\"tick\",\"data\":\"{data}\"}}\n");
    bench.submit(&format!("{}{event}", events(2))).says(1, &["line 3", "mend line 3"]);
    assert_eq!(bench.receipts(), 2);
    let endless = "x".repeat(3 * INPUT_BYTES_MAX);
    bench.submit(&format!("{}{endless}", events(2))).says(1, &["line 3", "longer than"]);
}

#[test]
fn event_far_ahead_of_the_clock() {
    let bench = Bench::with_ledger();
    let line =
        |id: &str, time: &str| format!(r#"{{"id":"{id}","source":"test","type":"tick","time":"{time}"}}"#) + "\n";
    let lines = line("a", "2026-03-14T02:10:00Z") + &line("b", "2999-01-01T00:00:00Z");
    bench.submit(&lines).says(1, &["line 2", "24 hours ahead", "--allow-future"]);
    assert_eq!(bench.receipts(), 1);
    let file = bench.file("future.jsonl", lines);
    bench.run(&["submit", "incident", &file, "--allow-future"]).says(0, &["duplicates"]);
    assert_eq!(bench.receipts(), 2);
}

#[test]
fn files_that_are_not_there() {
    let bench = Bench::with_events(3);
    let none = bench.node().with_file_name("none").display().to_string();
    for command in [
        ["submit", "incident", &none].as_slice(),
        &["verify", &none, "--key", &"5".repeat(64)],
        &["bundle", "import", &none, "--key", &"5".repeat(64)],
        &["bundle", "inspect", &none],
        &["evidence", "show", &none],
        &["state", "check-projection", &none],
        &["package", "inspect", &none],
        &["receipts", "check-proof", &none, "--key", &"5".repeat(64)],
        &["doctor", "--all", "--archive", &none],
    ] {
        bench.run(command).says(64, &["none: No such file"]);
    }
    bench.run(&["quarantine", "show", "incident", "7"]).says(1, &["no case 7", "quarantine list"]);
}

#[test]
fn verify_of_a_file_without_a_key() {
    let bench = Bench::with_events(3);
    let out = bench.node().with_file_name("bundle").display().to_string();
    bench.run(&["bundle", "export", "incident", "--kind", "receipt", "--out", &out]).says(0, &[]);
    bench.run(&["verify", &out]).says(64, &["whom to believe", "--key"]);
    Bench::empty().run(&["verify", &out]).says(64, &["whom to believe", "--key"]);
    let text = bench.file("text", "nothing of ours");
    bench.run(&["verify", &text, "--key", &"5".repeat(64)]).says(1, &["text"]);
}

#[test]
fn truncated_package() {
    let bench = Bench::with_node();
    let bytes = fs::read(package()).unwrap();
    let file = bench.file("half.reprise", &bytes[..bytes.len() / 2]);
    bench.run(&["package", "add", &file, "--publisher", &publisher()]).says(1, &["half.reprise", "not a package"]);
    bench.run(&["package", "inspect", &file]).says(1, &["not a package"]);
}

#[test]
fn package_of_an_unknown_publisher() {
    let bench = Bench::with_node();
    bench.run(&["package", "add", &package()]).says(1, &["publisher.reprise.example", "--publisher KEY"]);
    assert_eq!(bench.json(&["package", "list"]), serde_json::json!([]));
}

#[test]
fn tampered_package() {
    let bench = Bench::with_node();
    let mut bytes = fs::read(package()).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let file = bench.file("tampered.reprise", bytes);
    bench.run(&["package", "add", &file, "--publisher", &publisher()]).says(1, &["the package does not hold"]);
    assert_eq!(bench.json(&["package", "list"]), serde_json::json!([]));
}

#[test]
fn second_process() {
    let bench = Bench::with_ledger();
    let open = Node::open(&bench.node(), Access::Write).unwrap();
    bench.submit(&events(1)).says(70, &["another process", "wait until it ends"]);
    bench.run(&["status"]).says(70, &["another process"]);
    drop(open);
    bench.submit(&events(1)).says(0, &[]);
}

#[test]
fn corrupt_database() {
    let bench = Bench::with_events(20);
    let journal = bench.node().join("journal.redb");
    let whole = fs::read(&journal).unwrap();
    let mut overwritten = whole.clone();
    overwritten[..64 * 1024].fill(0xa5);
    for damaged in [&whole[..whole.len() / 2], &overwritten, &[]] {
        fs::write(&journal, damaged).unwrap();
        for command in [["status"].as_slice(), &["verify", "incident"], &["ledger", "list"]] {
            bench.run(command).says(70, &["journal", "restore"]);
        }
    }
    fs::write(&journal, whole).unwrap();
    bench.run(&["verify", "incident"]).says(0, &["match"]);
}

#[test]
fn readable_key() {
    let bench = Bench::with_ledger();
    let key = bench.node().join("keys/attester.key");
    fs::set_permissions(&key, Permissions::from_mode(0o644)).unwrap();
    bench.submit(&events(1)).says(70, &["readable by others (mode 0644)", "chmod 600", "attester.key"]);
    fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    bench.submit(&events(1)).says(0, &[]);
}

#[test]
fn disk_full() {
    let bench = Bench::with_ledger();
    let all = bench.file("all.jsonl", events(600));
    // The limit is in blocks of 512 bytes (POSIX); the signal is ignored, so that writes fail as on a full disk.
    let blocks = fs::metadata(bench.node().join("journal.redb")).unwrap().len() / 512;
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$@\"");
    let mut limited = Command::new("sh");
    limited.args(["-c", &script, "sh"]).arg(program()).arg("--dir").arg(bench.node());
    let ended = limited.args(["submit", "incident", &all]).output().unwrap();
    support::Ended::from(ended).says(70, &["no space", "make room"]);
    bench.run(&["submit", "incident", &all]).says(0, &[]);
    assert_eq!(bench.receipts(), 600);
    bench.run(&["verify", "incident"]).says(0, &["match"]);
}

#[test]
fn directory_without_permission() {
    let bench = Bench::with_ledger();
    let room = bench.node().parent().unwrap().to_owned();
    let parent = room.join("closed");
    fs::create_dir(&parent).unwrap();
    for (path, mode) in [(&room, 0o755), (&parent, 0o555)] {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }
    // Permissions do not bind root: as root, the child is somebody else, who needs a copy of the program in reach.
    let copy = room.join("reprise");
    fs::copy(program(), &copy).unwrap();
    let mut child = Command::new(&copy);
    child.arg("--dir").arg(parent.join("node")).arg("init").current_dir("/");
    if fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0) {
        child.uid(65_534);
    }
    support::Ended::from(child.output().unwrap()).says(70, &["closed/node", "ermission denied"]);
    assert!(!parent.join("node").exists());
}

#[test]
fn second_submission() {
    let bench = Bench::with_ledger();
    let each = |bench: &Bench| -> Vec<serde_json::Value> {
        let file = bench.file("each.jsonl", events(30));
        let ended = bench.run(&["submit", "incident", &file, "--each"]).says(0, &[]);
        ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let (first, second) = (each(&bench), each(&bench));
    assert_eq!((first.len(), second.len()), (30, 30));
    for (first, second) in first.iter().zip(&second) {
        for field in ["line", "seq", "outcome", "code", "leaf"] {
            assert_eq!(first[field], second[field], "{field}");
        }
        assert_eq!((&first["duplicate"], &second["duplicate"]), (&false.into(), &true.into()));
    }
    let file = bench.file("again.jsonl", events(30));
    let tally = bench.json(&["submit", "incident", &file]);
    assert_eq!((&tally["new receipts"], &tally["duplicates"]), (&0.into(), &30.into()));
    assert_eq!(bench.receipts(), 30);
}

#[test]
fn verify_matches_with_every_engine() {
    let bench = Bench::with_events(60);
    for engine in ["cranelift", "pulley", "native"] {
        let verdict = bench.json(&["verify", "incident", "--engine", engine]);
        assert_eq!((&verdict["verdict"], &verdict["to"]), (&"match".into(), &60.into()), "{engine}");
    }
}

#[test]
fn verify_names_the_divergent_receipt() {
    let bench = Bench::with_events(60);
    let node = Node::open(&bench.node(), Access::Write).unwrap();
    let ledger = node.find_ledger("incident").unwrap().no;
    assert!(node.journal().tamper(ledger, &Record::StepRecord(17), 3, 1).unwrap());
    drop(node);
    let ended = bench.run(&["verify", "incident", "--json"]).says(1, &[]);
    let verdict = ended.json();
    assert_eq!((&verdict["verdict"], &verdict["sequence number"]), (&"divergent".into(), &17.into()));
    bench.run(&["verify", "incident"]).says(1, &["divergent", "17"]);
}

#[test]
fn verify_is_incomparable_when_something_is_missing() {
    let bench = Bench::with_events(5);
    let attestations: TableDefinition<'_, (u32, u64), &[u8]> = TableDefinition::new("attestations");
    let database = redb::Database::open(bench.node().join("journal.redb")).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(attestations).unwrap().retain(|_, _| false).unwrap();
    transaction.commit().unwrap();
    drop(database);
    bench.run(&["verify", "incident"]).says(2, &["incomparable", "attestation"]);

    let bench = Bench::with_events(5);
    let node = Node::open(&bench.node(), Access::Write).unwrap();
    let mut genesis = node.find_ledger("incident").unwrap().genesis;
    (genesis.name, genesis.engine_profile) = ("elsewhere".to_owned(), EngineProfileDigest::from_bytes([7; 32]));
    node.journal().put_ledger(&genesis).unwrap();
    drop(node);
    bench.run(&["verify", "elsewhere"]).says(2, &["incomparable", "engine profile", "0707"]);
    bench.run(&["status"]).says(1, &["elsewhere", "it needs engine profile"]);
}

#[test]
fn status_as_table_and_as_json() {
    let bench = Bench::with_events(5);
    let json = bench.json(&["status"]);
    let table = bench.run(&["status"]).says(0, &[]).stdout;
    let fields = json.as_object().unwrap().iter().chain(json["ledgers"][0].as_object().unwrap());
    assert!(!table.contains("was attested ,"), "an empty list is said: {table}");
    let mut seen = 0;
    for (name, value) in fields {
        assert!(table.contains(name.as_str()), "`{name}` is not in: {table}");
        if let Some(text) = value.as_str() {
            assert!(table.contains(text), "`{text}` is not in: {table}");
        }
        seen += 1;
    }
    assert!(seen > 10);
    assert_eq!(json["ledgers"][0]["receipts"], 5);
}
