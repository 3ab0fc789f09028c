//! What one run is about: everything that a seed decides before it begins, and the faults that it draws on the way.

use crate::{flaws::Flaw, liar::Lie};
use reprise_federation::Quorum;
use reprise_tests::SplitMix;

/// Faults until then, in milliseconds of simulated time.
pub const FAULTS_MS: u64 = 12_000;
/// From then on everything must have come to rest within this time. An idle connection is given up after 10 s, a node
/// waits up to 10 s before it calls again, and a call may take 5 s.
pub const HEALING_MS: u64 = 45_000;
/// Events that are submitted in a run, if there is time for them.
pub const EVENTS: usize = 360;

/// What one run is about.
#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    /// Members; the last ones of them are observers.
    pub nodes: usize,
    pub observers: usize,
    pub quorum: Quorum,
    pub flaw: Option<Flaw>,
    /// A member that lies, and how. Never the first owner, and never more than one.
    pub liar: Option<(usize, Lie)>,
    pub faults: bool,
    /// Receipts from one checkpoint to the next; 0 for none.
    pub checkpoint_receipts: u64,
    /// The ledger gets other owners.
    pub takes: bool,
    /// Each node decides on a ledger of its own what it does about differences; else the table of the state machines does.
    pub decides: bool,
}

impl Plan {
    pub fn of(seed: u64, flaw: Option<Flaw>) -> Self {
        let mut random = SplitMix(seed.wrapping_mul(0x5eed));
        let voting = [3, 3, 4, 5][random.below(4) as usize];
        let quorum = if random.below(4) == 0 { Quorum::TwoThirds } else { Quorum::Majority };
        let lies = seed % 3 == 2 || flaw.is_some_and(Flaw::needs_a_liar);
        // One liar among four or five is fewer than a third.
        let (voting, quorum) = if lies { (voting.max(4), Quorum::TwoThirds) } else { (voting, quorum) };
        let lie = Lie::ALL[random.below(Lie::ALL.len() as u64) as usize];
        let liar = (1 + random.below(voting as u64 - 1) as usize, lie);
        let observers = usize::from(random.below(3) == 0);
        let checkpoint_receipts = [0, 24, 60][random.below(3) as usize];
        let takes = random.below(2) == 0 || flaw.is_some_and(Flaw::needs_other_owners);
        let decides = random.below(4) != 0;
        Self {
            seed,
            nodes: voting + observers,
            observers,
            quorum,
            flaw,
            liar: lies.then_some(liar),
            faults: true,
            checkpoint_receipts,
            takes,
            decides,
        }
    }

    pub fn is_liar(&self, node: usize) -> bool {
        self.liar.is_some_and(|(liar, _)| liar == node)
    }

    pub fn voting(&self) -> usize {
        self.nodes - self.observers
    }

    /// What it says and hears goes through a mouth.
    pub fn has_mouth(&self, node: usize) -> bool {
        self.is_liar(node) || self.flaw.is_some_and(|flaw| flaw.has_mouth(node))
    }

    /// Nodes of which a quorum consists.
    pub fn needed(&self) -> usize {
        self.quorum.needed(self.voting())
    }
}

/// Something that goes wrong, with how long that lasts where it ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing goes between two nodes.
    Cut { a: usize, b: usize, for_ms: u64 },
    /// Nothing goes from one node to another; the other way it does.
    CutOneWay { from: usize, to: usize, for_ms: u64 },
    /// Two nodes are cut off from each other, and are not, several times.
    Flap { a: usize, b: usize, times: u64, for_ms: u64 },
    /// Nothing goes to or from a node.
    Isolate { node: usize, for_ms: u64 },
    /// Datagrams take long, and overtake each other.
    Slow { a: usize, b: usize, for_ms: u64 },
    /// A node loses datagrams, or sends them twice.
    Lossy { node: usize, lost_of_1000: u64, doubled_of_1000: u64, for_ms: u64 },
    /// The power goes.
    Crash { node: usize, for_ms: u64 },
    /// The power goes in the middle of what the disk is asked for next.
    CutPower { node: usize, after: u64, for_ms: u64 },
    /// There is no room on a disk.
    Full { node: usize, for_ms: u64 },
    /// A disk says that it has synced, and has not, until the power goes.
    LoseSyncs { node: usize, for_ms: u64 },
    /// A bit on a disk is another, and the node is started again.
    Flip { node: usize },
    /// A value of the stored state is another, under checksums that hold, and the node is started again.
    Tamper { node: usize },
    /// All that a node had is gone.
    Wipe { node: usize, for_ms: u64 },
}

