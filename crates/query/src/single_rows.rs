//! `(SELECT d.death_date FROM death d WHERE d.person_id = p.person_id)`: the one row that there is.
//!
//! The engine (DataFusion 55) asks for an aggregate or a LIMIT in a correlated scalar subquery. Here its value is the greatest of
//! its rows, and more than one are an error, as in PostgreSQL and DuckDB. So it is for one without outer columns on a cluster, where
//! it becomes a join, which would repeat the rows outside.

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, AsArray, BooleanArray};
use arrow::compute::nullif;
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Column, Result, exec_err, internal_err};
use datafusion::functions::core::expr_fn::named_struct;
use datafusion::functions_aggregate::expr_fn::{count, max};
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlan, LogicalPlanBuilder, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Subquery, Volatility, lit,
};
use datafusion::optimizer::AnalyzerRule;

use crate::kept_names;

/// Makes aggregates of such subqueries.
#[derive(Debug)]
pub(crate) struct SingleRows;

impl AnalyzerRule for SingleRows {
    fn analyze(&self, plan: LogicalPlan, config: &ConfigOptions) -> Result<LogicalPlan> {
        let looked_at = config
            .optimizer
            .enable_physical_uncorrelated_scalar_subquery;
        plan.transform_up_with_subqueries(|node| {
            kept_names::changed(node, |expr| {
                expr.transform_up(|expr| match expr {
                    Expr::ScalarSubquery(subquery) => Ok(match single(&subquery, looked_at)? {
                        Some(plan) => {
                            let subquery = Subquery {
                                subquery: Arc::new(plan),
                                ..subquery
                            };
                            Transformed::yes(ONE.call(vec![Expr::ScalarSubquery(subquery)]))
                        }
                        None => Transformed::no(Expr::ScalarSubquery(subquery)),
                    }),
                    other => Ok(Transformed::no(other)),
                })
            })
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "single_rows"
    }
}

/// The subquery's plan as an aggregate of the value and how many rows it has, which is looked at where the subquery stands: others
/// may have more. None where it is an aggregate, or has one row anyway, and where it has no outer columns and its rows are
/// `looked_at` when it runs.
fn single(subquery: &Subquery, looked_at: bool) -> Result<Option<LogicalPlan>> {
    let plan = &subquery.subquery;
    let seen = if subquery.outer_ref_columns.is_empty() {
        looked_at
    } else {
        has_groups(plan)
    };
    let known = seen || plan.max_rows().is_some_and(|rows| rows <= 1);
    if known || plan.schema().fields().len() != 1 {
        return Ok(None);
    }
    let (table, field) = plan.schema().qualified_field(0);
    if field.data_type().is_nested() {
        return Ok(None);
    }
    let value = Expr::Column(Column::from((table, field)));
    let aggregate = LogicalPlanBuilder::from(plan.as_ref().clone())
        .aggregate(Vec::<Expr>::new(), [max(value), count(lit(1_i64))])?
        .build()?;
    let made: Vec<Column> = aggregate.schema().iter().map(Column::from).collect();
    let [value, rows] = made.as_slice() else {
        return internal_err!("an aggregate of two functions has two columns");
    };
    let fields = [("value", value), ("rows", rows)];
    let fields = fields.map(|(name, column)| [lit(name), Expr::Column(column.clone())]);
    let both = named_struct(fields.into_iter().flatten().collect());
    let plan = LogicalPlanBuilder::from(aggregate)
        .project([both.alias(field.name())])?
        .build()?;
    Ok(Some(plan))
}

/// Whether the rows are groups, of which the engine knows how to see that there is one.
fn has_groups(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Projection(projection) => has_groups(&projection.input),
        LogicalPlan::SubqueryAlias(alias) => has_groups(&alias.input),
        LogicalPlan::Filter(filter) => has_groups(&filter.input),
        LogicalPlan::Sort(sort) => has_groups(&sort.input),
        LogicalPlan::Aggregate(_) | LogicalPlan::Distinct(_) | LogicalPlan::Window(_) => true,
        _ => false,
    }
}

const NAME: &str = "columna_one_row";

static ONE: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    Arc::new(ScalarUDF::new_from_impl(OneRow {
        signature: Signature::any(1, Volatility::Immutable),
    }))
});

/// A value, which is of one row at most.
pub(crate) fn one_row() -> ScalarUDF {
    ONE.as_ref().clone()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct OneRow {
    signature: Signature,
}

impl ScalarUDFImpl for OneRow {
    fn name(&self) -> &'static str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments {
            [DataType::Struct(fields)] if fields.len() == 2 => Ok(fields[0].data_type().clone()),
            _ => internal_err!("{NAME} takes a value and how many rows it is of"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let Some(both) = arrays.first().and_then(|array| array.as_struct_opt()) else {
            return internal_err!("{NAME} takes a value and how many rows it is of");
        };
        let rows = both.column(1).as_primitive::<Int64Type>();
        if rows.iter().flatten().any(|rows| rows > 1) {
            return exec_err!(
                "a subquery that stands for one value has more than one row; aggregate it, such as max(…), or add LIMIT 1"
            );
        }
        // Where nothing was joined, the record is NULL, and so is what is in it.
        let value = both.column(0);
        let value = match both.nulls() {
            Some(nulls) => nullif(value, &BooleanArray::new(!nulls.inner(), None))?,
            None => Arc::clone(value),
        };
        Ok(ColumnarValue::Array(value))
    }
}
