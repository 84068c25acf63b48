//! Gray's test: is the cumulative incidence of one cause the same in k groups?
//!
//! Compares, at each event of the cause, the events of a group with those expected from its share of the pooled
//! subdistribution risk set R_j(t) = n_j(t)·(1 − F_j(t−))/S_j(t−), weighted by (1 − F(t−))^ρ of the pooled
//! incidence F; the covariance accounts for the estimation of S_j and F_j. Strata are summed.
//! Source: Gray, Ann. Stat. 1988; the Fortran of cmprsk (`crst`), which this follows.

use super::comparison::Comparison;
use super::{EventTimes, RiskTable, Test};
use crate::numeric::Symmetric;
use crate::{Error, Grouped, Result};

/// What is tested.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// The event code of the cause of interest; all other codes above 0 compete.
    pub cause: u32,
    /// Exponent of 1 − F: above 0, early differences weigh more.
    pub rho: f64,
}

impl Options {
    /// Gray's test of a cause with ρ = 0.
    #[must_use]
    pub fn new(cause: u32) -> Self {
        Self { cause, rho: 0.0 }
    }
}

/// Compares the groups, within strata if the key's first half differs.
///
/// # Errors
///
/// [`Error::FractionalWeights`], [`Error::DelayedEntryUnsupported`], and what [`EventTimes::risk_table`] refuses.
pub fn test<S: Ord, G: Ord>(
    summary: &Grouped<(S, G), EventTimes>,
    options: &Options,
) -> Result<Test> {
    let comparison = Comparison::new(summary)?;
    let groups = comparison.names.len();
    // The last group's score follows from the others'.
    let others = groups.saturating_sub(1);
    let mut score = vec![0.0; groups];
    let mut variance = Symmetric::zero(groups);
    for (indices, tables) in &comparison.strata {
        let (own_score, own_variance) = Stratum {
            tables,
            cause: options.cause,
            rho: options.rho,
        }
        .compare()?;
        for (row, j) in indices.iter().enumerate() {
            score[*j] += own_score[row];
            for (column, k) in indices.iter().enumerate() {
                *variance.get_mut(*j, *k) += own_variance.get(row, column);
            }
        }
    }
    let keep: Vec<bool> = (0..groups).map(|group| group < others).collect();
    let (statistic, df) = variance
        .restricted(&keep)
        .inverse_quadratic(&score[..others], 1e-10);
    Ok(Test::new(statistic, df))
}

/// The groups of one stratum.
struct Stratum<'a> {
    tables: &'a [RiskTable],
    cause: u32,
    rho: f64,
}

/// What is carried from one time to the next, by group.
struct State {
    /// S(t−): free of any event.
    free: Vec<f64>,
    /// F(t−): incidence of the cause.
    incidence: Vec<f64>,
    /// F(t−) pooled.
    pooled: f64,
}

impl Stratum<'_> {
    /// The groups' scores and their covariance.
    fn compare(&self) -> Result<(Vec<f64>, Symmetric)> {
        let groups = self.tables.len();
        if self.tables.iter().any(|table| table.fractional) {
            return Err(Error::FractionalWeights);
        }
        if self.tables.iter().any(|table| table.has_entries) {
            return Err(Error::DelayedEntryUnsupported);
        }
        let mut state = State {
            free: vec![1.0; groups],
            incidence: vec![0.0; groups],
            pooled: 0.0,
        };
        let mut score = vec![0.0; groups];
        let mut covariance = Covariance::new(groups);
        let times = self.tables.first().map_or(0, |table| table.time.len());
        for at in 0..times {
            let own: Vec<f64> = self
                .tables
                .iter()
                .map(|table| self.events(table, at))
                .collect();
            let other: Vec<f64> = self
                .tables
                .iter()
                .zip(&own)
                .map(|(table, own)| table.any_event(at) - own)
                .collect();
            let (own_sum, other_sum): (f64, f64) = (own.iter().sum(), other.iter().sum());
            if own_sum + other_sum == 0.0 {
                continue;
            }
            let n: Vec<f64> = self.tables.iter().map(|table| table.at_risk[at]).collect();
            // n/S, the number at risk had nobody been lost, and R, that of the subdistribution.
            let present: Vec<f64> = (0..groups)
                .map(|j| {
                    if n[j] > 0.0 {
                        n[j] / state.free[j]
                    } else {
                        0.0
                    }
                })
                .collect();
            let risk: Vec<f64> = present
                .iter()
                .zip(&state.incidence)
                .map(|(n, f)| n * (1.0 - f))
                .collect();
            let (present_sum, risk_sum): (f64, f64) = (present.iter().sum(), risk.iter().sum());
            let weight = (1.0 - state.pooled).powf(self.rho);
            let pooled = state.pooled + own_sum / present_sum;
            let after: Vec<f64> = (0..groups)
                .map(|j| {
                    if n[j] > 0.0 {
                        state.free[j] * self.tables[j].event_free_share(at)
                    } else {
                        state.free[j]
                    }
                })
                .collect();
            for j in (0..groups).filter(|j| n[*j] > 0.0) {
                score[j] += weight * (own[j] - own_sum * risk[j] / risk_sum);
            }
            let rate = own_sum / (present_sum * (1.0 - state.pooled));
            covariance.projection(weight, &present, present_sum, rate);
            for k in 0..groups {
                if own_sum > 0.0 && n[k] > 0.0 {
                    let ties = if own_sum > 1.0 {
                        1.0 - (own_sum - 1.0) / (present_sum * state.free[k] - 1.0)
                    } else {
                        1.0
                    };
                    let step = ties * state.free[k] * own_sum / (present_sum * n[k]);
                    let share = if after[k] > 0.0 {
                        1.0 - (1.0 - pooled) / after[k]
                    } else {
                        1.0
                    };
                    covariance.add(k, 1.0, share, step);
                }
                if other[k] > 0.0 && after[k] > 0.0 {
                    let ties = if other[k] > 1.0 {
                        1.0 - (other[k] - 1.0) / (n[k] - 1.0)
                    } else {
                        1.0
                    };
                    let step = ties * state.free[k].powi(2) * other[k] / n[k].powi(2);
                    covariance.add(k, 0.0, -(1.0 - pooled) / after[k], step);
                }
            }
            for j in (0..groups).filter(|j| n[*j] > 0.0) {
                state.incidence[j] += state.free[j] * own[j] / n[j];
            }
            state.free = after;
            state.pooled = pooled;
        }
        Ok((score, covariance.finish()))
    }

    fn events(&self, table: &RiskTable, at: usize) -> f64 {
        let cause = self
            .cause
            .checked_sub(1)
            .and_then(|cause| table.events.get(cause as usize));
        cause.map_or(0.0, |events| events[at])
    }
}

