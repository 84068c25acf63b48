//! Sorts within persons what is sorted by person already.
//!
//! A chunk holds some thousand persons; each one's few rows are sorted by themselves. Nothing is merged, nothing
//! spilled, and the first rows come out before the last ones are read.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, UInt32Array, make_comparator};
use arrow::compute::{SortColumn, take};
use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::config::ConfigOptions;
use datafusion::execution::TaskContext;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{LexOrdering, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::execution_plan::{ChildrenPropertiesMode, ReplaceChildrenOptions};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, Distribution, ExecutionPlan, ExecutionPlanProperties,
    InputDistributionRequirements, PlanProperties, SendableRecordBatchStream,
};

use super::changes::Changes;
use super::packed::{Packed, leading, packed};
use super::segments::{self, Work};

/// Sorts only within segments where the input is sorted by the first keys.
#[derive(Debug)]
pub(crate) struct SortWithinSegments;

impl PhysicalOptimizerRule for SortWithinSegments {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|plan| {
            let prefix = match plan.downcast_ref::<SortExec>() {
                Some(sort) => sorted_prefix(sort)?,
                None => 0,
            };
            Ok(if prefix > 0 {
                Transformed::yes(Arc::new(SegmentSortExec::new(plan, prefix)) as _)
            } else {
                Transformed::no(plan)
            })
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "SortWithinSegments"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// How many of a sort's first keys its input is sorted by; 0 when the sort must stay as it is.
fn sorted_prefix(sort: &SortExec) -> Result<usize> {
    let input = sort.input();
    let one_by_one =
        sort.preserve_partitioning() || input.output_partitioning().partition_count() == 1;
    if sort.fetch().is_some() || !one_by_one {
        return Ok(0);
    }
    let properties = input.equivalence_properties();
    let keys: Vec<_> = sort.expr().iter().cloned().collect();
    let mut prefix = 0;
    while prefix < keys.len() && properties.ordering_satisfy(keys[..=prefix].iter().cloned())? {
        prefix += 1;
    }
    // A constant is sorted too, but all rows would be one segment.
    let varies = keys[..prefix]
        .iter()
        .any(|key| properties.is_expr_constant(&key.expr).is_none());
    Ok(if varies { prefix } else { 0 })
}

#[derive(Debug)]
pub(super) struct SegmentSortExec {
    /// The sort that this one stands for: it knows the plan's properties.
    sort: Arc<dyn ExecutionPlan>,
    prefix: usize,
    metrics: ExecutionPlanMetricsSet,
}

impl SegmentSortExec {
    fn new(sort: Arc<dyn ExecutionPlan>, prefix: usize) -> Self {
        Self {
            sort,
            prefix,
            metrics: ExecutionPlanMetricsSet::new(),
        }
    }

    fn keys(&self) -> Option<&LexOrdering> {
        self.sort.downcast_ref::<SortExec>().map(SortExec::expr)
    }

    /// What tells its segments apart.
    pub(super) fn segments(&self) -> Vec<Arc<dyn PhysicalExpr>> {
        self.keys()
            .map_or_else(Vec::new, |keys| segments_of(keys, self.prefix))
    }
}

impl DisplayAs for SegmentSortExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.keys() {
            Some(keys) => write!(
                f,
                "SegmentSortExec: expr=[{keys}], sorted_prefix={}",
                self.prefix
            ),
            None => write!(f, "SegmentSortExec"),
        }
    }
}

