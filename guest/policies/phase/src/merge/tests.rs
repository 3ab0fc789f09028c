use super::*;
use proptest::prelude::*;

fn head(pairs: &[(u64, u64)], digest: &str) -> Head {
    let rows: Vec<String> = pairs.iter().map(|(node, counter)| format!("[{node},{counter}]")).collect();
    let json = format!("{{\"vc\":[{}]}}", rows.join(","));
    let clock = Clock::taken(&mut Fields::read(json.as_bytes()).unwrap()).unwrap();
    Head { clock, digest: digest.into() }
}

fn merged(heads: &[Head]) -> Option<String> {
    let mut merged = Vec::new();
    let fits = heads.iter().cloned().all(|head| add(&mut merged, head));
    agreed(merged).filter(|_| fits)
}

#[test]
fn the_later_log_holds_and_concurrent_ones_that_differ_conflict() {
    assert_eq!(merged(&[head(&[(1, 1)], "a"), head(&[(1, 2)], "b")]).as_deref(), Some("b"));
    assert_eq!(merged(&[head(&[(1, 1)], "a"), head(&[(2, 1)], "a")]).as_deref(), Some("a"));
    assert_eq!(merged(&[head(&[(1, 1)], "a"), head(&[(2, 1)], "b")]), None);
    assert_eq!(merged(&[head(&[(1, 1)], "a"), head(&[(1, 1)], "b")]), None, "the same clock, another log");
    assert_eq!(merged(&[]), None);
}

#[test]
fn more_than_four_logs_and_clocks_that_are_too_long_together_are_not_merged() {
    let logs = |count: u64| (1..=count).map(|at| head(&[(1, at)], &at.to_string())).collect::<Vec<_>>();
    assert_eq!(merged(&logs(4)).as_deref(), Some("4"));
    assert_eq!(merged(&logs(5)), None);
    let entries = |from: u64, count: u64| (from..from + count).map(|node| (node, 1)).collect::<Vec<_>>();
    assert_eq!(merged(&[head(&entries(0, 200), "a"), head(&entries(200, 56), "a")]).as_deref(), Some("a"));
    assert_eq!(merged(&[head(&entries(0, 200), "a"), head(&entries(200, 57), "a")]), None);
}

proptest! {
    #[test]
    fn what_comes_of_many_does_not_depend_on_their_order(
        heads in prop::collection::vec((prop::collection::btree_map(0..3_u64, 1..4_u64, 1..3), 0..3_u8), 1..6)
            .prop_flat_map(|heads| (Just(heads.clone()), Just(heads).prop_shuffle()))
    ) {
        let all = |heads: &[(std::collections::BTreeMap<u64, u64>, u8)]| {
            let heads: Vec<Head> = heads
                .iter()
                .map(|(clock, digest)| head(&clock.iter().map(|(k, v)| (*k, *v)).collect::<Vec<_>>(), &digest.to_string()))
                .collect();
            merged(&heads)
        };
        prop_assert_eq!(all(&heads.0), all(&heads.1));
    }
}
