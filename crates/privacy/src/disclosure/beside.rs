//! What a measure says beside earlier ones of the same persons, whatever columns they are of.
//!
//! Who asks can make a group of persons for whom two numbers are the same, or one follows from the other, and add somebody for whom
//! they differ if a condition holds: then two means tell whether it does. So what earlier measures do not say of a measure, by least
//! squares, must be of at least k persons, and counts within the fences of [`super::spread`]. It is looked at in the buckets of their
//! [sketches](super::sketch), of which one person is in one.

use roaring::{RoaringBitmap, RoaringTreemap};
use rusqlite::params;

use super::Error;
use super::known::may_be_near;
use super::persons::{Contribution, folded, people, persons_between};
use super::releases::{Cell, Table, Work, decoded};
use super::rest::{Both, Common};
use super::several::{pursued, within};
use super::sketch::{BUCKETS, Sketch, bucket};
use super::spread::{counted, fences, one_row_each, shown, within_fences};
use super::unsaid::{BEYOND, each, unsaid};

/// So many buckets there are at least for each column that is fitted.
const PERSONS_FOR_EACH: usize = 4;

/// An earlier mean or deviation: whose it is, what they contribute, and how that counts.
pub(super) struct Measured {
    /// How it is computed from which columns: what has one is added up.
    pub(super) of: String,
    pub(super) print: RoaringTreemap,
    pub(super) people: RoaringBitmap,
    common: Option<Common>,
    pub(super) sketch: Sketch,
    pub(super) held: Sketch,
}

/// How a measure is computed from which columns.
pub(super) fn computed(measure: &str, atom: &str) -> String {
    format!("{measure} {atom}")
}

