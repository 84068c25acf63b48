//! `skewness` and `kurtosis`, of samples, as DuckDB and most statistics packages have them (the second as what exceeds that of a normal
//! distribution).
//!
//! Sums of third and fourth powers lose their digits where values are large beside their spread, as years are. Here powers are of
//! differences from the mean, and parts are put together by Pébay's formulas (Sandia report SAND2008-6212, 2008).

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type};
use datafusion::common::{Result, ScalarValue, internal_err, not_impl_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility,
};

use super::frame::{Frame, OfFrame};

/// The functions.
pub(crate) fn functions() -> [AggregateUDF; 2] {
    [Measure::Skewness, Measure::Kurtosis].map(|measure| {
        AggregateUDF::new_from_impl(Asymmetry {
            measure,
            signature: Signature::exact(vec![DataType::Float64], Volatility::Immutable),
        })
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Measure {
    Skewness,
    Kurtosis,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Asymmetry {
    measure: Measure,
    signature: Signature,
}

impl AggregateUDFImpl for Asymmetry {
    fn name(&self) -> &'static str {
        match self.measure {
            Measure::Skewness => "skewness",
            Measure::Kurtosis => "kurtosis",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let names = ["count", "mean", "second", "third", "fourth"].into_iter();
        let fields = names.map(|name| {
            let name = format!("{}[{name}]", args.name);
            Arc::new(Field::new(name, DataType::Float64, false)) as FieldRef
        });
        Ok(fields.collect())
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        if args.is_distinct {
            return not_impl_err!("{}(DISTINCT …)", self.name());
        }
        Ok(Box::new(Of {
            measure: self.measure,
            moments: Moments::default(),
        }))
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        if args.is_distinct {
            return not_impl_err!("{}(DISTINCT …)", self.name());
        }
        Ok(Box::new(Frame::of(self.measure)))
    }
}

/// Sums of powers of the differences from the mean.
#[derive(Debug, Clone, Copy, Default)]
struct Moments {
    count: f64,
    mean: f64,
    second: f64,
    third: f64,
    fourth: f64,
}

impl Moments {
    fn of(value: f64) -> Self {
        Self {
            count: 1.0,
            mean: value,
            ..Self::default()
        }
    }

    fn merge(&mut self, other: &Self) {
        let (a, b) = (self.count, other.count);
        let count = a + b;
        if b == 0.0 {
            return;
        }
        // As it is, and not by a quotient of products: equal values have no spread.
        if a == 0.0 {
            *self = *other;
            return;
        }
        let delta = other.mean - self.mean;
        let step = delta / count;
        let (second, third) = (self.second, self.third);
        self.second += other.second + delta * step * a * b;
        self.third += other.third
            + delta * step * step * a * b * (a - b)
            + 3.0 * step * (a * other.second - b * second);
        self.fourth += other.fourth
            + delta * step * step * step * a * b * (a * a - a * b + b * b)
            + 6.0 * step * step * (a * a * other.second + b * b * second)
            + 4.0 * step * (a * other.third - b * third);
        self.mean += step * b;
        self.count = count;
    }

    /// None of too few values, or of equal ones.
    fn measure(&self, measure: Measure) -> Option<f64> {
        let n = self.count;
        if self.second == 0.0 {
            return None;
        }
        match measure {
            Measure::Skewness if n > 2.0 => {
                let of_all = n.sqrt() * self.third / self.second.powf(1.5);
                Some(of_all * (n * (n - 1.0)).sqrt() / (n - 2.0))
            }
            Measure::Kurtosis if n > 3.0 => {
                let of_all = n * self.fourth / (self.second * self.second);
                let factor = (n - 1.0) / ((n - 2.0) * (n - 3.0));
                Some(factor * ((n + 1.0) * of_all - 3.0 * (n - 1.0)))
            }
            _ => None,
        }
    }
}

impl OfFrame for Measure {
    type Value = f64;

    fn values(&self, columns: &[ArrayRef]) -> Result<Vec<Option<f64>>> {
        Ok(columns[0].as_primitive::<Float64Type>().iter().collect())
    }

    fn answer(&self, values: &VecDeque<Option<f64>>) -> ScalarValue {
        let mut moments = Moments::default();
        for value in values.iter().flatten() {
            moments.merge(&Moments::of(*value));
        }
        ScalarValue::Float64(moments.measure(*self))
    }
}

fn numbers(values: &[ArrayRef]) -> impl Iterator<Item = f64> {
    values[0].as_primitive::<Float64Type>().iter().flatten()
}

#[derive(Debug)]
struct Of {
    measure: Measure,
    moments: Moments,
}

impl Accumulator for Of {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for value in numbers(values) {
            self.moments.merge(&Moments::of(value));
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let [count, mean, second, third, fourth] = states else {
            return internal_err!("a state has five sums");
        };
        let [count, mean, second, third, fourth] =
            [count, mean, second, third, fourth].map(|sums| sums.as_primitive::<Float64Type>());
        for row in 0..count.len() {
            self.moments.merge(&Moments {
                count: count.value(row),
                mean: mean.value(row),
                second: second.value(row),
                third: third.value(row),
                fourth: fourth.value(row),
            });
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let Moments {
            count,
            mean,
            second,
            third,
            fourth,
        } = self.moments;
        let sums = [count, mean, second, third, fourth];
        Ok(sums.map(ScalarValue::from).to_vec())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Float64(self.moments.measure(self.measure)))
    }

    fn size(&self) -> usize {
        size_of::<Self>()
    }
}
