//! The recorded incident is what its README says it is.

use reprise_guest::{StepInput, abi::Outcome, testing::MemoryHost};
use reprise_lease::Lease;
use serde_json::Value;
use std::collections::BTreeMap;

fn lines() -> Vec<Value> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../fixtures/incidents/rank-loss-and-split.jsonl");
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Milliseconds since the full hour.
fn time_ms(line: &Value) -> u64 {
    let time = line["time"].as_str().unwrap();
    assert!(time.starts_with("2026-03-14T02:") && time.ends_with('Z') && time.len() == 24, "{time}");
    let number = |range: std::ops::Range<usize>| time[range].parse::<u64>().unwrap();
    (number(14..16) * 60 + number(17..19)) * 1_000 + number(20..23)
}

#[test]
fn it_is_long_in_order_and_has_one_duplicate() {
    let lines = lines();
    assert!(lines.len() >= 2_000);
    assert!(lines.iter().map(time_ms).is_sorted());
    let mut seen: BTreeMap<(&str, &str), u32> = BTreeMap::new();
    for line in &lines {
        *seen.entry((line["source"].as_str().unwrap(), line["id"].as_str().unwrap())).or_default() += 1;
    }
    assert_eq!(seen.values().filter(|count| **count > 1).count(), 1);
}

#[test]
fn it_ends_recovered_with_one_split_brain_prevented() {
    let mut host = MemoryHost::new();
    let mut first = BTreeMap::new();
    let mut rejected = Vec::new();
    for (seq, line) in lines().iter().enumerate() {
        let key = (line["source"].to_string(), line["id"].to_string());
        if first.insert(key, seq).is_some() {
            continue;
        }
        let outcome = host.step::<Lease>(&StepInput {
            logical_time_ms: 1_773_453_600_000 + time_ms(line),
            kind: line["type"].as_str().unwrap().into(),
            payload: line["data"].to_string().into_bytes(),
            ..StepInput::default()
        });
        match outcome {
            Outcome::Accepted { .. } => {}
            Outcome::Rejected(rejection) => rejected.push(rejection.code),
            other => panic!("line {}: {other:?}", seq + 1),
        }
    }
    assert_eq!(rejected, [9_005, 124, 124, 143, 144]);
    let Outcome::Accepted { answer } = host.view::<Lease>("report", b"") else { panic!("there is a report") };
    let report: Value = serde_json::from_slice(&answer).unwrap();
    assert_eq!(report["final_cluster_state"]["verdict"], "recovered");
    let figures = ["failed_ranks", "recovery_attempts", "recovery_success", "split_brain_prevented"];
    assert_eq!(figures.map(|name| report["figures"][name].as_u64().unwrap()), [6, 4, 4, 1]);
}