impl Work<'_> {
    /// Earlier means and deviations, of whatever columns.
    pub(super) fn measured(&self, table: &Table) -> Result<Vec<Measured>, Error> {
        let of_persons = |measure: &str| {
            let other = [
                super::CURVE_OF,
                super::MODEL_OF,
                super::FEW_OF_MODEL,
                super::COUNT_OF_STEPS,
            ];
            !measure.is_empty() && !other.iter().any(|of| measure.starts_with(of))
        };
        if !of_persons(&table.measure) {
            return Ok(Vec::new());
        }
        let mut statement = self.transaction.prepare_cached(
            "SELECT measure, atom, footprint, held, sketch, rest FROM number_set
             WHERE snapshot >= ?1 AND snapshot < ?2 AND principal = ?3 AND measure <> '' ORDER BY id",
        )?;
        let (from, to) = self.reader.of_store();
        let mut rows = statement.query(params![from, to, self.reader.principal])?;
        let mut sets = Vec::new();
        while let Some(row) = rows.next()? {
            let measure: String = row.get(0)?;
            if !of_persons(&measure) {
                continue;
            }
            let common = Common::from_bytes(&row.get::<_, Vec<u8>>(5)?)?;
            let of = |at: usize| Sketch::from_bytes(&row.get::<_, Vec<u8>>(at)?);
            if let Some(sketch) = of(4)? {
                let print = decoded(&row.get::<_, Vec<u8>>(2)?)?;
                sets.push(Measured {
                    of: computed(&measure, &row.get::<_, String>(1)?),
                    people: people(&print),
                    print,
                    // Kept where it is not what they contribute.
                    held: of(3)?.unwrap_or_else(|| sketch.clone()),
                    sketch,
                    common,
                });
            }
        }
        Ok(sets)
    }

    /// Whether a measure says more of enough persons than earlier ones of nearly the same persons. No more counts of anybody than of
    /// others.
    pub(super) fn says_more(
        &self,
        cell: &mut Cell,
        print: &RoaringTreemap,
        measured: &[Measured],
    ) -> bool {
        let k = u64::from(self.profile.k);
        let (Some(sketch), Some(held)) = (&cell.sketch, &cell.held) else {
            return true;
        };
        let about = |other: &RoaringTreemap| {
            other.len().abs_diff(print.len()) < k && may_be_near(print, other, k)
        };
        let near = measured.iter().filter(|other| about(&other.print));
        let near = near.map(|other| Earlier {
            sketch: &other.sketch,
            held: &other.held,
            between: persons_between(print, &other.print),
        });
        let near: Vec<Earlier<'_>> = near.filter(|other| other.between < k).collect();
        let own_common = cell.common.as_ref();
        let padded = measured.iter().flat_map(|other| {
            let sets = [(print, own_common), (&other.print, other.common.as_ref())];
            let far = persons_between(print, &other.print) >= k;
            let both = Both::of(sets, k).into_iter();
            both.filter(move |both| both.by_value || far)
                .map(move |both| (other, both))
        });
        let padded: Vec<(&Measured, Both)> = padded.collect();
        let inner = within(print, measured, k);
        if near.is_empty() && padded.is_empty() && inner.is_empty() {
            return true;
        }
        // As they are compared.
        let contributions = cell.persons.contributions();
        let by_rows = counted(contributions, self.profile);
        let contributions = one_row_each(contributions, &by_rows);
        let own = one_row_each(&by_rows, &by_rows);
        let mut counted = within_fences(&own, self.profile);
        if !near.is_empty() {
            let new = New {
                sketch,
                held,
                counted: &counted,
            };
            let Some(beside) = beside(new, &near, k) else {
                return false;
            };
            counted = within_fences(&beside, self.profile);
        }
        if !inner.is_empty() {
            let new = New {
                sketch,
                held: &held.of_others(&counted),
                counted: &counted,
            };
            let some = pursued(new, &inner);
            let Some(beside) = beside_each(new, &[&some], k) else {
                return false;
            };
            counted = within_fences(&beside, self.profile);
        }
        // Without those of one value who are in one of them alone: of these, a mean says how many they are.
        for (other, both) in &padded {
            let [own_left_out, left_out] = &both.left_out;
            let people = people(&own_left_out.persons);
            let stays = |entry: &Contribution| !people.contains(folded(entry.person));
            let kept: Vec<Contribution> = counted.iter().copied().filter(stays).collect();
            let raw: Vec<Contribution> = contributions.iter().copied().filter(stays).collect();
            let new = New {
                sketch: &sketch.of_others(&raw),
                held: &held.of_others(&kept),
                counted: &kept,
            };
            let earlier = Earlier {
                sketch: &left_out.of_others(&other.sketch),
                held: &left_out.of_others(&other.held),
                between: both.apart,
            };
            let Some(beside) = beside(new, &[earlier], k) else {
                return false;
            };
            let mut beside = beside.into_iter();
            for entry in counted.iter_mut().filter(|entry| stays(entry)) {
                *entry = beside.next().unwrap_or(*entry);
            }
        }
        let counted = within_fences(&counted, self.profile);
        let Some((mean, deviation)) = shown(&own, &counted, self.profile) else {
            return false;
        };
        cell.held = Some(held.of_others(&counted));
        for (name, value) in &mut cell.values {
            if name.starts_with(super::MEAN) {
                *value = Some(mean);
            } else if name.starts_with(super::DEVIATION) {
                *value = deviation;
            }
        }
        true
    }
}

/// An earlier measure: what persons contribute, how it counts, and how many persons tell its persons from those of the new one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Earlier<'a> {
    pub(super) sketch: &'a Sketch,
    pub(super) held: &'a Sketch,
    pub(super) between: u64,
}

/// A new measure: what persons contribute, and how it counts, as a sketch too.
#[derive(Debug, Clone, Copy)]
pub(super) struct New<'a> {
    pub(super) sketch: &'a Sketch,
    pub(super) held: &'a Sketch,
    pub(super) counted: &'a [Contribution],
}

/// What persons contribute to a measure, where nobody is farther from what earlier ones say of it than k others. Nothing where fewer
/// than k persons contribute anything that they do not say.
pub(super) fn beside(new: New<'_>, earlier: &[Earlier<'_>], k: u64) -> Option<Vec<Contribution>> {
    let first = first_of(new, earlier, k);
    beside_each(new, &lists(&first, earlier), k)
}

