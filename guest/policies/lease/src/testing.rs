//! A small cluster for the tests of single functions.

use crate::{
    Lease as Policy,
    config::{Assignment, BackendProfile, Config},
    state::{Health, Lease, Partition, Rank, RankRecord, Standing},
    table::Table,
};
use reprise_guest::{StepInput, abi::Outcome, testing::MemoryHost};
use std::fmt::Write;

pub const NOW_MS: u64 = 10_000;
pub const TTL_MS: u64 = 3_000;

pub fn config() -> Config {
    Config {
        profile: BackendProfile { name: "test".into(), settings: Table::default() },
        lease_ttl_ms: TTL_MS,
        heartbeat_timeout_ms: 1_000,
        suspect_threshold: 3,
        restarts_max: 2,
        action_attempts_max: 2,
        action_timeout_ms: 5_000,
        assignment: Assignment::Automatic,
    }
}

pub fn rank(health: Health) -> RankRecord {
    RankRecord { health, incarnation: 5, last_heartbeat_ms: NOW_MS, restarts: 0, fault: None }
}

pub fn ranks(health: &[Health]) -> Table<Rank, RankRecord> {
    (0..).map(Rank).zip(health.iter().map(|health| rank(*health))).collect()
}

pub fn lease(standing: Standing) -> Lease {
    Lease { token: 7, epoch: 4, standing }
}

pub fn held(owner: u32) -> Lease {
    lease(Standing::Held { owner: Rank(owner), expires_ms: NOW_MS + 500 })
}

pub fn leases(leases: impl IntoIterator<Item = Lease>) -> Table<Partition, Lease> {
    (0..).map(Partition).zip(leases).collect()
}

/// A host after `init`: as many partitions as ranks, each rank owning the one with its number.
pub fn host(count: u32) -> MemoryHost {
    let mut host = MemoryHost::new();
    let (mut ranks, mut leases) = (String::new(), String::new());
    for n in 0..count {
        let comma = if n == 0 { "" } else { "," };
        write!(ranks, "{comma}{{\"rank\":{n},\"incarnation\":5}}").unwrap();
        write!(leases, "{comma}{{\"partition\":{n},\"owner\":{n},\"token\":7}}").unwrap();
    }
    let config = String::from_utf8(reprise_guest::json::of(&config())).unwrap();
    let payload = format!("{{\"config\":{config},\"epoch\":4,\"ranks\":[{ranks}],\"leases\":[{leases}]}}");
    let outcome = step(&mut host, NOW_MS, "init", &payload);
    assert!(outcome.is_accepted(), "{outcome:?}");
    host
}

pub fn step(host: &mut MemoryHost, now_ms: u64, kind: &str, payload: &str) -> Outcome {
    let (kind, payload) = (kind.into(), payload.into());
    host.step::<Policy>(&StepInput { logical_time_ms: now_ms, kind, payload, ..StepInput::default() })
}
