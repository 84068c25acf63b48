//! Correlated subqueries that the engine cannot join: the visits before each diagnosis, the last value before each index date.
//!
//! The engine (DataFusion 55) joins a subquery whose condition says that columns are equal to those of the query around it. Here
//! any subquery is asked once for all values that the outer columns have, and its answers are joined by these:
//!
//! ```sql
//! SELECT c.day, (SELECT count(*) FROM visit v WHERE v.person = c.person AND v.day < c.day) FROM condition c
//!
//! SELECT c.day, coalesce(o.n, 0) FROM condition c LEFT JOIN (
//!   SELECT o.person, o.day, count(*) AS n FROM (SELECT DISTINCT person, day FROM condition) o
//!   JOIN visit v ON v.person = o.person AND v.day < o.day GROUP BY o.person, o.day
//! ) o ON c.person = o.person AND c.day = o.day
//! ```
//!
//! An aggregate or a DISTINCT is by these columns too, and `ORDER BY … LIMIT n` numbers the rows of each of their values. The way is
//! that of Neumann and Kemper, Unnesting Arbitrary Queries (BTW 2015).

mod asked;
mod names;
mod outer;
mod places;
mod plain;
mod types;

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DataFusionError, Result, TableReference, plan_datafusion_err};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{
    Expr, FetchType, Filter, Join, JoinType, LogicalPlan, LogicalPlanBuilder, Projection, SkipType,
    Subquery, SubqueryAlias, lit,
};
use datafusion::optimizer::decorrelate_lateral_join::DecorrelateLateralJoin;
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::scalar_subquery_to_join::ScalarSubqueryToJoin;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

pub(crate) use asked::AskedOfEach;
pub(crate) use names::NamesOfTheirOwn;
use outer::{Outer, Values};
pub(crate) use plain::by_equal_columns;
use plain::is_plain;
pub(crate) use types::OuterTypes;

/// Joins correlated subqueries, as the engine does or in its place.
#[derive(Debug)]
pub(crate) struct Correlated;

impl OptimizerRule for Correlated {
    fn name(&self) -> &'static str {
        "correlated"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        // A subquery's own subqueries first.
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        let correlated = match &plan {
            LogicalPlan::Filter(_) | LogicalPlan::Projection(_) => {
                plan.expressions().iter().any(has_scalar)
            }
            LogicalPlan::Join(join) => lateral_subquery(join).is_some(),
            _ => false,
        };
        if !correlated {
            return Ok(Transformed::no(plan));
        }
        let (mut plain, mut having) = (true, false);
        for subquery in subqueries(&plan)? {
            plain &= is_plain(&subquery.subquery)?;
            having |= subquery.subquery.exists(|node| Ok(is_having(node)))?;
        }
        // The engine's rules also fail at what they cannot do, or do it wrong.
        let engine = match &plan {
            _ if !plain || having => Ok(Transformed::no(plan.clone())),
            LogicalPlan::Join(_) => DecorrelateLateralJoin::new().rewrite(plan.clone(), config),
            _ => ScalarSubqueryToJoin::new().rewrite(plan.clone(), config),
        };
        if let Ok(joined) = engine
            && joined.transformed
        {
            return Ok(Transformed::yes(joined.data));
        }
        let joined = match &plan {
            LogicalPlan::Join(join) => lateral(join, config)?,
            _ => scalars(&plan, config)?,
        };
        match joined {
            Some(joined) => Ok(Transformed::yes(joined)),
            None if plain => Ok(Transformed::no(plan)),
            None => Err(refused()),
        }
    }
}

/// Moves conditions on rows below the subqueries that are asked for the rows: they are asked for fewer then.
#[derive(Debug)]
pub(crate) struct ConditionsFirst;

