//! The rows in the order in which they leave, so that what is added up for an event time lies together.
//!
//! A cell holds the rows that leave after one event time and before the next, without or with the event. Its sums are
//! then loops over columns in vectors, and all its rows share what the information takes from the event times before.
//! A copy of the covariates is put in this order once for each fit: worth it where cells hold many rows, and where nobody
//! starts late.

#[cfg(test)]
mod tests;

use std::ops::Range;

use rayon::prelude::*;

use super::layout::Layout;
use super::likelihood::{Model, Sums, taken};
use super::robust::Steps;
use super::rows::Rows;
use crate::Numbers;
use crate::numeric::{BLOCK, Block, CrossProduct, Real, Symmetric, exponential, widest};
use crate::survival::columns::Columns;

/// Cells begin at whole vectors: the places up to the next one are rows of weight 0.
const LANES: usize = 8;
/// With fewer rows in a cell than this its sums cost more than they save.
const MIN_ROWS: usize = 16;
/// Rows are read in chunks, whatever the number of threads.
const MAX_CHUNKS: usize = 64;
const MIN_CHUNK: usize = 16_384;

#[derive(Debug)]
pub(super) struct ByExit {
    /// Where the rows of each cell begin, and the end of the last: whole vectors.
    begin: Vec<usize>,
    /// How many of them are rows.
    rows: Vec<usize>,
    columns: Vec<Numbers>,
    centre: Vec<f64>,
    /// Empty if all are 1.
    weight: Vec<f64>,
    /// Empty if all are 0.
    offset: Vec<f64>,
    /// Ranges of cells with about as many rows each.
    chunks: Vec<Range<usize>>,
}

/// Cells of a chunk with the risks of their rows and whatever is filled in for each.
struct Chunk<'a> {
    cells: Range<usize>,
    risk: &'a mut [f64],
    sums: &'a mut [f64],
}

impl ByExit {
    /// `None` where the order is not worth it.
    pub(super) fn new(rows: &Rows, layout: &Layout, columns: &Columns) -> Option<Self> {
        let cells = 2 * layout.time.len();
        if !rows.start.is_empty() || rows.len() < MIN_ROWS * cells {
            return None;
        }
        // Who leaves before the first event time of the stratum is at no risk that counts.
        let cell = |row: usize| {
            let last = layout.last[row] as usize;
            (last > layout.begin(row)).then(|| 2 * (last - 1) + usize::from(rows.event[row]))
        };
        let mut count = layout.leaving.clone();
        if count.is_empty() {
            count.resize(cells, 0);
            for cell in (0..rows.len()).filter_map(cell) {
                count[cell] += 1;
            }
        }
        let mut begin = vec![0; cells + 1];
        for (at, count) in count.iter().enumerate() {
            begin[at + 1] = begin[at] + usize::next_multiple_of(*count, LANES);
        }
        let mut next = begin.clone();
        // A place without a row has the covariates of row 0 and no weight.
        let mut order = vec![0_u32; begin[cells]];
        for (row, place) in (0..).zip(0..rows.len()) {
            if let Some(cell) = cell(place) {
                order[next[cell]] = row;
                next[cell] += 1;
            }
        }
        let kept = rows.covariates.par_iter().map(|column| match column {
            Numbers::Whole(column) => Numbers::Whole(ordered(column, &order)),
            Numbers::Any(column) => Numbers::Any(ordered(column, &order)),
        });
        Some(Self {
            columns: kept.collect(),
            centre: columns.centre.clone(),
            weight: ordered(&rows.weight, &order),
            offset: ordered(&rows.offset, &order),
            chunks: chunks(&begin),
            begin,
            rows: count,
        })
    }

    /// Places for rows.
    pub(super) fn len(&self) -> usize {
        self.begin.last().copied().unwrap_or(0)
    }

