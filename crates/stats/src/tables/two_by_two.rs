//! The two-by-two table of exposure and outcome, and what its four counts say in closed form.
//!
//! With a, b the exposed with and without the outcome, c, d the unexposed, n₁ = a + b, n₀ = c + d:
//! odds ratio ad/bc with Woolf's interval (1955), se log = √(1/a + 1/b + 1/c + 1/d); risk ratio with Katz's interval
//! (1978), se log = √(1/a − 1/n₁ + 1/c − 1/n₀); risk difference with Wald's interval.
//! Pearson's χ² with Yates' correction as R's `prop.test` and `chisq.test` apply it.

use super::score;
use crate::numeric::two_sided_z;
use crate::roots::{positive_root, root};
use crate::{Estimate, Result, Summary};
use statrs::function::gamma::gamma_ur;

/// Persons by exposure and outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct TwoByTwo {
    /// Exposed persons with the outcome.
    pub exposed_events: u64,
    /// Exposed persons without it.
    pub exposed_others: u64,
    /// Unexposed persons with the outcome.
    pub unexposed_events: u64,
    /// Unexposed persons without it.
    pub unexposed_others: u64,
}

/// A χ² statistic with one degree of freedom, or as many as it says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ChiSquared {
    /// The statistic.
    pub statistic: f64,
    /// Degrees of freedom.
    pub df: f64,
    /// The probability of a value at least as large.
    pub p_value: f64,
}

impl ChiSquared {
    pub(crate) fn new(statistic: f64, df: f64) -> Self {
        let p_value = if statistic.is_nan() || df <= 0.0 {
            f64::NAN
        } else if statistic <= 0.0 {
            1.0
        } else {
            gamma_ur(df / 2.0, statistic / 2.0)
        };
        Self {
            statistic,
            df,
            p_value,
        }
    }
}

impl Summary for TwoByTwo {
    fn merge(&mut self, other: Self) {
        self.exposed_events += other.exposed_events;
        self.exposed_others += other.exposed_others;
        self.unexposed_events += other.unexposed_events;
        self.unexposed_others += other.unexposed_others;
    }

    fn is_empty(&self) -> bool {
        self.total() == 0
    }
}

/// A count as a number. Exact below 2⁵³, which is more persons than there are.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts of persons are far below 2^53"
)]
pub(crate) fn number(count: u64) -> f64 {
    count as f64
}

impl TwoByTwo {
    /// Counts one person.
    #[inline]
    pub fn add(&mut self, exposed: bool, event: bool) {
        let cell = match (exposed, event) {
            (true, true) => &mut self.exposed_events,
            (true, false) => &mut self.exposed_others,
            (false, true) => &mut self.unexposed_events,
            (false, false) => &mut self.unexposed_others,
        };
        *cell += 1;
    }

    /// Whether the exposed or the unexposed are missing, so that there is nothing to compare.
    fn lacks_a_group(&self) -> bool {
        self.exposed_events + self.exposed_others == 0
            || self.unexposed_events + self.unexposed_others == 0
    }

