//! Joins by one whole number whose kept side is looked up: concepts, sites, visits.
//!
//! The engine's hash join (DataFusion 55) hashes each number, follows a chain, compares the numbers again and copies every column
//! of the rows that go through. Here a table has the numbers themselves, and where each row finds one other, as codes find
//! their concepts, the columns that go through are passed on as they are.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, RecordBatchOptions,
    UInt32Array, new_null_array,
};
use arrow::compute::{BatchCoalescer, concat, filter_record_batch, take};
use arrow::datatypes::{DataType, Int32Type, Int64Type, SchemaRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::utils::memory::RecordBatchMemoryCounter;
use datafusion::common::{
    DataFusionError, JoinSide, JoinType, NullEquality, Result, ScalarValue, exec_err,
};
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{
    BinaryExpr, DynamicFilterPhysicalExpr, InListExpr, lit,
};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::execution_plan::{ChildrenPropertiesMode, ReplaceChildrenOptions};
use datafusion::physical_plan::joins::utils::{ColumnIndex, JoinFilter, build_join_schema};
use datafusion::physical_plan::joins::{HashJoinExec, PartitionMode};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::stream::{EmptyRecordBatchStream, RecordBatchStreamAdapter};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, Distribution, ExecutionPlan, ExecutionPlanProperties,
    InputDistributionRequirements, PlanProperties, SendableRecordBatchStream,
};
use futures::future::{BoxFuture, FutureExt, Shared};
use futures::{StreamExt, TryFutureExt, TryStreamExt};

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
                so_far: Mutex::new(SoFar {
                    missing: tables,
                    bounds: None,
                    keys: Some(BTreeSet::new()),
                }),
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

/// No row.
const NONE: u32 = u32::MAX;
/// Numbers in order are so many slots from where they belong at most, on average.
const MOST_STEPS: usize = 2;
/// And no more of them are taken one after the other.
const MOST_TOGETHER: usize = 256;
/// A table has no more rows: places in it are numbers of 32 bits, of which one is none.
const MOST_ROWS: usize = 1 << 30;

/// A number, and the rows that have it.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    key: i64,
    /// The row where there is one; where others have a number several times, the first place among all rows in order.
    first: u32,
    /// How many; none in an empty slot.
    rows: u32,
}

/// The rows of the kept side by their numbers.
#[derive(Debug)]
struct Table {
    /// Empty without a number, and otherwise half empty.
    slots: Vec<Slot>,
    /// From which number on slots are in order, if they are, and how many 2^64ths of a slot each number is further; 0 where it is
    /// one slot.
    low: Option<i64>,
    scale: u64,
    /// How many bits of a number's hash tell nothing.
    shift: u32,
    /// How many numbers there are, and between which.
    numbers: usize,
    bounds: Option<(i64, i64)>,
    /// The rows in the order of their numbers' slots, where a number has several.
    order: Vec<u32>,
    /// The columns of these rows that the join passes on, and those that its condition asks for.
    columns: Vec<ArrayRef>,
    rows: usize,
    _memory: MemoryReservation,
}

impl Table {
    async fn of(
        mut input: SendableRecordBatchStream,
        key: Key,
        columns: Vec<usize>,
        memory: MemoryReservation,
    ) -> Result<Self> {
        let mut counter = RecordBatchMemoryCounter::new();
        let schema = input.schema();
        let (mut keys, mut kept) = (Vec::new(), vec![Vec::new(); columns.len()]);
        while let Some(batch) = input.try_next().await? {
            memory.try_grow(counter.count_batch(&batch))?;
            keys.push(key.evaluate(&batch)?.into_array(batch.num_rows())?);
            for (kept, at) in kept.iter_mut().zip(&columns) {
                kept.push(Arc::clone(batch.column(*at)));
            }
        }
        let rows: usize = keys.iter().map(|keys| keys.len()).sum();
        if rows > MOST_ROWS {
            return exec_err!("a join keeps at most 2^30 rows of one side");
        }
        let slots = (rows * 2).next_power_of_two();
        // With the slot of each row, the next place of each slot, and which rows were found.
        let of_rows = rows * (2 * size_of::<u32>() + size_of::<bool>());
        memory.try_grow(slots * (size_of::<Slot>() + size_of::<u32>()) + of_rows)?;
        let whole = |parts: &[ArrayRef]| {
            let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
            concat(&parts)
        };
        let mut made = Vec::with_capacity(columns.len());
        for (parts, at) in kept.iter().zip(&columns) {
            made.push(match parts.as_slice() {
                [] => arrow::array::new_empty_array(schema.field(*at).data_type()),
                [one] => Arc::clone(one),
                parts => whole(parts)?,
            });
        }
        let mut table = Self {
            slots: Vec::new(),
            low: None,
            scale: 0,
            shift: 0,
            numbers: 0,
            bounds: None,
            order: Vec::new(),
            columns: made,
            rows,
            _memory: memory,
        };
        table.fill(&keys, slots);
        Ok(table)
    }

