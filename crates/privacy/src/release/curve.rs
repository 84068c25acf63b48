//! Statistics of ours: what of their results are counts, and how they are shown.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, ListArray, StructArray, new_null_array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::Expr;

use super::refused::refuse;
use crate::disclosure::Profile;

/// How a statistic's result may be disclosed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Declared {
    /// A survival curve: a list of `time`, `n_risk`, `n_event`, `n_censor` and an estimate, with its standard error
    /// and interval. Shown with rounded counts, steps merged until each holds enough events.
    Survival {
        /// The estimate's field.
        estimate: &'static str,
        /// How it follows from the counts.
        estimator: Estimator,
    },
    /// One number that needs at least this many distinct persons for each of which it is an average, such as a
    /// restricted mean: shown with three digits.
    Number,
    /// A record of numbers, such as a test: those named are counts, the others are shown with three digits.
    Record {
        /// The fields that are counts.
        counts: &'static [&'static str],
    },
}

/// How a curve follows from events and persons at risk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Estimator {
    /// The product of 1 − d/n.
    KaplanMeier,
    /// The sum of d/n.
    NelsonAalen,
}

impl Declared {
    /// A call of it can be made safe.
    pub(super) fn check(&self, args: &[Expr]) -> Result<()> {
        let Self::Survival { .. } = self else {
            return Ok(());
        };
        // time, event; options are literals. Weights and starts would make counts that are none of persons.
        let columns = args.iter().filter(|arg| !arg.column_refs().is_empty());
        if columns.count() > 2 {
            return refuse(
                "statistic",
                "a curve with weights or delayed entry has counts that are not persons",
                "leave `weights` and `start` out",
            );
        }
        let options = args.iter().any(|arg| {
            super::expression::is_literal(arg)
                && !matches!(arg, Expr::Literal(value, _) if value.is_null())
        });
        if options {
            return refuse(
                "statistic",
                "a released curve is computed from rounded counts, with plain intervals at 95 %",
                "leave the options out",
            );
        }
        Ok(())
    }

    /// One group's result, made safe; NULL where it can't be.
    pub(super) fn shown(
        &self,
        value: &ScalarValue,
        profile: &Profile,
        kind: &DataType,
    ) -> Result<ScalarValue> {
        match self {
            Self::Survival {
                estimate,
                estimator,
            } => survival(value, profile, kind, estimate, *estimator),
            Self::Number => {
                let ScalarValue::Float64(number) = value.cast_to(&DataType::Float64)? else {
                    return ScalarValue::try_from(kind);
                };
                ScalarValue::Float64(number.map(|number| digits(number, 3))).cast_to(kind)
            }
            Self::Record { counts } => record(value, profile, kind, counts),
        }
    }
}

/// A number with so many significant digits.
pub(super) fn digits(number: f64, digits: i32) -> f64 {
    if number == 0.0 || !number.is_finite() {
        return number;
    }
    let places = digits - 1 - exponent(number);
    decimals(number, places)
}

/// A number with so many decimals; fewer than none round to tens, hundreds and so on.
pub(super) fn decimals(number: f64, places: i32) -> f64 {
    if places >= 0 {
        let places = usize::try_from(places.min(300)).unwrap_or(0);
        // Through text, so that 41.3 is the number that is written so.
        return format!("{number:.places$}").parse().unwrap_or(number);
    }
    let step = 10_f64.powi(-places);
    (number / step).round() * step
}

/// The power of ten of a number's first digit.
pub(super) fn exponent(number: f64) -> i32 {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the logarithm of a finite number is below 400"
    )]
    let exponent = number.abs().log10().floor() as i32;
    exponent
}

