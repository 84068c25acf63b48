//! Windows whose frame is all of a partition, over rows in any order.
//!
//! What `avg(value) OVER (PARTITION BY concept)` gives is one number for each concept: rows are grouped as they come, and
//! each one's number is put beside it when all have been seen. They keep their order and their place; the engine sends
//! them to where their key belongs, and sorts them there.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{Schema, SchemaRef};
use columna_privacy::guard::StoredOrder;
use datafusion::common::runtime::SpawnedTask;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{DataFusionError, Result, exec_datafusion_err};
use datafusion::config::ConfigOptions;
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::window::PlainAggregateWindowExpr;
use datafusion::physical_expr::{PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::group_values::{GroupValues, new_group_values};
use datafusion::physical_plan::aggregates::order::GroupOrdering;
use datafusion::physical_plan::execution_plan::{ChildrenPropertiesMode, ReplaceChildrenOptions};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::windows::WindowAggExec;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties,
    SendableRecordBatchStream,
};
use futures::future::{BoxFuture, Shared as SharedFuture};
use futures::{FutureExt, StreamExt};

use super::segment_window;
use super::segments::evaluate;
use super::shared::Shared;
use super::window_functions::filtered;

/// Puts windows over whole partitions on the operator that does without an order, where there is none that helps.
#[derive(Debug)]
pub(crate) struct WindowsOverGroups;

impl PhysicalOptimizerRule for WindowsOverGroups {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|plan| {
            Ok(match WholePartitionsExec::of(&plan)? {
                Some(groups) => Transformed::yes(Arc::new(groups) as _),
                None => Transformed::no(plan),
            })
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "WindowsOverGroups"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The aggregates of a window over whole partitions; none when it has others too.
fn aggregates(window: &WindowAggExec) -> Option<Vec<Arc<AggregateFunctionExpr>>> {
    let first = window.window_expr().first()?;
    let calls = window.window_expr().iter().map(|expr| {
        let frame = expr.get_window_frame();
        let call = expr.as_any().downcast_ref::<PlainAggregateWindowExpr>()?;
        let call = call.get_aggregate_expr();
        let known = frame.start_bound.is_unbounded()
            && frame.end_bound.is_unbounded()
            && expr.partition_by() == first.partition_by()
            && !filtered(expr)
            && call.order_bys().is_empty()
            && call.groups_accumulator_supported();
        known.then(|| Arc::new(call.clone()))
    });
    calls.collect()
}

/// Whether a window below goes by the same keys in an order: its sort serves this one too.
fn ordered_below(input: &Arc<dyn ExecutionPlan>, by: &[Arc<dyn PhysicalExpr>]) -> bool {
    if let Some(projection) = input.downcast_ref::<ProjectionExec>() {
        let keys = by.iter().map(|key| {
            let made = projection
                .expr()
                .get(key.downcast_ref::<Column>()?.index())?;
            Some(Arc::clone(&made.expr))
        });
        let keys: Option<Vec<_>> = keys.collect();
        return keys.is_some_and(|keys| ordered_below(projection.input(), &keys));
    }
    let expr = segment_window::expressions(input.as_ref()).and_then(<[_]>::first);
    expr.is_some_and(|expr| by.iter().all(|key| expr.partition_by().contains(key)))
}

/// Whether rows lie by one of the keys already, or will.
fn sorted_anyway(input: &Arc<dyn ExecutionPlan>, by: &[Arc<dyn PhysicalExpr>]) -> Result<bool> {
    if !by.is_empty() && ordered_below(input, by) {
        return Ok(true);
    }
    let properties = input.equivalence_properties();
    for key in by {
        if properties.is_expr_constant(key).is_some() {
            continue;
        }
        for expr in [Arc::clone(key), StoredOrder::of(key)] {
            for nulls_first in [false, true] {
                let mut order = PhysicalSortExpr::new_default(Arc::clone(&expr));
                order.options.nulls_first = nulls_first;
                let sorted = properties.ordering_satisfy([order.clone()])?
                    || properties.ordering_satisfy([order.reverse()])?;
                if sorted {
                    return Ok(true);
                }
            }
        }
    }
    Ok(false)
}

#[derive(Debug)]
struct WholePartitionsExec {
    /// The window that this one stands for: it knows the schema and keeps the rows' order.
    window: Arc<dyn ExecutionPlan>,
    by: Vec<Arc<dyn PhysicalExpr>>,
    calls: Vec<Arc<AggregateFunctionExpr>>,
    running: Mutex<Option<Arc<Running>>>,
    metrics: ExecutionPlanMetricsSet,
}

impl WholePartitionsExec {
    fn of(plan: &Arc<dyn ExecutionPlan>) -> Result<Option<Self>> {
        let Some(window) = plan.downcast_ref::<WindowAggExec>() else {
            return Ok(None);
        };
        let by = window
            .window_expr()
            .first()
            .map(|expr| expr.partition_by().to_vec());
        let by = by.unwrap_or_default();
        let Some(calls) = aggregates(window) else {
            return Ok(None);
        };
        Ok(if sorted_anyway(window.input(), &by)? {
            None
        } else {
            Some(Self {
                window: Arc::clone(plan),
                by,
                calls,
                running: Mutex::default(),
                metrics: ExecutionPlanMetricsSet::new(),
            })
        })
    }

