//! Tests of proportional hazards: does β change with a function g of time?
//!
//! The score test of γ in β(t) = β + γ·(g(t) − ḡ) at γ = 0, with the information of (β, γ) made of
//! Σ V(t), Σ (g−ḡ)V(t) and Σ (g−ḡ)²V(t), V(t) what each event time contributes to the information.
//! Source: Grambsch and Therneau, Biometrika 1994; R survival 3, `cox.zph`.

use super::Cox;
use crate::numeric::Symmetric;
use crate::survival::{EventTimes, Test, TimeFix, kaplan_meier};
use crate::{Error, Result};

/// The function of time against which coefficients are tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum TimeTransform {
    /// 1 − S(t−) of all rows: R's default `km`.
    #[default]
    KaplanMeier,
    /// The rank among all rows' times.
    Rank,
    /// Time itself.
    Identity,
    /// The logarithm of time.
    Log,
}

/// Proportional-hazards tests.
#[derive(Debug, Clone, PartialEq)]
pub struct Zph {
    /// One test per term, in the terms' order. A dropped term has no degrees of freedom.
    pub terms: Vec<Test>,
    /// All terms together.
    pub global: Test,
}

impl Cox<'_> {
    /// Tests each term and all together. `term_of` gives the term of each column, so that the columns of one
    /// factor are tested together; `&[0, 1, 2, …]` tests each by itself.
    ///
    /// # Errors
    ///
    /// [`Error::UnequalTerms`] if `term_of` has another length than the model has columns, and
    /// [`Error::LogarithmOfZero`] for the logarithm of an event at time 0.
    pub fn zph(&self, transform: TimeTransform, term_of: &[usize]) -> Result<Zph> {
        let (model, p) = (&self.model, self.model.terms());
        if term_of.len() != p {
            return Err(Error::UnequalTerms);
        }
        let g = self.centred_times(transform)?;
        let (risk, sums) = model.sums(&self.beta);
        let squared: Vec<f64> = g.iter().map(|g| g * g).collect();
        let blocks = [None, Some(g.as_slice()), Some(squared.as_slice())]
            .map(|factor| model.information(&risk, &sums, factor));
        let mut information = Symmetric::zero(2 * p);
        for row in 0..2 * p {
            for column in 0..2 * p {
                let block = usize::from(row >= p) + usize::from(column >= p);
                *information.get_mut(row, column) = blocks[block].get(row % p, column % p);
            }
        }
        let score = self.time_score(&g, &sums);
        let kept: Vec<bool> = self.fit.dropped.iter().map(|dropped| !dropped).collect();
        let test = |of_interest: &dyn Fn(usize) -> bool| {
            let keep: Vec<bool> = (0..2 * p)
                .map(|at| kept[at % p] && (at < p || of_interest(at - p)))
                .collect();
            let u: Vec<f64> = (0..2 * p)
                .filter(|at| keep[*at])
                .map(|at| if at < p { 0.0 } else { score[at - p] })
                .collect();
            let df = (0..p).filter(|at| kept[*at] && of_interest(*at)).count();
            Test::new(
                information.restricted(&keep).inverse_quadratic(&u, 1e-14).0,
                df,
            )
        };
        let terms = term_of.iter().max().map_or(0, |last| last + 1);
        let terms = (0..terms)
            .map(|term| test(&|column| term_of[column] == term))
            .collect();
        Ok(Zph {
            terms,
            global: test(&|_| true),
        })
    }

    /// Σ over events of (g − ḡ)·w·(x − x̄).
    fn time_score(&self, g: &[f64], sums: &super::likelihood::Sums) -> Vec<f64> {
        let (model, p) = (&self.model, self.model.terms());
        let means = sums.means(&model.layout.death_weight);
        let mut score = vec![0.0; p];
        for row in (0..model.rows.len()).filter(|row| model.rows.event[*row]) {
            let at = model.layout.last[row] as usize - 1;
            for (term, score) in score.iter_mut().enumerate() {
                *score +=
                    g[at] * model.rows.weight_of(row) * (model.x(term, row) - means[at * p + term]);
            }
        }
        score
    }

    /// g − ḡ at each event time, ḡ the mean over events.
    fn centred_times(&self, transform: TimeTransform) -> Result<Vec<f64>> {
        let (rows, layout) = (self.model.rows, &self.model.layout);
        let mut g: Vec<f64> = match transform {
            TimeTransform::Identity => layout.time.clone(),
            TimeTransform::Log => layout.time.iter().map(|time| time.ln()).collect(),
            TimeTransform::Rank => {
                let fix = TimeFix::of_times(
                    rows.time
                        .iter()
                        .chain(rows.start.iter().filter(|s| s.is_finite()))
                        .copied(),
                );
                let mut times: Vec<f64> = rows.time.iter().map(|time| fix.fix(*time)).collect();
                times.sort_unstable_by(f64::total_cmp);
                let rank = |time: &f64| {
                    let (below, until) = (
                        times.partition_point(|known| known < time),
                        times.partition_point(|known| known <= time),
                    );
                    #[expect(
                        clippy::cast_precision_loss,
                        reason = "numbers of rows stay far below 2^53"
                    )]
                    let rank = (below + until + 1) as f64 / 2.0;
                    rank
                };
                layout.time.iter().map(rank).collect()
            }
            TimeTransform::KaplanMeier => {
                let mut all = EventTimes::new();
                for (row, time) in rows.time.iter().enumerate() {
                    let status = u32::from(rows.event[row]);
                    match rows.start.get(row).filter(|start| start.is_finite()) {
                        Some(start) => all.add_interval(*start, *time, status)?,
                        None => all.add(*time, status)?,
                    }
                }
                let table = all.risk_table()?;
                let survival = kaplan_meier::survival(&table)?;
                let before = |time: &f64| {
                    table
                        .times()
                        .partition_point(|known| known < time)
                        .checked_sub(1)
                };
                layout
                    .time
                    .iter()
                    .map(|time| 1.0 - before(time).map_or(1.0, |at| survival[at]))
                    .collect()
            }
        };
        if !g.iter().all(|g| g.is_finite()) {
            return Err(Error::LogarithmOfZero);
        }
        let deaths: f64 = layout.deaths.iter().map(|deaths| f64::from(*deaths)).sum();
        let mean = g
            .iter()
            .zip(&layout.deaths)
            .map(|(g, deaths)| g * f64::from(*deaths))
            .sum::<f64>()
            / deaths;
        g.iter_mut().for_each(|g| *g -= mean);
        Ok(g)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::super::{Options, Row, Rows};
    use super::*;

    #[test]
    fn the_logarithm_of_an_event_at_time_0_is_refused() {
        let mut rows = Rows::new();
        for (time, event, x) in [
            (0.0, true, 1.0),
            (1.0, true, 3.0),
            (2.0, true, 2.0),
            (3.0, false, 1.0),
        ] {
            rows.push(&Row::new(time, event, &[x])).unwrap();
        }
        let cox = Cox::fit(&rows, &Options::default()).unwrap();
        let refused = cox.zph(TimeTransform::Log, &[0]).unwrap_err();
        assert_eq!(refused, Error::LogarithmOfZero);
        assert!(cox.zph(TimeTransform::KaplanMeier, &[0]).is_ok());
    }
}
