//! Values of the types of bundles and evidence.

use crate::seeded::{Random, Seeded};
use reprise_receipts::{
    Attestation, Genesis, LeafHash, LogRoot, Package, Receipt, SigningKey,
    bundle::{BundleHeader, BundleKind, BundleMark, LogEdge, Section},
    evidence::{Equivocation, Evidence, ExecutionFault, Fork, ForkedLeaf, SignedHead},
    finality::FinalMark,
    log::{ConsistencyProof, InclusionProof, LOG_SIZE_MAX, LogTail},
    witness::Witness,
};
use std::collections::BTreeMap;

impl Seeded for BundleHeader {
    fn seeded(random: &mut Random) -> Self {
        let kind = random.pick(&[BundleKind::Receipt, BundleKind::Checkpoint, BundleKind::Replay]);
        let mut header = Self::new(kind, Genesis::seeded(random), random.number(), random.number());
        for section in Section::ALL {
            header.set_count(section, random.number());
        }
        header
    }
}

impl Seeded for LogEdge {
    fn seeded(random: &mut Random) -> Self {
        let mut tail = LogTail::new();
        for _ in 0..random.below(600) {
            tail.append(LeafHash::from_bytes(random.digest()));
        }
        let tiles = tail.take_dirty_tiles().into_iter().map(|tile| ((tile.level, tile.index), tile.hashes));
        let tiles: BTreeMap<_, _> = tiles.collect();
        Self::of(tail.size(), &|level, index| tiles.get(&(level, index)).cloned()).expect("all tiles are there")
    }
}

impl Seeded for FinalMark {
    fn seeded(random: &mut Random) -> Self {
        let mut receipt = Receipt::seeded(random);
        receipt.seq %= LOG_SIZE_MAX;
        let unsigned = Self::unsigned(receipt, LogRoot::from_bytes(random.digest()));
        let votes = 1 + random.below(2);
        (0..votes).fold(unsigned, |mark, _| mark.signed(&SigningKey::seeded(random), random.number() >> 1))
    }
}

impl Seeded for BundleMark {
    fn seeded(random: &mut Random) -> Self {
        Self { mark: FinalMark::seeded(random), proof: ConsistencyProof::seeded(random) }
    }
}

impl Seeded for SignedHead {
    fn seeded(random: &mut Random) -> Self {
        match random.below(2) {
            0 => Self::Checkpoint(random.name()),
            _ => Self::Attestation(Attestation::seeded(random)),
        }
    }
}

impl Seeded for ForkedLeaf {
    fn seeded(random: &mut Random) -> Self {
        let leaf = |random: &mut Random| (LeafHash::from_bytes(random.digest()), InclusionProof::seeded(random));
        Self {
            seq: random.number(),
            first: leaf(random),
            second: leaf(random),
            receipts: random.option(|r| Box::new((Receipt::seeded(r), Receipt::seeded(r)))),
        }
    }
}

impl Seeded for Evidence {
    fn seeded(random: &mut Random) -> Self {
        match random.below(3) {
            0 => {
                let both = Equivocation::new(Attestation::seeded(random), Attestation::seeded(random));
                Self::Equivocation(Box::new(both))
            }
            1 => Self::Fork(Box::new(Fork {
                first: SignedHead::seeded(random),
                second: SignedHead::seeded(random),
                at: random.option(ForkedLeaf::seeded),
            })),
            _ => Self::ExecutionFault(Box::new(ExecutionFault {
                genesis: Genesis::seeded(random),
                head: SignedHead::seeded(random),
                proof: InclusionProof::seeded(random),
                before: random.option(|random| random.bytes(40)),
                receipt: random.bytes(40),
                input: random.bytes(40),
                witness: random.option(Witness::seeded),
                packages: random.ascending(2, Package::seeded, |package| package.manifest.digest()),
            })),
        }
    }
}
