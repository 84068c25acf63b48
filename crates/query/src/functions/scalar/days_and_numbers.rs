//! A day or moment that meets a number: `visit_start_date >= 2020-01-01`, where quotes were forgotten.
//!
//! The engine (DataFusion 55) takes the number for days since 1970, and the difference 2018 is a day in 1975.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result, plan_err};
use datafusion::logical_expr::expr::{InSubquery, SetComparison};
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan};
use datafusion::optimizer::AnalyzerRule;

use super::intervals::compared;
use crate::far_times::ONE_OF;

/// Refuses expressions, unions and joins in which they meet.
#[derive(Debug)]
pub(crate) struct DaysAndNumbers;

impl FunctionRewrite for DaysAndNumbers {
    fn name(&self) -> &'static str {
        "days_and_numbers"
    }

    fn rewrite(
        &self,
        expr: Expr,
        schema: &DFSchema,
        _: &ConfigOptions,
    ) -> Result<Transformed<Expr>> {
        // What has no type yet is none of these.
        let kinds = |parts: Vec<&Expr>| -> Vec<DataType> {
            let kinds = parts.iter().map(|part| part.get_type(schema));
            kinds.filter_map(Result::ok).collect()
        };
        match &expr {
            Expr::InSubquery(InSubquery { expr, subquery, .. })
            | Expr::SetComparison(SetComparison { expr, subquery, .. }) => {
                let theirs = subquery.subquery.schema().field(0).data_type();
                not_compared(kinds(vec![expr]).iter().chain([theirs]))?;
            }
            Expr::Case(case) => {
                let (whens, thens): (Vec<_>, Vec<_>) = case
                    .when_then_expr
                    .iter()
                    .map(|(when, then)| (when.as_ref(), then.as_ref()))
                    .unzip();
                if let Some(operand) = &case.expr {
                    not_compared(&kinds([vec![operand.as_ref()], whens].concat()))?;
                }
                let otherwise = case.else_expr.as_deref();
                not_one(&kinds(thens.into_iter().chain(otherwise).collect()))?;
            }
            Expr::ScalarFunction(call) if ONE_OF.contains(&call.name()) => {
                not_one(&kinds(call.args.iter().collect()))?;
            }
            _ => {
                if let Some(compared) = compared(&expr) {
                    not_compared(&kinds(compared))?;
                }
            }
        }
        Ok(Transformed::no(expr))
    }
}

impl AnalyzerRule for DaysAndNumbers {
    fn name(&self) -> &'static str {
        "days_and_numbers"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.apply_with_subqueries(|node| {
            match node {
                LogicalPlan::Union(union) => {
                    for at in 0..union.schema.fields().len() {
                        let inputs = union.inputs.iter();
                        not_one(inputs.map(|input| input.schema().field(at).data_type()))?;
                    }
                }
                LogicalPlan::Join(join) => {
                    for (left, right) in &join.on {
                        let left = left.get_type(join.left.schema());
                        let right = right.get_type(join.right.schema());
                        if let (Ok(left), Ok(right)) = (left, right) {
                            not_compared(&[left, right])?;
                        }
                    }
                }
                _ => {}
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(plan)
    }
}

fn not_compared<'a>(kinds: impl IntoIterator<Item = &'a DataType>) -> Result<()> {
    if meet(kinds) {
        return plan_err!(
            "a day or moment is compared with a number: write days in quotes, as DATE '2020-01-31', and compare date_part('year', day) with years"
        );
    }
    Ok(())
}

fn not_one<'a>(kinds: impl IntoIterator<Item = &'a DataType>) -> Result<()> {
    if meet(kinds) {
        return plan_err!(
            "days or moments and numbers are in one column: write days in quotes, as DATE '2020-01-31', and NULL for no day"
        );
    }
    Ok(())
}

fn meet<'a>(kinds: impl IntoIterator<Item = &'a DataType>) -> bool {
    let (mut times, mut numbers) = (false, false);
    for kind in kinds {
        times |= matches!(
            kind,
            DataType::Date32 | DataType::Date64 | DataType::Timestamp(..)
        );
        numbers |= kind.is_numeric();
    }
    times && numbers
}
