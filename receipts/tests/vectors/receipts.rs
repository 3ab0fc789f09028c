//! Values of the types around receipts.

use crate::seeded::{Random, Seeded};
use reprise_abi::{Canonical, CodecError, Description, Diff, Outcome, OutcomeClass};
use reprise_receipts::{
    Attestation, AttestationBody, DiffDigest, EngineProfileDigest, ExecutionRoot, Genesis, InputDigest, LeafHash,
    LedgerId, LogRoot, OutputDigest, PackageDigest, PublicKey, Receipt, SigningKey, StateRoot, StateTrie, StepOutput,
    StepRecord,
    command::{Command, SignedCommand},
    genesis::GENESIS_FORMAT,
    log::{ConsistencyProof, InclusionProof, LogTail, TileSource, prove_consistency, prove_inclusion},
    package::{Manifest, PACKAGE_FORMAT, Package},
    receipt::RECEIPT_FORMAT,
    system::{Halt, epochs::EpochRecord},
    trie::{AbsenceProof, PrefixProof, PresenceProof},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

impl Seeded for Receipt {
    fn seeded(random: &mut Random) -> Self {
        Self {
            format: RECEIPT_FORMAT,
            ledger: LedgerId::from_bytes(random.digest()),
            seq: random.number(),
            epoch: random.number(),
            protocol_epoch: random.number32(),
            engine_profile: EngineProfileDigest::from_bytes(random.digest()),
            package: PackageDigest::from_bytes(random.digest()),
            input: InputDigest::from_bytes(random.digest()),
            logical_time_ms: random.number(),
            prior_state: StateRoot::from_bytes(random.digest()),
            next_state: StateRoot::from_bytes(random.digest()),
            diff: DiffDigest::from_bytes(random.digest()),
            execution: ExecutionRoot::from_bytes(random.digest()),
            output: OutputDigest::from_bytes(random.digest()),
            class: OutcomeClass::seeded(random),
            code: random.number32(),
            fuel: random.number(),
            previous: LeafHash::from_bytes(random.digest()),
        }
    }
}

impl Seeded for StepOutput {
    fn seeded(random: &mut Random) -> Self {
        let outcome = Outcome::seeded(random);
        let (effects, timers) = match outcome.is_accepted() {
            true => (random.list(2, Seeded::seeded), random.list(2, Seeded::seeded)),
            false => (Vec::new(), Vec::new()),
        };
        Self { outcome, effects, timers }
    }
}

impl Seeded for StepRecord {
    fn seeded(random: &mut Random) -> Self {
        Self { diff: Diff::seeded(random), output: StepOutput::seeded(random) }
    }
}

impl Seeded for SigningKey {
    fn seeded(random: &mut Random) -> Self {
        Self::from_secret(&random.digest())
    }
}

impl Seeded for PublicKey {
    fn seeded(random: &mut Random) -> Self {
        SigningKey::seeded(random).public()
    }
}

impl Seeded for Genesis {
    fn seeded(random: &mut Random) -> Self {
        let mut operators = random.ascending(3, PublicKey::seeded, |key| *key);
        if operators.is_empty() {
            operators.push(PublicKey::seeded(random));
        }
        Self {
            format: GENESIS_FORMAT,
            name: random.name(),
            nonce: std::array::from_fn(|_| random.below(256) as u8),
            protocol_epoch: random.number32(),
            engine_profile: EngineProfileDigest::from_bytes(random.digest()),
            package: PackageDigest::from_bytes(random.digest()),
            epoch: random.number(),
            attester: PublicKey::seeded(random),
            operator_threshold: 1 + random.below(operators.len() as u64) as u32,
            operators,
        }
    }
}

impl Seeded for AttestationBody {
    fn seeded(random: &mut Random) -> Self {
        Self {
            ledger: LedgerId::from_bytes(random.digest()),
            seq: random.number(),
            leaf: LeafHash::from_bytes(random.digest()),
            log_root: LogRoot::from_bytes(random.digest()),
            epoch: None,
        }
    }
}

impl Seeded for Attestation {
    fn seeded(random: &mut Random) -> Self {
        AttestationBody::seeded(random).sign(&SigningKey::seeded(random))
    }
}

/// Of a ledger that can change its epoch.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AttestationInEpoch(Attestation);

impl Canonical for AttestationInEpoch {
    const KIND: &'static str = "attestation in an epoch";
    const BYTES_MAX: usize = Attestation::BYTES_MAX;

    fn validate(&self) -> Result<(), CodecError> {
        self.0.validate()
    }
}

impl Seeded for AttestationInEpoch {
    fn seeded(random: &mut Random) -> Self {
        let (seq, epoch) = (random.below(1 << 48), Some(random.number()));
        let body = AttestationBody { seq, epoch, ..AttestationBody::seeded(random) };
        Self(body.sign(&SigningKey::seeded(random)))
    }
}

impl Seeded for EpochRecord {
    fn seeded(random: &mut Random) -> Self {
        let command = Command::Epoch {
            to: random.number(),
            owner: PublicKey::seeded(random),
            attester: PublicKey::seeded(random),
            roster: random.number(),
        };
        let ledger = LedgerId::from_bytes(random.digest());
        let sign = |random: &mut Random| command.clone().sign(ledger, &SigningKey::seeded(random)).signatures[0];
        let signatures = random.ascending(3, sign, |(signer, _)| *signer);
        Self { first_seq: random.number(), grant: SignedCommand { command, signatures } }
    }
}

impl Seeded for Manifest {
    fn seeded(random: &mut Random) -> Self {
        Self {
            format: PACKAGE_FORMAT,
            publisher: random.name(),
            description: Description::seeded(random),
            component: random.digest(),
        }
    }
}

impl Seeded for Package {
    fn seeded(random: &mut Random) -> Self {
        let (description, component) = (Description::seeded(random), random.bytes(40));
        let key = SigningKey::seeded(random);
        Self::sign(description, component, &random.name(), &key).expect("the name has neither spaces nor plus signs")
    }
}

impl Seeded for Command {
    fn seeded(random: &mut Random) -> Self {
        match random.below(2) {
            0 => Self::Resume { halted_at: random.number() },
            _ => Self::Upgrade {
                from: PackageDigest::from_bytes(random.digest()),
                to: PackageDigest::from_bytes(random.digest()),
                at: random.number(),
            },
        }
    }
}

impl Seeded for SignedCommand {
    fn seeded(random: &mut Random) -> Self {
        let (command, ledger) = (Command::seeded(random), LedgerId::from_bytes(random.digest()));
        let sign = |random: &mut Random| command.clone().sign(ledger, &SigningKey::seeded(random)).signatures[0];
        let signatures = random.ascending(3, sign, |(signer, _)| *signer);
        Self { command, signatures }
    }
}

impl Seeded for Halt {
    fn seeded(random: &mut Random) -> Self {
        Self { seq: random.number(), class: OutcomeClass::seeded(random) }
    }
}

/// Of up to 11 keys.
pub fn trie(random: &mut Random) -> StateTrie {
    let mut trie = StateTrie::new();
    for _ in 0..random.below(12) {
        trie.insert(&key(random), &random.bytes(8));
    }
    trie
}

/// Short and of few letters, so that keys meet and contain each other.
pub fn key(random: &mut Random) -> Vec<u8> {
    random.list(3, |random| random.pick(b"ab\x00\xff"))
}

impl Seeded for PresenceProof {
    fn seeded(random: &mut Random) -> Self {
        let (mut trie, key) = (trie(random), key(random));
        trie.insert(&key, &random.bytes(8));
        trie.prove_presence(&key).expect("just inserted")
    }
}

impl Seeded for AbsenceProof {
    fn seeded(random: &mut Random) -> Self {
        let (mut trie, key) = (trie(random), key(random));
        trie.remove(&key);
        trie.prove_absence(&key).expect("just removed")
    }
}

impl Seeded for PrefixProof {
    fn seeded(random: &mut Random) -> Self {
        let (mut trie, mut prefix) = (trie(random), key(random));
        prefix.truncate(random.below(3) as usize);
        trie.prove_prefix(&prefix).expect("few entries")
    }
}

/// The tiles of a log of up to 300 receipts, and its size.
fn log(random: &mut Random) -> (impl TileSource + use<>, u64) {
    let (mut tail, size) = (LogTail::new(), 1 + random.below(300));
    for _ in 0..size {
        tail.append(LeafHash::from_bytes(random.digest()));
    }
    let tiles: BTreeMap<_, _> =
        tail.take_dirty_tiles().into_iter().map(|tile| ((tile.level, tile.index), tile.hashes)).collect();
    (move |level, index| tiles.get(&(level, index)).cloned(), size)
}

impl Seeded for InclusionProof {
    fn seeded(random: &mut Random) -> Self {
        let (tiles, size) = log(random);
        prove_inclusion(&tiles, size, random.below(size)).expect("every tile is there")
    }
}

impl Seeded for ConsistencyProof {
    fn seeded(random: &mut Random) -> Self {
        let (tiles, size) = log(random);
        prove_consistency(&tiles, random.below(size + 1), size).expect("every tile is there")
    }
}
