//! What a cluster is doing: its executors, and the queries at work.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::flight_service_server::FlightService;
use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightInfo,
    HandshakeRequest, HandshakeResponse, PollInfo, PutResult, SchemaResult, Ticket,
};
use ballista_core::JobId;
use ballista_core::serde::protobuf::{JobStatus, PartitionStats, job_status};
use ballista_scheduler::cluster::{ClusterState, JobState};
use ballista_scheduler::state::SchedulerState;
use ballista_scheduler::state::execution_stage::ExecutionStage;
use ballista_scheduler::state::task_manager::JobOverview;
use datafusion_proto::protobuf::{LogicalPlanNode, PhysicalPlanNode};
use futures::{Stream, StreamExt, stream};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;
use tonic::transport::Channel;
use tonic::{Request, Response, Status, Streaming};

use crate::session::Scheduler;
use crate::trust::PATIENCE;
use crate::{Error, Result, Trust};

/// What a client asks for. Ballista's own calls have none for it, so that it goes by Arrow Flight, on the same port.
const STATUS: &str = "columna.status";
/// How many parts of queries the executors run at once, as far as they are there yet.
pub(crate) async fn vcores(scheduler: &Scheduler) -> Option<usize> {
    let status: ClusterStatus = ask(scheduler, STATUS, "").await.ok()??;
    let vcores = status.executors.iter().map(|executor| executor.vcores);
    usize::try_from(vcores.sum::<u32>())
        .ok()
        .filter(|vcores| *vcores > 0)
}

/// The bytes that a finished query's stages took from each other; its name is the body.
const SHUFFLED: &str = "columna.shuffled";
/// The query with the name that is the body, as long as it waits or runs.
const NAMED: &str = "columna.named";
/// How far the query with the name that is the body has come, as long as it waits or runs: [`QueryStatus`].
const PROGRESS: &str = "columna.progress";
/// What an executor says of itself once a second, and is answered with the queries that are over: [`Working`].
const WORKING: &str = "columna.working";

/// What a cluster is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterStatus {
    /// Its executors, in the order of their addresses.
    pub executors: Vec<ExecutorStatus>,
    /// The queries that wait or run, the oldest first.
    pub queries: Vec<QueryStatus>,
}

/// An executor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecutorStatus {
    /// Its name, which is new with each start.
    pub id: String,
    /// Where others fetch what came out of it.
    pub address: String,
    /// Parts of queries that it runs at once.
    pub vcores: u32,
    /// Whole seconds since it was last heard of.
    pub silent_seconds: u64,
}

/// A query that waits or runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueryStatus {
    /// Its name.
    pub id: String,
    /// `waiting` or `running`.
    pub state: String,
    /// Whole seconds since it started.
    pub seconds: u64,
    /// Stages, between which rows or partial states move.
    pub stages: usize,
    /// Stages that are done.
    pub stages_done: usize,
    /// Parts of stages that run now.
    pub tasks_running: usize,
    /// Parts of stages that could run, and wait for an executor.
    pub tasks_waiting: usize,
}

/// What an executor is working on.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Working {
    /// The executor.
    pub(crate) executor: String,
    /// The queries of which it works on parts.
    pub(crate) queries: Vec<String>,
}

/// Tells a scheduler what is worked on; answers which of the queries are over.
pub(crate) async fn working(channel: Channel, working: &Working) -> Option<Vec<String>> {
    let body = serde_json::to_string(working).ok()?;
    ask_over(channel, WORKING, &body).await
}

/// Asks the scheduler at `df://HOST[:PORT]` what its cluster is doing.
///
/// # Errors
/// When the address can't be read, nobody answers there in time, or it asks for another token.
pub async fn status(url: &str, trust: &Trust) -> Result<ClusterStatus> {
    let scheduler = Scheduler::new(url, trust)?;
    scheduler.introduce().await?;
    let answer = ask(&scheduler, STATUS, "").await?;
    answer.ok_or_else(|| Error::Unreachable {
        url: url.to_owned(),
    })
}

/// The bytes that a finished query's stages took from each other, if the scheduler still knows.
pub(crate) async fn shuffled(scheduler: &Scheduler, query: &str) -> Option<u64> {
    ask(scheduler, SHUFFLED, query).await.ok().flatten()
}

/// The query that a client gave this name, as long as it waits or runs.
pub(crate) async fn named(scheduler: &Scheduler, name: &str) -> Option<String> {
    ask(scheduler, NAMED, name).await.ok().flatten().flatten()
}

