//! The partial likelihood, its score and its information, in two passes over the rows and without a sort.
//!
//! With r = w·exp(η) and the event times t of a stratum: S0, S1 sum r and r·x over those at risk (suffix sums of
//! what is added at a row's last event time and taken away at its first), D0, D1 over those with the event.
//! With d events of mean weight w̄, f_j = j/d and z_j = S0 − f_j·D0 (Efron; Breslow has f_j = 0):
//! h = Σ w̄/z_j, g = Σ w̄(1−f_j)/z_j, and A, B, C = Σ w̄·{1, f_j, f_j²}/z_j². Then
//! log L = Σ w·η − Σ_t Σ_j w̄·log z_j, score = Σ w·x − Σ_t (h·S1 − (h−g)·D1), and
//! information = X'diag(r·H)X − Σ_t (A·S1S1' − B·(S1D1' + D1S1') + C·D1D1'),
//! H being the sum of h over a row's event times, with g at its own.
//! Source: Efron, JASA 1977; Therneau and Grambsch (2000), 3.3.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use super::Ties;
use super::by_exit::{ByExit, exposure_by_cell};
use super::layout::Layout;
use super::rows::Rows;
use crate::numeric::{BLOCK, CrossProduct, Real, Symmetric, Twice, exponential, widest};
use crate::survival::columns::Columns;
use crate::survival::newton::{Evaluation, Likelihood};

/// From here on the information is rounded where that does no harm.
const MANY_ROWS: usize = 65_536;

/// Below this fraction of what was added up before, most digits of a sum are those of what was taken away again.
const LOST: f64 = 1e-6;
/// Rows looked at for such sums at most, once for each of them.
const MOST_ADDED_ANEW: usize = 1 << 30;

/// As many shares of a risk set, none below one in 2^32, whose product is no subnormal number.
const SHARES: u32 = 16;

/// The sums at each event time.
#[derive(Debug, Default)]
pub(crate) struct Sums {
    /// h, g, A, B, C.
    pub(crate) h: Vec<f64>,
    pub(crate) g: Vec<f64>,
    pub(crate) a: Vec<f64>,
    pub(crate) b: Vec<f64>,
    pub(crate) c: Vec<f64>,
    /// S1 and D1, a row of `terms` per event time.
    pub(crate) s1: Vec<f64>,
    pub(crate) d1: Vec<f64>,
    /// Σ w̄·log z.
    log_denominator: f64,
}

/// Makes of the cells of those who leave at a time, two for each event time, those of all that are at risk then.
pub(crate) fn add_later(ranges: &[Range<usize>], width: usize, cells: &mut [f64]) {
    let both = 2 * width;
    for range in ranges {
        for at in range.clone().rev() {
            let (before, after) = cells.split_at_mut((at + 1) * both);
            let (stay, events) = before[at * both..].split_at_mut(width);
            add_assign(stay, events);
            if at + 1 < range.end {
                add_assign(stay, &after[..width]);
            }
        }
    }
}

impl Sums {
    /// From pairs of cells: all at risk at a time, and those with the event.
    pub(crate) fn of(cells: &[f64], width: usize, p: usize, layout: &Layout, ties: Ties) -> Self {
        let mut sums = Self::default();
        for (at, pair) in cells.chunks_exact(2 * width).enumerate() {
            let (s, d) = pair.split_at(width);
            let count = layout.deaths[at];
            let mean_weight = layout.death_weight[at] / f64::from(count);
            let [mut h, mut g, mut a, mut b, mut c] = [0.0; 5];
            // Σ log z = d·log S0 + Σ log(z/S0), of which a few fit into one product: logarithms and divisions take longest.
            let (each, at_events) = (1.0 / f64::from(count), d[0] / s[0]);
            let mut log_shares = 0.0;
            let mut shares = 1.0;
            for j in 0..count {
                let f = match ties {
                    Ties::Efron => f64::from(j) * each,
                    Ties::Breslow => 0.0,
                };
                let over_z = 1.0 / (s[0] - f * d[0]);
                let step = mean_weight * over_z;
                let square = step * over_z;
                h += step;
                g += step * (1.0 - f);
                a += square;
                b += f * square;
                c += f * f * square;
                shares *= 1.0 - f * at_events;
                if j % SHARES == SHARES - 1 {
                    log_shares += f64::ln(shares);
                    shares = 1.0;
                }
            }
            sums.log_denominator +=
                mean_weight * (f64::from(count) * s[0].ln() + (log_shares + shares.ln()));
            sums.h.push(h);
            sums.g.push(g);
            sums.a.push(a);
            sums.b.push(b);
            sums.c.push(c);
            sums.s1.extend(&s[1..=p]);
            sums.d1.extend(&d[1..=p]);
        }
        sums
    }

