//! `x < ANY (SELECT y …)` and `x >= ALL (SELECT y …)` by the least or greatest `y`.
//!
//! The engine (DataFusion 55) compares each `x` with each `y`. Of a subquery whose outer columns are equal to columns of its own,
//! the values that decide are those of a group:
//!
//! ```sql
//! SELECT * FROM m WHERE m.value >= ALL (SELECT o.value FROM m o WHERE o.person = m.person)
//!
//! SELECT m.* FROM m LEFT JOIN LATERAL (
//!   SELECT max(o.value) AS value, count(o.value) AS known, count(*) AS found FROM m o WHERE o.person = m.person
//! ) ON true WHERE CASE WHEN NOT m.value >= value THEN false WHEN found = 0 THEN true … END
//! ```
//!
//! Subqueries that ask for outer columns in other ways are left to the engine.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DataFusionError, JoinType, Result, ScalarValue};
use datafusion::functions_aggregate::expr_fn::{count, max, min};
use datafusion::logical_expr::expr::{SetComparison, SetQuantifier};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{
    Expr, LogicalPlan, LogicalPlanBuilder, Operator, Subquery, binary_expr, lit, not, when,
};
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

use crate::above_totals::is_total;
use crate::correlated::by_equal_columns;
use crate::kept_names;

/// Compares with one value instead of all.
#[derive(Debug)]
pub(crate) struct LeastAndGreatest;

impl OptimizerRule for LeastAndGreatest {
    fn name(&self) -> &'static str {
        "least_and_greatest"
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        let alone = plan.transform_up_with_subqueries(|node| {
            kept_names::changed(node, |expr| {
                replaced(expr, |comparison| {
                    let subquery = &comparison.subquery;
                    if !subquery.outer_ref_columns.is_empty() || differs(&subquery.subquery)? {
                        return Ok(None);
                    }
                    by_both_ends(comparison, |comparison| {
                        let decides = Decides::of(comparison);
                        decides.map(|decides| decides.alone()).transpose()
                    })
                })
            })
        })?;
        // What looks out of a subquery itself is left to the engine.
        let lateral = |node: &LogicalPlan| Ok(matches!(node, LogicalPlan::Subquery(_)));
        if alone.data.exists(lateral)? {
            return Ok(alone);
        }
        alone.transform_data(|plan| {
            plan.transform_up(|node| {
                Ok(match beside(&node, config)? {
                    Some(joined) => Transformed::yes(joined),
                    None => Transformed::no(node),
                })
            })
        })
    }
}

/// Whether a plan may have other rows each time, which its least value and their number would not be of.
fn differs(plan: &LogicalPlan) -> Result<bool> {
    plan.exists(|node| {
        let any = matches!(node, LogicalPlan::Limit(limit) if !is_sorted(&limit.input));
        Ok(any || node.expressions().iter().any(Expr::is_volatile))
    })
}

fn is_sorted(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Sort(_) => true,
        LogicalPlan::Projection(projection) => is_sorted(&projection.input),
        _ => false,
    }
}

/// `x <> ANY (…)` is `x < ANY (…) OR x > ANY (…)`, and `x = ALL (…)` is `x <= ALL (…) AND x >= ALL (…)`.
fn by_both_ends(
    comparison: &SetComparison,
    decided: impl Fn(&SetComparison) -> Result<Option<Expr>>,
) -> Result<Option<Expr>> {
    let (below, above, both) = match (comparison.op, &comparison.quantifier) {
        (Operator::NotEq, SetQuantifier::Any) => (Operator::Lt, Operator::Gt, Operator::Or),
        (Operator::Eq, SetQuantifier::All) => (Operator::LtEq, Operator::GtEq, Operator::And),
        _ => return decided(comparison),
    };
    let by = |op| {
        decided(&SetComparison {
            op,
            ..comparison.clone()
        })
    };
    let ends = by(below)?.zip(by(above)?);
    Ok(ends.map(|(below, above)| binary_expr(below, both, above)))
}

/// An expression with the comparisons that something else was found for.
fn replaced(
    expr: Expr,
    mut found: impl FnMut(&SetComparison) -> Result<Option<Expr>>,
) -> Result<Transformed<Expr>> {
    expr.transform_up(|expr| match &expr {
        Expr::SetComparison(comparison) => Ok(match found(comparison)? {
            Some(by_one) => Transformed::yes(by_one),
            None => Transformed::no(expr),
        }),
        _ => Ok(Transformed::no(expr)),
    })
}