    fn fill(&mut self, keys: &[ArrayRef], slots: usize) {
        let mut known = 0;
        for keys in keys {
            each_key(keys.as_ref(), |key| {
                if let Some(key) = key {
                    let (low, high) = self.bounds.unwrap_or((key, key));
                    self.bounds = Some((low.min(key), high.max(key)));
                    known += 1;
                }
            });
        }
        let Some((low, high)) = self.bounds else {
            return;
        };
        // Numbers in order find their slots side by side; where they lie too unevenly for that, anywhere.
        let range = u128::from(low.abs_diff(high));
        self.slots = vec![Slot::default(); slots];
        self.shift = u64::BITS - slots.trailing_zeros();
        self.low = Some(low);
        if range >= slots as u128 {
            self.scale = u64::try_from(((slots as u128) << 64) / (range + 1)).unwrap_or(u64::MAX);
        }
        let mut slot_of = Vec::new();
        let mut runs = self.number(keys, &mut slot_of, known * MOST_STEPS);
        // A number that is not there is looked for as far as slots are taken.
        if runs.is_none() || (self.scale > 0 && self.longest() > MOST_TOGETHER) {
            self.slots.fill(Slot::default());
            self.low = None;
            runs = self.number(keys, &mut slot_of, usize::MAX);
        }
        let Some(runs) = runs else {
            return;
        };
        if self.numbers == known {
            return;
        }
        let rows: usize = keys.iter().map(|keys| keys.len()).sum();
        #[expect(clippy::cast_possible_truncation, reason = "there are no more rows")]
        if runs && known == rows {
            // The rows of each number follow each other as they are.
            self.order = (0..rows as u32).collect();
            return;
        }
        let mut begin = 0;
        for slot in &mut self.slots {
            slot.first = begin;
            begin += slot.rows;
        }
        self.order = vec![0; known];
        let mut next: Vec<u32> = self.slots.iter().map(|slot| slot.first).collect();
        for (slot, row) in slot_of.iter().zip(0..) {
            if *slot != NONE {
                let place = &mut next[*slot as usize];
                self.order[*place as usize] = row;
                *place += 1;
            }
        }
    }

    /// Gives each number its slot, which is told of each row, and says whether equal ones follow each other; none where that takes
    /// too many steps.
    fn number(
        &mut self,
        keys: &[ArrayRef],
        slot_of: &mut Vec<u32>,
        most_steps: usize,
    ) -> Option<bool> {
        self.numbers = 0;
        slot_of.clear();
        let (mut row, mut steps, mut runs) = (0, 0, true);
        let mut last = (0, usize::MAX);
        for keys in keys {
            each_key(keys.as_ref(), |key| {
                if let Some(key) = key.filter(|_| steps <= most_steps) {
                    if last.1 == usize::MAX || last.0 != key {
                        let at = self.place(key);
                        steps += at.wrapping_sub(self.home(key)) & (self.slots.len() - 1);
                        runs &= self.slots[at].rows == 0;
                        last = (key, at);
                    }
                    let slot = &mut self.slots[last.1];
                    if slot.rows == 0 {
                        (slot.key, slot.first) = (key, row);
                        self.numbers += 1;
                    }
                    slot.rows += 1;
                }
                #[expect(clippy::cast_possible_truncation, reason = "at most 2^32 slots")]
                slot_of.push(key.map_or(NONE, |_| last.1 as u32));
                row += 1;
            });
        }
        (steps <= most_steps).then_some(runs)
    }

