//! Writes `array_agg(x ORDER BY y)` and the like as functions that have `y` among their arguments: see
//! [`crate::functions::aggregate::in_order`].

use std::sync::Arc;

use arrow::compute::SortOptions;
use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::{AggregateFunction, NullTreatment};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

use crate::functions::aggregate::{How, What};

/// Writes ordered aggregates so.
#[derive(Debug)]
pub(crate) struct OrderedCalls;

impl OptimizerRule for OrderedCalls {
    fn name(&self) -> &'static str {
        "ordered_calls"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        let LogicalPlan::Aggregate(aggregate) = &plan else {
            return Ok(Transformed::no(plan));
        };
        let schema = Arc::clone(aggregate.input.schema());
        let names = NamePreserver::new(&plan);
        plan.map_expressions(|expr| {
            let name = names.save(&expr);
            let done = expr.transform_up(|expr| written(expr, &schema))?;
            Ok(done.update_data(|expr| name.restore(expr)))
        })
    }
}

fn written(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let Expr::AggregateFunction(call) = &expr else {
        return Ok(Transformed::no(expr));
    };
    let Some(what) = What::of(call.func.name()) else {
        return Ok(Transformed::no(expr));
    };
    let params = &call.params;
    let flat = |expr: &Expr| {
        Ok::<_, datafusion::error::DataFusionError>(!expr.get_type(schema)?.is_nested())
    };
    // Different values without an order may come in their own.
    let order = match (what, params.args.as_slice()) {
        (What::List, [value]) | (What::Text, [value, _])
            if params.distinct && params.order_by.is_empty() =>
        {
            vec![value.clone().sort(true, false)]
        }
        _ => params.order_by.clone(),
    };
    let mut fits = !order.is_empty();
    for key in &order {
        fits &= flat(&key.expr)?;
    }
    let values = match (what, params.args.as_slice()) {
        (What::Text, [value, Expr::Literal(delimiter, _)]) => {
            fits &= delimiter.try_as_str().flatten().is_some();
            fits &= matches!(
                value.get_type(schema)?,
                DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
            );
            vec![value]
        }
        (What::First | What::Last | What::List, [value]) => vec![value],
        _ => Vec::new(),
    };
    let [value] = values.as_slice() else {
        return Ok(Transformed::no(expr));
    };
    // Equal values lie together only where they are what rows are sorted by.
    let by_itself = matches!(order.as_slice(), [key] if key.expr == **value);
    let lists = matches!(what, What::List | What::Text);
    if !fits || params.distinct && !(lists && by_itself) {
        return Ok(Transformed::no(expr));
    }
    let how = How {
        pass_nulls: params.null_treatment == Some(NullTreatment::IgnoreNulls),
        distinct: params.distinct,
        order: order
            .iter()
            .map(|key| SortOptions {
                descending: !key.asc,
                nulls_first: key.nulls_first,
            })
            .collect(),
    };
    let keys = order.into_iter().map(|key| key.expr);
    let mut args = params.args.clone();
    args.extend(keys.chain([how.argument()]));
    let call = AggregateFunction::new_udf(
        what.function().into(),
        args,
        false,
        params.filter.clone(),
        Vec::new(),
        None,
    );
    Ok(Transformed::yes(Expr::AggregateFunction(call)))
}
