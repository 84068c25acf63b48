//! Reads of the large side of a join by person only what is of the persons of the small one.
//!
//! Both sides of [`SegmentJoinExec`] are gone through at once, so that neither says anything to the other's scan. Where one is far
//! smaller, it is read first, range by range, and the decoder of the other reads the person's column, and the other columns of
//! those persons that were found. Most rows may turn out to be theirs: then nothing is left out any more.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::datatypes::{DataType, Int64Type, Schema};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{JoinType, Result, ScalarValue};
use datafusion::config::ConfigOptions;
use datafusion::datasource::physical_plan::{FileScanConfigBuilder, FileSource, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::logical_expr::{ColumnarValue, Operator};
use datafusion::physical_expr::expressions::{BinaryExpr, Column};
use datafusion::physical_expr::{Partitioning, PhysicalExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::execution_plan::{ChildrenPropertiesMode, ReplaceChildrenOptions};
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ExecutionPlan, ExecutionPlanProperties, SendableRecordBatchStream,
};
use futures::{StreamExt, TryStreamExt};

use super::build_side::rows;
use super::segment_join::SegmentJoinExec;
use super::segment_sort::SegmentSortExec;

/// The small side's rows are so many times fewer.
const TIMES_FEWER: usize = 8;
/// So many rows of a range, and so many bytes, are kept to learn its persons.
const MOST_KEPT: usize = 128 * 1024;
const MOST_BYTES: usize = 16 << 20;
/// After so many rows it is seen what share of them is left out.
const SAMPLE: usize = 32 * 1024;
/// One row in so many passes where it is worth it.
const ONE_IN: usize = 3;

/// Tells scans of the persons that they are joined with.
#[derive(Debug)]
pub(crate) struct ReadFewPersons;

impl PhysicalOptimizerRule for ReadFewPersons {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        options: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        // Fewer rows are read as quickly as they are.
        let small = options.optimizer.hash_join_single_partition_threshold_rows;
        plan.transform_up(|plan| {
            let Some(join) = plan.downcast_ref::<SegmentJoinExec>() else {
                return Ok(Transformed::no(plan));
            };
            let drops = matches!(
                join.join_type(),
                JoinType::Inner | JoinType::Left | JoinType::LeftSemi | JoinType::RightSemi
            );
            let [left, right] = join.children()[..] else {
                return Ok(Transformed::no(plan));
            };
            let few = rows(left)
                .zip(rows(right))
                .is_some_and(|(few, many)| many >= small && few <= many / TIMES_FEWER);
            let person = join
                .person()
                .and_then(|(_, right)| right.downcast_ref::<Column>());
            let (true, true, Some(person)) = (drops, few, person) else {
                return Ok(Transformed::no(plan));
            };
            Ok(match told(right, person.index())? {
                Some((right, persons)) => {
                    Transformed::yes(Arc::new(join.telling(right, persons)) as _)
                }
                None => Transformed::no(plan),
            })
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "ReadFewPersons"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

type Told = (Arc<dyn ExecutionPlan>, Arc<Persons>);

/// The plan with a scan that will know which persons are asked for; none where nothing but a scan's rows one by one comes through.
fn told(plan: &Arc<dyn ExecutionPlan>, person: usize) -> Result<Option<Told>> {
    // Of the first rows of all, others would be the first of these persons.
    if plan.fetch().is_some() {
        return Ok(None);
    }
    let below = if let Some(filter) = plan.downcast_ref::<FilterExec>() {
        match filter.projection().as_ref() {
            Some(projection) => projection.get(person).copied(),
            None => Some(person),
        }
    } else if let Some(projection) = plan.downcast_ref::<ProjectionExec>() {
        let column = projection.expr().get(person);
        let column = column.and_then(|column| column.expr.downcast_ref::<Column>());
        column.map(Column::index)
    } else if plan.is::<SegmentSortExec>() {
        Some(person)
    } else {
        None
    };
    if let (Some(person), [input]) = (below, &plan.children()[..]) {
        let Some((input, persons)) = told(input, person)? else {
            return Ok(None);
        };
        let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
        let plan = Arc::clone(plan).replace_children(vec![input], options)?;
        return Ok(Some((plan, persons)));
    }
    let scan = plan.downcast_ref::<DataSourceExec>();
    let Some((config, source)) = scan.and_then(|s| s.downcast_to_file_source::<ParquetSource>())
    else {
        return Ok(None);
    };
    let Partitioning::Range(ranges) = plan.output_partitioning() else {
        return Ok(None);
    };
    let by = ranges.ordering().first();
    let ends = ranges
        .split_points()
        .iter()
        .map(|point| match point.values() {
            [ScalarValue::Int64(Some(end)), ..] => Some(*end),
            _ => None,
        });
    let is_person = by
        .expr
        .downcast_ref::<Column>()
        .is_some_and(|by| by.index() == person);
    let (true, false, Some(ends)) = (
        is_person,
        by.options.descending,
        ends.collect::<Option<Vec<i64>>>(),
    ) else {
        return Ok(None);
    };
    // The scan may give it another name.
    let projection = source.projection();
    let column = projection.and_then(|columns| columns.as_ref().get(person));
    let Some(column) = column.and_then(|column| column.expr.downcast_ref::<Column>()) else {
        return Ok(None);
    };
    let stored = source.table_schema().table_schema();
    if *stored.field(column.index()).data_type() != DataType::Int64 {
        return Ok(None);
    }
    let persons = Arc::new(Persons::of(ends));
    let mut predicate: Arc<dyn PhysicalExpr> = Arc::new(OfPersons {
        key: Arc::new(column.clone()),
        persons: Arc::clone(&persons),
    });
    if let Some(other) = source.filter() {
        predicate = Arc::new(BinaryExpr::new(predicate, Operator::And, other));
    }
    let source = source
        .clone()
        .with_predicate(predicate)
        .with_pushdown_filters(true);
    let config = FileScanConfigBuilder::from(config.clone()).with_source(Arc::new(source));
    Ok(Some((
        DataSourceExec::from_data_source(config.build()),
        persons,
    )))
}

/// The persons that are asked for, of those ranges of which they are known.
#[derive(Debug)]
pub(super) struct Persons {
    /// Where ranges end and the next ones begin.
    ends: Vec<i64>,
    /// In order.
    known: RwLock<Vec<Option<Arc<[i64]>>>>,
    /// Rows that were looked at, and those of these that are asked for.
    seen: AtomicUsize,
    passed: AtomicUsize,
}

impl Persons {
    fn of(ends: Vec<i64>) -> Self {
        Self {
            known: RwLock::new(vec![None; ends.len() + 1]),
            ends,
            seen: AtomicUsize::new(0),
            passed: AtomicUsize::new(0),
        }
    }

    fn tell(&self, range: usize, persons: Option<Arc<[i64]>>) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get_mut(range) {
            *known = persons;
        }
    }

    /// Forgets what an earlier run knew of a range, reads its rows of the small side as far as they are few, and gives all of them.
    pub(super) async fn learn(
        self: Arc<Self>,
        range: usize,
        key: Arc<dyn PhysicalExpr>,
        mut few: SendableRecordBatchStream,
        memory: MemoryReservation,
    ) -> Result<SendableRecordBatchStream> {
        self.tell(range, None);
        let schema = few.schema();
        let (mut kept, mut keys) = (Vec::new(), Vec::new());
        let (mut count, mut bytes) = (0, 0);
        let all = loop {
            let Some(batch) = few.try_next().await? else {
                break true;
            };
            let of_batch = key.evaluate(&batch)?.into_array(batch.num_rows())?;
            let numbers = of_batch.as_primitive_opt::<Int64Type>();
            keys.extend(numbers.into_iter().flat_map(|keys| keys.iter().flatten()));
            let size = batch.get_array_memory_size();
            let fits = memory.try_grow(size).is_ok();
            count += batch.num_rows();
            bytes += size;
            kept.push(Ok((batch, if fits { size } else { 0 })));
            if !fits || numbers.is_none() || count > MOST_KEPT || bytes > MOST_BYTES {
                break false;
            }
        };
        if all {
            keys.sort_unstable();
            keys.dedup();
            self.tell(range, Some(keys.into()));
        }
        let kept = futures::stream::iter(kept).map(move |kept| {
            kept.map(|(batch, size)| {
                memory.shrink(size);
                batch
            })
        });
        let rows = kept.chain(few);
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
    }

    /// Whether each of these persons is asked for, as far as is known; none where so many are that it is not worth looking.
    fn ask(&self, keys: &arrow::array::Int64Array) -> Option<BooleanArray> {
        let (seen, passed) = (&self.seen, &self.passed);
        let many = |seen, passed: usize| seen >= SAMPLE && passed > seen / ONE_IN;
        if many(seen.load(Ordering::Relaxed), passed.load(Ordering::Relaxed)) {
            return None;
        }
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let mut last: Option<(i64, bool)> = None;
        let mut ask = |key: i64| match last {
            Some((same, asked)) if same == key => asked,
            _ => {
                let range = self.ends.partition_point(|end| *end <= key);
                let persons = known.get(range).and_then(Option::as_ref);
                let asked = persons.is_none_or(|persons| persons.binary_search(&key).is_ok());
                last = Some((key, asked));
                asked
            }
        };
        let asked: BooleanArray = match keys.null_count() {
            0 => keys.values().iter().map(|key| Some(ask(*key))).collect(),
            _ => keys
                .iter()
                .map(|key| Some(key.is_some_and(&mut ask)))
                .collect(),
        };
        seen.fetch_add(keys.len(), Ordering::Relaxed);
        passed.fetch_add(asked.true_count(), Ordering::Relaxed);
        Some(asked)
    }
}

/// Whether a row is one of the persons'.
#[derive(Debug)]
struct OfPersons {
    key: Arc<dyn PhysicalExpr>,
    persons: Arc<Persons>,
}

impl PartialEq for OfPersons {
    fn eq(&self, other: &Self) -> bool {
        self.key.eq(&other.key) && Arc::ptr_eq(&self.persons, &other.persons)
    }
}

impl Eq for OfPersons {}

impl Hash for OfPersons {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key.hash(state);
        Arc::as_ptr(&self.persons).hash(state);
    }
}

impl fmt::Display for OfPersons {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} IN (those of the other side)", self.key)
    }
}