    /// Σ w·x over events.
    pub(super) fn event_sum(&self) -> Vec<f64> {
        let places = |cell: usize| self.begin[cell]..self.begin[cell] + self.rows[cell];
        let sum = |(column, centre): (&Numbers, &f64)| {
            let mut sum = 0.0;
            for places in (1..self.rows.len()).step_by(2).map(places) {
                let values = column.values().slice(places.clone());
                match self.weight.get(places) {
                    Some(weights) => {
                        let weighted = values.iter().zip(weights);
                        sum += weighted.map(|(x, w)| w * (x - centre)).sum::<f64>();
                    }
                    None => sum += values.sum_less(*centre),
                }
            }
            sum
        };
        self.columns.par_iter().zip(&self.centre).map(sum).collect()
    }

    /// Fills in r of each place, and for each cell the sums of r and r·x over its rows, `width` numbers.
    pub(super) fn cells(&self, beta: &[f64], risk: &mut [f64], cells: &mut [f64], width: usize) {
        let work = self.divided(risk, cells, width).into_par_iter();
        work.for_each(|chunk| widest!(self.add_up(chunk, beta, width)));
    }

    /// A part of Σ r·H·xx' for each chunk, H being a number for each cell.
    pub(super) fn products<T: Real>(&self, risk: &[f64], exposure: &[f64]) -> Vec<Symmetric> {
        let chunks = self.chunks.par_iter();
        let product = |cells: &Range<usize>| {
            let mut product = CrossProduct::<T>::new(self.columns.len());
            widest!(self.add_products(cells, risk, exposure, &mut product));
            product.finish()
        };
        chunks.map(product).collect()
    }

    /// A part of Σ uu' for each chunk, u being the score residuals, with what they take from the event times: for each
    /// cell h and the means' steps, and for each event time the mean.
    pub(super) fn residual_squares(
        &self,
        risk: &[f64],
        taken: &[f64],
        means: &[f64],
    ) -> Vec<CrossProduct> {
        let square = |cells: &Range<usize>| {
            let mut product = CrossProduct::new(self.columns.len());
            widest!(self.add_residuals(cells, risk, taken, means, &mut product));
            product
        };
        self.chunks.par_iter().map(square).collect()
    }

    #[inline(always)]
    fn add_residuals(
        &self,
        cells: &Range<usize>,
        risk: &[f64],
        taken: &[f64],
        means: &[f64],
        product: &mut CrossProduct,
    ) {
        let p = self.columns.len();
        let ones = [1.0; BLOCK];
        let mut pieces = Pieces::new(self, cells);
        let end = self.begin[cells.end];
        for begin in (self.begin[cells.start]..end).step_by(BLOCK) {
            let places = begin..(begin + BLOCK).min(end);
            for (term, column) in product.block().iter_mut().take(p).enumerate() {
                self.centred(term, places.clone(), &mut **column);
            }
            while let Some((cell, rows, piece)) = pieces.next(&places) {
                let here = piece.start - begin..piece.end - begin;
                let risk = &risk[piece.clone()];
                let (step, steps) = (taken[cell * (p + 1)], &taken[cell * (p + 1) + 1..][..p]);
                let mean = &means[cell / 2 * p..][..p];
                let weights = self.weight.get(piece).unwrap_or(&ones[..here.len()]);
                let columns = product.block().iter_mut().zip(steps).zip(mean);
                for ((column, taken), mean) in columns {
                    let column = &mut column[here.clone()];
                    if cell % 2 == 0 {
                        for (x, r) in column.iter_mut().zip(risk) {
                            *x = r * (taken - *x * step);
                        }
                    } else {
                        for ((x, r), weight) in column.iter_mut().zip(risk).zip(weights) {
                            *x = r * (taken - *x * step) + weight * (*x - mean);
                        }
                    }
                    column[rows..].fill(0.0);
                }
            }
            product.add(&ones[..places.len()]);
        }
    }

