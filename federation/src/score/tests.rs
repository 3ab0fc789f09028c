use super::*;

#[test]
fn waits_double_within_their_bounds_and_repeat_with_the_seed() {
    let waits = |seed| {
        let mut score = Score::new(seed);
        let mut waits = Vec::new();
        for _ in 0..12 {
            score.timed_out(1_000);
            waits.push(score.rest_until_ms() - 1_000);
        }
        waits
    };
    assert_eq!(waits(7), waits(7));
    assert_ne!(waits(7), waits(8));
    for (failures, wait) in waits(7).into_iter().enumerate() {
        let full = (BACKOFF_FIRST_MS << failures).min(BACKOFF_MAX_MS);
        assert!((full / 2..full).contains(&wait), "failure {failures}: {wait} of {full}");
    }
}

#[test]
fn a_lie_costs_more_than_silence_and_a_good_answer_mends_both() {
    let (mut silent, mut liar) = (Score::new(1), Score::new(1));
    silent.timed_out(0);
    liar.answered_wrong(0);
    assert!(liar.rest_until_ms() > silent.rest_until_ms());
    assert!(!liar.is_usable(liar.rest_until_ms() - 1) && liar.is_usable(liar.rest_until_ms()));
    liar.answered(30);
    assert!(liar.is_usable(0));
    assert_eq!(liar.wrong(), 1);
}

#[test]
fn the_deadline_follows_the_round_trips() {
    let mut score = Score::new(1);
    assert_eq!(score.deadline_ms(), DEADLINE_FIRST_MS);
    score.answered(10);
    assert_eq!(score.deadline_ms(), DEADLINE_MIN_MS);
    for _ in 0..100 {
        score.answered(500);
    }
    assert!((1_500..=2_000).contains(&score.deadline_ms()), "{}", score.deadline_ms());
    // A peer that became slow is waited for longer, not given up.
    score.answered(10);
    let before = score.deadline_ms();
    score.timed_out(0);
    score.timed_out(0);
    score.timed_out(0);
    assert!(score.deadline_ms() > before);
    score.answered(u64::MAX / 8);
    assert_eq!(score.deadline_ms(), DEADLINE_MAX_MS);
}
