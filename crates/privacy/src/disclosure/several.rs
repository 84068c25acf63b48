//! What a measure says together with several others, of other persons and of whatever columns.
//!
//! Two measures may be the same for some persons, and the second be known of others: then their numbers together are that of all,
//! and tell of somebody who was added. Where all are within the persons of the new one, it is looked at beside them by least squares,
//! as beside others of the same persons; otherwise a sum of numbers of one measure, of which few persons are left, is held against
//! another measure of those whose sum it is.

use std::collections::BTreeMap;

use roaring::RoaringTreemap;

use super::beside::{Buckets, Earlier, Measured, New, computed};
use super::persons::{Contribution, low, people};
use super::releases::Table;
use super::sketch::Sketch;
use super::span::{Admitted, Span, Unit};
use super::unsaid::{left_beside, product};

/// So many measures of parts are looked at, those of most persons.
const INNER: usize = 200;

/// So many sums are looked for in one result.
const ASKED: usize = 20_000;

/// A measure of some of the persons, with how many rows they have.
pub(super) struct Inner {
    sketch: Sketch,
    held: Sketch,
    between: u64,
}

/// The measures of at least `k` of these persons, and of fewer others, who are not nearly all of them.
pub(super) fn within(print: &RoaringTreemap, measured: &[Measured], k: u64) -> Vec<Inner> {
    let persons = people(print);
    let mut inner: Vec<(u64, &Measured)> = measured
        .iter()
        .filter(|other| other.people.len() < persons.len().saturating_add(k))
        .map(|other| (persons.intersection_len(&other.people), other))
        .filter(|(both, other)| {
            *both >= k && other.people.len() - both < k && persons.len() - both >= k
        })
        .collect();
    inner.sort_by_key(|(both, _)| std::cmp::Reverse(*both));
    inner.truncate(INNER);
    let of = |(both, other): (u64, &Measured)| Inner {
        sketch: other.sketch.with_rows(&other.print),
        held: other.held.with_rows(&other.print),
        between: other.people.len() - both,
    };
    inner.into_iter().map(of).collect()
}

/// Those of which a new measure is most nearly a sum, one after the other, as many as there are persons for.
pub(super) fn pursued<'a>(new: New<'_>, inner: &'a [Inner]) -> Vec<Earlier<'a>> {
    let buckets = Buckets::of(new.counted);
    let mut room = buckets.room();
    let rest = |column: &[f64], basis: &[Vec<f64>]| -> Option<Vec<f64>> {
        let left = left_beside(column, basis);
        let length = product(&left, &left).sqrt();
        let some = length > 1e-9 * product(column, column).sqrt();
        some.then(|| left.into_iter().map(|x| x / length).collect())
    };
    let mut basis: Vec<Vec<f64>> = rest(&buckets.rows, &[]).into_iter().collect();
    let Some(own) = new.sketch.measures().next().map(|own| buckets.sums(own)) else {
        return Vec::new();
    };
    let mut left: Vec<(Vec<Vec<f64>>, &Inner)> = inner
        .iter()
        .map(|of| {
            (
                of.sketch.measures().map(|of| buckets.sums(of)).collect(),
                of,
            )
        })
        .collect();
    let mut found = Vec::new();
    while let Some(columns) = left.first().map(|(columns, _)| columns.len())
        && columns <= room
    {
        let gain = |columns: &Vec<Vec<f64>>| {
            let mut with = basis.clone();
            for column in columns {
                with.extend(rest(column, &with));
            }
            let gained = with[basis.len()..].iter();
            let gained: f64 = gained.map(|of| product(of, &own).powi(2)).sum();
            (gained, with)
        };
        let gains = left
            .iter()
            .enumerate()
            .map(|(at, (columns, _))| (at, gain(columns)));
        let best = gains.max_by(|a, b| a.1.0.total_cmp(&b.1.0));
        let Some((at, (_, with))) = best else {
            break;
        };
        let (_, of) = left.swap_remove(at);
        basis = with;
        room -= columns;
        found.push(Earlier {
            sketch: &of.sketch,
            held: &of.held,
            between: of.between,
        });
    }
    found
}