    /// How many slots follow each other that are taken, at most.
    fn longest(&self) -> usize {
        let taken = self.slots.split(|slot| slot.rows == 0);
        taken.map(<[Slot]>::len).max().unwrap_or(0)
    }

    /// Where a number, which is within the bounds, is looked for first.
    #[inline]
    fn home(&self, key: i64) -> usize {
        #[expect(
            clippy::cast_sign_loss,
            clippy::cast_possible_truncation,
            reason = "all bits count, and there are no more slots"
        )]
        match self.low {
            Some(low) if self.scale == 0 => key.wrapping_sub(low) as usize,
            Some(low) => {
                let further = u128::from(key.wrapping_sub(low) as u64);
                ((further * u128::from(self.scale)) >> 64) as usize
            }
            // An odd number without a pattern: the golden ratio in 64 bits.
            None => ((key as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> self.shift) as usize,
        }
    }

    /// The slot of a number that has one, or the empty one where it would be.
    #[inline]
    fn place(&self, key: i64) -> usize {
        let mut at = self.home(key);
        loop {
            let slot = &self.slots[at];
            if slot.rows == 0 || slot.key == key {
                return at;
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
    }

    /// The rows of a slot, where numbers have several.
    fn of_slot(&self, at: u32) -> &[u32] {
        let slot = &self.slots[at as usize];
        &self.order[slot.first as usize..(slot.first + slot.rows) as usize]
    }

    /// Where each of these numbers is found: its row, or its slot where numbers have several rows. And how many are not.
    fn look_up(&self, keys: &dyn Array) -> (Vec<u32>, usize) {
        let mut found = Vec::with_capacity(keys.len());
        let mut missing = 0;
        if self.slots.is_empty() {
            return (vec![NONE; keys.len()], keys.len());
        }
        let (low, high) = self.bounds.unwrap_or_default();
        let single = self.order.is_empty();
        let mut last = (0, NONE);
        let mut any = false;
        each_key(keys, |key| {
            let Some(key) = key.filter(|key| (low..=high).contains(key)) else {
                missing += 1;
                found.push(NONE);
                return;
            };
            // Rows of one number often follow each other.
            if !any || last.0 != key {
                let at = self.place(key);
                let slot = &self.slots[at];
                #[expect(clippy::cast_possible_truncation, reason = "at most 2^32 slots")]
                let place = match (slot.rows, single) {
                    (0, _) => NONE,
                    (_, true) => slot.first,
                    (_, false) => at as u32,
                };
                (last, any) = ((key, place), true);
            }
            missing += usize::from(last.1 == NONE);
            found.push(last.1);
        });
        (found, missing)
    }
}

#[inline]
fn each_key(keys: &dyn Array, mut each: impl FnMut(Option<i64>)) {
    if let Some(keys) = keys.as_primitive_opt::<Int64Type>() {
        if keys.null_count() == 0 {
            keys.values().iter().for_each(|key| each(Some(*key)));
        } else {
            keys.iter().for_each(each);
        }
    } else if let Some(keys) = keys.as_primitive_opt::<Int32Type>() {
        keys.iter().for_each(|key| each(key.map(i64::from)));
    }
}

/// How the rows of the other side are joined.
#[derive(Debug, Clone)]
struct Probe {
    key: Key,
    join_type: JoinType,
    columns: Vec<ColumnIndex>,
    schema: SchemaRef,
    condition: Option<Arc<JoinFilter>>,
}

impl Probe {
    /// Of pairs of rows those that meet the condition.
    fn met(
        &self,
        table: &Table,
        batch: &RecordBatch,
        (left, right): (Vec<u32>, Vec<u32>),
    ) -> Result<(Vec<u32>, Vec<u32>)> {
        let Some(condition) = &self.condition else {
            return Ok((left, right));
        };
        let (of_left, of_right) = (UInt32Array::from(left), UInt32Array::from(right));
        let passed_on = |column: &&ColumnIndex| column.side == JoinSide::Left;
        let mut asked = table.columns.iter();
        if let Some(before) = self.columns.iter().filter(passed_on).count().checked_sub(1) {
            asked.nth(before);
        }
        let mut columns = Vec::with_capacity(condition.column_indices().len());
        for column in condition.column_indices() {
            let (values, rows) = match (column.side, asked.as_slice()) {
                (JoinSide::Left, [first, ..]) => {
                    asked.next();
                    (first, &of_left)
                }
                _ => (batch.column(column.index), &of_right),
            };
            columns.push(take(values.as_ref(), rows, None)?);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(of_left.len()));
        let schema = Arc::clone(condition.schema());
        let both = RecordBatch::try_new_with_options(schema, columns, &options)?;
        let met = condition.expression().evaluate(&both)?;
        let met = met.into_array(of_left.len())?;
        let met = met.as_boolean().iter().map(|met| met == Some(true));
        let pairs = of_left.values().iter().zip(of_right.values());
        let pairs = pairs.zip(met).filter(|(_, met)| *met);
        Ok(pairs.map(|((left, right), _)| (*left, *right)).unzip())
    }

    /// Rows of the other side, as they are, beside those of the table; none of the table where there is no number.
    fn beside(
        &self,
        table: &Table,
        batch: &RecordBatch,
        rows: &UInt32Array,
    ) -> Result<RecordBatch> {
        let mut of_table = table.columns.iter();
        let mut columns = Vec::with_capacity(self.columns.len());
        for column in &self.columns {
            columns.push(match (column.side, of_table.as_slice()) {
                (JoinSide::Left, [first, ..]) => {
                    of_table.next();
                    take(first.as_ref(), rows, None)?
                }
                _ => Arc::clone(batch.column(column.index)),
            });
        }
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let schema = Arc::clone(&self.schema);
        Ok(RecordBatch::try_new_with_options(
            schema, columns, &options,
        )?)
    }

    /// Only the columns of the other side that are passed on.
    fn passed_on(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let columns = self.columns.iter();
        let columns: Vec<usize> = columns.map(|column| column.index).collect();
        Ok(batch.project(&columns)?)
    }
}

/// Rows of a batch that find several others, under way.
#[derive(Debug)]
struct Pairs {
    batch: RecordBatch,
    /// Their slots, or their rows where there are no others.
    found: Vec<u32>,
    /// The row that is next, and how many of its pairs were made.
    row: usize,
    made: usize,
}

impl Pairs {
    /// About so many of the next pairs, and whether there are more.
    fn next(&mut self, table: &Table, keeps: bool, most: usize) -> (Vec<u32>, Vec<u32>) {
        let (mut left, mut right) = (Vec::with_capacity(most), Vec::with_capacity(most));
        let single = table.order.is_empty();
        while self.row < self.found.len() && left.len() < most {
            #[expect(clippy::cast_possible_truncation, reason = "a row of a batch")]
            let row = self.row as u32;
            match self.found[self.row] {
                NONE if keeps => left.push(NONE),
                NONE => {}
                found if single => left.push(found),
                found => {
                    let all = table.of_slot(found);
                    let rest = &all[self.made..];
                    let taken = rest.len().min(most - left.len());
                    left.extend_from_slice(&rest[..taken]);
                    self.made += taken;
                    if self.made < all.len() {
                        right.resize(left.len(), row);
                        break;
                    }
                }
            }
            right.resize(left.len(), row);
            (self.row, self.made) = (self.row + 1, 0);
        }
        (left, right)
    }
}

/// The join of one partition, under way.
struct Run {
    right: SendableRecordBatchStream,
    table: Arc<Table>,
    probe: Probe,
    block: usize,
    pairs: Option<Pairs>,
    /// Which rows of the table were found, where they decide.
    seen: Vec<bool>,
    /// Those that are to be told of in the end, and how many were.
    rest: Option<(Vec<u32>, usize)>,
    coalescer: BatchCoalescer,
    ended: bool,
    metrics: BaselineMetrics,
}

impl Run {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(batch) = self.coalescer.next_completed_batch() {
                self.metrics.record_output(batch.num_rows());
                return Ok(Some(batch));
            }
            if self.ended {
                return Ok(None);
            }
            let joined = if self.pairs.is_some() {
                // Pairs may be many, and none be told of.
                tokio::task::consume_budget().await;
                self.next_pairs()?
            } else if self.rest.is_some() {
                self.next_of_rest()?
            } else if let Some(batch) = self.right.try_next().await? {
                self.join(batch)?
            } else {
                self.rest = Some((self.unanswered(), 0));
                None
            };
            if self
                .rest
                .as_ref()
                .is_some_and(|(rows, told)| *told >= rows.len())
            {
                self.ended = true;
            }
            match joined {
                // Rows without columns are only counted.
                Some(batch) if batch.num_columns() == 0 && batch.num_rows() > 0 => {
                    self.metrics.record_output(batch.num_rows());
                    return Ok(Some(batch));
                }
                Some(batch) if batch.num_rows() > 0 => self.coalescer.push_batch(batch)?,
                _ => {}
            }
            if self.ended {
                self.coalescer.finish_buffered_batch()?;
            }
        }
    }

    /// The rows of the table that are told of in the end.
    fn unanswered(&self) -> Vec<u32> {
        let seen = self.seen.iter().zip(0_u32..);
        let asked = self.probe.join_type == JoinType::LeftSemi;
        let rows = seen.filter(|(seen, _)| **seen == asked);
        rows.map(|(_, row)| row).collect()
    }

    fn next_of_rest(&mut self) -> Result<Option<RecordBatch>> {
        let Some((rows, told)) = &mut self.rest else {
            return Ok(None);
        };
        let end = rows.len().min(*told + self.block);
        let some = UInt32Array::from(rows[*told..end].to_vec());
        *told = end;
        let mut of_table = self.table.columns.iter();
        let mut columns = Vec::with_capacity(self.probe.columns.len());
        let fields = self.probe.schema.fields().iter();
        for (column, field) in self.probe.columns.iter().zip(fields) {
            columns.push(match (column.side, of_table.as_slice()) {
                (JoinSide::Left, [first, ..]) => {
                    of_table.next();
                    take(first.as_ref(), &some, None)?
                }
                _ => new_null_array(field.data_type(), some.len()),
            });
        }
        let options = RecordBatchOptions::new().with_row_count(Some(some.len()));
        let schema = Arc::clone(&self.probe.schema);
        let rest = RecordBatch::try_new_with_options(schema, columns, &options)?;
        Ok(Some(rest))
    }

    /// Marks what these found.
    fn see(&mut self, found: &[u32]) {
        let single = self.table.order.is_empty();
        for found in found.iter().filter(|found| **found != NONE) {
            if single {
                self.seen[*found as usize] = true;
                continue;
            }
            let rows = self.table.of_slot(*found);
            // All of them were marked with the first.
            if rows.first().is_some_and(|row| !self.seen[*row as usize]) {
                rows.iter().for_each(|row| self.seen[*row as usize] = true);
            }
        }
    }

    fn join(&mut self, batch: RecordBatch) -> Result<Option<RecordBatch>> {
        let metrics = self.metrics.clone();
        let _timer = metrics.elapsed_compute().timer();
        let keys = self.probe.key.evaluate(&batch)?;
        let (found, missing) = self
            .table
            .look_up(keys.into_array(batch.num_rows())?.as_ref());
        let some = |found: &u32| *found != NONE;
        let conditional = self.probe.condition.is_some();
        if !self.seen.is_empty() && !conditional {
            self.see(&found);
        }
        let keeps = match self.probe.join_type {
            JoinType::LeftSemi | JoinType::LeftAnti if !conditional => return Ok(None),
            JoinType::RightSemi | JoinType::RightAnti => {
                let anti = self.probe.join_type == JoinType::RightAnti;
                let passed = self.probe.passed_on(&batch)?;
                let passes: BooleanArray = found
                    .iter()
                    .map(|found| Some(some(found) != anti))
                    .collect();
                return Ok(match passes.true_count() {
                    0 => None,
                    all if all == batch.num_rows() => Some(passed),
                    _ => Some(filter_record_batch(&passed, &passes)?),
                });
            }
            join_type => join_type == JoinType::Right,
        };
        if !self.table.order.is_empty() || conditional {
            self.pairs = Some(Pairs {
                batch,
                found,
                row: 0,
                made: 0,
            });
            return Ok(None);
        }
        if missing == 0 || keeps {
            let rows = numbers(found, missing > 0);
            return self.probe.beside(&self.table, &batch, &rows).map(Some);
        }
        if missing == batch.num_rows() {
            return Ok(None);
        }
        let passes: BooleanArray = found.iter().map(|found| Some(some(found))).collect();
        let batch = filter_record_batch(&batch, &passes)?;
        let rows = UInt32Array::from_iter_values(found.into_iter().filter(some));
        self.probe.beside(&self.table, &batch, &rows).map(Some)
    }

    fn next_pairs(&mut self) -> Result<Option<RecordBatch>> {
        let metrics = self.metrics.clone();
        let _timer = metrics.elapsed_compute().timer();
        let Some(mut pairs) = self.pairs.take() else {
            return Ok(None);
        };
        let keeps = self.probe.join_type == JoinType::Right;
        let made = pairs.next(&self.table, keeps, self.block);
        let (left, right) = self.probe.met(&self.table, &pairs.batch, made)?;
        if !self.seen.is_empty() && self.probe.condition.is_some() {
            left.iter().for_each(|row| self.seen[*row as usize] = true);
        }
        let told = match self.probe.join_type {
            JoinType::LeftSemi | JoinType::LeftAnti => None,
            _ => {
                let rows = UInt32Array::from(right);
                let columns = pairs.batch.columns().iter();
                let columns = columns.map(|column| take(column.as_ref(), &rows, None));
                let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
                let batch = RecordBatch::try_new_with_options(
                    pairs.batch.schema(),
                    columns.collect::<Result<_, _>>()?,
                    &options,
                )?;
                let rows = numbers(left, keeps);
                Some(self.probe.beside(&self.table, &batch, &rows)?)
            }
        };
        if pairs.row < pairs.found.len() {
            self.pairs = Some(pairs);
        }
        Ok(told)
    }
}

