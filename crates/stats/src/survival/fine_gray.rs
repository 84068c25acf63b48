//! Fine and Gray's regression on the subdistribution hazard of one cause.
//!
//! A row with a competing event stays in the risk sets after it, with weight G(t−)/G(T−), G the Kaplan-Meier
//! curve of censoring. With r = exp(η): S0(t) sums r over T ≥ t and G(t−)·r/G(T−) over earlier competing events,
//! so that one suffix and one prefix sum per time give every risk set, without a sort. Breslow's ties. The
//! variance is the sandwich of Fine and Gray, with the term for the estimation of G.
//! Source: Fine and Gray, JASA 1999; `cmprsk::crr`, whose conventions and pseudo-likelihood these are.

use rayon::prelude::*;

use super::columns::Columns;
use super::cox::Rows;
use super::hazard_ratio::ratios;
use super::newton::{Evaluation, Likelihood, Maximum, Newton};
use super::{HazardRatio, TimeFix, distinct_times};
use crate::numeric::{Symmetric, weighted_cross_product};
use crate::{Error, Result, Summary};

/// The rows of a Fine-Gray model: those of a Cox model of the cause of interest, and which rows compete.
#[derive(Debug, Clone, Default)]
pub struct CompetingRows {
    rows: Rows,
    /// Whether the row had another event.
    competing: Vec<bool>,
}

impl CompetingRows {
    /// No rows.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a row: status 0 is censored, `cause` the event of interest, all else a competing event.
    ///
    /// # Errors
    ///
    /// As [`Rows::push`].
    pub fn push(&mut self, time: f64, status: u32, cause: u32, covariates: &[f64]) -> Result<()> {
        self.rows
            .push(&super::cox::Row::new(time, status == cause, covariates))?;
        self.competing.push(status != 0 && status != cause);
        Ok(())
    }

    /// Rows held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

impl Summary for CompetingRows {
    fn merge(&mut self, other: Self) {
        self.rows.merge(other.rows);
        self.competing.extend(other.competing);
    }

    fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

/// How the model is fitted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// A fit has converged when a step changes the log likelihood by no more than this fraction.
    pub tolerance: f64,
    /// Newton steps allowed.
    pub max_iterations: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            tolerance: 1e-9,
            max_iterations: 40,
        }
    }
}

/// A fitted Fine-Gray model.
#[derive(Debug, Clone, PartialEq)]
pub struct Fit {
    /// Rows used.
    pub n: usize,
    /// Rows with the event of interest.
    pub n_events: usize,
    /// Rows with a competing event.
    pub n_competing: usize,
    /// Log subdistribution hazard ratios; NaN for a dropped term.
    pub coefficients: Vec<f64>,
    /// Terms left out because they are combinations of those before them.
    pub dropped: Vec<bool>,
    /// Terms whose coefficient grows without bound.
    pub infinite: Vec<bool>,
    /// Fine and Gray's robust covariance.
    pub variance: Vec<Vec<f64>>,
    /// The inverse information.
    pub naive_variance: Vec<Vec<f64>>,
    /// Log pseudo-likelihood with all coefficients 0.
    pub log_likelihood_null: f64,
    /// Log pseudo-likelihood of the fit.
    pub log_likelihood: f64,
    /// The baseline subdistribution hazard at all covariates 0: event times and jumps.
    pub baseline: Vec<(f64, f64)>,
    /// Newton steps taken.
    pub iterations: usize,
}

impl Fit {
    /// Standard errors, from `variance`.
    #[must_use]
    pub fn std_err(&self) -> Vec<f64> {
        self.variance
            .iter()
            .enumerate()
            .map(|(at, row)| row[at].sqrt())
            .collect()
    }

    /// Subdistribution hazard ratios with intervals.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidConfidenceLevel`].
    pub fn hazard_ratios(&self, conf_level: f64) -> Result<Vec<HazardRatio>> {
        ratios(&self.coefficients, &self.std_err(), conf_level)
    }

