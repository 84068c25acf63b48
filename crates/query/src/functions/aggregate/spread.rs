//! `stddev` and `var` over frames that move, in the engine's place.
//!
//! The engine (DataFusion 55) takes the values that leave a frame out of the sums again: after a large value has left, what
//! remains is rounding, and the root of a negative number. Here the values of the frame are kept, and each row is answered from
//! them.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{DataType, FieldRef, Float64Type};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::functions_aggregate::{stddev, variance};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Documentation, GroupsAccumulator, Signature,
};

/// The functions.
pub(crate) fn functions() -> [AggregateUDF; 4] {
    [
        (stddev::stddev_udaf(), true, false),
        (stddev::stddev_pop_udaf(), true, true),
        (variance::var_samp_udaf(), false, false),
        (variance::var_pop_udaf(), false, true),
    ]
    .map(|(stock, root, population)| {
        AggregateUDF::new_from_impl(Spread {
            stock,
            root,
            population,
        })
    })
}

/// One of the engine's functions, with frames of our own.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Spread {
    stock: Arc<AggregateUDF>,
    /// The deviation, and not the variance.
    root: bool,
    population: bool,
}

impl AggregateUDFImpl for Spread {
    fn name(&self) -> &str {
        self.stock.name()
    }

    fn aliases(&self) -> &[String] {
        self.stock.aliases()
    }

    fn signature(&self) -> &Signature {
        self.stock.signature()
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.stock.return_type(arguments)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        self.stock.state_fields(args)
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        self.stock.accumulator(args)
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        self.stock.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        self.stock.create_groups_accumulator(args)
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        if args.is_distinct {
            return self.stock.create_sliding_accumulator(args);
        }
        Ok(Box::new(Frame::of(Deviation {
            root: self.root,
            population: self.population,
        })))
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.stock.documentation()
    }
}

/// What the values of a frame answer.
pub(super) trait OfFrame: std::fmt::Debug + Send + Sync + 'static {
    fn answer(&self, values: &VecDeque<f64>) -> Option<f64>;
}

/// The values of a frame, of which each row asks anew.
#[derive(Debug)]
pub(super) struct Frame<M> {
    values: VecDeque<f64>,
    of: M,
}

impl<M> Frame<M> {
    pub(super) fn of(of: M) -> Self {
        Self {
            values: VecDeque::new(),
            of,
        }
    }
}

#[derive(Debug)]
struct Deviation {
    root: bool,
    population: bool,
}

impl OfFrame for Deviation {
    #[expect(
        clippy::cast_precision_loss,
        reason = "a frame has far fewer than 2^53 rows"
    )]
    fn answer(&self, values: &VecDeque<f64>) -> Option<f64> {
        let count = values.len() as f64;
        let degrees = if self.population { count } else { count - 1.0 };
        if degrees < 1.0 {
            return None;
        }
        let mean = values.iter().sum::<f64>() / count;
        let squares: f64 = values.iter().map(|x| (x - mean) * (x - mean)).sum();
        let variance = squares / degrees;
        Some(if self.root { variance.sqrt() } else { variance })
    }
}

impl<M: OfFrame> Accumulator for Frame<M> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let values = arrow::compute::cast(&values[0], &DataType::Float64)?;
        let values = values.as_primitive::<Float64Type>();
        self.values.extend(values.iter().flatten());
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let gone = values[0].len() - values[0].null_count();
        self.values.drain(..gone.min(self.values.len()));
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Float64(self.of.answer(&self.values)))
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        internal_err!("a frame has no partial state")
    }

    fn merge_batch(&mut self, _: &[ArrayRef]) -> Result<()> {
        internal_err!("a frame has no partial state")
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.values.capacity() * size_of::<f64>()
    }
}