fn record(
    value: &ScalarValue,
    profile: &Profile,
    kind: &DataType,
    counts: &[&str],
) -> Result<ScalarValue> {
    let array = value.to_array()?;
    let DataType::Struct(fields) = kind else {
        return ScalarValue::try_from(kind);
    };
    if array.is_null(0) {
        return ScalarValue::try_from(kind);
    }
    let array: &StructArray = array.as_struct();
    let mut columns: Vec<ArrayRef> = Vec::new();
    for (field, column) in fields.iter().zip(array.columns()) {
        if !column.data_type().is_numeric() {
            // Words name the method; lists are of values, and are not shown.
            let word = matches!(column.data_type(), DataType::Utf8 | DataType::Boolean);
            columns.push(if word {
                Arc::clone(column)
            } else {
                new_null_array(field.data_type(), 1)
            });
            continue;
        }
        let numbers = cast(column, &DataType::Float64)?;
        let number = numbers.as_primitive::<Float64Type>();
        let shown = number
            .is_valid(0)
            .then(|| number.value(0))
            .and_then(|number| {
                if counts.contains(&field.name().as_str()) {
                    count(number, profile)
                } else {
                    Some(digits(number, 3))
                }
            });
        let shown: ArrayRef = Arc::new(Float64Array::from(vec![shown]));
        columns.push(cast(&shown, field.data_type())?);
    }
    let record = StructArray::try_new(fields.clone(), columns, None)?;
    Ok(ScalarValue::Struct(Arc::new(record)))
}

/// A count within a result, shown or not.
fn count(number: f64, profile: &Profile) -> Option<f64> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count"
    )]
    let whole = number.round() as u64;
    profile.count(whole).map(|count| count as f64)
}

/// A step of a curve.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Step {
    time: f64,
    at_risk: f64,
    events: f64,
    censored: f64,
}

/// Steps merged until each holds at least `k` events, the last ones left out until as many persons remain at risk;
/// counts rounded.
fn merged(steps: &[Step], profile: &Profile) -> Vec<Step> {
    let k = f64::from(profile.k);
    let rounded = |number: f64| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count"
        )]
        let whole = number.round() as u64;
        profile.rounded(whole) as f64
    };
    let mut merged = Vec::new();
    let mut open: Option<Step> = None;
    for step in steps {
        let sum = match open.take() {
            None => *step,
            Some(before) => Step {
                time: step.time,
                at_risk: before.at_risk,
                events: before.events + step.events,
                censored: before.censored + step.censored,
            },
        };
        // Censored persons count like events: a step of few of either gives them away.
        let few = |number: f64| number > 0.0 && number < k;
        let left = step.at_risk - step.events - step.censored;
        if sum.events < k || few(sum.censored) || few(left) {
            open = Some(sum);
            continue;
        }
        merged.push(Step {
            time: sum.time,
            at_risk: rounded(sum.at_risk),
            events: rounded(sum.events),
            censored: rounded(sum.censored),
        });
    }
    merged
}

