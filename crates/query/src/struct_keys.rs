//! Groups by a record are groups by its fields: `count(DISTINCT (person_id, measurement_date))`.
//!
//! The engine (DataFusion 55) compares records field by field at each row that it meets, which takes minutes for some millions;
//! columns it groups by at once. Beside other aggregates, records that are counted once each are counted by their bytes; bytes and texts
//! by numbers that stand for them, and dates and moments as the numbers that they are, for which the engine has a quick way.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{DataType, Float64Type};
use arrow::row::{RowConverter, SortField};
use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::logical_expr::expr::{AggregateFunction, ScalarFunction};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{
    Aggregate, BinaryExpr, ColumnarValue, Expr, ExprSchemable, LogicalPlan, Operator, Projection,
    ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, col, lit,
};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

use crate::functions::aggregate::count_values;

/// The functions that make a record, and after which argument each value comes.
const RECORDS: [(&str, usize); 2] = [("struct", 1), ("named_struct", 2)];

/// Groups by the fields, and makes the record of each group.
#[derive(Debug)]
pub(crate) struct StructKeys;

impl OptimizerRule for StructKeys {
    fn name(&self) -> &'static str {
        "struct_keys"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        let counted = counted(plan)?;
        let LogicalPlan::Aggregate(aggregate) = &counted.data else {
            return Ok(counted);
        };
        let sets = |expr: &Expr| matches!(expr, Expr::GroupingSet(_));
        let made_below = |key| made_below(key, &aggregate.input);
        let keys = || aggregate.group_expr.iter();
        let below = keys().any(|key| made_below(key).is_some());
        let records: Vec<Option<ScalarFunction>> = match below {
            true => keys().map(made_below).collect(),
            false => keys().map(made_here).collect(),
        };
        if records.iter().all(Option::is_none) || keys().any(sets) {
            return Ok(counted);
        }
        // Below, each field is a column of its own.
        let (source, mut columns) = match aggregate.input.as_ref() {
            LogicalPlan::Projection(projection) if below => {
                (&projection.input, projection.expr.clone())
            }
            _ => (&aggregate.input, columns_of(&aggregate.input)),
        };
        let (mut keys, mut made) = (Vec::new(), Vec::new());
        for (at, (key, record)) in aggregate.group_expr.iter().zip(records).enumerate() {
            let (table, field) = aggregate.schema.qualified_field(at);
            let named = |expr: Expr| expr.alias_qualified(table.cloned(), field.name());
            let Some(ScalarFunction { func, mut args }) = record else {
                keys.push(key.clone());
                made.push(Expr::from((table, field)));
                continue;
            };
            let step = step(func.name());
            for value in args.iter_mut().skip(step - 1).step_by(step) {
                let name = config.alias_generator().next("__field");
                columns.push(value.clone().alias(&name));
                keys.push(col(&name));
                *value = col(&name);
            }
            made.push(named(func.call(args)));
        }
        let rest = aggregate.schema.iter().skip(aggregate.group_expr.len());
        made.extend(rest.map(Expr::from));
        let input = Projection::try_new(columns, Arc::clone(source))?;
        let input = Arc::new(LogicalPlan::Projection(input));
        let groups = Aggregate::try_new(input, keys, aggregate.aggr_expr.clone())?;
        let groups = Arc::new(LogicalPlan::Aggregate(groups));
        let projection = Projection::try_new(made, groups)?;
        Ok(Transformed::yes(LogicalPlan::Projection(projection)))
    }
}

