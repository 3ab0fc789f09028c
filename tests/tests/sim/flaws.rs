//! Planted bugs: ways to make real nodes wrong from outside. Each must be found.

use crate::node::Machine;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// All disks say that they have synced, and have not: what is acknowledged is not durable.
    DisksLie,
    /// A replaced standing is the old one after a loss of power: promises and signatures are forgotten.
    StandingsForget,
}

impl Flaw {
    pub const ALL: [Self; 2] = [Self::DisksLie, Self::StandingsForget];

    /// Makes a machine wrong.
    pub fn plant(self, machine: &Machine) {
        match self {
            Self::DisksLie => machine.disk.lie(),
            Self::StandingsForget => machine.disk.forget_files(),
        }
    }
}
