use super::*;

fn gate() -> Arc<Gate> {
    Gate::new(DoorLimits { handshakes_max: 4, handshakes_per_host_max: 2, retry_from: 1, buffer_bytes_max: 0 })
}

fn enter(gate: &Arc<Gate>, caller: &str) -> Option<Pass> {
    match gate.judge(caller.parse().unwrap(), true) {
        Judgement::Enter(pass) => Some(pass),
        Judgement::Busy => None,
        Judgement::Retry => panic!("{caller} has shown that it receives"),
    }
}

#[test]
fn places_are_counted_by_host_and_in_all_and_given_back() {
    let gate = gate();
    let first = enter(&gate, "10.0.0.1:1").unwrap();
    let _second = enter(&gate, "10.0.0.1:2").unwrap();
    assert!(enter(&gate, "10.0.0.1:3").is_none(), "one host has two places");
    assert!(enter(&gate, "[::ffff:10.0.0.1]:3").is_none(), "the same host in IPv6's notation");
    let _third = enter(&gate, "[2001:db8::1]:1").unwrap();
    let _fourth = enter(&gate, "[2001:db8::ffff:2]:1").unwrap();
    assert!(enter(&gate, "10.0.0.9:1").is_none(), "four in all");
    drop(first);
    assert!(enter(&gate, "[2001:db8::3]:1").is_none(), "one IPv6 network is one host");
    assert!(enter(&gate, "10.0.0.1:3").is_some());
}

#[test]
fn callers_show_that_they_receive_when_many_come() {
    let gate = gate();
    let caller = "10.0.0.1:1".parse().unwrap();
    let first = gate.judge(caller, false);
    assert!(matches!(first, Judgement::Enter(_)));
    assert!(matches!(gate.judge(caller, false), Judgement::Retry));
    assert!(matches!(gate.judge(caller, true), Judgement::Enter(_)));
    drop(first);
    assert!(gate.hosts().is_empty(), "nothing is kept of those who left");
}