/// How far the query that a client gave this name has come, as long as it waits or runs.
pub(crate) async fn progress(channel: Channel, name: &str) -> Option<QueryStatus> {
    ask_over::<Option<QueryStatus>>(channel, PROGRESS, name)
        .await
        .flatten()
}

async fn ask<T: DeserializeOwned>(
    scheduler: &Scheduler,
    action: &str,
    body: &str,
) -> Result<Option<T>> {
    Ok(ask_over(scheduler.channel().await?, action, body).await)
}

async fn ask_over<T: DeserializeOwned>(channel: Channel, action: &str, body: &str) -> Option<T> {
    let mut client = FlightServiceClient::new(channel);
    let action = Action {
        r#type: action.to_owned(),
        body: body.to_owned().into(),
    };
    let answer = timeout(PATIENCE, async {
        let mut results = client.do_action(action).await.ok()?.into_inner();
        results.next().await?.ok()
    });
    let answer = answer.await.ok().flatten()?;
    serde_json::from_slice(&answer.body).ok()
}

/// The scheduler's side of [`status`].
pub(crate) struct StatusService {
    state: Arc<SchedulerState<LogicalPlanNode, PhysicalPlanNode>>,
    executors: Arc<dyn ClusterState>,
    ended: Arc<dyn JobState>,
}

impl StatusService {
    pub(crate) fn new(
        state: Arc<SchedulerState<LogicalPlanNode, PhysicalPlanNode>>,
        executors: Arc<dyn ClusterState>,
        ended: Arc<dyn JobState>,
    ) -> Self {
        Self {
            state,
            executors,
            ended,
        }
    }

    /// Notes that an executor lives, and says which of its queries are over.
    async fn working(&self, working: Working) -> ballista_core::error::Result<Vec<String>> {
        if let Some(mut heard) = self.executors.get_executor_heartbeat(&working.executor) {
            heard.timestamp = since_epoch().as_secs();
            self.executors.save_executor_heartbeat(heard).await?;
        }
        let mut over = Vec::new();
        for query in working.queries {
            let id = JobId::from(query.clone());
            let status = self.state.task_manager.get_job_status(&id).await?;
            // What is not known is of a scheduler that was here before.
            if status.as_ref().and_then(at_work).is_none() {
                over.push(query);
            }
        }
        Ok(over)
    }

    async fn shuffled(&self, query: &str) -> ballista_core::error::Result<Option<u64>> {
        let query = JobId::from(query.to_owned());
        let Some(graph) = self.ended.get_execution_graph(&query).await? else {
            return Ok(None);
        };
        let stages = graph.stages().values();
        let taken = stages.filter_map(|stage| match stage {
            ExecutionStage::Successful(stage) => Some(stage.inputs.values()),
            _ => None,
        });
        let pieces = taken
            .flatten()
            .flat_map(|output| output.partition_locations.values())
            .flatten();
        let bytes = pieces.map(|piece| {
            let stats: PartitionStats = piece.partition_stats.into();
            u64::try_from(stats.num_bytes).unwrap_or_default()
        });
        Ok(Some(bytes.sum()))
    }

    async fn named(&self, name: &str) -> ballista_core::error::Result<Option<QueryStatus>> {
        for job in self.state.task_manager.get_all_jobs().await? {
            if job.job_name == name {
                return Ok(self.query(&job).await);
            }
        }
        Ok(None)
    }

    /// A query that waits or runs; none once it has ended.
    async fn query(&self, job: &JobOverview) -> Option<QueryStatus> {
        let state = at_work(&job.status)?;
        let cache = self.state.task_manager.get_running_job_cache();
        let (running, waiting) = match cache.get(&job.job_id) {
            Some(info) => {
                let graph = info.execution_graph.read().await;
                (graph.running_tasks().len(), graph.available_tasks())
            }
            None => (0, 0),
        };
        let began = Duration::from_millis(job.start_time);
        Some(QueryStatus {
            id: job.job_id.to_string(),
            state: state.to_owned(),
            seconds: match job.start_time {
                0 => 0,
                _ => since_epoch().saturating_sub(began).as_secs(),
            },
            stages: job.num_stages,
            stages_done: job.completed_stages,
            tasks_running: running,
            tasks_waiting: waiting,
        })
    }

