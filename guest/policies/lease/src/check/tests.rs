use super::*;
use crate::{
    state::{EXECUTION, Health, PLAN, Touched},
    testing::{NOW_MS, host, step},
};
use reprise_guest::testing::MemoryHost;

/// What `check` says after somebody changed the state of a cluster that is in the middle of a plan.
fn after(change: impl FnOnce(&mut MemoryHost)) -> Result<(), String> {
    let mut host = host(4);
    let lost = r#"{"events":[{"rank_lost":{"rank":1,"incarnation":5}},{"rank_lost":{"rank":2,"incarnation":5}}]}"#;
    assert!(step(&mut host, NOW_MS, "observe", lost).is_accepted());
    assert_eq!(check(&mut host), Ok(()));
    change(&mut host);
    check(&mut host).map_err(|violation| violation.invariant)
}

fn touch(host: &mut MemoryHost, partition: Option<Partition>) {
    TOUCHED.put(host, &Touched { epoch_before: 4, partition });
}

fn own(host: &mut MemoryHost, owner: u32) {
    let mut lease = LEASES.get(host, &Partition(0)).unwrap().unwrap();
    lease.standing = Standing::Held { owner: Rank(owner), expires_ms: u64::MAX };
    LEASES.put(host, &Partition(0), &lease);
}

fn change_plan(host: &mut MemoryHost, change: impl FnOnce(&mut crate::plan::RecoveryPlan)) {
    let mut plan = PLAN.get(host).unwrap().unwrap();
    change(&mut plan);
    PLAN.put(host, &plan);
}

#[test]
fn every_invariant_is_held() {
    let violated = |name: &str| Err(String::from(name));
    assert_eq!(after(|_| {}), Ok(()));
    assert_eq!(after(|host| own(host, 1)), violated("owner-is-an-active-member"));
    assert_eq!(after(|host| own(host, 77)), violated("owner-is-an-active-member"));
    let epoch = |host: &mut MemoryHost, epoch| {
        let mut lease = LEASES.get(host, &Partition(0)).unwrap().unwrap();
        lease.epoch = epoch;
        LEASES.put(host, &Partition(0), &lease);
    };
    assert_eq!(after(|host| epoch(host, 6)), violated("lease-epoch-has-begun"));
    let header = |host: &mut MemoryHost, epoch| {
        let mut header = HEADER.get(host).unwrap().unwrap();
        header.epoch = epoch;
        HEADER.put(host, &header);
    };
    assert_eq!(after(|host| header(host, 3)), violated("epoch-never-falls"));
    assert_eq!(after(|host| header(host, 8)), violated("plan-is-of-this-epoch"));
    assert_eq!(after(|host| change_plan(host, |plan| plan.actions.reverse())), violated("plan-in-order"));
    assert_eq!(after(|host| change_plan(host, |plan| plan.epoch = 1)), violated("plan-is-of-this-epoch"));
    assert_eq!(after(|host| PLAN.delete(host)), violated("plan-has-its-execution"));
    assert_eq!(after(|host| EXECUTION.delete(host)), violated("plan-has-its-execution"));
    let beyond = |host: &mut MemoryHost| {
        let mut execution = EXECUTION.get(host).unwrap().unwrap();
        execution.next = 2;
        EXECUTION.put(host, &execution);
    };
    assert_eq!(after(beyond), violated("action-in-flight-exists"));
    let health = |host: &mut MemoryHost, rank, health| {
        let mut record = RANKS.get(host, &Rank(rank)).unwrap().unwrap();
        record.health = health;
        RANKS.put(host, &Rank(rank), &record);
    };
    assert_eq!(after(|host| health(host, 2, Health::Healthy)), violated("failure-has-an-event"));
    assert_eq!(after(|host| health(host, 1, Health::Evicted)), violated("failure-has-an-event"));
    let unplanned = |host: &mut MemoryHost| {
        PLAN.delete(host);
        EXECUTION.delete(host);
    };
    assert_eq!(after(unplanned), violated("failure-is-in-the-plan"));
    assert_eq!(after(|host| CONFIG.delete(host)), violated("state-readable"));
    assert_eq!(after(|host| host.put(b"header", b"rubbish")), violated("state-readable"));
}

#[test]
fn what_a_step_did_not_touch_is_left_to_the_next_tick() {
    let broken = |partition: Option<u32>| {
        after(|host| {
            own(host, 1);
            touch(host, partition.map(Partition));
        })
    };
    assert_eq!(broken(Some(3)), Ok(()));
    assert_eq!(broken(Some(0)), Err("owner-is-an-active-member".into()));
    assert_eq!(broken(None), Err("owner-is-an-active-member".into()));
    assert_eq!(after(|host| touch(host, Some(Partition(77)))), Err("state-present".into()));
    assert_eq!(
        after(|host| {
            own(host, 1);
            TOUCHED.delete(host)
        }),
        Ok(())
    );
}
