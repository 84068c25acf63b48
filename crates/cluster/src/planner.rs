//! Decides where a query runs: on the cluster what reads the store, here what does not.

use std::sync::Arc;

use async_trait::async_trait;
use ballista_core::config::BallistaConfig;
use ballista_core::planner::{BallistaQueryPlanner, scans_only_information_schema};
use columna_privacy::guard::GuardedTable;
use columna_privacy::release::{has_releases, with_inputs};
use columna_query::passes::Passes;
use columna_store::scan::SnapshotTable;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::catalog::{MemTable, Session, TableProvider};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, TableReference};
use datafusion::datasource::{provider_as_source, source_as_provider};
use datafusion::execution::TaskContext;
use datafusion::execution::context::QueryPlanner;
use datafusion::logical_expr::dml::CopyTo;
use datafusion::logical_expr::logical_plan::TableScanBuilder;
use datafusion::logical_expr::{
    DmlStatement, Explain, Expr, LogicalPlan, LogicalPlanBuilder, TableScan, TableSource, TableType,
};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::{ExecutionPlan, collect};
use datafusion::prelude::ident;
use datafusion_proto::logical_plan::LogicalExtensionCodec;
use datafusion_proto::protobuf::LogicalPlanNode;

use crate::passes::PassesExec;
use crate::persistent::{PersistentExec, Question};
use crate::scheduler::MESSAGE_BYTES;
use crate::session::Scheduler;

/// Bytes of a session's own tables that go along with a query. With more of them the query comes to the data, and
/// runs here.
const CARRIED: usize = MESSAGE_BYTES as usize / 4;

/// Plans a client's queries.
#[derive(Debug)]
pub(crate) struct Planner {
    scheduler: Scheduler,
    config: BallistaConfig,
    codec: Arc<dyn LogicalExtensionCodec>,
    cluster: BallistaQueryPlanner<LogicalPlanNode>,
    here: Here,
}

/// What is planned in this process.
#[derive(Debug)]
pub(crate) struct Here {
    pub(crate) planner: Arc<dyn QueryPlanner + Send + Sync>,
    /// The session shows less than everything: its planner has the last word on what is told.
    pub(crate) restricted: bool,
    /// Models of fewer rows are fitted where all of their rows come together.
    pub(crate) passes_from: u64,
}

/// A table that only this session has, as a plan reads it.
type OwnScan = (TableReference, TableScan);

impl Planner {
    pub(crate) fn new(
        scheduler: Scheduler,
        config: BallistaConfig,
        codec: Arc<dyn LogicalExtensionCodec>,
        here: Here,
    ) -> Self {
        let cluster = BallistaQueryPlanner::with_extension(
            scheduler.endpoint.clone(),
            config.clone(),
            Arc::clone(&codec),
        );
        Self {
            scheduler,
            config,
            codec,
            cluster,
            here,
        }
    }

    /// A query that is asked on the cluster, as a part of one that is planned here.
    fn elsewhere(&self, plan: &LogicalPlan, session: &dyn Session) -> Result<LogicalPlan> {
        let columns = plan.schema().columns().into_iter().enumerate();
        let numbered = columns.map(|(at, column)| Expr::Column(column).alias(place(at)));
        let asked = LogicalPlanBuilder::from(plan.clone())
            .project(numbered.collect::<Vec<_>>())?
            .build()?;
        named(plan, self.there(asked, session))
    }

    /// A query that is asked on the cluster.
    fn there(&self, plan: LogicalPlan, session: &dyn Session) -> Arc<dyn ExecutionPlan> {
        Arc::new(PersistentExec::new(self.question(plan, session)))
    }

    fn question(&self, plan: LogicalPlan, session: &dyn Session) -> Question {
        Question {
            scheduler: self.scheduler.clone(),
            config: self.config.clone(),
            codec: Arc::clone(&self.codec),
            session: session.session_id().to_owned(),
            plan,
            shows_progress: !self.here.restricted,
        }
    }