    /// The chunks, each with its own part of the risks and of the cells.
    fn divided<'a>(
        &self,
        mut risk: &'a mut [f64],
        mut sums: &'a mut [f64],
        width: usize,
    ) -> Vec<Chunk<'a>> {
        let mut parts = Vec::with_capacity(self.chunks.len());
        for cells in &self.chunks {
            let (mine, rest) = std::mem::take(&mut risk)
                .split_at_mut(self.begin[cells.end] - self.begin[cells.start]);
            risk = rest;
            let (own, rest) = std::mem::take(&mut sums).split_at_mut(cells.len() * width);
            sums = rest;
            parts.push(Chunk {
                cells: cells.clone(),
                risk: mine,
                sums: own,
            });
        }
        parts
    }

    #[inline(always)]
    fn add_up(&self, chunk: Chunk<'_>, beta: &[f64], width: usize) {
        let Chunk { cells, risk, sums } = chunk;
        sums.fill(0.0);
        let origin = self.begin[cells.start];
        let mut block = vec![Block::ZERO; beta.len()];
        // Without coefficients, as at the beginning, all are at the same risk.
        let equal = self.offset.is_empty() && beta.iter().all(|beta| *beta == 0.0);
        let mut pieces = Pieces::new(self, &cells);
        if equal && self.weight.is_empty() && self.columns.iter().all(|c| c.whole().is_some()) {
            self.add_up_whole(&cells, risk, sums, width);
            return;
        }
        for (at, risk) in risk.chunks_mut(BLOCK).enumerate() {
            let places = origin + at * BLOCK..origin + at * BLOCK + risk.len();
            if equal {
                risk.fill(1.0);
                for (term, column) in block.iter_mut().enumerate() {
                    self.centred(term, places.clone(), &mut **column);
                }
            } else {
                match self.offset.get(places.clone()) {
                    Some(offset) => risk.copy_from_slice(offset),
                    None => risk.fill(0.0),
                }
                for (term, (beta, column)) in beta.iter().zip(&mut block).enumerate() {
                    let values = self.columns[term].values().slice(places.clone());
                    values.centred_along(self.centre[term], *beta, &mut **column, risk);
                }
                exponential(risk);
            }
            if let Some(weights) = self.weight.get(places.clone()) {
                for (r, weight) in risk.iter_mut().zip(weights) {
                    *r *= weight;
                }
            }
            while let Some((cell, rows, piece)) = pieces.next(&places) {
                let here = piece.start - places.start..piece.end - places.start;
                let risk = &mut risk[here.clone()];
                risk[rows..].fill(0.0);
                let sums = &mut sums[(cell - cells.start) * width..][..width];
                sums[0] += sum(risk);
                for (sums, columns) in sums[1..].chunks_mut(4).zip(block.chunks(4)) {
                    match columns {
                        [a, b, c, d] => add_products(risk, &here, [a, b, c, d], sums),
                        [a, b, c] => add_products(risk, &here, [a, b, c], sums),
                        [a, b] => add_products(risk, &here, [a, b], sums),
                        [a] => add_products(risk, &here, [a], sums),
                        _ => {}
                    }
                }
            }
        }
    }

    /// [`Self::add_up`] of whole numbers where all are at the same risk: sums of them, and how many there are.
    #[inline(always)]
    fn add_up_whole(&self, cells: &Range<usize>, risk: &mut [f64], sums: &mut [f64], width: usize) {
        let origin = self.begin[cells.start];
        for (cell, sums) in cells.clone().zip(sums.chunks_exact_mut(width)) {
            let rows = self.begin[cell]..self.begin[cell] + self.rows[cell];
            let risk = &mut risk[rows.start - origin..self.begin[cell + 1] - origin];
            let (here, nobody) = risk.split_at_mut(rows.len());
            here.fill(1.0);
            nobody.fill(0.0);
            sums[0] = sum(risk);
            let terms = self.columns.iter().zip(&self.centre);
            for (sum, (column, centre)) in sums[1..].iter_mut().zip(terms) {
                *sum = column.values().slice(rows.clone()).sum_less(*centre);
            }
        }
    }

    #[inline(always)]
    fn add_products<T: Real>(
        &self,
        cells: &Range<usize>,
        risk: &[f64],
        exposure: &[f64],
        product: &mut CrossProduct<T>,
    ) {
        let mut weights = Block::<T>::ZERO;
        let mut pieces = Pieces::new(self, cells);
        let end = self.begin[cells.end];
        for begin in (self.begin[cells.start]..end).step_by(BLOCK) {
            let places = begin..(begin + BLOCK).min(end);
            while let Some((cell, _, piece)) = pieces.next(&places) {
                let weights = &mut weights[piece.start - begin..piece.end - begin];
                for (weight, r) in weights.iter_mut().zip(&risk[piece]) {
                    *weight = T::of(r * exposure[cell]);
                }
            }
            for (term, column) in product
                .block()
                .iter_mut()
                .take(self.columns.len())
                .enumerate()
            {
                self.centred(term, places.clone(), &mut **column);
            }
            product.add(&weights[..places.len()]);
        }
    }

    /// x − centre of some places of a term.
    #[inline(always)]
    fn centred<T: Real>(&self, term: usize, places: Range<usize>, into: &mut [T]) {
        let column = self.columns[term].values().slice(places);
        T::centred(column, self.centre[term], into);
    }
}

