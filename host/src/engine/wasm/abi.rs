//! The shapes of the WIT world, as they cross between host and guest.

use crate::engine::executor::GuestFault;
use reprise_abi::{Canonical, Description, GovernedRule, Input, Rejection, RejectionCode, TrapKind, Violation};
use reprise_guest::{LogLevel, Page};
use wasmtime::component::{ComponentType, Lift, Lower, WasmList, WasmStr};

#[derive(ComponentType, Lower)]
#[component(record)]
pub(in crate::engine) struct InputValue<'a> {
    seq: u64,
    epoch: u64,
    #[component(name = "logical-time-ms")]
    logical_time_ms: u64,
    id: &'a str,
    source: &'a str,
    kind: &'a str,
    payload: &'a [u8],
    seed: (u64, u64, u64, u64),
}

impl<'a> InputValue<'a> {
    pub(in crate::engine) fn new(input: &'a Input, seed: [u64; 4]) -> Self {
        let [a, b, c, d] = seed;
        let event = &input.event;
        Self {
            seq: input.seq,
            epoch: input.epoch,
            logical_time_ms: input.logical_time_ms,
            id: &event.id,
            source: &event.source,
            kind: &event.kind,
            payload: &event.payload,
            seed: (a, b, c, d),
        }
    }
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(in crate::engine) struct RejectionValue {
    code: u32,
    detail: String,
}

impl From<RejectionValue> for Rejection {
    fn from(value: RejectionValue) -> Self {
        Self { code: value.code, detail: value.detail }
    }
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(in crate::engine) struct ViolationValue {
    invariant: String,
    detail: String,
}

impl From<ViolationValue> for Violation {
    fn from(value: ViolationValue) -> Self {
        Self { invariant: value.invariant, detail: value.detail }
    }
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(in crate::engine) struct DescriptionValue {
    name: String,
    version: String,
    #[component(name = "input-kinds")]
    input_kinds: Vec<String>,
    views: Vec<String>,
    rejections: Vec<RejectionCodeValue>,
    governed: Vec<GovernedRuleValue>,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(in crate::engine) struct RejectionCodeValue {
    code: u32,
    name: String,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(in crate::engine) struct GovernedRuleValue {
    name: String,
    digest: Vec<u8>,
}

impl DescriptionValue {
    /// The description, if it keeps the rules of descriptions.
    pub(in crate::engine) fn validated(self) -> Result<Description, GuestFault> {
        let governed: Option<Vec<GovernedRule>> = self
            .governed
            .into_iter()
            .map(|rule| Some(GovernedRule { name: rule.name, digest: rule.digest.try_into().ok()? }))
            .collect();
        let Some(governed) = governed else {
            return refused("the digest of a governed rule is 32 bytes long");
        };
        let description = Description {
            name: self.name,
            version: self.version,
            input_kinds: self.input_kinds,
            views: self.views,
            rejections: self.rejections.into_iter().map(|r| RejectionCode { code: r.code, name: r.name }).collect(),
            governed,
        };
        description.validate().map(|()| description).or_else(refused)
    }
}

fn refused(rule: impl std::fmt::Display) -> Result<Description, GuestFault> {
    tracing::warn!(target: "reprise::policy", "the policy describes itself wrongly: {rule}");
    Err(GuestFault::Trapped(TrapKind::BadValue))
}

#[derive(ComponentType, Lower)]
#[component(record)]
pub(in crate::engine) struct PageValue {
    entries: Vec<EntryValue>,
    more: bool,
}

#[derive(ComponentType, Lower)]
#[component(record)]
pub(in crate::engine) struct EntryValue {
    key: Vec<u8>,
    value: Vec<u8>,
}

impl From<Page> for PageValue {
    fn from(page: Page) -> Self {
        let entries = page.entries.into_iter().map(|(key, value)| EntryValue { key, value }).collect();
        Self { entries, more: page.more }
    }
}

/// Its strings and bytes are still the guest's.
#[derive(ComponentType, Lift)]
#[component(record)]
pub(in crate::engine) struct EffectValue {
    #[component(name = "idempotency-key")]
    pub(in crate::engine) idempotency_key: WasmStr,
    pub(in crate::engine) driver: WasmStr,
    #[component(name = "deadline-ms")]
    pub(in crate::engine) deadline_ms: u64,
    pub(in crate::engine) payload: WasmList<u8>,
    pub(in crate::engine) compensator: Option<CompensatorValue>,
}

/// Its string and bytes are still the guest's.
#[derive(ComponentType, Lift)]
#[component(record)]
pub(in crate::engine) struct CompensatorValue {
    pub(in crate::engine) driver: WasmStr,
    pub(in crate::engine) payload: WasmList<u8>,
}

#[derive(Clone, Copy, ComponentType, Lift)]
#[component(enum)]
#[repr(u8)]
#[expect(dead_code, reason = "only the canonical ABI makes them, from the guest's discriminant")]
pub(in crate::engine) enum LevelValue {
    #[component(name = "debug")]
    Debug,
    #[component(name = "info")]
    Info,
    #[component(name = "warn")]
    Warn,
    #[component(name = "error")]
    Error,
}

impl From<LevelValue> for LogLevel {
    fn from(value: LevelValue) -> Self {
        match value {
            LevelValue::Debug => Self::Debug,
            LevelValue::Info => Self::Info,
            LevelValue::Warn => Self::Warn,
            LevelValue::Error => Self::Error,
        }
    }
}