    /// The predicted cumulative incidence of a person with these covariates, at each event time.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidPrediction`] unless there is one finite value per term.
    pub fn predict(&self, x: &[f64]) -> Result<Vec<(f64, f64)>> {
        if x.len() != self.coefficients.len() || !x.iter().all(|x| x.is_finite()) {
            return Err(Error::InvalidPrediction);
        }
        let terms = self
            .coefficients
            .iter()
            .zip(x)
            .filter(|(beta, _)| !beta.is_nan());
        let risk = terms.map(|(beta, x)| beta * x).sum::<f64>().exp();
        let mut hazard = 0.0;
        let curve = self.baseline.iter().map(|(time, jump)| {
            hazard += jump * risk;
            (*time, -(-hazard).exp_m1())
        });
        Ok(curve.collect())
    }
}

/// Fits the model.
///
/// # Errors
///
/// [`Error::NoEvents`], [`Error::NoConvergence`], [`Error::UnequalTerms`].
///
/// # Example
///
/// ```
/// use columna_stats::survival::fine_gray::{CompetingRows, Options, fit};
///
/// let mut rows = CompetingRows::new();
/// for (time, status, x) in [(1.0, 1, 1.0), (2.0, 2, 0.0), (3.0, 1, 0.0), (4.0, 0, 1.0), (5.0, 1, 1.0)] {
///     rows.push(time, status, 1, &[x])?;
/// }
/// assert_eq!(fit(&rows, &Options::default())?.n_competing, 1);
/// # Ok::<(), columna_stats::Error>(())
/// ```
pub fn fit(rows: &CompetingRows, options: &Options) -> Result<Fit> {
    let model = Model::new(rows)?;
    if model.time_events.iter().all(|events| *events == 0.0) {
        return Err(Error::NoEvents);
    }
    let events: f64 = model.time_events.iter().sum();
    let newton = Newton::new(&model, &model.columns, events);
    let Maximum {
        beta,
        at,
        iterations,
    } = newton.maximise(options.tolerance, options.max_iterations)?;
    let (kept, factor) = (newton.null_factor.kept(), newton.factor(&at));
    let naive = newton.in_original_units(&factor.inverse());
    let sums = model.sums(&model.risk(&beta));
    let variance = naive.sandwich(&model.middle(&beta, &sums));
    let shift: f64 = beta
        .iter()
        .zip(&model.columns.centre)
        .map(|(beta, centre)| beta * centre)
        .sum();
    let jumps = (0..model.time.len()).filter(|at| model.time_events[*at] > 0.0);
    let baseline = jumps.map(|at| {
        (
            model.time[at],
            model.time_events[at] / sums.s0[at] * (-shift).exp(),
        )
    });
    Ok(Fit {
        n: rows.len(),
        n_events: rows.rows.event.iter().filter(|event| **event).count(),
        n_competing: rows
            .competing
            .iter()
            .filter(|competing| **competing)
            .count(),
        coefficients: beta
            .iter()
            .zip(&kept)
            .map(|(beta, kept)| if *kept { *beta } else { f64::NAN })
            .collect(),
        infinite: newton.unbounded(&factor, &at),
        dropped: kept.into_iter().map(|kept| !kept).collect(),
        variance: variance.to_rows(),
        naive_variance: naive.to_rows(),
        log_likelihood_null: newton.null.log_likelihood,
        log_likelihood: at.log_likelihood,
        baseline: baseline.collect(),
        iterations,
    })
}

/// The rows placed among all distinct times.
struct Model<'a> {
    rows: &'a CompetingRows,
    columns: Columns,
    time: Vec<f64>,
    /// Each row's place in `time`.
    place: Vec<usize>,
    /// Events of interest at each time.
    time_events: Vec<f64>,
    /// Censored at each time, and all rows at risk.
    time_censored: Vec<f64>,
    time_at_risk: Vec<f64>,
    /// G(t−).
    uncensored: Vec<f64>,
    /// Σ x over events.
    event_sum: Vec<f64>,
}

/// The sums at each time.
struct Sums {
    s0: Vec<f64>,
    /// A row of terms per time.
    s1: Vec<f64>,
}

/// Rows worked on at once, whatever the number of threads.
const CHUNK: usize = 65_536;

