//! Subqueries outside of WHERE: `SELECT EXISTS (…)`, `CASE WHEN x IN (SELECT …)`, `sum((SELECT count(*) …))`.
//!
//! The engine (DataFusion 55) joins what a WHERE asks for, and plans no EXISTS or IN of a column, nor a correlated subquery
//! in an aggregate. Here an aggregate's or a window's subqueries become columns of a projection below it, and a
//! projection's EXISTS and IN become the marks of joins. IN is NULL where SQL says so, also within an OR of a WHERE.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, ExprSchema, Result, ScalarValue};
use datafusion::functions_aggregate::expr_fn::count;
use datafusion::logical_expr::expr::{Exists, InSubquery};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{
    Expr, ExprSchemable, Filter, LogicalPlan, LogicalPlanBuilder, Projection, Subquery, col, lit,
    not, when,
};
use datafusion::optimizer::decorrelate_predicate_subquery::DecorrelatePredicateSubquery;
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

use crate::kept_names;
use crate::key_columns::windows_over;

/// Joins the subqueries of columns.
#[derive(Debug)]
pub(crate) struct SubqueriesOfColumns;

impl OptimizerRule for SubqueriesOfColumns {
    fn name(&self) -> &'static str {
        "subqueries_of_columns"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::TopDown)
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        match plan {
            LogicalPlan::Aggregate(_) | LogicalPlan::Window(_) => below(plan, config),
            LogicalPlan::Projection(projection) => columns(projection, config),
            LogicalPlan::Filter(filter) => condition(filter, config),
            other => Ok(Transformed::no(other)),
        }
    }
}

/// Moves the subqueries of an aggregate or a window into a projection below it.
fn below(plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
    let mut found: Vec<(Expr, Expr)> = Vec::new();
    let changed = kept_names::changed(plan.clone(), |expr| {
        expr.transform_down(|expr| {
            let correlated = matches!(&expr, Expr::ScalarSubquery(subquery) if !subquery.outer_ref_columns.is_empty());
            if !correlated && !is_test(&expr) {
                return Ok(Transformed::no(expr));
            }
            let known = found.iter().find(|(subquery, _)| *subquery == expr);
            let column = match known {
                Some((_, column)) => column.clone(),
                None => {
                    let column = col(config.alias_generator().next("__subquery"));
                    found.push((expr, column.clone()));
                    column
                }
            };
            Ok(Transformed::new(column, true, TreeNodeRecursion::Jump))
        })
    })?;
    if found.is_empty() {
        return Ok(Transformed::no(plan));
    }
    let beside = |rows: &Arc<LogicalPlan>| -> Result<Arc<LogicalPlan>> {
        let columns = rows.schema().columns().into_iter().map(Expr::from);
        let found = found.into_iter();
        let found =
            found.map(|(subquery, column)| subquery.alias(column.schema_name().to_string()));
        let rows = Projection::try_new(columns.chain(found).collect(), Arc::clone(rows))?;
        Ok(Arc::new(LogicalPlan::Projection(rows)))
    };
    Ok(Transformed::yes(match changed.data {
        LogicalPlan::Aggregate(mut aggregate) => {
            aggregate.input = beside(&aggregate.input)?;
            LogicalPlan::Aggregate(aggregate).recompute_schema()?
        }
        LogicalPlan::Window(windows) => {
            let rows = beside(&windows.input)?;
            windows_over(&windows, windows.window_expr.clone(), rows)?
        }
        _ => return Ok(Transformed::no(plan)),
    }))
}

/// Joins the EXISTS and IN of a projection.
fn columns(
    projection: Projection,
    config: &dyn OptimizerConfig,
) -> Result<Transformed<LogicalPlan>> {
    if !projection.expr.iter().any(tests) {
        return Ok(Transformed::no(LogicalPlan::Projection(projection)));
    }
    let mut marks = Marks::over(projection.input.as_ref().clone(), config);
    let names = NamePreserver::new_for_projection();
    let mut columns = Vec::with_capacity(projection.expr.len());
    for expr in projection.expr.clone() {
        let name = names.save(&expr);
        columns.push(name.restore(marks.replace(expr)?));
    }
    if !marks.all {
        return Ok(Transformed::no(LogicalPlan::Projection(projection)));
    }
    let projection = Projection::try_new(columns, Arc::new(marks.input))?;
    Ok(Transformed::yes(LogicalPlan::Projection(projection)))
}

