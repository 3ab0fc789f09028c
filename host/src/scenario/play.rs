//! The run: one loop over what comes next.
//!
//! At the same time, what is due comes first, then drivers are asked, then the outside world speaks, then comes what
//! the file says. So a policy hears of a result before the event that the file has at that moment.

use super::{
    file::{Deadline, Scenario},
    keep::{Keep, KeepError},
    played::{Cause, EffectTrail, Ended, Fired, Moment, Played, Status, Step},
    script::{self, Cue, ScriptError, What},
    stage::Stage,
};
use crate::{
    effects::{Coming, Pump, Simulated, json},
    engine::{EngineProfile, HostFault, ViewError},
    journal::LedgerEntry,
    node::Node,
    orderer::{LocalOrderer, Ordered, Orderer, Origin, Proposal, TimeSource},
    runner::{RunError, Runner},
};
use reprise_abi::Input;
use reprise_receipts::{
    Genesis, Head, Sealed, SigningKey,
    genesis::{GENESIS_FORMAT, PROTOCOL_EPOCH},
    ledger::Work,
    system::{self, outbox},
};
use serde_json::{Value, json};
use std::collections::VecDeque;

/// Most steps of one run: more of them mean that it does not end.
pub const STEPS_MAX: usize = 200_000;
/// The key of every scenario's ledger: roots and receipts repeat.
const SECRET: [u8; 32] = *b"a scenario's key is known to all";
const NONCE: [u8; 16] = *b"reprise scenario";

