//! The answers of `\d` and `\df`, as results that every format can print.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, StringArray, UInt64Array};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use columna_model::IdentifierClass;
use columna_privacy::Gate;
use columna_query::functions;
use columna_store::Snapshot;
use datafusion::logical_expr::Documentation;
use datafusion::prelude::SessionContext;

use crate::sql::catalogue::ColumnName;

/// `\d`: tables with their rows and bytes, where a store knows them.
pub(crate) fn tables(
    names: &[String],
    snapshot: Option<&Snapshot>,
) -> Result<RecordBatch, ArrowError> {
    let stored = |name: &String| snapshot.and_then(|snapshot| snapshot.table(name));
    let count = |value: fn(&columna_store::TableVersion) -> u64| -> ArrayRef {
        Arc::new(
            names
                .iter()
                .map(|name| stored(name).map(value))
                .collect::<UInt64Array>(),
        )
    };
    let name = Arc::new(StringArray::from_iter_values(names)) as ArrayRef;
    if snapshot.is_none() {
        return RecordBatch::try_from_iter([("table", name)]);
    }
    RecordBatch::try_from_iter([
        ("table", name),
        ("rows", count(|table| table.rows)),
        ("bytes", count(|table| table.bytes)),
    ])
}

/// `\d TABLE`: columns with their types, and what the model knows of them.
/// Under a policy, how each is shown in place of what is stored.
pub(crate) fn columns(
    table: &str,
    columns: &[ColumnName],
    gate: Option<&Gate>,
) -> Result<RecordBatch, ArrowError> {
    let gate = gate.filter(|gate| gate.restricts());
    let model = columna_model::table(table);
    let known = |column: &ColumnName| model.and_then(|model| model.column(&column.name));
    let key = |column: &ColumnName| {
        let known = known(column)?;
        if known.primary_key {
            return Some("primary key".to_owned());
        }
        known
            .foreign_key
            .map(|(table, column)| format!("{table}.{column}"))
    };
    let class = |column: &ColumnName| {
        known(column).map(|known| match known.class {
            IdentifierClass::Direct => "direct identifier",
            IdentifierClass::Quasi => "quasi-identifier",
            IdentifierClass::Date => "date",
            IdentifierClass::FreeText => "free text",
            IdentifierClass::Code => "code",
            IdentifierClass::Value => "value",
        })
    };
    let text = |value: &dyn Fn(&ColumnName) -> Option<String>| -> ArrayRef {
        Arc::new(columns.iter().map(value).collect::<StringArray>())
    };
    RecordBatch::try_from_iter([
        ("column", text(&|column| Some(column.name.clone()))),
        ("type", text(&|column| Some(column.sql_type.clone()))),
        (
            "nullable",
            Arc::new(
                columns
                    .iter()
                    .map(|column| Some(column.nullable))
                    .collect::<BooleanArray>(),
            ) as ArrayRef,
        ),
        ("references", text(&key)),
        match gate {
            Some(gate) => (
                "shown as",
                text(&|column| gate.shown(table, &column.name).map(str::to_owned)),
            ),
            None => (
                "identifier class",
                text(&|column| class(column).map(str::to_owned)),
            ),
        },
    ])
}

/// `\df`: the functions that Columna adds.
pub(crate) fn function_list() -> Result<RecordBatch, ArrowError> {
    let all = functions();
    let text = |value: &dyn Fn(&columna_query::FunctionDoc) -> String| -> ArrayRef {
        Arc::new(
            all.iter()
                .map(|function| Some(value(function)))
                .collect::<StringArray>(),
        )
    };
    RecordBatch::try_from_iter([
        ("function", text(&|function| function.syntax.clone())),
        ("kind", text(&|function| function.kind.to_string())),
        ("what it gives", text(&|function| plain(function.summary()))),
    ])
}

/// `\df NAME`: all about one function, Columna's or DataFusion's own.
pub(crate) fn function(name: &str, context: &SessionContext) -> Option<String> {
    let name = name.trim_end_matches("()").to_lowercase();
    if let Some(known) = functions()
        .into_iter()
        .find(|function| function.name == name)
    {
        let heading = format!(
            "{} ({} function, {})",
            known.syntax,
            known.kind,
            known.section.to_lowercase()
        );
        return Some(text(
            &heading,
            &known.description,
            &known.arguments,
            known.example.as_deref(),
        ));
    }
    let state = context.state();
    let built_in = |kind: &str, documentation: Option<&Documentation>| {
        let Some(known) = documentation else {
            return format!("{name} ({kind} function)\n");
        };
        let heading = format!("{} ({kind} function)", known.syntax_example);
        let arguments = known.arguments.clone().unwrap_or_default();
        text(
            &heading,
            &known.description,
            &arguments,
            known.sql_example.as_deref(),
        )
    };
    if let Some(function) = state.scalar_functions().get(&name) {
        Some(built_in("scalar", function.documentation()))
    } else if let Some(function) = state.aggregate_functions().get(&name) {
        Some(built_in("aggregate", function.documentation()))
    } else if let Some(function) = state.window_functions().get(&name) {
        Some(built_in("window", function.documentation()))
    } else {
        state
            .table_functions()
            .contains_key(&name)
            .then(|| built_in("table", None))
    }
}

fn text(
    heading: &str,
    description: &str,
    arguments: &[(String, String)],
    example: Option<&str>,
) -> String {
    let mut text = format!("{heading}\n\n{}\n", plain(description));
    if !arguments.is_empty() {
        text.push_str("\nArguments\n");
        let width = arguments
            .iter()
            .map(|(name, _)| name.len())
            .max()
            .unwrap_or(0);
        for (name, about) in arguments {
            text.push_str(&format!("  {name:width$}  {}\n", plain(about)));
        }
    }
    if let Some(example) = example {
        text.push_str("\nExample\n");
        for line in example
            .lines()
            .filter(|line| !line.trim_start().starts_with("```"))
        {
            text.push_str(&format!("  {line}\n"));
        }
    }
    text
}

/// Markdown's marks mean nothing on a terminal.
fn plain(markdown: &str) -> String {
    markdown.trim().replace("**", "")
}