/// The plan with counts of different records, texts and dates in a quicker form.
fn counted(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let LogicalPlan::Aggregate(aggregate) = &plan else {
        return Ok(Transformed::no(plan));
    };
    let rows = Arc::clone(aggregate.input.schema());
    let names = NamePreserver::new_for_projection();
    plan.map_expressions(|expr| {
        let name = names.save(&expr);
        let done = expr.transform_up(|expr| {
            let Expr::AggregateFunction(mut call) = expr else {
                return Ok(Transformed::no(expr));
            };
            let counts = call.func.name() == "count" && call.params.distinct;
            let value = match call.params.args.as_slice() {
                [value] if counts => value.clone(),
                _ => return Ok(Transformed::no(Expr::AggregateFunction(call))),
            };
            if let Some(values) = record_values(&value) {
                counted_record(&mut call, values);
                return Ok(Transformed::yes(Expr::AggregateFunction(call)));
            }
            let (kind, by_values) = match value.get_type(&rows)? {
                DataType::Float64 if !has_one_zero(&value) => {
                    call.params.args = vec![value + lit(0.0)];
                    return Ok(Transformed::yes(Expr::AggregateFunction(call)));
                }
                // Those of a literal are `Utf8`.
                DataType::Utf8 | DataType::Utf8View => (DataType::Utf8View, true),
                DataType::Date32 => (DataType::Int32, false),
                DataType::Timestamp(_, _) => (DataType::Int64, false),
                _ => return Ok(Transformed::no(Expr::AggregateFunction(call))),
            };
            call.params.args = vec![value.cast_to(&kind, &rows)?];
            if by_values {
                call.func = count_values();
                call.params.distinct = false;
            }
            Ok(Transformed::yes(Expr::AggregateFunction(call)))
        })?;
        Ok(done.update_data(|expr| name.restore(expr)))
    })
}

/// Whether -0.0 is 0.0 here, which the engine would count as two values: one of them, and 0.0, are 0.0.
fn has_one_zero(value: &Expr) -> bool {
    matches!(value, Expr::BinaryExpr(BinaryExpr { op: Operator::Plus, right, .. }) if **right == lit(0.0))
}

/// The values of the record that an expression makes.
pub(crate) fn record_values(expr: &Expr) -> Option<Vec<Expr>> {
    let ScalarFunction { func, args } = made_here(expr)?;
    let step = step(func.name());
    Some(args.into_iter().skip(step - 1).step_by(step).collect())
}

/// Has a function count different records of these values.
pub(crate) fn counted_record(call: &mut AggregateFunction, values: Vec<Expr>) {
    call.func = count_values();
    call.params.distinct = false;
    call.params.args = vec![BYTES.call(values)];
}

static BYTES: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    Arc::new(ScalarUDF::new_from_impl(RecordBytes {
        signature: Signature::variadic_any(Volatility::Immutable),
    }))
});

/// The bytes of a record, which are the same for the same values only.
pub(crate) fn record_bytes() -> ScalarUDF {
    BYTES.as_ref().clone()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct RecordBytes {
    signature: Signature,
}

impl ScalarUDFImpl for RecordBytes {
    fn name(&self) -> &'static str {
        "columna_record_bytes"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Binary)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let values = args.args.iter();
        let values = values.map(|value| value.to_array(args.number_rows));
        let values = values.collect::<Result<Vec<_>>>()?;
        let values = values.into_iter().map(with_one_zero);
        let values = values.collect::<Vec<ArrayRef>>();
        let kinds = values.iter();
        let kinds = kinds.map(|value| SortField::new(value.data_type().clone()));
        let bytes = RowConverter::new(kinds.collect())?.convert_columns(&values)?;
        Ok(ColumnarValue::Array(Arc::new(bytes.try_into_binary()?)))
    }
}

/// The values with 0.0 in place of -0.0, whose bytes are others.
fn with_one_zero(values: ArrayRef) -> ArrayRef {
    match values.as_primitive_opt::<Float64Type>() {
        Some(numbers) => Arc::new(numbers.unary::<_, Float64Type>(|number| number + 0.0)),
        None => values,
    }
}

fn columns_of(plan: &LogicalPlan) -> Vec<Expr> {
    plan.schema().iter().map(Expr::from).collect()
}

fn step(function: &str) -> usize {
    let mut records = RECORDS.iter();
    let known = records.find(|(name, _)| *name == function);
    known.map_or(0, |(_, step)| *step)
}

/// The call that makes the record that a key is a column of.
fn made_below(key: &Expr, input: &LogicalPlan) -> Option<ScalarFunction> {
    match (key, input) {
        (Expr::Alias(alias), _) => made_below(&alias.expr, input),
        (Expr::Column(column), LogicalPlan::Projection(below)) => {
            let at = below.schema.maybe_index_of_column(column)?;
            made_here(below.expr.get(at)?)
        }
        _ => None,
    }
}

/// The call that an expression makes a record by.
fn made_here(expr: &Expr) -> Option<ScalarFunction> {
    match expr {
        Expr::Alias(alias) => made_here(&alias.expr),
        Expr::ScalarFunction(call) if step(call.func.name()) > 0 && !expr.is_volatile() => {
            Some(call.clone())
        }
        _ => None,
    }
}
