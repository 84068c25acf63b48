//! A query on the cluster that is asked again where an executor was lost, and taken back where nobody waits for it.
//!
//! Ballista does the work of a lost executor again as long as a query runs. What it does not do: an executor that dies
//! between the end of a query and the moment its client has fetched the result takes that result along.

use std::sync::Arc;
use std::thread;

use ballista_core::config::BallistaConfig;
use ballista_core::error::BallistaError;
use ballista_core::execution_plans::DistributedQueryExec;
use ballista_core::extension::SessionConfigExt;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::runtime::SpawnedTask;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{
    Count, ExecutionPlanMetricsSet, Gauge, MetricBuilder, MetricsSet,
};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties,
};
use datafusion_proto::logical_plan::LogicalExtensionCodec;
use datafusion_proto::protobuf::LogicalPlanNode;
use futures::stream::{self, StreamExt};
use tokio::time::{Duration, sleep};

use crate::session::Scheduler;
use crate::{failure, status};

/// How often a query is asked before its failure is believed.
const ATTEMPTS: u32 = 4;
/// The wait before the second time, doubled for each further one: a dead executor is noticed after five seconds.
const PAUSE: Duration = Duration::from_secs(1);
/// Bytes of a result that are kept until its end is there. Beyond, rows go on to their reader as they come, and what
/// was read can't be asked for again.
const HELD: usize = 256 << 20;

/// A query and whom to ask.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    pub(crate) scheduler: Scheduler,
    pub(crate) config: BallistaConfig,
    pub(crate) codec: Arc<dyn LogicalExtensionCodec>,
    pub(crate) session: String,
    pub(crate) plan: LogicalPlan,
    /// Whether its stages and tasks may be told: how many there are follows from how rows lie in files.
    pub(crate) shows_progress: bool,
}

/// The metric of the bytes that stages took from each other.
const SHUFFLED: &str = "shuffle_bytes";

/// How far a query has come: how many stages it has and how many of them are done, and how many parts of stages run and
/// wait. Asked for this often, of queries that take as long.
const PROGRESS: [&str; 4] = ["stages", "stages_done", "tasks_running", "tasks_waiting"];
const EVERY: Duration = Duration::from_millis(400);

/// What is told of a query while it runs, and afterwards.
struct Told {
    shuffled: Count,
    progress: [Gauge; 4],
}

impl Told {
    fn new(metrics: &ExecutionPlanMetricsSet, partition: usize) -> Self {
        let metric = || MetricBuilder::new(metrics);
        Self {
            shuffled: metric().counter(SHUFFLED, partition),
            progress: PROGRESS.map(|name| metric().gauge(name, partition)),
        }
    }

    /// Follows a query until this is dropped.
    fn follow(&self, scheduler: Scheduler, name: String) -> SpawnedTask<()> {
        let progress = self.progress.clone();
        SpawnedTask::spawn(async move {
            sleep(EVERY).await;
            let Ok(channel) = scheduler.channel().await else {
                return;
            };
            while let Some(query) = status::progress(channel.clone(), &name).await {
                let told = [
                    query.stages,
                    query.stages_done,
                    query.tasks_running,
                    query.tasks_waiting,
                ];
                for (gauge, value) in progress.iter().zip(told) {
                    gauge.set(value);
                }
                sleep(EVERY).await;
            }
        })
    }
}

type Job = DistributedQueryExec<LogicalPlanNode>;

impl Question {
    fn job(&self) -> Arc<Job> {
        Arc::new(Job::with_extension(
            self.scheduler.endpoint.clone(),
            self.config.clone(),
            self.plan.clone(),
            Arc::clone(&self.codec),
            self.session.clone(),
        ))
    }

    /// Asks until there is an answer, or a failure that another attempt would not change.
    async fn ask(self, context: Arc<TaskContext>, told: Told) -> Result<SendableRecordBatchStream> {
        let schema = Arc::new(self.plan.schema().as_arrow().clone());
        let mut attempt = 1;
        loop {
            let error = match self.attempt(&context, &schema, &told).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            // Whoever lost the scheduler is told so, and not which of its connections broke.
            self.scheduler.introduce().await.map_err(external)?;
            if attempt == ATTEMPTS || !is_loss(&error) {
                return Err(failure::told(error));
            }
            sleep(PAUSE * 2_u32.pow(attempt - 1)).await;
            attempt += 1;
        }
    }