    /// The score, given the sum of the covariates of the events.
    pub(crate) fn score(&self, event_sum: &[f64]) -> Vec<f64> {
        let p = event_sum.len();
        let mut score = event_sum.to_vec();
        for (at, (h, g)) in self.h.iter().zip(&self.g).enumerate() {
            let (s1, d1) = (
                &self.s1[at * p..(at + 1) * p],
                &self.d1[at * p..(at + 1) * p],
            );
            for term in 0..p {
                score[term] -= h * s1[term] - (h - g) * d1[term];
            }
        }
        score
    }

    /// log L, given β times that sum.
    pub(crate) fn log_likelihood(&self, linear: f64) -> f64 {
        linear - self.log_denominator
    }

    /// Takes from the squares of the covariates what the squares of their means are.
    pub(crate) fn take_means(&self, information: &mut Symmetric, factor: impl Fn(usize) -> f64) {
        let p = self.s1.len() / self.h.len().max(1);
        for at in 0..self.h.len() {
            let (a, b, c) = (
                factor(at) * self.a[at],
                factor(at) * self.b[at],
                factor(at) * self.c[at],
            );
            let (s, d) = (
                &self.s1[at * p..(at + 1) * p],
                &self.d1[at * p..(at + 1) * p],
            );
            for row in 0..p {
                for column in 0..=row {
                    *information.get_mut(row, column) -= a * s[row] * s[column]
                        - b * (s[row] * d[column] + d[row] * s[column])
                        + c * d[row] * d[column];
                }
            }
        }
    }
}

/// The data of a fit: rows, layout, and covariates less their centres.
#[derive(Debug)]
pub(crate) struct Model<'a> {
    pub(crate) rows: &'a Rows,
    pub(crate) layout: Layout,
    pub(crate) ties: Ties,
    pub(crate) columns: Columns,
    /// Σ w·x over events.
    pub(crate) event_sum: Vec<f64>,
    /// Σ w·offset over events.
    event_offset: f64,
    /// What a fit reads instead of the rows, where that pays.
    pub(super) by_exit: Option<ByExit>,
    pub(super) spare: Spare,
}

/// Arrays that one evaluation leaves for the next: fresh pages of memory would cost more than what is written to them.
#[derive(Debug, Default)]
pub(super) struct Spare {
    pub(super) risk: Mutex<Vec<Vec<f64>>>,
    pub(super) cells: Mutex<Vec<Vec<f64>>>,
}

pub(super) fn taken(from: &Mutex<Vec<Vec<f64>>>, length: usize) -> Vec<f64> {
    let spare = from.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let mut array = spare.unwrap_or_default();
    array.resize(length, 0.0);
    array
}

fn give_back(to: &Mutex<Vec<Vec<f64>>>, array: Vec<f64>) {
    to.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(array);
}

impl<'a> Model<'a> {
    pub(crate) fn new(rows: &'a Rows, layout: Layout, ties: Ties) -> Self {
        let columns = Columns::new(rows);
        match ByExit::new(rows, &layout, &columns) {
            Some(by_exit) => {
                let event_sum = by_exit.event_sum();
                Self {
                    by_exit: Some(by_exit),
                    ..Self::of_sum(rows, layout, ties, columns, event_sum)
                }
            }
            None => Self::with_columns(rows, layout, ties, columns),
        }
    }

    pub(crate) fn with_columns(
        rows: &'a Rows,
        layout: Layout,
        ties: Ties,
        columns: Columns,
    ) -> Self {
        let events: Vec<usize> = (0..rows.len()).filter(|row| rows.event[*row]).collect();
        let event_sum = rows
            .covariates
            .par_iter()
            .zip(&columns.centre)
            .map(|(column, centre)| {
                // In blocks: a sum of equal numbers one by one is off by the same rounding each time.
                let of_row = |row: &usize| rows.weight_of(*row) * (column.get(*row) - centre);
                let blocks = events.chunks(BLOCK);
                blocks
                    .map(|rows| rows.iter().map(of_row).sum::<f64>())
                    .sum()
            })
            .collect();
        Self::of_sum(rows, layout, ties, columns, event_sum)
    }

