//! Models whose rows stay on the executors: each pass over them is a query of its own, and a fit goes on here.

use std::sync::{Arc, Mutex, PoisonError};

use columna_query::passes::{Fitted, Passes};
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DFSchema, DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::metrics::{
    Count, ExecutionPlanMetricsSet, MetricBuilder, MetricsSet,
};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::stream::{self, TryStreamExt};

use crate::persistent::{PersistentExec, Question, of_one_answer};

/// An aggregate with models, which asks the cluster one query for each pass.
#[derive(Debug)]
pub(crate) struct PassesExec {
    passes: Arc<Passes>,
    /// Whom to ask, and as a plan the aggregate itself.
    question: Question,
    least: u64,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
    asked: Asked,
}

/// The queries so far: what they tell of themselves is told of the whole.
type Asked = Arc<Mutex<Vec<Arc<PersistentExec>>>>;

impl PassesExec {
    /// `question` asks for the aggregate itself, which is what is done with fewer rows than `least`.
    pub(crate) fn new(passes: Passes, question: Question, least: u64) -> Self {
        let properties = of_one_answer(numbered(question.plan.schema()));
        Self {
            passes: Arc::new(passes),
            question,
            least,
            properties,
            metrics: ExecutionPlanMetricsSet::new(),
            asked: Asked::default(),
        }
    }
}

/// Columns by their places: two tables' columns may have the same name.
fn numbered(schema: &DFSchema) -> SchemaRef {
    let fields = schema.fields().iter().enumerate();
    let fields =
        fields.map(|(at, field)| field.as_ref().clone().with_name(super::planner::place(at)));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

async fn ask(
    plan: LogicalPlan,
    question: Question,
    context: Arc<TaskContext>,
    asked: Asked,
    passes: Count,
) -> Result<Vec<RecordBatch>> {
    let query = Arc::new(PersistentExec::new(Question { plan, ..question }));
    asked
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(Arc::clone(&query));
    passes.add(1);
    query.execute(0, context)?.try_collect().await
}

impl DisplayAs for PassesExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let models: Vec<&str> = self.passes.models().collect();
        write!(
            f,
            "ClusterPassesExec: {}, one query for each pass of {}\n{}",
            self.question.scheduler.url,
            models.join(", "),
            self.question.plan.display_indent()
        )
    }
}

impl ExecutionPlan for PassesExec {
    fn name(&self) -> &'static str {
        "ClusterPassesExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn metrics(&self) -> Option<MetricsSet> {
        let mut all = self.metrics.clone_inner();
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        for metrics in asked.iter().filter_map(|query| query.metrics()) {
            metrics
                .iter()
                .for_each(|metric| all.push(Arc::clone(metric)));
        }
        Some(all)
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let schema = self.schema();
        let (passes, question, least) =
            (Arc::clone(&self.passes), self.question.clone(), self.least);
        let asked = Arc::clone(&self.asked);
        let count = MetricBuilder::new(&self.metrics).counter("passes", partition);
        let here = Arc::clone(&schema);
        let rows = async move {
            let whole = question.plan.clone();
            let ask = |plan| {
                ask(
                    plan,
                    question.clone(),
                    Arc::clone(&context),
                    Arc::clone(&asked),
                    count.clone(),
                )
            };
            let batches = match passes.run(least, ask).await? {
                Fitted::Rows(batch) => vec![batch],
                Fitted::NeedsRows => ask(whole).await?,
            };
            let batches = batches.into_iter().map(move |batch| {
                let (_, columns, _) = batch.into_parts();
                Ok(RecordBatch::try_new(Arc::clone(&here), columns)?)
            });
            Ok::<_, DataFusionError>(stream::iter(batches))
        };
        let batches = stream::once(rows).try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, batches)))
    }
}
