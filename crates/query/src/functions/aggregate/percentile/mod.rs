//! `median` and `percentile_cont`, exactly, in the engine's place.
//!
//! The engine (DataFusion 55) keeps every value of a group, once for each function, and computes between two values with
//! six digits. Here what comes in few different values is counted, and quantiles are right to the last digit, as
//! PostgreSQL's and DuckDB's are. `percentile_cont` also takes a list of probabilities, and gives a list.

mod accumulators;
mod numbers;

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Documentation, GroupsAccumulator, Signature,
    Volatility,
};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Literal;

use accumulators::{Groups, OneGroup};

use crate::functions::docs::DESCRIPTION;

const MEDIAN: &str = "median";
const PERCENTILE: &str = "percentile_cont";

static MEDIAN_DOC: LazyLock<Documentation> = LazyLock::new(|| {
    Documentation::builder(
        DESCRIPTION,
        "The median of a column, exactly; between the two values in the middle where there are two.",
        "median(x)",
    )
    .with_argument("x", "The values")
    .build()
});
static PERCENTILE_DOC: LazyLock<Documentation> = LazyLock::new(|| {
    Documentation::builder(
        DESCRIPTION,
        "A percentile of a column, exactly; between two values by straight line. A list for a list of probabilities.",
        "percentile_cont(p) WITHIN GROUP (ORDER BY x)",
    )
    .with_argument("p", "The probability, or a list of them")
    .with_argument("x", "The values")
    .build()
});

/// The functions.
pub(crate) fn functions() -> [AggregateUDF; 2] {
    [Kind::Median, Kind::Percentile].map(|kind| AggregateUDF::new_from_impl(Percentile::new(kind)))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Median,
    Percentile,
}

/// One of the functions.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Percentile {
    kind: Kind,
    signature: Signature,
    aliases: Vec<String>,
}

impl Percentile {
    fn new(kind: Kind) -> Self {
        Self {
            kind,
            signature: Signature::user_defined(Volatility::Immutable),
            aliases: match kind {
                Kind::Median => Vec::new(),
                Kind::Percentile => vec!["quantile_cont".to_owned()],
            },
        }
    }

    /// The function that takes a list of probabilities.
    pub(crate) fn of_lists() -> Arc<AggregateUDF> {
        static FUNCTION: LazyLock<Arc<AggregateUDF>> = LazyLock::new(|| {
            Arc::new(AggregateUDF::new_from_impl(Percentile::new(
                Kind::Percentile,
            )))
        });
        Arc::clone(&FUNCTION)
    }

    fn probabilities(&self, args: &AccumulatorArgs<'_>) -> Result<Vec<f64>> {
        let given = match self.kind {
            Kind::Median => vec![0.5],
            Kind::Percentile => probabilities(args.exprs.get(1))?,
        };
        let descending = args
            .order_bys
            .first()
            .is_some_and(|by| by.options.descending);
        Ok(if descending {
            given.iter().map(|p| 1.0 - p).collect()
        } else {
            given
        })
    }
}

/// The probabilities of a literal.
fn probabilities(given: Option<&Arc<dyn PhysicalExpr>>) -> Result<Vec<f64>> {
    let literal = given.and_then(|given| given.downcast_ref::<Literal>());
    let found = match literal.map(Literal::value) {
        Some(ScalarValue::Float64(Some(p))) => vec![*p],
        Some(ScalarValue::List(list)) if list.len() == 1 && list.is_valid(0) => {
            let list = list.value(0);
            let numbers = list.as_primitive_opt::<Float64Type>();
            let numbers = numbers.filter(|numbers| numbers.null_count() == 0);
            numbers.map_or_else(Vec::new, |numbers| numbers.values().to_vec())
        }
        _ => Vec::new(),
    };
    if found.is_empty() || !found.iter().all(|p| (0.0..=1.0).contains(p)) {
        return plan_err!(
            "the percentile of `{PERCENTILE}` is a number between 0 and 1, or a list of them, as a literal"
        );
    }
    Ok(found)
}

fn numbers() -> DataType {
    DataType::List(Arc::new(Field::new_list_field(DataType::Float64, true)))
}

/// The values of a group, and how often each came.
fn states() -> [DataType; 2] {
    [DataType::Float64, DataType::UInt64]
        .map(|item| DataType::LargeList(Arc::new(Field::new_list_field(item, false))))
}

impl AggregateUDFImpl for Percentile {
    fn name(&self) -> &str {
        match self.kind {
            Kind::Median => MEDIAN,
            Kind::Percentile => PERCENTILE,
        }
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let value = |of: &DataType| {
            if of.is_numeric() || of.is_null() {
                return Ok(DataType::Float64);
            }
            plan_err!("`{}` takes numbers; this is {of}", self.name())
        };
        match (self.kind, given) {
            (Kind::Median, [of]) => Ok(vec![value(of)?]),
            (Kind::Percentile, [of, p]) if p.is_numeric() => {
                Ok(vec![value(of)?, DataType::Float64])
            }
            (
                Kind::Percentile,
                [
                    of,
                    DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..),
                ],
            ) => Ok(vec![value(of)?, numbers()]),
            (Kind::Median, _) => plan_err!("`{MEDIAN}` takes one column"),
            (Kind::Percentile, _) => plan_err!(
                "`{PERCENTILE}` takes a column and a percentile between 0 and 1, or a list of them"
            ),
        }
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        Ok(match arguments.get(1) {
            Some(DataType::List(_)) => numbers(),
            _ => DataType::Float64,
        })
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let names = ["values", "counts"].map(|part| format_state_name(args.name, part));
        let fields = names.into_iter().zip(states());
        Ok(fields
            .map(|(name, data_type)| Arc::new(Field::new(name, data_type, false)))
            .collect())
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn supports_within_group_clause(&self) -> bool {
        self.kind == Kind::Percentile
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let probabilities = self.probabilities(&args)?;
        Ok(Box::new(OneGroup::new(
            probabilities,
            args.is_distinct,
            args.return_field.data_type(),
        )))
    }

    fn groups_accumulator_supported(&self, _: AccumulatorArgs) -> bool {
        true
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        let probabilities = self.probabilities(&args)?;
        Ok(Box::new(Groups::new(
            probabilities,
            args.is_distinct,
            args.return_field.data_type(),
        )))
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(match self.kind {
            Kind::Median => &MEDIAN_DOC,
            Kind::Percentile => &PERCENTILE_DOC,
        })
    }
}