impl OptimizerRule for ConditionsFirst {
    fn name(&self) -> &'static str {
        "conditions_first"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::TopDown)
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        let LogicalPlan::Filter(filter) = &plan else {
            return Ok(Transformed::no(plan));
        };
        let lateral = match filter.input.as_ref() {
            LogicalPlan::Join(join)
                if matches!(join.join_type, JoinType::Inner | JoinType::Left) =>
            {
                lateral_subquery(join).map(|_| join)
            }
            _ => None,
        };
        let rows = match lateral {
            Some(join) => &join.left,
            None if has_scalar(&filter.predicate) => &filter.input,
            None => return Ok(Transformed::no(plan)),
        };
        let all = split_conjunction_owned(filter.predicate.clone());
        let of_rows = |expr: &Expr| {
            let subquery = expr.exists(|part| {
                Ok(matches!(
                    part,
                    Expr::ScalarSubquery(_) | Expr::InSubquery(_) | Expr::Exists(_)
                ))
            });
            let columns = expr.column_refs();
            !subquery.unwrap_or(true)
                && !expr.is_volatile()
                && !expr.contains_outer()
                && columns
                    .iter()
                    .all(|column| rows.schema().has_column(column))
        };
        let (first, then): (Vec<Expr>, Vec<Expr>) = all.into_iter().partition(of_rows);
        let Some(first) = conjunction(first) else {
            return Ok(Transformed::no(plan));
        };
        let fewer = Arc::new(LogicalPlan::Filter(Filter::try_new(
            first,
            Arc::clone(rows),
        )?));
        let input = match lateral {
            Some(join) => {
                let mut join = join.clone();
                join.left = fewer;
                Arc::new(LogicalPlan::Join(join))
            }
            None => fewer,
        };
        Ok(Transformed::yes(match conjunction(then) {
            Some(then) => LogicalPlan::Filter(Filter::try_new(then, input)?),
            None => Arc::unwrap_or_clone(input),
        }))
    }
}

