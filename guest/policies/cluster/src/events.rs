//! What the policy is told. The kind of an input names the variant, the payload is its JSON, read strictly.
//!
//! All payloads are read as one type, [`Fields`], and then taken apart: a reader for each of them would be an eighth of
//! the component.

use crate::{
    params::Timeouts,
    state::{CapsuleId, NodeId},
};
use reprise_guest::{
    StepInput,
    abi::Rejection,
    rejection::{Code, SdkCode},
    text::join,
    typed,
};
use serde::Deserialize;

/// Kinds of input, ascending.
pub const KINDS: [&str; 23] = [
    "admit",
    "assign",
    "audit",
    "clear",
    "coordination_failure",
    "evict",
    "failover",
    "halt_ack",
    "halt_confirm",
    "halt_request",
    "heartbeat",
    "init",
    "propose",
    "redistribute",
    "report",
    "reprise.effect",
    "reprise.timer",
    "restart",
    "restore",
    "resume",
    "retire",
    "snapshot",
    "vote",
];

/// An event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Begins everything, once.
    Init(Box<Init>),
    /// A node lives.
    Heartbeat(Beat),
    /// A node's digest of its state in a round, and whether its proofs hold.
    Report(Report),
    /// Opens a ballot.
    Propose(Propose),
    /// A node's vote.
    Vote(Vote),
    /// New capsules on a node.
    Assign(Assign),
    /// Capsules end.
    Retire(Retire),
    /// An operator restarts an offline node by hand (2.2).
    Restart(NodeOrder),
    /// An operator takes a failing node out without waiting for a quorum.
    Failover(NodeOrder),
    /// An operator has another try at moving the capsules of an offline node.
    Redistribute(NodeOrder),
    /// An operator takes a node out of the cluster (3.1).
    Evict(NodeOrder),
    /// An operator lets a new or evicted node in.
    Admit(NodeOrder),
    /// Somebody found that the cluster does not coordinate any more (3.1).
    CoordinationFailure(Reason),
    /// An operator asks for an emergency halt (3.2).
    HaltRequest(HaltRequest),
    /// A second operator confirms it.
    HaltConfirm(ByOperator),
    /// A node has halted.
    HaltAck(HaltAck),
    /// A known-good snapshot.
    Snapshot(NewSnapshot),
    /// An admin has the cluster restored (3.3).
    Restore(Restore),
    /// An operator ends what is halted, if the state proves consistent.
    Resume(ByOperator),
    /// An operator clears a security incident (5.2, level 4).
    Clear(ByOperator),
    /// Counts everything again.
    Audit(Audit),
}

impl Event {
    /// Reads an input.
    ///
    /// # Errors
    /// [`SdkCode::UnknownKind`], [`SdkCode::MalformedPayload`].
    pub fn of(input: &StepInput) -> Result<Self, Rejection> {
        let kind = input.kind.as_str();
        if KINDS.binary_search(&kind).is_err() {
            return Err(SdkCode::UnknownKind.because(kind));
        }
        let mut fields: Fields = typed::payload(input)?;
        if kind == "init" {
            fields.timeouts.get_or_insert_default();
        }
        let event = fields.event(kind).map_err(|field| malformed(kind, "missing", field))?;
        match fields.rest() {
            Some(field) => Err(malformed(kind, "unknown", field)),
            None => Ok(event),
        }
    }
}

#[inline(never)]
fn malformed(kind: &str, what: &str, field: &str) -> Rejection {
    SdkCode::MalformedPayload.because(join(&["`", kind, "`: ", what, " field `", field, "`"]))
}

impl Fields {
    /// Reads an object; nothing when it is none, or has a field that nobody knows.
    #[must_use]
    #[inline(never)]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        typed::json::read(bytes).ok()
    }

    /// Takes what an event of this kind has. The name of the first field that is missing is the error.
    fn event(&mut self, kind: &str) -> Result<Event, &'static str> {
        Ok(match kind {
            "init" => Event::Init(Box::new(Init::take(self)?)),
            "heartbeat" => Event::Heartbeat(Beat::take(self)?),
            "report" => Event::Report(Report::take(self)?),
            "propose" => Event::Propose(Propose::take(self)?),
            "vote" => Event::Vote(Vote::take(self)?),
            "assign" => Event::Assign(Assign::take(self)?),
            "retire" => Event::Retire(Retire::take(self)?),
            "restart" => Event::Restart(NodeOrder::take(self)?),
            "failover" => Event::Failover(NodeOrder::take(self)?),
            "redistribute" => Event::Redistribute(NodeOrder::take(self)?),
            "evict" => Event::Evict(NodeOrder::take(self)?),
            "admit" => Event::Admit(NodeOrder::take(self)?),
            "coordination_failure" => Event::CoordinationFailure(Reason::take(self)?),
            "halt_request" => Event::HaltRequest(HaltRequest::take(self)?),
            "halt_confirm" => Event::HaltConfirm(ByOperator::take(self)?),
            "halt_ack" => Event::HaltAck(HaltAck::take(self)?),
            "snapshot" => Event::Snapshot(NewSnapshot::take(self)?),
            "restore" => Event::Restore(Restore::take(self)?),
            "resume" => Event::Resume(ByOperator::take(self)?),
            "clear" => Event::Clear(ByOperator::take(self)?),
            _ => Event::Audit(Audit { node: self.node.take() }),
        })
    }
}

