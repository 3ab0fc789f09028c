use super::*;
use proptest::prelude::*;
use reprise_abi::limits::{SCAN_BYTES_MAX, SCAN_ENTRIES_MAX};
use std::collections::BTreeMap;

type Map = BTreeMap<Vec<u8>, Vec<u8>>;

const LIMIT: fn(LimitKind) -> GuestFault = GuestFault::LimitExceeded;
const FORBIDDEN: GuestFault = GuestFault::Trapped(TrapKind::ForbiddenCall);

fn state(entries: &[(&[u8], &[u8])]) -> StateTrie {
    let mut state = StateTrie::new();
    for (key, value) in entries {
        state.insert(&[&[POLICY_NAMESPACE][..], key].concat(), value);
    }
    state
}

fn stepping(state: StateTrie) -> StepHost {
    let mut host = StepHost::new(state);
    host.enter(Mode::Step);
    host
}

fn accepted() -> Outcome {
    Outcome::Accepted { answer: vec![] }
}

fn effect<'a>() -> EffectRef<'a> {
    EffectRef { idempotency_key: "k", driver: "d", deadline_ms: 1, payload: b"p", compensator: Some(("u", b"q")) }
}

#[test]
fn a_step_reads_its_own_writes() {
    let mut host = stepping(state(&[(b"a", b"1"), (b"b", b"2")]));
    assert_eq!(host.get(b"a"), Ok(Some(&b"1"[..])));
    host.put(b"a", b"3").unwrap();
    host.delete(b"b").unwrap();
    assert_eq!(host.get(b"a"), Ok(Some(&b"3"[..])));
    assert_eq!(host.get(b"b"), Ok(None));
    assert_eq!(host.get(b"c"), Ok(None));
}

#[test]
fn changes_are_in_key_order_with_both_values_and_without_those_that_change_nothing() {
    let mut host = stepping(state(&[(b"b", b"2"), (b"same", b"s"), (b"gone and back", b"g")]));
    host.put(b"c", b"3").unwrap();
    host.put(b"same", b"s").unwrap();
    host.delete(b"never there").unwrap();
    host.delete(b"gone and back").unwrap();
    host.put(b"gone and back", b"g").unwrap();
    host.put(b"b", b"first").unwrap();
    host.put(b"b", b"second").unwrap();
    host.put(b"a", b"").unwrap();
    assert!(host.changes_state());
    let changes = host.finish(&accepted()).changes;
    let change = |key: &[u8], before: Option<&[u8]>, after: &[u8]| Change {
        key: key.to_vec(),
        before: before.map(<[u8]>::to_vec),
        after: Some(after.to_vec()),
    };
    let expected = [change(b"\x01a", None, b""), change(b"\x01b", Some(b"2"), b"second"), change(b"\x01c", None, b"3")];
    assert_eq!(changes, expected);
    assert!(reprise_abi::Diff::new(changes).is_ok());
}

#[test]
fn writing_back_what_was_there_changes_nothing() {
    let mut host = stepping(state(&[(b"a", b"1")]));
    host.put(b"a", b"2").unwrap();
    assert!(host.changes_state());
    host.put(b"a", b"1").unwrap();
    assert!(!host.changes_state());
}

#[test]
fn the_ledgers_own_keys_cannot_be_named() {
    let mut own = StateTrie::new();
    own.insert(b"\x00h", b"halt");
    let mut host = stepping(own);
    assert_eq!(host.get(b"\x00h"), Ok(None));
    assert_eq!(host.get(b"h"), Ok(None));
    host.put(b"\x00h", b"x").unwrap();
    let page = host.scan(b"", None, 10).unwrap().page;
    assert_eq!(page.entries, [(b"\x00h".to_vec(), b"x".to_vec())]);
    assert_eq!(host.finish(&accepted()).changes[0].key, b"\x01\x00h");
    assert_eq!(host.into_state().get(b"\x00h"), Some(&b"halt"[..]));
}

#[test]
fn limits_on_keys_and_values() {
    let mut host = stepping(StateTrie::new());
    let long = vec![0; KEY_BYTES_MAX + 1];
    for key in [&b""[..], &long] {
        assert_eq!(host.get(key), Err(LIMIT(LimitKind::Key)));
        assert_eq!(host.put(key, b""), Err(LIMIT(LimitKind::Key)));
        assert_eq!(host.delete(key), Err(LIMIT(LimitKind::Key)));
    }
    assert!(host.scan(&long, None, 1).is_err() && host.scan(b"", Some(&long), 1).is_err());
    host.put(&long[1..], &vec![0; VALUE_BYTES_MAX]).unwrap();
    assert_eq!(host.put(b"k", &vec![0; VALUE_BYTES_MAX + 1]), Err(LIMIT(LimitKind::Value)));
}

