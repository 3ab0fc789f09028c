//! What is seen of all nodes: it goes through the invariants, and into the digest of the run.

use crate::invariants::Invariants;
use reprise_federation::{Action, Message, Standing};
use std::{collections::BTreeMap, env};

pub struct Watch {
    pub invariants: Invariants,
    /// Simulated time, in milliseconds.
    pub now_ms: u64,
    /// How often something happened.
    pub counts: BTreeMap<&'static str, u64>,
    digest: blake3::Hasher,
    /// Everything is printed as it happens.
    is_told: bool,
}

impl Watch {
    pub fn new(invariants: Invariants) -> Self {
        Self {
            invariants,
            now_ms: 0,
            counts: BTreeMap::new(),
            digest: blake3::Hasher::new(),
            is_told: env::var_os("REPRISE_NODE_SIM_TRACE").is_some(),
        }
    }

    /// A node is about to do this.
    pub fn action(&mut self, node: usize, action: &Action) {
        self.tell(|| format!("{node}: {}", brief(action)));
        self.invariants.action(node, action);
        let what = match action {
            Action::Send { to, message } => {
                self.digest.update(to.0.as_bytes());
                self.digest.update(&message.to_frame());
                "send"
            }
            Action::Apply { first, steps, .. } => {
                self.digest.update(&first.to_le_bytes());
                self.digest.update(&(steps.len() as u64).to_le_bytes());
                "apply"
            }
            other => {
                self.digest.update(format!("{other:?}").as_bytes());
                "other"
            }
        };
        self.note(node, what);
        let count = match action {
            Action::Send { .. } => "messages",
            Action::Stream { .. } => "streams",
            Action::RollBack { .. } => "rollbacks",
            Action::Final { .. } => "final windows seen",
            Action::Suspended { .. } => "suspensions",
            Action::Quarantined(_) => "rejected",
            Action::Evidence(_) => "evidence",
            _ => return,
        };
        self.count(count);
    }

    /// This is durable on a node's disk, as far as the node knows; `kept` is what is.
    pub fn persisted(&mut self, node: usize, standing: &Standing, kept: Option<&Standing>) {
        self.tell(|| format!("{node}: persisted {standing:?}"));
        self.invariants.persisted(node, self.now_ms, standing, kept);
        self.digest.update(&reprise_abi::encode(standing));
        self.note(node, "persisted");
    }

    pub fn count(&mut self, what: &'static str) {
        self.add(what, 1);
    }

    pub fn add(&mut self, what: &'static str, count: u64) {
        *self.counts.entry(what).or_default() += count;
    }

    /// Something that belongs to the run.
    pub fn note(&mut self, node: usize, what: &str) {
        self.digest.update(&self.now_ms.to_le_bytes());
        self.digest.update(&[node as u8]);
        self.digest.update(what.as_bytes());
    }

    /// For people.
    pub fn tell(&self, what: impl FnOnce() -> String) {
        if self.is_told {
            println!("{:>6} ms {}", self.now_ms, what());
        }
    }

    pub fn digest(&self) -> [u8; 32] {
        *self.digest.finalize().as_bytes()
    }
}

/// An action without the bytes of its steps.
fn brief(action: &Action) -> String {
    match action {
        Action::Send { to, message: Message::Append(append) } => {
            let (before, steps, head) = (append.before.size, append.steps.len(), append.head.size);
            format!("append {steps} after {before} of {head}, {} committed, to {to:?}", append.committed)
        }
        Action::Send { to, message: Message::Ack(ack) } => format!("{:?} {} to {to:?}", ack.standpoint, ack.have.size),
        Action::Send { to, message: Message::Vote(vote) } => format!("vote on {} to {to:?}", vote.size),
        Action::Send { to, message } => format!("{:.60} to {to:?}", format!("{message:?}")),
        Action::Apply { first, steps, .. } => format!("apply {} from {first}", steps.len()),
        Action::Persist(_) => "persist".to_owned(),
        other => format!("{:.200}", format!("{other:?}")),
    }
}