/// Rows of a table, of which some may be none.
fn numbers(rows: Vec<u32>, some_are_none: bool) -> UInt32Array {
    if some_are_none {
        let rows = rows.into_iter();
        return rows.map(|row| (row != NONE).then_some(row)).collect();
    }
    UInt32Array::from(rows)
}

/// What the other side is told once all tables are made: between which numbers it has to look, or for which.
#[derive(Debug)]
struct Learned {
    filter: Arc<DynamicFilterPhysicalExpr>,
    key: Key,
    kind: DataType,
    schema: SchemaRef,
    so_far: Mutex<SoFar>,
}

#[derive(Debug)]
struct SoFar {
    /// Tables that are not made.
    missing: usize,
    bounds: Option<(i64, i64)>,
    /// None once there are too many.
    keys: Option<BTreeSet<i64>>,
}

/// So many numbers are told one by one, as by the engine.
const FEW: usize = 150;

impl Learned {
    fn add(&self, table: &Table) -> Result<()> {
        let mut so_far = self.so_far.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((low, high)) = table.bounds {
            let (least, greatest) = so_far.bounds.unwrap_or((low, high));
            so_far.bounds = Some((low.min(least), high.max(greatest)));
        }
        if table.numbers > FEW {
            so_far.keys = None;
        } else if let Some(keys) = &mut so_far.keys {
            let slots = table.slots.iter().filter(|slot| slot.rows > 0);
            keys.extend(slots.map(|slot| slot.key));
            if keys.len() > FEW {
                so_far.keys = None;
            }
        }
        so_far.missing = so_far.missing.saturating_sub(1);
        if so_far.missing > 0 {
            return Ok(());
        }
        let Some((low, high)) = so_far.bounds else {
            self.filter.update(lit(false))?;
            self.filter.mark_complete();
            return Ok(());
        };
        let compare = |operator, value| -> Key {
            Arc::new(BinaryExpr::new(Arc::clone(&self.key), operator, value))
        };
        let and = |left: Key, right: Key| -> Key {
            Arc::new(BinaryExpr::new(left, Operator::And, right))
        };
        let mut told = and(
            compare(Operator::GtEq, self.literal(low)?),
            compare(Operator::LtEq, self.literal(high)?),
        );
        if let Some(keys) = &so_far.keys {
            let keys: Int64Array = keys.iter().copied().map(Some).collect();
            let keys = arrow::compute::cast(&keys, &self.kind)?;
            let key = Arc::clone(&self.key);
            let among = InListExpr::try_new_from_array(key, keys, false, &self.schema)?;
            told = and(told, Arc::new(among));
        }
        self.filter.update(told)?;
        self.filter.mark_complete();
        Ok(())
    }

