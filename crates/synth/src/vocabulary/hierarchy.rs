//! Ancestors of every concept, computed from the parents.

use std::collections::BTreeMap;

use super::all;

/// One row of `concept_ancestor`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ancestry {
    /// The concept above, or the concept itself.
    pub(crate) ancestor: i64,
    /// The concept below.
    pub(crate) descendant: i64,
    /// Levels along the shortest way.
    pub(crate) min_levels: i32,
    /// Levels along the longest way.
    pub(crate) max_levels: i32,
}

/// All pairs of ancestor and descendant, each concept with itself included, by descendant and ancestor.
pub(crate) fn ancestry() -> Vec<Ancestry> {
    let parents: BTreeMap<i64, &[i64]> =
        all().map(|concept| (concept.id, concept.parents)).collect();
    let mut rows = Vec::new();
    for &descendant in parents.keys() {
        let mut levels: BTreeMap<i64, (i32, i32)> = BTreeMap::new();
        let mut open = vec![(descendant, 0)];
        while let Some((concept, level)) = open.pop() {
            let seen = levels.entry(concept).or_insert((level, level));
            *seen = (seen.0.min(level), seen.1.max(level));
            for &parent in parents.get(&concept).copied().unwrap_or_default() {
                open.push((parent, level + 1));
            }
        }
        rows.extend(
            levels
                .into_iter()
                .map(|(ancestor, (min_levels, max_levels))| Ancestry {
                    ancestor,
                    descendant,
                    min_levels,
                    max_levels,
                }),
        );
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::ancestry;

    #[test]
    fn type_2_diabetes_has_the_levels_of_both_ways_up() {
        let of = |ancestor, descendant| {
            ancestry()
                .into_iter()
                .find(|row| (row.ancestor, row.descendant) == (ancestor, descendant))
                .map(|row| (row.min_levels, row.max_levels))
        };
        assert_eq!(of(201_826, 201_826), Some((0, 0)));
        assert_eq!(of(201_820, 201_826), Some((1, 1)));
        // Disease: through the endocrine disorders (3) or through metabolism (4).
        assert_eq!(of(4_274_025, 201_826), Some((3, 4)));
        assert_eq!(of(1_308_216, 19_080_128), Some((1, 1)));
        assert_eq!(of(201_826, 201_820), None);
    }
}
