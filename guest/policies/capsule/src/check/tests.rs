use super::*;
use crate::{
    case::{Assessment, Cause, Watch},
    config::Config,
    quarantine::open_case,
    severity::{Reading, Severity},
    state::{Agenda, Order},
};
use reprise_guest::testing::MemoryHost;

fn config() -> Config {
    Config { tick_ms: 1, dimension: 2, nodes: 3, assess_ticks: 1, stable_ms: 0, entropy_spike_ppm: 1, canary: false }
}

fn capsule(status: Status) -> Capsule {
    let mut capsule = Capsule {
        parent: None,
        depth: 0,
        has_children: false,
        phi: phi::Phi(vec![1_000_000, 0]),
        reading: None,
        status,
        consensus_participation: true,
        propagation_blocked: false,
        lineage_tainted: false,
        order: None,
        agenda: Agenda::default(),
        case: None,
    };
    capsule.stand(status);
    if status == Status::Normal {
        return capsule;
    }
    let case = open_case(&mut capsule, 0, Cause::Mild, Severity::Mild);
    if status == Status::Escalated {
        case.assessment = Some(Assessment { round: 1, until_tick: 9, votes: [0; 3] });
    }
    if matches!(status, Status::Healing | Status::Recovering) {
        case.watch = Some(Watch {
            round: 1,
            since_tick: 0,
            baseline_ppm: 0,
            extensions: 0,
            agreed: 0,
            disagreed: 0,
            distrusted: 0,
        });
    }
    capsule.agenda.due = Some(5);
    if status == Status::Isolated {
        capsule.lineage_tainted = true;
        capsule.order = Some(1);
    }
    capsule
}

/// A state with one capsule under a normal parent, as if a step had just stored it. `tests/` has what steps do.
fn broken(status: Status, spoil: impl FnOnce(&mut Capsule, &mut Header, &mut Touched)) -> Option<String> {
    let mut host = MemoryHost::new();
    CONFIG.put(&mut host, &config());
    let mut parent = capsule(Status::Normal);
    parent.has_children = true;
    let mut child = capsule(status);
    child.parent = Some("parent".into());
    child.depth = 1;
    let mut header = Header::default();
    header.by_status[0] = 1;
    let mut touched = Touched { by_status_before: header.by_status, ..Touched::default() };
    header.by_status[status as usize] += 1;
    touched.by_status_before[status as usize] += 1;
    touched.changes.push(("child".into(), vec![status, status]));
    spoil(&mut child, &mut header, &mut touched);
    CAPSULES.put(&mut host, &"parent".into(), &parent);
    CAPSULES.put(&mut host, &"child".into(), &child);
    HEADER.put(&mut host, &header);
    TOUCHED.put(&mut host, &touched);
    check(&mut host).err().map(|violation| violation.invariant)
}

#[test]
fn every_status_has_a_good_record() {
    for status in Status::ALL {
        assert_eq!(broken(status, |_, _, _| {}), None, "{status:?}");
    }
}

#[test]
fn every_invariant_is_held() {
    let expect = |invariant: &str, found: Option<String>| assert_eq!(found.as_deref(), Some(invariant));
    for status in Status::ALL {
        expect("pool-follows-status", broken(status, |capsule, _, _| capsule.consensus_participation ^= true));
        expect("pool-follows-status", broken(status, |capsule, _, _| capsule.propagation_blocked ^= true));
        expect("taint-is-isolation", broken(status, |capsule, _, _| capsule.lineage_tainted ^= true));
        expect("vector-has-length-one", broken(status, |capsule, _, _| capsule.phi = phi::Phi(vec![1, 1])));
        // What was isolated keeps its place in the tree; an audit looks at that, too.
        if status != Status::Isolated {
            expect("depth-is-true", broken(status, |capsule, _, _| capsule.depth = 2));
            expect("parent-is-known", broken(status, |capsule, _, _| capsule.parent = Some("nobody".into())));
        }
        expect("counters-are-true", broken(status, |_, header, _| header.by_status[3] += 1));
        expect("change-is-in-state", broken(status, |_, _, touched| touched.changes[0].0 = "lost".into()));
        let wild = Reading { stability_ppm: PPM + 1, ..Reading::default() };
        expect("reading-is-in-range", broken(status, |capsule, _, _| capsule.reading = Some(wild)));
    }
    for status in [Status::Healing, Status::Quarantined, Status::Escalated, Status::Isolated, Status::Recovering] {
        expect("every-wait-ends", broken(status, |capsule, _, _| capsule.agenda.due = None));
    }
    for status in [Status::Healing, Status::Quarantined, Status::Escalated, Status::Recovering] {
        expect("case-fits-status", broken(status, |capsule, _, _| capsule.case = None));
    }
    expect("every-wait-ends", broken(Status::Normal, |capsule, _, _| capsule.agenda.due = Some(1)));
}

