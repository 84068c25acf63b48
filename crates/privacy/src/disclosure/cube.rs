//! A result with several levels of grouping as numbers and equations: margins are the sums of their cells.

use std::collections::{BTreeMap, BTreeSet};

use super::bounds::Equation;

/// Where a number stands: the value of each grouping expression that it is broken down by.
pub type Dims = BTreeMap<String, String>;

/// The equations between numbers at these places: each margin with its cells on the next finer levels.
///
/// A level is the set of its expressions; all numbers of a level must be there, those that are withheld included.
#[must_use]
pub fn equations(places: &[Dims]) -> Vec<Equation> {
    let mut levels: BTreeMap<BTreeSet<&str>, Vec<usize>> = BTreeMap::new();
    for (at, dims) in places.iter().enumerate() {
        let level: BTreeSet<&str> = dims.keys().map(String::as_str).collect();
        levels.entry(level).or_default().push(at);
    }
    let mut equations = Vec::new();
    for (coarse, margins) in &levels {
        let finer: Vec<&BTreeSet<&str>> = levels
            .keys()
            .filter(|level| level.len() > coarse.len() && level.is_superset(coarse))
            .collect();
        // A level between the two says the same in two steps.
        let next = finer.iter().filter(|level| {
            !finer
                .iter()
                .any(|between| between.len() < level.len() && level.is_superset(between))
        });
        for level in next {
            let mut cells: BTreeMap<Vec<&str>, Vec<usize>> = BTreeMap::new();
            for at in &levels[*level] {
                cells
                    .entry(projected(&places[*at], coarse))
                    .or_default()
                    .push(*at);
            }
            for margin in margins {
                if let Some(cells) = cells.remove(&projected(&places[*margin], coarse)) {
                    equations.push(Equation {
                        margin: *margin,
                        cells,
                        shared: false,
                    });
                }
            }
        }
    }
    equations
}

fn projected<'a>(dims: &'a Dims, level: &BTreeSet<&str>) -> Vec<&'a str> {
    dims.iter()
        .filter(|(name, _)| level.contains(name.as_str()))
        .map(|(_, value)| value.as_str())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(parts: &[(&str, &str)]) -> Dims {
        parts
            .iter()
            .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
            .collect()
    }

    #[test]
    fn a_cube_has_an_equation_for_each_margin_and_direction() {
        let mut places = vec![place(&[])];
        for a in ["1", "2"] {
            places.push(place(&[("a", a)]));
            for b in ["x", "y", "z"] {
                places.push(place(&[("a", a), ("b", b)]));
            }
        }
        for b in ["x", "y", "z"] {
            places.push(place(&[("b", b)]));
        }
        let equations = equations(&places);
        // The total by a and by b, each a by b, each b by a.
        assert_eq!(equations.len(), 2 + 2 + 3);
        let of_total: Vec<usize> = equations
            .iter()
            .filter(|equation| equation.margin == 0)
            .map(|equation| equation.cells.len())
            .collect();
        assert_eq!(of_total, [2, 3]);
    }

    #[test]
    fn without_levels_between_the_total_is_the_sum_of_the_finest() {
        let places = [
            place(&[]),
            place(&[("a", "1"), ("b", "1")]),
            place(&[("a", "2"), ("b", "1")]),
        ];
        assert_eq!(
            equations(&places),
            [Equation {
                margin: 0,
                cells: vec![1, 2],
                shared: false,
            }]
        );
    }
}
