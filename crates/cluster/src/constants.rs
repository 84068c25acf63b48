//! Rows that a plan makes by itself, as tables in memory.
//!
//! Ballista 55 gives each task of a `UNION ALL` its part of the inputs, and puts an empty table in memory where a
//! constant row is of another task. That has metrics and the row has none; the scheduler takes tasks whose numbers of
//! metrics differ for broken, drops their ends, and the query waits for ever. With tables from the start, all tasks
//! are alike.

use std::sync::Arc;

use datafusion::arrow::array::new_null_array;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::placeholder_row::PlaceholderRowExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};

/// Makes tables of constant rows.
#[derive(Debug)]
pub(crate) struct Constants;

impl PhysicalOptimizerRule for Constants {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let changed = plan.transform_up(|node| {
            let schema = nullable(&node.schema());
            let rows = if node.downcast_ref::<PlaceholderRowExec>().is_some() {
                vec![row(&schema)?]
            } else if node.downcast_ref::<EmptyExec>().is_some() {
                vec![]
            } else {
                return Ok(Transformed::no(node));
            };
            let partitions = vec![rows; node.output_partitioning().partition_count()];
            let table = MemorySourceConfig::try_new(&partitions, schema, None)?;
            Ok(Transformed::yes(
                DataSourceExec::from_data_source(table) as Arc<dyn ExecutionPlan>
            ))
        })?;
        Ok(changed.data)
    }

    fn name(&self) -> &str {
        "constants_as_tables"
    }

    fn schema_check(&self) -> bool {
        // Nobody reads the NULLs of a column that may have none: constants stand above it.
        false
    }
}

fn nullable(schema: &SchemaRef) -> SchemaRef {
    let fields = schema.fields().iter();
    let fields = fields.map(|field| field.as_ref().clone().with_nullable(true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// What a placeholder stands for: one row, all of it NULL.
fn row(schema: &SchemaRef) -> Result<RecordBatch> {
    let columns = schema
        .fields()
        .iter()
        .map(|field| new_null_array(field.data_type(), 1))
        .collect();
    let one = RecordBatchOptions::new().with_row_count(Some(1));
    Ok(RecordBatch::try_new_with_options(
        Arc::clone(schema),
        columns,
        &one,
    )?)
}
