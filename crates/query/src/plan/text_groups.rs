//! Groups by text, while the texts are few: by numbers that stand for them.
//!
//! Source values, units and names are few, and in a file's dictionary each lies once: within a batch the same place is the same text.
//! So the texts of a batch are looked up once each, and groups are made of whole numbers. Where the texts are many, which shows
//! in the rows, what came so far is handed on and the rest is grouped as the engine does it: the parts of a first stage are put
//! together in any case.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::{
    Array, ArrayBuilder, ArrayRef, AsArray, RecordBatch, StringViewBuilder, UInt32Array,
};
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, ScalarValue, exec_datafusion_err};
use datafusion::config::ConfigOptions;
use datafusion::execution::TaskContext;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{Column, lit};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::group_values::{GroupValues, new_group_values};
use datafusion::physical_plan::aggregates::order::GroupOrdering;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode, PhysicalGroupBy};
use datafusion::physical_plan::execution_plan::{ChildrenPropertiesMode, ReplaceChildrenOptions};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, Distribution, ExecutionPlan, InputDistributionRequirements,
    InputOrderMode, PlanProperties, SendableRecordBatchStream,
};
use futures::{StreamExt, TryStreamExt, stream};

use super::of_text::OfText;
use super::rest::Rest;
use crate::functions::scalar::different_texts;

/// Texts that numbers may stand for, and the bytes of them and of what finds them, in one partition.
const TEXTS: usize = 32 * 1024;
const BYTES: usize = 16 * 1024 * 1024;
/// Rows of which each is looked up, whatever the others are.
const FEW_ROWS: usize = 1024;

/// Puts the first stage of groups by text on the operator that uses numbers.
#[derive(Debug)]
pub(crate) struct GroupsOfTexts;

impl PhysicalOptimizerRule for GroupsOfTexts {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|plan| {
            Ok(match TextGroupsExec::of(&plan)? {
                Some(groups) => Transformed::yes(Arc::new(groups) as _),
                None => Transformed::no(plan),
            })
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "GroupsOfTexts"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// An aggregate, which it looks like, by texts.
#[derive(Debug)]
struct TextGroupsExec {
    aggregate: Arc<dyn ExecutionPlan>,
    /// Which of its keys are texts.
    texts: Vec<usize>,
    metrics: ExecutionPlanMetricsSet,
}

impl TextGroupsExec {
    fn of(plan: &Arc<dyn ExecutionPlan>) -> Result<Option<Self>> {
        let Some(aggregate) = plan.downcast_ref::<AggregateExec>() else {
            return Ok(None);
        };
        let functions = aggregate.aggr_expr();
        // What is asked of rows in an order knows the order of the rows below.
        let plain = *aggregate.mode() == AggregateMode::Partial
            && *aggregate.input_order_mode() == InputOrderMode::Linear
            && aggregate.limit_options().is_none()
            && functions.iter().all(|call| call.order_bys().is_empty());
        if !plain {
            return Ok(None);
        }
        let schema = aggregate.input().schema();
        let mut texts = Vec::new();
        for (at, (key, _)) in aggregate.group_expr().expr().iter().enumerate() {
            let kind = key.data_type(&schema)?;
            if matches!(
                kind,
                DataType::Utf8View | DataType::Utf8 | DataType::LargeUtf8
            ) {
                texts.push(at);
            }
        }
        Ok((!texts.is_empty()).then(|| Self {
            aggregate: Arc::clone(plan),
            texts,
            metrics: ExecutionPlanMetricsSet::new(),
        }))
    }
}

impl DisplayAs for TextGroupsExec {
    fn fmt_as(&self, kind: DisplayFormatType, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.aggregate.fmt_as(kind, f)
    }
}

impl ExecutionPlan for TextGroupsExec {
    fn name(&self) -> &str {
        self.aggregate.name()
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.aggregate.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.aggregate.children()
    }