macro_rules! fields {
    ($($field:ident: $type:ty),+ $(,)?) => {
        /// Every field that anything from outside can have: a payload, the arguments of a view, the answer of a driver.
        #[derive(Default, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct Fields { $(#[doc = concat!("The field `", stringify!($field), "`.")] pub $field: Option<$type>),+ }

        impl Fields {
            /// A field that nobody took: the kind does not have it.
            #[must_use]
            pub fn rest(&self) -> Option<&'static str> {
                $(if self.$field.is_some() { return Some(stringify!($field)); })+
                None
            }
        }
    };
}

fields! {
    node: NodeId,
    nodes: Vec<NodeId>,
    operators: Vec<String>,
    admins: Vec<String>,
    timeouts: Timeouts,
    round: u64,
    digest: String,
    proofs_valid: bool,
    proposal: String,
    ballot: u64,
    approve: bool,
    capsules: Vec<CapsuleId>,
    operator: String,
    reason: String,
    halt: u64,
    snapshot: String,
    tick: u64,
    capsule: CapsuleId,
    after: CapsuleId,
    unhealthy: Vec<CapsuleId>,
}

macro_rules! payloads {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty),+ $(,)? })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name { $($(#[$field_doc])* pub $field: $type),+ }

        impl $name {
            fn take(fields: &mut Fields) -> Result<Self, &'static str> {
                Ok(Self { $($field: fields.$field.take().ok_or(stringify!($field))?),+ })
            }
        }
    )+};
}

payloads! {
    /// The cluster as it begins: all nodes healthy.
    Init {
        /// 1 to 1,000 nodes, ascending.
        nodes: Vec<NodeId>,
        /// 2 to 64 operators.
        operators: Vec<String>,
        /// Those of them who may restore.
        admins: Vec<String>,
        /// Timeouts; what is left out, or all of it, has the default.
        timeouts: Timeouts,
    }
    /// A node lives.
    Beat {
        /// Which.
        node: NodeId,
    }
    /// A node's digest of its state.
    Report {
        /// Which node.
        node: NodeId,
        /// The round: this one, or in normal operation the next one.
        round: u64,
        /// Digest of its state, 1 to 128 bytes.
        digest: String,
        /// All its proofs verify.
        proofs_valid: bool,
    }
    /// A proposal.
    Propose {
        /// What is to be decided, 1 to 128 bytes.
        proposal: String,
    }
    /// A vote.
    Vote {
        /// Whose.
        node: NodeId,
        /// In which ballot.
        ballot: u64,
        /// Yes or no.
        approve: bool,
    }
    /// New capsules.
    Assign {
        /// Their node.
        node: NodeId,
        /// 1 to 1,024 capsules.
        capsules: Vec<CapsuleId>,
    }
    /// Capsules that end.
    Retire {
        /// 1 to 1,024 capsules.
        capsules: Vec<CapsuleId>,
    }
    /// An operator's order about a node.
    NodeOrder {
        /// Which node.
        node: NodeId,
        /// Who orders it.
        operator: String,
    }
    /// Why.
    Reason {
        /// 1 to 128 bytes.
        reason: String,
    }
    /// A halt, asked for.
    HaltRequest {
        /// Why, 1 to 128 bytes.
        reason: String,
        /// Who asks.
        operator: String,
    }
    /// An operator's word.
    ByOperator {
        /// Who.
        operator: String,
    }
    /// A node has halted.
    HaltAck {
        /// Which.
        node: NodeId,
        /// Number of the halt.
        halt: u64,
    }
    /// A snapshot.
    NewSnapshot {
        /// Its name, 1 to 128 bytes.
        snapshot: String,
        /// When it was taken, in ticks.
        tick: u64,
        /// Digest of the state in it, as nodes report it.
        digest: String,
    }
    /// A restoration.
    Restore {
        /// Which snapshot.
        snapshot: String,
        /// Which admin.
        operator: String,
    }
}

/// What is to be counted again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    /// The capsules of this node; without it, nodes and totals.
    pub node: Option<NodeId>,
}