    /// What all partitions wait for; another one when this partition has come before.
    fn running(&self, partition: usize, context: &Arc<TaskContext>) -> Result<Arc<Running>> {
        let children = self.window.children();
        let input = children
            .first()
            .ok_or_else(|| exec_datafusion_err!("a window has an input"))?;
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = running.as_ref().filter(|running| running.comes(partition)) {
            return Ok(Arc::clone(running));
        }
        let new = Arc::new(Running::new(input, &self.by, &self.calls, context)?);
        new.comes(partition);
        *running = Some(Arc::clone(&new));
        Ok(new)
    }
}

impl DisplayAs for WholePartitionsExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.calls.iter().map(|call| call.name()).collect();
        let by: Vec<String> = self.by.iter().map(ToString::to_string).collect();
        let (names, by) = (names.join(", "), by.join(", "));
        write!(f, "WholePartitionsExec: wdw=[{names}], by=[{by}]")
    }
}

impl ExecutionPlan for WholePartitionsExec {
    fn name(&self) -> &'static str {
        "WholePartitionsExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.window.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.window.children()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        self.window.apply_expressions(f)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self {
            window: Arc::clone(&self.window).replace_children(children, options)?,
            by: self.by.clone(),
            calls: self.calls.clone(),
            running: Mutex::default(),
            metrics: ExecutionPlanMetricsSet::new(),
        }))
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
        self.replace_children(children, options)
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let running = self.running(partition, &context)?;
        let schema = self.schema();
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        let batches = async move {
            let groups = running.groups.clone().await;
            let groups = groups.map_err(DataFusionError::Shared)?;
            let rows = running.rows.read(1, partition, &context)?;
            let rows = rows.ok_or_else(|| exec_datafusion_err!("rows are read once"))?;
            let mut at = 0;
            Ok(rows.map(move |batch| {
                let batch = batch?;
                let timer = metrics.elapsed_compute().timer();
                let ids = groups.ids[partition].slice(at, batch.num_rows());
                at += batch.num_rows();
                let mut columns = batch.columns().to_vec();
                for values in &groups.values {
                    columns.push(take(values, &ids, None)?);
                }
                timer.done();
                metrics.record_output(batch.num_rows());
                Ok(RecordBatch::try_new(Arc::clone(&schema), columns)?)
            }))
        };
        Ok(Box::pin(RecordBatchStreamAdapter::new(
            self.schema(),
            futures::stream::once(batches).flat_map(|stream| match stream {
                Ok(batches) => batches.boxed(),
                Err(error) => futures::stream::once(async { Err(error) }).boxed(),
            }),
        )))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

type Groups = BoxFuture<'static, std::result::Result<Arc<AllGroups>, Arc<DataFusionError>>>;

/// The window under way, in all partitions.
struct Running {
    /// Read once to group them, and once to put what came of it beside them.
    rows: Arc<Shared>,
    groups: SharedFuture<Groups>,
    came: Mutex<HashSet<usize>>,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Running({:?})", self.rows)
    }
}

/// What is known when all rows have been seen.
struct AllGroups {
    /// Of each partition's rows, one after the other.
    ids: Vec<UInt32Array>,
    /// By group, of each aggregate.
    values: Vec<ArrayRef>,
    _reservation: MemoryReservation,
}

impl Running {
    fn new(
        input: &Arc<dyn ExecutionPlan>,
        by: &[Arc<dyn PhysicalExpr>],
        calls: &[Arc<AggregateFunctionExpr>],
        context: &Arc<TaskContext>,
    ) -> Result<Self> {
        let schema = input.schema();
        let fields = by.iter().map(|key| key.return_field(&schema));
        let keys = Arc::new(Schema::new(fields.collect::<Result<Vec<_>>>()?));
        let consumer = MemoryConsumer::new("WholePartitions");
        let reservation = consumer.register(context.memory_pool());
        let rows = Arc::new(Shared::new(Arc::clone(input), 2));
        let partitions = input.output_partitioning().partition_count();
        let mut tasks = Vec::with_capacity(partitions);
        for partition in 0..partitions {
            let stream = rows.read(0, partition, context)?;
            let stream = stream.ok_or_else(|| exec_datafusion_err!("rows are grouped once"))?;
            let mut part = Part::new(&keys, by, calls, reservation.new_empty())?;
            tasks.push(SpawnedTask::spawn(async move {
                part.read(stream).await?;
                Ok::<_, DataFusionError>(part)
            }));
        }
        let mut all = Part::new(&keys, by, calls, reservation)?;
        let groups = async move {
            let mut ids = Vec::with_capacity(tasks.len());
            for task in tasks {
                let part = task
                    .join()
                    .await
                    .map_err(|e| DataFusionError::ExecutionJoin(Box::new(e)))?;
                ids.push(all.add(part?)?);
            }
            let accumulators = all.accumulators.iter_mut();
            let values = accumulators.map(|accumulator| accumulator.evaluate(EmitTo::All));
            Ok::<_, DataFusionError>(Arc::new(AllGroups {
                ids,
                values: values.collect::<Result<_>>()?,
                _reservation: all.reservation,
            }))
        };
        Ok(Self {
            rows,
            groups: groups
                .map(|groups| groups.map_err(Arc::new))
                .boxed()
                .shared(),
            came: Mutex::default(),
        })
    }