    async fn status(&self) -> ballista_core::error::Result<ClusterStatus> {
        let now = since_epoch();
        let known = self.state.executor_manager.get_executors_state().await?;
        let mut executors: Vec<_> = known
            .into_iter()
            .map(|(executor, heard, _)| ExecutorStatus {
                address: format!("{}:{}", executor.host, executor.port),
                vcores: executor.specification.vcores,
                silent_seconds: now.saturating_sub(heard.unwrap_or_default()).as_secs(),
                id: executor.id,
            })
            .collect();
        executors.sort_by(|left, right| left.address.cmp(&right.address));
        let mut queries = Vec::new();
        for job in self.state.task_manager.get_all_jobs().await? {
            queries.extend(self.query(&job).await);
        }
        queries.sort_by_key(|query| std::cmp::Reverse(query.seconds));
        Ok(ClusterStatus { executors, queries })
    }
}

/// Whether a query waits or runs; none once it has ended.
fn at_work(status: &JobStatus) -> Option<&'static str> {
    match &status.status {
        Some(job_status::Status::Queued(_)) | None => Some("waiting"),
        Some(job_status::Status::Running(_)) => Some("running"),
        _ => None,
    }
}

fn since_epoch() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

type Answers<T> = Pin<Box<dyn Stream<Item = std::result::Result<T, Status>> + Send>>;
type Answer<T> = std::result::Result<Response<T>, Status>;

fn not_here<T>() -> Answer<T> {
    Err(Status::unimplemented(
        "a scheduler says how it is, and no more",
    ))
}

#[tonic::async_trait]
impl FlightService for StatusService {
    type HandshakeStream = Answers<HandshakeResponse>;
    type ListFlightsStream = Answers<FlightInfo>;
    type DoGetStream = Answers<FlightData>;
    type DoPutStream = Answers<PutResult>;
    type DoExchangeStream = Answers<FlightData>;
    type DoActionStream = Answers<arrow_flight::Result>;
    type ListActionsStream = Answers<ActionType>;

    async fn do_action(&self, request: Request<Action>) -> Answer<Self::DoActionStream> {
        let failed = |error: &dyn std::fmt::Display| Status::internal(error.to_string());
        let action = request.get_ref();
        let body = match action.r#type.as_str() {
            STATUS => {
                let status = self.status().await.map_err(|error| failed(&error))?;
                serde_json::to_vec(&status)
            }
            SHUFFLED => {
                let query = String::from_utf8_lossy(&action.body);
                let bytes = self
                    .shuffled(&query)
                    .await
                    .map_err(|error| failed(&error))?;
                serde_json::to_vec(&bytes)
            }
            NAMED => {
                let name = String::from_utf8_lossy(&action.body);
                let query = self.named(&name).await.map_err(|error| failed(&error))?;
                serde_json::to_vec(&query.map(|query| query.id))
            }
            PROGRESS => {
                let name = String::from_utf8_lossy(&action.body);
                let query = self.named(&name).await.map_err(|error| failed(&error))?;
                serde_json::to_vec(&query)
            }
            WORKING => {
                let working = serde_json::from_slice(&action.body)
                    .map_err(|error| Status::invalid_argument(error.to_string()))?;
                let over = self
                    .working(working)
                    .await
                    .map_err(|error| failed(&error))?;
                serde_json::to_vec(&over)
            }
            _ => return not_here(),
        };
        let body = body.map_err(|error| failed(&error))?;
        let answer = arrow_flight::Result { body: body.into() };
        Ok(Response::new(Box::pin(stream::iter([Ok(answer)]))))
    }

    async fn handshake(
        &self,
        _: Request<Streaming<HandshakeRequest>>,
    ) -> Answer<Self::HandshakeStream> {
        not_here()
    }

    async fn list_flights(&self, _: Request<Criteria>) -> Answer<Self::ListFlightsStream> {
        not_here()
    }

    async fn get_flight_info(&self, _: Request<FlightDescriptor>) -> Answer<FlightInfo> {
        not_here()
    }

    async fn poll_flight_info(&self, _: Request<FlightDescriptor>) -> Answer<PollInfo> {
        not_here()
    }

    async fn get_schema(&self, _: Request<FlightDescriptor>) -> Answer<SchemaResult> {
        not_here()
    }

    async fn do_get(&self, _: Request<Ticket>) -> Answer<Self::DoGetStream> {
        not_here()
    }

    async fn do_put(&self, _: Request<Streaming<FlightData>>) -> Answer<Self::DoPutStream> {
        not_here()
    }

    async fn do_exchange(
        &self,
        _: Request<Streaming<FlightData>>,
    ) -> Answer<Self::DoExchangeStream> {
        not_here()
    }

    async fn list_actions(&self, _: Request<Empty>) -> Answer<Self::ListActionsStream> {
        not_here()
    }
}
