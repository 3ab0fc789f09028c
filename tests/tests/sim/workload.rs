//! Whoever submits: hands events to the owner over its control protocol, and submits again what was not answered.

use crate::flaws::Flaw;
use reprise_abi::Event;
use serde_json::Value;
use std::{cell::RefCell, collections::BTreeMap, fs, rc::Rc, time::Duration};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream},
    time::sleep,
};

/// The ledger's name.
pub const LEDGER: &str = "simulated";

/// An answer: where the receipt is, and its leaf hash in digits.
pub type Answered = (u64, String);

/// What is submitted, and what came of it.
pub struct Workload {
    events: Vec<String>,
    flaw: Option<Flaw>,
    /// The first event that nobody has submitted.
    next: usize,
    /// Events without an answer that are to be submitted again, the first ones first.
    again: Vec<usize>,
    in_flight: Vec<usize>,
    pub answers: BTreeMap<usize, Answered>,
    /// What was answered and nobody has looked at: event, answer, and whether it says that it was submitted before.
    pub fresh: Vec<(usize, Answered, bool)>,
    pub refusals: u64,
    /// Nothing new is submitted any more.
    pub is_over: bool,
}

impl Workload {
    pub fn new(events: usize, flaw: Option<Flaw>) -> Rc<RefCell<Self>> {
        let text = fs::read_to_string(reprise_tests::fixture("incidents/rank-loss-and-split.jsonl")).unwrap();
        let events: Vec<String> = text.lines().take(events).map(str::to_owned).collect();
        Rc::new(RefCell::new(Self {
            events,
            flaw,
            next: 0,
            again: Vec::new(),
            in_flight: Vec::new(),
            answers: BTreeMap::new(),
            fresh: Vec::new(),
            refusals: 0,
            is_over: false,
        }))
    }

    /// The node that it was submitted to is gone.
    pub fn interrupted(&mut self) {
        self.again.append(&mut self.in_flight);
        self.again.sort_unstable();
    }

    /// Everything that was submitted is answered.
    pub fn is_answered(&self) -> bool {
        self.again.is_empty() && self.in_flight.is_empty()
    }

    pub fn waiting(&self) -> usize {
        self.again.len() + self.in_flight.len()
    }

    /// An event as it was submitted first.
    pub fn event(&self, number: usize) -> Event {
        reprise::events::parse(self.events[number].as_bytes(), 0).unwrap().event
    }

    /// All that were submitted.
    pub fn submitted(&self) -> impl Iterator<Item = Event> {
        (0..self.next).map(|number| self.event(number))
    }

    fn take(&mut self) -> Option<(usize, String)> {
        let event = if !self.again.is_empty() {
            let event = self.again.remove(0);
            let is_first = !self.events[event].starts_with("{\"id\":\"again-");
            if self.flaw == Some(Flaw::NewIdsForOldEvents) && is_first {
                self.events[event] = self.events[event].replacen("{\"id\":\"", "{\"id\":\"again-", 1);
            }
            event
        } else if !self.is_over && self.next < self.events.len() {
            self.next += 1;
            self.next - 1
        } else {
            return None;
        };
        self.in_flight.push(event);
        Some((event, self.events[event].clone()))
    }

    fn answered(&mut self, event: usize, answer: &Value) {
        self.in_flight.retain(|other| *other != event);
        let (Some(seq), Some(leaf)) = (answer["seq"].as_u64(), answer["leaf"].as_str()) else {
            self.refusals += 1;
            self.again.push(event);
            self.again.sort_unstable();
            return;
        };
        self.fresh.push((event, (seq, leaf.to_owned()), answer["duplicate"] == true));
    }
}

/// Submits until the node goes away. `is_off`: nobody hears what it says.
pub async fn submit(work: Rc<RefCell<Workload>>, stream: DuplexStream, pause: Duration, is_off: impl Fn() -> bool) {
    let (from, mut to) = tokio::io::split(stream);
    let mut answers = BufReader::new(from).lines();
    let first = format!("{{\"do\":\"submit\",\"ledger\":\"{LEDGER}\"}}\n");
    if to.write_all(first.as_bytes()).await.is_err() {
        return;
    }
    // Which event a line has, from line 1 on.
    let lines: RefCell<Vec<usize>> = RefCell::new(Vec::new());
    let feeding = async {
        loop {
            let taken = work.borrow_mut().take();
            if let Some((event, text)) = taken {
                lines.borrow_mut().push(event);
                if to.write_all(format!("{text}\n").as_bytes()).await.is_err() {
                    return;
                }
            }
            sleep(pause).await;
        }
    };
    let hearing = async {
        while let Ok(Some(line)) = answers.next_line().await {
            let answer: Value = serde_json::from_str(&line).unwrap();
            let Some(number) = answer["line"].as_u64() else { continue };
            if !is_off() {
                let mut work = work.borrow_mut();
                let mixed_up = work.flaw == Some(Flaw::AnswersMixedUp);
                let of = if mixed_up { number as usize } else { number as usize - 1 };
                let event = lines.borrow().get(of).copied();
                event.into_iter().for_each(|event| work.answered(event, &answer));
            }
        }
    };
    tokio::select! {
        biased;
        () = hearing => {}
        () = feeding => {}
    }
}
