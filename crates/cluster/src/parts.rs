//! The parts of queries that an executor is working on: ended where nobody waits for them any more, and reported, so
//! that an executor is not taken for dead while it is busy.
//!
//! An executor of Ballista 55 that asks for work, as ours do, is told of a query that was cancelled by nobody, and
//! while all its cores are busy it says something every five seconds only.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use ballista_core::JobId;
use ballista_core::error::BallistaError;
use ballista_core::serde::protobuf::{
    RuntimeStatsReport, ShuffleWritePartition, TaskColumnStats, WindowStateReport,
};
use ballista_executor::execution_engine::{ExecutionEngine, QueryStageExecutor};
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::metrics::MetricsSet;
use datafusion::prelude::SessionConfig;
use tokio::sync::Notify;

use crate::session::Scheduler;
use crate::status::{self, Working};

/// How often the scheduler hears of an executor, and an executor of queries that ended.
const EVERY: Duration = Duration::from_secs(1);
/// How often an executor asks for work while there is some, and otherwise. Ballista's own executors ask every 50 ms, which
/// each stage of a short query waits for, and once more until its end is known.
const BUSY: Duration = Duration::from_millis(5);
const IDLE: Duration = Duration::from_millis(50);
/// After this long without work there is none.
const LULL: Duration = Duration::from_secs(2);

/// What is being worked on.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    running: Mutex<Running>,
}

#[derive(Debug, Default)]
struct Running {
    next: u64,
    /// When a part last began or ended.
    last: Option<Instant>,
    parts: HashMap<u64, (String, Arc<Notify>)>,
}

impl Parts {
    fn with<T>(&self, act: impl FnOnce(&mut Running) -> T) -> T {
        act(&mut self.running.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn begin(self: &Arc<Self>, query: &str) -> (Part, Arc<Notify>) {
        let ended = Arc::new(Notify::new());
        let key = self.with(|running| {
            running.next += 1;
            running.last = Some(Instant::now());
            let part = (query.to_owned(), Arc::clone(&ended));
            running.parts.insert(running.next, part);
            running.next
        });
        let parts = Arc::clone(self);
        (Part { parts, key }, ended)
    }

    fn queries(&self) -> Vec<String> {
        let mut queries: Vec<_> = self.with(|running| {
            running
                .parts
                .values()
                .map(|(query, _)| query.clone())
                .collect()
        });
        queries.sort_unstable();
        queries.dedup();
        queries
    }

    fn end(&self, queries: &[String]) {
        self.with(|running| {
            for (query, ended) in running.parts.values() {
                if queries.contains(query) {
                    ended.notify_one();
                }
            }
        });
    }

    /// Has the executor ask for work, and report what ended. It does so until it is dropped.
    pub(crate) async fn ask_soon(&self, news: &Notify) {
        loop {
            let busy = self.with(|running| running.last.is_some_and(|at| at.elapsed() < LULL));
            tokio::time::sleep(if busy { BUSY } else { IDLE }).await;
            news.notify_one();
        }
    }

    /// Tells the scheduler what is worked on, and ends what it says is over. It does so until it is dropped.
    pub(crate) async fn report(&self, scheduler: Scheduler, executor: String) {
        let mut channel = None;
        loop {
            tokio::time::sleep(EVERY).await;
            if channel.is_none() {
                channel = scheduler.channel().await.ok();
            }
            let Some(there) = channel.clone() else {
                continue;
            };
            let working = Working {
                executor: executor.clone(),
                queries: self.queries(),
            };
            match status::working(there, &working).await {
                Some(over) => self.end(&over),
                // The scheduler is gone, or another one. Its queries end when one answers that does not know them.
                None => channel = None,
            }
        }
    }
}

/// A part that is worked on until this is dropped.
struct Part {
    parts: Arc<Parts>,
    key: u64,
}

impl Drop for Part {
    fn drop(&mut self) {
        self.parts.with(|running| {
            running.last = Some(Instant::now());
            running.parts.remove(&self.key)
        });
    }
}

/// An engine whose parts are known.
pub(crate) struct WatchedEngine<E> {
    pub(crate) inner: E,
    pub(crate) parts: Arc<Parts>,
}

impl<E: ExecutionEngine> ExecutionEngine for WatchedEngine<E> {
    fn create_query_stage_exec(
        &self,
        job_id: JobId,
        stage_id: usize,
        task_id: usize,
        global_output_partition_ids: Vec<usize>,
        plan: Arc<dyn ExecutionPlan>,
        work_dir: &str,
        config: &SessionConfig,
    ) -> Result<Arc<dyn QueryStageExecutor>> {
        let query = job_id.to_string();
        let plan = columna_query::breathing(columna_query::in_a_task(plan)?)?;
        let inner = self.inner.create_query_stage_exec(
            job_id,
            stage_id,
            task_id,
            global_output_partition_ids,
            plan,
            work_dir,
            config,
        )?;
        Ok(Arc::new(Watched {
            inner,
            query,
            parts: Arc::clone(&self.parts),
        }))
    }
}

#[derive(Debug)]
struct Watched {
    inner: Arc<dyn QueryStageExecutor>,
    query: String,
    parts: Arc<Parts>,
}

impl fmt::Display for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
impl QueryStageExecutor for Watched {
    async fn execute_query_stage(
        &self,
        task_id: usize,
        context: Arc<TaskContext>,
    ) -> Result<Vec<ShuffleWritePartition>> {
        let (_part, ended) = self.parts.begin(&self.query);
        tokio::select! {
            written = self.inner.execute_query_stage(task_id, context) => written,
            () = ended.notified() => Err(DataFusionError::External(Box::new(BallistaError::Cancelled))),
        }
    }

    fn collect_plan_metrics(&self) -> Vec<MetricsSet> {
        self.inner.collect_plan_metrics()
    }

    fn collect_runtime_stats_reports(&self) -> Vec<RuntimeStatsReport> {
        self.inner.collect_runtime_stats_reports()
    }

    fn collect_window_state_reports(&self) -> Result<Vec<WindowStateReport>> {
        self.inner.collect_window_state_reports()
    }

    fn collect_column_stats(&self) -> Vec<TaskColumnStats> {
        self.inner.collect_column_stats()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_parts_of_a_query_that_is_over_end_and_no_others() {
        let parts = Arc::new(Parts::default());
        let (first, ended) = parts.begin("a");
        let (_second, other) = parts.begin("b");
        assert_eq!(parts.queries(), ["a", "b"]);
        parts.end(&["a".to_owned()]);
        ended.notified().await;
        let waits = tokio::time::timeout(Duration::from_millis(20), other.notified()).await;
        assert!(waits.is_err());
        drop(first);
        assert_eq!(parts.queries(), ["b"]);
    }
}
