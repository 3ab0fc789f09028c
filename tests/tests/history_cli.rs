//! The commands about history, as a person types them.

mod support;

use reprise::{
    journal::RunningPlan,
    node::{Access, Node},
    recovery,
};
use reprise_receipts::Genesis;
use support::Bench;

#[test]
fn checkpoints_are_made_listed_shown_and_dropped() {
    let bench = Bench::with_events(20);
    bench.run(&["checkpoint", "list", "incident"]).says(0, &["(none)"]);
    let made = bench.json(&["checkpoint", "create", "incident"]);
    assert_eq!(made["receipts"], 20);
    let note = bench.run(&["checkpoint", "show", "incident"]).says(0, &["holds", "log root", "reprise"]);
    assert!(note.stdout.contains("\n— "), "a signed note: {}", note.stdout);
    let dry = bench.json(&["checkpoint", "drop", "incident", "20", "--dry-run"]);
    assert_eq!(dry["snapshot"], "would go");
    let dropped = bench.json(&["checkpoint", "drop", "incident", "20"]);
    assert!(dropped["chunks removed"].as_u64().unwrap() > 0);
    bench.run(&["checkpoint", "drop", "incident", "20"]).says(1, &["not kept any more"]);
    bench.run(&["recover", "restore", "incident", "--checkpoint", "20"]).says(1, &["not kept any more"]);
    assert_eq!(bench.json(&["checkpoint", "list", "incident"])[0]["restorable"], false);
    let again = bench.json(&["checkpoint", "create", "incident"]);
    assert_eq!((&again["continuity root"], &again["restorable"]), (&made["continuity root"], &true.into()));
}

#[test]
fn a_ledger_makes_checkpoints_by_itself_when_it_is_told_to() {
    let bench = Bench::with_ledger();
    let set = bench.json(&["ledger", "set", "incident", "--checkpoint-receipts", "10", "--keep", "2"]);
    assert_eq!((&set["checkpoint after receipts"], &set["checkpoint after seconds"]), (&10.into(), &60.into()));
    for count in [10, 20, 30, 40] {
        bench.submit(&support::events(count)).says(0, &[]);
    }
    let list = bench.json(&["checkpoint", "list", "incident"]);
    let list = list.as_array().unwrap();
    assert!(list.len() >= 4, "{list:?}");
    let kept: Vec<bool> = list.iter().map(|row| row["restorable"].as_bool().unwrap()).collect();
    assert!(kept.ends_with(&[false, true, true]), "{list:?}");
    bench.run(&["verify", "incident"]).says(0, &["match"]);
}

#[test]
fn a_rollback_prints_its_plan_asks_for_leave_and_says_what_was_attested() {
    let bench = Bench::with_events(30);
    let receipt = bench.json(&["receipts", "show", "incident", "11"]);
    let refused = ["recover", "rollback", "incident", "--to", "11", "--dry-run"];
    bench.run(&refused).says(1, &["receipts up to 29 are attested", "--attested"]);
    let words = ["--attested", "--reason", "the probe was wrong"];
    let asked = [&["recover", "rollback", "incident", "--to", "11"], words.as_slice()].concat();
    let dry = [asked.as_slice(), &["--dry-run"]].concat();
    bench.run(&dry).says(0, &["copy receipts 12..30", "cut the ledger to 12 receipts", "cheapest first"]);
    assert_eq!(bench.receipts(), 30, "a dry run does nothing");
    let done = bench.run(&asked).says(0, &["step 6 done", "the probe was wrong"]);
    assert!(done.stdout.ends_with("carried out  true\n"), "said when it is: {}", done.stdout);
    assert_eq!(bench.receipts(), 12);
    bench.run(&["verify", "incident"]).says(0, &["match", "attested up to  11"]);
    assert_eq!(bench.json(&["receipts", "show", "incident", "11"])["leaf hash"], receipt["leaf hash"]);
    let status = bench.json(&["status"]);
    let other = status["ledgers"][0]["another history was attested"][0].as_str().unwrap();
    assert!(other.starts_with("receipts 12..30"), "{other}");
    let case = &bench.json(&["quarantine", "list", "incident"])[0];
    assert_eq!((&case["from"], &case["to"], &case["reason"]), (&12.into(), &30.into(), &"the probe was wrong".into()));
    let records = bench.json(&["quarantine", "show", "incident", "0"]);
    assert!(records.as_array().unwrap().len() >= 3 * 18, "{records}");
    bench.submit(&support::events(30)).says(0, &["18"]);
    bench.run(&["verify", "incident"]).says(0, &["match"]);
    bench.run(&["recover", "resume", "incident"]).says(1, &["no plan was begun"]);
}

