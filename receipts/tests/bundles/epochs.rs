//! Bundles of a ledger that changed its owner: the header's grants say who attests what, and nothing else is believed.

use crate::{
    read,
    sample::{Draft, attester, genesis},
};
use reprise_abi::{Event, Input, Outcome, encode};
use reprise_receipts::{
    Attestation, AttestationBody, Executed, Head, PublicKey, Sealed, SigningKey,
    bundle::{BundleError, BundleHeader, BundleKind, LogEdge, Section, Trust},
    command::{COMMAND_KIND, Command, CommandError, SignedCommand},
    log::LogTail,
};

/// Receipts of the ledger; the epochs 2 and 5 begin at 3 and 6.
const TO: u64 = 8;
const BEGIN: [(u64, u64); 2] = [(3, 2), (6, 5)];

fn key(byte: u8) -> SigningKey {
    SigningKey::from_secret(&[byte; 32])
}

/// Attests an epoch.
fn attests(epoch: u64) -> SigningKey {
    if epoch == 1 { attester() } else { key(40 + epoch as u8) }
}

fn grant_by(epoch: u64, operator: &SigningKey) -> SignedCommand {
    let (owner, attester) = (key(30 + epoch as u8).public(), attests(epoch).public());
    Command::Epoch { to: epoch, owner, attester, roster: 1 }.sign(genesis().ledger_id(), operator)
}

fn grant(epoch: u64) -> SignedCommand {
    grant_by(epoch, &key(8))
}

struct Moved {
    steps: Vec<Sealed>,
    attestations: Vec<Attestation>,
    tiles: Vec<reprise_receipts::log::TileWrite>,
}

fn moved() -> Moved {
    let (mut head, mut tail) = (Head::genesis(genesis()), LogTail::new());
    let (mut steps, mut attestations) = (Vec::new(), Vec::new());
    for seq in 0..TO {
        let begins = BEGIN.iter().find(|(at, _)| *at == seq).map(|(_, epoch)| *epoch);
        let (kind, payload) = match begins {
            Some(epoch) => (COMMAND_KIND, encode(&grant(epoch))),
            None => ("count", vec![7]),
        };
        let event = Event { id: seq.to_string(), source: "test".to_owned(), kind: kind.to_owned(), payload };
        let epoch = begins.unwrap_or_else(|| head.epoch());
        let input = Input { seq, epoch, logical_time_ms: seq, event };
        let work = head.prepare(&input).unwrap();
        let step = head.seal(&input, &work, Executed::answered(Outcome::Accepted { answer: Vec::new() }));
        tail.append(step.leaf);
        attestations.push(AttestationBody::of(&step.receipt, step.leaf, tail.root()).sign(&attests(epoch)));
        steps.push(step);
    }
    Moved { steps, attestations, tiles: tail.take_dirty_tiles() }
}

/// A receipt bundle of a range, with an attestation over every receipt.
fn draft(ledger: &Moved, from: u64, to: u64) -> Draft {
    let mut draft = Draft { header: BundleHeader::new(BundleKind::Receipt, genesis(), from, to), items: Vec::new() };
    draft.header.grants = BEGIN.map(|(_, epoch)| grant(epoch)).to_vec();
    if let Some(before) = from.checked_sub(1) {
        let tile = |level: u8, index: u64| {
            let same = |tile: &&reprise_receipts::log::TileWrite| (tile.level, tile.index) == (level, index);
            ledger.tiles.iter().find(same).map(|tile| tile.hashes.clone())
        };
        draft.push(Section::Base, ledger.steps[before as usize].receipt_bytes.clone());
        draft.push(Section::Edge, encode(&LogEdge::of(from, &tile).unwrap()));
    }
    for seq in from..to {
        let step = &ledger.steps[seq as usize];
        draft.push(Section::Receipt, step.receipt_bytes.clone());
        draft.push(Section::Input, step.input_bytes.clone());
        draft.push(Section::Record, step.record_bytes.clone());
        draft.push(Section::Attestation, encode(&ledger.attestations[seq as usize]));
    }
    draft
}

fn check(draft: &Draft, trust: Trust) -> Result<(), BundleError> {
    read(&draft.to_bytes(), 1_000, trust).map(|_| ())
}

#[test]
fn a_bundle_holds_across_epochs_and_in_later_ones() {
    let ledger = moved();
    for (from, to) in [(0, TO), (2, 5), (3, 4), (4, 6), (0, 3), (7, TO)] {
        let draft = draft(&ledger, from, to);
        assert_eq!(check(&draft, Trust::GenesisRecord), Ok(()), "{from}..{to}");
        let last = ledger.steps[to as usize - 1].receipt.epoch;
        for epoch in [1, 2, 5] {
            let expected: PublicKey = attests(epoch).public();
            let found = attests(last).public();
            let by_key = check(&draft, Trust::Attester(expected));
            let right = if epoch == last { Ok(()) } else { Err(BundleError::Attester { expected, found }) };
            assert_eq!(by_key, right, "{from}..{to}, epoch {epoch}");
        }
    }
}

