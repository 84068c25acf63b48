//! Rows of several tables put together person by person: all tables lie in the same ranges of persons, in their order.
//!
//! The engine puts the parts of a UNION one after the other, and whatever goes by person above it hashes or merges them all
//! again.

use std::sync::Arc;

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take_arrays};
use arrow::datatypes::SchemaRef;
use datafusion::common::Result;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::config::ConfigOptions;
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{
    EquivalenceProperties, LexOrdering, OrderingRequirements, Partitioning, PhysicalExpr,
    PhysicalSortExpr, RangePartitioning, SplitPoint,
};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::execution_plan::{
    Boundedness, ChildrenPropertiesMode, EmissionType, ReplaceChildrenOptions,
};
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::filter_pushdown::{
    ChildPushdownResult, FilterDescription, FilterPushdownPhase, FilterPushdownPropagation,
};
use datafusion::physical_plan::joins::HashJoinExec;
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties,
    SendableRecordBatchStream,
};

use super::keys;
use super::segment_window;
use super::sorted_input::{Piece, SortedInput};

/// Puts unions of tables person by person where the rows are grouped, joined or numbered by person above.
#[derive(Debug)]
pub(crate) struct AlignUnions;

impl PhysicalOptimizerRule for AlignUnions {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        aligned(plan, &[])
    }

    fn name(&self) -> &'static str {
        "AlignUnions"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The plan with its unions aligned that are asked to be divided by one of these columns.
fn aligned(plan: Arc<dyn ExecutionPlan>, asked: &[usize]) -> Result<Arc<dyn ExecutionPlan>> {
    if plan.is::<UnionExec>()
        && let Some(union) = AlignedUnionExec::of(&plan, asked)?
    {
        return Ok(Arc::new(union));
    }
    let asked = asked_of_inputs(plan.as_ref(), asked);
    let before = plan.children();
    let mut inputs = Vec::with_capacity(before.len());
    let mut changed = false;
    for (at, input) in before.into_iter().enumerate() {
        let asked = asked.get(at).map_or(&[][..], Vec::as_slice);
        let new = aligned(Arc::clone(input), asked)?;
        changed |= !Arc::ptr_eq(&new, input);
        inputs.push(new);
    }
    if !changed {
        return Ok(plan);
    }
    let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
    plan.replace_children(inputs, options)
}

/// Columns of each input by one of which it had best be divided.
pub(super) fn asked_of_inputs(plan: &dyn ExecutionPlan, asked: &[usize]) -> Vec<Vec<usize>> {
    if let Some(aggregate) = plan.downcast_ref::<AggregateExec>() {
        let groups = aggregate.group_expr();
        let exprs = groups.expr().iter().map(|(expr, _)| expr);
        // Sums by person alone are had from each table for itself, for less than the order costs.
        let ordered = |function: &Arc<AggregateFunctionExpr>| !function.order_bys().is_empty();
        let worth = exprs.len() > 1 || aggregate.aggr_expr().iter().any(ordered);
        return vec![if groups.is_single() && worth {
            columns(exprs)
        } else {
            Vec::new()
        }];
    }
    if let Some(exprs) = segment_window::expressions(plan) {
        return vec![columns(
            exprs.iter().take(1).flat_map(|expr| expr.partition_by()),
        )];
    }
    if let Some(join) = plan.downcast_ref::<HashJoinExec>() {
        let (left, right) = (join.on().iter())
            .map(|(l, r)| (l, r))
            .unzip::<_, _, Vec<_>, Vec<_>>();
        return vec![columns(left), columns(right)];
    }
    if let Some(projection) = plan.downcast_ref::<ProjectionExec>() {
        let exprs = asked.iter().filter_map(|at| projection.expr().get(*at));
        return vec![columns(exprs.map(|made| &made.expr))];
    }
    let same = plan.is::<UnionExec>()
        || (plan.downcast_ref::<FilterExec>()).is_some_and(|filter| filter.projection().is_none());
    if same {
        return vec![asked.to_vec(); plan.children().len()];
    }
    Vec::new()
}

fn columns<'a>(exprs: impl IntoIterator<Item = &'a Arc<dyn PhysicalExpr>>) -> Vec<usize> {
    let exprs = exprs.into_iter();
    exprs
        .filter_map(|expr| expr.downcast_ref::<Column>().map(Column::index))
        .collect()
}

