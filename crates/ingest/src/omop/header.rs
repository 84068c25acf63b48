//! The header of a file: names in lower case, each once, and none that is data.

use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::fs::File;

use arrow::datatypes::SchemaRef;
use columna_model::{CdmVersion, ColumnDef, table_in};

use crate::csv::Dialect;
use crate::files::sniff_file;
use crate::findings::{Finding, FindingKind};
use crate::parse;
use crate::source::{Encoding, SourceFile};
use crate::{Error, Result};

/// What a file says about its columns.
#[derive(Debug)]
pub(super) struct Header {
    /// Names in lower case, each once, in the file's order.
    pub(super) names: Vec<String>,
    pub(super) form: Form,
    pub(super) findings: Vec<Finding>,
}

/// What the rows are written in.
#[derive(Debug)]
pub(super) enum Form {
    Text(Dialect),
    Columnar(SchemaRef),
    /// Not a single byte.
    Empty,
}

/// The definition of a column in whichever version has it.
pub(super) fn known_column(table: &str, column: &str) -> Option<&'static ColumnDef> {
    [CdmVersion::V5_4, CdmVersion::V5_3]
        .into_iter()
        .find_map(|version| table_in(version, table)?.column(column))
}

/// Reads a file's header.
pub(super) fn read(table: &str, file: &SourceFile) -> Result<Header> {
    let (written, form) = match file.encoding {
        Encoding::Text(compression) => {
            let known = |name: &str| known_column(table, name).is_some();
            match sniff_file(file, compression, &known)? {
                Some(sniffed) => (sniffed.header, Form::Text(sniffed.dialect)),
                None => (Vec::new(), Form::Empty),
            }
        }
        Encoding::Parquet if file.bytes == 0 => (Vec::new(), Form::Empty),
        Encoding::Parquet => {
            let opened = File::open(&file.path).map_err(|error| Error::io(&file.path, error))?;
            let builder = ParquetRecordBatchReaderBuilder::try_new(opened)
                .map_err(|_| Error::bad_file(&file.name, "the Parquet footer cannot be read: the file is damaged or not Parquet; copy or export it again"))?;
            let schema = SchemaRef::clone(builder.schema());
            (
                schema
                    .fields()
                    .iter()
                    .map(|field| field.name().clone())
                    .collect(),
                Form::Columnar(schema),
            )
        }
    };
    if matches!(form, Form::Empty) {
        let findings = vec![Finding::new(&file.name, None, FindingKind::EmptyFile, 1)];
        return Ok(Header {
            names: Vec::new(),
            form,
            findings,
        });
    }
    if matches!(form, Form::Text(_)) {
        check(table, file, &written)?;
    }
    let (names, findings) = unique(table, &written);
    Ok(Header {
        names,
        form,
        findings,
    })
}

/// Refuses a first line that is data.
fn check(table: &str, file: &SourceFile, names: &[String]) -> Result<()> {
    let no_header = |expected: &str| {
        Error::bad_file(
            &file.name,
            format!("line 1 is not a header{expected}: put the column names into the first line"),
        )
    };
    let known = table_in(CdmVersion::V5_4, table).or_else(|| table_in(CdmVersion::V5_3, table));
    if let Some(def) = known {
        if !names.iter().any(|name| known_column(table, name).is_some()) {
            let expected: Vec<&str> = def
                .columns
                .iter()
                .take(3)
                .map(|column| column.name)
                .collect();
            return Err(no_header(&format!(
                ", none of its cells is a column of table `{table}` ({}, …)",
                expected.join(", ")
            )));
        }
        return Ok(());
    }
    let is_data = |name: &String| {
        let name = name.as_bytes();
        parse::float(name).is_ok() || parse::date(name).is_ok() || parse::datetime(name).is_ok()
    };
    if names.iter().any(is_data) || names.iter().all(String::is_empty) {
        return Err(no_header(""));
    }
    Ok(())
}

/// Names in lower case; a repeated one gets a number, a missing one its position.
fn unique(table: &str, written: &[String]) -> (Vec<String>, Vec<Finding>) {
    let mut names: Vec<String> = Vec::with_capacity(written.len());
    let mut findings = Vec::new();
    for (at, name) in written.iter().enumerate() {
        let name = name.trim().to_lowercase();
        let name = if name.is_empty() {
            format!("column_{}", at + 1)
        } else {
            name
        };
        if !names.contains(&name) {
            names.push(name);
            continue;
        }
        let mut number = 2;
        while names.contains(&format!("{name}_{number}"))
            || written
                .iter()
                .any(|other| other.eq_ignore_ascii_case(&format!("{name}_{number}")))
        {
            number += 1;
        }
        let mut finding = Finding::new(table, Some(&name), FindingKind::RepeatedColumn, 1);
        finding.detail =
            format!("column stands in the header again: the second is kept as `{name}_{number}`");
        findings.push(finding);
        names.push(format!("{name}_{number}"));
    }
    (names, findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_once() {
        let written = [
            "Person_ID",
            "",
            "person_id",
            "x",
            "person_id_2",
            "PERSON_ID",
        ]
        .map(str::to_owned);
        let (names, findings) = unique("person", &written);
        assert_eq!(
            names,
            [
                "person_id",
                "column_2",
                "person_id_3",
                "x",
                "person_id_2",
                "person_id_4"
            ]
        );
        assert_eq!(findings.len(), 2);
    }
}