#[test]
fn limits_on_the_diff() {
    let mut host = stepping(StateTrie::new());
    for number in 0..DIFF_CHANGES_MAX as u32 {
        host.put(&number.to_be_bytes(), b"").unwrap();
    }
    host.put(&0_u32.to_be_bytes(), b"again").unwrap();
    assert_eq!(host.delete(b"one more"), Err(LIMIT(LimitKind::DiffChanges)));

    let mut host = stepping(StateTrie::new());
    let entries = DIFF_BYTES_MAX / VALUE_BYTES_MAX;
    for number in 0..entries as u8 {
        host.put(&[number], &vec![0; VALUE_BYTES_MAX - 2]).unwrap();
    }
    host.put(&[0], &vec![1; VALUE_BYTES_MAX - 2]).unwrap();
    assert_eq!(host.put(b"x", b""), Err(LIMIT(LimitKind::DiffBytes)));
}

#[test]
fn limit_on_what_a_diff_replaces() {
    let mut state = StateTrie::new();
    let value = vec![0; VALUE_BYTES_MAX - 2];
    let entries = (DIFF_REPLACED_BYTES_MAX / VALUE_BYTES_MAX as u64) as u16;
    for number in 0..=entries {
        let key = [&[POLICY_NAMESPACE], number.to_be_bytes().as_slice()].concat();
        state.insert(&key, &value[..value.len() - 1]);
    }
    let mut host = stepping(state);
    for number in 0..entries {
        host.delete(&number.to_be_bytes()).unwrap();
    }
    assert_eq!(host.delete(&entries.to_be_bytes()), Err(LIMIT(LimitKind::DiffBytes)));
}

#[test]
fn limit_on_the_bytes_of_effects_and_timers() {
    let mut host = stepping(StateTrie::new());
    let payload = vec![0; EFFECT_PAYLOAD_BYTES_MAX];
    for _ in 0..EFFECTS_BYTES_MAX / EFFECT_PAYLOAD_BYTES_MAX - 1 {
        host.emit(&EffectRef { payload: &payload, idempotency_key: "k", driver: "d", ..effect() }).unwrap();
    }
    assert_eq!(host.set_timer("t", 1, &payload), Err(LIMIT(LimitKind::EffectPayload)));
}

#[test]
fn limit_on_the_state() {
    let size = |added, removed| Size { state_bytes_added: added, state_bytes_removed: removed, ..Size::default() };
    assert!(state_may_become(STATE_BYTES_MAX - 10, size(10, 0)));
    assert!(!state_may_become(STATE_BYTES_MAX - 10, size(11, 0)));
    assert!(state_may_become(STATE_BYTES_MAX, size(10, 10)));
    assert!(!state_may_become(STATE_BYTES_MAX, size(10, 9)));
    assert!(state_may_become(STATE_BYTES_MAX + 100, size(0, 10)), "a state over its limit may shrink");
    assert!(!state_may_become(u64::MAX, size(1, 0)));
}

#[test]
fn limits_on_effects_timers_and_messages() {
    let mut host = stepping(StateTrie::new());
    for _ in 0..EFFECTS_MAX {
        host.emit(&effect()).unwrap();
    }
    assert_eq!(host.emit(&effect()), Err(LIMIT(LimitKind::Effects)));
    for _ in 0..TIMER_CHANGES_MAX / 2 {
        host.set_timer("t", 1, b"").unwrap();
        host.cancel_timer("t").unwrap();
    }
    assert_eq!(host.set_timer("t", 1, b""), Err(LIMIT(LimitKind::Timers)));
    assert_eq!(host.cancel_timer("t"), Err(LIMIT(LimitKind::Timers)));
    for _ in 0..LOG_MESSAGES_MAX {
        host.log(LogLevel::Debug, "").unwrap();
    }
    assert_eq!(host.log(LogLevel::Debug, ""), Err(LIMIT(LimitKind::Log)));
}

