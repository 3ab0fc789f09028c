//! Planted bugs: ways to make real nodes wrong from outside. Each must be found.

use crate::node::Machine;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// All disks say that they have synced, and have not: what is acknowledged is not durable.
    DisksLie,
    /// A replaced standing is the old one after a loss of power: promises and signatures are forgotten.
    StandingsForget,
    /// After a loss of power a machine is what it was when it was started before: restored from a backup.
    OldBackups,
    /// The owner's configuration says that it need not wait for anybody.
    AcknowledgesAlone,
}

impl Flaw {
    pub const ALL: [Self; 4] = [Self::DisksLie, Self::StandingsForget, Self::OldBackups, Self::AcknowledgesAlone];

    /// Makes a machine wrong.
    pub fn plant(self, machine: &Machine) {
        match self {
            Self::DisksLie => machine.disk.lie(),
            Self::StandingsForget => machine.disk.forget_files(),
            Self::OldBackups => machine.disk.go_back(),
            // Its configuration is wrong, not its disk.
            Self::AcknowledgesAlone => {}
        }
    }
}