#[test]
fn nothing_is_believed_without_the_operators() {
    let ledger = moved();
    let refused = |change: fn(&mut Draft)| {
        let mut changed = draft(&moved(), 0, TO);
        change(&mut changed);
        check(&changed, Trust::GenesisRecord).unwrap_err()
    };
    let signed_by = refused(|draft| draft.header.grants[1] = grant_by(5, &key(9)));
    assert_eq!(signed_by, BundleError::Grant { index: 1, error: CommandError::TooFewSignatures });
    let twice = refused(|draft| draft.header.grants = vec![grant(2), grant(2)]);
    assert_eq!(twice, BundleError::Grant { index: 1, error: CommandError::OtherEpoch });
    let lower = refused(|draft| draft.header.grants = vec![grant(5), grant(2)]);
    assert_eq!(lower, BundleError::Grant { index: 1, error: CommandError::OtherEpoch });
    let first = refused(|draft| draft.header.grants = vec![grant(1)]);
    assert_eq!(first, BundleError::Grant { index: 0, error: CommandError::OtherEpoch });
    let resume = refused(|draft| {
        draft.header.grants = vec![Command::Resume { halted_at: 0 }.sign(genesis().ledger_id(), &key(8))];
    });
    assert_eq!(resume, BundleError::Grant { index: 0, error: CommandError::Malformed });
    let missing = refused(|draft| drop(draft.header.grants.pop()));
    assert!(matches!(missing, BundleError::Epoch { after: 2, found: 5, .. }), "{missing:?}");
    let none = refused(|draft| draft.header.grants.clear());
    assert!(matches!(none, BundleError::Epoch { after: 1, found: 2, .. }), "{none:?}");
    let other = refused(|draft| {
        // Another grant of the same epoch, which the same operators signed: not the one that was ordered.
        let command = Command::Epoch { to: 5, owner: key(1).public(), attester: attests(5).public(), roster: 1 };
        draft.header.grants[1] = command.sign(genesis().ledger_id(), &key(8));
    });
    assert!(matches!(other, BundleError::EpochBegins { .. }), "{other:?}");
    assert_eq!(ledger.steps[3].receipt.epoch, 2);
}

#[test]
fn an_attester_of_another_epoch_attests_nothing() {
    let ledger = moved();
    let refused = |seq: u64, epoch: u64, by: u64| {
        let mut draft = draft(&ledger, 0, TO);
        let body = AttestationBody { epoch: Some(epoch), ..ledger.attestations[seq as usize].body.clone() };
        *draft.item(Section::Attestation, seq as usize) = encode(&body.sign(&attests(by)));
        matches!(check(&draft, Trust::GenesisRecord), Err(BundleError::Attestation { .. }))
    };
    assert!(refused(4, 2, 1), "the owner that was replaced");
    assert!(refused(4, 1, 1), "the owner that was replaced, under its epoch");
    assert!(refused(2, 1, 2), "the owner that came later");
    assert!(refused(4, 5, 2), "another epoch than the receipt's");
    let mut without = draft(&ledger, 0, TO);
    let body = AttestationBody { epoch: None, ..ledger.attestations[4].body.clone() };
    *without.item(Section::Attestation, 4) = encode(&body.sign(&attests(2)));
    assert!(matches!(check(&without, Trust::GenesisRecord), Err(BundleError::Attestation { .. })));
}

#[test]
fn an_anchor_is_of_the_last_receipts_epoch_or_a_later_one() {
    let ledger = moved();
    let tile = |level: u8, index: u64| {
        let same = |tile: &&reprise_receipts::log::TileWrite| (tile.level, tile.index) == (level, index);
        ledger.tiles.iter().find(same).map(|tile| tile.hashes.clone())
    };
    let anchored = |to: u64, claims: Option<u64>| {
        let mut draft = draft(&ledger, 0, to);
        (0..to).for_each(|_| drop(draft.remove(Section::Attestation, 0)));
        draft.count(Section::Attestation);
        let last = ledger.attestations[TO as usize - 1].clone();
        let anchor = match claims {
            None => last,
            Some(epoch) => AttestationBody { epoch: Some(epoch), ..last.body }.sign(&attests(epoch)),
        };
        let proof = reprise_receipts::log::prove_inclusion(&tile, TO, to - 1).unwrap();
        let steps = draft.items.split_off(0);
        draft.push(Section::Anchor, encode(&anchor));
        draft.push(Section::Proof, encode(&proof));
        draft.items.extend(steps);
        check(&draft, Trust::GenesisRecord)
    };
    assert_eq!(anchored(2, None), Ok(()));
    assert_eq!(anchored(5, None), Ok(()));
    assert_eq!(anchored(5, Some(1)), Err(BundleError::SignedEpoch { last: 2, signed: 1 }));
}