impl PhysicalExpr for OfPersons {
    fn data_type(&self, _: &Schema) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn nullable(&self, _: &Schema) -> Result<bool> {
        Ok(false)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let keys = self.key.evaluate(batch)?.into_array(batch.num_rows())?;
        let asked = keys
            .as_primitive_opt::<Int64Type>()
            .and_then(|keys| self.persons.ask(keys));
        Ok(match asked {
            Some(asked) => ColumnarValue::Array(Arc::new(asked)),
            None => ColumnarValue::Scalar(ScalarValue::Boolean(Some(true))),
        })
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.key]
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        let key = children.into_iter().next();
        Ok(Arc::new(Self {
            key: key.unwrap_or_else(|| Arc::clone(&self.key)),
            persons: Arc::clone(&self.persons),
        }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use arrow::array::Int64Array;
    use arrow::datatypes::Field;
    use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, UnboundedMemoryPool};
    use datafusion::physical_plan::EmptyRecordBatchStream;

    use super::*;

    fn asked(persons: &Persons, keys: &[Option<i64>]) -> Vec<bool> {
        let asked = persons.ask(&Int64Array::from(keys.to_vec())).unwrap();
        asked.values().iter().collect()
    }

    #[test]
    fn only_what_is_known_is_left_out() {
        let persons = Persons::of(vec![10, 20]);
        let keys = [
            Some(3),
            Some(3),
            Some(9),
            Some(10),
            Some(12),
            None,
            Some(20),
            Some(99),
        ];
        let all = [true, true, true, true, true, false, true, true];
        assert_eq!(asked(&persons, &keys), all);
        persons.tell(1, Some(Arc::from([12])));
        persons.tell(2, Some(Arc::from([])));
        let some = [true, true, true, false, true, false, false, false];
        assert_eq!(asked(&persons, &keys), some);
        persons.tell(2, None);
        assert!(asked(&persons, &keys)[6]);
    }

    #[test]
    fn where_most_pass_nobody_is_looked_for() {
        let persons = Persons::of(Vec::new());
        persons.tell(0, Some((0..SAMPLE as i64 / 2).collect()));
        let keys = Int64Array::from_iter_values(0..SAMPLE as i64);
        assert_eq!(persons.ask(&keys).unwrap().true_count(), SAMPLE / 2);
        assert!(persons.ask(&keys).is_none());
    }

    #[tokio::test]
    async fn all_rows_come_out_whether_they_fit_or_not() {
        let schema = Arc::new(Schema::new(vec![Field::new("p", DataType::Int64, true)]));
        let batch = |from: i64, to: i64| {
            let keys = Arc::new(
                (from..to)
                    .map(|key| (key % 5 > 0).then_some(key))
                    .collect::<Int64Array>(),
            );
            RecordBatch::try_new(Arc::clone(&schema), vec![keys]).unwrap()
        };
        let pool: Arc<dyn MemoryPool> = Arc::new(UnboundedMemoryPool::default());
        for (rows, learned) in [(1_000, true), (3 * MOST_KEPT as i64, false)] {
            let persons = Arc::new(Persons::of(Vec::new()));
            persons.tell(0, Some(Arc::from([])));
            let batches = (0..rows)
                .step_by(500)
                .map(|from| Ok(batch(from, rows.min(from + 500))));
            let batches: Vec<_> = batches.collect();
            let stream = futures::stream::iter(batches);
            let stream = Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&schema), stream));
            let memory = MemoryConsumer::new("few").register(&pool);
            let key: Arc<dyn PhysicalExpr> = Arc::new(Column::new("p", 0));
            let read = Arc::clone(&persons).learn(0, Arc::clone(&key), stream, memory);
            let read: Vec<RecordBatch> = read.await.unwrap().try_collect().await.unwrap();
            assert_eq!(
                read.iter().map(RecordBatch::num_rows).sum::<usize>() as i64,
                rows
            );
            assert_eq!(
                asked(&persons, &[Some(1), Some(5), Some(-1)]),
                [true, !learned, !learned]
            );
            assert_eq!(pool.reserved(), 0);
            let none = Box::pin(EmptyRecordBatchStream::new(Arc::clone(&schema)));
            let memory = MemoryConsumer::new("few").register(&pool);
            let read = Arc::clone(&persons).learn(0, key, none, memory);
            assert_eq!(
                read.await.unwrap().try_collect::<Vec<_>>().await.unwrap(),
                []
            );
            assert_eq!(asked(&persons, &[Some(1)]), [false]);
        }
    }
}