impl ExecutionPlan for SegmentSortExec {
    fn name(&self) -> &'static str {
        "SegmentSortExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.sort.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.sort.children()
    }

    fn required_input_distribution(&self) -> Vec<Distribution> {
        self.input_distribution_requirements().into_per_child()
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        self.sort.input_distribution_requirements()
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        self.sort.apply_expressions(f)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let sort = Arc::clone(&self.sort).replace_children(children, options)?;
        // Another input may be sorted otherwise.
        let prefix = match sort.downcast_ref::<SortExec>() {
            Some(sort) => sorted_prefix(sort)?,
            None => 0,
        };
        Ok(if prefix > 0 {
            Arc::new(Self::new(sort, prefix))
        } else {
            sort
        })
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
        let children = self.sort.children();
        let (Some(keys), [input]) = (self.keys(), children.as_slice()) else {
            return self.sort.execute(partition, context);
        };
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        sort_each(
            "SegmentSort",
            (keys, self.prefix),
            input,
            partition,
            &context,
            metrics,
        )
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

/// The rows of an input that is sorted by the first of the keys, sorted by the others too.
pub(super) fn sort_each(
    name: &'static str,
    (keys, prefix): (&LexOrdering, usize),
    input: &Arc<dyn ExecutionPlan>,
    partition: usize,
    context: &Arc<TaskContext>,
    metrics: BaselineMetrics,
) -> Result<SendableRecordBatchStream> {
    let keys = keys.clone();
    let by = unsorted(&keys, prefix, input)?;
    let work = Work {
        name,
        partition,
        key: segments_of(&keys, prefix),
        chunk_rows: segments::CHUNK_ROWS,
        schema: input.schema(),
        metrics,
        each: move |chunk: &RecordBatch| sorted(chunk, &keys[..by], prefix),
    };
    segments::stream(input, work, context)
}

/// How many of the keys must be sorted by: rows that are equal in them stay as they are, and may be in the order of the rest
/// already. Records of a person lie in the order of their days, and sorted by concept they still do.
fn unsorted(keys: &LexOrdering, prefix: usize, input: &Arc<dyn ExecutionPlan>) -> Result<usize> {
    let order = input.equivalence_properties();
    for by in prefix + 1..keys.len() {
        let rest = keys[..prefix].iter().chain(&keys[by..]).cloned();
        if order.ordering_satisfy(rest)? {
            return Ok(by);
        }
    }
    Ok(keys.len())
}

fn segments_of(keys: &LexOrdering, prefix: usize) -> Vec<Arc<dyn PhysicalExpr>> {
    let keys = keys[..prefix].iter();
    keys.map(|key| Arc::clone(&key.expr)).collect()
}

/// A chunk of whole segments with each segment sorted.
fn sorted(chunk: &RecordBatch, keys: &[PhysicalSortExpr], prefix: usize) -> Result<RecordBatch> {
    let columns = keys
        .iter()
        .map(|key| {
            Ok(SortColumn {
                values: key.expr.evaluate(chunk)?.into_array(chunk.num_rows())?,
                options: Some(key.options),
            })
        })
        .collect::<Result<Vec<_>>>()?;
    let before: Vec<ArrayRef> = columns[..prefix]
        .iter()
        .map(|c| ArrayRef::clone(&c.values))
        .collect();
    let segments = Changes::of(&before, chunk.num_rows())?;
    let Some(order) = order_within(segments.runs(), &columns[prefix..], chunk.num_rows())? else {
        return Ok(chunk.clone());
    };
    // A segment's rows are the same in these.
    let same: Vec<usize> = keys[..prefix]
        .iter()
        .filter_map(|key| key.expr.downcast_ref::<Column>().map(Column::index))
        .collect();
    let sorted = chunk.columns().iter().enumerate().map(|(at, column)| {
        Ok(if same.contains(&at) {
            ArrayRef::clone(column)
        } else {
            take(column, &order, None)?
        })
    });
    let sorted = sorted.collect::<Result<Vec<_>>>()?;
    Ok(RecordBatch::try_new(chunk.schema(), sorted)?)
}

/// The order of the rows in which each segment is sorted by the columns, and rows that are equal in them stay as they are;
/// none when they are in order.
pub(crate) fn order_within(
    segments: &[Range<usize>],
    columns: &[SortColumn],
    rows: usize,
) -> Result<Option<UInt32Array>> {
    let Ok(count) = u32::try_from(rows) else {
        return datafusion::common::exec_err!(
            "one person has more than four billion rows: no sort can hold them"
        );
    };
    if columns.is_empty() {
        return Ok(None);
    }
    // With a row's place below its keys, equal rows stay as they are, and the sorted numbers say where each row was.
    let place = u32::BITS - count.leading_zeros();
    let below = (1u64 << place) - 1;
    let (mut keys, told) = leading(columns, place)?;
    if told > 0 {
        let mut changed = sorted_each(segments, &mut keys, Ord::cmp);
        if told < columns.len() {
            let alike = |a: &u64, b: &u64| a >> place == b >> place;
            let mut rest = None;
            for range in segments {
                let tied = keys[range.clone()].chunk_by_mut(alike);
                for tied in tied.filter(|tied| tied.len() > 1) {
                    let compare = match &mut rest {
                        Some(compare) => compare,
                        none => none.insert(comparison(&columns[told..])?),
                    };
                    changed |= sorted_one(tied, |a, b| compare(row(a & below), row(b & below)));
                }
            }
        }
        return Ok(places(keys, changed, |key| row(key & below)));
    }
    match packed(columns, place)? {
        Some(Packed::Narrow(mut keys)) => {
            let changed = sorted_each(segments, &mut keys, Ord::cmp);
            return Ok(places(keys, changed, |key| row(key & below)));
        }
        Some(Packed::Wide(mut keys)) => {
            let changed = sorted_each(segments, &mut keys, Ord::cmp);
            #[expect(clippy::cast_possible_truncation, reason = "the lowest bits")]
            let low = |key: u128| row(key as u64 & below);
            return Ok(places(keys, changed, low));
        }
        None => {}
    }
    let mut order: Vec<u32> = (0..count).collect();
    let compare = comparison(columns)?;
    let changed = sorted_each(segments, &mut order, |a, b| compare(*a, *b));
    Ok(places(order, changed, |row| row))
}

/// A row's place from the lowest bits of its number.
#[expect(clippy::cast_possible_truncation, reason = "there are no more rows")]
fn row(place: u64) -> u32 {
    place as u32
}

/// The order of two rows by columns, and of those that are equal as they lie.
fn comparison(columns: &[SortColumn]) -> Result<Box<dyn Fn(u32, u32) -> Ordering>> {
    Ok(match packed(columns, 0)? {
        Some(Packed::Narrow(keys)) => Box::new(by_numbers(keys)),
        Some(Packed::Wide(keys)) => Box::new(by_numbers(keys)),
        None => {
            let comparators = columns
                .iter()
                .map(|c| make_comparator(&c.values, &c.values, c.options.unwrap_or_default()))
                .collect::<Result<Vec<_>, _>>()?;
            Box::new(move |a, b| {
                let mut orders = comparators
                    .iter()
                    .map(|compare| compare(a as usize, b as usize));
                orders
                    .find(|order| order.is_ne())
                    .unwrap_or_else(|| a.cmp(&b))
            })
        }
    })
}

fn by_numbers<T: Ord>(keys: Vec<T>) -> impl Fn(u32, u32) -> Ordering {
    move |a, b| (&keys[a as usize], a).cmp(&(&keys[b as usize], b))
}

/// The rows' places in the order of numbers that hold them; none where the rows are in order.
fn places<T>(keys: Vec<T>, changed: bool, place: impl Fn(T) -> u32) -> Option<UInt32Array> {
    changed.then(|| UInt32Array::from_iter_values(keys.into_iter().map(place)))
}

/// Sorts each segment, and says whether any was not sorted.
fn sorted_each<T>(
    segments: &[Range<usize>],
    rows: &mut [T],
    compare: impl Fn(&T, &T) -> Ordering,
) -> bool {
    let mut changed = false;
    for range in segments {
        changed |= sorted_one(&mut rows[range.clone()], &compare);
    }
    changed
}

/// Sorts rows, and says whether they were not sorted.
fn sorted_one<T>(rows: &mut [T], compare: impl Fn(&T, &T) -> Ordering) -> bool {
    let sorted = rows.is_sorted_by(|a, b| compare(a, b).is_le());
    if !sorted {
        rows.sort_unstable_by(compare);
    }
    !sorted
}
