//! A query of the user's over the store and the study's own tables.

use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::prelude::SessionContext;

use super::count;
use super::statements::ask;
use crate::error::Result;
use crate::findings::Sql;

/// Rows that the report shows.
const SHOWN: usize = 100;

/// Asks it: the finding, and the whole answer.
pub(crate) async fn build(ctx: &SessionContext, query: &str) -> Result<(Sql, RecordBatch)> {
    let answer = ask(ctx, query).await?;
    let options = FormatOptions::default().with_null("");
    let formatters = answer
        .columns()
        .iter()
        .map(|column| ArrayFormatter::try_new(column.as_ref(), &options))
        .collect::<Result<Vec<_>, _>>()?;
    let schema = answer.schema();
    let finding = Sql {
        query: query.to_owned(),
        columns: schema
            .fields()
            .iter()
            .map(|field| field.name().clone())
            .collect(),
        numeric: schema
            .fields()
            .iter()
            .map(|field| field.data_type().is_numeric())
            .collect(),
        rows: (0..answer.num_rows().min(SHOWN))
            .map(|row| {
                formatters
                    .iter()
                    .map(|formatter| formatter.value(row).to_string())
                    .collect()
            })
            .collect(),
        total: count(answer.num_rows()),
    };
    drop(formatters);
    Ok((finding, answer))
}