impl<'a> Model<'a> {
    fn new(rows: &'a CompetingRows) -> Result<Self> {
        let data = &rows.rows;
        if data.time.iter().any(|time| time.is_nan()) || data.len() != rows.competing.len() {
            return Err(Error::UnequalTerms);
        }
        let fix = TimeFix::of_times(data.time.iter().copied());
        let time = distinct_times(data.time.iter().map(|time| fix.fix(*time)));
        let place: Vec<usize> = data
            .time
            .par_iter()
            .map(|own| {
                let own = fix.fix(*own);
                time.partition_point(|known| *known < own)
            })
            .collect();
        let columns = Columns::new(data);
        let event_sum = data
            .covariates
            .iter()
            .zip(&columns.centre)
            .map(|(column, centre)| {
                let events = column.iter().zip(&data.event).filter(|(_, event)| **event);
                events.map(|(x, _)| x - centre).sum()
            });
        let event_sum = event_sum.collect();
        let times = time.len();
        let mut model = Self {
            rows,
            columns,
            time,
            place,
            time_events: vec![0.0; times],
            time_censored: vec![0.0; times],
            time_at_risk: vec![0.0; times],
            uncensored: Vec::with_capacity(times),
            event_sum,
        };
        for row in 0..data.len() {
            let place = model.place[row];
            model.time_at_risk[place] += 1.0;
            if data.event[row] {
                model.time_events[place] += 1.0;
            } else if !rows.competing[row] {
                model.time_censored[place] += 1.0;
            }
        }
        for at in (1..times).rev() {
            model.time_at_risk[at - 1] += model.time_at_risk[at];
        }
        let mut g = 1.0;
        for at in 0..times {
            model.uncensored.push(g);
            g *= (model.time_at_risk[at] - model.time_censored[at]) / model.time_at_risk[at];
        }
        Ok(model)
    }

    fn x(&self, term: usize, row: usize) -> f64 {
        self.rows.rows.covariates[term][row] - self.columns.centre[term]
    }

    /// exp(η).
    fn risk(&self, beta: &[f64]) -> Vec<f64> {
        let eta = |row: usize| {
            beta.iter()
                .enumerate()
                .map(|(term, beta)| beta * self.x(term, row))
                .sum::<f64>()
        };
        (0..self.place.len())
            .into_par_iter()
            .map(|row| eta(row).exp())
            .collect()
    }

    fn chunks(&self) -> Vec<std::ops::Range<usize>> {
        let n = self.place.len();
        let chunk = CHUNK.max(4 * self.time.len()).max(n.div_ceil(64));
        (0..n)
            .step_by(chunk)
            .map(|begin| begin..(begin + chunk).min(n))
            .collect()
    }

    fn sums(&self, risk: &[f64]) -> Sums {
        let (p, times) = (self.columns.terms(), self.time.len());
        let width = p + 1;
        let parts: Vec<(Vec<f64>, Vec<f64>)> = self
            .chunks()
            .into_par_iter()
            .map(|chunk| {
                let (mut all, mut competing) = (vec![0.0; times * width], vec![0.0; times * width]);
                for row in chunk {
                    let place = self.place[row];
                    self.add(&mut all[place * width..(place + 1) * width], row, risk[row]);
                    if self.rows.competing[row] {
                        let kept = risk[row] / self.uncensored[place];
                        self.add(
                            &mut competing[place * width..(place + 1) * width],
                            row,
                            kept,
                        );
                    }
                }
                (all, competing)
            })
            .collect();
        let (mut all, mut competing) = (vec![0.0; times * width], vec![0.0; times * width]);
        for (part_all, part_competing) in parts {
            for (sum, part) in all.iter_mut().zip(part_all) {
                *sum += part;
            }
            for (sum, part) in competing.iter_mut().zip(part_competing) {
                *sum += part;
            }
        }
        let mut s = vec![0.0; times * width];
        let mut later = vec![0.0; width];
        for at in (0..times).rev() {
            for column in 0..width {
                later[column] += all[at * width + column];
                s[at * width + column] = later[column];
            }
        }
        let mut earlier = vec![0.0; width];
        for at in 0..times {
            for column in 0..width {
                s[at * width + column] += self.uncensored[at] * earlier[column];
                earlier[column] += competing[at * width + column];
            }
        }
        Sums {
            s0: s.chunks(width).map(|sums| sums[0]).collect(),
            s1: s
                .chunks(width)
                .flat_map(|sums| &sums[1..])
                .copied()
                .collect(),
        }
    }

