use crate::testing::{NOW_MS, host, step};
use reprise_guest::testing::MemoryHost;

fn calls(host: &mut MemoryHost, kind: &str, payload: &str) -> u64 {
    let outcome = step(host, NOW_MS + 100, kind, payload);
    assert!(outcome.is_accepted(), "{outcome:?}");
    host.calls
}

/// However large the cluster is; the invariants are included.
#[test]
fn heartbeats_and_renewals_take_few_host_calls() {
    for ranks in [1, 10, 128] {
        let mut host = host(ranks);
        assert_eq!(calls(&mut host, "heartbeat", r#"{"rank":0,"incarnation":5}"#), 4, "get, put, delete; get");
        let renew = r#"{"partition":0,"rank":0,"token":7}"#;
        assert_eq!(calls(&mut host, "lease_renew", renew), 9, "3 gets, 2 puts; 4 gets");
        assert_eq!(calls(&mut host, "heartbeat", r#"{"rank":0,"incarnation":5}"#), 4, "also after a renewal");
    }
}

#[test]
fn a_heartbeat_clears_a_suspicion() {
    let mut host = host(2);
    assert!(step(&mut host, NOW_MS + 1_500, "tick", "{}").is_accepted());
    assert!(calls(&mut host, "heartbeat", r#"{"rank":1,"incarnation":5}"#) <= 8, "it is traced, too");
    let record = crate::state::RANKS.get(&mut host, &crate::state::Rank(1)).unwrap().unwrap();
    assert_eq!(record.health, crate::state::Health::Healthy);
}
