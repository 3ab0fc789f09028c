use super::*;

#[test]
fn parts_of_a_range_follow_each_other_and_get_shorter() {
    for (range, jobs) in [(0..1000, 1), (0..1000, 2), (7..1007, 5), (0..3, 8), (0..u64::MAX >> 16, JOBS_MAX)] {
        let parts = cut(&range, jobs);
        assert!(parts.len() <= jobs && !parts.is_empty());
        assert_eq!((parts[0].start, parts[parts.len() - 1].end), (range.start, range.end), "{parts:?}");
        for pair in parts.windows(2) {
            assert_eq!(pair[0].end, pair[1].start);
            let lengths = [pair[0].end - pair[0].start, pair[1].end - pair[1].start];
            assert!(lengths[1] <= lengths[0] + 1, "{parts:?}");
        }
    }
    assert_eq!(cut(&(0..15), 2), [0..8, 8..15]);
    for (range, jobs) in [(5..5, 4), (0..10, 0)] {
        assert_eq!(cut(&range, jobs), std::slice::from_ref(&range), "there is one part, even of nothing");
    }
}