/// Why a scenario cannot be played to its end.
#[derive(Debug, thiserror::Error)]
pub enum PlayError {
    /// Its events cannot be unfolded.
    #[error(transparent)]
    Script(#[from] ScriptError),
    /// The engine could not execute a step.
    #[error("sequence number {seq} could not be executed: {error}")]
    Run {
        /// Which step.
        seq: u64,
        /// Why.
        error: RunError,
    },
    /// The engine could not compute a view.
    #[error("view `{view}`: {error}")]
    View {
        /// Which view.
        view: String,
        /// Why.
        error: HostFault,
    },
    /// The journal could not be kept.
    #[error(transparent)]
    Keep(#[from] KeepError),
    /// It does not end.
    #[error("it does not end: {STEPS_MAX} steps, and the time is {at_ms} ms")]
    Endless {
        /// Logical time, in milliseconds.
        at_ms: u64,
    },
}

pub(super) fn play(stage: &mut Stage, scenario: &Scenario) -> Result<Played, PlayError> {
    let attester = SigningKey::from_secret(&SECRET);
    let genesis = genesis(scenario, stage, &attester);
    let script = script::unfold(scenario)?;
    let crashes = script.iter().any(|cue| cue.what == What::Crash);
    let keep = if crashes { Some(Keep::new(&genesis, attester)?) } else { None };
    play_script(stage, scenario, script, genesis, keep)
}

pub(super) fn play_on(
    stage: &mut Stage,
    scenario: &Scenario,
    node: &Node,
    entry: &LedgerEntry,
) -> Result<Played, PlayError> {
    let keep = Keep::on(node, entry)?;
    play_script(stage, scenario, script::unfold(scenario)?, entry.genesis.clone(), Some(keep))
}

fn play_script(
    stage: &mut Stage,
    scenario: &Scenario,
    script: VecDeque<Cue>,
    genesis: Genesis,
    keep: Option<Keep>,
) -> Result<Played, PlayError> {
    let last_ms = script.back().map_or(0, |cue| cue.at_ms);
    let mut play = Play {
        runner: &mut stage.runner,
        keep,
        head: Head::genesis(genesis),
        orderer: LocalOrderer::new(TimeSource::Event),
        pump: Pump::new(Simulated::new(scenario.world.clone(), script::windows(scenario))),
        ask_ms: None,
        script,
        last_event: None,
        deadlines: scenario.expect.deadlines.iter().enumerate().collect(),
        end_ms: scenario.until_ms.unwrap_or(0).max(last_ms),
        now_ms: 0,
        played: Played::default(),
    };
    play.run()?;
    play.finish(scenario)
}

fn genesis(scenario: &Scenario, stage: &Stage, attester: &SigningKey) -> Genesis {
    Genesis {
        format: GENESIS_FORMAT,
        name: scenario.policy.clone(),
        nonce: NONCE,
        protocol_epoch: PROTOCOL_EPOCH,
        engine_profile: EngineProfile::current().digest(),
        package: stage.package,
        epoch: 1,
        attester: attester.public(),
        operators: vec![attester.public()],
        operator_threshold: 1,
    }
}

struct Play<'s> {
    runner: &'s mut Runner,
    keep: Option<Keep>,
    head: Head,
    orderer: LocalOrderer,
    pump: Pump<Simulated>,
    /// When a driver is asked next, computed after every step that may change it.
    ask_ms: Option<u64>,
    script: VecDeque<Cue>,
    last_event: Option<Proposal>,
    /// Those that did not hold yet, with their index in the file.
    deadlines: Vec<(usize, &'s Deadline)>,
    end_ms: u64,
    now_ms: u64,
    played: Played,
}

/// What comes next.
enum Next {
    Due,
    Ask,
    World,
    Cue,
}

impl Play<'_> {
    fn run(&mut self) -> Result<(), PlayError> {
        while let Some((at_ms, next)) = self.next().filter(|(at_ms, _)| *at_ms <= self.end_ms) {
            self.now_ms = at_ms;
            if self.played.moments.len() >= STEPS_MAX {
                return Err(PlayError::Endless { at_ms });
            }
            match next {
                Next::Due => self.due()?,
                Next::Ask => self.ask()?,
                Next::World => self.world()?,
                Next::Cue => self.cue()?,
            }
        }
        self.now_ms = self.end_ms.max(self.now_ms);
        Ok(())
    }

    fn next(&self) -> Option<(u64, Next)> {
        let due = self.head.due_input(u64::MAX).map(|input| (input.logical_time_ms, Next::Due));
        let ask = self.ask_ms.map(|at_ms| (at_ms, Next::Ask));
        // A driver is asked at its own time, so nothing that it sends is earlier than now.
        let world = self.pump.driver().next_ms().map(|at_ms| (at_ms, Next::World));
        let cue = self.script.front().map(|cue| (cue.at_ms, Next::Cue));
        let next = [due, ask, world, cue].into_iter().flatten().min_by_key(|(at_ms, _)| *at_ms)?;
        Some((next.0.max(self.now_ms), next.1))
    }

    fn due(&mut self) -> Result<(), PlayError> {
        let input = self.head.due_input(self.now_ms).expect("it was just found to be due");
        self.step(input, Cause::Due)
    }

    fn ask(&mut self) -> Result<(), PlayError> {
        let played = &mut self.played;
        let results = self.pump.deliver(&self.head, self.now_ms, |delivery, _| played.delivered(delivery));
        debug_assert!(results.is_empty(), "the simulated world answers later");
        self.ask_ms = self.pump.next_ms(&self.head);
        Ok(())
    }

    fn world(&mut self) -> Result<(), PlayError> {
        let Some(coming) = self.pump.driver_mut().take_next() else { return Ok(()) };
        let (event, origin, cause) = match coming {
            Coming::Result(event) => (event, Origin::Driver, Cause::Answer),
            Coming::Event(event) => (event, Origin::Submitted, Cause::World),
        };
        self.submit(Proposal { tag: 0, event, time_ms: Some(self.now_ms), origin }, cause)
    }

    fn cue(&mut self) -> Result<(), PlayError> {
        let Some(cue) = self.script.pop_front() else { return Ok(()) };
        let (event, cause) = match cue.what {
            What::Crash => return self.crash(),
            What::Repeat => match self.last_event.clone() {
                Some(proposal) => return self.submit(proposal, Cause::Repeat),
                None => return Ok(()),
            },
            What::Parameters(event) => (event, Cause::Parameters),
            What::Event(index, event) => (event, Cause::Event(index)),
        };
        let proposal = Proposal { tag: 0, event, time_ms: Some(cue.at_ms), origin: Origin::Submitted };
        self.last_event = Some(proposal.clone());
        self.submit(proposal, cause)
    }

    fn crash(&mut self) -> Result<(), PlayError> {
        if let Some(keep) = &mut self.keep {
            self.head = keep.crash()?;
        }
        self.pump.restart();
        self.ask_ms = self.pump.next_ms(&self.head);
        self.played.moments.push(Moment::Crash { at_ms: self.now_ms });
        Ok(())
    }

    fn submit(&mut self, proposal: Proposal, cause: Cause) -> Result<(), PlayError> {
        let mut proposal = proposal;
        let event = proposal.event.clone();
        let ended = loop {
            match self.orderer.order(&self.head, proposal) {
                Ok(Ordered::Next(input)) => return self.step(input, cause),
                Ok(Ordered::DueFirst(input, after)) => {
                    self.step(input, Cause::Due)?;
                    proposal = after;
                }
                Ok(Ordered::Duplicate { first }) => break Ended::Duplicate { first },
                Err(refusal) => break Ended::Refused { why: refusal.to_string() },
            }
        };
        self.played.moments.push(Moment::Input { at_ms: self.now_ms, cause, event, ended });
        Ok(())
    }

    fn step(&mut self, input: Input, cause: Cause) -> Result<(), PlayError> {
        let seq = input.seq;
        let work = self.head.prepare(&input).expect("the orderer gives only inputs that may be the next one");
        let executed = self.runner.run(&mut self.head, &input, &work);
        let executed = executed.map_err(|error| PlayError::Run { seq, error })?;
        let calls = executed.calls;
        let sealed = self.head.seal(&input, &work, executed);
        if let Some(keep) = &mut self.keep {
            keep.commit(&sealed)?;
        }
        self.note(&input, &work, &sealed);
        let ended = Ended::Step(Box::new(Step { sealed, calls }));
        self.played.moments.push(Moment::Input { at_ms: self.now_ms, cause, event: input.event, ended });
        self.watch()
    }

    /// Keeps the books of effects and timers.
    fn note(&mut self, input: &Input, work: &Work, sealed: &Sealed) {
        let at_ms = input.logical_time_ms;
        match work {
            Work::Timer { id, .. } => {
                self.played.timers.push(Fired { at_ms, id: id.clone(), payload: input.event.payload.clone() });
            }
            Work::Result(result) => self.played.settle(result, at_ms),
            _ => {}
        }
        let effects = &sealed.record.output.effects;
        for (index, effect) in (0..).zip(effects) {
            let entry = outbox::find(self.head.state(), &effect.idempotency_key);
            let new = entry.is_some_and(|entry| (entry.seq, entry.index) == (input.seq, index));
            let status = if new { Status::Pending } else { Status::Repeated };
            let (effect, seq) = (effect.clone(), input.seq);
            self.played.effects.push(EffectTrail { at_ms, seq, effect, status, ended_ms: None, deliveries: 0 });
        }
        if !effects.is_empty() || !matches!(work, Work::Step) {
            self.ask_ms = self.pump.next_ms(&self.head);
        }
    }

    /// Looks whether a view has come to show what it must show by some time.
    fn watch(&mut self) -> Result<(), PlayError> {
        for (index, deadline) in std::mem::take(&mut self.deadlines) {
            let (Some(view), Some(expected)) = (&deadline.view_holds, &deadline.is) else { continue };
            if json::mismatch(expected, &self.view(view, deadline.args.as_ref())?).is_none() {
                self.played.held_ms.insert(index, self.now_ms);
            } else if self.now_ms <= deadline.by_ms {
                self.deadlines.push((index, deadline));
            }
        }
        Ok(())
    }

    fn view(&mut self, view: &str, args: Option<&Value>) -> Result<Value, PlayError> {
        let args = match args {
            None => Vec::new(),
            Some(Value::String(text)) => text.clone().into_bytes(),
            Some(value) => json::compact(value),
        };
        let seq = self.head.next_seq();
        let loaded = self.runner.in_force(&self.head).map_err(|error| PlayError::Run { seq, error })?;
        let shown = loaded.executor.view(self.head.lend_state(), view, &args);
        Ok(match shown.map_err(|error| PlayError::View { view: view.to_owned(), error })? {
            Ok(answer) => json::shown(&answer),
            Err(ViewError::Rejected(rejection)) => json!({ "rejected": rejection.code, "detail": rejection.detail }),
            Err(ViewError::Guest(fault)) => json!({ "failed": fault.to_string() }),
        })
    }

    fn finish(mut self, scenario: &Scenario) -> Result<Played, PlayError> {
        let seq = self.head.next_seq();
        let loaded = self.runner.in_force(&self.head).map_err(|error| PlayError::Run { seq, error })?;
        let all = loaded.manifest.description.views.clone();
        let mut asked: Vec<(String, Option<Value>)> = all.into_iter().map(|view| (view, None)).collect();
        asked.extend(scenario.expect.views_asked());
        for (view, args) in asked {
            let key = (view.clone(), args.as_ref().map(ToString::to_string));
            if !self.played.views.contains_key(&key) {
                let shown = self.view(&view, args.as_ref())?;
                self.played.views.insert(key, shown);
            }
        }
        self.played.halt = system::halt(self.head.state());
        self.played.end_ms = self.now_ms;
        Ok(self.played)
    }
}