    /// All persons.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.exposed_events + self.exposed_others + self.unexposed_events + self.unexposed_others
    }

    /// The counts a, b, c, d as numbers.
    pub(crate) fn cells(&self) -> [f64; 4] {
        [
            self.exposed_events,
            self.exposed_others,
            self.unexposed_events,
            self.unexposed_others,
        ]
        .map(number)
    }

    /// The odds ratio with Woolf's interval. With an empty cell it is 0 or infinite and has no such interval.
    ///
    /// # Errors
    /// A confidence level outside (0, 1); so in all functions that take one.
    pub fn odds_ratio(&self, conf_level: f64) -> Result<Estimate> {
        let [a, b, c, d] = self.cells();
        let se = (1.0 / a + 1.0 / b + 1.0 / c + 1.0 / d).sqrt();
        Ok(defined(
            Estimate::log_symmetric(a * d / (b * c), two_sided_z(conf_level)? * se),
            se,
        ))
    }

    /// The risk ratio with Katz's interval. With no event in a group it is 0 or infinite and has no such interval.
    ///
    /// # Errors
    /// See [`TwoByTwo::odds_ratio`].
    pub fn risk_ratio(&self, conf_level: f64) -> Result<Estimate> {
        let [a, b, c, d] = self.cells();
        let (n1, n0) = (a + b, c + d);
        let se = (1.0 / a - 1.0 / n1 + 1.0 / c - 1.0 / n0).sqrt();
        Ok(defined(
            Estimate::log_symmetric((a / n1) / (c / n0), two_sided_z(conf_level)? * se),
            se,
        ))
    }

    /// The risk difference with Wald's interval, cut to [−1, 1].
    ///
    /// # Errors
    /// See [`TwoByTwo::odds_ratio`].
    pub fn risk_difference(&self, conf_level: f64) -> Result<Estimate> {
        self.risk_difference_widened(conf_level, 0.0)
    }

    /// The risk difference with the interval of `prop.test`: Wald's, widened by Yates' correction.
    ///
    /// # Errors
    /// See [`TwoByTwo::odds_ratio`].
    pub fn risk_difference_yates(&self, conf_level: f64) -> Result<Estimate> {
        let [a, b, c, d] = self.cells();
        let (n1, n0) = (a + b, c + d);
        let sizes = 1.0 / n1 + 1.0 / n0;
        let correction = 0.5f64.min((a / n1 - c / n0).abs() / sizes);
        self.risk_difference_widened(conf_level, correction * sizes)
    }

    fn risk_difference_widened(&self, conf_level: f64, by: f64) -> Result<Estimate> {
        let [a, b, c, d] = self.cells();
        let (n1, n0) = (a + b, c + d);
        let se = (a * b / n1.powi(3) + c * d / n0.powi(3)).sqrt();
        let wide = Estimate::symmetric(a / n1 - c / n0, two_sided_z(conf_level)? * se + by);
        // `clamp` keeps NaN, `max` and `min` do not: without a group there is no interval either.
        Ok(wide.map(|bound| bound.clamp(-1.0, 1.0)))
    }

    /// The attributable fraction among the exposed, 1 − 1/RR.
    ///
    /// # Errors
    /// See [`TwoByTwo::odds_ratio`].
    pub fn attributable_fraction(&self, conf_level: f64) -> Result<Estimate> {
        Ok(self.risk_ratio(conf_level)?.map(|ratio| 1.0 - 1.0 / ratio))
    }

    /// The odds ratio with the score interval, as epiR has it: that of Miettinen and Nurminen (1985) without their factor
    /// N/(N − 1) of the variance.
    ///
    /// # Errors
    /// See [`TwoByTwo::odds_ratio`].
    pub fn odds_ratio_score(&self, conf_level: f64) -> Result<Estimate> {
        let z = two_sided_z(conf_level)?;
        if self.lacks_a_group() {
            return Ok(UNDEFINED);
        }
        let [a, b, c, d] = self.cells();
        let value = a * d / (b * c);
        let bound = |upper: bool| {
            let gap = |ratio: f64| score::odds_ratio_z(self, ratio) - if upper { -z } else { z };
            positive_root(gap)
        };
        let lower = if a == 0.0 || d == 0.0 {
            0.0
        } else {
            bound(false)
        };
        let upper = if b == 0.0 || c == 0.0 {
            f64::INFINITY
        } else {
            bound(true)
        };
        Ok(Estimate {
            value,
            lower,
            upper,
        })
    }

    /// The risk ratio with the score interval of Koopman (1984).
    ///
    /// # Errors
    /// See [`TwoByTwo::odds_ratio`].
    pub fn risk_ratio_score(&self, conf_level: f64) -> Result<Estimate> {
        let z = two_sided_z(conf_level)?;
        if self.lacks_a_group() {
            return Ok(UNDEFINED);
        }
        let [a, b, c, d] = self.cells();
        let value = (a / (a + b)) / (c / (c + d));
        let bound = |limit: f64| positive_root(|ratio| score::risk_ratio_z(self, ratio) - limit);
        let lower = if a == 0.0 { 0.0 } else { bound(z) };
        let upper = if c == 0.0 { f64::INFINITY } else { bound(-z) };
        Ok(Estimate {
            value,
            lower,
            upper,
        })
    }

    /// The risk difference with the score interval of Mee (1984), as epiR has it.
    ///
    /// # Errors
    /// See [`TwoByTwo::odds_ratio`].
    pub fn risk_difference_score(&self, conf_level: f64) -> Result<Estimate> {
        self.risk_difference_within(two_sided_z(conf_level)?)
    }

    /// The risk difference with the score interval of Miettinen and Nurminen (1985): Mee's with a variance N/(N − 1)
    /// times as large, N the number of persons.
    ///
    /// # Errors
    /// See [`TwoByTwo::odds_ratio`].
    pub fn risk_difference_miettinen_nurminen(&self, conf_level: f64) -> Result<Estimate> {
        let n: f64 = self.cells().iter().sum();
        self.risk_difference_within(two_sided_z(conf_level)? * (n / (n - 1.0)).sqrt())
    }

    /// The risk difference and the differences whose score statistic is within `z`.
    fn risk_difference_within(&self, z: f64) -> Result<Estimate> {
        if self.lacks_a_group() {
            return Ok(UNDEFINED);
        }
        let [a, b, c, d] = self.cells();
        let value = a / (a + b) - c / (c + d);
        let gap =
            |limit: f64| move |difference: f64| score::risk_difference_z(self, difference) - limit;
        Ok(Estimate {
            value,
            lower: root(-1.0, value, gap(z)),
            upper: root(value, 1.0, gap(-z)),
        })
    }

    /// Pearson's χ² of independence.
    #[must_use]
    pub fn chi_squared(&self) -> ChiSquared {
        self.chi_squared_less(0.0)
    }

    /// Pearson's χ² with Yates' correction, at most by the distance of the counts from what is expected.
    #[must_use]
    pub fn chi_squared_yates(&self) -> ChiSquared {
        self.chi_squared_less(0.5)
    }

    fn chi_squared_less(&self, correction: f64) -> ChiSquared {
        let [a, b, c, d] = self.cells();
        let (n1, n0, m1, m0) = (a + b, c + d, a + c, b + d);
        let n = n1 + n0;
        let distance = (a - n1 * m1 / n).abs();
        let less = distance - correction.min(distance);
        ChiSquared::new(less * less * n * (n / (n1 * n0)) * (n / (m1 * m0)), 1.0)
    }
}