impl Fault {
    /// What it is called in reports.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Cut { .. } => "links cut",
            Self::CutOneWay { .. } => "links cut one way",
            Self::Flap { .. } => "links flapping",
            Self::Isolate { .. } => "nodes cut off",
            Self::Slow { .. } => "links slow and reordering",
            Self::Lossy { .. } => "nodes losing and doubling datagrams",
            Self::Crash { .. } => "crashes",
            Self::CutPower { .. } => "crashes in the middle of a write",
            Self::Full { .. } => "disks full",
            Self::LoseSyncs { .. } => "disks that lose syncs",
            Self::Flip { .. } => "bits flipped",
            Self::Tamper { .. } => "states changed",
            Self::Wipe { .. } => "disks wiped",
        }
    }

    /// The machine that it happens on.
    pub fn machine(&self) -> Option<usize> {
        match self {
            Self::Lossy { node, .. }
            | Self::Crash { node, .. }
            | Self::CutPower { node, .. }
            | Self::Full { node, .. }
            | Self::LoseSyncs { node, .. }
            | Self::Flip { node }
            | Self::Tamper { node }
            | Self::Wipe { node, .. } => Some(*node),
            Self::Cut { .. }
            | Self::CutOneWay { .. }
            | Self::Flap { .. }
            | Self::Isolate { .. }
            | Self::Slow { .. } => None,
        }
    }

    /// The node whose disk may have less afterwards than it said: the owner's must not, because nobody else orders.
    pub fn damages(&self) -> Option<usize> {
        match self {
            Self::LoseSyncs { node, .. } | Self::Flip { node } | Self::Tamper { node } | Self::Wipe { node, .. } => {
                Some(*node)
            }
            _ => None,
        }
    }

    /// For so many nodes, of which one owns the ledger.
    pub fn draw(random: &mut SplitMix, nodes: usize, owner: usize) -> Self {
        let a = random.below(nodes as u64) as usize;
        let b = (a + 1 + random.below(nodes as u64 - 1) as usize) % nodes;
        let replica = (owner + 1 + random.below(nodes as u64 - 1) as usize) % nodes;
        let for_ms = 100 + random.below(2_500);
        match random.below(21) {
            0 | 1 => Self::Cut { a, b, for_ms },
            2 => Self::CutOneWay { from: a, to: b, for_ms },
            3 => Self::Flap { a, b, times: 2 + random.below(4), for_ms: 50 + random.below(400) },
            4 => Self::Isolate { node: a, for_ms },
            5 | 6 => Self::Slow { a, b, for_ms },
            7 | 8 => {
                let (lost_of_1000, doubled_of_1000) = (random.below(250), random.below(100));
                Self::Lossy { node: a, lost_of_1000, doubled_of_1000, for_ms }
            }
            9..=11 => Self::Crash { node: a, for_ms },
            12..=14 => Self::CutPower { node: a, after: random.below(30), for_ms },
            15 => Self::Full { node: a, for_ms },
            16 => Self::LoseSyncs { node: replica, for_ms },
            17 => Self::Flip { node: replica },
            18 => Self::Tamper { node: replica },
            _ => Self::Wipe { node: replica, for_ms },
        }
    }
}
