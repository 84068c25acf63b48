//! The folds of a cross-validation: the same for the same rows, in whatever order they come.

/// The fold of a person: the same for the same key, wherever the row lies.
///
/// The key is mixed (SplitMix64, Steele et al. 2014) so that keys in sequence spread evenly.
pub fn fold_of_key(key: u64, folds: u32) -> u32 {
    let mut mixed = key.wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    u32::try_from((mixed ^ (mixed >> 31)) % u64::from(folds.max(1))).unwrap_or(0)
}

/// Folds for rows that nothing names: dealt out one by one in the order of the rows' values, the first column first.
///
/// With the outcome as first column, each fold has its share of every outcome. Rows that are equal in all columns can
/// stand for one another, so that their order does not matter either.
pub fn deal_folds(columns: &[&[f64]], folds: u32) -> Vec<u32> {
    let rows = columns.first().map_or(0, |column| column.len());
    let mut order: Vec<usize> = (0..rows).collect();
    order.sort_by(|a, b| {
        let compared = columns
            .iter()
            .map(|column| column[*a].total_cmp(&column[*b]));
        compared
            .into_iter()
            .find(|ordering| ordering.is_ne())
            .unwrap_or(std::cmp::Ordering::Equal)
    });
    let mut dealt = vec![0; rows];
    for (row, fold) in order.into_iter().zip((0..folds.max(1)).cycle()) {
        dealt[row] = fold;
    }
    dealt
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folds_are_of_similar_size() {
        let mut sizes = [0; 10];
        (0..10_000).for_each(|person| sizes[fold_of_key(person, 10) as usize] += 1);
        assert!(
            sizes.iter().all(|size| (850..1150).contains(size)),
            "{sizes:?}"
        );
        assert_eq!(fold_of_key(7, 0), 0);
    }

    #[test]
    fn dealt_folds_do_not_depend_on_the_order_of_rows() {
        let outcome = [0.0, 1.0, 0.0, 1.0, 1.0, 0.0, 0.0];
        let x = [3.0, 2.0, 1.0, 5.0, 2.5, -1.0, 8.0];
        let dealt = deal_folds(&[&outcome, &x], 3);
        assert_eq!(dealt, [2, 1, 1, 0, 2, 0, 0]);
        let backwards = |column: [f64; 7]| {
            let mut column = column;
            column.reverse();
            column
        };
        let mut again = deal_folds(&[&backwards(outcome), &backwards(x)], 3);
        again.reverse();
        assert_eq!(again, dealt);
        assert!(deal_folds(&[], 3).is_empty());
    }
}
