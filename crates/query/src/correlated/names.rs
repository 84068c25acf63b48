//! Tells the columns apart by which a subquery is compared with the query around it.
//!
//! `EXISTS (SELECT 1 FROM visit v, condition c WHERE v.person = p.person AND c.person = p.person)`: the engine (DataFusion 55) joins
//! such a subquery under one name, and there takes columns of different tables that have one name for one column. Here the second
//! condition becomes `c.person = v.person`, which says the same and joins the two tables; and a column that would still share its
//! name with another gets one of its own. So it is for a subquery within, which the engine lets ask the next query around it only:
//! `EXISTS (SELECT 1 FROM visit v WHERE v.person = p.person AND EXISTS (SELECT 1 FROM condition c WHERE c.person = p.person))`.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, Result};
use datafusion::logical_expr::expr::{Exists, InSubquery, SetComparison};
use datafusion::logical_expr::utils::{conjunction, split_conjunction, split_conjunction_owned};
use datafusion::logical_expr::{
    BinaryExpr, Expr, ExprSchemable, Filter, LogicalPlan, LogicalPlanBuilder, Operator, Subquery,
};
use datafusion::optimizer::AnalyzerRule;

use super::{exprs_of, places};

/// Rewrites all correlated subqueries.
#[derive(Debug)]
pub(crate) struct NamesOfTheirOwn;

