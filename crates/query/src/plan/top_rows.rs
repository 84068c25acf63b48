//! Reads whole rows only where they may still be among the first ones.
//!
//! `SELECT * … ORDER BY … LIMIT` keeps few rows of many. What it has seen so far says which rows cannot come first any more, and
//! the engine tells the scan, which leaves out files and pages by it. Where rows are wide, the decoder does better: it
//! reads what the rows are sorted by, and the other columns of those that still count.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::config::ConfigOptions;
use datafusion::datasource::physical_plan::{FileScanConfigBuilder, FileSource, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::DynamicFilterPhysicalExpr;
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::execution_plan::{ChildrenPropertiesMode, ReplaceChildrenOptions};
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::HashJoinExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::sorts::sort::SortExec;

/// With so many columns more than the filter reads, rows are wide.
const WIDE: usize = 4;

/// Has the decoder filter rows below the first ones of wide rows.
#[derive(Debug)]
pub(crate) struct ReadTopRows;

impl PhysicalOptimizerRule for ReadTopRows {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|plan| {
            let first = plan.downcast_ref::<SortExec>();
            Ok(match first.filter(|sort| sort.fetch().is_some()) {
                Some(sort) => match filtered(sort.input())? {
                    Some(input) => Transformed::yes(with_inputs(&plan, vec![input])?),
                    None => Transformed::no(plan),
                },
                None => Transformed::no(plan),
            })
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "ReadTopRows"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The plan with a scan whose decoder filters rows; none where nothing is gained by it.
fn filtered(plan: &Arc<dyn ExecutionPlan>) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let children = plan.children();
    // Of a join, the side whose rows go through it.
    let through = match children.as_slice() {
        [input] if plan.is::<FilterExec>() || plan.is::<ProjectionExec>() => Some((0, *input)),
        [_, input] if plan.is::<HashJoinExec>() => Some((1, *input)),
        _ => None,
    };
    if let Some((at, input)) = through {
        let Some(input) = filtered(input)? else {
            return Ok(None);
        };
        let mut inputs: Vec<_> = children.into_iter().map(Arc::clone).collect();
        inputs[at] = input;
        return with_inputs(plan, inputs).map(Some);
    }
    let scan = plan.downcast_ref::<DataSourceExec>();
    let Some((config, source)) = scan.and_then(|s| s.downcast_to_file_source::<ParquetSource>())
    else {
        return Ok(None);
    };
    let Some(predicate) = source.filter().filter(learns) else {
        return Ok(None);
    };
    let read: HashSet<usize> = collect_columns(&predicate)
        .iter()
        .map(|c| c.index())
        .collect();
    if plan.schema().fields().len() < read.len() + WIDE {
        return Ok(None);
    }
    let source = Arc::new(source.clone().with_pushdown_filters(true));
    let config = FileScanConfigBuilder::from(config.clone()).with_source(source);
    Ok(Some(DataSourceExec::from_data_source(config.build())))
}

fn with_inputs(
    plan: &Arc<dyn ExecutionPlan>,
    inputs: Vec<Arc<dyn ExecutionPlan>>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
    Arc::clone(plan).replace_children(inputs, options)
}

/// Whether a filter becomes narrower while rows are read.
fn learns(filter: &Arc<dyn PhysicalExpr>) -> bool {
    let mut found = false;
    let walked = filter.apply(|expr| {
        found |= expr.is::<DynamicFilterPhysicalExpr>();
        Ok(if found {
            TreeNodeRecursion::Stop
        } else {
            TreeNodeRecursion::Continue
        })
    });
    walked.is_ok() && found
}