    fn of_sum(
        rows: &'a Rows,
        layout: Layout,
        ties: Ties,
        columns: Columns,
        event_sum: Vec<f64>,
    ) -> Self {
        let event_offset = (0..rows.offset.len()).filter(|row| rows.event[*row]);
        let event_offset = event_offset
            .map(|row| rows.weight_of(row) * rows.offset_of(row))
            .sum();
        Self {
            rows,
            layout,
            ties,
            columns,
            event_sum,
            event_offset,
            by_exit: None,
            spare: Spare::default(),
        }
    }

    pub(crate) fn terms(&self) -> usize {
        self.columns.terms()
    }

    /// x − centre.
    pub(crate) fn x(&self, term: usize, row: usize) -> f64 {
        self.rows.covariates[term].get(row) - self.columns.centre[term]
    }

    /// The linear predictor of centred covariates.
    pub(crate) fn linear_predictor(&self, beta: &[f64]) -> Vec<f64> {
        let parts: Vec<Vec<f64>> = self
            .layout
            .chunks()
            .into_par_iter()
            .map(|chunk| {
                let mut eta: Vec<f64> = chunk.clone().map(|row| self.rows.offset_of(row)).collect();
                for (term, beta) in beta.iter().enumerate().filter(|(_, beta)| **beta != 0.0) {
                    let column = self.rows.covariates[term].values().slice(chunk.clone());
                    let centre = self.columns.centre[term];
                    for (eta, x) in eta.iter_mut().zip(column.iter()) {
                        *eta += beta * (x - centre);
                    }
                }
                eta
            })
            .collect();
        parts.concat()
    }

    /// Numbers in a cell: 1 and the covariates, filled up to whole vectors.
    pub(super) fn width(&self) -> usize {
        (self.terms() + 1).next_multiple_of(4)
    }

    /// r of each row, and the sums at each event time.
    pub(crate) fn sums(&self, beta: &[f64]) -> (Vec<f64>, Sums) {
        let width = self.width();
        let size = 2 * self.layout.time.len() * width;
        let mut risk = taken(&self.spare.risk, self.rows.len());
        let chunks = self.layout.chunks().into_par_iter();
        let parts: Vec<Vec<f64>> = chunks
            .zip(risk.par_chunks_mut(self.layout.chunk.max(1)))
            .map(|(chunk, risk)| {
                let mut cells = taken(&self.spare.cells, size);
                cells.fill(0.0);
                widest!(self.add_rows(chunk, beta, risk, &mut cells));
                cells
            })
            .collect();
        let mut parts = parts.into_iter();
        let mut cells = parts.next().unwrap_or_default();
        for part in parts {
            add_assign(&mut cells, &part);
            give_back(&self.spare.cells, part);
        }
        let sums = self.sums_of(cells, &risk);
        (risk, sums)
    }

    /// The sums at each event time from the cells of those who leave.
    pub(super) fn sums_of(&self, mut cells: Vec<f64>, risk: &[f64]) -> Sums {
        let width = self.width();
        add_later(&self.layout.ranges, width, &mut cells);
        if !self.rows.start.is_empty() {
            self.add_anew(&mut cells, risk);
        }
        let sums = Sums::of(&cells, width, self.terms(), &self.layout, self.ties);
        give_back(&self.spare.cells, cells);
        sums
    }

    /// Adds up anew what is at risk where far larger sums were taken away before: a coefficient without bound makes the
    /// rounding of a row that has not entered yet larger than all who have.
    fn add_anew(&self, cells: &mut [f64], risk: &[f64]) {
        let width = self.width();
        let mut lost = Vec::new();
        for range in &self.layout.ranges {
            let mut most = 0.0_f64;
            for at in range.clone().rev() {
                let sum = cells[2 * at * width];
                if sum < most * LOST || sum.is_nan() {
                    lost.push(at);
                }
                most = most.max(sum);
            }
        }
        lost.sort_unstable();
        if lost.is_empty() || lost.len().saturating_mul(risk.len()) > MOST_ADDED_ANEW {
            return;
        }
        for at in &lost {
            cells[2 * at * width..][..width].fill(0.0);
        }
        let mut x = vec![0.0; width];
        x[0] = 1.0;
        for (row, r) in risk.iter().enumerate() {
            let (first, last) = (self.layout.first(row), self.layout.last[row] as usize);
            let from = lost.partition_point(|at| *at < first);
            let to = lost.partition_point(|at| *at < last);
            if from >= to {
                continue;
            }
            for (term, x) in x[1..=self.terms()].iter_mut().enumerate() {
                *x = self.x(term, row);
            }
            for at in &lost[from..to] {
                add_scaled(&mut cells[2 * at * width..][..width], &x, *r);
            }
        }
    }

