//! SQL of a study: texts, and answers as one batch.

use std::sync::Arc;

use arrow::compute::concat_batches;
use arrow::record_batch::RecordBatch;
use columna_privacy::Gate;
use columna_query::script::Parameters;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;

use crate::error::{Error, Result};
use crate::spec::ConceptSet;

/// The answer to a query, whole: queries of a study ask for persons of a cohort, not for all records.
pub(crate) async fn ask(ctx: &SessionContext, sql: &str) -> Result<RecordBatch> {
    let plan = columna_query::script::plan(ctx, sql, &Parameters::new()).await?;
    let mut asked = Asked(gate(ctx));
    let answer = collect(ctx, plan).await;
    if let Some(gate) = asked.0.take() {
        gate.ended(answer.as_ref().err())
            .map_err(DataFusionError::from)?;
    }
    Ok(answer?)
}

async fn collect(ctx: &SessionContext, plan: LogicalPlan) -> Result<RecordBatch, DataFusionError> {
    let frame = ctx.execute_logical_plan(plan).await?;
    let schema = Arc::clone(frame.schema().inner());
    let batches = frame.collect().await?;
    // What comes out may say more about NULLs than the plan did.
    let schema = batches.first().map_or(schema, |batch| batch.schema());
    Ok(concat_batches(&schema, &batches)?)
}

/// What stands at the session's entrance, where it is under a policy.
pub(crate) fn gate(ctx: &SessionContext) -> Option<Arc<Gate>> {
    ctx.state_ref().read().config().get_extension()
}

/// A statement that was let in: where the run is broken off before it ended, that is on record too.
struct Asked(Option<Arc<Gate>>);

impl Drop for Asked {
    fn drop(&mut self) {
        if let Some(gate) = &self.0 {
            // Nobody is left to be told that the log cannot be written.
            let _ = gate.broken_off();
        }
    }
}

/// Whether a column's concept is in a set.
pub(crate) fn in_set(column: &str, set: &ConceptSet) -> String {
    let list = |concepts: &[i64]| {
        concepts
            .iter()
            .map(i64::to_string)
            .collect::<Vec<_>>()
            .join(", ")
    };
    let within = |concepts: &[i64]| format!("is_descendant({column}, {})", list(concepts));
    let mut text = if set.concepts.is_empty() {
        "false".to_owned()
    } else if set.descendants {
        within(&set.concepts)
    } else {
        format!("{column} IN ({})", list(&set.concepts))
    };
    if !set.exclude.is_empty() {
        text = format!("{text} AND NOT {}", within(&set.exclude));
    }
    text
}

/// Whether a table is there.
pub(crate) async fn has_table(ctx: &SessionContext, name: &str) -> bool {
    ctx.table_provider(name).await.is_ok()
}

/// Sex and date of birth by person. A policy may hide month and day; they are unknown then, as in a store that has none.
pub(crate) async fn births(ctx: &SessionContext, condition: &str) -> Result<RecordBatch> {
    let schema = ctx.table_provider("person").await?.schema();
    let part = |name: &str| match schema.field_with_name(name) {
        Ok(_) => name.to_owned(),
        Err(_) => format!("CAST(NULL AS INT) AS {name}"),
    };
    let sql = format!(
        "SELECT person_id, year_of_birth, {}, {}, gender_concept_id FROM person WHERE {condition}",
        part("month_of_birth"),
        part("day_of_birth")
    );
    ask(ctx, &sql).await
}

/// A table that a step cannot do without.
pub(crate) async fn need_table(ctx: &SessionContext, step: &str, name: &str) -> Result<()> {
    if has_table(ctx, name).await {
        return Ok(());
    }
    Err(Error::Step {
        step: step.to_owned(),
        message: format!("the store has no table `{name}`"),
    })
}