#[test]
fn limits_on_names_and_payloads() {
    let mut host = stepping(StateTrie::new());
    let (name, payload) = ("n".repeat(NAME_BYTES_MAX + 1), vec![0; EFFECT_PAYLOAD_BYTES_MAX + 1]);
    for name in ["", &name] {
        let names = [
            EffectRef { idempotency_key: name, ..effect() },
            EffectRef { driver: name, ..effect() },
            EffectRef { compensator: Some((name, b"")), ..effect() },
        ];
        for effect in names {
            assert_eq!(host.emit(&effect), Err(LIMIT(LimitKind::Name)));
        }
        assert_eq!(host.set_timer(name, 1, b""), Err(LIMIT(LimitKind::Name)));
        assert_eq!(host.cancel_timer(name), Err(LIMIT(LimitKind::Name)));
    }
    let payloads =
        [EffectRef { payload: &payload, ..effect() }, EffectRef { compensator: Some(("u", &payload)), ..effect() }];
    for effect in payloads {
        assert_eq!(host.emit(&effect), Err(LIMIT(LimitKind::EffectPayload)));
    }
    assert_eq!(host.set_timer("t", 1, &payload), Err(LIMIT(LimitKind::EffectPayload)));
    assert_eq!(host.log(LogLevel::Info, &"m".repeat(LOG_MESSAGE_BYTES_MAX + 1)), Err(LIMIT(LimitKind::Log)));
    assert!(host.finish(&accepted()).effects.is_empty());
}

#[test]
fn what_each_function_of_a_policy_may_do() {
    for (mode, reads, writes) in [
        (Mode::Alone, false, false),
        (Mode::Step, true, true),
        (Mode::Migrate, true, true),
        (Mode::Check, true, false),
        (Mode::View, true, false),
    ] {
        let mut host = StepHost::new(state(&[(b"a", b"1")]));
        host.enter(mode);
        let as_allowed = |done: Result<(), GuestFault>, allowed: bool| {
            assert_eq!(done, if allowed { Ok(()) } else { Err(FORBIDDEN) }, "{mode:?}");
        };
        as_allowed(host.get(b"a").map(|_| ()), reads);
        as_allowed(host.scan(b"", None, 1).map(|_| ()), reads);
        as_allowed(host.log(LogLevel::Info, "m"), reads);
        as_allowed(host.put(b"a", b"2"), writes);
        as_allowed(host.delete(b"a"), writes);
        as_allowed(host.emit(&effect()), writes);
        as_allowed(host.set_timer("t", 1, b""), writes);
        as_allowed(host.cancel_timer("t"), writes);
    }
}

#[test]
fn a_page_ends_at_its_limits() {
    let mut big = StateTrie::new();
    for number in 0..2_000_u32 {
        big.insert(&[&[POLICY_NAMESPACE][..], &number.to_be_bytes()].concat(), b"v");
    }
    let mut host = stepping(big);
    let page = host.scan(b"", None, u32::MAX).unwrap().page;
    assert_eq!((page.entries.len(), page.more), (SCAN_ENTRIES_MAX as usize, true));
    let none = host.scan(b"", None, 0).unwrap().page;
    assert_eq!((none.entries.len(), none.more), (0, true));

    let mut host = stepping(StateTrie::new());
    for number in 0..5_u8 {
        host.put(&[number], &vec![0; VALUE_BYTES_MAX]).unwrap();
    }
    let page = host.scan(b"", None, 10).unwrap().page;
    let bytes: usize = page.entries.iter().map(|(key, value)| key.len() + value.len()).sum();
    assert_eq!((page.entries.len(), page.more), (3, true));
    assert!(bytes <= SCAN_BYTES_MAX && bytes + 1 + VALUE_BYTES_MAX > SCAN_BYTES_MAX);
}

#[test]
fn keys_passed_over_are_charged() {
    let mut host = stepping(state(&[(b"a", b"1"), (b"b", b"2")]));
    host.delete(b"a").unwrap();
    let scanned = host.scan(b"", None, 10).unwrap();
    assert_eq!(scanned.page.entries.len(), 1);
    assert_eq!(scanned.bytes, b"\x01a".len() + b"b2".len());
}

