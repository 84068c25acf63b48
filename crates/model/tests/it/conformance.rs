//! The table definitions against the field and table lists that OHDSI publishes for CDM 5.3 and 5.4.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use columna_model::{
    CdmVersion, ColumnDef, ColumnType, TableDef, TableKind, detect_version, table_in, tables,
};

/// Columns that the lists write as `integer` and that hold quantities, not identifiers.
const QUANTITIES: [&str; 13] = [
    "box_size",
    "condition_occurrence_count",
    "day_of_birth",
    "days_supply",
    "drug_exposure_count",
    "episode_number",
    "gap_days",
    "max_levels_of_separation",
    "min_levels_of_separation",
    "month_of_birth",
    "quantity",
    "refills",
    "year_of_birth",
];

/// References that the lists leave out, although the column can hold nothing else.
const UNLISTED_REFERENCES: [(&str, &str); 6] = [
    // The note a term was read from.
    ("note_nlp", "note_id"),
    // The enclosing episode.
    ("episode", "episode_parent_id"),
    // The plan that paid.
    ("cost", "payer_plan_period_id"),
    // The inverse relationship, a row of the same table.
    ("relationship", "reverse_relationship_id"),
    // Unlike target_vocabulary_id beside it, not marked.
    ("source_to_concept_map", "source_vocabulary_id"),
    // What the cohort means.
    ("cohort", "cohort_definition_id"),
];

/// Columns whose reference the 5.3 list names (`fkTableName`) while it says `isForeignKey = No`;
/// the 5.4 list says Yes for all of them.
const REFERENCES_MARKED_NO: [(&str, &str); 5] = [
    ("procedure_occurrence", "provider_id"),
    ("procedure_occurrence", "visit_occurrence_id"),
    ("procedure_occurrence", "visit_detail_id"),
    ("procedure_occurrence", "procedure_source_concept_id"),
    ("condition_era", "person_id"),
];

#[test]
fn cdm_5_3() {
    conforms(CdmVersion::V5_3);
}

#[test]
fn cdm_5_4() {
    conforms(CdmVersion::V5_4);
}

#[test]
fn versions_of_real_data_sets() {
    for (name, version) in [
        ("gibleed", CdmVersion::V5_3),
        ("synthea27nj", CdmVersion::V5_4),
    ] {
        let Some(folder) = shared(&format!("data/{name}")) else {
            return;
        };
        let mut headers = Vec::new();
        for file in std::fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            let table = path.file_stem().unwrap().to_string_lossy().into_owned();
            let mut header = String::new();
            let mut file = BufReader::new(File::open(&path).unwrap());
            file.read_line(&mut header).unwrap();
            let columns: Vec<String> = header.trim().split(',').map(str::to_owned).collect();
            headers.push((table, columns));
        }
        assert_eq!(detect_version(&headers), Some(version), "{name}");
    }
}

fn conforms(version: CdmVersion) {
    let Some(folder) = shared("data/omop") else {
        return;
    };
    let fields = read(&folder.join(format!("OMOP_CDMv{version}_Field_Level.csv")));
    let listed = read(&folder.join(format!("OMOP_CDMv{version}_Table_Level.csv")));

    let mut of_table: HashMap<String, Vec<&Row>> = HashMap::new();
    for field in &fields {
        let table = field["cdmTableName"].to_lowercase();
        of_table.entry(table).or_default().push(field);
    }
    for row in &listed {
        let name = &row["cdmTableName"];
        let table = table_in(version, name);
        let table = table.unwrap_or_else(|| panic!("CDM {version} has a table {name}"));
        assert_eq!(group(version, table), row["schema"], "schema of {name}");
        check_table(version, table, &of_table[&name.to_lowercase()]);
    }
    assert_eq!(
        listed.len(),
        of_table.len(),
        "both lists name the same tables"
    );

    for table in tables(version) {
        // The 5.3 lists leave out the cohort table, which 5.3 data sets have all the same.
        let unlisted = version == CdmVersion::V5_3 && table.name == "cohort";
        assert_eq!(
            of_table.contains_key(table.name),
            !unlisted,
            "{}",
            table.name
        );
    }
}

/// The schema that the table list gives a table.
fn group(version: CdmVersion, table: &TableDef) -> &'static str {
    match table.kind {
        TableKind::Vocabulary => "VOCAB",
        // The 5.3 list counts what cohorts mean to the vocabulary, the 5.4 list to the results.
        TableKind::Results if version == CdmVersion::V5_3 => "VOCAB",
        TableKind::Results => "RESULTS",
        _ => "CDM",
    }
}

