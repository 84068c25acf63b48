//! Rows with the same number of a visit are rows of the same person: joins, groups and windows by it are also by the person.
//!
//! `m.visit_occurrence_id = v.visit_occurrence_id` says nothing of persons, and so the engine sends the rows of both tables to
//! their visits' places. Where the store has found each number to be one person's ([`OwnedColumn`]), rows that have the same
//! number have the same person: said so, the rows are joined, grouped and numbered where they lie.
//!
//! [`OwnedColumn`]: columna_store::OwnedColumn

use std::sync::Arc;

use datafusion::common::tree_node::Transformed;
use datafusion::common::{DataFusionError, JoinType, NullEquality, Result};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{
    Aggregate, Expr, Filter, Join, LogicalPlan, Projection, Union, Window, col, in_list, lit,
};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

use crate::partitions::{partition, partitioned};
use owner::{Owners, Present};

pub(crate) mod owner;
mod present;

pub(crate) use present::PresentKeys;

/// Divides by the person what is divided by a number that only one person has.
#[derive(Debug)]
pub(crate) struct OwnedKeys;

impl OptimizerRule for OwnedKeys {
    fn name(&self) -> &'static str {
        "owned_keys"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        let owners = Owners::new(config.alias_generator());
        let divided = match &plan {
            LogicalPlan::Join(join) => joined(join, &owners)?,
            LogicalPlan::Aggregate(aggregate) => grouped(aggregate, &owners)?,
            LogicalPlan::Window(window) => numbered(window, &owners)?,
            _ => None,
        };
        match divided {
            Some(divided) => Ok(Transformed::yes(with_columns_of(&plan, divided)?)),
            None => Ok(Transformed::no(plan)),
        }
    }
}

/// The rows of a plan with the columns that another one has.
fn with_columns_of(plan: &LogicalPlan, divided: LogicalPlan) -> Result<LogicalPlan> {
    if divided.schema().fields() == plan.schema().fields() {
        return Ok(divided);
    }
    let columns = plan.schema().columns().into_iter().map(Expr::Column);
    let projection = Projection::try_new(columns.collect(), Arc::new(divided))?;
    Ok(LogicalPlan::Projection(projection))
}

/// The join with the persons of a pair of keys as one more pair.
fn joined(join: &Join, owners: &Owners) -> Result<Option<LogicalPlan>> {
    if join.null_equality != NullEquality::NullEqualsNothing || join.null_aware {
        return Ok(None);
    }
    for keys in &join.on {
        let (Expr::Column(left), Expr::Column(right)) = keys else {
            continue;
        };
        let Some(left) = owners.of(&join.left, left)? else {
            continue;
        };
        let Some(mut right) = owners.of(&join.right, right)? else {
            continue;
        };
        if right.plan.is_some() && left.person == right.person {
            owners.renamed(&mut right, &join.right)?;
        }
        if !left.column.is_like(&right.column) {
            continue;
        }
        let persons = (Expr::Column(left.person), Expr::Column(right.person));
        let of_few = left.column.present == Present::None;
        if join.on.contains(&persons) || of_few {
            return Ok(None);
        }
        let with = |on: Vec<_>, filter: Option<Expr>, left, right| {
            let join = Join::try_new(
                left,
                right,
                on,
                filter,
                join.join_type,
                join.join_constraint,
                join.null_equality,
                false,
            );
            join.map(LogicalPlan::Join)
        };
        let (mut wider, other) = (
            left.plan.unwrap_or_else(|| Arc::clone(&join.left)),
            right.plan.unwrap_or_else(|| Arc::clone(&join.right)),
        );
        let mut shared = left.column.shared;
        shared.extend(right.column.shared);
        // Rows of two persons meet by the numbers that several have.
        let rest = match (shared.is_empty(), join.join_type) {
            (true, _) => None,
            (false, JoinType::Inner) if is_near(&join.left) && is_near(&join.right) => {
                let several = |key: &Expr| in_list(key.clone(), listed(&shared), false);
                let apart = persons.0.clone().not_eq(persons.1.clone());
                let apart = match &join.filter {
                    Some(filter) => filter.clone().and(apart),
                    None => apart,
                };
                Some(with(
                    join.on.clone(),
                    Some(apart),
                    filtered(several(&keys.0), Arc::clone(&wider))?,
                    filtered(several(&keys.1), Arc::clone(&other))?,
                )?)
            }
            // Of each row on the left it is known which way it goes.
            (false, JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti)
                if is_near(&join.left) && is_near(&join.right) =>
            {
                let several = |key: &Expr| in_list(key.clone(), listed(&shared), false);
                let rest = with(
                    join.on.clone(),
                    join.filter.clone(),
                    filtered(several(&keys.0), Arc::clone(&wider))?,
                    filtered(several(&keys.1), Arc::clone(&other))?,
                )?;
                wider = filtered(several(&keys.0).is_not_true(), wider)?;
                Some(rest)
            }
            (false, _) => return Ok(None),
        };
        // The person first, by which the tables are divided.
        let on = std::iter::once(persons).chain(join.on.iter().cloned());
        let own = with(on.collect(), join.filter.clone(), wider, other)?;
        return match rest {
            Some(rest) => together(own, rest).map(Some),
            None => Ok(Some(own)),
        };
    }
    Ok(None)
}

