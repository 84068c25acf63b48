//! Joins small tables with each other before the records are joined with them.
//!
//! Records joined with the hierarchy, and that with the concepts that are meant, are joined in this order as written: each
//! record comes back once for each ancestor, most of which the next join drops. Tables that hold no person are looked up
//! in; joined with each other first, they are one smaller table to look up in. So it is with what they are asked to be in or not,
//! `ancestor_concept_id IN (SELECT …)`.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, JoinType, NullEquality, Result};
use datafusion::logical_expr::{Expr, Join, LogicalPlan, Projection};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

/// The columns by which a table is known to hold persons.
const PERSON: [&str; 2] = ["person_id", "subject_id"];

/// Joins what is looked up in first.
#[derive(Debug)]
pub(crate) struct LookupsFirst;

impl OptimizerRule for LookupsFirst {
    fn name(&self) -> &'static str {
        "lookups_first"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        let LogicalPlan::Join(outer) = &plan else {
            return Ok(Transformed::no(plan));
        };
        let reordered = match outer.join_type {
            JoinType::LeftSemi | JoinType::LeftAnti
                if !outer.null_aware && !outer.on.is_empty() =>
            {
                narrowed(&outer.left, outer)?
            }
            _ => reordered(outer)?,
        };
        Ok(match reordered {
            Some(plan) => Transformed::yes(plan),
            None => Transformed::no(plan),
        })
    }
}

fn plain(join: &Join) -> bool {
    join.join_type == JoinType::Inner
        && join.null_equality == NullEquality::NullEqualsNothing
        && !join.null_aware
        && !join.on.is_empty()
}

/// Of `(records ⋈ lookup) ⋉ asked`, where it is the lookup that is asked about, `records ⋈ (lookup ⋉ asked)`, at any depth.
fn narrowed(rows: &LogicalPlan, asked: &Join) -> Result<Option<LogicalPlan>> {
    let LogicalPlan::Join(join) = rows else {
        return Ok(None);
    };
    if !plain(join) {
        return Ok(None);
    }
    for (side, other, left) in [
        (&join.left, &join.right, true),
        (&join.right, &join.left, false),
    ] {
        let schemas = [side.schema(), asked.right.schema()];
        let theirs = asked.on.iter().all(|(key, _)| within(key, &schemas[..1]));
        let filter = asked.filter.as_ref();
        if !theirs || !filter.is_none_or(|filter| within(filter, &schemas)) {
            continue;
        }
        let fewer = if !has_persons(side)? && has_persons(other)? {
            let mut asked = asked.clone();
            asked.left = Arc::clone(side);
            asked.schema = Arc::clone(side.schema());
            LogicalPlan::Join(asked)
        } else {
            match narrowed(side, asked)? {
                Some(fewer) => fewer,
                None => continue,
            }
        };
        let mut join = join.clone();
        let place = match left {
            true => &mut join.left,
            false => &mut join.right,
        };
        *place = Arc::new(fewer);
        return Ok(Some(LogicalPlan::Join(join)));
    }
    Ok(None)
}

/// Of `(records ⋈ lookup) ⋈ other`, in whatever order, `records ⋈ (lookup ⋈ other)`.
fn reordered(outer: &Join) -> Result<Option<LogicalPlan>> {
    if !plain(outer) {
        return Ok(None);
    }
    for (deep, other, turned) in [
        (&outer.left, &outer.right, false),
        (&outer.right, &outer.left, true),
    ] {
        let LogicalPlan::Join(inner) = deep.as_ref() else {
            continue;
        };
        if !plain(inner) || has_persons(other)? {
            continue;
        }
        // Each pair of keys as one of the join below and one of the other table.
        let keys = outer.on.iter().cloned();
        let keys: Vec<(Expr, Expr)> = keys
            .map(|(left, right)| if turned { (right, left) } else { (left, right) })
            .collect();
        for (records, lookup, swapped) in [
            (&inner.left, &inner.right, false),
            (&inner.right, &inner.left, true),
        ] {
            let schema = lookup.schema();
            let of_lookup = keys.iter().all(|(key, _)| within(key, &[schema]));
            let filtered = outer.filter.as_ref();
            let filter_fits = filtered.is_none_or(|f| within(f, &[schema, other.schema()]));
            if !of_lookup || !filter_fits || has_persons(lookup)? || !has_persons(records)? {
                continue;
            }
            let small = Join::try_new(
                Arc::clone(lookup),
                Arc::clone(other),
                keys,
                outer.filter.clone(),
                JoinType::Inner,
                outer.join_constraint,
                outer.null_equality,
                false,
            )?;
            let on = inner.on.iter().cloned();
            let on = on.map(|(l, r)| if swapped { (r, l) } else { (l, r) });
            let joined = Join::try_new(
                Arc::clone(records),
                Arc::new(LogicalPlan::Join(small)),
                on.collect(),
                inner.filter.clone(),
                JoinType::Inner,
                inner.join_constraint,
                inner.null_equality,
                false,
            )?;
            let joined = LogicalPlan::Join(joined);
            let columns = outer.schema.columns();
            if joined.schema().columns() == columns {
                return Ok(Some(joined));
            }
            let columns = columns.into_iter().map(Expr::Column).collect();
            let projection = Projection::try_new(columns, Arc::new(joined))?;
            return Ok(Some(LogicalPlan::Projection(projection)));
        }
    }
    Ok(None)
}

/// Whether an expression reads columns of these schemas only, and some.
fn within(expr: &Expr, schemas: &[&Arc<DFSchema>]) -> bool {
    let columns: HashSet<&Column> = expr.column_refs();
    let known = |column: &&Column| schemas.iter().any(|schema| schema.has_column(column));
    !columns.is_empty() && !expr.is_volatile() && columns.iter().all(known)
}

/// Whether a plan reads a table that holds persons.
fn has_persons(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            let schema = scan.source.schema();
            found |= PERSON.iter().any(|name| schema.index_of(name).is_ok());
        }
        Ok(if found {
            TreeNodeRecursion::Stop
        } else {
            TreeNodeRecursion::Continue
        })
    })?;
    Ok(found)
}