/// The same of what is known to be new.
pub(super) fn held_beside(
    new: New<'_>,
    earlier: &[Earlier<'_>],
    k: u64,
) -> Option<Vec<Contribution>> {
    let first = first_of(new, earlier, k);
    held_beside_each(new, &lists(&first, earlier), k)
}

/// As many as there are persons for, those that say most.
fn first_of<'a>(new: New<'_>, earlier: &[Earlier<'a>], k: u64) -> Vec<Earlier<'a>> {
    let buckets = Buckets::of(new.counted);
    let mut first = earlier.to_vec();
    first.sort_by_cached_key(|of| {
        let said: Vec<&[(f64, f64)]> = of.sketch.measures().collect();
        let left = new.sketch.measures().next();
        let left = left.map_or(0.0, |own| {
            buckets.left_by(own, &said, few_beside(&[*of], k))
        });
        // In the order of numbers that are not negative.
        left.to_bits()
    });
    first.truncate(buckets.room() / 2);
    first
}

/// Several together, and each by itself.
fn lists<'a, 'b>(together: &'b [Earlier<'a>], each: &'b [Earlier<'a>]) -> Vec<&'b [Earlier<'a>]> {
    let together = Some(together).filter(|several| several.len() > 1);
    together.into_iter().chain(each.chunks(1)).collect()
}