/// Joins an IN that may be NULL and is a part of a condition. The engine joins the others, and each that is a condition itself.
fn condition(filter: Filter, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
    let schema = Arc::clone(filter.input.schema());
    let part = |expr: &Expr| {
        let whole = match expr {
            Expr::Not(inner) => match inner.as_ref() {
                Expr::InSubquery(test) => test.negated || is_by_columns(test, &schema)?,
                inner => is_test(inner),
            },
            Expr::InSubquery(test) => !test.negated || is_by_columns(test, &schema)?,
            expr => is_test(expr),
        };
        Ok::<_, datafusion::common::DataFusionError>(
            !whole
                && expr.exists(|part| match part {
                    Expr::InSubquery(test) => {
                        let correlated = !test.subquery.outer_ref_columns.is_empty();
                        let negated = test.negated || matches!(expr, Expr::Not(_));
                        Ok(may_be_null(test, &schema)?.any() || (negated && correlated))
                    }
                    _ => Ok(false),
                })?,
        )
    };
    let all = split_conjunction_owned(filter.predicate.clone());
    let mut any = false;
    for expr in &all {
        any |= part(expr)?;
    }
    if !any {
        return Ok(Transformed::no(LogicalPlan::Filter(filter)));
    }
    let mut marks = Marks::over(filter.input.as_ref().clone(), config);
    let mut conditions = Vec::with_capacity(all.len());
    for expr in all {
        conditions.push(if part(&expr)? {
            marks.replace(expr)?
        } else {
            expr
        });
    }
    let Some(predicate) = conjunction(conditions).filter(|_| marks.all) else {
        return Ok(Transformed::no(LogicalPlan::Filter(filter)));
    };
    let columns = schema.columns().into_iter().map(Expr::from).collect();
    let marked = Filter::try_new(predicate, Arc::new(marks.input))?;
    let projection = Projection::try_new(columns, Arc::new(LogicalPlan::Filter(marked)))?;
    Ok(Transformed::yes(LogicalPlan::Projection(projection)))
}

/// The engine knows NOT IN by one pair of columns only. Of an expression it asks whether its columns may be NULL, and not whether
/// it may itself, as `nullif(person_id, 5)` may.
fn is_by_columns(test: &InSubquery, schema: &DFSchema) -> Result<bool> {
    let columns = test.expr.column_refs();
    if !test.subquery.outer_ref_columns.is_empty() || columns.is_empty() {
        return Ok(false);
    }
    let null = may_be_null(test, schema)?;
    let mut known = null.among || !null.value;
    for column in columns {
        known |= schema.field_from_column(column)?.is_nullable();
    }
    Ok(known)
}

fn is_test(expr: &Expr) -> bool {
    matches!(expr, Expr::Exists(_) | Expr::InSubquery(_))
}

fn tests(expr: &Expr) -> bool {
    expr.exists(|expr| Ok(is_test(expr))).unwrap_or(false)
}

/// Where an IN can be NULL from.
struct MayBeNull {
    value: bool,
    among: bool,
}

impl MayBeNull {
    fn any(&self) -> bool {
        self.value || self.among
    }
}

fn may_be_null(test: &InSubquery, schema: &DFSchema) -> Result<MayBeNull> {
    let among = test.subquery.subquery.schema().fields().first();
    Ok(MayBeNull {
        value: test.expr.nullable(schema)?,
        among: among.is_none_or(|field| field.is_nullable()),
    })
}

/// A plan that is joined with subqueries, each of which adds whether it has a row.
struct Marks<'a> {
    input: LogicalPlan,
    config: &'a dyn OptimizerConfig,
    known: Vec<(Expr, Expr)>,
    /// Whether every subquery could be joined.
    all: bool,
}

