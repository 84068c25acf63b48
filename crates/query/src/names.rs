//! The names that a session knows: for completion and for listing.

use std::collections::BTreeSet;

use datafusion::prelude::SessionContext;

use crate::functions::table;
use crate::vocabulary::Vocabulary;

/// The names a person may type.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// Tables and views, each with its columns in order.
    pub tables: Vec<(String, Vec<String>)>,
    /// Functions of every kind, DataFusion's own included.
    pub functions: Vec<String>,
}

/// The tables of the default schema and all functions, sorted.
pub async fn names(ctx: &SessionContext) -> Names {
    let state = ctx.state();
    let defaults = &state.config_options().catalog;
    let schema = ctx
        .catalog(&defaults.default_catalog)
        .and_then(|catalog| catalog.schema(&defaults.default_schema));
    let mut tables = Vec::new();
    if let Some(schema) = schema {
        for name in schema.table_names() {
            // A table that disappeared meanwhile is no table.
            if let Ok(Some(table)) = schema.table(&name).await {
                let columns = table
                    .schema()
                    .fields()
                    .iter()
                    .map(|f| f.name().clone())
                    .collect();
                tables.push((name, columns));
            }
        }
    }
    tables.sort();
    let mut functions: BTreeSet<String> = BTreeSet::new();
    functions.extend(state.scalar_functions().keys().cloned());
    functions.extend(state.aggregate_functions().keys().cloned());
    functions.extend(state.window_functions().keys().cloned());
    functions.extend(
        table::functions(&Vocabulary::default())
            .into_iter()
            .map(|f| f.name.to_owned()),
    );
    functions.retain(|name| !name.starts_with("__"));
    Names {
        tables,
        functions: functions.into_iter().collect(),
    }
}