#[derive(Debug)]
pub(super) struct AlignedUnionExec {
    /// The union that this one stands for: it knows the schema.
    union: Arc<dyn ExecutionPlan>,
    /// What every input is sorted by.
    by: LexOrdering,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl AlignedUnionExec {
    /// None where the inputs are not divided by the same ranges of one of the columns asked for, and sorted by it.
    pub(super) fn of(union: &Arc<dyn ExecutionPlan>, asked: &[usize]) -> Result<Option<Self>> {
        let schema = union.schema();
        for &person in asked {
            let Some(points) = ranges(union, person) else {
                continue;
            };
            let Some(by) = LexOrdering::new([ascending(&schema, person)]) else {
                continue;
            };
            if !sorted(union, &by)? {
                continue;
            }
            // Rows that are in order of time stay so.
            let mut by_time = None;
            for then in 0..schema.fields().len() {
                let keys = LexOrdering::new([person, then].map(|at| ascending(&schema, at)));
                if let Some(keys) = keys.filter(|keys| keys.len() == 2)
                    && sorted(union, &keys)?
                {
                    by_time = Some(keys);
                    break;
                }
            }
            let range = RangePartitioning::try_new(by.clone(), points)?;
            let by = by_time.unwrap_or(by);
            let order = EquivalenceProperties::new_with_orderings(schema, [by.clone()]);
            return Ok(Some(Self {
                union: Arc::clone(union),
                properties: Arc::new(PlanProperties::new(
                    order,
                    Partitioning::Range(range),
                    EmissionType::Incremental,
                    Boundedness::Bounded,
                )),
                by,
                metrics: ExecutionPlanMetricsSet::new(),
            }));
        }
        Ok(None)
    }
}

/// The points that divide every input's ranges of this column.
fn ranges(union: &Arc<dyn ExecutionPlan>, column: usize) -> Option<Vec<SplitPoint>> {
    let mut points: Option<&[_]> = None;
    for input in union.children() {
        let Partitioning::Range(range) = input.output_partitioning() else {
            return None;
        };
        let [by] = range.ordering().as_ref() else {
            return None;
        };
        let same = by.expr.downcast_ref::<Column>()?.index() == column
            && !range.split_points().is_empty()
            && points.is_none_or(|points| points == range.split_points());
        if !same {
            return None;
        }
        points = Some(range.split_points());
    }
    points.map(<[_]>::to_vec)
}

fn ascending(schema: &SchemaRef, at: usize) -> PhysicalSortExpr {
    let column = Column::new(schema.field(at).name(), at);
    keys::ascending(&(Arc::new(column) as _))
}

/// Whether every input is sorted by these columns, which are whole numbers.
fn sorted(union: &Arc<dyn ExecutionPlan>, by: &LexOrdering) -> Result<bool> {
    for input in union.children() {
        let schema = input.schema();
        let own = columns(by.iter().map(|key| &key.expr));
        let whole = own
            .iter()
            .all(|at| keys::is_whole(schema.field(*at).data_type()));
        let keys = own.iter().map(|at| ascending(&schema, *at));
        if !whole || !input.equivalence_properties().ordering_satisfy(keys)? {
            return Ok(false);
        }
    }
    Ok(true)
}

impl DisplayAs for AlignedUnionExec {
    fn fmt_as(&self, kind: DisplayFormatType, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match kind {
            DisplayFormatType::TreeRender => write!(f, "by={}", self.by),
            _ => write!(f, "AlignedUnionExec: by=[{}]", self.by),
        }
    }
}

impl ExecutionPlan for AlignedUnionExec {
    fn name(&self) -> &'static str {
        "AlignedUnionExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.union.children()
    }

    fn required_input_ordering(&self) -> Vec<Option<OrderingRequirements>> {
        let by = columns(self.by.iter().map(|key| &key.expr));
        let children = self.children().into_iter();
        let required = children.map(|input| {
            let schema = input.schema();
            let keys = by.iter().map(|at| ascending(&schema, *at));
            LexOrdering::new(keys).map(OrderingRequirements::from)
        });
        required.collect()
    }