    fn add(&self, cell: &mut [f64], row: usize, value: f64) {
        if let Some((sum, by_term)) = cell.split_first_mut() {
            *sum += value;
            for (term, cell) in by_term.iter_mut().enumerate() {
                *cell += value * self.x(term, row);
            }
        }
    }

    /// Running sums over time of a step per event time, with and without the weight G(t−).
    fn exposure(&self, step: impl Fn(usize) -> f64) -> Exposure {
        let times = self.time.len();
        let (mut until, mut weighted) = (Vec::with_capacity(times), Vec::with_capacity(times));
        let (mut sum, mut weighted_sum) = (0.0, 0.0);
        for at in 0..times {
            let step = step(at);
            sum += step;
            weighted_sum += step * self.uncensored[at];
            until.push(sum);
            weighted.push(weighted_sum);
        }
        Exposure { until, weighted }
    }

    /// The sum of an exposure over a row's time in the risk sets, weighted where it competes.
    fn exposed(&self, exposure: &Exposure, row: usize) -> f64 {
        let place = self.place[row];
        let until = exposure.until[place];
        if !self.rows.competing[row] {
            return until;
        }
        let all = exposure.weighted.last().copied().unwrap_or(0.0);
        until + (all - exposure.weighted[place]) / self.uncensored[place]
    }

    /// Σ over rows of (η + ψ)(η + ψ)', the middle of Fine and Gray's sandwich.
    fn middle(&self, beta: &[f64], sums: &Sums) -> Symmetric {
        let (p, n, times) = (self.columns.terms(), self.place.len(), self.time.len());
        let risk = self.risk(beta);
        let hazard = |at: usize| {
            if self.time_events[at] > 0.0 {
                self.time_events[at] / sums.s0[at]
            } else {
                0.0
            }
        };
        let mean = |at: usize, term: usize| sums.s1[at * p + term] / sums.s0[at];
        let exposure = self.exposure(hazard);
        let mut residuals = vec![0.0; n * p];
        for term in 0..p {
            let mean_exposure = self.exposure(|at| {
                if hazard(at) > 0.0 {
                    hazard(at) * mean(at, term)
                } else {
                    0.0
                }
            });
            // Competing rows that left up to a time, by r/G, with and without x.
            let (mut count, mut sum) = (vec![0.0; times], vec![0.0; times]);
            for row in (0..n).filter(|row| self.rows.competing[*row]) {
                let kept = risk[row] / self.uncensored[self.place[row]];
                count[self.place[row]] += kept;
                sum[self.place[row]] += kept * self.x(term, row);
            }
            let all = exposure.weighted.last().copied().unwrap_or(0.0);
            let all_mean = mean_exposure.weighted.last().copied().unwrap_or(0.0);
            let (mut count_until, mut sum_until, mut drift) = (0.0, 0.0, 0.0);
            let (mut at_censoring, mut until) =
                (Vec::with_capacity(times), Vec::with_capacity(times));
            for at in 0..times {
                let (later, later_mean) = (
                    all - exposure.before(at),
                    all_mean - mean_exposure.before(at),
                );
                // What censoring here would change: the weights, from now on, of those who competed before.
                let q = sum_until * later - count_until * later_mean;
                count_until += count[at];
                sum_until += sum[at];
                let n_at = self.time_at_risk[at];
                drift += q * self.time_censored[at] / (n_at * n_at);
                at_censoring.push(q / n_at);
                until.push(drift);
            }
            for row in 0..n {
                let place = self.place[row];
                let x = self.x(term, row);
                let mut residual = -risk[row]
                    * (x * self.exposed(&exposure, row) - self.exposed(&mean_exposure, row))
                    - until[place];
                if self.rows.rows.event[row] {
                    residual += x - mean(place, term);
                } else if !self.rows.competing[row] {
                    residual += at_censoring[place];
                }
                residuals[row * p + term] = residual;
            }
        }
        let mut middle = Symmetric::zero(p);
        for residual in residuals.chunks(p.max(1)) {
            for row in 0..p {
                for column in 0..=row {
                    *middle.get_mut(row, column) += residual[row] * residual[column];
                }
            }
        }
        middle.mirror();
        middle
    }
}

struct Exposure {
    until: Vec<f64>,
    weighted: Vec<f64>,
}

