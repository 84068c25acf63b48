//! `docs/data-model.md` against the definitions; `UPDATE_DOCS=1` writes it anew.

use std::fmt::Write;
use std::path::Path;

use columna_model::{CdmVersion, IdentifierClass, TableDef, table_in, tables};

const BEGIN: &str = "<!-- generated from the definitions: begin -->\n";
const END: &str = "<!-- generated from the definitions: end -->\n";

#[test]
fn the_data_model_page_is_current() {
    let path = Path::new("../../docs/data-model.md");
    let page = std::fs::read_to_string(path).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let current = format!("{before}{BEGIN}\n{}\n{END}{after}", generated());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, &current).unwrap();
        return;
    }
    assert!(
        page == current,
        "docs/data-model.md is not what the definitions say; run the tests with UPDATE_DOCS=1"
    );
}

fn generated() -> String {
    let mut text = String::new();
    for version in CdmVersion::ALL {
        let columns: usize = tables(version)
            .iter()
            .map(|table| table.columns.len())
            .sum();
        let count = tables(version).len();
        writeln!(
            text,
            "CDM {version} has {count} tables with {columns} columns."
        )
        .unwrap();
    }
    text.push_str("\n| table | kind | columns | person | start | end | domain | in 5.3 |\n");
    text.push_str("|---|---|---|---|---|---|---|---|\n");
    for table in tables(CdmVersion::V5_4) {
        let cells = [
            format!("`{}`", table.name),
            format!("{:?}", table.kind),
            table.columns.len().to_string(),
            person(table),
            table.start_date.unwrap_or_default().to_owned(),
            table.end_date.unwrap_or_default().to_owned(),
            table.domain.unwrap_or_default().to_owned(),
            in_5_3(table),
        ];
        writeln!(text, "| {} |", cells.join(" | ")).unwrap();
    }
    text.push_str("\n| class | columns | for example |\n|---|---|---|\n");
    for class in [
        IdentifierClass::Direct,
        IdentifierClass::Quasi,
        IdentifierClass::Date,
        IdentifierClass::FreeText,
        IdentifierClass::Code,
        IdentifierClass::Value,
    ] {
        let of_class: Vec<String> = tables(CdmVersion::V5_4)
            .iter()
            .flat_map(|table| table.columns.iter().map(move |column| (table, column)))
            .filter(|(_, column)| column.class == class)
            .map(|(table, column)| format!("`{}.{}`", table.name, column.name))
            .collect();
        // From the beginning, the middle and the end of the model, person keys aside.
        let count = of_class.len();
        let of_class: Vec<&String> = of_class
            .iter()
            .filter(|name| !name.ends_with(".person_id"))
            .collect();
        let examples = [
            &of_class[count / 5],
            &of_class[count / 2],
            &of_class[count * 4 / 5],
        ];
        let examples = examples.map(|name| name.as_str()).join(", ");
        writeln!(text, "| {class:?} | {count} | {examples} |").unwrap();
    }
    text
}

fn person(table: &TableDef) -> String {
    match (table.person_key, table.person_through) {
        (Some(key), _) => key.to_owned(),
        (None, Some((column, owner))) => format!("through {column}, in `{owner}`"),
        (None, None) => String::new(),
    }
}

/// What differs in 5.3: the columns it lacks, and its own.
fn in_5_3(table: &TableDef) -> String {
    let Some(old) = table_in(CdmVersion::V5_3, table.name) else {
        return "no such table".to_owned();
    };
    let only = |here: &TableDef, there: &TableDef| {
        here.columns
            .iter()
            .filter(|column| there.column(column.name).is_none())
            .count()
    };
    match (only(table, old), only(old, table)) {
        (0, 0) => "the same columns".to_owned(),
        (1, 0) => "1 column fewer".to_owned(),
        (missing, 0) => format!("{missing} columns fewer"),
        (missing, own) if missing == own => format!("{own} columns named otherwise"),
        (missing, own) => format!("{missing} columns fewer, {own} of its own"),
    }
}
