//! Tables of no person beside persons' rows.
//!
//! The engine may leave a side of a join out where the other has no rows, so that whatever happens within it tells whether there is
//! a person: an error, or a release that is recorded or paid for. And what is of other rows from one query to the next makes the same
//! words a different set of persons. So there is nothing within such a table that can fail, change, or be a release.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use datafusion::catalog::information_schema::INFORMATION_SCHEMA;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::{Exists, InSubquery};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{BinaryExpr, Distinct, Expr, LogicalPlan, Operator, Subquery};

use super::expression::Scope;
use super::refused::refuse;

/// Aggregates that cannot fail.
const AGGREGATES: [&str; 5] = ["bool_and", "bool_or", "count", "max", "min"];

/// A relation of no person, made total.
pub(super) fn beside_persons(plan: LogicalPlan) -> Result<LogicalPlan> {
    let within = |plan: LogicalPlan| -> Result<LogicalPlan> {
        let total = plan.map_children(|input| Ok(Transformed::yes(beside_persons(input)?)))?;
        Ok(total.data)
    };
    let schema = match &plan {
        LogicalPlan::Sort(sort) if sort.fetch.is_none() => {
            return beside_persons(sort.input.as_ref().clone());
        }
        LogicalPlan::TableScan(scan) if scan.table_name.schema() == Some(INFORMATION_SCHEMA) => {
            return refuse(
                "shape",
                "the session's tables and settings, which may be others each time, are no table that persons' rows are looked up in",
                "ask for them in a statement of their own",
            );
        }
        LogicalPlan::TableScan(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::EmptyRelation(_)
        | LogicalPlan::Distinct(Distinct::All(_))
        | LogicalPlan::Union(_)
        | LogicalPlan::Unnest(_) => return within(plan),
        LogicalPlan::Projection(projection) => Arc::clone(projection.input.schema()),
        LogicalPlan::Filter(filter) => Arc::clone(filter.input.schema()),
        LogicalPlan::Aggregate(aggregate) => Arc::clone(aggregate.input.schema()),
        LogicalPlan::Values(_) => Arc::new(DFSchema::empty()),
        LogicalPlan::Join(join) => Arc::new(join.left.schema().join(join.right.schema().as_ref())?),
        LogicalPlan::Limit(_) => {
            return refuse(
                "shape",
                "LIMIT of a table that persons' rows are looked up in may be of other rows each time",
                "write a condition in place of it",
            );
        }
        _ => {
            return refuse(
                "subquery",
                "tables that persons' rows are looked up in are stored ones, joined, filtered, grouped and put together, and no numbers of this role",
                "write the condition with WHERE, joins, UNION, GROUP BY with count, min and max",
            );
        }
    };
    let scope = Scope {
        schema: &schema,
        persons: &HashSet::new(),
        origins: &HashMap::new(),
    };
    let names = match &plan {
        LogicalPlan::Projection(_) | LogicalPlan::Aggregate(_) => {
            NamePreserver::new_for_projection()
        }
        other => NamePreserver::new(other),
    };
    let total = within(plan)?.map_expressions(|expr| {
        let name = names.save(&expr);
        Ok(Transformed::yes(name.restore(condition(&scope, expr)?)))
    })?;
    total.data.recompute_schema()
}

fn condition(scope: &Scope<'_>, expr: Expr) -> Result<Expr> {
    let within = |subquery: Subquery| {
        let plan = beside_persons(Arc::unwrap_or_clone(subquery.subquery))?;
        Ok::<_, datafusion::common::DataFusionError>(Subquery {
            subquery: Arc::new(plan),
            ..subquery
        })
    };
    Ok(match expr {
        Expr::Alias(mut alias) => {
            alias.expr = Box::new(condition(scope, *alias.expr)?);
            Expr::Alias(alias)
        }
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: op @ (Operator::And | Operator::Or),
            right,
        }) => Expr::BinaryExpr(BinaryExpr::new(
            Box::new(condition(scope, *left)?),
            op,
            Box::new(condition(scope, *right)?),
        )),
        Expr::Not(inner) => Expr::Not(Box::new(condition(scope, *inner)?)),
        Expr::InSubquery(inner) => Expr::InSubquery(InSubquery {
            expr: Box::new(scope.total(*inner.expr)?),
            subquery: within(inner.subquery)?,
            negated: inner.negated,
        }),
        Expr::Exists(inner) => Expr::Exists(Exists {
            subquery: within(inner.subquery)?,
            negated: inner.negated,
        }),
        Expr::AggregateFunction(ref call) if AGGREGATES.contains(&call.func.name()) => {
            let total = expr.map_children(|part| Ok(Transformed::yes(scope.total(part)?)))?;
            total.data
        }
        Expr::AggregateFunction(call) => {
            return refuse(
                "function",
                format!(
                    "`{}` is not known to be safe in a table that persons' rows are looked up in",
                    call.func.name()
                ),
                "use count, min and max there",
            );
        }
        // A list of values, which is unnested.
        Expr::ScalarFunction(ref call) if call.func.name() == "make_array" => {
            let total = expr.map_children(|part| Ok(Transformed::yes(scope.total(part)?)))?;
            total.data
        }
        other => scope.total(other)?,
    })
}