/// The correlated subqueries that a node is to be joined with.
fn subqueries(plan: &LogicalPlan) -> Result<Vec<Subquery>> {
    let mut found = Vec::new();
    if let LogicalPlan::Join(join) = plan {
        found.extend(lateral_subquery(join).map(|(subquery, _)| subquery.clone()));
    }
    for expr in plan.expressions() {
        expr.apply(|expr| {
            if let (true, Expr::ScalarSubquery(subquery)) = (is_correlated(expr), expr) {
                found.push(subquery.clone());
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
    }
    Ok(found)
}

/// What is said of a subquery that cannot be joined.
fn refused() -> DataFusionError {
    plan_datafusion_err!(
        "this subquery reads columns of the query around it in a way that is not supported; join its tables with those of that query"
    )
}

fn has_scalar(expr: &Expr) -> bool {
    expr.exists(|expr| Ok(is_correlated(expr))).unwrap_or(false)
}

/// Whether this is a condition on an aggregate of all rows. The engine answers as if there were none.
fn is_having(node: &LogicalPlan) -> bool {
    fn of_all(plan: &LogicalPlan) -> bool {
        match plan {
            LogicalPlan::Aggregate(aggregate) => aggregate.group_expr.is_empty(),
            LogicalPlan::Projection(Projection { input, .. })
            | LogicalPlan::Filter(Filter { input, .. })
            | LogicalPlan::SubqueryAlias(SubqueryAlias { input, .. }) => of_all(input),
            _ => false,
        }
    }
    matches!(node, LogicalPlan::Filter(filter) if of_all(&filter.input))
}

fn is_correlated(expr: &Expr) -> bool {
    matches!(expr, Expr::ScalarSubquery(subquery) if !subquery.outer_ref_columns.is_empty())
}

/// The subquery of a lateral join, and its name.
fn lateral_subquery(join: &Join) -> Option<(&Subquery, Option<&TableReference>)> {
    let (right, name) = match join.right.as_ref() {
        LogicalPlan::SubqueryAlias(SubqueryAlias { input, alias, .. }) => {
            (input.as_ref(), Some(alias))
        }
        other => (other, None),
    };
    match right {
        LogicalPlan::Subquery(subquery)
            if join.on.is_empty() && !subquery.outer_ref_columns.is_empty() =>
        {
            Some((subquery, name))
        }
        _ => None,
    }
}

/// A filter or a projection whose subqueries are columns of its input; none where one cannot be joined.
fn scalars(plan: &LogicalPlan, config: &dyn OptimizerConfig) -> Result<Option<LogicalPlan>> {
    let &[input] = &plan.inputs()[..] else {
        return Ok(None);
    };
    let mut joined = Joined {
        plan: input.clone(),
        config,
    };
    let mut left = false;
    let names = NamePreserver::new(plan);
    let exprs = plan.expressions().into_iter().map(|expr| {
        let name = names.save(&expr);
        let done = expr.transform_down(|expr| match &expr {
            Expr::ScalarSubquery(subquery) if is_correlated(&expr) => {
                let value = joined.scalar(subquery)?;
                left |= value.is_none();
                let found = value.unwrap_or(expr);
                Ok(Transformed::new(found, true, TreeNodeRecursion::Jump))
            }
            _ => Ok(Transformed::no(expr)),
        })?;
        Ok(name.restore(done.data))
    });
    let exprs = exprs.collect::<Result<Vec<_>>>()?;
    if left {
        return Ok(None);
    }
    let changed = plan.with_new_exprs(exprs, vec![joined.plan])?;
    Ok(Some(match plan {
        LogicalPlan::Filter(_) => LogicalPlanBuilder::from(changed)
            .project(plan.schema().columns().into_iter().map(Expr::from))?
            .build()?,
        _ => changed,
    }))
}

/// A lateral join as a join; none where it cannot be one.
fn lateral(join: &Join, config: &dyn OptimizerConfig) -> Result<Option<LogicalPlan>> {
    let Some((subquery, name)) = lateral_subquery(join) else {
        return Ok(None);
    };
    let filter = join.filter.clone().filter(|filter| *filter != lit(true));
    let shown = |value: Expr, column: &Column| {
        let relation = name.or(column.relation.as_ref());
        value.alias_qualified(relation.cloned(), &column.name)
    };
    let mut joined = Joined {
        plan: join.left.as_ref().clone(),
        config,
    };
    let mut columns: Vec<Expr> = exprs_of(&joined.plan);
    let by_aggregate = match (join.join_type, &filter) {
        (JoinType::Inner, _) | (JoinType::Left, None) => joined.aggregate(subquery)?,
        _ => None,
    };
    if let Some(values) = by_aggregate {
        columns.extend(
            values
                .iter()
                .map(|(column, value)| shown(value.clone(), column)),
        );
        let builder = LogicalPlanBuilder::from(joined.plan).project(columns)?;
        return Ok(Some(match filter {
            Some(filter) => builder.filter(filter)?.build()?,
            None => builder.build()?,
        }));
    }
    if !matches!(join.join_type, JoinType::Inner | JoinType::Left) {
        return Ok(None);
    }
    let Some(mut outer) = joined.outer(subquery)? else {
        return Ok(None);
    };
    let Some(rows) = outer.within(&subquery.subquery)? else {
        return Ok(None);
    };
    let answers = subquery.subquery.schema().columns();
    let named = answers
        .iter()
        .map(|column| shown(Expr::from(column.clone()), column));
    let rows = LogicalPlanBuilder::from(rows)
        .project(named.chain(outer.exprs()))?
        .build()?;
    columns.extend(exprs_of(&rows).into_iter().take(answers.len()));
    let on = outer.matched(outer.name()).chain(filter);
    let plan = LogicalPlanBuilder::from(joined.plan)
        .join_on(rows, join.join_type, on)?
        .project(columns)?
        .build()?;
    Ok(Some(plan))
}

fn exprs_of(plan: &LogicalPlan) -> Vec<Expr> {
    plan.schema()
        .columns()
        .into_iter()
        .map(Expr::from)
        .collect()
}

/// A plan that is joined with subqueries.
struct Joined<'a> {
    plan: LogicalPlan,
    config: &'a dyn OptimizerConfig,
}

impl Joined<'_> {
    /// What a subquery asks of this plan; none where it asks something of another one around it.
    fn outer(&self, subquery: &Subquery) -> Result<Option<Outer>> {
        let name = self.config.alias_generator().next("__outer");
        Outer::of(&self.plan, &subquery.outer_ref_columns, name)
    }

    /// The value of a subquery with at most one row, which is NULL without one.
    fn scalar(&mut self, subquery: &Subquery) -> Result<Option<Expr>> {
        if let Some(values) = self.aggregate(subquery)? {
            return Ok(values.into_iter().next().map(|(_, value)| value));
        }
        if !has_one_row(&subquery.subquery)? {
            return Ok(None);
        }
        let Some(mut outer) = self.outer(subquery)? else {
            return Ok(None);
        };
        let Some(rows) = outer.within(&subquery.subquery)? else {
            return Ok(None);
        };
        let Some(column) = subquery.subquery.schema().columns().into_iter().next() else {
            return Ok(None);
        };
        let value = Column::new(Some(outer.name()), "value");
        let column = Expr::from(column).alias_qualified(Some(outer.name()), "value");
        let rows = LogicalPlanBuilder::from(rows)
            .project(outer.exprs().chain([column]))?
            .build()?;
        self.plan = outer.join(self.plan.clone(), rows, outer.name())?;
        Ok(Some(Expr::from(value)))
    }

    /// The columns of a subquery that is an aggregate without groups, which has one row even of nothing.
    fn aggregate(&mut self, subquery: &Subquery) -> Result<Option<Values>> {
        let (mut above, mut plan) = (Vec::new(), subquery.subquery.as_ref());
        while let LogicalPlan::Projection(projection) = plan {
            above.push(projection);
            plan = &projection.input;
        }
        let LogicalPlan::Aggregate(aggregate) = plan else {
            return Ok(None);
        };
        if !aggregate.group_expr.is_empty() {
            return Ok(None);
        }
        let Some(mut outer) = self.outer(subquery)? else {
            return Ok(None);
        };
        let name = format!("{}_groups", outer.name());
        let Some((groups, mut values)) = outer.groups(aggregate, &name)? else {
            return Ok(None);
        };
        for projection in above.into_iter().rev() {
            values = through(projection, values)?;
        }
        if values.iter().any(|(_, value)| value.contains_outer()) {
            return Ok(None);
        }
        self.plan = outer.join(self.plan.clone(), groups, &name)?;
        Ok(Some(values))
    }
}

/// What a projection makes of values; outer columns are those of the plan that they are joined with.
fn through(projection: &Projection, values: Values) -> Result<Values> {
    let values: HashMap<Column, Expr> = values.into_iter().collect();
    let columns = projection.schema.columns().into_iter();
    let exprs = projection.expr.iter().cloned();
    let of = |expr: Expr| {
        expr.transform(|expr| {
            Ok(match &expr {
                Expr::Column(column) => match values.get(column) {
                    Some(value) => Transformed::yes(value.clone()),
                    None => Transformed::no(expr),
                },
                Expr::OuterReferenceColumn(_, column) => {
                    Transformed::yes(Expr::from(column.clone()))
                }
                _ => Transformed::no(expr),
            })
        })
    };
    columns
        .zip(exprs)
        .map(|(column, expr)| Ok((column, of(expr.unalias())?.data)))
        .collect()
}

/// Whether a plan has one row at most, whatever the tables hold.
fn has_one_row(plan: &LogicalPlan) -> Result<bool> {
    Ok(match plan {
        LogicalPlan::Projection(Projection { input, .. }) => has_one_row(input)?,
        LogicalPlan::Filter(filter) => has_one_row(&filter.input)?,
        LogicalPlan::Sort(sort) => has_one_row(&sort.input)?,
        LogicalPlan::SubqueryAlias(alias) => has_one_row(&alias.input)?,
        LogicalPlan::Aggregate(aggregate) => aggregate.group_expr.is_empty(),
        LogicalPlan::EmptyRelation(_) => true,
        LogicalPlan::Limit(limit) => match (limit.get_skip_type()?, limit.get_fetch_type()?) {
            (SkipType::Literal(_), FetchType::Literal(Some(0 | 1))) => true,
            _ => has_one_row(&limit.input)?,
        },
        _ => false,
    })
}