fn check_table(version: CdmVersion, table: &TableDef, fields: &[&Row]) {
    let names: Vec<String> = fields.iter().map(|field| name(field)).collect();
    let ours: Vec<&str> = table.columns.iter().map(|column| column.name).collect();
    assert_eq!(ours, names, "columns of {} in CDM {version}", table.name);

    for (column, field) in table.columns.iter().zip(fields) {
        let place = format!("{}.{} in CDM {version}", table.name, column.name);
        assert_eq!(
            column.data_type,
            data_type(column, field),
            "type of {place}"
        );
        assert_eq!(
            column.required,
            yes(&field["isRequired"]),
            "nullability of {place}"
        );
        assert_eq!(
            column.primary_key,
            yes(&field["isPrimaryKey"]),
            "primary key at {place}"
        );
        check_reference(table, column, field, &place);
    }
}

fn check_reference(table: &TableDef, column: &ColumnDef, field: &Row, place: &str) {
    let target = &field["fkTableName"];
    let marked = yes(&field["isForeignKey"]);
    let named = !matches!(target.as_str(), "" | "NA");
    let here = (table.name, column.name);
    if UNLISTED_REFERENCES.contains(&here) {
        assert!(!marked && !named, "{place} is listed as a reference by now");
        assert!(column.foreign_key.is_some(), "{place}");
        return;
    }
    if marked != named {
        assert!(!marked && REFERENCES_MARKED_NO.contains(&here), "{place}");
    }
    let expected = named.then(|| (target.to_lowercase(), field["fkFieldName"].to_lowercase()));
    let ours = column.foreign_key;
    let ours = ours.map(|(table, column)| (table.to_owned(), column.to_owned()));
    assert_eq!(ours, expected, "reference of {place}");
}

/// A column's name. `note_nlp.offset` is listed with the quotes that SQL needs around a reserved word.
fn name(field: &Row) -> String {
    field["cdmFieldName"].trim_matches('"').to_lowercase()
}

/// The type of a column as listed; some 5.3 entries are capitalised.
fn data_type(column: &ColumnDef, field: &Row) -> ColumnType {
    let listed = field["cdmDatatype"].to_lowercase();
    match listed.as_str() {
        "integer" if QUANTITIES.contains(&column.name) => ColumnType::Integer,
        "integer" => ColumnType::BigInt,
        "float" => ColumnType::Float,
        "date" => ColumnType::Date,
        "datetime" => ColumnType::DateTime,
        text if text.starts_with("varchar(") => ColumnType::Text,
        other => panic!("{}: unknown type {other}", column.name),
    }
}

fn yes(cell: &str) -> bool {
    match cell {
        "Yes" => true,
        "No" => false,
        other => panic!("neither Yes nor No: {other}"),
    }
}

type Row = HashMap<String, String>;

/// A CSV file with a header, quoted cells (line breaks inside them too) and an optional byte order mark.
fn read(path: &Path) -> Vec<Row> {
    let text = std::fs::read_to_string(path).unwrap();
    let mut records = vec![vec![String::new()]];
    let mut quoted = false;
    let mut characters = text
        .trim_start_matches('\u{feff}')
        .trim_end()
        .chars()
        .peekable();
    while let Some(character) = characters.next() {
        let record = records.last_mut().unwrap();
        let cell = record.last_mut().unwrap();
        match character {
            // Inside quotes a doubled quote stands for one.
            '"' if quoted && characters.next_if_eq(&'"').is_some() => cell.push('"'),
            '"' => quoted = !quoted,
            ',' if !quoted => record.push(String::new()),
            '\n' if !quoted => records.push(vec![String::new()]),
            '\r' if !quoted => {}
            other => cell.push(other),
        }
    }
    let mut records = records.into_iter();
    let header = records.next().unwrap();
    records
        .map(|record| {
            assert_eq!(record.len(), header.len(), "{}: {record:?}", path.display());
            header.iter().cloned().zip(record).collect()
        })
        .collect()
}

/// A folder of the shared data; `None`, said aloud, where there is none and this is not a CI run.
fn shared(folder: &str) -> Option<PathBuf> {
    let root = std::env::var_os("COLUMNA_SHARED")
        .map_or_else(|| Path::new("../../../shared").to_path_buf(), PathBuf::from);
    let folder = root.join(folder);
    if folder.is_dir() {
        return Some(folder);
    }
    let required = std::env::var_os("CI").is_some_and(|ci| ci == "true");
    assert!(!required, "../shared not found, and CI=true requires it");
    eprintln!("skipped: ../shared not found");
    None
}