impl Model<'_> {
    /// [`Model::sums`], with r of each row in whichever order [`Self::ordered_information`] reads them.
    pub(super) fn ordered_sums(&self, beta: &[f64]) -> (Vec<f64>, Sums) {
        let Some(by_exit) = &self.by_exit else {
            return self.sums(beta);
        };
        let width = self.width();
        let mut risk = taken(&self.spare.risk, by_exit.len());
        let mut cells = taken(&self.spare.cells, 2 * self.layout.time.len() * width);
        by_exit.cells(beta, &mut risk, &mut cells, width);
        let sums = self.sums_of(cells, &risk);
        (risk, sums)
    }

    /// [`Model::information`] from [`Self::ordered_sums`], to all digits or as many as `T` has.
    pub(super) fn ordered_information<T: Real>(&self, risk: &[f64], sums: &Sums) -> Symmetric {
        let Some(by_exit) = &self.by_exit else {
            return self.information(risk, sums, None);
        };
        let exposure = exposure_by_cell(&self.layout, &sums.h, &sums.g);
        let mut information = Symmetric::zero(self.terms());
        for part in by_exit.products::<T>(risk, &exposure) {
            information.add_scaled(&part, 1.0);
        }
        sums.take_means(&mut information, |_| 1.0);
        information.mirror();
        information
    }
}

impl Model<'_> {
    /// Σ uu' over rows, u being the score residuals times the weight; `None` where the rows are not in this order.
    pub(super) fn ordered_squares(&self, beta: &[f64]) -> Option<Symmetric> {
        let by_exit = self.by_exit.as_ref()?;
        let (risk, sums) = self.ordered_sums(beta);
        let means = sums.means(&self.layout.death_weight);
        let steps = Steps::new(&self.layout.ranges, &sums, means);
        let width = self.terms() + 1;
        let mut taken = Vec::with_capacity(2 * sums.h.len() * width);
        for range in &self.layout.ranges {
            for at in range.clone() {
                taken.extend(&steps.before[(at + 1) * width..][..width]);
                let own = &steps.at_event[at * width..][..width];
                // The place where a stratum begins belongs to the one before.
                let before = (at > range.start).then(|| &steps.before[at * width..][..width]);
                let before = before.into_iter().flatten().chain(std::iter::repeat(&0.0));
                taken.extend(own.iter().zip(before).map(|(own, before)| before + own));
            }
        }
        let mut square = Symmetric::zero(self.terms());
        for part in by_exit.residual_squares(&risk, &taken, &steps.means) {
            square.add_scaled(&part.finish(), 1.0);
        }
        square.mirror();
        Some(square)
    }
}