    /// The query with its models fitted by passes, to be planned here, if it has models of as many rows and what stands
    /// above them needs nothing else of the store.
    fn by_passes(&self, plan: &LogicalPlan, session: &dyn Session) -> Result<Option<LogicalPlan>> {
        if let Some(passes) = Passes::of(plan) {
            if rows_read(plan)?.is_some_and(|rows| rows < self.here.passes_from) {
                return Ok(None);
            }
            let question = self.question(passes.plan(), session);
            let rows = PassesExec::new(passes, question, self.here.passes_from);
            return named(plan, Arc::new(rows)).map(Some);
        }
        let asks_for_more = plan
            .expressions()
            .iter()
            .any(|expr| expr.exists(|expr| Ok(has_subquery(expr))).unwrap_or(true));
        let [input] = plan.inputs()[..] else {
            return Ok(None);
        };
        if asks_for_more {
            return Ok(None);
        }
        let Some(input) = self.by_passes(input, session)? else {
            return Ok(None);
        };
        plan.with_new_exprs(plan.expressions(), vec![input])
            .map(Some)
    }

    async fn here(
        &self,
        plan: &LogicalPlan,
        session: &dyn Session,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let planner = &self.here.planner;
        planner.create_physical_plan(plan, session).await
    }

    /// The rows of tables that no role knows, as the plan reads them; none if they are too many to send.
    async fn rows(
        &self,
        scans: &[OwnScan],
        session: &dyn Session,
    ) -> Result<Option<Vec<Vec<RecordBatch>>>> {
        let mut size = 0;
        let mut tables = Vec::with_capacity(scans.len());
        for (_, scan) in scans {
            let plan = self
                .here(&LogicalPlan::TableScan(scan.clone()), session)
                .await?;
            let context = TaskContext::default()
                .with_session_config(session.config().clone())
                .with_runtime(Arc::clone(session.runtime_env()));
            let rows = collect(plan, Arc::new(context)).await?;
            size += rows
                .iter()
                .map(RecordBatch::get_array_memory_size)
                .sum::<usize>();
            if size > CARRIED {
                return Ok(None);
            }
            tables.push(rows);
        }
        Ok(Some(tables))
    }
}

#[async_trait]
impl QueryPlanner for Planner {
    async fn create_physical_plan(
        &self,
        plan: &LogicalPlan,
        session: &dyn Session,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if scans_only_information_schema(plan)? {
            return self.here(plan, session).await;
        }
        // Files and tables of this session's are written here; their rows may come from there.
        if let LogicalPlan::Copy(CopyTo { input, .. })
        | LogicalPlan::Dml(DmlStatement { input, .. }) = plan
        {
            let rows = self.create_physical_plan(input, session).await?;
            let plan = plan.with_new_exprs(plan.expressions(), vec![Remote::scan(rows)?])?;
            return self.here(&plan, session).await;
        }
        let (reads_store, own) = scans(plan)?;
        if !reads_store {
            return self.here(plan, session).await;
        }
        let Some(rows) = self.rows(&own, session).await? else {
            return self.here(plan, session).await;
        };
        let plan = carrying(plan.clone(), rows)?;
        if self.here.restricted {
            let plan = match plan {
                // It shows the plan as it was written: nothing of it runs.
                LogicalPlan::Explain(_) => plan,
                plan if has_releases(&plan)? => with_inputs(plan, |input| {
                    if scans(input)?.0 {
                        self.elsewhere(input, session)
                    } else {
                        Ok(input.clone())
                    }
                })?,
                plan => match self.by_passes(&plan, session)? {
                    Some(plan) => plan,
                    None => self.elsewhere(&plan, session)?,
                },
            };
            return self.here(&plan, session).await;
        }
        if let Some(plan) = match &plan {
            LogicalPlan::Explain(explain) => {
                let plan = self.by_passes(&explain.plan, session)?;
                plan.map(|plan| {
                    LogicalPlan::Explain(Explain {
                        plan: Arc::new(plan),
                        ..explain.clone()
                    })
                })
            }
            plan => self.by_passes(plan, session)?,
        } {
            return self.here(&plan, session).await;
        }
        if matches!(plan, LogicalPlan::Analyze(_)) {
            return self.cluster.create_physical_plan(&plan, session).await;
        }
        Ok(self.there(plan, session))
    }
}

