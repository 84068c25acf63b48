//! What a correlated subquery asks of the row around it, computed where that row is: `year(w.day) = year(v.day)`.
//!
//! A subquery is asked once for all values of the outer columns that it names (see [`crate::correlated`]). Of days there are many, of
//! their years few: as a column of the rows around it, the year is all that it names.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, Result};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{
    BinaryExpr, Expr, ExprSchemable, Filter, LogicalPlan, Operator, Projection, Subquery,
};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

use crate::kept_names;

/// Makes columns of what scalar subqueries compare.
#[derive(Debug)]
pub(crate) struct AskedValues;

/// What is asked, of the columns around the subquery, and its name there.
type Asked = Vec<(Expr, String)>;

impl OptimizerRule for AskedValues {
    fn name(&self) -> &'static str {
        "asked_values"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        let input = match &plan {
            LogicalPlan::Filter(filter) => &filter.input,
            LogicalPlan::Projection(projection) => &projection.input,
            _ => return Ok(Transformed::no(plan)),
        };
        let mut asked = Asked::new();
        for expr in plan.expressions() {
            expr.apply(|part| {
                if let Expr::ScalarSubquery(subquery) = part {
                    collect(&subquery.subquery, input.schema(), &mut asked, config)?;
                }
                Ok(TreeNodeRecursion::Continue)
            })?;
        }
        if asked.is_empty() {
            return Ok(Transformed::no(plan));
        }
        let columns = || input.schema().columns().into_iter().map(Expr::from);
        let own = asked.iter().map(|(expr, name)| expr.clone().alias(name));
        let with = Projection::try_new(columns().chain(own).collect(), Arc::clone(input))?;
        let with = Arc::new(LogicalPlan::Projection(with));
        let names = NamePreserver::new(&plan);
        let of = |expr: Expr| -> Result<Expr> {
            let name = names.save(&expr);
            let done = expr.transform_up(|part| match part {
                Expr::ScalarSubquery(subquery) => {
                    let named = named(subquery, with.schema(), &asked)?;
                    Ok(Transformed::yes(Expr::ScalarSubquery(named)))
                }
                other => Ok(Transformed::no(other)),
            })?;
            Ok(name.restore(done.data))
        };
        Ok(Transformed::yes(match &plan {
            LogicalPlan::Filter(filter) => {
                let predicate = of(filter.predicate.clone())?;
                let rows = Filter::try_new(predicate, Arc::clone(&with))?;
                let rows = Arc::new(LogicalPlan::Filter(rows));
                LogicalPlan::Projection(Projection::try_new(columns().collect(), rows)?)
            }
            other => {
                let exprs = other.expressions().into_iter().map(of);
                let exprs = exprs.collect::<Result<Vec<_>>>()?;
                LogicalPlan::Projection(Projection::try_new(exprs, Arc::clone(&with))?)
            }
        }))
    }
}

/// What a subquery compares with its own.
fn collect(
    subquery: &LogicalPlan,
    around: &DFSchema,
    asked: &mut Asked,
    config: &dyn OptimizerConfig,
) -> Result<()> {
    subquery.apply(|node| {
        for expr in node.expressions() {
            expr.apply(|part| {
                if let Some(side) = side(part) {
                    let of_rows = of_rows(side)?;
                    let columns = of_rows.column_refs();
                    let theirs = columns.iter().all(|column| around.has_column(column));
                    if theirs && asked.iter().all(|(known, _)| *known != of_rows) {
                        let name = config.alias_generator().next("__asked");
                        asked.push((of_rows, name));
                    }
                }
                Ok(TreeNodeRecursion::Continue)
            })?;
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(())
}

/// The side of an equality that is computed from outer columns alone, where the other one has none.
fn side(expr: &Expr) -> Option<&Expr> {
    let Expr::BinaryExpr(BinaryExpr {
        left,
        op: Operator::Eq,
        right,
    }) = expr
    else {
        return None;
    };
    let is_asked = |asked: &Expr, own: &Expr| {
        asked.contains_outer()
            && asked.column_refs().is_empty()
            && !matches!(asked, Expr::OuterReferenceColumn(..))
            && !asked.is_volatile()
            && !has_subquery(asked)
            && !own.contains_outer()
            && !own.column_refs().is_empty()
    };
    match (left.as_ref(), right.as_ref()) {
        (asked, own) | (own, asked) if is_asked(asked, own) => Some(asked),
        _ => None,
    }
}

fn has_subquery(expr: &Expr) -> bool {
    let found = expr.exists(|part| {
        Ok(matches!(
            part,
            Expr::ScalarSubquery(_) | Expr::InSubquery(_) | Expr::Exists(_)
        ))
    });
    found.unwrap_or(true)
}

/// The same of the columns where they are.
fn of_rows(asked: &Expr) -> Result<Expr> {
    let done = asked.clone().transform_up(|part| {
        Ok(match part {
            Expr::OuterReferenceColumn(_, column) => Transformed::yes(Expr::Column(column)),
            other => Transformed::no(other),
        })
    })?;
    Ok(done.data)
}

/// The subquery with the names in the place of what it asks.
fn named(subquery: Subquery, around: &DFSchema, asked: &Asked) -> Result<Subquery> {
    let plan = Arc::unwrap_or_clone(subquery.subquery).transform_up(|node| {
        kept_names::changed(node, |expr| {
            expr.transform_up(|part| {
                let Some(side) = side(&part) else {
                    return Ok(Transformed::no(part));
                };
                let of_rows = of_rows(side)?;
                let Some((_, name)) = asked.iter().find(|(known, _)| *known == of_rows) else {
                    return Ok(Transformed::no(part));
                };
                let column = Column::from_name(name);
                let (_, field) = Expr::Column(column.clone()).to_field(around)?;
                let outer = Expr::OuterReferenceColumn(field, column);
                let side = side.clone();
                part.map_children(|child| {
                    Ok(match child == side {
                        true => Transformed::yes(outer.clone()),
                        false => Transformed::no(child),
                    })
                })
            })
        })
    })?;
    let plan = plan.data;
    Ok(Subquery {
        outer_ref_columns: plan.all_out_ref_exprs(),
        subquery: Arc::new(plan),
        ..subquery
    })
}
