//! A subquery for all values of the outer columns at once.

use std::collections::HashSet;
use std::sync::{Arc, LazyLock};

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, ExprSchema, Result};
use datafusion::functions_aggregate::all_default_aggregate_functions;
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{
    Aggregate, Between, BinaryExpr, Distinct, Expr, ExprFunctionExt, FetchType, Join, JoinType,
    Limit, LogicalPlan, LogicalPlanBuilder, Operator, SkipType, Subquery, Union, Window,
    binary_expr, lit, when,
};

use crate::partitions::partitioned;

/// Columns of a subquery, and what each is where the subquery is joined.
pub(super) type Values = Vec<(Column, Expr)>;

/// What the engine's aggregates give of nothing is known; but not of these, which do not say that it is 0.
const UNKNOWN_OF_NOTHING: [&str; 2] = ["approx_distinct", "regr_count"];

static OF_THE_ENGINE: LazyLock<HashSet<String>> = LazyLock::new(|| {
    let functions = all_default_aggregate_functions().into_iter();
    functions
        .map(|function| function.name().to_owned())
        .collect()
});

/// The values of the outer columns that a subquery names, each combination once.
pub(super) struct Outer {
    name: String,
    plan: LogicalPlan,
    keys: Vec<Key>,
}

struct Key {
    outer: Column,
    /// What stands for it here.
    own: Column,
    /// Whether no row answers to a NULL of it.
    rejects_null: bool,
}

impl Key {
    fn is(&self, value: Expr, other: Expr) -> Expr {
        let same = if self.rejects_null {
            Operator::Eq
        } else {
            Operator::IsNotDistinctFrom
        };
        binary_expr(value, same, other)
    }
}