/// The name of a column that crosses by its place: two tables' columns may have the same name.
pub(crate) fn place(at: usize) -> String {
    format!("c{at}")
}

/// Rows that came by their places, under the names of the plan that they are of.
fn named(plan: &LogicalPlan, rows: Arc<dyn ExecutionPlan>) -> Result<LogicalPlan> {
    let columns = plan.schema().iter().enumerate();
    let named = columns
        .map(|(at, (table, field))| ident(place(at)).alias_qualified(table.cloned(), field.name()));
    LogicalPlanBuilder::from(Remote::scan(rows)?)
        .project(named.collect::<Vec<_>>())?
        .build()
}

fn has_subquery(expr: &Expr) -> bool {
    matches!(
        expr,
        Expr::Exists(_) | Expr::InSubquery(_) | Expr::ScalarSubquery(_) | Expr::SetComparison(_)
    )
}

/// The rows of the largest table of the store that a plan reads, where they are known.
fn rows_read(plan: &LogicalPlan) -> Result<Option<u64>> {
    let mut largest = Some(0);
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && is_of_store(scan)
        {
            let provider = source_as_provider(&scan.source)?;
            let table = provider.downcast_ref::<SnapshotTable>();
            largest = largest
                .zip(table)
                .map(|(largest, table)| table.version().rows.max(largest));
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(largest)
}

/// The rows of a query on the cluster, as a table for what is done with them here.
#[derive(Debug)]
struct Remote {
    rows: Arc<dyn ExecutionPlan>,
}

impl Remote {
    fn scan(rows: Arc<dyn ExecutionPlan>) -> Result<LogicalPlan> {
        let source: Arc<dyn TableSource> = provider_as_source(Arc::new(Self { rows }));
        let scan = TableScanBuilder::new("cluster", source).build()?;
        Ok(LogicalPlan::TableScan(scan))
    }
}

#[async_trait]
impl TableProvider for Remote {
    fn schema(&self) -> SchemaRef {
        self.rows.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Temporary
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let rows = Arc::clone(&self.rows);
        let Some(projection) = projection else {
            return Ok(rows);
        };
        let schema = rows.schema();
        let columns = projection.iter().map(|&at| {
            let name = schema.field(at).name().clone();
            let column: Arc<dyn PhysicalExpr> = Arc::new(Column::new(&name, at));
            (column, name)
        });
        Ok(Arc::new(ProjectionExec::try_new(
            columns.collect::<Vec<_>>(),
            rows,
        )?))
    }
}

/// Whether a plan reads the store, and what else it reads.
fn scans(plan: &LogicalPlan) -> Result<(bool, Vec<OwnScan>)> {
    let mut reads_store = false;
    let mut own = Vec::new();
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            if is_of_store(scan) {
                reads_store = true;
            } else {
                own.push((scan.table_name.clone(), scan.clone()));
            }
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok((reads_store, own))
}

fn is_of_store(scan: &TableScan) -> bool {
    source_as_provider(&scan.source).is_ok_and(|provider| {
        provider.downcast_ref::<SnapshotTable>().is_some()
            || provider.downcast_ref::<GuardedTable>().is_some()
    })
}

/// The plan with the rows of its own tables in it, in the order in which [`scans`] found them.
fn carrying(plan: LogicalPlan, rows: Vec<Vec<RecordBatch>>) -> Result<LogicalPlan> {
    let mut rows = rows.into_iter();
    let plan = plan.transform_down_with_subqueries(|node| {
        let LogicalPlan::TableScan(scan) = &node else {
            return Ok(Transformed::no(node));
        };
        if is_of_store(scan) {
            return Ok(Transformed::no(node));
        }
        let schema = Arc::new(scan.projected_schema.as_arrow().clone());
        let batches = rows.next().unwrap_or_default();
        let table = MemTable::try_new(schema, vec![batches])?;
        let scan =
            TableScanBuilder::new(scan.table_name.clone(), provider_as_source(Arc::new(table)))
                .build()?;
        Ok(Transformed::yes(LogicalPlan::TableScan(scan)))
    })?;
    Ok(plan.data)
}
