//! The answer to a differentially private question: contributions bounded, summed in whole numbers, noise added.
//!
//! The privacy unit is the person. A person counts in at most L0 groups, drawn at random, and with at most Linf rows in
//! each, drawn at random when the rows were collected. Values are clamped to their range after they are computed, and
//! rounded to a unit. So a person changes the vector of a number over all groups by at most √L0 · Linf · (its largest
//! value in units), and discrete Gaussian noise with σ² = Δ²/2ρ makes that number cost ρ (Bun and Steinke 2016,
//! proposition 1.6, for whole numbers Canonne, Kamath and Steinke 2020, theorem 4).

use std::collections::HashMap;

use datafusion::common::{DataFusionError, Result};

use super::question::{Asked, Number};
use crate::dp::gaussian::{Variance, discrete_gaussian};
use crate::dp::random::Random;

/// How a number is made noisy. Nothing here depends on the data.
#[derive(Debug, Clone)]
pub(super) struct Noise {
    /// What is added to each count.
    pub(super) count: Option<Variance>,
    /// What is added to each sum, in units.
    pub(super) sum: Option<Variance>,
    /// The unit of sums, a power of two.
    pub(super) unit: f64,
    /// What sums are taken around.
    pub(super) centre: f64,
}

/// The bins of a quantile.
pub(super) const BINS: usize = 64;

/// σ of a sum is about this many units: fine enough, and far within what can be drawn.
const UNITS: f64 = 65_536.0;

impl Noise {
    /// The noise of a number that may cost `rho`.
    pub(super) fn of(
        number: &Number,
        rho: f64,
        max_groups: f64,
        max_rows: f64,
    ) -> Result<Self, crate::dp::Error> {
        let plain = Self {
            count: None,
            sum: None,
            unit: 1.0,
            centre: 0.0,
        };
        let counted = max_groups * max_rows * max_rows;
        Ok(match (&number.asked, number.range) {
            (Asked::Persons, _) => Self {
                count: Some(Variance::for_rho(max_groups, rho)?),
                ..plain
            },
            (Asked::Rows | Asked::Quantile(_), _) | (_, None) => Self {
                count: Some(Variance::for_rho(counted, rho)?),
                ..plain
            },
            (Asked::Sum, Some((low, high))) => {
                let largest = low.abs().max(high.abs());
                let (sum, unit) = summed(largest, number.whole, counted, rho)?;
                Self {
                    sum: Some(sum),
                    unit,
                    ..plain
                }
            }
            (Asked::Mean, Some((low, high))) => {
                // Around the middle a person changes the sum by half the range at most.
                let centre = f64::midpoint(low, high);
                let (sum, unit) = summed((high - low) / 2.0, false, counted, rho / 2.0)?;
                Self {
                    count: Some(Variance::for_rho(counted, rho / 2.0)?),
                    sum: Some(sum),
                    unit,
                    centre,
                }
            }
        })
    }

    /// What the answer says of it.
    pub(super) fn describe(&self, number: &Number) -> String {
        // As it is written, not as the engine calls it.
        let name = number.name.replace("count(Int64(1))", "count(*)");
        let count = self.count.map_or(0.0, Variance::sigma);
        let sum = self.sum.map_or(0.0, |sum| sum.sigma() * self.unit);
        match number.asked {
            Asked::Rows | Asked::Persons => format!("{name} ± {count:.2}"),
            Asked::Sum => format!("{name} ± {sum:.4}"),
            Asked::Mean => {
                // Of a mean at either end of its range, where the noise of the number of rows moves it most.
                let half = number.range.map_or(0.0, |(low, high)| (high - low) / 2.0);
                format!(
                    "{name} = {} + (sum ± {sum:.4}) / (count ± {count:.2}), about ± {:.4} / n for n rows at most",
                    self.centre,
                    sum.hypot(half * count)
                )
            }
            Asked::Quantile(_) => format!("{name} from {BINS} bins ± {count:.2} each"),
        }
    }
}

/// The noise of a sum whose values are at most `largest`, and its unit.
fn summed(
    largest: f64,
    whole: bool,
    counted: f64,
    rho: f64,
) -> Result<(Variance, f64), crate::dp::Error> {
    if largest <= 0.0 {
        return Ok((Variance::for_rho(counted, rho)?, 1.0));
    }
    let sigma = (counted * largest * largest / (2.0 * rho)).sqrt();
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the logarithm of a finite number is below 2000"
    )]
    let power = (sigma / UNITS).log2().ceil() as i32;
    let unit = 2_f64.powi(if whole { power.max(0) } else { power });
    let in_units = (largest / unit).ceil();
    Ok((Variance::for_rho(counted * in_units * in_units, rho)?, unit))
}