    /// Fills in r of each row of a chunk and adds it, times 1 and the covariates, to the cells: two for each event
    /// time, of rows that leave then without and with the event.
    #[inline(always)]
    fn add_rows(&self, chunk: Range<usize>, beta: &[f64], risk: &mut [f64], cells: &mut [f64]) {
        let width = self.width();
        let mut column = [0.0; BLOCK];
        // Columns turned into rows a block at a time, so that what is added to a cell lies together.
        let mut block = vec![0.0; BLOCK * width];
        for row in block.chunks_exact_mut(width) {
            row[0] = 1.0;
        }
        for (begin, risk) in chunk.step_by(BLOCK).zip(risk.chunks_mut(BLOCK)) {
            let rows = begin..begin + risk.len();
            match self.rows.offset.get(rows.clone()) {
                Some(offset) => risk.copy_from_slice(offset),
                None => risk.fill(0.0),
            }
            for (term, &beta) in beta.iter().enumerate() {
                let column = &mut column[..risk.len()];
                self.columns.centred(self.rows, term, rows.clone(), column);
                for (row, x) in block.chunks_exact_mut(width).zip(&*column) {
                    row[term + 1] = *x;
                }
                for (eta, x) in risk.iter_mut().zip(&*column) {
                    *eta += beta * x;
                }
            }
            exponential(risk);
            if let Some(weights) = self.rows.weight.get(rows.clone()) {
                for (r, weight) in risk.iter_mut().zip(weights) {
                    *r *= weight;
                }
            }
            for ((row, r), x) in rows.zip(&*risk).zip(block.chunks_exact(width)) {
                let (first, last) = (self.layout.first(row), self.layout.last[row] as usize);
                if first == last {
                    continue;
                }
                let leaves = 2 * (last - 1) + usize::from(self.rows.event[row]);
                add_scaled(&mut cells[leaves * width..][..width], x, *r);
                // A row that starts late is taken away again from the event times before its start.
                if first > self.layout.begin(row) {
                    add_scaled(&mut cells[2 * (first - 1) * width..][..width], x, -r);
                }
            }
        }
    }

    /// The information, with the contribution of each event time multiplied by `factor`.
    pub(crate) fn information(
        &self,
        risk: &[f64],
        sums: &Sums,
        factor: Option<&[f64]>,
    ) -> Symmetric {
        let p = self.terms();
        let times = self.layout.time.len();
        let factor = |at: usize| factor.map_or(1.0, |factor| factor[at]);
        let h: Vec<f64> = (0..times).map(|at| factor(at) * sums.h[at]).collect();
        let g: Vec<f64> = (0..times).map(|at| factor(at) * sums.g[at]).collect();
        let exposure = self.exposure(&h, &g);
        let parts: Vec<Symmetric> = self
            .layout
            .chunks()
            .into_par_iter()
            .map(|chunk| {
                let mut product = CrossProduct::new(p);
                widest!(self.add_products(chunk, risk, &exposure, &mut product));
                product.finish()
            })
            .collect();
        let mut information = Symmetric::zero(p);
        for part in &parts {
            information.add_scaled(part, 1.0);
        }
        sums.take_means(&mut information, factor);
        information.mirror();
        information
    }

    /// Adds r·H·xx' of the rows of a chunk.
    #[inline(always)]
    fn add_products(
        &self,
        chunk: Range<usize>,
        risk: &[f64],
        exposure: &Exposure,
        product: &mut CrossProduct,
    ) {
        let mut weights = [0.0; BLOCK];
        let end = chunk.end;
        for begin in chunk.step_by(BLOCK) {
            let rows = begin..(begin + BLOCK).min(end);
            let weights = &mut weights[..rows.len()];
            for (weight, row) in weights.iter_mut().zip(rows.clone()) {
                *weight = risk[row] * exposure.of(self, row);
            }
            let columns = product.block().iter_mut().take(self.terms());
            for (term, column) in columns.enumerate() {
                self.columns
                    .centred(self.rows, term, rows.clone(), &mut **column);
            }
            product.add(weights);
        }
    }

