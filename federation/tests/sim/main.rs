//! The state machines of several nodes in one process, on a network, disks and clocks that a seed decides.
//!
//! One seed, one run. While it runs, messages are delayed, lost and reordered, links break in one direction or both, nodes
//! crash and lose what was not durable, lose their disks or a byte of them, and at most one node lies. The invariants are
//! held after every event. Then the faults stop, and all honest nodes must come to the same log.
//!
//! `REPRISE_SIM_SEEDS=from..to` runs other seeds than the first 100.

mod byzantine;
mod flaws;
mod invariants;
mod node;
mod run;
mod world;

#[path = "../support/mod.rs"]
mod support;
