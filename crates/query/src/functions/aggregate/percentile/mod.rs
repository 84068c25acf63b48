//! `median`, `percentile_cont` and `percentile_disc`, exactly, in the engine's place.
//!
//! The engine (DataFusion 55) keeps every value of a group, once for each function, and computes between two values with
//! six digits. Here what comes in few different values is counted, and quantiles are right to the last digit, as
//! PostgreSQL's and DuckDB's are. Two of them also take a list of probabilities, and give a list; all take dates and moments.

mod accumulators;
mod numbers;
mod values;

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type};
use datafusion::common::{Result, ScalarValue, internal_err, plan_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Documentation, GroupsAccumulator, Signature,
    Volatility,
};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Literal;

use accumulators::{Groups, OneGroup, Question};
use numbers::Asked;
pub(super) use numbers::Fold;
use values::{between, taken_as};

use crate::functions::docs::DESCRIPTION;

const MEDIAN: &str = "median";
const PERCENTILE: &str = "percentile_cont";
const DISCRETE: &str = "percentile_disc";

static MEDIAN_DOC: LazyLock<Documentation> = LazyLock::new(|| {
    Documentation::builder(
        DESCRIPTION,
        "The median of a column, exactly; between the two values in the middle where there are two. Of dates it is a moment.",
        "median(x)",
    )
    .with_argument("x", "The values")
    .build()
});
static PERCENTILE_DOC: LazyLock<Documentation> = LazyLock::new(|| {
    Documentation::builder(
        DESCRIPTION,
        "A percentile of a column, exactly; between two values by straight line. A list for a list of probabilities; of dates a moment.",
        "percentile_cont(p) WITHIN GROUP (ORDER BY x)",
    )
    .with_argument("p", "The probability, or a list of them")
    .with_argument("x", "The values")
    .build()
});
static DISCRETE_DOC: LazyLock<Documentation> = LazyLock::new(|| {
    Documentation::builder(
        DESCRIPTION,
        "A percentile of a column, exactly: the first of its values that so many reach. A list for a list of probabilities.",
        "percentile_disc(p) WITHIN GROUP (ORDER BY x)",
    )
    .with_argument("p", "The probability, or a list of them")
    .with_argument("x", "The values: numbers, dates or moments")
    .build()
});

/// The functions.
pub(crate) fn functions() -> [AggregateUDF; 3] {
    [Kind::Median, Kind::Percentile, Kind::Discrete]
        .map(|kind| AggregateUDF::new_from_impl(Percentile::new(kind)))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Median,
    Percentile,
    Discrete,
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
                Kind::Discrete => vec!["quantile_disc".to_owned(), "quantile".to_owned()],
            },
        }
    }

    /// The function that takes a list of probabilities.
    pub(crate) fn of_lists(&self) -> Arc<AggregateUDF> {
        static FUNCTIONS: LazyLock<[Arc<AggregateUDF>; 2]> = LazyLock::new(|| {
            [Kind::Percentile, Kind::Discrete]
                .map(|kind| Arc::new(AggregateUDF::new_from_impl(Percentile::new(kind))))
        });
        let [between, reached] = &*FUNCTIONS;
        Arc::clone(match self.kind {
            Kind::Discrete => reached,
            Kind::Median | Kind::Percentile => between,
        })
    }

    /// Whether it is one of the values.
    pub(crate) fn is_reached(&self) -> bool {
        self.kind == Kind::Discrete
    }

    fn question(&self, args: &AccumulatorArgs<'_>) -> Result<Question> {
        let given = match self.kind {
            Kind::Median => vec![0.5],
            Kind::Percentile | Kind::Discrete => self.probabilities(args.exprs.get(1))?,
        };
        let order = args.order_bys.first();
        let descending = order.is_some_and(|by| by.options.descending);
        let asked = given.into_iter().map(|p| match (self.kind, descending) {
            (Kind::Discrete, false) => Asked::Reached(p),
            (Kind::Discrete, true) => Asked::ReachedDown(p),
            (_, false) => Asked::Between(p),
            (_, true) => Asked::Between(1.0 - p),
        });
        let Some(value) = args.expr_fields.first() else {
            return internal_err!("a percentile of nothing");
        };
        Ok(Question {
            asked: asked.collect(),
            distinct: args.is_distinct,
            value: value.data_type().clone(),
            answer: args.return_field.data_type().clone(),
        })
    }

    /// What an answer is, for values of a type.
    fn answer(&self, value: &DataType) -> DataType {
        match self.kind {
            Kind::Discrete => value.clone(),
            Kind::Median | Kind::Percentile => between(value),
        }
    }

    /// The probabilities of a literal.
    fn probabilities(&self, given: Option<&Arc<dyn PhysicalExpr>>) -> Result<Vec<f64>> {
        let literal = given.and_then(|given| given.downcast_ref::<Literal>());
        let found = match literal.map(Literal::value) {
            Some(ScalarValue::Float64(Some(p))) => vec![*p],
            Some(ScalarValue::Dictionary(_, list)) => of_list(list).unwrap_or_default(),
            Some(list) => of_list(list).unwrap_or_default(),
            None => Vec::new(),
        };
        if found.is_empty() || !found.iter().all(|p| (0.0..=1.0).contains(p)) {
            return plan_err!(
                "the percentile of `{}` is a number between 0 and 1, or a list of them, as a literal",
                self.name()
            );
        }
        Ok(found)
    }
}

