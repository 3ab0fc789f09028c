//! A reader's memory, measured on the whole process: the one test of this program, which makes its input as it goes.

#![cfg(target_os = "linux")]

use reprise_abi::encode;
use reprise_receipts::{
    EngineProfileDigest, Genesis, PackageDigest, SigningKey,
    bundle::{BUNDLE_MAGIC, BUNDLE_VERSION, BundleCheck, BundleHeader, BundleKind, BundleReader, Section, Trust},
    genesis::{GENESIS_FORMAT, PROTOCOL_EPOCH},
};

/// What the process may take at most, the program itself included.
const MEMORY_BYTES_MAX: u64 = 64 * 1024 * 1024;

fn header(kind: BundleKind, from: u64) -> BundleHeader {
    let key = SigningKey::from_secret(&[7; 32]).public();
    let genesis = Genesis {
        format: GENESIS_FORMAT,
        name: "memory".to_owned(),
        nonce: [0; 16],
        protocol_epoch: PROTOCOL_EPOCH,
        engine_profile: EngineProfileDigest::of(b""),
        package: PackageDigest::from_bytes([1; 32]),
        epoch: 1,
        attester: key,
        operators: vec![key],
        operator_threshold: 1,
    };
    BundleHeader::new(kind, genesis, from, from + 1)
}

/// A bundle that promises an item of this section first, as long as any, and then sends `byte` for as long as it is read.
fn flood(header: &BundleHeader, section: Section, byte: u8) {
    let encoded = encode(header);
    let mut start = BUNDLE_MAGIC.to_vec();
    start.extend_from_slice(&BUNDLE_VERSION.to_le_bytes());
    start.extend_from_slice(&(encoded.len() as u32).to_le_bytes());
    start.extend_from_slice(&encoded);
    start.push(section as u8);
    start.extend_from_slice(&(section.item_bytes_max() as u32).to_le_bytes());
    let (mut reader, mut check) = (BundleReader::new(), BundleCheck::new(Trust::GenesisRecord));
    let rest = vec![byte; 64 * 1024];
    let slices = std::iter::once(start.as_slice()).chain(std::iter::repeat(rest.as_slice()));
    for mut input in slices.take(2_000) {
        loop {
            match reader.read(&mut input).map(|piece| piece.map(|piece| check.accept(piece).map(drop))) {
                Ok(Some(Ok(()))) => {}
                Ok(None) => break,
                Ok(Some(Err(_))) | Err(_) => return,
            }
        }
    }
    panic!("125 MiB of nothing were taken as {section}");
}

fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

#[test]
fn whatever_comes_a_reader_stays_small() {
    for byte in [0, 1, 2, 0x7f, 0x80, 0xff] {
        let mut replay = header(BundleKind::Replay, 0);
        replay.set_count(Section::Package, 64);
        replay.set_count(Section::Profile, 1);
        flood(&replay, Section::Package, byte);
        let later = |section| {
            let mut receipt = header(BundleKind::Receipt, 5);
            receipt.set_count(Section::Base, 1);
            receipt.set_count(Section::Edge, 1);
            flood(&receipt, section, byte);
        };
        later(Section::Base);
        later(Section::Edge);
        flood(&header(BundleKind::Receipt, 0), Section::Receipt, byte);
    }
    let peak = peak_bytes();
    assert!(peak < MEMORY_BYTES_MAX, "the process took {peak} bytes");
}
