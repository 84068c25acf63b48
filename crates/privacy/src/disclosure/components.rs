//! Into which models of fewer persons one falls apart.
//!
//! Each person is a row of a model's matrix. Where the rows of some persons have no direction in common with those of the others,
//! both have parameters of their own: the model is two, and either is that of its own persons, whoever the others are. So it is
//! where few rows, or small parts of rows, have both. Persons who have no parameter in common are found by a basis of rows: each
//! other row is a sum of some of these, which it ties to each other.

use super::parts::Columns;

/// What a row has of another one, smaller than this, ties it to nothing: of a column that is so much finer next to nothing is said.
const TIED: f64 = 0.05;

/// What is left of a row beside others, larger than this, is a good direction, and what is smaller than the other is rounding.
const LEFT: [f64; 2] = [0.3, 1e-7];

/// So many persons are looked through for good directions.
const GOOD: usize = 4_096;

/// Persons who have parameters of their own.
#[derive(Debug, PartialEq)]
pub(super) struct Component {
    pub(super) persons: Vec<usize>,
    /// How many parameters.
    pub(super) rank: usize,
}

/// Rows, and how others are sums of them.
#[derive(Debug, Default)]
struct Basis {
    rows: Vec<usize>,
    /// What is left of each beside those before it, where that is largest, and which sum of rows it is.
    reduced: Vec<(Vec<f64>, usize, Vec<f64>)>,
}

impl Basis {
    /// What is left of a row, and how much of each of these rows it has.
    fn sum_of(&self, row: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let mut left = row.to_vec();
        let mut sum = vec![0.0; self.rows.len()];
        for (reduced, pivot, of) in &self.reduced {
            let factor = left[*pivot] / reduced[*pivot];
            left.iter_mut()
                .zip(reduced)
                .for_each(|(left, of)| *left -= factor * of);
            sum.iter_mut()
                .zip(of)
                .for_each(|(sum, of)| *sum += factor * of);
        }
        (left, sum)
    }

    /// Takes a row in that is no sum of the others, but for so little.
    fn add(&mut self, at: usize, row: &[f64], least: f64) {
        let (left, sum) = self.sum_of(row);
        let size = |of: &(usize, &f64)| of.1.abs();
        let largest = left
            .iter()
            .enumerate()
            .max_by(|a, b| size(a).total_cmp(&size(b)));
        if let Some((pivot, of)) = largest
            && of.abs() > least
        {
            let of_rows = sum.iter().map(|of| -of).chain([1.0]).collect();
            self.rows.push(at);
            self.reduced.push((left, pivot, of_rows));
        }
    }

    /// Of rows in this order.
    fn of(columns: &Columns<'_>, order: &[usize]) -> Self {
        let mut basis = Self::default();
        for (least, many) in LEFT.into_iter().zip([GOOD, usize::MAX]) {
            for at in order.iter().take(many) {
                if basis.rows.len() == columns.width() {
                    return basis;
                }
                basis.add(*at, &columns.row(*at), least);
            }
        }
        basis
    }

    /// Which of these rows a row has.
    fn tied_by(&self, row: &[f64]) -> Vec<usize> {
        let (_, sum) = self.sum_of(row);
        let tied = sum.iter().enumerate().filter(|(_, of)| of.abs() > TIED);
        tied.map(|(at, _)| at).collect()
    }
}

/// Rows that at least so many others tie to each other.
struct Ties {
    few: usize,
    size: usize,
    times: Vec<usize>,
}

impl Ties {
    fn add(&mut self, tied: &[usize]) {
        for a in tied {
            for b in tied {
                self.times[a * self.size + b] += 1;
            }
        }
    }

    /// For each row the first one that it is tied to, be it by others.
    fn groups(&self) -> Vec<usize> {
        let mut first: Vec<usize> = (0..self.size).collect();
        for a in 0..self.size {
            for b in 0..a {
                if self.times[a * self.size + b] >= self.few && first[a] != first[b] {
                    let (from, to) = (first[a].max(first[b]), first[a].min(first[b]));
                    first
                        .iter_mut()
                        .filter(|of| **of == from)
                        .for_each(|of| *of = to);
                }
            }
        }
        first
    }
}

/// The components of at least `few` persons, by a basis of rows in this order; none where all are tied to each other. Fewer than
/// `few` who tie components are in none of them.
pub(super) fn components(columns: &Columns<'_>, order: &[usize], few: usize) -> Vec<Component> {
    let basis = Basis::of(columns, order);
    let size = basis.rows.len();
    let mut ties = Ties {
        few: few.max(1),
        size,
        times: vec![0; size * size],
    };
    let mut next_look = 1;
    for (count, at) in (1..).zip(order) {
        ties.add(&basis.tied_by(&columns.row(*at)));
        // Most models are tied by few persons.
        if count == next_look {
            if ties.groups().iter().all(|first| *first == 0) {
                return Vec::new();
            }
            next_look *= 2;
        }
    }
    let groups = ties.groups();
    if groups.iter().all(|first| *first == 0) {
        return Vec::new();
    }
    let rank = |first: usize| groups.iter().filter(|of| **of == first).count();
    let mut found: Vec<Component> = (0..size)
        .map(|first| Component {
            persons: Vec::new(),
            rank: rank(first),
        })
        .collect();
    for at in 0..columns.persons() {
        let tied = basis.tied_by(&columns.row(at));
        let mut firsts = tied.iter().map(|row| groups[*row]);
        if let Some(first) = firsts.next()
            && firsts.all(|of| of == first)
        {
            found[first].persons.push(at);
        }
    }
    found.retain(|of| of.persons.len() >= few);
    found
}