/// The numbers of a list.
pub(crate) fn of_list(list: &ScalarValue) -> Option<Vec<f64>> {
    let ScalarValue::List(list) = list else {
        return None;
    };
    if list.len() != 1 || list.is_null(0) {
        return None;
    }
    let list = list.value(0);
    let numbers = list.as_primitive_opt::<Float64Type>()?;
    (numbers.null_count() == 0).then(|| numbers.values().to_vec())
}

/// Whether it is a list, or the one list of a dictionary.
fn is_list(kind: &DataType) -> bool {
    match kind {
        DataType::Dictionary(_, of) => matches!(of.as_ref(), DataType::List(_)),
        kind => matches!(kind, DataType::List(_)),
    }
}

fn list_of(item: DataType) -> DataType {
    DataType::List(Arc::new(Field::new_list_field(item, true)))
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
            Kind::Discrete => DISCRETE,
        }
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let value = |of: &DataType| match taken_as(of, self.is_reached()) {
            Some(taken) => Ok(taken),
            None => plan_err!(
                "`{}` takes numbers, dates and moments; this is {of}",
                self.name()
            ),
        };
        match (self.kind, given) {
            (Kind::Median, [of]) => Ok(vec![value(of)?]),
            (Kind::Percentile | Kind::Discrete, [of, p]) if p.is_numeric() => {
                Ok(vec![value(of)?, DataType::Float64])
            }
            (Kind::Percentile | Kind::Discrete, [of, kind @ DataType::Dictionary(..)])
                if is_list(kind) =>
            {
                Ok(vec![value(of)?, kind.clone()])
            }
            (
                Kind::Percentile | Kind::Discrete,
                [
                    of,
                    DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..),
                ],
            ) => Ok(vec![value(of)?, list_of(DataType::Float64)]),
            (Kind::Median, _) => plan_err!("`{MEDIAN}` takes one column"),
            (Kind::Percentile | Kind::Discrete, _) => plan_err!(
                "`{}` takes a column and a percentile between 0 and 1, or a list of them",
                self.name()
            ),
        }
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        let Some(value) = arguments.first() else {
            return internal_err!("a percentile of nothing");
        };
        let answer = self.answer(value);
        Ok(match arguments.get(1) {
            Some(kind) if is_list(kind) => list_of(answer),
            _ => answer,
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
        self.kind != Kind::Median
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(OneGroup::new(self.question(&args)?)))
    }

    fn groups_accumulator_supported(&self, _: AccumulatorArgs) -> bool {
        true
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(Groups::new(self.question(&args)?)))
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(match self.kind {
            Kind::Median => &MEDIAN_DOC,
            Kind::Percentile => &PERCENTILE_DOC,
            Kind::Discrete => &DISCRETE_DOC,
        })
    }
}