    async fn attempt(
        &self,
        context: &Arc<TaskContext>,
        schema: &SchemaRef,
        told: &Told,
    ) -> Result<SendableRecordBatchStream> {
        let job = self.job();
        let name = name()?;
        let named = context.session_config().clone();
        // Functions travel by name: nothing but settings is read of it.
        let context = TaskContext::default()
            .with_session_config(named.with_ballista_job_name(&name))
            .with_runtime(context.runtime_env());
        let followed = self
            .shows_progress
            .then(|| told.follow(self.scheduler.clone(), name.clone()));
        let mut waiting = Waiting {
            scheduler: self.scheduler.clone(),
            name: Some(name),
        };
        let mut answer = job.execute(0, Arc::new(context))?;
        let mut held = Vec::new();
        let mut size = 0;
        while size <= HELD {
            match answer.next().await {
                Some(Ok(batch)) => {
                    size += batch.get_array_memory_size();
                    held.push(batch);
                }
                Some(Err(error)) => {
                    waiting.name = None;
                    return Err(error);
                }
                None => {
                    waiting.name = None;
                    if let Some(job) = job.job_id()
                        && let Some(bytes) = status::shuffled(&self.scheduler, job.as_ref()).await
                    {
                        told.shuffled
                            .add(usize::try_from(bytes).unwrap_or(usize::MAX));
                    }
                    return Ok(stream_of(schema, stream::iter(held.into_iter().map(Ok))));
                }
            }
        }
        let rest = answer.map(move |batch| {
            // The stream owns it: a reader that leaves early takes the query back.
            let _ = (&waiting, &followed);
            batch
        });
        let all = stream::iter(held.into_iter().map(Ok)).chain(rest);
        Ok(stream_of(schema, all))
    }
}

fn stream_of(
    schema: &SchemaRef,
    batches: impl stream::Stream<Item = Result<RecordBatch>> + Send + 'static,
) -> SendableRecordBatchStream {
    Box::pin(RecordBatchStreamAdapter::new(Arc::clone(schema), batches))
}

/// A name for a query that no other has: Ballista tells its own only when the query is over.
fn name() -> Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| DataFusionError::External(Box::new(error)))?;
    Ok(format!("columna-{:032x}", u128::from_le_bytes(bytes)))
}

/// Cancels a query that is dropped before its end.
struct Waiting {
    scheduler: Scheduler,
    /// None once it has ended.
    name: Option<String>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let Some(name) = self.name.take() else {
            return;
        };
        let scheduler = self.scheduler.clone();
        // The process often ends right after this, and its runtime before it: another one asks, and is waited for.
        let cancel = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            if let Ok(runtime) = runtime {
                runtime.block_on(async {
                    if let Some(query) = status::named(&scheduler, &name).await {
                        scheduler.cancel(query).await;
                    }
                });
            }
        });
        let _ = cancel.join();
    }
}

/// Whether an executor or a connection was lost, so that another attempt may succeed.
fn is_loss(error: &DataFusionError) -> bool {
    if let DataFusionError::External(inner) = error.find_root()
        && let Some(
            BallistaError::FetchFailed(..)
            | BallistaError::GrpcActionError(_)
            | BallistaError::GrpcConnectionError(_)
            | BallistaError::GrpcError(_)
            | BallistaError::TonicError(_),
        ) = inner.downcast_ref::<BallistaError>()
    {
        return true;
    }
    // Between processes an error is only its text.
    let text = error.to_string();
    [
        "GrpcConnectionError",
        "GrpcActionError",
        "FetchFailed",
        "Shuffle fetch partition error",
        "transport error",
        "ExecutorLost",
        "Executor lost",
        "TaskKilled",
        "Task cancelled",
        "Stream closed without job completing",
        "Most recent failure reason",
        "no executors",
    ]
    .iter()
    .any(|sign| text.contains(sign))
}

fn external(error: crate::Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// The properties of a node whose rows come once and from elsewhere.
pub(crate) fn of_one_answer(schema: SchemaRef) -> Arc<PlanProperties> {
    Arc::new(PlanProperties::new(
        EquivalenceProperties::new(schema),
        Partitioning::UnknownPartitioning(1),
        EmissionType::Final,
        Boundedness::Bounded,
    ))
}

/// [`Question`] as a plan.
#[derive(Debug)]
pub(crate) struct PersistentExec {
    question: Question,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl PersistentExec {
    pub(crate) fn new(question: Question) -> Self {
        let schema = Arc::new(question.plan.schema().as_arrow().clone());
        Self {
            question,
            properties: of_one_answer(schema),
            metrics: ExecutionPlanMetricsSet::new(),
        }
    }
}

impl DisplayAs for PersistentExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "ClusterExec: {}\n{}",
            self.question.scheduler.url,
            self.question.plan.display_indent()
        )
    }
}

impl ExecutionPlan for PersistentExec {
    fn name(&self) -> &'static str {
        "ClusterExec"
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
        Some(self.metrics.clone_inner())
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let told = Told::new(&self.metrics, partition);
        let answer = stream::once(self.question.clone().ask(context, told));
        let batches = futures::TryStreamExt::try_flatten(answer);
        Ok(stream_of(&self.schema(), batches))
    }
}