/// The rows of one group and one basis, by person.
pub(super) type Group = HashMap<i64, Vec<f64>>;

/// Leaves each person in at most `max_groups` groups, drawn at random.
pub(super) fn bound_groups(
    groups: &mut [Vec<Group>],
    max_groups: usize,
    random: &mut Random,
) -> Result<(), crate::dp::Error> {
    let mut places: HashMap<i64, Vec<usize>> = HashMap::new();
    for (at, bases) in groups.iter().enumerate() {
        for person in bases.iter().flat_map(HashMap::keys) {
            let of = places.entry(*person).or_default();
            if of.last() != Some(&at) {
                of.push(at);
            }
        }
    }
    for (person, mut of) in places {
        // Fisher and Yates, as far as is needed: the first max_groups stay.
        let all = of.len();
        for at in 0..max_groups.min(all.saturating_sub(1)) {
            let left = (all - at) as u128;
            let drawn = usize::try_from(random.below(left)?).unwrap_or(0);
            of.swap(at, at + drawn);
        }
        for at in of.into_iter().skip(max_groups) {
            for basis in &mut groups[at] {
                basis.remove(&person);
            }
        }
    }
    Ok(())
}

/// One noisy number of one group.
pub(super) fn noisy(
    number: &Number,
    noise: &Noise,
    group: &Group,
    max_rows: usize,
    random: &mut Random,
) -> Result<f64> {
    let failed = |error: crate::dp::Error| DataFusionError::External(Box::new(error));
    let rows = || {
        group
            .values()
            .map(|rows| rows.len().min(max_rows) as i128)
            .sum::<i128>()
    };
    let add = |exact: i128, variance: Option<Variance>, random: &mut Random| -> Result<i128> {
        match variance {
            Some(variance) => Ok(exact + discrete_gaussian(random, variance).map_err(failed)?),
            None => Err(DataFusionError::Internal(
                "a number without noise".to_owned(),
            )),
        }
    };
    let (low, high) = number.range.unwrap_or((0.0, 0.0));
    let units = |centre: f64| -> i128 {
        group
            .values()
            .flat_map(|rows| rows.iter().take(max_rows))
            .map(|value| {
                let value = value.clamp(low, high) - centre;
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "clamped to bounds below 2^53 and units of them"
                )]
                let units = (value / noise.unit).round() as i128;
                units
            })
            .sum()
    };
    Ok(match number.asked {
        Asked::Rows => add(rows(), noise.count, random)? as f64,
        Asked::Persons => add(group.len() as i128, noise.count, random)? as f64,
        Asked::Sum => add(units(0.0), noise.sum, random)? as f64 * noise.unit,
        Asked::Mean => {
            let sum = add(units(noise.centre), noise.sum, random)? as f64 * noise.unit;
            let count = add(rows(), noise.count, random)?.max(1) as f64;
            (noise.centre + sum / count).clamp(low, high)
        }
        Asked::Quantile(share) => {
            let mut bins = [0_i128; BINS];
            let width = (high - low) / BINS as f64;
            for value in group.values().flat_map(|rows| rows.iter().take(max_rows)) {
                let place = if width > 0.0 {
                    (value.clamp(low, high) - low) / width
                } else {
                    0.0
                };
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "from 0 to the number of bins"
                )]
                let place = (place as usize).min(BINS - 1);
                bins[place] += 1;
            }
            let mut counts = Vec::with_capacity(BINS);
            for bin in bins {
                counts.push(add(bin, noise.count, random)?.max(0) as f64);
            }
            quantile(&counts, share, low, width)
        }
    })
}

/// The quantile of a histogram, evenly spread within its bin.
fn quantile(counts: &[f64], share: f64, low: f64, width: f64) -> f64 {
    let total: f64 = counts.iter().sum();
    let wanted = share * total;
    let mut below = 0.0;
    for (bin, count) in counts.iter().enumerate() {
        if below + count >= wanted && *count > 0.0 {
            return low + width * (bin as f64 + (wanted - below) / count);
        }
        below += count;
    }
    low + width * counts.len() as f64 * share
}
