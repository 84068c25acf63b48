//! A scalar subquery that finds no row is NULL.
//!
//! The engine (DataFusion 55) takes the subquery's value to be NULL only where its column can be: of
//! `(SELECT 1 FROM death d WHERE d.person_id = p.person_id)` it made `IS NULL` false and `coalesce(…, 0)` NULL.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlan, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility,
};
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

use crate::kept_names;

/// Says of such subqueries that they may be NULL.
#[derive(Debug)]
pub(crate) struct MissingRows;

impl OptimizerRule for MissingRows {
    fn name(&self) -> &'static str {
        "missing_rows"
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        let mut any = false;
        plan.apply_with_subqueries(|node| {
            for expr in node.expressions() {
                any |= expr.exists(|part| Ok(matches!(part, Expr::ScalarSubquery(_))))?;
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        if !any {
            return Ok(Transformed::no(plan));
        }
        let mut changed = false;
        let plan = plan.transform_up_with_subqueries(|node| {
            let node = kept_names::changed(node, |expr| {
                let done = expr.transform_down(marked)?;
                changed |= done.transformed;
                Ok(done)
            })?;
            Ok(Transformed::yes(if changed {
                node.data.recompute_schema()?
            } else {
                node.data
            }))
        })?;
        Ok(Transformed::new_transformed(plan.data, changed))
    }
}

fn marked(expr: Expr) -> Result<Transformed<Expr>> {
    let missing = match &expr {
        Expr::ScalarFunction(call) if call.name() == NAME => {
            return Ok(Transformed::new(expr, false, TreeNodeRecursion::Jump));
        }
        Expr::ScalarSubquery(subquery) => {
            let mut fields = subquery.subquery.schema().fields().iter();
            fields.any(|field| !field.is_nullable()) && !has_one_row(&subquery.subquery)
        }
        _ => false,
    };
    Ok(if missing {
        let marked = MAYBE.call(vec![expr]);
        Transformed::new(marked, true, TreeNodeRecursion::Jump)
    } else {
        Transformed::no(expr)
    })
}

/// Whether there is a row whatever the data.
fn has_one_row(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Projection(projection) => has_one_row(&projection.input),
        LogicalPlan::SubqueryAlias(alias) => has_one_row(&alias.input),
        LogicalPlan::Aggregate(aggregate) => aggregate.group_expr.is_empty(),
        LogicalPlan::EmptyRelation(empty) => empty.produce_one_row,
        _ => false,
    }
}

const NAME: &str = "columna_maybe";

static MAYBE: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    Arc::new(ScalarUDF::new_from_impl(Maybe {
        signature: Signature::any(1, Volatility::Immutable),
    }))
});

/// The value itself, which may be NULL.
pub(crate) fn maybe() -> ScalarUDF {
    MAYBE.as_ref().clone()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Maybe {
    signature: Signature,
}

impl ScalarUDFImpl for Maybe {
    fn name(&self) -> &'static str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        internal_err!("the type is that of the value")
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let [field] = args.arg_fields else {
            return internal_err!("{NAME} takes one value");
        };
        let field = field.as_ref().clone();
        Ok(Arc::new(field.with_name(NAME).with_nullable(true)))
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match (args.args.pop(), args.args.is_empty()) {
            (Some(value), true) => Ok(value),
            _ => internal_err!("{NAME} takes one value"),
        }
    }
}