fn survival(
    value: &ScalarValue,
    profile: &Profile,
    kind: &DataType,
    estimate: &str,
    estimator: Estimator,
) -> Result<ScalarValue> {
    let null = ScalarValue::try_from(kind)?;
    let DataType::List(item) = kind else {
        return Ok(null);
    };
    let DataType::Struct(fields) = item.data_type() else {
        return Ok(null);
    };
    let array = value.to_array()?;
    let list: &ListArray = array.as_list();
    if list.is_null(0) {
        return Ok(null);
    }
    let rows = list.value(0);
    let rows: &StructArray = rows.as_struct();
    let column = |name: &str| -> Result<Float64Array> {
        let column = rows.column_by_name(name).ok_or_else(|| {
            DataFusionError::Internal(format!("a curve without `{name}` was declared as one"))
        })?;
        Ok(cast(column, &DataType::Float64)?
            .as_primitive::<Float64Type>()
            .clone())
    };
    let (time, at_risk, events, censored) = (
        column("time")?,
        column("n_risk")?,
        column("n_event")?,
        column("n_censor")?,
    );
    let steps: Vec<Step> = (0..rows.len())
        .map(|row| Step {
            time: time.value(row),
            at_risk: at_risk.value(row),
            events: events.value(row),
            censored: censored.value(row),
        })
        .collect();
    let steps = merged(&steps, profile);
    let (mut estimates, mut errors) = (Vec::new(), Vec::new());
    let (mut product, mut sum, mut greenwood, mut variance) = (1.0, 0.0, 0.0, 0.0);
    for step in &steps {
        let (d, n) = (step.events.min(step.at_risk), step.at_risk.max(1.0));
        product *= 1.0 - d / n;
        sum += d / n;
        greenwood += if n > d {
            d / (n * (n - d))
        } else {
            f64::INFINITY
        };
        variance += d / (n * n);
        let (number, error) = match estimator {
            Estimator::KaplanMeier => (product, product * f64::sqrt(greenwood)),
            Estimator::NelsonAalen => (sum, f64::sqrt(variance)),
        };
        estimates.push(number);
        errors.push(if error.is_finite() { Some(error) } else { None });
    }
    let z = 1.959_963_984_540_054;
    let bound = |sign: f64| -> Float64Array {
        estimates
            .iter()
            .zip(&errors)
            .map(|(number, error)| {
                let error = error.as_ref()?;
                let value = number + sign * z * error;
                Some(match estimator {
                    Estimator::KaplanMeier => value.clamp(0.0, 1.0),
                    Estimator::NelsonAalen => value.max(0.0),
                })
            })
            .collect()
    };
    let of = |get: fn(&Step) -> f64| -> Float64Array { steps.iter().map(get).map(Some).collect() };
    let columns = fields
        .iter()
        .map(|field| {
            let numbers = match field.name().as_str() {
                "time" => of(|step| step.time),
                "n_risk" => of(|step| step.at_risk),
                "n_event" => of(|step| step.events),
                "n_censor" => of(|step| step.censored),
                "std_err" => errors.iter().copied().collect(),
                "lower" => bound(-1.0),
                "upper" => bound(1.0),
                name if name == estimate => estimates.iter().map(|e| Some(*e)).collect(),
                _ => Float64Array::new_null(steps.len()),
            };
            Ok(cast(&numbers, field.data_type())?)
        })
        .collect::<Result<Vec<_>>>()?;
    let table = StructArray::try_new(fields.clone(), columns, None::<NullBuffer>)?;
    let list = ListArray::try_new(
        Arc::clone(item),
        OffsetBuffer::from_lengths([table.len()]),
        Arc::new(table),
        None,
    )?;
    Ok(ScalarValue::List(Arc::new(list)))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::disclosure::profile;

    #[test]
    fn steps_hold_enough_events_and_leave_enough_at_risk() {
        let mut steps = Vec::new();
        let mut at_risk = 100.0;
        for day in 1..=50 {
            steps.push(Step {
                time: f64::from(day),
                at_risk,
                events: 2.0,
                censored: 0.0,
            });
            at_risk -= 2.0;
        }
        let cms = profile("cms").unwrap();
        let merged = merged(&steps, &cms);
        assert!(merged.iter().all(|step| step.events >= 11.0));
        let shown: f64 = merged.iter().map(|step| step.events).sum();
        let left = 100.0 - shown;
        assert!(left == 0.0 || left >= 11.0, "{left} are left");
        // Few censored at the end do not show either.
        let tail = [
            Step {
                time: 1.0,
                at_risk: 100.0,
                events: 20.0,
                censored: 0.0,
            },
            Step {
                time: 2.0,
                at_risk: 80.0,
                events: 20.0,
                censored: 3.0,
            },
        ];
        assert_eq!(super::merged(&tail, &cms).len(), 1);
    }

    #[test]
    fn digits_are_significant_ones() {
        assert_eq!(digits(41.384, 3), 41.4);
        assert_eq!(digits(0.001_234_5, 3), 0.001_23);
        assert_eq!(digits(-98_765.0, 2), -99_000.0);
        assert_eq!(digits(0.0, 3), 0.0);
    }
}
