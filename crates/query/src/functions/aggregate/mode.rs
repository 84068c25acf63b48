//! `mode(x)`: the value that most rows have, the least of several.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, internal_err, plan_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Documentation, GroupsAccumulator, Signature,
    Volatility,
};

use super::moving::anew;
use super::values_of_groups::{Asked, Groups, OneGroup};
use crate::functions::docs::DESCRIPTION;

static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| {
    Documentation::builder(
        DESCRIPTION,
        "The value that most rows have; of several such, the least. NULL is not counted.",
        "mode(x)",
    )
    .with_argument("x", "The values")
    .with_sql_example(
        "> SELECT mode(x) FROM (VALUES ('b'), ('a'), ('b'), (NULL)) AS v(x);
+------+
| mode |
+------+
| b    |
+------+",
    )
    .build()
});

/// The function.
pub(crate) fn function() -> AggregateUDF {
    AggregateUDF::new_from_impl(Mode {
        signature: Signature::any(1, Volatility::Immutable),
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Mode {
    signature: Signature,
}

impl AggregateUDFImpl for Mode {
    fn name(&self) -> &'static str {
        "mode"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments {
            [one] => Ok(one.clone()),
            _ => internal_err!("`mode` takes one value"),
        }
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let list = |name: &str, item: DataType| {
            let name = format_state_name(args.name, name);
            Arc::new(Field::new(name, DataType::new_list(item, true), true))
        };
        Ok(vec![
            list("values", args.return_type().clone()),
            list("counts", DataType::Int64),
        ])
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(OneGroup::new(groups(&args)?)))
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        anew(args, Arc::new(function()))
    }

    fn groups_accumulator_supported(&self, _: AccumulatorArgs) -> bool {
        true
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(groups(&args)?))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&DOCUMENTATION)
    }
}

fn groups(args: &AccumulatorArgs) -> Result<Groups> {
    if args.is_distinct {
        return plan_err!("`mode(DISTINCT …)` would find each value once: leave DISTINCT out");
    }
    Groups::new(args, Asked::MostOften)
}
