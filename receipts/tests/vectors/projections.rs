//! Values of projections.

use crate::seeded::{Random, Seeded};
use reprise_receipts::{
    LedgerId, PackageDigest, StateRoot,
    projection::{PROJECTION_FORMAT, Projection, ProjectionFile},
};

impl Seeded for Projection {
    fn seeded(random: &mut Random) -> Self {
        Self {
            format: PROJECTION_FORMAT,
            ledger: LedgerId::from_bytes(random.digest()),
            size: random.number(),
            state_root: StateRoot::from_bytes(random.digest()),
            package: PackageDigest::from_bytes(random.digest()),
            view: random.name(),
            args: random.bytes(20),
            answer: random.bytes(80),
        }
    }
}

impl Seeded for ProjectionFile {
    fn seeded(random: &mut Random) -> Self {
        Projection::seeded(random).into_file()
    }
}
