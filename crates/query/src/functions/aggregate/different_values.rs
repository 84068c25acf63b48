//! `count(DISTINCT x)` of texts and bytes beside other aggregates: each value is one number, and groups keep numbers.
//!
//! The engine (DataFusion 55) keeps a set of texts for each group, which it fills group by group in every batch.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, GroupsAccumulator, Signature, Volatility,
};

use super::values_of_groups::{Asked, Groups, OneGroup};

static FUNCTION: LazyLock<Arc<AggregateUDF>> = LazyLock::new(|| {
    Arc::new(AggregateUDF::new_from_impl(CountValues {
        signature: Signature::any(1, Volatility::Immutable),
    }))
});

/// What `count(DISTINCT x)` becomes.
pub(crate) fn count_values() -> Arc<AggregateUDF> {
    Arc::clone(&FUNCTION)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct CountValues {
    signature: Signature,
}

impl AggregateUDFImpl for CountValues {
    fn name(&self) -> &'static str {
        "columna_count_values"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn is_nullable(&self) -> bool {
        false
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let [value] = args.input_fields else {
            return internal_err!("one value is counted");
        };
        let name = format_state_name(args.name, "values");
        let list = DataType::new_list(value.data_type().clone(), true);
        Ok(vec![Arc::new(Field::new(name, list, true))])
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(OneGroup::new(Groups::new(&args, Asked::HowMany)?)))
    }

    fn groups_accumulator_supported(&self, _: AccumulatorArgs) -> bool {
        true
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(Groups::new(&args, Asked::HowMany)?))
    }

    fn default_value(&self, _: &DataType) -> Result<ScalarValue> {
        Ok(ScalarValue::Int64(Some(0)))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}
