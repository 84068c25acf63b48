//! Joins by one whole number whose kept side is looked up: concepts, sites, visits.
//!
//! The engine's hash join (DataFusion 55) hashes each number, follows a chain, compares the numbers again and copies every column
//! of the rows that go through. Here a table has the numbers themselves, and where each row finds one other, as codes find
//! their concepts, the columns that go through are passed on as they are.

mod learned;
mod probe;
mod table;

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};

use arrow::compute::BatchCoalescer;
use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{DataFusionError, JoinSide, JoinType, NullEquality, Result};
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::DynamicFilterPhysicalExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::execution_plan::{ChildrenPropertiesMode, ReplaceChildrenOptions};
use datafusion::physical_plan::joins::utils::build_join_schema;
use datafusion::physical_plan::joins::{HashJoinExec, PartitionMode};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::stream::{EmptyRecordBatchStream, RecordBatchStreamAdapter};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, Distribution, ExecutionPlan, ExecutionPlanProperties,
    InputDistributionRequirements, PlanProperties, SendableRecordBatchStream,
};
use futures::future::{BoxFuture, FutureExt, Shared};
use futures::{StreamExt, TryFutureExt, TryStreamExt};

use learned::Learned;
use probe::{Probe, Run};
use table::Table;

/// Puts such hash joins on the operator that looks up.
#[derive(Debug)]
pub(crate) struct LookUpJoins;

impl PhysicalOptimizerRule for LookUpJoins {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|plan| {
            Ok(match LookupJoinExec::of(&plan)? {
                Some(join) => Transformed::yes(Arc::new(join) as _),
                None => Transformed::no(plan),
            })
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "LookUpJoins"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

type Key = Arc<dyn PhysicalExpr>;
/// What makes a table, which all that look up in it wait for.
type Making = Shared<BoxFuture<'static, Result<Arc<Table>, Arc<DataFusionError>>>>;

#[derive(Debug)]
struct LookupJoinExec {
    /// The join that this one stands for: it knows schema, order and partitioning.
    join: Arc<dyn ExecutionPlan>,
    left: Arc<dyn ExecutionPlan>,
    right: Arc<dyn ExecutionPlan>,
    mode: PartitionMode,
    left_key: Key,
    probe: Probe,
    /// What the other side's scan is told of the numbers.
    learned: Option<Arc<Learned>>,
    /// The table of all partitions, where they share one.
    of_all: Mutex<Option<Making>>,
    metrics: ExecutionPlanMetricsSet,
}

impl LookupJoinExec {
    /// None for what is not such a join.
    fn of(plan: &Arc<dyn ExecutionPlan>) -> Result<Option<Self>> {
        let Some(join) = plan.downcast_ref::<HashJoinExec>() else {
            return Ok(None);
        };
        let [(left_key, right_key)] = join.on() else {
            return Ok(None);
        };
        let is_known = match join.join_type() {
            JoinType::Inner => true,
            JoinType::Right | JoinType::RightSemi | JoinType::RightAnti => join.filter().is_none(),
            // What was not found by any of the other side is known where one has all of it.
            JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti => {
                *join.partition_mode() == PartitionMode::Partitioned
            }
            _ => false,
        };
        if !is_known
            || join.null_aware
            || join.null_equality() != NullEquality::NullEqualsNothing
            || join.fetch().is_some()
            || *join.partition_mode() == PartitionMode::Auto
        {
            return Ok(None);
        }
        let (left, right) = (join.left(), join.right());
        let kind = left_key.data_type(&left.schema())?;
        let whole = matches!(kind, DataType::Int64 | DataType::Int32);
        if !whole || right_key.data_type(&right.schema())? != kind {
            return Ok(None);
        }
        let (_, mut columns) = build_join_schema(&left.schema(), &right.schema(), join.join_type());
        if let Some(projection) = &join.projection {
            let projected = projection.iter();
            columns = projected
                .filter_map(|at| columns.get(*at).cloned())
                .collect();
        }
        let tables = match join.partition_mode() {
            PartitionMode::Partitioned => left.output_partitioning().partition_count(),
            _ => 1,
        };
        let mut learns = join.dynamic_expressions_produced().into_iter();
        let filter = learns.find_map(|expr| {
            let expr: Arc<dyn std::any::Any + Send + Sync> = expr;
            expr.downcast::<DynamicFilterPhysicalExpr>().ok()
        });
        let learned = filter.map(|filter| {
            Arc::new(Learned {
                filter,
                key: Arc::clone(right_key),
                kind,
                schema: right.schema(),
                so_far: Mutex::new(learned::SoFar::of(tables)),
            })
        });
        Ok(Some(Self {
            left: Arc::clone(left),
            right: Arc::clone(right),
            mode: *join.partition_mode(),
            left_key: Arc::clone(left_key),
            probe: Probe {
                key: Arc::clone(right_key),
                join_type: *join.join_type(),
                columns,
                schema: join.schema(),
                condition: join.filter().cloned().map(Arc::new),
            },
            learned,
            of_all: Mutex::new(None),
            metrics: ExecutionPlanMetricsSet::new(),
            join: Arc::clone(plan),
        }))
    }