/// The same beside each of these lists of earlier ones.
pub(super) fn beside_each(
    new: New<'_>,
    earlier: &[&[Earlier<'_>]],
    k: u64,
) -> Option<Vec<Contribution>> {
    let buckets = Buckets::of(new.counted);
    for some in earlier {
        let said: Vec<&Sketch> = some.iter().map(|of| of.sketch).collect();
        let few = few_beside(some, k);
        // In small groups persons who share a bucket are not told apart.
        let wanted = few.min(buckets.live.len() as u64);
        if buckets.news(new.sketch, &said, few) < wanted {
            return None;
        }
    }
    held_beside_each(new, earlier, k)
}

/// So many persons are few beside earlier measures.
fn few_beside(earlier: &[Earlier<'_>], k: u64) -> u64 {
    k + earlier.iter().map(|of| of.between).max().unwrap_or(0)
}

fn held_beside_each(new: New<'_>, earlier: &[&[Earlier<'_>]], k: u64) -> Option<Vec<Contribution>> {
    let buckets = Buckets::of(new.counted);
    let few = |some: &[Earlier<'_>]| few_beside(some, k);
    let whole = new.held.measures().next().map(|of| buckets.sums(of))?;
    let mut left = whole.clone();
    for some in earlier {
        let said = some.iter().flat_map(|of| of.held.measures());
        let columns: Vec<Vec<f64>> = said.map(|of| buckets.sums(of)).collect();
        let unsaid = buckets.unsaid(&left, &columns, few(some));
        let each: Vec<f64> = buckets.each(&unsaid);
        let (low, high) = fences(&each, few(some), BEYOND);
        for ((left, each), unit) in left.iter_mut().zip(&each).zip(&buckets.units) {
            *left += (each.clamp(low, high) - each) * unit;
        }
    }
    // What earlier ones say of a bucket that is unlike those they were fitted to may be anything: nobody is moved to where few are.
    let means = each(&whole, &buckets.rows);
    let (low, high) = fences(&means, k, 0.0);
    // What is beyond is taken off all rows of a bucket: mostly it is one person.
    let mut moved = vec![0.0; BUCKETS];
    for (at, bucket) in buckets.live.iter().enumerate() {
        if left[at] != whole[at] {
            moved[*bucket] = (left[at] / buckets.rows[at]).clamp(low, high) - means[at];
        }
    }
    let counted = new.counted.iter().map(|entry| {
        let by = moved[bucket(entry.person)];
        let rows = entry.rows as f64;
        Contribution {
            sum: entry.sum + rows * by,
            squares: entry.squares + 2.0 * by * entry.sum + rows * by * by,
            ..*entry
        }
    });
    Some(counted.collect())
}

/// The buckets that somebody is in.
pub(super) struct Buckets {
    pub(super) live: Vec<usize>,
    pub(super) rows: Vec<f64>,
    /// A bucket of many persons is farther from what is said of it than one of few, by their square root.
    units: Vec<f64>,
}

impl Buckets {
    pub(super) fn of(contributions: &[Contribution]) -> Self {
        let (mut rows, mut persons) = (vec![0.0; BUCKETS], vec![0.0_f64; BUCKETS]);
        for entry in contributions {
            rows[bucket(entry.person)] += entry.rows as f64;
            persons[bucket(entry.person)] += 1.0;
        }
        let live: Vec<usize> = (0..BUCKETS).filter(|at| rows[*at] > 0.0).collect();
        Self {
            rows: live.iter().map(|at| rows[*at]).collect(),
            units: live
                .iter()
                .map(|at| rows[*at] / persons[*at].sqrt())
                .collect(),
            live,
        }
    }

    /// So many columns can be fitted.
    pub(super) fn room(&self) -> usize {
        (self.live.len() / PERSONS_FOR_EACH).saturating_sub(1)
    }

    pub(super) fn sums(&self, measure: &[(f64, f64)]) -> Vec<f64> {
        self.live.iter().map(|at| measure[*at].0).collect()
    }

    fn each(&self, sums: &[f64]) -> Vec<f64> {
        each(sums, &self.units)
    }

    fn unsaid(&self, sums: &[f64], columns: &[Vec<f64>], few: u64) -> Vec<f64> {
        unsaid(sums, columns, &self.rows, &self.units, few)
    }

    /// How much earlier measures leave of a new one.
    fn left_by(&self, own: &[(f64, f64)], said: &[&[(f64, f64)]], few: u64) -> f64 {
        let columns: Vec<Vec<f64>> = said.iter().map(|of| self.sums(of)).collect();
        let unsaid = self.each(&self.unsaid(&self.sums(own), &columns, few));
        let mut squares: Vec<f64> = unsaid.iter().map(|left| left * left).collect();
        squares.sort_unstable_by(f64::total_cmp);
        // Of most buckets: one person's would say which of them it is.
        squares.iter().take(squares.len() / 2).sum()
    }

    /// In how many buckets earlier measures and their squares do not say what a new one is, or its squares.
    pub(super) fn news(&self, own: &Sketch, earlier: &[&Sketch], few: u64) -> u64 {
        let said: Vec<&[(f64, f64)]> = earlier.iter().flat_map(|of| of.measures()).collect();
        let columns: Vec<Vec<f64>> = said.iter().map(|of| self.sums(of)).collect();
        let news = own.measures().map(|own| {
            let sums = self.sums(own);
            let unsaid = self.unsaid(&sums, &columns, few);
            let scale = |of: &Vec<f64>| length(&sums, &self.rows) / length(of, &self.rows);
            let scales: Vec<f64> = columns.iter().map(scale).collect();
            // As far as the sums of both may be off.
            let off = |bucket: usize| {
                let others = said.iter().zip(&scales);
                let others = others.map(|(of, scale)| of[bucket].1 * scale);
                own[bucket].1 + others.filter(|off| !off.is_nan()).sum::<f64>()
            };
            let each = self.live.iter().zip(&unsaid);
            each.filter(|(bucket, unsaid)| unsaid.abs() > off(**bucket))
                .count() as u64
        });
        news.min().unwrap_or(0)
    }
}

/// How far sums are from their mean.
fn length(sums: &[f64], rows: &[f64]) -> f64 {
    let mean = sums.iter().sum::<f64>() / rows.iter().sum::<f64>();
    let squares = sums
        .iter()
        .zip(rows)
        .map(|(sum, rows)| (sum - mean * rows).powi(2));
    squares.sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn of(persons: u32, value: impl Fn(u32) -> f64) -> Vec<Contribution> {
        let all = (0..persons).map(|at| Contribution::of(at.into(), value(at)));
        all.collect()
    }

    fn said(own: &[Contribution], earlier: &[&[Contribution]], k: u64) -> Option<f64> {
        let sketches: Vec<Sketch> = earlier.iter().map(|of| Sketch::of(of, 0.0)).collect();
        let earlier = sketches.iter().map(|sketch| Earlier {
            sketch,
            held: sketch,
            between: 0,
        });
        let earlier: Vec<Earlier<'_>> = earlier.collect();
        let sketch = &Sketch::of(own, 0.0);
        let new = New {
            sketch,
            held: sketch,
            counted: own,
        };
        let shown = beside(new, &earlier, k)?;
        Some(shown.iter().map(|entry| entry.sum).sum::<f64>() / own.len() as f64)
    }

    fn first(at: u32) -> f64 {
        f64::from(at * 37 % 61)
    }

    fn other(at: u32) -> f64 {
        f64::from(at * 53 % 89)
    }

    /// Two numbers that are the same for all but a few, at any scale, and one that follows from two others.
    #[test]
    fn what_few_add_to_earlier_numbers_is_not_shown() {
        for persons in [40, 92, 300, 5_000] {
            for few in [0, 1, 2, 9] {
                let differs = |at: u32| if at < few { 25.0 + f64::from(at) } else { 0.0 };
                let one = of(persons, first);
                let same = of(persons, |at| 3.0 - 2.0 * first(at) + differs(at));
                assert_eq!(said(&same, &[&one], 10), None, "{few} of {persons}");
                let two = of(persons, other);
                let both = of(persons, |at| first(at) + other(at) + differs(at));
                assert_eq!(said(&both, &[&one, &two], 10), None, "{few} of {persons}");
            }
        }
    }

    /// Where others differ a little, one who differs much does not more than they.
    #[test]
    fn nobody_differs_more_than_k_others() {
        for persons in [92, 300, 5_000] {
            let near = |at: u32| first(at) + f64::from(at * 29 % 3);
            let one = of(persons, first);
            let without = said(&of(persons, near), &[&one], 10).unwrap();
            let far = |at: u32| if at == 7 { near(at) + 1e4 } else { near(at) };
            let with = said(&of(persons, far), &[&one], 10).unwrap();
            let most = 4.0 * f64::from(persons.div_ceil(256)) / f64::from(persons);
            assert!(
                (with - without).abs() <= most,
                "{persons}: {with} {without}"
            );
        }
    }

    /// So are those of the smallest groups.
    #[test]
    fn small_groups_have_several_numbers() {
        for persons in [10, 11, 14, 20] {
            let one = of(persons, first);
            assert!(
                said(&of(persons, other), &[&one], 10).is_some(),
                "{persons}"
            );
            let same = of(persons, |at| first(at) + if at == 3 { 9.0 } else { 0.0 });
            assert_eq!(said(&same, &[&one], 10), None, "{persons}");
        }
    }

    /// A number of few persons, some of whom are far from all others, says nothing of others: nobody is moved far by it.
    #[test]
    fn numbers_of_few_move_nobody_far() {
        for persons in [300, 5_000] {
            let own = of(persons, other);
            let mean = own.iter().map(|entry| entry.sum).sum::<f64>() / f64::from(persons);
            for few in [12, 40, 120] {
                let skewed = of(few, |at| (f64::from(at) / 4.0).exp());
                let shown = said(&own, &[&skewed], 10).unwrap();
                assert!(
                    (mean - shown).abs() < 2.0,
                    "{persons}, {few}: {mean} {shown}"
                );
            }
        }
    }

    /// A number that others do not say is what it is.
    #[test]
    fn other_numbers_stay() {
        for persons in [92, 300, 5_000] {
            let (one, two) = (
                of(persons, first),
                of(persons, |at| f64::from(at * 71 % 83)),
            );
            let own = of(persons, other);
            let mean = own.iter().map(|entry| entry.sum).sum::<f64>() / f64::from(persons);
            let shown = said(&own, &[&one, &two], 10).unwrap();
            assert!((mean - shown).abs() < 0.5, "{persons}: {mean} {shown}");
        }
    }
}
