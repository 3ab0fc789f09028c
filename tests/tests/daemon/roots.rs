//! What members have after the same number of receipts, root by root.

use crate::{
    bench::{Bench, events},
    cluster::Cluster,
    hostile::{Hostile, Lie},
};
use reprise::{
    checkpoints::log_root_at,
    node::{Access, Node},
};
use reprise_abi::decode_canonical;
use reprise_federation::message::{Projected, Roots};
use reprise_receipts::{ExecutionRoot, LogRoot, Receipt, StateRoot, digest::ProjectionRoot};
use serde_json::{Value, json};

const COMPARE: [&str; 5] = ["federation", "compare", "incident", "--view", "cluster"];

/// How a comparison ends, and what it says of each peer.
fn compare(bench: &Bench, more: &[&str]) -> (i32, Vec<Value>) {
    let ended = bench.run(&[&COMPARE, more, &["--json"]].concat());
    let rows: Value = serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{}", ended.stderr));
    (ended.code, rows.as_array().unwrap().clone())
}

fn of<'a>(rows: &'a [Value], peer: &str) -> &'a Value {
    rows.iter().find(|row| row["name"] == peer).unwrap()
}

#[test]
fn members_that_agree_have_the_same_roots() {
    let mut cluster = Cluster::with(3, &events(60), true);
    cluster.start_all();
    let all = cluster.agreed_size();
    cluster.until(1, |status| status["connected peers"] == 2);
    let (code, rows) = compare(cluster.bench(1), &[]);
    assert_eq!((code, rows.len()), (0, 2), "{rows:?}");
    for row in &rows {
        assert_eq!((&row["verdict"], &row["receipts"]), (&json!("match"), &json!(all)));
        for root in ["log root", "state root", "execution root", "projection root"] {
            assert_eq!(row[root], "same", "{row}");
        }
    }
    // Only the owner signs checkpoints: what its own claims is held against the receipts here.
    let (owner, replica) = (of(&rows, "a"), of(&rows, "c"));
    assert_eq!((&owner["checkpoint"], &owner["its checkpoint"]), (&json!("same"), &json!(all)));
    assert_eq!((&replica["checkpoint"], &owner["continuity root"]), (&Value::Null, &Value::Null));

    let (code, rows) = compare(cluster.bench(0), &["--with", "c", "--receipts", "10"]);
    assert_eq!((code, rows.len(), &rows[0]["receipts"]), (0, 1, &json!(10)), "{rows:?}");
    cluster.bench(0).run(&COMPARE).says(0, &["match", "log root same"]);
    let asked = |more: &[&str]| cluster.bench(1).run(&[&["federation", "compare", "incident"], more].concat());
    asked(&["--with", "nobody"]).says(1, &["nobody", "reprise peers"]);
    asked(&["--view", "nothing"]).says(1, &["no answer on this node"]);
    asked(&["--receipts", "900000"]).says(1, &["nothing to compare"]);
    asked(&["--args", "x"]).says(64, &["--view"]);

    // Whoever is not there is told about, and is no match.
    cluster.stop(2);
    cluster.until(1, |status| status["connected peers"] == 1);
    let (code, rows) = compare(cluster.bench(1), &[]);
    assert_eq!((code, &of(&rows, "a")["verdict"]), (2, &json!("match")));
    assert_eq!(
        (&of(&rows, "c")["verdict"], &of(&rows, "c")["why"]),
        (&json!("incomparable"), &json!("it is not connected"))
    );
    cluster.stop_all();
}

/// What the owner, which does not run, has after all its receipts.
fn true_roots(owner: &Bench) -> Roots {
    let projection = owner.json(&["state", "view", "incident", "cluster"])["projection root"].clone();
    let node = Node::open(&owner.node(), Access::Read).unwrap();
    let entry = node.find_ledger("incident").unwrap();
    let reader = node.journal().read(entry.no).unwrap();
    let size = reader.size().unwrap();
    let receipt: Receipt = decode_canonical(&reader.receipt(size - 1).unwrap().unwrap()).unwrap();
    let projection: ProjectionRoot = projection.as_str().unwrap().parse().unwrap();
    Roots {
        size,
        log_root: log_root_at(&reader, size).unwrap(),
        state_root: receipt.next_state,
        execution: receipt.execution,
        checkpoint: node.journal().checkpoints(entry.no).unwrap().pop().map(|kept| kept.record),
        projection: Some(Projected::Root(projection)),
    }
}

#[test]
fn the_root_that_differs_is_named() {
    let mut cluster = Cluster::with(3, &events(60), true);
    let truth = true_roots(cluster.bench(0));
    let hostile = Hostile::instead_of(&cluster, 1, 2, Lie::Roots);
    cluster.start(2);
    hostile.lies_to(&cluster, 2);
    cluster.until(2, |status| status["connected peers"] == 1);
    let with_b = |roots: &Roots| {
        hostile.tells(roots.clone());
        let (code, rows) = compare(cluster.bench(2), &["--with", "b"]);
        (code, rows[0].clone())
    };
    let (code, row) = with_b(&truth);
    assert_eq!((code, &row["verdict"], &row["checkpoint"]), (0, &json!("match"), &json!("same")), "{row}");

    let other = [9; 32];
    let mut claim = truth.checkpoint.clone().unwrap();
    claim.claim.log_root = LogRoot::from_bytes(other);
    let wrong = claim.claim.after(claim.previous);
    for (root, why, told) in [
        ("log root", "reconcile --dry-run", Roots { log_root: LogRoot::from_bytes(other), ..truth.clone() }),
        ("state root", "stored there", Roots { state_root: StateRoot::from_bytes(other), ..truth.clone() }),
        ("execution root", "execution root", Roots { execution: ExecutionRoot::from_bytes(other), ..truth.clone() }),
        ("checkpoint", "claims another", Roots { checkpoint: Some(wrong), ..truth.clone() }),
        (
            "projection root",
            "answers otherwise",
            Roots { projection: Some(Projected::Root(ProjectionRoot::from_bytes(other))), ..truth.clone() },
        ),
    ] {
        let (code, row) = with_b(&told);
        assert_eq!((code, &row["verdict"]), (1, &json!("divergent")), "{root}: {row}");
        assert!(row["why"].as_str().unwrap().contains(why), "{root}: {row}");
        assert!(row[root].as_str().is_some_and(|said| said != "same"), "{root}: {row}");
        let names = ["log root", "state root", "execution root", "checkpoint", "projection root"];
        assert_eq!(names.iter().filter(|name| row[**name] == "same").count(), 4, "the others are the same: {row}");
    }
    // What is missing is no difference.
    let (code, row) = with_b(&Roots { projection: Some(Projected::Missing), ..truth.clone() });
    assert_eq!((code, &row["verdict"]), (2, &json!("incomparable")), "{row}");
    let (code, row) = with_b(&Roots { size: truth.size - 1, checkpoint: None, ..truth });
    assert_eq!((code, &row["verdict"]), (2, &json!("incomparable")), "it answers another question: {row}");
    cluster.stop(2);
}
