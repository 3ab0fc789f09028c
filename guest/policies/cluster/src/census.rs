//! The census: how many of everything, so that no step counts nodes; and what a quorum of them is.

use crate::state::NodeState;
use reprise_guest::compact::stored;

/// How many of everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Nodes in each state, in the order of [`NodeState::ALL`].
    pub by_state: [u32; 5],
    /// Capsules, wherever they are.
    pub capsules: u32,
}
stored!(Census { by_state, capsules });

impl Census {
    /// Nodes in a state.
    #[must_use]
    pub fn of(&self, state: NodeState) -> u32 {
        self.by_state[state as usize]
    }

    /// Every node, evicted ones aside.
    #[must_use]
    pub fn nodes(&self) -> u32 {
        self.by_state.iter().sum()
    }

    /// The N of which two thirds are asked for: neither offline nor recovering.
    #[must_use]
    pub fn members(&self) -> u32 {
        NodeState::ALL.into_iter().filter(|state| state.is_member()).map(|state| self.of(state)).sum()
    }

    /// Members that were heard of in time.
    #[must_use]
    pub fn responsive(&self) -> u32 {
        self.of(NodeState::Healthy)
    }

    /// At least two thirds of the members are responsive (2.3).
    #[must_use]
    pub fn has_quorum(&self) -> bool {
        self.members() > 0 && self.responsive() >= quorum(self.members())
    }
}

/// Two thirds of so many nodes, rounded up (2.3).
#[must_use]
pub const fn quorum(nodes: u32) -> u32 {
    (2 * nodes).div_ceil(3)
}
