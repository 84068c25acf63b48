//! The baseline hazard of a Cox model, and predicted curves with standard errors.
//!
//! H(t | x) = exp(β'x) Σ over event times s ≤ t of h_s, with the h of the likelihood: Breslow's estimate, or
//! Efron's with its ties. Var H(t | x) = e² (Σ A + d'V d), e = exp(β'x), d the sum of (x̄(s) − x)·h_s.
//! Source: Therneau and Grambsch (2000), 10.2; R survival, `survfit.coxph`, `basehaz`.

use super::Cox;
use crate::numeric::two_sided_z;
use crate::survival::{ConfType, TimeFix, distinct_times};
use crate::{Error, Result};

/// The cumulative hazard of one stratum.
#[derive(Debug, Clone, PartialEq)]
pub struct Baseline {
    /// The stratum's code.
    pub stratum: u64,
    /// One row per distinct time at which rows left, censoring included.
    pub rows: Vec<BaselineRow>,
}

/// One step of a baseline hazard.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BaselineRow {
    /// Days since time zero.
    pub time: f64,
    /// The cumulative hazard.
    pub cumulative_hazard: f64,
}

/// One step of a predicted curve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PredictedRow {
    /// Days since time zero.
    pub time: f64,
    /// Predicted cumulative hazard.
    pub cumulative_hazard: f64,
    /// Its standard error, which is that of log `survival` too.
    pub std_err: f64,
    /// Predicted survival.
    pub survival: f64,
    /// Lower limit of `survival`.
    pub lower: f64,
    /// Upper limit of `survival`.
    pub upper: f64,
}

impl Cox<'_> {
    /// The cumulative hazard at all covariates 0 (R's `basehaz(centered = FALSE)`), by stratum.
    #[must_use]
    pub fn baseline(&self) -> Vec<Baseline> {
        self.hazards_at(&vec![0.0; self.model.terms()])
    }

    /// The cumulative hazard at the fit's `means` (R's `basehaz(centered = TRUE)`), by stratum.
    #[must_use]
    pub fn baseline_at_means(&self) -> Vec<Baseline> {
        self.hazards_at(&self.fit.means)
    }

    /// The predicted curve of a person with these covariates, by stratum.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidPrediction`] unless there is one finite value per term;
    /// [`Error::InvalidConfidenceLevel`].
    pub fn predict(
        &self,
        x: &[f64],
        conf_type: ConfType,
        conf_level: f64,
    ) -> Result<Vec<(u64, Vec<PredictedRow>)>> {
        let z = two_sided_z(conf_level)?;
        let p = self.model.terms();
        if x.len() != p || !x.iter().all(|x| x.is_finite()) {
            return Err(Error::InvalidPrediction);
        }
        let (_, sums) = self.model.sums(&self.beta);
        let risk = self.relative_risk(x);
        let centred: Vec<f64> = x
            .iter()
            .zip(&self.model.columns.centre)
            .map(|(x, centre)| x - centre)
            .collect();
        // Standard errors at each event time; before the first of a stratum there is nothing to err about.
        let mut std_errs = vec![0.0; sums.h.len()];
        for range in &self.model.layout.ranges {
            let (mut own, mut drift) = (0.0, vec![0.0; p]);
            for at in range.clone() {
                own += sums.a[at];
                for term in 0..p {
                    let mean_step =
                        sums.a[at] * sums.s1[at * p + term] - sums.b[at] * sums.d1[at * p + term];
                    drift[term] += mean_step - sums.h[at] * centred[term];
                }
                let variance = own + quadratic(&self.fit.variance, &drift);
                std_errs[at] = risk * variance.sqrt();
            }
        }
        let curves = self.steps(&sums.h).into_iter().map(|(stratum, steps)| {
            let rows = steps.into_iter().map(|(time, hazard, at)| {
                let cumulative_hazard = risk * hazard;
                let std_err = at.map_or(0.0, |at| std_errs[at]);
                let survival = (-cumulative_hazard).exp();
                let (lower, upper) = conf_type.interval(survival, std_err, z);
                PredictedRow {
                    time,
                    cumulative_hazard,
                    std_err,
                    survival,
                    lower,
                    upper,
                }
            });
            (stratum, rows.collect())
        });
        Ok(curves.collect())
    }

    /// exp(β'(x − centre)).
    fn relative_risk(&self, x: &[f64]) -> f64 {
        let terms = self.beta.iter().zip(x).zip(&self.model.columns.centre);
        terms
            .map(|((beta, x), centre)| beta * (x - centre))
            .sum::<f64>()
            .exp()
    }

    fn hazards_at(&self, x: &[f64]) -> Vec<Baseline> {
        let (_, sums) = self.model.sums(&self.beta);
        let risk = self.relative_risk(x);
        let baselines = self.steps(&sums.h).into_iter().map(|(stratum, steps)| {
            let rows = steps.into_iter().map(|(time, hazard, _)| BaselineRow {
                time,
                cumulative_hazard: risk * hazard,
            });
            Baseline {
                stratum,
                rows: rows.collect(),
            }
        });
        baselines.collect()
    }

    /// A step for each distinct exit time, by stratum.
    fn steps(&self, h: &[f64]) -> Vec<(u64, Vec<Step>)> {
        let (rows, layout) = (self.model.rows, &self.model.layout);
        let fix = TimeFix::of_times(
            rows.time
                .iter()
                .chain(rows.start.iter().filter(|s| s.is_finite()))
                .copied(),
        );
        let mut times: Vec<Vec<f64>> = vec![Vec::new(); layout.strata.len()];
        for (row, time) in rows.time.iter().enumerate() {
            times[layout
                .stratum
                .get(row)
                .map_or(0, |stratum| *stratum as usize)]
            .push(fix.fix(*time));
        }
        let strata =
            layout
                .strata
                .iter()
                .zip(&layout.ranges)
                .zip(times)
                .map(|((stratum, range), times)| {
                    let (mut sum, mut at) = (0.0, range.start);
                    let steps = distinct_times(times.iter().copied())
                        .into_iter()
                        .map(|time| {
                            while at < range.end && layout.time[at] <= time {
                                sum += h[at];
                                at += 1;
                            }
                            (time, sum, (at > range.start).then(|| at - 1))
                        });
                    (*stratum, steps.collect())
                });
        strata.collect()
    }
}

/// An exit time, the sum of `h` up to it, and the place of its last event time.
type Step = (f64, f64, Option<usize>);

fn quadratic(matrix: &[Vec<f64>], x: &[f64]) -> f64 {
    matrix
        .iter()
        .zip(x)
        .map(|(row, a)| a * row.iter().zip(x).map(|(m, b)| m * b).sum::<f64>())
        .sum()
}
