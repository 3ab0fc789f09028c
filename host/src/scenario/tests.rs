use super::*;
use reprise_abi::{Compensator, Description, EFFECT_KIND, Effect, Rejection, TIMER_KIND, Timer, Violation};
use reprise_guest::{Host, NativePolicy, Policy, StepInput};
use serde_json::{Value, json};
use std::path::Path;

/// Does what its events say: `{"timers": [[id, due_ms]], "effects": [[key, driver, deadline_ms, undo driver or null]],
/// "reject": code, "break": true}`. Everything it hears is in the view `heard`, in order.
struct Puppet;

impl Policy for Puppet {
    fn describe() -> Description {
        let kinds = ["do", "init", EFFECT_KIND, TIMER_KIND];
        Description {
            name: "puppet".into(),
            version: "1.0.0".into(),
            input_kinds: kinds.map(String::from).into(),
            views: vec!["heard".into()],
            rejections: vec![],
            governed: vec![],
        }
    }

    fn step(host: &mut dyn Host, input: &StepInput) -> Result<Vec<u8>, Rejection> {
        let order: Value = serde_json::from_slice(&input.payload).unwrap_or(Value::Null);
        if let Some(code) = order["reject"].as_u64() {
            return Err(Rejection { code: code as u32, detail: "as told".into() });
        }
        for timer in order["timers"].as_array().into_iter().flatten() {
            let id = timer[0].as_str().unwrap().into();
            host.set_timer(Timer { id, due_ms: timer[1].as_u64().unwrap(), payload: vec![] });
        }
        for effect in order["effects"].as_array().into_iter().flatten() {
            let text = |at: usize| effect[at].as_str().unwrap().to_owned();
            let undo =
                effect[3].as_str().map(|driver| Compensator { driver: driver.into(), payload: b"undo".to_vec() });
            host.emit(Effect {
                idempotency_key: text(0),
                driver: text(1),
                deadline_ms: effect[2].as_u64().unwrap(),
                payload: br#"{"node":7}"#.to_vec(),
                compensator: undo,
            });
        }
        let broken = if order["break"] == true { "!" } else { "" };
        let heard = format!("{} {} {}{broken}", input.logical_time_ms, input.kind, input.id);
        host.put(&input.seq.to_be_bytes(), heard.as_bytes());
        Ok(br#"{"did":{"it":true,"twice":[1,2]}}"#.to_vec())
    }

    fn check(host: &mut dyn Host) -> Result<(), Violation> {
        match heard(host).iter().find(|line| line.ends_with('!')) {
            Some(line) => Err(Violation { invariant: "whole".into(), detail: line.clone() }),
            None => Ok(()),
        }
    }

    fn view(host: &mut dyn Host, name: &str, args: &[u8]) -> Result<Vec<u8>, Rejection> {
        match name {
            "heard" if args.is_empty() => Ok(serde_json::to_vec(&json!({ "lines": heard(host) })).unwrap()),
            "heard" => Ok(serde_json::to_vec(&json!({ "args": String::from_utf8_lossy(args) })).unwrap()),
            _ => Err(Rejection { code: 9, detail: "no such view".into() }),
        }
    }
}

fn heard(host: &mut dyn Host) -> Vec<String> {
    let entries = host.scan(b"", None, 1_000).entries;
    entries.into_iter().map(|(_, line)| String::from_utf8(line).unwrap()).collect()
}

fn parse(members: Value) -> Scenario {
    let mut scenario = json!({ "about": "a test", "rows": [], "policy": "puppet" });
    scenario.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    Scenario::parse(Path::new("test.json"), scenario.to_string().as_bytes()).unwrap()
}

fn play(scenario: &Scenario) -> Played {
    Stage::native(NativePolicy::of::<Puppet>()).unwrap().play(scenario).unwrap()
}

/// Plays a scenario and holds it against its expectations: what differs first, or nothing.
#[track_caller]
fn check(members: Value, expected: &str) {
    let scenario = parse(members);
    let found = difference(&scenario, &play(&scenario)).map(|difference| difference.to_string());
    assert_eq!(found.unwrap_or_default(), expected);
}

fn heard_lines(played: &Played) -> Vec<String> {
    let lines = played.figure("heard/lines").unwrap().as_array().unwrap();
    lines.iter().map(|line| line.as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_file_is_read_strictly() {
    let error = |text: &str| Scenario::parse(Path::new("x.json"), text.as_bytes()).unwrap_err().to_string();
    let head = "{\"about\": \"a\", \"rows\": [], \"policy\": \"p\",\n ";
    let with = |rest: &str| error(&format!("{head}{rest}}}"));
    assert!(with("\"evens\": []").starts_with("x.json:2:8: unknown field `evens`"), "{}", with("\"evens\": []"));
    assert_eq!(with("\"events\": []"), "x.json: events: there is at least one");
    let event = "\"events\": [{\"at_ms\": 5, \"kind\": \"do\", \"expect\": \"fine\"}]";
    assert!(with(event).starts_with("x.json:2:55: unknown variant `fine`"), "{}", with(event));
    let event = "\"events\": [{\"at_ms\": 5, \"kind\": \"do\"}, {\"at_ms\": 4, \"kind\": \"do\"}]";
    assert_eq!(with(event), "x.json: events[1].at_ms: times never decrease");
    let event = "\"events\": [{\"at_ms\": 5, \"kind\": \"do\"}]";
    assert_eq!(with(&format!("{event}, \"until_ms\": 4")), "x.json: until_ms: it is not before the last event");
    let fault = "\"faults\": [{\"at_ms\": 1, \"fault\": \"driver_down\"}]";
    let rule = "`driver_down`, and nothing else, has `driver` and `for_ms`";
    assert_eq!(with(&format!("{event}, {fault}")), format!("x.json: faults[0]: {rule}"));
    let deadline = "\"expect\": {\"deadlines\": [{\"by_ms\": 1, \"effect\": \"e\", \"is\": 1}]}";
    assert!(with(&format!("{event}, {deadline}")).starts_with("x.json: expect.deadlines[0]: it has `effect`"));
    let halted = "\"expect\": {\"halted\": {\"sequence\": 1}}";
    assert!(with(&format!("{event}, {halted}")).contains("unknown field `sequence`"));
}

#[test]
fn repeats_are_unfolded_among_the_other_events() {
    let data = json!({ "n": "{i}", "name": "rank-{i}" });
    let scenario = parse(json!({ "events": [
        { "at_ms": 10, "kind": "do", "data": data, "source": "s{i}", "repeat": { "times": 3, "every_ms": 5 } },
        { "at_ms": 12, "kind": "do", "data_text": "not {i}" },
    ] }));
    let played = play(&scenario);
    let inputs: Vec<_> = played
        .moments
        .iter()
        .map(|moment| match moment {
            Moment::Input { at_ms, event, .. } => {
                let payload = String::from_utf8(event.payload.clone()).unwrap();
                format!("{at_ms} {} {} {payload}", event.id, event.source)
            }
            Moment::Crash { .. } => unreachable!(),
        })
        .collect();
    let expected = [
        r#"10 event-0-0 s0 {"n":0,"name":"rank-0"}"#,
        "12 event-1 scenario not {i}",
        r#"15 event-0-1 s1 {"n":1,"name":"rank-1"}"#,
        r#"20 event-0-2 s2 {"n":2,"name":"rank-2"}"#,
    ];
    assert_eq!(inputs, expected);
}

#[test]
fn at_the_same_time_what_is_due_comes_first_then_the_world_then_the_file() {
    let scenario = parse(json!({
        "parameters": { "timers": [["later", 30], ["b", 20], ["a", 20]] },
        "world": [{ "driver": "d", "then": "done", "after_ms": 10, "events": [
            { "after_ms": 10, "kind": "do", "data": { "of": "$payload.node", "key": "$key" } }] }],
        "events": [
            { "at_ms": 10, "kind": "do", "data": { "effects": [["k", "d", 90, null]] } },
            { "at_ms": 20, "kind": "do" }],
        "expect": {
            "effects": [{ "key": "k", "at_ms": 10, "status": "done", "ended_ms": 20, "deliveries": 1 }],
            "timers": [{ "at_ms": 20, "id": "a" }, { "at_ms": 20, "id": "b" }],
            "outcome_counts": { "accepted": 7 } },
    }));
    let played = play(&scenario);
    assert_eq!(difference(&scenario, &played), None);
    let expected = [
        "10 init parameters",
        "10 do event-0",
        "20 reprise.timer a",
        "20 reprise.timer b",
        "20 do world-0",
        "20 reprise.effect k",
        "20 do event-1",
    ];
    assert_eq!(heard_lines(&played), expected);
    let world = played.moments.iter().find_map(|moment| match moment {
        Moment::Input { cause: Cause::World, event, .. } => Some(event.payload.clone()),
        _ => None,
    });
    assert_eq!(world.unwrap(), br#"{"key":"k","of":7}"#);
}

#[test]
fn effects_are_tried_again_fail_expire_and_are_undone() {
    check(
        json!({
            "world": [
                { "key": "again*", "then": "retry", "times": 2, "after_ms": 1 },
                { "key": "again*", "then": "done" },
                { "phase": "compensate", "driver": "undo", "then": "done", "after_ms": 3 },
                { "key": "never", "then": "fail", "detail": "no", "after_ms": 7 },
                { "key": "worn out", "then": "retry" },
            ],
            "events": [{ "at_ms": 10, "kind": "do", "data": { "effects": [
                ["again", "d", 90_000, null], ["never", "d", 90_000, "undo"], ["unheard", "e", 400, "undo"],
                ["lost", "e", 500, null], ["never", "d", 90_000, null]] } }],
            "until_ms": 90_000,
            "expect": { "effects": [
                { "key": "again", "status": "done", "deliveries": 3 },
                { "key": "never", "status": "undone", "ended_ms": 20, "deliveries": 2 },
                { "key": "unheard", "status": "undone", "ended_ms": 404 },
                { "key": "lost", "status": "expired", "ended_ms": 501 },
                { "key": "never", "status": "repeated", "deliveries": 0 }],
                "deadlines": [
                    { "effect": "again*", "by_ms": 10 },
                    { "effect": "ne*", "status": "undone", "by_ms": 20 },
                    { "view_holds": "heard", "is": { "lines": [
                        "10 do event-0", "17 reprise.effect never", "20 reprise.effect never"] }, "by_ms": 20 }] },
        }),
        "",
    );
}

#[test]
fn five_attempts_and_then_the_breaker_is_open() {
    let scenario = parse(json!({
        "world": [{ "then": "retry", "detail": "down" }],
        "events": [
            { "at_ms": 0, "kind": "do", "data": { "effects": [["first", "d", 9_000_000, null]] } },
            { "at_ms": 60_000, "kind": "do", "data": { "effects": [["second", "d", 9_000_000, null]] } }],
        "until_ms": 600_000,
        "expect": { "effects": [
            { "key": "first", "status": "failed", "deliveries": 5 },
            { "key": "second", "status": "pending", "deliveries": 0 }] },
    }));
    assert_eq!(difference(&scenario, &play(&scenario)), None);
}

#[test]
fn a_driver_that_is_down_begins_when_it_is_up() {
    check(
        json!({
            "world": [{ "then": "done", "after_ms": 5 }],
            "faults": [{ "at_ms": 10, "fault": "driver_down", "driver": "d", "for_ms": 30 }],
            "events": [{ "at_ms": 7, "kind": "do", "data": { "effects": [["in flight", "d", 900, null]] } },
                { "at_ms": 20, "kind": "do", "data": { "effects": [["asked", "d", 900, null], ["other", "e", 900, null]] } }],
            "until_ms": 100,
            "expect": { "effects": [{ "ended_ms": 40 }, { "ended_ms": 45 }, { "ended_ms": 25 }] },
        }),
        "",
    );
}

#[test]
fn a_crash_changes_nothing_but_the_number_of_deliveries() {
    let members = json!({
        "world": [{ "then": "done", "after_ms": 50 }],
        "events": [
            { "at_ms": 10, "kind": "do", "data": { "effects": [["k", "d", 900, null]], "timers": [["t", 30]] } },
            { "at_ms": 40, "kind": "do" }],
        "until_ms": 100,
    });
    let calm = play(&parse(members.clone()));
    let mut crashing = members;
    crashing["faults"] = json!([{ "at_ms": 20, "fault": "crash" }, { "at_ms": 35, "fault": "crash" }]);
    let crashed = play(&parse(crashing));
    assert_eq!(trace(&crashed), trace(&calm));
    let bytes = |played: &Played| played.steps().map(|step| step.sealed.receipt_bytes.clone()).collect::<Vec<_>>();
    assert_eq!(bytes(&crashed), bytes(&calm));
    assert_eq!(heard_lines(&crashed), ["10 do event-0", "30 reprise.timer t", "40 do event-1", "60 reprise.effect k"]);
    assert_eq!((calm.effects[0].deliveries, crashed.effects[0].deliveries), (1, 3));
}

#[test]
fn a_repeated_event_comes_back_as_a_duplicate() {
    check(
        json!({
            "faults": [{ "at_ms": 10, "fault": "duplicate" }],
            "events": [{ "at_ms": 10, "kind": "do" }],
            "expect": { "outcome_counts": { "accepted": 1, "duplicate": 1, "rejected": 0 } },
        }),
        "",
    );
}

#[test]
fn a_broken_invariant_halts_and_the_rest_is_refused() {
    let members = json!({ "events": [
        { "at_ms": 10, "kind": "do", "data": { "timers": [["t", 15]] } },
        { "at_ms": 12, "kind": "do", "data": { "break": true }, "expect": "invariant violated" },
        { "at_ms": 20, "kind": "do", "expect": "refused" }] });
    let halted = "expect.halted: expected false, found {\"class\":\"invariant violated\",\"seq\":1}";
    check(members.clone(), halted);
    let mut expected = members;
    expected["expect"] = json!({ "halted": { "seq": 1, "class": "invariant violated" }, "timers": [] });
    check(expected, "");
}

#[test]
fn what_the_file_does_not_send_must_be_accepted_or_excepted() {
    let members = json!({
        "world": [{ "then": "done", "events": [{ "after_ms": 5, "kind": "do", "data": { "reject": 7 } }] }],
        "events": [{ "at_ms": 10, "kind": "do", "data": { "effects": [["k", "d", 99, null]] } }],
        "until_ms": 50 });
    let scenario = parse(members.clone());
    let found = difference(&scenario, &play(&scenario)).expect("nobody expected it").to_string();
    let at = "what the file does not send, `world-0` (do) at 15 ms, sequence number";
    assert!(found.starts_with(at) && found.contains("rejected"), "{found}");
    for (exception, excepted) in [
        (json!({ "outcome": "rejected" }), true),
        (json!({ "outcome": "rejected", "code": 7, "kind": "do", "id": "world-*" }), true),
        (json!({ "outcome": "rejected", "code": 8 }), false),
        (json!({ "outcome": "trapped" }), false),
        (json!({ "outcome": "rejected", "id": "other" }), false),
    ] {
        let mut members = members.clone();
        members["expect"] = json!({ "not_accepted": [exception] });
        let scenario = parse(members);
        assert_eq!(difference(&scenario, &play(&scenario)).is_none(), excepted, "{exception}");
    }
}

#[test]
fn a_list_that_does_not_ascend_is_named() {
    let describe = || {
        let mut description = Puppet::describe();
        description.views.insert(0, "z".into());
        description
    };
    let error = Stage::native(NativePolicy { describe, ..NativePolicy::of::<Puppet>() }).err().unwrap();
    assert_eq!(error.to_string(), "the policy's description: `views` must ascend, without repeats");
}

#[test]
fn the_first_difference_is_named() {
    let event = |expect: Value| json!({ "events": [{ "at_ms": 10, "kind": "do", "expect": expect }] });
    let at = "events[0] (do) at 10 ms, sequence number 0";
    let answer = json!({ "did": { "it": true, "twice": [1, 2] } });
    check(
        event(json!({ "outcome": "rejected", "code": 3 })),
        &format!(
            "{at}: outcome: expected {}, found {}",
            json!({ "outcome": "rejected", "code": 3 }),
            json!({ "outcome": "accepted", "answer": answer })
        ),
    );
    check(event(json!({ "answer": { "did": { "it": true } } })), "");
    check(
        event(json!({ "answer": { "did": { "twice": [1, 3] } } })),
        &format!("{at}: answer: /did/twice/1: expected 3, found 2"),
    );
    check(
        event(json!({ "answer": { "did": { "twice": [1] } } })),
        &format!("{at}: answer: /did/twice: expected [1], found [1,2]"),
    );
    check(event(json!({ "answer": { "more": 1 } })), &format!("{at}: answer: /more: expected 1, found nothing"));
    check(
        event(json!({ "effects": [{ "key": "k" }] })),
        &format!("{at}: effects[0]: expected {{\"key\":\"k\"}}, found nothing"),
    );
    let rejected = json!({ "events": [{ "at_ms": 1, "kind": "do", "data": { "reject": 7 },
        "expect": { "outcome": "rejected", "code": 8 } }] });
    check(
        rejected,
        &format!(
            "events[0] (do) at 1 ms, sequence number 0: code: expected 8, found {}",
            json!({ "outcome": "rejected", "code": 7, "answer": "as told" })
        ),
    );
}

#[test]
fn the_whole_is_held_against_its_expectations() {
    let whole = |expect: Value| json!({ "events": [{ "at_ms": 10, "kind": "do" }], "expect": expect });
    check(whole(json!({ "outcome_counts": { "accepted": 2 } })), "expect.outcome_counts/accepted: expected 2, found 1");
    check(whole(json!({ "timers": [{ "id": "t" }] })), "expect.timers[0]: expected {\"id\":\"t\"}, found nothing");
    check(whole(json!({ "figures": { "heard/lines/0": "10 do event-0" } })), "");
    check(
        whole(json!({ "figures": { "heard/lines/1": 3 } })),
        "expect.figures/heard/lines/1: expected 3, found nothing",
    );
    let views = json!({ "heard": [{ "args": "a b", "is": { "args": "a b" } }, { "args": [1], "is": { "args": "[1]" } }],
        "nothing": { "rejected": 9 } });
    check(whole(json!({ "views": views })), "");
    check(
        whole(json!({ "views": { "heard": { "args": "a", "is": { "args": "b" } } } })),
        "expect.views/heard with \"a\": /args: expected \"b\", found \"a\"",
    );
    check(
        whole(json!({ "deadlines": [{ "effect": "k", "by_ms": 5 }] })),
        "expect.deadlines[0]: expected {\"by_ms\":5,\"effect\":\"k\",\"status\":null}, found nothing",
    );
}

#[test]
fn a_long_trace_ends_in_a_digest_over_all_of_it() {
    let members = |last: &str| {
        json!({ "events": [
            { "at_ms": 10, "kind": "do", "repeat": { "times": 205 } }, { "at_ms": 10, "kind": "do", "id": last }] })
    };
    let (one, other) = (trace(&play(&parse(members("one")))), trace(&play(&parse(members("other")))));
    assert_eq!(one, trace(&play(&parse(members("one")))));
    assert_eq!(one.lines().count(), 1 + TRACE_LINES_MAX + 1);
    assert!(one.lines().nth(1).unwrap().starts_with("0 do accepted 0 calls=2 fuel=0 state="), "{one}");
    assert!(one.lines().last().unwrap().starts_with("steps=206 digest="), "{one}");
    let differing = one.lines().zip(other.lines()).filter(|(one, other)| one != other).count();
    assert_eq!(differing, 1, "only the digest knows of steps without a line");
}