impl<'a> Marks<'a> {
    fn over(input: LogicalPlan, config: &'a dyn OptimizerConfig) -> Self {
        Self {
            input,
            config,
            known: Vec::new(),
            all: true,
        }
    }

    /// The expression with marks for its subqueries.
    fn replace(&mut self, expr: Expr) -> Result<Expr> {
        let done = expr.transform_down(|expr| {
            let marked = match &expr {
                Expr::Exists(_) => self.mark(&expr)?,
                Expr::InSubquery(test) => self.among(test)?,
                _ => return Ok(Transformed::no(expr)),
            };
            Ok(Transformed::new(marked, true, TreeNodeRecursion::Jump))
        })?;
        Ok(done.data)
    }

    /// IN: true, false, or NULL.
    fn among(&mut self, test: &InSubquery) -> Result<Expr> {
        let null = may_be_null(test, self.input.schema())?;
        if !null.any() {
            return self.mark(&Expr::InSubquery(test.clone()));
        }
        let found = self.mark(&Expr::InSubquery(InSubquery {
            negated: false,
            ..test.clone()
        }))?;
        let mut unknown = lit(false);
        if null.value {
            let any = self.any(&test.subquery, None)?;
            unknown = unknown.or(test.expr.as_ref().clone().is_null().and(any));
        }
        if null.among {
            let column = test.subquery.subquery.schema().columns();
            let column = column.into_iter().next().map(Expr::from);
            let nulls = self.any(&test.subquery, column.map(Expr::is_null))?;
            unknown = unknown.or(nulls);
        }
        let value = when(found, lit(true))
            .when(unknown, lit(ScalarValue::Boolean(None)))
            .otherwise(lit(false))?;
        Ok(if test.negated { not(value) } else { value })
    }

    /// Whether a subquery has a row, or one of which something is so: for all rows at once, where it reads nothing of them. A join
    /// without a condition would go through all of its rows for each.
    fn any(&mut self, subquery: &Subquery, of: Option<Expr>) -> Result<Expr> {
        let test = exists(subquery, of)?;
        let subquery = match test {
            Expr::Exists(Exists { subquery, .. }) if subquery.outer_ref_columns.is_empty() => {
                subquery
            }
            test => return self.mark(&test),
        };
        let none: [Expr; 0] = [];
        let rows = LogicalPlanBuilder::from(Arc::clone(&subquery.subquery));
        let rows = rows
            .limit(0, Some(1))?
            .aggregate(none, [count(lit(1_i64))])?;
        let rows = Subquery {
            subquery: Arc::new(rows.build()?),
            ..subquery
        };
        Ok(Expr::ScalarSubquery(rows).gt(lit(0_i64)))
    }

    /// The engine's own mark for a test, which it makes within a condition only.
    fn mark(&mut self, test: &Expr) -> Result<Expr> {
        if let Some((_, mark)) = self.known.iter().find(|(known, _)| known == test) {
            return Ok(mark.clone());
        }
        let within = Expr::IsTrue(Box::new(test.clone()));
        let filter = Filter::try_new(within, Arc::new(self.input.clone()))?;
        let rule = DecorrelatePredicateSubquery::new();
        let joined = rule.rewrite(LogicalPlan::Filter(filter), self.config)?;
        if let LogicalPlan::Projection(projection) = joined.data
            && let LogicalPlan::Filter(filter) = projection.input.as_ref()
            && let Expr::IsTrue(mark) = &filter.predicate
            && !tests(mark)
        {
            self.input = filter.input.as_ref().clone();
            self.known.push((test.clone(), mark.as_ref().clone()));
            return Ok(mark.as_ref().clone());
        }
        self.all = false;
        Ok(test.clone())
    }
}

/// Whether a subquery has a row, or one of which something is so.
fn exists(subquery: &Subquery, of: Option<Expr>) -> Result<Expr> {
    let mut subquery = subquery.clone();
    if let Some(predicate) = of {
        let filter = Filter::try_new(predicate, Arc::clone(&subquery.subquery))?;
        subquery.subquery = Arc::new(LogicalPlan::Filter(filter));
    }
    Ok(Expr::Exists(Exists {
        subquery,
        negated: false,
    }))
}
