//! Names of things: nodes, phases, runs of a phase, and sets of nodes.

use crate::{
    error::{No, Refusal},
    fields::{Field, Fields},
    params::NODE_IDS,
};
use reprise_guest::{
    compact::{Reader, Stored, stored_enum, write_bytes, write_number},
    text::{decimal, join},
    typed::{StateKey, json::Value},
};

/// A node, below [`NODE_IDS`]. A number is never given to a second node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeId(pub u32);

impl From<NodeId> for u64 {
    fn from(id: NodeId) -> Self {
        id.0.into()
    }
}

impl<'i> Field<'i> for NodeId {
    fn of(value: Value<'i>) -> Option<Self> {
        u32::of(value).filter(|id| *id < NODE_IDS).map(Self)
    }
}

impl Stored for NodeId {
    fn store(&self, out: &mut Vec<u8>) {
        write_number(u64::from(self.0), out);
    }

    fn load(from: &mut Reader<'_>) -> Self {
        Self(from.below(NODE_IDS.into()) as u32)
    }
}

impl StateKey for NodeId {
    fn write(&self, out: &mut Vec<u8>) {
        StateKey::write(&self.0, out);
    }

    fn read(bytes: &[u8]) -> Option<(Self, &[u8])> {
        <u32 as StateKey>::read(bytes).map(|(id, rest)| (Self(id), rest))
    }
}

/// A phase of the loop, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// ANALYZE.
    Analyze,
    /// BLUEPRINT.
    Blueprint,
    /// CONSTRUCT.
    Construct,
    /// VALIDATE.
    Validate,
    /// IDLE.
    Idle,
}
stored_enum!(Phase);

/// The phases, in their order.
pub const PHASES: [Phase; 5] = [Phase::Analyze, Phase::Blueprint, Phase::Construct, Phase::Validate, Phase::Idle];

/// The phases again, in a way that keeps compilers from writing every loop over them out five times: that would be a
/// twentieth of the component.
pub fn phases() -> impl Iterator<Item = Phase> {
    core::hint::black_box(&PHASES[..]).iter().copied()
}

impl Phase {
    const ALL: [Self; 5] = PHASES;

    /// The document's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        ["ANALYZE", "BLUEPRINT", "CONSTRUCT", "VALIDATE", "IDLE"][self as usize]
    }

    /// The phase of that name.
    ///
    /// # Errors
    /// [`No::BadName`].
    #[inline(never)]
    pub fn named(name: &str) -> Result<Self, Refusal> {
        phases().find(|phase| phase.name() == name).ok_or_else(|| No::BadName.says(&["phase ", name]))
    }
}

/// One run of a phase: phase x of generation g. Its text is the trace id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RunId {
    /// The generation.
    pub g: u64,
    /// The phase.
    pub phase: Phase,
}

impl RunId {
    /// The trace id: `7.CONSTRUCT`.
    #[must_use]
    #[inline(never)]
    pub fn trace(self) -> String {
        join(&[&decimal(self.g), ".", self.phase.name()])
    }

    /// The run that an event names by `g` and `phase`.
    ///
    /// # Errors
    /// [`No::BadName`], malformed.
    #[inline(never)]
    pub fn taken(fields: &mut Fields) -> Result<Self, Refusal> {
        let g = fields.take("g")?;
        let phase: String = fields.take("phase")?;
        Ok(Self { g, phase: Phase::named(&phase)? })
    }

    /// Reads a trace id.
    ///
    /// # Errors
    /// [`No::BadName`].
    #[inline(never)]
    pub fn traced(trace: &str) -> Result<Self, Refusal> {
        let (g, phase) = trace.split_once('.').unwrap_or_default();
        let Some(g) = number(g) else { return Err(No::BadName.says(&["trace ", trace])) };
        Ok(Self { g, phase: Phase::named(phase)? })
    }
}

/// A number in decimal.
#[must_use]
#[inline(never)]
pub fn number(text: &str) -> Option<u64> {
    let mut number = None;
    for digit in text.bytes() {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit < 10)?;
        number = Some(number.unwrap_or(0_u64).checked_mul(10)?.checked_add(digit.into())?);
    }
    number
}

impl Stored for RunId {
    fn store(&self, out: &mut Vec<u8>) {
        write_number(self.g, out);
        self.phase.store(out);
    }

    fn load(from: &mut Reader<'_>) -> Self {
        Self { g: from.number(), phase: Phase::load(from) }
    }
}

impl StateKey for RunId {
    fn write(&self, out: &mut Vec<u8>) {
        StateKey::write(&self.g, out);
        out.push(self.phase as u8);
    }

    fn read(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (g, rest) = <u64 as StateKey>::read(bytes)?;
        let (phase, rest) = rest.split_first()?;
        Some((Self { g, phase: *PHASES.get(usize::from(*phase))? }, rest))
    }
}

impl StateKey for Phase {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(*self as u8);
    }

    fn read(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (phase, rest) = bytes.split_first()?;
        Some((*PHASES.get(usize::from(*phase))?, rest))
    }
}

/// A set of nodes: one bit for each number, so that counting a node costs the same among ten and among a thousand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Nodes(Vec<u8>);

impl Nodes {
    /// Adds a node; whether it is new.
    #[inline(never)]
    pub fn add(&mut self, node: NodeId) -> bool {
        let (byte, bit) = place(node);
        if self.0.len() <= byte {
            self.0.resize(byte + 1, 0);
        }
        let new = self.0[byte] & bit == 0;
        self.0[byte] |= bit;
        new
    }

    /// Takes a node out.
    pub fn remove(&mut self, node: NodeId) {
        let (byte, bit) = place(node);
        if let Some(bits) = self.0.get_mut(byte) {
            *bits &= !bit;
        }
    }

    /// Whether it is in the set.
    #[must_use]
    #[inline(never)]
    pub fn has(&self, node: NodeId) -> bool {
        let (byte, bit) = place(node);
        self.0.get(byte).is_some_and(|bits| bits & bit != 0)
    }

    /// How many there are.
    #[must_use]
    #[inline(never)]
    pub fn count(&self) -> u32 {
        self.0.iter().map(|bits| bits.count_ones()).sum()
    }

    /// All of them are in the other set.
    #[must_use]
    #[inline(never)]
    pub fn within(&self, other: &Self) -> bool {
        self.0.iter().enumerate().all(|(at, bits)| bits & !other.0.get(at).copied().unwrap_or(0) == 0)
    }
}

fn place(node: NodeId) -> (usize, u8) {
    ((node.0 / 8) as usize, 1 << (node.0 % 8))
}

impl Stored for Nodes {
    fn store(&self, out: &mut Vec<u8>) {
        write_bytes(&self.0, out);
    }

    fn load(from: &mut Reader<'_>) -> Self {
        Self(from.bytes().into())
    }
}
