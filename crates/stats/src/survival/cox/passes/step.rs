//! What rows add to the likelihood and its derivatives, by event time.

use super::MAX_NUMBERS;
use crate::numeric::{BLOCK, Sequence, Symmetric, exponential, put, whole};
use crate::survival::cox::Options;
use crate::survival::cox::layout::Layout;
use crate::survival::cox::likelihood::{Model, Sums, add_later};
use crate::survival::newton::Evaluation;
use crate::{Error, Result};

/// The numbers of a cell: 1, the covariates, and the lower triangle of their products.
pub(super) fn width(p: usize) -> usize {
    1 + p + p * (p + 1) / 2
}

/// What rows add to the likelihood and its derivatives.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) p: usize,
    /// Σ w·x over events.
    event_sum: Vec<f64>,
    /// Two for each event time: r, r·x and r·xx' of the rows that leave then, without and with the event; what starts
    /// late is taken away again from those before.
    pub(super) cells: Vec<f64>,
}

impl Step {
    pub(super) fn of(model: &Model<'_>, beta: &[f64]) -> Self {
        let p = model.terms();
        let width = width(p);
        let layout = &model.layout;
        let mut cells = vec![0.0; 2 * width * layout.time.len()];
        let mut columns = vec![[0.0; BLOCK]; p];
        let mut risk = [0.0; BLOCK];
        let mut x = vec![0.0; width];
        x[0] = 1.0;
        let n = model.rows.len();
        for begin in (0..n).step_by(BLOCK) {
            let rows = begin..(begin + BLOCK).min(n);
            let risk = &mut risk[..rows.len()];
            risk.fill(0.0);
            for (term, (column, beta)) in columns.iter_mut().zip(beta).enumerate() {
                let column = &mut column[..risk.len()];
                model
                    .columns
                    .centred(model.rows, term, rows.clone(), column);
                for (eta, x) in risk.iter_mut().zip(column) {
                    *eta += beta * *x;
                }
            }
            exponential(risk);
            for ((at, row), risk) in rows.enumerate().zip(&*risk) {
                let (first, last) = (layout.first(row), layout.last[row] as usize);
                if first == last {
                    continue;
                }
                let mut product = p + 1;
                for term in 0..p {
                    x[term + 1] = columns[term][at];
                    for other in 1..=term + 1 {
                        x[product] = x[term + 1] * x[other];
                        product += 1;
                    }
                }
                let r = risk * model.rows.weight_of(row);
                let leaves = 2 * (last - 1) + usize::from(model.rows.event[row]);
                add(&mut cells[leaves * width..][..width], &x, r);
                if first > layout.begin(row) {
                    add(&mut cells[2 * (first - 1) * width..][..width], &x, -r);
                }
            }
        }
        Self {
            p,
            event_sum: model.event_sum.clone(),
            cells,
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        add(&mut self.event_sum, &other.event_sum, 1.0);
        add(&mut self.cells, &other.cells, 1.0);
    }

    /// The cells that are not empty, each after its place.
    pub(super) fn put(&self, numbers: &mut Vec<f64>) {
        let width = width(self.p);
        put(numbers, &self.event_sum);
        numbers.push(whole(self.cells.len() / width));
        for (place, cell) in self.cells.chunks_exact(width).enumerate() {
            if cell.iter().any(|number| *number != 0.0) {
                numbers.push(whole(place));
                numbers.extend_from_slice(cell);
            }
        }
    }

    pub(super) fn read(numbers: &mut Sequence<'_>) -> Result<Self> {
        let event_sum = numbers.list()?.to_vec();
        let p = event_sum.len();
        let width = width(p);
        let cells = numbers.count()?.saturating_mul(width);
        if cells > MAX_NUMBERS {
            return Err(Error::CorruptState);
        }
        let mut cells = vec![0.0; cells];
        while let Ok(place) = numbers.count() {
            let cell = cells.chunks_exact_mut(width).nth(place);
            cell.ok_or(Error::CorruptState)?
                .copy_from_slice(numbers.take(width)?);
        }
        Ok(Self {
            p,
            event_sum,
            cells,
        })
    }

    /// The likelihood at `beta`, and what it was computed from.
    pub(super) fn evaluate(
        &mut self,
        layout: &Layout,
        beta: &[f64],
        options: &Options,
    ) -> (Evaluation, Sums) {
        let (p, width) = (self.p, width(self.p));
        add_later(&layout.ranges, width, &mut self.cells);
        let sums = Sums::of(&self.cells, width, p, layout, options.ties);
        let linear = beta.iter().zip(&self.event_sum).map(|(b, sum)| b * sum);
        let mut information = vec![0.0; width - p - 1];
        for (at, pair) in self.cells.chunks_exact(2 * width).enumerate() {
            let (s, d) = pair.split_at(width);
            let (h, g) = (sums.h[at], sums.g[at]);
            add(&mut information, &s[p + 1..], h);
            add(&mut information, &d[p + 1..], g - h);
        }
        let mut information =
            Symmetric::of_lower(p, &information).unwrap_or_else(|| Symmetric::zero(p));
        sums.take_means(&mut information, |_| 1.0);
        information.mirror();
        let evaluation = Evaluation {
            log_likelihood: sums.log_likelihood(linear.sum()),
            score: sums.score(&self.event_sum),
            information,
        };
        (evaluation, sums)
    }
}

fn add(sum: &mut [f64], x: &[f64], factor: f64) {
    for (sum, x) in sum.iter_mut().zip(x) {
        *sum += factor * x;
    }
}