    /// Whether a partition comes for the first time.
    fn comes(&self, partition: usize) -> bool {
        let mut came = self.came.lock().unwrap_or_else(PoisonError::into_inner);
        came.insert(partition)
    }
}

/// The groups of a partition's rows, or of all.
struct Part {
    by: Vec<Arc<dyn PhysicalExpr>>,
    arguments: Vec<Vec<Arc<dyn PhysicalExpr>>>,
    /// None without a key: all rows are one group.
    keys: Option<Box<dyn GroupValues>>,
    accumulators: Vec<Box<dyn GroupsAccumulator>>,
    /// Of the rows.
    ids: Vec<u32>,
    reservation: MemoryReservation,
}

impl Part {
    fn new(
        keys: &SchemaRef,
        by: &[Arc<dyn PhysicalExpr>],
        calls: &[Arc<AggregateFunctionExpr>],
        reservation: MemoryReservation,
    ) -> Result<Self> {
        let accumulators = calls.iter().map(|call| call.create_groups_accumulator());
        let keyed = !by.is_empty();
        Ok(Self {
            by: by.to_vec(),
            arguments: calls.iter().map(|call| call.expressions()).collect(),
            keys: keyed
                .then(|| new_group_values(Arc::clone(keys), &GroupOrdering::None))
                .transpose()?,
            accumulators: accumulators.collect::<Result<_>>()?,
            ids: Vec::new(),
            reservation,
        })
    }

    /// The group of each row in `ids`, and how many groups there are.
    fn group(&mut self, keys: &[ArrayRef], rows: usize, ids: &mut Vec<usize>) -> Result<usize> {
        match &mut self.keys {
            Some(groups) => {
                groups.intern(keys, ids)?;
                Ok(groups.len())
            }
            None => {
                ids.clear();
                ids.resize(rows, 0);
                Ok(1)
            }
        }
    }

    async fn read(&mut self, mut rows: SendableRecordBatchStream) -> Result<()> {
        let mut ids = Vec::new();
        while let Some(batch) = rows.next().await {
            let batch = batch?;
            let keys = evaluate(&self.by, &batch)?;
            let groups = self.group(&keys, batch.num_rows(), &mut ids)?;
            for (accumulator, arguments) in self.accumulators.iter_mut().zip(&self.arguments) {
                accumulator.update_batch(&evaluate(arguments, &batch)?, &ids, None, groups)?;
            }
            self.ids.extend(ids.iter().map(|id| small(*id)));
            self.account()?;
        }
        Ok(())
    }

    fn account(&self) -> Result<()> {
        let keys = self.keys.as_ref().map_or(0, |keys| keys.size());
        let accumulators = self.accumulators.iter().map(|a| a.size()).sum::<usize>();
        let ids = self.ids.capacity() * size_of::<u32>();
        self.reservation.try_resize(ids + keys + accumulators)
    }

    /// Takes a partition's groups over, and tells which of them its rows are in.
    fn add(&mut self, mut part: Self) -> Result<UInt32Array> {
        if part.ids.is_empty() {
            return Ok(Vec::<u32>::new().into());
        }
        let keys = match &mut part.keys {
            Some(keys) => keys.emit(EmitTo::All)?,
            None => Vec::new(),
        };
        let mut here = Vec::new();
        let groups = self.group(&keys, 1, &mut here)?;
        for (all, part) in self.accumulators.iter_mut().zip(&mut part.accumulators) {
            all.merge_batch(&part.state(EmitTo::All)?, &here, groups)?;
        }
        self.account()?;
        self.reservation.grow(part.ids.len() * size_of::<u32>());
        Ok(part
            .ids
            .iter()
            .map(|id| small(here[*id as usize]))
            .collect())
    }
}

/// There are fewer groups than rows, and a table of which all rows are kept has fewer than 2^32.
fn small(group: usize) -> u32 {
    u32::try_from(group).unwrap_or(u32::MAX)
}