#[test]
fn a_ledger_is_taken_over_from_a_checkpoint_of_another_node() {
    let bench = Bench::with_events(25);
    bench.run(&["checkpoint", "create", "incident"]).says(0, &["25"]);
    let other = Bench::with_node();
    let from = bench.node().display().to_string();
    let take = ["recover", "take", "incident", "--from", from.as_str()];
    other.run(&[take.as_slice(), &["--dry-run"]].concat()).says(0, &["from receipt", "25"]);
    other.run(&["ledger", "list"]).says(0, &["(none)"]);
    other.run(&take).says(0, &["25"]);
    other.run(&take).says(1, &["on this node already"]);
    let (here, there) = (bench.json(&["status"]), other.json(&["status"]));
    for field in ["receipts", "state root", "log root", "id"] {
        assert_eq!(here["ledgers"][0][field], there["ledgers"][0][field], "{field}");
    }
    other.run(&["verify", "incident"]).says(0, &["match", "archive hydrate"]);
    other.run(&["verify", "incident", "--range", "3..25"]).says(2, &["sequence number 3", "archive hydrate incident"]);
    other.run(&["replay", "incident", "3..25"]).says(2, &["sequence number 3", "archive hydrate incident"]);
    other.run(&["recover", "rebuild", "incident", "--dry-run"]).says(0, &["from receipt", "25"]);
    other.run(&["doctor", "incident"]).says(0, &["damaged"]);
    // With the attester's key the ledger goes on there. What was answered before it came is known to have been.
    for name in ["attester.key", "operator.key"] {
        std::fs::copy(bench.node().join("keys").join(name), other.node().join("keys").join(name)).unwrap();
    }
    other
        .submit(&support::events(30))
        .says(1, &["sequence number 0, and that step is not on this node", "archive hydrate"]);
    let file = other.file("again.jsonl", support::events(30));
    let again = other.run(&["submit", "incident", &file, "--json"]).says(1, &[]).json();
    assert_eq!((&again["duplicates"], &again["refused"]), (&6.into(), &24.into()));
    assert_eq!(other.receipts(), 30);
    other.run(&["verify", "incident"]).says(0, &["match"]);
}

#[test]
fn a_rebuild_a_restore_and_runtime_advice_say_what_they_do() {
    let bench = Bench::with_events(25);
    bench
        .run(&["recover", "rebuild", "incident", "--dry-run"])
        .says(0, &["steps that differ", "execute 25 inputs again"]);
    bench.run(&["recover", "rebuild", "incident"]).says(0, &["step 2 done"]);
    bench.run(&["recover", "restore", "incident"]).says(1, &["not kept"]);
    bench.run(&["checkpoint", "create", "incident"]).says(0, &["25"]);
    bench.run(&["recover", "restore", "incident"]).says(0, &["the snapshot at 25 receipts", "step 2 done"]);
    bench.run(&["recover", "runtime", "incident"]).says(0, &["0 of 3", "nothing: the policy runs"]);
    bench.run(&["verify", "incident"]).says(0, &["match"]);
}

#[test]
fn a_plan_that_was_begun_is_given_up() {
    let bench = Bench::with_events(30);
    bench.run(&["recover", "abandon", "incident"]).says(1, &["no plan was begun"]);
    {
        let node = reprise::node::Node::open(&bench.node(), reprise::node::Access::Write).unwrap();
        let entry = node.find_ledger("incident").unwrap();
        let site = node.site(&entry, reprise::node::EngineChoice::Native);
        let reason = "never mind".to_owned();
        let options = recovery::rollback::Options { size: 12, way: None, attested: true, reason, now_ms: 1 };
        let plan = recovery::rollback::plan(&site, &options).unwrap().plan;
        let running = RunningPlan { plan: reprise_abi::encode(&plan), next: 0, begun_ms: 1 };
        node.journal().put_running_plan(entry.no, &running).unwrap();
    }
    bench.run(&["status"]).says(1, &["recover abandon"]);
    bench.run(&["recover", "abandon", "incident", "--dry-run"]).says(0, &["never mind", "abandoned", "false"]);
    bench.run(&["recover", "abandon", "incident"]).says(0, &["as it was before the plan"]);
    bench.run(&["status"]).says(0, &[]);
    assert_eq!(bench.receipts(), 30);
}

#[test]
fn the_doctor_finds_and_repairs_and_exits_accordingly() {
    let bench = Bench::with_events(25);
    bench.run(&["doctor", "--all"]).says(0, &["damaged", "0"]);
    let damage = || {
        let node = reprise::node::Node::open(&bench.node(), reprise::node::Access::Write).unwrap();
        let entry = node.find_ledger("incident").unwrap();
        let record = reprise::journal::tamper::Record::Receipt(17);
        assert!(node.journal().tamper(entry.no, &record, 100, 1).unwrap());
    };
    damage();
    bench.run(&["doctor", "incident"]).says(1, &["receipt 17", "not repaired"]);
    bench.run(&["doctor", "incident", "--repair"]).says(0, &["receipt 17", "doing the step again gives it"]);
    bench.run(&["doctor", "incident"]).says(0, &["damaged"]);
    bench.run(&["verify", "incident"]).says(0, &["match"]);
    bench.run(&["quarantine", "list", "incident"]).says(0, &["replaced by the doctor"]);
}