    /// The table for a partition: its own, or the one of all, which the first that asks begins to make.
    fn table(&self, partition: usize, context: &Arc<TaskContext>) -> Result<Making> {
        if self.mode == PartitionMode::Partitioned {
            return self.making(partition, context);
        }
        let mut of_all = self.of_all.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(making) = of_all.as_ref() {
            return Ok(making.clone());
        }
        Ok(of_all.insert(self.making(0, context)?).clone())
    }

    fn making(&self, at: usize, context: &Arc<TaskContext>) -> Result<Making> {
        let input = self.left.execute(at, Arc::clone(context))?;
        let memory = MemoryConsumer::new(format!("LookupJoin[{at}]"));
        let memory = memory.register(context.memory_pool());
        let asked = self.probe.condition.iter();
        let asked = asked.flat_map(|condition| condition.column_indices());
        let columns = self.probe.columns.iter().chain(asked);
        let columns = columns
            .filter(|column| column.side == JoinSide::Left)
            .map(|column| column.index)
            .collect();
        let learned = self.learned.clone();
        let made = Table::of(input, Arc::clone(&self.left_key), columns, memory);
        let made = made.and_then(async move |table| {
            if let Some(learned) = learned {
                learned.add(&table)?;
            }
            Ok(Arc::new(table))
        });
        Ok(made.map_err(Arc::new).boxed().shared())
    }
}

impl DisplayAs for LookupJoinExec {
    fn fmt_as(&self, kind: DisplayFormatType, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if matches!(kind, DisplayFormatType::TreeRender) {
            let (left, right) = (&self.left_key, &self.probe.key);
            return write!(
                f,
                "join_type={}\non=({left} = {right})",
                self.probe.join_type
            );
        }
        write!(f, "LookupJoinExec: ")?;
        self.join.fmt_as(kind, f)
    }
}

impl ExecutionPlan for LookupJoinExec {
    fn name(&self) -> &'static str {
        "LookupJoinExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.join.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.left, &self.right]
    }

    fn required_input_distribution(&self) -> Vec<Distribution> {
        self.input_distribution_requirements().into_per_child()
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        self.join.input_distribution_requirements()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        self.join.maintains_input_order()
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false, false]
    }

    fn dynamic_expressions_produced(&self) -> Vec<Arc<dyn PhysicalExpr>> {
        self.join.dynamic_expressions_produced()
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        self.join.apply_expressions(f)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let join = Arc::clone(&self.join).replace_children(children, options)?;
        Ok(match Self::of(&join)? {
            Some(join) => Arc::new(join),
            None => join,
        })
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
        self.replace_children(children, options)
    }

    fn reset_state(self: Arc<Self>) -> Result<Arc<dyn ExecutionPlan>> {
        let join = Arc::clone(&self.join).reset_state()?;
        Ok(match Self::of(&join)? {
            Some(join) => Arc::new(join),
            None => join,
        })
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let table = self.table(partition, &context)?;
        let right = self.right.execute(partition, Arc::clone(&context))?;
        let block = context.session_config().batch_size().max(1);
        let schema = Arc::clone(&self.probe.schema);
        let probe = self.probe.clone();
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        let run = async move {
            let table = table.await.map_err(DataFusionError::Shared)?;
            // The other side is not even begun where nothing can be found.
            let right = match (probe.join_type, table.slots.is_empty()) {
                (JoinType::Right | JoinType::RightAnti, _) | (_, false) => right,
                _ => Box::pin(EmptyRecordBatchStream::new(right.schema())),
            };
            let seen = match probe.join_type {
                JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti => vec![false; table.rows],
                _ => Vec::new(),
            };
            let coalescer = BatchCoalescer::new(Arc::clone(&probe.schema), block)
                // Large batches pass as they are.
                .with_biggest_coalesce_batch_size(Some(block / 2));
            let run = Run {
                right,
                table,
                probe,
                block,
                pairs: None,
                seen,
                rest: None,
                coalescer,
                ended: false,
                metrics,
            };
            Ok::<_, DataFusionError>(futures::stream::try_unfold(run, async |mut run| {
                Ok(run.next().await?.map(|batch| (batch, run)))
            }))
        };
        let batches = futures::stream::once(run).try_flatten().boxed();
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, batches)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}
