//! `IS NOT DISTINCT FROM` beside `=` in a join: `a.site = b.site AND a.provider IS NOT DISTINCT FROM b.provider`.
//!
//! The engine (DataFusion 55) joins by such columns where all of a join's are compared so. Beside one that is compared by `=` they
//! are looked at for each pair of rows. Two keys say the same: whether each is NULL, and what each is if it is not.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, NullEquality, Result, ScalarValue};
use datafusion::functions::core::expr_fn::coalesce;
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, Join, LogicalPlan, Operator, lit};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

use crate::once_per_key::PERSON;

/// Makes keys of such conditions.
#[derive(Debug)]
pub(crate) struct NullSafeKeys;

impl OptimizerRule for NullSafeKeys {
    fn name(&self) -> &'static str {
        "null_safe_keys"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::TopDown)
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        let LogicalPlan::Join(mut join) = plan else {
            return Ok(Transformed::no(plan));
        };
        // One person's rows are few.
        let by_person = join.on.iter().any(|(left, _)| names_person(left));
        let fits = !join.on.is_empty()
            && !by_person
            && !join.null_aware
            && join.null_equality == NullEquality::NullEqualsNothing;
        let Some(filter) = join.filter.take_if(|_| fits) else {
            return Ok(Transformed::no(LogicalPlan::Join(join)));
        };
        let before = join.on.len();
        let mut rest = Vec::new();
        for condition in split_conjunction_owned(filter) {
            match keys(&condition, &join)? {
                Some(keys) => join.on.extend(keys),
                None => rest.push(condition),
            }
        }
        let changed = join.on.len() > before;
        join.filter = conjunction(rest);
        Ok(Transformed::new_transformed(
            LogicalPlan::Join(join),
            changed,
        ))
    }
}

fn names_person(expr: &Expr) -> bool {
    matches!(expr, Expr::Column(column) if column.name == PERSON)
}

/// The keys that say what a condition does; nothing if it is none of the two sides.
fn keys(condition: &Expr, join: &Join) -> Result<Option<Vec<(Expr, Expr)>>> {
    let Expr::BinaryExpr(BinaryExpr {
        left,
        op: Operator::IsNotDistinctFrom,
        right,
    }) = condition
    else {
        return Ok(None);
    };
    let (of_left, of_right) = (join.left.schema(), join.right.schema());
    let (left, right) = match (left, right) {
        (a, b) if is_of(a, of_left) && is_of(b, of_right) => (a, b),
        (a, b) if is_of(a, of_right) && is_of(b, of_left) => (b, a),
        _ => return Ok(None),
    };
    let kind = left.get_type(of_left)?;
    if kind != right.get_type(of_right)? || !is_plain(&kind) {
        return Ok(None);
    }
    let (left, right) = (left.as_ref().clone(), right.as_ref().clone());
    // What is never NULL is no NULL's equal.
    if !left.nullable(of_left)? || !right.nullable(of_right)? {
        return Ok(Some(vec![(left, right)]));
    }
    let none = lit(ScalarValue::new_default(&kind)?);
    let value = |side: &Expr| coalesce(vec![side.clone(), none.clone()]);
    Ok(Some(vec![
        (value(&left), value(&right)),
        (left.is_null(), right.is_null()),
    ]))
}

/// Whether it is of columns of this side alone.
fn is_of(expr: &Expr, side: &Arc<DFSchema>) -> bool {
    let columns = expr.column_refs();
    !columns.is_empty()
        && !expr.is_volatile()
        && columns.iter().all(|column| side.has_column(column))
}

/// Types of which two values are equal where they are not distinct.
fn is_plain(kind: &DataType) -> bool {
    kind.is_integer()
        || kind.is_string()
        || matches!(
            kind,
            DataType::Boolean
                | DataType::Date32
                | DataType::Date64
                | DataType::Timestamp(..)
                | DataType::Decimal128(..)
        )
}