impl Exposure {
    /// The weighted sum of the times before a place.
    fn before(&self, at: usize) -> f64 {
        at.checked_sub(1)
            .map_or(0.0, |before| self.weighted[before])
    }
}

impl Likelihood for Model<'_> {
    fn evaluate(&self, beta: &[f64]) -> Evaluation {
        let p = self.columns.terms();
        let risk = self.risk(beta);
        let sums = self.sums(&risk);
        let mut log_likelihood: f64 = beta
            .iter()
            .zip(&self.event_sum)
            .map(|(beta, sum)| beta * sum)
            .sum();
        let mut score = self.event_sum.clone();
        let mut information = Symmetric::zero(p);
        for at in (0..self.time.len()).filter(|at| self.time_events[*at] > 0.0) {
            let (d, s0, s1) = (
                self.time_events[at],
                sums.s0[at],
                &sums.s1[at * p..(at + 1) * p],
            );
            log_likelihood -= d * s0.ln();
            for row in 0..p {
                score[row] -= d * s1[row] / s0;
                for column in 0..=row {
                    *information.get_mut(row, column) -= d * (s1[row] / s0) * (s1[column] / s0);
                }
            }
        }
        let exposure = self.exposure(|at| {
            if self.time_events[at] > 0.0 {
                self.time_events[at] / sums.s0[at]
            } else {
                0.0
            }
        });
        let parts: Vec<Symmetric> = self
            .chunks()
            .into_par_iter()
            .map(|chunk| {
                let weights: Vec<f64> = chunk
                    .clone()
                    .map(|row| risk[row] * self.exposed(&exposure, row))
                    .collect();
                weighted_cross_product(
                    &self.rows.rows.covariates,
                    &self.columns.centre,
                    chunk,
                    &weights,
                )
            })
            .collect();
        for part in &parts {
            information.add_scaled(part, 1.0);
        }
        information.mirror();
        Evaluation {
            log_likelihood,
            score,
            information,
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::survival::cox::{Cox, Row, Ties};

    fn made(rows: std::ops::Range<u32>) -> CompetingRows {
        let mut made = CompetingRows::new();
        for row in rows {
            let x = [f64::from(row * 7 % 13) / 4.0, f64::from(row % 2)];
            made.push(f64::from(row * 37 % 101), row * 11 % 3, 1, &x)
                .unwrap();
        }
        made
    }

    #[test]
    fn merged_is_the_whole() {
        let whole = fit(&made(0..300), &Options::default()).unwrap();
        let mut parts = made(200..300);
        parts.merge(made(0..120));
        parts.merge(made(120..200));
        let parts = fit(&parts, &Options::default()).unwrap();
        for (a, b) in whole.variance.concat().iter().zip(parts.variance.concat()) {
            assert!((a - b).abs() < 1e-13);
        }
        assert!((whole.coefficients[0] - parts.coefficients[0]).abs() < 1e-12);
    }

    #[test]
    fn without_competing_events_it_is_a_cox_model() {
        let (mut alone, mut cox) = (CompetingRows::new(), super::super::cox::Rows::new());
        for row in 0..200_u32 {
            let (time, status, x) = (
                f64::from(row * 37 % 101),
                row * 11 % 2,
                [f64::from(row * 7 % 13)],
            );
            alone.push(time, status, 1, &x).unwrap();
            cox.push(&Row::new(time, status == 1, &x)).unwrap();
        }
        let alone = fit(&alone, &Options::default()).unwrap();
        let options = super::super::cox::Options {
            ties: Ties::Breslow,
            robust: Some(true),
            ..Default::default()
        };
        let cox = Cox::fit(&cox, &options).unwrap();
        assert!((alone.coefficients[0] - cox.result().coefficients[0]).abs() < 1e-12);
        assert!((alone.std_err()[0] - cox.result().std_err()[0]).abs() < 1e-12);
    }

    #[test]
    fn nothing_of_interest_is_an_error() {
        let mut rows = CompetingRows::new();
        rows.push(3.0, 2, 1, &[1.0]).unwrap();
        assert_eq!(fit(&rows, &Options::default()), Err(Error::NoEvents));
        assert_eq!(
            fit(&CompetingRows::new(), &Options::default()),
            Err(Error::NoEvents)
        );
    }
}