    fn literal(&self, number: i64) -> Result<Key> {
        Ok(lit(ScalarValue::from(number).cast_to(&self.kind)?))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use arrow::array::StringArray;
    use arrow::datatypes::{Field, Schema};
    use datafusion::catalog::memory::MemorySourceConfig;
    use datafusion::physical_plan::collect;
    use datafusion::prelude::{SessionConfig, SessionContext};
    use proptest::prelude::*;

    use super::*;

    type Keys = Vec<Option<i64>>;

    /// Rows with a number that is looked up, and a text that tells them apart, in batches of seven.
    fn rows(name: &str, keys: &Keys, kind: &DataType) -> Arc<dyn ExecutionPlan> {
        let schema = Arc::new(Schema::new(vec![
            Field::new(format!("{name}_key"), kind.clone(), true),
            Field::new(name, DataType::Utf8, false),
        ]));
        let texts: StringArray = (0..keys.len())
            .map(|row| Some(format!("{name} {row}")))
            .collect();
        let numbers: Int64Array = keys.iter().copied().collect();
        let numbers = arrow::compute::cast(&numbers, kind).unwrap();
        let all = RecordBatch::try_new(Arc::clone(&schema), vec![numbers, Arc::new(texts)]);
        let all = all.unwrap();
        let batches = (0..all.num_rows()).step_by(7);
        let batches = batches.map(|from| all.slice(from, 7.min(all.num_rows() - from)));
        let batches = vec![batches.collect()];
        MemorySourceConfig::try_new_exec(&batches, schema, None).unwrap()
    }

    fn joined(
        sides: [&Arc<dyn ExecutionPlan>; 2],
        (join_type, projection): (JoinType, Option<Vec<usize>>),
        mode: PartitionMode,
        condition: Option<JoinFilter>,
    ) -> Arc<dyn ExecutionPlan> {
        let key = |side: usize| {
            let schema = sides[side].schema();
            datafusion::physical_expr::expressions::col(schema.field(0).name(), &schema).unwrap()
        };
        let join = HashJoinExec::try_new(
            Arc::clone(sides[0]),
            Arc::clone(sides[1]),
            vec![(key(0), key(1))],
            condition,
            &join_type,
            projection,
            mode,
            NullEquality::NullEqualsNothing,
            false,
        );
        Arc::new(join.unwrap())
    }

    fn answer(plan: Arc<dyn ExecutionPlan>) -> Vec<String> {
        let config = SessionConfig::new().with_batch_size(5);
        let context = SessionContext::new_with_config(config).task_ctx();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let batches = runtime.block_on(collect(plan, context)).unwrap();
        let format = arrow::util::display::FormatOptions::new().with_null("NULL");
        let mut lines = Vec::new();
        for batch in &batches {
            let columns = batch.columns().iter();
            let columns = columns
                .map(|column| arrow::util::display::ArrayFormatter::try_new(column, &format));
            let columns: Vec<_> = columns.collect::<Result<_, _>>().unwrap();
            for row in 0..batch.num_rows() {
                let values = columns.iter().map(|column| column.value(row).to_string());
                lines.push(values.collect::<Vec<_>>().join("|"));
            }
        }
        lines
    }

    /// Whether the text of the left row is the smaller one.
    fn smaller() -> JoinFilter {
        let index = |side| ColumnIndex { index: 1, side };
        let field = |name| Field::new(name, DataType::Utf8, false);
        let schema = Arc::new(Schema::new(vec![field("r"), field("l")]));
        let column = |name| datafusion::physical_expr::expressions::col(name, &schema).unwrap();
        let rest = |name| -> Key {
            // Behind the first letter, which tells the sides apart.
            let (from, of) = (lit(3_i64), column(name));
            let function = datafusion::functions::unicode::substr();
            let field = Arc::new(Field::new("rest", DataType::Utf8, true));
            let options = Arc::new(ConfigOptions::default());
            Arc::new(datafusion::physical_expr::ScalarFunctionExpr::new(
                "substr",
                function,
                vec![of, from],
                field,
                options,
            ))
        };
        let smaller = BinaryExpr::new(rest("l"), Operator::Lt, rest("r"));
        let indices = vec![index(JoinSide::Right), index(JoinSide::Left)];
        JoinFilter::new(Arc::new(smaller), indices, schema)
    }

    /// The engine's own hash join is the reference.
    #[test]
    fn looks_up_what_the_hash_join_finds() {
        let keys =
            |most: usize| prop::collection::vec(prop::option::weighted(0.9, -6_i64..6), 0..most);
        let shapes = (keys(30), keys(60), any::<bool>(), any::<bool>());
        let checked = std::cell::RefCell::new(BTreeSet::new());
        proptest!(ProptestConfig::with_cases(60), |((mut left, right, unique, small) in shapes)| {
            if unique {
                let mut seen = BTreeSet::new();
                left.retain(|key| key.is_none_or(|key| seen.insert(key)));
            }
            let kind = if small { DataType::Int32 } else { DataType::Int64 };
            let (left, right) = (rows("l", &left, &kind), rows("r", &right, &kind));
            for mode in [PartitionMode::CollectLeft, PartitionMode::Partitioned] {
                for (join_type, projection) in [
                    (JoinType::Inner, None),
                    (JoinType::Inner, Some(vec![3, 1])),
                    (JoinType::Inner, Some(vec![2])),
                    (JoinType::Right, None),
                    (JoinType::Right, Some(vec![1, 0, 3])),
                    (JoinType::RightSemi, None),
                    (JoinType::RightSemi, Some(vec![1])),
                    (JoinType::RightAnti, None),
                    (JoinType::Left, None),
                    (JoinType::Left, Some(vec![3, 1])),
                    (JoinType::LeftSemi, None),
                    (JoinType::LeftAnti, Some(vec![1])),
                ] {
                    for condition in [None, Some(smaller())] {
                        let join = joined([&left, &right], (join_type, projection.clone()), mode, condition);
                        let Some(own) = LookupJoinExec::of(&join).unwrap() else {
                            continue;
                        };
                        checked.borrow_mut().insert((join_type.to_string(), own.probe.condition.is_some()));
                        let (mut expected, mut found) = (answer(join), answer(Arc::new(own)));
                        expected.sort();
                        found.sort();
                        prop_assert_eq!(found, expected, "{:?} {}", mode, join_type);
                    }
                }
            }
        });
        let checked = checked.into_inner();
        assert_eq!(checked.len(), 11, "{checked:?}");
    }

    /// Rows are counted where no column is asked for.
    #[test]
    fn rows_without_columns_are_counted() {
        let left = rows("l", &vec![Some(1), Some(1), None], &DataType::Int64);
        let right = rows(
            "r",
            &vec![Some(1), None, Some(2), Some(1)],
            &DataType::Int64,
        );
        let join = joined(
            [&left, &right],
            (JoinType::Inner, Some(vec![])),
            PartitionMode::CollectLeft,
            None,
        );
        let own = LookupJoinExec::of(&join).unwrap().unwrap();
        assert_eq!(answer(Arc::new(own)).len(), 4);
    }

    #[test]
    fn the_other_side_learns_what_is_looked_for() {
        let learned = |keys: &Keys| {
            let left = rows("l", keys, &DataType::Int64);
            let right = rows("r", &vec![Some(1)], &DataType::Int64);
            let key = datafusion::physical_expr::expressions::col("r_key", &right.schema());
            let filter = Arc::new(DynamicFilterPhysicalExpr::new(
                vec![key.unwrap()],
                lit(true),
            ));
            let join = joined(
                [&left, &right],
                (JoinType::Inner, None),
                PartitionMode::CollectLeft,
                None,
            );
            let join = join.downcast_ref::<HashJoinExec>().unwrap();
            let join = join.builder().build().unwrap();
            let join = join.with_dynamic_filter_expr(Arc::clone(&filter)).unwrap();
            let own = LookupJoinExec::of(&(Arc::new(join) as _)).unwrap().unwrap();
            answer(Arc::new(own));
            filter.current().unwrap().to_string()
        };
        let few = learned(&vec![Some(7), None, Some(-3), Some(7)]);
        assert!(
            few.starts_with("r_key@0 >= -3 AND r_key@0 <= 7 AND "),
            "{few}"
        );
        assert!(few.contains("IN (SET) ([-3, 7])"), "{few}");
        let many = learned(&(0..400).map(Some).collect());
        assert_eq!(many, "r_key@0 >= 0 AND r_key@0 <= 399");
        assert_eq!(learned(&vec![None]), "false");
    }
}