#[test]
fn the_taint_reaches_descendants_or_is_on_its_way() {
    let mut host = MemoryHost::new();
    let mut root = capsule(Status::Isolated);
    root.has_children = true;
    CAPSULES.put(&mut host, &"root".into(), &root);
    let mut child = capsule(Status::Normal);
    (child.parent, child.depth) = (Some("root".into()), 1);
    let mut header = Header::default();
    assert_eq!(descent(&mut host, &header, &child), Ok(Err("taint-reaches-descendants")));
    header.walking = vec![1];
    assert_eq!(descent(&mut host, &header, &child), Ok(Ok(())));
}

/// The table of README.md, "States".
#[test]
fn only_the_documents_transitions_are_allowed() {
    use Status::{Escalated, Healing, Isolated, Normal, Quarantined, Recovering};
    let table: [(Status, &[Status]); 6] = [
        (Normal, &[Normal, Healing, Quarantined, Escalated, Isolated]),
        (Healing, &[Healing, Normal, Quarantined, Escalated, Isolated]),
        (Quarantined, &[Quarantined, Escalated, Isolated, Recovering]),
        (Escalated, &[Escalated, Quarantined, Isolated, Recovering]),
        (Isolated, &[Isolated, Recovering, Normal, Quarantined]),
        (Recovering, &[Recovering, Normal, Quarantined, Escalated, Isolated]),
    ];
    for (from, allowed) in table {
        for to in Status::ALL {
            assert_eq!(transition(from, to), allowed.contains(&to), "{from:?} to {to:?}");
        }
    }
    let born = broken(Recovering, |_, header, touched| {
        header.by_status[Recovering as usize] += 1;
        touched.changes[0].1 = vec![Recovering];
    });
    assert_eq!(born.as_deref(), Some("transition-is-the-documents"), "what is new is normal");
    let jump = broken(Recovering, |_, _, touched| {
        touched.changes[0].1 = vec![Recovering, Healing, Recovering];
    });
    assert_eq!(jump.as_deref(), Some("transition-is-the-documents"));
}

#[test]
fn what_an_audit_found_is_a_violation() {
    let mut host = MemoryHost::new();
    CONFIG.put(&mut host, &config());
    let broken = Some(("pool-follows-status".into(), "x".into()));
    TOUCHED.put(&mut host, &Touched { broken, ..Touched::default() });
    assert_eq!(check(&mut host), Err(violated("pool-follows-status", "x")));
}

#[test]
fn the_forensic_record_is_kept_as_written() {
    let mut host = MemoryHost::new();
    let order = Order {
        root: "r".into(),
        at_ms: 1,
        cause: Cause::ClusterDecision,
        reading: None,
        affected: 10_001,
        released: 0,
        held: 0,
        superseded_by: None,
        releasing: false,
        path: vec![],
    };
    crate::state::ORDERS.put(&mut host, &1, &order);
    assert_eq!(crate::state::ORDERS.get(&mut host, &1), Ok(Some(order)));
}
