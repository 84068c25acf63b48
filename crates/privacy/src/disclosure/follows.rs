//! Means and deviations that follow from others of the same rows by the words of the queries.
//!
//! A total of groups is the number of those who are in groups that are shown. Fewer than k persons may be more or less, or nobody: it
//! is the same number, and nobody learns which by it, nor by whether there is one. The last group of a total that is known is empty
//! instead: what the others leave of the total has in it whoever is in no group that is listed, and may lie where no value of the
//! group does.

use roaring::RoaringTreemap;

use super::persons::Contribution;
use super::persons::low;
use super::profile::Profile;
use super::releases::Cell;
use super::sketch::Sketch;
use super::spread::{counted, rounded};

/// One of the numbers that another follows from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part<'a> {
    /// Whose rows.
    pub(super) print: &'a RoaringTreemap,
    /// What counts of them, and of their squares.
    pub(super) held: &'a Sketch,
    /// How often it is added.
    pub(super) factor: f64,
}

/// Mean and deviation over the rows of several numbers together; nothing where there are none.
pub(super) fn followed(parts: &[Part<'_>], profile: &Profile) -> Option<(f64, f64)> {
    let (mut rows, mut sum, mut squares) = (0.0, 0.0, 0.0);
    for part in parts {
        let mut totals = part
            .held
            .measures()
            .map(|buckets| buckets.iter().map(|(sum, _)| sum).sum::<f64>());
        rows += part.factor * rows_counted(part.print, profile);
        sum += part.factor * totals.next()?;
        squares += part.factor * totals.next()?;
    }
    (rows >= f64::from(profile.k)).then(|| rounded(rows, sum, squares))
}

/// How many rows count, as in means.
fn rows_counted(print: &RoaringTreemap, profile: &Profile) -> f64 {
    let all = print.iter().map(|element| Contribution {
        rows: element >> 32,
        ..Contribution::of(low(element).into(), 0.0)
    });
    let all: Vec<Contribution> = all.collect();
    let each = counted(&all, profile).into_iter();
    each.map(|entry| entry.rows as f64).sum()
}

/// Puts what follows in the place of a group's own numbers, where it has any.
pub(super) fn follow_with(cell: &mut Cell, numbers: Option<(f64, f64)>) {
    for (name, value) in &mut cell.values {
        let own = value.take();
        let number = match numbers {
            Some((mean, _)) if name.starts_with(super::MEAN) => Some(mean),
            Some((_, deviation)) if name.starts_with(super::DEVIATION) => Some(deviation),
            _ => None,
        };
        *value = own.and(number);
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::ops::Range;

    use super::*;
    use crate::disclosure::persons::footprint;
    use crate::disclosure::profile;

    fn value(person: i64) -> f64 {
        (person * 37 % 101) as f64
    }

    /// Whose rows, two of each, and what counts of them.
    fn group(members: Range<i64>) -> (RoaringTreemap, Sketch) {
        let all = members.map(|person| Contribution {
            person,
            rows: 2,
            sum: 2.0 * value(person),
            squares: 2.0 * value(person).powi(2),
        });
        let all: Vec<Contribution> = all.collect();
        (footprint(&all), Sketch::with_squares(&all, 0.0))
    }

    /// A total of two groups, and one of them of the total, are what they are by themselves.
    #[test]
    fn what_follows_is_the_number_of_those_who_are_left() {
        let sacro = profile("sacro").unwrap();
        let of = |groups: &[(Range<i64>, f64)]| {
            let groups = groups
                .iter()
                .map(|(members, factor)| (group(members.clone()), *factor));
            let groups: Vec<((RoaringTreemap, Sketch), f64)> = groups.collect();
            let parts = groups.iter().map(|((print, held), factor)| Part {
                print,
                held,
                factor: *factor,
            });
            followed(&parts.collect::<Vec<_>>(), &sacro)
        };
        let whole = of(&[(0..202, 1.0)]);
        // The numbers from 0 to 100, each of two persons: their mean is 50, and their deviation 29.15.
        assert_eq!(whole, Some((50.0, 29.0)));
        assert_eq!(of(&[(0..40, 1.0), (40..202, 1.0)]), whole);
        assert_eq!(of(&[(0..202, 1.0), (150..202, -1.0)]), of(&[(0..150, 1.0)]));
        assert_eq!(of(&[(0..150, 1.0), (0..148, -1.0)]), None);
    }
}
