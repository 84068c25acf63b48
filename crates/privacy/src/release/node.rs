//! The plan node of a release: nothing passes it but what was made safe.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering as Order};

use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DFSchemaRef, DataFusionError, Result, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{
    Expr, Extension, LogicalPlan, UserDefinedLogicalNode, UserDefinedLogicalNodeCore,
};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{
    Boundedness, EmissionType, ReplaceChildrenOptions,
};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, Distribution, ExecutionPlan, PlanProperties, collect,
};
use datafusion::physical_planner::{DefaultPhysicalPlanner, ExtensionPlanner, PhysicalPlanner};
use futures::stream;

use super::Release;

static NEXT: AtomicU64 = AtomicU64::new(0);

/// A release in a logical plan.
#[derive(Debug, Clone)]
pub(super) struct ReleaseNode {
    /// Releases are told apart by it: each is one of its own.
    id: u64,
    input: LogicalPlan,
    schema: DFSchemaRef,
    release: Arc<dyn Release>,
}

impl ReleaseNode {
    pub(super) fn plan(
        input: LogicalPlan,
        schema: DFSchemaRef,
        release: Arc<dyn Release>,
    ) -> LogicalPlan {
        LogicalPlan::Extension(Extension {
            node: Arc::new(Self {
                id: NEXT.fetch_add(1, Order::Relaxed),
                input,
                schema,
                release,
            }),
        })
    }
}

/// Whether a node is a release.
pub(super) fn is_release(extension: &Extension) -> bool {
    extension.node.as_any().is::<ReleaseNode>()
}

impl PartialEq for ReleaseNode {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id && self.input == other.input
    }
}

impl Eq for ReleaseNode {}

impl Hash for ReleaseNode {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}

impl PartialOrd for ReleaseNode {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.id.partial_cmp(&other.id)
    }
}

impl UserDefinedLogicalNodeCore for ReleaseNode {
    fn name(&self) -> &str {
        "Release"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        vec![]
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Release")
    }

    fn with_exprs_and_inputs(&self, _: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> Result<Self> {
        let Some(input) = inputs.pop() else {
            return internal_err!("a release without input");
        };
        Ok(Self {
            input,
            ..self.clone()
        })
    }
}

/// Plans queries with releases.
#[derive(Debug, Default)]
pub(super) struct ReleasePlanner;

#[async_trait]
impl datafusion::execution::context::QueryPlanner for ReleasePlanner {
    async fn create_physical_plan(
        &self,
        logical_plan: &LogicalPlan,
        session: &dyn Session,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let planner = DefaultPhysicalPlanner::with_extension_planners(vec![Arc::new(Self)]);
        planner.create_physical_plan(logical_plan, session).await
    }
}

#[async_trait]
impl ExtensionPlanner for ReleasePlanner {
    async fn plan_extension(
        &self,
        _: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        _: &[&LogicalPlan],
        inputs: &[Arc<dyn ExecutionPlan>],
        _: &dyn Session,
        _: &PhysicalPlanningContext,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let (Some(node), [input]) = (node.as_any().downcast_ref::<ReleaseNode>(), inputs) else {
            return Ok(None);
        };
        Ok(Some(Arc::new(ReleaseExec::new(
            Arc::clone(input),
            Arc::clone(node.schema.inner()),
            Arc::clone(&node.release),
        ))))
    }
}

/// A release in a physical plan. Statistics, limits, filters and metrics stop here, as by default.
#[derive(Debug)]
struct ReleaseExec {
    input: Arc<dyn ExecutionPlan>,
    schema: SchemaRef,
    release: Arc<dyn Release>,
    properties: Arc<PlanProperties>,
}

impl ReleaseExec {
    fn new(input: Arc<dyn ExecutionPlan>, schema: SchemaRef, release: Arc<dyn Release>) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&schema)),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Final,
            Boundedness::Bounded,
        );
        Self {
            input,
            schema,
            release,
            properties: Arc::new(properties),
        }
    }
}

impl DisplayAs for ReleaseExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReleaseExec")
    }
}

impl ExecutionPlan for ReleaseExec {
    fn name(&self) -> &str {
        "ReleaseExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn required_input_distribution(&self) -> Vec<Distribution> {
        vec![Distribution::SinglePartition]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let Some(input) = children.pop() else {
            return internal_err!("a release without input");
        };
        Ok(Arc::new(Self::new(
            input,
            Arc::clone(&self.schema),
            Arc::clone(&self.release),
        )))
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        #[expect(deprecated, reason = "the trait still requires it")]
        self.with_new_children(children)
    }

    fn execute(
        &self,
        _partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let (input, release) = (Arc::clone(&self.input), Arc::clone(&self.release));
        let schema = Arc::clone(&self.schema);
        let answer = async move {
            if let Some(answer) = blocking(&release, |release| release.before()).await? {
                return Ok(answer);
            }
            let input_schema = input.schema();
            let batches = collect(input, context).await.map_err(without_value)?;
            let batch = concat_batches(&input_schema, &batches)?;
            blocking(&release, move |release| release.answer(&batch)).await
        };
        Ok(Box::pin(RecordBatchStreamAdapter::new(
            schema,
            stream::once(answer),
        )))
    }
}

/// Off the threads that queries run on: it waits for the disk, and for other processes.
async fn blocking<T: Send + 'static>(
    release: &Arc<dyn Release>,
    work: impl FnOnce(&dyn Release) -> Result<T> + Send + 'static,
) -> Result<T> {
    let release = Arc::clone(release);
    tokio::task::spawn_blocking(move || work(release.as_ref()))
        .await
        .map_err(|_| DataFusionError::Internal("a release broke down".to_owned()))?
}

/// What failed below a release may name a value: only its kind is told.
fn without_value(error: DataFusionError) -> DataFusionError {
    match error {
        DataFusionError::ResourcesExhausted(_) => DataFusionError::ResourcesExhausted(
            "the query needs more memory than it may use".to_owned(),
        ),
        error if crate::Refusal::within(&error).is_some() => error,
        _ => super::refused::refusal(
            "execution",
            "the query could not be computed",
            "ask the steward, who can see why",
        ),
    }
}
