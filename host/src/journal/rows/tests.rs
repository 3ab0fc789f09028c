use super::*;

fn steps(lengths: &[[usize; 3]]) -> Vec<[Vec<u8>; 3]> {
    let part = |index: usize, length| vec![index as u8; length];
    lengths.iter().enumerate().map(|(index, step)| step.map(|length| part(index, length))).collect()
}

fn cut(first: u64, steps: &[[Vec<u8>; 3]]) -> Vec<(u64, Vec<u8>)> {
    rows(first, steps.iter().map(|[a, b, c]| [a.as_slice(), b, c])).collect()
}

#[test]
fn what_goes_into_rows_comes_out() {
    let steps = steps(&[[1, 2, 3], [0, 0, 0], [70_000, 1, 1], [40_000, 5, 0], [20_000, 5, 0], [9_000, 1, 0]]);
    let rows: Vec<Row> = cut(7, &steps).iter().map(|(first, bytes)| Row::open(*first, bytes).unwrap()).collect();
    let ranges: Vec<_> = rows.iter().map(Row::range).collect();
    assert_eq!(ranges, [7..9, 9..10, 10..12, 12..13], "a long step is a row of its own, the others share");
    for row in &rows {
        for seq in row.range() {
            let expected = &steps[(seq - 7) as usize];
            for (part, bytes) in [Part::Input, Part::Receipt, Part::Record].into_iter().zip(expected) {
                assert_eq!(row.part(seq, part), Some(bytes.as_slice()), "{part:?} of {seq}");
            }
        }
        assert_eq!(row.part(row.range().end, Part::Input), None);
        assert_eq!(row.part(6, Part::Input), None);
    }
    assert_eq!(rows[2].steps_before(11).count(), 1);
    assert_eq!(rows[2].steps_before(99).count(), 2);
}

#[test]
fn no_steps_are_no_row() {
    assert_eq!(cut(0, &[]), []);
    assert!(Row::open(0, &0_u32.to_le_bytes()).is_err());
}

#[test]
fn any_change_of_a_length_is_damage() {
    let (_, row) = cut(3, &steps(&[[4, 5, 6], [7, 8, 9]])).remove(0);
    for byte in 0..header_bytes(2) {
        for bit in 0..8 {
            let mut changed = row.clone();
            changed[byte] ^= 1 << bit;
            let error = Row::open(3, &changed).unwrap_err();
            assert!(error.to_string().starts_with("row of steps from 3 on is damaged"), "{error}");
        }
    }
    assert!(Row::open(3, &row[..row.len() - 1]).is_err());
    assert!(Row::open(3, &[]).is_err());
}
