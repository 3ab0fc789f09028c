//! Names, frames and the store. Whole archives are tested through the command line.

use super::{
    ArchiveError, Directory, PART_BYTES_MAX, StepsPart, Store, StoreError,
    layout::{self, Place, TILE_WIDTH},
    part::StepParts,
};
use reprise_receipts::LedgerId;
use std::fs;

fn place(index: u64, width: u64) -> Place {
    Place { index, width }
}

#[test]
fn names_are_those_of_tlog_tiles() {
    assert_eq!(place(0, 256).tile(0), "tile/0/000");
    assert_eq!(place(999, 256).tile(1), "tile/1/999");
    assert_eq!(place(1_234_067, 256).tile(0), "tile/0/x001/x234/067");
    assert_eq!(place(1_000, 1).entries(), "tile/entries/x001/000.p/1");
    assert_eq!(place(7, 255).tile(6), "tile/6/007.p/255");
    assert_eq!(place(7, 255).part(2), "reprise/steps/007.p/255/2");
    assert_eq!(place(7, 256).incomplete(Place::entries), "tile/entries/007.p");
}

#[test]
fn places_follow_from_the_size() {
    assert_eq!(Place::of(0, 0, 0), None);
    assert_eq!(Place::of(0, 0, 1), Some(place(0, 1)));
    assert_eq!(Place::of(0, 0, 256), Some(place(0, 256)));
    assert_eq!(Place::of(0, 1, 256), None);
    assert_eq!(Place::of(1, 0, 256), Some(place(0, 1)));
    assert_eq!(Place::of(1, 0, 255), None);
    assert_eq!(Place::of(1, 0, 256 * 256 + 300), Some(place(0, 256)));
    assert_eq!(Place::of(2, 0, 256 * 256 + 300), Some(place(0, 1)));
    assert_eq!(Place::of(0, u64::MAX, u64::MAX), None);
}

#[test]
fn entry_bundles_are_read_as_they_were_written_and_not_otherwise() {
    let dir = tempfile::tempdir().unwrap();
    let store = Directory::new(dir.path());
    let mut bundle = Vec::new();
    let receipts = [b"one".to_vec(), Vec::new(), vec![3; 1_024]];
    receipts.iter().for_each(|receipt| layout::push_entry(&mut bundle, receipt));
    let check = |bytes: &[u8], width| {
        store.write(&place(0, width).entries(), bytes).unwrap();
        layout::read_entries(&store, place(0, width))
    };
    assert_eq!(check(&bundle, 3).unwrap(), receipts);
    let damaged = |read| matches!(read, Err(ArchiveError::Damaged { .. }));
    assert!(damaged(check(&bundle, 2)));
    assert!(damaged(check(&bundle, 4)));
    assert!(damaged(check(&bundle[..bundle.len() - 1], 3)));
    assert!(damaged(check(&[bundle.as_slice(), &[0]].concat(), 3)));
    assert!(matches!(layout::read_entries(&store, place(1, 3)), Err(ArchiveError::Absent(_))));
}

#[test]
fn a_part_with_any_bit_changed_is_damaged() {
    let step = StepParts { input: vec![1, 2], record: vec![3], attestation: Some(vec![4]) };
    let mut part = StepsPart::new(LedgerId::from_bytes([7; 32]), 256);
    part.steps = vec![step.clone(), StepParts { attestation: None, ..step }];
    let file = part.to_file();
    assert_eq!(StepsPart::of_file("part", &file).unwrap(), part);
    for at in 0..file.len() {
        for bit in 0..8 {
            let mut changed = file.clone();
            changed[at] ^= 1 << bit;
            assert!(matches!(StepsPart::of_file("part", &changed), Err(ArchiveError::Damaged { .. })), "byte {at}");
        }
        assert!(StepsPart::of_file("part", &file[..at]).is_err());
    }
}

#[test]
fn the_directory_has_whole_files_only() {
    let dir = tempfile::tempdir().unwrap();
    let store = Directory::new(&dir.path().join("new/archive"));
    assert_eq!(store.read("checkpoint", 10).unwrap(), None);
    store.write("tile/0/000.p/3", b"three").unwrap();
    store.write("tile/0/000.p/3", b"THREE").unwrap();
    store.settle().unwrap();
    assert_eq!(store.read("tile/0/000.p/3", 5).unwrap().unwrap(), b"THREE");
    assert!(matches!(store.read("tile/0/000.p/3", 4), Err(StoreError::TooLong { max: 4, .. })));
    let names = fs::read_dir(dir.path().join("new/archive/tile/0/000.p")).unwrap();
    assert_eq!(names.map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>(), ["3"]);
    store.remove_under("tile/0/000.p").unwrap();
    store.remove_under("tile/0/000.p").unwrap();
    assert_eq!(store.read("tile/0/000.p/3", 5).unwrap(), None);
}

#[test]
fn bounds_are_what_the_layout_says() {
    const { assert!(PART_BYTES_MAX < 36 * 1024 * 1024) };
    assert_eq!(layout::ENTRIES_BYTES_MAX, TILE_WIDTH * 1_026);
    assert_eq!(layout::LEVELS, 7);
}
