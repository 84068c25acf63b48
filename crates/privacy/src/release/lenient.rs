//! A statistic that gives NULL where it would fail: whether it fails may depend on a single person's value.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility,
};

/// The same statistic, which never fails on a row.
pub(super) fn lenient(inner: &Arc<AggregateUDF>) -> Arc<AggregateUDF> {
    Arc::new(AggregateUDF::new_from_impl(Lenient {
        inner: Arc::clone(inner),
        // The arguments' types were settled for the statistic itself.
        signature: Signature::variadic_any(Volatility::Immutable),
    }))
}

#[derive(Debug)]
pub(super) struct Lenient {
    pub(super) inner: Arc<AggregateUDF>,
    signature: Signature,
}

impl PartialEq for Lenient {
    fn eq(&self, other: &Self) -> bool {
        self.inner == other.inner
    }
}

impl Eq for Lenient {}

impl Hash for Lenient {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.hash(state);
    }
}

impl AggregateUDFImpl for Lenient {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.inner.return_type(arguments)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        self.inner.state_fields(args)
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let null = ScalarValue::try_from(args.return_type())?;
        Ok(Box::new(Quiet {
            inner: self.inner.accumulator(args)?,
            null,
            failed: false,
        }))
    }

    fn groups_accumulator_supported(&self, _: AccumulatorArgs) -> bool {
        // Each group by itself, so that one that fails is no other's.
        false
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

#[derive(Debug)]
struct Quiet {
    inner: Box<dyn Accumulator>,
    null: ScalarValue,
    failed: bool,
}

impl Accumulator for Quiet {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        if !self.failed {
            self.failed = self.inner.update_batch(values).is_err();
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        if self.failed {
            return Ok(self.null.clone());
        }
        Ok(self.inner.evaluate().unwrap_or_else(|_| self.null.clone()))
    }

    fn size(&self) -> usize {
        self.inner.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        // What was taken in before a row failed is a statistic like any other.
        self.inner.state()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        if !self.failed {
            self.failed = self.inner.merge_batch(states).is_err();
        }
        Ok(())
    }
}
