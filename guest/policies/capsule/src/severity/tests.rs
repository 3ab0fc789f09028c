use super::*;
use Severity::{Critical, Mild, Moderate, Severe};

/// Section 1.2, every boundary from both sides and on it.
#[test]
fn every_boundary_of_the_table_is_where_the_document_says() {
    let velocity = [
        (0, Mild),
        (99_999, Mild),
        (100_000, Moderate),
        (100_001, Moderate),
        (299_999, Moderate),
        (300_000, Severe),
        (300_001, Severe),
        (499_999, Severe),
        (500_000, Severe),
        (500_001, Critical),
        (u32::MAX, Critical),
    ];
    let ttf = [
        (u32::MAX, Mild),
        (61, Mild),
        (60, Moderate),
        (59, Moderate),
        (31, Moderate),
        (30, Severe),
        (29, Severe),
        (11, Severe),
        (10, Severe),
        (9, Critical),
        (0, Critical),
    ];
    let stability = [
        (1_000_000, Mild),
        (700_001, Mild),
        (700_000, Moderate),
        (699_999, Moderate),
        (500_001, Moderate),
        (500_000, Severe),
        (499_999, Severe),
        (300_001, Severe),
        (300_000, Severe),
        (299_999, Critical),
        (0, Critical),
    ];
    for (value, band) in velocity {
        assert_eq!(Severity::of_velocity(value), band, "velocity {value}");
    }
    for (value, band) in ttf {
        assert_eq!(Severity::of_ttf(value), band, "time to failure {value}");
    }
    for (value, band) in stability {
        assert_eq!(Severity::of_stability(value), band, "stability {value}");
    }
}

fn reading(drift_velocity_ppm: u32, ttf_ticks: u32, stability_ppm: u32) -> Reading {
    Reading { drift_velocity_ppm, ttf_ticks, stability_ppm, ..Reading::default() }
}

/// One value of each band for each measure: 64 readings.
#[test]
fn the_worst_of_the_three_decides() {
    let bands = [Mild, Moderate, Severe, Critical];
    for (v, velocity) in [0, 200_000, 400_000, 600_000].into_iter().enumerate() {
        for (t, ttf) in [100, 45, 20, 5].into_iter().enumerate() {
            for (s, stability) in [900_000, 600_000, 400_000, 100_000].into_iter().enumerate() {
                assert_eq!(reading(velocity, ttf, stability).severity(), bands[v.max(t).max(s)]);
            }
        }
    }
}

#[test]
fn drift_begins_where_recovery_ends() {
    assert!(!reading(49_999, 61, 800_001).drifts());
    assert!(reading(50_000, 61, 800_001).drifts());
    assert!(reading(49_999, 61, 800_000).drifts());
    assert!(reading(49_999, 60, 800_001).drifts());
    assert!(reading(49_999, 60, 800_001).is_stable(), "time to failure is no criterion of section 4.2");
}

#[test]
fn the_worst_of_a_tick_counts_in_any_order() {
    let values = [
        reading(0, 100, 900_000),
        reading(49_999, 61, 800_001),
        reading(10_000, 100, 800_000),
        reading(90_000, 100, 900_000),
        reading(0, 20, 900_000),
        reading(0, 100, 10),
    ];
    for one in values {
        for two in values {
            let both = one.merged(two);
            assert_eq!(both, two.merged(one));
            assert_eq!(both.merged(one), both);
            assert_eq!(both.severity(), one.severity().max(two.severity()));
            assert_eq!(both.drifts(), one.drifts() || two.drifts());
            assert_eq!(both.is_stable(), one.is_stable() && two.is_stable());
        }
        assert!(one.merged(Reading { phi_heard: true, ..values[0] }).phi_heard);
    }
}