impl AnalyzerRule for NamesOfTheirOwn {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        // Those of expressions are among the nodes.
        plan.transform_up_with_subqueries(|node| match node {
            LogicalPlan::Subquery(subquery) => {
                Ok(told_apart(subquery)?.update_data(LogicalPlan::Subquery))
            }
            node => places::moved(node),
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "names_of_their_own"
    }
}

/// An expression whose own subquery is changed, if it has one.
fn with_subquery(
    expr: Expr,
    change: impl FnOnce(Subquery) -> Result<Transformed<Subquery>>,
) -> Result<Transformed<Expr>> {
    Ok(match expr {
        Expr::Exists(Exists { subquery, negated }) => {
            change(subquery)?.update_data(|subquery| Expr::Exists(Exists { subquery, negated }))
        }
        Expr::InSubquery(InSubquery {
            expr,
            subquery,
            negated,
        }) => change(subquery)?
            .update_data(|subquery| Expr::InSubquery(InSubquery::new(expr, subquery, negated))),
        Expr::SetComparison(SetComparison {
            expr,
            subquery,
            op,
            quantifier,
        }) => change(subquery)?.update_data(|subquery| {
            Expr::SetComparison(SetComparison::new(expr, subquery, op, quantifier))
        }),
        Expr::ScalarSubquery(subquery) => change(subquery)?.update_data(Expr::ScalarSubquery),
        other => Transformed::no(other),
    })
}

/// A subquery of whose correlated columns no two have one name, and none that of a column it answers with.
fn told_apart(subquery: Subquery) -> Result<Transformed<Subquery>> {
    if subquery.outer_ref_columns.is_empty() {
        return Ok(Transformed::no(subquery));
    }
    let plan = subquery.subquery.as_ref().clone();
    let plan = plan.transform_up(|node| match node {
        LogicalPlan::Filter(filter) => compared_once(filter),
        other => Ok(Transformed::no(other)),
    })?;
    let mut changed = plan.transformed;
    let mut plan = plan.data;
    let mut columns: BTreeSet<Column> = plan.schema().columns().into_iter().collect();
    plan.apply(|node| {
        if let LogicalPlan::Filter(filter) = node {
            columns.extend(correlated(&filter.predicate));
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    let mut known: HashMap<&str, usize> = HashMap::new();
    for column in &columns {
        *known.entry(&column.name).or_default() += 1;
    }
    if known.values().any(|columns| *columns > 1) {
        let shared = |column: &Column| known.get(column.name.as_str()).is_some_and(|n| *n > 1);
        let mut count = 0;
        let renamed = plan.transform_up(|node| match node {
            LogicalPlan::Filter(filter) => renamed(filter, shared, &mut count),
            other => Ok(Transformed::no(other)),
        })?;
        changed |= renamed.transformed;
        plan = renamed.data;
    }
    let subquery = Subquery {
        subquery: Arc::new(plan),
        ..subquery
    };
    Ok(Transformed::new_transformed(subquery, changed))
}

/// The columns of a condition that stand beside those of the query around it.
fn correlated(predicate: &Expr) -> Vec<Column> {
    let parts = split_conjunction(predicate).into_iter();
    let parts = parts.filter(|part| part.contains_outer());
    parts
        .flat_map(|part| part.column_refs().into_iter().cloned())
        .collect()
}

/// A condition in which each outer column is equal to one column only, others of the same type to that one, and subqueries ask for
/// that one.
fn compared_once(mut filter: Filter) -> Result<Transformed<LogicalPlan>> {
    let mut parts = split_conjunction_owned(filter.predicate.clone());
    let mut changed = false;
    while let LogicalPlan::Filter(below) = filter.input.as_ref()
        && parts.iter().any(Expr::contains_outer)
    {
        parts.extend(split_conjunction_owned(below.predicate.clone()));
        filter.input = Arc::clone(&below.input);
        changed = true;
    }
    let schema = Arc::clone(filter.input.schema());
    let mut first: Vec<(Expr, Expr)> = Vec::new();
    let parts = parts.into_iter().map(|part| {
        let Some((column, outer)) = equal_to_outer(&part) else {
            return Ok(part);
        };
        for (other, known) in &first {
            if *known == outer && other.get_type(&schema)? == column.get_type(&schema)? {
                changed = true;
                return Ok(column.eq(other.clone()));
            }
        }
        first.push((column, outer));
        Ok(part)
    });
    let mut parts = parts.collect::<Result<Vec<_>>>()?;
    for (column, outer) in &first {
        if let (Expr::Column(column), Expr::OuterReferenceColumn(_, asked)) = (column, outer)
            && !schema.has_column(asked)
        {
            let field = Arc::clone(schema.qualified_field_from_column(column)?.1);
            let near = Expr::OuterReferenceColumn(field, column.clone());
            for part in &mut parts {
                let whole = std::mem::take(part);
                let asking = whole.transform_up(|expr| {
                    with_subquery(expr, |subquery| asking(subquery, outer, &near))
                })?;
                changed |= asking.transformed;
                *part = asking.data;
            }
        }
    }
    Ok(match conjunction(parts).filter(|_| changed) {
        Some(predicate) => {
            let filter = Filter::try_new(predicate, filter.input)?;
            Transformed::yes(LogicalPlan::Filter(filter))
        }
        None => Transformed::no(LogicalPlan::Filter(filter)),
    })
}

/// A subquery that asks for one outer column in place of another, and so for those within it.
fn asking(mut subquery: Subquery, far: &Expr, near: &Expr) -> Result<Transformed<Subquery>> {
    let (Expr::OuterReferenceColumn(_, asked), Expr::OuterReferenceColumn(_, other)) = (far, near)
    else {
        return Ok(Transformed::no(subquery));
    };
    // It may have a table of either name itself.
    let mut own = false;
    subquery.subquery.apply(|node| {
        let schema = node.schema();
        own |= schema.has_column(asked) || schema.has_column(other);
        Ok(match node {
            LogicalPlan::SubqueryAlias(_) => TreeNodeRecursion::Jump,
            _ => TreeNodeRecursion::Continue,
        })
    })?;
    if own || !subquery.outer_ref_columns.contains(far) {
        return Ok(Transformed::no(subquery));
    }
    let plan = subquery.subquery.as_ref().clone();
    let plan = plan.transform_up(|node| {
        if let LogicalPlan::Subquery(lateral) = node {
            return Ok(asking(lateral, far, near)?.update_data(LogicalPlan::Subquery));
        }
        node.map_expressions(|expr| {
            expr.transform_up(|expr| {
                if expr == *far {
                    return Ok(Transformed::yes(near.clone()));
                }
                with_subquery(expr, |subquery| asking(subquery, far, near))
            })
        })
    })?;
    subquery.subquery = Arc::new(plan.data);
    subquery.outer_ref_columns.retain(|column| column != far);
    if !subquery.outer_ref_columns.contains(near) {
        subquery.outer_ref_columns.push(near.clone());
    }
    Ok(Transformed::yes(subquery))
}

/// A column, and the outer one that it is equal to.
fn equal_to_outer(part: &Expr) -> Option<(Expr, Expr)> {
    let Expr::BinaryExpr(BinaryExpr {
        left,
        op: Operator::Eq,
        right,
    }) = part
    else {
        return None;
    };
    let found = match (left.as_ref(), right.as_ref()) {
        (column @ Expr::Column(_), outer @ Expr::OuterReferenceColumn(..))
        | (outer @ Expr::OuterReferenceColumn(..), column @ Expr::Column(_)) => (column, outer),
        _ => return None,
    };
    Some((found.0.clone(), found.1.clone()))
}

/// A filter whose correlated columns have other names where these are shared; the filter's columns stay what they were.
fn renamed(
    filter: Filter,
    shared: impl Fn(&Column) -> bool,
    count: &mut usize,
) -> Result<Transformed<LogicalPlan>> {
    let columns: BTreeSet<Column> = correlated(&filter.predicate).into_iter().collect();
    let columns = columns.into_iter().filter(|column| shared(column));
    let names: BTreeMap<Column, String> = columns
        .map(|column| {
            *count += 1;
            (column, format!("__correlated_{count}"))
        })
        .collect();
    if names.is_empty() {
        return Ok(Transformed::no(LogicalPlan::Filter(filter)));
    }
    let all = exprs_of(&filter.input);
    let added = names
        .iter()
        .map(|(column, name)| Expr::from(column.clone()).alias(name));
    let parts = split_conjunction_owned(filter.predicate)
        .into_iter()
        .map(|part| {
            if !part.contains_outer() {
                return Ok(part);
            }
            part.transform(|expr| {
                Ok(match &expr {
                    Expr::Column(column) => match names.get(column) {
                        Some(name) => {
                            Transformed::yes(Expr::from(Column::new_unqualified(name.as_str())))
                        }
                        None => Transformed::no(expr),
                    },
                    _ => Transformed::no(expr),
                })
            })
            .data()
        });
    let predicate = conjunction(parts.collect::<Result<Vec<_>>>()?);
    let mut plan = LogicalPlanBuilder::from(Arc::unwrap_or_clone(filter.input))
        .project(all.iter().cloned().chain(added))?;
    if let Some(predicate) = predicate {
        plan = plan.filter(predicate)?;
    }
    Ok(Transformed::yes(plan.project(all)?.build()?))
}