/// The sum of a step up to each event time, for those who leave after it without the event and with it.
pub(super) fn exposure_by_cell(layout: &Layout, step: &[f64], at_event: &[f64]) -> Vec<f64> {
    let mut by_cell = Vec::with_capacity(2 * step.len());
    for range in &layout.ranges {
        let mut sum = 0.0;
        for at in range.clone() {
            let with_event = sum + at_event[at];
            sum += step[at];
            by_cell.extend([sum, with_event]);
        }
    }
    by_cell
}

/// The cells that blocks of places, one after the other, have a piece of.
struct Pieces<'a> {
    by_exit: &'a ByExit,
    cell: usize,
    end: usize,
    /// Up to where a cell that goes on has been given.
    done: usize,
}

impl<'a> Pieces<'a> {
    fn new(by_exit: &'a ByExit, cells: &Range<usize>) -> Self {
        Self {
            by_exit,
            cell: cells.start,
            end: cells.end,
            done: 0,
        }
    }

    /// The next cell with places among these, how many of them are rows, and the places.
    #[inline(always)]
    fn next(&mut self, within: &Range<usize>) -> Option<(usize, usize, Range<usize>)> {
        let begin = &self.by_exit.begin;
        while self.cell < self.end {
            let cell = self.cell;
            let piece = begin[cell].max(within.start)..begin[cell + 1].min(within.end);
            if self.done == within.end || begin[cell] >= within.end {
                return None;
            }
            if begin[cell + 1] <= within.end {
                self.cell += 1;
            } else {
                // The rest is in the next block.
                self.done = within.end;
            }
            if !piece.is_empty() {
                let last = begin[cell] + self.by_exit.rows[cell];
                let rows = last.clamp(piece.start, piece.end) - piece.start;
                return Some((cell, rows, piece));
            }
        }
        None
    }
}

fn ordered<T: Copy>(column: &[T], order: &[u32]) -> Vec<T> {
    if column.is_empty() {
        return Vec::new();
    }
    order.iter().map(|row| column[*row as usize]).collect()
}

/// Cells in ranges with about as many rows each.
fn chunks(begin: &[usize]) -> Vec<Range<usize>> {
    let places = begin.last().copied().unwrap_or(0);
    let share = places
        .div_ceil((places / MIN_CHUNK).clamp(1, MAX_CHUNKS))
        .max(1);
    let mut chunks: Vec<Range<usize>> = Vec::new();
    let mut from = 0;
    for cell in 1..begin.len() {
        if begin[cell] - begin[from] >= share || cell + 1 == begin.len() {
            chunks.push(from..cell);
            from = cell;
        }
    }
    chunks
}

/// Adds the scalar products of r with some rows of several columns, which share its loads. All are whole vectors, as cells
/// are.
#[inline(always)]
fn add_products<const N: usize>(
    risk: &[f64],
    rows: &Range<usize>,
    columns: [&Block; N],
    sums: &mut [f64],
) {
    let columns = columns.map(|column| column[rows.clone()].as_chunks::<LANES>().0);
    let mut lanes = [[0.0; LANES]; N];
    for (at, risk) in risk.as_chunks::<LANES>().0.iter().enumerate() {
        for (lanes, column) in lanes.iter_mut().zip(columns) {
            let x = &column[at];
            for lane in 0..LANES {
                lanes[lane] += risk[lane] * x[lane];
            }
        }
    }
    for (sum, lanes) in sums.iter_mut().zip(lanes) {
        *sum += together(lanes);
    }
}

#[inline(always)]
fn sum(a: &[f64]) -> f64 {
    let mut lanes = [0.0; LANES];
    for a in a.as_chunks::<LANES>().0 {
        for lane in 0..LANES {
            lanes[lane] += a[lane];
        }
    }
    together(lanes)
}

/// The sum of lanes, halves at a time.
#[inline(always)]
fn together([a, b, c, d, e, f, g, h]: [f64; LANES]) -> f64 {
    ((a + e) + (c + g)) + ((b + f) + (d + h))
}
