use super::*;

fn ring(nodes: u16) -> Ring {
    let mut members: Vec<u16> = (1..=nodes).collect();
    members.sort_unstable_by_key(|node| point(NodeId(u32::from(*node))));
    Ring(members)
}

#[test]
fn places_are_counted_clockwise() {
    let ring = Ring(vec![7, 3, 9]);
    assert_eq!([0, 1, 2, 3].map(|places| ring.at(1, places).0), [3, 9, 7, 3]);
    assert_eq!(ring.places(1, NodeId(7)), Some(2));
    assert_eq!(ring.places(1, NodeId(8)), None);
}

/// Every node is asked by some stream, and no node by all of those that ask fewer than all.
#[test]
fn streams_are_spread() {
    let ring = ring(200);
    let mut asked = [0_u32; 201];
    for stream in 0..STREAMS {
        let anchor = crc32(&stream.to_be_bytes());
        let from = ring.place(anchor) as u32 % ring.len();
        for places in 0..101 {
            asked[ring.at(from, places).0 as usize] += 1;
        }
    }
    assert!(asked[1..].iter().all(|times| (1..16).contains(times)), "{asked:?}");
}
