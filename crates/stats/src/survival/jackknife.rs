//! The infinitesimal jackknife of a curve: robust variances where weights are not frequencies.
//!
//! The variance of a curve at t is Σ w²u², u the derivative of the estimate at t by the weight of one row, each
//! row its own cluster. Source: R survival, `survfit(robust = TRUE)`; Therneau and Grambsch (2000), 7.2.

use super::RiskTable;
use crate::numeric::Twice;
use crate::{Error, Result};

/// The derivative of a curve's step by the weight of one row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Influence {
    /// Of a row that is at risk and has no event at this time.
    pub(crate) at_risk: f64,
    /// Of a row that has its event at this time.
    pub(crate) event: f64,
}

impl Influence {
    /// Whether nothing happens at this time.
    fn is_zero(self) -> bool {
        self.at_risk == 0.0 && self.event == 0.0
    }
}

impl RiskTable {
    /// Σ w²u² at each time, where u sums a row's influences up to that time.
    ///
    /// A row that left before carries its total. One still at risk has A(t) − A(start), A the running sum of
    /// `at_risk`, so Σ w²(A(t) − A(start))² expands into three sums over those at risk. They run from the last time
    /// back, with twice the digits: those who stay longest keep theirs beside far larger weights that left before, or had
    /// not entered yet. At a time without an event no influence changes, and the variance stays as it
    /// is to the last digit: quantiles go by which limits are equal.
    pub(crate) fn jackknife(&self, steps: &[Influence]) -> Result<Vec<f64>> {
        let squares = self.squares.as_ref().ok_or(Error::CorruptState)?;
        let times = self.time.len();
        let mut cumulative = vec![0.0; times + 1];
        for at in 0..times {
            cumulative[at + 1] = cumulative[at] + steps[at].at_risk;
        }
        let total = |entered: usize, left: usize, event: bool| {
            let stayed = if event {
                cumulative[left] + steps[left].event
            } else {
                cumulative[left + 1]
            };
            stayed - cumulative[entered]
        };
        // Of those at risk: Σw², Σw²A(start), Σw²A(start)²; changes by the index of the time.
        let mut come = vec![[Twice::default(); 3]; times + 1];
        let mut go = vec![[Twice::default(); 3]; times];
        let mut done = vec![0.0; times];
        let mut take = |entered: usize, left: usize, event: bool, square: f64| {
            let start = cumulative[entered];
            // Who enters after A is infinite, S being 0, was not at risk where the curve is told about.
            if start.is_infinite() {
                return;
            }
            let mut product = Twice::from(square);
            for power in 0..3 {
                come[entered][power] = come[entered][power].plus(product);
                go[left][power] = go[left][power].plus(product);
                product = product.times(start);
            }
            if square != 0.0 {
                let influence = total(entered, left, event);
                done[left] += square * influence * influence;
            }
        };
        for (status, by_time) in squares.whole.iter().enumerate() {
            for (left, square) in by_time.iter().enumerate() {
                take(0, left, status > 0, *square);
            }
        }
        for (entered, left, status, square) in &squares.intervals {
            take(*entered, *left, *status > 0, *square);
        }
        // At risk after a time: who leaves later, less who enters later.
        let mut staying = vec![[Twice::default(); 3]; times];
        let mut later = [Twice::default(); 3];
        for at in (0..times).rev() {
            for power in 0..3 {
                later[power] = later[power].minus(come[at + 1][power]);
                staying[at][power] = later[power];
                later[power] = later[power].plus(go[at][power]);
            }
        }
        let (mut finished, mut current) = (0.0, 0.0);
        let variance = (0..times).map(|at| {
            finished += done[at];
            if steps[at].is_zero() {
                return current;
            }
            let staying = staying[at];
            let a = cumulative[at + 1];
            // A(t) can be infinite once S is 0; nobody at risk then contributes.
            let at_risk = if a == 0.0 || self.at_risk_rows.get(at + 1).is_none_or(|rows| *rows == 0)
            {
                0.0
            } else {
                let linear = staying[0].times(a).minus(staying[1].times(2.0));
                linear.times(a).plus(staying[2]).rounded().max(0.0)
            };
            current = finished + at_risk;
            current
        });
        Ok(variance.collect())
    }
}
