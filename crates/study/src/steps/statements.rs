//! SQL of a study: texts, and answers as one batch.

use arrow::compute::concat_batches;
use arrow::record_batch::RecordBatch;
use datafusion::prelude::SessionContext;

use crate::error::{Error, Result};
use crate::spec::ConceptSet;

/// The answer to a query, whole: queries of a study ask for persons of a cohort, not for all records.
pub(crate) async fn ask(ctx: &SessionContext, sql: &str) -> Result<RecordBatch> {
    let frame = columna_query::script::sql(ctx, sql).await?;
    let schema = std::sync::Arc::clone(frame.schema().inner());
    let batches = frame.collect().await?;
    // What comes out may say more about NULLs than the plan did.
    let schema = batches.first().map_or(schema, |batch| batch.schema());
    Ok(concat_batches(&schema, &batches)?)
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
