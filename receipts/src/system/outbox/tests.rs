use super::*;

#[test]
fn waits_double_stay_under_the_cap_and_differ_between_effects() {
    for attempts in 1..EFFECT_ATTEMPTS_MAX {
        let whole = EFFECT_BACKOFF_FIRST_MS << (attempts - 1);
        for name in ["a", "b", "c"] {
            let wait = backoff_ms(name, attempts);
            assert!((whole / 2..=whole).contains(&wait), "{wait} after {attempts} failures");
        }
    }
    assert!(backoff_ms("a", 40) <= EFFECT_BACKOFF_MAX_MS);
    assert_ne!(backoff_ms("a", 4), backoff_ms("b", 4));
}
