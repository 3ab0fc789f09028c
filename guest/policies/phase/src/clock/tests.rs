use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn clock(pairs: &[(u32, u64)]) -> Clock {
    Clock(pairs.to_vec())
}

#[test]
fn order_is_per_entry() {
    let one = clock(&[(1, 2), (3, 1)]);
    assert_eq!(one.compare(&one), Some(Ordering::Equal));
    assert_eq!(one.compare(&clock(&[(1, 2), (2, 1), (3, 1)])), Some(Ordering::Less));
    assert_eq!(one.compare(&clock(&[(1, 2)])), Some(Ordering::Greater));
    assert_eq!(one.compare(&clock(&[(1, 3)])), None);
}

fn read(json: &str) -> Result<Clock, Refusal> {
    Clock::taken(&mut Fields::read(json.as_bytes())?)
}

#[test]
fn only_sparse_ascending_clocks_are_read() {
    for bad in ["[[1,0]]", "[[2,1],[1,1]]", "[[1,1],[1,2]]", "[[1]]", "[1]", "[[4096,1]]", "7"] {
        assert!(read(&["{\"vc\":", bad, "}"].concat()).is_err(), "{bad}");
    }
    assert_eq!(read(r#"{"vc":[[1,1],[4095,9]]}"#).unwrap().entry(NodeId(4_095)), 9);
}

fn entries() -> impl Strategy<Value = BTreeMap<u32, u64>> {
    prop::collection::btree_map(0..6_u32, 1..4_u64, 0..6)
}

proptest! {
    #[test]
    fn the_order_is_that_of_dense_vectors_and_the_join_is_the_least_bound(a in entries(), b in entries()) {
        let sparse = |map: &BTreeMap<u32, u64>| Clock(map.iter().map(|(k, v)| (*k, *v)).collect());
        let dense = |map: &BTreeMap<u32, u64>| (0..6).map(|k| map.get(&k).copied().unwrap_or(0)).collect::<Vec<_>>();
        let (x, y) = (dense(&a), dense(&b));
        let below = x.iter().zip(&y).all(|(x, y)| x <= y);
        let above = x.iter().zip(&y).all(|(x, y)| x >= y);
        let expected = match (below, above) {
            (true, true) => Some(Ordering::Equal),
            (true, false) => Some(Ordering::Less),
            (false, true) => Some(Ordering::Greater),
            (false, false) => None,
        };
        prop_assert_eq!(sparse(&a).compare(&sparse(&b)), expected);
        let mut join = sparse(&a);
        join.join(&sparse(&b));
        let most: BTreeMap<u32, u64> =
            (0..6).map(|k| (k, x[k as usize].max(y[k as usize]))).filter(|(_, most)| *most > 0).collect();
        prop_assert_eq!(join, sparse(&most));
    }
}
