use super::*;

#[test]
fn a_target_is_met_or_missed_by_a_part_of_it() {
    assert_eq!(Target::None.missed_by(9.0), None);
    assert_eq!(Target::AtMost(1.5).missed_by(1.5), None);
    assert_eq!(Target::AtMost(1.5).missed_by(3.0), Some(1.0));
    assert_eq!(Target::AtLeast(0.5).missed_by(0.5), None);
    assert_eq!(Target::AtLeast(0.5).missed_by(0.25), Some(0.5));
    assert!(Target::AtMost(1.0).missed_by(f64::NAN).is_some_and(f64::is_nan));
}
