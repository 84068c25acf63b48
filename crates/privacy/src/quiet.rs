//! Errors that tell nothing: for restricted roles, every failure while a query runs says the same.
//!
//! Which of two rows fails first follows from how rows lie in files, hidden ones among them, and an engine's own
//! error names files and values. So the last node of a restricted plan says of all of them that the query failed on
//! something it sees, and how to write it so that it cannot. Refusals pass: they are independent of the data. So is what
//! fails without any row, a literal that is no date for example: that is said, or an honest author would look for it in
//! the data.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::Result;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::DataFusionError;
use datafusion::execution::context::QueryPlanner;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::StreamExt;

use crate::Refusal;
use crate::guard::GuardExec;

/// Plans like another planner, and lets no error through that tells more than a refusal does.
#[derive(Debug)]
pub(crate) struct QuietPlanner {
    inner: Arc<dyn QueryPlanner + Send + Sync>,
}

impl QuietPlanner {
    pub(crate) fn new(inner: Arc<dyn QueryPlanner + Send + Sync>) -> Self {
        Self { inner }
    }
}

#[async_trait]
impl QueryPlanner for QuietPlanner {
    async fn create_physical_plan(
        &self,
        plan: &LogicalPlan,
        session: &dyn Session,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let planned = self.inner.create_physical_plan(plan, session).await;
        let child = planned.map_err(|error| match error.find_root() {
            // Planning looks at types and at no row: what there is no code for follows from the query.
            DataFusionError::NotImplemented(_) => error,
            _ => quiet(error, None),
        })?;
        try_options(&child)?;
        Ok(Arc::new(QuietExec { child }))
    }
}

/// Looks at the options of aggregates, which are read where the first row comes: a wrong one is the query's and no row's, so
/// that the error may say which.
fn try_options(plan: &Arc<dyn ExecutionPlan>) -> Result<()> {
    plan.apply(|node| {
        let aggregate = node.downcast_ref::<AggregateExec>();
        for function in aggregate.map_or(&[][..], AggregateExec::aggr_expr) {
            if let Err(error) = function.create_accumulator()
                && let DataFusionError::Plan(_) = error.find_root()
            {
                return Err(error);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    })
    .map(|_| ())
}

/// What of a plan fails with any data: the expressions that fail on no row at all, and the aggregates that cannot be made.
fn fails_with_any_data(plan: &Arc<dyn ExecutionPlan>) -> Option<String> {
    let mut told = None;
    let mut found = |error: DataFusionError| match error.find_root() {
        DataFusionError::ArrowError(..)
        | DataFusionError::Execution(_)
        | DataFusionError::NotImplemented(_)
        | DataFusionError::Plan(_) => told = Some(without_prefix(error.find_root())),
        // Of what the engine does only while it runs.
        _ => {}
    };
    let looked = plan.apply(|node| {
        if let Some(aggregate) = node.downcast_ref::<AggregateExec>() {
            for function in aggregate.aggr_expr() {
                if let Err(error) = function.create_accumulator() {
                    found(error);
                }
            }
            // What puts partial results together names columns of the rows that these are of.
            let of_rows = matches!(
                aggregate.mode(),
                AggregateMode::Partial | AggregateMode::Single | AggregateMode::SinglePartitioned
            );
            if !of_rows {
                return Ok(TreeNodeRecursion::Continue);
            }
        }
        // Below a guard stand the policy's own conditions. A join's expressions are over columns of both its sides.
        let &[input] = &node.children()[..] else {
            return Ok(TreeNodeRecursion::Continue);
        };
        if node.is::<GuardExec>() {
            return Ok(TreeNodeRecursion::Jump);
        }
        let nothing = RecordBatch::new_empty(input.schema());
        node.apply_expressions(&mut |expr| {
            expr.apply(|part| {
                if let Err(error) = part.evaluate(&nothing) {
                    found(error);
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })?;
        Ok(TreeNodeRecursion::Continue)
    });
    looked.ok().and(told)
}

fn without_prefix(error: &DataFusionError) -> String {
    let text = match error {
        DataFusionError::ArrowError(error, _) => error.to_string(),
        other => other.strip_backtrace(),
    };
    let text = text.lines().next().unwrap_or_default();
    let prefixes = [
        "Execution error: ",
        "Error during planning: ",
        "This feature is not implemented: ",
    ];
    let text = prefixes
        .iter()
        .find_map(|prefix| text.strip_prefix(prefix))
        .unwrap_or(text);
    text.trim_end_matches('.').to_owned()
}

fn quiet(error: DataFusionError, plan: Option<&Arc<dyn ExecutionPlan>>) -> DataFusionError {
    if Refusal::within(&error).is_some() || ours(&error) {
        return error;
    }
    if let DataFusionError::ResourcesExhausted(_) = error.find_root() {
        return Refusal::new(
            "memory",
            "this query needs more memory or temporary space than it may use",
            "raise `--memory-limit`, use fewer `--threads`, or ask for less at once",
        )
        .into();
    }
    if let Some(told) = plan.and_then(fails_with_any_data) {
        return Refusal::new(
            "failed",
            format!("a part of the query fails with any data: {told}"),
            "correct it; it is a literal, a type or an option, and no value of the tables",
        )
        .into();
    }
    Refusal::new(
        "failed",
        "the query failed on a value or a number of rows that it came upon",
        "divide by nullif(x, 0), use TRY_CAST in place of CAST, mind overflows, and give a scalar subquery one row",
    )
    .into()
}

/// Whether the budget, the record of releases or the noise refuses: none of them says anything of the data.
fn ours(error: &DataFusionError) -> bool {
    match error {
        DataFusionError::External(inner) => {
            inner.is::<crate::Error>()
                || matches!(inner.downcast_ref(), Some(columna_store::Error::Key { .. }))
                || inner.is::<crate::ledger::Error>()
                || inner.is::<crate::disclosure::Error>()
                || inner.is::<crate::dp::Error>()
        }
        DataFusionError::Context(_, inner) => ours(inner),
        DataFusionError::Shared(inner) => ours(inner),
        _ => false,
    }
}

#[derive(Debug)]
struct QuietExec {
    child: Arc<dyn ExecutionPlan>,
}

impl DisplayAs for QuietExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("QuietExec")
    }
}

impl ExecutionPlan for QuietExec {
    fn name(&self) -> &str {
        "QuietExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.child.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.child]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(
            &Arc<dyn datafusion::physical_expr::PhysicalExpr>,
        ) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let child = children.pop().unwrap_or_else(|| Arc::clone(&self.child));
        Ok(Arc::new(Self { child }))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let child = Arc::clone(&self.child);
        let rows = child.execute(partition, context);
        let rows = rows.map_err(|error| quiet(error, Some(&child)))?;
        let schema = rows.schema();
        let rows = rows.map(move |batch| batch.map_err(|error| quiet(error, Some(&child))));
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
    }
}