    /// Running sums of a step per event time, to be read by row.
    pub(crate) fn exposure(&self, step: &[f64], at_event: &[f64]) -> Exposure {
        // Each stratum starts at 0; the place where one begins belongs to the one before.
        let mut before = vec![Twice::default(); step.len() + 1];
        for range in &self.layout.ranges {
            let mut sum = Twice::default();
            for at in range.clone() {
                sum = sum.plus(step[at].into());
                before[at + 1] = sum;
            }
        }
        let mut by_exit = Vec::new();
        if self.layout.stratum.is_empty() && self.rows.start.is_empty() {
            // With the event at none of the times is for nobody.
            by_exit.extend([0.0, f64::NAN]);
            by_exit.extend(exposure_by_cell(&self.layout, step, at_event));
        }
        Exposure {
            before,
            at_event: at_event.to_vec(),
            by_exit,
        }
    }
}

impl Model<'_> {
    /// Likelihood and score at `beta`, with what they were computed from.
    pub(crate) fn first_order(&self, beta: &[f64]) -> FirstOrder {
        let (risk, sums) = self.ordered_sums(beta);
        let linear: f64 = beta
            .iter()
            .zip(&self.event_sum)
            .map(|(beta, sum)| beta * sum)
            .sum();
        let log_likelihood = sums.log_likelihood(linear + self.event_offset);
        let score = sums.score(&self.event_sum);
        FirstOrder {
            risk,
            sums,
            log_likelihood,
            score,
        }
    }
}

/// The likelihood and its score, with the risks, in the order of [`Model::ordered_sums`], and sums that they come from.
pub(crate) struct FirstOrder {
    risk: Vec<f64>,
    sums: Sums,
    pub(crate) log_likelihood: f64,
    pub(crate) score: Vec<f64>,
}

impl Likelihood for Model<'_> {
    /// Likelihood, score and information at `beta`.
    fn evaluate(&self, beta: &[f64]) -> Evaluation {
        self.second_order::<f64>(self.first_order(beta))
    }

    fn approach(&self, beta: &[f64], exactly: impl Fn(f64) -> bool) -> (Evaluation, bool) {
        let first = self.first_order(beta);
        // The others are quick, or read row by row.
        let ordered = self.by_exit.as_ref();
        let large = ordered.is_some_and(|by_exit| by_exit.len() >= MANY_ROWS);
        if large && !exactly(first.log_likelihood) {
            return (self.second_order::<f32>(first), false);
        }
        (self.second_order::<f64>(first), true)
    }
}

impl Model<'_> {
    fn second_order<T: Real>(&self, first: FirstOrder) -> Evaluation {
        let information = self.ordered_information::<T>(&first.risk, &first.sums);
        give_back(&self.spare.risk, first.risk);
        Evaluation {
            log_likelihood: first.log_likelihood,
            score: first.score,
            information,
        }
    }
}

/// Prefix sums over event times.
#[derive(Debug)]
pub(crate) struct Exposure {
    /// The sum of a stratum's steps up to each place, with twice the digits: a coefficient without bound makes steps before
    /// a row's start far larger than those after it.
    before: Vec<Twice>,
    /// What a row with the event has at its own time instead of the step.
    at_event: Vec<f64>,
    /// Where all rows are at risk from the beginning: the sum by the place at which a row leaves, without and with the
    /// event. Else empty.
    by_exit: Vec<f64>,
}

impl Exposure {
    /// The sum over the event times at which the row is at risk.
    #[inline(always)]
    pub(crate) fn of(&self, model: &Model<'_>, row: usize) -> f64 {
        let last = model.layout.last[row] as usize;
        if !self.by_exit.is_empty() {
            return self.by_exit[2 * last + usize::from(model.rows.event[row])];
        }
        let first = model.layout.first(row);
        if first == last {
            return 0.0;
        }
        let end = if model.rows.event[row] {
            let own = self.at_event[last - 1];
            self.begin(model, row, last - 1).plus(own.into())
        } else {
            self.before[last]
        };
        end.minus(self.begin(model, row, first)).rounded()
    }

    /// The prefix sum at a place, 0 at the beginning of the row's stratum.
    fn begin(&self, model: &Model<'_>, row: usize, place: usize) -> Twice {
        if model.layout.begin(row) == place {
            Twice::default()
        } else {
            self.before[place]
        }
    }
}

#[inline(always)]
fn add_scaled(sum: &mut [f64], x: &[f64], factor: f64) {
    for (sum, x) in sum.iter_mut().zip(x) {
        *sum += factor * x;
    }
}

fn add_assign(sum: &mut [f64], other: &[f64]) {
    for (sum, other) in sum.iter_mut().zip(other) {
        *sum += other;
    }
}