/// The covariance of the scores, built up over time: sums of (a_i − s·c_i)(a_j − s·c_j), where c goes on
/// growing after the event and is put in at the end.
struct Covariance {
    groups: usize,
    a: Symmetric,
    c: Symmetric,
    /// The part that is known at once.
    fixed: Symmetric,
    /// By (group, event group): what c of the end is to be multiplied by once.
    cross: Vec<f64>,
    /// By event group: what c of the end is to be multiplied by twice.
    square: Vec<f64>,
}

impl Covariance {
    fn new(groups: usize) -> Self {
        Self {
            groups,
            a: Symmetric::zero(groups),
            c: Symmetric::zero(groups),
            fixed: Symmetric::zero(groups),
            cross: vec![0.0; groups * groups],
            square: vec![0.0; groups],
        }
    }

    /// a of this time, and c up to it.
    fn projection(&mut self, weight: f64, present: &[f64], sum: f64, rate: f64) {
        for i in 0..self.groups {
            for j in 0..self.groups {
                let own = if i == j { 1.0 } else { 0.0 };
                let a = weight * present[i] * (own - present[j] / sum);
                *self.a.get_mut(i, j) = a;
                *self.c.get_mut(i, j) += a * rate;
            }
        }
    }

    /// Events in group `k` with variance `step`: they move score i by `own`·a_ik − `share`·c_ik now, and by
    /// `share`·c_ik of the end.
    fn add(&mut self, k: usize, own: f64, share: f64, step: f64) {
        let now: Vec<f64> = (0..self.groups)
            .map(|i| own * self.a.get(i, k) - share * self.c.get(i, k))
            .collect();
        for i in 0..self.groups {
            self.cross[i * self.groups + k] += now[i] * share * step;
            for j in 0..self.groups {
                *self.fixed.get_mut(i, j) += now[i] * now[j] * step;
            }
        }
        self.square[k] += share * share * step;
    }

    fn finish(self) -> Symmetric {
        let Self {
            groups,
            c,
            mut fixed,
            cross,
            square,
            ..
        } = self;
        for i in 0..groups {
            for j in 0..groups {
                for k in 0..groups {
                    *fixed.get_mut(i, j) += c.get(i, k) * c.get(j, k) * square[k]
                        + c.get(i, k) * cross[j * groups + k]
                        + c.get(j, k) * cross[i * groups + k];
                }
            }
        }
        fixed
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::Summary;

    fn made(rows: std::ops::Range<u32>) -> Grouped<((), u32), EventTimes> {
        let mut arms = Grouped::<((), u32), EventTimes>::default();
        for row in rows {
            arms.entry(((), row % 3))
                .add(f64::from(row * 37 % 61), row * 11 % 4 % 3)
                .unwrap();
        }
        arms
    }

    #[test]
    fn merged_is_the_whole() {
        let mut parts = made(90..150);
        parts.merge(made(0..90));
        assert_eq!(
            test(&parts, &Options::new(1)).unwrap(),
            test(&made(0..150), &Options::new(1)).unwrap()
        );
    }

    #[test]
    fn one_group_or_no_event_of_the_cause_is_nothing_to_compare() {
        let mut one = Grouped::<((), u32), EventTimes>::default();
        one.entry(((), 0)).add(3.0, 1).unwrap();
        assert_eq!(test(&one, &Options::new(1)).unwrap().df, 0);
        one.entry(((), 1)).add(4.0, 1).unwrap();
        assert_eq!(test(&one, &Options::new(2)).unwrap().df, 0);
        assert_eq!(
            test(
                &Grouped::<((), u32), EventTimes>::default(),
                &Options::new(1)
            )
            .unwrap()
            .p_value,
            1.0
        );
    }
}