impl Outer {
    /// None where a column is none of this plan's, its rows would not be the same a second time, or it stands within another
    /// correlated subquery.
    pub(super) fn of(plan: &LogicalPlan, named: &[Expr], name: String) -> Result<Option<Self>> {
        let mut keys: Vec<Key> = Vec::new();
        for expr in named {
            let Expr::OuterReferenceColumn(_, outer) = expr else {
                return Ok(None);
            };
            let Ok(field) = plan.schema().field_from_column(outer) else {
                return Ok(None);
            };
            if keys.iter().all(|key| key.outer != *outer) {
                keys.push(Key {
                    outer: outer.clone(),
                    own: Column::new(Some(name.as_str()), format!("c{}", keys.len())),
                    rejects_null: !field.is_nullable(),
                });
            }
        }
        if changes(plan)? || names_outer(plan)? {
            return Ok(None);
        }
        let values = keys
            .iter()
            .map(|key| Expr::from(key.outer.clone()).alias(&key.own.name));
        let plan = LogicalPlanBuilder::from(plan.clone())
            .project(values)?
            .distinct()?
            .alias(name.as_str())?
            .build()?;
        Ok(Some(Self { name, plan, keys }))
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The columns that stand for the outer ones.
    pub(super) fn exprs(&self) -> impl Iterator<Item = Expr> {
        self.keys.iter().map(|key| Expr::from(key.own.clone()))
    }

    /// The rows of a subquery by a condition on the outer columns alone: those are left where they are compared. None where that is
    /// not possible.
    pub(super) fn compared(&mut self, subquery: &Subquery) -> Result<Option<LogicalPlan>> {
        let plan = &subquery.subquery;
        let Some(rows) = self.within(plan)? else {
            return Ok(None);
        };
        let named = |key: &Column| {
            let mut columns = subquery.outer_ref_columns.iter();
            columns.find(
                |expr| matches!(expr, Expr::OuterReferenceColumn(_, column) if *column == *key),
            )
        };
        let same = self.keys.iter().map(|key| {
            let outer = named(&key.outer)?;
            Some(key.is(outer.clone(), Expr::from(key.own.clone())))
        });
        let Some(same) = same.collect::<Option<Vec<_>>>() else {
            return Ok(None);
        };
        let mut builder = LogicalPlanBuilder::from(rows);
        // In one condition: of several in a row, the engine takes apart the first one alone.
        if let Some(same) = conjunction(same) {
            builder = builder.filter(same)?;
        }
        let columns = plan.schema().columns().into_iter().map(Expr::from);
        builder.project(columns)?.build().map(Some)
    }

    /// A plan with what was found for its rows under a name, or NULL.
    pub(super) fn join(
        &self,
        plan: LogicalPlan,
        found: LogicalPlan,
        name: &str,
    ) -> Result<LogicalPlan> {
        LogicalPlanBuilder::from(plan)
            .join_on(found, JoinType::Left, self.matched(name))?
            .build()
    }

    /// That the outer columns of a row are those found under a name.
    pub(super) fn matched(&self, name: &str) -> impl Iterator<Item = Expr> {
        self.same(name, |key| &key.outer)
    }

    fn same(&self, name: &str, as_column: impl Fn(&Key) -> &Column) -> impl Iterator<Item = Expr> {
        self.keys.iter().map(move |key| {
            let own = Column::new(Some(name), &key.own.name);
            key.is(Expr::from(as_column(key).clone()), Expr::from(own))
        })
    }

    /// A plan of the subquery's with the outer columns beside its own, for all their values; none where that is not possible.
    pub(super) fn within(&mut self, plan: &LogicalPlan) -> Result<Option<LogicalPlan>> {
        if !names_outer(plan)? {
            let builder = LogicalPlanBuilder::from(self.plan.clone());
            return builder.cross_join(plan.clone())?.build().map(Some);
        }
        match plan {
            LogicalPlan::Filter(filter) => {
                let Some(input) = self.within(&filter.input)? else {
                    return Ok(None);
                };
                self.rejects_nulls(&filter.predicate);
                let predicate = self.own(filter.predicate.clone())?;
                LogicalPlanBuilder::from(input)
                    .filter(predicate)?
                    .build()
                    .map(Some)
            }
            LogicalPlan::Projection(projection) => {
                let Some(input) = self.within(&projection.input)? else {
                    return Ok(None);
                };
                let exprs = projection.expr.iter().map(|expr| self.named(expr));
                let exprs = exprs.collect::<Result<Vec<_>>>()?;
                let exprs = exprs.into_iter().chain(self.exprs());
                LogicalPlanBuilder::from(input)
                    .project(exprs)?
                    .build()
                    .map(Some)
            }
            LogicalPlan::SubqueryAlias(alias) => {
                let Some(input) = self.within(&alias.input)? else {
                    return Ok(None);
                };
                let columns = alias.input.schema().columns().into_iter().map(|column| {
                    let name = column.name.clone();
                    Expr::from(column).alias_qualified(Some(alias.alias.clone()), name)
                });
                let columns = columns.chain(self.exprs());
                LogicalPlanBuilder::from(input)
                    .project(columns)?
                    .build()
                    .map(Some)
            }
            LogicalPlan::Sort(sort) if sort.fetch.is_none() => self.within(&sort.input),
            LogicalPlan::Distinct(Distinct::All(input)) => {
                let Some(input) = self.within(input)? else {
                    return Ok(None);
                };
                LogicalPlanBuilder::from(input)
                    .distinct()?
                    .build()
                    .map(Some)
            }
            LogicalPlan::Aggregate(aggregate) if aggregate.group_expr.is_empty() => {
                self.of_everything(aggregate)
            }
            LogicalPlan::Aggregate(aggregate) => self.grouped(aggregate),
            LogicalPlan::Window(window) => self.numbered(window),
            LogicalPlan::Union(union) => self.together(union),
            LogicalPlan::Limit(limit) => self.first_rows(limit),
            LogicalPlan::Join(join) => self.joined(join),
            _ => Ok(None),
        }
    }

    /// Groups within each of the outer values.
    fn grouped(&mut self, aggregate: &Aggregate) -> Result<Option<LogicalPlan>> {
        let sets = |expr: &Expr| matches!(expr, Expr::GroupingSet(_));
        if aggregate.group_expr.iter().any(sets) {
            return Ok(None);
        }
        let Some(input) = self.within(&aggregate.input)? else {
            return Ok(None);
        };
        let own = |exprs: &[Expr]| -> Result<Vec<Expr>> {
            exprs.iter().map(|expr| self.named(expr)).collect()
        };
        let (mut keys, values) = (own(&aggregate.group_expr)?, own(&aggregate.aggr_expr)?);
        keys.extend(self.exprs());
        let grouped = Aggregate::try_new(Arc::new(input), keys, values)?;
        Ok(Some(LogicalPlan::Aggregate(grouped)))
    }

    /// An aggregate of all rows as one row for each of the outer values that has any, under a name; and what each column is
    /// where they are joined and there may be none.
    pub(super) fn groups(
        &mut self,
        aggregate: &Aggregate,
        name: &str,
    ) -> Result<Option<(LogicalPlan, Values)>> {
        let Some(grouped) = self.grouped(aggregate)? else {
            return Ok(None);
        };
        // Groups come before aggregates, and these are by the outer columns only.
        let found = grouped.schema().columns().into_iter().map(Expr::from);
        let names = self.keys.iter().map(|key| key.own.name.clone());
        let names = names.chain((0..aggregate.aggr_expr.len()).map(|at| format!("v{at}")));
        let columns = found
            .zip(names)
            .map(|(found, own)| found.alias_qualified(Some(name), own));
        let groups = LogicalPlanBuilder::from(grouped)
            .project(columns)?
            .build()?;
        let mut values = Vec::new();
        let columns = aggregate.schema.columns().into_iter();
        for (at, (expr, column)) in aggregate.aggr_expr.iter().zip(columns).enumerate() {
            let Expr::AggregateFunction(call) = expr.clone().unalias() else {
                return Ok(None);
            };
            let function = call.func.name();
            if !OF_THE_ENGINE.contains(function) || UNKNOWN_OF_NOTHING.contains(&function) {
                return Ok(None);
            }
            let value = Expr::from(Column::new(Some(name), format!("v{at}")));
            let of_nothing = aggregate.schema.field(at).data_type();
            let of_nothing = call.func.default_value(of_nothing)?;
            let value = if of_nothing.is_null() {
                value
            } else {
                when(value.clone().is_null(), lit(of_nothing)).otherwise(value)?
            };
            values.push((column, value));
        }
        Ok(Some((groups, values)))
    }

    /// An aggregate of all rows: one row for each of the outer values.
    fn of_everything(&mut self, aggregate: &Aggregate) -> Result<Option<LogicalPlan>> {
        let name = format!("{}_all", self.name);
        let rejected: Vec<bool> = self.keys.iter().map(|key| key.rejects_null).collect();
        let Some((groups, values)) = self.groups(aggregate, &name)? else {
            return Ok(None);
        };
        let values = values
            .into_iter()
            .map(|(column, value)| value.alias_qualified(column.relation, column.name));
        let plan = LogicalPlanBuilder::from(self.plan.clone())
            .join_on(groups, JoinType::Left, self.same(&name, |key| &key.own))?
            .project(values.chain(self.exprs()))?
            .build()?;
        // A NULL that leaves no row has an answer all the same: that of nothing.
        for (key, rejected) in self.keys.iter_mut().zip(rejected) {
            key.rejects_null = rejected;
        }
        Ok(Some(plan))
    }

    /// The first rows for each of the outer values.
    fn first_rows(&mut self, limit: &Limit) -> Result<Option<LogicalPlan>> {
        let (SkipType::Literal(skip), FetchType::Literal(fetch)) =
            (limit.get_skip_type()?, limit.get_fetch_type()?)
        else {
            return Ok(None);
        };
        let under = |input: &Arc<LogicalPlan>| {
            let limited = Limit {
                input: Arc::clone(input),
                ..limit.clone()
            };
            Arc::new(LogicalPlan::Limit(limited))
        };
        let (input, keys) = match limit.input.as_ref() {
            // A projection may have lost what the rows are sorted by.
            LogicalPlan::Projection(projection) => {
                let mut projection = projection.clone();
                projection.input = under(&projection.input);
                return self.within(&LogicalPlan::Projection(projection));
            }
            LogicalPlan::Sort(sort) if sort.fetch.is_none() => (&sort.input, sort.expr.clone()),
            _ => (&limit.input, Vec::new()),
        };
        let Some(rows) = self.within(input)? else {
            return Ok(None);
        };
        let mut order = Vec::with_capacity(keys.len());
        for mut key in keys {
            key.expr = self.own(key.expr)?;
            order.push(key);
        }
        let name = format!("{}_row", self.name);
        let number = row_number()
            .partition_by(self.exprs().collect())
            .order_by(order)
            .build()?
            .alias(&name);
        let number_is = |op, rows: usize| {
            let rows = lit(u64::try_from(rows).unwrap_or(u64::MAX));
            binary_expr(Expr::from(Column::from_name(&name)), op, rows)
        };
        let columns = rows.schema().columns().into_iter().map(Expr::from);
        let columns: Vec<Expr> = columns.collect();
        let mut numbered = LogicalPlanBuilder::from(rows)
            .window([number])?
            .filter(number_is(Operator::Gt, skip))?;
        if let Some(fetch) = fetch {
            numbered = numbered.filter(number_is(Operator::LtEq, skip.saturating_add(fetch)))?;
        }
        numbered.project(columns)?.build().map(Some)
    }

    /// Windows within each of the outer values.
    fn numbered(&mut self, window: &Window) -> Result<Option<LogicalPlan>> {
        let Some(input) = self.within(&window.input)? else {
            return Ok(None);
        };
        let names = NamePreserver::new_for_projection();
        let keys: Vec<Expr> = self.exprs().collect();
        let windows = window.window_expr.iter().map(|expr| {
            let name = names.save(expr);
            let own = partitioned(self.own(expr.clone())?, &keys)?;
            Ok(name.restore(own))
        });
        // The windows' columns come last, and a subquery's columns before the outer ones.
        let windows = Window::try_new(windows.collect::<Result<_>>()?, Arc::new(input))?;
        let columns = window.schema.columns().into_iter().map(Expr::from);
        let columns: Vec<Expr> = columns.chain(keys).collect();
        LogicalPlanBuilder::from(LogicalPlan::Window(windows))
            .project(columns)?
            .build()
            .map(Some)
    }

    /// All rows of several plans, for each of the outer values.
    fn together(&mut self, union: &Union) -> Result<Option<LogicalPlan>> {
        // What one of them rejects, another may have a row for.
        let rejected: Vec<bool> = self.keys.iter().map(|key| key.rejects_null).collect();
        let mut parts = Vec::with_capacity(union.inputs.len());
        for input in &union.inputs {
            let part = self.within(input)?;
            for (key, rejected) in self.keys.iter_mut().zip(&rejected) {
                key.rejects_null = *rejected;
            }
            let Some(part) = part else {
                return Ok(None);
            };
            let own = input.schema().columns().into_iter().map(Expr::from);
            let columns: Vec<Expr> = own.chain(self.exprs()).collect();
            parts.push(LogicalPlanBuilder::from(part).project(columns)?.build()?);
        }
        let parts = parts.into_iter().map(Arc::new).collect();
        let all = LogicalPlan::Union(Union::try_new_with_loose_types(parts)?);
        // A union's columns are of no table.
        let keys = self.keys.iter().map(|key| key.own.clone());
        let names = union.schema.columns().into_iter().chain(keys);
        let found = all.schema().columns().into_iter().map(Expr::from);
        let columns: Vec<Expr> = found
            .zip(names)
            .map(|(found, name)| found.alias_qualified(name.relation, name.name))
            .collect();
        LogicalPlanBuilder::from(all)
            .project(columns)?
            .build()
            .map(Some)
    }

    /// A join of which one side names outer columns, or its condition.
    fn joined(&mut self, join: &Join) -> Result<Option<LogicalPlan>> {
        let right = names_outer(&join.right)?;
        if join
            .on
            .iter()
            .any(|(a, b)| a.contains_outer() || b.contains_outer())
        {
            return Ok(None);
        }
        let mut join = join.clone();
        let side = match (join.join_type, right) {
            (JoinType::Inner | JoinType::Left, false) => &mut join.left,
            (JoinType::Inner, true) if !names_outer(&join.left)? => &mut join.right,
            _ => return Ok(None),
        };
        let Some(found) = self.within(side)? else {
            return Ok(None);
        };
        *side = Arc::new(found);
        if let Some(filter) = join.filter.take() {
            if join.join_type == JoinType::Inner {
                self.rejects_nulls(&filter);
            }
            join.filter = Some(self.own(filter)?);
        }
        LogicalPlan::Join(join).recompute_schema().map(Some)
    }

    /// The same under the expression's name.
    fn named(&self, expr: &Expr) -> Result<Expr> {
        let name = NamePreserver::new_for_projection().save(expr);
        Ok(name.restore(self.own(expr.clone())?))
    }

    /// The expression with columns that stand for the outer ones.
    fn own(&self, expr: Expr) -> Result<Expr> {
        let done = expr.transform(|expr| {
            let own = match &expr {
                Expr::OuterReferenceColumn(_, outer) => {
                    self.keys.iter().find(|key| key.outer == *outer)
                }
                _ => None,
            };
            Ok(match own {
                Some(key) => Transformed::yes(Expr::from(key.own.clone())),
                None => Transformed::no(expr),
            })
        })?;
        Ok(done.data)
    }

    /// Remembers of which columns a NULL leaves no row: it need not be joined then.
    fn rejects_nulls(&mut self, predicate: &Expr) {
        let mut strict = Vec::new();
        for condition in split_conjunction(predicate) {
            match condition {
                Expr::BinaryExpr(BinaryExpr {
                    left,
                    op:
                        Operator::Eq
                        | Operator::NotEq
                        | Operator::Lt
                        | Operator::LtEq
                        | Operator::Gt
                        | Operator::GtEq,
                    right,
                }) => {
                    null_of(left, &mut strict);
                    null_of(right, &mut strict);
                }
                Expr::Between(Between {
                    expr,
                    negated: false,
                    low,
                    high,
                }) => {
                    for part in [expr, low, high] {
                        null_of(part, &mut strict);
                    }
                }
                _ => {}
            }
        }
        for key in &mut self.keys {
            key.rejects_null |= strict.contains(&key.outer);
        }
    }
}

/// The outer columns whose NULL makes the expression NULL.
fn null_of(expr: &Expr, columns: &mut Vec<Column>) {
    match expr {
        Expr::OuterReferenceColumn(_, column) => columns.push(column.clone()),
        Expr::Cast(cast) => null_of(&cast.expr, columns),
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if op.is_numerical_operators() => {
            null_of(left, columns);
            null_of(right, columns);
        }
        _ => {}
    }
}

/// Whether anything of a plan names a column of a query around it.
pub(super) fn names_outer(plan: &LogicalPlan) -> Result<bool> {
    plan.exists(|node| Ok(node.contains_outer_reference()))
}

/// Whether a plan may have other rows a second time.
fn changes(plan: &LogicalPlan) -> Result<bool> {
    let (mut found, mut limits, mut counted) = (false, 0, 0);
    plan.apply_with_subqueries(|node| {
        for expr in node.expressions() {
            found |= expr.is_volatile();
        }
        match node {
            LogicalPlan::Extension(_) => found = true,
            LogicalPlan::Limit(_) => limits += 1,
            LogicalPlan::Aggregate(aggregate) if counts_limited(aggregate) => counted += 1,
            _ => {}
        }
        Ok(if found {
            TreeNodeRecursion::Stop
        } else {
            TreeNodeRecursion::Continue
        })
    })?;
    Ok(found || limits > counted)
}

/// Whether no more is asked of a LIMIT than how many rows it leaves, as where an IN may be NULL: that is the same of any rows.
fn counts_limited(aggregate: &Aggregate) -> bool {
    let count = |expr: &Expr| match expr {
        Expr::AggregateFunction(call) => {
            let params = &call.params;
            let of_all =
                params.filter.is_none() && matches!(params.args.as_slice(), [Expr::Literal(..)]);
            call.func.name() == "count" && of_all
        }
        _ => false,
    };
    matches!(aggregate.input.as_ref(), LogicalPlan::Limit(_))
        && aggregate.group_expr.is_empty()
        && aggregate.aggr_expr.iter().all(count)
}