/// A filter or a projection over its input joined with the values that decide its correlated comparisons; none without any.
fn beside(node: &LogicalPlan, config: &dyn OptimizerConfig) -> Result<Option<LogicalPlan>> {
    if !matches!(node, LogicalPlan::Filter(_) | LogicalPlan::Projection(_)) {
        return Ok(None);
    }
    let &[rows] = &node.inputs()[..] else {
        return Ok(None);
    };
    let mut joined = rows.clone();
    let names = NamePreserver::new(node);
    let exprs = node.expressions().into_iter().map(|expr| {
        let name = names.save(&expr);
        let done = replaced(expr, |comparison| {
            let mut comparison = comparison.clone();
            comparison.subquery.subquery = bare(comparison.subquery.subquery);
            let Some(decides) = Decides::of(&comparison) else {
                return Ok(None);
            };
            if !is_of_groups(&comparison.subquery, rows)? {
                return Ok(None);
            }
            let name = config.alias_generator().next("__compared");
            let values = decides.values().into_iter().zip(VALUES);
            let values = values.map(|(value, name)| value.alias(name));
            let subquery = LogicalPlan::Subquery(decides.subquery(values)?);
            let lateral = LogicalPlanBuilder::from(subquery)
                .alias(name.as_str())?
                .build()?;
            joined = LogicalPlanBuilder::from(joined.clone())
                .join_on(lateral, JoinType::Left, [lit(true)])?
                .build()?;
            let columns = VALUES.map(|value| Expr::from(Column::new(Some(name.as_str()), value)));
            decides.compared(columns).map(Some)
        })?;
        Ok(name.restore(done.data))
    });
    let exprs = exprs.collect::<Result<Vec<_>>>()?;
    if joined.schema() == rows.schema() {
        return Ok(None);
    }
    let changed = node.with_new_exprs(exprs, vec![joined])?;
    let shown = rows.schema().columns().into_iter().map(Expr::from);
    Ok(Some(match node {
        LogicalPlan::Filter(_) => LogicalPlanBuilder::from(changed).project(shown)?.build()?,
        _ => changed,
    }))
}

/// A subquery's rows without the names that are given to its one column, which would hide its conditions.
fn bare(mut rows: Arc<LogicalPlan>) -> Arc<LogicalPlan> {
    loop {
        rows = match rows.as_ref() {
            LogicalPlan::SubqueryAlias(alias) => Arc::clone(&alias.input),
            LogicalPlan::Projection(projection)
                if projection.input.schema().fields().len() == 1
                    && matches!(projection.expr.as_slice(), [expr] if matches!(expr.clone().unalias(), Expr::Column(_))) =>
            {
                Arc::clone(&projection.input)
            }
            _ => return rows,
        };
    }
}

/// Whether the outer columns of a subquery are those of these rows, and are equal to columns of its own.
fn is_of_groups(subquery: &Subquery, rows: &LogicalPlan) -> Result<bool> {
    let outer = &subquery.outer_ref_columns;
    let of_rows = outer.iter().all(|outer| {
        matches!(outer, Expr::OuterReferenceColumn(_, column) if rows.schema().has_column(column))
    });
    // One row of nothing, or rows whose number or place counts.
    let parts = |node: &LogicalPlan| {
        let counts = matches!(
            node,
            LogicalPlan::Limit(_) | LogicalPlan::Window(_) | LogicalPlan::Unnest(_)
        );
        Ok(counts || is_total(node))
    };
    Ok(!outer.is_empty()
        && of_rows
        && !subquery.subquery.exists(parts)?
        && by_equal_columns(&subquery.subquery)?)
}

/// What the values are called that decide a comparison.
const VALUES: [&str; 3] = ["__value", "__known", "__found"];

/// A comparison that one value decides.
struct Decides<'a> {
    comparison: &'a SetComparison,
    any: bool,
    greatest: bool,
}

impl<'a> Decides<'a> {
    fn of(comparison: &'a SetComparison) -> Option<Self> {
        use Operator::{Gt, GtEq, Lt, LtEq};
        let any = comparison.quantifier == SetQuantifier::Any;
        let greatest = match comparison.op {
            Lt | LtEq => any,
            Gt | GtEq => !any,
            _ => return None,
        };
        Some(Self {
            comparison,
            any,
            greatest,
        })
    }

    /// The value that decides, how many values there are, and how many rows.
    fn values(&self) -> [Expr; 3] {
        let rows = &self.comparison.subquery.subquery;
        let y = Expr::from(Column::from(rows.schema().qualified_field(0)));
        let decides = if self.greatest {
            max(y.clone())
        } else {
            min(y.clone())
        };
        [decides, count(y), count(lit(1_i64))]
    }

    /// The subquery's values in place of its rows.
    fn subquery(&self, values: impl IntoIterator<Item = Expr>) -> Result<Subquery> {
        let subquery = &self.comparison.subquery;
        let rows = LogicalPlanBuilder::from(Arc::clone(&subquery.subquery));
        let none: [Expr; 0] = [];
        Ok(Subquery {
            subquery: Arc::new(rows.aggregate(none, values)?.build()?),
            ..subquery.clone()
        })
    }

    fn alone(&self) -> Result<Expr> {
        let [value, known, found] = self.values();
        let scalar =
            |value| Ok::<_, DataFusionError>(Expr::ScalarSubquery(self.subquery([value])?));
        self.compared([scalar(value)?, scalar(known)?, scalar(found)?])
    }

    /// The comparison with the value that decides; NULL where SQL says so.
    fn compared(&self, [value, known, found]: [Expr; 3]) -> Result<Expr> {
        let (any, x) = (self.any, self.comparison.expr.as_ref());
        let holds = binary_expr(x.clone(), self.comparison.op, value);
        let unknown = x.clone().is_null().or(known.lt(found.clone()));
        when(if any { holds } else { not(holds) }, lit(any))
            .when(found.eq(lit(0_i64)), lit(!any))
            .when(unknown, lit(ScalarValue::Boolean(None)))
            .otherwise(lit(!any))
    }
}
