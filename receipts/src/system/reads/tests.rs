//! A ledger with timers and effects runs on a witness of what it says that it reads, and on nothing less.

use super::*;
use crate::{
    Genesis, Head, SigningKey,
    digest::{EngineProfileDigest, PackageDigest},
    genesis::PROTOCOL_EPOCH,
    witness::{Touched, Witness, covers},
};
use reprise_abi::{Effect, EffectStatus, HOST_SOURCE, Outcome, Timer, encode};

fn genesis() -> Genesis {
    let key = SigningKey::from_secret(&[7; 32]).public();
    Genesis {
        format: 1,
        name: "test".to_owned(),
        nonce: [0; 16],
        protocol_epoch: PROTOCOL_EPOCH,
        engine_profile: EngineProfileDigest::from_bytes([1; 32]),
        package: PackageDigest::from_bytes([2; 32]),
        epoch: 1,
        attester: key,
        operators: vec![key],
        operator_threshold: 1,
    }
}

/// The next input: whatever is due, else in turn the result of an effect or an event.
fn next_input(head: &Head) -> Input {
    let (seq, logical_time_ms) = (head.next_seq(), head.logical_time_ms() + 400);
    if let Some(due) = head.due_input(logical_time_ms) {
        return due;
    }
    let pending = outbox::pending(head.state()).next().filter(|_| seq % 3 == 2);
    let event = match pending {
        Some(entry) => {
            let status = match seq % 4 {
                0 => EffectStatus::Done { answer: vec![] },
                1 => EffectStatus::Failed { detail: String::new() },
                _ => EffectStatus::Retry { detail: String::new() },
            };
            let idempotency_key = entry.effect.idempotency_key;
            let payload =
                encode(&EffectResult { idempotency_key: idempotency_key.clone(), phase: entry.phase, status });
            Event { id: idempotency_key, source: HOST_SOURCE.to_owned(), kind: EFFECT_KIND.to_owned(), payload }
        }
        None => Event { id: seq.to_string(), source: "s".to_owned(), kind: "k".to_owned(), payload: vec![] },
    };
    Input { seq, epoch: 1, logical_time_ms, event }
}

/// A policy that sets, replaces and cancels timers, and emits effects, some of them twice.
fn execute(input: &Input) -> Executed {
    let mut executed = Executed::answered(Outcome::Accepted { answer: vec![] });
    if input.event.kind == EFFECT_KIND {
        return executed;
    }
    let due_ms = input.logical_time_ms + 500 + input.seq % 7 * 300;
    let id = format!("timer/{}", input.seq % 5);
    executed.timers.push(TimerChange::Set(Timer { id, due_ms, payload: vec![1] }));
    executed.timers.push(TimerChange::Cancel { id: format!("timer/{}", input.seq % 3) });
    executed.effects.push(Effect {
        idempotency_key: format!("effect/{}", input.seq / 2),
        driver: "driver".to_owned(),
        deadline_ms: input.logical_time_ms + 1_500,
        payload: vec![2],
        compensator: None,
    });
    executed
}

#[test]
fn a_ledger_runs_on_what_it_says_that_it_reads() {
    let mut head = Head::genesis(genesis());
    let step = |head: &mut Head, input: &Input| {
        let work = head.prepare(input).unwrap();
        head.seal(input, &work, execute(input))
    };
    for _ in 0..200 {
        let input = next_input(&head);
        step(&mut head, &input);
    }
    for from in [200_u64, 230, 260, 290] {
        let mut touched = Touched::new();
        let (before, mut inputs, mut sealed) = (head.clone(), Vec::new(), Vec::new());
        for _ in 0..30 {
            let input = next_input(&head);
            let mut reads = before_step(&head, &input.event);
            let work = head.prepare(&input).unwrap();
            reads.extend(of_step(head.state(), &input, &work, &execute(&input)));
            reads.iter().for_each(|read| touched.note(head.state(), read));
            let keys: Vec<_> = reads
                .iter()
                .map(|read| match read {
                    Read::Get { key } | Read::Scan { prefix: key, .. } => key.clone(),
                })
                .collect();
            let done = step(&mut head, &input);
            let unread =
                done.record.diff.changes().iter().find(|change| change.after.is_some() && !keys.contains(&change.key));
            assert_eq!(unread, None, "step {} writes what it does not say", done.receipt.seq);
            inputs.push(input);
            sealed.push(done);
        }
        assert_eq!(inputs[0].seq, from);
        let witness = Witness::of(&mut before.state().clone(), &touched);
        let shown = witness.open(before.state_root()).unwrap();
        let last = before.previous();
        let receipt =
            crate::Receipt { seq: from - 1, logical_time_ms: before.logical_time_ms(), ..sealed[0].receipt.clone() };
        let mut partial = Head::at(genesis(), Some((&receipt, last)), shown);
        for (input, expected) in inputs.iter().zip(sealed) {
            assert_eq!(covers(partial.state(), &before_step(&partial, &input.event)), Ok(()));
            let work = partial.prepare(input).unwrap();
            assert_eq!(covers(partial.state(), &of_step(partial.state(), input, &work, &execute(input))), Ok(()));
            assert_eq!(partial.seal(input, &work, execute(input)), expected);
        }
    }
}