#[test]
fn a_projection_has_a_root_and_is_checked_and_cannot_be_changed() {
    let bench = Bench::with_events(25);
    let views = bench.json(&["state", "view", "incident"]);
    let view = "report";
    assert!(views.as_array().unwrap().iter().any(|row| row["view"] == view), "{views}");
    let file = bench.node().with_file_name("view.projection").display().to_string();
    let before = bench.json(&["status"])["ledgers"][0]["state root"].clone();
    let shown = bench.json(&["state", "view", "incident", view, "--out", &file]);
    bench.run(&["state", "view", "incident", view, "--out", &file]).says(1, &["exists"]);
    assert_eq!(bench.json(&["status"])["ledgers"][0]["state root"], before);
    bench.submit(&support::events(40)).says(0, &[]);
    bench.run(&["verify", &file]).says(0, &["match"]);
    let checked = bench.json(&["state", "check-projection", &file]);
    assert_eq!((&checked["verdict"], &checked["receipts"]), (&"match".into(), &25.into()));
    assert_eq!(checked["projection root"], shown["projection root"]);
    let mut bytes = std::fs::read(&file).unwrap();
    let last = bytes.len() - 40;
    bytes[last] ^= 1;
    let changed = bench.file("changed.projection", bytes);
    bench.run(&["state", "check-projection", &changed]).says(1, &["no projection"]);
}

/// A ledger of the rules before stays in its first epoch, and is run and verified as ever.
#[test]
fn a_ledger_of_protocol_epoch_2_goes_on_under_its_rules() {
    let bench = Bench::with_ledger();
    {
        let node = Node::open(&bench.node(), Access::Write).unwrap();
        let entry = node.find_ledger("incident").unwrap();
        let genesis = Genesis { protocol_epoch: 2, name: "earlier".to_owned(), ..entry.genesis };
        node.journal().put_ledger(&genesis).unwrap();
    }
    let file = bench.file("events.jsonl", support::events(30));
    bench.run(&["submit", "earlier", &file]).says(0, &["30"]);
    bench.run(&["verify", "earlier"]).says(0, &["match"]);
    let receipt = bench.json(&["receipts", "show", "earlier", "29"]);
    assert_eq!((&receipt["protocol epoch"], &receipt["epoch"]), (&2.into(), &1.into()));
    let bundle = bench.node().join("earlier.bundle").display().to_string();
    bench.run(&["bundle", "export", "earlier", "--kind", "replay", "--from", "10", "--out", &bundle]).says(0, &[]);
    let key = bench.json(&["key", "show"])["attester"].as_str().unwrap().to_owned();
    bench.run(&["verify", &bundle, "--key", &key]).says(0, &["match"]);
    let grant = bench.node().join("grant").display().to_string();
    let signed = ["ledger", "grant", "earlier", "--to-owner", &key, "--attester", &key, "--out", &grant];
    bench.run(&signed).says(1, &["protocol epoch 2", "first epoch"]);
    // Nothing raises its epoch after a rollback either: it goes on as it always did.
    let words = ["--attested", "--reason", "the probe was wrong"];
    bench.run(&[&["recover", "rollback", "earlier", "--to", "19"], words.as_slice()].concat()).says(0, &[]);
    bench.run(&["submit", "earlier", &file]).says(0, &[]);
    assert_eq!(bench.json(&["ledger", "show", "earlier"])["receipts"], 30);
}

#[test]
fn what_was_cut_off_is_shown_exported_and_dropped() {
    let bench = Bench::with_events(20);
    let receipt = bench.json(&["receipts", "show", "incident", "15"])["leaf hash"].clone();
    let words = ["recover", "rollback", "incident", "--to", "11", "--attested", "--reason", "a test"];
    bench.run(&words).says(0, &[]);
    let cases = bench.json(&["quarantine", "list", "incident"]);
    let (case, records) = (cases[0]["case"].to_string(), cases[0]["records"].as_u64().unwrap());
    assert_eq!((&cases[0]["from"], &cases[0]["to"]), (&12.into(), &20.into()));
    let shown = bench.json(&["quarantine", "show", "incident", &case]);
    assert_eq!(shown.as_array().unwrap().len() as u64, records);

    let out = bench.node().with_file_name("cut off");
    let out = out.to_str().unwrap();
    bench.run(&["quarantine", "export", "incident", &case, "--out", out]).says(0, &[]);
    bench.run(&["quarantine", "export", "incident", &case, "--out", out]).says(1, &["cut off"]);
    assert_eq!(std::fs::read_dir(out).unwrap().count() as u64, records);
    let file = std::fs::read(std::path::Path::new(out).join("receipt-15.bin")).unwrap();
    assert_eq!(receipt, reprise_receipts::LeafHash::of(&file).to_string(), "to the byte");

    bench.run(&["quarantine", "drop", "incident", &case, "--dry-run"]).says(0, &["would be removed"]);
    assert_eq!(bench.json(&["quarantine", "list", "incident"]), cases);
    bench.run(&["quarantine", "drop", "incident", &case]).says(0, &["removed"]);
    bench.run(&["quarantine", "list", "incident"]).says(0, &["(none)"]);
    bench.run(&["quarantine", "drop", "incident", &case]).says(1, &["there is no case"]);
}
