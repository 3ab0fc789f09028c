use super::*;
use proptest::prelude::*;

fn of(own: &[i32], ancestor: &[i32]) -> Vec<i32> {
    blend(&Phi(own.into()), &Phi(ancestor.into())).0
}

fn normal_length(parts: &[i32], dimension: u32) -> bool {
    is_normal(&Phi(parts.into()), dimension)
}

#[test]
fn blend_is_seven_parts_own_and_three_parts_ancestor() {
    // (0.7, 0.3) / sqrt(0.58), to six places.
    assert_eq!(of(&[1_000_000, 0], &[0, 1_000_000]), [919_145, 393_919]);
    assert_eq!(of(&[1_000_000, 0], &[-1_000_000, 0]), [1_000_000, 0], "0.4 of the own direction is left");
    assert_eq!(of(&[600_000, -800_000], &[600_000, -800_000]), [600_000, -800_000]);
}

#[test]
fn a_vector_has_its_dimension_and_length_one() {
    assert!(normal_length(&[600_000, 800_000], 2));
    assert!(normal_length(&[1_000_999], 1));
    assert!(!normal_length(&[1_001_001], 1));
    assert!(!normal_length(&[998_999], 1));
    assert!(normal_length(&[999_000], 1));
    assert!(!normal_length(&[600_000, 800_000], 3));
    assert!(!normal_length(&[], 0));
    assert!(!normal_length(&[i32::MIN, i32::MAX], 2));
}

fn normal(dimension: usize) -> impl Strategy<Value = Vec<i32>> {
    let direction = prop::collection::vec(-1_000_i32..=1_000, dimension);
    direction.prop_filter_map("a direction", |parts| {
        let length = f64::from(parts.iter().map(|part| part * part).sum::<i32>()).sqrt();
        (length > 0.0).then(|| parts.iter().map(|part| (f64::from(*part) * 1e6 / length).round() as i32).collect())
    })
}

proptest! {
    /// The stated bound, against floating-point numbers.
    #[test]
    fn every_component_is_within_the_stated_error(
        (own, ancestor) in (1..=32_usize).prop_flat_map(|dimension| (normal(dimension), normal(dimension)))
    ) {
        let mix: Vec<f64> =
            own.iter().zip(&ancestor).map(|(own, other)| 0.7 * f64::from(*own) + 0.3 * f64::from(*other)).collect();
        let length = mix.iter().map(|part| part * part).sum::<f64>().sqrt();
        let blended = of(&own, &ancestor);
        for (is, exact) in blended.iter().zip(mix.iter().map(|part| part * 1e6 / length)) {
            prop_assert!((f64::from(*is) - exact).abs() <= 0.51, "{is} for {exact}");
        }
        prop_assert!(normal_length(&blended, own.len() as u32), "a blend can be blended again");
    }
}

#[test]
fn in_state_a_vector_is_four_bytes_a_component() {
    let bytes = postcard::to_allocvec(&Phi(vec![1, -2])).unwrap();
    assert_eq!(bytes, [8, 1, 0, 0, 0, 254, 255, 255, 255]);
    assert_eq!(postcard::from_bytes(&bytes), Ok(Phi(vec![1, -2])));
    assert!(postcard::from_bytes::<Phi>(&[3, 1, 0, 0]).is_err());
}