/// Sums of numbers of each measure.
pub(super) struct Sums<'a> {
    measured: &'a [Measured],
    cells: usize,
    /// Of the new measure, the earlier ones of which come after the new groups, and those of others after them.
    own: Option<(Span, Vec<usize>, Vec<usize>)>,
    /// Of each other measure, the earlier ones of which come after the new groups.
    others: Vec<(Span, Vec<usize>)>,
    left: usize,
    k: u64,
}

impl<'a> Sums<'a> {
    pub(super) fn of(
        table: &Table,
        prints: &[Option<RoaringTreemap>],
        measured: &'a [Measured],
        k: u32,
    ) -> Self {
        let none = RoaringTreemap::new();
        let cells = || prints.iter().map(|print| print.as_ref().unwrap_or(&none));
        let span = |sets: &[usize], asked: &[usize]| {
            let earlier = sets.iter().chain(asked).map(|at| &measured[*at].print);
            let all = cells().chain(earlier).map(|print| (print, Unit::Person));
            let mut span = Span::new(&all.collect::<Vec<_>>(), k);
            (cells().count()..)
                .take(sets.len())
                .for_each(|at| span.take(&[at]));
            span
        };
        let own = computed(&table.measure, &table.atom);
        let mut by_measure: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (at, of) in measured.iter().enumerate() {
            by_measure.entry(&of.of).or_default().push(at);
        }
        let same = by_measure.remove(own.as_str()).unwrap_or_default();
        let rest: Vec<usize> = by_measure.values().flatten().copied().collect();
        let several = same.len() + prints.len() > 1 && !rest.is_empty();
        let others = by_measure.into_values().filter(|sets| sets.len() > 1);
        Self {
            measured,
            cells: prints.len(),
            others: others.map(|sets| (span(&sets, &[]), sets)).collect(),
            own: several.then(|| (span(&same, &rest), same, rest)),
            left: ASKED,
            k: u64::from(k),
        }
    }

    /// Whether a group's measure, or one of others with it, follows from a sum of numbers of another measure, but for few persons.
    pub(super) fn tell(&mut self, at: usize, table: &Table, print: &RoaringTreemap) -> bool {
        let Some(sketch) = &table.cells[at].sketch else {
            return false;
        };
        let (measured, k) = (self.measured, self.k);
        for (span, sets) in &mut self.others {
            let of = |set: usize| {
                set.checked_sub(self.cells)
                    .map(|at| &measured[sets[at]].sketch)
            };
            if let Admitted::Follows { left, from } = span.asked(at)
                && from.len() > 1
                && follows(sketch, print, &sum(&from, of), k + left)
            {
                return true;
            }
        }
        let Some((span, sets, rest)) = &mut self.own else {
            return false;
        };
        span.take(&[at]);
        let first = self.cells + sets.len();
        for (place, other) in (first..).zip(rest.iter()) {
            if self.left == 0 {
                break;
            }
            self.left -= 1;
            let of = |set: usize| match set.checked_sub(self.cells) {
                Some(at) => sets.get(at).map(|at| &measured[*at].sketch),
                None => table.cells[set].sketch.as_ref(),
            };
            let other = &measured[*other];
            if let Admitted::Follows { left, from } = span.asked(place)
                && from.len() > 1
                && from.iter().any(|(set, _)| *set == at)
                && follows(&other.sketch, &other.print, &sum(&from, of), k + left)
            {
                return true;
            }
        }
        false
    }
}

/// What persons contribute to several numbers together.
fn sum<'a>(from: &[(usize, f64)], of: impl Fn(usize) -> Option<&'a Sketch>) -> Sketch {
    let numbers = from
        .iter()
        .filter_map(|(set, factor)| Some((of(*set)?, *factor)));
    Sketch::combined(&numbers.collect::<Vec<_>>())
}

/// Whether a sum says of all but few of these persons what they contribute.
fn follows(own: &Sketch, print: &RoaringTreemap, sum: &Sketch, few: u64) -> bool {
    let theirs = print.iter().map(|element| Contribution {
        rows: element >> 32,
        ..Contribution::of(low(element).into(), 0.0)
    });
    let buckets = Buckets::of(&theirs.collect::<Vec<_>>());
    buckets.news(own, &[sum], few) < few.min(buckets.live.len() as u64)
}