    fn required_input_distribution(&self) -> Vec<Distribution> {
        self.input_distribution_requirements().into_per_child()
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        self.aggregate.input_distribution_requirements()
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        self.aggregate.apply_expressions(f)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let aggregate = Arc::clone(&self.aggregate).replace_children(children, options)?;
        Ok(match Self::of(&aggregate)? {
            Some(groups) => Arc::new(groups),
            None => aggregate,
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
        let Some(aggregate) = self.aggregate.downcast_ref::<AggregateExec>() else {
            return self.aggregate.execute(partition, context);
        };
        let input = aggregate.input();
        let coding = Coding::new(aggregate.group_expr(), &self.texts, &input.schema())?;
        let schema = Arc::clone(&coding.schema);
        let groups = coding.groups(aggregate.group_expr())?;
        let coding = Arc::new(Mutex::new(coding));
        let rows = input.execute(partition, Arc::clone(&context))?;
        let coded = coded(rows, Arc::clone(&coding));
        let coded = RecordBatchStreamAdapter::new(schema, coded);
        let first = over(aggregate, groups, Box::pin(coded))?.execute(0, Arc::clone(&context))?;
        let output = self.schema();
        let decoding = Arc::clone(&coding);
        let first = first.map(move |batch| lock(&decoding).texts(&batch?, &output));
        let plain = aggregate.clone();
        let rest = async move {
            let Some(rest) = lock(&coding).rest.take() else {
                return Ok(stream::empty().boxed());
            };
            let groups = plain.group_expr().clone();
            over(&plain, groups, rest)?
                .execute(0, context)
                .map(StreamExt::boxed)
        };
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        let groups = first
            .chain(stream::once(rest).try_flatten())
            .inspect_ok(move |batch| metrics.record_output(batch.num_rows()));
        Ok(Box::pin(RecordBatchStreamAdapter::new(
            self.schema(),
            groups,
        )))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

/// The same aggregate by other keys, over rows of one partition.
fn over(
    aggregate: &AggregateExec,
    groups: PhysicalGroupBy,
    rows: SendableRecordBatchStream,
) -> Result<AggregateExec> {
    let schema = rows.schema();
    AggregateExec::try_new(
        *aggregate.mode(),
        groups,
        aggregate.aggr_expr().to_vec(),
        aggregate.filter_expr().to_vec(),
        Arc::new(Rest::new(rows)),
        schema,
    )
}

/// Rows with numbers for their texts behind them, until the texts are too many. The rows from there on are left in the coding.
fn coded(
    rows: SendableRecordBatchStream,
    coding: Arc<Mutex<Coding>>,
) -> impl stream::Stream<Item = Result<RecordBatch>> + Send {
    stream::try_unfold(rows, move |mut rows| {
        let coding = Arc::clone(&coding);
        async move {
            let Some(batch) = rows.try_next().await? else {
                return Ok(None);
            };
            let mut coding = lock(&coding);
            if let Some(batch) = coding.code(&batch)? {
                return Ok(Some((batch, rows)));
            }
            let schema = rows.schema();
            let rest = stream::once(async { Ok(batch) }).chain(rows);
            coding.rest = Some(Box::pin(RecordBatchStreamAdapter::new(schema, rest)));
            Ok(None)
        }
    })
}

/// The texts of one partition.
struct Coding {
    keys: Vec<Key>,
    /// Of the rows below and their numbers.
    schema: SchemaRef,
    rest: Option<SendableRecordBatchStream>,
}

/// One of the keys that are texts.
struct Key {
    /// Which of all keys.
    at: usize,
    expr: Arc<dyn PhysicalExpr>,
    of_text: Option<OfText>,
    known: Box<dyn GroupValues>,
    texts: StringViewBuilder,
    /// The texts, if none were added since.
    finished: Option<ArrayRef>,
    /// The numbers of the last texts looked up.
    numbers: Vec<usize>,
}

/// The texts that an expression gives.
fn evaluated(expr: &Arc<dyn PhysicalExpr>, batch: &RecordBatch) -> Result<ArrayRef> {
    let texts = expr.evaluate(batch)?.into_array(batch.num_rows())?;
    Ok(cast(&texts, &DataType::Utf8View)?)
}

impl Coding {
    fn new(groups: &PhysicalGroupBy, texts: &[usize], schema: &SchemaRef) -> Result<Self> {
        let mut fields = schema.fields().to_vec();
        let mut keys = Vec::new();
        for at in texts {
            let (expr, name) = groups
                .expr()
                .get(*at)
                .ok_or_else(|| exec_datafusion_err!("a key is missing"))?;
            let text = Field::new(name, DataType::Utf8View, true);
            let one = Arc::new(Schema::new(vec![text]));
            fields.push(Arc::new(Field::new(name, DataType::UInt32, true)));
            keys.push(Key {
                at: *at,
                expr: Arc::clone(expr),
                of_text: OfText::of(expr, schema)?,
                known: new_group_values(one, &GroupOrdering::None)?,
                texts: StringViewBuilder::new(),
                finished: None,
                numbers: Vec::new(),
            });
        }
        Ok(Self {
            keys,
            schema: Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone())),
            rest: None,
        })
    }

    /// The keys, with the numbers in place of the texts.
    fn groups(&self, groups: &PhysicalGroupBy) -> Result<PhysicalGroupBy> {
        let mut exprs = groups.expr().to_vec();
        let mut none = groups.null_expr().to_vec();
        let first = self.schema.fields().len() - self.keys.len();
        for (place, key) in self.keys.iter().enumerate() {
            let (_, name) = &mut exprs[key.at];
            exprs[key.at].0 = Arc::new(Column::new(name, first + place));
            if let Some((expr, _)) = none.get_mut(key.at) {
                *expr = lit(ScalarValue::UInt32(None));
            }
        }
        let sets = groups.groups().to_vec();
        Ok(PhysicalGroupBy::new(
            exprs,
            none,
            sets,
            groups.has_grouping_set(),
        ))
    }

    /// The rows with their numbers; none where the texts are too many.
    fn code(&mut self, batch: &RecordBatch) -> Result<Option<RecordBatch>> {
        let mut columns = batch.columns().to_vec();
        for key in &mut self.keys {
            let Some(numbers) = key.numbers(batch)? else {
                return Ok(None);
            };
            columns.push(numbers);
        }
        let schema = Arc::clone(&self.schema);
        Ok(Some(RecordBatch::try_new(schema, columns)?))
    }

    /// Groups with the texts in place of the numbers.
    fn texts(&mut self, groups: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
        let mut columns = groups.columns().to_vec();
        for key in &mut self.keys {
            let texts = key
                .finished
                .get_or_insert_with(|| Arc::new(key.texts.finish_cloned()));
            let texts = take(texts, &columns[key.at], None)?;
            columns[key.at] = cast(&texts, schema.field(key.at).data_type())?;
        }
        Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
    }
}

impl Key {
    /// A number for each row's text; none where the texts are too many.
    fn numbers(&mut self, batch: &RecordBatch) -> Result<Option<ArrayRef>> {
        if self.texts.len() > TEXTS || self.known.size() > BYTES {
            return Ok(None);
        }
        let of_text = self.of_text.as_ref().map(|of_text| of_text.answers(batch));
        if let Some((answers, places)) = of_text.transpose()?.flatten() {
            let answers = cast(&answers, &DataType::Utf8View)?;
            let numbers = self.look_up(&answers)?;
            return Ok(Some(take(&numbers, &places, None)?));
        }
        let texts = &evaluated(&self.expr, batch)?;
        if let Some((different, places)) = different_texts(texts)? {
            let numbers = self.look_up(&different)?;
            return Ok(Some(take(&numbers, &places, None)?));
        }
        let few = texts.len() < FEW_ROWS;
        few.then(|| self.look_up(texts)).transpose()
    }

    fn look_up(&mut self, texts: &ArrayRef) -> Result<ArrayRef> {
        let columns = [Arc::clone(texts)];
        self.known.intern(&columns, &mut self.numbers)?;
        let texts = texts.as_string_view();
        for (row, number) in self.numbers.iter().enumerate() {
            if *number == self.texts.len() {
                self.finished = None;
                let text = texts.is_valid(row).then(|| texts.value(row));
                self.texts.append_option(text);
            }
        }
        let numbers = self.numbers.iter().map(|number| u32::try_from(*number));
        let numbers = numbers.collect::<Result<Vec<_>, _>>();
        let numbers = numbers.map_err(|error| exec_datafusion_err!("{error}"))?;
        // No text has no number, as where rows are numbered by their different texts: it is one group.
        Ok(Arc::new(UInt32Array::new(
            numbers.into(),
            texts.nulls().cloned(),
        )))
    }
}

fn lock(coding: &Mutex<Coding>) -> MutexGuard<'_, Coding> {
    coding.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use arrow::array::{Int64Array, StringViewArray};
    use arrow::util::pretty::pretty_format_batches;
    use datafusion::datasource::MemTable;
    use datafusion::physical_plan::{collect, displayable};
    use datafusion::prelude::{SessionConfig, SessionContext};

    use super::*;

    /// Batches whose texts lie where a dictionary has them: of the first ones few, of the last ones as many as asked for.
    fn rows(last: usize) -> SessionContext {
        let config = SessionConfig::new().with_target_partitions(2);
        let context = SessionContext::new_with_config(config);
        let field = |name, kind| Field::new(name, kind, true);
        let schema = Arc::new(Schema::new(vec![
            field("code", DataType::Utf8View),
            field("unit", DataType::Utf8View),
            field("n", DataType::Int64),
        ]));
        let texts = |kind: &str, different: usize, seed: usize, rows: usize| {
            let words = (0..different).map(|word| format!("{word} {kind} of some length"));
            let words: ArrayRef = Arc::new(words.map(Some).collect::<StringViewArray>());
            let place = |row| u32::try_from((row * 31 + seed) % different).unwrap();
            let places =
                (0..rows).map(|row| (!(row + seed).is_multiple_of(11)).then(|| place(row)));
            take(&words, &places.collect::<UInt32Array>(), None).unwrap()
        };
        let batch = |seed: usize| {
            let rows = if seed % 5 == 3 { 300 } else { 4096 };
            let codes = if seed > 5 { last } else { 40 };
            let columns = vec![
                texts("codes", codes, seed, rows),
                texts("units", 7, seed * 3, rows),
                Arc::new((0..i64::try_from(rows).unwrap()).collect::<Int64Array>()) as _,
            ];
            RecordBatch::try_new(Arc::clone(&schema), columns).unwrap()
        };
        let parts = vec![
            (0..9).map(batch).collect(),
            (9..12).map(batch).collect(),
            vec![],
        ];
        let table = MemTable::try_new(Arc::clone(&schema), parts).unwrap();
        context.register_table("t", Arc::new(table)).unwrap();
        context
    }

    #[tokio::test]
    async fn groups_are_those_of_the_texts() {
        for last in [40, 1500, 4000] {
            let context = rows(last);
            for sql in [
                "SELECT code, count(*), sum(n), count(DISTINCT n % 5) FROM t GROUP BY code",
                "SELECT code, n % 3, unit, max(unit), min(n) FROM t GROUP BY 1, 2, 3",
                "SELECT code, unit, grouping(unit), count(*) FROM t GROUP BY ROLLUP (code, unit)",
                "SELECT code, unit, n % 2, count(n) FROM t GROUP BY CUBE (code, unit, n % 2)",
                "SELECT DISTINCT substr(code, 1, 2) FROM t",
                "SELECT count(DISTINCT code) FROM t",
                "SELECT code || unit, count(*) FILTER (WHERE n > 70) FROM t WHERE n > 50 GROUP BY 1",
                "SELECT lower(unit), CASE WHEN code LIKE '1%' THEN 'one' WHEN code IS NULL THEN 'none' END, \
                 upper(substr(code, 2, 4)), min(code) FROM t GROUP BY 1, 2, 3",
            ] {
                let plan = context.sql(sql).await.unwrap();
                let plan = plan.create_physical_plan().await.unwrap();
                let config = ConfigOptions::default();
                let changed = GroupsOfTexts.optimize(Arc::clone(&plan), &config).unwrap();
                let shown = |plan: &Arc<dyn ExecutionPlan>| {
                    displayable(plan.as_ref()).indent(true).to_string()
                };
                assert_eq!(shown(&changed), shown(&plan));
                assert!(format!("{changed:?}").contains("TextGroupsExec"), "{sql}");
                let answer = async |plan| {
                    let batches = collect(plan, context.task_ctx()).await.unwrap();
                    let table = pretty_format_batches(&batches).unwrap().to_string();
                    let mut lines: Vec<String> = table.lines().map(str::to_owned).collect();
                    lines.sort_unstable();
                    lines
                };
                let expected = answer(plan).await;
                assert_eq!(answer(changed).await, expected, "{sql}");
            }
        }
    }
}
