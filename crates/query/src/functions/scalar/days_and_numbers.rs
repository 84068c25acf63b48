//! A day or moment that is compared with a number: `visit_start_date >= 2020-01-01`, where quotes were forgotten.
//!
//! The engine (DataFusion 55) takes the number for days since 1970, and the difference 2018 is a day in 1975.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result, plan_err};
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::{Expr, ExprSchemable};

use super::intervals::compared;

/// Refuses such comparisons.
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
        let Some(compared) = compared(&expr) else {
            return Ok(Transformed::no(expr));
        };
        let kinds = compared.iter().map(|part| part.get_type(schema));
        // What has no type yet is none of these.
        let kinds: Vec<DataType> = kinds.filter_map(Result::ok).collect();
        let is_time = |kind: &DataType| {
            matches!(
                kind,
                DataType::Date32 | DataType::Date64 | DataType::Timestamp(..)
            )
        };
        if kinds.iter().any(is_time) && kinds.iter().any(DataType::is_numeric) {
            return plan_err!(
                "a day or moment is compared with a number: write days in quotes, as DATE '2020-01-31', and compare date_part('year', day) with years"
            );
        }
        Ok(Transformed::no(expr))
    }
}