/// No estimate and no interval: one of the groups has no persons.
const UNDEFINED: Estimate = Estimate {
    value: f64::NAN,
    lower: f64::NAN,
    upper: f64::NAN,
};

/// The estimate without its bounds where the standard error does not exist.
fn defined(estimate: Estimate, se: f64) -> Estimate {
    if se.is_finite() {
        estimate
    } else {
        Estimate {
            lower: f64::NAN,
            upper: f64::NAN,
            ..estimate
        }
    }
}

/// The E-value of a risk ratio and of the bound of its interval that is nearer to 1: the least strength of
/// association, on the risk ratio scale, that an unmeasured confounder must have with both exposure and outcome to
/// explain the estimate away. VanderWeele and Ding, Annals of Internal Medicine (2017).
///
/// The second value is 1 where the interval already holds 1.
#[must_use]
pub fn e_value(risk_ratio: Estimate) -> (f64, f64) {
    let of = |ratio: f64| {
        if ratio < 0.0 {
            return f64::NAN;
        }
        let ratio = if ratio < 1.0 { 1.0 / ratio } else { ratio };
        ratio + (ratio * (ratio - 1.0)).sqrt()
    };
    let bound = if risk_ratio.value < 1.0 {
        risk_ratio.upper
    } else {
        risk_ratio.lower
    };
    let covers =
        (risk_ratio.value < 1.0 && bound >= 1.0) || (risk_ratio.value >= 1.0 && bound <= 1.0);
    (of(risk_ratio.value), if covers { 1.0 } else { of(bound) })
}