fn filtered(asked: Expr, rows: Arc<LogicalPlan>) -> Result<Arc<LogicalPlan>> {
    let filter = Filter::try_new(asked, rows)?;
    Ok(Arc::new(LogicalPlan::Filter(filter)))
}

fn listed(values: &[i64]) -> Vec<Expr> {
    values.iter().map(|value| lit(*value)).collect()
}

/// The rows of two plans with the columns of the second, which are columns of the first by the same names.
fn together(first: LogicalPlan, second: LogicalPlan) -> Result<LogicalPlan> {
    let columns = second.schema().columns();
    // Two tables may have columns of one name, and a union has columns of no table.
    let name = |at: usize| format!("__column_{at}");
    let part = |plan: LogicalPlan| {
        let named = columns.iter().enumerate();
        let named = named.map(|(at, column)| Expr::Column(column.clone()).alias(name(at)));
        let projection = Projection::try_new(named.collect(), Arc::new(plan))?;
        Ok::<_, DataFusionError>(Arc::new(LogicalPlan::Projection(projection)))
    };
    let all = Union::try_new(vec![part(first)?, part(second)?])?;
    let named = columns
        .iter()
        .enumerate()
        .map(|(at, column)| col(name(at)).alias_qualified(column.relation.clone(), &column.name));
    let projection = Projection::try_new(named.collect(), Arc::new(LogicalPlan::Union(all)))?;
    Ok(LogicalPlan::Projection(projection))
}

/// The groups by one of the keys and the person.
fn grouped(aggregate: &Aggregate, owners: &Owners) -> Result<Option<LogicalPlan>> {
    let keys = &aggregate.group_expr;
    if keys.iter().any(|key| matches!(key, Expr::GroupingSet(_))) {
        return Ok(None);
    }
    divided(keys, &aggregate.input, owners, |input, person| {
        let keys = keys.iter().cloned().chain(person).collect();
        let groups = Aggregate::try_new(input, keys, aggregate.aggr_expr.clone())?;
        Ok(LogicalPlan::Aggregate(groups))
    })
}

/// The windows over rows with one of the keys, over those of the person with it.
fn numbered(window: &Window, owners: &Owners) -> Result<Option<LogicalPlan>> {
    let partitions = window.window_expr.iter().filter_map(partition);
    let Some(keys) = partitions.reduce(|keys, other| if keys == other { keys } else { &[] }) else {
        return Ok(None);
    };
    divided(keys, &window.input, owners, |input, person| {
        let names = NamePreserver::new_for_projection();
        let windows = window.window_expr.iter().map(|expr| {
            let name = names.save(expr);
            Ok(name.restore(partitioned(expr.clone(), person.as_slice())?))
        });
        Window::try_new(windows.collect::<Result<_>>()?, input).map(LogicalPlan::Window)
    })
}

/// A step that goes by one of the keys, by the person as well, where the key is one person's. Rows without a number are one group
/// of many persons, as are those with a number that several have: they go their own way, if it is not far to the table.
fn divided(
    keys: &[Expr],
    input: &Arc<LogicalPlan>,
    owners: &Owners,
    step: impl Fn(Arc<LogicalPlan>, Option<Expr>) -> Result<LogicalPlan>,
) -> Result<Option<LogicalPlan>> {
    for key in keys {
        let Expr::Column(column) = key else {
            continue;
        };
        let Some(owned) = owners.of(input, column)? else {
            continue;
        };
        let wider = owned.plan.unwrap_or_else(|| Arc::clone(input));
        let person = Expr::Column(owned.person);
        if keys.contains(&person) {
            return Ok(None);
        }
        if owned.column.is_whole() {
            return step(wider, Some(person)).map(Some);
        }
        if owned.column.present == Present::None || !is_near(input) {
            return Ok(None);
        }
        let none = key.clone().is_null();
        let several = in_list(key.clone(), listed(&owned.column.shared), false);
        let (own, theirs) = match (owned.column.present, owned.column.shared.is_empty()) {
            (_, true) => (key.clone().is_not_null(), none),
            (Present::All, _) => (several.clone().is_not_true(), several),
            _ => {
                let either = none.or(several);
                (either.clone().is_not_true(), either)
            }
        };
        let own = filtered(own, wider)?;
        let theirs = filtered(theirs, Arc::clone(input))?;
        return together(step(own, Some(person))?, step(theirs, None)?).map(Some);
    }
    Ok(None)
}

/// Whether rows come from a table by conditions and choices of columns only, so that reading them twice costs little.
pub(crate) fn is_near(plan: &LogicalPlan) -> bool {
    let inputs = match plan {
        LogicalPlan::TableScan(scan) => return scan.fetch.is_none(),
        LogicalPlan::Filter(filter) if !filter.predicate.is_volatile() => &filter.input,
        LogicalPlan::Projection(projection) => {
            match projection.expr.iter().any(Expr::is_volatile) {
                true => return false,
                false => &projection.input,
            }
        }
        LogicalPlan::SubqueryAlias(alias) => &alias.input,
        _ => return false,
    };
    is_near(inputs)
}