    /// Rows come out in the order of all inputs together: one that each of them has by itself, of descending days, is lost.
    fn maintains_input_order(&self) -> Vec<bool> {
        vec![false; self.children().len()]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false; self.children().len()]
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        self.union.apply_expressions(f)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let asked = columns(self.by.iter().map(|key| &key.expr));
        let union = Arc::clone(&self.union).replace_children(children, options)?;
        // Other inputs may be divided otherwise.
        Ok(
            match Self::of(&union, asked.get(..1).unwrap_or_default())? {
                Some(aligned) => Arc::new(aligned),
                None => union,
            },
        )
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
        self.replace_children(children, options)
    }

    fn gather_filters_for_pushdown(
        &self,
        _: FilterPushdownPhase,
        parent_filters: Vec<Arc<dyn PhysicalExpr>>,
        _: &ConfigOptions,
    ) -> Result<FilterDescription> {
        FilterDescription::from_children(parent_filters, &self.children())
    }

    fn handle_child_pushdown_result(
        &self,
        _: FilterPushdownPhase,
        found: ChildPushdownResult,
        _: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn ExecutionPlan>>> {
        Ok(FilterPushdownPropagation::if_all(found))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let consumer = MemoryConsumer::new(format!("AlignedUnion[{partition}]"));
        let reservation = consumer.register(context.memory_pool());
        let by: Vec<_> = self.by.iter().map(|key| Arc::clone(&key.expr)).collect();
        let inputs = self.children().into_iter().map(|input| {
            let stream = input.execute(partition, Arc::clone(&context))?;
            Ok(SortedInput::new(
                stream,
                by.clone(),
                reservation.new_empty(),
            ))
        });
        let run = Run {
            inputs: inputs.collect::<Result<_>>()?,
            schema: self.schema(),
            merged: None,
            block: context.session_config().batch_size().max(1),
            metrics: BaselineMetrics::new(&self.metrics, partition),
        };
        let batches = futures::stream::try_unfold(run, |mut run| async move {
            Ok(run.next().await?.map(|batch| (batch, run)))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(
            self.schema(),
            batches,
        )))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

/// The union of one partition, under way.
struct Run {
    inputs: Vec<SortedInput>,
    schema: SchemaRef,
    /// Rows that are not handed on yet.
    merged: Option<RecordBatch>,
    block: usize,
    metrics: BaselineMetrics,
}

impl Run {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(merged) = self.merged.take() {
                let rows = merged.num_rows().min(self.block);
                if rows < merged.num_rows() {
                    self.merged = Some(merged.slice(rows, merged.num_rows() - rows));
                }
                self.metrics.record_output(rows);
                return Ok(Some(merged.slice(0, rows)));
            }
            for input in &mut self.inputs {
                input.fill().await?;
            }
            if self.inputs.iter().all(SortedInput::is_empty) {
                return Ok(None);
            }
            let timer = self.metrics.elapsed_compute().timer();
            let limit = self.inputs.iter().filter_map(SortedInput::limit).min();
            let pieces: Vec<Piece> = self.inputs.iter_mut().map(|i| i.take(limit)).collect();
            let merged = merge(&self.schema, &pieces)?;
            self.merged = Some(merged).filter(|merged| merged.num_rows() > 0);
            timer.done();
        }
    }
}

/// The rows of sorted pieces in one order, those of an earlier piece first where keys are equal.
fn merge(schema: &SchemaRef, pieces: &[Piece]) -> Result<RecordBatch> {
    let rows = pieces.iter().filter(|piece| piece.len() > 0);
    let rows: Vec<RecordBatch> = rows
        .map(|piece| RecordBatch::try_new(Arc::clone(schema), piece.rows.columns().to_vec()))
        .collect::<Result<_, _>>()?;
    if let [one] = rows.as_slice() {
        return Ok(one.clone());
    }
    let mut order: Vec<(i128, u32)> = (pieces.iter().flat_map(|piece| piece.keys.iter().copied()))
        .zip(0..)
        .collect();
    // The sort finds the pieces to be in order, and merges them.
    order.sort_by_key(|(key, _)| *key);
    let order: UInt32Array = order.into_iter().map(|(_, row)| row).collect();
    let all = concat_batches(schema, &rows)?;
    let columns = take_arrays(all.columns(), &order, None)?;
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}
