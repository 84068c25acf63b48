//! Moments before 1678 and after 2261: `coalesce(visit_end_datetime, TIMESTAMP '9999-12-31')`, `visit_end_datetime < DATE '9999-12-31'`.
//!
//! The engine (DataFusion 55) reads moments in nanoseconds, and compares days and texts with moments in nanoseconds, which do not
//! reach so far; stored ones are in microseconds. "Still open" is often a day in 9999.

use std::sync::Arc;

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::{Between, InList};
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::{
    BinaryExpr, Expr, ExprSchemable, LogicalPlan, Projection, Union, cast,
};
use datafusion::optimizer::AnalyzerRule;

use crate::short_times::is_comparison;

/// Compares days, and texts of far moments, with moments in their units.
#[derive(Debug)]
pub(crate) struct FarTimes;

impl FunctionRewrite for FarTimes {
    fn name(&self) -> &'static str {
        "far_times"
    }

    fn rewrite(
        &self,
        mut expr: Expr,
        schema: &DFSchema,
        _: &ConfigOptions,
    ) -> Result<Transformed<Expr>> {
        let parts: Vec<&mut Expr> = match &mut expr {
            Expr::BinaryExpr(BinaryExpr { left, right, op }) if is_comparison(*op) => {
                vec![left, right]
            }
            Expr::Between(Between {
                expr, low, high, ..
            }) => vec![expr, low, high],
            Expr::InList(InList { expr, list, .. }) => {
                [expr.as_mut()].into_iter().chain(list).collect()
            }
            Expr::ScalarFunction(call) if ONE_OF.contains(&call.name()) => {
                call.args.iter_mut().collect()
            }
            Expr::Case(case) => {
                let then = case
                    .when_then_expr
                    .iter_mut()
                    .map(|(_, then)| then.as_mut());
                then.chain(case.else_expr.as_deref_mut()).collect()
            }
            Expr::InSubquery(_) => return among(expr, schema),
            Expr::ScalarFunction(call) if call.name() == "date_trunc" => {
                return truncated(expr, schema);
            }
            _ => return Ok(Transformed::no(expr)),
        };
        let far = parts.iter().any(|part| is_text(part, is_far));
        let mut moment = None;
        let mut others = Vec::new();
        for part in parts {
            match part.get_type(schema)? {
                kind @ DataType::Timestamp(_, None)
                    if moment.as_ref().is_none_or(|of| *of == kind) =>
                {
                    moment = Some(kind);
                }
                DataType::Date32 => others.push(part),
                DataType::Null => {}
                _ if far && is_text(part, |_| true) => others.push(part),
                _ => return Ok(Transformed::no(expr)),
            }
        }
        let Some(moment) = moment.filter(|_| !others.is_empty()) else {
            return Ok(Transformed::no(expr));
        };
        for part in others {
            let day = std::mem::replace(part, Expr::Literal(ScalarValue::Null, None));
            *part = cast(day, moment.clone());
        }
        Ok(Transformed::yes(expr))
    }
}

/// Makes moments of the days in a union with moments.
#[derive(Debug)]
pub(crate) struct FarUnions;

impl AnalyzerRule for FarUnions {
    fn name(&self) -> &'static str {
        "far_unions"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|node| match node {
            LogicalPlan::Union(union) => of_moments(union),
            other => Ok(Transformed::no(other)),
        })
        .data()
    }
}

fn of_moments(union: Union) -> Result<Transformed<LogicalPlan>> {
    let columns = 0..union.schema.fields().len();
    let kinds: Vec<Option<DataType>> = columns.map(|at| moment_among_days(&union, at)).collect();
    if kinds.iter().all(Option::is_none) {
        return Ok(Transformed::no(LogicalPlan::Union(union)));
    }
    let inputs = union.inputs.iter().map(|input| {
        let columns = input.schema().columns().into_iter().zip(&kinds);
        let columns = columns.map(|(column, kind)| match kind {
            Some(kind) => cast(Expr::Column(column.clone()), kind.clone())
                .alias_qualified(column.relation, column.name),
            None => Expr::Column(column),
        });
        let projection = Projection::try_new(columns.collect(), Arc::clone(input))?;
        Ok(Arc::new(LogicalPlan::Projection(projection)))
    });
    let union = Union::try_new_with_loose_types(inputs.collect::<Result<_>>()?)?;
    Ok(Transformed::yes(LogicalPlan::Union(union)))
}

/// The one kind of moments that a column of a union has beside days.
fn moment_among_days(union: &Union, at: usize) -> Option<DataType> {
    let (mut moment, mut days) = (None, false);
    for input in &union.inputs {
        match input.schema().field(at).data_type() {
            kind @ DataType::Timestamp(_, None) if moment.is_none_or(|of| of == kind) => {
                moment = Some(kind);
            }
            DataType::Date32 => days = true,
            DataType::Null => {}
            _ => return None,
        }
    }
    moment.filter(|_| days).cloned()
}

/// Functions that are one of their arguments.
pub(crate) const ONE_OF: [&str; 5] = ["coalesce", "greatest", "least", "nullif", "nvl"];

/// A day that is looked for among moments, or the other way around, in the moments' units.
fn among(mut expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let Expr::InSubquery(test) = &mut expr else {
        return Ok(Transformed::no(expr));
    };
    let [column] = &test.subquery.subquery.schema().columns()[..] else {
        return Ok(Transformed::no(expr));
    };
    let theirs = test.subquery.subquery.schema().field(0).data_type().clone();
    match (test.expr.get_type(schema)?, theirs) {
        (DataType::Date32, moment @ DataType::Timestamp(_, None)) => {
            let day = std::mem::replace(test.expr.as_mut(), Expr::Literal(ScalarValue::Null, None));
            *test.expr = cast(day, moment);
        }
        (moment @ DataType::Timestamp(_, None), DataType::Date32) => {
            let day = cast(Expr::Column(column.clone()), moment)
                .alias_qualified(column.relation.clone(), &column.name);
            let rows = Projection::try_new(vec![day], Arc::clone(&test.subquery.subquery))?;
            test.subquery.subquery = Arc::new(LogicalPlan::Projection(rows));
        }
        _ => return Ok(Transformed::no(expr)),
    }
    Ok(Transformed::yes(expr))
}

/// A date's first day of something, in microseconds.
fn truncated(mut expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    if let Expr::ScalarFunction(call) = &mut expr
        && let [_, time] = call.args.as_mut_slice()
        && time.get_type(schema)? == DataType::Date32
    {
        let day = std::mem::replace(time, Expr::Literal(ScalarValue::Null, None));
        *time = cast(day, DataType::Timestamp(TimeUnit::Microsecond, None));
        return Ok(Transformed::yes(expr));
    }
    Ok(Transformed::no(expr))
}

fn is_text(expr: &Expr, is: impl Fn(&str) -> bool) -> bool {
    match expr {
        Expr::Literal(value, _) => value.try_as_str().flatten().is_some_and(is),
        _ => false,
    }
}

/// Whether a text begins with a year that nanoseconds do not reach.
fn is_far(text: &str) -> bool {
    let year = text
        .split('-')
        .next()
        .and_then(|year| year.parse::<u32>().ok());
    let dated = text.as_bytes().get(4) == Some(&b'-');
    dated && year.is_some_and(|year| !(1678..2262).contains(&year))
}
