//! Hides what is known of the columns that ROLLUP, CUBE and GROUPING SETS group by: in a part of the groups they are NULL.
//!
//! The engine (DataFusion 55) takes the groups of `GROUP BY ROLLUP (person_id)` to be sorted and divided by person as the rows below are.
//! The total, whose person is NULL, was then given once for each part of the table, without an error.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::config::ConfigOptions;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateInputMode, PhysicalGroupBy};

use super::null_supplied::varying;

/// Groups by expressions of which nothing is known.
#[derive(Debug)]
pub(super) struct HideGrouped;

impl PhysicalOptimizerRule for HideGrouped {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let config = Arc::new(config.clone());
        plan.transform_up(|plan| {
            let Some(aggregate) = plan.downcast_ref::<AggregateExec>() else {
                return Ok(Transformed::no(plan));
            };
            let groups = aggregate.group_expr();
            if groups.is_single() || aggregate.mode().input_mode() != AggregateInputMode::Raw {
                return Ok(Transformed::no(plan));
            }
            let exprs = groups.expr().iter();
            let exprs = exprs
                .map(|(expr, name)| Ok((varying(Arc::clone(expr), &config)?, String::clone(name))));
            let groups = PhysicalGroupBy::new(
                exprs.collect::<Result<_>>()?,
                groups.null_expr().to_vec(),
                groups.groups().to_vec(),
                true,
            );
            let hidden = AggregateExec::try_new(
                *aggregate.mode(),
                groups,
                aggregate.aggr_expr().to_vec(),
                aggregate.filter_expr().to_vec(),
                Arc::clone(aggregate.input()),
                aggregate.input_schema(),
            )?;
            let limit = aggregate.limit_options();
            Ok(Transformed::yes(
                Arc::new(hidden.with_limit_options(limit)) as _
            ))
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "HideGrouped"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// An aggregate with other groups and filters.
pub(super) fn changed(
    aggregate: &AggregateExec,
    groups: PhysicalGroupBy,
    filters: Vec<Option<Arc<dyn PhysicalExpr>>>,
) -> Result<AggregateExec> {
    let changed = AggregateExec::try_new(
        *aggregate.mode(),
        groups,
        aggregate.aggr_expr().to_vec(),
        filters,
        Arc::clone(aggregate.input()),
        aggregate.input_schema(),
    )?;
    Ok(changed.with_limit_options(aggregate.limit_options()))
}