#[test]
fn the_transcript_has_answered_calls_only() {
    let root_of = |calls: &dyn Fn(&mut StepHost)| {
        let mut host = stepping(StateTrie::new());
        calls(&mut host);
        host.finish(&Outcome::LimitExceeded(LimitKind::Key)).execution
    };
    let nothing = root_of(&|_| ());
    assert_eq!(nothing, root_of(&|host| assert!(host.put(b"", b"").is_err())));
    assert_ne!(nothing, root_of(&|host| assert!(host.get(b"k").is_ok())));
}

/// What a step may do to its keys.
#[derive(Clone, Debug)]
enum Op {
    Put(Vec<u8>, Vec<u8>),
    Delete(Vec<u8>),
    Scan(Vec<u8>, Option<Vec<u8>>, u32),
}

fn any_op() -> impl Strategy<Value = Op> {
    let key = || prop::collection::vec(prop::sample::select(vec![0_u8, 1, 255]), 1..4);
    let part = || prop::collection::vec(prop::sample::select(vec![0_u8, 1, 255]), 0..3);
    prop_oneof![
        (key(), prop::collection::vec(any::<u8>(), 0..4)).prop_map(|(key, value)| Op::Put(key, value)),
        key().prop_map(Op::Delete),
        (part(), prop::option::of(part()), 0_u32..6).prop_map(|(prefix, after, limit)| Op::Scan(prefix, after, limit)),
    ]
}

fn model_page(map: &Map, prefix: &[u8], after: Option<&[u8]>, limit: u32) -> Page {
    let all: Vec<_> = map
        .iter()
        .filter(|(key, _)| key.starts_with(prefix) && after.is_none_or(|after| key.as_slice() > after))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let more = all.len() > limit as usize;
    Page { entries: all.into_iter().take(limit as usize).collect(), more }
}

proptest! {
    /// State and overlay together are a map; a step's changes turn the map before it into the map after it.
    #[test]
    fn a_step_host_is_a_map(
        before in prop::collection::btree_map(
            prop::collection::vec(prop::sample::select(vec![0_u8, 1, 255]), 1..4),
            prop::collection::vec(any::<u8>(), 0..4),
            0..20,
        ),
        ops in prop::collection::vec(any_op(), 0..40),
    ) {
        let entries: Vec<(&[u8], &[u8])> = before.iter().map(|(key, value)| (&key[..], &value[..])).collect();
        let mut host = stepping(state(&entries));
        let mut map = before.clone();
        for op in ops {
            match op {
                Op::Put(key, value) => {
                    host.put(&key, &value).unwrap();
                    map.insert(key, value);
                }
                Op::Delete(key) => {
                    host.delete(&key).unwrap();
                    map.remove(&key);
                }
                Op::Scan(prefix, after, limit) => {
                    let page = host.scan(&prefix, after.as_deref(), limit).unwrap().page;
                    prop_assert_eq!(page, model_page(&map, &prefix, after.as_deref(), limit));
                }
            }
        }
        prop_assert_eq!(host.changes_state(), map != before);
        let changes = host.finish(&accepted()).changes;
        let mut after = host.into_state();
        after.apply(&reprise_abi::Diff::new(changes).unwrap()).unwrap();
        let expected: Vec<(&[u8], &[u8])> = map.iter().map(|(key, value)| (&key[..], &value[..])).collect();
        prop_assert_eq!(after.root(), state(&expected).root());
    }

    /// The running totals are those of the keys written.
    #[test]
    fn sizes_add_up(
        before in prop::collection::btree_map(any::<u8>(), prop::collection::vec(any::<u8>(), 0..4), 0..6),
        writes in prop::collection::vec((0_u8..8, prop::option::of(prop::collection::vec(any::<u8>(), 0..4))), 0..30),
    ) {
        let mut overlay = Overlay::default();
        let mut now = BTreeMap::new();
        for (key, value) in &writes {
            overlay.write(&[*key], value.as_deref(), |_| before.get(key).cloned());
            now.insert(*key, value.clone());
        }
        let entry = |value: Option<&Vec<u8>>| value.map_or(0, |value| 1 + value.len() as u64);
        let size = overlay.size();
        prop_assert_eq!(size.keys, now.len());
        prop_assert_eq!(size.bytes, now.values().map(|value| 1 + value.as_ref().map_or(0, Vec::len)).sum::<usize>());
        prop_assert_eq!(size.state_bytes_added, now.values().map(|value| entry(value.as_ref())).sum::<u64>());
        prop_assert_eq!(size.state_bytes_removed, now.keys().map(|key| entry(before.get(key))).sum::<u64>());
    }
}
