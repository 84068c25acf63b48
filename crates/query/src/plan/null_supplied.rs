//! Hides that a column is constant on the side of an outer join whose rows may be missing.
//!
//! The engine (DataFusion 55) takes `k` to be 1 in all rows of `a LEFT JOIN (SELECT id, 1 AS k FROM b) …`, and it is NULL in some.
//! GROUP BY and DISTINCT then gave groups twice, and ORDER BY left the column out, without an error.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{JoinType, Result, ScalarValue};
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::physical_expr::expressions::{CaseExpr, Column, IsNullExpr};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::execution_plan::{ChildrenPropertiesMode, ReplaceChildrenOptions};
use datafusion::physical_plan::joins::{HashJoinExec, NestedLoopJoinExec, SortMergeJoinExec};
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};

/// Hides constants below outer joins.
#[derive(Debug)]
pub(super) struct HideNullSupplied;

impl PhysicalOptimizerRule for HideNullSupplied {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let config = Arc::new(config.clone());
        plan.transform_up(|plan| {
            let supplied = null_supplied(plan.as_ref());
            let [left, right] = &plan.children()[..] else {
                return Ok(Transformed::no(plan));
            };
            let sides = [(left, supplied[0]), (right, supplied[1])];
            let hidden = sides.map(|(side, supplied)| {
                if supplied {
                    hidden(side, &config)
                } else {
                    Ok(None)
                }
            });
            let [left_hidden, right_hidden] = hidden;
            let (left_hidden, right_hidden) = (left_hidden?, right_hidden?);
            if left_hidden.is_none() && right_hidden.is_none() {
                return Ok(Transformed::no(plan));
            }
            let children = vec![
                left_hidden.unwrap_or_else(|| Arc::clone(left)),
                right_hidden.unwrap_or_else(|| Arc::clone(right)),
            ];
            let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
            Ok(Transformed::yes(plan.replace_children(children, options)?))
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "HideNullSupplied"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// Of which sides of a join rows may be missing.
fn null_supplied(plan: &dyn ExecutionPlan) -> [bool; 2] {
    let hash = plan.downcast_ref::<HashJoinExec>();
    let nested = plan.downcast_ref::<NestedLoopJoinExec>();
    let merge = plan.downcast_ref::<SortMergeJoinExec>();
    let join_type = hash
        .map(HashJoinExec::join_type)
        .or_else(|| nested.map(NestedLoopJoinExec::join_type))
        .or_else(|| merge.map(|join| &join.join_type));
    match join_type {
        Some(JoinType::Left) => [false, true],
        Some(JoinType::Right) => [true, false],
        Some(JoinType::Full) => [true, true],
        _ => [false, false],
    }
}

/// The same rows, of whose columns none is known to be constant; none where none is.
fn hidden(
    side: &Arc<dyn ExecutionPlan>,
    config: &Arc<ConfigOptions>,
) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let properties = side.equivalence_properties();
    let mut any = false;
    let mut columns = Vec::new();
    for (at, field) in side.schema().fields().iter().enumerate() {
        let column: Arc<dyn PhysicalExpr> = Arc::new(Column::new(field.name(), at));
        let constant = properties.is_expr_constant(&column).is_some();
        any |= constant;
        columns.push(ProjectionExpr {
            expr: if constant {
                varying(column, config)?
            } else {
                column
            },
            alias: field.name().clone(),
        });
    }
    Ok(if any {
        Some(Arc::new(ProjectionExec::try_new(
            columns,
            Arc::clone(side),
        )?))
    } else {
        None
    })
}

/// The value, by an expression of which the engine does not know that it is one.
pub(super) fn varying(
    value: Arc<dyn PhysicalExpr>,
    config: &Arc<ConfigOptions>,
) -> Result<Arc<dyn PhysicalExpr>> {
    let null = ScalarFunctionExpr::new(
        NAME,
        Arc::clone(&UNKNOWN),
        Vec::new(),
        Arc::new(Field::new(NAME, DataType::Boolean, true)),
        Arc::clone(config),
    );
    let always = Arc::new(IsNullExpr::new(Arc::new(null)));
    Ok(Arc::new(CaseExpr::try_new(
        None,
        vec![(always, value)],
        None,
    )?))
}

const NAME: &str = "columna_unknown";

static UNKNOWN: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    Arc::new(ScalarUDF::new_from_impl(Unknown {
        signature: Signature::nullary(Volatility::Volatile),
    }))
});

/// A function that is NULL, and nobody knows before it is called.
pub(crate) fn unknown() -> ScalarUDF {
    UNKNOWN.as_ref().clone()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Unknown {
    signature: Signature,
}

impl ScalarUDFImpl for Unknown {
    fn name(&self) -> &'static str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Ok(ColumnarValue::Scalar(ScalarValue::Boolean(None)))
    }
}
